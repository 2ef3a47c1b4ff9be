"""The Whittaker smoother on any axis, with missing points."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from spectralid.errors import InvalidSpectrumError
from spectralid.preprocess._points import mean_spacing
from spectralid.spectrum import FloatArray

__all__ = ["stiffness", "whittaker"]


def stiffness(scale_cm1: float, spacing: float, order: int) -> float:
    """Weight of the roughness that halves structure of period `scale_cm1` on points `spacing` apart.

    A sine of angular frequency w per point is passed by 1 / (1 + lam · (2 sin(w/2))^(2 order)); for periods
    of several points the sine is its argument.
    """
    return float((scale_cm1 / (2 * math.pi * spacing)) ** (2 * order))


def whittaker(
    axis: FloatArray, Y: FloatArray, measured: npt.NDArray[np.bool_], lam: float, order: int
) -> FloatArray:
    """Solve ``(W + lam DᵀD) z = W y`` for every spectrum.

    Parameters
    ----------
    axis : ndarray of float, shape (n_points,)
        Ascending.
    Y : ndarray of float, shape (n_spectra, n_points)
        Intensities; any finite value where not measured.
    measured : ndarray of bool, shape (n_points,)
        Points that count; more than `order` of them.
    lam : float
        Weight of the roughness, for points one spacing apart.
    order : int
        Order of the differences.

    Returns
    -------
    ndarray of float, shape (n_spectra, n_points)

    Raises
    ------
    InvalidSpectrumError
        If rounding leaves nothing of the equations: points a millionth of the smoothing's width apart.
    """
    from scipy.linalg import LinAlgError, solveh_banded

    rows = _difference_rows(axis / mean_spacing(axis), order)
    bands = np.zeros((order + 1, axis.size))
    bands[0] = measured
    for below in range(order + 1):
        for column in range(order + 1 - below):
            product = lam * rows[:, column] * rows[:, column + below]
            bands[below, column : column + rows.shape[0]] += product
    try:
        solution: FloatArray = solveh_banded(bands, (Y * measured).T, lower=True).T
    except LinAlgError:
        raise InvalidSpectrumError(
            f"The {axis.size} points between {axis[0]:g} and {axis[-1]:g} cm⁻¹ lie so close, or so unevenly, "
            "that they cannot be smoothed; resample the spectrum to even steps first."
        ) from None
    return solution


def _difference_rows(x: FloatArray, order: int) -> FloatArray:
    """Nonzeros of the difference matrix, shape (n_points - order, order + 1).

    Divided differences times order!, so that on points one apart they are the plain differences.
    """
    rows = np.ones((x.size, 1))
    for k in range(1, order + 1):
        gap = (x[k:] - x[:-k])[:, np.newaxis] / k
        rows = (np.pad(rows[1:], ((0, 0), (1, 0))) - np.pad(rows[:-1], ((0, 0), (0, 1)))) / gap
    return rows
