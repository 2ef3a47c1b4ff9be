"""What a study shows beside counts: detection limits, calibration, repeatability, method against method."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spectralid.errors import ParameterError
from spectralid.identify.reliability import Bin, brier, expected_calibration_error, reliability_bins
from spectralid.qa.detection import (
    DetectionBound,
    DetectionCurve,
    NoDetectionCurveError,
    detection_bounds,
    detection_curve,
)
from spectralid.qa.likelihood_ratios import cllr, cllr_min, ratios
from spectralid.qa.study import NOT_READ, Outcome, Study
from spectralid.qa.tables import Rate, group_of
from spectralid.spectrum import FloatArray

__all__ = [
    "Calibration",
    "Comparison",
    "Levels",
    "Repeatability",
    "Shares",
    "calibration",
    "compare",
    "conditions",
    "detection_limits",
    "repeatability",
    "shares",
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
    bounds : tuple of DetectionBound
        What is known of the limits where all above a share of 0 were found, or none, and no blank gave an
        alarm.
    """

    target: str
    levels: tuple[float, ...]
    found: tuple[Rate, ...]
    curve: DetectionCurve | None
    why_not: str = ""
    bounds: tuple[DetectionBound, ...] = ()


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
    cllr, cllr_min : float or None
        Cost in bits of the likelihood ratios behind the probabilities (`spectralid.qa.likelihood_ratios`): 1
        of a method that says nothing, 0 of one that is always right; and what it would be with the best
        calibration. The odds before the evidence are those of these components. ``None`` where all components
        are there, or none is: nothing shows then whether they are told apart.
    """

    n: int
    right: int
    ece: float
    brier: float
    bins: tuple[Bin, ...]
    cllr: float | None = None
    cllr_min: float | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the signal that the fit states for a target, against the levels of the manifest.

    Attributes
    ----------
    target : str
        Slug of the compound.
    n, listed : int
        Samples that hold it, and how many of them have it in the fit; the others count as 0.
    low, high : float
        Levels from … to.
    bias, rms : float
        Mean of found less true, and root of the mean square of it. The fit states shares of the signal;
        where the target scatters or absorbs more than what it is mixed with, that is no fault of the fit.
    correlation : float or None
        Of found and true; ``None`` where one of them does not vary.
    spread : float
        Standard deviation of the levels: what is left if every sample is taken for the mean of all.
    calibrated_rms : float or None
        Root of the mean square that is left if a straight line from found to true, which may not fall, is
        fitted to the other groups: what the fit would be worth to who calibrates it on samples like these.
        ``None`` with fewer than three groups.
    covered : Rate
        How often the stated interval holds the level, where the target is in the fit.
    """

    target: str
    n: int
    listed: int
    low: float
    high: float
    bias: float
    rms: float
    correlation: float | None
    spread: float
    calibrated_rms: float | None
    covered: Rate


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
        Groups with at least two specimens. Pairs of one group are not independent: of the rates, read the
        intervals by groups.
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
    """Detection limits of every target that has levels, by name.

    Parameters
    ----------
    study : Study
        With ``target`` and ``level`` in its manifest.

    Returns
    -------
    tuple of Levels
        One for each target.
    """
    return tuple(_levels(target, cases) for target, cases in _with_levels(study.outcomes).items())


def _with_levels(outcomes: Sequence[Outcome]) -> dict[str, list[tuple[float, Outcome]]]:
    """Samples of each target with their levels, by name."""
    targets: dict[str, list[tuple[float, Outcome]]] = {}
    for outcome in outcomes:
        if outcome.target and outcome.sample.level is not None and outcome.kind != NOT_READ:
            targets.setdefault(outcome.target, []).append((outcome.sample.level, outcome))
    return dict(sorted(targets.items()))


def _levels(target: str, cases: Sequence[tuple[float, Outcome]]) -> Levels:
    levels = tuple(sorted({level for level, _ in cases}))
    at = [[outcome for where, outcome in cases if where == level] for level in levels]
    rates = tuple(
        Rate.of_cases(
            [one.names_something and target in one.named for one in some], [group_of(one) for one in some]
        )
        for some in at
    )
    try:
        curve = detection_curve(levels, [rate.hits for rate in rates], [rate.of for rate in rates])
    except NoDetectionCurveError as error:
        return Levels(target, levels, rates, None, str(error), _bounds(cases, rates, levels))
    return Levels(target, levels, rates, curve)


def _bounds(
    cases: Sequence[tuple[float, Outcome]], rates: Sequence[Rate], levels: Sequence[float]
) -> tuple[DetectionBound, ...]:
    above = [rate for level, rate in zip(levels, rates, strict=True) if level > 0]
    hits, of = sum(rate.hits for rate in above), sum(rate.of for rate in above)
    # A method that alarms on blanks has not found what it named.
    if any(rate.hits for level, rate in zip(levels, rates, strict=True) if level == 0) or hits not in (0, of):
        return ()
    there = [(level, group_of(outcome)) for level, outcome in cases if level > 0]
    return detection_bounds([level for level, _ in there], [group for _, group in there], found=hits > 0)


