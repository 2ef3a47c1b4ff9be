"""Simulated seizures for the linkage of mixtures: recipes, batches of a recipe, and scans of what was seized.

Built on the simulated instruments and substances of the identification benchmarks, which share nothing with
the analysis. A *composition* is a set of substances. Its *batches* have proportions of their own, some
compositions with makers who weigh alike, some not. A *seizure* is a part of a batch, scanned several times by
one unit: each scan has a grain, a fluorescence and an exposure of its own, and a spot that is richer in one
thing than the next.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "identification"))

import generator
import infrared

from spectralid import Spectrum

# What is seized holds something of the first kind, and is cut with things of the second.
ACTIVE = ("opioid", "stimulant", "dissociative", "hallucinogen", "cannabinoid", "benzodiazepine")
CUT = ("cutting-agent", "adulterant", "pharmaceutical", "food-flavour", "sedative")


@dataclass(frozen=True)
class Seized:
    """A simulated seizure.

    Attributes
    ----------
    composition, batch : int
        What it is a part of; batches are numbered over all compositions. The last batch of each composition
        has another substance in the place of one.
    substances : frozenset of str
        What it holds.
    unit : int
        Which instrument, numbered within its composition.
    spectra : tuple of Spectrum
        Its scans.
    """

    composition: int
    batch: int
    substances: frozenset[str]
    unit: int
    spectra: tuple[Spectrum, ...]


def seizures(
    technique: str, compositions: range, *, seed: int, batches: int = 6, parts: int = 2, units: int = 2
) -> Iterator[Seized]:
    """Seizures of many compositions; the same seed and composition always give the same ones.

    Parameters
    ----------
    technique : {"raman", "infrared"}
        What they are scanned with.
    compositions : range
        Which; those of even number hold other substances than those of odd number.
    seed : int
        Of everything drawn.
    batches, parts, units : int
        Batches of a composition, seizures of a batch, and instruments that scan them.
    """
    world = generator if technique == "raman" else infrared
    known = world.substances()
    pools = [_pools(known, half) for half in (0, 1)]
    for composition in compositions:
        rng = np.random.default_rng((seed, composition))
        actives, cuts = pools[composition % 2]
        n = int(rng.choice([1, 2, 3], p=[0.25, 0.45, 0.30]))
        chosen = [cuts[k] for k in rng.choice(len(cuts), n + 1, replace=False)]
        parts_of = [actives[rng.integers(len(actives))], *chosen[:n]]
        recipe = rng.normal(0, 0.8, n + 1)
        # Makers who weigh alike are the hard case, and there are such.
        apart, grainy = rng.uniform(0.3, 1.2), rng.uniform(0.02, 0.12)
        scanners = [world.unit(rng) for _ in range(units)]
        for batch in range(batches + 1):
            if batch == batches:
                parts_of[int(rng.integers(1, n + 1))] = chosen[n]
            logs = recipe + rng.normal(0, apart, n + 1)
            for _ in range(parts):
                number = int(rng.integers(units))
                own = logs + rng.normal(0, grainy / 2, n + 1)
                scans = tuple(
                    _scan(technique, parts_of, own + rng.normal(0, grainy, n + 1), scanners[number], rng)
                    for _ in range(int(rng.integers(1, 4)))
                )
                yield Seized(
                    composition=composition,
                    batch=composition * (batches + 1) + batch,
                    substances=frozenset(one.slug for one in parts_of),
                    unit=number,
                    spectra=scans,
                )


def _pools(known: list[generator.Substance], half: int) -> tuple[list[generator.Substance], ...]:
    mine = known[half::2]
    return (
        [s for s in mine if s.family.startswith(ACTIVE)],
        [s for s in mine if s.family.startswith(CUT)],
    )


def _scan(
    technique: str,
    parts: list[generator.Substance],
    logs: np.ndarray,
    scanner: generator.Unit,
    rng: np.random.Generator,
) -> Spectrum:
    shares = np.exp(logs) / np.exp(logs).sum()
    mixture = list(zip(parts, shares, strict=True))
    if technique == "raman":
        return generator.scan(
            mixture, scanner, rng, peak_counts=10 ** rng.uniform(3.3, 4.5), fluorescence=rng.uniform(0, 2.5),
            spread=generator.Spread(height=0.08, place=0.5, width=0.06),
        )  # fmt: skip
    return infrared.scan(mixture, scanner, rng, peak=rng.uniform(0.08, 0.5), slope=rng.uniform(0, 0.15))
