"""Changing the ordinate: absorbance, transmittance, reflectance, Kubelka–Munk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Choice, Constraint
from spectralid.spectrum import Acquisition, FloatArray, IntensityUnit, Spectrum

__all__ = ["Convert", "to_absorbance"]

_LOG10: Final = float(np.log(10))


def _log(ratio: FloatArray) -> FloatArray:
    return np.asarray(-np.log10(np.where(ratio > 0, ratio, np.nan)))


def _power(absorbance: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-_LOG10 * absorbance))


def _kubelka_munk(reflectance: FloatArray) -> FloatArray:
    positive = np.where(reflectance > 0, reflectance, np.nan)
    return np.asarray((1 - positive) ** 2 / (2 * positive))


def _from_kubelka_munk(remission: FloatArray) -> FloatArray:
    # Noise around zero gives small negative values, which no reflectance has.
    positive = np.maximum(remission, 0.0)
    # The smaller root of R² - 2(1 + K)R + 1 = 0, written so that nothing cancels.
    return np.asarray(1 / (1 + positive + np.sqrt(positive * (positive + 2))))


_A, _T, _P = IntensityUnit.ABSORBANCE, IntensityUnit.TRANSMITTANCE, IntensityUnit.PERCENT_TRANSMITTANCE
_R, _K = IntensityUnit.REFLECTANCE, IntensityUnit.KUBELKA_MUNK

_WAYS: Final[Mapping[tuple[IntensityUnit, IntensityUnit], Callable[[FloatArray], FloatArray]]] = {
    (_T, _A): _log,
    (_A, _T): _power,
    (_P, _A): lambda percent: _log(percent / 100),
    (_A, _P): lambda absorbance: 100 * _power(absorbance),
    (_T, _P): lambda ratio: 100 * ratio,
    (_P, _T): lambda percent: percent / 100,
    (_R, _A): _log,
    (_R, _K): _kubelka_munk,
    (_K, _R): _from_kubelka_munk,
}

_NAMES: Final = tuple(sorted({unit.value for way in _WAYS for unit in way}))


class Convert(Step):
    """The same measurement in another ordinate.

    Between absorbance, transmittance and percent transmittance (Beer–Lambert, base 10); from reflectance to
    apparent absorbance log₁₀(1/R); between reflectance and Kubelka–Munk units (1 - R)² / 2R.

    Parameters
    ----------
    to : str
        Ordinate wanted, a value of `IntensityUnit`.
    source : str, optional
        Ordinate of the source. A spectrum brings its own; arrays need it.
    axis : array_like of float, shape (n_points,), optional
        Not needed; kept for pipelines.

    Notes
    -----
    A transmittance or reflectance of zero or less (noise in a band that lets nothing through) has no
    logarithm: the point becomes missing, the spectrum is flagged ``"nonpositive_transmittance"``, and the
    diagnostic ``"removed"`` counts them per spectrum. Kubelka–Munk values below zero count as zero.
    Transmittance and reflectance are not each other's and are not converted into one another.

    References
    ----------
    P. Kubelka, F. Munk, Z. Tech. Phys. 12 (1931) 593.
    """

    name = "convert"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "to": Choice(_NAMES),
        "source": Choice(_NAMES, optional=True),
    }

    def __init__(
        self, to: str = "absorbance", source: str | None = None, *, axis: npt.ArrayLike | None = None
    ):
        self.to = to
        self.source = source
        self.axis = axis

    def _validate_together(self) -> None:
        if self.source is None:
            raise ParameterError("source", None, "given for arrays: " + ", ".join(_NAMES))
        if self.source != self.to and (IntensityUnit(self.source), IntensityUnit(self.to)) not in _WAYS:
            ways = [a.value for a, b in _WAYS if b.value == self.to]
            raise ParameterError("source", self.source, f"{' or '.join(ways)} for {self.to}")

    def _completed(self, spectrum: Spectrum) -> Self:
        unit = spectrum.unit.value
        if self.source is not None and self.source != unit:
            raise ParameterError("source", self.source, f"left out or the spectrum's own unit ({unit})")
        return type(self)(self.to, unit)

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        if self.source == self.to:
            return StepResult(axis, X.copy(), {"removed": np.zeros(X.shape[0], dtype=np.int64)})
        out = _WAYS[IntensityUnit(str(self.source)), IntensityUnit(self.to)](X)
        return StepResult(axis, out, {"removed": (np.isnan(out) & ~np.isnan(X)).sum(axis=1)})

    def _unit(self, unit: IntensityUnit) -> IntensityUnit:  # noqa: ARG002
        return IntensityUnit(self.to)

    def _acquisition(self, acquisition: Acquisition, result: StepResult) -> Acquisition:
        return (
            acquisition.with_flags("nonpositive_transmittance")
            if result.diagnostics["removed"][0]
            else acquisition
        )

    def _outcome(self, result: StepResult) -> dict[str, Any]:
        removed = int(result.diagnostics["removed"][0])
        return {"removed": removed} if removed else {}


def to_absorbance(spectrum: Spectrum) -> Spectrum:
    """The spectrum in absorbance, if it is in transmittance or reflectance; any other as it is.

    Parameters
    ----------
    spectrum : Spectrum
        In any unit.

    Returns
    -------
    Spectrum
        With the conversion in its history.

    Raises
    ------
    InvalidSpectrumError
        If no point lets any light through.

    Examples
    --------
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import to_absorbance
    >>> shares = Spectrum([400, 500, 600], [0.5, 0.1, 0.01], technique="ftir-atr", unit="transmittance")
    >>> to_absorbance(shares).intensity.round(3)
    array([0.301, 1.   , 2.   ])
    """
    return Convert()(spectrum) if spectrum.unit in (_T, _P, _R) else spectrum
