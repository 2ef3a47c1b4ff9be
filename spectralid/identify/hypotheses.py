"""Explanations of one spectrum and their evidence: sets of references, or nothing that is in the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.identify.gaussian import Products, Weights, explained_rows
from spectralid.identify.mismatch import Freedom, Mismatch
from spectralid.identify.references import ReferenceSet, lower_envelope
from spectralid.identify.shapes import hats
from spectralid.spectrum import FloatArray

__all__ = ["Explanation", "Scene", "nothing_factors"]

# The prior of an amplitude is this many times its estimate wide: it costs each component a few nats and moves
# no estimate.
_WIDE: Final = 3.0
_FREE: Final = 1e3
# Bands nobody has a reference for: distance in cm⁻¹ of the independent places, and the distance over which
# the spectrum's own strength is taken.
_FREE_BAND_SPACING: Final = 9.0
_FREE_BAND_REACH: Final = 12.0
_ROUNDS: Final = 2
# Products kept for sets that are extended by one reference after another.
_REMEMBERED: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A set of references fitted to a spectrum.

    Attributes
    ----------
    rows : tuple of int
        References, in the order they were selected.
    amounts : ndarray, shape (n,)
        Amplitude of each, at least 0.
    sd : ndarray, shape (n,)
        Standard deviation of each amplitude, mismatch included.
    shift_cm1 : float
        Common shift of the axis.
    log_evidence : float
        Evidence in nats over that of *nothing in the library* at the same points.
    """

    rows: tuple[int, ...]
    amounts: FloatArray
    sd: FloatArray
    shift_cm1: float
    log_evidence: float


def nothing_factors(
    values: FloatArray, noise: FloatArray, grid: FloatArray, shapes: FloatArray
) -> FloatArray:
    """Columns of a spectrum made of bands that no reference stands for.

    Their strength follows the spectrum itself, so that this explanation is good at what it claims: bands, of
    whatever height, where there are bands.

    Parameters
    ----------
    values : ndarray, shape (n_grid,)
        Intensities, NaN where not known.
    noise : ndarray, shape (n_grid,)
        Noise variance.
    grid, shapes
        Axis, and the background's shapes.

    Returns
    -------
    ndarray, shape (n_grid, n_columns)
    """
    from scipy.ndimage import gaussian_filter1d

    known = np.isfinite(values)
    positions = np.arange(values.size)
    filled = np.interp(positions, positions[known], values[known])
    bands = filled - lower_envelope(filled[None], shapes)[0]
    reach = _FREE_BAND_REACH / float(grid[1] - grid[0])
    strength = np.sqrt(gaussian_filter1d(bands**2, reach, mode="nearest") + noise)
    columns = strength[:, None] * hats(grid, _FREE_BAND_SPACING)
    return np.asarray(columns[:, np.any(columns[known] > 0, axis=0)])


