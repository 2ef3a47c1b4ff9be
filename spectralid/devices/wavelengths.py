"""From the coefficients of a wavelength polynomial to the wavelength of each pixel, or to a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from spectralid.errors import ProtocolError
from spectralid.spectrum import FloatArray

__all__ = ["pixel_wavelengths"]

# No spectrometer of this kind sees further; NaN and infinity lie outside too.
_RANGE_NM: Final = (100.0, 10_000.0)


def pixel_wavelengths(coefficients: Sequence[float], pixels: int, *, source: str) -> FloatArray:
    """Wavelength of each pixel.

    Parameters
    ----------
    coefficients : sequence of float
        Polynomial over the pixel number from 0, constant first, in nm.
    pixels : int
        How many.
    source : str
        Where the coefficients come from, for the message: "stored in the instrument".

    Returns
    -------
    ndarray of float64, shape (pixels,)
        In nm, strictly ascending.

    Raises
    ------
    ProtocolError
        If they do not ascend or lie outside 100 … 10,000 nm.
    """
    pixel = np.arange(pixels, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        wavelengths = np.polynomial.polynomial.polyval(pixel, np.asarray(coefficients, dtype=np.float64))
        inside = (wavelengths > _RANGE_NM[0]) & (wavelengths < _RANGE_NM[1])
        usable = np.all(inside) and np.all(np.diff(wavelengths) > 0)
    if not usable:
        told = ", ".join(f"{c:g}" for c in coefficients)
        raise ProtocolError(
            f"The wavelength coefficients {source} ({told}) do not give ascending wavelengths; the "
            "calibration is lost. Have the instrument calibrated before use."
        )
    return np.asarray(wavelengths, dtype=np.float64)
