"""Which references explain a spectrum: pure candidates over the whole library, then mixtures step by step.

Nothing is excluded for looking unlike the whole spectrum: every step correlates what is still unexplained
with every reference of the library, and only the best of those are fitted in full.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from spectralid.identify.gaussian import LeftOver
from spectralid.identify.hypotheses import Explanation, Scene
from spectralid.identify.references import AREA
from spectralid.spectrum import FloatArray

__all__ = ["Selection", "Settings", "ShiftPrior", "beside", "comparable", "log_odds", "select"]


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

    def log_evidence(self, explanation: Explanation) -> float:
        """Log evidence of an explanation with what is known of its shift."""
        return explanation.log_evidence + self.log_density(explanation.shift_cm1)

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
    least_gain : float
        Log odds that one more component has to bring.
    components : int
        Components at most.
    pure, proposals, beam : int
        Compounds fitted as pure; references fitted at each step; explanations carried on.
    """

    temperature: float = 4.0
    component_log_odds: float = -2.0
    least_gain: float = 2.0
    components: int = 6
    pure: int = 10
    proposals: int = 3
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
# References whose significance is computed in full, of those whose rough one is highest.
_LOOKED_AT: Final = 24
# Standard deviations below which a reference is not worth a fit.
_LEAST_Z: Final = 2.0
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
    usable = comparable(scene)
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
    best = _pruned(scene, settings, best, score)
    explored[frozenset(best.rows)] = best
    for swapped in _swapped(scene, settings, best, usable):
        explored[frozenset(swapped.rows)] = swapped
        if score(swapped) > score(best):
            best = swapped
    # The shift was that of one component alone; all together know it better.
    if len(best.rows) > 1:
        best = scene.follow(best, score)
        explored[frozenset(best.rows)] = best
    weighed = sorted(((e, score(e)) for e in explored.values()), key=lambda item: -item[1])
    return Selection(best, tuple(ranked), tuple(weighed), score(best))


def log_odds(explanation: Explanation, prior: ShiftPrior, settings: Settings, n_references: int) -> float:
    """Log odds of an explanation against *nothing in the library*: evidence, shift, number of components."""
    each = settings.component_log_odds - math.log(max(2, n_references))
    return prior.log_evidence(explanation) / settings.temperature + (len(explanation.rows) - 1) * each


def comparable(scene: Scene) -> npt.NDArray[np.bool_]:
    """References with at least half of their bands where the spectrum is known, and room to compare."""
    from spectralid.identify.retrieval import MINIMUM_OVERLAP, MINIMUM_SHARE

    step = float(scene.references.grid[1] - scene.references.grid[0])
    shared = (scene.references.values @ scene.known.astype(np.float32)) * step / AREA
    room = (scene.references.known @ scene.known.astype(np.float32)) * step
    return np.asarray((shared >= MINIMUM_SHARE) & (room >= MINIMUM_OVERLAP))


def _pure(
    scene: Scene, prior: ShiftPrior, settings: Settings, usable: npt.NDArray[np.bool_], first: Iterable[int]
) -> list[Explanation]:
    """Single references, one per compound, at the shifts that suit them best."""
    places = prior.places()
    likeness = _likeness(scene, places) + _SHIFT_WEIGHT * np.array(
        [prior.log_density(float(place)) for place in places]
    )
    best_place = likeness.argmax(axis=1)
    best = np.where(usable, likeness.max(axis=1), -np.inf)
    chosen: dict[int, int] = {}
    for row in np.argsort(-best, kind="stable"):
        if not usable[row]:
            break
        chosen.setdefault(int(scene.references.compound[row]), int(row))
        if len(chosen) >= settings.pure:
            break
    rows = list(dict.fromkeys([*chosen.values(), *first]))
    fitted = [scene.explain((row,), float(places[best_place[row]])) for row in rows]
    fitted.sort(key=lambda e: -prior.log_evidence(e))
    fitted = [scene.follow(e, prior.log_evidence) if i < settings.beam else e for i, e in enumerate(fitted)]
    per_compound: dict[int, Explanation] = {}
    for e in fitted:
        c = int(scene.references.compound[e.rows[0]])
        if c not in per_compound or prior.log_evidence(e) > prior.log_evidence(per_compound[c]):
            per_compound[c] = e
    return list(per_compound.values())


