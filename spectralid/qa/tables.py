"""What a study shows: counts, and rates with exact intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from spectralid.proportion import clopper_pearson
from spectralid.qa.planning import claimable_rate
from spectralid.qa.study import NOT_READ, Outcome

__all__ = ["Detection", "Rate", "by_condition", "confusion", "detections", "summary"]

NOTHING = "(nothing)"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share that was counted.

    Attributes
    ----------
    hits, of : int
        How often, of how many.
    low, high : float
        Interval of Clopper and Pearson, 95 %; 0 and 1 where nothing was counted.
    """

    hits: int
    of: int
    low: float
    high: float

    @classmethod
    def counted(cls, hits: int, of: int) -> Rate:
        """From counts; `of` may be 0."""
        low, high = clopper_pearson(hits, of) if of else (0.0, 1.0)
        return cls(hits, of, low, high)

    @property
    def value(self) -> float | None:
        """The share, ``None`` where nothing was counted."""
        return self.hits / self.of if self.of else None

    @property
    def at_least(self) -> float | None:
        """What may be claimed of it with 95 % confidence, one-sided."""
        return claimable_rate(self.of, self.of - self.hits) if self.of and self.hits else None

    def __str__(self) -> str:
        if not self.of:
            return "– (0)"
        interval = f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"
        return f"{100 * self.hits / self.of:.1f} % {interval} ({self.hits}/{self.of})"


@dataclass(frozen=True, slots=True)
class Detection:
    """How a compound was found where it is, and named where it is not.

    Attributes
    ----------
    slug : str
        The compound.
    found : Rate
        True positives among the samples that hold it.
    false : Rate
        False positives among those that do not.
    """

    slug: str
    found: Rate
    false: Rate


def summary(outcomes: Sequence[Outcome]) -> Mapping[str, Rate]:
    """The rates a reader asks for first.

    ``complete``: all that the library has of it was named and nothing else, among samples that hold something
    of the library. ``some``: at least one was. ``false``: something was named that is not there, among all
    judged. ``false_unknown``: the same among samples of which the library has nothing. ``answered``: a name
    was given. ``read``: a verdict was given at all. ``alarm_found`` and ``alarm_false``: the loudest alarm
    for what is dangerous, and for what is not. ``silent``: what is dangerous got less care than the unknown
    gets. Intervals take samples as independent.
    """
    judged = [outcome for outcome in outcomes if outcome.kind != NOT_READ]
    holding = [outcome for outcome in judged if outcome.held]
    unknown = [outcome for outcome in judged if not outcome.held]

    def share(of: Sequence[Outcome], test: str) -> Rate:
        return Rate.counted(sum(bool(getattr(outcome, test)) for outcome in of), len(of))

    return MappingProxyType(
        {
            "read": Rate.counted(len(judged), len(outcomes)),
            "answered": share(judged, "names_something"),
            "complete": share(holding, "complete"),
            "some": share(holding, "found"),
            "false": share(judged, "false"),
            "false_unknown": share(unknown, "false"),
            "alarm_found": share([one for one in judged if one.dangerous], "alarmed"),
            "alarm_false": share([one for one in judged if one.dangerous is False], "alarmed"),
            "silent": share([one for one in judged if one.dangerous], "silent"),
            "escalated": share(judged, "escalate"),
        }
    )


def confusion(outcomes: Iterable[Outcome]) -> Mapping[tuple[str, str], int]:
    """Counts of (what is there, what was said).

    What is there are the slugs the library has, joined by `` + ``, or ``(nothing)``; what was said are the
    names of a naming verdict, or its kind in brackets. Both in alphabetical order, so that tables are the
    same each time.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        there = " + ".join(sorted(outcome.held)) or NOTHING
        said = " + ".join(sorted(outcome.named)) if outcome.names_something else f"({outcome.kind})"
        counts[there, said] += 1
    return MappingProxyType(dict(sorted(counts.items())))


def detections(outcomes: Iterable[Outcome]) -> tuple[Detection, ...]:
    """For each compound that is in a sample or was named: how often it was found, and named in vain."""
    judged = [outcome for outcome in outcomes if outcome.kind != NOT_READ]
    slugs = sorted({slug for outcome in judged for slug in (*outcome.held, *outcome.false)})
    rows = []
    for slug in slugs:
        present = [slug in outcome.found for outcome in judged if slug in outcome.held]
        absent = [slug in outcome.false for outcome in judged if slug not in outcome.held]
        rows.append(
            Detection(
                slug,
                Rate.counted(sum(present), len(present)),
                Rate.counted(sum(absent), len(absent)),
            )
        )
    return tuple(rows)


def by_condition(outcomes: Sequence[Outcome], name: str) -> Mapping[str, Mapping[str, Rate]]:
    """`summary` of the samples of each value of a condition; ``unit`` is one, too."""
    values: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        value = outcome.sample.unit if name == "unit" else outcome.sample.conditions.get(name, "")
        if value:
            values.setdefault(value, []).append(outcome)
    return MappingProxyType({value: summary(values[value]) for value in sorted(values)})
