"""Photons, electrons and counts of a simulated Raman spectrometer.

A sample is a list of bands, each a Voigt profile. The light passes an instrument function with a tail to the
red, falls on pixels of finite width at wavelengths that are not quite those the instrument believes in, and
becomes counts through Poisson noise, read noise and a converter that clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import wofz

__all__ = ["Bench", "Detector", "SampleBand", "voigt"]

_Floats = npt.NDArray[np.float64]

_FWHM_PER_SIGMA: Final = 2.354820045030949
_NM_PER_CM: Final = 1e7
_GRID_NM: Final = 0.02
_MARGIN_NM: Final = 8.0
# Band widths come from measured spectra and hold the resolution of the instrument that measured them; a band
# is at least as wide as a sharp one in a solid.
_SOURCE_RESOLUTION_CM1: Final = 7.0
_NARROWEST_CM1: Final = 3.0


@dataclass(frozen=True, slots=True)
class SampleBand:
    """A Raman band of the sample.

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
class Bench:
    """What the simulated instrument truly is.

    Attributes
    ----------
    pixels : int
        Detector pixels.
    laser_nm : float
        Excitation wavelength.
    reported : tuple of float
        Wavelength polynomial the instrument reports, nm per power of the pixel index.
    drift_nm : tuple of float
        What the true wavelength has on top: nm per power of u, where u runs from −1 to 1 over the detector.
        About 1 cm⁻¹; the host does not know it.
    resolution_nm, tail_nm : float
        Instrument function: FWHM of its Gaussian part, decay length of its tail to the red.
    raman_e_s : float
        Electrons per second in the brightest pixel from the sample's bands.
    fluorescence : float
        Height of the fluorescence, relative to `raman_e_s`.
    dark_e_s : float
        Dark current, electrons per second and pixel (median).
    read_noise_e : float
        Read noise, electrons.
    gain_e : float
        Electrons per count.
    offset : float
        Counts with no light and no time.
    adc_max : int
        Largest count.
    """

    pixels: int = 1024
    laser_nm: float = 785.0
    reported: tuple[float, ...] = (796.5, 0.25, -1.1e-5, -1e-9)
    drift_nm: tuple[float, ...] = (0.03, 0.03, 0.0, -0.06)
    resolution_nm: float = 0.5
    tail_nm: float = 0.12
    raman_e_s: float = 2e5
    fluorescence: float = 1.0
    dark_e_s: float = 400.0
    read_noise_e: float = 12.0
    gain_e: float = 4.0
    offset: float = 1200.0
    adc_max: int = 65535

    def true_wavelengths(self, pixel: npt.ArrayLike) -> _Floats:
        """Wavelength in nm that truly falls on a (fractional) pixel."""
        p = np.asarray(pixel, dtype=np.float64)
        u = 2 * p / (self.pixels - 1) - 1
        polynomial = np.polynomial.polynomial.polyval
        return np.asarray(polynomial(p, self.reported) + polynomial(u, self.drift_nm))


def voigt(x: _Floats, sigma: float, gamma: float) -> _Floats:
    """Voigt profile of unit area: Gaussian of deviation `sigma`, Lorentzian of half width `gamma`."""
    z = (x + 1j * gamma) / (sigma * np.sqrt(2))
    return np.asarray(wofz(z).real / (sigma * np.sqrt(2 * np.pi)))


class Detector:
    """The spectrometer with a sample before it: gives frames of counts.

    Parameters
    ----------
    bench : Bench
        The instrument.
    bands : sequence of SampleBand
        The sample; empty for none.
    seed : int
        Seed of the noise. The fixed pattern of the pixels belongs to the bench and does not depend on it.
    """

    def __init__(self, bench: Bench, bands: Sequence[SampleBand], *, seed: int) -> None:
        self.bench = bench
        self.integration_s = 0.1
        self.laser = False
        self._rng = np.random.Generator(np.random.PCG64(seed))
        pattern = np.random.Generator(np.random.PCG64(785))
        self._dark = bench.dark_e_s * np.exp(pattern.normal(0, 0.1, bench.pixels))
        response = pattern.normal(1, 0.005, bench.pixels)
        self._light = _light(bench, bands) * response

    def expected_electrons(self) -> _Floats:
        """Mean electrons per pixel of a frame, shape (pixels,)."""
        rate = self._dark + self._light if self.laser else self._dark
        return np.asarray(rate * self.integration_s)

    def frame(self) -> npt.NDArray[np.uint16]:
        """One frame of counts, shape (pixels,)."""
        electrons = self._rng.poisson(self.expected_electrons()).astype(np.float64)
        electrons += self._rng.normal(0, self.bench.read_noise_e, self.bench.pixels)
        counts = np.rint(electrons / self.bench.gain_e + self.bench.offset)
        return np.clip(counts, 0, self.bench.adc_max).astype(np.uint16)


