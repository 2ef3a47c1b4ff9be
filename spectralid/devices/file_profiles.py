"""Profiles of instruments whose spectra come as finished files, one TOML file each in ``devices/files/``.

They drive nothing. They say how a spectrum gets from the instrument into spectralid, which reader takes it,
what is known of the instrument and from where, and what was looked for and not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from spectralid import _bundled
from spectralid.devices._toml import Keys, is_number, read_toml
from spectralid.devices.profile import FILE_PROTOCOLS
from spectralid.errors import ParameterError
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
    return _Keys(read_toml(path, shown), shown).profile(path.stem)


class _Keys(Keys):
    """Reads a profile out of a table."""

    def profile(self, key: str) -> FileProfile:
        route = self.text("route")
        if route not in FILE_PROTOCOLS:
            self.refuse("route", f"must be one of {', '.join(FILE_PROTOCOLS)}; it is {route!r}.")
        techniques = tuple(self._technique(text) for text in self.texts("techniques"))
        if not techniques:
            self.refuse("techniques", "must name at least one.")
        exports = self._exports()
        facts = self._facts()
        not_found = self.texts("not_found")
        known = {*facts, *(["export"] if exports else [])}
        for wanted in WANTED:
            needed = wanted != "laser_nm" or Technique.RAMAN in techniques
            if needed and (wanted in known) == (wanted in not_found):
                self.refuse("not_found", f"must name {wanted!r} exactly if nothing states it.")
        return FileProfile(
            key=key,
            name=self.text("name"),
            route=route,
            tried_on_hardware=self.switch("tried_on_hardware"),
            techniques=techniques,
            how=self.text("how"),
            safety=self.text("safety"),
            exports=exports,
            facts=MappingProxyType(facts),
            not_found=not_found,
        )

    def _exports(self) -> tuple[Export, ...]:
        parts = self._table.get("export", [])
        if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
            self.refuse("export", "must be a list of tables.")
        within = [Keys(part, self._file, "export.") for part in parts]
        return tuple(
            Export(*(keys.text(name) for name in ("reader", "what", "evidence", "source"))) for keys in within
        )

    def _facts(self) -> dict[str, Fact]:
        names = self._table.get("facts", {})
        if not isinstance(names, Mapping):
            self.refuse("facts", "must hold a table for each fact.")
        return {
            name: Fact(self._fact(f"facts.{name}.value"), self.text(f"facts.{name}.source")) for name in names
        }

    def _fact(self, key: str) -> FactValue:
        value = self.value(key)
        if isinstance(value, list) and value and all(is_number(item) for item in value):
            return tuple(float(item) for item in value)
        return float(value) if is_number(value) else self.text(key)

    def _technique(self, text: str) -> Technique:
        try:
            return Technique.parse(text)
        except ParameterError as error:
            self.refuse("techniques", f"must be {error.allowed}; one is {text!r}.")
