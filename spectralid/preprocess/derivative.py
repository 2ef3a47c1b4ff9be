"""Derivatives by Savitzky–Golay filtering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy.typing as npt

from spectralid.errors import InvalidSpectrumError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Constraint, Number
from spectralid.preprocess._local_polynomial import check_window, local_polynomial
from spectralid.preprocess._points import is_even
from spectralid.spectrum import FloatArray, IntensityUnit

__all__ = ["Derivative"]


class Derivative(Step):
    """Derivative of the intensity along the axis, in intensity per cm⁻¹ to the power of `derivative`.

    Parameters
    ----------
    window : int
        Points in the sliding window, odd.
    order : int
        Order of the polynomial, below `window`.
    derivative : int
        1 or more, at most `order`.
    axis : array_like of float, shape (n_points,), optional
        Axis in cm⁻¹ for `transform`; must be evenly spaced. A spectrum brings its own.

    Notes
    -----
    Missing points stay missing. Gaps of less than half a window are bridged by a fit at the true positions;
    wider ones divide the spectrum, and parts shorter than the window become missing (diagnostic ``"lost"``,
    points per spectrum).

    References
    ----------
    A. Savitzky, M. J. E. Golay, Anal. Chem. 36 (1964) 1627.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import Derivative
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> raw = Spectrum(axis, band + 7.0, technique="raman")
    >>> slope = Derivative(window=9, order=2)(raw).intensity
    >>> float(axis[np.nanargmax(slope)]) < 1001.0 < float(axis[np.nanargmin(slope)])
    True
    """

    name = "derivative"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "window": Number(3, odd=True),
        "order": Number(1, 9, integer=True),
        "derivative": Number(1, 4, integer=True),
    }

    def __init__(
        self, window: int = 9, order: int = 2, derivative: int = 1, *, axis: npt.ArrayLike | None = None
    ) -> None:
        self.window = window
        self.order = order
        self.derivative = derivative
        self.axis = axis

    def _validate_together(self) -> None:
        check_window(self.window, self.order, self.derivative)

    def _needs_axis(self) -> bool:
        return True

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        if not is_even(axis):
            raise InvalidSpectrumError(
                "A derivative needs an evenly spaced axis, which this is not; use Resample before Derivative."
            )
        filtered, lost = local_polynomial(axis, X, self.window, self.order, self.derivative)
        return StepResult(axis, filtered, {"lost": lost})

    def _unit(self, unit: IntensityUnit) -> IntensityUnit:  # noqa: ARG002
        return IntensityUnit.ARBITRARY
