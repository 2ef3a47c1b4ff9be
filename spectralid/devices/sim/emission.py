"""What the laser brings out of a sample: Raman bands, the container's bands, and luminescence.

Everything here is light leaving the sample, per nm of wavelength, before any instrument. Line shapes are
Voigt profiles of their own width; nothing is shared with preprocessing or matching.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import wofz

__all__ = ["Component", "Luminescence", "SampleBand", "Scene", "bleached", "raman", "voigt"]

Floats = npt.NDArray[np.float64]

FWHM_PER_SIGMA: Final = 2.354820045030949
NM_PER_CM: Final = 1e7
# Band widths come from measured spectra and hold the resolution of the instrument that measured them; a band
# is at least as wide as a sharp one in a solid.
_SOURCE_RESOLUTION_CM1: Final = 7.0
_NARROWEST_CM1: Final = 3.0


@dataclass(frozen=True, slots=True)
class SampleBand:
    """A Raman band.

    Attributes
    ----------
    position, fwhm : float
        Raman shift and observed full width at half maximum in cm⁻¹.
    height : float
        Relative height, above 0.
    lorentzian : float
        Share of the width that is Lorentzian, 0 (Gaussian) to 1.
    """

    position: float
    height: float
    fwhm: float
    lorentzian: float = 0.5


@dataclass(frozen=True, slots=True)
class Luminescence:
    """Broad light that stands still in wavelength, whatever the laser: a Gaussian on a pedestal.

    Attributes
    ----------
    strength : float
        Brightest pixel, relative to the strongest band of a pure substance.
    centre_nm, sd_nm : float
        Centre and standard deviation.
    pedestal : float
        Constant part, relative to the Gaussian.
    bleaching : float
        Share that light destroys, 0 to 1.
    bleach_s : float
        Seconds of light after which 1/e of that share is left.
    """

    strength: float
    centre_nm: float = 825.0
    sd_nm: float = 75.0
    pedestal: float = 0.15
    bleaching: float = 0.0
    bleach_s: float = 30.0

    def density(self, wavelength: Floats) -> Floats:
        """Light per nm at `wavelength` (nm), in units of the Gaussian's maximum."""
        z = (wavelength - self.centre_nm) / self.sd_nm
        return np.asarray(np.exp(-0.5 * z**2) + self.pedestal)


@dataclass(frozen=True, slots=True)
class Component:
    """A substance, or a wall, in the light.

    Attributes
    ----------
    bands : tuple of SampleBand
        Its bands.
    amount : float
        Strength relative to the pure substance, above 0.
    """

    bands: tuple[SampleBand, ...]
    amount: float = 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What lies under the probe.

    Attributes
    ----------
    components : tuple of Component
        Substances and walls.
    luminescence : tuple of Luminescence
        Fluorescence of the sample, luminescence of glass.
    """

    components: tuple[Component, ...] = ()
    luminescence: tuple[Luminescence, ...] = ()


def voigt(x: Floats, sigma: float, gamma: float) -> Floats:
    """Voigt profile of unit area: Gaussian of deviation `sigma`, Lorentzian of half width `gamma`."""
    z = (x + 1j * gamma) / (sigma * np.sqrt(2))
    return np.asarray(wofz(z).real / (sigma * np.sqrt(2 * np.pi)))


def raman(bands: Iterable[SampleBand], laser_nm: float, wavelength: Floats) -> Floats:
    """Raman light per nm at `wavelength` (nm) with the laser at `laser_nm`; strongest band of height 1."""
    shift = NM_PER_CM / laser_nm - NM_PER_CM / wavelength
    density = np.zeros_like(wavelength)
    for band in bands:
        width = max(_NARROWEST_CM1, np.sqrt(max(0.0, band.fwhm**2 - _SOURCE_RESOLUTION_CM1**2)))
        gamma = 0.5 * width * band.lorentzian
        # Width of a Voigt profile, f = 0.5346 l + sqrt(0.2166 l² + g²) (Olivero, Longbothum 1977), for g.
        lorentz = 2 * gamma
        gauss = np.sqrt(max((width - 0.5346 * lorentz) ** 2 - 0.2166 * lorentz**2, (0.05 * width) ** 2))
        sigma = float(gauss) / FWHM_PER_SIGMA
        profile = voigt(shift - band.position, sigma, gamma)
        density += band.height * profile / voigt(np.zeros(1), sigma, gamma)
    # Per nm of wavelength instead of per cm⁻¹ of shift.
    return np.asarray(density * NM_PER_CM / wavelength**2)


def bleached(light: Luminescence, since_s: float, for_s: float) -> float:
    """Mean share of a luminescence that is left between `since_s` and `since_s` + `for_s` of illumination."""
    if for_s == 0:
        left = float(np.exp(-since_s / light.bleach_s))
    else:
        ends = np.exp(-np.array([since_s, since_s + for_s]) / light.bleach_s)
        left = float(ends[0] - ends[1]) * light.bleach_s / for_s
    return 1 - light.bleaching * (1 - left)
