"""Whether what was watched stands still: slope with an interval, highest counts, growth against a prediction.

A series of memory is strongly correlated with itself: the allocator keeps what it once had. The interval of
the slope is therefore that of Newey and West (1987) after prewhitening (Andrews and Monahan 1992) with the
bandwidth of Andrews (1991), and a quantile of Student's t with as many degrees of freedom as there are
independent readings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

# Beyond that a series cannot be told from one that wanders for ever (Andrews and Monahan).
_MOST_RHO = 0.97
_LEAST_FREEDOM = 3.0


@dataclass(frozen=True, slots=True)
class Slope:
    """Of a series.

    Attributes
    ----------
    value, low, high : float
        In units of the series per unit of its axis, with the 95 % interval.
    rho : float
        Correlation of a residual with the one after it.
    readings, independent : float
        How many there are, and how many independent ones they are worth.
    """

    value: float
    low: float
    high: float
    rho: float
    readings: int
    independent: float

    def verdict(self, limit: float) -> Literal["flat", "grows", "undecided"]:
        """Flat if the whole interval is below the limit, growing if all of it is above.

        Parameters
        ----------
        limit : float
            The largest slope that still counts as flat. A series that falls is flat.
        """
        if self.high <= limit:
            return "flat"
        return "grows" if self.low > limit else "undecided"


def slope(x: Any, y: Any) -> Slope:
    """The slope of y over x with its interval.

    Parameters
    ----------
    x, y : (n,) array-like
        Axis, evenly spaced or nearly so, and series; n at least 20.
    """
    from scipy.stats import t

    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.size < 20 or x.shape != y.shape:
        raise ValueError(f"{x.size} readings; a slope with an interval needs at least 20")
    across = x - x.mean()
    within = float(across @ across)
    value = float(across @ y) / within
    left = y - y.mean() - value * across
    scores = across * left
    spread = float(left @ left)
    # A trend that was taken out makes the correlation look smaller than it is (Kendall 1954).
    n = x.size
    rho = float(left[1:] @ left[:-1]) / spread if spread > 1e-20 * max(float(y @ y), 1.0) else 0.0
    rho = min(max(rho + (1 + 4 * max(rho, 0.0)) / n, 0.0), max(_MOST_RHO, 1 - 5 / n)) if rho else 0.0
    independent = n * (1 - rho) / (1 + rho)
    variance = n * _long_run(scores, rho) / within**2
    reach = float(t.ppf(0.975, max(independent - 2, _LEAST_FREEDOM))) * math.sqrt(variance)
    return Slope(value, value - reach, value + reach, rho, n, independent)


def _long_run(scores: np.ndarray, rho: float) -> float:
    """Long-run variance of a series: prewhitened, Bartlett's kernel, Andrews' bandwidth."""
    white = scores[1:] - rho * scores[:-1]
    n = white.size
    total = float(white @ white) / n
    if total == 0.0:
        return 0.0
    a = float(white[1:] @ white[:-1]) / float(white @ white)
    a = min(max(a, -_MOST_RHO), _MOST_RHO)
    strength = 4 * a**2 / ((1 - a) ** 2 * (1 + a) ** 2)
    width = min(int(1.1447 * (strength * n) ** (1 / 3)) + 1, n // 4)
    for lag in range(1, width + 1):
        total += 2 * (1 - lag / (width + 1)) * float(white[lag:] @ white[:-lag]) / n
    return max(total, 0.0) / (1 - rho) ** 2


@dataclass(frozen=True, slots=True)
class Count:
    """Counts in the two halves of a run.

    Attributes
    ----------
    first, second : int
        Highest in either half: what comes and goes, such as connections at a busy moment, is in it.
    quiet_first, quiet_second : int
        The highest of the lowest counts of each stretch of a half. What is kept raises it for good.
    last : int
        At the end.
    """

    first: int
    second: int
    quiet_first: int
    quiet_second: int
    last: int

    @property
    def is_flat(self) -> bool:
        """Whether the second half keeps no more than the first: what is kept raises both of its figures."""
        return self.second <= self.first or self.quiet_second <= self.quiet_first


def count(values: Sequence[int], *, stretch: int = 30) -> Count:
    """Of the readings after the warm-up.

    Parameters
    ----------
    values : sequence of int
        The readings.
    stretch : int
        How many make a stretch; a half that has fewer is one.
    """
    middle = len(values) // 2
    halves = values[:middle], values[middle:]
    quiet = [
        max(
            min(half[start : start + stretch]) for start in range(0, max(len(half) - stretch, 0) + 1, stretch)
        )
        for half in halves
    ]
    return Count(max(halves[0]), max(halves[1]), quiet[0], quiet[1], values[-1])


@dataclass(frozen=True, slots=True)
class Growth:
    """How a database grew.

    Attributes
    ----------
    bytes_each, first_half, second_half : float
        Bytes that a record took, in all and in either half.
    predicted : float
        What was foretold.
    """

    bytes_each: float
    first_half: float
    second_half: float
    predicted: float

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.bytes_each / self.predicted


def growth(records: Any, sizes: Any, predicted: float) -> Growth:
    """Bytes that a record takes.

    Parameters
    ----------
    records, sizes : (n,) array-like
        How many there were, and how large the database was.
    predicted : float
        Bytes for each.
    """
    records, sizes = np.asarray(records, float), np.asarray(sizes, float)
    middle = len(records) // 2

    def each(start: int, stop: int) -> float:
        return float((sizes[stop] - sizes[start]) / max(records[stop] - records[start], 1))

    return Growth(each(0, -1), each(0, middle), each(middle, -1), predicted)
