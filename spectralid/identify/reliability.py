"""How good probabilities are: calibration error, Brier score, reliability, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectralid.spectrum import FloatArray

__all__ = ["Bin", "brier", "cluster_interval", "expected_calibration_error", "reliability_bins"]


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases of similar probability.

    Attributes
    ----------
    stated, observed : float
        Mean probability, and share of events.
    count : int
        Cases.
    """

    stated: float
    observed: float
    count: int


def reliability_bins(
    probabilities: npt.ArrayLike, events: npt.ArrayLike, *, bins: int = 15, adaptive: bool = False
) -> tuple[Bin, ...]:
    """Cases in bins by probability, empty bins left out.

    Parameters
    ----------
    probabilities : array_like, shape (n,)
        Stated probabilities, 0 … 1.
    events : array_like of bool, shape (n,)
        What happened.
    bins : int
        Number of bins.
    adaptive : bool
        Bins of equally many cases instead of equal width. Cases of equal probability stay together, so that
        bins may be fewer and of different size.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(events, dtype=np.float64)
    if adaptive:
        # The place of the first case of equal probability decides for all of them.
        ordered = np.sort(p)
        number = np.searchsorted(ordered, p) * bins // max(1, p.size)
    else:
        number = np.minimum((p * bins).astype(int), bins - 1)
    members = [number == i for i in np.unique(number)]
    return tuple(Bin(float(p[m].mean()), float(y[m].mean()), int(m.sum())) for m in members)


def expected_calibration_error(
    probabilities: npt.ArrayLike, events: npt.ArrayLike, *, bins: int = 15, adaptive: bool = False
) -> float:
    """Mean distance of stated probability and observed share over bins, weighted by their cases.

    Parameters
    ----------
    probabilities, events, bins, adaptive
        See `reliability_bins`.

    Notes
    -----
    Naeini, Cooper and Hauskrecht, AAAI 2015. It is above 0 for perfect probabilities too, by chance: about
    √(2 p(1 − p) / (π n)) per bin of n cases.
    """
    found = reliability_bins(probabilities, events, bins=bins, adaptive=adaptive)
    total = sum(b.count for b in found)
    return sum(b.count * abs(b.stated - b.observed) for b in found) / total if total else 0.0


def brier(probabilities: npt.ArrayLike, events: npt.ArrayLike) -> float:
    """Mean squared distance of probability and what happened (0 or 1)."""
    p = np.asarray(probabilities, dtype=np.float64)
    return float(np.mean((p - np.asarray(events, dtype=np.float64)) ** 2))


def cluster_interval(
    measure: Callable[..., float],
    arrays: tuple[npt.NDArray[Any], ...],
    clusters: npt.ArrayLike,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval, 95 %, of a measure of cases that come in clusters: whole clusters are drawn.

    Parameters
    ----------
    measure : callable
        Takes `arrays`.
    arrays : tuple of ndarray, each of shape (n,)
        Cases.
    clusters : array_like, shape (n,)
        Which scan, or substance, each case belongs to.
    draws, seed : int
        Of the bootstrap.
    """
    _, number = np.unique(np.asarray(clusters), return_inverse=True)
    members = [np.flatnonzero(number == i) for i in range(int(number.max()) + 1)]
    rng = np.random.default_rng(seed)
    found: FloatArray = np.empty(draws)
    for i in range(draws):
        chosen = np.concatenate([members[j] for j in rng.integers(len(members), size=len(members))])
        found[i] = measure(*(a[chosen] for a in arrays))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
