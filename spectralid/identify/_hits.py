"""Exact scores of a few references, with how much was compared and whether every band agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.library import ReferenceInfo
from spectralid.spectrum import FloatArray

__all__ = ["STRONGEST_BAND", "Hit", "exact_hits", "squared_correlations"]

# Width in cm⁻¹ of what is taken for one band when the others are asked whether they agree: a band of up to 20
# cm⁻¹ with both of its slopes, on an axis that is some cm⁻¹ off.
STRONGEST_BAND: Final = 60.0


@dataclass(frozen=True, slots=True)
class Hit:
    """One reference compared with a query.

    Attributes
    ----------
    reference : ReferenceInfo
        The reference.
    score : float
        Derivative-cosine, -1 … 1. A measure of likeness, not a probability.
    hqi : float
        Hit quality index without baseline correction, 0 … 1; NaN where one side is constant.
    overlap_cm1 : tuple of float
        Lowest and highest grid point compared, in cm⁻¹.
    reference_share, query_share : float
        Share of the reference's and of the query's bands (energy of the derivative) in the range compared.
    corroboration : float
        Derivative-cosine without the reference's strongest band (`STRONGEST_BAND` wide), -1 … 1: whether the
        other bands agree too. NaN where nothing else was compared.
    """

    reference: ReferenceInfo
    score: float
    hqi: float
    overlap_cm1: tuple[float, float]
    reference_share: float
    query_share: float
    corroboration: float


def exact_hits(
    query: FloatArray,
    slopes: FloatArray,
    references: Sequence[ReferenceInfo],
    intensities: npt.NDArray[np.floating[Any]],
    derivatives: FloatArray,
    known: npt.NDArray[np.bool_],
    grid: FloatArray,
) -> list[Hit]:
    """Compare one query with a few references in double precision.

    Sums run along each row alone, so that a score depends on the pair and not on what else is compared.

    Parameters
    ----------
    query, slopes : ndarray, shape (n_grid,)
        Intensities and derivative of the query, NaN where missing.
    references : sequence of ReferenceInfo, length n_references
        What the rows are.
    intensities : ndarray, shape (n_references, n_grid)
        NaN where missing. Each row has points in common with the query.
    derivatives, known : ndarray, shape (n_references, n_grid)
        Derivatives, zero where not known, and where they are known.
    grid : ndarray, shape (n_grid,)
        Common grid in cm⁻¹.
    """
    usable = np.isfinite(slopes)
    slope = np.where(usable, slopes, 0.0)
    squares = derivatives * derivatives
    # Product, energy of the reference and energy of the query, each where both are known.
    parts = np.stack([derivatives * slope, squares * usable, known * (slope * slope)])
    sums = parts.sum(axis=2)
    width = max(1, round(STRONGEST_BAND / float(grid[1] - grid[0])))
    rest = (parts * _outside_strongest(parts[1], width)).sum(axis=2)
    common = np.isfinite(query) & np.isfinite(intensities)
    columns = zip(
        references,
        _cosines(sums).tolist(),
        squared_correlations(query, intensities).tolist(),
        grid[common.argmax(axis=1)].tolist(),
        grid[common.shape[1] - 1 - common[:, ::-1].argmax(axis=1)].tolist(),
        (sums[1] / squares.sum(axis=1)).tolist(),
        (sums[2] / (slope * slope).sum()).tolist(),
        _cosines(rest).tolist(),
        strict=True,
    )
    return [
        Hit(info, score, hqi, (low, high), ours, theirs, corroboration)
        for info, score, hqi, low, high, ours, theirs, corroboration in columns
    ]


def _cosines(sums: FloatArray) -> FloatArray:
    dot, ours, theirs = sums
    out = np.full(dot.shape, np.nan)
    np.divide(dot, np.sqrt(ours) * np.sqrt(theirs), out=out, where=(ours > 0) & (theirs > 0))
    return np.clip(out, -1.0, 1.0)


def _outside_strongest(energy: FloatArray, width: int) -> npt.NDArray[np.bool_]:
    """True outside the window of `width` points that holds most energy, row by row."""
    width = min(width, energy.shape[1])
    total = np.zeros((energy.shape[0], energy.shape[1] + 1))
    np.cumsum(energy, axis=1, out=total[:, 1:])
    start = (total[:, width:] - total[:, :-width]).argmax(axis=1)[:, np.newaxis]
    points = np.arange(energy.shape[1])
    return np.asarray((points < start) | (points >= start + width))


def squared_correlations(query: FloatArray, block: npt.NDArray[np.floating[Any]]) -> FloatArray:
    """`hit_quality_index` of one spectrum with every row of `block`, shape (n_rows,)."""
    both = np.isfinite(query) & np.isfinite(block)
    count = np.maximum(both.sum(axis=1, keepdims=True), 1)

    def centred(values: npt.NDArray[np.floating[Any]]) -> FloatArray:
        known = np.where(both, values, 0.0)
        return np.asarray((known - known.sum(axis=1, keepdims=True, dtype=np.float64) / count) * both)

    a, b = centred(query), centred(block)
    norm = np.sqrt((a * a).sum(axis=1)) * np.sqrt((b * b).sum(axis=1))
    correlation = np.full(norm.shape, np.nan)
    np.divide((a * b).sum(axis=1), norm, out=correlation, where=norm > 0)
    return np.asarray(np.clip(correlation, 0.0, 1.0) ** 2)
