"""Real spectra whose substance is known, put to a library of other spectra of it, Raman and infrared.

Raman: the library of one portable unit, queries from other people's instruments
(`../cross_instrument_queries.csv`). Infrared: minerals (RRUFF), one specimen in the library, another as the
query, which differ by locality and composition; and semi-synthetic mixtures of two such queries.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _wasatch import wasatch_library
from cross_instrument import QUERIES
from splits import part

from spectralid import IntensityUnit, LibraryBuilder, SpectralIDError, Spectrum, Technique, read_all
from spectralid.library import Compound, Tier

SEED = 20261122
# Share of the minerals that the library holds.
HELD = 0.75
# Of either part: minerals of the library, as many it lacks, and mixtures.
MINERALS = 40
MIXTURES = 40

Truth = dict[str, Any]


def portable(data: Path, folder: Path) -> Iterator[tuple[Path, Spectrum, Truth]]:
    """Library, query and truth of pure substances the library of one portable unit holds, or lacks."""
    path = Path(wasatch_library(data, folder).path)
    with QUERIES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] in ("pure", "absent")]
    for row in rows:
        try:
            spectrum = read_all(data / row["collection"] / row["file"], technique="raman")[0]
        except SpectralIDError:
            continue
        pure = row["role"] == "pure"
        which = part(row["substance"] or row["note"] or row["file"])
        true = [row["substance"]] if pure else []
        yield (
            path,
            spectrum,
            _truth("raman", "other people's instruments", which, row["role"], true, not pure),
        )


def minerals(data: Path, folder: Path) -> Iterator[tuple[Path, Spectrum, Truth]]:
    """Library, query and truth of minerals, alone and two together."""
    specimens: dict[str, list[Path]] = {}
    for file in sorted((data / "rruff-ir").glob("*__*.txt")):
        specimens.setdefault(re.sub(r"[^a-z0-9]+", "-", file.name.split("__")[0].lower()), []).append(file)
    rng = np.random.default_rng(SEED)
    slugs = [str(s) for s in rng.permutation(sorted(specimens))]
    held = set(slugs[: round(HELD * len(slugs))])
    builder = LibraryBuilder(
        "minerals", version="1", created="2026-11-22", recipe="benchmarks/identification"
    )
    for slug in sorted(held):
        compound = Compound(slug, slug, category="mineral")
        builder.add(_read(specimens[slug][0]), compound, tier=Tier.MEASURED, source="RRUFF")
    path = folder / "minerals.h5"
    builder.write(path)
    own = {s: specimens[s][-1] for s in slugs if s in held and len(specimens[s]) > 1}
    strange = {s: specimens[s][-1] for s in slugs if s not in held}
    for which in ("development", "test"):
        mine = [s for s in own if part(s) == which]
        others = [s for s in strange if part(s) == which]
        for slug in mine[:MINERALS]:
            yield path, _read(own[slug]), _truth("infrared", "minerals", which, "pure", [slug], False)
        for slug in others[:MINERALS]:
            yield path, _read(strange[slug]), _truth("infrared", "minerals", which, "absent", [], True)
        for number in range(MIXTURES):
            first = str(rng.choice(mine))
            unknown = number % 2 == 1
            second = str(rng.choice(others if unknown else [s for s in mine if s != first]))
            share = float(rng.uniform(0.2, 0.8))
            mixed = _mixed([_read((own | strange)[s]) for s in (first, second)], (share, 1 - share))
            true = [first] if unknown else sorted((first, second))
            role = "with one it lacks" if unknown else "two together"
            yield path, mixed, _truth("infrared", "minerals", which, role, true, unknown)


def _truth(technique: str, source: str, which: str, role: str, true: Sequence[str], unknown: bool) -> Truth:
    return {
        "part": which,
        "technique": technique,
        "source": source,
        "kind": f"real: {role}",
        "true": list(true),
        "unknown": unknown,
        "families": [],
    }


def _read(file: Path) -> Spectrum:
    spectrum = read_all(file, technique="ftir_atr")[0]
    return spectrum.replace(unit=IntensityUnit.ABSORBANCE, technique=Technique.FTIR_ATR)


def _mixed(parts: Sequence[Spectrum], shares: Sequence[float]) -> Spectrum:
    """Absorbances of unit area added on the first one's axis."""
    axis = parts[0].axis
    total = np.zeros(axis.size)
    for spectrum, share in zip(parts, shares, strict=True):
        values = np.interp(axis, spectrum.axis, spectrum.intensity)
        total += share * values / np.trapezoid(np.maximum(values, 0), axis)
    return parts[0].replace(intensity=total)
