"""Detection limits: known curves are found again, intervals hold as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from spectralid.errors import ParameterError
from spectralid.qa.detection import NoDetectionCurveError, detection_bounds, detection_curve

LEVELS = (1.0, 2.0, 4.0, 8.0, 16.0)


def study(rng: np.random.Generator, n: int, *, lod50: float = 4.0, slope: float = 4.0, foot: float = 0.0):  # type: ignore[no-untyped-def]
    chance = norm.cdf(slope * np.log10(np.array(LEVELS) / lod50))
    return rng.binomial(n, foot + (1 - foot) * chance)


def test_large_studies_find_the_curve_again() -> None:
    curve = detection_curve(LEVELS, study(np.random.default_rng(1), 20_000), [20_000] * 5)
    lod50, lod90 = curve.limits
    assert lod50.share == pytest.approx(4.0, rel=0.01)
    assert lod90.share == pytest.approx(4.0 * 10 ** (norm.ppf(0.9) / 4), rel=0.01)
    assert curve.slope == pytest.approx(4.0, rel=0.02)
    assert curve.fit_p is not None
    assert curve.fit_p > 0.001
    assert curve.chance([lod50.share, lod90.share]) == pytest.approx([0.5, 0.9])


@pytest.mark.parametrize(("n", "foot"), [(8, 0.0), (40, 0.1)])
def test_intervals_hold_the_truth_as_often_as_they_say(n: int, foot: float) -> None:
    rng, truth = np.random.default_rng(5), 4.0 * 10 ** (norm.ppf(0.9) / 4)
    covered = tried = 0
    for _ in range(80):
        found = [round(400 * foot), *study(rng, n, foot=foot)]
        try:
            curve = detection_curve((0.0, *LEVELS), found, [400] + [n] * 5)
        except NoDetectionCurveError:
            continue
        tried += 1
        covered += curve.limits[1].low <= truth <= curve.limits[1].high
    # Five standard deviations of a binomial below.
    assert covered >= 0.95 * tried - 5 * math.sqrt(0.95 * 0.05 * tried)
    assert tried > 60


def test_where_found_and_missed_do_not_overlap_the_limit_is_between_them() -> None:
    curve = detection_curve(LEVELS, [0, 0, 0, 10, 10], [10] * 5)
    lod50, lod90 = curve.limits
    assert math.isinf(curve.slope)
    assert 4.0 < lod50.share < 8.0
    # Half of ten would have been found at 4 and missed at 8; nine in ten need not be reached at 8 yet.
    assert (lod50.low, lod50.high) == pytest.approx((4.0, 8.0), rel=0.01)
    assert 8.0 < lod90.high < 16.0


def test_blanks_with_alarms_are_the_foot_of_the_curve() -> None:
    """Ignoring them makes the limit too low."""
    rng = np.random.default_rng(2)
    found = study(rng, 5000, foot=0.2)
    known = detection_curve((0.0, *LEVELS), [1000, *found], [5000] * 6)
    assert known.foot == pytest.approx(0.2)
    assert known.limits[0].share == pytest.approx(4.0, rel=0.05)
    assert detection_curve(LEVELS, found, [5000] * 5).limits[0].share < 3.0


def test_a_curve_of_another_shape_is_said_to_be_one() -> None:
    curve = detection_curve((1.0, 2.0, 4.0, 8.0, 16.0, 32.0), [0, 90, 30, 60, 95, 80], [100] * 6)
    assert curve.fit_p is not None
    assert curve.fit_p < 1e-6


def test_a_small_study_bounds_little() -> None:
    curve = detection_curve((1.0, 2.0), [0, 1], [2, 2])
    assert curve.limits[1].high == math.inf
    assert curve.fit_p is None


@pytest.mark.parametrize(
    ("levels", "found", "of"),
    [
        ((1, 2), (5, 5), (5, 5)),
        ((1, 2), (0, 0), (5, 5)),
        ((1, 2, 4), (9, 5, 1), (10, 10, 10)),
        ((0, 0), (1, 2), (5, 5)),
        ((0, 1, 2), (5, 3, 4), (5, 5, 5)),
    ],
)
def test_no_curve_is_said(levels: tuple[float, ...], found: tuple[int, ...], of: tuple[int, ...]) -> None:
    with pytest.raises(NoDetectionCurveError):
        detection_curve(levels, found, of)


@pytest.mark.parametrize(
    ("levels", "found", "of"), [((-1, 2), (0, 5), (5, 5)), ((1, 2), (0, 6), (5, 5)), ((1,), (0, 1), (5, 5))]
)
def test_impossible_counts_are_refused(
    levels: tuple[float, ...], found: tuple[int, ...], of: tuple[int, ...]
) -> None:
    with pytest.raises(ParameterError):
        detection_curve(levels, found, of)


def test_where_all_are_found_the_limit_is_bounded_from_above() -> None:
    """29 found in a row show 90 % with 95 % confidence, 5 show 50 %; more of one group add nothing."""
    levels = [1.0] * 10 + [2.0] * 10 + [4.0] * 10
    lod50, lod90 = detection_bounds(levels, range(30), found=True)
    assert (lod50.low, lod50.high, lod50.needed) == (0.0, 1.0, 5)
    assert (lod90.low, lod90.high, lod90.needed) == (0.0, 4.0, 29)
    assert detection_bounds(levels, [n // 2 for n in range(30)], found=True)[1].high == math.inf


def test_where_none_is_found_the_limit_is_bounded_from_below() -> None:
    lod50, lod90 = detection_bounds([1.0] * 4 + [2.0] * 4 + [4.0], range(9), found=False)
    assert (lod50.low, lod50.high) == (2.0, math.inf)
    assert lod90.low == 2.0
    assert detection_bounds([1.0] * 4, range(4), found=False)[0].low == 0.0


def test_bounds_hold_as_often_as_they_say() -> None:
    """At the bound itself: a method that finds exactly half at every share has its LOD50 there."""
    rng = np.random.default_rng(4)
    n = detection_bounds([1.0], [0], found=True)[0].needed
    assert (rng.random((40_000, n)) < 0.5).all(axis=1).mean() <= 0.05
    assert (rng.random((40_000, n - 1)) < 0.5).all(axis=1).mean() > 0.05
