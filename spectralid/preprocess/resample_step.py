"""Resampling as a step: the grid from a step size, and a change of resolution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Axis, Choice, Constraint, Number
from spectralid.preprocess.resample import METHODS, Method, to_grid
from spectralid.spectrum import Acquisition, FloatArray, Spectrum

__all__ = ["Resample"]

# More points than any instrument has; a wrong axis must not take all memory.
_MOST_POINTS: Final = 4_000_000


class Resample(Step):
    """Spectra on another grid.

    Where the grid is coarser than the source, each new point averages over its cell; where it is finer, the
    source is interpolated without overshoot. Nothing is extrapolated: outside the measured range points are
    missing, and so are points in gaps wider than the resolution.

    Parameters
    ----------
    step_cm1 : float, optional
        Spacing of the new grid in cm⁻¹. Without `start_cm1` and `stop_cm1` the grid lies on whole multiples
        of the step inside the range of the source. Give either this or `grid`.
    start_cm1, stop_cm1 : float, optional
        First and last point of the new grid in cm⁻¹ (the last may lie up to one step lower).
    grid : array_like of float, shape (n_grid,), optional
        The new grid itself, strictly ascending, in cm⁻¹.
    resolution_cm1 : float, optional
        Resolution (full width at half maximum) wanted, in cm⁻¹: the source is convolved with a Gaussian of
        FWHM sqrt(`resolution_cm1`² - `from_resolution_cm1`²) instead of being averaged over cells. A source
        that is coarser already stays as it is (diagnostic ``"kernel_fwhm_cm1"`` is 0, the spectrum is flagged
        ``"resolution_coarser_than_asked"``).
    from_resolution_cm1 : float, optional
        Resolution of the source in cm⁻¹; a spectrum that knows its own brings it.
    method : {"pchip", "linear"}
        Interpolation: monotone cubic, or straight lines.
    axis : array_like of float, shape (n_points,), optional
        Axis of the source in cm⁻¹ for `transform`. A spectrum brings its own.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import Resample
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> raw = Spectrum(axis, band, technique="raman")
    >>> Resample(step_cm1=4.0)(raw).n_points, raw.n_points
    (351, 701)
    """

    name = "resample"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "step_cm1": Number(0, open_low=True, optional=True),
        "start_cm1": Number(optional=True),
        "stop_cm1": Number(optional=True),
        "grid": Axis(),
        "resolution_cm1": Number(0, open_low=True, optional=True),
        "from_resolution_cm1": Number(0, open_low=True, optional=True),
        "method": Choice(METHODS),
    }

    def __init__(
        self,
        step_cm1: float | None = None,
        start_cm1: float | None = None,
        stop_cm1: float | None = None,
        *,
        grid: npt.ArrayLike | None = None,
        resolution_cm1: float | None = None,
        from_resolution_cm1: float | None = None,
        method: Method = "pchip",
        axis: npt.ArrayLike | None = None,
    ) -> None:
        self.step_cm1 = step_cm1
        self.start_cm1 = start_cm1
        self.stop_cm1 = stop_cm1
        self.grid = grid
        self.resolution_cm1 = resolution_cm1
        self.from_resolution_cm1 = from_resolution_cm1
        self.method: Method = method
        self.axis = axis

    def _validate_together(self) -> None:
        if (self.step_cm1 is None) == (self.grid is None):
            raise ParameterError("step_cm1", self.step_cm1, "given, or grid instead of it, and not both")
        if self.grid is not None and (self.start_cm1 is not None or self.stop_cm1 is not None):
            raise ParameterError(
                "start_cm1 and stop_cm1", (self.start_cm1, self.stop_cm1), "None with a grid"
            )
        if self.resolution_cm1 is not None and self.from_resolution_cm1 is None:
            raise ParameterError(
                "from_resolution_cm1",
                None,
                "given with resolution_cm1 where the spectrum does not know its own",
            )
        if self.start_cm1 is not None and self.stop_cm1 is not None and self.start_cm1 >= self.stop_cm1:
            raise ParameterError("start_cm1", self.start_cm1, f"below stop_cm1 ({self.stop_cm1:g})")

    def _needs_axis(self) -> bool:
        return True

    def _completed(self, spectrum: Spectrum) -> Self:
        known = spectrum.acquisition.resolution_cm1
        if self.from_resolution_cm1 is None and known is not None and known > 0:
            return type(self)(**{**self.get_params(deep=False), "from_resolution_cm1": float(known)})
        return self

    def target(self, axis: FloatArray) -> FloatArray:
        """The new grid for spectra on `axis`, shape (n_grid,), in cm⁻¹."""
        if self.grid is not None:
            return np.array(self.grid, dtype=np.float64)
        step = float(self.step_cm1 or math.nan)
        # A millionth of a step forgives rounding in a range that is a whole number of steps.
        start = math.ceil(axis[0] / step - 1e-6) * step if self.start_cm1 is None else float(self.start_cm1)
        stop = float(axis[-1] if self.stop_cm1 is None else self.stop_cm1)
        count = math.floor((stop - start) / step + 1e-6) + 1
        if count < 2:
            raise ParameterError(
                "step_cm1", step, f"small enough for two points between {start:g} and {stop:g} cm⁻¹"
            )
        if count > _MOST_POINTS:
            raise ParameterError(
                "step_cm1",
                step,
                f"large enough for at most {_MOST_POINTS:,} points between {start:g} and {stop:g} cm⁻¹",
            )
        return start + step * np.arange(count, dtype=np.float64)

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        grid = self.target(axis)
        values, kernel = to_grid(axis, X, grid, self.method, self.resolution_cm1, self.from_resolution_cm1)
        return StepResult(grid, values, {"kernel_fwhm_cm1": kernel})

    def _outcome(self, result: StepResult) -> dict[str, Any]:
        kernel = result.diagnostics["kernel_fwhm_cm1"]
        return {} if kernel is None else {"kernel_fwhm_cm1": kernel}

    def _acquisition(self, acquisition: Acquisition, result: StepResult) -> Acquisition:
        match result.diagnostics["kernel_fwhm_cm1"]:
            case None:
                return acquisition
            case 0.0 if self.from_resolution_cm1 != self.resolution_cm1:
                return acquisition.with_flags("resolution_coarser_than_asked")
            case _:
                return replace(acquisition, resolution_cm1=self.resolution_cm1)
