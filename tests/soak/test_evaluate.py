"""Slope with its interval, flatness and growth, on series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from benchmarks.soak import evaluate, results


def wandering(n, rho, rng):
    """Correlated noise (AR(1)) with innovations of 1, in its steady state."""
    steps = rng.normal(size=n)
    steps[0] /= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], steps)


@pytest.mark.parametrize(("rho", "least"), [(0.0, 0.90), (0.9, 0.88), (0.97, 0.86)])
def test_the_interval_covers_the_true_slope_however_correlated(rho, least):
    rng, truth = np.random.default_rng(7), 3.0
    x = np.arange(800) / 1000
    found = [evaluate.slope(x, 50 + truth * x + wandering(x.size, rho, rng)) for _ in range(120)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert least <= covered
    # It is of use, too: not everything is covered.
    assert abs(np.mean([one.value for one in found]) - truth) < 3 * np.std([one.value for one in found]) / 10
    assert covered < 1 or rho > 0.9


def test_an_interval_that_takes_readings_for_independent_would_be_too_narrow():
    # The reason for all of it: with least squares alone, three in four intervals would miss.
    rng = np.random.default_rng(8)
    x = np.arange(800) / 1000
    across = x - x.mean()
    missed = 0
    for _ in range(100):
        y = wandering(x.size, 0.97, rng)
        value = across @ y / (across @ across)
        left = y - y.mean() - value * across
        missed += abs(value) > 1.96 * np.sqrt(left @ left / (x.size - 2) / (across @ across))
    assert missed > 50


def test_a_leak_of_two_kilobytes_a_scan_is_told_from_none():
    rng = np.random.default_rng(9)
    x = np.arange(1260) / 1000
    noise = 0.1 * wandering(x.size, 0.9, rng)
    none, leak = evaluate.slope(x, noise), evaluate.slope(x, noise + 5.0 * x)
    assert none.verdict(2.0) == "flat"
    assert leak.verdict(2.0) == "grows"
    assert leak.value - none.value == pytest.approx(5.0)
    assert evaluate.slope(x, 30 * noise + 2 * x).verdict(2.0) == "undecided"
    assert evaluate.slope(x, noise - 20 * x).verdict(2.0) == "flat"


def test_a_straight_line_has_no_interval_and_a_few_readings_no_slope():
    exact = evaluate.slope(np.arange(30), 7 + 0.5 * np.arange(30))
    assert exact.low == pytest.approx(0.5)
    assert exact.high == pytest.approx(0.5)
    assert evaluate.slope(np.arange(30), np.full(30, 4.0)).verdict(0.0) == "flat"
    with pytest.raises(ValueError, match="at least 20"):
        evaluate.slope(np.arange(19), np.arange(19))


def test_counts_are_flat_if_the_second_half_keeps_no_more():
    assert evaluate.count([5, 7, 6, 5, 9, 6]).is_flat
    assert evaluate.count([5, 9, 6, 6, 9, 6]).is_flat
    assert not evaluate.count([5, 6, 6, 6, 7, 6]).is_flat
    assert evaluate.count([3, 4, 5, 6]) == evaluate.Count(4, 6, 3, 5, 6)
    busy = [30 + (i % 7 == 0) * 8 for i in range(120)]
    assert evaluate.count(busy).is_flat
    # One that is kept late in the second half is found, however busy it is.
    assert not evaluate.count([one + (i >= 90) for i, one in enumerate(busy)]).is_flat


def test_growth_is_what_each_record_took():
    records = np.arange(0, 101, 10)
    grown = evaluate.growth(records, 4096 + 25_000 * records, 20_000)
    assert grown.bytes_each == grown.first_half == grown.second_half == 25_000
    assert grown.ratio == 1.25
    bent = evaluate.growth(records, 100.0 * records**2, 20_000)
    assert bent.second_half > 2 * bent.first_half


def day(**more):
    """A day in which nothing grows but the database."""
    rng = np.random.default_rng(3)
    readings = [
        {
            "hour": i / 60, "scans": i, "packets": 2 * i, "database": 60_000 * i, "handles": 30 + i % 3,
            "threads": 5 + i % 2, "children": 1, "own_mb": 200 + rng.normal(), "pss_mb": 210 + rng.normal(),
            "rss_mb": 260 + rng.normal(),
        }
        for i in range(1440)
    ]  # fmt: skip
    for i, one in enumerate(readings):
        one.update({name: change(one[name], i) for name, change in more.items()})
    return {"what": "tablet", "readings": readings, "predicted_bytes": 30_000, "errors": [], "problems": []}


def test_a_good_day_is_good():
    judged = results.judged(day())
    assert judged["is_good"]
    assert judged["readings"] == 1440 - 270
    assert judged["database"]["ratio"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("own_mb", lambda value, i: value + 0.005 * i),
        ("handles", lambda value, i: value + i // 300),
        ("threads", lambda value, i: value + (i > 1000)),
        ("children", lambda value, i: value + (i > 1300)),
        ("database", lambda value, i: value * 2),
        ("database", lambda value, i: value * (1 + i / 3000)),
    ],
)
def test_each_kind_of_growth_spoils_it(what, change):
    assert not results.judged(day(**{what: change}))["is_good"]


@pytest.mark.parametrize("what", ["errors", "problems"])
def test_so_does_an_error(what):
    assert not results.judged({**day(), what: ["one"]})["is_good"]


def test_what_is_saved_reads_back_and_is_judged_the_same(tmp_path):
    result = day()
    results.save(result, tmp_path / "x.json")
    back = results.load(tmp_path / "x.json")
    assert back["judged"]["is_good"]
    assert len(back["readings"]) == 1440
    assert results.judged(back)["counts"] == results.judged(result)["counts"]
