"""The fingerprint of an item: what the scans of a whole mixture have in common, on one grid.

A fingerprint is the mean first derivative of the scans of one item, less its own mean over 180 cm⁻¹ around
each point, and each scaled to length 1. Fluorescence and what a cell or crystal adds slowly drop out of that;
laser power and exposure drop out of the scale. The axis and the response of the instrument do not:
`intelligence.linkage` allows for them when it compares two. With it go two numbers that say how far
to trust it: how much of its energy is noise, and how much the scans of the item differ from each other.

A seizure of several items has a fingerprint for each, since they may hold different things.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from spectralid.errors import InvalidSpectrumError, SpectralIDError, TechniqueError
from spectralid.identify.similarity import derivative_window, first_derivative
from spectralid.library.schema import common_grid, grid_key
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["VERSION", "Fingerprint", "Reading", "pool", "read"]

VERSION: Final = 1
"""Of how a fingerprint is made; those of another version are made anew."""

# Fewer points of the grid than this (about 300 cm⁻¹) tell mixtures apart no more than single bands do.
LEAST_POINTS: Final = 100
# Points (of 3 cm⁻¹) over which fluorescence is taken to be a straight slope; several bands wide.
AROUND: Final = 61
# Scans of one item that are less alike than this show different things: a grain, the bag, a label.
SAME_THING: Final = 0.80


@dataclass(frozen=True, slots=True)
class Reading:
    """One scan, ready to be pooled.

    Attributes
    ----------
    technique : str
        ``"raman"`` or ``"infrared"``: the name of the grid.
    slope : ndarray, shape (n_grid,)
        First derivative, length 1 over the points that are known; NaN elsewhere.
    noise : float
        Share of its energy that is noise, 0 … 1.
    sha256 : str
        Of what was read.
    """

    technique: str
    slope: FloatArray
    noise: float
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What the scans of one item have in common.

    Attributes
    ----------
    technique : str
        ``"raman"`` or ``"infrared"``.
    slope : ndarray, shape (n_grid,)
        Mean first derivative, length 1 over the points that are known; NaN elsewhere.
    noise : float
        Share of its energy that is noise.
    spread : float or None
        Mean squared distance of a scan from the others' mean, as a share of the energy; ``None`` of one scan.
    scans : int
        How many were pooled.
    left_out : int
        How many were not, because they show something else.
    sha256 : str
        Of the scans that were pooled, in order of their hashes.
    """

    technique: str
    slope: FloatArray
    noise: float
    spread: float | None
    scans: int
    left_out: int
    sha256: str

    @property
    def vector(self) -> FloatArray:
        """The slope with zero where nothing is known, for dot products."""
        return np.nan_to_num(self.slope)


def read(spectrum: Spectrum) -> Reading:
    """One scan as a derivative of length 1 on the common grid.

    Parameters
    ----------
    spectrum : Spectrum
        As measured; transmittance and reflectance become absorbance.

    Raises
    ------
    TechniqueError
        If it is neither Raman nor infrared.
    InvalidSpectrumError
        If it covers too little of the grid, or is flat.
    """
    from spectralid.preprocess import resample, to_absorbance

    key = grid_key(spectrum.technique)
    measured = to_absorbance(spectrum) if spectrum.technique.is_infrared else spectrum
    grid = common_grid(key)
    step = float(grid[1] - grid[0])
    window = derivative_window(step)
    values = resample(measured.axis, measured.intensity[np.newaxis], grid)
    slope = _without_glow(first_derivative(values, window)[0])
    known = np.isfinite(slope)
    points = int(known.sum())
    if points < LEAST_POINTS:
        raise InvalidSpectrumError(
            f"The spectrum covers {points} points of the common grid; a fingerprint needs {LEAST_POINTS}."
        )
    energy = float(slope[known] @ slope[known])
    if not energy > 0:
        raise InvalidSpectrumError("The spectrum is flat; there is nothing to compare.")
    noise = _noise_variance(measured, step * window, step) * points / energy
    return Reading(key, slope / math.sqrt(energy), min(noise, 1.0), spectrum.sha256)