def _light(bench: Bench, bands: Sequence[SampleBand]) -> _Floats:
    """Electrons per second and pixel with the laser on."""
    edges = bench.true_wavelengths(np.arange(bench.pixels + 1) - 0.5)
    grid = np.arange(edges[0] - _MARGIN_NM, edges[-1] + _MARGIN_NM, _GRID_NM)
    raman = _on_pixels(grid, _instrument(bench, _raman(bench, bands, grid)), edges)
    brightest = raman.max()
    if brightest > 0:
        raman *= bench.raman_e_s / brightest
    glow = _on_pixels(grid, _fluorescence(grid), edges)
    glow *= bench.fluorescence * bench.raman_e_s / glow.max()
    centres = (edges[:-1] + edges[1:]) / 2
    return np.asarray((raman + glow) * _quantum_efficiency(centres))


def _raman(bench: Bench, bands: Sequence[SampleBand], grid: _Floats) -> _Floats:
    shift = _NM_PER_CM / bench.laser_nm - _NM_PER_CM / grid
    density = np.zeros_like(grid)
    for band in bands:
        width = max(_NARROWEST_CM1, np.sqrt(max(0.0, band.fwhm**2 - _SOURCE_RESOLUTION_CM1**2)))
        gamma = 0.5 * width * band.lorentzian
        # Width of a Voigt profile, f = 0.5346 l + sqrt(0.2166 l² + g²) (Olivero, Longbothum 1977), for g.
        lorentz = 2 * gamma
        gauss = np.sqrt(max((width - 0.5346 * lorentz) ** 2 - 0.2166 * lorentz**2, (0.05 * width) ** 2))
        sigma = float(gauss) / _FWHM_PER_SIGMA
        profile = voigt(shift - band.position, sigma, gamma)
        density += band.height * profile / voigt(np.zeros(1), sigma, gamma)
    # Per nm of wavelength instead of per cm⁻¹ of shift.
    return np.asarray(density * _NM_PER_CM / grid**2)


def _instrument(bench: Bench, light: _Floats) -> _Floats:
    """`light` smeared by a Gaussian with an exponential tail to the red, centred on its centre of mass."""
    x = np.arange(-_MARGIN_NM / 2, _MARGIN_NM / 2 + _GRID_NM, _GRID_NM)
    gaussian = np.exp(-0.5 * (x / (bench.resolution_nm / _FWHM_PER_SIGMA)) ** 2)
    tail = np.where(x >= 0, np.exp(-np.clip(x, 0, None) / bench.tail_nm), 0.0)
    kernel = np.convolve(gaussian, tail, mode="same")
    kernel /= kernel.sum()
    smeared = np.convolve(light, kernel, mode="same")
    centre = float(x @ kernel)
    place = np.arange(light.size, dtype=np.float64) * _GRID_NM
    return np.interp(place + centre, place, smeared)


def _on_pixels(grid: _Floats, light: _Floats, edges: _Floats) -> _Floats:
    """Light collected between the pixels' edges."""
    collected = np.concatenate([[0.0], np.cumsum((light[1:] + light[:-1]) / 2) * _GRID_NM])
    return np.diff(np.interp(edges, grid, collected))


def _fluorescence(grid: _Floats) -> _Floats:
    """A broad hump on the way down to the red."""
    return np.asarray(np.exp(-0.5 * ((grid - 825) / 75) ** 2) + 0.15)


def _quantum_efficiency(wavelength: _Floats) -> _Floats:
    """Silicon: falls off towards its band edge."""
    return np.asarray(1 / (1 + np.exp((wavelength - 1005) / 22)))
