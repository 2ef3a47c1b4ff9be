"""How much a method bears: the samples of a study with more noise, on a wrong axis, blurred, in a haze.

What is done to the spectra shares no code with what analyses them: a method that undoes exactly what it was
disturbed by would prove nothing. Temperature and containers are not simulated; samples measured so belong in
the manifest, as conditions.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.identify.engine import Identifier
from spectralid.library import ReferenceLibrary
from spectralid.preprocess._points import check_size
from spectralid.qa.manifest import Manifest
from spectralid.qa.study import run_study
from spectralid.qa.tables import Rate, summary
from spectralid.spectrum import FloatArray, ProcessingStep, Spectrum

__all__ = ["STRESSES", "Stress", "Stressed", "disturb", "stress_study"]

STRESSES: Final[Mapping[str, str]] = {
    "snr": "strongest band over added white noise",
    "shift": "axis moved by so many cm⁻¹",
    "stretch": "axis stretched by this share about its middle",
    "width": "blurred by a Gaussian of this full width, cm⁻¹",
    "haze": "a broad background of this many times the strongest band, with its photon noise",
}
"""What can be done to a spectrum, and what its level means."""

# Photons of the strongest band: with the haze's own, they give the noise that a background brings.
_PHOTONS: Final = 1e5
_GAUSS: Final = 2.354820045
# Points times points under the Gaussian: some seconds.
_MOST_TERMS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Stress:
    """One way of making a spectrum worse; see `STRESSES`.

    Attributes
    ----------
    name : str
        A key of `STRESSES`.
    level : float
        How much, in the unit that stands there.
    """

    name: str
    level: float

    def __post_init__(self) -> None:
        if self.name not in STRESSES:
            raise ParameterError("stress", self.name, "one of " + ", ".join(STRESSES))
        if not math.isfinite(self.level) or (self.level <= 0 and self.name == "snr"):
            raise ParameterError(
                self.name, self.level, "a finite number" + ", above 0" * (self.name == "snr")
            )
        if self.level < 0 and self.name in ("width", "haze"):
            raise ParameterError(self.name, self.level, "0 or more")


@dataclass(frozen=True, slots=True)
class Stressed:
    """What a method does under a stress.

    Attributes
    ----------
    stress : Stress
        Which.
    rates : mapping of str to Rate
        As of `spectralid.qa.tables.summary`.
    """

    stress: Stress
    rates: Mapping[str, Rate]


def stress_study(
    manifest: Manifest,
    library: ReferenceLibrary | Identifier,
    stresses: Sequence[Stress],
    *,
    processes: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[Stressed, ...]:
    """Judge every sample of a manifest under each stress.

    Parameters
    ----------
    manifest, library
        As for `run_study`.
    stresses : sequence of Stress
        What to do to the spectra, one at a time.
    processes : int, optional
        As for `run_study`.
    seed : int
        Of the noise; with the same seed a sample gets the same noise each time.
    progress : callable, optional
        Called with the number of samples done, over all stresses.

    Returns
    -------
    tuple of Stressed
        One for each stress, in order.

    Raises
    ------
    ParameterError, LibraryError
        As `run_study`.
    """
    found = []
    for number, stress in enumerate(stresses):
        before = number * len(manifest.samples)

        def told(done: int, before: int = before) -> None:
            if progress:
                progress(before + done)

        study = run_study(
            manifest, library, processes=processes, disturbed=partial(disturb, stress=stress, seed=seed),
            progress=told,
        )  # fmt: skip
        found.append(Stressed(stress, summary(study.outcomes)))
    return tuple(found)


def disturb(spectrum: Spectrum, stress: Stress, seed: int = 0) -> Spectrum:
    """The spectrum as a worse measurement would give it.

    Parameters
    ----------
    spectrum : Spectrum
        As it was measured.
    stress : Stress
        What to do to it.
    seed : int
        Of the noise.

    Returns
    -------
    Spectrum
        With the stress in its history.

    Raises
    ------
    InvalidSpectrumError
        If it has missing points or no band: nothing can be said of its noise.
    """
    x, y = np.array(spectrum.axis), np.array(spectrum.intensity)
    height = _height(y)
    text = f"{spectrum.sha256}|{stress.name}|{stress.level!r}|{seed}"
    rng = np.random.default_rng(list(hashlib.sha256(text.encode("ascii")).digest()))
    middle = (x[0] + x[-1]) / 2
    match stress.name:
        case "snr":
            y = y + rng.normal(0.0, height / stress.level, y.size)
        case "shift":
            x = x + stress.level
        case "stretch":
            x = middle + (x - middle) * (1 + stress.level)
        case "width":
            y = _blurred(x, y, stress.level)
        case "haze":
            haze = stress.level * height * np.exp(-(((x - middle) / (0.6 * (x[-1] - x[0]))) ** 2))
            photons = _PHOTONS * haze / height
            y = y + haze + rng.normal(0.0, 1.0, y.size) * np.sqrt(photons) * height / _PHOTONS
    step = ProcessingStep("disturbed", {stress.name: stress.level, "seed": seed})
    return replace(spectrum, axis=x, intensity=y, sd=None, history=(*spectrum.history, step))


def _height(y: FloatArray) -> float:
    if not np.isfinite(y).all():
        raise InvalidSpectrumError("A spectrum with missing points cannot be disturbed; cut it to its range.")
    check_size(y)
    height = float(np.max(y) - np.quantile(y, 0.2))
    if height <= 0:
        raise InvalidSpectrumError("A spectrum without any band cannot be disturbed.")
    return height


def _blurred(x: FloatArray, y: FloatArray, width: float) -> FloatArray:
    """Every point the mean of its neighbours, weighted by a Gaussian of that full width."""
    if width == 0:
        return y
    out, sigma = np.empty_like(y), width / _GAUSS
    if x.size * 8 * sigma / float(np.median(np.diff(x))) > _MOST_TERMS:
        raise InvalidSpectrumError(
            f"{x.size:,} points are too many to be blurred over {width:g} cm⁻¹; resample the spectrum first."
        )
    for i, at in enumerate(x):
        near = slice(*np.searchsorted(x, (at - 4 * sigma, at + 4 * sigma)))
        weight = np.exp(-0.5 * ((x[near] - at) / sigma) ** 2)
        out[i] = weight @ y[near] / weight.sum()
    return out
