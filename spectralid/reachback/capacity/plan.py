"""How many chemists, and when: the chance of an answer within the hour for a roster, and the smallest roster.

Seizures come at random at the rate of each hour of the week, with as many scans as the mix of sizes says; the
chemists' desk (`capacity.desk`) is simulated event by event. Everything is drawn once from a
seed, so that two rosters are compared on the very same year.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from spectralid.errors import ParameterError
from spectralid.reachback.capacity.desk import IntArray, Interim, Log, Spell, Work, run
from spectralid.spectrum import FloatArray

__all__ = [
    "HOURS",
    "WEEKS_A_YEAR",
    "Demand",
    "Found",
    "Handling",
    "Interim",
    "Period",
    "Plan",
    "Roster",
    "Share",
    "SizeMix",
    "simulate",
    "smallest_roster",
]

HOURS: Final = 168
WEEKS_A_YEAR: Final = 52
_WEEK_MIN: Final = HOURS * 60.0
_Z95: Final = 1.959964
_MOST_CHEMISTS: Final = 500
_PERCENTILES: Final = (50, 90, 95, 99)
Progress = Callable[[str, float], None]
"""Told what is being done and which part of it is done, 0 … 1 (for a search: which try)."""


def _need(right: bool, name: str, given: object, allowed: str) -> None:
    if not right:
        raise ParameterError(name, given, allowed)


@dataclass(frozen=True, slots=True)
class SizeMix:
    """How many scans a seizure has.

    Attributes
    ----------
    parts : tuple of (int, int, float)
        From how many scans to how many, each number as likely as another, and the share of seizures; the
        shares sum to 1.
    """

    parts: tuple[tuple[int, int, float], ...]

    def __post_init__(self) -> None:
        right = bool(self.parts) and all(1 <= low <= high and 0 <= p <= 1 for low, high, p in self.parts)
        right = right and abs(sum(p for *_, p in self.parts) - 1) < 1e-6
        _need(right, "sizes", self.text(), "like 1:0.7,2-9:0.25,10-40:0.05, with shares that sum to 1")

    @classmethod
    def parse(cls, text: str) -> SizeMix:
        """Read ``1:0.7,2-9:0.25,10-40:0.05``.

        Raises
        ------
        ParameterError
            If it is not like that.
        """
        parts = []
        for part in text.split(","):
            sizes, _, share = part.partition(":")
            low, _, high = sizes.partition("-")
            try:
                parts.append((int(low), int(high or low), float(share)))
            except ValueError:
                raise ParameterError("sizes", text, "like 1:0.7,2-9:0.25,10-40:0.05") from None
        return cls(tuple(parts))

    def text(self) -> str:
        """As `parse` reads it."""
        return ",".join(f"{a}:{p:g}" if a == b else f"{a}-{b}:{p:g}" for a, b, p in self.parts)

    @property
    def mean(self) -> float:
        """Mean number of scans."""
        return sum((low + high) / 2 * p for low, high, p in self.parts)

    def draw(self, rng: np.random.Generator, n: int) -> IntArray:
        """Sizes of `n` seizures."""
        part = rng.choice(len(self.parts), size=n, p=[p for *_, p in self.parts])
        low, high = (np.array([p[i] for p in self.parts], dtype=np.intp)[part] for i in (0, 1))
        return np.asarray(rng.integers(low, high + 1), dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What comes in.

    Attributes
    ----------
    seizures_per_hour : FloatArray, shape (168,)
        Mean number of seizures of each hour of the week, Monday 00:00 first.
    sizes : SizeMix
        How many scans each has.
    escalated : float
        Share of seizures that go to a chemist (with all their scans), 0 … 1.
    urgent : float
        Share of those with the fentanyl family or no match, 0 … 1.
    surge : float
        Factor on the arrivals of a surge week.
    surge_weeks : int
        Surge weeks in 52, evenly spread.
    """

    seizures_per_hour: FloatArray
    sizes: SizeMix
    escalated: float = 1.0
    urgent: float = 0.0
    surge: float = 1.0
    surge_weeks: int = 0

    def __post_init__(self) -> None:
        rates = self.seizures_per_hour
        right = (
            rates.shape == (HOURS,) and bool(np.all(np.isfinite(rates) & (rates >= 0))) and rates.sum() > 0
        )
        _need(right, "seizures_per_hour", rates.shape, f"{HOURS} numbers of 0 or more, not all 0")
        for name, share in (("escalated", self.escalated), ("urgent", self.urgent)):
            _need(0 <= share <= 1, name, share, "a share from 0 to 1")
        _need(self.escalated > 0, "escalated", self.escalated, "above 0: else there is nothing to plan")
        _need(1 <= self.surge <= 1000, "surge", self.surge, "a factor from 1 to 1000")
        _need(0 <= self.surge_weeks <= WEEKS_A_YEAR, "surge_weeks", self.surge_weeks, "from 0 to 52")

    @classmethod
    def of_scans(
        cls,
        scans_a_year: float,
        sizes: SizeMix,
        *,
        shape: FloatArray | None = None,
        escalated: float = 1.0,
        urgent: float = 0.0,
        surge: float = 1.0,
        surge_weeks: int = 0,
    ) -> Demand:
        """So many scans in 52 ordinary weeks, spread as `shape` says (168 weights; evenly by default).

        Raises
        ------
        ParameterError
            If something is outside what is allowed.
        """
        _need(0 < scans_a_year < 1e9, "scans_a_year", scans_a_year, "above 0 and below a thousand million")
        weights = np.ones(HOURS) if shape is None else shape
        _need(weights.sum() > 0, "shape", weights.shape, f"{HOURS} numbers of 0 or more, not all 0")
        rates = weights / weights.sum() * (scans_a_year / WEEKS_A_YEAR / sizes.mean)
        return cls(
            seizures_per_hour=rates,
            sizes=sizes,
            escalated=escalated,
            urgent=urgent,
            surge=surge,
            surge_weeks=surge_weeks,
        )

    @property
    def scans_a_year(self) -> float:
        """Mean number of scans in 52 weeks without a surge."""
        return float(self.seizures_per_hour.sum()) * WEEKS_A_YEAR * self.sizes.mean

    def is_surge(self, week: int) -> bool:
        """Whether a week (0 is the first) is a surge week."""
        per = self.surge_weeks / WEEKS_A_YEAR
        return int((week + 1) * per) > int(week * per)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """How a case is worked on.

    Attributes
    ----------
    first_min, further_min : float
        Mean minutes for the first scan of a case and for each further one.
    cv : float
        Standard deviation of the time of a case over its mean. The times follow a gamma distribution: 0 is
        always the mean, 1 the exponential distribution.
    review_share : float
        Share of cases that a second person must look at, 0 … 1.
    review_min : float
        Mean minutes of that, with the same `cv`.
    interim : Interim, optional
        When interim answers are sent; never by default.
    by_seizure : bool
        Whether one seizure is one case. Otherwise each scan is a case of its own, of `first_min`.
    """

    first_min: float
    further_min: float
    cv: float = 0.5
    review_share: float = 0.0
    review_min: float = 0.0
    interim: Interim | None = None
    by_seizure: bool = True

    def __post_init__(self) -> None:
        _need(0 < self.first_min <= 1e4, "first_min", self.first_min, "minutes above 0")
        _need(0 <= self.further_min <= 1e4, "further_min", self.further_min, "minutes, 0 or more")
        _need(0 <= self.cv <= 10, "cv", self.cv, "from 0 to 10")
        _need(0 <= self.review_share <= 1, "review_share", self.review_share, "a share from 0 to 1")
        right = self.review_share == 0 or 0 < self.review_min <= 1e4
        _need(right, "review_min", self.review_min, "minutes above 0 where there are second reviews")
        if self.interim is not None:
            right = 0 < self.interim.minutes <= self.interim.before_min
            _need(
                right,
                "interim",
                self.interim,
                "of some minutes, and sent at least as long before the hour ends",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Who is there.

    Attributes
    ----------
    chemists : tuple of int, 168
        Chemists of each hour of the week, Monday 00:00 first.
    shift_h : float
        Hours of a shift: after each another person sits on the seat, and each has one break.
    break_min : float
        Minutes of the break of each shift; breaks are spread over the shift so that few are away together.
    """

    chemists: tuple[int, ...]
    shift_h: float = 8.0
    break_min: float = 0.0

    def __post_init__(self) -> None:
        right = len(self.chemists) == HOURS and all(0 <= n <= _MOST_CHEMISTS for n in self.chemists)
        _need(
            right, "chemists", f"{len(self.chemists)} numbers", f"{HOURS} numbers from 0 to {_MOST_CHEMISTS}"
        )
        _need(any(self.chemists), "chemists", "0 in every hour", "at least one in some hour")
        _need(1 <= self.shift_h <= 24, "shift_h", self.shift_h, "from 1 to 24 hours")
        _need(
            HOURS / self.shift_h % 1 < 1e-9,
            "shift_h",
            self.shift_h,
            "so many hours that a week has whole shifts",
        )
        right = 0 <= self.break_min < self.shift_h * 60
        _need(right, "break_min", self.break_min, "minutes, 0 or more, and less than a shift")

    @classmethod
    def constant(cls, chemists: int, *, shift_h: float = 8.0, break_min: float = 0.0) -> Roster:
        """As many in every hour."""
        return cls(chemists=(chemists,) * HOURS, shift_h=shift_h, break_min=break_min)

    @property
    def n_seats(self) -> int:
        """Most chemists of any hour."""
        return max(self.chemists)

    @property
    def chemist_hours(self) -> int:
        """Chemist-hours a week, breaks included."""
        return sum(self.chemists)

    def week(self) -> list[Spell]:
        """When each seat is taken in a week, by starting time."""
        spells: list[Spell] = []
        for seat in range(self.n_seats):
            there = np.array([n > seat for n in self.chemists])
            edges = np.flatnonzero(np.diff(np.concatenate(([0], there.astype(np.int8), [0]))))
            for start, end in edges.reshape(-1, 2) * 60.0:
                spells += self._without_breaks(float(start), float(end), seat)
        return sorted(spells)

    def _without_breaks(self, start: float, end: float, seat: int) -> Iterator[Spell]:
        shift = self.shift_h * 60
        if self.break_min > 0:
            # Spread over the shift; a seat that is taken for a part of it only may lack its break.
            place = (seat + 1) / (self.n_seats + 1) * (shift - self.break_min)
            for k in range(int(start // shift), int(np.ceil(end / shift))):
                away = k * shift + place
                if start < away and away + self.break_min < end:
                    yield start, seat, away
                    start = away + self.break_min
        yield start, seat, end


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval of 95 %, which allows for weeks that differ by more than chance.

    Attributes
    ----------
    value, low, high : float
        0 … 1.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What a roster does in ordinary weeks, in surge weeks, or in all.

    Attributes
    ----------
    weeks, cases, scans : int
        What was simulated and counted.
    scans_in_time, cases_in_time : Share
        Answered, or given an interim answer, within the target.
    answered_in_time : Share
        Scans answered within the target, interim answers not counted.
    interim : float
        Share of cases that were given an interim answer.
    reply_min, answer_min, taken_min : tuple of float
        The 50th, 90th, 95th and 99th percentile over cases of the minutes to the first answer or interim, to
        the answer, and until first taken; infinite where not reached in the simulated time.
    utilisation : float
        Minutes worked over minutes on duty; above 1 where chemists stay on to finish.
    """

    weeks: int
    cases: int
    scans: int
    scans_in_time: Share
    cases_in_time: Share
    answered_in_time: Share
    interim: float
    reply_min: tuple[float, ...]
    answer_min: tuple[float, ...]
    taken_min: tuple[float, ...]
    utilisation: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON; what was not reached is null."""
        shares = {
            n: getattr(self, n).to_dict() for n in ("scans_in_time", "cases_in_time", "answered_in_time")
        }
        minutes = {
            n: {f"p{q}": _finite(v) for q, v in zip(_PERCENTILES, getattr(self, n), strict=True)}
            for n in ("reply_min", "answer_min", "taken_min")
        }
        counts = {"weeks": self.weeks, "cases": self.cases, "scans": self.scans}
        return {**counts, **shares, "interim": self.interim, **minutes, "utilisation": self.utilisation}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What came of a simulation.

    Attributes
    ----------
    demand, handling, roster, surge_roster
        What was simulated.
    target_min : float
        Within how many minutes an answer or interim is wanted.
    seed : int
        From which everything was drawn.
    ordinary : Period
        Weeks without a surge.
    surge : Period or None
        Surge weeks.
    whole : Period
        All weeks.
    by_hour : FloatArray, shape (168,)
        Share of scans answered or given an interim answer in time, by the hour of the week in which they
        came; NaN where none came.
    reply_min : FloatArray, shape (n_cases,)
        Minutes to the first answer or interim of each case counted; infinite where not reached.
    mean_open : float
        Mean number of cases that are not answered.
    """

    demand: Demand
    handling: Handling
    roster: Roster
    surge_roster: Roster | None
    target_min: float
    seed: int
    ordinary: Period
    surge: Period | None
    whole: Period
    by_hour: FloatArray
    reply_min: FloatArray
    mean_open: float

    def reaches(self, goal: float) -> bool:
        """Whether scans are answered in time as often as wanted, in all weeks."""
        return self.whole.scans_in_time.value >= goal

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "simulated": True,
            "target_min": self.target_min,
            "seed": self.seed,
            "assumed": _assumed(self.demand, self.handling),
            "roster": _roster_dict(self.roster),
            "surge_roster": None if self.surge_roster is None else _roster_dict(self.surge_roster),
            "ordinary": self.ordinary.to_dict(),
            "surge": None if self.surge is None else self.surge.to_dict(),
            "whole": self.whole.to_dict(),
            "in_time_by_hour": [_finite(p) for p in self.by_hour.tolist()],
            "mean_open_cases": self.mean_open,
        }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _roster_dict(roster: Roster) -> dict[str, Any]:
    return {
        "chemists": list(roster.chemists),
        "chemist_hours_a_week": roster.chemist_hours,
        "shift_h": roster.shift_h,
        "break_min": roster.break_min,
    }