def shares(outcomes: Sequence[Outcome]) -> tuple[Shares, ...]:
    """Shares against levels, for every target whose levels are shares (0 … 1), by name.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a study.

    Returns
    -------
    tuple of Shares
        One for each target.
    """
    rows = []
    for target, cases in _with_levels(outcomes).items():
        if max(level for level, _ in cases) > 1:
            continue
        there = [(level, outcome) for level, outcome in cases if level > 0]
        if there and any(outcome.shares for _, outcome in there):
            rows.append(_shares(target, there))
    return tuple(rows)


def _shares(target: str, cases: Sequence[tuple[float, Outcome]]) -> Shares:
    stated = [{slug: rest for slug, *rest in outcome.shares}.get(target) for _, outcome in cases]
    true = np.array([level for level, _ in cases])
    found = np.array([one[0] if one else 0.0 for one in stated])
    inside = [one[1] <= level <= one[2] for (level, _), one in zip(cases, stated, strict=True) if one]
    every = [group_of(outcome) for _, outcome in cases]
    groups = [group for group, one in zip(every, stated, strict=True) if one]
    varies = np.ptp(true) > 0 and np.ptp(found) > 0
    return Shares(
        target,
        len(cases),
        len(inside),
        float(true.min()),
        float(true.max()),
        float(np.mean(found - true)),
        math.sqrt(float(np.mean((found - true) ** 2))),
        float(np.corrcoef(true, found)[0, 1]) if varies else None,
        float(true.std()),
        _calibrated_rms(found, true, every),
        Rate.of_cases(inside, groups),
    )


def _calibrated_rms(found: FloatArray, true: FloatArray, groups: Sequence[Hashable]) -> float | None:
    names = list(dict.fromkeys(groups))
    if len(names) < 3:
        return None
    left = np.empty_like(true)
    number = np.array([names.index(group) for group in groups])
    for out in range(len(names)):
        mine = number == out
        x, y = found[~mine], true[~mine]
        spread = float(np.sum((x - x.mean()) ** 2))
        slope = float(np.sum((x - x.mean()) * (y - y.mean()))) / spread if spread else 0.0
        left[mine] = y.mean() + max(slope, 0.0) * (found[mine] - x.mean()) - true[mine]
    return math.sqrt(float(np.mean(left**2)))


def calibration(outcomes: Sequence[Outcome], *, bins: int = 10) -> Calibration | None:
    """Calibration of the probabilities of components; ``None`` where none was stated.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a study.
    bins : int
        How many equal bins of probability the reliability is counted in.

    Returns
    -------
    Calibration or None
        Reliability per bin, and what it comes to.
    """
    pairs = [
        (probability, slug in outcome.held)
        for outcome in outcomes
        for slug, probability in outcome.probabilities
    ]
    if not pairs:
        return None
    stated = np.array([probability for probability, _ in pairs])
    right = np.array([there for _, there in pairs])
    cost, least = None, None
    if 0 < right.sum() < right.size:
        told = ratios(stated, right)
        cost, least = cllr(*told), cllr_min(*told)
    return Calibration(
        len(pairs),
        int(right.sum()),
        expected_calibration_error(stated, right, bins=bins, adaptive=True),
        brier(stated, right),
        reliability_bins(stated, right, bins=bins, adaptive=True),
        cost,
        least,
    )


def repeatability(outcomes: Sequence[Outcome]) -> Repeatability:
    """Agreement within and between units, over pairs of specimens of one group.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a study.

    Returns
    -------
    Repeatability
        Shares of pairs that were told the same.
    """
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.sample.group:
            groups.setdefault(outcome.sample.group, []).append(outcome)
    alike: dict[bool, list[bool]] = {True: [], False: []}
    which: dict[bool, list[str]] = {True: [], False: []}
    for group, members in groups.items():
        for one, other in itertools.combinations(members, 2):
            same_unit = one.sample.unit == other.sample.unit
            alike[same_unit].append(one.answer == other.answer)
            which[same_unit].append(group)
    return Repeatability(
        Rate.of_cases(alike[True], which[True]),
        Rate.of_cases(alike[False], which[False]),
        sum(len(members) > 1 for members in groups.values()),
    )


def compare(first: Study, second: Study) -> Comparison:
    """Two methods (libraries, policies, versions) on the samples of one manifest.

    Parameters
    ----------
    first, second : Study
        Each method on that manifest.

    Returns
    -------
    Comparison
        Which of them got how many samples right that the other did not, and whether that is chance.

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
    """Conditions of the samples that take two values or more, with the values.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a study.

    Returns
    -------
    mapping of str to tuple of str
        In alphabetical order.
    """
    found: dict[str, set[str]] = {}
    for outcome in outcomes:
        for name, value in outcome.sample.conditions.items():
            found.setdefault(name, set()).add(value)
        if outcome.sample.unit:
            found.setdefault("unit", set()).add(outcome.sample.unit)
    several = (name for name in sorted(found) if len(found[name]) > 1)
    return MappingProxyType({name: tuple(sorted(found[name])) for name in several})
