"""How far a reference may be from the same substance under another instrument.

Heights, places and widths of bands differ between units, grains and polymorph mixtures; response, axis and
resolution differ between units. Taken for noise of known structure, the first make the covariance of a
spectrum banded, the second a few columns, all of them growing with the amount of the substance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

import numpy as np

from spectralid.errors import ParameterError
from spectralid.identify.gaussian import correlated
from spectralid.identify.shapes import bump, splines
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
        Place of single bands against the common axis, cm⁻¹.
    width_cm2 : float
        Variance added to (or missing from) the profile of single bands, cm⁻².
    resolution_cm2 : float
        Variance added to (or missing from) the profile of all bands: the instruments' resolution, cm⁻².
    shape : float
        What is left at every point, relative to the spectrum there: line shapes.
    floor : float
        What is left at every point, relative to the highest point of the spectrum: the references' own noise.
    """

    gain: float
    band: float
    shift_cm1: float
    width_cm2: float
    resolution_cm2: float
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

    def to_dict(self) -> dict[str, float]:
        """Plain form for `from_dict`."""
        return asdict(self)


GAIN_SPACING: Final = 500.0
"""Distance of the knots of the response in cm⁻¹."""

LOCAL_REACH: Final = 30.0
"""Distance in cm⁻¹ at which two bands differ independently."""

# What an axis may still be off after the common shift was found: everywhere, and per 1,000 cm⁻¹ from its
# middle.
_AXIS_CM1: Final = 1.0
_STRETCH: Final = 1.0


class Freedom:
    """Turns signals into the covariance and the columns of their mismatch, on one grid.

    Parameters
    ----------
    grid : ndarray, shape (n_grid,)
        Common grid in cm⁻¹, even.
    """

    __slots__ = ("_gain", "_lean", "_local", "_step")

    def __init__(self, grid: FloatArray) -> None:
        self._step = float(grid[1] - grid[0])
        self._gain = splines(grid, GAIN_SPACING)
        self._lean = (grid - grid.mean()) / 1000.0
        self._local = bump(np.arange(0.0, LOCAL_REACH, self._step) / LOCAL_REACH)

    def _derivatives(self, signal: FloatArray) -> tuple[FloatArray, FloatArray]:
        slope = np.empty_like(signal)
        slope[..., 1:-1] = (signal[..., 2:] - signal[..., :-2]) / (2 * self._step)
        slope[..., 0] = slope[..., -1] = 0.0
        bend = np.zeros_like(signal)
        bend[..., 1:-1] = (signal[..., 2:] - 2 * signal[..., 1:-1] + signal[..., :-2]) / self._step**2
        return slope, bend

    def local(self, signals: FloatArray, mismatch: Mismatch, *, rigid: int | None = None) -> FloatArray:
        """Covariance of what differs from band to band.

        Parameters
        ----------
        signals : ndarray, shape (m, n_grid)
            Contribution of each substance to the spectrum.
        mismatch : Mismatch
            How far they may be off.
        rigid : int, optional
            A substance whose bands are taken to keep their heights.

        Returns
        -------
        ndarray, shape (n_diagonals, n_grid)
            Lower diagonals, main one first.
        """
        slope, bend = self._derivatives(signals)
        heights = mismatch.band * signals
        if rigid is not None:
            heights[rigid] = 0.0
        moved = np.concatenate([heights, mismatch.shift_cm1 * slope, 0.5 * mismatch.width_cm2 * bend])
        return correlated(self._local, moved)

    def common(self, signal: FloatArray, mismatch: Mismatch, *, gain: FloatArray | None = None) -> FloatArray:
        """Columns, of standard normal coefficients, of what differs along the whole axis.

        Parameters
        ----------
        signal : ndarray, shape (n_grid,)
            All substances together.
        mismatch : Mismatch
            How far they may be off.
        gain : ndarray, shape (n_grid,), optional
            Signal that the response acts on, if not `signal`.

        Returns
        -------
        ndarray, shape (n_grid, n_columns)
            The first is the axis, in units of `axis_unit`.
        """
        slope, bend = self._derivatives(signal)
        # A signal at x is found at x + d: it changes by −d times its slope.
        axis = -_AXIS_CM1 * slope
        lean = -_STRETCH * self._lean * slope
        resolution = 0.5 * mismatch.resolution_cm2 * bend
        response = mismatch.gain * (signal if gain is None else gain)[:, None] * self._gain
        return np.concatenate([np.column_stack([axis, lean, resolution]), response], axis=1)

    @property
    def axis_unit(self) -> float:
        """What a coefficient of 1 of the first common column moves the axis by, cm⁻¹."""
        return _AXIS_CM1
