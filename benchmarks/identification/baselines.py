"""What others do, in its plain form, on the same spectra: for the tables beside the engine's figures."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import nnls

from spectralid import ReferenceLibrary, Spectrum, Technique
from spectralid.identify import RetrievalIndex
from spectralid.preprocess.baseline import Baseline
from spectralid.preprocess.resample import resample

# A component of less than this share is not reported by the NNLS kinds: without a bar they report dozens.
LEAST_SHARE = 0.05
# A pure match is reported from here on; the value most commercial libraries call a good match.
LEAST_HQI = 0.9
# A classifier's own probability from which on it names.
LEAST_PROBABILITY = 0.95
_AUGMENTED = 8
_SEED = 11


@dataclass(frozen=True)
class Said:
    """What a method says: its best compound, those it would report, and the amount or score of each."""

    best: str
    named: frozenset[str]
    amounts: Mapping[str, float]


def unavailable() -> dict[str, str]:
    """Methods that are left out, with the reason."""
    if importlib.util.find_spec("ramanspy") is None:
        return {"RamanSPy": "the package ramanspy is not installed"}
    return {}


class Baselines:
    """Named after the method: each takes a flattened spectrum and says what it would report.

    Parameters
    ----------
    library : ReferenceLibrary
        What they know.
    technique : Technique
        Of the queries.
    unmixing_only : bool
        Whether to leave out those that can only name one substance.
    """

    def __init__(
        self,
        library: ReferenceLibrary,
        technique: Technique = Technique.RAMAN,
        *,
        unmixing_only: bool = False,
    ) -> None:
        self.unmixing_only = unmixing_only
        self.index = RetrievalIndex.from_library(library, technique)
        self.slugs = np.array([row.compound_slug for row in self.index.rows])
        self.flatten = Baseline()
        grid = self.index.grid
        rows = np.nan_to_num(np.asarray(self.index.intensities, dtype=float))
        flat = [self.flatten(Spectrum(grid, row, technique=technique)).intensity for row in rows]
        self.flat = np.maximum(np.array(flat), 0)
        self.flat /= self.flat.sum(axis=1, keepdims=True)
        self.unit = self.flat / np.linalg.norm(self.flat, axis=1, keepdims=True)
        centred = self.flat - self.flat.mean(axis=1, keepdims=True)
        self.centred = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        self.methods: dict[str, Callable[[np.ndarray], Said]] = {
            "arPLS + NNLS": self.full_nnls,
            "arPLS + NN-OMP": self.omp,
            "scikit-learn Lasso ≥ 0": self.lasso,
        }
        self.peer: _RamanSpy | None = None
        if unmixing_only:
            return
        self.methods["HQI (arPLS)"] = self.hqi
        if len(set(self.slugs)) > 2:
            self.knn, self.lda = _trained(self.flat, self.slugs)
            self.methods["kNN, augmented"] = lambda q: self.classified(self.knn, q)
            self.methods["linear discriminant, augmented"] = lambda q: self.classified(self.lda, q)
        if _can_compare(technique):
            self.peer = _RamanSpy(grid, rows, self.slugs)

    def all(self, spectrum: Spectrum) -> dict[str, Said]:
        """Every method on one spectrum."""
        levelled = self.flatten(spectrum)
        query = np.nan_to_num(np.asarray(resample(levelled.axis, levelled.intensity, self.index.grid)))
        said = {name: method(query) for name, method in self.methods.items()}
        if not self.unmixing_only:
            said["derivative cosine"] = self.derivative(spectrum)
        if self.peer is not None:
            plain = np.nan_to_num(np.asarray(resample(spectrum.axis, spectrum.intensity, self.index.grid)))
            said["RamanSPy (protocol P2, SAD)"] = self.peer(plain)
        return said

    def _best(self, scores: np.ndarray, least: float) -> Said:
        slug = str(self.slugs[scores.argmax()])
        score = float(scores.max())
        return Said(slug, frozenset({slug}) if score >= least else frozenset(), {slug: score})

    def hqi(self, query: np.ndarray) -> Said:
        """Best squared correlation after arPLS on both sides, if it is at least `LEAST_HQI`."""
        centred = query - query.mean()
        scores = self.centred @ (centred / (np.linalg.norm(centred) or 1.0))
        return self._best(np.maximum(scores, 0) ** 2, LEAST_HQI)

    def derivative(self, spectrum: Spectrum) -> Said:
        """Best derivative cosine, if its square is at least `LEAST_HQI`."""
        hits = self.index.search(spectrum, 1).hits
        if not hits:
            return Said("", frozenset(), {})
        slug, score = hits[0].reference.compound_slug, hits[0].score ** 2
        return Said(slug, frozenset({slug}) if score >= LEAST_HQI else frozenset(), {slug: score})

    def full_nnls(self, query: np.ndarray) -> Said:
        """Non-negative least squares on the whole library; shares of at least `LEAST_SHARE`."""
        amounts, _ = nnls(self.flat.T, query, maxiter=20 * len(self.flat))
        return self._reported(amounts)

    def omp(self, query: np.ndarray) -> Said:
        """Non-negative orthogonal matching pursuit; ends when a component gains less than 1 % of the norm."""
        chosen: list[int] = []
        amounts = np.empty(0)
        rest, norm = query, float(np.linalg.norm(query))
        while len(chosen) < 6:
            row = int((self.unit @ rest).argmax())
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

    def lasso(self, query: np.ndarray) -> Said:
        """scikit-learn's sparse regression, amounts at least 0, at a hundredth of the largest penalty."""
        from sklearn.linear_model import Lasso

        largest = float((self.unit @ query).max()) / query.size
        if largest <= 0:
            return Said("", frozenset(), {})
        model = Lasso(alpha=0.01 * largest, positive=True, fit_intercept=False, tol=1e-3, max_iter=300)
        # Whatever it has reached by then is what it says.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(self.unit.T, query)
        return self._reported(model.coef_)

    def classified(self, model: Any, query: np.ndarray) -> Said:
        """A classifier trained on references that were moved, tilted, broadened and made noisy."""
        chances = model.predict_proba(_features(query[None]))[0]
        slug, chance = str(model.classes_[chances.argmax()]), float(chances.max())
        return Said(slug, frozenset({slug}) if chance >= LEAST_PROBABILITY else frozenset(), {slug: chance})

    def _reported(self, amounts: np.ndarray) -> Said:
        total = float(amounts.sum())
        if total <= 0:
            return Said("", frozenset(), {})
        found: dict[str, float] = {}
        for slug, amount in zip(self.slugs, amounts / total, strict=True):
            if amount > 0:
                found[str(slug)] = found.get(str(slug), 0.0) + float(amount)
        best = max(found, key=lambda s: found[s])
        return Said(best, frozenset(s for s, a in found.items() if a >= LEAST_SHARE), found)


