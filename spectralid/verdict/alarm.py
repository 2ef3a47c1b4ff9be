"""How loudly to warn."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

__all__ = ["Alarm", "worst"]


class Alarm(StrEnum):
    """How loudly to warn; there is no level that says a substance is harmless.

    ``UNKNOWN`` asks for the care of ``DANGER``: what has no name may be the most dangerous plausible thing.
    """

    DANGER = "danger"
    UNKNOWN = "unknown"
    WARNING = "warning"
    NOTICE = "notice"

    def reaches(self, level: Alarm) -> bool:
        """Whether it is as loud as `level`."""
        return _ORDER.index(self) <= _ORDER.index(level)


_ORDER: Final = (Alarm.DANGER, Alarm.UNKNOWN, Alarm.WARNING, Alarm.NOTICE)


def worst(alarms: Iterable[Alarm]) -> Alarm:
    """The loudest of some alarms; ``UNKNOWN`` of none."""
    return min(alarms, key=_ORDER.index, default=Alarm.UNKNOWN)
