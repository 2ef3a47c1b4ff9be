"""Bringing spectra to another grid without inventing or losing resolution.

Without scikit-learn, because matching a spectrum needs this and nothing else of the package.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.preprocess._constraints import Axis, Choice
from spectralid.preprocess._points import as_axis, as_spectra, by_missing, local_spacing, runs
from spectralid.spectrum import FloatArray

__all__ = ["METHODS", "Method", "resample", "to_grid"]

Method = Literal["pchip", "linear"]
METHODS: Final[tuple[str, ...]] = get_args(Method)

# Gaps of up to this many local spacings are bridged where the resolution is not known: spectrometers place
# about three points on their narrowest band, so that one or two missing points hide nothing.
GAP_SPACINGS: Final = 3.0

_FWHM_PER_SIGMA: Final = 2 * math.sqrt(2 * math.log(2))
_KERNEL_SIGMAS: Final = 4.0


def resample(
    axis: npt.ArrayLike, X: npt.ArrayLike, grid: npt.ArrayLike, *, method: Method = "pchip"
) -> FloatArray:
    """Spectra on another grid.

    Where the grid is coarser than the source, each new point averages over its cell; where it is finer, the
    source is interpolated without overshoot. Nothing is extrapolated.

    Parameters
    ----------
    axis : array_like of float, shape (n_points,)
        Axis of the source in cm⁻¹, strictly ascending.
    X : array_like of float, shape (n_points,) or (n_spectra, n_points)
        Intensities; NaN where missing.
    grid : array_like of float, shape (n_grid,)
        New axis in cm⁻¹, strictly ascending.
    method : {"pchip", "linear"}
        Interpolation: monotone cubic, or straight lines.

    Returns
    -------
    ndarray of float, shape (n_grid,) or (n_spectra, n_grid)
        NaN outside the measured range and in gaps wider than three local spacings of the source.

    Raises
    ------
    ParameterError
        If axis, grid or method is not allowed.
    InvalidSpectrumError
        If axis and intensities do not make spectra.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid.preprocess import resample
    >>> resample([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0], np.array([0.5, 2.5, 9.0]))
    array([0.5, 2.5, nan])
    """
    Choice(METHODS).check("method", method)
    if grid is None:
        raise ParameterError("grid", None, "given")
    Axis().check("grid", grid)
    single = np.ndim(X) == 1
    spectra = as_spectra(np.atleast_2d(np.asarray(X)))
    points = as_axis(axis, spectra.shape[1])
    values, _ = to_grid(points, spectra, np.asarray(grid, dtype=np.float64), method)
    return values[0] if single else values


def to_grid(
    axis: FloatArray,
    X: FloatArray,
    grid: FloatArray,
    method: Method,
    to_fwhm: float | None = None,
    from_fwhm: float | None = None,
) -> tuple[FloatArray, float | None]:
    """Spectra on another grid, and in another resolution if both resolutions are given.

    Parameters
    ----------
    axis, X, grid, method
        As for `resample`, checked, X of shape (n_spectra, n_points).
    to_fwhm, from_fwhm : float, optional
        Resolution wanted and that of the source in cm⁻¹.

    Returns
    -------
    values : ndarray of float, shape (n_spectra, n_grid)
    kernel_fwhm : float or None
        Width of the Gaussian the source was convolved with, 0 if it was coarse enough already; None if cells
        were averaged instead.

    Raises
    ------
    ParameterError
        If the grid is too coarse for the resolution wanted.
    """
    spacing = local_spacing(axis)
    cells = _spacing_at(grid, grid, local_spacing(grid))
    reach = np.maximum(GAP_SPACINGS * 1.01 * spacing, from_fwhm or 0.0)
    if to_fwhm is None or from_fwhm is None:
        # A point of the source stands for its own spacing already; variances of boxes add.
        box = np.sqrt(np.maximum(cells**2 - _spacing_at(grid, axis, spacing) ** 2, 0.0))
        return _resample(axis, X, grid, method, box, 0.0, reach), None
    if np.max(cells) > to_fwhm:
        raise ParameterError("resolution_cm1", to_fwhm, f"at least the grid's step ({np.max(cells):g} cm⁻¹)")
    kernel = math.sqrt(max(to_fwhm**2 - from_fwhm**2, 0.0))
    return _resample(axis, X, grid, method, None, kernel, reach), kernel


def _resample(
    axis: FloatArray,
    X: FloatArray,
    grid: FloatArray,
    method: Method,
    box: FloatArray | None,
    gaussian: float,
    reach: FloatArray,
) -> FloatArray:
    """Interpolate, averaging over a box of width `box` around each grid point, or with a Gaussian."""
    out = np.full((X.shape[0], grid.size), np.nan)
    rounding = 1e-6 * float(np.min(np.diff(axis)))
    spacing = float(np.median(np.diff(axis)))
    for rows, measured in by_missing(X):
        for run in runs(axis, measured, reach):
            if run.size < 2:
                continue
            x = axis[run]
            inside = np.flatnonzero((grid >= x[0] - rounding) & (grid <= x[-1] + rounding))
            if not inside.size:
                continue
            at = np.clip(grid[inside], x[0], x[-1])
            # Kernels are cut on both sides alike at the ends of a run: one-sided, they would shift bands.
            room = np.minimum(at - x[0], x[-1] - at)
            curve = _interpolant(x, X[np.ix_(rows, run)], method)
            if box is None:
                values = _gaussian_mean(curve, at, room, gaussian, spacing)
            else:
                values = _box_mean(curve, at, np.minimum(box[inside] / 2, room), spacing)
            out[np.ix_(rows, inside)] = values.T
    return out


def _interpolant(x: FloatArray, Y: FloatArray, method: Method) -> Any:
    """Piecewise polynomial through the points; called with positions it gives (n_positions, n_spectra)."""
    from scipy.interpolate import PchipInterpolator, PPoly

    if method == "pchip":
        # Its harmonic means of slopes overflow, harmlessly, on the flat feet of computed bands.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return PchipInterpolator(x, Y.T, axis=0)
    slopes = np.diff(Y.T, axis=0) / np.diff(x)[:, np.newaxis]
    return PPoly(np.stack([slopes, Y.T[:-1]]), x)


def _box_mean(curve: Any, at: FloatArray, half: FloatArray, spacing: float) -> FloatArray:
    values: FloatArray = curve(at)
    # A box this narrow changes nothing, and the difference of two integrals would drown in rounding.
    wide = np.flatnonzero(half > 1e-3 * spacing)
    if wide.size:
        area = curve.antiderivative()
        high, low = at[wide] + half[wide], at[wide] - half[wide]
        values[wide] = (area(high) - area(low)) / (high - low)[:, np.newaxis]
    return values


def _gaussian_mean(curve: Any, at: FloatArray, room: FloatArray, fwhm: float, spacing: float) -> FloatArray:
    if fwhm == 0:
        return np.asarray(curve(at))
    sigma = fwhm / _FWHM_PER_SIGMA
    # Fine enough for both the kernel and the source; never more than some hundred places.
    step = max(min(sigma, spacing) / 2, sigma / 50)
    count = math.ceil(_KERNEL_SIGMAS * sigma / step)
    total = curve(at)
    weight = np.ones(at.size)
    for k in range(1, count + 1):
        w = math.exp(-((k * step / sigma) ** 2) / 2) * (k * step <= room)
        for side in (-1, 1):
            total += w[:, np.newaxis] * curve(np.where(w > 0, at + side * k * step, at))
        weight += 2 * w
    return np.asarray(total / weight[:, np.newaxis])


def _spacing_at(positions: FloatArray, axis: FloatArray, spacing: FloatArray) -> FloatArray:
    """Spacing of `axis` (given for its intervals) at `positions`."""
    return np.asarray(np.interp(positions, (axis[1:] + axis[:-1]) / 2, spacing))
