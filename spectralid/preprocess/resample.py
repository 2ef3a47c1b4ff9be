"""Bringing spectra to another grid without inventing or losing resolution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Axis, Choice, Constraint, Number
from spectralid.preprocess._points import by_missing, local_spacing, runs
from spectralid.spectrum import Acquisition, FloatArray, Spectrum

__all__ = ["Resample", "resample"]

Method = Literal["pchip", "linear"]

# Gaps of up to this many local spacings are bridged where the resolution is not known: spectrometers place
# about three points on their narrowest band, so that one or two missing points hide nothing.
GAP_SPACINGS = 3.0

_FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
_KERNEL_SIGMAS = 4.0


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
    """

    name = "resample"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "step_cm1": Number(0, open_low=True, optional=True),
        "start_cm1": Number(optional=True),
        "stop_cm1": Number(optional=True),
        "grid": Axis(),
        "resolution_cm1": Number(0, open_low=True, optional=True),
        "from_resolution_cm1": Number(0, open_low=True, optional=True),
        "method": Choice(("pchip", "linear")),
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
        return start + step * np.arange(count, dtype=np.float64)

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        grid = self.target(axis)
        spacing = local_spacing(axis)
        cells = _cells(grid)
        reach = np.maximum(GAP_SPACINGS * 1.01 * spacing, self.from_resolution_cm1 or 0.0)
        box, kernel = None, None
        if self.resolution_cm1 is None or self.from_resolution_cm1 is None:
            # A point of the source stands for its own spacing already; variances of boxes add.
            at_grid = np.interp(grid, (axis[1:] + axis[:-1]) / 2, spacing)
            box = np.sqrt(np.maximum(cells**2 - at_grid**2, 0.0))
        else:
            if np.max(cells) > self.resolution_cm1:
                raise ParameterError(
                    "resolution_cm1",
                    self.resolution_cm1,
                    f"at least the grid's step ({np.max(cells):g} cm⁻¹)",
                )
            kernel = math.sqrt(max(self.resolution_cm1**2 - self.from_resolution_cm1**2, 0.0))
        values = _resample(axis, X, grid, self.method, box, kernel or 0.0, reach)
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


def resample(
    axis: npt.ArrayLike, X: npt.ArrayLike, grid: npt.ArrayLike, *, method: Method = "pchip"
) -> FloatArray:
    """Spectra on another grid, as `Resample` without a change of resolution.

    Parameters
    ----------
    axis : array_like of float, shape (n_points,)
        Axis of the source in cm⁻¹, strictly ascending.
    X : array_like of float, shape (n_points,) or (n_spectra, n_points)
        Intensities; NaN where missing.
    grid : array_like of float, shape (n_grid,)
        New axis in cm⁻¹, strictly ascending.
    method : {"pchip", "linear"}
        Interpolation: monotone cubic, or straight lines.

    Returns
    -------
    ndarray of float, shape (n_grid,) or (n_spectra, n_grid)
        NaN outside the measured range and in gaps wider than three local spacings of the source.

    Raises
    ------
    ParameterError
        If axis, grid or method is not allowed.
    InvalidSpectrumError
        If axis and intensities do not make spectra.
    """
    single = np.ndim(X) == 1
    Axis().check("grid", grid)
    out = Resample(grid=grid, method=method).apply(axis, np.atleast_2d(np.asarray(X))).intensity
    return out[0] if single else out


def _resample(
    axis: FloatArray,
    X: FloatArray,
    grid: FloatArray,
    method: Method,
    box: FloatArray | None,
    gaussian: float,
    reach: FloatArray,
) -> FloatArray:
    """Interpolate, averaging over a box of width `box` around each grid point, or with a Gaussian."""
    out = np.full((X.shape[0], grid.size), np.nan)
    rounding = 1e-6 * float(np.min(np.diff(axis)))
    spacing = float(np.median(np.diff(axis)))
    for rows, measured in by_missing(X):
        for run in runs(axis, measured, reach):
            if run.size < 2:
                continue
            x = axis[run]
            inside = np.flatnonzero((grid >= x[0] - rounding) & (grid <= x[-1] + rounding))
            if not inside.size:
                continue
            at = np.clip(grid[inside], x[0], x[-1])
            # Kernels are cut on both sides alike at the ends of a run: one-sided, they would shift bands.
            room = np.minimum(at - x[0], x[-1] - at)
            curve = _interpolant(x, X[np.ix_(rows, run)], method)
            if box is None:
                values = _gaussian_mean(curve, at, room, gaussian, spacing)
            else:
                values = _box_mean(curve, at, np.minimum(box[inside] / 2, room))
            out[np.ix_(rows, inside)] = values.T
    return out


def _interpolant(x: FloatArray, Y: FloatArray, method: Method) -> Any:
    """Piecewise polynomial through the points; called with positions it gives (n_positions, n_spectra)."""
    from scipy.interpolate import PchipInterpolator, PPoly

    if method == "pchip":
        # Its harmonic means of slopes overflow, harmlessly, on the flat feet of computed bands.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return PchipInterpolator(x, Y.T, axis=0)
    slopes = np.diff(Y.T, axis=0) / np.diff(x)[:, np.newaxis]
    return PPoly(np.stack([slopes, Y.T[:-1]]), x)


def _box_mean(curve: Any, at: FloatArray, half: FloatArray) -> FloatArray:
    values: FloatArray = curve(at)
    # A box this narrow changes nothing, and the difference of two integrals would drown in rounding.
    wide = np.flatnonzero(half > 1e-3 * np.max(half))
    if wide.size:
        area = curve.antiderivative()
        high, low = at[wide] + half[wide], at[wide] - half[wide]
        values[wide] = (area(high) - area(low)) / (high - low)[:, np.newaxis]
    return values


def _gaussian_mean(curve: Any, at: FloatArray, room: FloatArray, fwhm: float, spacing: float) -> FloatArray:
    if fwhm == 0:
        return np.asarray(curve(at))
    sigma = fwhm / _FWHM_PER_SIGMA
    # Fine enough for both the kernel and the source; never more than some hundred places.
    step = max(min(sigma, spacing) / 2, sigma / 50)
    count = math.ceil(_KERNEL_SIGMAS * sigma / step)
    total = curve(at)
    weight = np.ones(at.size)
    for k in range(1, count + 1):
        w = math.exp(-((k * step / sigma) ** 2) / 2) * (k * step <= room)
        for side in (-1, 1):
            total += w[:, np.newaxis] * curve(np.where(w > 0, at + side * k * step, at))
        weight += 2 * w
    return np.asarray(total / weight[:, np.newaxis])


def _cells(grid: FloatArray) -> FloatArray:
    """Width of the cell of each point: half way to its neighbours."""
    steps = np.diff(grid)
    return np.asarray((np.append(steps[:1], steps) + np.append(steps, steps[-1:])) / 2)