class Scene:
    """One spectrum on the common grid with its noise, background and the freedom of references.

    Parameters
    ----------
    values : ndarray, shape (n_grid,)
        Intensities, NaN where not known, scaled so that numbers are about 1.
    noise : ndarray, shape (n_grid,)
        Noise variance.
    references : ReferenceSet
        What may explain it.
    background : ndarray, shape (n_grid, n_background)
        Shapes of the background.
    mismatch : Mismatch
        How far references may be off.
    freedom : Freedom
        On the same grid.
    """

    def __init__(
        self,
        values: FloatArray,
        noise: FloatArray,
        references: ReferenceSet,
        background: FloatArray,
        mismatch: Mismatch,
        freedom: Freedom,
    ) -> None:
        self.values = values
        self.known = np.isfinite(values)
        self.noise = noise
        self.references = references
        self.background = background
        self.mismatch = mismatch
        self.freedom = freedom
        self.rigid = replace(mismatch, gain=0.0, band=0.0)
        # The floor of the references' own noise, on the scale of the spectrum's bands.
        positions = np.arange(values.size)
        filled = np.interp(positions, positions[self.known], values[self.known])
        self.bands = filled - lower_envelope(filled[None], background)[0]
        self.height = float(np.max(self.bands[self.known]))
        # What no model of bands is trusted beyond: line shapes, and the reference's own noise.
        self.noise = noise + (mismatch.floor * self.height) ** 2 + (mismatch.shape * self.bands) ** 2
        self.weights = Weights.of(values, self.noise, background)
        self._weights: dict[bytes, Weights] = {}
        self._known_products: dict[
            tuple[tuple[int, ...], float, int], tuple[Products, npt.NDArray[np.intp]]
        ] = {}
        self._nothing_columns: FloatArray | None = None
        self._nothing: dict[bytes, float] = {}

    def weights_for(self, rows: Sequence[int]) -> Weights:
        """Weights with only the points that every one of `rows` knows."""
        known = np.logical_and.reduce([self.references.known[r] for r in rows]) & self.known
        if np.array_equal(known, self.known):
            return self.weights
        key = np.packbits(known).tobytes()
        if key not in self._weights:
            self._weights[key] = Weights.of(np.where(known, self.values, np.nan), self.noise, self.background)
        return self._weights[key]

    def nothing(self, weights: Weights) -> float:
        """Log evidence of *nothing in the library* at the points of `weights`."""
        key = np.packbits(weights.scale > 0).tobytes()
        if key not in self._nothing:
            if self._nothing_columns is None:
                self._nothing_columns = nothing_factors(
                    self.values, self.noise, self.references.grid, self.background
                )
            factors = weights.whiten(self._nothing_columns)
            nobody = np.empty((weights.y.size, 0))
            products = Products(weights.y, nobody, factors)
            self._nothing[key] = products.reduced(np.ones(factors.shape[1])).log_evidence(np.empty(0))
        return self._nothing[key]

    def explain(self, rows: Sequence[int], shift_cm1: float, start: FloatArray | None = None) -> Explanation:
        """Fit a set of references at a common shift and weigh the evidence for it.

        Parameters
        ----------
        rows : sequence of int
            At least one reference.
        shift_cm1 : float
            Common shift.
        start : ndarray, optional
            Amounts to start from.
        """
        return self._fit(rows, shift_cm1, start, None)

    def _fit(
        self, rows: Sequence[int], shift_cm1: float, start: FloatArray | None, decoy: FloatArray | None
    ) -> Explanation:
        weights = self.weights_for(rows)
        if decoy is None:
            products, owner = self._products(tuple(rows), shift_cm1, weights)
        else:
            base, owner = self._products(tuple(rows), shift_cm1, weights)
            means, factors = self._part(decoy, weights)
            products = Products(weights.y, means, factors, base)
            owner = np.concatenate([owner, np.full(factors.shape[1], len(rows))])
        # Mismatch grows with the amounts: begin with those of a fit that allows for none of it.
        amounts = products.plain().amounts()[0] if start is None else start
        for _ in range(_ROUNDS):
            reduced = products.reduced(amounts[owner])
            amounts, sd = reduced.amounts()
        evidence = reduced.log_evidence(_WIDE * np.maximum(amounts, sd))
        return Explanation(tuple(rows), amounts, sd, shift_cm1, evidence - self.nothing(weights))

    def _part(self, shape: FloatArray, weights: Weights) -> tuple[FloatArray, FloatArray]:
        columns = np.concatenate([shape[:, None], self.freedom.columns(shape, self.mismatch)], axis=1)
        whitened = weights.whiten(columns)
        return whitened[:, :1], whitened[:, 1:]

    def _products(
        self, rows: tuple[int, ...], shift_cm1: float, weights: Weights
    ) -> tuple[Products, npt.NDArray[np.intp]]:
        """Products of a set of references, and which of them each factor belongs to."""
        key = (rows, shift_cm1, id(weights))
        if key not in self._known_products:
            means, factors = self._part(self.references.moved(rows[-1], shift_cm1), weights)
            base, owner = None, np.empty(0, dtype=np.intp)
            if len(rows) > 1:
                base, owner = self._products(rows[:-1], shift_cm1, weights)
            self._known_products[key] = (
                Products(weights.y, means, factors, base),
                np.concatenate([owner, np.full(factors.shape[1], len(rows) - 1, dtype=np.intp)]),
            )
            while len(self._known_products) > _REMEMBERED:
                self._known_products.pop(next(iter(self._known_products)))
        return self._known_products[key]

    def moved(self, shift_cm1: float) -> tuple[FloatArray, FloatArray]:
        """Values and noise with the axis moved by `shift_cm1`, on the same grid."""
        grid = self.references.grid
        places = grid - shift_cm1
        inside = np.interp(places, grid, self.known.astype(float), left=0.0, right=0.0) > 0.999
        filled = np.interp(places, grid[self.known], self.values[self.known])
        return np.where(inside, filled, np.nan), np.interp(places, grid, self.noise)

    def explain_with_decoy(self, base: Explanation, row: int, move: int) -> Explanation:
        """`base` and one reference more, moved by so many grid points that it is none of the library."""
        decoy = np.roll(self.references.values[row].astype(np.float64), move)
        return self._fit(base.rows, base.shift_cm1, None, decoy)

    def left_over(self, explanation: Explanation) -> tuple[Weights, FloatArray]:
        """Weights, and the rows (see `explained_rows`) of all that an explanation accounts for.

        What the spectrum holds beyond them is evidence for more.
        """
        weights = self.weights_for(explanation.rows)
        columns = []
        for row, amount in zip(explanation.rows, explanation.amounts, strict=True):
            shape = self.references.moved(row, explanation.shift_cm1)
            columns.append(self.freedom.columns(amount * shape, self.mismatch))
            columns.append(shape[:, None] * (_FREE * max(amount, 1e-3 * self.height)))
        return weights, explained_rows(weights.whiten(np.concatenate(columns, axis=1)))