def _features(flat: np.ndarray) -> np.ndarray:
    """Every other point, of length 1."""
    short = np.maximum(flat, 0)[:, ::2]
    norm = np.linalg.norm(short, axis=1, keepdims=True)
    return np.asarray(short / np.where(norm > 0, norm, 1.0))


def _trained(flat: np.ndarray, slugs: np.ndarray) -> tuple[Any, Any]:
    """A k-nearest-neighbour and a linear discriminant classifier on augmented references."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(_SEED)
    places = np.arange(flat.shape[1])
    more = [flat]
    for _ in range(_AUGMENTED - 1):
        changed = np.empty_like(flat)
        for i, row in enumerate(flat):
            moved = np.interp(places + rng.normal(0, 0.7), places, row)
            moved = gaussian_filter1d(moved, rng.uniform(0.1, 1.0))
            tilt = np.exp(rng.normal(0, 0.2) * np.linspace(-1, 1, row.size))
            changed[i] = moved * tilt + rng.normal(0, rng.uniform(0.002, 0.02) * row.max(), row.size)
        more.append(changed)
    x, y = _features(np.concatenate(more)), np.tile(slugs, _AUGMENTED)
    knn = KNeighborsClassifier(5, metric="cosine", algorithm="brute").fit(x, y)
    pca = PCA(min(120, len(set(slugs)) - 1), svd_solver="randomized", random_state=_SEED)
    return knn, make_pipeline(pca, LinearDiscriminantAnalysis()).fit(x, y)


def _can_compare(technique: Technique) -> bool:
    return technique is Technique.RAMAN and not unavailable()


class _RamanSpy:
    """RamanSPy's second published protocol on both sides, then its spectral angle.

    The first protocol calls what NumPy 2 no longer has.
    """

    def __init__(self, grid: np.ndarray, rows: np.ndarray, slugs: np.ndarray) -> None:
        import ramanspy

        self.lib = ramanspy
        self.grid = grid
        self.slugs = slugs
        self.protocol = ramanspy.preprocessing.protocols.georgiev2023_P2()
        self.known = [self._prepared(row) for row in rows]

    def _prepared(self, row: np.ndarray) -> Any:
        # It warns of every spectrum; what it says is counted all the same.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.protocol.apply(self.lib.Spectrum(row, self.grid))

    def __call__(self, row: np.ndarray) -> Said:
        """Say what has the smallest angle; report it if its squared cosine is at least `LEAST_HQI`."""
        query = self._prepared(row)
        angles = np.array([self.lib.metrics.SAD(query, k) for k in self.known])
        if np.isnan(angles).all():
            return Said("", frozenset(), {})  # Nothing is left of some spectra after its protocol.
        slug = str(self.slugs[np.nanargmin(angles)])
        score = float(np.cos(np.nanmin(angles)) ** 2)
        return Said(slug, frozenset({slug}) if score >= LEAST_HQI else frozenset(), {slug: score})
