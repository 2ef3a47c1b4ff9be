"""Which found band is which band of a standard, when the axis may be off by an unknown shift and stretch.

Every shift and stretch in reach is tried. A trial scores the share of the standard's bands, weighted by their
strength, that find a band where it puts them. The best trial must score well, and clearly better than any
that reads the bands another way; otherwise nothing is matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from spectralid.calibration._errors import CalibrationError
from spectralid.calibration.peaks import Peak
from spectralid.calibration.standards import AxisStandard
from spectralid.spectrum import FloatArray

__all__ = ["MAXIMUM_SHIFT_CM1", "Pair", "match"]

MAXIMUM_SHIFT_CM1: Final = 25.0

_SHIFTS: Final = np.arange(-MAXIMUM_SHIFT_CM1, MAXIMUM_SHIFT_CM1 + 0.25, 0.5)
_STRETCHES: Final = np.arange(-0.006, 0.0061, 0.001)
# How far from its place a band still counts towards a trial (Gaussian, cm⁻¹), and is then taken for it.
_NEAR_CM1: Final = 3.0
_TAKEN_CM1: Final = 6.0
# Reading the bands another way means a shift that differs by at least this much.
_OTHER_CM1: Final = 9.0
# A standard's bands are among the strongest of its spectrum: with this many peaks per band, and two for what
# else may be there, bumps of the noise are not matched.
_PEAKS_PER_BAND: Final = 3
_LOWEST_SCORE: Final = 0.45
_HIGHEST_RIVAL: Final = 0.8


class Pair(NamedTuple):
    """A band of the standard and the peak taken for it, both by index."""

    line: int
    peak: int


def match(
    peaks: Sequence[Peak], standard: AxisStandard, range_cm1: tuple[float, float], pivot_cm1: float
) -> tuple[Pair, ...]:
    """Pair peaks with the bands of a standard.

    Parameters
    ----------
    peaks : sequence of Peak
        Peaks whose positions may be used.
    standard : AxisStandard
        What was measured.
    range_cm1 : tuple of float
        Range of the spectrum: a band that was not measured is not missed.
    pivot_cm1 : float
        Where the shift is counted: the stretch turns the axis about it.

    Returns
    -------
    tuple of Pair
        By ascending position; each band and each peak at most once.

    Raises
    ------
    CalibrationError
        If the bands of the standard are not there, or can be read in more than one way.
    """
    positions = np.array([line.position_cm1 for line in standard.lines])
    if not peaks:
        raise CalibrationError(f"No band stands out of the spectrum; is it {standard.title}?")
    every = peaks
    strongest = np.argsort([-peak.height for peak in every])[: _PEAKS_PER_BAND * positions.size + 2]
    kept = np.sort(strongest)
    peaks = [every[i] for i in kept]
    found = np.array([peak.position_cm1 for peak in peaks])
    measured = (positions > range_cm1[0]) & (positions < range_cm1[1])
    if not measured.any():
        raise CalibrationError(
            f"The spectrum, {range_cm1[0]:.0f} to {range_cm1[1]:.0f} cm⁻¹, holds no band of {standard.title}."
        )
    weights = np.array([float(line.strength) for line in standard.lines]) * measured
    weights /= weights.sum()
    stretches = _STRETCHES if positions.size > 1 else np.zeros(1)
    scores = np.array([_scores(s, found, peaks, positions, weights, pivot_cm1) for s in stretches])
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    best, shift, stretch = float(scores[row, column]), float(_SHIFTS[column]), float(stretches[row])
    if best < _LOWEST_SCORE:
        raise CalibrationError(
            f"The bands do not look like those of {standard.title}: {best:.0%} of them by strength are where "
            f"they should be at the best shift within ±{MAXIMUM_SHIFT_CM1:g} cm⁻¹; {_LOWEST_SCORE:.0%} are "
            "needed. Check what was measured."
        )
    other = np.abs(_SHIFTS - shift) >= _OTHER_CM1
    rival = float(scores[:, other].max())
    if rival > _HIGHEST_RIVAL * best:
        second = float(_SHIFTS[other][scores[:, other].max(axis=0).argmax()])
        raise CalibrationError(
            f"The bands can be read in two ways, {-shift:+.0f} and {-second:+.0f} cm⁻¹ off; measure a "
            "standard with more bands, or better."
        )
    pairs = _pairs(found, peaks, positions, shift, stretch, pivot_cm1)
    return tuple(Pair(pair.line, int(kept[pair.peak])) for pair in pairs)


def _placed(positions: FloatArray, shift: float | FloatArray, stretch: float, pivot: float) -> FloatArray:
    """Where bands at true `positions` show when the axis needs `shift` and `stretch` to be right."""
    return np.asarray(pivot + (positions - shift - pivot) / (1 + stretch))


def _scores(
    stretch: float,
    found: FloatArray,
    peaks: Sequence[Peak],
    positions: FloatArray,
    weights: FloatArray,
    pivot: float,
) -> FloatArray:
    """Score of every shift at one stretch, shape (n_shifts,)."""
    heights = np.array([peak.height for peak in peaks])
    # Any band counts for something, a strong one for more.
    trust = (heights / heights.max()) ** 0.2
    expected = _placed(positions[None, :], _SHIFTS[:, None], stretch, pivot)
    distance = np.abs(expected[:, :, None] - found[None, None, :])
    return np.asarray((np.exp(-0.5 * (distance / _NEAR_CM1) ** 2) * trust).max(axis=2) @ weights)


def _pairs(
    found: FloatArray,
    peaks: Sequence[Peak],
    positions: FloatArray,
    shift: float,
    stretch: float,
    pivot: float,
) -> tuple[Pair, ...]:
    """Bands and peaks that are each other's nearest, the line through them drawn twice."""
    pairs: tuple[Pair, ...] = ()
    for reach in (_TAKEN_CM1, 0.6 * _TAKEN_CM1):
        distance = np.abs(_placed(positions, shift, stretch, pivot)[:, None] - found[None, :])
        nearest_peak, nearest_line = distance.argmin(axis=1), distance.argmin(axis=0)
        pairs = tuple(
            Pair(line, int(peak))
            for line, peak in enumerate(nearest_peak)
            if nearest_line[peak] == line and distance[line, peak] <= reach
        )
        lines, taken = [p.line for p in pairs], [p.peak for p in pairs]
        off = positions[lines] - found[taken]
        if len(pairs) >= 4:
            weight = np.array([peaks[p.peak].height for p in pairs]) ** 0.2
            stretch, shift = (float(c) for c in np.polyfit(found[taken] - pivot, off, 1, w=weight))
        elif pairs:
            shift, stretch = float(np.median(off)), 0.0
    return pairs
