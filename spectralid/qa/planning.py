"""How many samples a validation study needs before it may claim a rate."""

from __future__ import annotations

import math
from typing import Final

from spectralid.errors import ParameterError
from spectralid.proportion import clopper_pearson

__all__ = ["claimable_rate", "samples_needed"]

_MOST: Final = 10_000_000


def samples_needed(rate: float, *, confidence: float = 0.95, failures: int = 0) -> int:
    """The smallest number of independent samples that shows a rate.

    Parameters
    ----------
    rate : float
        To be shown: at least so many are right; above 0 and below 1.
    confidence : float
        One-sided, above 0 and below 1.
    failures : int
        How many may be wrong, 0 or more; decided before the study, not after.

    Returns
    -------
    int
        59 for 0.95 and 299 for 0.99, both with a confidence of 0.95 and no failure.

    Raises
    ------
    ParameterError
        If a number is out of its range, or more than ten million samples would be needed.

    Notes
    -----
    Without failures rate**n ≤ 1 - confidence; with them the exact binomial bound (Clopper and Pearson).

    Examples
    --------
    >>> from spectralid.qa.planning import samples_needed
    >>> samples_needed(0.95), samples_needed(0.99)
    (59, 299)
    """
    if not 0 < rate < 1:
        raise ParameterError("rate", rate, "above 0 and below 1")
    if not 0 < confidence < 1:
        raise ParameterError("confidence", confidence, "above 0 and below 1")
    if failures < 0:
        raise ParameterError("failures", failures, "0 or more")
    # The exact quotient may be a whole number that floating point puts a hair above.
    low = max(failures + 1, math.ceil(math.log1p(-confidence) / math.log(rate) - 1e-12))
    if low > _MOST:
        raise ParameterError("rate", rate, f"one that needs at most {_MOST} samples")
    high = low
    while claimable_rate(high, failures, confidence=confidence) < rate:
        low, high = high + 1, 2 * high
        if high > _MOST:
            raise ParameterError("rate", rate, f"one that needs at most {_MOST} samples")
    while low < high:
        middle = (low + high) // 2
        if claimable_rate(middle, failures, confidence=confidence) < rate:
            low = middle + 1
        else:
            high = middle
    return high


def claimable_rate(samples: int, failures: int = 0, *, confidence: float = 0.95) -> float:
    """The highest rate that a study shows: the lower bound of its share of right ones, one-sided.

    Parameters
    ----------
    samples : int
        How many were tried, at least 1.
    failures : int
        How many of them went wrong.
    confidence : float
        Above 0.5 and below 1.

    Returns
    -------
    float
        0 … 1.

    Raises
    ------
    ParameterError
        If a number is out of its range.

    Examples
    --------
    >>> from spectralid.qa.planning import claimable_rate
    >>> round(claimable_rate(59), 3), round(claimable_rate(299), 4)
    (0.95, 0.99)
    """
    if not 0.5 <= confidence < 1:
        raise ParameterError("confidence", confidence, "0.5 or more, below 1")
    if failures == 0 and samples >= 1:
        return float((1 - confidence) ** (1 / samples))
    return clopper_pearson(samples - failures, samples, confidence=2 * confidence - 1)[0]
