"""Spectra that no instrument should give and some do: what every entry that takes a spectrum must bear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from spectralid.spectrum import FloatArray, Spectrum, Technique

AXIS: Final[FloatArray] = np.arange(200.0, 2000.5, 1.0)
DENORMAL: Final = 5e-324
FLOAT32: Final = float(np.finfo(np.float32).max)


def bands(axis: FloatArray, seed: int = 3, count: int = 12, width: float = 12.0) -> FloatArray:
    """Lorentzian bands at random places; no substance has them."""
    rng = np.random.default_rng(seed)
    middle, height = rng.uniform(300.0, 1900.0, count), rng.uniform(0.2, 1.0, count)
    return np.asarray((height / (1 + ((axis[:, None] - middle) / (width / 2)) ** 2)).sum(axis=1))


def plain(axis: FloatArray = AXIS, seed: int = 3) -> FloatArray:
    """Counts of bands on a background, with noise: a measurement like any other."""
    noise = np.random.default_rng(seed).normal(0.0, 8.0, axis.size)
    return np.asarray(2000.0 * bands(axis, seed) + 500.0 + 0.1 * axis + noise)


def raman(intensity: Any, axis: FloatArray = AXIS, **facts: Any) -> Spectrum:
    facts.setdefault("unit", "counts")
    return Spectrum(axis, intensity, technique=facts.pop("technique", Technique.RAMAN), **facts)


def _with(values: FloatArray, at: slice | list[int] | int, value: Any) -> FloatArray:
    out = np.array(values, dtype=np.float64)
    out[at] = value
    return out


def _alternate(axis: FloatArray) -> FloatArray:
    return np.where(np.arange(axis.size) % 2 == 0, -1.0, 1.0)


def _steps(factor: float, points: int = 1801) -> FloatArray:
    return 200.0 + factor * np.arange(points)


def _fractions(points: int) -> FloatArray:
    return np.linspace(200.0, 2000.0, points)


HOSTILE: Final[dict[str, Callable[[], Spectrum]]] = {
    # size
    "scaled 1e-12": lambda: raman(1e-12 * plain()),
    "scaled 1e12": lambda: raman(1e12 * plain()),
    "scaled 1e-300": lambda: raman(1e-300 * plain()),
    "scaled 1e300": lambda: raman(1e300 * plain()),
    "offset 1e9": lambda: raman(1e9 + plain()),
    "offset -1e9": lambda: raman(plain() - 1e9),
    "offset 1e18": lambda: raman(1e18 + plain()),
    "denormals": lambda: raman(np.round(bands(AXIS) * 50) * DENORMAL),
    "float32 extremes": lambda: raman(np.where(plain() > 1500, FLOAT32, -FLOAT32)),
    "float64 extremes": lambda: raman(np.where(plain() > 1500, 1.7e308, -1.7e308)),
    "one huge": lambda: raman(_with(plain(), 900, 1e308)),
    "two huge": lambda: raman(_with(_with(plain(), 900, 1e308), 1200, -1e308)),
    "float32 stored": lambda: raman(plain().astype(np.float32)),
    # shape
    "reversed intensity": lambda: raman(plain()[::-1]),
    "upside down": lambda: raman(plain().max() - plain()),
    "all negative": lambda: raman(plain() - 1e5),
    "negated": lambda: raman(-plain()),
    "single peak": lambda: raman(bands(AXIS, count=1)),
    "single point": lambda: raman(_with(np.zeros(AXIS.size), 800, 1.0)),
    "spike on noise": lambda: raman(_with(np.random.default_rng(1).normal(0, 1, AXIS.size), 800, 1e6)),
    "noise": lambda: raman(np.random.default_rng(2).normal(0, 1, AXIS.size)),
    "constant": lambda: raman(np.full(AXIS.size, 37.0)),
    "zeros": lambda: raman(np.zeros(AXIS.size)),
    "constant negative": lambda: raman(np.full(AXIS.size, -1e-9)),
    "ramp": lambda: raman(AXIS),
    "exponential": lambda: raman(np.exp(AXIS / 5)),
    "alternating": lambda: raman(_alternate(AXIS)),
    "two levels": lambda: raman(np.sign(np.sin(AXIS / 40))),
    "saturated": lambda: raman(np.minimum(plain(), 900.0)),
    "all saturated": lambda: raman(_with(np.full(AXIS.size, 65535.0), 3, 65534.0)),
    "one bit": lambda: raman(np.round(bands(AXIS) > 0.5)),
    "few bits": lambda: raman(np.round(bands(AXIS) * 4)),
    # points that are missing
    "gaps": lambda: raman(_with(plain(), slice(300, 700), np.nan)),
    "half missing": lambda: raman(_with(plain(), slice(0, 901), np.nan)),
    "every other missing": lambda: raman(np.where(_alternate(AXIS) > 0, plain(), np.nan)),
    "one missing": lambda: raman(_with(plain(), 900, np.nan)),
    "first and last missing": lambda: raman(_with(plain(), [0, -1], np.nan)),
    "one measured": lambda: raman(_with(np.full(AXIS.size, np.nan), 900, 1.0)),
    "two measured": lambda: raman(_with(np.full(AXIS.size, np.nan), [100, 1700], [1.0, 2.0])),
    "three measured": lambda: raman(_with(np.full(AXIS.size, np.nan), [100, 900, 1700], [1.0, 3.0, 2.0])),
    "ends measured": lambda: raman(_with(plain(), slice(20, -20), np.nan)),
    # axis
    "2 points": lambda: raman([1.0, 2.0], np.array([400.0, 1800.0])),
    "3 points": lambda: raman([1.0, 2.0, 1.0], np.array([400.0, 900.0, 1800.0])),
    "10 points": lambda: raman(plain(_fractions(10)), _fractions(10)),
    "10 points close": lambda: raman(plain(np.arange(500.0, 510.0)), np.arange(500.0, 510.0)),
    "100 points": lambda: raman(plain(_fractions(100)), _fractions(100)),
    "tiny steps": lambda: raman(plain(), _steps(1e-9)),
    "huge steps": lambda: raman(plain(), _steps(1e6)),
    "steps of 200": lambda: raman(plain(_steps(200.0, 10)), _steps(200.0, 10)),
    "neighbours in floating point": lambda: raman(
        [1.0, 3.0, 2.0, 1.0], np.array([200.0, np.nextafter(200.0, 300), np.nextafter(2000.0, 0), 2000.0])
    ),
    "uneven axis": lambda: raman(plain(np.geomspace(200.0, 2000.0, 1500)), np.geomspace(200.0, 2000.0, 1500)),
    "clustered axis": lambda: raman(
        plain(np.r_[AXIS[:900], 1100.0 + 1e-7 * np.arange(900)]),
        np.r_[AXIS[:900], 1100.0 + 1e-7 * np.arange(900)],
    ),
    "negative shift only": lambda: raman(plain(), AXIS - 2500.0),
    "around zero": lambda: raman(plain(), AXIS - 1000.0),
    "beyond the library": lambda: raman(plain(), AXIS + 6000.0),
    "edge of the library": lambda: raman(plain(), AXIS + 2900.0),
    "axis of infrared in Raman": lambda: raman(plain(_steps(2.0)), _steps(2.0)),
    # standard deviations
    "sd zero": lambda: raman(plain(), sd=np.zeros(AXIS.size)),
    "sd huge": lambda: raman(plain(), sd=np.full(AXIS.size, 1e300)),
    "sd partly missing": lambda: raman(plain(), sd=_with(np.full(AXIS.size, 8.0), slice(0, 900), np.nan)),
    "sd tiny": lambda: raman(plain(), sd=np.full(AXIS.size, DENORMAL)),
}
"""By name; each made anew when it is asked for."""


def infrared(name: str) -> Spectrum:
    """The same, taken for absorbance."""
    spectrum = HOSTILE[name]()
    return spectrum.replace(technique="ftir_atr", unit="absorbance")
