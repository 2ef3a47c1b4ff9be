"""Identification benchmark: every track as a table with intervals.

    python benchmarks/identification/run.py [--tracks pure,absent,mixtures,...] [--scale 1.0] [--json FILE]

Simulated tracks use `generator.py`: computed molecules as substances, its own instruments and noise; nothing
of it is shared with the engine. The library holds one scan of each substance by one good unit; every query
comes from another unit, drawn anew, and other grains. Substances of the track *absent* are in no library.
Real tracks use the collections of ``../shared/data``.

Reported are components as the engine reports them: only where the library explains the spectrum (odds for
it, all components hold, nothing left over). Intervals are Wilson's, 95 %. Baselines: `baselines.py`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import generator
import numpy as np
from _shared import shared_data
from _wasatch import wasatch_library
from baselines import Baselines
from cross_instrument import QUERIES, share
from tqdm import tqdm

from spectralid import LibraryBuilder, SpectralIDError, Spectrum, open_library, read_all
from spectralid.identify import Identifier
from spectralid.library import Compound, Tier

LIBRARY_SHARE = 0.75
SEED = 20261122
MATRICES = (
    "caffeine", "lactose", "mannitol", "acetaminophen", "glucose", "sorbitol", "diphenhydramine", "quinine",
    "procaine", "lidocaine", "benzocaine", "phenacetin", "sucrose", "inositol", "nicotinamide", "xylazine",
)  # fmt: skip


@dataclass
class Query:
    """One query and what came of it."""

    track: str
    spectrum: Spectrum
    true: set[str]
    known: bool
    watched: str = ""
    reported: dict[str, set[str]] = field(default_factory=dict)
    best: set[str] = field(default_factory=set)
    log_odds: float = 0.0
    nothing: float = 1.0
    explained: bool = False
    seconds: float = 0.0


@dataclass
class World:
    """Substances in the library and substances that are not, and the library's file."""

    inside: list[generator.Substance]
    outside: list[generator.Substance]
    path: Path


def world(folder: Path) -> World:
    """Scan three quarters of all substances with one good unit and build a library of them."""
    everything = generator.substances()
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(everything))
    n = round(LIBRARY_SHARE * len(everything))
    inside = [everything[i] for i in order[:n]]
    good = generator.unit(rng, axis_sd=0.3, response_sd=0.05)
    builder = LibraryBuilder(
        "simulated", version="1", created="2026-11-22", recipe="benchmarks/identification"
    )
    for substance in inside:
        builder.add(
            generator.scan([(substance, 1.0)], good, rng, peak_counts=2e5, fluorescence=0.1),
            Compound(
                substance.slug,
                substance.slug,
                category=substance.family,
                fentanyl_related="yes" if substance.fentanyl else "no",
            ),
            tier=Tier.MEASURED,
            source="simulated",
            licence="none",
        )
    path = folder / "simulated.h5"
    builder.write(path)
    return World(inside, [everything[i] for i in order[n:]], path)


def shares(rng: np.random.Generator, n: int, least: float = 0.1) -> np.ndarray:
    """Shares of at least `least` that add up to 1, evenly over all such."""
    return least + (1 - n * least) * rng.dirichlet(np.ones(n))


