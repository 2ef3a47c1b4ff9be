"""How many days a control chart runs until it signals: when nothing is wrong, and when something is.

Theory, from the densities themselves: the distribution of the chart's state is carried from day to day on a
grid of Gauss-Legendre nodes, and what leaves the limits is the chance of a signal on that day (J. M. Lucas
and M. S. Saccucci, Technometrics 32 (1990) 1, with the integral in place of a Markov chain). The figures are
independent and normal, and their mean and sd are known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from spectralid.errors import ParameterError
from spectralid.qa import charts
from spectralid.spectrum import FloatArray

__all__ = ["RunLength", "of_cusum", "of_ewma", "of_shewhart", "of_stop_rules"]

_NODES: Final = 101
# By now the limits of the EWMA are constant to the last digit.
_SETTLED: Final = 120


@dataclass(frozen=True, slots=True)
class RunLength:
    """The run length of a chart.

    Attributes
    ----------
    mean : float
        Average run length (ARL), in figures, from a fresh start.
    soon : ndarray, shape (120,)
        Chance that it has signalled by the first, second … figure.
    """

    mean: float
    soon: FloatArray

    def within(self, days: int) -> float:
        """Chance of a signal by that figure, 0 … 1; `days` from 1 to 120."""
        if not 1 <= days <= self.soon.size:
            raise ParameterError("days", days, f"1 to {self.soon.size}")
        return float(self.soon[days - 1])


def of_shewhart(shift: float = 0.0, *, width: float = charts.SHEWHART_L) -> RunLength:
    """Of a single limit on both sides, for a mean moved by `shift` standard deviations.

    Parameters
    ----------
    shift : float
        By how many standard deviations the mean has moved before the first figure.
    width : float
        The limit, in standard deviations.

    Returns
    -------
    RunLength
        Mean, and the chance of a signal by each day.

    Examples
    --------
    >>> from spectralid.qa.run_length import of_shewhart
    >>> round(of_shewhart().mean), round(of_shewhart(1.0).mean)
    (370, 44)
    """
    from scipy.special import ndtr

    out = float(ndtr(-width - shift) + ndtr(shift - width))
    days = np.arange(1, _SETTLED + 1)
    return RunLength(1 / out, np.asarray(1 - (1 - out) ** days, dtype=np.float64))


def of_ewma(
    shift: float = 0.0,
    *,
    weight: float = charts.EWMA_LAMBDA,
    width: float = charts.EWMA_L,
    settled: bool = False,
) -> RunLength:
    """Of the moving average.

    Parameters
    ----------
    shift : float
        By how many standard deviations the mean has moved before the first figure.
    weight, width : float
        Of the newest figure, 0 … 1, and of the limits in standard deviations of the average.
    settled : bool
        Whether the limits are those of a long run from the first day on (as in the tables of Lucas and
        Saccucci), not those of `spectralid.qa.charts.ewma_limits`.

    Returns
    -------
    RunLength
        Mean, and the chance of a signal by each day.

    Examples
    --------
    >>> from spectralid.qa.run_length import of_ewma
    >>> round(of_ewma().mean), round(of_ewma(1.0).mean)
    (494, 10)
    """
    return _ewma(shift, weight, width, math.inf, settled)


def of_stop_rules(shift: float = 0.0) -> RunLength:
    """Of the rules that stop an instrument, together: the single limit and the moving average.

    Parameters
    ----------
    shift : float
        By how many standard deviations the mean has moved before the first figure.

    Returns
    -------
    RunLength
        Mean, and the chance of a signal by each day.
    """
    return _ewma(shift, charts.EWMA_LAMBDA, charts.EWMA_L, charts.SHEWHART_L, settled=False)


def _ewma(shift: float, weight: float, width: float, single: float, settled: bool) -> RunLength:
    if not 0 < weight <= 1:
        raise ParameterError("weight", weight, "above 0, at most 1")
    limits = charts.ewma_limits(_SETTLED, weight=weight, width=width)
    if settled:
        limits = np.full(_SETTLED, width * math.sqrt(weight / (2 - weight)))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)

    def density(to: FloatArray, start: FloatArray) -> FloatArray:
        """Of the average of today at `to`, from yesterday's `start`; none where today's figure is beyond."""
        figure = (to[:, None] - (1 - weight) * start[None, :]) / weight
        inside = np.abs(figure) <= single
        return inside * np.exp(-0.5 * (figure - shift) ** 2) / (math.sqrt(2 * math.pi) * weight)

    # What is still inside after each day.
    alive = np.empty(_SETTLED)
    today = density(limits[0] * nodes, np.zeros(1))[:, 0]
    alive[0] = limits[0] * weights @ today
    for day in range(1, _SETTLED):
        yesterday = limits[day - 1]
        today = density(limits[day] * nodes, yesterday * nodes) @ (yesterday * weights * today)
        alive[day] = limits[day] * weights @ today
    # From here on every day is as the one before: a geometric sum of the same step, solved at once.
    last = limits[-1]
    step = density(last * nodes, last * nodes) * (last * weights)[None, :]
    rest = np.linalg.solve(np.eye(_NODES) - step, step @ today)
    mean = 1 + alive.sum() + last * weights @ rest
    return RunLength(float(mean), 1 - alive)


def of_cusum(
    shift: float = 0.0, *, slack: float = charts.CUSUM_K, limit: float = charts.CUSUM_H
) -> RunLength:
    """Of the two cumulative sums together, from 0.

    Parameters
    ----------
    shift : float
        By how many standard deviations the mean has moved before the first figure.
    slack, limit : float
        In standard deviations.

    Returns
    -------
    RunLength
        Mean, and the chance of a signal by each day.

    Notes
    -----
    The mean is exact, 1/ARL = 1/ARL(up) + 1/ARL(down), if both sums cannot be high at once (J. F. van Dobben
    de Bruyn, 1968); the chance of a signal by a day takes the two sides as independent, which they nearly
    are.
    """
    up, alive_up = _one_sided(shift, slack, limit)
    down, alive_down = _one_sided(-shift, slack, limit)
    return RunLength(1 / (1 / up + 1 / down), 1 - alive_up * alive_down)


def _one_sided(shift: float, slack: float, limit: float) -> tuple[float, FloatArray]:
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    nodes, weights = limit / 2 * (nodes + 1), limit / 2 * weights

    # The sum is at 0 with a chance of its own, and has a density above it.
    def to(start: FloatArray) -> tuple[FloatArray, FloatArray]:
        move = nodes[:, None] - start[None, :] + slack - shift
        above = np.exp(-0.5 * move**2) / math.sqrt(2 * math.pi)
        return ndtr(-start + slack - shift), above

    start = np.concatenate([[0.0], nodes])
    at_zero, above = to(start)
    measure = np.concatenate([[1.0], weights])
    step = np.vstack([at_zero, above]) * measure[None, :]
    state = np.zeros(_NODES + 1)
    state[0] = 1.0
    alive = np.empty(_SETTLED)
    for day in range(_SETTLED):
        state = step @ state
        alive[day] = measure @ state
    first = np.zeros(_NODES + 1)
    first[0] = 1.0
    mean = measure @ np.linalg.solve(np.eye(_NODES + 1) - step, first)
    return float(mean), alive
