"""The retrieval stage: one or many spectra against every reference of a library at once.

It ranks pure candidates and says which references could not be compared; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from spectralid.errors import ParameterError, TechniqueError
from spectralid.identify._hits import Hit, exact_hits, squared_correlations
from spectralid.identify._source import ReferenceSource
from spectralid.identify.similarity import derivative_window, first_derivative
from spectralid.library import ReferenceInfo
from spectralid.spectrum import FloatArray, Spectrum, Technique

__all__ = ["MINIMUM_OVERLAP", "MINIMUM_SHARE", "RetrievalIndex", "SearchResult"]

# Below this much common range in cm⁻¹ a reference is not compared: a fingerprint needs room. A third of the
# 400 … 1,800 cm⁻¹ region most portable instruments share.
MINIMUM_OVERLAP: Final = 450.0
# Share of a reference's bands (energy of its derivative) that must lie in the common range. With less, most
# of what makes the substance recognisable was not looked at, and one chance band decides.
MINIMUM_SHARE: Final = 0.5

# Rows worked on at a time while the index is built, so that float64 intermediates stay small.
_BUILD_ROWS: Final = 4096
# Scores held at a time by `search_many`.
_SCORES_AT_ONCE: Final = 2**23
# Points per block of the reference energies: a block the query covers whole costs one addition per reference.
_BLOCK: Final = 32
# Single precision leaves about this much uncertain; whatever lies so close to the last place is scored again.
_SINGLE_PRECISION: Final = 1e-5

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]
Measure = Literal["derivative", "hqi"]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Answer to one query.

    Attributes
    ----------
    hits : tuple of Hit
        Best first.
    not_comparable : tuple of str
        Ids of the references that share too little with the query to be compared, in the library's order.
    n_references : int
        References of the technique, compared or not.
    """

    hits: tuple[Hit, ...]
    not_comparable: tuple[str, ...]
    n_references: int


