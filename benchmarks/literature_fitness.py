"""How well literature references find their substance: spectra other people measured against all of them.

    python benchmarks/literature_fitness.py [--shared DIR] [--library FILE] [--record FILE] [--list]

`literature_queries.csv` names the spectra (collection, file, item within the file, slugs of the substance,
technique). None comes from a collection its substance's reference was fitted to. Of round-robin collections
one spectrum per instrument and substance is taken. Every query is compared with all references of the
literature tier by the engine's own retrieval; substances that share too little with the query to be compared
come last. Intervals are for 95 % and come from drawing substances with replacement.

``--record FILE`` writes the figures into the ``fitness.json`` the library is built with; ``--list`` prints
every query.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _shared import shared_data

import spectralid
from spectralid import ReferenceLibrary, SpectralIDError, Spectrum
from spectralid.identify import RetrievalIndex
from spectralid.library.openspecy import read_openspecy
from spectralid.library.rds import read_rds
from spectralid.preprocess.convert import to_absorbance

HERE = Path(__file__).resolve().parent
QUERIES = HERE / "literature_queries.csv"
RECIPE = HERE.parent / "libraries" / "recipe"
PARTS = ("raman", "infrared")


@dataclass(frozen=True)
class Query:
    """One measured spectrum of a known substance and what came of it.

    Attributes
    ----------
    name : str
        Collection, file and item.
    technique : {"raman", "infrared"}
    truths : tuple of str
        Slugs that are right.
    rank : int
        Of the best right substance, 1 being best.
    score : float
        Its score; NaN if it could not be compared.
    best : str
        The substance that came first.
    fitted : bool
        Whether the right reference is a fit to a measured spectrum, not a published table.
    note : str
    """

    name: str
    technique: str
    truths: tuple[str, ...]
    rank: int
    score: float
    best: str
    fitted: bool
    note: str

    @property
    def skeleton(self) -> str:
        """What counts as one substance in drawing."""
        return self.truths[0]


def measured(data: Path, row: dict[str, str]) -> Spectrum:
    """The spectrum a row of the table names."""
    path = data / row["collection"] / row["file"]
    if row["collection"] == "ramanmp":
        table = read_rds(path).data[0].elements()
        axis, values = (np.asarray(table[name].data, dtype=float) for name in ("freq", row["item"]))
        there = np.isfinite(values)
        return Spectrum.from_points(axis[there], values[there], technique="raman")
    if row["item"]:
        return next(s for s in read_openspecy(path) if s.acquisition.metadata["SpectrumID"] == row["item"])
    technique = "raman" if row["technique"] == "raman" else "ftir"
    found = spectralid.read_all(path, technique=technique)[0]
    return found if found.technique.value == "raman" else to_absorbance(found)


def answers(data: Path, library: ReferenceLibrary) -> Iterator[Query]:
    """Rank of the right substance for every query whose substance the literature tier knows."""
    index = {part: RetrievalIndex.from_library(library, technique(part)) for part in PARTS}
    with QUERIES.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        part = index[row["technique"]]
        slugs = np.array([info.compound_slug for info in part.rows])
        truths = tuple(slug for slug in row["slug"].split("|") if slug in slugs)
        if not truths:
            continue
        name = "/".join(row[column] for column in ("collection", "file", "item") if row[column])
        try:
            scores = part.scores(part.on_grid(measured(data, row))[None])[0]
        except SpectralIDError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        scores = np.nan_to_num(scores, nan=-np.inf)
        best = {slug: scores[slugs == slug].max() for slug in np.unique(slugs)}
        own = max(best[slug] for slug in truths)
        others = [score for slug, score in best.items() if slug not in truths]
        rank = 1 + sum(score > own for score in others) if np.isfinite(own) else 1 + len(others)
        right = part.rows[int(np.argmax(np.where(np.isin(slugs, truths), scores, -np.inf)))]
        yield Query(
            name,
            row["technique"],
            truths,
            rank,
            float(own) if np.isfinite(own) else float("nan"),
            max(best, key=best.__getitem__),
            right.source.startswith("bands fitted"),
            row["note"],
        )


def technique(part: str) -> spectralid.Technique:
    """Technique whose references are searched."""
    return spectralid.Technique.RAMAN if part == "raman" else spectralid.Technique.FTIR


def groups(queries: list[Query], part: str) -> dict[str, list[Query]]:
    """The queries of a technique, and the two kinds of references apart."""
    own = [query for query in queries if query.technique == part]
    found = {"all": own}
    for name, fitted in (("fitted bands", True), ("published tables", False)):
        some = [query for query in own if query.fitted == fitted]
        if some and len(some) < len(own):
            found[name] = some
    return found


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, help="folder of measured spectra, instead of the usual one")
    parser.add_argument("--library", type=Path, help="library file, instead of the bundled one")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write the figures into this fitness.json"
    )
    parser.add_argument("--list", action="store_true", help="print every query")
    arguments = parser.parse_args()
    sys.path.insert(0, str(RECIPE))
    import fitness

    records: list[dict[str, Any]] = []
    with spectralid.open_library(arguments.library or "spectralid") as library:
        queries = list(answers(arguments.shared or shared_data(), library))
        candidates = {
            part: len(
                {info.compound_slug for info in RetrievalIndex.from_library(library, technique(part)).rows}
            )
            for part in PARTS
        }
    if arguments.list:
        for query in sorted(queries, key=lambda query: (query.technique, -query.rank)):
            print(
                f"{query.technique} rank {query.rank} score {query.score:.2f} {'|'.join(query.truths)} "
                f"(first: {query.best}) {query.name} {query.note}"
            )
    print("| queries | spectra / substances | top-1 | top-5 | top-10 | median rank | median score |")
    print("|---|---|---|---|---|---|---|")
    for part in PARTS:
        for group, chosen in groups(queries, part).items():
            rank = np.array([query.rank for query in chosen])
            score = np.nan_to_num([query.score for query in chosen])
            figures = fitness.Figures.of(rank, score, chosen)
            print(figures.row(f"{part}, {group}, {candidates[part]} candidates"))
            records.append(
                {
                    "tier": "literature",
                    "technique": part,
                    "group": group,
                    "queries": figures.queries,
                    "substances": figures.substances,
                    "candidates": candidates[part],
                    **{
                        name: [round(value, 4) for value in getattr(figures, name)]
                        for name in ("top1", "top5", "top10", "median_rank")
                    },
                    "evaluated": "other instruments and collections than the references'",
                    "source": "python benchmarks/literature_fitness.py --record libraries/fitness.json",
                }
            )
    if arguments.record:
        fitness.write_records(arguments.record, "literature", records)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