def _assumed(demand: Demand, handling: Handling) -> dict[str, Any]:
    interim = handling.interim
    return {
        "scans_a_year": demand.scans_a_year,
        "seizures_per_hour": demand.seizures_per_hour.tolist(),
        "sizes": demand.sizes.text(),
        "escalated": demand.escalated,
        "urgent": demand.urgent,
        "surge": demand.surge,
        "surge_weeks": demand.surge_weeks,
        "first_min": handling.first_min,
        "further_min": handling.further_min,
        "cv": handling.cv,
        "review_share": handling.review_share,
        "review_min": handling.review_min,
        "interim": interim and {"minutes": interim.minutes, "before_min": interim.before_min},
        "by_seizure": handling.by_seizure,
    }


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Everything that chance decides, before anybody works on it."""

    work: Work
    scans: IntArray
    n_weeks: int


def _draw(demand: Demand, handling: Handling, n_weeks: int, target_min: float, seed: int) -> _Drawn:
    coming, sizes, looks, reviews = np.random.default_rng(seed).spawn(4)
    factor = np.array([demand.surge if demand.is_surge(w - 1) else 1.0 for w in range(n_weeks)])
    rates = np.outer(factor, demand.seizures_per_hour * demand.escalated).ravel()
    counts = coming.poisson(rates)
    arrive = np.sort(np.repeat(np.arange(rates.size) * 60.0, counts) + coming.uniform(0, 60, counts.sum()))
    scans = demand.sizes.draw(sizes, arrive.size)
    urgent = coming.random(arrive.size) < demand.urgent
    if not handling.by_seizure:
        arrive, urgent, scans = (
            np.repeat(arrive, scans),
            np.repeat(urgent, scans),
            np.ones(scans.sum(), np.intp),
        )
    look = np.asarray(handling.first_min + handling.further_min * (scans - 1.0), dtype=np.float64)
    review = np.where(reviews.random(arrive.size) < handling.review_share, handling.review_min, 0.0)
    work = Work(
        arrive=arrive,
        due=arrive + target_min,
        urgent=urgent,
        look=look * _variation(looks, handling.cv, arrive.size),
        look_expected=look,
        review=review * _variation(reviews, handling.cv, arrive.size),
        review_expected=review,
    )
    return _Drawn(work, scans, n_weeks)


def _variation(rng: np.random.Generator, cv: float, n: int) -> FloatArray:
    """Factors of mean 1; never 0, for work of no length at all is no work."""
    if cv == 0:
        return np.ones(n)
    return np.asarray(np.maximum(rng.gamma(cv**-2, cv**2, n), 1e-9), dtype=np.float64)


def simulate(
    demand: Demand,
    handling: Handling,
    roster: Roster,
    *,
    surge_roster: Roster | None = None,
    weeks: int = WEEKS_A_YEAR,
    target_min: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> Plan:
    """The chance of an answer in time with a roster.

    Parameters
    ----------
    demand : Demand
        What comes in.
    handling : Handling
        How it is worked on.
    roster : Roster
        Who is there.
    surge_roster : Roster, optional
        Who is there in surge weeks; as in ordinary weeks by default.
    weeks : int
        Weeks to count, 2 … 5200; one more is simulated before them, because the desk opens empty, and one
        after, for what is late.
    target_min : float
        Minutes in which an answer or interim is wanted.
    seed : int
        From which everything is drawn.
    progress : callable, optional
        Told how far it is.

    Returns
    -------
    Plan

    Raises
    ------
    ParameterError
        If something is outside what is allowed, or no case came at all.
    """
    _need(2 <= weeks <= 5200, "weeks", weeks, "from 2 to 5200")
    right = demand.surge_weeks == 0 or weeks % WEEKS_A_YEAR == 0
    _need(right, "weeks", weeks, f"a multiple of {WEEKS_A_YEAR} where there are surge weeks")
    _need(1 <= target_min <= 1e4, "target_min", target_min, "from 1 to 10000 minutes")
    _need(seed >= 0, "seed", seed, "0 or more")
    right = surge_roster is None or surge_roster.shift_h == roster.shift_h
    _need(right, "surge_roster", surge_roster and surge_roster.shift_h, "of the same shifts as the roster")
    drawn = _draw(demand, handling, weeks + 2, target_min, seed)
    return _play(drawn, demand, handling, roster, surge_roster, target_min, seed, progress)


def _play(
    drawn: _Drawn,
    demand: Demand,
    handling: Handling,
    roster: Roster,
    surge_roster: Roster | None,
    target_min: float,
    seed: int,
    progress: Progress | None,
) -> Plan:
    work, horizon = drawn.work, drawn.n_weeks * _WEEK_MIN
    rosters = [
        surge_roster if surge_roster is not None and demand.is_surge(week - 1) else roster
        for week in range(drawn.n_weeks)
    ]
    log = run(
        work,
        _spells(rosters),
        n_seats=max(r.n_seats for r in rosters),
        shift_min=roster.shift_h * 60,
        horizon=horizon,
        interim=handling.interim,
        progress=None if progress is None else lambda now: progress("simulating", now / horizon),
    )
    week = (work.arrive // _WEEK_MIN).astype(np.intp)
    surging = np.array([demand.is_surge(w - 1) for w in range(drawn.n_weeks)])
    counted = np.zeros(drawn.n_weeks, dtype=np.bool_)
    counted[1:-1] = True
    on_duty = np.array([sum(end - start for start, _, end in r.week()) for r in rosters])
    worked = _per_week(log, drawn.n_weeks)

    def period(chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Period:
        mine = chosen[week]
        if not mine.any():
            raise ParameterError("demand", "no case in the weeks simulated", "enough for some cases to come")
        waited = [(t[mine] - work.arrive[mine]) for t in (log.first_reply, log.answered, log.taken)]
        in_time, answered = waited[0] <= target_min, waited[1] <= target_min
        scans, weeks_of = drawn.scans[mine], week[mine]
        return Period(
            weeks=int(chosen.sum()),
            cases=int(mine.sum()),
            scans=int(scans.sum()),
            scans_in_time=_share(in_time, scans, weeks_of),
            cases_in_time=_share(in_time, np.ones_like(scans), weeks_of),
            answered_in_time=_share(answered, scans, weeks_of),
            interim=float((log.first_reply[mine] < log.answered[mine]).mean()),
            reply_min=_percentiles(waited[0]),
            answer_min=_percentiles(waited[1]),
            taken_min=_percentiles(waited[2]),
            utilisation=float(worked[chosen].sum() / on_duty[chosen].sum()),
        )

    mine = counted[week]
    reply = (log.first_reply - work.arrive)[mine]
    hour = (work.arrive[mine] // 60 % HOURS).astype(np.intp)
    came = np.bincount(hour, drawn.scans[mine], HOURS)
    good = np.bincount(hour, drawn.scans[mine] * (reply <= target_min), HOURS)
    return Plan(
        demand=demand,
        handling=handling,
        roster=roster,
        surge_roster=surge_roster,
        target_min=target_min,
        seed=seed,
        ordinary=period(counted & ~surging),
        surge=period(counted & surging) if (counted & surging).any() else None,
        whole=period(counted),
        by_hour=np.divide(good, came, out=np.full(HOURS, np.nan), where=came > 0),
        reply_min=reply,
        mean_open=log.mean_open,
    )


def _spells(rosters: list[Roster]) -> Iterator[Spell]:
    for week, roster in enumerate(rosters):
        for start, seat, end in roster.week():
            yield start + week * _WEEK_MIN, seat, end + week * _WEEK_MIN


def _per_week(log: Log, n_weeks: int) -> FloatArray:
    """Minutes worked in each week; a piece of work counts where it began."""
    week = (log.start // _WEEK_MIN).astype(np.intp)
    return np.asarray(np.bincount(week, log.end - log.start, n_weeks), dtype=np.float64)


def _percentiles(minutes: FloatArray) -> tuple[float, ...]:
    # Order statistics: interpolating between a number and infinity would give no number.
    return tuple(np.percentile(minutes, _PERCENTILES, method="higher").tolist())


def _share(good: np.ndarray[Any, np.dtype[np.bool_]], scans: IntArray, week: IntArray) -> Share:
    """Share of scans; Wilson's interval with as many independent scans as the spread between weeks allows.

    Scans of one seizure share their answer and those of one week their queue. The variance of the ratio over
    whole weeks, as of clusters drawn at random, says how many independent scans would be as uncertain; where
    nothing varies (none late), it is as many as there are seizures, weighted by their size.
    """
    total = np.bincount(week, scans)
    right = np.bincount(week, scans * good)
    total, right = total[total > 0], right[total > 0]
    value = float(right.sum() / total.sum())
    n = float(scans.sum() ** 2 / (scans.astype(np.float64) ** 2).sum())
    between = ((right - value * total) ** 2).sum() * total.size / max(total.size - 1, 1)
    spread = float(between / total.sum() ** 2)
    if spread > 0:
        n = min(n, value * (1 - value) / spread)
    middle = (value + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 / (1 + _Z95**2 / n) * np.sqrt(value * (1 - value) / n + _Z95**2 / (4 * n**2))
    return Share(value, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search for the smallest roster.

    Attributes
    ----------
    roster : Roster or None
        The smallest found, or None if no number of chemists reaches the goal.
    plan : Plan
        A fresh simulation (of another seed) of it; where there is none, with a chemist for every case.
    tries : int
        Rosters simulated.
    """

    roster: Roster | None
    plan: Plan
    tries: int


