"""Analyses whose truth is known: what calibration is fitted to and measured on.

Scans of development substances and of test substances (`splits.py`) are drawn in the same way, from two
simulated worlds (Raman: `generator.py`; infrared: `infrared.py`), and taken from real spectra (`known.py`).
A simulated library holds three quarters of all substances of a world, each by one scan of a good unit; every
query comes from a unit of its own, other grains, and its own light, fluorescence and composition.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import generator
import infrared
import known
import numpy as np
from splits import Part, part

from spectralid import LibraryBuilder, Spectrum, Technique, open_library
from spectralid.identify import Identifier, InstrumentModel, read_instrument_model
from spectralid.identify.confidence_fit import Labelled
from spectralid.identify.families import family_of
from spectralid.library import Compound, Tier

SEED = 20261122
TECHNIQUES = {"raman": Technique.RAMAN, "infrared": Technique.FTIR_ATR}
LIBRARY_SHARE = 0.75
SIMULATED = "simulated units"

# What is scanned, and how often: an assumption every probability rests on, stated in the record.
MIX = (
    ("one substance of the library", 0.35),
    ("2 substances of the library", 0.13),
    ("3 substances of the library", 0.10),
    ("4 substances of the library", 0.07),
    ("one substance the library lacks", 0.18),
    ("a substance of the library and one it lacks", 0.17),
)
LEAST_SHARE = 0.05
# One scan in so many shows next to nothing: too little light for any name.
DIM = 0.12


@dataclass(frozen=True)
class World:
    """A technique's simulated substances, those of the library first."""

    technique: str
    inside: tuple[generator.Substance, ...]
    outside: tuple[generator.Substance, ...]
    path: Path


def worlds(folder: Path) -> dict[str, World]:
    """Both simulated worlds with their libraries in `folder`."""
    return {
        "raman": _world(folder / "raman.h5", "raman", generator.substances()),
        "infrared": _world(folder / "infrared.h5", "infrared", infrared.substances()),
    }


def _world(path: Path, technique: str, everything: Sequence[generator.Substance]) -> World:
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(everything))
    n = round(LIBRARY_SHARE * len(everything))
    inside = tuple(everything[i] for i in order[:n])
    builder = LibraryBuilder(
        f"simulated {technique}", version="1", created="2026-11-22", recipe="benchmarks/identification"
    )
    good = _unit(technique, rng, axis_sd=0.3, response_sd=0.05)
    for substance in inside:
        how = {"peak_counts": 2e5, "fluorescence": 0.1} if technique == "raman" else {"noise": 1e-4}
        builder.add(
            _scanner(technique).scan([(substance, 1.0)], good, rng, **how),
            _compound(substance),
            tier=Tier.MEASURED,
            source="simulated",
            licence="none",
        )
    builder.write(path)
    return World(technique, inside, tuple(everything[i] for i in order[n:]), path)


def _scanner(technique: str) -> Any:
    return generator if technique == "raman" else infrared


def _unit(technique: str, rng: np.random.Generator, **how: float) -> Any:
    return _scanner(technique).unit(rng, **how)


def simulated(world: World, which: Part, number: int) -> tuple[Spectrum, dict[str, Any]]:
    """Scan `number` of a part of a world, and its truth; the same whatever else is drawn."""
    rng = np.random.default_rng(
        [SEED, number, ("development", "test").index(which), world.technique == "raman"]
    )
    inside = [s for s in world.inside if part(s.slug) == which]
    outside = [s for s in world.outside if part(s.slug) == which]
    kind = str(rng.choice([k for k, _ in MIX], p=[p for _, p in MIX]))
    if kind.startswith("one substance the"):
        n_known, strangers = 0, 1
    elif kind.startswith("a substance"):
        n_known, strangers = 1, 1
    else:
        n_known, strangers = (1 if kind.startswith("one") else int(kind[0])), 0
    chosen = [inside[i] for i in rng.choice(len(inside), n_known, replace=False)]
    chosen += [outside[i] for i in rng.choice(len(outside), strangers, replace=False)]
    n = len(chosen)
    shares = LEAST_SHARE + (1 - n * LEAST_SHARE) * rng.dirichlet(np.ones(n))
    dim = rng.uniform() < DIM
    if world.technique == "raman":
        how = {
            "peak_counts": float(np.exp(rng.uniform(*np.log((20, 400) if dim else (400, 1e5))))),
            "fluorescence": float(np.exp(rng.uniform(*np.log((0.05, 5.0))))),
        }
    else:
        how = {
            "peak": float(np.exp(rng.uniform(*np.log((0.02, 0.8))))),
            "slope": float(np.exp(rng.uniform(*np.log((0.01, 0.3))))),
        }
        how["noise"] = how["peak"] / float(np.exp(rng.uniform(*np.log((2, 30) if dim else (30, 3000)))))
    spectrum = _scanner(world.technique).scan(
        list(zip(chosen, shares, strict=True)), _unit(world.technique, rng), rng, name=kind, **how
    )
    held = {s.slug for s in world.inside}
    truth = {
        "part": which,
        "technique": world.technique,
        "source": SIMULATED,
        "kind": kind,
        "true": sorted({s.slug for s in chosen} & held),
        "unknown": strangers > 0,
        "families": sorted({f for s in chosen if (f := families().get(s.slug))}),
    }
    return spectrum, truth


