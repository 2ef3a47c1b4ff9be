"""Profiles of instruments whose spectra come as finished files, one TOML file each in ``devices/files/``.

They drive nothing. They say how a spectrum gets from the instrument into spectralid, which reader takes it,
what is known of the instrument and from where, and what was looked for and not found.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from spectralid import _bundled
from spectralid.devices.profile import FILE_PROTOCOLS
from spectralid.errors import FileError, ParameterError
from spectralid.spectrum import Technique

__all__ = ["WANTED", "Export", "Fact", "FactValue", "FileProfile", "file_profiles", "load_file_profile"]

FactValue = str | float | tuple[float, ...]

WANTED: Final = ("technique", "export", "laser_nm", "range_cm1", "resolution_cm1", "sampling")
"""What every profile either states with a source or lists as not found (``laser_nm`` for Raman only)."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known of an instrument.

    Attributes
    ----------
    value : str, float or tuple of float
        What is known; numbers in the unit the fact's name ends with.
    source : str
        Where it was read.
    """

    value: FactValue
    source: str


@dataclass(frozen=True, slots=True)
class Export:
    """A kind of file the instrument's software writes.

    Attributes
    ----------
    reader : str
        Name of the format in `spectralid.io.formats` that takes it.
    what : str
        What the file is.
    evidence : str
        What was read to say so; never a measurement on the instrument itself.
    source : str
        Where it is documented.
    """

    reader: str
    what: str
    evidence: str
    source: str


@dataclass(frozen=True, slots=True)
class FileProfile:
    """An instrument whose spectra come as files.

    Attributes
    ----------
    key : str
        Short name: that of the file.
    name : str
        Maker and model.
    route : {"file-only", "watch-folder", "opus-rs"}
        How its spectra come in.
    tried_on_hardware : bool
        Whether it has ever been done with a real one.
    techniques : tuple of Technique
        What it measures, the most common first.
    how : str
        What to do, for the operator.
    safety : str
        What to mind; our words.
    exports : tuple of Export
        What its software writes, as far as known.
    facts : mapping of str to Fact
        What else is known.
    not_found : tuple of str
        What of `WANTED` was looked for in public documents and not found.
    """

    key: str
    name: str
    route: str
    tried_on_hardware: bool
    techniques: tuple[Technique, ...]
    how: str
    safety: str
    exports: tuple[Export, ...]
    facts: Mapping[str, Fact]
    not_found: tuple[str, ...]

    @property
    def protocol(self) -> str:
        """The route, under the name other profiles use."""
        return self.route


def file_profiles() -> tuple[FileProfile, ...]:
    """The profiles that come with spectralid, by key."""
    folder = _bundled.path("devices", "files")
    return tuple(_load(path, path.name) for path in sorted(folder.glob("*.toml")))


def load_file_profile(key: str) -> FileProfile:
    """Load one profile.

    Parameters
    ----------
    key : str
        Key of a bundled profile, or path of a ``.toml`` file.

    Raises
    ------
    ParameterError
        If there is no such bundled profile.
    FileError
        If the file cannot be read or something in it is missing or wrong; names file and key.
    """
    if key.endswith(".toml"):
        return _load(Path(key), key)
    known = sorted(path.stem for path in _bundled.path("devices", "files").glob("*.toml"))
    if key not in known:
        raise ParameterError("profile", key, f"the path of a .toml file or one of: {', '.join(known)}")
    return _load(_bundled.path("devices", "files", f"{key}.toml"), key)


def _load(path: Path, shown: str) -> FileProfile:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"it cannot be read ({error.strerror}).", file=shown) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(f"it is not valid TOML: {error}.", file=shown) from None
    return _Table(table, shown).profile(path.stem)


class _Table:
    """Reads checked values out of a table."""

    def __init__(self, table: Mapping[str, Any], file: str, within: str = "") -> None:
        self._table = table
        self._file = file
        self._within = within

    def profile(self, key: str) -> FileProfile:
        route = self._text("route")
        if route not in FILE_PROTOCOLS:
            self._refuse("route", f"must be one of {', '.join(FILE_PROTOCOLS)}; it is {route!r}.")
        techniques = tuple(self._technique(text) for text in self._texts("techniques"))
        exports = tuple(part.export() for part in self._parts("export"))
        facts = {name: part.fact() for name, part in self._named("facts").items()}
        not_found = self._texts("not_found")
        known = {*facts, *(["export"] if exports else [])}
        for wanted in WANTED:
            needed = wanted != "laser_nm" or Technique.RAMAN in techniques
            if needed and (wanted in known) == (wanted in not_found):
                self._refuse("not_found", f"must name {wanted!r} exactly if nothing states it.")
        return FileProfile(
            key=key,
            name=self._text("name"),
            route=route,
            tried_on_hardware=self._switch("tried_on_hardware"),
            techniques=techniques,
            how=self._text("how"),
            safety=self._text("safety"),
            exports=exports,
            facts=MappingProxyType(facts),
            not_found=not_found,
        )

    def export(self) -> Export:
        return Export(*(self._text(name) for name in ("reader", "what", "evidence", "source")))

    def fact(self) -> Fact:
        value = self._value("value")
        if isinstance(value, list) and value and all(_is_number(item) for item in value):
            return Fact(tuple(float(item) for item in value), self._text("source"))
        if _is_number(value):
            return Fact(float(value), self._text("source"))
        return Fact(self._text("value"), self._text("source"))

    def _technique(self, text: str) -> Technique:
        try:
            return Technique.parse(text)
        except ParameterError as error:
            self._refuse("techniques", f"must be {error.allowed}; one is {text!r}.")

    def _parts(self, key: str) -> list[_Table]:
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self._refuse(key, "must be a list of tables.")
        return [_Table(item, self._file, f"{key}.") for item in value]

    def _named(self, key: str) -> dict[str, _Table]:
        value = self._table.get(key, {})
        if not isinstance(value, Mapping) or not all(isinstance(item, Mapping) for item in value.values()):
            self._refuse(key, "must hold a table for each fact.")
        return {name: _Table(item, self._file, f"{key}.{name}.") for name, item in value.items()}

    def _texts(self, key: str) -> tuple[str, ...]:
        value = self._value(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._refuse(key, f"must be a list of texts; it is {value!r}.")
        return tuple(value)

    def _text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str) or not value.strip():
            self._refuse(key, f"must be a text; it is {value!r}.")
        return str(value).strip()

    def _switch(self, key: str) -> bool:
        value = self._value(key)
        if not isinstance(value, bool):
            self._refuse(key, f"must be true or false; it is {value!r}.")
        return bool(value)

    def _value(self, key: str) -> Any:
        if key not in self._table:
            self._refuse(key, "is missing.")
        return self._table[key]

    def _refuse(self, key: str, why: str) -> NoReturn:
        raise FileError(why, file=self._file, where=f"key {self._within}{key}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
