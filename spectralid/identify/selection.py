"""Which references explain a spectrum: pure candidates over the whole library, then mixtures step by step.

Nothing is excluded for looking unlike the whole spectrum: every step correlates what is still unexplained
with every reference of the library, and only the best of those are fitted in full.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.identify.gaussian import Weights
from spectralid.identify.hypotheses import Explanation, Scene
from spectralid.identify.references import AREA
from spectralid.spectrum import FloatArray

__all__ = ["Selection", "Settings", "ShiftPrior", "log_odds", "select"]


@dataclass(frozen=True, slots=True)
class ShiftPrior:
    """What is known of the error of an axis before the spectrum is looked at.

    A narrow normal distribution for an axis as it should be, a wide one under it for an axis that is not.

    Attributes
    ----------
    mean_cm1, sd_cm1 : float
        Expected shift and its standard deviation.
    wide_cm1 : float
        Standard deviation if the axis is worse than thought.
    share : float
        Probability that it is, 0 … 1.
    """

    mean_cm1: float = 0.0
    sd_cm1: float = 2.0
    wide_cm1: float = 8.0
    share: float = 0.2

    def log_density(self, shift_cm1: float) -> float:
        """Log density relative to that at the mean."""

        def density(x: float) -> float:
            narrow = (1 - self.share) / self.sd_cm1 * math.exp(-0.5 * (x / self.sd_cm1) ** 2)
            return narrow + self.share / self.wide_cm1 * math.exp(-0.5 * (x / self.wide_cm1) ** 2)

        return math.log(density(shift_cm1 - self.mean_cm1) / density(0.0))

    def places(self) -> FloatArray:
        """Shifts worth trying, `STEP` apart."""
        reach = 2.0 * (self.wide_cm1 if self.share > 0 else self.sd_cm1)
        count = math.ceil(reach / STEP)
        return np.asarray(self.mean_cm1 + STEP * np.arange(-count, count + 1))


STEP: Final = 4.0
"""Distance in cm⁻¹ of the shifts tried first; a band of 10 cm⁻¹ half hides in it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How far a search goes and what a component must bring.

    Attributes
    ----------
    temperature : float
        By how much evidence is overstated: log evidences are divided by it. Learned on calibration data.
    component_log_odds : float
        Log prior odds of one more component, on top of one in so many references.
    components : int
        Components at most.
    pure, proposals, beam : int
        Compounds fitted as pure; references fitted at each step; explanations carried on.
    """

    temperature: float = 4.0
    component_log_odds: float = -2.0
    components: int = 6
    pure: int = 10
    proposals: int = 6
    beam: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Outcome of a search.

    Attributes
    ----------
    best : Explanation or None
        The explanation of the highest score; ``None`` if no reference shares a range with the spectrum.
    pure : tuple of (Explanation, float)
        Single references with their scores, one per compound, best first.
    explored : tuple of (Explanation, float)
        Every explanation that was weighed, with its score, best first.
    score : float
        Log posterior odds of `best` against *nothing in the library*, uncalibrated.
    """

    best: Explanation | None
    pure: tuple[tuple[Explanation, float], ...]
    explored: tuple[tuple[Explanation, float], ...]
    score: float


# Decoys are the references themselves, moved by these many grid points: as sharp, as crowded, and absent.
_DECOY_MOVES: Final = (31, -37, 53, -61)
_REFINE_CM1: Final = 1.5
# Log odds a path may lose on the way: two components together may help where neither does alone.
_SETBACK: Final = 10.0
# What a nat of the shift prior weighs against a share of the spectrum that is accounted for.
_SHIFT_WEIGHT: Final = 0.004


def select(
    scene: Scene,
    prior: ShiftPrior,
    settings: Settings,
    *,
    first: Sequence[int] = (),
    allowed: npt.NDArray[np.bool_] | None = None,
) -> Selection:
    """Search for the explanation of a spectrum.

    Parameters
    ----------
    scene : Scene
        The spectrum.
    prior : ShiftPrior
        What is known of its axis.
    settings : Settings
        How far to go.
    first : sequence of int
        References to be fitted as pure in any case, like the best of another ranking.
    allowed : ndarray of bool, shape (n_references,), optional
        References that may take part.
    """
    n = len(scene.references)
    usable = _comparable(scene)
    if allowed is not None:
        usable &= allowed
    if not usable.any():
        return Selection(None, (), (), -math.inf)

    def score(e: Explanation) -> float:
        return log_odds(e, prior, settings, n)

    pure = _pure(scene, prior, settings, usable, [r for r in first if usable[r]])
    ranked = sorted(((e, score(e)) for e in pure), key=lambda item: -item[1])
    explored = {frozenset(e.rows): e for e, _ in ranked}
    for e, _ in ranked[: settings.beam]:
        explored |= {frozenset(longer.rows): longer for longer in _path(scene, settings, e, usable, score)}
    best = max(explored.values(), key=score)
    while len(best.rows) < settings.components:
        grown = _grow(scene, settings, best, usable, score)
        explored |= {frozenset(e.rows): e for e in grown}
        if not grown:
            break
        best = max(grown, key=score)
    best = _pruned(scene, best, score)
    explored[frozenset(best.rows)] = best
    for swapped in _swapped(scene, settings, best, usable):
        explored[frozenset(swapped.rows)] = swapped
        if score(swapped) > score(best):
            best = swapped
    # The shift was that of one component alone; all together know it better.
    if len(best.rows) > 1:
        best = _refined(scene, prior, best)
        explored[frozenset(best.rows)] = best
    weighed = sorted(((e, score(e)) for e in explored.values()), key=lambda item: -item[1])
    return Selection(best, tuple(ranked), tuple(weighed), score(best))


