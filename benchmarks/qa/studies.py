"""Validation studies on real data, as `spectralid qa validate` makes them.

    python benchmarks/qa/studies.py --out build/studies    # reports, and the table of docs/qa-studies.md

The samples are those of `benchmarks/identification/real.py` (which says where each comes from, what is
derived and not measured, and what is not independent); here each collection becomes a manifest and a library,
and goes through the functions behind the command.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "identification"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _shared import shared_data
from _wasatch import wasatch_library
from real import binaries, biodiesel, cross_instrument, salts, tablets, textiles
from tracks import Query

from spectralid import open_library
from spectralid.io import write
from spectralid.qa.manifest import read_manifest
from spectralid.qa.measures import detection_limits
from spectralid.qa.study import Study, run_study
from spectralid.qa.study_report import study_document
from spectralid.qa.tables import summary

COLUMNS = (
    "study",
    "samples",
    "named completely",
    "at least one named",
    "named in vain",
    "the same, where the library has nothing of it",
    "limit of detection",
)


def studies(data: Path, folder: Path) -> Iterator[tuple[str, list[Query]]]:
    """Title and samples of each study."""
    measured = wasatch_library(data, folder)
    held = {r.compound_slug for r in measured.references}
    pure = list(cross_instrument(data, str(measured.path), held))
    yield (
        "Acetaminophen and its tablet on other instruments",
        "group",
        [query for query in pure if "acetaminophen" in query.pair],
    )
    yield "Pure and absent substances on other instruments", pure
    yield "Solvent binaries on a low-cost unit", list(binaries(data, str(measured.path), held))
    for infrared, kind in ((False, "Raman"), (True, "infrared")):
        made = list(salts(data, folder, infrared=infrared))
        for library in dict.fromkeys(query.library for query in made):
            some = [query for query in made if query.library == library]
            yield f"Salt solutions, {kind}, {Path(library).stem}", some
    yield "Tablets with 5 to 9 % active", list(tablets(data, folder))
    yield "FAME in diesel, 0.25 to 7.5 %", list(biodiesel(data, folder))
    yield "Cotton and polyester", list(textiles(data, folder))


def manifest(queries: Sequence[Query], folder: Path) -> Path:
    """Spectra and manifest of a study."""
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "truth", "target", "level", "technique", "group_of_samples"])
        for number, query in enumerate(queries):
            spectrum = query.scan()
            name = f"{number:03d}.jdx"
            write(spectrum, folder / name)
            # Water is in every solution; what no library holds has no name there.
            there = [*query.true, *(["water"] if query.target == "water" else [])]
            there += [] if query.known or not query.true else ["something else"]
            level = query.true.get(query.target) if query.target != "water" else None
            rows.writerow(
                [name, ";".join(dict.fromkeys(there)) or "none", query.target if level else "", level or "",
                 "ftir_atr" if query.infrared else "raman", query.group]
            )  # fmt: skip
    return folder / "manifest.csv"


def row(title: str, study: Study) -> str:
    """One line of the table."""
    rates = summary(study.outcomes)
    limits = [
        f"LOD50 {100 * levels.curve.limits[0].share:.2g} % "
        f"[{100 * levels.curve.limits[0].low:.2g}, {100 * levels.curve.limits[0].high:.2g}]"
        if levels.curve else f"no limit: {levels.why_not.split(';')[0].rstrip('.').lower()}"
        for levels in detection_limits(study)
    ]  # fmt: skip
    cells = [
        title,
        str(len(study.outcomes)),
        *(str(rates[n]) for n in ("complete", "some", "false", "false_unknown")),
    ]
    return "| " + " | ".join([*cells, "; ".join(limits) or "–"]) + " |"


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the reports")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="studies whose title matches this")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    with tempfile.TemporaryDirectory() as scratch:
        for number, (title, queries) in enumerate(studies(shared_data(), Path(scratch))):
            if not queries or not re.search(args.only, title):
                continue
            file = manifest(queries, Path(scratch) / f"study-{number}")
            with open_library(queries[0].library) as library:
                study = run_study(read_manifest(file), library, processes=args.jobs)
            name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
            study_document(study, title=title).save(args.out / f"{name}.html")
            print(row(title, study), flush=True)


if __name__ == "__main__":
    main()
