"""What is public: every name in the `__all__` of spectralid, of its rooms, and of what it builds on."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import importlib
import inspect
import itertools
import pkgutil
import sys
from collections.abc import Iterator

import spectralid

_PRIVATE = "_"
# Quality assurance has one public module per subject, and at its top what is used most.
_ROOM_OF_MODULES = "spectralid.qa"
# Modules outside the rooms whose names users meet.
_FOUNDATION = (
    "spectralid.spectrum",
    "spectralid.errors",
    "spectralid.proportion",
    "spectralid.keys",
    "spectralid.vouching",
)


@dataclasses.dataclass(frozen=True)
class PublicName:
    """A public name, the module that offers it, and what it stands for."""

    module: str
    name: str
    value: object

    @property
    def path(self) -> str:
        """Dotted name a user imports it by; what is at the top is taken from there."""
        if self.module == "spectralid.spectrum" and self.name in spectralid.__all__:
            return f"spectralid.{self.name}"
        return f"{self.module}.{self.name}"

    @property
    def kind(self) -> str:
        """What it is: exception, enum, class, function or data."""
        value = self.value
        if inspect.isclass(value):
            if issubclass(value, BaseException):
                return "exception"
            return "enum" if issubclass(value, enum.Enum) else "class"
        return "function" if inspect.isroutine(getattr(value, "__wrapped__", value)) else "data"

    @property
    def text(self) -> str:
        """Its docstring; of data the string below the assignment, wherever in its package that stands."""
        if self.kind != "data":
            return inspect.getdoc(self.value) or ""
        for module in [module for name, module in sys.modules.items() if name.startswith(self.module)]:
            if getattr(module, self.name, None) is self.value:
                text = texts_below_assignments(inspect.getsource(module)).get(self.name)
                if text:
                    return text
        return ""


def texts_below_assignments(source: str) -> dict[str, str]:
    """Strings that stand below the assignments of a module or of its first class, by the name assigned to."""
    body = ast.parse(source).body
    if len(body) == 1 and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    found = {}
    for assigned, text in itertools.pairwise(body):
        match assigned, text:
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as words)),
            ):
                found[name] = inspect.cleandoc(words)
    return found


@functools.cache
def rooms() -> dict[str, tuple[str, ...]]:
    """Reference pages and the modules each of them lists."""
    pages: dict[str, tuple[str, ...]] = {one.rpartition(".")[2]: (one,) for one in _FOUNDATION}
    for found in pkgutil.iter_modules(spectralid.__path__, "spectralid."):
        short = found.name.rpartition(".")[2]
        if found.ispkg and not short.startswith(_PRIVATE):
            pages[short] = (found.name, *_public_modules_of(found.name))
    return pages


def _public_modules_of(package: str) -> Iterator[str]:
    """Packages within a room that offer names of their own; of quality assurance every module."""
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if found.name.rpartition(".")[2].startswith(_PRIVATE):
            continue
        if found.ispkg:
            if hasattr(importlib.import_module(found.name), "__all__"):
                yield found.name
        elif package == _ROOM_OF_MODULES:
            yield found.name


def names_of(module: str) -> list[PublicName]:
    """Public names of one module, in the order of its `__all__`, but those its room offers at the top."""
    loaded = importlib.import_module(module)
    room = module.rpartition(".")[0]
    above = getattr(importlib.import_module(room), "__all__", ()) if room.count(".") else ()
    return [
        PublicName(module, name, getattr(loaded, name))
        for name in getattr(loaded, "__all__", ())
        if not name.startswith("__") and name not in above
    ]


@functools.cache
def public_names() -> dict[str, PublicName]:
    """Every public name by its path, once per path."""
    found: dict[str, PublicName] = {}
    for modules in rooms().values():
        for module in modules:
            for one in names_of(module):
                found.setdefault(one.path, one)
    return found


def aliases() -> dict[str, str]:
    """Paths of names at the top of the package, with the path they are documented under."""
    by_value = {id(one.value): one.path for one in public_names().values()}
    return {
        f"spectralid.{one.name}": by_value[id(one.value)]
        for one in names_of("spectralid")
        if by_value[id(one.value)] != f"spectralid.{one.name}"
    }
