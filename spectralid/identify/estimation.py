"""An instrument characterised: how far references are off on it, from spectra whose substance is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from spectralid.errors import ParameterError
from spectralid.identify.analysis import Analyser
from spectralid.identify.hypotheses import Explanation, Scene
from spectralid.identify.instrument_model import InstrumentModel
from spectralid.identify.mismatch import Mismatch
from spectralid.spectrum import Spectrum

__all__ = ["MismatchEstimate", "Replicate", "characterise", "estimate_mismatch"]

_LEAST_PAIRS: Final = 8
# Share of the pairs that may be something else than they are said to be; the worst are left out each time.
_TRIMMED: Final = 0.1
# No spread is estimated smaller or larger than this, relative to the start: what the data do not tell stays.
_SMALLEST, _LARGEST = 0.02, 10.0
# Evidence counts for more where the spread of references was measured than where it was guessed.
_CHARACTERISED: Final = 2.0
# A log-normal prior of this width around the start holds what the data say nothing of.
_PRIOR_SD: Final = 1.0


@dataclass(frozen=True, slots=True)
class Replicate:
    """A spectrum whose substance is known.

    Attributes
    ----------
    scene : callable
        Its scene under a mismatch.
    row : int
        Reference of the substance.
    shift_cm1 : float
        Shift of its axis, as fitted.
    group : str
        What must not count more than once: the substance.
    """

    scene: Callable[[Mismatch], Scene]
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
    rounds: int = 250,
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
    rounds : int
        Evaluations at most.
    progress : callable, optional
        Called with the evaluation's number and its mean log evidence.

    Raises
    ------
    ParameterError
        If there are fewer than 8 pairs: seven numbers cannot be had from less.
    """
    from scipy.optimize import minimize

    if len(pairs) < _LEAST_PAIRS:
        raise ParameterError("pairs", len(pairs), f"at least {_LEAST_PAIRS} spectra of known substances")
    free = [f.name for f in fields(start) if getattr(start, f.name) > 0]
    kept = len(pairs) - int(_TRIMMED * len(pairs))
    sizes = Counter(p.group for p in pairs)
    weight = np.array([1 / sizes[p.group] for p in pairs])

    def at(logs: np.ndarray) -> Mismatch:
        factors = np.exp(np.clip(logs, np.log(_SMALLEST), np.log(_LARGEST)))
        return replace(start, **{n: getattr(start, n) * float(x) for n, x in zip(free, factors, strict=True)})

    def evidence(mismatch: Mismatch) -> float:
        found = np.array([_evidence(p, mismatch) for p in pairs])
        order = np.argsort(found)[-kept:]
        return float(np.average(found[order], weights=weight[order]))

    base = evidence(start)
    done = 0

    def cost(logs: np.ndarray) -> float:
        nonlocal done
        value = evidence(at(logs)) - base
        done += 1
        if progress is not None:
            progress(done, value)
        return -value + 0.5 * float(((logs / _PRIOR_SD) ** 2).sum()) / len(sizes)

    simplex = np.concatenate([np.zeros((1, len(free))), -0.7 * np.eye(len(free))])
    solved = minimize(
        cost,
        np.zeros(len(free)),
        method="Nelder-Mead",
        options={"maxfev": rounds, "initial_simplex": simplex, "xatol": 0.03, "fatol": 0.02},
    )
    found = at(solved.x)
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
    found = estimate_mismatch(pairs, start.mismatch, progress=progress)
    again = estimate_mismatch(pairs, found.mismatch, progress=progress)
    gained = found.log_evidence_per_pair + again.log_evidence_per_pair
    substances = len({slug for _, slug in known})
    model = InstrumentModel(
        name=name,
        infrared=start.infrared,
        mismatch=again.mismatch,
        prior=start.prior,
        settings=replace(start.settings, temperature=_CHARACTERISED),
        nothing_score=start.nothing_score,
        made_from=f"{len(known)} spectra of {substances} substances, library {analyser.library.sha256[:12]}",
    )
    return model, replace(again, log_evidence_per_pair=gained)


def _replicate(analyser: Analyser, spectrum: Spectrum, slug: str) -> Replicate:
    rows = [i for i, info in enumerate(analyser.references.rows) if info.compound_slug == slug]
    if not rows:
        raise ParameterError("known", slug, "a compound with a reference of the technique")
    prior = analyser.instrument.prior

    def value(e: Explanation) -> float:
        return e.log_evidence + prior.log_density(e.shift_cm1)

    scenes = analyser.scenes(spectrum)
    scene = scenes(analyser.instrument.mismatch)
    tried = [scene.explain((row,), float(place)) for row in rows for place in prior.places()]
    best = scene.follow(max(tried, key=value), value)
    return Replicate(scenes, best.rows[0], best.shift_cm1, slug)


def _evidence(pair: Replicate, mismatch: Mismatch) -> float:
    scene = pair.scene(mismatch)
    explanation = scene.explain((pair.row,), pair.shift_cm1)
    return explanation.log_evidence + scene.nothing(scene.known_for((pair.row,)))
