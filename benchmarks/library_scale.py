"""Cost per query and memory of libraries of 1,400, 14,000 and 140,000 spectra, from real library files.

    python benchmarks/library_scale.py [--sizes 1400 14000 140000] [--folder DIR] [--fit] [--json FILE]

Each library is written with `LibraryBuilder` (random bands on 1,024 points, a third of the references from
302 to 2,303 cm⁻¹ only) and measured in a process of its own. Times are processor time of one thread, so that
what else runs counts little. "One" is a query alone, "of 64" its share of 64 asked together (matrix–matrix
products), "first" what a process needs before its first answer where the prepared file beside the library is
there already, "prepare" what making that file costs, once. Memory is the highest resident set of each phase,
beyond what the process held before: facts are names, sources and identities of the references, which do grow
with the library. `--fit` adds the joint fit of a mixture of two. The last lines fit time ∝ size^exponent.

140,000 spectra take 1.2 GB of disk and 4 GB of memory to write, and some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
GRID = 150.0 + 3.0 * np.arange(1024)
BANDS = 12
CUT = (GRID >= 302) & (GRID <= 2303)

MEASURE = """
import json, sys, time
from pathlib import Path
import numpy as np
import spectralid.identify
from spectralid.identify.analysis import Analyser
from spectralid.identify.large import reference_set
from spectralid.identify.retrieval import RetrievalIndex
from spectralid.library import builder, open_library
from spectralid.preprocess import baseline, resample
from spectralid.spectrum import Spectrum, Technique
import scipy.linalg, scipy.optimize

sys.path.insert(0, sys.argv[3])
from library_scale import GRID, substance

def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) / 1024

def phase(name, action, runs=1):
    before = memory("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    taken = []
    for _ in range(runs):
        start = time.process_time()
        result = action()
        taken.append(time.process_time() - start)
    out[name + "_s"] = float(np.median(taken))
    out[name + "_mb"] = memory("VmHWM") - before
    return result

out = {}
path, fit = sys.argv[1], sys.argv[2] == "fit"
prepared = Path(path + ".raman-search")
library = open_library(path)
rows = phase("facts", lambda: library.rows("raman"))
make = lambda: RetrievalIndex.from_library(library, Technique.RAMAN)
if prepared.exists():
    prepared.unlink()
phase("prepare", make)
index = phase("first", make)
rng = np.random.default_rng(5)
queries = np.stack([substance(i) for i in range(64)]) + rng.normal(0, 0.01, (64, GRID.size))
queries[:, (GRID < 203) | (GRID > 2461)] = np.nan
runs = max(5, 100_000 // len(rows))
phase("one", lambda: index.search_many(queries[1:2]), runs)
many = phase("of_64", lambda: index.search_many(queries), max(3, runs // 20))
# Those of the narrow range may have too few bands in it to be compared.
assert sum(r.hits[0].reference.compound_slug == f"c{i}" for i, r in enumerate(many)) > 50
out["of_64_s"] /= 64
if fit:
    references = phase("fit_prepare", lambda: reference_set(library, Technique.RAMAN))
    analyser = Analyser(library, references)
    mixture = 3000 * substance(1) + 1500 * substance(4) + 500
    spectrum = Spectrum(GRID, rng.normal(mixture, np.sqrt(mixture)), technique="raman")
    analysis = phase("fit", lambda: analyser.analyse(spectrum, original=spectrum), 3)
    assert {c.compound_slug for c in analysis.components} == {"c1", "c4"}, analysis.components
out["references"] = len(rows)
print(json.dumps(out))
"""


def substance(number: int) -> np.ndarray:
    """Intensities of the invented substance `number` on the common grid, highest about 1."""
    rng = np.random.default_rng(number)
    places, heights = rng.uniform(200, 3100, BANDS), rng.uniform(0.1, 1.0, BANDS)
    values = np.zeros(GRID.size)
    for place, height in zip(places, heights, strict=True):
        near = slice(max(0, int((place - 210) / 3)), int((place - 90) / 3))
        values[near] += height * np.exp(-(((GRID[near] - place) / 9.0) ** 2) / 2)
    return values


def build(path: Path, count: int) -> None:
    """A library file of `count` measured references."""
    from spectralid import LibraryBuilder, Spectrum
    from spectralid.library import Compound, Tier

    builder = LibraryBuilder(f"synthetic {count}", created="2026-01-01")
    for i in range(count):
        values = substance(i).astype(np.float32)
        part = CUT if i % 3 == 0 else slice(None)
        builder.add(
            Spectrum(GRID[part], values[part], technique="raman"),
            Compound(f"c{i}", f"Compound {i}"),
            tier=Tier.MEASURED,
            source=f"synthetic spectrum {i}",
            licence="CC0-1.0",
        )
    builder.write(path)


def in_its_own_process(code: str, *arguments: str) -> str:
    """What a fresh interpreter with one BLAS thread prints."""
    environment = {
        **os.environ,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    ).stdout


def exponents(results: list[dict[str, float]], name: str) -> str:
    """Slopes of log time against log size, step by step and over all."""
    sizes = np.log([r["references"] for r in results])
    times = np.log([r[f"{name}_s"] for r in results])
    steps = ", ".join(f"{s:.2f}" for s in np.diff(times) / np.diff(sizes))
    return f"{name}: time ∝ size^{np.polyfit(sizes, times, 1)[0]:.2f} (step by step {steps})"


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_400, 14_000, 140_000])
    parser.add_argument("--folder", type=Path, help="keep the libraries there, and use what is there")
    parser.add_argument("--fit", action="store_true", help="the joint fit too")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    builder = "import sys; sys.path.insert(0, sys.argv[3])\nfrom pathlib import Path\n"
    builder += "import library_scale\nlibrary_scale.build(Path(sys.argv[1]), int(sys.argv[2]))"
    here = str(Path(__file__).resolve().parent)
    names = ["one", "of_64", "first", "prepare", *(["fit", "fit_prepare"] if arguments.fit else [])]
    heads = [f"{name.replace('_', ' ')}: ms, + MB" for name in names]
    print("| references | file MB | facts + MB | " + " | ".join(heads) + " |")
    print("|---" * (len(names) + 3) + "|")
    results: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        for count in arguments.sizes:
            path = folder / f"synthetic-{count}.h5"
            if not path.exists():
                in_its_own_process(builder, str(path), str(count), here)
            fit = "fit" if arguments.fit else ""
            r = json.loads(in_its_own_process(MEASURE, str(path), fit, here))
            results.append(r)
            cells = [f"{1e3 * r[f'{n}_s']:.2f}, {r[f'{n}_mb']:.0f}" for n in names]
            size = path.stat().st_size / 1e6
            print(f"| {count:,} | {size:.0f} | {r['facts_mb']:.0f} | {' | '.join(cells)} |", flush=True)
    if len(results) > 1:
        for name in ("one", "of_64", *(["fit"] if arguments.fit else [])):
            print(exponents(results, name))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
