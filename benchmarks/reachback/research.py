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

from spectralid.library import open_library  # noqa: E402
from spectralid.library.schema import common_grid  # noqa: E402
from spectralid.reachback.research.archive import SHARD_ROWS, Shard, ShardFile, derivatives, encode  # noqa: E402
from spectralid.reachback.research.kernel import LEAST, Entries, search  # noqa: E402
from spectralid.spectrum import Technique  # noqa: E402

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


def one(job: tuple[str, ShardFile]) -> tuple[int, int, int, float]:
    folder, file = job
    begun = time.process_time()
    found = search(Shard.read(Path(folder) / file.name, file), _ENTRIES[0])
    return file.rows, len(found.row), len(np.unique(found.row)), time.process_time() - begun


def precision() -> None:
    """What the form in which rows are kept costs: likeness of the bundled library's references, all pairs."""
    library = open_library()
    print("error of the likeness of unlike pairs that are compared   bytes a row   largest   median")
    for kind, technique in (("raman", Technique.RAMAN), ("infrared", Technique.FTIR)):
        unit, known = derivatives(library.matrix(technique), kind)
        within = np.square(unit) @ known.T
        norm = np.sqrt(within * within.T)
        fair = (within >= 0.5) & (within.T >= 0.5) & ~np.eye(len(unit), dtype=bool)
        exact = (unit @ unit.T)[fair] / norm[fair]
        vectors, scale = encode(unit)
        largest = np.abs(unit).max(axis=1, keepdims=True)
        forms = {
            "int16 with a scale (kept)": (2052, vectors * scale[:, None].astype(float)),
            "float16": (2048, unit.astype(np.float16).astype(float)),
            "int8 with a scale": (1028, np.rint(unit / largest * 127) / 127 * largest),
        }
        for name, (size, kept) in forms.items():
            error = np.abs((kept @ unit.T)[fair] / norm[fair] - exact)
            print(f"  {kind:9} {name:42} {size:9} {error.max():12.1e} {np.median(error):8.1e}")


def passed() -> None:
    """How often a scan that holds a new entry is passed on, by the entry's share of the signal."""
    _set_up(256)
    kinds, new, noise = (_MADE[name] for name in ("kinds", "new", "noise"))
    rng = np.random.default_rng(9)
    count = 2000
    print("share of the signal    2 %    5 %   10 %   20 %   30 %   50 %  100 %")
    for known in (True, False):
        line = []
        for share in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0):
            main, entry = rng.integers(0, SUBSTANCES, count), rng.integers(0, 256, count)
            values = kinds[main] * (1 - share) + new[entry] * share
            values = values + 0.05 * noise[rng.integers(0, NOISES, count)]
            values /= np.linalg.norm(values, axis=1, keepdims=True)
            vectors, scale = encode(values)
            named = tuple((f"substance-{i}",) for i in range(SUBSTANCES)) if known else ((),)
            zeros = np.zeros(count, "<i4")
            made = Shard(
                "raman", vectors, scale, np.packbits(np.ones((1, 1024), bool), axis=1), zeros, named,
                main.astype("<i4") if known else zeros, ("bench",), zeros, np.arange(count), zeros,
            )  # fmt: skip
            found = search(made, _ENTRIES[0])
            right = {(row, one) for row, one in zip(found.row.tolist(), found.entry.tolist(), strict=True)}
            line.append(np.mean([(i, int(one)) in right for i, one in enumerate(entry)]))
        what = "the rest was named" if known else "nothing was named"
        print(f"{what:20}" + "".join(f"{value:7.1%}" for value in line))


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--spectra", type=int, default=100_000)
    ask.add_argument("--entries", type=int, default=256)
    ask.add_argument("--processes", type=int, default=2)
    ask.add_argument("--cold", action="store_true", help="drop the system's cache of the shards first (root)")
    ask.add_argument("--folder", type=Path, help="where shards are made; a temporary folder by default")
    ask.add_argument("--tables", action="store_true", help="print what 16 bits cost, and what is passed on")
    given = ask.parse_args()
    if given.tables:
        precision()
        passed()
        return
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
    rows, pairs, scans, busy = (sum(column) for column in zip(*found, strict=True))
    print(f"spectra {rows:,}, entries {given.entries}, processes {given.processes}, {len(files)} shards")
    print(f"archive {bytes_ / 1e9:.2f} GB (made in {made:.0f} s)")
    speed, pace = bytes_ / took / 1e9, rows * given.entries / took / 1e6
    print(f"first pass {took:.1f} s: {speed:.2f} GB/s, {pace:,.0f} million pairs/s")
    print(f"time of processors: {busy:.1f} s ({busy / rows * 1.4e6:.0f} s for 1,400,000)")
    print(f"passed on to the engine: {pairs:,} pairs of {scans:,} scans ({scans / rows:.2%})")
    print(f"goal 1,400,000 x 256 in 60 s: this rate needs {took * 1.4e6 / rows * 256 / given.entries:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
