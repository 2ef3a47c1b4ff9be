"""Wavelength and Raman shift, one from the other."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = ["raman_shift", "wavelength"]

# 1 cm = 10⁷ nm. `io/_wavelength.py` holds the same factor: file formats may import no room but the values.
_NM_PER_CM: Final = 1e7


def raman_shift(wavelength_nm: npt.ArrayLike, laser_nm: float) -> FloatArray:
    """Raman shift in cm⁻¹: 10⁷/λ₀ − 10⁷/λ, positive on the Stokes side.

    Parameters
    ----------
    wavelength_nm : array_like of float
        Wavelength of the scattered light in nm, above 0.
    laser_nm : float
        Excitation wavelength λ₀ in nm, above 0; in vacuum or in air like `wavelength_nm`, since mixing them
        moves the axis by 3 cm⁻¹ (785 nm) to 5 cm⁻¹ (532 nm).

    Returns
    -------
    ndarray of float64, of the shape of `wavelength_nm`

    Raises
    ------
    ParameterError
        If a wavelength is not above 0.

    Examples
    --------
    >>> from spectralid.calibration import raman_shift
    >>> raman_shift([785.0, 852.0], laser_nm=785.0).round(1)
    array([   0. , 1001.8])
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

    Returns
    -------
    ndarray of float
        In nm, of the shape of `shift_cm1`.

    Raises
    ------
    ParameterError
        If the laser wavelength is not above 0, or a shift takes more energy than a laser photon has.

    Examples
    --------
    >>> from spectralid.calibration import wavelength
    >>> wavelength([0.0, 1001.4], laser_nm=785.0).round(2)
    array([785.  , 851.97])
    """
    _positive("laser_nm", laser_nm)
    shift = np.asarray(shift_cm1, dtype=np.float64)
    highest = _NM_PER_CM / laser_nm
    if not float(np.max(shift)) < highest:
        raise ParameterError(
            "shift_cm1", float(np.max(shift)), f"below {highest:.0f} cm⁻¹, all a {laser_nm:g} nm photon has"
        )
    return np.asarray(_NM_PER_CM / (highest - shift))


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ParameterError(name, value, "a wavelength in nm above 0")
