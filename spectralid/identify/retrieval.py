"""The retrieval stage: one or many spectra against every reference of a library at once.

It ranks pure candidates and says which references could not be compared; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from spectralid.errors import ParameterError, TechniqueError
from spectralid.identify import large
from spectralid.identify._hits import Hit, exact_hits, squared_correlations
from spectralid.identify._source import ReferenceSource
from spectralid.identify.large import (
    MappedMatrix,
    Masks,
    MasksInOrder,
    Matrix,
    blocks,
    compound_numbers,
    prepared_for,
    put_masks,
    walk,
)
from spectralid.identify.similarity import derivative_window, first_derivative
from spectralid.library import ReferenceInfo, ReferenceLibrary
from spectralid.library.prepared import Writer
from spectralid.spectrum import FloatArray, Spectrum, Technique

__all__ = ["MINIMUM_OVERLAP", "MINIMUM_SHARE", "RetrievalIndex", "SearchResult"]

# Below this much common range in cm⁻¹ a reference is not compared: a fingerprint needs room. A third of the
# 400 … 1,800 cm⁻¹ region most portable instruments share.
MINIMUM_OVERLAP: Final = 450.0
# Share of a reference's bands (energy of its derivative) that must lie in the common range. With less, most
# of what makes the substance recognisable was not looked at, and one chance band decides.
MINIMUM_SHARE: Final = 0.5

# Scores held at a time by `search_many`.
_SCORES_AT_ONCE: Final = 2**22
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


def _moderate(values: FloatArray) -> FloatArray:
    """Rows divided by a power of two near their largest value, so that squares neither overflow nor vanish.

    No score depends on the size of a spectrum, and a power of two changes no digit.
    """
    largest = np.max(np.abs(values), axis=1, initial=0.0, where=np.isfinite(values), keepdims=True)
    _, exponent = np.frexp(largest)
    return np.asarray(np.ldexp(values, -exponent))


def _unit(derivatives: FloatArray) -> FloatArray:
    """Rows scaled to unit energy, missing as zero; flat rows stay zero."""
    filled = _moderate(np.where(np.isfinite(derivatives), derivatives, 0.0))
    norm = np.sqrt(np.einsum("ij,ij->i", filled, filled))
    return filled / np.where(norm > 0, norm, 1.0)[:, None]


class _Prepared(NamedTuple):
    """A block of references: unit derivatives, their energy per block of the grid, where they are known."""

    derivatives: Float32Array
    energy: Float32Array
    known: npt.NDArray[np.bool_]


def _edges(points: int) -> IntArray:
    return np.arange(0, points, _BLOCK)


def _prepared(intensities: Matrix, window: int) -> Iterator[_Prepared]:
    for rows in blocks(len(intensities)):
        slopes = first_derivative(intensities[rows], window)
        unit = _unit(slopes)
        energy = np.add.reduceat(unit**2, _edges(unit.shape[1]), axis=1)
        yield _Prepared(unit.astype(np.float32), energy.astype(np.float32), np.isfinite(slopes))


class _Coverage(NamedTuple):
    """Which points of the grid a query covers: whole blocks of it, and points of blocks covered in part."""

    whole: Float32Array
    parts: tuple[tuple[slice, Float32Array], ...]

    @classmethod
    def of(cls, covered: npt.NDArray[np.bool_]) -> Self:
        edges = _edges(covered.size)
        whole = np.logical_and.reduceat(covered, edges)
        partly = edges[np.logical_or.reduceat(covered, edges) & ~whole]
        slices = [slice(start, start + _BLOCK) for start in partly.tolist()]
        return cls(whole.astype(np.float32), tuple((s, covered[s].astype(np.float32)) for s in slices))

    def energy(self, derivatives: Matrix, block_energy: Float32Array) -> FloatArray:
        """Share of each reference's derivative energy at the points covered, shape (n_references,)."""
        total = block_energy @ self.whole
        for points, covered in self.parts:
            total += np.square(derivatives[:, points]) @ covered
        return total.astype(np.float64)


