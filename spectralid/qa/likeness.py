"""How alike references of a library are, each with each; and whether two of them are one scan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.identify.similarity import derivative_window, first_derivative
from spectralid.preprocess._points import LARGEST
from spectralid.spectrum import FloatArray

__all__ = ["NoiseMatch", "likeness", "noise_match"]

# Fewer common points (about 450 cm⁻¹) say nothing about likeness.
_LEAST_COMMON: Final = 150
# Points of a stretch; half as far to the next. Fewer stretches than this leave room for chance.
_STRETCH: Final = 64
_FEWEST: Final = 10
# Frequencies in steps of 1/64 a point: periods of 5 to 11 points, 3 to 5, 2 to 3.
_BANDS: Final = (slice(6, 14), slice(14, 23), slice(23, 32))
# From where on phases go together. Two scans reach 0.65 where bands, not noise, make half of the power.
_AGREE: Final = 0.8
# Below this many times the power of its last digit a band of frequencies holds no noise.
_FLOOR: Final = 10.0
# A band of frequencies is lost if one of the two has this much less of it; and noise is white if its
# slowest and fastest parts differ by no more than this.
_LOST: Final = 3.0
_WHITE: Final = 5.0


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
    agreement : float
        How steadily the phases of the two go together from stretch to stretch, 0 … 1: in the slowest band of
        frequencies, or where it is least of all bands that have to agree.
    stretches : int
        Of how many stretches of the spectrum.
    smoothed : bool
        Whether one of the two lacks what is fast in the other.
    same : bool
        Whether they are one scan.
    """

    agreement: float
    stretches: int
    smoothed: bool
    same: bool


def noise_match(
    axis: FloatArray, one: FloatArray, other_axis: FloatArray, other: FloatArray
) -> NoiseMatch | None:
    """Compare the noise of two spectra: two scans never have the same, one scan saved twice has.

    Both are cut into stretches of 64 points. Whatever a program does to a scan (scaling, an offset, a
    baseline, smoothing, another pitch) moves the phases of a frequency by the same in every stretch; the
    phases of two scans are as they please wherever noise, not bands, makes them.

    Parameters
    ----------
    axis, one : ndarray, shape (n,)
        Ascending axis in cm⁻¹, and values.
    other_axis, other : ndarray, shape (m,)
        The other spectrum.

    Returns
    -------
    NoiseMatch or None
        ``None`` where nothing can be told: they share too few points, or show no noise above their rounding.

    Notes
    -----
    Bands go together, too, and a spectrum with hardly any noise is bands at all but the highest frequencies.
    Therefore every band of frequencies has to agree, except those that smoothing, resampling or rounding took
    out of one of the two; and such a loss is believed only if the noise of the other is white. Smoothing over
    much more than ten points leaves nothing to compare.
    """
    tries = [_on_the_coarser(axis, one, other_axis, other)]
    if one.size == other.size:
        # The same scan under a corrected axis.
        tries.append((one, other))
    found = [match for pair in tries if pair is not None and (match := _compared(*pair)) is not None]
    return max(found, key=lambda match: (match.same, match.agreement), default=None)


def _on_the_coarser(
    axis: FloatArray, one: FloatArray, other_axis: FloatArray, other: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Both on the points of the coarser one: going back from a finer grid undoes what made it."""
    if np.median(np.diff(other_axis)) > np.median(np.diff(axis)):
        axis, one, other_axis, other = other_axis, other, axis, one
    inside = (axis >= other_axis[0]) & (axis <= other_axis[-1])
    if not inside.any():
        return None
    return one[inside], np.interp(axis[inside], other_axis, other)


def _compared(one: FloatArray, other: FloatArray) -> NoiseMatch | None:
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if one.size < _STRETCH or max(np.abs(one).max(), np.abs(other).max()) > LARGEST:
        return None
    first, second = _stretches(one), _stretches(other)
    power, other_power = np.abs(first) ** 2, np.abs(second) ** 2
    alive = (power.sum(axis=1) > 0) & (other_power.sum(axis=1) > 0)
    if alive.sum() < _FEWEST:
        return None
    power, other_power = power[alive], other_power[alive]
    crossed = first[alive] * second[alive].conj()
    size = np.abs(crossed)
    together = np.abs(np.mean(crossed / np.where(size > 0, size, 1.0), axis=0))
    agree = [float(np.median(together[band])) for band in _BANDS]
    level = [float(np.median(power[:, band])) for band in _BANDS]
    other_level = [float(np.median(other_power[:, band])) for band in _BANDS]
    here = [value > _FLOOR * _rounding(one) for value in level]
    there = [value > _FLOOR * _rounding(other) for value in other_level]
    heard = [one_here and one_there for one_here, one_there in zip(here, there, strict=True)]
    if not heard[0] or not (here[1] or there[1]):
        return None  # What is slow only is no noise.
    kept = [a for a, one_heard in zip(agree, heard, strict=True) if one_heard]
    whole = len(kept) == len(_BANDS) and min(kept) >= _AGREE
    # How much more of each band than of the slowest one of the two has lost.
    lost = [
        not one_heard or not 1 / _LOST < (b / other_level[0]) / (a / level[0]) < _LOST
        for a, b, one_heard in zip(level, other_level, heard, strict=True)
    ]
    has_to = [a for a, gone in zip(agree, lost, strict=True) if not gone]
    white = min(level[0] / max(level[-1], 1e-300), other_level[0] / max(other_level[-1], 1e-300)) < _WHITE
    smoothed = any(lost) and white and min(has_to) >= _AGREE
    return NoiseMatch(
        agree[0] if smoothed else min(kept), int(alive.sum()), smoothed and not whole, whole or smoothed
    )


def _stretches(values: FloatArray) -> npt.NDArray[np.complex128]:
    """Spectra of overlapping stretches without what is slow in them, shape (n_stretches, n_frequencies)."""
    from scipy.signal.windows import dpss

    # Its side lobes are so low that bands do not leak into where noise is looked for.
    taper = dpss(_STRETCH, 4.0)
    taper = taper / math.sqrt(float(taper @ taper))
    cut = np.lib.stride_tricks.sliding_window_view(values, _STRETCH)[:: _STRETCH // 2]
    curves = np.linalg.qr(np.vander(np.linspace(-1.0, 1.0, _STRETCH), 4))[0]
    cut = cut - cut @ curves @ curves.T
    # A stretch that stands still has the rounding of that left, no noise.
    cut[np.ptp(cut, axis=1) <= 1e-12 * float(np.abs(values).max())] = 0.0
    return np.asarray(np.fft.rfft(cut * taper, axis=1))


def _rounding(values: FloatArray) -> float:
    """Power that the last digit of the values makes: the variance of a uniform distribution one step wide.

    Files hold single precision at most; digits beyond are of some computation.
    """
    steps = np.diff(np.unique(values))
    single = float(np.finfo(np.float32).eps) * float(np.abs(values).max())
    return max(float(steps.min()), single) ** 2 / 12 if steps.size else math.inf
