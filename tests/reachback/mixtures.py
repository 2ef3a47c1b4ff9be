"""Spectra of made-up mixtures for tests, from bands that nothing else knows of."""

from __future__ import annotations

import numpy as np

from spectralid import IntensityUnit, Spectrum, Technique

X0, DX, N = 200.0, 1.5, 1600  # as in the packets of `desk.Tablet`
AXIS = X0 + DX * np.arange(N)


def substance(number):
    """Bands of a substance: places, heights, widths."""
    rng = np.random.default_rng(1000 + number)
    n = int(rng.integers(14, 22))
    return rng.uniform(260, 2500, n), rng.lognormal(0, 0.7, n), rng.uniform(4, 8, n)


def values(parts, seed, *, shift=0.0, counts=20_000.0, fluorescence=1.0, tilt=0.0, grain=0.02, noise=True):
    """Counts of one scan of a mixture, `parts` a mapping of substance numbers to shares."""
    rng = np.random.default_rng(seed)
    signal = np.zeros(N)
    for number, share in parts.items():
        places, heights, widths = substance(number)
        own = share * np.exp(rng.normal(0, grain)) / heights.sum()
        gaps = (AXIS[:, None] - places - shift) / widths
        signal += own * (heights * np.exp(-0.5 * gaps**2)).sum(axis=1)
    signal *= np.exp(tilt * (AXIS - 1400) / 1200)
    signal *= counts / signal.max()
    glow = fluorescence * counts * np.exp(-0.5 * ((AXIS - rng.uniform(900, 2200)) / 900) ** 2)
    expected = signal + glow + 100
    return (rng.poisson(expected) if noise else expected).astype(float)


def spectrum(parts, seed, **how):
    """The same as a `Spectrum`."""
    return Spectrum(AXIS, values(parts, seed, **how), technique=Technique.RAMAN, unit=IntensityUnit.COUNTS)


def scan(tablet, seizure, parts, seed, *, item="I-1", serial="U-1", how=None, **body):
    """A packet of one scan of a mixture; its result names two substances unless told otherwise."""
    body = {"substances": ("cocaine", "lactose"), **body}
    y = values(parts, seed, **(how or {}))
    instrument = {"technique": "raman", "maker": "M", "model": "R", "serial": serial}
    return tablet.scan(seizure, item, values=tuple(y), instrument=instrument, **body)
