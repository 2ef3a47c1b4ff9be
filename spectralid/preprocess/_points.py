"""What the steps need to know about axes, intensities and missing points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spectralid.errors import InvalidSpectrumError
from spectralid.preprocess._constraints import Axis
from spectralid.spectrum import FloatArray

__all__ = [
    "as_axis",
    "as_spectra",
    "by_missing",
    "check_size",
    "is_even",
    "local_spacing",
    "mean_spacing",
    "runs",
]

BoolArray = npt.NDArray[np.bool_]

# An axis counts as evenly spaced when no point lies further than this share of a step from where it would
# be on a perfect grid: room for rounding in files, none for the dispersion of a spectrograph.
EVEN_TOLERANCE = 0.05

_SPACING_WINDOW = 9

# Of intensities: squares, and sums and ratios of those, are held by floating point.
LARGEST = 1e152


def is_even(axis: FloatArray) -> bool:
    """Whether `axis` is evenly spaced but for rounding."""
    perfect = np.linspace(axis[0], axis[-1], axis.size)
    return bool(np.max(np.abs(axis - perfect)) <= EVEN_TOLERANCE * mean_spacing(axis))


def mean_spacing(axis: FloatArray) -> float:
    """Mean distance of neighbouring points."""
    return float((axis[-1] - axis[0]) / (axis.size - 1))


def local_spacing(axis: FloatArray) -> FloatArray:
    """Typical distance of neighbouring points around each interval of `axis`, shape (n_points - 1,).

    A running median, so that it follows a spectrograph's dispersion and ignores a hole in the axis.
    """
    if is_even(axis):
        return np.full(axis.size - 1, mean_spacing(axis))
    steps = np.diff(axis)
    if steps.size <= _SPACING_WINDOW:
        return np.full(steps.size, np.median(steps))
    half = _SPACING_WINDOW // 2
    middle = np.median(np.lib.stride_tricks.sliding_window_view(steps, _SPACING_WINDOW), axis=1)
    return np.pad(middle, half, mode="edge")


def by_missing(X: FloatArray) -> Iterator[tuple[npt.NDArray[np.intp], BoolArray]]:
    """Group spectra that miss the same points.

    Yields
    ------
    rows : ndarray of int
        Spectra of the group.
    measured : ndarray of bool, shape (n_points,)
        Points these spectra have. Groups without any are left out.
    """
    measured = ~np.isnan(X)
    if measured.all():
        yield np.arange(X.shape[0]), measured[0]
        return
    patterns, group = np.unique(measured, axis=0, return_inverse=True)
    group = group.ravel()
    for number, pattern in enumerate(patterns):
        if pattern.any():
            yield np.flatnonzero(group == number), pattern


def runs(axis: FloatArray, measured: BoolArray, reach: float | FloatArray) -> list[npt.NDArray[np.intp]]:
    """Cut the measured points into runs that have no gap wider than `reach`.

    Parameters
    ----------
    axis : ndarray of float, shape (n_points,)
        Axis of all points, missing ones too.
    measured : ndarray of bool, shape (n_points,)
        Which points there are.
    reach : float or ndarray of float, shape (n_points - 1,)
        Widest distance between neighbouring measured points that is still bridged, in units of the axis;
        an array gives it for each interval of the axis.

    Returns
    -------
    list of ndarray of int
        Indices of the measured points of each run, ascending.
    """
    points = np.flatnonzero(measured)
    allowed = np.broadcast_to(reach, axis.size - 1)[points[:-1]]
    cuts = np.flatnonzero(np.diff(axis[points]) > allowed) + 1
    return np.split(points, cuts)


def as_spectra(X: npt.ArrayLike) -> FloatArray:
    """`X` as float array of shape (n_spectra, n_points).

    Raises
    ------
    InvalidSpectrumError
        If it is none, or holds infinities or numbers too large to compute with.
    """
    refusal = "The intensities hold something that is not a real number."
    # Casting complex numbers would only warn, and drop half of each.
    if np.iscomplexobj(X):
        raise InvalidSpectrumError(refusal)
    try:
        array = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidSpectrumError(refusal) from None
    if array.ndim != 2:
        raise InvalidSpectrumError(
            f"Intensities must have the shape (n_spectra, n_points); got {array.shape}. "
            "For one spectrum give intensity[np.newaxis]."
        )
    if array.shape[0] < 1 or array.shape[1] < 2:
        raise InvalidSpectrumError(
            f"At least one spectrum of two points is needed; got an array of shape {array.shape}."
        )
    infinite = np.argwhere(np.isinf(array))
    if infinite.size:
        row, point = infinite[0]
        raise InvalidSpectrumError(
            f"The intensity is infinite in spectrum {row} at point {point}; mark missing points as NaN."
        )
    check_size(array)
    return array


def check_size(intensity: FloatArray) -> None:
    """See that intensities are of a size to compute with.

    Raises
    ------
    InvalidSpectrumError
        If one is so large that its square would not be a number.
    """
    if np.any(np.abs(intensity) > LARGEST):
        raise InvalidSpectrumError(
            f"An intensity is {np.nanmax(np.abs(intensity)):g}, which is too large to compute with "
            f"({LARGEST:g} at most); check the source's numbers, or divide them all by one number."
        )


def as_axis(axis: npt.ArrayLike, n_points: int) -> FloatArray:
    """`axis` as float array of `n_points` points.

    Raises
    ------
    ParameterError
        If it is not finite and strictly ascending.
    InvalidSpectrumError
        If it has another length.
    """
    Axis().check("axis", axis)
    points = np.asarray(axis, dtype=np.float64)
    if points.size != n_points:
        raise InvalidSpectrumError(
            f"Axis and intensities differ in length: {points.size} against {n_points} points."
        )
    return points