def simulated(w: World, scale: float, tracks: set[str]) -> Iterator[Query]:
    """Queries of the simulated tracks, each from its own stream of chance."""
    streams = iter(np.random.default_rng(SEED + 1).spawn(100_000))
    by_slug = {s.slug: s for s in w.inside}
    matrices = [by_slug[m] for m in MATRICES if m in by_slug]
    fentanyls = [s for s in w.inside if s.fentanyl]

    def query(track: str, parts: list[tuple[generator.Substance, float]], rng: Any, **how: float) -> Query:
        spectrum = generator.scan(parts, generator.unit(rng), rng, name=track, **how)
        slugs = {s.slug for s, _ in parts}
        return Query(track, spectrum, slugs & by_slug.keys(), slugs <= by_slug.keys())

    def draw(rng: Any, pool: list[generator.Substance], n: int) -> list[generator.Substance]:
        return [pool[i] for i in rng.choice(len(pool), n, replace=False)]

    if "pure" in tracks:
        for _ in range(round(200 * scale)):
            rng = next(streams)
            yield query("pure", [(draw(rng, w.inside, 1)[0], 1.0)], rng)
    if "absent" in tracks:
        for _ in range(round(200 * scale)):
            rng = next(streams)
            yield query("absent", [(draw(rng, w.outside, 1)[0], 1.0)], rng)
    if "mixtures" in tracks:
        for n in (2, 3, 4):
            for _ in range(round(100 * scale)):
                rng = next(streams)
                yield query(
                    f"mixture of {n}", list(zip(draw(rng, w.inside, n), shares(rng, n), strict=True)), rng
                )
    if "unknown" in tracks:
        for _ in range(round(100 * scale)):
            rng = next(streams)
            a, b = shares(rng, 2)
            parts = [(draw(rng, w.inside, 1)[0], a), (draw(rng, w.outside, 1)[0], b)]
            yield query("unknown in a mixture", parts, rng)
    if "fentanyl" in tracks and fentanyls and matrices:
        for level in (0.0, 0.05, 0.07, 0.10, 0.20):
            for _ in range(round(60 * scale)):
                rng = next(streams)
                matrix = draw(rng, matrices, 1)[0]
                drug = draw(rng, fentanyls, 1)[0]
                parts = [(matrix, 1 - level), *([(drug, level)] if level else [])]
                q = query(f"fentanyl family at {level:.0%}", parts, rng, peak_counts=5e4)
                q.watched = "fentanyl"
                yield q


def binaries(data: Path, held: set[str]) -> Iterator[Query]:
    """Mixtures of two solvents by weight, on a unit whose axis is 5 to 7 cm⁻¹ off (whenfung)."""
    names = {
        "甲醇": "methanol", "乙醇": "ethanol", "正己烷": "hexane", "环己烷": "cyclohexane",
        "双氧水": "hydrogen-peroxide", "乙酸乙酯": "ethyl-acetate", "二氯甲烷": "dichloromethane",
        "甲酸": "formic-acid", "乙醚": "diethyl-ether",
    }  # fmt: skip
    for file in sorted((data / "whenfung-raman").rglob("*%+*.txt")):
        slugs = {
            slug for part in file.stem.split("+") for name, slug in names.items() if part.startswith(name)
        }
        spectrum = read_all(file, technique="raman")[0]
        yield Query("binaries (real)", spectrum, slugs & held, slugs <= held)


def cross_instrument(data: Path, held: set[str]) -> Iterator[Query]:
    """Pure substances and absent ones from other people's instruments, see `cross_instrument.py`."""
    with QUERIES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] in ("pure", "absent")]
    for row in rows:
        try:
            spectrum = read_all(data / row["collection"] / row["file"], technique="raman")[0]
        except SpectralIDError:
            continue
        true = {row["substance"]} & held if row["role"] == "pure" else set()
        yield Query(f"{row['role']}, other instruments (real)", spectrum, true, row["role"] == "pure")


_PREPARED: dict[str, tuple[Identifier, Baselines | None]] = {}


def answer(job: tuple[str, bool, Query]) -> Query:
    """Run the engine and the baselines on one query."""
    path, compare, query = job
    if path not in _PREPARED:
        library = open_library(path)
        _PREPARED[path] = (Identifier(library), Baselines(library) if compare else None)
    identifier, others = _PREPARED[path]
    started = time.process_time()
    analysis = identifier.analyse(query.spectrum)
    query.seconds = time.process_time() - started
    query.best = {c.compound_slug for c in analysis.components}
    query.log_odds = analysis.log_odds if analysis.log_odds is not None else -1e9
    query.nothing = analysis.nothing
    query.explained = analysis.explained
    query.reported["spectralid"] = query.best if analysis.explained else set()
    # What it would say if nothing but the odds decided.
    query.reported["spectralid, odds only"] = query.best if query.log_odds > 0 else set()
    if others is not None:
        for name, method in others.methods.items():
            query.reported[name] = method(query.spectrum)
    return query


