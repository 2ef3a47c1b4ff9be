"""The share of a substance that is found half the time, or nine times in ten: LOD50 and LOD90 from a study.

A probit curve over the logarithm of the share, by maximum likelihood (D. J. Finney, Probit Analysis), with
intervals from the profile of the likelihood: they stay true when a study has few samples, and where all found
samples lie above all that were missed, which has no finite slope. False alarms on blanks are the curve's foot
(Abbott's formula).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import InputError, ParameterError
from spectralid.spectrum import FloatArray

__all__ = [
    "DetectionBound",
    "DetectionCurve",
    "DetectionLimit",
    "NoDetectionCurveError",
    "detection_bounds",
    "detection_curve",
]

# Per decade of share; steeper than this is a step for any study.
_STEEPEST: Final = 1e3
_FLATTEST: Final = 1e-3
# Log-likelihoods that differ by less are of equal data.
_EQUAL: Final = 1e-9
# How far beyond the levels studied an end of an interval is looked for, in decades.
_REACH: Final = 6.0


class NoDetectionCurveError(InputError):
    """The levels of a study show no curve: all were found, or none, or more at the lower ones."""


@dataclass(frozen=True, slots=True)
class DetectionLimit:
    """A share that is found with a probability.

    Attributes
    ----------
    probability : float
        0.5 for LOD50, 0.9 for LOD90.
    share : float
        The most likely value, in the unit of the levels.
    low, high : float
        Its interval; 0 or infinite where the study does not bound it.
    """

    probability: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DetectionBound:
    """What is known of a limit where every sample was found, or none.

    Attributes
    ----------
    probability : float
        0.5 for LOD50, 0.9 for LOD90.
    low, high : float
        The limit is above the one and not above the other, in the unit of the levels; 0 or infinite where the
        study does not bound it.
    needed : int
        Independent samples, all alike, that bound it.
    """

    probability: float
    low: float
    high: float
    needed: int


@dataclass(frozen=True, slots=True)
class DetectionCurve:
    """How the chance of being found grows with the share.

    Attributes
    ----------
    limits : tuple of DetectionLimit
        One for each probability that was asked for.
    slope : float
        Probits per decade; infinite where found and missed do not overlap.
    foot : float
        Share of blanks that gave an alarm, 0 … 1.
    fit_p : float or None
        How often a true curve of this shape gives counts at least as far from it (likelihood-ratio test);
        small: the shape is wrong, and so are the intervals. ``None`` where nothing can be tested.
    levels, found, of : ndarray, shape (n,)
        What it is drawn from, blanks left out.
    confidence : float
        Of the intervals.
    """

    limits: tuple[DetectionLimit, ...]
    slope: float
    foot: float
    fit_p: float | None
    levels: FloatArray
    found: FloatArray
    of: FloatArray
    confidence: float

    def chance(self, share: npt.ArrayLike) -> FloatArray:
        """Chance of being found at a share, by the most likely curve."""
        from scipy.special import ndtr, ndtri

        first = self.limits[0]
        x = np.log10(np.asarray(share, dtype=np.float64)) - math.log10(first.share)
        steep = min(self.slope, _STEEPEST)
        raised = self.foot + (1 - self.foot) * ndtr(ndtri(first.probability) + steep * x)
        return np.asarray(raised, dtype=np.float64)


def detection_curve(
    levels: Sequence[float],
    found: Sequence[int],
    of: Sequence[int],
    *,
    probabilities: Sequence[float] = (0.5, 0.9),
    confidence: float = 0.95,
) -> DetectionCurve:
    """Fit the curve of a study.

    Parameters
    ----------
    levels : sequence of float
        Shares studied, in any one unit, 0 or more; 0 is a blank. In any order, and a level may come twice.
    found, of : sequence of int
        How many of how many samples were found at each.
    probabilities : sequence of float
        Of the limits wanted, each above 0 and below 1: of being found because it is there.
    confidence : float
        Of each interval, above 0 and below 1.

    Returns
    -------
    DetectionCurve
        The curve and the limits with their intervals.

    Raises
    ------
    ParameterError
        If numbers are out of their range or not of one length.
    NoDetectionCurveError
        If the levels above 0 were all found or all missed, or more were found at the lower ones.

    Examples
    --------
    >>> from spectralid.qa.detection import detection_curve
    >>> curve = detection_curve([0.01, 0.02, 0.05, 0.1], [1, 9, 17, 20], [20, 20, 20, 20])
    >>> [(limit.probability, round(limit.share, 3)) for limit in curve.limits]
    [(0.5, 0.024), (0.9, 0.052)]
    """
    x, hits, n, foot = _counts(levels, found, of)
    if not 0 < confidence < 1:
        raise ParameterError("confidence", confidence, "above 0 and below 1")
    if not probabilities or not all(0 < p < 1 for p in probabilities):
        raise ParameterError("probabilities", tuple(probabilities), "each above 0 and below 1")
    if hits.sum() in (0, n.sum()):
        said = "found" if hits.sum() else "missed"
        raise NoDetectionCurveError(
            f"Every sample above a share of 0 was {said}; a limit needs levels where some are found and some "
            "are not."
        )
    model = _Model(x, hits, n, foot)
    best_at, best_slope, best = model.best()
    if best_slope <= _FLATTEST * 1.01:
        raise NoDetectionCurveError(
            "No more were found at higher shares than at lower ones; what was found is not what was added."
        )
    limits = tuple(_limit(model, p, best, best_at, best_slope, confidence) for p in probabilities)
    step = best_slope >= _STEEPEST / 1.01
    return DetectionCurve(
        limits, math.inf if step else best_slope, foot, model.fit_p(best), 10**x, hits, n, confidence
    )


def detection_bounds(
    levels: Sequence[float],
    groups: Sequence[Hashable],
    *,
    found: bool,
    probabilities: Sequence[float] = (0.5, 0.9),
    confidence: float = 0.95,
) -> tuple[DetectionBound, ...]:
    """Bounds of the limits where every sample was found, or none: there is no curve to fit then.

    Parameters
    ----------
    levels : sequence of float
        Share of each sample, above 0.
    groups : sequence of hashable
        What each belongs to; samples of one group count as one.
    found : bool
        Whether all were found; otherwise none was.
    probabilities, confidence
        As of `detection_curve`; one-sided.

    Returns
    -------
    tuple of DetectionBound
        One for each probability.

    Notes
    -----
    Taken for granted is only that the chance of being found does not fall as the share grows. If all n
    groups at or below a share were found, their chance is at least 1 - `confidence` to the power of 1/n, and
    that at the share itself no less; it bounds a limit from above once that reaches its probability. None
    found at or above a share bounds it from below in the same way.
    """
    each = sorted(set(levels), reverse=not found)
    bounds = []
    for probability in probabilities:
        needed = math.ceil(math.log(1 - confidence) / math.log(probability if found else 1 - probability))
        at = next(
            (
                level for level in each
                if len({g for x, g in zip(levels, groups, strict=True) if x == level or (x < level) == found})
                >= needed
            ),
            None,
        )  # fmt: skip
        low, high = (0.0, at or math.inf) if found else (at or 0.0, math.inf)
        bounds.append(DetectionBound(probability, low, high, needed))
    return tuple(bounds)


def _counts(
    levels: Sequence[float], found: Sequence[int], of: Sequence[int]
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    share = np.asarray(levels, dtype=np.float64)
    hits, n = np.asarray(found, dtype=np.float64), np.asarray(of, dtype=np.float64)
    if not (share.ndim == 1 and share.shape == hits.shape == n.shape):
        raise ParameterError(
            "levels", f"shapes {share.shape}, {hits.shape}, {n.shape}", "three of one length"
        )
    if not (np.isfinite(share).all() and (share >= 0).all()):
        raise ParameterError("levels", share.min(initial=0.0), "finite shares, 0 or more")
    if not ((n >= 1).all() and (hits >= 0).all() and (hits <= n).all()):
        raise ParameterError("found", "counts", "0 to as many as there were, of 1 or more, at each level")
    blank = share == 0
    foot = float(hits[blank].sum() / n[blank].sum()) if blank.any() else 0.0
    if foot == 1 or blank.all():
        raise NoDetectionCurveError("There are only blanks, or all of them gave an alarm: nothing to find.")
    each = np.unique(share[~blank])
    together = [(share == level) & ~blank for level in each]
    return (
        np.log10(each),
        np.array([hits[which].sum() for which in together]),
        np.array([n[which].sum() for which in together]),
        foot,
    )


@dataclass(frozen=True, slots=True)
class _Model:
    """The likelihood of counts at decimal logarithms of shares."""

    x: FloatArray
    hits: FloatArray
    n: FloatArray
    foot: float

    def log_likelihood(self, at: npt.ArrayLike, slope: npt.ArrayLike, probit: float = 0.0) -> FloatArray:
        """With `at` the logarithm of the share whose probit is `probit`; for many pairs at once."""
        from scipy.special import log_ndtr

        where, steep = np.broadcast_arrays(np.asarray(at, float), np.asarray(slope, float))
        linear = probit + steep[..., None] * (self.x - where[..., None])
        # Of being missed: (1 - foot) of the curve's other tail, in logarithms where the tail is thin.
        missed = log_ndtr(-linear) + math.log1p(-self.foot)
        seen = log_ndtr(linear)
        if self.foot:
            seen = np.log(self.foot + (1 - self.foot) * np.exp(seen))
        with np.errstate(invalid="ignore"):
            terms = np.where(self.hits > 0, self.hits * seen, 0.0)
            terms += np.where(self.n > self.hits, (self.n - self.hits) * missed, 0.0)
        return np.asarray(terms.sum(axis=-1), dtype=np.float64)

    def profile(self, at: float, probit: float = 0.0) -> tuple[float, float]:
        """The likeliest slope for a limit, the steepest of equals, and its log-likelihood."""
        low, high = math.log(_FLATTEST), math.log(_STEEPEST)
        for points in (65, 17, 17, 17):
            slopes = np.linspace(low, high, points)
            values = self.log_likelihood(at, np.exp(slopes), probit)
            top = int(np.flatnonzero(values >= values.max() - _EQUAL)[-1])
            low, high = slopes[max(top - 1, 0)], slopes[min(top + 1, points - 1)]
        return math.exp(slopes[top]), float(values[top])

    def best(self) -> tuple[float, float, float]:
        """The likeliest LOD50 as a logarithm, its slope and their log-likelihood."""
        low, high = self.x.min() - 1, self.x.max() + 1
        slopes = np.geomspace(_FLATTEST, _STEEPEST, 65)
        for points in (161, 17, 17, 17):
            places = np.linspace(low, high, points)
            values = self.log_likelihood(places[:, None], slopes[None, :]).max(axis=1)
            top = np.flatnonzero(values >= values.max() - _EQUAL)
            if top.size > 1:
                # A step anywhere between two levels is as likely: its middle stands for all.
                middle = float((places[top[0]] + places[top[-1]]) / 2)
                return middle, *self.profile(middle)
            i = int(top[0])
            low, high = places[max(i - 1, 0)], places[min(i + 1, points - 1)]
            around = self.profile(float(places[i]))[0]
            slopes = np.geomspace(max(around / 2, _FLATTEST), min(around * 2, _STEEPEST), 65)
        place = float(places[i])
        return place, *self.profile(place)

    def fit_p(self, best: float) -> float | None:
        from scipy.special import xlogy
        from scipy.stats import chi2

        free = self.x.size - 2
        if free < 1:
            return None
        share = self.hits / self.n
        saturated = float((xlogy(self.hits, share) + xlogy(self.n - self.hits, 1 - share)).sum())
        return float(chi2.sf(max(0.0, 2 * (saturated - best)), free))


def _limit(
    model: _Model, probability: float, best: float, at: float, slope: float, confidence: float
) -> DetectionLimit:
    from scipy.special import ndtri
    from scipy.stats import chi2

    probit = float(ndtri(probability))
    place = at + probit / slope
    drop = float(chi2.ppf(confidence, 1)) / 2

    def inside(where: float) -> float:
        return model.profile(where, probit)[1] - best + drop

    low = _edge(inside, place, model.x.min() - _REACH)
    high = _edge(inside, place, model.x.max() + _REACH)
    return DetectionLimit(
        probability,
        10**place,
        10**low if low is not None else 0.0,
        10**high if high is not None else math.inf,
    )


def _edge(inside: Callable[[float], float], start: float, end: float) -> float | None:
    """Where the interval ends between its best value and the end of the search; None if it does not."""
    from scipy.optimize import brentq

    if inside(end) > 0:
        return None
    return float(brentq(inside, start, end, xtol=1e-6))
