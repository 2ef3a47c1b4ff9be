"""What a simulated instrument truly is, and how its optics bring light to its pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.devices.sim.emission import FWHM_PER_SIGMA, NM_PER_CM, Floats, Luminescence, SampleBand, raman

__all__ = ["Bench", "etalon", "excited_at", "luminescence_on_pixels", "raman_on_pixels"]

_GRID_NM: Final = 0.02
_MARGIN_NM: Final = 8.0
# Red edges of the two materials, and the wavelength from which silicon is of no use.
_SILICON_NM: Final = 1005.0
_INGAAS_NM: Final = 1650.0
_SILICON_ENDS_NM: Final = 1100.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What the simulated instrument truly is.

    Attributes
    ----------
    pixels : int
        Detector pixels.
    laser_nm : float
        Excitation wavelength as the maker states it.
    laser_error_nm : float
        What the true excitation wavelength has on top; the host does not know it.
    reported : tuple of float
        Wavelength polynomial the instrument reports, nm per power of the pixel index.
    drift_nm : tuple of float
        What the true wavelength has on top: nm per power of u, where u runs from −1 to 1 over the detector.
        About 1 cm⁻¹; the host does not know it.
    resolution_nm, tail_nm : float
        Instrument function: FWHM of its Gaussian part, decay length of its tail to the red.
    etalon, etalon_um, etalon_index : float
        Fringes of a back-thinned sensor: amplitude (0 to 1), thickness in µm and refractive index of its
        silicon. Their period is 1/(2 n d) in wavenumber.
    red_edge_nm : float
        Where the sensor's material stops seeing light: 1005 for silicon.
    response_sd : float
        Standard deviation of the pixels' sensitivity, relative.
    raman_e_s : float
        Electrons per second in the brightest pixel from the bands of a pure substance.
    power_droop, droop_s : float
        Share of its power a warming laser loses, and the time constant in seconds.
    power_noise : float
        Standard deviation of the laser's power from frame to frame, relative.
    dark_e_s : float
        Dark current at `dark_at_c`, electrons per second and pixel (median).
    dark_at_c, dark_doubling_c : float
        Temperature that holds for, and the warming that doubles it, in °C.
    ambient_c : float
        Temperature of the room.
    cooled_to_c : float or None
        Temperature the detector is cooled to at power-up; ``None`` for a detector without a cooler.
    hot_pixels : int
        Pixels with a hundred times the dark current.
    cosmic_per_s : float
        Cosmic rays per second of integration.
    read_noise_e : float
        Read noise, electrons.
    full_well_e : float
        Electrons a pixel can hold.
    gain_e : float
        Electrons per count.
    offset : float
        Counts with no light and no time.
    adc_max : int
        Largest count.
    nonlinearity : tuple of float
        Coefficients NL the instrument reports: true counts = counts above dark ÷ Σ NLk·counts^k.
    """

    pixels: int = 1024
    laser_nm: float = 785.0
    laser_error_nm: float = 0.0
    reported: tuple[float, ...] = (796.5, 0.25, -1.1e-5, -1e-9)
    drift_nm: tuple[float, ...] = (0.03, 0.03, 0.0, -0.06)
    resolution_nm: float = 0.5
    tail_nm: float = 0.12
    etalon: float = 0.0
    etalon_um: float = 15.0
    etalon_index: float = 3.6
    red_edge_nm: float = _SILICON_NM
    response_sd: float = 0.005
    raman_e_s: float = 2e5
    power_droop: float = 0.0
    droop_s: float = 30.0
    power_noise: float = 0.0
    dark_e_s: float = 400.0
    dark_at_c: float = 25.0
    dark_doubling_c: float = 7.0
    ambient_c: float = 25.0
    cooled_to_c: float | None = None
    hot_pixels: int = 0
    cosmic_per_s: float = 0.0
    read_noise_e: float = 12.0
    full_well_e: float = 1e6
    gain_e: float = 4.0
    offset: float = 1200.0
    adc_max: int = 65535
    nonlinearity: tuple[float, ...] = (1.0,)

    def true_wavelengths(self, pixel: npt.ArrayLike) -> Floats:
        """Wavelength in nm that truly falls on a (fractional) pixel."""
        p = np.asarray(pixel, dtype=np.float64)
        u = 2 * p / (self.pixels - 1) - 1
        polynomial = np.polynomial.polynomial.polyval
        return np.asarray(polynomial(p, self.reported) + polynomial(u, self.drift_nm))


