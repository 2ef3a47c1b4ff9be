"""The smallest share of a substance that one scan could have shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from spectralid.identify.gaussian import LeftOver
from spectralid.identify.hypotheses import WIDE, Explanation, Scene
from spectralid.identify.selection import Settings

__all__ = ["needed", "smallest_shares"]

# Nine in ten amounts of that size are measured above what is needed.
_POWER_Z: Final = 1.282
_ROUNDS: Final = 8
# What the rules above leave out (bands that must agree, references moved where they cannot belong) costs this
# much more: on development substances nine in ten were found at 1.07 (characterised units) and 1.10 times the
# share without it (`benchmarks/identification/limits.py --part development --pairs 40`).
_CHECKS: Final = 1.1
# A family's limit is one that this share of its members would meet.
_MEMBERS: Final = 0.9


def needed(settings: Settings, n_references: int) -> float:
    """Standard deviations of an amount at which nine in ten are taken up as a component.

    A component has to bring `Settings.least_gain` after its prior odds, one in so many references, with its
    evidence divided by the temperature (`spectralid.identify.selection.log_odds`). An amount of z standard
    deviations brings z²/2 less what its wide prior costs, about ln(3 z). That is far more than the 4.4
    standard deviations of a test for one known substance at 0.1 % false alarms: a library asks many
    questions, and its references are of other units.

    Parameters
    ----------
    settings : Settings
        What a component must bring.
    n_references : int
        References compared.
    """
    odds = settings.least_gain - settings.component_log_odds + math.log(max(2, n_references))
    z = math.sqrt(2 * settings.temperature * odds)
    for _ in range(_ROUNDS):
        z = math.sqrt(2 * (settings.temperature * odds + math.log(WIDE * z)))
    return _CHECKS * (z + _POWER_Z)


def smallest_shares(
    scene: Scene,
    explanation: Explanation,
    left: LeftOver,
    families: Mapping[str, Sequence[int]],
    settings: Settings,
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
    settings : Settings
        What a component must bring.

    Returns
    -------
    dict
        Share of the signal, 0 … 1, that would be found nine times in ten for nine in ten of the family's
        references; 1 where even the whole signal would not show it.
        `benchmarks/identification/limits.py` measures whether that is so.
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
    amount = np.full(len(rows), np.inf)
    least = needed(settings, len(scene.references.rows))
    np.divide(least, np.sqrt(np.maximum(information, 0.0)), out=amount, where=information > 0)
    # Share of the new whole, which grows by what is added.
    share = np.where(np.isfinite(amount), amount / (amount + total), 1.0)
    place = {r: i for i, r in enumerate(rows)}
    return {
        name: float(np.quantile(share[[place[r] for r in members]], _MEMBERS, method="higher"))
        for name, members in families.items()
        if members
    }
