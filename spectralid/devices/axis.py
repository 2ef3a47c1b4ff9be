"""From the wavelength a spectrometer measures to the Raman shift a spectrum is given in."""

from spectralid.calibration.shift import raman_shift, wavelength

__all__ = ["raman_shift", "wavelength"]
