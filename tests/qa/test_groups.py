"""Shares counted by group: intervals hold the truth as often as they say, whatever the groups are like."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spectralid.errors import ParameterError
from spectralid.proportion import clopper_pearson
from spectralid.qa.groups import grouped_interval, interval_of_worth
from spectralid.qa.tables import Rate

STUDIES = 300


@pytest.mark.parametrize("alike", [0.001, 0.3, 0.999])
@pytest.mark.parametrize(("groups", "truth"), [(6, 0.8), (12, 0.95), (12, 0.5)])
def test_the_interval_holds_the_truth_however_alike_the_cases_of_a_group_are(
    groups: int, truth: float, alike: float
) -> None:
    """Groups of 3 to 7 cases; the chance of each group from a beta distribution of that correlation."""
    rng = np.random.default_rng(7)
    held = naive = 0
    for _ in range(STUDIES):
        sizes = rng.integers(3, 8, groups)
        chance = rng.beta(truth * (1 / alike - 1), (1 - truth) * (1 / alike - 1), groups)
        hits = rng.binomial(sizes, chance)
        found = grouped_interval(hits.tolist(), sizes.tolist())
        held += found.low <= truth <= found.high
        low, high = clopper_pearson(int(hits.sum()), int(sizes.sum()))
        naive += low <= truth <= high
    # Three standard deviations of a binomial below.
    enough = 0.95 * STUDIES - 3 * math.sqrt(0.95 * 0.05 * STUDIES)
    assert held >= enough
    if alike > 0.9:
        # What the interval over cases claims instead: the reason for all of this.
        assert naive < 0.9 * STUDIES


def test_cases_that_are_alike_are_worth_their_groups() -> None:
    found = grouped_interval([5, 0, 5, 5], [5, 5, 5, 5])
    assert (found.groups, found.worth) == (4, 4.0)
    assert (found.low, found.high) == pytest.approx(clopper_pearson(3, 4))


def test_without_a_miss_each_group_counts_once() -> None:
    found = grouped_interval([10] * 12, [10] * 12)
    assert (found.low, found.high) == pytest.approx(clopper_pearson(12, 12))
    # Groups of unequal size are worth fewer: 90 of 100 cases are of one.
    assert grouped_interval([90, 5, 5], [90, 5, 5]).worth == pytest.approx(100**2 / (90**2 + 50))


def test_cases_that_are_not_alike_are_worth_more_than_groups() -> None:
    found = grouped_interval([5, 6, 5, 4, 5, 5], [10] * 6)
    assert 6 < found.worth <= 60
    alone = grouped_interval([1, 0, 1, 1], [1] * 4)
    assert (alone.low, alone.high) == pytest.approx(clopper_pearson(3, 4))


def test_whole_numbers_give_the_exact_interval() -> None:
    for hits, of in ((0, 7), (3, 7), (7, 7)):
        assert interval_of_worth(hits / of, of) == pytest.approx(clopper_pearson(hits, of))


def test_a_rate_says_both_intervals() -> None:
    rate = Rate.of_cases([True, True, False, True], ["a", "a", "b", "c"])
    assert (rate.hits, rate.of) == (3, 4)
    assert rate.grouped is not None
    assert rate.grouped.low < rate.low
    assert str(rate).endswith("by 3 groups")
    assert Rate.of_cases([True, False], ["a", "b"]) == Rate.counted(1, 2)
    assert rate.at_most == pytest.approx(interval_of_worth(0.75, rate.grouped.worth, confidence=0.9)[1])
    assert Rate.counted(0, 59).at_most == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize(("hits", "of"), [([], []), ([1], [0]), ([2], [1]), ([1, 1], [2])])
def test_impossible_counts_are_refused(hits: list[int], of: list[int]) -> None:
    with pytest.raises(ParameterError):
        grouped_interval(hits, of)
