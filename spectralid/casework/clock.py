"""Time on a device whose clock is not trusted.

A tablet comes up in 1970 when its battery is flat, is set wrongly by hand, or is set back on purpose. So a
record states what the clock said *and* how far that can be trusted: `TrustedTime` remembers the latest time a
server has signed, never goes back behind it, and compares the clock with it through the monotonic clock.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, Protocol

__all__ = ["Clock", "ClockState", "Moment", "SystemClock", "TrustedTime", "from_text", "to_text"]

ClockState = Literal["synced", "drift", "unsynced"]

# No record was made before this program existed: a clock that says so was never set.
EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
# What a round trip, a leap second and a clock set by hand to the minute may differ by.
TOLERANCE: Final = timedelta(minutes=2)
# A poor quartz loses 100 ppm, 9 s a day.
DRIFT: Final = 1e-4
# For how long a comparison with a server vouches for the clock.
VOUCHED: Final = timedelta(days=7)
# A time signed longer ago than this round trip bounds the present from below, and says no more.
PROMPT_S: Final = 60.0


class Clock(Protocol):
    """What the record needs to know of time."""

    @property
    def boot_id(self) -> str:
        """Changes whenever `monotonic_ns` starts anew."""

    def wall_utc(self) -> datetime:
        """What the clock of the device says, in UTC."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment of this boot, whatever is done to the clock."""


