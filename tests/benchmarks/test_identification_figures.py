"""The benchmark's own statistics: an oracle that is right, limits that come out as they were put in."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, norm

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "identification"))

import generator
import goals
import measures
import power
import tally


@pytest.fixture(scope="module")
def pair():
    by_slug = {s.slug: s for s in generator.substances()}
    return by_slug["acrylfentanyl"], by_slug["caffeine"]


@pytest.mark.parametrize("spread", [power.EXACT, generator.Spread()], ids=["photons", "grains"])
def test_oracle_detects_as_often_as_its_formula_says(pair, spread):
    target, matrix = pair
    unit = generator.unit(np.random.default_rng(2))
    best = power.oracle(target, matrix, unit, spread=spread, peak_counts=2e4, fluorescence=0.5)
    rng = np.random.default_rng(3)

    def estimates(share, n):
        parts = [(matrix, 1 - share), (target, share)]
        scans = [generator.scan(parts, unit, rng, spread=spread) for _ in range(n)]
        return np.array([best.weights @ s.intensity - best.offset for s in scans])

    null, there = estimates(0.0, 40), estimates(best.lod90, 40)
    # 40 draws give a standard deviation within 22 % nineteen times in twenty.
    assert 0.7 < null.std(ddof=1) / best.sd < 1.35
    assert abs(null.mean()) < 0.5 * best.sd
    assert there.mean() == pytest.approx(best.lod90, abs=0.6 * best.sd)
    assert best.power(best.lod90) == pytest.approx(0.9)
    assert (null > power.Z_ALARM * best.sd).sum() <= 2


def test_grains_and_other_units_cost_the_oracle_something(pair):
    how = {"peak_counts": 2e4, "fluorescence": 0.5}
    unit = generator.unit(np.random.default_rng(2))
    photons = power.oracle(*pair, unit, spread=power.EXACT, **how)
    grains = power.oracle(*pair, unit, spread=generator.Spread(), **how)
    library = power.oracle(*pair, unit, spread=generator.Spread(), from_library=True, **how)
    assert photons.sd < grains.sd < library.sd


@pytest.mark.parametrize("true", [1.0, 3.0])
def test_limit_comes_out_as_it_was_put_in(true):
    rng = np.random.default_rng(5)
    x = np.tile([0.5, 0.71, 1, 1.41, 2, 2.83, 4, 5.7, 8, 11.3], 40)
    chance = norm.cdf(power.LOD90 * x / true - power.Z_ALARM)
    found = [power.limit(x, rng.random(x.size) < chance) for _ in range(40)]
    # Between levels a factor √2 apart the curve is taken as straight: good to a twentieth.
    assert np.mean(found) == pytest.approx(true, rel=0.05)
    assert np.std(found) < 0.15 * true


def test_interval_of_efficiency_is_of_pairs_and_not_of_scans():
    rng = np.random.default_rng(6)
    levels = np.array([1.0, 1.41, 2.0, 2.83, 4.0, 5.7, 8.0])
    x, group = np.tile(levels, 12), np.repeat(np.arange(12), levels.size)
    hits = x > np.repeat(3 * np.exp(rng.normal(0, 0.4, 12)), levels.size)
    value, low, high = power.efficiency(x, hits, group, draws=100)
    assert low < value < high
    # Ten scans of every pair that all say the same are no more evidence than one.
    ten = power.efficiency(*(np.repeat(a, 10) for a in (x, hits, group)), draws=100)
    assert ten == pytest.approx((value, low, high))


def test_what_is_never_found_is_said_to_be_beyond_reach():
    x = np.array([0.5, 1.0, 2.0, 4.0] * 10)
    assert power.limit(x, np.zeros(x.size, dtype=bool)) == power.BEYOND
    assert power.limit(x, x > 0) == 0.5
    # Nine in ten are wanted; eight in ten at the highest share are not enough.
    assert power.limit(x, (x == 4.0) & (np.arange(x.size) < 32)) == power.BEYOND


def test_a_limit_below_the_oracles_fails_the_run_and_a_few_pairs_do_not():
    low = measures.Measure("E", "photons alone", "spectralid, detected", "η", 0.8, 0.7, 0.9, 100, "×")
    fine = measures.Measure("E", "photons alone", "spectralid", "η", 0.95, 0.8, 1.1, 100, "×")
    assert tally.leaks([low, fine], 30) == [f"photons alone, spectralid, detected: {low.text()}"]
    assert tally.leaks([low, fine], 3) == []


def test_threshold_lets_only_so_many_negatives_through():
    negatives = np.concatenate([np.zeros(2500), np.arange(1, 501)])
    level = measures.threshold_at(negatives, 0.001)
    assert (negatives >= level).sum() == 3
    assert measures.threshold_at(np.zeros(50), 0.001) > 0
    assert (negatives >= measures.threshold_at(negatives, 0.0)).sum() == 0


def test_roc_counts_what_reaches_each_threshold():
    false, true = measures.roc(np.array([3.0, 2.0, 0.0]), np.array([2.5, 0.0, 0.0, 0.0]))
    assert list(zip(false, true, strict=True)) == [(0, 1 / 3), (0.25, 1 / 3), (0.25, 2 / 3)]


def test_interval_of_a_share_holds_the_truth_about_as_often_as_it_says():
    n, p = 30, 0.9
    held = 0.0
    for k in range(n + 1):
        m = measures.proportion("A", "", "", "", [True] * k + [False] * (n - k))
        held += binom.pmf(k, n, p) * (m.low <= p <= m.high)
    assert 0.93 < held < 0.99


def test_rate_of_nothing_has_an_upper_bound():
    m = measures.rate("E2", "", "", "", [0] * 100)
    assert (m.value, m.low) == (0, 0)
    assert m.high == pytest.approx(3.689 / 100, rel=1e-3)


def test_macro_gives_small_groups_the_same_weight():
    m = measures.macro("B", "", "", "", [[True] * 90, [False] * 10])
    assert m.value == 0.5
    assert m.low < 0.5 < m.high


def test_a_goal_is_proven_only_by_its_interval():
    few = measures.Measure("A", "simulated", "spectralid", "top-1", 1.0, 0.8, 1.0, 15)
    many = measures.Measure("A", "simulated", "spectralid", "top-1", 0.995, 0.98, 0.999, 1000)
    worse = measures.Measure("A", "simulated", "spectralid", "top-1", 0.95, 0.9, 0.98, 100)

    def verdict(m):
        return next(r[""] for r in goals.reached([m]) if r["track"] == "A" and r["measure"] == "top-1")

    assert [verdict(m) for m in (few, many, worse)] == ["met, not proven", "met", "missed"]
    assert any(r["reached"] == "not measured" for r in goals.reached([few]))


def test_a_measure_survives_json():
    m = measures.Measure(
        "I", "whole engine", "spectralid", "memory", 300.0, float("nan"), float("nan"), 1, " MB"
    )
    again = measures.Measure.from_dict(m.to_dict())
    assert again.text() == m.text() == "300 MB"
