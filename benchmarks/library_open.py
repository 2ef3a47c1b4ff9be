"""What the bundled library holds, and time to open it, its memory and its size; the same of a larger one.

Goal: ≤ 50 ms to open, ≤ 60 MB of memory beyond the imports with everything in use. The larger library has
1,400 compounds × 2 techniques × 2 tiers of synthetic spectra, in a scratch folder. Each opening is timed
(processor time) in a process of its own, with the file in the system's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

MEASURE = """
import json, sys, time
import h5py, numpy
from spectralid.library import open_library

def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6
    except OSError:
        return float("nan")

before = resident()
# Processor time: what other programs do at the same time does not count.
clock = time.process_time
t0 = clock(); library = open_library(sys.argv[1])
t1 = clock(); opened = resident()
t2 = clock()
blocks = [(t, tier) for t in ("raman", "ftir") for tier in (None, "computed") if library.holds(t, tier)]
rows = [library.rows(*block) for block in blocks]
t3 = clock(); compounds = library.compounds
t4 = clock(); spectrum = library.reference(rows[0][-1].id).spectrum
t5 = clock(); matrices = [library.matrix(*block) for block in blocks]
t6 = clock()
print(json.dumps({
    "open_ms": 1e3 * (t1 - t0), "rows_ms": 1e3 * (t3 - t2), "compounds_ms": 1e3 * (t4 - t3),
    "first_spectrum_ms": 1e3 * (t5 - t4), "all_matrices_ms": 1e3 * (t6 - t5),
    "memory_opened_mb": opened - before, "memory_all_mb": resident() - before,
}))
"""


def build(path: Path, compounds: int) -> None:
    """A library of `compounds` compounds with a measured and a computed reference by each technique."""
    from spectralid import LibraryBuilder, Spectrum
    from spectralid.library import Compound, Tier
    from spectralid.library.schema import common_grid
    from spectralid.spectrum import Acquisition

    rng = np.random.default_rng(0)
    axes = {"raman": np.arange(200.0, 3200.0, 2.0), "ftir_atr": np.arange(450.0, 3950.0, 2.0)}
    builder = LibraryBuilder("synthetic", created="2026-01-01")
    for i in range(compounds):
        compound = Compound(
            f"compound-{i}", f"Compound {i}", synonyms=(f"Synonym {i}", f"Other name {i}"), cas=f"{i}-00-0",
            inchikey=f"{i:014d}-UHFFFAOYSA-N", formula="C17H21NO4", category="opioid/synthetic",
            schedule="I", hazards=("potent-opioid",), verification="verified",
        )  # fmt: skip
        for technique, axis in axes.items():
            intensity = np.zeros_like(axis)
            for _ in range(20):
                position, width = rng.uniform(axis[0], axis[-1]), rng.uniform(5, 20)
                intensity += rng.uniform(0.1, 1) * np.exp(-(((axis - position) / width) ** 2))
            spectrum = Spectrum(
                axis, intensity.astype(np.float32), technique=technique, unit="absorbance",
                acquisition=Acquisition(instrument="synthetic", resolution_cm1=8.0), name=compound.name,
            )  # fmt: skip
            builder.add(spectrum, compound, tier=Tier.MEASURED, source=f"synthetic {i}", licence="CC0-1.0")
            grid = common_grid("raman" if technique == "raman" else "infrared")
            values = np.interp(grid, axis, intensity)
            computed = spectrum.replace(axis=grid, intensity=(values / values.max()).astype(np.float16))
            builder.add(computed, compound, tier=Tier.COMPUTED, source="synthetic", licence="CC0-1.0")
    builder.write(path)


def measure(path: Path, repeat: int) -> None:
    """Open the library in processes of their own and print medians."""
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", MEASURE, str(path)],
                capture_output=True, text=True, check=True, env=environment,
            ).stdout
        )
        for _ in range(repeat)
    ]  # fmt: skip
    print(f"  {path.stat().st_size / 1e6:.1f} MB; median of {repeat} processes (least to most)")
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"  {name:18} {statistics.median(values):8.2f}   ({min(values):.2f} to {max(values):.2f})")


def main() -> None:
    """Count, build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compounds", type=int, default=1400)
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from spectralid.library import describe, open_library

    bundled = open_library("spectralid")
    facts = describe(bundled)
    print(
        f"bundled library {bundled.version}: {facts['compounds']} compounds, {facts['references']} references"
    )
    for tier, techniques in facts["tiers_by_technique"].items():
        print(f"  {tier:12}" + "".join(f"  {count:6d} {name}" for name, count in techniques.items()))
    measure(bundled.path, arguments.repeat)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "synthetic.h5")
        build(path, arguments.compounds)
        print(f"{arguments.compounds} compounds × 2 techniques × 2 tiers, synthetic")
        measure(path, arguments.repeat)


if __name__ == "__main__":
    main()
