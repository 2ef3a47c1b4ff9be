"""Plain retrieval across instruments: 80 references of one portable unit, queries from everybody else's.

    python benchmarks/cross_instrument.py [--shared DIR] [--json FILE]

`cross_instrument_queries.csv` says what each query file is: ``pure`` (one substance, in the library),
``product`` (a tablet: its main substance is in the library), ``absent`` (a substance the library does
not hold) or ``unsure`` (a household mixture nobody stated, or a spectrum made worse on purpose). Only
``pure`` counts for first places. Thresholds were set without any of these files
(`retrieval_thresholds.py`), so the verdicts here are a held-out check.

Shown side by side: derivative-cosine and hit quality index, each on the spectra as they are and after
arPLS on both sides. The shift search (the axis moved by up to 16 cm⁻¹, whichever place fits some
reference best) is information only: it is what a free shift per query would do, for better and for
worse.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _shared import shared_data
from _wasatch import wasatch_library
from tqdm import tqdm

from spectralid import ReferenceLibrary, SpectralIDError, Spectrum, Technique, read_all
from spectralid.identify import Identifier, RetrievalIndex
from spectralid.preprocess import Pipeline
from spectralid.preprocess.baseline import Baseline
from spectralid.verdict import VerdictKind, decide

QUERIES = Path(__file__).with_name("cross_instrument_queries.csv")
SHIFTS = np.arange(-16.0, 17.0)
METHODS = ("derivative", "derivative, arPLS", "HQI", "HQI, arPLS")


@dataclass
class Query:
    """One query file and what came of it."""

    collection: str
    file: str
    substance: str
    role: str
    note: str
    problem: str = ""
    ranks: dict[str, int | None] = field(default_factory=dict)
    score: float = math.nan
    best: str = ""
    verdict: str = ""
    named: tuple[str, ...] = ()
    shift_best: str = ""
    shift_cm1: float = math.nan
    true_shift_cm1: float = math.nan
    true_score: float = math.nan
    true_score_shifted: float = math.nan


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if n == 0:
        return 0.0, 1.0
    p = hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, n: int) -> str:
    """A count with its interval."""
    if n == 0:
        return "–"
    low, high = wilson(hits, n)
    return f"{hits}/{n} = {hits / n:.0%} ({low:.0%}–{high:.0%})"


class Matcher:
    """Ranks of compounds for one library, as it is or after a baseline on both sides."""

    def __init__(self, library: ReferenceLibrary) -> None:
        self.index = RetrievalIndex.from_library(library, Technique.RAMAN)
        self.slugs = np.array([row.compound_slug for row in self.index.rows])

    def ranked(self, spectrum: Spectrum, measure: str) -> list[tuple[str, float]]:
        """Compounds with their best score, best first."""
        scores = self.index.scores(self.index.on_grid(spectrum)[None], measure=measure)[0]
        return self._per_compound(scores)

    def _per_compound(self, scores: np.ndarray) -> list[tuple[str, float]]:
        best: dict[str, float] = {}
        for row in np.argsort(-np.nan_to_num(scores, nan=-9.0), kind="stable"):
            if np.isfinite(scores[row]):
                best.setdefault(str(self.slugs[row]), float(scores[row]))
        return list(best.items())

    def shifted(self, spectrum: Spectrum) -> np.ndarray:
        """Derivative-cosine at every shift, shape (n_shifts, n_references)."""
        queries = [self.index.on_grid(spectrum.replace(axis=spectrum.axis + s)) for s in SHIFTS]
        return self.index.scores(np.stack(queries))


def rank_of(substance: str, ranked: Sequence[tuple[str, float]]) -> int | None:
    """Place of the right substance; ``None`` if it was not comparable."""
    names = [name for name, _ in ranked]
    return names.index(substance) + 1 if substance in names else None


def run(query: Query, data: Path, identifier: Identifier, plain: Matcher, flat: Matcher) -> None:
    """Fill in what came of one query."""
    try:
        spectrum = read_all(data / query.collection / query.file, technique="raman")[0]
    except SpectralIDError as error:
        query.problem = str(error).rsplit(": ", 1)[-1]
        return
    identification = identifier.identify(spectrum)
    verdict = decide(identification, identifier.library)
    query.verdict, query.named = verdict.kind.value, verdict.named
    if not identification.candidates:
        query.problem = "no comparable reference"
        return
    query.best, query.score = identification.candidates[0].compound_slug, identification.candidates[0].score
    levelled = Pipeline([Baseline()])(spectrum)
    for method, (matcher, source, measure) in {
        "derivative": (plain, spectrum, "derivative"),
        "derivative, arPLS": (flat, levelled, "derivative"),
        "HQI": (plain, spectrum, "hqi"),
        "HQI, arPLS": (flat, levelled, "hqi"),
    }.items():
        query.ranks[method] = rank_of(query.substance, matcher.ranked(source, measure))
    moved = np.nan_to_num(plain.shifted(spectrum), nan=-1.0)
    place, row = np.unravel_index(int(moved.argmax()), moved.shape)
    query.shift_best, query.shift_cm1 = str(plain.slugs[row]), float(SHIFTS[place])
    own = plain.slugs == query.substance
    if own.any():
        track = moved[:, own].max(axis=1)
        query.true_shift_cm1 = float(SHIFTS[track.argmax()])
        query.true_score, query.true_score_shifted = float(track[SHIFTS == 0][0]), float(track.max())


def cause(query: Query) -> str:
    """Why the right substance was not first, as far as the numbers say."""
    gain = query.true_score_shifted - query.true_score
    if abs(query.true_shift_cm1) >= 3 and gain > 0.1:
        return f"axis off: {query.true_score_shifted:.2f} after {query.true_shift_cm1:+.0f} cm⁻¹"
    if query.true_score > 0.9:
        return "a near twin in the library"
    return f"unlike at any shift (at most {query.true_score_shifted:.2f})"


def first_places(queries: list[Query]) -> list[str]:
    """Table of first and first three places per collection and method."""
    lines = ["| collection | n | " + " | ".join(METHODS) + " | derivative in first 3 | with shift search |"]
    lines.append("|---" * (len(METHODS) + 4) + "|")
    groups = sorted({q.collection for q in queries})
    for group in [*groups, ""]:
        chosen = [q for q in queries if group in ("", q.collection)]
        cells = [share(sum(q.ranks.get(m) == 1 for q in chosen), len(chosen)) for m in METHODS]
        cells.append(share(sum((q.ranks.get("derivative") or 99) <= 3 for q in chosen), len(chosen)))
        cells.append(share(sum(q.shift_best == q.substance for q in chosen), len(chosen)))
        lines.append(f"| {group or '**all**'} | {len(chosen)} | " + " | ".join(cells) + " |")
    return lines


def by_substance(queries: list[Query]) -> list[str]:
    """First places with every substance and collection counted once: share of its queries that were right."""
    pairs: dict[tuple[str, str], list[bool]] = {}
    for q in queries:
        pairs.setdefault((q.collection, q.substance), []).append(q.ranks.get("derivative") == 1)
    right = sum(float(np.mean(v)) for v in pairs.values())
    return [
        f"{len(queries)} queries are {len({s for _, s in pairs})} substances in {len(pairs)} pairs of "
        f"substance and collection; with each pair counted once, {right:.1f} of {len(pairs)} are first."
    ]


def verdicts(queries: list[Query]) -> list[str]:
    """Table of verdicts per role."""
    kinds = [k.value for k in VerdictKind if k.value not in ("mixture", "family")]
    lines = ["| role | n | " + " | ".join(kinds) + " | identified wrongly |", "|---" * (len(kinds) + 3) + "|"]
    for role in ("pure", "product", "absent", "unsure"):
        chosen = [q for q in queries if q.role == role]
        count = Counter(q.verdict for q in chosen)
        wrong = sum(is_wrong(q) for q in chosen)
        told = "not judged" if role == "unsure" else share(wrong, len(chosen))
        lines.append(
            f"| {role} | {len(chosen)} | " + " | ".join(str(count[k]) for k in kinds) + f" | {told} |"
        )
    return lines


def is_wrong(query: Query) -> bool:
    """Whether a name was given that is not the substance."""
    return query.verdict == "identified" and query.named != (query.substance,)


def report(queries: list[Query]) -> str:
    """Everything as Markdown."""
    read = [q for q in queries if not q.problem]
    pure = [q for q in read if q.role == "pure"]
    lines = [
        "## First places (substance in the library)",
        "",
        *first_places(pure),
        "",
        *by_substance(pure),
        "",
    ]
    lines += ["Not first with the derivative-cosine:", ""]
    for q in pure:
        if q.ranks.get("derivative") != 1:
            place = f"place {q.ranks['derivative']}" if q.ranks.get("derivative") else "not comparable"
            lines.append(
                f"* {q.collection}/{q.file}: {q.substance} ({q.true_score:.2f}) {place}, first {q.best} "
                f"({q.score:.2f}); {cause(q)}"
            )
    lines += ["", "First after the shift search, and wrong:", ""]
    lines += [
        f"* {q.collection}/{q.file}: {q.substance} taken for {q.shift_best} at {q.shift_cm1:+.0f} cm⁻¹"
        for q in pure
        if q.shift_best != q.substance
    ]
    lines += ["", "## Verdicts", "", *verdicts(read), "", "Identified, and not what the file says:", ""]
    wrong = [
        f"* {q.collection}/{q.file} ({q.note or q.substance}, {q.role}): {q.named[0]} at {q.score:.3f}"
        for q in read
        if is_wrong(q)
    ]
    lines += wrong or ["none"]
    named = [q for q in read if q.role == "pure" and q.verdict == "inconclusive"]
    among = sum(q.substance in q.named for q in named)
    lines += [
        "",
        f"Inconclusive on a pure substance: the right one is among those told in {share(among, len(named))}.",
    ]
    unread = [q for q in queries if q.problem]
    lines += ["", f"Not compared: {len(unread)} files.", ""]
    lines += [f"* {q.collection}/{q.file}: {q.problem}" for q in unread]
    return "\n".join(lines)


def as_json(query: Query) -> dict[str, Any]:
    """Plain form; what is not known is null."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in vars(query).items()
    }


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="folder that holds data/ (default: SPECTRALID_SHARED)")
    parser.add_argument("--json", type=Path, help="write every query's outcome there")
    arguments = parser.parse_args()
    if arguments.shared:
        os.environ["SPECTRALID_SHARED"] = str(arguments.shared)
    data = shared_data()
    with QUERIES.open(encoding="utf-8", newline="") as file:
        queries = [
            Query(q["collection"], q["file"], q["substance"], q["role"], q["note"])
            for q in csv.DictReader(file)
        ]
    with (
        tempfile.TemporaryDirectory() as first,
        tempfile.TemporaryDirectory() as second,
        wasatch_library(data, Path(first)) as library,
        wasatch_library(data, Path(second), Pipeline([Baseline()])) as level,
    ):
        identifier, plain, flat = Identifier(library), Matcher(library), Matcher(level)
        for query in tqdm(queries, unit="query", disable=None):
            run(query, data, identifier, plain, flat)
    print(report(queries))
    if arguments.json:
        text = json.dumps([as_json(q) for q in queries], ensure_ascii=False, indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
