"""A world of simulated instruments and substances that shares nothing with the engine.

Substances are computed molecules (line positions and Raman activities of ``libraries/computed``), so that
relatives look alike as relatives do. Everything else is drawn: widths, what differs from grain to grain, the
axis, response and resolution of each unit, fluorescence, photons.

Every scan is counts over Raman shift. Fractions are shares of Raman photons.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import wofz

from spectralid import IntensityUnit, Spectrum, Technique

COMPUTED = Path(__file__).resolve().parents[2] / "libraries" / "computed"
COMPOUNDS = COMPUTED.parent / "compounds.csv"
LINES = ("frequencies_cm", "ir_km_mol", "raman_a4_u")

LOWEST, HIGHEST = 150.0, 3200.0
LASER_CM1 = 1e7 / 785.0


@dataclass(frozen=True)
class Substance:
    """A substance of the simulated world: lines with places, strengths (sum 1) and Lorentzian half widths."""

    slug: str
    family: str
    fentanyl: bool
    positions: np.ndarray
    strengths: np.ndarray
    gammas: np.ndarray


@dataclass(frozen=True)
class Unit:
    """One instrument: how far its axis is off, how broad its lines are, how its response runs."""

    shift: float
    stretch: float
    sigma: float
    response: np.ndarray
    step: float


@dataclass(frozen=True)
class Spread:
    """What differs between two scans of one substance: relative height of lines, places, widths."""

    height: float = 0.12
    place: float = 0.7
    width: float = 0.10


def molecules() -> Iterator[tuple[dict[str, str], dict[str, np.ndarray]]]:
    """Computed neutral molecules: what `compounds.csv` says of each, and its lines by column."""
    with COMPOUNDS.open(encoding="utf-8", newline="") as file:
        rows = {row["inchikey"]: row for row in csv.DictReader(file) if row["inchikey"]}
    for batch in sorted(COMPUTED.glob("sticks-*.npz")):
        with np.load(batch, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        ends = np.cumsum(arrays["lines"])
        for key, start, end in zip(arrays["key"], ends - arrays["lines"], ends, strict=True):
            form, _, inchikey = str(key).partition("/")
            row = rows.get(inchikey)
            if form == "neutral" and row is not None:
                yield row, {name: arrays[name][start:end] for name in LINES}


def substances(seed: int = 1) -> list[Substance]:
    """Every computed neutral molecule with at least 12 lines that show, in a fixed order."""
    found: list[Substance] = []
    for row, lines in molecules():
        substance = _substance(row, lines["frequencies_cm"], lines["raman_a4_u"])
        if substance is not None:
            found.append(substance)
    found.sort(key=lambda s: s.slug)
    rng = np.random.default_rng(seed)
    return [
        Substance(s.slug, s.family, s.fentanyl, s.positions, s.strengths, g)
        for s, g in ((s, rng.lognormal(np.log(3.0), 0.35, s.positions.size)) for s in found)
    ]


def _substance(row: dict[str, str], frequencies: np.ndarray, activities: np.ndarray) -> Substance | None:
    # Frequencies in GFN2 are a few per cent too high at the top; a world of its own needs no better.
    places = np.asarray(frequencies, dtype=float) * 0.975
    shown = (places > LOWEST) & (places < HIGHEST) & (activities > 0)
    places = places[shown]
    boson = 1 - np.exp(-places / 207.2)  # kT at 25 °C is 207.2 cm⁻¹
    strengths = activities[shown] * ((LASER_CM1 - places) / 1e4) ** 4 / places / boson
    if strengths.size < 12 or strengths.sum() <= 0:
        return None
    strengths = strengths / strengths.sum()
    return Substance(
        row["slug"], row["category"], row["fentanyl_related"] in ("yes", "parent"), places, strengths, places
    )


def unit(rng: np.random.Generator, *, axis_sd: float = 1.5, response_sd: float = 0.15) -> Unit:
    """Draw an instrument."""
    return Unit(
        shift=rng.normal(0, axis_sd),
        stretch=rng.normal(0, 0.0005),
        sigma=rng.uniform(6.0, 9.0) / 2.3548,
        response=rng.normal(0, response_sd, 5),
        step=rng.uniform(1.5, 2.5),
    )


def signal(substance: Substance, scanner: Unit, rng: np.random.Generator, spread: Spread) -> np.ndarray:
    """Raman photons of one grain of a substance over a unit's axis, area 1 before the response."""
    axis = axis_of(scanner)
    heights = substance.strengths * rng.lognormal(0, spread.height, substance.strengths.size)
    heights /= heights.sum()
    places = substance.positions + rng.normal(0, spread.place, heights.size)
    places = places + scanner.shift + scanner.stretch * (places - 1500)
    gammas = substance.gammas * rng.lognormal(0, spread.width, heights.size)
    z = ((axis[:, None] - places) + 1j * gammas) / (scanner.sigma * np.sqrt(2))
    lines = wofz(z).real / (scanner.sigma * np.sqrt(2 * np.pi))
    u = (axis - 1600) / 1500
    response = np.exp(np.polynomial.chebyshev.chebval(u, scanner.response))
    return np.asarray((lines @ heights) * response)


def axis_of(scanner: Unit) -> np.ndarray:
    """Axis a unit reports."""
    return np.arange(200.0, 3000.0, scanner.step)


def glow(axis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fluorescence of a sample, about 1 at its highest."""
    centre, width = rng.uniform(600, 2600), rng.uniform(900, 2000)
    return np.asarray(
        np.exp(-0.5 * ((axis - centre) / width) ** 2) + 0.3 * np.exp(-axis / rng.uniform(400, 1500))
    )


def scan(
    parts: Sequence[tuple[Substance, float]],
    scanner: Unit,
    rng: np.random.Generator,
    *,
    peak_counts: float = 20_000.0,
    fluorescence: float = 0.5,
    spread: Spread | None = None,
    name: str = "",
) -> Spectrum:
    """One scan of a mixture.

    Parameters
    ----------
    parts : sequence of (Substance, float)
        Composition in shares of Raman photons.
    scanner : Unit
        The instrument.
    rng : Generator
        Source of chance.
    peak_counts : float
        Electrons in the strongest Raman band.
    fluorescence : float
        Height of the fluorescence relative to the strongest band.
    spread : Spread, optional
        What differs between grains.
    """
    spread = spread or Spread()
    axis = axis_of(scanner)
    raman = sum(share * signal(s, scanner, rng, spread) for s, share in parts)
    raman = np.asarray(raman) * peak_counts / np.max(raman)
    expected = raman + glow(axis, rng) * fluorescence * peak_counts + 200.0
    counts = rng.poisson(expected) + rng.normal(0, 8.0, axis.size)
    return Spectrum(axis, counts, technique=Technique.RAMAN, unit=IntensityUnit.COUNTS, name=name)
