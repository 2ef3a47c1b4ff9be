"""Fitting a linkage model, and measuring what its likelihood ratios are worth.

References
----------
Vergeer et al., Sci. Justice 56 (2016) 482 (empirical bounds); Ramos and Gonzalez-Rodriguez, Forensic Sci.
Int. 230 (2013) 156 (empirical cross-entropy); of the cost see `spectralid.qa.likelihood_ratios`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectralid.qa.likelihood_ratios import cllr, cllr_min
from spectralid.spectrum import FloatArray

__all__ = ["Measures", "bounds", "cross_entropy", "fit", "measure"]

Flags = npt.NDArray[np.bool_]
_LN10 = math.log(10.0)
_RIDGE = 1e-4


@dataclass(frozen=True, slots=True)
class Measures:
    """What likelihood ratios are worth where the truth is known.

    Attributes
    ----------
    same, different : int
        Pairs.
    independent : int
        Independent pairs of batches among the different ones.
    cllr, cllr_min : float
        Cost in bits: 1 of a system that says nothing, 0 of one that is always right; and what it would be
        with perfect calibration. The difference is what miscalibration costs.
    misleading_same, misleading_different : float
        Share of same pairs with a ratio below 1, of different pairs with one above 1.
    strongly_misleading : float
        Share of different pairs with a ratio of 10 or more.
    """

    same: int
    different: int
    independent: int
    cllr: float
    cllr_min: float
    misleading_same: float
    misleading_different: float
    strongly_misleading: float

    def to_dict(self) -> dict[str, Any]:
        """Plain, rounded."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


def bounds(same: FloatArray, different: FloatArray, *, independent: int) -> tuple[float, float]:
    """How far ratios can be believed: beyond, one more misleading case would make the system worse than none.

    Parameters
    ----------
    same, different : ndarray
        log₁₀ ratios where the truth is known.
    independent : int
        Independent pairs of batches behind each of them: pairs of one batch are not worth one each.

    Returns
    -------
    tuple of float
        Lowest and highest log₁₀ ratio supported; (0, 0) if none is.

    Notes
    -----
    At a threshold t, deciding by the ratios costs P(miss) + t P(false) against min(1, t) of deciding without,
    with one misleading case added to each share (empirical lower and upper bound of Vergeer et al.).
    """
    thresholds = np.linspace(-6.0, 6.0, 2401)
    t = 10.0**thresholds
    missed = np.searchsorted(np.sort(same), thresholds, side="right") / same.size + 1.0 / independent
    false = 1 - np.searchsorted(np.sort(different), thresholds, side="right") / different.size
    worth = missed + t * (false + 1.0 / independent) < np.minimum(1.0, t)
    if not worth.any():
        return 0.0, 0.0
    # Only the stretch around 1 counts: beyond a threshold where it fails, it is not believed again.
    middle = int(np.argmin(np.abs(thresholds)))
    if not worth[middle]:
        return 0.0, 0.0
    fails = np.flatnonzero(~worth)
    low = fails[fails < middle].max(initial=-1) + 1
    high = fails[fails > middle].min(initial=thresholds.size) - 1
    return float(thresholds[low]), float(thresholds[high])


def measure(same: FloatArray, different: FloatArray, *, independent: int) -> Measures:
    """What log₁₀ ratios are worth where the truth is known."""
    return Measures(
        same=int(same.size),
        different=int(different.size),
        independent=independent,
        cllr=cllr(same, different),
        cllr_min=cllr_min(same, different),
        misleading_same=float((same < 0).mean()),
        misleading_different=float((different > 0).mean()),
        strongly_misleading=float((different >= 1).mean()),
    )


def cross_entropy(same: FloatArray, different: FloatArray, prior_log10_odds: FloatArray) -> FloatArray:
    """Empirical cross-entropy in bits at each prior; at even odds it is the cost."""
    odds = prior_log10_odds[:, np.newaxis] * _LN10
    prior = 1.0 / (1.0 + np.exp(-odds[:, 0]))
    miss = np.logaddexp(0.0, -(same * _LN10 + odds)).mean(axis=1)
    false = np.logaddexp(0.0, different * _LN10 + odds).mean(axis=1)
    return np.asarray((prior * miss + (1 - prior) * false) / math.log(2))


def fit(
    x: FloatArray,
    same: Flags,
    x_calibration: FloatArray,
    same_calibration: Flags,
    *,
    signs: Sequence[int],
    independent: int,
) -> dict[str, Any]:
    """Weights, calibrated on other batches than they were fitted on, and the bounds of what they give.

    Parameters
    ----------
    x, same : ndarray
        Features of pairs and whether they are of one source.
    x_calibration, same_calibration : ndarray
        The same of pairs of other batches.
    signs : sequence of int
        1 for features that may only speak for one source as they grow, -1 for those that may only speak
        against it. Without, correlated features get weights that make no sense far from the pairs fitted.
    independent : int
        Independent pairs of batches among those.

    Returns
    -------
    dict
        ``offset``, ``weights``, ``low``, ``high``, for log₁₀ ratios.
    """
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    weights = _weights((x - centre) / scale, same, np.array(signs)) / scale
    score = x_calibration @ weights
    slope, offset = _calibrated(score, same_calibration)
    raw = (offset + slope * score) / _LN10
    low, high = bounds(raw[same_calibration], raw[~same_calibration], independent=independent)
    return {
        "offset": float(f"{offset / _LN10:.6g}"),
        "weights": [float(f"{w:.6g}") for w in slope * weights / _LN10],
        "low": round(low, 2),
        "high": round(high, 2),
    }


def _weights(x: FloatArray, same: Flags, signs: FloatArray) -> FloatArray:
    """Logistic regression, classes of equal weight, ridge, each weight of its sign."""
    from scipy.optimize import minimize

    sign = np.where(same, 1.0, -1.0)
    weight = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())

    def cost(p: FloatArray) -> tuple[float, FloatArray]:
        margin = sign * (p[0] + x @ p[1:])
        slope = -weight * sign / (1.0 + np.exp(margin))
        value = float(weight @ np.logaddexp(0.0, -margin)) + _RIDGE * float(p[1:] @ p[1:])
        return value, np.concatenate([[slope.sum()], slope @ x + 2 * _RIDGE * p[1:]])

    bounds_ = [(None, None), *((0.0, None) if s > 0 else (None, 0.0) for s in signs)]
    found = minimize(cost, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds_)
    return np.asarray(found.x[1:])


def _calibrated(score: FloatArray, same: Flags) -> tuple[float, float]:
    """Slope (never negative) and offset that make a score the logarithm of a ratio."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e3, class_weight="balanced", max_iter=2000)
    width = float(score.std()) or 1.0
    model.fit(score[:, np.newaxis] / width, same)
    return max(float(model.coef_[0, 0]) / width, 0.0), float(model.intercept_[0])
