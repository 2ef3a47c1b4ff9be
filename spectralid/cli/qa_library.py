"""``spectralid qa library``: what is wrong with a library, or worth knowing."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._study import add_report_option, check_reports
from spectralid.errors import UnreadableFileError

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "library",
        help="audit of a library: doubles, labels, coverage, confusability, provenance",
        description="Look through a reference library. Exit code 21 if there is something to look at.",
    )
    add = parser.add_argument
    add("library", nargs="?", default="spectralid", metavar="FILE", help="library (default: the bundled one)")
    add("--watch-list", type=Path, metavar="FILE", help="substances that should be in it, one a line")
    add_report_option(parser)
    add("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.library import open_library
    from spectralid.qa.library_audit import audit_library
    from spectralid.qa.library_report import audit_document, audit_facts

    check_reports(args)
    wanted = _lines(args.watch_list) if args.watch_list else []
    watched = sys.stderr.isatty()
    with open_library(args.library) as library:
        audit = audit_library(
            library,
            watch_list=wanted,
            progress=(lambda what: print(f"spectralid: {what}", file=sys.stderr)) if watched else None,
        )
    for file in args.report:
        audit_document(audit).save(file)
    if args.json:
        print_json(audit_facts(audit))
    else:
        print(f"{audit.library} {audit.version}: {audit.references} references")
        for kind, n in Counter(finding.kind for finding in audit.findings).items():
            print(f"  {n} {kind.replace('_', ' ')}")
        for finding in audit.findings:
            if finding.kind != "undocumented":
                print(f"  {finding.words}")
        print(f"  {len(audit.confusable)} pairs of compounds that are hard to tell apart")
        for one in audit.coverage:
            if not one.references:
                print(f"  {one.wanted}: nothing that could name it")
    uncovered = any(not one.references for one in audit.coverage)
    return Exit.GOAL_MISSED if audit.findings or uncovered else Exit.IDENTIFIED


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableFileError(f"it cannot be read ({error.strerror}).", file=file.name) from None
    except UnicodeDecodeError:
        raise UnreadableFileError("it is not UTF-8.", file=file.name) from None
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
