"""Performance checks of the tablet's instruments: kept beside the record, and how long one holds.

A check holds for a day. Until the first check of an instrument nobody knows anything of it; from then on a
day without one is a check that was skipped, and a check that failed stays failed until one passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from spectralid.qa.history import folder_of, kept, moment_of, read_history
from spectralid.qa.performance import PerformanceCheck
from spectralid.spectrum import Spectrum, Technique
from spectralid.verdict.circumstances import InstrumentCheck

__all__ = ["CHECKS", "CheckBook", "Standing"]

CHECKS: Final = "checks"
"""Folder of the checks, in that of the record."""

HOLDS: Final = timedelta(hours=24)
# A check that lies further in the future was made while the clock was wrong.
_AHEAD: Final = timedelta(minutes=10)
_ACCEPTED: Final = "accepted"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an instrument stands.

    Attributes
    ----------
    state : {"passed", "failed", "skipped", "unknown"}
        See the module.
    check : PerformanceCheck or None
        The last one.
    """

    state: InstrumentCheck
    check: PerformanceCheck | None = None

    def manifest(self) -> dict[str, Any] | str:
        """What a packet says of it: the check in force, or ``"none"``."""
        if self.check is None or self.state not in ("passed", "failed"):
            return "none"
        utc = moment_of(self.check).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "id": self.check.id,
            "time": utc,
            "passed": self.check.passed,
            "limits_version": self.check.limits_version,
        }


class CheckBook:
    """The checks of a tablet.

    Parameters
    ----------
    folder : Path
        Where they are kept; made when the first is.
    holds : timedelta
        How long a check holds.
    required : bool
        Whether an instrument without any check counts as one whose check was skipped.
    """

    def __init__(self, folder: Path, *, holds: timedelta = HOLDS, required: bool = False) -> None:
        self.folder = folder
        self.holds = holds
        self.required = required
        self._read: dict[str, tuple[int, tuple[PerformanceCheck, ...], bool]] = {}

    def keep(self, check: PerformanceCheck, spectrum: Spectrum) -> Path:
        """Keep a check; the first that passes of a unit and standard is what later ones are held against.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        from spectralid.io import write

        file = kept(self.folder, check)
        accepted = self._accepted_file(check.serial, check.standard, spectrum.technique)
        if check.passed and not accepted.exists():
            accepted.parent.mkdir(parents=True, exist_ok=True)
            write(spectrum, accepted)
        return file

    def accepted(self, serial: str, standard: str, technique: Technique) -> Spectrum | None:
        """The standard on the day the unit was accepted; ``None`` before."""
        from spectralid.io import read

        file = self._accepted_file(serial, standard, technique)
        return read(file) if file.exists() else None

    def standing(self, serial: str, now: datetime) -> Standing:
        """How a unit stands.

        Parameters
        ----------
        serial : str
            Of the unit; one without a number is held to be the only one.
        now : datetime
            Aware; by the clock that the tablet trusts.
        """
        checks, damaged = self._history(serial)
        known = [check for check in checks if moment_of(check) <= now + _AHEAD]
        if not known:
            # A record that no longer reads is a check all the same: nobody can say what it said.
            return Standing("skipped" if self.required or damaged or checks else "unknown")
        last = known[-1]
        if not last.passed:
            return Standing("failed", last)
        held = now - moment_of(last) <= self.holds
        return Standing("passed" if held else "skipped", last)

    def _history(self, serial: str) -> tuple[Sequence[PerformanceCheck], bool]:
        """The checks of a unit by time, and whether some no longer read; read again when one is added."""
        place = folder_of(self.folder, serial)
        try:
            changed = place.stat().st_mtime_ns
        except OSError:
            return (), False
        if serial not in self._read or self._read[serial][0] != changed:
            found, damaged = read_history(place)
            mine = tuple(check for check in found if check.serial == serial)
            self._read[serial] = (changed, mine, bool(damaged))
        return self._read[serial][1:]

    def _accepted_file(self, serial: str, standard: str, technique: Technique) -> Path:
        return folder_of(self.folder, serial) / _ACCEPTED / f"{standard}-{technique}.jdx"
