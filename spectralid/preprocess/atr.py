"""Correcting ATR spectra for the depth the light reaches, which falls with wavenumber."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError, TechniqueError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Constraint, Number
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum, Technique

__all__ = ["ATRCorrection", "penetration_depth"]

_UM_PER_CM = 1e4


def penetration_depth(
    axis: npt.ArrayLike, crystal_index: float, sample_index: float, angle_deg: float
) -> FloatArray:
    """Depth at which the evanescent field has fallen to 1/e.

    ``dp = λ / (2π n₁ sqrt(sin²θ - (n₂/n₁)²))`` with the wavelength λ in vacuum.

    Parameters
    ----------
    axis : array_like of float, shape (n_points,)
        Wavenumbers in cm⁻¹, above 0.
    crystal_index, sample_index : float
        Refractive indices n₁ of the crystal (diamond and zinc selenide 2.4, germanium 4.0) and n₂ of the
        sample (most organic solids about 1.5).
    angle_deg : float
        Angle of incidence θ in degrees, above the critical angle.

    Returns
    -------
    ndarray of float, shape (n_points,)
        Depth in µm.

    Raises
    ------
    ParameterError
        If the indices and the angle give no total reflection, or a wavenumber is not positive.

    References
    ----------
    N. J. Harrick, Internal Reflection Spectroscopy, Wiley, New York 1967.

    Examples
    --------
    >>> from spectralid.preprocess import penetration_depth
    >>> penetration_depth([1000.0, 2000.0], crystal_index=2.4, sample_index=1.5, angle_deg=45.0).round(5)
    array([2.00516, 1.00258])
    """
    _check_optics(crystal_index, sample_index, angle_deg)
    wavenumber = np.asarray(axis, dtype=np.float64)
    if not (wavenumber > 0).all():
        raise ParameterError("axis", float(np.min(wavenumber)), "above 0 cm⁻¹ for a penetration depth")
    inner = math.sin(math.radians(angle_deg)) ** 2 - (sample_index / crystal_index) ** 2
    return np.asarray(_UM_PER_CM / wavenumber / (2 * math.pi * crystal_index * math.sqrt(inner)))


def _check_optics(crystal_index: float, sample_index: float, angle_deg: float) -> None:
    Number(1, 6).check("crystal_index", crystal_index)
    Number(1, 6).check("sample_index", sample_index)
    Number(0, 90, open_low=True, open_high=True).check("angle_deg", angle_deg)
    if math.sin(math.radians(angle_deg)) <= sample_index / crystal_index:
        needed = (
            f"above the critical angle, {math.degrees(math.asin(sample_index / crystal_index)):.1f}°"
            if sample_index < crystal_index
            else "used with a crystal of higher refractive index than the sample"
        )
        raise ParameterError("angle_deg", angle_deg, needed)


class ATRCorrection(Step):
    """Absorbance measured by attenuated total reflection, brought towards that in transmission.

    The path through the sample is proportional to the penetration depth, which is proportional to the
    wavelength: bands at high wavenumber come out weak. Without optical constants absorbance is multiplied by
    ν / `reference_cm1`, which needs none. With all three it is divided by the penetration depth instead; that
    gives absorbance per µm and makes spectra of different crystals comparable.

    Parameters
    ----------
    reference_cm1 : float
        Wavenumber in cm⁻¹ at which absorbance stays as it is; of no effect with optical constants.
    crystal_index, sample_index, angle_deg : float, optional
        As for `penetration_depth`; all three or none.
    reflections : int
        Number of reflections in the crystal, with optical constants.
    axis : array_like of float, shape (n_points,), optional
        Axis in cm⁻¹ for `transform`. A spectrum brings its own.

    Notes
    -----
    The shift of bands by anomalous dispersion is not corrected: that needs the sample's index at every
    wavenumber.

    References
    ----------
    N. J. Harrick, Internal Reflection Spectroscopy, Wiley, New York 1967.
    """

    name = "atr_correction"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "reference_cm1": Number(0, open_low=True),
        "crystal_index": Number(1, 6, optional=True),
        "sample_index": Number(1, 6, optional=True),
        "angle_deg": Number(0, 90, open_low=True, open_high=True, optional=True),
        "reflections": Number(1, integer=True),
    }

    def __init__(
        self,
        reference_cm1: float = 1000.0,
        *,
        crystal_index: float | None = None,
        sample_index: float | None = None,
        angle_deg: float | None = None,
        reflections: int = 1,
        axis: npt.ArrayLike | None = None,
    ) -> None:
        self.reference_cm1 = reference_cm1
        self.crystal_index = crystal_index
        self.sample_index = sample_index
        self.angle_deg = angle_deg
        self.reflections = reflections
        self.axis = axis

    def _optics(self) -> tuple[float, float, float] | None:
        match (self.crystal_index, self.sample_index, self.angle_deg):
            case (None, None, None):
                return None
            case (float() | int() as crystal, float() | int() as sample, float() | int() as angle):
                return crystal, sample, angle
            case given:
                raise ParameterError(
                    "crystal_index, sample_index, angle_deg", given, "given all three or not at all"
                )

    def _validate_together(self) -> None:
        optics = self._optics()
        if optics is not None:
            _check_optics(*optics)

    def _needs_axis(self) -> bool:
        return True

    def _completed(self, spectrum: Spectrum) -> Self:
        if spectrum.technique not in (Technique.FTIR_ATR, Technique.FTIR):
            raise TechniqueError(
                f"The ATR correction is for spectra measured by ATR; this one is {spectrum.technique.value}."
            )
        if spectrum.unit is not IntensityUnit.ABSORBANCE:
            raise TechniqueError(
                f"The ATR correction works on absorbance; this spectrum is in {spectrum.unit.value}: "
                "use Convert('absorbance') first."
            )
        return self

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        optics = self._optics()
        if axis[0] <= 0:
            raise ParameterError("axis", float(axis[0]), "above 0 cm⁻¹ for the ATR correction")
        if optics is None:
            return StepResult(axis, X * (axis / self.reference_cm1))
        depth = penetration_depth(axis, *optics)
        return StepResult(axis, X / (self.reflections * depth), {"penetration_depth_um": depth})

    def _unit(self, unit: IntensityUnit) -> IntensityUnit:
        # Absorbance per µm is no absorbance, and there is no name for it among the units.
        return unit if self._optics() is None else IntensityUnit.ARBITRARY

    def _sd(self, spectrum: Spectrum, result: StepResult) -> FloatArray | None:  # noqa: ARG002
        if spectrum.sd is None:
            return None
        return self._map(spectrum.axis, spectrum.sd[np.newaxis]).intensity.ravel()
