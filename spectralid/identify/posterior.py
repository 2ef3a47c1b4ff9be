"""From weighed explanations to probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spectralid.identify.hypotheses import Explanation
from spectralid.identify.references import ReferenceSet
from spectralid.spectrum import FloatArray

__all__ = ["EQUIVALENT_NATS", "Posterior", "posterior", "swap_costs"]

# Swapping one entry for another costs less than this many nats: χ²(1) at 95 %, halved.
EQUIVALENT_NATS = 1.92


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Probabilities of what was weighed.

    Attributes
    ----------
    nothing : float
        Probability that nothing in the library explains the spectrum.
    present : mapping of int to float
        Probability that each compound (its number in the references) is there.
    weights : ndarray, shape (n_explanations,)
        Probability of each explanation, in the order given.
    """

    nothing: float
    present: Mapping[int, float]
    weights: FloatArray


def posterior(
    explored: Sequence[tuple[Explanation, float]], references: ReferenceSet, *, nothing_score: float
) -> Posterior:
    """Probabilities of explanations and of *nothing in the library*.

    Parameters
    ----------
    explored : sequence of (Explanation, float)
        Explanations with their scores (log odds).
    references : ReferenceSet
        What they are made of.
    nothing_score : float
        Score of *nothing in the library*: how likely it is before the spectrum is looked at, and by how much
        evidence for a reference is overstated; learned on calibration data.
    """
    scores = np.array([nothing_score, *(s for _, s in explored)])
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    present: dict[int, float] = {}
    for (explanation, _), weight in zip(explored, weights[1:], strict=True):
        for compound in {int(references.compound[r]) for r in explanation.rows}:
            present[compound] = present.get(compound, 0.0) + float(weight)
    return Posterior(float(weights[0]), present, weights[1:])


def swap_costs(
    explored: Sequence[tuple[Explanation, float]], best: Explanation
) -> dict[int, list[tuple[int, float]]]:
    """References weighed in the place of each of `best`, the rest kept, with the log odds that costs."""
    scores = {frozenset(e.rows): s for e, s in explored}
    top = scores.get(frozenset(best.rows), -np.inf)
    out: dict[int, list[tuple[int, float]]] = {r: [] for r in best.rows}
    for rows, score in scores.items():
        gone = [r for r in best.rows if r not in rows]
        come = [r for r in rows if r not in best.rows]
        if len(gone) == 1 == len(come):
            out[gone[0]].append((come[0], float(top - score)))
    return out