def smallest_roster(
    demand: Demand,
    handling: Handling,
    goal: float,
    *,
    block_h: int = 8,
    shift_h: float = 8.0,
    break_min: float = 0.0,
    weeks: int = WEEKS_A_YEAR,
    target_min: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> Found:
    """The smallest roster by which scans are answered in time as often as wanted.

    It starts from the work that comes in each block plus a margin in proportion to its square root, the same
    for all blocks and as small as will do, and then takes away one chemist at a time wherever the goal is
    still reached. "Reached" means by the lower end of the interval, on the weeks drawn; the roster found is
    then simulated on others. No block of it can do with one less; that no other roster of fewer chemist-hours
    would do is not shown.

    Parameters
    ----------
    demand, handling
        As of `simulate`; surge weeks are left out.
    goal : float
        Share of scans wanted in time, above 0 and below 1.
    block_h : int
        Hours that have the same number of chemists; a week must be whole blocks.
    shift_h, break_min
        As of `Roster`.
    weeks, target_min, seed, progress
        As of `simulate`.

    Returns
    -------
    Found

    Raises
    ------
    ParameterError
        If something is outside what is allowed.
    """
    _need(0 < goal < 1, "goal", goal, "above 0 and below 1")
    _need(
        1 <= block_h <= HOURS and HOURS % block_h == 0,
        "block_h",
        block_h,
        "hours of which a week has whole blocks",
    )
    demand = replace(demand, surge=1.0, surge_weeks=0)
    drawn = _draw(demand, handling, weeks + 2, target_min, seed)
    tries = 0

    def fresh(blocks: IntArray) -> Plan:
        made = _of_blocks(blocks, block_h, shift_h, break_min)
        return simulate(demand, handling, made, weeks=weeks, target_min=target_min, seed=seed + 1)

    def reached(blocks: IntArray) -> bool:
        nonlocal tries
        tries += 1
        if progress is not None:
            progress("searching", float(tries))
        made = _of_blocks(blocks, block_h, shift_h, break_min)
        plan = _play(drawn, demand, handling, made, None, target_min, seed, None)
        return plan.whole.scans_in_time.low >= goal

    load = _load(demand, handling)
    blocks = _smallest_margin(load.reshape(-1, block_h).max(axis=1), reached)
    if blocks is None:
        most = np.full(HOURS // block_h, min(_MOST_CHEMISTS, int(20 + 10 * load.max())))
        return Found(None, fresh(most), tries)
    blocks = _trimmed(blocks, load.reshape(-1, block_h).mean(axis=1), reached)
    return Found(_of_blocks(blocks, block_h, shift_h, break_min), fresh(blocks), tries)


def _of_blocks(blocks: IntArray, block_h: int, shift_h: float, break_min: float) -> Roster:
    hours = tuple(np.repeat(blocks, block_h).tolist())
    return Roster(chemists=hours, shift_h=shift_h, break_min=break_min)


def _load(demand: Demand, handling: Handling) -> FloatArray:
    """Chemists kept busy by what comes in each hour of the week."""
    scans = demand.sizes.mean
    minutes = handling.first_min + handling.further_min * (scans - 1)
    if not handling.by_seizure:
        minutes = handling.first_min * scans
    return (
        demand.seizures_per_hour
        * demand.escalated
        * (minutes + handling.review_share * handling.review_min)
        / 60
    )


def _smallest_margin(load: FloatArray, reached: Callable[[IntArray], bool]) -> IntArray | None:
    """The least margin, in quarters of the root of the load: doubled until it will do, then bisected."""

    def staffed(quarters: int) -> IntArray:
        people = np.ceil(load + quarters / 4 * np.sqrt(np.maximum(load, 0.05)))
        return np.where(load > 0, np.clip(people, 1, _MOST_CHEMISTS), 0).astype(np.intp)

    low, high = 0, 4
    while not reached(staffed(high)):
        low, high = high, 2 * high
        if high > 64:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(staffed(middle)) else (middle, high)
    return staffed(high)


def _trimmed(blocks: IntArray, load: FloatArray, reached: Callable[[IntArray], bool]) -> IntArray:
    """Take a chemist away wherever the goal is still reached, the least busy blocks first."""
    done = False
    while not done:
        done = True
        for block in np.argsort(load / np.maximum(blocks, 1), kind="stable"):
            if blocks[block] > 0 and blocks.sum() > 1:
                fewer = blocks.copy()
                fewer[block] -= 1
                if reached(fewer):
                    blocks, done = fewer, False
    return blocks
