"""The chemists' desk as a simulation of events: cases come, chemists take them, work, hand on and go home.

Time is in minutes from the start of a week. A chemist is a seat that is taken or empty; who sits there
changes with the shift. Nobody drops work: whoever is on a case when a break or the end of the shift comes
finishes it first.

The order is that of the server's queue: cases whose hour runs before those whose hour an interim answer has
stopped, the earliest deadline first, deadlines within five minutes of each other as one, and among those the
fentanyl family and what nothing matched first. A chemist who is free takes what waits at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from heapq import heappop, heappush
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spectralid.spectrum import FloatArray

__all__ = ["Interim", "Kind", "Log", "Spell", "Work", "run"]

IntArray = NDArray[np.intp]
Spell = tuple[float, int, float]
"""From when, which seat, until when."""

_SLOT_MIN: Final = 5.0
_Waiting = tuple[bool, int, bool, float, int]


class Kind(IntEnum):
    """What a chemist did with a case."""

    LOOK = 0
    REVIEW = 1
    INTERIM = 2


@dataclass(frozen=True, slots=True)
class Work:
    """Cases in the order in which they come; all arrays of one length.

    Attributes
    ----------
    arrive, due : FloatArray
        Minutes.
    urgent : NDArray[bool]
        Fentanyl family or nothing matched.
    look, look_expected : FloatArray
        Minutes the first chemist takes, and what a chemist would expect on seeing the case.
    review, review_expected : FloatArray
        The same of the second person; 0 where none is needed.
    """

    arrive: FloatArray
    due: FloatArray
    urgent: NDArray[np.bool_]
    look: FloatArray
    look_expected: FloatArray
    review: FloatArray
    review_expected: FloatArray


@dataclass(frozen=True, slots=True)
class Interim:
    """When "treat as hazardous" is sent before the answer.

    At once when a chemist takes a case that cannot be expected to be answered in its hour; it then goes back,
    behind those whose hour runs. In the midst of work that is not done `before_min` before the hour is over.
    And after looking at a case that needs a second person while nobody else is there.

    Attributes
    ----------
    minutes : float
        What sending it costs the chemist.
    before_min : float
        How long before the end of the hour; at least `minutes`.
    """

    minutes: float
    before_min: float


@dataclass(frozen=True, slots=True)
class Log:
    """What happened until the end of the simulated time.

    Attributes
    ----------
    taken, first_reply, answered : FloatArray, shape (n_cases,)
        When first taken, first answered or given an interim answer, and answered; infinite where that did not
        happen in the simulated time.
    case, seat, kind : IntArray, shape (n_pieces,)
        Each piece of work: on which case, by which seat, of which `Kind`.
    start, end : FloatArray, shape (n_pieces,)
        From when to when, in minutes.
    mean_open : float
        Mean number of cases that had come and were not answered.
    """

    taken: FloatArray
    first_reply: FloatArray
    answered: FloatArray
    case: IntArray
    seat: IntArray
    kind: IntArray
    start: FloatArray
    end: FloatArray
    mean_open: float


def run(
    work: Work,
    spells: Iterator[Spell],
    *,
    n_seats: int,
    shift_min: float,
    horizon: float,
    interim: Interim | None = None,
    progress: Callable[[float], None] | None = None,
) -> Log:
    """Simulate the desk.

    Parameters
    ----------
    work : Work
        The cases.
    spells : iterator of Spell
        When each seat is taken, by starting time, without end or beyond the `horizon`.
    n_seats : int
        Seats there are.
    shift_min : float
        After how long another person sits on each seat; who reviews must be another than who looked.
    horizon : float
        When the simulation ends, in minutes.
    interim : Interim, optional
        When interim answers are sent; never by default.
    progress : callable, optional
        Told the simulated minutes, now and then.

    Returns
    -------
    Log
    """
    return _Desk(work, spells, n_seats, shift_min, horizon, interim, progress).run()


class _Desk:
    """The state between two events; in lists, whose single elements are much faster than those of arrays."""

    def __init__(
        self,
        work: Work,
        spells: Iterator[Spell],
        n_seats: int,
        shift_min: float,
        horizon: float,
        interim: Interim | None,
        progress: Callable[[float], None] | None,
    ) -> None:
        self._arrive: list[float] = [*work.arrive.tolist(), inf]
        self._due: list[float] = work.due.tolist()
        self._urgent: list[bool] = work.urgent.tolist()
        self._look: list[float] = work.look.tolist()
        self._look_expected: list[float] = (work.look_expected + work.review_expected).tolist()
        self._review: list[float] = work.review.tolist()
        self._review_expected: list[float] = work.review_expected.tolist()
        self._spells = spells
        self._shift = shift_min
        self._horizon = horizon
        self._interim = interim
        self._progress = progress
        n = len(self._due)
        self._taken = [inf] * n
        self._first_reply = [inf] * n
        self._answered = [inf] * n
        self._looked_by: list[tuple[int, int] | None] = [None] * n
        self._until = [-inf] * n_seats
        self._busy = [False] * n_seats
        self._idle: list[int] = []
        self._looks: list[_Waiting] = []
        self._reviews: list[_Waiting] = []
        self._finishes: list[tuple[float, int, int, Kind]] = []
        self._pieces: list[tuple[int, int, Kind, float, float]] = []

    def run(self) -> Log:
        """Play all events in their order."""
        coming, spell = 0, next(self._spells, (inf, 0, inf))
        now, n_open, area, told = 0.0, 0, 0.0, 0.0
        while True:
            finish = self._finishes[0][0] if self._finishes else inf
            at = min(finish, self._arrive[coming], spell[0])
            area += n_open * (min(at, self._horizon) - now)
            if at >= self._horizon:
                break
            now = at
            if finish == now:
                n_open -= self._finish(now)
            elif spell[0] == now:
                self._sit_down(spell)
                spell = next(self._spells, (inf, 0, inf))
            else:
                heappush(self._looks, self._entry(coming))
                n_open += 1
                coming += 1
            self._dispatch(now)
            if self._progress is not None and now - told > 1440:
                told = now
                self._progress(now)
        return self._log(area / self._horizon)

    def _entry(self, case: int) -> _Waiting:
        due = self._due[case]
        stopped = self._first_reply[case] < inf
        return stopped, int(due // _SLOT_MIN), not self._urgent[case], due, case

    def _sit_down(self, spell: Spell) -> None:
        _, seat, self._until[seat] = spell
        if not self._busy[seat] and seat not in self._idle:
            self._idle.append(seat)

    def _finish(self, now: float) -> bool:
        """One piece of work ends; whether the case is answered by it."""
        _, seat, case, kind = heappop(self._finishes)
        self._busy[seat] = False
        self._idle.append(seat)
        if kind is Kind.INTERIM:
            self._first_reply[case] = now
            heappush(self._looks if self._looked_by[case] is None else self._reviews, self._entry(case))
            return False
        if kind is Kind.LOOK:
            self._looked_by[case] = self._person(seat, now)
            if self._review[case] > 0:
                heappush(self._reviews, self._entry(case))
                return False
        self._answered[case] = now
        self._first_reply[case] = min(self._first_reply[case], now)
        return True

    def _person(self, seat: int, now: float) -> tuple[int, int]:
        return seat, int(now // self._shift)

    def _dispatch(self, now: float) -> None:
        """Give every chemist who is there and free the first case that they may take."""
        if not (self._looks or self._reviews) or not self._idle:
            return
        still: list[int] = []
        for place, seat in enumerate(self._idle):
            if not (self._looks or self._reviews):
                still += self._idle[place:]
                break
            if self._until[seat] <= now:
                continue
            taken = self._next(self._person(seat, now))
            if taken is None:
                still.append(seat)
            else:
                self._start(seat, *taken, now)
        self._idle = still

    def _next(self, person: tuple[int, int]) -> tuple[int, Kind] | None:
        own: list[_Waiting] = []
        while self._reviews and self._looked_by[self._reviews[0][-1]] == person:
            own.append(heappop(self._reviews))
        if self._reviews and (not self._looks or self._reviews[0] < self._looks[0]):
            taken: tuple[int, Kind] | None = heappop(self._reviews)[-1], Kind.REVIEW
        elif self._looks:
            taken = heappop(self._looks)[-1], Kind.LOOK
        else:
            taken = None
        for entry in own:
            heappush(self._reviews, entry)
        return taken

    def _start(self, seat: int, case: int, kind: Kind, now: float) -> None:
        self._busy[seat] = True
        self._taken[case] = min(self._taken[case], now)
        review = kind is Kind.REVIEW
        minutes = self._review[case] if review else self._look[case]
        if self._interim is not None and self._first_reply[case] == inf:
            expected = self._review_expected[case] if review else self._look_expected[case]
            warn = self._due[case] - self._interim.before_min
            if now + expected > self._due[case]:
                kind, minutes = Kind.INTERIM, self._interim.minutes
            elif now + minutes > warn or (not review and self._review[case] > 0 and self._alone(seat, now)):
                self._first_reply[case] = min(max(now, warn), now + minutes) + self._interim.minutes
                minutes += self._interim.minutes
        heappush(self._finishes, (now + minutes, seat, case, kind))
        self._pieces.append((case, seat, kind, now, now + minutes))

    def _alone(self, seat: int, now: float) -> bool:
        return not any(until > now for other, until in enumerate(self._until) if other != seat)

    def _log(self, mean_open: float) -> Log:
        whole = np.array([p[:3] for p in self._pieces], dtype=np.intp).reshape(-1, 3)
        times = np.array([p[3:] for p in self._pieces], dtype=np.float64).reshape(-1, 2)
        return Log(
            taken=np.array(self._taken),
            first_reply=np.array(self._first_reply),
            answered=np.array(self._answered),
            case=whole[:, 0],
            seat=whole[:, 1],
            kind=whole[:, 2],
            start=times[:, 0],
            end=times[:, 1],
            mean_open=mean_open,
        )
