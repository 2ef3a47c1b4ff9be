"""Time of one retrieval query against libraries of several sizes, one thread.

    python benchmarks/retrieval_speed.py [--sizes 1400 14000 140000] [--runs 200] [--json FILE]

The library is made of numbers (random bands on 1,024 points), so nothing but numpy is behind it. "ranked"
is the query itself: derivative, the score of every reference, the first ten of them. "whole" adds what a
report needs: those ten again in double precision, their HQI, and whether bands beyond the strongest agree.
"cut" is the same for a query that covers a part of the grid only, as most instruments do; "from a spectrum"
adds the resampling from the instrument's own axis. Goal: 1,400 references ranked within 1 ms; the bars are
0.2 ms and 25 ms for 1,400 and 140,000.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spectralid import Spectrum, Technique
from spectralid.identify import RetrievalIndex
from spectralid.library import ReferenceInfo, Tier

GRID = 150.0 + 3.0 * np.arange(1024)
BANDS = 12


@dataclass
class Numbers:
    """A library of invented references."""

    values: np.ndarray[Any, Any]
    infos: tuple[ReferenceInfo, ...]

    def grid(self, technique: Technique) -> np.ndarray[Any, Any]:  # noqa: ARG002
        return GRID

    def matrix(self, technique: Technique) -> np.ndarray[Any, Any]:  # noqa: ARG002
        return self.values

    def rows(self, technique: Technique) -> tuple[ReferenceInfo, ...]:  # noqa: ARG002
        return self.infos


def invented(count: int) -> Numbers:
    """`count` references of `BANDS` bands each, a third of them measured from 300 to 2,300 cm⁻¹ only."""
    rng = np.random.default_rng(1)
    shapes = np.exp(-(((np.arange(-15, 16)) / 3.0) ** 2) / 2).astype(np.float32)
    values = np.zeros((count, GRID.size), dtype=np.float32)
    places = rng.integers(20, GRID.size - 20, (count, BANDS))
    heights = rng.uniform(0.1, 1.0, (count, BANDS)).astype(np.float32)
    rows = np.arange(count)
    for band in range(BANDS):
        for offset, shape in enumerate(shapes, start=-15):
            values[rows, places[:, band] + offset] += heights[:, band] * shape
    values[::3, (GRID < 300) | (GRID > 2300)] = np.nan
    infos = tuple(
        ReferenceInfo(
            id=f"r{i}",
            compound_slug=f"c{i}",
            form="",
            technique=Technique.RAMAN,
            tier=Tier.MEASURED,
            source="",
            licence="",
            url="",
            citation="",
            range_cm1=(150.0, 3219.0),
            n_points=GRID.size,
            resolution_cm1=None,
            laser_nm=None,
            quality=None,
            spectrum_sha256="",
        )
        for i in range(count)
    )
    return Numbers(values, infos)


def times(action: Callable[[], object], runs: int) -> tuple[float, float]:
    """Median and 95th percentile in ms, after three rounds that do not count."""
    for _ in range(3):
        action()
    taken = np.empty(runs)
    for i in range(runs):
        start = time.perf_counter()
        action()
        taken[i] = 1e3 * (time.perf_counter() - start)
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 95))


def measure(count: int, runs: int) -> dict[str, float]:
    """Timings for one size."""
    library = invented(count)
    start = time.perf_counter()
    index = RetrievalIndex.from_library(library, Technique.RAMAN)
    built = time.perf_counter() - start
    query = np.nan_to_num(library.values[1:2].astype(np.float64)) + np.random.default_rng(2).normal(
        0, 0.01, (1, GRID.size)
    )
    cut = query.copy()
    cut[:, (GRID < 203) | (GRID > 2461)] = np.nan
    axis = np.linspace(203.0, 2461.0, 1650)
    spectrum = Spectrum(axis, np.interp(axis, GRID, query[0]), technique=Technique.RAMAN)
    many = np.repeat(cut, 64, axis=0)
    result = {"references": count, "build_s": built}
    cases: dict[str, Callable[[], object]] = {
        "ranked": lambda: np.argpartition(np.nan_to_num(index.scores(query)[0], nan=-1.0), -10)[-10:],
        "whole": lambda: index.search_many(query),
        "cut": lambda: index.search_many(cut),
        "from_spectrum": lambda: index.search(spectrum),
    }
    for name, action in cases.items():
        result[f"{name}_p50_ms"], result[f"{name}_p95_ms"] = times(action, runs)
    result["of_64_p50_ms"] = times(lambda: index.search_many(many), max(3, runs // 20))[0] / 64
    result["resident_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_400, 14_000, 140_000])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    timed = ("ranked", "whole", "cut", "from_spectrum")
    heads = [f"{name.replace('_', ' ')} p50 / p95 ms" for name in timed]
    print("| references | " + " | ".join(heads) + " | each of 64 at once, ms | build s | peak memory MB |")
    print("|---" * (len(timed) + 4) + "|")
    results = []
    for count in arguments.sizes:
        r = measure(count, max(10, arguments.runs * 1_400 // count) if count > 1_400 else arguments.runs)
        results.append(r)
        cells = [f"{r[f'{name}_p50_ms']:.2f} / {r[f'{name}_p95_ms']:.2f}" for name in timed]
        print(
            f"| {count:,} | {' | '.join(cells)} | "
            f"{r['of_64_p50_ms']:.2f} | {r['build_s']:.2f} | {r['resident_mb']:.0f} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