def log_odds(explanation: Explanation, prior: ShiftPrior, settings: Settings, n_references: int) -> float:
    """Log odds of an explanation against *nothing in the library*: evidence, shift, number of components."""
    each = settings.component_log_odds - math.log(max(2, n_references))
    evidence = explanation.log_evidence + prior.log_density(explanation.shift_cm1)
    return evidence / settings.temperature + (len(explanation.rows) - 1) * each


def _comparable(scene: Scene) -> npt.NDArray[np.bool_]:
    """References with at least half of their bands where the spectrum is known, and room to compare."""
    from spectralid.identify.retrieval import MINIMUM_OVERLAP, MINIMUM_SHARE

    step = float(scene.references.grid[1] - scene.references.grid[0])
    shared = (scene.references.values @ scene.known.astype(np.float32)) * step / AREA
    room = (scene.references.known @ scene.known.astype(np.float32)) * step
    return np.asarray((shared >= MINIMUM_SHARE) & (room >= MINIMUM_OVERLAP))


def _soft(weights: Weights, tolerance: FloatArray) -> FloatArray:
    """Weights that also allow for mismatch, as independent noise of standard deviation `tolerance`."""
    return np.asarray(weights.scale / np.sqrt(1 + (tolerance * weights.scale) ** 2))


def _correlations(
    scene: Scene, residual: FloatArray, scale: FloatArray, explained: FloatArray, move: int = 0
) -> FloatArray:
    """How many standard deviations of each reference a residual holds, shape (n_references,).

    Parameters
    ----------
    residual : ndarray, shape (n_grid,)
        Weighted spectrum without what is explained.
    scale : ndarray, shape (n_grid,)
        Weights.
    explained : ndarray, shape (n_grid, m)
        Orthonormal weighted shapes that are accounted for.
    move : int
        Grid points by which the references are moved, for decoys.
    """

    def moved(x: FloatArray) -> npt.NDArray[np.float32]:
        return np.roll(x, -move, axis=0).astype(np.float32)

    values = scene.references.values
    vectors = np.column_stack([scale * residual, scale[:, None] * explained])
    products = (values @ moved(vectors)).astype(np.float64)
    whole = scene.references.squares @ moved(scale**2)
    energy = whole - (products[:, 1:] ** 2).sum(axis=1)
    out = np.zeros(len(values))
    # What is nearly explained already carries no information of its own.
    np.divide(products[:, 0], np.sqrt(np.maximum(energy, 0)), out=out, where=energy > 1e-3 * whole)
    return out


def _pure(
    scene: Scene, prior: ShiftPrior, settings: Settings, usable: npt.NDArray[np.bool_], first: Iterable[int]
) -> list[Explanation]:
    places = prior.places()
    tolerance = scene.mismatch.band * np.maximum(scene.bands, 0.0)
    likeness = np.full((places.size, len(scene.references)), -np.inf)
    for i, place in enumerate(places):
        values, noise = scene.moved(-float(place))
        tolerant = noise + np.interp(scene.references.grid + place, scene.references.grid, tolerance) ** 2
        weights = Weights.of(values, tolerant, scene.background)
        z = _correlations(scene, weights.y, weights.scale, weights.flat)
        size = float(weights.y @ weights.y)
        # Share of the spectrum's weighted bands that the reference alone accounts for.
        likeness[i, usable] = np.clip(z[usable], 0, None) ** 2 / size + 0.004 * prior.log_density(
            float(place)
        )
    best_place = likeness.argmax(axis=0)
    best = likeness.max(axis=0)
    chosen: dict[int, int] = {}
    for row in np.argsort(-best, kind="stable"):
        if not usable[row]:
            break
        chosen.setdefault(int(scene.references.compound[row]), int(row))
        if len(chosen) >= settings.pure:
            break
    rows = list(dict.fromkeys([*chosen.values(), *first]))
    fitted = [scene.explain((row,), float(places[best_place[row]])) for row in rows]
    fitted.sort(key=lambda e: -(e.log_evidence + prior.log_density(e.shift_cm1)))
    fitted = [_refined(scene, prior, e) if i < settings.beam else e for i, e in enumerate(fitted)]
    per_compound: dict[int, Explanation] = {}
    for e in fitted:
        c = int(scene.references.compound[e.rows[0]])
        if c not in per_compound or e.log_evidence > per_compound[c].log_evidence:
            per_compound[c] = e
    return list(per_compound.values())