@lru_cache(maxsize=32)
def raman_on_pixels(bench: Bench, bands: tuple[SampleBand, ...]) -> Floats:
    """Electrons per second and pixel of a pure substance, shape (pixels,), read-only."""
    grid, edges = _places(bench)
    emitted = raman(bands, bench.laser_nm + bench.laser_error_nm, grid)
    electrons = _detected(bench, _on_pixels(grid, _smeared(bench, emitted), edges), bench.raman_e_s)
    electrons.flags.writeable = False
    return electrons


def luminescence_on_pixels(bench: Bench, light: Luminescence) -> Floats:
    """Electrons per second and pixel of an unbleached luminescence, shape (pixels,)."""
    grid, edges = _places(bench)
    # Too broad for the instrument function to show.
    collected = _on_pixels(grid, light.density(grid), edges)
    return _detected(bench, collected, light.strength * bench.raman_e_s)


def etalon(bench: Bench, wavelength: Floats) -> Floats:
    """Sensitivity over `wavelength` (nm) of a sensor whose two faces make light interfere, around 1."""
    path_nm = 2 * bench.etalon_index * bench.etalon_um * 1000
    return np.asarray(1 + bench.etalon * np.cos(2 * np.pi * path_nm / wavelength))


def _places(bench: Bench) -> tuple[Floats, Floats]:
    edges = bench.true_wavelengths(np.arange(bench.pixels + 1) - 0.5)
    return np.arange(edges[0] - _MARGIN_NM, edges[-1] + _MARGIN_NM, _GRID_NM), edges


def _detected(bench: Bench, collected: Floats, brightest: float) -> Floats:
    highest = collected.max()
    if highest > 0:
        collected = collected * (brightest / highest)
    centres = bench.true_wavelengths(np.arange(bench.pixels))
    return np.asarray(collected * _quantum_efficiency(bench, centres) * etalon(bench, centres))


def _smeared(bench: Bench, light: Floats) -> Floats:
    """`light` smeared by a Gaussian with an exponential tail to the red, centred on its centre of mass."""
    x = np.arange(-_MARGIN_NM / 2, _MARGIN_NM / 2 + _GRID_NM, _GRID_NM)
    gaussian = np.exp(-0.5 * (x / (bench.resolution_nm / FWHM_PER_SIGMA)) ** 2)
    tail = np.where(x >= 0, np.exp(-np.clip(x, 0, None) / bench.tail_nm), 0.0)
    kernel = np.convolve(gaussian, tail, mode="same")
    kernel /= kernel.sum()
    smeared = np.convolve(light, kernel, mode="same")
    centre = float(x @ kernel)
    place = np.arange(light.size, dtype=np.float64) * _GRID_NM
    return np.interp(place + centre, place, smeared)


def _on_pixels(grid: Floats, light: Floats, edges: Floats) -> Floats:
    """Light collected between the pixels' edges."""
    collected = np.concatenate([[0.0], np.cumsum((light[1:] + light[:-1]) / 2) * _GRID_NM])
    return np.diff(np.interp(edges, grid, collected))


def _quantum_efficiency(bench: Bench, wavelength: Floats) -> Floats:
    """Falls off towards the band edge of the sensor's material."""
    return np.asarray(1 / (1 + np.exp((wavelength - bench.red_edge_nm) / 22)))


def excited_at(bench: Bench, laser_nm: float) -> Bench:
    """`bench` built for another laser: the same shifts on the same pixels, lines as wide in cm⁻¹."""
    pixel = np.arange(bench.pixels)
    shift = NM_PER_CM / bench.laser_nm - NM_PER_CM / np.polynomial.polynomial.polyval(pixel, bench.reported)
    wavelength = NM_PER_CM / (NM_PER_CM / laser_nm - shift)
    fitted = np.polynomial.Polynomial.fit(pixel, wavelength, 3).convert().coef
    # A width in cm⁻¹ is a width in nm times 10⁷/λ².
    wider = (laser_nm / bench.laser_nm) ** 2
    return replace(
        bench,
        laser_nm=laser_nm,
        reported=tuple(map(float, fitted)),
        drift_nm=tuple(c * wider for c in bench.drift_nm),
        resolution_nm=bench.resolution_nm * wider,
        tail_nm=bench.tail_nm * wider,
        red_edge_nm=_SILICON_NM if wavelength[-1] < _SILICON_ENDS_NM else _INGAAS_NM,
    )
