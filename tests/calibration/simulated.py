"""Spectra to calibrate on, made without the code under test: Voigt bands by Faddeeva, Poisson photons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import wofz

from spectralid import Acquisition, Spectrum
from spectralid.spectrum import FloatArray

# Heights of polystyrene's bands relative to the highest, roughly as a 785 nm instrument shows them.
POLYSTYRENE = {
    620.9: 0.15, 795.8: 0.1, 1001.4: 1.0, 1031.8: 0.25, 1155.3: 0.12, 1450.5: 0.08, 1583.1: 0.1, 1602.3: 0.25,
    2852.4: 0.08, 2904.5: 0.2, 3054.3: 0.35,
}  # fmt: skip


def voigt(x: FloatArray, centre: float, gauss: float, lorentz: float) -> FloatArray:
    """Voigt profile of height 1; both widths are full widths at half height."""
    sigma, gamma = gauss / 2.354820045, lorentz / 2
    z = (x - centre + 1j * gamma) / (sigma * np.sqrt(2))
    return np.asarray(wofz(z).real / wofz(1j * gamma / (sigma * np.sqrt(2))).real)


def spectrum(
    bands: dict[float, float],
    rng: np.random.Generator,
    *,
    axis: FloatArray | None = None,
    shown: Callable[[FloatArray], FloatArray] = lambda x: x,
    counts: float = 2e4,
    gauss: float = 7.0,
    lorentz: float = 3.0,
    background: float = 0.2,
    known_noise: bool = False,
    subpixels: int = 5,
    acquisition: Acquisition | None = None,
) -> Spectrum:
    """What an instrument shows of bands at true positions.

    `shown` maps true positions to where the instrument shows them; a point collects the light of its pixel.
    """
    x = np.arange(300.0, 3250.0, 2.0) if axis is None else axis
    step = np.gradient(x)
    mean = np.full(x.size, background) + background * np.exp(-x / 1500)
    places = shown(np.array(list(bands)))
    for place, height in zip(places, bands.values(), strict=True):
        for k in range(subpixels):
            at = x + step * ((k + 0.5) / subpixels - 0.5)
            mean += height * voigt(at, float(place), gauss, lorentz) / subpixels
    expected = counts * mean
    read_noise = 5.0
    measured = rng.poisson(expected) + rng.normal(0, read_noise, x.size)
    return Spectrum(
        axis=x,
        intensity=measured,
        technique="raman",
        unit="counts",
        sd=np.sqrt(expected + read_noise**2) if known_noise else None,
        acquisition=acquisition or Acquisition(),
        name="simulated",
    )


def bands(positions: Sequence[float], height: float = 1.0) -> dict[float, float]:
    """Bands of one height."""
    return dict.fromkeys(positions, height)
