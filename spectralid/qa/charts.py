"""Control charts: whether a figure that is measured every day still comes from where it came from.

An instrument is in control as long as its daily figures scatter about their usual value as they always did.
Three charts look for what changed: Shewhart's single limit for what is grossly wrong today, the exponentially
weighted moving average (EWMA) and the cumulative sum (CUSUM) for what creeps. A signal of the first two stops
an instrument; Westgard's rules are advice, because together they cry wolf much more often than any of them
alone (`spectralid.qa.run_length` says how often the charts do).

Sources: W. A. Shewhart, Economic Control of Quality (1931); J. M. Lucas and M. S. Saccucci, Technometrics 32
(1990) 1 (EWMA, its limits and run lengths); E. S. Page, Biometrika 41 (1954) 100 (CUSUM); J. O. Westgard et
al., Clinical Chemistry 27 (1981) 493 (the rules).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = [
    "CUSUM_H",
    "CUSUM_K",
    "EWMA_L",
    "EWMA_LAMBDA",
    "SHEWHART_L",
    "STOP_RULES",
    "Baseline",
    "Chart",
    "Signal",
    "chart",
    "cusum",
    "ewma",
    "ewma_limits",
    "westgard",
]

EWMA_LAMBDA: Final = 0.2
"""Weight of the newest figure in the moving average."""
EWMA_L: Final = 2.962
"""Width of its limits, in standard deviations of the average: 494 days between false alarms."""
SHEWHART_L: Final = 3.0
"""The single limit, in standard deviations: 370 days between false alarms."""
CUSUM_K: Final = 0.5
"""Slack of the cumulative sums, in standard deviations."""
CUSUM_H: Final = 4.77
"""Their limit, in standard deviations: 370 days between false alarms."""
STOP_RULES: Final = ("1_3s", "ewma")
"""Rules whose signal stops an instrument; every other is advice."""

# Fewer figures give an sd so poor that the limits drawn from it mean little.
_LEAST_BASELINE: Final = 10
# A mean and an sd from n figures are off themselves. Limits this much wider, divided by n, keep the chance of
# a false stop within 10, 30 or 100 figures at what it is with both known (`benchmarks/qa/planted_faults.py`).
_WIDER: Final = 5.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a figure is while the instrument is in control.

    Attributes
    ----------
    mean, sd : float
        Its usual value and its standard deviation from day to day, in its own unit; `sd` above 0.
    n : int or None
        Of how many figures they were estimated; ``None`` if they are known otherwise.
    """

    mean: float
    sd: float
    n: int | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean):
            raise ParameterError("mean", self.mean, "a finite number")
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise ParameterError("sd", self.sd, "above 0")

    @classmethod
    def estimated(cls, values: npt.ArrayLike) -> Baseline:
        """From figures of days on which the instrument was in control.

        The standard deviation is taken from moving ranges, which a slow drift hardly widens.

        Parameters
        ----------
        values : array_like, shape (n,)
            At least 10, in the order of days.

        Raises
        ------
        ParameterError
            If there are fewer, or they do not differ at all.
        """
        x = np.asarray(values, dtype=np.float64)
        if x.ndim != 1 or x.size < _LEAST_BASELINE or not np.isfinite(x).all():
            raise ParameterError("values", x.size, f"{_LEAST_BASELINE} finite figures or more")
        # The mean range of two normal values is 2/sqrt(pi) of their sd.
        sd = float(np.abs(np.diff(x)).mean() * math.sqrt(math.pi) / 2)
        if sd == 0:
            raise ParameterError("values", float(x[0]), "figures that differ from day to day")
        return cls(float(x.mean()), sd, x.size)

    @property
    def widening(self) -> float:
        """How many times wider limits are than with a known mean and sd: 1 + 5/n."""
        return 1.0 if self.n is None else 1.0 + _WIDER / self.n

    def standardized(self, values: npt.ArrayLike) -> FloatArray:
        """Figures in standard deviations from the usual value."""
        return (np.asarray(values, dtype=np.float64) - self.mean) / self.sd


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule that fired.

    Attributes
    ----------
    index : int
        Which figure completed it, from 0.
    rule : str
        ``1_3s``, ``ewma``, ``cusum``, or one of Westgard's: ``1_2s``, ``2_2s``, ``r_4s``, ``4_1s``, ``10_x``.
    value, limit : float
        What was compared, in standard deviations, and what it went beyond.
    """

    index: int
    rule: str
    value: float
    limit: float

    @property
    def stops(self) -> bool:
        """Whether the instrument is not to be used until somebody has looked."""
        return self.rule in STOP_RULES


@dataclass(frozen=True, slots=True)
class Chart:
    """All charts of one figure over its days.

    Attributes
    ----------
    baseline : Baseline
        What it was compared with.
    z : ndarray, shape (n,)
        The figures in standard deviations.
    limit : float
        How far a single figure may go from 0 (1_3s): 3, and more where the baseline is of few figures.
    ewma, ewma_limit : ndarray, shape (n,)
        The moving average and how far it may go from 0 on each day.
    cusum_up, cusum_down : ndarray, shape (n,)
        Cumulative sums of what exceeds k to either side, both 0 or more.
    signals : tuple of Signal
        In the order of days.
    """

    baseline: Baseline
    z: FloatArray
    limit: float
    ewma: FloatArray
    ewma_limit: FloatArray
    cusum_up: FloatArray
    cusum_down: FloatArray
    signals: tuple[Signal, ...]

    @property
    def in_control(self) -> bool:
        """Whether no rule that stops has fired since the baseline."""
        return not any(signal.stops for signal in self.signals)


def chart(values: npt.ArrayLike, baseline: Baseline) -> Chart:
    """Every chart of a figure.

    Parameters
    ----------
    values : array_like, shape (n,)
        The figure, day by day, in the unit of the baseline; not the days the baseline was estimated from.
    baseline : Baseline
        What it is in control.

    Returns
    -------
    Chart
        Every curve, its limits and the signals.

    Raises
    ------
    ParameterError
        If a figure is not a finite number: a check that gave none is a failed check, not a figure.

    Examples
    --------
    >>> from spectralid.qa.charts import Baseline, chart
    >>> found = chart([0.1, -0.2, 0.3, 5.0], Baseline(mean=0.0, sd=1.0, n=20))
    >>> [(signal.rule, signal.index) for signal in found.signals]
    [('1_3s', 3), ('1_2s', 3)]
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ParameterError("values", f"shape {x.shape}", "finite figures, one a day")
    z = baseline.standardized(x)
    single = SHEWHART_L * baseline.widening
    average, limit = ewma(z), ewma_limits(z.size, width=EWMA_L * baseline.widening)
    up, down = cusum(z)
    signals = [
        *_beyond("1_3s", z, np.full(z.size, single)),
        *_beyond("ewma", average, limit),
        *_beyond("cusum", np.where(up >= down, up, -down), np.full(z.size, CUSUM_H)),
        *westgard(z),
    ]
    order = sorted(signals, key=lambda signal: (signal.index, not signal.stops, signal.rule))
    return Chart(baseline, z, single, average, limit, up, down, tuple(order))