def _refined(scene: Scene, prior: ShiftPrior, best: Explanation) -> Explanation:
    """The fit at the best shift near that of `best`."""

    def value(e: Explanation) -> float:
        return e.log_evidence + prior.log_density(e.shift_cm1)

    step = STEP / 2
    while step >= _REFINE_CM1 / 2:
        sides = [scene.explain(best.rows, best.shift_cm1 + s, best.amounts) for s in (-step, step)]
        best = max([best, *sides], key=value)
        step /= 2
    return best


def _grow(
    scene: Scene,
    settings: Settings,
    base: Explanation,
    usable: npt.NDArray[np.bool_],
    score: Callable[[Explanation], float],
) -> list[Explanation]:
    """Explanations with one more component that beat every decoy."""
    rows, residual, soft, left = _proposals(scene, settings, base, usable)
    if not rows:
        return []
    fitted = [scene.explain((*base.rows, r), base.shift_cm1) for r in rows]
    bar = _decoy_gain(scene, base, residual, soft, left, usable)
    gained = [e for e in fitted if np.all(e.amounts > 0) and score(e) > score(base)]
    return [e for e in gained if e.log_evidence - base.log_evidence > bar]


def _proposals(
    scene: Scene, settings: Settings, base: Explanation, usable: npt.NDArray[np.bool_]
) -> tuple[list[int], FloatArray, FloatArray, FloatArray]:
    """References that what is left of a spectrum is most like; that rest, its weights, what is explained."""
    weights = scene.weights_for(base.rows)
    shapes = np.column_stack([scene.references.moved(r, base.shift_cm1) for r in base.rows])
    signal = shapes @ base.amounts
    slope = np.gradient(signal, scene.references.grid)
    m = scene.mismatch
    tolerance = np.sqrt((m.band**2 + m.gain**2) * signal**2 + (m.shift_cm1 * slope) ** 2)
    soft = _soft(weights, tolerance)
    left, _ = np.linalg.qr(np.column_stack([scene.background, shapes]) * soft[:, None])
    filled = np.where(weights.scale > 0, np.nan_to_num(scene.values), 0.0) * soft
    residual = filled - left @ (left.T @ filled)
    # References are moved by the common shift by moving what they are multiplied with.
    steps = round(base.shift_cm1 / float(scene.references.grid[1] - scene.references.grid[0]))
    z = _correlations(scene, residual, soft, left, move=steps)
    present = {int(scene.references.compound[r]) for r in base.rows}
    z[~usable] = -np.inf
    z[np.isin(scene.references.compound, list(present))] = -np.inf
    order = np.argsort(-z, kind="stable")[: settings.proposals]
    rows = [int(r) for r in order if z[r] > 2.0]
    return rows, residual, soft, left


def _decoy_gain(
    scene: Scene,
    base: Explanation,
    residual: FloatArray,
    soft: FloatArray,
    left: FloatArray,
    usable: npt.NDArray[np.bool_],
) -> float:
    """Highest gain in evidence of a reference moved where it cannot belong."""
    found: list[tuple[float, int, int]] = []
    for move in _DECOY_MOVES:
        z = _correlations(scene, residual, soft, left, move=move)
        z[~usable] = -np.inf
        row = int(z.argmax())
        found.append((float(z[row]), row, move))
    _, row, move = max(found)
    e = scene.explain_with_decoy(base, row, move)
    return e.log_evidence - base.log_evidence


def _path(
    scene: Scene,
    settings: Settings,
    start: Explanation,
    usable: npt.NDArray[np.bool_],
    score: Callable[[Explanation], float],
) -> list[Explanation]:
    """One component after the other, each the reference most like what is left, as long as that helps."""
    out: list[Explanation] = []
    last, best = start, score(start)
    while len(last.rows) < settings.components:
        rows, *_ = _proposals(scene, settings, last, usable)
        if not rows:
            break
        last = scene.explain((*last.rows, rows[0]), start.shift_cm1)
        if last.amounts[-1] <= 0 or score(last) < best - _SETBACK:
            break
        best = max(best, score(last))
        out.append(last)
    return [e for e in out if np.all(e.amounts > 0)]


def _swapped(
    scene: Scene, settings: Settings, best: Explanation, usable: npt.NDArray[np.bool_]
) -> list[Explanation]:
    """Explanations with one component of a mixture exchanged, the rest kept."""
    if len(best.rows) < 2:
        return []
    out: list[Explanation] = []
    for gone in best.rows:
        rest = scene.explain([r for r in best.rows if r != gone], best.shift_cm1)
        rows, *_ = _proposals(scene, settings, rest, usable)
        out += [scene.explain((*rest.rows, r), best.shift_cm1) for r in rows if r != gone]
    return [e for e in out if np.all(e.amounts > 0)]


def _pruned(scene: Scene, best: Explanation, score: Callable[[Explanation], float]) -> Explanation:
    """Without the components that the others made superfluous."""
    while len(best.rows) > 1:
        fewer = [scene.explain([r for r in best.rows if r != gone], best.shift_cm1) for gone in best.rows]
        top = max(fewer, key=score)
        if score(top) <= score(best):
            break
        best = top
    return best
