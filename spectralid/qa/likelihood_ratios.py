"""What likelihood ratios are worth where the truth is known: their cost, and its least value.

References
----------
Brümmer and du Preez, Comput. Speech Lang. 20 (2006) 230 (Cllr, and its least value by pooling adjacent
violators).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = ["cllr", "cllr_min", "pooled", "ratios"]

_LN10: Final = math.log(10.0)


def cllr(same: FloatArray, different: FloatArray) -> float:
    """Cost of log₁₀ likelihood ratios, in bits.

    Parameters
    ----------
    same, different : ndarray
        Ratios of cases where the first proposition is true, and where the other is; at least one of each.

    Returns
    -------
    float
        0 of a system that is always right and sure, 1 of one that says nothing (every ratio 1), more of one
        that misleads; infinite if it was wrong where it was certain.
    """
    cost_same = np.logaddexp(0.0, -same * _LN10).mean()
    cost_different = np.logaddexp(0.0, different * _LN10).mean()
    return float((cost_same + cost_different) / 2 / math.log(2))


def pooled(same: FloatArray, different: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The ratios after the best monotone calibration, which knows the truth (pool adjacent violators).

    Parameters
    ----------
    same, different : ndarray
        Log₁₀ ratios of cases where the first proposition is true, and where the other is; one of each at
        least.

    Returns
    -------
    tuple of ndarray
        Calibrated ratios of the same cases, infinite where the truth is certain.
    """
    from sklearn.isotonic import isotonic_regression

    scores = np.concatenate([same, different])
    truth = np.concatenate([np.ones(same.size), np.zeros(different.size)])
    # Ties are one block: whatever their order, they get one value.
    at = np.unique(scores, return_inverse=True)[1]
    weight = np.bincount(at).astype(float)
    share = isotonic_regression(np.bincount(at, weights=truth) / weight, sample_weight=weight)[at]
    with np.errstate(divide="ignore"):
        found = np.log10(share / (1.0 - share)) - math.log10(same.size / different.size)
    return found[: same.size], found[same.size :]


def cllr_min(same: FloatArray, different: FloatArray) -> float:
    """What `cllr` would be if the ratios were perfectly calibrated.

    Parameters
    ----------
    same, different : ndarray
        Log₁₀ ratios of cases where the first proposition is true, and where the other is; one of each at
        least.

    Returns
    -------
    float
        At most `cllr` of the same, in bits.
    """
    return cllr(*pooled(same, different))


def ratios(probabilities: npt.ArrayLike, events: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Log₁₀ likelihood ratios behind stated probabilities.

    Parameters
    ----------
    probabilities : array_like, shape (n,)
        Stated probabilities of events, 0 … 1.
    events : array_like of bool, shape (n,)
        What happened.

    Returns
    -------
    tuple of ndarray
        Of cases where the event happened, and where it did not.

    Raises
    ------
    ParameterError
        If all of the events happened, or none: there are no odds to begin with.

    Notes
    -----
    A probability is odds before the evidence times a likelihood ratio. The odds before are taken to be those
    among these cases; a probability made for other odds is then as much off as it misleads here.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    there = np.asarray(events, dtype=np.bool_)
    n = int(there.sum())
    if n in (0, there.size):
        raise ParameterError("events", f"{n} of {there.size}", "some that happened and some that did not")
    with np.errstate(divide="ignore"):
        found = np.log10(p) - np.log10(1.0 - p) - math.log10(n / (there.size - n))
    return found[there], found[~there]
