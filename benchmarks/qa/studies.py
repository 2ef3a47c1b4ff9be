"""Validation studies on real data, as `spectralid qa validate` makes them.

    python benchmarks/qa/studies.py --out build/studies --docs docs   # reports, docs/qa-studies.md, figures

Each collection (`_samples.py`) becomes a manifest and a library and goes through the functions behind the
command; the report of each is in `--out`. Nothing in the page is typed by hand.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from _page import write_page
from _samples import Collection, collections
from _shared import shared_data

from spectralid import open_library
from spectralid.io import write
from spectralid.qa.manifest import read_manifest
from spectralid.qa.study import Study, run_study
from spectralid.qa.study_report import study_document


def manifest(collection: Collection, folder: Path) -> Path:
    """Spectra and manifest of a study; its target is the first of the graded substances."""
    folder.mkdir(parents=True)
    file = folder / "manifest.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "truth", "target", "level", "unit", "group", "technique"])
        for number, row in enumerate(collection.rows):
            name = f"{number:03d}.jdx"
            write(row.scan(), folder / name)
            target = next(iter(row.levels), "")
            rows.writerow(
                [name, ";".join(row.truth) or "none", target, row.levels.get(target, ""), row.unit, row.group,
                 collection.technique]
            )  # fmt: skip
    return file


def study_of(collection: Collection, folder: Path, *, jobs: int = 1) -> Study:
    """The study of a collection."""
    file = manifest(collection, folder / collection.slug)
    with open_library(collection.library) as library:
        return run_study(read_manifest(file), library, processes=jobs)


def by_target(collection: Collection, study: Study) -> tuple[Study, ...]:
    """The same study once for each graded substance, as its target."""
    targets = dict.fromkeys(target for row in collection.rows for target in row.levels)
    made = []
    for target in targets:
        outcomes = []
        for row, outcome in zip(collection.rows, study.outcomes, strict=True):
            level = row.levels.get(target)
            sample = replace(outcome.sample, target=target if level is not None else "", level=level)
            outcomes.append(replace(outcome, sample=sample, target=sample.target))
        made.append(replace(study, outcomes=tuple(outcomes)))
    return tuple(made) or (study,)


def thinned(collection: Collection, step: int) -> Collection:
    """Every so many-th sample, for a quick look and for tests."""
    return replace(collection, rows=collection.rows[::step])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the reports")
    parser.add_argument("--docs", type=Path, help="folder of the page and, in images/, its figures")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="studies whose name matches this; no page is written")
    parser.add_argument("--every", type=int, default=1, help="every so many-th sample; no page is written")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    done = []
    with tempfile.TemporaryDirectory() as scratch:
        for collection in collections(shared_data(), Path(scratch)):
            if not re.search(args.only, collection.slug):
                continue
            few = thinned(collection, args.every)
            studies = by_target(few, study_of(few, Path(scratch) / "studies", jobs=args.jobs))
            study_document(studies[0], title=collection.title).save(args.out / f"{collection.slug}.html")
            print(f"{collection.slug}: {len(few.rows)} samples", flush=True)
            done.append((few, studies))
        whole = args.docs and not args.only and args.every == 1
        write_page(done, args.docs if whole else args.out)


if __name__ == "__main__":
    main()
