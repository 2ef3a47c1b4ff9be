"""What is known of the instrument, the library and the clock when a verdict is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from spectralid.errors import ParameterError

__all__ = ["Circumstances", "ClockState", "InstrumentCheck"]

InstrumentCheck = Literal["passed", "failed", "skipped", "unknown"]
ClockState = Literal["synced", "drift", "unsynced"]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a verdict depends on beside the spectrum.

    Attributes
    ----------
    instrument_check : {"passed", "failed", "skipped", "unknown"}
        The last performance check of the instrument; ``"skipped"`` where one was due and not made,
        ``"unknown"`` where nobody knows of any, of which nothing is said.
    library_age_days : int or None
        Days since the library was made.
    clock_state : {"synced", "drift", "unsynced"} or None
        Whether the time of the device is confirmed.
    forced : bool
        Whether the officer asked for escalation.
    """

    instrument_check: InstrumentCheck = "unknown"
    library_age_days: int | None = None
    clock_state: ClockState | None = None
    forced: bool = False

    def __post_init__(self) -> None:
        for name, given, allowed in (
            ("instrument_check", self.instrument_check, get_args(InstrumentCheck)),
            ("clock_state", self.clock_state, (*get_args(ClockState), None)),
        ):
            if given not in allowed:
                raise ParameterError(name, given, "one of " + ", ".join(map(str, allowed)))
