"""Bringing spectra of different strength to one scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from spectralid.errors import InvalidSpectrumError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Choice, Constraint
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum

__all__ = ["Normalize"]

Method = Literal["snv", "vector", "area", "max", "minmax"]


class Normalize(Step):
    """Each spectrum on its own brought to a common scale: (intensity - offset) / scale.

    Parameters
    ----------
    method : {"snv", "vector", "area", "max", "minmax"}
        ``"snv"``: standard normal variate, mean 0 and sample standard deviation (n - 1) 1.
        ``"vector"``: Euclidean length 1.
        ``"area"``: area under the curve 1 (trapezoidal, per cm⁻¹; gaps bridged by straight lines).
        ``"max"``: highest point 1.
        ``"minmax"``: lowest point 0, highest 1.
    axis : array_like of float, shape (n_points,), optional
        Axis in cm⁻¹ for `transform`, needed by ``"area"``. A spectrum brings its own.

    Notes
    -----
    Missing points stay missing and count for nothing. A spectrum without a scale (constant for ``"snv"`` and
    ``"minmax"``, zero for ``"vector"``, not positive for ``"area"`` and ``"max"``) is refused rather than
    divided by nearly nothing. Diagnostics: ``"offset"`` and ``"scale"`` per spectrum.

    References
    ----------
    R. J. Barnes, M. S. Dhanoa, S. J. Lister, Appl. Spectrosc. 43 (1989) 772 (standard normal variate).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import Normalize
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> raw = Spectrum(axis, band, technique="raman")
    >>> float(np.linalg.norm(Normalize("vector")(raw).intensity).round(6))
    1.0
    """

    name = "normalize"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "method": Choice(("snv", "vector", "area", "max", "minmax")),
    }

    def __init__(self, method: Method = "vector", *, axis: npt.ArrayLike | None = None) -> None:
        self.method: Method = method
        self.axis = axis

    def _needs_axis(self) -> bool:
        return self.method == "area"

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        measured = ~np.isnan(X)
        values = np.where(measured, X, 0.0)
        n = measured.sum(axis=1)
        offset = np.zeros(X.shape[0])
        size = np.max(np.abs(values), axis=1)
        match self.method:
            case "snv":
                offset = values.sum(axis=1) / np.maximum(n, 1)
                centred = np.where(measured, X - offset[:, np.newaxis], 0.0)
                scale = np.sqrt((centred**2).sum(axis=1) / np.maximum(n - 1, 1))
            case "vector":
                # Divided by the largest first, so that squares neither overflow nor vanish.
                unit = values / np.where(size > 0, size, 1.0)[:, np.newaxis]
                scale = size * np.sqrt((unit**2).sum(axis=1))
            case "area":
                scale = np.array([_area(axis, row) for row in X])
                size = size * (axis[-1] - axis[0])
            case "max":
                scale = np.max(X, axis=1, where=measured, initial=-np.inf)
            case "minmax":
                offset = np.min(X, axis=1, where=measured, initial=np.inf)
                scale = np.max(X, axis=1, where=measured, initial=-np.inf) - offset
        # What rounding alone leaves of a constant, relative to the size of the values, is no scale.
        hopeless = np.flatnonzero((n > 0) & ~(scale > 1e-12 * size))
        if hopeless.size:
            raise InvalidSpectrumError(
                f"Spectrum {hopeless[0]} cannot be normalized by {self.method!r}: {_REASONS[self.method]}."
            )
        offset[n == 0] = scale[n == 0] = np.nan
        scaled = (X - offset[:, np.newaxis]) / scale[:, np.newaxis]
        return StepResult(axis, scaled, {"offset": offset, "scale": scale})

    def _unit(self, unit: IntensityUnit) -> IntensityUnit:  # noqa: ARG002
        return IntensityUnit.ARBITRARY

    def _sd(self, spectrum: Spectrum, result: StepResult) -> FloatArray | None:
        return None if spectrum.sd is None else spectrum.sd / result.diagnostics["scale"][0]


_REASONS: Mapping[Method, str] = {
    "snv": "all its points are equal",
    "vector": "all its points are zero",
    "area": "its area is not positive",
    "max": "its highest point is not positive",
    "minmax": "all its points are equal",
}


def _area(axis: FloatArray, row: FloatArray) -> float:
    measured = ~np.isnan(row)
    return float(np.sum(np.diff(axis[measured]) * (row[measured][1:] + row[measured][:-1]) / 2))
