"""How well computed spectra find their substance: real measured spectra against every computed candidate.

``python fitness.py --packed DIR [--packed DIR2] --data MEASURED`` prints the table; ``--record FILE`` writes
the figures the library keeps. Needs this project installed, for its readers and its measure of likeness.
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
from typing import Any

import broaden
import correction
import numpy as np
import pack

import spectralid
from spectralid.identify import leads
from spectralid.preprocess.convert import to_absorbance

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


def _measured(path: Path, technique: str) -> np.ndarray:
    """Intensity or absorbance as it is compared, on the common grid."""
    if path.suffix == ".json":
        stored = json.loads(path.read_text(encoding="utf-8"))["spectrum"]
        percent = np.asarray(stored["y"], dtype=float)
        spectrum = spectralid.Spectrum(
            np.linspace(stored["firstX"], stored["lastX"], len(percent)),
            -np.log10(np.clip(percent, 1, None) / 100),
            technique="ftir",
            unit="absorbance",
        )
    elif technique == "raman":
        spectrum = spectralid.read(path, technique="raman")
    else:
        spectrum = to_absorbance(spectralid.read_all(path)[0])
    return leads.comparable(spectrum)


def load_queries(data: Path, table: Path = QUERIES, skeletons: Iterable[str] | None = None) -> list[Query]:
    """Read the measured spectra listed in `table`; only those of `skeletons`, if given."""
    wanted = None if skeletons is None else set(skeletons)
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [
        Query(
            **{name: row[name] for name in ("file", "inchikey", "technique", "state", "form")},
            values=_measured(data / row["file"], row["technique"]),
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


class Scorer(leads.LeadScorer):
    """The package's measure of likeness, with its gradient.

    Parameters
    ----------
    queries : list of ndarray, shape (1024,)
        :attr:`Query.values`.
    technique : {"raman", "infrared"}
    stride : int
        Use every so many points of the grid only.
    """

    def __init__(self, queries: list[np.ndarray], technique: str, stride: int = 1) -> None:
        super().__init__(np.array(queries)[:, ::stride], GRIDS[technique][::stride], technique)

    def backward(self, spectra: np.ndarray, by_score: np.ndarray) -> np.ndarray:
        """Gradient by `spectra` of something whose gradient by the scores is `by_score`."""
        z = self.compressed(spectra)
        mean, spread = self.moments(z)
        pull = by_score * (self.weighted @ z.T) / spread**3
        by_z = (
            (by_score / spread).T @ self.weighted
            - (pull.T @ self.weights) * z
            + (pull * mean).T @ self.weights
        )
        return by_z * leads.EXPONENT * z / np.maximum(spectra, 1e-30)


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


def records(candidates: Candidates, queries: list[Query], path: Path) -> Iterable[dict[str, Any]]:
    """Cross-validated figures as the library keeps them (:class:`spectralid.library.Fitness`)."""
    _, folds = correction.load(path)
    present = [query for query in queries if len(candidates.of(query.skeleton))]
    for technique in TECHNIQUES:
        own = [query for query in present if query.technique == technique]
        if not own:
            continue
        rank, score = ranks(cross_validated_scores(candidates, own, technique, folds), candidates, own)
        for group, mask in _groups(own).items():
            chosen = [query for query, kept in zip(own, mask, strict=True) if kept]
            figures = Figures.of(rank[mask], score[mask], chosen)
            yield {
                "tier": "computed",
                "technique": technique,
                "group": group,
                "queries": figures.queries,
                "substances": figures.substances,
                "candidates": len(set(candidates.skeletons)),
                **{
                    name: [round(value, 4) for value in getattr(figures, name)]
                    for name in ("top1", "top5", "top10", "median_rank")
                },
                "evaluated": "cross-validated by compound",
                "source": "python libraries/recipe/fitness.py --record libraries/fitness.json",
            }


def write_records(path: Path, tier: str, new: Iterable[dict[str, Any]]) -> None:
    """Put the records of a tier in the place of its older ones; other tiers' stay."""
    old = json.loads(path.read_text(encoding="utf-8"))["records"] if path.exists() else []
    kept = [record for record in old if record["tier"] != tier]
    text = json.dumps({"format": 1, "records": [*kept, *new]}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


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
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write the cross-validated figures to FILE (../fitness.json) and print no table",
    )
    arguments = parser.parse_args()
    candidates = Candidates.read(arguments.packed)
    queries = load_queries(arguments.data, skeletons=candidates.skeletons)
    if arguments.record:
        found = list(records(candidates, queries, arguments.correction))
        write_records(arguments.record, "computed", found)
        return 0
    for line in table(candidates, queries, arguments.correction):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
