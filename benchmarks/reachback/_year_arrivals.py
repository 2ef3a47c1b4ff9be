"""What comes in a simulated year: seizures with a rhythm of day and week, bursts, and a surge week.

Written from the description in docs/capacity-plan.md and not from the plan's code, so that the plan and the
year do not share a mistake: a point process by thinning, minute by minute, where the plan counts by hours.
"""

from __future__ import annotations

import math
import multiprocessing
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.reachback._field import Tablet

START = datetime(2027, 1, 4, tzinfo=UTC)
"""A Monday."""
WEEK_MIN = 7 * 24 * 60.0
YEAR = 70_000
"""Scans of the year, its surge week included."""
SURGE = 3.0
MEAN_SIZE = 0.7 * 1 + 0.25 * 5.5 + 0.05 * 25
_WEEKS = 52


@dataclass(frozen=True, slots=True)
class Seizure:
    """One that comes.

    Attributes
    ----------
    minute : float
        Since `START`.
    number : int
        Of all, from 0.
    tablet : int
        Which of them has it.
    scans : int
        How many.
    danger, unknown : bool
        Whether the tablet finds one of the fentanyl family, or nothing that matches.
    surge : bool
        Whether it comes in the surge.
    """

    minute: float
    number: int
    tablet: int
    scans: int
    danger: bool
    unknown: bool
    surge: bool

    @property
    def at(self) -> datetime:
        """When, by the server's clock."""
        return moment(self.minute)

    @property
    def ref(self) -> str:
        """Its name."""
        return f"S-{self.number:06d}"


def moment(minute: float) -> datetime:
    """The time of a minute of the year."""
    return START + timedelta(minutes=minute)


def weight(hour: float) -> float:
    """How busy an hour of the week is (0 is Monday 00:00); the busiest is 1, nights and weekends are less."""
    day, of_day = divmod(hour % 168, 24)
    daily = 0.55 - 0.45 * math.cos((of_day - 3.0) / 24 * 2 * math.pi)
    return daily * (0.75 if day >= 5 else 1.0)


def mean_weight() -> float:
    """Mean of `weight` over the week."""
    return sum(weight(quarter / 4) for quarter in range(168 * 4)) / (168 * 4)


@dataclass(frozen=True, slots=True)
class Span:
    """How long is simulated, and when the surge is.

    Attributes
    ----------
    minutes : float
        All of it.
    surge : tuple of float
        From which minute to which.
    """

    minutes: float
    surge: tuple[float, float]

    @classmethod
    def of(cls, scans: int) -> Span:
        """A year for 70,000; for fewer, a shorter time at the same pace, a quarter of them in the surge."""
        a_week = YEAR / (_WEEKS - 1 + SURGE)
        surge = min(1.0, 0.25 * scans / (SURGE * a_week))
        ordinary = (scans - surge * SURGE * a_week) / a_week
        begins = float(int(ordinary / 2)) if ordinary > 3 else ordinary / 2
        return cls((ordinary + surge) * WEEK_MIN, (begins * WEEK_MIN, (begins + surge) * WEEK_MIN))

    def surges(self, minute: float) -> bool:
        """Whether a minute is in the surge."""
        return self.surge[0] <= minute < self.surge[1]


def seizures(span: Span, *, tablets: int, danger: float, unknown: float, seed: int) -> Iterator[Seizure]:
    """What comes, in its order."""
    rng = random.Random(seed)
    busiest = YEAR / (_WEEKS - 1 + SURGE) / MEAN_SIZE / WEEK_MIN / mean_weight()
    minute, number = 0.0, 0
    while True:
        minute += rng.expovariate(busiest * SURGE)
        if minute >= span.minutes:
            return
        surging = span.surges(minute)
        if rng.random() * SURGE >= weight(minute / 60) * (SURGE if surging else 1.0):
            continue
        dangerous = rng.random() < danger
        lost = not dangerous and rng.random() < unknown / (1 - danger)
        yield Seizure(minute, number, rng.randrange(tablets), size(rng), dangerous, lost, surging)
        number += 1


def size(rng: random.Random) -> int:
    """Scans of a seizure: 70 % one, 25 % 2 - 9, 5 % 10 - 40."""
    share = rng.random()
    if share < 0.70:
        return 1
    return rng.randint(2, 9) if share < 0.95 else rng.randint(10, 40)


def packed(coming: Iterable[Seizure], tablets: list[Tablet]) -> Iterator[tuple[Seizure, list[bytes]]]:
    """Each with its packets, as its tablet makes them."""
    for one in coming:
        made = tablets[one.tablet].seizure(one.ref, one.scans, one.at, danger=one.danger, unknown=one.unknown)
        yield one, list(made)


def packed_ahead(coming: Iterable[Seizure], tablets: list[Tablet]) -> Iterator[tuple[Seizure, list[bytes]]]:
    """The same, made by another process ahead of time: the tablets' work is not the server's."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue(maxsize=200)

    def make() -> None:
        for one in packed(coming, tablets):
            queue.put(one)
        queue.put(None)

    child = context.Process(target=make, daemon=True)
    child.start()
    while (one := queue.get()) is not None:
        yield one
    child.join()
