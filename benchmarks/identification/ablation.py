"""What each part of the joint fit buys: the same scans without it, one part at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import real
import tracks
from measures import Measure, proportion, rate
from tqdm import tqdm
from tracks import Query

from spectralid import Spectrum, Technique, open_library
from spectralid.identify import ShiftPrior
from spectralid.identify.analysis import Analyser, Analysis
from spectralid.identify.checks import band_agreement
from spectralid.identify.mismatch import Mismatch
from spectralid.identify.references import ReferenceSet
from spectralid.preprocess.baseline import Baseline

TRACK = "ablation"
WHOLE = "whole"
# Wide enough that the evidence alone decides where the axis is.
_FREE = ShiftPrior(sd_cm1=16.0, wide_cm1=16.0, share=0.5)
_PHOTONS = Mismatch(
    gain=0.0, band=0.0, shift_cm1=0.0, width_cm2=0.0, resolution_cm2=0.0, shape=0.0, floor=0.0
)


class _Unchecked(Analyser):
    """Keeps components whatever their bands say."""

    def _supported(self, scene: Any, best: Any) -> Any:
        return best, [band_agreement(scene, best, i) for i in range(len(best.rows))], set()


def _whole(path: str) -> Callable[[Spectrum], Analysis]:
    return _analyser(path, Analyser).analyse


def _baseline_first(path: str) -> Callable[[Spectrum], Analysis]:
    analyser = _analyser(path, Analyser)
    analyser._background = np.ones((analyser.references.grid.size, 1))
    flatten = Baseline()
    return lambda spectrum: analyser.analyse(flatten(spectrum))


def _free_shift(path: str) -> Callable[[Spectrum], Analysis]:
    analyser = _analyser(path, Analyser)
    return lambda spectrum: analyser.analyse(spectrum, prior=_FREE)


def _photons_only(path: str) -> Callable[[Spectrum], Analysis]:
    usual = _analyser(path, Analyser)
    bare = replace(usual.instrument, mismatch=_PHOTONS)
    return Analyser(usual.library, usual.references, bare).analyse


def _no_band_check(path: str) -> Callable[[Spectrum], Analysis]:
    return _analyser(path, _Unchecked).analyse


def _analyser(path: str, kind: type[Analyser]) -> Analyser:
    library = open_library(path)
    model = next((m for m in tracks.instruments(library) if not m.infrared), None)
    return kind(library, ReferenceSet.from_library(library, Technique.RAMAN), model)


VARIANTS: Mapping[str, Callable[[str], Callable[[Spectrum], Analysis]]] = {
    WHOLE: _whole,
    "without joint baseline (arPLS first)": _baseline_first,
    "without shift prior": _free_shift,
    "without structured covariance": _photons_only,
    "without band consistency": _no_band_check,
}


@dataclass(frozen=True)
class Outcome:
    """What one variant says of one scan."""

    group: str
    true: frozenset[str]
    best: str
    named: frozenset[str]
    detected: frozenset[str]


_READY: dict[tuple[str, str], Callable[[Spectrum], Analysis]] = {}


def outcome(job: tuple[str, Query]) -> Outcome:
    """Analyse one scan with one variant."""
    variant, query = job
    key = (variant, query.library)
    if key not in _READY:
        _READY[key] = VARIANTS[variant](query.library)
    analysis = _READY[key](query.scan())
    slugs = [c.compound_slug for c in analysis.components]
    likely = (analysis.log_odds or 0.0) > 0 and bool(slugs)
    explained = analysis.explained
    if variant == "without band consistency":
        explained = likely and not analysis.unexplained
    return Outcome(
        query.group,
        frozenset(query.true),
        slugs[0] if slugs else "",
        frozenset(slugs if explained else ()),
        frozenset(slugs if likely else ()),
    )


def measured(
    folder: Path, scale: float, jobs: int
) -> tuple[list[Measure], dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Measures of every variant on pure substances, mixtures, unknowns and other people's scans."""
    w = tracks.world(folder)
    maker = tracks.Maker(w, 0.12 * scale)
    queries = [replace(q, group=f"pure, {q.group}") for q in maker.pure()]
    queries += [replace(q, group="mixtures of 2 to 4") for q in maker.mixtures()]
    queries += [q for q in maker.open_set() if q.group != "in the library"]
    _, found = real.queries(folder)
    wanted = ("pure, other instruments", "in no library, other instruments", "solvent binaries")
    others = [q for q in found if q.group in wanted]
    queries += others[:: max(1, round(1 / min(1.0, 0.4 * scale)))]
    todo = [(v, q) for v in VARIANTS for q in queries]
    bar: dict[str, Any] = {"total": len(todo), "unit": "fit", "disable": None}
    if jobs == 1:
        said = list(tqdm(map(outcome, todo), **bar))
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
            said = list(tqdm(pool.map(outcome, todo, chunksize=4), **bar))
    by_variant: dict[str, list[Outcome]] = {}
    for (variant, _), one in zip(todo, said, strict=True):
        by_variant.setdefault(variant, []).append(one)
    measures = [m for v, some in by_variant.items() for m in _figures(v, some)]
    # Groups together, variants below each other.
    groups = list(dict.fromkeys(m.group for m in measures))
    measures.sort(key=lambda m: groups.index(m.group))
    return measures, {}, {}


def _figures(variant: str, outcomes: Sequence[Outcome]) -> list[Measure]:
    out = []
    for group in dict.fromkeys(o.group for o in outcomes):
        mine = [o for o in outcomes if o.group == group]
        head = (TRACK, group, variant)
        if any(o.true for o in mine) and "unknown" not in group:
            out.append(proportion(*head, "best is right", (o.best in o.true for o in mine)))
            out.append(proportion(*head, "detected", (s in o.detected for o in mine for s in o.true)))
            out.append(proportion(*head, "explained and right", (o.named == o.true for o in mine)))
        out.append(rate(*head, "false per scan, detected", (len(o.detected - o.true) for o in mine)))
        out.append(rate(*head, "false per scan, explained", (len(o.named - o.true) for o in mine)))
    return out
