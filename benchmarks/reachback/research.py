"""How long a re-search's first pass takes: archived spectra against new entries, one thread each process.

    python benchmarks/reachback/research.py --spectra 1400000 --entries 256

Shards of made-up scans are written to a temporary folder (2 kB each), in the form and with the checks of the
real archive, and searched by the code that the server runs. Scans are of 300 made-up substances, common ones
more often (Zipf), a third of them mixtures of two, with noise, from eight instruments of different ranges;
the field named all but one in five. One scan in a thousand holds one of the new entries.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

from spectralid.library.schema import common_grid  # noqa: E402
from spectralid.reachback.archive import SHARD_ROWS, Shard, ShardFile, derivatives, encode  # noqa: E402
from spectralid.reachback.research_kernel import LEAST, Entries, search  # noqa: E402

SUBSTANCES = 300
RANGES = (
    (150, 3219), (176, 2900), (200, 2000), (250, 2350), (200, 3200), (300, 1900), (150, 2500), (400, 1800),
)  # fmt: skip
NOISES = 4096


def substances(count: int, rng: np.random.Generator) -> np.ndarray:
    """Spectra of made-up substances: 12 to 35 bands, most of them below 1,800 cm-1."""
    grid = common_grid("raman")
    out = np.zeros((count, grid.size))
    for one in out:
        bands = rng.integers(12, 36)
        places = np.where(
            rng.random(bands) < 0.85, rng.uniform(200, 1750, bands), rng.uniform(2700, 3150, bands)
        )
        for place, height in zip(places, rng.exponential(1.0, bands), strict=True):
            one += height / (1 + ((grid - place) / rng.uniform(4, 9)) ** 2)
    return out


def noises(rng: np.random.Generator) -> np.ndarray:
    return derivatives(
        rng.normal(size=(NOISES, 1024)).cumsum(axis=1) * 0.02 + rng.normal(size=(NOISES, 1024)), "raman"
    )[0]


def entries(count: int) -> Entries:
    known_ones = substances(SUBSTANCES, np.random.default_rng(1))
    values = substances(count, np.random.default_rng(2))
    grid = common_grid("raman")
    for i, one in enumerate(values):
        low, high = RANGES[i % 4]
        one[(grid < low) | (grid > high)] = np.nan
    unit, known = derivatives(values, "raman")
    base = {
        f"substance-{i}": part[None].astype(np.float32)
        for i, part in enumerate(derivatives(known_ones, "raman")[0])
    }
    return Entries(
        "raman", tuple(f"new-{i}" for i in range(count)), unit.astype(np.float32), known,
        np.array([LEAST] * count, np.float32).T, base,
    )  # fmt: skip


def shard(number: int, rows: int, wanted: int, made: dict) -> Shard:
    rng = np.random.default_rng(1000 + number)
    kinds, new, noise, masks, weights = (made[name] for name in ("kinds", "new", "noise", "masks", "weights"))
    main = rng.choice(SUBSTANCES, rows, p=weights)
    second = np.where(rng.random(rows) < 1 / 3, rng.choice(SUBSTANCES, rows, p=weights), -1)
    share = rng.uniform(0.15, 0.5, rows)
    values = kinds[main].astype(np.float32)
    mixed = second >= 0
    values[mixed] = values[mixed] * (1 - share[mixed, None]) + kinds[second[mixed]] * share[mixed, None]
    holds = rng.random(rows) < 0.001
    values[holds] += new[rng.integers(0, wanted, holds.sum())] * rng.uniform(0.2, 1, (holds.sum(), 1))
    values += noise[rng.integers(0, NOISES, rows)] * rng.uniform(0.02, 0.3, (rows, 1))
    mask_of_row = rng.integers(0, len(masks), rows).astype("<i4")
    values *= masks[mask_of_row]
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    vectors, scale = encode(values)
    names, of_row, seen = [], np.empty(rows, "<i4"), {}
    silent = rng.random(rows) < 0.2
    for i in range(rows):
        key = () if silent[i] else tuple(sorted({main[i], second[i]} - {-1}))
        if key not in seen:
            seen[key] = len(names)
            names.append(tuple(f"substance-{one}" for one in key))
        of_row[i] = seen[key]
    return Shard(
        "raman", vectors, scale, np.packbits(masks, axis=1), mask_of_row, tuple(names), of_row, ("bench",),
        np.zeros(rows, "<i4"), np.arange(rows, dtype="<i8"), np.zeros(rows, "<i4"),
    )  # fmt: skip


_MADE: dict = {}
_ENTRIES: list[Entries] = []


def _set_up(wanted: int) -> None:
    rng = np.random.default_rng(5)
    grid = common_grid("raman")
    zipf = 1 / np.arange(1, SUBSTANCES + 1)
    edge = 18.0
    _MADE.update(
        kinds=derivatives(substances(SUBSTANCES, np.random.default_rng(1)), "raman")[0].astype(np.float32),
        new=derivatives(substances(wanted, np.random.default_rng(2)), "raman")[0].astype(np.float32),
        noise=noises(rng).astype(np.float32),
        masks=np.array([(grid >= low + edge) & (grid <= high - edge) for low, high in RANGES]),
        weights=zipf / zipf.sum(),
    )
    _ENTRIES.append(entries(wanted))


def make(job: tuple[str, int, int, int]) -> ShardFile:
    folder, number, rows, wanted = job
    data = shard(number, rows, wanted, _MADE).to_bytes()
    file = ShardFile("raman", number, rows, (0, 0), (0, 0), hashlib.sha256(data).hexdigest())
    (Path(folder) / file.name).write_bytes(data)
    return file


def one(job: tuple[str, ShardFile]) -> tuple[int, int, int]:
    folder, file = job
    found = search(Shard.read(Path(folder) / file.name, file), _ENTRIES[0])
    return file.rows, len(found.row), len(np.unique(found.row))


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--spectra", type=int, default=100_000)
    ask.add_argument("--entries", type=int, default=256)
    ask.add_argument("--processes", type=int, default=2)
    ask.add_argument("--cold", action="store_true", help="drop the system's cache of the shards first (root)")
    ask.add_argument("--folder", type=Path, help="where shards are made; a temporary folder by default")
    given = ask.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="research-", dir=given.folder))
    sizes = [min(SHARD_ROWS, given.spectra - start) for start in range(0, given.spectra, SHARD_ROWS)]
    try:
        with ProcessPoolExecutor(given.processes, initializer=_set_up, initargs=(given.entries,)) as pool:
            started = time.perf_counter()
            files = list(pool.map(make, [(str(folder), i, n, given.entries) for i, n in enumerate(sizes)]))
            made = time.perf_counter() - started
            bytes_ = sum((folder / file.name).stat().st_size for file in files)
            if given.cold:
                os.sync()
                Path("/proc/sys/vm/drop_caches").write_text("1")
            started = time.perf_counter()
            found = list(pool.map(one, [(str(folder), file) for file in files]))
            took = time.perf_counter() - started
    finally:
        shutil.rmtree(folder)
    rows = sum(n for n, _, _ in found)
    pairs, scans = (sum(column) for column in list(zip(*found, strict=True))[1:])
    print(f"spectra {rows:,}, entries {given.entries}, processes {given.processes}, {len(files)} shards")
    print(f"archive {bytes_ / 1e9:.2f} GB (made in {made:.0f} s)")
    speed, pace = bytes_ / took / 1e9, rows * given.entries / took / 1e6
    print(f"first pass {took:.1f} s: {speed:.2f} GB/s, {pace:,.0f} million pairs/s")
    print(f"passed on to the engine: {pairs:,} pairs of {scans:,} scans ({scans / rows:.2%})")
    print(f"goal 1,400,000 x 256 in 60 s: this rate needs {took * 1.4e6 / rows * 256 / given.entries:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
