"""Savitzky–Golay filtering: a polynomial fitted to a sliding window, on even and uneven axes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.preprocess._points import by_missing, is_even, local_spacing, mean_spacing, runs
from spectralid.spectrum import FloatArray

__all__ = ["check_window", "local_polynomial"]

IntArray = npt.NDArray[np.int64]


def check_window(window: int, order: int, derivative: int = 0) -> None:
    """Raise `ParameterError` unless window, order and derivative make a filter."""
    if order >= window:
        raise ParameterError("order", order, f"below the window ({window} points)")
    if derivative > order:
        raise ParameterError("derivative", derivative, f"at most the order of the polynomial ({order})")


def local_polynomial(
    axis: FloatArray, X: FloatArray, window: int, order: int, derivative: int
) -> tuple[FloatArray, IntArray]:
    """Value or derivative of a polynomial fitted to the `window` points around each point.

    At the ends of a run of measured points the last full window is used. Short gaps are bridged by the points
    around them, at their true positions; a gap of half a window or more ends the run.

    Parameters
    ----------
    axis : ndarray of float, shape (n_points,)
        Ascending, in cm⁻¹.
    X : ndarray of float, shape (n_spectra, n_points)
        Intensities; NaN where missing.
    window : int
        Points in the window.
    order : int
        Order of the polynomial.
    derivative : int
        Which derivative; 0 for the value.

    Returns
    -------
    filtered : ndarray of float, shape (n_spectra, n_points)
        Intensity per cm⁻¹ to the power of `derivative`; NaN where missing and where a run is shorter than
        the window.
    lost : ndarray of int, shape (n_spectra,)
        Measured points lost because their run is shorter than the window.

    References
    ----------
    A. Savitzky, M. J. E. Golay, Anal. Chem. 36 (1964) 1627.
    """
    if window > axis.size:
        raise ParameterError("window", window, f"at most the number of points of the spectrum ({axis.size})")
    out: FloatArray = np.full(X.shape, np.nan)
    reach = max(2.0, window // 2) * 1.01 * local_spacing(axis)
    lost = np.zeros(X.shape[0], dtype=np.int64)
    for rows, measured in by_missing(X):
        for run in runs(axis, measured, reach):
            if run.size < window:
                lost[rows] += run.size
                continue
            start, coefficients = _coefficients(axis[run], window, order, derivative)
            filtered = np.zeros((rows.size, run.size))
            values = X[np.ix_(rows, run)]
            for j in range(window):
                filtered += coefficients[:, j] * values[:, start + j]
            out[np.ix_(rows, run)] = filtered
    return out, lost


def _coefficients(x: FloatArray, window: int, order: int, derivative: int) -> tuple[IntArray, FloatArray]:
    """First point of each point's window, and the weights of its points, shape (n_points, window)."""
    start = np.clip(np.arange(x.size, dtype=np.int64) - window // 2, 0, x.size - window)
    if is_even(x):
        # Only the place of the point in its window matters: window different rows instead of n_points.
        places = np.arange(window, dtype=np.float64)
        offsets = (places - places[:, np.newaxis]) * mean_spacing(x)
        return start, _fit_weights(offsets, order, derivative)[np.arange(x.size) - start]
    offsets = x[start[:, np.newaxis] + np.arange(window)] - x[:, np.newaxis]
    return start, _fit_weights(offsets, order, derivative)


def _fit_weights(offsets: FloatArray, order: int, derivative: int) -> FloatArray:
    """Weights that give the derivative at offset 0 of the polynomial fitted at `offsets`, row by row."""
    # Scaled to [-1, 1] so that the powers stay well conditioned.
    scale = np.max(np.abs(offsets), axis=1, keepdims=True)
    powers = (offsets / scale)[:, :, np.newaxis] ** np.arange(order + 1)
    q, r = np.linalg.qr(powers)
    weights = np.linalg.solve(r, np.swapaxes(q, 1, 2))[:, derivative, :]
    return np.asarray(math.factorial(derivative) * weights / scale**derivative)
