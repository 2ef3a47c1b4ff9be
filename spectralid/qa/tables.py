"""What a study shows: counts, and rates with exact intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from spectralid.proportion import clopper_pearson
from spectralid.qa.groups import GroupedInterval, grouped_interval, interval_of_worth
from spectralid.qa.planning import claimable_rate
from spectralid.qa.study import NOT_READ, Outcome

__all__ = ["Detection", "Rate", "by_condition", "confusion", "detections", "group_of", "summary"]

NOTHING = "(nothing)"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share that was counted.

    Attributes
    ----------
    hits, of : int
        How often, of how many.
    low, high : float
        Interval of Clopper and Pearson, 95 %, as if cases were independent; 0 and 1 where nothing was
        counted.
    grouped : GroupedInterval or None
        The interval that does not, for cases that come in groups; ``None`` where each is its own group.
    """

    hits: int
    of: int
    low: float
    high: float
    grouped: GroupedInterval | None = None

    @classmethod
    def counted(cls, hits: int, of: int) -> Rate:
        """From counts; `of` may be 0."""
        low, high = clopper_pearson(hits, of) if of else (0.0, 1.0)
        return cls(hits, of, low, high)

    @classmethod
    def of_cases(cls, events: Sequence[bool], groups: Sequence[Hashable]) -> Rate:
        """From cases and the group of each."""
        hits: Counter[Hashable] = Counter()
        sizes: Counter[Hashable] = Counter()
        for event, group in zip(events, groups, strict=True):
            hits[group] += bool(event)
            sizes[group] += 1
        plain = cls.counted(hits.total(), sizes.total())
        if len(sizes) == sizes.total():
            return plain
        grouped = grouped_interval([hits[group] for group in sizes], list(sizes.values()))
        return replace(plain, grouped=grouped)

    @property
    def value(self) -> float | None:
        """The share, ``None`` where nothing was counted."""
        return self.hits / self.of if self.of else None

    @property
    def at_least(self) -> float | None:
        """What may be claimed of it with 95 % confidence, one-sided; by groups, where there are some."""
        if not self.hits:
            return None
        if self.grouped:
            return interval_of_worth(self.hits / self.of, self.grouped.worth, confidence=0.90)[0]
        return claimable_rate(self.of, self.of - self.hits)

    @property
    def at_most(self) -> float:
        """What it does not exceed with 95 % confidence, one-sided; by groups, where there are some."""
        if not self.of:
            return 1.0
        return interval_of_worth(
            self.hits / self.of, self.grouped.worth if self.grouped else self.of, confidence=0.90
        )[1]

    def __str__(self) -> str:
        if not self.of:
            return "– (0)"
        interval = f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"
        text = f"{100 * self.hits / self.of:.1f} % {interval} ({self.hits}/{self.of})"
        if self.grouped:
            ends = f"[{100 * self.grouped.low:.1f}, {100 * self.grouped.high:.1f}]"
            text += f"; {ends} by {self.grouped.groups} groups"
        return text


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
    gets. ``listed``: the fit holds all that the library has of it, named or not; ``listed_false``: the fit
    holds something that is not there. Where samples have groups, each rate has an interval by groups, too.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a study.

    Returns
    -------
    mapping of str to Rate
        The rates above, by name.
    """
    judged = [outcome for outcome in outcomes if outcome.kind != NOT_READ]
    holding = [outcome for outcome in judged if outcome.held]
    unknown = [outcome for outcome in judged if not outcome.held]

    def share(of: Sequence[Outcome], test: str) -> Rate:
        return Rate.of_cases([bool(getattr(outcome, test)) for outcome in of], [group_of(o) for o in of])

    return MappingProxyType(
        {
            "read": Rate.of_cases(
                [one.kind != NOT_READ for one in outcomes], [group_of(one) for one in outcomes]
            ),
            "answered": share(judged, "names_something"),
            "complete": share(holding, "complete"),
            "some": share(holding, "found"),
            "false": share(judged, "false"),
            "false_unknown": share(unknown, "false"),
            "alarm_found": share([one for one in judged if one.dangerous], "alarmed"),
            "alarm_false": share([one for one in judged if one.dangerous is False], "alarmed"),
            "silent": share([one for one in judged if one.dangerous], "silent"),
            "escalated": share(judged, "escalate"),
            "listed": share(holding, "listed"),
            "listed_false": share(judged, "listed_false"),
        }
    )


def group_of(outcome: Outcome) -> Hashable:
    """The group of its sample; a sample without one is its own.

    Parameters
    ----------
    outcome : Outcome
        Of one sample.

    Returns
    -------
    hashable
        The same for samples of one group.
    """
    sample = outcome.sample
    return sample.group or (sample.line, sample.record)


def confusion(outcomes: Iterable[Outcome]) -> Mapping[tuple[str, str], int]:
    """Counts of (what is there, what was said).

    What is there are the slugs the library has, joined by `` + ``, or ``(nothing)``; what was said are the
    names of a naming verdict, or its kind in brackets. Both in alphabetical order, so that tables are the
    same each time.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of a study.

    Returns
    -------
    mapping of tuple of str to int
        In alphabetical order.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        there = " + ".join(sorted(outcome.held)) or NOTHING
        said = " + ".join(sorted(outcome.named)) if outcome.names_something else f"({outcome.kind})"
        counts[there, said] += 1
    return MappingProxyType(dict(sorted(counts.items())))


def detections(outcomes: Iterable[Outcome]) -> tuple[Detection, ...]:
    """For each compound that is in a sample or was named: how often it was found, and named in vain.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of a study.

    Returns
    -------
    tuple of Detection
        By name of the compound.
    """
    judged = [outcome for outcome in outcomes if outcome.kind != NOT_READ]
    slugs = sorted({slug for outcome in judged for slug in (*outcome.held, *outcome.false)})
    rows = []
    for slug in slugs:
        present = [outcome for outcome in judged if slug in outcome.held]
        absent = [outcome for outcome in judged if slug not in outcome.held]
        rows.append(
            Detection(
                slug,
                Rate.of_cases([slug in one.found for one in present], [group_of(one) for one in present]),
                Rate.of_cases([slug in one.false for one in absent], [group_of(one) for one in absent]),
            )
        )
    return tuple(rows)


def by_condition(outcomes: Sequence[Outcome], name: str) -> Mapping[str, Mapping[str, Rate]]:
    """`summary` of the samples of each value of a condition; ``unit`` is one, too.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a study.
    name : str
        Of the condition.

    Returns
    -------
    mapping of str to mapping
        By value of the condition, in alphabetical order.
    """
    values: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        value = outcome.sample.unit if name == "unit" else outcome.sample.conditions.get(name, "")
        if value:
            values.setdefault(value, []).append(outcome)
    return MappingProxyType({value: summary(values[value]) for value in sorted(values)})
