"""The smallest share of a substance that one scan could have shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from spectralid.identify.gaussian import LeftOver
from spectralid.identify.hypotheses import Explanation, Scene

__all__ = ["DETECTION", "smallest_shares"]

DETECTION: Final = 4.37
"""Standard deviations of the amount at which detection has 90 % power at 0.1 % false alarms:
z(0.999) + z(0.90) = 3.090 + 1.282."""

# A family's limit is one that this share of its members would meet.
_MEMBERS: Final = 0.9


def smallest_shares(
    scene: Scene,
    explanation: Explanation,
    left: LeftOver,
    families: Mapping[str, Sequence[int]],
) -> dict[str, float]:
    """Smallest detectable photon share of each family beside what is there.

    Parameters
    ----------
    scene : Scene
        The spectrum.
    explanation : Explanation
        What is there.
    left : LeftOver
        What that explanation leaves.
    families : mapping of str to sequence of int
        References of each family.

    Returns
    -------
    dict
        Share of the signal, 0 … 1, that would be detected with 90 % power at 0.1 % false alarms for nine in
        ten of the family's references; 1 where even the whole signal would not show it.
    """
    rows = sorted({r for members in families.values() for r in members})
    if not rows:
        return {}
    values = scene.references.values[rows].astype(np.float64).T
    step = float(scene.references.grid[1] - scene.references.grid[0])
    moved = np.roll(values, round(explanation.shift_cm1 / step), axis=0)
    white = left.whiten(moved)
    information = np.einsum("ij,ij->j", white, white)
    total = float(explanation.amounts.sum())
    needed = np.full(len(rows), np.inf)
    np.divide(DETECTION, np.sqrt(np.maximum(information, 0.0)), out=needed, where=information > 0)
    # Share of the new whole, which grows by what is added.
    share = np.where(np.isfinite(needed), needed / (needed + total), 1.0)
    place = {r: i for i, r in enumerate(rows)}
    return {
        name: float(np.quantile(share[[place[r] for r in members]], _MEMBERS, method="higher"))
        for name, members in families.items()
        if members
    }
