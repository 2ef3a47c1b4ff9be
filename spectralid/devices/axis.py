"""From the wavelength a spectrometer measures to the Raman shift a spectrum is given in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = ["raman_shift", "wavelength"]

# 1 cm = 10⁷ nm.
_NM_PER_CM = 1e7


def raman_shift(wavelength_nm: npt.ArrayLike, laser_nm: float) -> FloatArray:
    """Raman shift in cm⁻¹: 10⁷/λ₀ − 10⁷/λ, positive on the Stokes side.

    Parameters
    ----------
    wavelength_nm : array_like of float
        Wavelength of the scattered light in nm, above 0.
    laser_nm : float
        Excitation wavelength λ₀ in nm, above 0.

    Returns
    -------
    ndarray of float64, of the shape of `wavelength_nm`

    Raises
    ------
    ParameterError
        If a wavelength is not above 0.
    """
    scattered = np.asarray(wavelength_nm, dtype=np.float64)
    _positive("laser_nm", laser_nm)
    _positive("wavelength_nm", float(np.min(scattered)))
    return np.asarray(_NM_PER_CM / laser_nm - _NM_PER_CM / scattered)


def wavelength(shift_cm1: npt.ArrayLike, laser_nm: float) -> FloatArray:
    """Wavelength in nm of light with a given Raman shift; inverse of `raman_shift`.

    Parameters
    ----------
    shift_cm1 : array_like of float
        Raman shift in cm⁻¹, below 10⁷/λ₀.
    laser_nm : float
        Excitation wavelength λ₀ in nm, above 0.

    Raises
    ------
    ParameterError
        If the laser wavelength is not above 0.
    """
    _positive("laser_nm", laser_nm)
    return np.asarray(_NM_PER_CM / (_NM_PER_CM / laser_nm - np.asarray(shift_cm1, dtype=np.float64)))


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ParameterError(name, value, "a wavelength in nm above 0")
