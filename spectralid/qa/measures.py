"""What a study shows beside counts: detection limits, calibration, repeatability, method against method."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spectralid.errors import ParameterError
from spectralid.identify.reliability import Bin, brier, expected_calibration_error, reliability_bins
from spectralid.qa.detection import DetectionCurve, NoDetectionCurveError, detection_curve
from spectralid.qa.study import NOT_READ, Outcome, Study
from spectralid.qa.tables import Rate

__all__ = [
    "Calibration",
    "Comparison",
    "Levels",
    "Repeatability",
    "calibration",
    "compare",
    "conditions",
    "detection_limits",
    "repeatability",
]


@dataclass(frozen=True, slots=True)
class Levels:
    """How often a target was found at each share of it.

    Attributes
    ----------
    target : str
        Slug of the compound.
    levels : tuple of float
        Shares, ascending; 0 is a blank.
    found : tuple of Rate
        At each.
    curve : DetectionCurve or None
        LOD50 and LOD90 with intervals; ``None`` where the levels show no curve.
    why_not : str
        Why there is none.
    """

    target: str
    levels: tuple[float, ...]
    found: tuple[Rate, ...]
    curve: DetectionCurve | None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How good the stated probabilities of components are.

    Attributes
    ----------
    n, right : int
        Components judged, and how many of them are there.
    ece, brier : float
        Expected calibration error (bins of equally many cases) and Brier score.
    bins : tuple of Bin
        Stated against observed.
    """

    n: int
    right: int
    ece: float
    brier: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Repeatability:
    """Whether specimens of one group get one answer.

    Attributes
    ----------
    within : Rate
        Pairs of one unit with the same answer.
    between : Rate
        Pairs of different units with the same answer.
    groups : int
        Groups with at least two specimens. Pairs of one group are not independent: read the intervals as if
        there were as many cases as groups.
    """

    within: Rate
    between: Rate
    groups: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods on the same samples.

    Attributes
    ----------
    both, first, second, neither : int
        Samples that both, only the first, only the second, or none of them got complete.
    p : float
        Exact McNemar test: how often methods that are equally good differ so much.
    difference : float
        Share that the second gets more than the first, -1 … 1.
    low, high : float
        Its interval, 95 %, from the discordant pairs (Clopper and Pearson).
    """

    both: int
    first: int
    second: int
    neither: int
    p: float
    difference: float
    low: float
    high: float


def detection_limits(study: Study) -> tuple[Levels, ...]:
    """Detection limits of every target that has levels, by name."""
    targets: dict[str, dict[float, list[bool]]] = {}
    for outcome in study.outcomes:
        if outcome.target and outcome.sample.level is not None and outcome.kind != NOT_READ:
            at = targets.setdefault(outcome.target, {}).setdefault(outcome.sample.level, [])
            at.append(outcome.names_something and outcome.target in outcome.named)
    return tuple(_levels(target, targets[target]) for target in sorted(targets))


def _levels(target: str, found: Mapping[float, Sequence[bool]]) -> Levels:
    levels = tuple(sorted(found))
    hits, of = [sum(found[level]) for level in levels], [len(found[level]) for level in levels]
    rates = tuple(Rate.counted(h, n) for h, n in zip(hits, of, strict=True))
    try:
        curve = detection_curve(levels, hits, of)
    except NoDetectionCurveError as error:
        return Levels(target, levels, rates, None, str(error))
    return Levels(target, levels, rates, curve)


def calibration(outcomes: Sequence[Outcome], *, bins: int = 10) -> Calibration | None:
    """Calibration of the probabilities of components; ``None`` where none was stated."""
    pairs = [
        (probability, slug in outcome.held)
        for outcome in outcomes
        for slug, probability in outcome.probabilities
    ]
    if not pairs:
        return None
    stated = np.array([probability for probability, _ in pairs])
    right = np.array([there for _, there in pairs])
    return Calibration(
        len(pairs),
        int(right.sum()),
        expected_calibration_error(stated, right, bins=bins, adaptive=True),
        brier(stated, right),
        reliability_bins(stated, right, bins=bins, adaptive=True),
    )


def repeatability(outcomes: Sequence[Outcome]) -> Repeatability:
    """Agreement within and between units, over pairs of specimens of one group."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.sample.group:
            groups.setdefault(outcome.sample.group, []).append(outcome)
    counts = {True: [0, 0], False: [0, 0]}
    for members in groups.values():
        for one, other in itertools.combinations(members, 2):
            same_unit = one.sample.unit == other.sample.unit
            counts[same_unit][0] += one.answer == other.answer
            counts[same_unit][1] += 1
    return Repeatability(
        Rate.counted(*counts[True]),
        Rate.counted(*counts[False]),
        sum(len(members) > 1 for members in groups.values()),
    )


def compare(first: Study, second: Study) -> Comparison:
    """Two methods (libraries, policies, versions) on the samples of one manifest.

    Raises
    ------
    ParameterError
        If the studies are of different manifests.
    """
    from scipy.stats import binomtest

    if first.manifest.sha256 != second.manifest.sha256:
        raise ParameterError("second", second.manifest.file, f"a study of {first.manifest.file}")
    pairs = [(a.complete, b.complete) for a, b in zip(first.outcomes, second.outcomes, strict=True)]
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    discordant, n = only_first + only_second, len(pairs)
    p, low, high = 1.0, 0.0, 0.0
    if discordant:
        p = float(binomtest(only_second, discordant).pvalue)
        share = Rate.counted(only_second, discordant)
        low, high = ((2 * bound - 1) * discordant / n for bound in (share.low, share.high))
    return Comparison(
        pairs.count((True, True)),
        only_first,
        only_second,
        pairs.count((False, False)),
        p,
        (only_second - only_first) / n,
        low,
        high,
    )


def conditions(outcomes: Sequence[Outcome]) -> Mapping[str, tuple[str, ...]]:
    """Conditions of the samples that take two values or more, with the values."""
    found: dict[str, set[str]] = {}
    for outcome in outcomes:
        for name, value in outcome.sample.conditions.items():
            found.setdefault(name, set()).add(value)
        if outcome.sample.unit:
            found.setdefault("unit", set()).add(outcome.sample.unit)
    several = (name for name in sorted(found) if len(found[name]) > 1)
    return MappingProxyType({name: tuple(sorted(found[name])) for name in several})