def ewma(z: npt.ArrayLike, *, weight: float = EWMA_LAMBDA, start: float = 0.0) -> FloatArray:
    """Exponentially weighted moving average of standardized figures, shape (n,).

    Parameters
    ----------
    z : array_like, shape (n,)
        Figures less their mean, in standard deviations.
    weight : float
        Of the newest figure, above 0 and at most 1.
    start : float
        Average before the first.

    Returns
    -------
    ndarray of float, shape (n,)
        The average after each figure.

    Examples
    --------
    >>> from spectralid.qa.charts import ewma
    >>> ewma([1.0, 1.0, 1.0]).round(3)
    array([0.2  , 0.36 , 0.488])
    """
    x = np.asarray(z, dtype=np.float64)
    averages = np.empty_like(x)
    last = start
    for i, value in enumerate(x):
        last += weight * (value - last)
        averages[i] = last
    return averages


def ewma_limits(n: int, *, weight: float = EWMA_LAMBDA, width: float = EWMA_L) -> FloatArray:
    """How far the average of the first, second … figure may go from 0, shape (n,).

    With the exact variance of each day: the first days after a baseline are watched as closely as later ones.

    Parameters
    ----------
    n : int
        How many figures.
    weight : float
        Of the newest figure, above 0 and at most 1.
    width : float
        In standard deviations of the average.

    Returns
    -------
    ndarray of float, shape (n,)
        Limit on either side.

    Examples
    --------
    >>> from spectralid.qa.charts import ewma_limits
    >>> ewma_limits(3).round(3)
    array([0.592, 0.759, 0.848])
    """
    day = np.arange(1, n + 1)
    variance = weight / (2 - weight) * (1 - (1 - weight) ** (2 * day))
    return np.asarray(width * np.sqrt(variance), dtype=np.float64)


