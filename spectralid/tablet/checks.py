"""Performance checks of the tablet's instruments: kept beside the record, and how long one holds.

A check holds for a day. Until the first check of an instrument nobody knows anything of it; from then on a
day without one is a check that was skipped, and a check that failed stays failed until one passes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import SpectralIDError
from spectralid.files import write_whole
from spectralid.qa.history import folder_of, kept, moment_of, read_history
from spectralid.qa.performance import PerformanceCheck
from spectralid.spectrum import Spectrum, Technique
from spectralid.verdict.circumstances import InstrumentCheck

if TYPE_CHECKING:
    from spectralid.qa.check import Darkness

__all__ = ["CHECKS", "CheckBook", "Standing"]

CHECKS: Final = "checks"
"""Folder of the checks, in that of the record."""

HOLDS: Final = timedelta(hours=24)
# A check that lies further in the future was made while the clock was wrong.
_AHEAD: Final = timedelta(minutes=10)
_ACCEPTED: Final = "accepted"
_DARK: Final = ".dark"

_log = logging.getLogger("spectralid.tablet")


@dataclass(frozen=True, slots=True)
class Standing:
    """How an instrument stands.

    Attributes
    ----------
    state : {"passed", "failed", "skipped", "unknown"}
        See the module.
    check : PerformanceCheck or None
        The last one.
    until : datetime or None
        How long a check that passed holds.
    reason : str
        Why an officer did without one, where that is on record and nothing came after it.
    """

    state: InstrumentCheck
    check: PerformanceCheck | None = None
    until: datetime | None = None
    reason: str = ""

    @property
    def due(self) -> bool:
        """Whether a check is to be made: none holds, and none failed."""
        return self.state in ("unknown", "skipped")

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
        self._unwritten: dict[str, PerformanceCheck] = {}

    def keep(self, check: PerformanceCheck, spectrum: Spectrum, dark: Darkness | None = None) -> None:
        """Keep a check; the first that passes of a unit and standard is what later ones are held against.

        It counts from now on, also where its files cannot be written: `restore` writes them another day.

        Parameters
        ----------
        check : PerformanceCheck
            The record.
        spectrum : Spectrum
            What it was made of.
        dark : Darkness, optional
            What the detector showed without light.
        """
        from spectralid.io import write

        self._unwritten[check.id] = check
        accepted = self._accepted_file(check.serial, check.standard, spectrum.technique)
        try:
            self.restore(check)
            if check.passed and not accepted.exists():
                accepted.parent.mkdir(parents=True, exist_ok=True)
                if dark is not None:
                    text = json.dumps(asdict(dark)).encode()
                    write_whole(accepted.with_suffix(_DARK), [text], mode=0o644)
                write(spectrum, accepted)
        except (OSError, SpectralIDError) as error:
            _log.warning("The files of the check %s could not be written: %s", check.id[:12], error)

    def restore(self, check: PerformanceCheck) -> Path:
        """Write the file of a check that is on record, if it is not there.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        file = kept(self.folder, check)
        self._unwritten.pop(check.id, None)
        return file

    def accepted(self, serial: str, standard: str, technique: Technique) -> Spectrum | None:
        """The standard on the day the unit was accepted; ``None`` before."""
        from spectralid.io import read

        file = self._accepted_file(serial, standard, technique)
        return read(file) if file.exists() else None

    def accepted_dark(self, serial: str, standard: str, technique: Technique) -> Darkness | None:
        """What its detector showed without light that day; ``None`` where nobody knows."""
        from spectralid.qa.check import Darkness

        file = self._accepted_file(serial, standard, technique).with_suffix(_DARK)
        try:
            return Darkness(**json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def history(self, serial: str) -> tuple[PerformanceCheck, ...]:
        """The checks of a unit that read, by time."""
        return tuple(self._history(serial)[0])

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
        until = moment_of(last) + self.holds
        return Standing("passed", last, until) if now <= until else Standing("skipped", last)

    def _history(self, serial: str) -> tuple[Sequence[PerformanceCheck], bool]:
        """The checks of a unit by time, and whether some no longer read."""
        found, damaged = self._on_disk(serial)
        new = [check for check in self._unwritten.values() if check.serial == serial]
        return (sorted([*found, *new], key=moment_of) if new else found), damaged

    def _on_disk(self, serial: str) -> tuple[Sequence[PerformanceCheck], bool]:
        """Read again when one is added."""
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
