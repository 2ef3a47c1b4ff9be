"""From wavelengths in nm to an axis in cm⁻¹, with the step that records it."""

from __future__ import annotations

from spectralid.spectrum import FloatArray, ProcessingStep

__all__ = ["shift_of_wavelength", "wavenumber_of_wavelength"]

# 1 cm = 10⁷ nm.
_NM_PER_CM = 1e7


def wavenumber_of_wavelength(nm: FloatArray) -> tuple[FloatArray, ProcessingStep]:
    """Wavenumber in cm⁻¹ of light absorbed (infrared); `nm` is above 0."""
    return _NM_PER_CM / nm, ProcessingStep("wavelength_to_wavenumber")


def shift_of_wavelength(nm: FloatArray, laser_nm: float) -> tuple[FloatArray, ProcessingStep]:
    """Raman shift in cm⁻¹ of scattered light; `nm` and `laser_nm` are above 0."""
    shift = _NM_PER_CM / laser_nm - _NM_PER_CM / nm
    return shift, ProcessingStep("wavelength_to_shift", {"laser_nm": laser_nm})
