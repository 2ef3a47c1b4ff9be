"""Every public name has a docstring that says what goes in and what comes out, and is in the reference."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from pathlib import Path
from typing import Any

import pytest
from public_names import PublicName, aliases, public_names, rooms

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"

# What numpydoc checks and is asked for here. Not asked for: examples and See Also everywhere (EX01, SA01), an
# extended summary (ES01), types (PR04: the signature has them), a description of a return value whose type
# says it all (RT03), the verb forms of English (SS05, the project's summaries are noun phrases as well).
CHECKS = {
    "GL01",  # text begins on the right line
    "GL03",  # no double blank lines
    "GL06",  # no unknown section
    "GL08",  # has a docstring
    "SS01",  # has a summary
    "SS02",  # which begins with a capital letter
    "SS04",  # without leading spaces
    "PR01",  # every parameter is documented
    "PR02",  # no unknown parameter
    "PR03",  # in their order
    "PR07",  # with a description
    "RT01",  # what it returns is documented
    "YD01",  # or yields
}
# A dataclass documents its fields as attributes; an error that adds no constructor has its parent's.
NOT_OF_CLASSES = {"PR01", "PR02", "PR03"}

# Made by a class method, which says what it takes.
NOT_CONSTRUCTED = {"spectralid.casework.CaseStore"}


# Imports are made in the tests: every worker collects, one runs.
def _wrong(path: str, *, but: frozenset[str] | set[str] = frozenset()) -> list[str]:
    from numpydoc.validate import validate

    found = validate(path)["errors"]
    return [f"{path}: {code} {words}" for code, words in found if code in CHECKS - but]


def _documented(value: object, *sections: str) -> set[str]:
    from numpydoc.docscrape import NumpyDocString

    text = NumpyDocString(inspect.getdoc(value) or "")
    return {name.strip() for section in sections for one in text[section] for name in one.name.split(",")}


def _problems(one: PublicName) -> list[str]:
    value: Any = one.value
    if one.kind == "data":
        return [] if one.text else [f"{one.path}: no text below its assignment"]
    if one.kind == "function":
        return _wrong(one.path)
    if dataclasses.is_dataclass(value):
        fields = {field.name for field in dataclasses.fields(value) if not field.name.startswith("_")}
        missing = fields - _documented(value, "Attributes", "Parameters")
        return _wrong(one.path, but=NOT_OF_CLASSES) + [
            f"{one.path}: field {name}" for name in sorted(missing)
        ]
    constructed = "__init__" in vars(value) and not getattr(value, "_is_protocol", False)
    if one.kind == "class" and constructed and one.path not in NOT_CONSTRUCTED:
        return _wrong(one.path)
    return _wrong(one.path, but=NOT_OF_CLASSES)


def test_there_are_public_names_of_every_kind() -> None:
    assert {one.kind for one in public_names().values()} == {"function", "class", "enum", "exception", "data"}


@pytest.mark.parametrize("page", sorted(rooms()))
def test_docstrings_of_a_page_are_complete(page: str) -> None:
    found = [
        problem
        for one in public_names().values()
        if one.module in rooms()[page]
        for problem in _problems(one)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", sorted(rooms()))
def test_public_methods_have_docstrings(page: str) -> None:
    bare = [
        f"{one.path}.{name}"
        for one in public_names().values()
        if one.module in rooms()[page] and one.kind == "class"
        for name, member in vars(one.value).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod))
        and not inspect.getdoc(getattr(one.value, name))
    ]
    assert not bare, "\n".join(bare)


@pytest.mark.parametrize("page", sorted(rooms()))
def test_every_room_has_a_page_that_lists_it(page: str) -> None:
    text = (REFERENCE / f"{page}.rst").read_text(encoding="utf-8")
    package = f"spectralid.{page}"
    directive = "room" if rooms()[page] == (package,) else "room-of-modules"
    assert f".. {directive}:: {package}\n" in text


def test_names_at_the_top_are_described_in_a_room() -> None:
    assert {path.rpartition(".")[2] for path in aliases()} <= {one.name for one in public_names().values()}
    assert all(path in public_names() for path in aliases().values())


def test_choices_are_described() -> None:
    enums = [one for one in public_names().values() if one.kind == "enum"]
    assert enums
    for one in enums:
        assert issubclass(one.value, enum.Enum)  # type: ignore[arg-type]
        assert one.text != (inspect.getdoc(enum.Enum) or ""), one.path
