"""How long a chemist waits for the engine: a spectrum opened, a slider moved, a component added.

On one core, with the bundled library and simulated scans (``spectralid.devices.sim``), which share no code
with the engine.

    python benchmarks/reachback/console.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.samples import bundled_samples
from spectralid.devices.sim.scenes import compose
from spectralid.identify import Identifier
from spectralid.library import open_library
from spectralid.reachback.bench.material import Material, Scan
from spectralid.reachback.bench.views import fit_view
from spectralid.reachback.bench.workbench import Sheet, Workbench
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

MIXTURES = (
    {"acetaminophen": 0.7, "caffeine": 0.3},
    {"sucrose": 0.5, "urea": 0.5},
    {"lactose": 0.6, "acetaminophen": 0.2, "caffeine": 0.2},
    {"ibuprofen": 0.8, "ketoprofen": 0.2},
)


def scan(shares: dict[str, float], seed: int) -> Spectrum:
    """A simulated scan of a mixture."""
    bench = BENCHES["ventana-785l"]
    detector = Detector(bench, compose(list(shares.items()), bundled_samples(), fluorescence=0.5), seed=seed)
    frames = {}
    for light in (True, False):
        detector.laser, detector.integration_s = light, 0.3
        detector.restart()
        frames[light] = np.mean([detector.frame() for _ in range(20)], axis=0)
    nanometres = np.polynomial.polynomial.polyval(np.arange(bench.pixels), bench.reported)
    axis = 1e7 / bench.laser_nm - 1e7 / nanometres
    return Spectrum(
        axis,
        frames[True] - frames[False],
        technique=Technique.RAMAN,
        unit=IntensityUnit.COUNTS,
        name=str(seed),
    )


def sheet_of(spectrum: Spectrum, identifier: Identifier) -> Sheet:
    """It on the bench."""
    one = Scan(1, 0, "p", "I-1", "sample", "", spectrum, "", {}, "none", {})
    return Workbench.open(Material("C", "d", "S", "x", (one,)), identifier)[0]


def slider(sheet: Sheet, held: dict[str, float | None]) -> str:
    """What the page gets for a slider that was moved."""
    return json.dumps(fit_view(sheet, sheet.refit(held)))


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    taken: dict[str, list[float]] = {}
    identifier = Identifier(open_library())
    identifier.identify(scan(MIXTURES[0], 0))  # references are prepared once, at the server's start
    for mixture, seed in itertools.product(MIXTURES, range(1, repeats + 1)):
        sheet = sheet_of(scan(mixture, seed), identifier)
        took = timed(lambda: sheet.hand)  # noqa: B023 - asked at once
        taken.setdefault("open (identify, prepare)", []).append(took)
        fit = sheet.refit()
        own = list(fit.shares)
        held: dict[str, float | None] = {own[0]: 0.4, **dict.fromkeys(own[1:])}
        asked: dict[str, Callable[[], object]] = {
            "slider (re-fit, bands, sentences, JSON)": partial(slider, sheet, held),
            "component added (re-fit at its own shift)": partial(sheet.add, fit, "glycine"),
            "what explains the rest?": partial(sheet.rest, fit),
            "best explanation without one": partial(sheet.refit, excluded=own[:1]),
        }
        for name, work in asked.items():
            if len(own) > 1 or not name.startswith("slider"):
                taken.setdefault(name, []).append(timed(work))
    print("| what | median | 95th of 100 | slowest |\n|---|--:|--:|--:|")
    for name, values in taken.items():
        high = statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
        print(f"| {name} | {statistics.median(values):.0f} ms | {high:.0f} ms | {max(values):.0f} ms |")
    print(f"\nLibrary of {identifier.library.n_references} references, {threading.active_count()} thread.")


if __name__ == "__main__":
    main()
