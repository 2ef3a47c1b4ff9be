"""Directives of the reference: a room and all its public names, the error family, the exit codes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from public_names import PublicName, aliases, names_of, public_names, rooms, texts_below_assignments
from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from spectralid.cli import _exit
from spectralid.cli._main import _exit_code
from spectralid.errors import SpectralIDError

_LOG = logging.getLogger(__name__)

_TITLES = {
    "function": "Functions",
    "class": "Classes",
    "enum": "Choices",
    "exception": "Errors",
    "data": "Values",
}
_DIRECTIVES = {
    "function": ("autofunction", ()),
    "class": ("autoclass", (":members:", ":member-order: bysource")),
    "enum": ("autoclass", (":members:", ":undoc-members:", ":member-order: bysource")),
    "exception": ("autoexception", (":show-inheritance:",)),
}


# A value longer than this says less than its description.
_LONG = 80


class _Written(SphinxDirective):
    """A directive whose content is written as reStructuredText by `_lines`."""

    def _lines(self) -> Iterator[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        source = self.get_source_info()[0]
        return self.parse_text_to_nodes("\n".join(self._lines()) + "\n", allow_section_headings=True) or [
            nodes.comment(source, "")
        ]


class Room(_Written):
    """A module: what it is for, its public names in a table, and each of them in full."""

    required_arguments = 1

    def _lines(self) -> Iterator[str]:
        module = self.arguments[0]
        yield from (f".. automodule:: {module}", "   :no-members:", "")
        names = names_of(module)
        for kind, title in _TITLES.items():
            ours = [one for one in names if one.kind == kind]
            if not ours or kind == "data":
                continue
            yield from (f".. rubric:: {title}", "", ".. autosummary::", "   :nosignatures:", "")
            # Autosummary wants names of the module it is in without that module.
            yield from (
                f"   {one.name if one.path == f'{module}.{one.name}' else '~' + one.path}" for one in ours
            )
            yield ""
        for one in sorted(names, key=lambda one: (list(_TITLES).index(one.kind), one.name.lower())):
            yield from _entry(one)


def _entry(one: PublicName) -> Iterator[str]:
    if one.kind == "data":
        yield from (f".. py:data:: {one.name}", f"   :module: {one.path.rpartition('.')[0]}")
        if len(value := repr(one.value)) < _LONG and "<" not in value:
            yield f"   :value: {value}"
        yield from ("", *(f"   {line}" for line in one.text.splitlines()), "")
        return
    directive, options = _DIRECTIVES[one.kind]
    yield f".. {directive}:: {one.path}"
    yield from (f"   {option}" for option in options)
    yield ""


class RoomOfModules(_Written):
    """A package and those of its modules that offer more names, each as a room of its own."""

    required_arguments = 1

    def _lines(self) -> Iterator[str]:
        package = self.arguments[0]
        yield from (f".. room:: {package}", "")
        for module in rooms()[package.rpartition(".")[2]][1:]:
            yield from (module, "-" * len(module), "", f".. room:: {module}", "")


class Top(_Written):
    """Names at the top of the package, with links to where each is described."""

    def _lines(self) -> Iterator[str]:
        where = aliases()
        yield from (".. autosummary::", "   :nosignatures:", "")
        for one in names_of("spectralid"):
            path = f"spectralid.{one.name}"
            yield f"   ~{where.get(path, path)}"
        yield ""


class ErrorFamily(_Written):
    """Every error a user can meet: its parents, what it means, and the exit code it ends a command with."""

    def _lines(self) -> Iterator[str]:
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: 30 26 34 10", "")
        yield from _row("error", "is a", "meaning", "exit code")
        for one in sorted(_family(), key=_depth):
            error: Any = one.value
            parents = ", ".join(_reference(base) for base in error.__bases__)
            summary = (inspect.getdoc(error) or "").partition("\n\n")[0].replace("\n", " ")
            code = int(_exit_code(error.__new__(error)))
            yield from _row(f":py:exc:`~{one.path}`", parents, summary, str(code))
        yield ""


def _family() -> list[PublicName]:
    return [
        one
        for one in public_names().values()
        if inspect.isclass(one.value) and issubclass(one.value, SpectralIDError)
    ]


def _depth(one: PublicName) -> tuple[str, ...]:
    error: Any = one.value
    return tuple(base.__name__ for base in reversed(error.__mro__) if issubclass(base, SpectralIDError))


def _reference(error: type) -> str:
    for one in _family():
        if one.value is error:
            return f":py:exc:`~{one.path}`"
    return f"``{error.__name__}``"


def _row(*cells: str) -> Iterator[str]:
    for number, cell in enumerate(cells):
        yield f"   {'*' if number == 0 else ' '} - {cell}"


class ExitCodes(_Written):
    """The exit codes and what each means, from the module that defines them."""

    def _lines(self) -> Iterator[str]:
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: 10 25 65", "")
        yield from _row("code", "name", "meaning")
        for name, words in texts_below_assignments(inspect.getsource(_exit.Exit)).items():
            yield from _row(str(int(_exit.Exit[name])), f"``{name}``", words)
        yield ""


def _add_aliases(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Make ``spectralid.read`` a target too, where the entry is ``spectralid.io.read``."""
    del app
    objects = env.domains.python_domain.objects
    for alias, path in aliases().items():
        entry = objects.get(path)
        if entry is not None:
            objects[alias] = ObjectEntry(entry.docname, entry.node_id, entry.objtype, True)
    return []


def _plain_name(app: Sphinx, env: BuildEnvironment, node: Any, contnode: Any) -> Any:
    """Link a public name that stands alone, and leave what is none (a parameter, an inner name) as it is."""
    if node.get("reftype") != "obj":
        return None
    target = node["reftarget"]
    first = target.partition(".")[0]
    paths = [path + target[len(first) :] for path, one in public_names().items() if one.name == first]
    if len(paths) == 1 and paths[0] in env.domains.python_domain.objects:
        entry = env.domains.python_domain.objects[paths[0]]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, paths[0])
    return contnode


def _all_described(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of a public name without an entry; with -W the build fails."""
    del app
    for path in (*public_names(), *aliases()):
        if path not in env.domains.python_domain.objects:
            _LOG.warning("the public name %s is not in the reference", path)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("room", Room)
    app.add_directive("room-of-modules", RoomOfModules)
    app.add_directive("top-names", Top)
    app.add_directive("error-family", ErrorFamily)
    app.add_directive("exit-codes", ExitCodes)
    app.connect("missing-reference", _plain_name)
    app.connect("env-updated", _add_aliases)
    app.connect("env-check-consistency", _all_described)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
