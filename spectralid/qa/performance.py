"""The record of a daily performance check: every figure, its limits, and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from spectralid import __version__
from spectralid.errors import InputError, UnreadableFileError
from spectralid.files import write_whole
from spectralid.library.schema import canonical_json

__all__ = ["FORMAT", "BandCheck", "CheckError", "Figure", "PerformanceCheck", "Status"]

FORMAT: Final = "spectralid-performance-check/1"
"""Name and version of the record of a check."""
_LARGEST: Final = 4 * 1024 * 1024

Status = Literal["passed", "failed", "not done"]
"""What became of one figure of a check."""


class CheckError(InputError):
    """A check cannot be made of what was measured."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a check.

    Attributes
    ----------
    name : str
        ``axis_shift``, ``resolution`` …: what control charts and scripts know it by.
    value : float or None
        What was found; ``None`` if it could not be told.
    unit : str
        ``cm⁻¹``, ``%`` …; empty for a ratio or a count.
    uncertainty : float or None
        Standard uncertainty (k = 1) in that unit, where it is known.
    low, high : float or None
        Limits; ``None`` for none to that side.
    status : {"passed", "failed", "not done"}
        ``not done`` where nothing to compare with is on record; it fails nothing, and is said.
    note : str
        Why, where it was not done.
    """

    name: str
    value: float | None
    unit: str = ""
    uncertainty: float | None = None
    low: float | None = None
    high: float | None = None
    status: Status = "not done"
    note: str = ""

    @property
    def near_limit(self) -> bool:
        """Whether the limit lies within its expanded uncertainty (k = 2): either verdict may be wrong."""
        if self.value is None or self.uncertainty is None:
            return False
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        return any(abs(self.value - bound) <= 2 * self.uncertainty for bound in bounds)


@dataclass(frozen=True, slots=True)
class BandCheck:
    """A band of the standard, in cm⁻¹.

    Attributes
    ----------
    standard_cm1, standard_sd_cm1 : float
        Where it should be, and the standard uncertainty of that.
    found_cm1, found_sd_cm1 : float
        Where it was.
    limit_cm1 : float
        How far off it may be.
    used : bool
        Whether the fit of the axis used it.
    """

    standard_cm1: float
    standard_sd_cm1: float
    found_cm1: float
    found_sd_cm1: float
    limit_cm1: float
    used: bool

    @property
    def deviation_cm1(self) -> float:
        """Found minus standard."""
        return self.found_cm1 - self.standard_cm1

    @property
    def passed(self) -> bool:
        """Whether it is no further off than it may be."""
        return abs(self.deviation_cm1) <= self.limit_cm1


@dataclass(frozen=True, slots=True)
class PerformanceCheck:
    """What a unit showed of a standard, and whether it may be used.

    Attributes
    ----------
    passed : bool
        Whether no figure failed.
    figures : tuple of Figure
        All of them.
    bands : tuple of BandCheck
        The bands of the standard that were found.
    standard, lot : str
        What was measured, and the lot of the reference material.
    instrument, serial, time : str
        Of the spectrum.
    accepted_sha256 : str
        The spectrum of the day the unit was accepted, with which this one was compared; empty if none.
    spectrum_sha256, limits_version, software : str
        What was judged, and by what.
    """

    passed: bool
    figures: tuple[Figure, ...]
    bands: tuple[BandCheck, ...]
    standard: str
    lot: str
    instrument: str
    serial: str
    time: str
    accepted_sha256: str
    spectrum_sha256: str
    limits_version: str
    software: str = field(default=f"spectralid {__version__}")

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the figures that failed."""
        return tuple(figure.name for figure in self.figures if figure.status == "failed")

    @property
    def id(self) -> str:
        """SHA-256 (hex) of the record: what a packet names it by."""
        return hashlib.sha256(canonical_json(self._plain())).hexdigest()

    def figure(self, name: str) -> Figure:
        """The figure of that name.

        Raises
        ------
        CheckError
            If there is none.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise CheckError(f"The check has no figure {name!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, with its own SHA-256."""
        return {"format": FORMAT, "sha256": self.id, **self._plain()}

    def _plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, file: str = "check") -> PerformanceCheck:
        """Inverse of `to_dict`.

        Raises
        ------
        UnreadableFileError
            If it is no such record, or was changed after it was made.
        """
        try:
            if data["format"] != FORMAT:
                raise KeyError("format")
            plain = {key: value for key, value in data.items() if key not in ("format", "sha256")}
            plain["figures"] = tuple(Figure(**figure) for figure in plain["figures"])
            plain["bands"] = tuple(BandCheck(**band) for band in plain["bands"])
            record = cls(**plain)
            same = record.id == data["sha256"]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UnreadableFileError("it is no performance check of spectralid.", file=file) from None
        if not same:
            raise UnreadableFileError(
                "the check was changed after it was made (its SHA-256 does not hold).", file=file
            )
        return record

    def save(self, path: Path) -> None:
        """Write the record; the file is there whole, or not at all."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n"
        write_whole(path, [text.encode("utf-8")], mode=0o644)

    @classmethod
    def load(cls, path: Path) -> PerformanceCheck:
        """Read a record.

        Raises
        ------
        UnreadableFileError
            If it cannot be read, is none, or was changed.
        """
        try:
            with path.open("rb") as stream:
                document = json.loads(stream.read(_LARGEST))
        except OSError as error:
            raise UnreadableFileError(f"it cannot be read ({error.strerror}).", file=path.name) from None
        except (ValueError, RecursionError):
            raise UnreadableFileError("it is no performance check of spectralid.", file=path.name) from None
        if not isinstance(document, dict):
            raise UnreadableFileError("it is no performance check of spectralid.", file=path.name)
        return cls.from_dict(document, file=path.name)