def _unique_rows(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Distinct rows of a mask and which of them each row is."""
    if len(mask) == 1:
        return mask, np.zeros(1, dtype=np.intp)
    packed = np.packbits(mask, axis=1)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).reshape(-1)
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return mask[first], which.reshape(-1)


def _unit(derivatives: FloatArray) -> FloatArray:
    """Rows scaled to unit energy, missing as zero; flat rows stay zero."""
    filled = np.where(np.isfinite(derivatives), derivatives, 0.0)
    # By the largest value first, so that squares of raw counts neither overflow nor vanish.
    filled /= np.maximum(np.abs(filled).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    norm = np.sqrt(np.einsum("ij,ij->i", filled, filled))
    return filled / np.where(norm > 0, norm, 1.0)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalIndex:
    """References of one technique, prepared for search; make it with `from_library`.

    Attributes
    ----------
    technique : Technique
        Technique searched in.
    grid : ndarray of float64, shape (n_grid,)
        Common grid in cm⁻¹.
    rows : tuple of ReferenceInfo, length n_references
        What the rows are.
    intensities : ndarray, shape (n_references, n_grid)
        The library's own matrix, not copied.
    derivatives : ndarray of float32, shape (n_references, n_grid)
        First derivatives scaled to unit energy; zero where not known.
    window : int
        Points of the derivative window.

    Notes
    -----
    Over the range a query and a reference have in common, the cosine needs three sums: the product of both
    derivatives (one matrix product), the query's energy where the reference is known (references share few
    distinct masks, so one small product), and the reference's energy where the query is known (from blocks of
    the grid; only points of partly covered blocks are looked at). The best few are then scored again in
    double precision, so that a score depends on the pair alone and never on its place in the library.
    """

    technique: Technique
    grid: FloatArray
    rows: tuple[ReferenceInfo, ...]
    intensities: npt.NDArray[np.floating[Any]]
    derivatives: Float32Array
    window: int
    _known: npt.NDArray[np.bool_]
    _masks: Float32Array
    _mask_of_row: IntArray
    _block_energy: Float32Array
    _compound_of_row: IntArray
    _threads: ThreadpoolController

    @classmethod
    def from_library(cls, library: ReferenceSource, technique: Technique) -> Self:
        """Prepare the measured and literature references of a library that are comparable with `technique`.

        Computed ones have a search of their own, `spectralid.identify.leads`: they never identify.

        Parameters
        ----------
        library : ReferenceLibrary or ReferenceSource
            Where they are.
        technique : Technique
            Raman or an infrared technique.

        Raises
        ------
        LibraryError
            If the library has none.
        """
        grid = np.asarray(library.grid(technique), dtype=np.float64)
        intensities = library.matrix(technique)
        rows = library.rows(technique)
        window = derivative_window(float(grid[1] - grid[0]))
        n, points = intensities.shape
        edges = np.arange(0, points, _BLOCK)
        derivatives = np.empty((n, points), dtype=np.float32)
        known = np.empty((n, points), dtype=np.bool_)
        energy = np.empty((n, edges.size), dtype=np.float32)
        for start in range(0, n, _BUILD_ROWS):
            part = slice(start, start + _BUILD_ROWS)
            slopes = first_derivative(intensities[part], window)
            known[part] = np.isfinite(slopes)
            unit = _unit(slopes)
            derivatives[part] = unit
            energy[part] = np.add.reduceat(unit**2, edges, axis=1)
        masks, mask_of_row = _unique_rows(known)
        _, compound_of_row = np.unique([r.compound_slug for r in rows], return_inverse=True)
        for array in (grid, derivatives, energy):
            array.flags.writeable = False
        return cls(
            technique=technique,
            grid=grid,
            rows=rows,
            intensities=intensities,
            derivatives=derivatives,
            window=window,
            _known=np.asarray(masks.any(axis=0)),
            _masks=masks.astype(np.float32),
            _mask_of_row=mask_of_row,
            _block_energy=energy,
            _compound_of_row=compound_of_row.reshape(-1),
            _threads=ThreadpoolController(),
        )

    def __len__(self) -> int:
        return len(self.rows)

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        # Waking a second BLAS thread costs more than these products; batches run in parallel over spectra.
        with self._threads.limit(limits=1, user_api="blas"):
            yield

    def on_grid(self, spectrum: Spectrum) -> FloatArray:
        """Intensities of `spectrum` on the common grid, shape (n_grid,); NaN where it is not known.

        Raises
        ------
        TechniqueError
            If the spectrum is not comparable with these references.
        """
        if not spectrum.technique.is_comparable(self.technique):
            raise TechniqueError(
                f"The spectrum is {spectrum.technique.value}, the references are {self.technique.value}; "
                "they cannot be compared."
            )
        from spectralid.preprocess.resample import resample

        return np.asarray(resample(spectrum.axis, spectrum.intensity[np.newaxis], self.grid)[0])

    def scores(self, queries: npt.ArrayLike, *, measure: Measure = "derivative") -> FloatArray:
        """Score of every query against every reference.

        Parameters
        ----------
        queries : array_like, shape (n_queries, n_grid)
            Intensities on the common grid, NaN where missing.
        measure : {"derivative", "hqi"}
            Derivative-cosine or hit quality index.

        Returns
        -------
        ndarray, shape (n_queries, n_references)
            NaN where a reference is not comparable. Single precision is behind the derivative-cosine (error
            below 1e-5); `spectralid.identify.similarity` has the exact pair.

        Raises
        ------
        ParameterError
            If the queries do not lie on the common grid or `measure` is unknown.
        """
        x = self._checked(queries)
        slopes = first_derivative(x, self.window)
        if measure == "derivative":
            with self._one_thread():
                return self._cosines(slopes)
        if measure == "hqi":
            return self._hit_qualities(x, slopes)
        raise ParameterError("measure", measure, "'derivative' or 'hqi'")

    def search(self, spectrum: Spectrum, k: int = 10) -> SearchResult:
        """The `k` references most like `spectrum`.

        Parameters
        ----------
        spectrum : Spectrum
            Comparable with the index; infrared as absorbance.
        k : int
            How many, at least 1.

        Raises
        ------
        TechniqueError, ParameterError
            If the technique does not fit or `k` is not positive.
        """
        return self.search_many(self.on_grid(spectrum)[np.newaxis], k)[0]

    def search_compounds(self, spectrum: Spectrum, k: int = 10, *, within: float = 0.0) -> SearchResult:
        """The `k` compounds most like `spectrum`, each by its best reference.

        Parameters
        ----------
        spectrum, k
            As for `search`, with its errors.
        within : float
            Compounds whose score is less than this below the best are there too, however many.
        """
        return self._search(self.on_grid(spectrum)[np.newaxis], k, per_compound=True, within=within)[0]

    def search_many(self, queries: npt.ArrayLike, k: int = 10) -> list[SearchResult]:
        """The `k` references most like each query.

        Parameters
        ----------
        queries : array_like, shape (n_queries, n_grid)
            Intensities on the common grid, NaN where missing.
        k : int
            How many, at least 1.

        Raises
        ------
        ParameterError
            If the queries do not lie on the common grid or `k` is not positive.
        """
        return self._search(self._checked(queries), k, per_compound=False)

    def _checked(self, queries: npt.ArrayLike) -> FloatArray:
        x = np.asarray(queries, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.grid.size:
            raise ParameterError("queries", x.shape, f"an array of shape (n_queries, {self.grid.size})")
        return x

    def _search(
        self, x: FloatArray, k: int, *, per_compound: bool, within: float = 0.0
    ) -> list[SearchResult]:
        if k < 1:
            raise ParameterError("k", k, "at least 1")
        at_once = max(1, _SCORES_AT_ONCE // max(1, len(self)))
        results: list[SearchResult] = []
        for start in range(0, len(x), at_once):
            part = x[start : start + at_once]
            slopes = first_derivative(part, self.window)
            with self._one_thread():
                scores = self._cosines(slopes)
            results += [
                self._result(*row, k, per_compound, within) for row in zip(part, slopes, scores, strict=True)
            ]
        return results

    def _cosines(self, slopes: FloatArray) -> FloatArray:
        unit = _unit(slopes).astype(np.float32)
        masks, mask_of_query = _unique_rows(np.isfinite(slopes))
        within = np.stack([self._energy_within(mask) for mask in masks])
        step = float(self.grid[1] - self.grid[0])
        common = (masks.astype(np.float32) @ self._masks.T) * step
        comparable = (common[:, self._mask_of_row] >= MINIMUM_OVERLAP) & (within >= MINIMUM_SHARE)
        query_energy = (unit**2 @ self._masks.T)[:, self._mask_of_row]
        products = unit @ self.derivatives.T
        energy = within[mask_of_query] * query_energy
        usable = comparable[mask_of_query] & (energy > 0)
        scores = np.full(energy.shape, np.nan)
        np.divide(products, np.sqrt(energy), out=scores, where=usable)
        return scores

    def _energy_within(self, mask: npt.NDArray[np.bool_]) -> FloatArray:
        """Share of each reference's derivative energy at the points of `mask`, shape (n_references,)."""
        # Where no reference is known anything may count as covered.
        covered = mask | ~self._known
        if covered.all():
            return np.asarray(self._block_energy.sum(axis=1, dtype=np.float64))
        edges = np.arange(0, covered.size, _BLOCK)
        whole = np.logical_and.reduceat(covered, edges)
        energy = self._block_energy @ whole.astype(np.float32)
        for start in edges[np.logical_or.reduceat(covered, edges) & ~whole]:
            part = slice(start, start + _BLOCK)
            energy += np.square(self.derivatives[:, part]) @ covered[part].astype(np.float32)
        return energy.astype(np.float64)

    def _hit_qualities(self, x: FloatArray, slopes: FloatArray) -> FloatArray:
        """Squared correlations, NaN wherever the derivative-cosine does not compare either."""
        with self._one_thread():
            comparable = np.isfinite(self._cosines(slopes))
        out = np.full(comparable.shape, np.nan)
        for start in range(0, len(self), _BUILD_ROWS):
            part = slice(start, start + _BUILD_ROWS)
            block = np.asarray(self.intensities[part], dtype=np.float64)
            for row, query in enumerate(x):
                out[row, part] = squared_correlations(query, block)
        out[~comparable] = np.nan
        return out

    def _result(
        self,
        query: FloatArray,
        slopes: FloatArray,
        scores: FloatArray,
        k: int,
        per_compound: bool,
        within: float,
    ) -> SearchResult:
        comparable = np.isfinite(scores)
        chosen = self._shortlist(scores, comparable, k, per_compound, within)
        exact = exact_hits(
            query,
            slopes,
            [self.rows[i] for i in chosen],
            self.intensities[chosen],
            self.derivatives[chosen].astype(np.float64),
            self._masks[self._mask_of_row[chosen]] > 0,
            self.grid,
        )
        exact.sort(key=lambda h: (-h.score, h.reference.compound_slug, h.reference.id))
        if per_compound:
            best: dict[str, Hit] = {}
            for hit in exact:
                best.setdefault(hit.reference.compound_slug, hit)
            exact = list(best.values())
        return SearchResult(
            hits=tuple(h for i, h in enumerate(exact) if i < k or h.score > exact[0].score - within),
            not_comparable=tuple(self.rows[i].id for i in np.flatnonzero(~comparable)),
            n_references=len(self),
        )

    def _shortlist(
        self, scores: FloatArray, comparable: npt.NDArray[np.bool_], k: int, per_compound: bool, within: float
    ) -> IntArray:
        """Every row that could be among the hits, given what single precision leaves uncertain."""
        candidates = np.flatnonzero(comparable)
        values = scores[candidates]
        if per_compound:
            best = np.full(len(self), -np.inf)
            np.maximum.at(best, self._compound_of_row[candidates], values)
            ranked = best[np.isfinite(best)]
        else:
            ranked = values
        if ranked.size > k:
            last = min(np.partition(ranked, ranked.size - k)[ranked.size - k], ranked.max() - within)
            candidates = candidates[values >= last - 2 * _SINGLE_PRECISION]
        return candidates
