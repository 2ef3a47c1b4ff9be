"""Which modules are looked at, and which tests belong to them (`modules.toml`)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# PostgreSQL has its own tests; here they would only take time, for the code is the same.
ONLY = ("-k", "not postgresql")


@dataclass(frozen=True)
class Group:
    """Modules with one purpose, and their tests.

    Attributes
    ----------
    name, title : str
        Its key and its words.
    modules, tests : tuple of str
        Paths from the repository's root.
    more : tuple of str
        Tests for mutants that lived through the first.
    branches : tuple of str
        Tests that run every branch.
    """

    name: str
    title: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    more: tuple[str, ...]
    branches: tuple[str, ...]


def groups() -> tuple[Group, ...]:
    """All groups, as they stand in the file."""
    table = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))
    return tuple(
        Group(
            name,
            row["title"],
            tuple(row["modules"]),
            tuple(row["tests"]),
            tuple(row.get("more", ())),
            tuple(row.get("branches", row["tests"])),
        )
        for name, row in table.items()
    )
