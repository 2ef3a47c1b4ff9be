"""Control charts: the rules by hand, the run lengths against simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spectralid.errors import ParameterError
from spectralid.qa import charts, run_length
from spectralid.qa.charts import Baseline, chart, ewma_limits, westgard
from spectralid.spectrum import FloatArray

Truth = npt.NDArray[np.bool_]
RUNS = 10_000
TRUE = Baseline(0.0, 1.0)


class Walk:
    """Many charts at once, by the rules as the papers write them; shares nothing with what it tests."""

    def __init__(self, n: int) -> None:
        self.day = 0
        self.average = np.zeros(n)
        self.sums = np.zeros((2, n))

    def shewhart(self, z: FloatArray) -> Truth:
        return np.asarray(np.abs(z) > 3)

    def ewma(self, z: FloatArray) -> Truth:
        self.day += 1
        self.average = 0.2 * z + 0.8 * self.average
        limit = 2.962 * (0.2 / 1.8 * (1 - 0.8 ** (2 * self.day))) ** 0.5
        return np.asarray(np.abs(self.average) > limit)

    def settled(self, z: FloatArray) -> Truth:
        self.average = 0.2 * z + 0.8 * self.average
        return np.asarray(np.abs(self.average) > 2.962 * (0.2 / 1.8) ** 0.5)

    def stop(self, z: FloatArray) -> Truth:
        return self.ewma(z) | self.shewhart(z)

    def cusum(self, z: FloatArray) -> Truth:
        self.sums = np.maximum(0, self.sums + np.stack([z, -z]) - 0.5)
        return np.asarray(self.sums.max(axis=0) > 4.77)

    def keep(self, which: Truth) -> None:
        self.average, self.sums = self.average[which], self.sums[:, which]


def simulated(rule: str, shift: float) -> FloatArray:
    """Run lengths of charts that are fed normal figures until each has signalled."""
    rng = np.random.default_rng(20261122)
    walk, lengths, day, left = Walk(RUNS), [], 0, RUNS
    while left:
        day += 1
        out = getattr(walk, rule)(rng.normal(shift, 1.0, left))
        lengths += [day] * int(out.sum())
        walk.keep(~out)
        left -= int(out.sum())
    return np.array(lengths, dtype=float)


@pytest.mark.parametrize(
    ("rule", "theory", "in_control"),
    [
        ("shewhart", run_length.of_shewhart, 370.4),
        ("ewma", run_length.of_ewma, 494.4),
        ("settled", lambda shift: run_length.of_ewma(shift, settled=True), None),
        ("cusum", run_length.of_cusum, None),
        ("stop", run_length.of_stop_rules, None),
    ],
)
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_run_lengths_are_those_of_a_simulation(
    rule: str, theory: Callable[[float], run_length.RunLength], in_control: float | None, shift: float
) -> None:
    lengths, of = simulated(rule, shift), theory(shift)
    assert lengths.mean() == pytest.approx(of.mean, abs=4 * lengths.std() / RUNS**0.5)
    assert lengths.mean() == pytest.approx(of.mean, rel=0.05)
    if in_control and not shift:
        assert of.mean == pytest.approx(in_control, abs=0.1)
    for day in (1, 5, 60):
        share = float((lengths <= day).mean())
        assert share == pytest.approx(of.within(day), abs=4 * (0.25 / RUNS) ** 0.5)


@given(arrays(float, st.integers(1, 80), elements=st.floats(-6, 6)))
def test_the_charts_signal_where_the_rules_say(values: FloatArray) -> None:
    drawn = chart(values, TRUE)
    for rule, name in (("shewhart", "1_3s"), ("ewma", "ewma"), ("cusum", "cusum")):
        walk = Walk(1)
        days = [i for i, z in enumerate(values) if getattr(walk, rule)(np.array([z]))[0]]
        assert [signal.index for signal in drawn.signals if signal.rule == name] == days
    assert drawn.in_control == (not any(signal.rule in ("1_3s", "ewma") for signal in drawn.signals))


@pytest.mark.parametrize(
    ("z", "fired"),
    [
        ((0.1, 2.1, 0.0), {"1_2s"}),
        ((2.1, 2.2), {"1_2s", "2_2s"}),
        ((2.1, -2.2), {"1_2s", "r_4s"}),
        ((1.1, 1.2, 1.3, 1.4), {"4_1s"}),
        ((-1.1, -1.2, -1.3, 0.9), set()),
        ((0.1,) * 9 + (0.2,), {"10_x"}),
        ((0.1,) * 9 + (-0.2,), set()),
        ((0.1,) * 9, set()),
    ],
)
def test_westgard(z: tuple[float, ...], fired: set[str]) -> None:
    signals = westgard(z)
    assert {signal.rule for signal in signals} == fired
    assert all(signal.index == len(z) - 1 or signal.rule == "1_2s" for signal in signals)
    assert not any(signal.stops for signal in signals)


def test_the_first_day_is_watched_as_a_single_figure_is() -> None:
    limits = ewma_limits(200)
    assert limits[0] == pytest.approx(0.2 * 2.962)
    assert limits[-1] == pytest.approx(2.962 * (0.2 / 1.8) ** 0.5)


def test_a_baseline_is_hardly_widened_by_a_drift() -> None:
    rng = np.random.default_rng(3)
    days = rng.normal(1001.4, 0.3, 2000) + np.linspace(0, 1.5, 2000)
    baseline = Baseline.estimated(days)
    assert baseline.sd == pytest.approx(0.3, rel=0.05)
    assert days.std() > 0.5


@pytest.mark.parametrize("values", [[1.0] * 12, [1.0, 2.0], [1.0] * 11 + [float("nan")]])
def test_what_gives_no_baseline_is_refused(values: list[float]) -> None:
    with pytest.raises(ParameterError):
        Baseline.estimated(values)


def test_a_figure_that_is_none_is_refused() -> None:
    with pytest.raises(ParameterError):
        chart([0.1, float("nan")], TRUE)
    assert charts.STOP_RULES == ("1_3s", "ewma")


def test_a_usual_value_from_few_days_stops_no_unit_more_often() -> None:
    """The chance of a false stop within 30 days is that of a known mean and sd, to the error of the trial."""
    rng = np.random.default_rng(11)
    promised = run_length.of_stop_rules().within(30)
    for days in (10, 20, 60):
        stopped = sum(
            not chart(rng.normal(size=30), Baseline.estimated(rng.normal(size=days))).in_control
            for _ in range(600)
        )
        # Three standard errors of 600 trials.
        assert stopped / 600 < promised + 3 * (promised / 600) ** 0.5
