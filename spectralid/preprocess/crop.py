"""Keeping a range of the axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Constraint, Number
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["Crop"]


class Crop(Step):
    """The points from `low_cm1` to `high_cm1`, both included.

    Parameters
    ----------
    low_cm1, high_cm1 : float, optional
        Range in cm⁻¹; a bound left out cuts nothing.
    axis : array_like of float, shape (n_points,), optional
        Axis in cm⁻¹ for `transform`. A spectrum brings its own.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import Crop
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> raw = Spectrum(axis, band, technique="raman")
    >>> Crop(900.0, 1100.0)(raw)
    <Spectrum raman 101 points, 900 to 1100 cm⁻¹, arbitrary>
    """

    name = "crop"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "low_cm1": Number(optional=True),
        "high_cm1": Number(optional=True),
    }

    def __init__(
        self,
        low_cm1: float | None = None,
        high_cm1: float | None = None,
        *,
        axis: npt.ArrayLike | None = None,
    ) -> None:
        self.low_cm1 = low_cm1
        self.high_cm1 = high_cm1
        self.axis = axis

    def _validate_together(self) -> None:
        if self.low_cm1 is not None and self.high_cm1 is not None and self.low_cm1 >= self.high_cm1:
            raise ParameterError("low_cm1", self.low_cm1, f"below high_cm1 ({self.high_cm1:g})")

    def _needs_axis(self) -> bool:
        return True

    def _kept(self, axis: FloatArray) -> npt.NDArray[np.bool_]:
        low = -np.inf if self.low_cm1 is None else self.low_cm1
        high = np.inf if self.high_cm1 is None else self.high_cm1
        return (axis >= low) & (axis <= high)

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        kept = self._kept(axis)
        if kept.sum() < 2:
            raise InvalidSpectrumError(
                f"Cropping to {self.low_cm1} … {self.high_cm1} cm⁻¹ leaves {kept.sum()} of the points "
                f"between {axis[0]:g} and {axis[-1]:g} cm⁻¹; two are needed."
            )
        return StepResult(axis[kept], X[:, kept])

    def _sd(self, spectrum: Spectrum, result: StepResult) -> FloatArray | None:  # noqa: ARG002
        return None if spectrum.sd is None else spectrum.sd[self._kept(spectrum.axis)]