def bright(technique: str, substance: generator.Substance, rng: np.random.Generator) -> Spectrum:
    """A good scan of one substance by a unit drawn anew, as a laboratory makes them to know an instrument."""
    how = {"peak_counts": float(rng.choice([2e4, 5e4, 2e5]))} if technique == "raman" else {"noise": 3e-4}
    scanner = _scanner(technique)
    return scanner.scan([(substance, 1.0)], _unit(technique, rng), rng, name=substance.slug, **how)


def model_file(technique: str) -> Path:
    """Where `characterise.py` keeps the model of the simulated instruments."""
    return Path(__file__).resolve().parent / f"simulated-{technique}.json"


@cache
def instruments() -> tuple[InstrumentModel, ...]:
    """Models of the simulated instruments."""
    return tuple(read_instrument_model(model_file(technique)) for technique in TECHNIQUES)


def _compound(substance: generator.Substance) -> Compound:
    return Compound(
        substance.slug,
        substance.slug,
        category=substance.family,
        fentanyl_related="yes" if substance.fentanyl else "no",
    )


@cache
def families() -> dict[str, str]:
    """Watched family of each simulated substance that belongs to one."""
    everything = [*generator.substances(), *infrared.substances()]
    return {s.slug: f for s in everything if (f := family_of(_compound(s)))}


def development_hashes() -> list[str]:
    """Hashes of the simulated substances calibration may rest on."""
    slugs = {
        s.slug for s in (*generator.substances(), *infrared.substances()) if part(s.slug) == "development"
    }
    return sorted(hashlib.sha256(s.encode()).hexdigest()[:12] for s in slugs)


@dataclass(frozen=True)
class Job:
    """A query that is still to be made: scan `number` of a part of a simulated world, or a real spectrum."""

    path: Path
    technique: str = ""
    part: Part = "development"
    number: int = 0
    real: tuple[Spectrum, dict[str, Any]] | None = None


def jobs(
    drawn: dict[str, World], data: Path, folder: Path, parts: Sequence[Part], counts: dict[str, int]
) -> Iterator[Job]:
    """Every query of the parts wanted, techniques and parts taking turns."""
    for path, spectrum, truth in (*known.portable(data, folder), *known.minerals(data, folder)):
        if truth["part"] in parts:
            yield Job(path, real=(spectrum, truth))
    for number in range(max(counts.values())):
        for which in parts:
            for technique, world in drawn.items():
                if number < counts[technique]:
                    yield Job(world.path, technique, which, number)


_WORLDS: dict[str, World] = {}


def prepare(drawn: dict[str, World]) -> None:
    """Hand the worlds to a worker, once."""
    _WORLDS.update(drawn)


@cache
def _identifier(path: Path, characterised: bool) -> Identifier:
    return Identifier(open_library(path), instruments=instruments() if characterised else ())


def analysed(job: Job) -> dict[str, Any]:
    """The truth of a query with the analysis of its spectrum.

    Every other simulated scan is analysed as one of an instrument nobody characterised, like the real ones.
    """
    spectrum, truth = job.real or simulated(_WORLDS[job.technique], job.part, job.number)
    characterised = job.real is None and job.number % 2 == 0
    return truth | {"analysis": _identifier(job.path, characterised).analyse(spectrum).to_dict()}


def load(file: Path) -> list[dict[str, Any]]:
    """Answers written down before, one line each."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def labelled(answer: dict[str, Any]) -> Labelled:
    """An answer as the fit takes it."""
    return Labelled(
        analysis=answer["analysis"],
        technique=TECHNIQUES[answer["technique"]],
        true=frozenset(answer["true"]),
        unknown=answer["unknown"],
        families=frozenset(answer["families"]),
    )
