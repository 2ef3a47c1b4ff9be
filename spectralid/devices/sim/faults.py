"""The faults a simulated instrument can be given, by name: each one seeded, each one switched on by hand.

Where a fault acts depends on what it is. ``line`` faults change the bytes of any protocol (`FaultyLine` in
``faulty.py``), ``port`` faults need a real line (``serve.py``), ``detector`` faults change the frame before
any protocol sees it (``physics.py``), and ``instrument`` faults need to know the protocol: the class that
speaks it asks `Faults.active` at the place where the fault would strike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np

from spectralid.errors import ParameterError

__all__ = ["FAULTS", "NO_FAULTS", "Fault", "Faults", "KnownFault", "Level"]


class Level(StrEnum):
    """Who carries a fault out."""

    LINE = "line"
    PORT = "port"
    DETECTOR = "detector"
    INSTRUMENT = "instrument"


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault the simulator knows.

    Attributes
    ----------
    number : int
        Its number in the catalogue, 1 to 48.
    name : str
        Its switch.
    level : Level
        Who carries it out.
    what : str
        What happens, and its arguments.
    """

    number: int
    name: str
    level: Level
    what: str


_LINE, _PORT, _DETECTOR, _INSTRUMENT = Level.LINE, Level.PORT, Level.DETECTOR, Level.INSTRUMENT

FAULTS: Final[Mapping[str, KnownFault]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            KnownFault(1, "silence", _LINE, "no answer"),
            KnownFault(2, "truncated-header", _LINE, "the answer ends after ARG bytes (3)"),
            KnownFault(3, "truncated-payload", _LINE, "the answer ends after ARG of its length (0.6)"),
            KnownFault(4, "trickle", _LINE, "ARG seconds between the bytes of an answer (0.05)"),
            KnownFault(5, "noise-before", _LINE, "ARG random bytes before an answer (17)"),
            KnownFault(6, "noise-between", _LINE, "ARG random bytes after an answer, before the next (17)"),
            KnownFault(7, "greeting", _LINE, "a power-up message before the first answer"),
            KnownFault(8, "bit-flip", _LINE, "one bit of the data is flipped, no checksum offered"),
            KnownFault(9, "bit-flip-checksum", _LINE, "one bit of the data is flipped, checksum on"),
            KnownFault(10, "wrong-checksum", _INSTRUMENT, "the checksum does not fit the data"),
            KnownFault(11, "bad-footer", _INSTRUMENT, "the end mark is wrong"),
            KnownFault(12, "wrong-type", _INSTRUMENT, "the answer names another message"),
            KnownFault(13, "wrong-regarding", _INSTRUMENT, "the answer repeats another transaction number"),
            KnownFault(14, "nack", _INSTRUMENT, "refusal with error number ARG (7)"),
            KnownFault(
                15, "exception", _INSTRUMENT, "the answer carries the hardware-fault flag and error 13"
            ),
            KnownFault(
                16, "deferred", _INSTRUMENT, "'deferred' first, then the answer; ARG 'nothing': no answer"
            ),
            KnownFault(17, "duplicate", _LINE, "the answer comes twice"),
            KnownFault(18, "late-reply", _LINE, "the answer comes with the answer to the next request"),
            KnownFault(19, "trailing-bytes", _LINE, "ARG zero bytes stuck to the answer (5)"),
            KnownFault(20, "markers-inside", _INSTRUMENT, "start and end marks inside the data"),
            KnownFault(21, "echo", _LINE, "everything written comes back"),
            KnownFault(22, "wrong-baud", _PORT, "the instrument runs at ARG bits per second (19200)"),
            KnownFault(
                23, "baud-ack-lost", _INSTRUMENT, "baud change: ARG 'first', 'second' lost, or 'revert'"
            ),
            KnownFault(
                24, "input-overrun", _LINE, "of bytes that come at once only the first ARG are read (1)"
            ),
            KnownFault(25, "unplug", _LINE, "the line is lost in the middle of an answer"),
            KnownFault(26, "unplug-laser-on", _LINE, "the line is lost while the laser is on"),
            KnownFault(27, "re-enumerated", _LINE, "the line is lost and comes back under another name"),
            KnownFault(28, "second-opener", _LINE, "another program reads ARG of the bytes (0.3)"),
            KnownFault(29, "reset-mid-scan", _INSTRUMENT, "reset: error 9, settings lost"),
            KnownFault(
                30,
                "stale-integration",
                _DETECTOR,
                "ARG frames (1) have the old time; with ! even after abort",
            ),
            KnownFault(31, "saturated", _DETECTOR, "every pixel shows the largest count"),
            KnownFault(32, "dead-frame", _DETECTOR, "ARG 'zero', 'flat', or 'pixel': one pixel never moves"),
            KnownFault(33, "pixel-count", _INSTRUMENT, "a frame has ARG pixels too many (-4)"),
            KnownFault(34, "absurd-length", _INSTRUMENT, "the length field says ARG (4294967295)"),
            KnownFault(
                35, "blank-eeprom", _INSTRUMENT, "stored calibration is ARG 'ff', 'nan' or 'descending'"
            ),
            KnownFault(36, "no-excitation", _INSTRUMENT, "stored excitation wavelength is 0"),
            KnownFault(37, "swapped-serial", _INSTRUMENT, "the serial number is another from now on"),
            KnownFault(
                38, "interlock-opens", _INSTRUMENT, "the interlock opens during a scan: the laser goes off"
            ),
            KnownFault(39, "laser-stuck-on", _INSTRUMENT, "'off' is acknowledged and the laser stays on"),
            KnownFault(
                40, "laser-readback-lies", _INSTRUMENT, "read-back says ARG 'off', 'on' or 'nack', always"
            ),
            KnownFault(41, "watchdog", _DETECTOR, "the laser's own watchdog switches it off during a scan"),
            KnownFault(42, "tec-unstable", _DETECTOR, "the cooled detector is not at its temperature"),
            KnownFault(43, "etx", _INSTRUMENT, "out of memory: ETX instead of STX"),
            KnownFault(44, "ascii-mode", _INSTRUMENT, "the instrument is in ASCII mode"),
            KnownFault(45, "dropped-byte", _LINE, "one byte of the data is lost"),
            KnownFault(46, "back-pressure", _PORT, "the instrument stops reading"),
            KnownFault(47, "byte-order", _INSTRUMENT, "the bytes of each count are swapped"),
            KnownFault(48, "nak-baud", _INSTRUMENT, "the baud change is refused"),
        )
    }
)
"""All faults by name, in the order of the catalogue."""