def _likeness(scene: Scene, places: FloatArray) -> FloatArray:
    """Share of the spectrum's weighted bands that each reference alone accounts for, at each shift.

    Parameters
    ----------
    scene : Scene
        The spectrum.
    places : ndarray, shape (n_places,)
        Common shifts.

    Returns
    -------
    ndarray, shape (n_references, n_places)
    """
    references = scene.references
    tolerance = scene.mismatch.band * np.maximum(scene.bands, 0.0)
    scale = scene.known / np.sqrt(scene.noise + tolerance**2)
    flat, _ = np.linalg.qr(scene.background * scale[:, None])
    y = scale * scene.values
    y -= flat @ (flat.T @ y)
    # A reference is moved along by moving what it is multiplied with.
    moved = np.array(
        [
            [np.interp(references.grid + p, references.grid, x, 0.0, 0.0) for p in places]
            for x in (scale * y, scale**2)
        ]
    ).astype(np.float32)
    found, length = references.values @ moved[0].T, references.squares @ moved[1].T
    # The share of it that the background takes changes little on the way.
    inside = references.values @ (scale[:, None] * flat).astype(np.float32)
    whole = references.squares @ (scale**2).astype(np.float32)
    rest = 1 - np.einsum("ij,ij->i", inside, inside) / np.where(whole > 0, whole, 1.0)
    # What the background nearly accounts for carries no information of its own.
    energy = length * np.where(rest > 1e-3, rest, np.inf)[:, None]
    share = np.clip(found, 0, None) ** 2 / np.where(energy > 0, energy, np.inf)
    return np.asarray(share / (float(y @ y) or 1.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Rest:
    """What an explanation leaves, ready to be compared with every reference."""

    scene: Scene
    base: Explanation
    left: LeftOver
    weights: npt.NDArray[np.float32]
    precision: npt.NDArray[np.float32]

    @classmethod
    def of(cls, scene: Scene, base: Explanation, left: LeftOver | None = None) -> Self:
        left = left or scene.left_over(base)
        # A reference is moved along by moving what it is multiplied with.
        grid = scene.references.grid
        weights, precision = (
            np.interp(grid + base.shift_cm1, grid, x, 0.0, 0.0).astype(np.float32)
            for x in (left.weights(), left.precision)
        )
        return cls(scene, base, left, weights, precision)

    def best(self, usable: npt.NDArray[np.bool_], count: int, move: int = 0) -> list[tuple[float, int]]:
        """References of the highest significance with it, best first.

        A rough significance picks those whose own is computed. `move` moves the references by grid points,
        which makes decoys of them.
        """
        references = self.scene.references
        found = references.values @ np.roll(self.weights, -move)
        length = np.sqrt(references.squares @ np.roll(self.precision, -move))
        rough = np.where(usable & (found > 0), found / np.where(length > 0, length, np.inf), -np.inf)
        rows = np.argpartition(-rough, min(_LOOKED_AT, rough.size - 1))[:_LOOKED_AT]
        rows = rows[np.isfinite(rough[rows])]
        if not rows.size:
            return []
        shapes = self.scene.shapes(tuple(int(r) for r in rows), self.base.shift_cm1).T
        z, _ = self.left.significance(np.roll(shapes, move, axis=0))
        order = np.argsort(-z, kind="stable")[:count]
        return [(float(z[i]), int(rows[i])) for i in order]


def beside(
    scene: Scene, base: Explanation, left: LeftOver, usable: npt.NDArray[np.bool_], count: int
) -> list[tuple[float, int]]:
    """Which references what is left of a spectrum speaks for, most clearly first.

    Parameters
    ----------
    scene : Scene
        The spectrum.
    base : Explanation
        What was explained; compounds in it are not proposed.
    left : LeftOver
        What that leaves.
    usable : ndarray of bool, shape (n_references,)
        References asked for.
    count : int
        As many at most.

    Returns
    -------
    list of (float, int)
        Standard deviations by which the rest holds the reference, and the reference.
    """
    compound = scene.references.compound
    others = usable & ~np.isin(compound, [compound[r] for r in base.rows])
    return _Rest.of(scene, base, left).best(others, count)


def _grow(
    scene: Scene,
    settings: Settings,
    base: Explanation,
    usable: npt.NDArray[np.bool_],
    score: Callable[[Explanation], float],
) -> list[Explanation]:
    """Explanations with one more component that beat every decoy."""
    rest = _Rest.of(scene, base)
    rows = _proposals(rest, settings, usable)
    fitted = [scene.explain((*base.rows, r), base.shift_cm1) for r in rows]
    gained = [e for e in fitted if np.all(e.amounts > 0) and score(e) > score(base) + settings.least_gain]
    if not gained:
        return []
    bar = _decoy_gain(rest, usable)
    return [e for e in gained if e.log_evidence - base.log_evidence > bar]


def _proposals(rest: _Rest, settings: Settings, usable: npt.NDArray[np.bool_]) -> list[int]:
    """References that what is left of a spectrum is most like."""
    compound = rest.scene.references.compound
    others = usable & ~np.isin(compound, [compound[r] for r in rest.base.rows])
    return [row for z, row in rest.best(others, settings.proposals) if z > _LEAST_Z]


def _decoy_gain(rest: _Rest, usable: npt.NDArray[np.bool_]) -> float:
    """Highest gain in evidence of a reference moved where it cannot belong."""
    found = [(z, row, move) for move in _DECOY_MOVES for z, row in rest.best(usable, 1, move)]
    if not found:
        return 0.0
    _, row, move = max(found)
    return rest.scene.explain_with_decoy(rest.base, row, move).log_evidence - rest.base.log_evidence


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
        rows = _proposals(_Rest.of(scene, last), settings, usable)
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
        kept = [r for r in best.rows if r != gone]
        rest = scene.explain(kept, best.shift_cm1)
        rows = _proposals(_Rest.of(scene, rest), settings, usable)
        out += [scene.explain((*kept, r), best.shift_cm1) for r in rows if r != gone]
    return [e for e in out if np.all(e.amounts > 0)]


def _pruned(
    scene: Scene, settings: Settings, best: Explanation, score: Callable[[Explanation], float]
) -> Explanation:
    """Without the components that the others made superfluous."""
    while len(best.rows) > 1:
        fewer = [scene.explain([r for r in best.rows if r != gone], best.shift_cm1) for gone in best.rows]
        top = max(fewer, key=score)
        if score(top) <= score(best) - settings.least_gain:
            break
        best = top
    return best
