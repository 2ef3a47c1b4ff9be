"""Marking points as missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Constraint, Positions, Text
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["MarkMissing"]


class MarkMissing(Step):
    """Points that are known to be wrong, marked missing (NaN).

    Parameters
    ----------
    positions_cm1 : sequence of float
        Where the points are, in cm⁻¹. Each must be a point of the axis but for rounding (a millionth).
    reason : str
        Why, for the history.
    axis : array_like of float, shape (n_points,), optional
        Axis in cm⁻¹ for `transform`. A spectrum brings its own.

    Examples
    --------
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import MarkMissing
    >>> raw = Spectrum([400.0, 500.0, 600.0, 700.0], [1.0, 3.0, 9.0, 1.0], technique="raman")
    >>> MarkMissing((600.0,), "hot pixel")(raw).intensity
    array([ 1.,  3., nan,  1.])
    """

    name = "mark_missing"
    constraints: ClassVar[Mapping[str, Constraint]] = {"positions_cm1": Positions(), "reason": Text()}

    def __init__(
        self,
        positions_cm1: Sequence[float] = (),
        reason: str = "",
        *,
        axis: npt.ArrayLike | None = None,
    ) -> None:
        self.positions_cm1 = positions_cm1
        self.reason = reason
        self.axis = axis

    def _needs_axis(self) -> bool:
        return True

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        out = X.copy()
        positions = np.asarray(self.positions_cm1, dtype=np.float64)
        above = np.clip(np.searchsorted(axis, positions), 1, axis.size - 1)
        nearest = above - (positions - axis[above - 1] <= axis[above] - positions)
        off = np.abs(axis[nearest] - positions) > 1e-6 * np.maximum(1.0, np.abs(positions))
        if off.any():
            raise ParameterError("positions_cm1", float(positions[off][0]), "positions of points of the axis")
        out[:, nearest] = np.nan
        return StepResult(axis, out)

    def _sd(self, spectrum: Spectrum, result: StepResult) -> FloatArray | None:  # noqa: ARG002
        return spectrum.sd
