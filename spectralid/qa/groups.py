"""How far a counted share may be from the true one where cases come in groups.

Spectra of one specimen, one batch or one solution mostly stand or fall together: an interval that counts each
of them is too narrow. Here the counts are those of as many independent cases as the groups are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = ["GroupedInterval", "grouped_interval", "interval_of_worth"]


@dataclass(frozen=True, slots=True)
class GroupedInterval:
    """Interval of a share of cases that come in groups.

    Attributes
    ----------
    low, high : float
        Its ends, 0 … 1.
    groups : int
        How many groups there are.
    worth : float
        How many independent cases all of them are worth: at least as many as there are groups (fewer, where
        they are of unequal size), at most as many as there are cases.
    """

    low: float
    high: float
    groups: int
    worth: float


def grouped_interval(hits: Sequence[int], of: Sequence[int], *, confidence: float = 0.95) -> GroupedInterval:
    """Interval of a share, counted by group.

    Parameters
    ----------
    hits, of : sequence of int
        In each group, how many of how many cases; at least one group, none empty.
    confidence : float
        Above 0 and below 1; what is left over is divided between the two ends.

    Returns
    -------
    GroupedInterval
        The interval, and what it rests on.

    Raises
    ------
    ParameterError
        If a number is out of its range.

    Notes
    -----
    E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998) 193: the exact interval of Clopper and Pearson
    for n independent cases, n so that the variance of the share is the one that the groups show, less what
    that variance is uncertain by. It is not let above the number of cases. Nor is it let below what it is
    where the cases of a group are all alike (L. Kish: the square of the sum of sizes over the sum of their
    squares); and that is taken where all cases, or none, are hits, for then groups show no variance.

    Examples
    --------
    >>> from spectralid.qa.groups import grouped_interval
    >>> found = grouped_interval([10, 9, 10, 4], [10, 10, 10, 10])
    >>> round(found.low, 2), round(found.high, 2)
    (0.25, 1.0)
    """
    from scipy.stats import t

    counts, sizes = np.asarray(hits, dtype=np.float64), np.asarray(of, dtype=np.float64)
    if not (sizes.ndim == 1 and sizes.size and sizes.shape == counts.shape and (sizes >= 1).all()):
        raise ParameterError("of", tuple(of), "as many as hits, each 1 or more")
    if not ((counts >= 0) & (counts <= sizes)).all():
        raise ParameterError("hits", tuple(hits), "0 to as many as there are cases, in each group")
    if not 0 < confidence < 1:
        raise ParameterError("confidence", confidence, "above 0 and below 1")
    tail = (1 - confidence) / 2
    total, groups = float(sizes.sum()), int(sizes.size)
    share = float(counts.sum()) / total
    worth = total**2 / float((sizes**2).sum())
    if 0 < share < 1 and 1 < groups < total:
        left = _worth_by_variance(counts, sizes, share)
        left *= float((t.ppf(1 - tail, total - 1) / t.ppf(1 - tail, groups - 1)) ** 2)
        worth = min(max(worth, left), total)
    return GroupedInterval(*interval_of_worth(share, worth, confidence=confidence), groups, worth)


def interval_of_worth(share: float, worth: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of Clopper and Pearson of a share of so many independent cases, which need be no whole number.

    For a bound on one side with the confidence 1 - a, ask for the interval with 1 - 2a.

    Parameters
    ----------
    share : float
        The share seen, 0 … 1.
    worth : float
        Of how many independent cases, above 0.
    confidence : float
        Above 0 and below 1.

    Returns
    -------
    tuple of float
        Lower and upper end.
    """
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    found, missed = share * worth, (1 - share) * worth
    low = float(betaincinv(found, missed + 1, tail)) if found else 0.0
    high = float(betaincinv(found + 1, missed, 1 - tail)) if missed else 1.0
    return low, high


def _worth_by_variance(counts: FloatArray, sizes: FloatArray, share: float) -> float:
    """Independent cases that would give a share the variance that the groups show."""
    off = counts - share * sizes
    variance = sizes.size / (sizes.size - 1) * float((off**2).sum()) / float(sizes.sum()) ** 2
    return share * (1 - share) / variance if variance else float(sizes.sum())
