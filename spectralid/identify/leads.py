"""Leads: the computed references of a library, ranked for a spectrum. A lead is never an identification.

Computed band positions are off by ten wavenumbers and more, and strengths by factors, so that a comparison of
derivatives, which lives on exact positions, fails on them. What works is a correlation of both spectra
with strengths compressed, so that many weak bands outweigh a few strong ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from spectralid.errors import TechniqueError
from spectralid.identify.retrieval import MINIMUM_OVERLAP
from spectralid.library import ReferenceInfo, ReferenceLibrary, Tier
from spectralid.library.schema import common_grid, grid_key
from spectralid.spectrum import FloatArray, Spectrum, Technique

__all__ = ["EXPONENT", "LEADS", "NOTE", "Lead", "LeadIndex", "LeadScorer", "comparable"]

NOTE: Final = "computed references – leads, never an identification"

# How many leads are listed; the tier's fitness is stated for the first ten.
LEADS: Final = 10

# Exponent of both spectra. Relative strengths are the least certain part of a computed spectrum.
EXPONENT: Final = 0.4
# Stretches of bonds to hydrogen say little about which substance it is.
_HYDROGEN_FROM: Final = 2000.0
_HYDROGEN_WEIGHT: Final = 0.3
# Carbon dioxide of the air.
_CARBON_DIOXIDE: Final = (2250.0, 2450.0)
# Edge filters of Raman instruments end somewhere below.
_RAMAN_FROM: Final = 200.0
# Stiffness of the baseline; infrared bands of hydrogen bonds are broad.
_BASELINE_CM1: Final = {"raman": 335.0, "infrared": 800.0}
# A value of 0 has to have a power and a slope.
_FLOOR: Final = 1e-30
# So many times as many rows as leads are wanted are scored again in double precision.
_SHORTLIST: Final = 4


@dataclass(frozen=True, slots=True)
class Lead:
    """A compound whose computed spectrum is like the measured one. It names nothing.

    Attributes
    ----------
    rank : int
        1 for the best.
    compound_slug, compound_name : str
        The compound.
    form : str
        Which form was computed: ``"neutral molecule"``, ``"protonated cation"`` …
    reference_id : str
        The computed reference.
    score : float
        Weighted correlation of compressed spectra, -1 … 1; not comparable with a candidate's score.
    """

    rank: int
    compound_slug: str
    compound_name: str
    form: str
    reference_id: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def comparable(spectrum: Spectrum) -> FloatArray:
    """A measured spectrum as it is compared with computed ones, shape (n_grid,).

    Parameters
    ----------
    spectrum : Spectrum
        Raman, or infrared as absorbance.

    Returns
    -------
    ndarray
        On the common grid, baseline removed, nothing below 0, largest value 1; NaN where not measured, and
        everywhere if there is nothing above the baseline.

    Raises
    ------
    TechniqueError
        If the technique is not known.
    """
    from spectralid.preprocess.baseline import Baseline
    from spectralid.preprocess.resample import resample

    key = grid_key(spectrum.technique)
    grid = common_grid(key)
    values = resample(spectrum.axis, spectrum.intensity, grid)
    if key == "raman":
        values = np.where(grid < _RAMAN_FROM, np.nan, values)
    if not _room(np.isfinite(values), grid):
        return np.full(grid.size, np.nan)
    step = Baseline("arpls", scale_cm1=_BASELINE_CM1[key], axis=grid)
    flat = np.clip(step.transform(values[np.newaxis])[0], 0, None)
    largest = float(np.nanmax(flat))
    return np.asarray(flat / largest if largest > 0 else np.full(grid.size, np.nan))


def _room(known: npt.NDArray[np.bool_], grid: FloatArray) -> bool:
    return bool(np.count_nonzero(known) * (grid[1] - grid[0]) >= MINIMUM_OVERLAP)


class LeadScorer:
    """Weighted correlation of measured with computed spectra, both compressed by `EXPONENT`.

    Parameters
    ----------
    queries : array_like of float, shape (n_queries, n_grid)
        From `comparable`.
    grid : ndarray of float, shape (n_grid,)
        The grid in cm⁻¹.
    key : {"raman", "infrared"}
        Which kind of spectra.
    """

    def __init__(self, queries: npt.ArrayLike, grid: FloatArray, key: str) -> None:
        values = np.asarray(queries, dtype=np.float64) ** EXPONENT
        weights = np.where(grid > _HYDROGEN_FROM, _HYDROGEN_WEIGHT, 1.0)
        if key == "infrared":
            weights[(grid > _CARBON_DIOXIDE[0]) & (grid < _CARBON_DIOXIDE[1])] = 0.0
        self.weights = np.where(np.isfinite(values), weights, 0.0)
        self.weights /= self.weights.sum(axis=1, keepdims=True)
        centred = np.nan_to_num(values)
        centred -= np.sum(self.weights * centred, axis=1, keepdims=True)
        norm = np.sqrt(np.sum(self.weights * centred**2, axis=1, keepdims=True))
        self.weighted = self.weights * centred / norm

    @staticmethod
    def compressed(spectra: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
        """Computed spectra as the other methods take them; negative values count as none."""
        return np.asarray(np.maximum(spectra, _FLOOR) ** EXPONENT)

    def moments(self, compressed: npt.NDArray[np.floating[Any]]) -> tuple[FloatArray, FloatArray]:
        """Mean and spread of compressed spectra under each query's weights, shape (n_queries, n_spectra)."""
        weights = self.weights.astype(compressed.dtype, copy=False)
        mean = weights @ compressed.T
        return mean, np.sqrt(np.maximum(weights @ (compressed**2).T - mean**2, _FLOOR))

    def score(self, compressed: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Scores of compressed spectra (n_spectra, n_grid), -1 to 1, shape (n_queries, n_spectra)."""
        weighted = self.weighted.astype(compressed.dtype, copy=False)
        return np.asarray((weighted @ compressed.T) / self.moments(compressed)[1])

    def exact(self, compressed: npt.NDArray[np.floating[Any]]) -> float:
        """Score of the first query and one compressed spectrum, shape (n_grid,), in double precision.

        It depends on the two alone, while the last bits of `score` depend on what else is scored with them.
        """
        z = compressed.astype(np.float64)
        z -= np.sum(self.weights[0] * z)
        spread = float(np.sqrt(np.sum(self.weights[0] * z**2)))
        return float(np.clip(np.sum(self.weighted[0] * z) / max(spread, _FLOOR), -1, 1))

    def __call__(self, spectra: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Scores of computed spectra (n_spectra, n_grid), -1 to 1, shape (n_queries, n_spectra)."""
        return self.score(self.compressed(spectra))


@dataclass(frozen=True, slots=True, eq=False)
class LeadIndex:
    """The computed references of one technique, prepared for search; make it with `from_library`.

    Attributes
    ----------
    key : str
        ``"raman"`` or ``"infrared"``.
    grid : ndarray of float, shape (n_grid,)
        In cm⁻¹.
    rows : tuple of ReferenceInfo, length n_references
        What the rows are.
    names : mapping of str to str
        Name of each compound by slug.
    """

    key: str
    grid: FloatArray
    rows: tuple[ReferenceInfo, ...]
    names: Mapping[str, str]
    _compressed: npt.NDArray[np.float32]
    _masks: npt.NDArray[np.bool_]
    _mask_of_row: npt.NDArray[np.intp]
    _threads: ThreadpoolController

    @classmethod
    def from_library(cls, library: ReferenceLibrary, technique: Technique | str) -> Self:
        """Prepare the computed references that are comparable with `technique`.

        Raises
        ------
        LibraryError
            If the library has none.
        ParameterError
            If there is no such technique.
        """
        technique = Technique.parse(technique)
        rows = library.rows(technique, Tier.COMPUTED)
        block = np.asarray(library.matrix(technique, Tier.COMPUTED), dtype=np.float32)
        known = np.isfinite(block)
        _, first, which = np.unique(
            np.packbits(known, axis=1), axis=0, return_index=True, return_inverse=True
        )
        return cls(
            key=grid_key(technique),
            grid=library.grid(technique),
            rows=rows,
            names={slug: library.compound(slug).name for slug in {row.compound_slug for row in rows}},
            _compressed=np.asarray(LeadScorer.compressed(np.nan_to_num(block)), dtype=np.float32),
            _masks=known[first],
            _mask_of_row=which.reshape(-1),
            _threads=ThreadpoolController(),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def search(self, spectrum: Spectrum, count: int = LEADS) -> tuple[Lead, ...]:
        """The compounds whose computed spectrum is most like `spectrum`, each by its best form.

        Parameters
        ----------
        spectrum : Spectrum
            Of this technique; infrared as absorbance.
        count : int
            How many at most.

        Returns
        -------
        tuple of Lead
            Best first; empty where too little was measured, or nothing stands out of the baseline.

        Raises
        ------
        TechniqueError
            If the spectrum is of another technique.
        """
        if grid_key(spectrum.technique) != self.key:
            raise TechniqueError(
                f"The spectrum is {spectrum.technique.value}, the computed references are {self.key}; they "
                "cannot be compared."
            )
        query = comparable(spectrum)
        scores = np.full(len(self), -np.inf)
        scorers = {}
        for number, mask in enumerate(self._masks):
            common = np.where(mask, query, np.nan)
            members = np.flatnonzero(self._mask_of_row == number)
            # What is flat where both are known has no correlation with anything.
            if _room(np.isfinite(common), self.grid) and np.nanmax(common) > np.nanmin(common):
                scorers[number] = LeadScorer(common[np.newaxis], self.grid, self.key)
                rows = self._compressed if members.size == len(self) else self._compressed[members]
                # Waking more BLAS threads costs more than these products.
                with self._threads.limit(limits=1, user_api="blas"):
                    scores[members] = scorers[number].score(rows)[0]
        best: dict[str, tuple[float, ReferenceInfo]] = {}
        for position in self._shortlist(scores, count):
            scorer = scorers[int(self._mask_of_row[position])]
            entry = (scorer.exact(self._compressed[position]), self.rows[position])
            slug = entry[1].compound_slug
            best[slug] = max(best.get(slug, entry), entry, key=lambda e: (e[0], e[1].id))
        ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:count]
        return tuple(
            Lead(rank, slug, self.names[slug], info.form, info.id, score)
            for rank, (slug, (score, info)) in enumerate(ranked, start=1)
        )

    def _shortlist(self, scores: FloatArray, count: int) -> Iterable[int]:
        order = np.argsort(-scores, kind="stable")
        return [int(i) for i in order[: _SHORTLIST * count] if np.isfinite(scores[i])]
