"""What others do, in its plain form, on the same spectra: for the tables beside the engine's figures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import nnls

from spectralid import ReferenceLibrary, Spectrum, Technique
from spectralid.identify import RetrievalIndex
from spectralid.preprocess import Pipeline
from spectralid.preprocess.baseline import Baseline
from spectralid.preprocess.resample import resample

# A component of less than this share is not reported by the NNLS kinds: without a bar they report dozens.
LEAST_SHARE = 0.05
# A pure match is reported from here on; the value most commercial libraries call a good match.
LEAST_HQI = 0.9


class Baselines:
    """Named after the method: each takes a spectrum and returns the compounds it would report."""

    def __init__(self, library: ReferenceLibrary) -> None:
        self.index = RetrievalIndex.from_library(library, Technique.RAMAN)
        self.slugs = np.array([row.compound_slug for row in self.index.rows])
        flatten = Baseline()
        grid = self.index.grid
        matrix = np.nan_to_num(np.asarray(self.index.intensities, dtype=float))
        spectra = [Spectrum(grid, row, technique=Technique.RAMAN) for row in matrix]
        self.flat = np.array([np.maximum(flatten(s).intensity, 0) for s in spectra])
        self.flat /= self.flat.sum(axis=1, keepdims=True)
        self.methods: dict[str, Callable[[Spectrum], set[str]]] = {
            "HQI (arPLS)": self.hqi,
            "derivative cosine": self.derivative,
            "arPLS + NNLS": self.full_nnls,
            "arPLS + NN-OMP": self.omp,
        }

    def _flattened(self, spectrum: Spectrum) -> np.ndarray:
        levelled = Pipeline([Baseline()])(spectrum)
        return np.nan_to_num(np.asarray(resample(levelled.axis, levelled.intensity, self.index.grid)))

    def hqi(self, spectrum: Spectrum) -> set[str]:
        """Best squared correlation after arPLS on both sides, if it is at least `LEAST_HQI`."""
        query = self._flattened(spectrum)
        best = np.array([np.corrcoef(query, row)[0, 1] for row in self.flat])
        return {str(self.slugs[best.argmax()])} if best.max() ** 2 >= LEAST_HQI else set()

    def derivative(self, spectrum: Spectrum) -> set[str]:
        """Best derivative cosine, if its square is at least `LEAST_HQI`."""
        hit = self.index.search(spectrum, 1).hits[0]
        return {hit.reference.compound_slug} if hit.score**2 >= LEAST_HQI else set()

    def full_nnls(self, spectrum: Spectrum) -> set[str]:
        """Non-negative least squares on the whole library; shares of at least `LEAST_SHARE`."""
        amounts, _ = nnls(self.flat.T, self._flattened(spectrum), maxiter=20 * len(self.flat))
        return self._reported(amounts)

    def omp(self, spectrum: Spectrum) -> set[str]:
        """Non-negative orthogonal matching pursuit; ends when a component gains less than 1 % of the norm."""
        query = self._flattened(spectrum)
        chosen: list[int] = []
        amounts = np.empty(0)
        rest, norm = query, float(np.linalg.norm(query))
        unit = self.flat / np.linalg.norm(self.flat, axis=1, keepdims=True)
        while len(chosen) < 6:
            row = int((unit @ rest).argmax())
            if row in chosen:
                break
            tried, _ = nnls(self.flat[[*chosen, row]].T, query)
            left = query - tried @ self.flat[[*chosen, row]]
            if np.linalg.norm(rest) - np.linalg.norm(left) < 0.01 * norm:
                break
            chosen.append(row)
            amounts, rest = tried, left
        whole = np.zeros(len(self.flat))
        whole[chosen] = amounts
        return self._reported(whole)

    def _reported(self, amounts: np.ndarray) -> set[str]:
        total = amounts.sum()
        return set() if total <= 0 else {str(s) for s in self.slugs[amounts / total >= LEAST_SHARE]}
