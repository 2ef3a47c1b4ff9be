"""Track I: processor time of the whole engine and of retrieval at 1,400 entries on one core, and memory."""

from __future__ import annotations

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import generator
import numpy as np
import tracks
from measures import Measure

ENTRIES = 1400


def measured(
    folder: Path, scale: float
) -> tuple[list[Measure], dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Measures of track I, in a process of its own so that memory is the engine's."""
    everything = generator.substances()
    rng = np.random.default_rng(tracks.SEED + 9)
    good = generator.unit(rng, axis_sd=0.3, response_sd=0.05)
    scans = -(-ENTRIES // len(everything))
    path = tracks.build(folder / "speed.h5", everything[: ENTRIES // scans], good, rng, scans=scans)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        times, retrieval, memory = pool.submit(_timed, path, max(10, round(80 * scale))).result()
    out = []
    for group, found in (("whole engine", times), ("retrieval", retrieval)):
        for name, q in (("p50 per spectrum", 0.5), ("p95 per spectrum", 0.95)):
            out.append(_quantile(group, name, np.array(found), q))
    nan = float("nan")
    out.append(Measure("I", "whole engine", tracks.OURS, "memory of the process", memory, nan, nan, 1, " MB"))
    return out, {}, {}


def _quantile(group: str, name: str, seconds: np.ndarray, q: float) -> Measure:
    rng = np.random.default_rng(1)
    drawn = [np.quantile(rng.choice(seconds, seconds.size), q) for _ in range(1000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = float(np.quantile(seconds, q))
    return Measure("I", group, tracks.OURS, name, 1e3 * value, 1e3 * low, 1e3 * high, seconds.size, " ms")


def _timed(path: Path, n: int) -> tuple[list[float], list[float], float]:
    """Processor seconds of `n` queries: a third pure, the rest mixtures of two and three."""
    from spectralid import Technique, open_library
    from spectralid.identify import Identifier, RetrievalIndex

    everything = generator.substances()
    rng = np.random.default_rng(3)
    library = open_library(path)
    identifier = Identifier(library, instruments=tracks.instruments(library))
    index = RetrievalIndex.from_library(library, Technique.RAMAN)
    times, retrieval = [], []
    for i in range(n + 1):
        k = i % 3 + 1
        parts = list(zip(tracks.Maker.draw(rng, everything, k), tracks.shares(rng, k), strict=True))
        spectrum = generator.scan(parts, generator.unit(rng), rng)
        started = time.process_time()
        identifier.identify(spectrum)
        times.append(time.process_time() - started)
        query = index.on_grid(spectrum)[None]
        started = time.process_time()
        index.scores(query)
        retrieval.append(time.process_time() - started)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # The first prepares the library.
    return times[1:], retrieval[1:], memory
