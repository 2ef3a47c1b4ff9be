"""Which found band is which band of a standard, when the axis may be off by an unknown shift and stretch.

Every shift and stretch in reach is tried. A trial scores the share of the standard's bands, weighted by their
strength, that find a band where it puts them. The best trial must score well, and clearly better than any
that reads the bands another way; otherwise nothing is matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectralid.calibration._errors import CalibrationError
from spectralid.calibration.peaks import Peak
from spectralid.calibration.standards import AxisStandard, axis_standards
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
        If the bands of the standard are not there, can be read in more than one way, or fit another standard
        better.
    """
    if not peaks:
        raise CalibrationError(f"No band stands out of the spectrum; is it {standard.title}?")
    search = _search(peaks, standard, range_cm1, pivot_cm1)
    if search is None:
        raise CalibrationError(
            f"The spectrum, {range_cm1[0]:.0f} to {range_cm1[1]:.0f} cm⁻¹, holds no band of {standard.title}."
        )
    if search.best < _LOWEST_SCORE:
        raise CalibrationError(
            f"The bands do not look like those of {standard.title}: {search.best:.0%} of them by strength "
            f"are where they should be at the best shift within ±{MAXIMUM_SHIFT_CM1:g} cm⁻¹; "
            f"{_LOWEST_SCORE:.0%} are needed. Check what was measured."
        )
    other = np.abs(_SHIFTS - search.shift) >= _OTHER_CM1
    if search.by_shift[other].max() > _HIGHEST_RIVAL * search.best:
        second = float(_SHIFTS[other][search.by_shift[other].argmax()])
        raise CalibrationError(
            f"The bands can be read in two ways, {-search.shift:+.0f} and {-second:+.0f} cm⁻¹ off; measure a "
            "standard with more bands, or better."
        )
    for rival in _rivals(standard):
        theirs = _search(peaks, rival, range_cm1, pivot_cm1)
        if theirs is not None and theirs.best > search.best:
            raise CalibrationError(
                f"The bands look more like those of {rival.title} ({theirs.best:.0%} where they should be) "
                f"than of {standard.title} ({search.best:.0%}). Check what was measured."
            )
    return _pairs(peaks, standard, search, pivot_cm1)


class _Search(NamedTuple):
    """The best trial, and the best score at every shift, shape (n_shifts,)."""

    best: float
    shift: float
    stretch: float
    by_shift: FloatArray
    kept: npt.NDArray[np.intp]  # the peaks that took part


def _search(
    peaks: Sequence[Peak], standard: AxisStandard, range_cm1: tuple[float, float], pivot: float
) -> _Search | None:
    """Try every shift and stretch; ``None`` if no band lies in the range."""
    positions = np.array([line.position_cm1 for line in standard.lines])
    measured = (positions > range_cm1[0]) & (positions < range_cm1[1])
    if not measured.any():
        return None
    weights = np.array([float(line.strength) for line in standard.lines]) * measured
    weights /= weights.sum()
    heights = np.array([peak.height for peak in peaks])
    kept = np.sort(np.argsort(-heights)[: _PEAKS_PER_BAND * positions.size + 2])
    found = np.array([peak.position_cm1 for peak in peaks])[kept]
    # Any band counts for something, a strong one for more.
    trust = (heights[kept] / heights.max()) ** 0.2
    stretches = _STRETCHES if positions.size > 1 else np.zeros(1)
    scores = np.empty((stretches.size, _SHIFTS.size))
    for row, stretch in enumerate(stretches):
        expected = _placed(positions[None, :], _SHIFTS[:, None], float(stretch), pivot)
        distance = np.abs(expected[:, :, None] - found)
        scores[row] = (np.exp(-0.5 * (distance / _NEAR_CM1) ** 2) * trust).max(axis=2) @ weights
    at, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return _Search(
        float(scores[at, column]), float(_SHIFTS[column]), float(stretches[at]), scores.max(axis=0), kept
    )


def _rivals(standard: AxisStandard) -> list[AxisStandard]:
    """Standards a spectrum must not fit better: not those of one line, nor a mixture and its parts."""
    own = {line.position_cm1 for line in standard.lines}
    return [
        other
        for other in axis_standards(standard.kind)
        if len(other.lines) > 1 and own.isdisjoint(line.position_cm1 for line in other.lines)
    ]


def _placed(positions: FloatArray, shift: float | FloatArray, stretch: float, pivot: float) -> FloatArray:
    """Where bands at true `positions` show when the axis needs `shift` and `stretch` to be right."""
    return np.asarray(pivot + (positions - shift - pivot) / (1 + stretch))


def _pairs(peaks: Sequence[Peak], standard: AxisStandard, search: _Search, pivot: float) -> tuple[Pair, ...]:
    """Bands and peaks that are each other's nearest, the line through them drawn twice."""
    positions = np.array([line.position_cm1 for line in standard.lines])
    found = np.array([peaks[i].position_cm1 for i in search.kept])
    shift, stretch = search.shift, search.stretch
    pairs: list[tuple[int, int]] = []
    for reach in (_TAKEN_CM1, 0.6 * _TAKEN_CM1):
        distance = np.abs(_placed(positions, shift, stretch, pivot)[:, None] - found[None, :])
        nearest_peak, nearest_line = distance.argmin(axis=1), distance.argmin(axis=0)
        pairs = [
            (line, int(peak))
            for line, peak in enumerate(nearest_peak)
            if nearest_line[peak] == line and distance[line, peak] <= reach
        ]
        taken = [peak for _, peak in pairs]
        off = positions[[line for line, _ in pairs]] - found[taken]
        if len(pairs) >= 4:
            weight = np.array([peaks[search.kept[peak]].height for peak in taken]) ** 0.2
            stretch, shift = (float(c) for c in np.polyfit(found[taken] - pivot, off, 1, w=weight))
        elif pairs:
            shift, stretch = float(np.median(off)), 0.0
    return tuple(Pair(line, int(search.kept[peak])) for line, peak in pairs)