def cusum(z: npt.ArrayLike, *, slack: float = CUSUM_K) -> tuple[FloatArray, FloatArray]:
    """Cumulative sums of what exceeds the slack, upwards and downwards, each of shape (n,).

    Parameters
    ----------
    z : array_like, shape (n,)
        Figures less their mean, in standard deviations.
    slack : float
        What is not counted, in standard deviations.

    Returns
    -------
    tuple of ndarray of float, shape (n,)
        Upwards and downwards, both 0 or more.
    """
    x = np.asarray(z, dtype=np.float64)
    sums = np.empty((2, x.size))
    for row, signed in enumerate((x, -x)):
        last = 0.0
        for i, value in enumerate(signed):
            last = max(0.0, last + value - slack)
            sums[row, i] = last
    return sums[0], sums[1]


def westgard(z: npt.ArrayLike) -> tuple[Signal, ...]:
    """Westgard's rules except 1_3s, which has a chart of its own.

    ``1_2s`` warns; ``2_2s``: two in a row beyond 2 on one side; ``r_4s``: one beyond 2 and the next beyond 2
    on the other side; ``4_1s``: four in a row beyond 1 on one side; ``10_x``: ten in a row on one side of the
    mean.

    Parameters
    ----------
    z : array_like, shape (n,)
        Figures less their mean, in standard deviations.

    Returns
    -------
    tuple of Signal
        Those that were broken.

    Examples
    --------
    >>> from spectralid.qa.charts import westgard
    >>> [signal.rule for signal in westgard([0.0, 2.1, 2.4])]
    ['1_2s', '1_2s', '2_2s']
    """
    x = np.asarray(z, dtype=np.float64)
    signals: list[Signal] = []
    for i, value in enumerate(x):
        if abs(value) > 2:
            signals.append(Signal(i, "1_2s", float(value), 2.0))
        if i >= 1 and min(abs(x[i - 1]), abs(value)) > 2:
            rule = "2_2s" if x[i - 1] * value > 0 else "r_4s"
            signals.append(Signal(i, rule, float(value), 2.0))
        for length, beyond, rule in ((4, 1.0, "4_1s"), (10, 0.0, "10_x")):
            if _one_side(x[max(0, i - length + 1) : i + 1], length, beyond):
                signals.append(Signal(i, rule, float(value), beyond))
    return tuple(signals)


def _one_side(run: FloatArray, length: int, beyond: float) -> bool:
    return run.size == length and (bool((run > beyond).all()) or bool((run < -beyond).all()))


def _beyond(rule: str, values: FloatArray, limits: FloatArray) -> Sequence[Signal]:
    where = np.flatnonzero(np.abs(values) > limits)
    return [Signal(int(i), rule, float(values[i]), float(limits[i])) for i in where]