def _nothing() -> None:
    """What there is to give back of arrays in memory."""


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
    derivatives : ndarray of float32 or MappedMatrix, shape (n_references, n_grid)
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

    References are gone through in blocks of rows. The derivatives of a library file with more than
    `spectralid.identify.large.LARGE` references lie in a mapped file beside it, of which one block is in
    memory at a time.
    """

    technique: Technique
    grid: FloatArray
    rows: tuple[ReferenceInfo, ...]
    intensities: Matrix
    derivatives: Float32Array | MappedMatrix
    window: int
    _known: npt.NDArray[np.bool_]
    _masks: Masks
    _block_energy: Float32Array
    _compound_of_row: IntArray
    _threads: ThreadpoolController
    _release: Callable[[], None]

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
            If the library has none, or is large and nothing can be written beside it nor elsewhere.
        """
        grid = np.asarray(library.grid(technique), dtype=np.float64)
        intensities = library.matrix(technique)
        rows = library.rows(technique)
        window = derivative_window(float(grid[1] - grid[0]))
        derivatives: Float32Array | MappedMatrix
        release: Callable[[], None] = _nothing
        if isinstance(library, ReferenceLibrary) and len(rows) > large.LARGE:
            shape = intensities.shape

            def make(writer: Writer) -> None:
                writer.create("derivatives", shape, np.float32)
                writer.create("energy", (len(rows), _edges(shape[1]).size), np.float32)
                masks, of_row = MasksInOrder(), list[IntArray]()
                for part in _prepared(intensities, window):
                    writer.append("derivatives", part.derivatives)
                    writer.append("energy", part.energy)
                    of_row.append(masks.add(part.known))
                    library.release()
                put_masks(writer, masks, of_row)

            file = prepared_for(library, technique, "search", make, f"{window} {_BLOCK}")
            derivatives = MappedMatrix(file, "derivatives")

            def release_both() -> None:
                library.release()
                file.release()

            release = release_both
            energy = np.array(file.arrays["energy"])
            masks = Masks(file.arrays["masks"], file.arrays["mask_of_row"], grid.size)
        else:
            parts = list(_prepared(intensities, window))
            derivatives = np.concatenate([part.derivatives for part in parts])
            energy = np.concatenate([part.energy for part in parts])
            in_order = MasksInOrder()
            of_row = np.concatenate([in_order.add(part.known) for part in parts])
            masks = Masks(in_order.packed(), of_row, grid.size)
            derivatives.flags.writeable = False
        for array in (grid, energy):
            array.flags.writeable = False
        return cls(
            technique=technique,
            grid=grid,
            rows=rows,
            intensities=intensities,
            derivatives=derivatives,
            window=window,
            _known=masks.anywhere(),
            _masks=masks,
            _block_energy=energy,
            _compound_of_row=compound_numbers(r.compound_slug for r in rows),
            _threads=ThreadpoolController(),
            _release=release,
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
        query = self._checked(self.on_grid(spectrum)[np.newaxis])
        return self._search(query, k, per_compound=True, within=within)[0]

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
        return _moderate(x)

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
            for row in zip(part, slopes, scores, strict=True):
                results.append(self._result(*row, k, per_compound, within))
                # Now and not after all of them: a system may map megabytes around each row looked at.
                self._release()
        return results

    def _cosines(self, slopes: FloatArray) -> FloatArray:
        unit = _unit(slopes).astype(np.float32)
        squares = unit**2
        masks, mask_of_query = _unique_rows(np.isfinite(slopes))
        covered = [_Coverage.of(mask | ~self._known) for mask in masks]
        known = masks.astype(np.float32)
        step = float(self.grid[1] - self.grid[0])
        scores = np.full((len(slopes), len(self)), np.nan)
        for rows, derivatives in walk(self.derivatives):
            energy = self._block_energy[rows]
            within = np.stack([c.energy(derivatives, energy) for c in covered])
            distinct, mask_of_row = self._masks.block(rows)
            theirs = distinct.astype(np.float32).T
            common = ((known @ theirs) * step)[:, mask_of_row]
            comparable = (common >= MINIMUM_OVERLAP) & (within >= MINIMUM_SHARE)
            both = within[mask_of_query] * (squares @ theirs)[:, mask_of_row]
            usable = comparable[mask_of_query] & (both > 0)
            np.divide(unit @ derivatives.T, np.sqrt(both), out=scores[:, rows], where=usable)
        return scores

    def _hit_qualities(self, x: FloatArray, slopes: FloatArray) -> FloatArray:
        """Squared correlations, NaN wherever the derivative-cosine does not compare either."""
        with self._one_thread():
            comparable = np.isfinite(self._cosines(slopes))
        out = np.full(comparable.shape, np.nan)
        for part in blocks(len(self)):
            block = np.asarray(self.intensities[part], dtype=np.float64)
            for row, query in enumerate(x):
                out[row, part] = squared_correlations(query, block)
            self._release()
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
            self._masks[chosen],
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
