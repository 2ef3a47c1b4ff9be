"""Smooth shapes on a grid: splines for backgrounds and gains, a bump for what is local."""

from __future__ import annotations

import math

import numpy as np

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = ["bump", "hats", "splines"]


def splines(grid: FloatArray, spacing: float) -> FloatArray:
    """Cubic B-splines over a grid.

    Parameters
    ----------
    grid : ndarray, shape (n_grid,)
        Axis in cm⁻¹.
    spacing : float
        Distance of the knots in cm⁻¹, above 0; the ends get whole splines.

    Returns
    -------
    ndarray, shape (n_grid, n_splines)
        They add up to 1 at every point.

    Raises
    ------
    ParameterError
        If `spacing` is not positive.
    """
    _positive(spacing)
    pieces = max(1, round((grid[-1] - grid[0]) / spacing))
    step = (grid[-1] - grid[0]) / pieces
    centres = grid[0] + step * np.arange(-1, pieces + 2)
    u = np.abs(grid[:, None] - centres[None, :]) / step
    inner = 2 / 3 - u**2 + u**3 / 2
    outer = (2 - u) ** 3 / 6
    return np.asarray(np.where(u < 1, inner, np.where(u < 2, outer, 0.0)))


def hats(grid: FloatArray, spacing: float) -> FloatArray:
    """Triangles over a grid, twice `spacing` wide at the foot; they add up to 1.

    Parameters and errors are those of `splines`; the result has shape (n_grid, n_hats).
    """
    _positive(spacing)
    pieces = max(1, math.ceil((grid[-1] - grid[0]) / spacing))
    centres = grid[0] + spacing * np.arange(pieces + 1)
    return np.asarray(np.maximum(0.0, 1 - np.abs(grid[:, None] - centres[None, :]) / spacing))


def bump(distance: FloatArray) -> FloatArray:
    """Cubic B-spline of height 1 that ends at distance 1: a covariance of finite reach.

    Its Fourier transform is sinc⁴ and never negative, so that every matrix of it is a covariance.

    Parameters
    ----------
    distance : ndarray
        At least 0.
    """
    u = 2 * np.asarray(distance, dtype=np.float64)
    inner = 1 - 1.5 * u**2 + 0.75 * u**3
    outer = 0.25 * np.maximum(2 - u, 0.0) ** 3
    return np.asarray(np.where(u < 1, inner, outer))


def _positive(spacing: float) -> None:
    if not spacing > 0:
        raise ParameterError("spacing", spacing, "above 0 cm⁻¹")