def _without_glow(slope: FloatArray) -> FloatArray:
    """A slope less its mean over what is around each point: what is left of fluorescence goes with that.

    At the ends, and beside missing points, the surroundings are those that are known.
    """
    known = np.isfinite(slope)
    box = np.ones(AROUND)
    total = np.convolve(np.where(known, slope, 0.0), box, "same")
    count = np.convolve(known.astype(float), box, "same")
    return np.asarray(np.where(known, slope - total / np.maximum(count, 1.0), np.nan))


def _noise_variance(spectrum: Spectrum, width: float, step: float) -> float:
    """Variance of a derivative fitted over `width` cm⁻¹, from the noise between neighbouring points."""
    y = spectrum.intensity[np.isfinite(spectrum.intensity)]
    if y.size < 5:
        return 0.0
    # Third differences of white noise have 20 times its variance; bands hardly show in their median.
    sigma = 1.4826 * float(np.median(np.abs(np.diff(y, 3)))) / math.sqrt(20.0)
    pitch = float(np.median(np.diff(spectrum.axis)))
    n = max(width / pitch, 3.0)
    # Slope of a line through n points `pitch` apart, in units per grid step.
    return 12.0 * (sigma * step / pitch) ** 2 / (n * (n * n - 1.0))


def pool(readings: Iterable[Reading]) -> Fingerprint:
    """The fingerprint of the scans of one item.

    Scans that show something else than most are left out: the largest group is taken whose members are all
    alike, and of several as large the one that is most alike.

    Raises
    ------
    TechniqueError
        If they are not of one technique.
    InvalidSpectrumError
        If there is none.
    """
    # The same numbers twice are one measurement.
    given = list({one.sha256: one for one in readings}.values())
    if not given:
        raise InvalidSpectrumError("There is no scan that a fingerprint could be made of.")
    if len({one.technique for one in given}) > 1:
        raise TechniqueError("Scans of one fingerprint are of one technique; these are not.")
    given.sort(key=lambda one: one.sha256)
    chosen = _alike(given)
    slopes = np.array([one.slope for one in chosen])
    # A point that not every scan has would carry another set of scans than its neighbours.
    slopes[:, ~np.isfinite(slopes).all(axis=0)] = np.nan
    lengths = np.sqrt(np.nansum(slopes**2, axis=1))
    slopes = slopes / np.where(lengths > 0, lengths, 1.0)[:, np.newaxis]
    n = len(chosen)
    mean = slopes.mean(axis=0)
    length = math.sqrt(float(np.nansum(mean**2)))
    spread = float(np.nansum((slopes - mean) ** 2)) / (n - 1) if n > 1 else None
    digest = hashlib.sha256("\n".join(one.sha256 for one in chosen).encode()).hexdigest()
    return Fingerprint(
        technique=chosen[0].technique,
        slope=mean / length,
        noise=float(np.mean([one.noise for one in chosen])) / n,
        spread=spread,
        scans=n,
        left_out=len(given) - n,
        sha256=digest,
    )


def _alike(readings: Sequence[Reading]) -> list[Reading]:
    if len(readings) == 1:
        return list(readings)
    vectors = np.nan_to_num(np.array([one.slope for one in readings]))
    cosines = vectors @ vectors.T
    best: tuple[int, float, list[int]] = (0, 0.0, [])
    for seed in range(len(readings)):
        group: list[int] = []
        for other in np.argsort(-cosines[seed], kind="stable"):
            if all(cosines[other, member] >= SAME_THING for member in group):
                group.append(int(other))
        found = (len(group), round(float(cosines[np.ix_(group, group)].mean()), 9), group)
        if found[:2] > best[:2]:
            best = found
    return [readings[number] for number in sorted(best[2])]


def read_all(spectra: Iterable[Spectrum]) -> list[Reading]:
    """The scans of which a reading can be made; the others are passed over."""
    out = []
    for spectrum in spectra:
        try:
            out.append(read(spectrum))
        except SpectralIDError:
            continue
    return out
