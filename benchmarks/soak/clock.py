"""A clock that several processes share: the system's, put forward by as much as a small file says.

Only what asks for the time of day, or how long something was on record, sees it. Waiting for a socket, a
thread or an instrument stays in real time, so that no timeout of the programs is shortened.
"""

from __future__ import annotations

import mmap
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any


class SharedClock:
    """The clock, as `spectralid.casework.clock.Clock` wants it.

    Parameters
    ----------
    path : Path
        Of the file; made when it is not there.
    """

    boot_id = "soak"

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)

    @property
    def ahead_s(self) -> float:
        """Seconds by which it is put forward."""
        return float(struct.unpack("d", self._map[:8])[0])

    def wall_utc(self) -> datetime:
        """What the clock says."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment."""
        return time.monotonic_ns() + int(self.ahead_s * 1e9)

    def reach(self, moment: datetime) -> None:
        """Put it forward to a moment; it never goes back."""
        missing = (moment - self.wall_utc()).total_seconds()
        if missing > 0:
            self._map[:8] = struct.pack("d", self.ahead_s + missing)

    def install(self, pace: float) -> None:
        """Let the programs of this process go by it.

        Parameters
        ----------
        pace : float
            By how much the pauses of what the tablet does in the background are shorter: as much faster as
            the day passes.
        """
        from spectralid.casework import clock as casework
        from spectralid.reachback.api import desk
        from spectralid.tablet import unit, workplace

        casework.SystemClock.wall_utc = lambda _: self.wall_utc()  # type: ignore[method-assign]
        casework.SystemClock.monotonic_ns = lambda _: self.monotonic_ns()  # type: ignore[method-assign]
        here = self

        class Now(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                del tz
                return here.wall_utc()

        for module in (desk, unit):
            module.datetime = Now  # type: ignore[attr-defined]
        for name in ("_SCRUB_STEP_S", "_SCRUB_PAUSE_S", "_LIBRARY_S", "_FIRST_ASKED_S", "_ASKED_S"):
            setattr(workplace, name, getattr(workplace, name) / pace)
