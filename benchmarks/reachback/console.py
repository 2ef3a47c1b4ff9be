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

import numpy as np

from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.samples import bundled_samples
from spectralid.devices.sim.scenes import compose
from spectralid.identify import Identifier
from spectralid.library import open_library
from spectralid.reachback.workbench import Sheet, Workbench
from spectralid.reachback.workbench_material import Material, Scan
from spectralid.reachback.workbench_views import fit_view
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
        taken.setdefault("open (identify, prepare)", []).append(timed(lambda s=sheet: s.hand))
        fit = sheet.refit()
        own = list(fit.shares)
        held = {own[0]: 0.4} | dict.fromkeys(own[1:])
        if len(own) > 1:
            taken.setdefault("slider (re-fit, bands, sentences, JSON)", []).append(
                timed(lambda s=sheet, h=held: json.dumps(fit_view(s, s.refit(h))))
            )
        taken.setdefault("component added (re-fit at its own shift)", []).append(
            timed(lambda s=sheet, f=fit: s.add(f, "talc" if "talc" in s.hand.slugs else "glycine"))
        )
        taken.setdefault("what explains the rest?", []).append(timed(lambda s=sheet, f=fit: s.rest(f)))
        taken.setdefault("best explanation without one", []).append(
            timed(lambda s=sheet, o=own: s.refit(excluded=o[:1]))
        )
    print("| what | median | 95th of 100 | slowest |\n|---|--:|--:|--:|")
    for name, values in taken.items():
        high = statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
        print(f"| {name} | {statistics.median(values):.0f} ms | {high:.0f} ms | {max(values):.0f} ms |")
    print(f"\nLibrary of {identifier.library.n_references} references, {threading.active_count()} thread.")


if __name__ == "__main__":
    main()
