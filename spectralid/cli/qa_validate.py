"""``spectralid qa validate``: a validation study from a manifest, and its report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._study import add_study_options, check_reports, judged, stressed
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.qa.robustness import Stress

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
    add("--against", metavar="FILE", help="another library to compare with, on the same samples")
    add("--stress", action="append", default=[], metavar="NAME=LEVEL[,LEVEL]",
        help="judge the samples made worse, too: snr, shift, stretch, width, haze (repeat)")  # fmt: skip
    add("--goal", type=float, metavar="SHARE",
        help="lower 95 %% bound (one-sided) that the share of complete answers must reach")  # fmt: skip
    add("--most-false", type=float, metavar="SHARE",
        help="upper 95 %% bound that the share of false names must not exceed")  # fmt: skip
    add_study_options(parser, title="Validation study")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.qa.manifest import read_manifest
    from spectralid.qa.study_report import stressed_facts, study_document, study_facts
    from spectralid.qa.tables import summary

    for name, share in (("--goal", args.goal), ("--most-false", args.most_false)):
        if share is not None and not 0 < share < 1:
            raise ParameterError(name, share, "above 0 and below 1")
    check_reports(args)
    stresses = _stresses(args.stress)
    manifest = read_manifest(args.manifest)
    study = judged(manifest, args.library, args.jobs)
    other = judged(manifest, args.against, args.jobs) if args.against else None
    worse = stressed(manifest, args.library, args.jobs, stresses) if stresses else ()
    if args.report:
        document = study_document(study, title=args.title, other=other, stressed=worse)
        for file in args.report:
            document.save(file)
    rates = summary(study.outcomes)
    leaked = [one for one in study.outcomes if one.leak]
    if args.json:
        print_json({**study_facts(study), "stressed": [stressed_facts(one) for one in worse]})
    else:
        print(f"{manifest.file}: {len(study.outcomes)} samples, {study.library} {study.library_version}")
        for name, rate in rates.items():
            print(f"  {name.replace('_', ' '):14} {rate}")
        for one in worse:
            said = f"{one.stress.name} {one.stress.level:g}"
            print(f"  {said:14} complete {one.rates['complete']}, false {one.rates['false']}")
        for outcome in leaked:
            where = f"{outcome.sample.file.name} (line {outcome.sample.line})"
            print(f"  LEAK: {where} is the scan {outcome.leak} of the library")
    unread = any(one.kind == "not_read" for one in study.outcomes)
    return _exit(args, study_rates=rates, unread=unread, leaked=bool(leaked))


def _stresses(given: list[str]) -> list[Stress]:
    from spectralid.qa.robustness import Stress

    found = []
    for text in given:
        name, _, levels = text.partition("=")
        try:
            found += [Stress(name.strip(), float(level)) for level in levels.split(",")]
        except ValueError:
            raise ParameterError("--stress", text, "like snr=100,30,10") from None
    return found


def _exit(args: argparse.Namespace, *, study_rates: Any, unread: bool, leaked: bool) -> Exit:
    complete, false = study_rates["complete"], study_rates["false"]
    missed = args.goal is not None and (complete.at_least or 0.0) < args.goal
    missed = missed or (args.most_false is not None and false.at_most > args.most_false)
    # No goal is reached with samples that are in the library.
    missed = missed or (leaked and (args.goal, args.most_false) != (None, None))
    if unread:
        return Exit.UNREADABLE
    return Exit.GOAL_MISSED if missed else Exit.IDENTIFIED
