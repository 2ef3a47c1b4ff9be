"""How alike references of a library are, each with each; and whether two of them are one scan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.identify.similarity import derivative_window, first_derivative
from spectralid.spectrum import FloatArray

__all__ = ["NoiseMatch", "likeness", "noise_match"]

# Fewer common points (about 450 cm⁻¹) say nothing about likeness.
_LEAST_COMMON: Final = 150
# A quiet point: the smoothed spectrum's curvature is below this quantile, so that a band hardly shows in what
# smoothing leaves.
_QUIET: Final = 0.5
_LEAST_QUIET: Final = 120
# Points of the polynomial that takes the spectrum away and leaves the noise.
_WINDOW: Final = 9
_ORDER: Final = 3


def likeness(values: npt.NDArray[Any], step: float) -> FloatArray:
    """Derivative cosine of every pair of spectra over the points that both have.

    Parameters
    ----------
    values : ndarray, shape (n, n_grid)
        On a common even grid; NaN where missing.
    step : float
        Its pitch in cm⁻¹.

    Returns
    -------
    ndarray, shape (n, n)
        -1 … 1; NaN where two share too few points, or one is flat there.
    """
    slopes = first_derivative(values, derivative_window(step))
    known = np.isfinite(slopes)
    held = np.where(known, slopes, 0.0)
    mask = known.astype(np.float64)
    common = mask @ mask.T
    length = (held**2) @ mask.T
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (held @ held.T) / np.sqrt(length * length.T)
    cosine[(common < _LEAST_COMMON) | ~np.isfinite(cosine)] = np.nan
    return np.clip(cosine, -1.0, 1.0)


@dataclass(frozen=True, slots=True)
class NoiseMatch:
    """Whether the noise of two spectra is the same.

    Attributes
    ----------
    correlation : float
        Of what smoothing leaves, over quiet points, -1 … 1.
    points : int
        How many.
    z : float
        The correlation in standard deviations of what two independent scans show (Fisher's transformation,
        with the points that smoothing leaves independent).
    """

    correlation: float
    points: int
    z: float


def noise_match(
    axis: FloatArray, one: FloatArray, other_axis: FloatArray, other: FloatArray
) -> NoiseMatch | None:
    """Compare the noise of two spectra: two scans never have the same, one scan saved twice has.

    Scaling, an offset, a slowly varying baseline and another format leave noise as it is; smoothing does not.

    Parameters
    ----------
    axis, one : ndarray, shape (n,)
        Ascending axis in cm⁻¹, and values.
    other_axis, other : ndarray, shape (m,)
        The other spectrum.

    Returns
    -------
    NoiseMatch or None
        ``None`` where nothing can be told: they share too few points, or show no noise.
    """
    low, high = max(axis[0], other_axis[0]), min(axis[-1], other_axis[-1])
    inside = (axis >= low) & (axis <= high)
    if inside.sum() < 2 * _LEAST_QUIET:
        return None
    # On the points of the first: resampling the other keeps its noise where the points are the same.
    x = axis[inside]
    pair = np.stack([one[inside], np.interp(x, other_axis, other)])
    if not np.isfinite(pair).all():
        return None
    left, curvature = _noise(pair)
    quiet = np.all(curvature <= np.quantile(curvature, _QUIET, axis=1, keepdims=True), axis=0)
    if quiet.sum() < _LEAST_QUIET:
        return None
    a, b = left[:, quiet]
    a, b = a - a.mean(), b - b.mean()
    if not (_noisy(a, pair[0]) and _noisy(b, pair[1])):
        return None
    r = float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))
    # Smoothing over nine points takes a part of the freedom.
    free = int(quiet.sum()) * (1 - (_ORDER + 1) / _WINDOW)
    z = math.atanh(max(-0.999999, min(0.999999, r))) * math.sqrt(max(free - 3, 1.0))
    return NoiseMatch(r, int(quiet.sum()), z)


def _noise(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    from scipy.signal import savgol_filter

    smooth = savgol_filter(values, _WINDOW, _ORDER, axis=1)
    curvature = np.abs(savgol_filter(values, 2 * _WINDOW + 1, _ORDER, deriv=2, axis=1))
    return values - smooth, curvature


def _noisy(left: FloatArray, values: FloatArray) -> bool:
    """Whether what is left is noise, not rounding: a computed or smoothed curve has none."""
    return float(left.std()) > 1e-6 * float(np.ptp(values))
