"""How well computed spectra find their substance: real measured spectra against every computed candidate.

``python fitness.py --packed DIR [--packed DIR2] --data MEASURED`` prints the table; needs this project
installed, for its readers.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import broaden
import correction
import numpy as np
import pack

_HERE = Path(__file__).resolve().parent
QUERIES = _HERE / "measured_queries.csv"
CORRECTION = _HERE / "correction.json"
TECHNIQUES = ("raman", "infrared")
GRIDS = {"raman": broaden.RAMAN_GRID, "infrared": broaden.INFRARED_GRID}
FOLDS = 5


@dataclass(frozen=True)
class Query:
    """One measured spectrum of a known substance.

    Attributes
    ----------
    file : str
        Below the folder of measured spectra.
    inchikey : str
    technique : {"raman", "infrared"}
    state : {"gas", "liquid", "solution", "solid"}
    form : {"neutral", "protonated"}
        Which form of the molecule the sample holds, as far as is known.
    values : ndarray, shape (1024,)
        Intensity or absorbance on the common grid, baseline removed, largest value 1; NaN where not measured.
    """

    file: str
    inchikey: str
    technique: str
    state: str
    form: str
    values: np.ndarray

    @property
    def skeleton(self) -> str:
        """First block of the InChIKey: connectivity without stereochemistry."""
        return skeleton(self.inchikey)


def skeleton(inchikey: str) -> str:
    """First block of an InChIKey."""
    return inchikey.split("-")[0]


def fold(inchikey: str) -> int:
    """Fold 0 to 4 of a substance, fixed for good by its skeleton."""
    return int.from_bytes(hashlib.sha256(skeleton(inchikey).encode()).digest()[:8], "big") % FOLDS


def _measured(path: Path, technique: str) -> tuple[np.ndarray, np.ndarray]:
    """Axis in cm-1, ascending, and intensity or absorbance."""
    import spectralid
    from spectralid.preprocess.convert import to_absorbance

    if path.suffix == ".json":
        spectrum = json.loads(path.read_text(encoding="utf-8"))["spectrum"]
        percent = np.asarray(spectrum["y"], dtype=float)
        axis = np.linspace(spectrum["firstX"], spectrum["lastX"], len(percent))
        return axis, -np.log10(np.clip(percent, 1, None) / 100)
    if technique == "raman":
        spectrum = spectralid.read(path, technique="raman")
    else:
        spectrum = to_absorbance(spectralid.read_all(path)[0])
    return np.asarray(spectrum.axis), np.asarray(spectrum.intensity)


def _prepared(axis: np.ndarray, values: np.ndarray, technique: str) -> np.ndarray:
    from spectralid.preprocess.baseline import Baseline
    from spectralid.preprocess.resample import resample

    grid = GRIDS[technique]
    on_grid = resample(axis, values, grid)
    if technique == "raman":
        on_grid = np.where(grid < 200, np.nan, on_grid)  # edge filters
    step = Baseline("arpls", scale_cm1=335 if technique == "raman" else 800, axis=grid)
    flat = np.clip(step.transform(on_grid[None])[0], 0, None)
    return flat / np.nanmax(flat)


def load_queries(data: Path, table: Path = QUERIES, skeletons: Iterable[str] | None = None) -> list[Query]:
    """Read the measured spectra listed in `table`; only those of `skeletons`, if given."""
    wanted = None if skeletons is None else set(skeletons)
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [
        Query(
            **{name: row[name] for name in ("file", "inchikey", "technique", "state", "form")},
            values=_prepared(*_measured(data / row["file"], row["technique"]), row["technique"]),
        )
        for row in rows
        if wanted is None or skeleton(row["inchikey"]) in wanted
    ]


@dataclass(frozen=True)
class Candidates:
    """All computed molecules: form, InChIKey and force field of each."""

    forms: tuple[str, ...]
    inchikeys: tuple[str, ...]
    molecules: tuple[correction.ForceField, ...]

    @classmethod
    def read(cls, folders: Iterable[Path]) -> Candidates:
        """From folders of packed results; what several hold is taken from the first."""
        found: dict[str, correction.ForceField] = {}
        for folder in folders:
            for entry in pack.read(folder):
                if entry.key not in found:
                    found[entry.key] = correction.force_field(
                        entry.numbers,
                        entry.masses,
                        entry.positions,
                        entry.hessian,
                        entry.dipole,
                        entry.polarizability,
                    )
        keys = sorted(found)
        forms, inchikeys = zip(*(key.split("/") for key in keys), strict=True)
        return cls(forms, inchikeys, tuple(found[key] for key in keys))

    @cached_property
    def skeletons(self) -> np.ndarray:
        """First InChIKey block of each molecule."""
        return np.array([skeleton(key) for key in self.inchikeys])

    def of(self, wanted: str, form: str = "neutral") -> np.ndarray:
        """Numbers of the molecules with a skeleton, those of the given form first."""
        own = np.flatnonzero(self.skeletons == wanted)
        return own[np.argsort([self.forms[i] != form for i in own], kind="stable")]


class Scorer:
    """Weighted correlation of measured and computed spectra, both compressed so that weak bands count.

    Parameters
    ----------
    queries : list of ndarray, shape (1024,)
        :attr:`Query.values`.
    technique : {"raman", "infrared"}
    stride : int
        Use every so many points of the grid only.
    """

    #: Exponent of both spectra. Relative strengths are the least certain part of a computed spectrum.
    EXPONENT = 0.4

    def __init__(self, queries: list[np.ndarray], technique: str, stride: int = 1) -> None:
        grid = GRIDS[technique][::stride]
        values = np.array(queries)[:, ::stride] ** self.EXPONENT
        # Stretches of bonds to hydrogen say little about which substance it is.
        weights = np.where(grid > 2000, 0.3, 1.0)
        if technique == "infrared":
            weights[(grid > 2250) & (grid < 2450)] = 0.0  # carbon dioxide of the air
        self._weights = np.where(np.isfinite(values), weights, 0.0)
        self._weights /= self._weights.sum(axis=1, keepdims=True)
        centred = np.nan_to_num(values)
        centred -= np.sum(self._weights * centred, axis=1, keepdims=True)
        norm = np.sqrt(np.sum(self._weights * centred**2, axis=1, keepdims=True))
        self._weighted = self._weights * centred / norm

    def _compressed(self, spectra: np.ndarray) -> np.ndarray:
        return np.maximum(spectra, 1e-30) ** self.EXPONENT

    def _moments(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = self._weights @ z.T
        return mean, np.sqrt(np.maximum(self._weights @ (z**2).T - mean**2, 1e-30))

    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        """Scores (n_queries, n_candidates), -1 to 1, of `spectra` (n_candidates, n_grid)."""
        z = self._compressed(spectra)
        return (self._weighted @ z.T) / self._moments(z)[1]

    def backward(self, spectra: np.ndarray, by_score: np.ndarray) -> np.ndarray:
        """Gradient by `spectra` of something whose gradient by the scores is `by_score`."""
        z = self._compressed(spectra)
        mean, spread = self._moments(z)
        pull = by_score * (self._weighted @ z.T) / spread**3
        by_z = (
            (by_score / spread).T @ self._weighted
            - (pull.T @ self._weights) * z
            + (pull * mean).T @ self._weights
        )
        return by_z * self.EXPONENT * z / np.maximum(spectra, 1e-30)


def ranks(scores: np.ndarray, candidates: Candidates, queries: list[Query]) -> tuple[np.ndarray, np.ndarray]:
    """Rank of the right substance among all, and its score, for each query.

    Forms and stereoisomers of one skeleton are one substance with the best of their scores.
    """
    names, substance = np.unique(candidates.skeletons, return_inverse=True)
    best = np.full((len(scores), len(names)), -np.inf)
    for column, number in enumerate(substance):
        best[:, number] = np.maximum(best[:, number], scores[:, column])
    own = best[np.arange(len(queries)), np.searchsorted(names, [query.skeleton for query in queries])]
    return 1 + np.sum(best > own[:, None], axis=1), own


@dataclass(frozen=True)
class Figures:
    """Retrieval figures of a set of queries; each with the bounds of its 95 % interval."""

    top1: tuple[float, float, float]
    top5: tuple[float, float, float]
    top10: tuple[float, float, float]
    median_rank: tuple[float, float, float]
    median_score: tuple[float, float, float]
    queries: int
    substances: int

    @classmethod
    def of(cls, rank: np.ndarray, score: np.ndarray, queries: list[Query]) -> Figures:
        """Intervals from drawing substances, not spectra, with replacement (2,000 times)."""
        names, substance = np.unique([query.skeleton for query in queries], return_inverse=True)
        members = [np.flatnonzero(substance == i) for i in range(len(names))]
        generator = np.random.default_rng(0)
        draws = [
            np.concatenate([members[i] for i in generator.integers(len(names), size=len(names))])
            for _ in range(2000)
        ]

        def figure(measure: np.ndarray, summary: str) -> tuple[float, float, float]:
            summarise = getattr(np, summary)
            low, high = np.quantile([summarise(measure[draw]) for draw in draws], (0.025, 0.975))
            return float(summarise(measure)), float(low), float(high)

        return cls(
            top1=figure(rank <= 1, "mean"),
            top5=figure(rank <= 5, "mean"),
            top10=figure(rank <= 10, "mean"),
            median_rank=figure(rank, "median"),
            median_score=figure(score, "median"),
            queries=len(queries),
            substances=len(names),
        )

    def row(self, name: str) -> str:
        """One line of a Markdown table."""

        def share(value: tuple[float, float, float]) -> str:
            return f"{100 * value[0]:.0f} % ({100 * value[1]:.0f}–{100 * value[2]:.0f})"

        rank = f"{self.median_rank[0]:g} ({self.median_rank[1]:g}–{self.median_rank[2]:g})"
        score = f"{self.median_score[0]:.2f} ({self.median_score[1]:.2f}–{self.median_score[2]:.2f})"
        return (
            f"| {name} | {self.queries} / {self.substances} | {share(self.top1)} | {share(self.top5)} | "
            f"{share(self.top10)} | {rank} | {score} |"
        )


def spectra_of(
    candidates: Candidates,
    learned: correction.Correction,
    technique: str,
    lines: list[correction.Lines] | None = None,
) -> np.ndarray:
    """Spectra (n_candidates, 1024) of all candidates under a correction."""
    lines = lines or [correction.corrected_lines(molecule, learned) for molecule in candidates.molecules]
    return np.array(
        [correction.corrected_spectrum(line, learned, technique, GRIDS[technique]) for line in lines]
    )


def plain_scores(candidates: Candidates, queries: list[Query], technique: str) -> tuple[np.ndarray, str]:
    """Scores with the best single frequency factor, and which it is.

    Factor, width and power are chosen on the very queries that are then judged, which favours plain.
    """
    uncorrected = [correction.corrected_lines(m, correction.Correction()) for m in candidates.molecules]
    scorer = Scorer([query.values for query in queries], technique)

    def attempt(setting: tuple[float, float, float]) -> tuple[float, np.ndarray]:
        factor, width, power = setting
        lines = [replace(line, frequencies=line.frequencies * factor) for line in uncorrected]
        scores = scorer(spectra_of(candidates, correction.plain(1.0, width, power), technique, lines))
        return float(np.mean(1 / ranks(scores, candidates, queries)[0])), scores

    results = {(f, 30.0, 0.8): attempt((f, 30.0, 0.8)) for f in (0.95, 0.96, 0.97, 0.98, 0.99, 1.0)}
    factor = max(results, key=lambda s: results[s][0])[0]
    for width, power in ((20.0, 0.8), (45.0, 0.8), (30.0, 0.6), (45.0, 0.6), (30.0, 1.0)):
        results[factor, width, power] = attempt((factor, width, power))
    best = max(results, key=lambda s: results[s][0])
    return results[best][1], f"factor {best[0]:g}, width {best[1]:g} cm⁻¹, power {best[2]:g}"


def cross_validated_scores(
    candidates: Candidates, queries: list[Query], technique: str, folds: tuple[correction.Correction, ...]
) -> np.ndarray:
    """Scores of each query under the correction of its own fold, which its substance did not train.

    Raises
    ------
    ValueError
        If a correction was trained on a substance of its own fold.
    """
    scores = np.empty((len(queries), len(candidates.molecules)))
    for number, learned in enumerate(folds):
        if any(fold(key) == number for key in learned.trained_on):
            raise ValueError(f"correction {number} was trained on substances of its own fold: train it again")
        rows = [i for i, query in enumerate(queries) if fold(query.inchikey) == number]
        if rows:
            scorer = Scorer([queries[i].values for i in rows], technique)
            scores[rows] = scorer(spectra_of(candidates, learned, technique))
    return scores


def _groups(queries: list[Query]) -> dict[str, np.ndarray]:
    states = np.array([query.state for query in queries])
    drugs = np.array([query.file.startswith("enfsi") for query in queries])
    groups = {
        "all": np.full(len(queries), True),
        "gas": states == "gas",
        "not gas": states != "gas",
        "drugs": drugs,
    }
    return {name: mask for name, mask in groups.items() if mask.any() and (name == "all" or not mask.all())}


def table(candidates: Candidates, queries: list[Query], path: Path) -> Iterable[str]:
    """Lines of the fitness table."""
    everything, folds = correction.load(path)
    present = [query for query in queries if len(candidates.of(query.skeleton))]
    count = len(set(candidates.skeletons))
    yield f"{count} candidate substances ({len(candidates.molecules)} molecules), {len(present)} spectra."
    yield ""
    yield "| queries | spectra / substances | top-1 | top-5 | top-10 | median rank | median score |"
    yield "|---|---|---|---|---|---|---|"
    for technique in TECHNIQUES:
        own = [query for query in present if query.technique == technique]
        if not own:
            continue
        plain, setting = plain_scores(candidates, own, technique)
        inside = Scorer([query.values for query in own], technique)(
            spectra_of(candidates, everything, technique)
        )
        versions = {
            f"plain ({setting})": plain,
            "cross-validated": cross_validated_scores(candidates, own, technique, folds),
            "in-sample": inside,
        }
        for version, scores in versions.items():
            rank, score = ranks(scores, candidates, own)
            for group, mask in _groups(own).items():
                chosen = [query for query, kept in zip(own, mask, strict=True) if kept]
                yield Figures.of(rank[mask], score[mask], chosen).row(f"{technique}, {group}: {version}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments shared with the training."""
    parser.add_argument(
        "--packed",
        type=Path,
        action="append",
        required=True,
        help="folder of packed results; may be repeated",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=_HERE.parents[2] / "shared" / "data",
        help="folder of measured spectra that measured_queries.csv refers to",
    )


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--correction", type=Path, default=CORRECTION)
    arguments = parser.parse_args()
    candidates = Candidates.read(arguments.packed)
    queries = load_queries(arguments.data, skeletons=candidates.skeletons)
    for line in table(candidates, queries, arguments.correction):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
