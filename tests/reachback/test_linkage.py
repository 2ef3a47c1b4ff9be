"""Likelihood ratios for the same mixture: what instruments, proportions and missing parts do to them."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from spectralid.errors import TechniqueError
from spectralid.qa.likelihood_ratios import cllr, cllr_min
from spectralid.reachback.intelligence import linkage, linkage_fit
from spectralid.reachback.intelligence.fingerprint import pool, read
from tests.reachback.mixtures import spectrum


def item(parts, seed, scans=3, **how):
    return pool([read(spectrum(parts, 100 * seed + k, **how)) for k in range(scans)])


@pytest.fixture(scope="module")
def model():
    return linkage.LinkageModel.bundled()


def test_the_same_mixture_gets_more_than_another_of_the_same_substances(model):
    """Over several mixtures, and whichever instrument: a second one is off by 2 cm⁻¹ and tilted."""
    same, other, unrelated = [], [], []
    for number in range(4):
        a, b, c = 3 * number + 1, 3 * number + 2, 3 * number + 3
        one = item({a: 0.5, b: 0.3, c: 0.2}, 10 * number + 1)
        for how in ({}, {"shift": 2.0, "tilt": 0.2}):
            near = item({a: 0.5, b: 0.3, c: 0.2}, 10 * number + 2, **how)
            far = item({a: 0.25, b: 0.6, c: 0.15}, 10 * number + 3, **how)
            else_ = item({a + 40: 0.5, b + 40: 0.5}, 10 * number + 4, **how)
            for out, what in ((same, near), (other, far), (unrelated, else_)):
                out.append(linkage.compare(one, what, same_unit=not how, model=model))
    assert min(c.mixture for c in same) > 0 > max(c.mixture for c in other)
    assert min(c.substances for c in same) > 0 >= max(c.substances for c in unrelated)
    assert max(c.mixture for c in unrelated) < min(c.mixture for c in same)


def test_a_ratio_falls_as_proportions_move_apart(model):
    one = item({1: 0.5, 2: 0.5}, 1)
    ratios = [
        linkage.compare(one, item({1: 0.5 - d, 2: 0.5 + d}, 2), same_unit=True, model=model).mixture
        for d in (0.0, 0.05, 0.1, 0.2, 0.3)
    ]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 0 > ratios[-1]


def test_the_order_of_two_does_not_matter(model):
    one, other = item({1: 0.5, 2: 0.5}, 1), item({1: 0.4, 2: 0.6}, 2, scans=1)
    forth = linkage.features(one, other, usual_spread=0.01)
    back = linkage.features(other, one, usual_spread=0.01)
    np.testing.assert_allclose(forth, back, atol=1e-9)


def test_a_ratio_never_goes_beyond_what_the_data_support(model):
    for technique, unit, question in itertools.product(
        ("raman", "infrared"), (True, False), ("mixture", "substances")
    ):
        values = [
            model.ratio(question, technique, unit, np.full(7, x))[0] for x in (-50.0, -3.0, 0.0, 3.0, 50.0)
        ]
        known = model.facts["models"][technique]["same" if unit else "other"][question]
        assert known["low"] <= min(values)
        assert max(values) <= known["high"]
        # No more than one in as many batches as there were can be excluded.
        assert -3 < known["low"] < 0 < known["high"] < 3
    extreme = model.ratio("mixture", "raman", True, np.full(7, -50.0))
    assert extreme[1] is True


def test_no_feature_speaks_the_wrong_way(model):
    """A greater distance is never a reason for one source, nor more noise a reason against it."""
    for units in model.facts["models"].values():
        for questions in units.values():
            for one in questions.values():
                assert all(w * sign >= 0 for w, sign in zip(one["weights"], linkage.SIGNS, strict=True))


def test_the_model_was_measured_on_substances_it_had_not_seen(model):
    """What stands in the model: calibrated within a tenth of a bit, and better than nothing everywhere."""
    for units in model.facts["held_out"].values():
        for questions in units.values():
            for measured in questions.values():
                assert measured["cllr"] < 0.75
                assert measured["cllr"] - measured["cllr_min"] < 0.1


def test_the_same_scans_are_no_evidence(model):
    one = item({1: 1.0}, 1)
    assert linkage.compare(one, item({1: 1.0}, 1), same_unit=True, model=model) is None


def test_fingerprints_without_common_ground_are_not_compared(model):
    one, other = item({1: 1.0}, 1), item({1: 1.0}, 2)
    low, high = one.slope.copy(), other.slope.copy()
    low[300:] = np.nan
    high[:300] = np.nan
    from dataclasses import replace

    one, other = replace(one, slope=low), replace(other, slope=high)
    assert linkage.compare(one, other, same_unit=True, model=model) is None
    with pytest.raises(TechniqueError):
        linkage.compare(one, replace(other, technique="infrared"), same_unit=True, model=model)


def test_a_model_of_another_version_is_refused(model):
    with pytest.raises(TechniqueError, match="fit it anew"):
        linkage.LinkageModel({**model.facts, "fingerprint": 0})


def test_several_items_are_not_more_evidence_than_their_mean():
    assert linkage.together([1.0]) == 1.0
    assert linkage.together([1.0, -9.0]) == pytest.approx(1.0 - math.log10(2), abs=1e-6)
    assert linkage.together([1.0] * 40) == pytest.approx(1.0)
    assert linkage.together([-3.0, -3.0]) == pytest.approx(-3.0)


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.0, "no support for one mixture or for different ones"),
        (0.29, "no support for one mixture or for different ones"),
        (0.31, "weak support for one mixture"),
        (-0.9, "weak support for different mixtures"),
        (1.0, "moderate support for one mixture"),
        (2.5, "moderately strong support for one mixture"),
        (3.0, "strong support for one mixture"),
        (4.0, "very strong support for one mixture"),
        (-7.0, "extremely strong support for different mixtures"),
    ],
)
def test_words_are_those_of_the_scale(ratio, said):
    assert linkage.words(ratio) == said


# --- measures ----------------------------------------------------------------------------------------------


def gaussians(d, n=4000, seed=1):
    """Log ratios of two Gaussians `d` standard deviations apart, which are calibrated by construction."""
    rng = np.random.default_rng(seed)
    same, different = rng.normal(d / 2, 1, n), rng.normal(-d / 2, 1, n)
    return d * same / math.log(10), d * different / math.log(10)


def test_cost_is_nothing_for_the_perfect_and_one_bit_for_the_silent():
    assert cllr(np.zeros(5), np.zeros(9)) == pytest.approx(1.0)
    assert cllr(np.full(5, 9.0), np.full(5, -9.0)) < 1e-8
    same, different = gaussians(2.0)
    assert cllr(same, different) == pytest.approx(cllr_min(same, different), abs=0.02)


def test_miscalibration_shows_as_the_difference_to_the_least_cost():
    same, different = gaussians(2.0)
    for wrong in (lambda x: 3 * x, lambda x: x + 1.5):
        cost, least = cllr(wrong(same), wrong(different)), cllr_min(same, different)
        assert cost > least + 0.1
        assert cllr_min(wrong(same), wrong(different)) == pytest.approx(least)


def test_the_least_cost_is_that_of_the_best_monotone_calibration():
    """Against the theory for Gaussians, whose ratios need no calibration: a numerical integral."""
    d = 1.5
    same, different = gaussians(d, n=40_000)
    x = np.linspace(-9, 9, 20_001)
    density = np.exp(-0.5 * (x - d / 2) ** 2) / math.sqrt(2 * math.pi)
    theory = float(np.sum(density * np.log2(1 + np.exp(-d * x))) * (x[1] - x[0]))
    assert cllr_min(same, different) == pytest.approx(theory, abs=0.01)


def test_bounds_grow_with_independent_cases_and_hold_for_noise():
    same, different = gaussians(3.0)
    few = linkage_fit.bounds(same, different, independent=20)
    many = linkage_fit.bounds(same, different, independent=2000)
    assert many[0] < few[0] < 0 < few[1] < many[1]
    assert few[1] < math.log10(20)
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 2, 500), rng.normal(0, 2, 500)
    assert linkage_fit.bounds(*noise, independent=50) == (0.0, 0.0)


def test_cross_entropy_at_even_odds_is_the_cost():
    same, different = gaussians(2.0)
    at = linkage_fit.cross_entropy(same, different, np.array([0.0, 2.0]))
    assert at[0] == pytest.approx(cllr(same, different))
    assert at[1] < at[0]


def test_a_fit_is_calibrated_on_pairs_it_was_not_fitted_on():
    """Features drawn with known densities: the fitted ratio is that of the densities."""
    rng = np.random.default_rng(5)

    def drawn(n):
        same = rng.random(n) < 0.3
        x = rng.normal(0, 1, (n, 3))
        x[:, 0] += np.where(same, 1.0, -1.0)
        return x, same

    model = linkage_fit.fit(*drawn(6000), *drawn(6000), signs=(1, 1, 1), independent=1000)
    weights = np.array(model["weights"]) * math.log(10)
    assert weights == pytest.approx([2.0, 0.0, 0.0], abs=0.15)
    assert model["offset"] == pytest.approx(0.0, abs=0.1)
    json.dumps(model)
