"""How alike two spectra on one grid are: derivative-cosine and the hit quality index, one pair at a time.

These are the plain forms. `spectralid.identify.retrieval` computes the same numbers for a whole library at
once, and a test holds the two together.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = [
    "DERIVATIVE_WIDTH",
    "derivative_cosine",
    "derivative_window",
    "first_derivative",
    "hit_quality_index",
]

# Width in cm⁻¹ of the derivative window. Simulated on the measured spectra of one unit (axis error of 1 or
# 3 cm⁻¹, bands up to twice as broad, tilted response, noise; `benchmarks/retrieval_thresholds.py`), the share
# of right first places grows up to about this width and flattens after it, while unlike substances keep
# growing alike.
DERIVATIVE_WIDTH: Final = 39.0


def derivative_window(step: float) -> int:
    """Odd number of points of the derivative window on a grid of pitch `step` (cm⁻¹), at least 5.

    Raises
    ------
    ParameterError
        If `step` is not positive.
    """
    if not step > 0:
        raise ParameterError("step", step, "positive")
    return max(5, 2 * round((DERIVATIVE_WIDTH / step - 1) / 2) + 1)


def first_derivative(values: npt.ArrayLike, window: int) -> FloatArray:
    """Savitzky–Golay first derivative of a parabola fitted to `window` evenly spaced points.

    Parameters
    ----------
    values : array_like, shape (n_spectra, n_points) or (n_points,)
        Intensities on an even grid; NaN where missing.
    window : int
        Odd number of points, at least 3.

    Returns
    -------
    ndarray of float64, shape as `values`
        Change per grid step. NaN wherever the window meets a missing point or leaves the grid: a derivative
        over a guessed point would be made up.

    Raises
    ------
    ParameterError
        If `window` is even or too small.

    References
    ----------
    Savitzky, A.; Golay, M. J. E. Anal. Chem. 1964, 36, 1627: for a first derivative by a line or parabola the
    weights are k / Σk², k = -h … h.
    """
    if window < 3 or window % 2 == 0:
        raise ParameterError("window", window, "an odd number of at least 3")
    x = np.asarray(values, dtype=np.float64)
    out = np.full(x.shape, np.nan)
    half = window // 2
    n = x.shape[-1]
    if n < window:
        return out
    inner = np.zeros((*x.shape[:-1], n - 2 * half))
    for k in range(1, half + 1):
        inner += k * (x[..., half + k : n - half + k] - x[..., half - k : n - half - k])
    # The middle point has weight zero but must be known like the rest.
    inner[np.isnan(x[..., half : n - half])] = np.nan
    out[..., half : n - half] = inner / (2 * sum(k * k for k in range(1, half + 1)))
    return out


def _common(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    both = np.isfinite(a) & np.isfinite(b)
    return np.asarray(a[both], dtype=np.float64), np.asarray(b[both], dtype=np.float64)


def derivative_cosine(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Cosine between two derivative spectra over the points that both have.

    Parameters
    ----------
    a, b : ndarray, shape (n_grid,)
        Derivatives (`first_derivative`) on the same grid, NaN where missing.

    Returns
    -------
    float
        -1 … 1; NaN if they have no point in common or one of them is flat there.

    Notes
    -----
    A constant or sloping background drops out of a derivative or becomes small, which is why it needs no
    baseline first. The cosine does not change with the scale of either spectrum.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid.identify import derivative_cosine
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> round(derivative_cosine(band, 3 * band + 0.01 * axis), 3)
    0.916
    """
    x, y = _common(a, b)
    norm = math.sqrt(float(x @ x) * float(y @ y))
    return float(np.clip(float(x @ y) / norm, -1.0, 1.0)) if norm > 0 else math.nan


def hit_quality_index(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Hit quality index of two spectra over the points that both have: the squared correlation.

    Parameters
    ----------
    a, b : ndarray, shape (n_grid,)
        Intensities on the same grid, NaN where missing. A baseline is not removed here: what the index is
        worth depends on what was done before, so that stays in the caller's hands.

    Returns
    -------
    float
        0 … 1; NaN if they have fewer than two points in common or one of them is constant there.

    Notes
    -----
    HQI = (ã · b̃)² / ((ã · ã) (b̃ · b̃))

    with ã, b̃ centred on their means over the common points: the "correlation" search of the common library
    programs (Thermo Galactic, Spectral Library Search, algorithm "Correlation"). Programs differ: some report
    one minus it, some leave the means in; ASTM E2310 (withdrawn 2024) describes Euclidean distances instead.
    The square hides the sign, so a negative correlation counts as 0.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid.identify import hit_quality_index
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> round(hit_quality_index(band, 3 * band + 5), 3)
    1.0
    >>> round(hit_quality_index(band, 3 * band + 0.1 * axis), 3)
    0.26
    """
    x, y = _common(a, b)
    if x.size < 2:
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    norm = math.sqrt(float(x @ x) * float(y @ y))
    if norm == 0:
        return math.nan
    return float(min(1.0, max(0.0, float(x @ y) / norm) ** 2))