_NUMBERS: Final = frozenset(
    {
        *("truncated-header", "truncated-payload", "trickle", "noise-before", "noise-between"),
        *("nack", "trailing-bytes", "wrong-baud", "input-overrun", "second-opener", "stale-integration"),
        *("pixel-count", "absurd-length"),
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault switched on.

    Attributes
    ----------
    name : str
        One of `FAULTS`.
    argument : str
        Its argument; empty for what `KnownFault.what` gives in brackets, or names first.
    first : int
        At which opportunity it strikes first, from 1.
    times : int or None
        How often; ``None`` for ever.
    spectrum_only : bool
        Whether only answers that hold a spectrum are opportunities.
    """

    name: str
    argument: str = ""
    first: int = 1
    times: int | None = None
    spectrum_only: bool = False

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise ParameterError("fault", self.name, f"one of {', '.join(FAULTS)}")
        if self.argument and self.name in _NUMBERS and not re.fullmatch(r"-?\d*\.?\d+!?", self.argument):
            raise ParameterError("fault", f"{self.name}:{self.argument}", "followed by a number")
        if self.first < 1:
            raise ParameterError("fault", f"{self.name}@{self.first}", "an opportunity counted from 1")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``NAME[:ARG][@WHEN]``.

        WHEN is ``3`` (only the third opportunity), ``3+`` (from the third on), ``spectrum`` (only answers
        that hold a spectrum), ``spectrum-3`` or ``spectrum-3+``.

        Raises
        ------
        ParameterError
            If it is not written like this, or there is no such fault.
        """
        found = re.fullmatch(r"([^:@]+)(?::([^@]*))?(?:@(spectrum)?-?(?:(\d+)(\+)?)?)?", text)
        if found is None:
            raise ParameterError("fault", text, "written NAME[:ARGUMENT][@WHEN], as in silence@3")
        name, argument, spectrum, first, onwards = found.groups()
        once = first is not None and not onwards
        return cls(name, argument or "", int(first or 1), 1 if once else None, spectrum is not None)


class Faults:
    """The faults of one simulated instrument.

    Parameters
    ----------
    faults : iterable of Fault
        What is switched on.
    seed : int
        Seed of what the faults leave to chance.

    Attributes
    ----------
    rng : numpy Generator
        Chance, for whoever carries a fault out.
    """

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self._faults = {fault.name: fault for fault in faults}
        self._seen: Counter[str] = Counter()
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def active(self, name: str, *, spectrum: bool = False) -> bool:
        """Whether the fault strikes now; each call is one opportunity, so ask once per answer or event.

        Parameters
        ----------
        name : str
            One of `FAULTS`.
        spectrum : bool
            Whether the answer at hand holds a spectrum.
        """
        if name not in FAULTS:
            raise KeyError(name)
        fault = self._faults.get(name)
        if fault is None or (fault.spectrum_only and not spectrum):
            return False
        self._seen[name] += 1
        since = self._seen[name] - fault.first
        return since >= 0 and (fault.times is None or since < fault.times)

    def switched_on(self, name: str) -> bool:
        """Whether the fault is switched on at all; asking is no opportunity."""
        return name in self._faults

    def argument(self, name: str, otherwise: str) -> str:
        """Argument of a fault that is switched on, or `otherwise`."""
        fault = self._faults.get(name)
        return fault.argument if fault and fault.argument else otherwise

    def heal(self) -> None:
        """Switch all faults off: from now on the instrument is sound."""
        self._faults.clear()


NO_FAULTS: Final = Faults()
"""A sound instrument."""
