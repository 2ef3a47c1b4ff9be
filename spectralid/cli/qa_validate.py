"""``spectralid qa validate``: a validation study from a manifest, and its report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.qa.manifest import Manifest
    from spectralid.qa.study import Study

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "validate",
        help="a validation study from a manifest of spectra with known composition",
        description="Judge every sample of a manifest as an officer's unit would, and report how often it "
        "was right. Exit code 21 if a goal is missed, 3 if samples could not be read.",
    )
    add = parser.add_argument
    add("manifest", type=Path, metavar="MANIFEST", help="CSV with at least the columns file and truth")
    add(
        "--library", default="spectralid", metavar="FILE", help="reference library (default: the bundled one)"
    )
    add("--against", metavar="FILE", help="another library to compare with, on the same samples")
    add("--report", type=Path, action="append", default=[], metavar="FILE",
        help="write the report, as .html or .pdf (repeat)")  # fmt: skip
    add("--title", default="Validation study", help="of the report")
    add("--goal", type=float, metavar="SHARE",
        help="lower 95 %% bound (one-sided) that the share of complete answers must reach")  # fmt: skip
    add("--most-false", type=float, metavar="SHARE",
        help="upper 95 %% bound that the share of false names must not exceed")  # fmt: skip
    add("--jobs", type=int, metavar="N", help="processes (default: as many as there are processors)")
    add("--json", action="store_true", help="print every figure as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.qa.manifest import read_manifest
    from spectralid.qa.study_report import study_document, study_facts
    from spectralid.qa.tables import summary

    for name, share in (("--goal", args.goal), ("--most-false", args.most_false)):
        if share is not None and not 0 < share < 1:
            raise ParameterError(name, share, "above 0 and below 1")
    for file in args.report:
        if file.suffix.lower() not in (".html", ".pdf"):
            raise ParameterError("--report", file.name, "a file that ends in .html or .pdf")
    manifest = read_manifest(args.manifest)
    study = _judged(manifest, args.library, args.jobs)
    other = _judged(manifest, args.against, args.jobs) if args.against else None
    if args.report:
        document = study_document(study, title=args.title, other=other)
        for file in args.report:
            document.save(file)
    rates = summary(study.outcomes)
    if args.json:
        print_json(study_facts(study))
    else:
        print(f"{manifest.file}: {len(study.outcomes)} samples, {study.library} {study.library_version}")
        for name, rate in rates.items():
            print(f"  {name.replace('_', ' '):14} {rate}")
    return _exit(args, study_rates=rates, unread=any(one.kind == "not_read" for one in study.outcomes))


def _judged(manifest: Manifest, library: str, jobs: int | None) -> Study:
    from tqdm import tqdm

    from spectralid.library import open_library
    from spectralid.qa.study import run_study

    total = len(manifest.samples)
    with (
        open_library(library) as opened,
        tqdm(total=total, unit="sample", disable=not sys.stderr.isatty()) as bar,
    ):

        def shown(done: int) -> None:
            bar.update(done - bar.n)

        return run_study(manifest, opened, processes=jobs, progress=shown)


def _exit(args: argparse.Namespace, *, study_rates: Any, unread: bool) -> Exit:
    complete, false = study_rates["complete"], study_rates["false"]
    missed = args.goal is not None and (complete.at_least or 0.0) < args.goal
    if args.most_false is not None:
        from spectralid.proportion import clopper_pearson

        # One-sided 95 % is the end of the two-sided 90 %.
        upper = clopper_pearson(false.hits, false.of, confidence=0.90)[1] if false.of else 1.0
        missed = missed or upper > args.most_false
    if unread:
        return Exit.UNREADABLE
    return Exit.GOAL_MISSED if missed else Exit.IDENTIFIED
