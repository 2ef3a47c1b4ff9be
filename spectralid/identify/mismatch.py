"""How far a reference may be from the same substance under another instrument.

The intensity of each band, the gain of the instrument along the axis, places and widths of bands all differ
between units, grains and polymorph mixtures. Taken for noise of known structure, they become columns that
scale with the amount of the substance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.identify.shapes import hats, splines
from spectralid.spectrum import FloatArray

__all__ = ["Freedom", "Mismatch"]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Standard deviations of what differs between a reference and a measurement of the same substance.

    Attributes
    ----------
    gain : float
        Slow relative change of intensity along the axis (instrument response), per knot of `GAIN_SPACING`.
    band : float
        Relative change of single bands (orientation, polymorph mixture, polarisation).
    shift_cm1 : float
        Place of bands against the common shift, cm⁻¹.
    width_cm2 : float
        Variance added to (or missing from) every band's profile, cm⁻².
    shape : float
        What is left at every point, relative to the spectrum there: line shapes.
    floor : float
        What is left at every point, relative to the highest point of the spectrum: the references' own noise.
    """

    gain: float
    band: float
    shift_cm1: float
    width_cm2: float
    shape: float
    floor: float

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not 0 <= value < 1e3:
                raise ParameterError(f.name, value, "a standard deviation of at least 0")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read from a plain mapping."""
        return cls(**{f.name: float(data[f.name]) for f in fields(cls)})


GAIN_SPACING = 500.0
BAND_SPACING = 15.0
SHIFT_SPACING = 300.0
WIDTH_SPACING = 800.0
# A column whose largest value is below this share of the freedom of the strongest band lies within `floor`.
_NEGLIGIBLE = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class _Basis:
    """Functions on the grid, (n_grid, n), and the points of each that are not zero, (n, widest)."""

    values: FloatArray
    supports: npt.NDArray[np.intp]

    @classmethod
    def of(cls, values: FloatArray) -> Self:
        places = [np.flatnonzero(column) for column in values.T]
        kept = [i for i, place in enumerate(places) if place.size]
        widest = max(places[i].size for i in kept)
        # Shorter ones repeat their last point, which changes no maximum.
        supports = [np.pad(places[i], (0, widest - places[i].size), mode="edge") for i in kept]
        return cls(values[:, kept], np.array(supports))


class Freedom:
    """Turns a reference into the columns of its mismatch, on one grid.

    Parameters
    ----------
    grid : ndarray, shape (n_grid,)
        Common grid in cm⁻¹, even.
    """

    __slots__ = ("_band", "_gain", "_shift", "_step", "_width")

    def __init__(self, grid: FloatArray) -> None:
        self._step = float(grid[1] - grid[0])
        self._gain = _Basis.of(splines(grid, GAIN_SPACING))
        self._band = _Basis.of(hats(grid, BAND_SPACING))
        self._shift = _Basis.of(hats(grid, SHIFT_SPACING))
        self._width = _Basis.of(hats(grid, WIDTH_SPACING))

    def columns(self, reference: FloatArray, mismatch: Mismatch) -> FloatArray:
        """Columns whose coefficients are standard normal.

        Parameters
        ----------
        reference : ndarray, shape (n_grid,)
            Contribution of the substance to the spectrum, zero where not known.
        mismatch : Mismatch
            How far it may be off.

        Returns
        -------
        ndarray, shape (n_grid, n_columns)
        """
        slope = np.gradient(reference, self._step)
        bend = np.gradient(slope, self._step)
        least = _NEGLIGIBLE * mismatch.band * float(np.abs(reference).max())
        parts = (
            (mismatch.gain, self._gain, reference),
            (mismatch.band, self._band, reference),
            (mismatch.shift_cm1, self._shift, slope),
            (0.5 * mismatch.width_cm2, self._width, bend),
        )
        return np.concatenate([_kept(sd, basis, shape, least) for sd, basis, shape in parts], axis=1)


def _kept(sd: float, basis: _Basis, shape: FloatArray, least: float) -> FloatArray:
    """Columns ``sd · basis · shape`` that are somewhere above `least`."""
    # The largest value under each function, bounded by the largest of the shape where the function lives.
    height = np.abs(shape)[basis.supports].max(axis=1)
    return np.asarray(basis.values[:, sd * height > least] * (sd * shape)[:, None])
