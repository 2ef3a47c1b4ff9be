"""Spectra made here, with nothing of the package, and one instance of every step to try them on."""

from __future__ import annotations

import numpy as np

from spectralid import Spectrum
from spectralid.preprocess import (
    ATRCorrection,
    Baseline,
    Convert,
    Crop,
    Derivative,
    Despike,
    MarkMissing,
    Normalize,
    Resample,
    SavitzkyGolay,
    Whittaker,
)
from spectralid.preprocess._base import Step

AXIS = 400.0 + 4.0 * np.arange(300)
BANDS = [(520.0, 12.0, 1.0), (742.0, 9.0, 0.6), (1001.0, 7.0, 1.4), (1310.0, 20.0, 0.8)]


def gaussian(axis: np.ndarray, centre: float, sigma: float, height: float = 1.0) -> np.ndarray:
    return height * np.exp(-((axis - centre) ** 2) / (2 * sigma**2))


def clean(axis: np.ndarray = AXIS) -> np.ndarray:
    """Bands without baseline and noise; at most about 1.4."""
    return sum(gaussian(axis, *band) for band in BANDS)


def background(axis: np.ndarray = AXIS) -> np.ndarray:
    u = (axis - 400.0) / 1200.0
    return 0.3 + 0.5 * np.exp(-3 * u) + 0.1 * u


def spectra(n: int = 4, seed: int = 0, axis: np.ndarray = AXIS) -> np.ndarray:
    """Positive, noisy spectra with baseline, shape (n, n_points)."""
    rng = np.random.default_rng(seed)
    strength = rng.uniform(0.5, 2.0, size=(n, 1))
    return strength * (clean(axis) + background(axis)) + rng.normal(0, 0.01, size=(n, axis.size))


def absorbing(intensity: np.ndarray, **facts: object) -> Spectrum:
    """An ATR absorbance spectrum, which every step can be used on."""
    return Spectrum(AXIS, intensity, technique="ftir_atr", unit="absorbance", **facts)


STEPS: list[Step] = [
    ATRCorrection(),
    ATRCorrection(crystal_index=2.4, sample_index=1.5, angle_deg=45.0, reflections=3),
    *(Baseline(method) for method in (
        "airpls", "arpls", "asls", "drpls", "iarpls", "imodpoly", "modpoly", "mor", "rubberband", "snip",
    )),
    Convert("transmittance", "absorbance"),
    Crop(600.0, 1400.0),
    Derivative(9, 3, 1),
    Derivative(11, 4, 2),
    Despike(),
    MarkMissing([AXIS[17], AXIS[200]], "known bad"),
    *(Normalize(method) for method in ("area", "max", "minmax", "snv", "vector")),
    Resample(3.0),
    Resample(10.0, 500.0, 1400.0),
    Resample(grid=np.linspace(450.0, 1500.0, 177), method="linear"),
    Resample(4.0, resolution_cm1=16.0, from_resolution_cm1=8.0),
    SavitzkyGolay(9, 3),
    Whittaker(30.0),
]  # fmt: skip


def label(step: Step) -> str:
    given = [str(v) for k, v in step.get_params().items() if v is not None and isinstance(v, str | int)]
    return "-".join([step.name, *given])