class SystemClock:
    """The clocks of the operating system.

    Where the system names no boot (only Linux does), each process counts as one: time then counts as
    confirmed more rarely than it could be, never more often.
    """

    def __init__(self) -> None:
        try:
            self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            self._boot_id = f"process-{uuid.uuid4()}"

    @property
    def boot_id(self) -> str:
        """Changes whenever `monotonic_ns` starts anew."""
        return self._boot_id

    def wall_utc(self) -> datetime:
        """What the clock of the device says, in UTC."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """Nanoseconds since the boot, time asleep included."""
        return _monotonic_ns()


def _counting_sleep() -> Callable[[], int]:
    # CLOCK_MONOTONIC of Linux stands still while a tablet sleeps: waking would look like a clock set forward.
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        if hasattr(time, name) and hasattr(time, "clock_gettime_ns"):
            clock = getattr(time, name)
            return lambda: time.clock_gettime_ns(clock)
    return time.monotonic_ns


_monotonic_ns: Final = _counting_sleep()


def to_text(moment: datetime) -> str:
    """``2026-11-22T12:00:00.000000Z``, which sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(text: str) -> datetime:
    """The moment that `to_text` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time and where the monotonic clock stood.

    Attributes
    ----------
    utc : datetime
        What a clock said.
    monotonic_ns : int
        When, on the monotonic clock.
    boot_id : str
        Of which boot.
    """

    utc: datetime
    monotonic_ns: int
    boot_id: str

    def later(self, other: Moment) -> timedelta | None:
        """How much later the other is by the monotonic clock; ``None`` across a boot."""
        if self.boot_id != other.boot_id:
            return None
        return timedelta(microseconds=(other.monotonic_ns - self.monotonic_ns) // 1000)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered: the latest trusted time, when it was compared, and the last reading."""

    latest: datetime | None = None
    compared: Moment | None = None
    seen: Moment | None = None


class TrustedTime:
    """The clock of a device, the latest time signed by a server, and what they say of each other.

    Parameters
    ----------
    clock : Clock
        Of the device.
    row : sequence, optional
        As `row` gave it, from the store.
    """

    def __init__(self, clock: Clock, row: tuple[Any, ...] | None = None) -> None:
        self.clock = clock
        self._known = _Known()
        if row is not None:
            latest, *rest = row
            self._known = _Known(latest and from_text(latest), _moment(*rest[:3]), _moment(*rest[3:]))

    def row(self) -> tuple[Any, ...]:
        """What is to be remembered, as seven plain values."""
        known = self._known
        return (known.latest and to_text(known.latest), *_plain(known.compared), *_plain(known.seen))

    def moment(self) -> Moment:
        """What the clock says now."""
        return Moment(self.clock.wall_utc(), self.clock.monotonic_ns(), self.clock.boot_id)

    @property
    def latest(self) -> datetime | None:
        """The latest time known to be past, signed by a server."""
        return self._known.latest

    def advance(self, tx: Any, server_utc: datetime, *, round_trip_s: float | None = None) -> bool:
        """Take a verified server time in; it moves what is known forwards, never back.

        Parameters
        ----------
        tx : transaction of the store
            Where it is remembered.
        server_utc : datetime
            Aware; from a message whose signature was verified.
        round_trip_s : float, optional
            Seconds between the request that this answers and now. Without it, or if it took longer than
            `PROMPT_S` (a USB stick takes days), the time is a lower bound and says nothing of the clock.

        Returns
        -------
        bool
            Whether anything became known.
        """
        server_utc = server_utc.astimezone(UTC)
        known = self._known
        if known.latest is not None and server_utc <= known.latest:
            return False
        known = replace(known, latest=server_utc)
        if round_trip_s is not None and 0 <= round_trip_s <= PROMPT_S:
            known = replace(known, compared=replace(self.moment(), utc=server_utc))
        self._known = known
        self.remember(tx)
        return True

    def remember(self, tx: Any) -> None:
        """Write what is known into the store."""
        tx.execute("UPDATE trusted_time SET latest_utc = ?, compared_utc = ?, compared_monotonic_ns = ?, "
                   "compared_boot_id = ?, seen_utc = ?, seen_monotonic_ns = ?, seen_boot_id = ?",
                   self.row())  # fmt: skip

    def note(self, moment: Moment) -> None:
        """Remember a reading that is being recorded."""
        self._known = replace(self._known, seen=moment)

    def now(self) -> datetime:
        """The best estimate of the time: from the last comparison within this boot, else the clock.

        Never before the latest trusted time.
        """
        moment, known = self.moment(), self._known
        estimate = moment.utc
        if known.compared is not None and (passed := known.compared.later(moment)) is not None:
            estimate = known.compared.utc + passed
        return max(estimate, known.latest) if known.latest else estimate

    def judge(self, moment: Moment) -> tuple[ClockState, tuple[str, ...]]:
        """How far a reading can be trusted, and what is wrong with it.

        Parameters
        ----------
        moment : Moment
            As `moment` read it.

        Returns
        -------
        state : {"synced", "drift", "unsynced"}
            ``"synced"``: it agrees with a comparison with a server in this boot, at most `VOUCHED` ago.
            ``"drift"``: a server's time is known and does not contradict it, but nothing vouches for it now.
            ``"unsynced"``: no server's time is known, or the clock is known to be wrong.
        flags : tuple of str
            ``never_set`` (before `EARLIEST`), ``behind_trusted``, ``ahead_of_trusted``, ``jumped_back``,
            ``jumped_forward`` (since the last record).
        """
        known, wrong, odd = self._known, [], []
        if moment.utc < EARLIEST:
            wrong.append("never_set")
        vouched = False
        if known.latest is not None and moment.utc < known.latest - TOLERANCE:
            wrong.append("behind_trusted")
        elif known.compared is not None and (passed := known.compared.later(moment)) is not None:
            off = moment.utc - (known.compared.utc + passed)
            if abs(off) > TOLERANCE + passed * DRIFT:
                wrong.append("ahead_of_trusted" if off > timedelta() else "behind_trusted")
            vouched = passed <= VOUCHED
        if known.seen is not None:
            since = known.seen.later(moment)
            off = moment.utc - known.seen.utc - (since or timedelta())
            allowed = TOLERANCE + (since or timedelta()) * DRIFT
            if off < -allowed:
                odd.append("jumped_back")
            elif since is not None and off > allowed:
                odd.append("jumped_forward")
        flags = (*wrong, *odd)
        if wrong or known.latest is None:
            return "unsynced", flags
        return ("synced" if vouched else "drift"), flags


def _moment(utc: str | None, monotonic_ns: int, boot_id: str) -> Moment | None:
    return None if utc is None else Moment(from_text(utc), monotonic_ns, boot_id)


def _plain(moment: Moment | None) -> tuple[str | None, int | None, str | None]:
    return (
        (None, None, None) if moment is None else (to_text(moment.utc), moment.monotonic_ns, moment.boot_id)
    )
