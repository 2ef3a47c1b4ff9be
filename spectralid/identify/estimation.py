"""An instrument characterised: how far references are off on it, from spectra whose substance is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from spectralid.errors import ParameterError
from spectralid.identify.analysis import Analyser
from spectralid.identify.hypotheses import Scene
from spectralid.identify.instrument_model import InstrumentModel
from spectralid.identify.mismatch import Mismatch
from spectralid.identify.selection import ShiftPrior
from spectralid.spectrum import Spectrum

__all__ = ["MismatchEstimate", "Replicate", "characterise", "estimate_mismatch"]

_LEAST_PAIRS: Final = 8
# Share of the pairs that may be something else than they are said to be; the worst are left out each time.
_TRIMMED: Final = 0.1
# Steps of the search in the logarithm of each spread, how often each is gone through, and what a round has
# to gain, in nats per spectrum, for another one.
_STEPS: Final = (1.1, 0.5, 0.2)
_CYCLES: Final = 3
_LEAST_GAIN: Final = 0.3
# No spread is estimated further from the start than this factor's logarithm.
_FARTHEST: Final = 4.0
# Evidence counts for more where the spread of references was measured than where it was guessed.
_CHARACTERISED: Final = 2.0
# An axis that kept within so much keeps within this, or now and then, in this share of scans, not.
_LEAST_SHIFT_SD: Final = 0.5
_TAIL: Final = 3.0
_LEAST_TAIL: Final = 4.0
_ASTRAY: Final = 0.05
# A log-normal prior of this width around the start holds what the data say nothing of.
_PRIOR_SD: Final = 1.5


@dataclass(frozen=True, slots=True)
class Replicate:
    """A spectrum whose substance is known.

    Attributes
    ----------
    scene : Scene
        The spectrum.
    row : int
        Reference of the substance.
    shift_cm1 : float
        Shift of its axis, as fitted.
    group : str
        What must not count more than once: the substance.
    """

    scene: Scene
    row: int
    shift_cm1: float
    group: str


@dataclass(frozen=True, slots=True)
class MismatchEstimate:
    """Estimated spread of references.

    Attributes
    ----------
    mismatch : Mismatch
        Standard deviations of highest evidence.
    log_evidence_per_pair : float
        Mean evidence of the pairs kept, in nats, over that at the start.
    n_pairs, n_left_out : int
        Pairs given, and those left out as outliers.
    """

    mismatch: Mismatch
    log_evidence_per_pair: float
    n_pairs: int
    n_left_out: int


def estimate_mismatch(
    pairs: Sequence[Replicate],
    start: Mismatch,
    *,
    progress: Callable[[int, float], None] | None = None,
) -> MismatchEstimate:
    """Find the mismatch under which spectra of known substances are most likely given their references.

    Empirical Bayes: the amounts, the background and whatever a coefficient stands for are integrated out,
    the standard deviations maximise what is left (type-II maximum likelihood; MacKay, Neural Comput. 1992,
    4, 415).

    Parameters
    ----------
    pairs : sequence of Replicate
        Spectra of known substances; all of one group together weigh as much as one of another.
    start : Mismatch
        Where to begin; values of 0 stay 0.
    progress : callable, optional
        Called with the number of each evaluation and the best mean log evidence so far.

    Raises
    ------
    ParameterError
        If there are fewer than 8 pairs: seven numbers cannot be had from less.
    """
    if len(pairs) < _LEAST_PAIRS:
        raise ParameterError("pairs", len(pairs), f"at least {_LEAST_PAIRS} spectra of known substances")
    free = [f.name for f in fields(start) if getattr(start, f.name) > 0]
    kept = len(pairs) - int(_TRIMMED * len(pairs))
    sizes = Counter(p.group for p in pairs)
    weight = np.array([1 / sizes[p.group] for p in pairs])

    def evidence(mismatch: Mismatch) -> float:
        found = np.array([p.scene.under(mismatch).log_density((p.row,), p.shift_cm1) for p in pairs])
        order = np.argsort(found)[-kept:]
        return float(np.average(found[order], weights=weight[order]))

    def value(logs: Mapping[str, float]) -> float:
        mismatch = replace(start, **{n: getattr(start, n) * math.exp(x) for n, x in logs.items()})
        prior = 0.5 * sum((x / _PRIOR_SD) ** 2 for x in logs.values()) / len(sizes)
        return evidence(mismatch) - prior

    base = evidence(start)
    logs, best, done = dict.fromkeys(free, 0.0), base, 0
    # One spread after the other, in smaller and smaller steps: the evidence has one broad top in each.
    for step in _STEPS:
        for _ in range(_CYCLES):
            before = best
            for name in free:
                for way in (step, -step):
                    moved = 0
                    while abs(logs[name] + way) <= _FARTHEST:
                        tried = value(logs | {name: logs[name] + way})
                        done += 1
                        if progress is not None:
                            progress(done, best - base)
                        if tried <= best:
                            break
                        logs[name], best, moved = logs[name] + way, tried, moved + 1
                    if moved:
                        break
            if best - before < _LEAST_GAIN:
                break
    found = replace(start, **{n: getattr(start, n) * math.exp(x) for n, x in logs.items()})
    return MismatchEstimate(found, evidence(found) - base, len(pairs), len(pairs) - kept)


def characterise(
    analyser: Analyser,
    known: Sequence[tuple[Spectrum, str]],
    name: str,
    *,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[InstrumentModel, MismatchEstimate]:
    """Model of an instrument, from its spectra of pure substances that the library holds.

    Parameters
    ----------
    analyser : Analyser
        Prepared library and technique; its instrument model is where the search begins.
    known : sequence of (Spectrum, str)
        Spectra, infrared as absorbance, and the slug of each one's compound; at least 8, better 20 and more,
        of as many substances and days as will be met.
    name : str
        Name of the instrument or class of instruments.
    progress : callable, optional
        As for `estimate_mismatch`.

    Raises
    ------
    ParameterError
        If a compound has no reference of the technique, or there are too few spectra.
    """
    pairs = [_replicate(analyser, spectrum, slug) for spectrum, slug in known]
    start = analyser.instrument
    estimate = estimate_mismatch(pairs, start.mismatch, progress=progress)
    substances = len({slug for _, slug in known})
    model = InstrumentModel(
        name=name,
        infrared=start.infrared,
        mismatch=estimate.mismatch,
        prior=_shift_prior(start.prior, [p.shift_cm1 for p in pairs]),
        settings=replace(start.settings, temperature=_CHARACTERISED),
        nothing_score=start.nothing_score,
        made_from=f"{len(known)} spectra of {substances} substances, library {analyser.library.sha256[:12]}",
    )
    return model, estimate


def _shift_prior(usual: ShiftPrior, shifts: Sequence[float]) -> ShiftPrior:
    """What the shifts of known spectra say of those to come."""
    sd = max(float(np.sqrt(np.mean(np.square(shifts)))), _LEAST_SHIFT_SD)
    return replace(usual, mean_cm1=0.0, sd_cm1=sd, wide_cm1=max(_TAIL * sd, _LEAST_TAIL), share=_ASTRAY)


def _replicate(analyser: Analyser, spectrum: Spectrum, slug: str) -> Replicate:
    rows = [i for i, info in enumerate(analyser.references.rows) if info.compound_slug == slug]
    if not rows:
        raise ParameterError("known", slug, "a compound with a reference of the technique")
    prior = analyser.instrument.prior
    scene = analyser.scene(spectrum)
    tried = [scene.explain((row,), float(place)) for row in rows for place in prior.places()]
    best = scene.follow(max(tried, key=prior.log_evidence), prior.log_evidence)
    return Replicate(scene, best.rows[0], best.shift_cm1, slug)
