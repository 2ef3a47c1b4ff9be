"""What the steps need to know about an axis and about missing points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spectralid.spectrum import FloatArray

__all__ = ["by_missing", "is_even", "local_spacing", "mean_spacing", "runs"]

BoolArray = npt.NDArray[np.bool_]

# An axis counts as evenly spaced when no point lies further than this share of a step from where it would
# be on a perfect grid: room for rounding in files, none for the dispersion of a spectrograph.
EVEN_TOLERANCE = 0.05

_SPACING_WINDOW = 9


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
