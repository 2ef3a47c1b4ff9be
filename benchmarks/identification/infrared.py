"""The infrared side of the simulated world: the molecules of `generator.py`, seen by ATR units.

Nothing of it is shared with the engine. A spectrum is absorbance over wavenumbers; fractions are shares of
absorbance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from generator import Substance, molecules
from scipy.special import wofz

from spectralid import IntensityUnit, Spectrum, Technique

LOWEST, HIGHEST = 450.0, 3950.0
# Above this place lines are those of NH and OH, several times as broad as others where they are bonded.
HYDROGEN_CM1 = 3150.0


@dataclass(frozen=True)
class Unit:
    """One spectrometer with its crystal."""

    shift: float
    stretch: float
    sigma: float
    response: np.ndarray
    step: float


def substances(seed: int = 2) -> list[Substance]:
    """Every computed neutral molecule with at least 12 lines that absorb, in a fixed order."""
    rng = np.random.default_rng(seed)
    found: list[Substance] = []
    for row, lines in molecules():
        places = np.asarray(lines["frequencies_cm"], dtype=float) * 0.975
        strengths = np.asarray(lines["ir_km_mol"], dtype=float)
        shown = (places > LOWEST) & (places < HIGHEST) & (strengths > 0)
        if shown.sum() < 12:
            continue
        places, strengths = places[shown], strengths[shown] / strengths[shown].sum()
        fentanyl = row["fentanyl_related"] in ("yes", "parent")
        found.append(Substance(row["slug"], row["category"], fentanyl, places, strengths, places))
    found.sort(key=lambda s: s.slug)
    out = []
    for s in found:
        gammas = rng.lognormal(np.log(5.0), 0.35, s.positions.size)
        gammas[s.positions > HYDROGEN_CM1] *= 5
        out.append(Substance(s.slug, s.family, s.fentanyl, s.positions, s.strengths, gammas))
    return out


def unit(rng: np.random.Generator, *, axis_sd: float = 0.6, response_sd: float = 0.12) -> Unit:
    """Draw a spectrometer."""
    return Unit(
        shift=rng.normal(0, axis_sd),
        stretch=rng.normal(0, 0.0002),
        sigma=rng.uniform(4.0, 8.0) / 2.3548,
        response=rng.normal(0, response_sd, 4),
        step=rng.uniform(1.8, 3.8),
    )


def signal(substance: Substance, scanner: Unit, rng: np.random.Generator) -> np.ndarray:
    """Absorbance of one grain of a substance over a unit's axis, strength 1 before depth and response."""
    axis = axis_of(scanner)
    heights = substance.strengths * rng.lognormal(0, 0.15, substance.strengths.size)
    heights /= heights.sum()
    places = substance.positions + rng.normal(0, 0.8, heights.size)
    places = places + scanner.shift + scanner.stretch * (places - 1500)
    gammas = substance.gammas * rng.lognormal(0, 0.1, heights.size)
    z = ((axis[:, None] - places) + 1j * gammas) / (scanner.sigma * np.sqrt(2))
    lines = wofz(z).real / (scanner.sigma * np.sqrt(2 * np.pi))
    u = (axis - 2200) / 1800
    # The wave reaches deeper into the sample the longer it is.
    depth = 1000.0 / axis
    return np.asarray(
        (lines @ heights) * depth * np.exp(np.polynomial.chebyshev.chebval(u, scanner.response))
    )


def axis_of(scanner: Unit) -> np.ndarray:
    """Axis a unit reports."""
    return np.arange(650.0, 3900.0, scanner.step)


def scan(
    parts: Sequence[tuple[Substance, float]],
    scanner: Unit,
    rng: np.random.Generator,
    *,
    peak: float = 0.3,
    noise: float = 5e-4,
    slope: float = 0.05,
    name: str = "",
) -> Spectrum:
    """One scan of a mixture.

    Parameters
    ----------
    parts : sequence of (Substance, float)
        Composition in shares of absorbance.
    scanner : Unit
        The spectrometer.
    rng : Generator
        Source of chance.
    peak : float
        Absorbance of the strongest band.
    noise : float
        Standard deviation of the absorbance where nothing absorbs.
    slope : float
        Height of what scattering and contact add, relative to the strongest band.
    """
    axis = axis_of(scanner)
    absorbance = np.asarray(sum(share * signal(s, scanner, rng) for s, share in parts))
    absorbance *= peak / absorbance.max()
    u = (axis - 2200) / 1800
    rest = slope * peak * np.polynomial.chebyshev.chebval(u, rng.normal(0, [1, 1, 0.5, 0.2]))
    # Less light arrives where more is absorbed, and absorbance is its logarithm.
    sd = noise * 10 ** (absorbance + np.maximum(rest, 0))
    values = absorbance + rest + rng.normal(0, sd)
    return Spectrum(axis, values, technique=Technique.FTIR_ATR, unit=IntensityUnit.ABSORBANCE, name=name)