def table(queries: list[Query]) -> list[dict[str, Any]]:
    """One row per track and method."""
    rows = []
    for track in dict.fromkeys(q.track for q in queries):
        mine = [q for q in queries if q.track == track]
        for method in mine[0].reported:
            found = sum(len(q.true & q.reported[method]) for q in mine)
            wanted = sum(len(q.true) for q in mine)
            said = sum(len(q.reported[method]) for q in mine)
            whole = sum(q.known and q.true == q.reported[method] for q in mine)
            rows.append(
                {
                    "track": track,
                    "method": method,
                    "queries": len(mine),
                    "recall": share(found, wanted),
                    "precision": share(found, said),
                    "false per spectrum": f"{(said - found) / len(mine):.3f}",
                    "all right": share(whole, sum(q.known for q in mine)),
                    "anything reported": share(sum(bool(q.reported[method]) for q in mine), len(mine)),
                }
            )
    return rows


def watched(queries: list[Query]) -> list[dict[str, Any]]:
    """Families under watch: was any member reported?"""
    rows = []
    for track in dict.fromkeys(q.track for q in queries if q.watched):
        mine = [q for q in queries if q.track == track]
        for method in mine[0].reported:
            alarms = sum(any(s in FENTANYLS for s in q.reported[method]) for q in mine)
            rows.append({"track": track, "method": method, "alarm": share(alarms, len(mine))})
    return rows


FENTANYLS: set[str] = set()


def markdown(rows: list[dict[str, Any]]) -> str:
    """Rows as a table."""
    if not rows:
        return ""
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(str(r[h]) for h in heads) + " |" for r in rows]
    return "\n".join(lines)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tracks", default="pure,absent,mixtures,unknown,fentanyl,binaries,instruments", help="which to run"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the simulated queries")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--no-baselines", action="store_true", help="the engine alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every answer")
    args = parser.parse_args()
    tracks = set(args.tracks.split(","))
    with tempfile.TemporaryDirectory() as folder:
        w = world(Path(folder))
        FENTANYLS.update(s.slug for s in [*w.inside, *w.outside] if s.fentanyl)
        jobs = [(str(w.path), not args.no_baselines, q) for q in simulated(w, args.scale, tracks)]
        if tracks & {"binaries", "instruments"}:
            data = shared_data()
            # One portable unit's own spectra are the library; every query comes from somebody else's.
            measured = wasatch_library(data, Path(folder))
            held = {r.compound_slug for r in measured.references}
            real = [*(binaries(data, held) if "binaries" in tracks else ())]
            real += [*(cross_instrument(data, held) if "instruments" in tracks else ())]
            jobs += [(str(measured.path), not args.no_baselines, q) for q in real]
        print(f"{len(w.inside)} substances in the simulated library, {len(w.outside)} outside", flush=True)
        with ProcessPoolExecutor(args.jobs) as pool:
            queries = list(tqdm(pool.map(answer, jobs, chunksize=4), total=len(jobs), unit="scan"))
    print(markdown(table(queries)))
    print("\n" + markdown(watched(queries)))
    seconds = np.array([q.seconds for q in queries])
    print(
        f"\nCPU time per spectrum: median {np.median(seconds):.2f} s, 95 % {np.quantile(seconds, 0.95):.2f} s"
    )
    if args.json:
        records = [
            {
                "track": q.track,
                "name": q.spectrum.name or q.spectrum.source,
                "true": sorted(q.true),
                "known": q.known,
                "reported": {k: sorted(v) for k, v in q.reported.items()},
                "best": sorted(q.best),
                "log_odds": q.log_odds,
                "nothing": q.nothing,
                "explained": q.explained,
                "seconds": q.seconds,
            }
            for q in queries
        ]
        args.json.write_text(json.dumps(records, ensure_ascii=False, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
