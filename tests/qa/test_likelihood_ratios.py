"""Likelihood ratios behind probabilities, and their cost against theory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spectralid.errors import ParameterError
from spectralid.qa.likelihood_ratios import cllr, cllr_min, ratios


def test_a_ratio_is_what_the_evidence_adds_to_the_odds() -> None:
    """Bayes' rule by hand: one of four is there, so 0.25 says nothing, and 0.75 nine times the odds."""
    there, absent = ratios([0.75, 0.25, 0.25, 0.25], [True, False, False, False])
    assert there == pytest.approx([math.log10(9)])
    assert absent == pytest.approx([0.0] * 3)


def test_the_cost_of_calibrated_probabilities_is_that_of_theory() -> None:
    """Probabilities spread evenly over 0.2 … 1 and true as often as they say: a numerical integral."""
    rng = np.random.default_rng(3)
    p = rng.uniform(0.2, 1.0, 60_000)
    there = rng.random(p.size) < p
    x = np.linspace(0.2, 1.0, 200_001)[:-1]
    prior = x.mean()
    ratio = x / (1 - x) / (prior / (1 - prior))
    theory = (
        np.mean(x * np.log2(1 + 1 / ratio)) / prior + np.mean((1 - x) * np.log2(1 + ratio)) / (1 - prior)
    ) / 2
    assert cllr(*ratios(p, there)) == pytest.approx(theory, abs=0.01)
    assert cllr_min(*ratios(p, there)) == pytest.approx(theory, abs=0.01)


def test_the_cost_is_the_log_score_by_another_way() -> None:
    """With as many there as not, Cllr is the mean of -log₂ of the probability of what happened."""
    p = np.array([0.9, 0.6, 0.3, 0.8, 0.2, 0.5])
    there = np.array([True, True, True, False, False, False])
    score = float(np.mean(-np.log2(np.where(there, p, 1 - p))))
    assert cllr(*ratios(p, there)) == pytest.approx(score)


def test_to_be_certain_and_wrong_costs_without_end() -> None:
    assert cllr(*ratios([1.0, 0.5, 0.5], [False, True, False])) == math.inf


@pytest.mark.parametrize("events", [[True, True], [False, False], []])
def test_events_of_one_kind_have_no_odds(events: list[bool]) -> None:
    with pytest.raises(ParameterError):
        ratios([0.5] * len(events), events)
