"""Recipes: where a public library is, under which terms, and how its files are read.

A recipe is a TOML file; those that come with spectralid are in ``libraries/fetch``, and any other file may be
named by its path. Keys that are not known are refused, since a mistyped one would otherwise be forgotten.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from spectralid import _bundled
from spectralid.errors import LibraryError, ParameterError, UnreadableFileError
from spectralid.library._values import Tier
from spectralid.library.importing import Naming
from spectralid.library.unpack import UnpackLimits
from spectralid.spectrum import Technique

__all__ = ["READERS", "Recipe", "RecipeFile", "available_recipes", "load_recipe"]

# How files are read: as `spectralid.io` reads them, or as an Open Specy library.
READERS: Final = ("files", "openspecy")

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A file to download.

    Attributes
    ----------
    url : str
        Where it is.
    name : str
        What to call it here.
    sha256 : str
        Its checksum; empty where it was not known when the recipe was written.
    maximum_bytes : int
        A larger file is refused.
    """

    url: str
    name: str
    sha256: str
    maximum_bytes: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to fetch a public library.

    Attributes
    ----------
    name, title, home : str
        Short name, what it is, and its own page.
    licence : str
        Terms in short, recorded with every reference that states none of its own.
    licence_text : str
        What is shown and has to be accepted.
    citation : str
        What to cite.
    facts : tuple of str
        Where address, terms and format were read.
    checked : str
        Whether and when the address was tried.
    technique : Technique or None
        For files that state none.
    tier : Tier
        What the spectra rest on.
    reader : str
        One of `READERS`.
    include : tuple of str
        Patterns of the files to take out of an archive.
    split_rows : int
        Rows per part of a table that is too large to be read at once; 0 for none.
    limits : UnpackLimits
        What an archive may hold.
    naming : Naming or None
        Where files say what the substance is.
    files : tuple of RecipeFile
        What to download.
    """

    name: str
    title: str
    home: str
    licence: str
    licence_text: str
    citation: str
    facts: tuple[str, ...]
    checked: str
    technique: Technique | None
    tier: Tier
    reader: str
    include: tuple[str, ...]
    split_rows: int
    limits: UnpackLimits
    naming: Naming | None
    files: tuple[RecipeFile, ...]


def available_recipes() -> tuple[Recipe, ...]:
    """The recipes that come with spectralid, by name.

    Returns
    -------
    tuple of Recipe
        In alphabetical order.

    Raises
    ------
    UnreadableFileError
        If one of them is damaged.
    """
    return tuple(_read(path) for path in sorted(_bundled.path("libraries", "fetch").glob("*.toml")))


def load_recipe(name: str | os.PathLike[str]) -> Recipe:
    """A recipe by its name, or from a file.

    Parameters
    ----------
    name : str or path
        Name of a recipe that comes with spectralid, or a ``.toml`` file.

    Returns
    -------
    Recipe
        Where the collection is, under which terms, and how its files are named.

    Raises
    ------
    LibraryError
        If there is no recipe of that name.
    UnreadableFileError
        If the file is no recipe; with the key.
    """
    if os.fspath(name).endswith(".toml"):
        return _read(Path(name))
    path = _bundled.path("libraries", "fetch", f"{name}.toml")
    if not _FILE_NAME.fullmatch(os.fspath(name)) or not path.is_file():
        known = ", ".join(recipe.name for recipe in available_recipes())
        raise LibraryError(f"There is no recipe {os.fspath(name)!r}; there are {known}.")
    return _read(path)


class _Table:
    """A table of a recipe, every key of which is to be used."""

    def __init__(self, values: Mapping[str, Any], path: Path, where: str = "") -> None:
        self._values = dict(values)
        self._path = path
        self._where = where

    def take(self, key: str, kind: type[_T], default: _T | None = None) -> _T:
        """The value of `key`, which must be of that kind and, without a default, not empty."""
        value = self._values.pop(key, default)
        # TOML's true and false would pass for whole numbers.
        if not isinstance(value, kind) or isinstance(value, bool) or (default is None and not value):
            raise self.error(key, "it is missing, empty or of the wrong kind.")
        return value

    def texts(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        values = self.take(key, list, default)
        if not all(isinstance(value, str) for value in values):
            raise self.error(key, "it must be a list of texts.")
        return tuple(values)

    def finish(self) -> None:
        """Refuse what is left."""
        for key in self._values:
            raise self.error(key, "this key is not known.")

    def error(self, key: str, problem: str) -> UnreadableFileError:
        """An error about `key`."""
        return UnreadableFileError(problem, file=str(self._path), where=f"key {self._where}{key}")


def _read(path: Path) -> Recipe:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableFileError(f"it cannot be opened ({error.strerror}).", file=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"it is not TOML ({error}).", file=str(path)) from None
    table = _Table(content, path)
    limits = _Table(table.take("unpack", dict, {}), path, "unpack.")
    naming = _Table(table.take("names", dict, {}), path, "names.")
    files = tuple(_file(entry, path, i) for i, entry in enumerate(table.take("file", list)))
    technique = table.take("technique", str, "")
    try:
        recipe = Recipe(
            name=table.take("name", str),
            title=table.take("title", str),
            home=table.take("home", str),
            licence=table.take("licence", str),
            licence_text=table.take("licence_text", str),
            citation=table.take("citation", str),
            facts=table.texts("facts"),
            checked=table.take("checked", str),
            technique=Technique.parse(technique) if technique else None,
            tier=Tier.parse(table.take("tier", str, "measured")),
            reader=table.take("reader", str, "files"),
            include=limits.texts("include", ["*"]),
            split_rows=table.take("split_rows", int, 0),
            limits=UnpackLimits(
                files=limits.take("maximum_files", int, UnpackLimits().files),
                total_bytes=limits.take("maximum_bytes", int, UnpackLimits().total_bytes),
            ),
            naming=_naming(naming),
            files=files,
        )
    except ParameterError as error:
        raise UnreadableFileError(str(error), file=str(path)) from None
    table.finish()
    limits.finish()
    naming.finish()
    if recipe.reader not in READERS:
        raise table.error("reader", "it must be one of " + ", ".join(READERS) + ".")
    if not _FILE_NAME.fullmatch(recipe.name):
        raise table.error("name", "it may hold only letters, digits, dots, hyphens and underscores.")
    if len({file.name for file in files}) < len(files):
        raise table.error("file", "two files have one name.")
    return recipe


def _file(entry: Any, path: Path, number: int) -> RecipeFile:
    table = _Table(entry if isinstance(entry, dict) else {}, path, f"file {number + 1}: ")
    file = RecipeFile(
        url=table.take("url", str),
        name=table.take("name", str),
        sha256=table.take("sha256", str, "").lower(),
        maximum_bytes=table.take("maximum_bytes", int),
    )
    table.finish()
    if not _FILE_NAME.fullmatch(file.name):
        raise table.error("name", "it must be the plain name of a file.")
    if file.sha256 and not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        raise table.error("sha256", "it must be 64 hexadecimal digits.")
    return file


def _naming(table: _Table) -> Naming | None:
    fields, pattern = table.texts("fields", []), table.take("pattern", str, Naming().pattern)
    try:
        if "name" not in re.compile(pattern).groupindex:
            raise table.error("pattern", "it has no group (?P<name>…).")
    except re.error as error:
        raise table.error("pattern", f"it is no regular expression ({error}).") from None
    return Naming(fields, pattern) if fields else None
