"""What the ``library`` commands share: naming the library to be written, and reporting an import."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spectralid.cli._exit import Exit

if TYPE_CHECKING:
    from spectralid.library import ImportReport

__all__ = ["add_naming_options", "created", "import_exit", "print_import"]


def add_naming_options(parser: argparse.ArgumentParser, *, of: str = "") -> None:
    """Add ``--name``, ``--version`` and ``--created``; `of` is where name and version come from otherwise."""
    parser.add_argument(
        "--name", default="", help=f"name of the library (default: that of {of or 'the file'})"
    )
    parser.add_argument(
        "--version",
        default="" if of else "1",
        help=f"version of the library (default: {of and 'that of '}{of or 1})",
    )
    parser.add_argument("--created", default="", metavar="DATE", help="date to record (default: today, UTC)")


def created(args: argparse.Namespace) -> str:
    """The date to record."""
    return args.created or datetime.now(UTC).date().isoformat()


def print_import(report: ImportReport) -> None:
    """Say what became of the files: what needs attention on standard error, counts on standard output."""
    from spectralid.library.importing import Outcome

    for outcome in (Outcome.UNMATCHED, Outcome.DUPLICATE, Outcome.UNREADABLE):
        for entry in report.with_outcome(outcome):
            print(f"spectralid: {entry.message}", file=sys.stderr)
    if report.mapping:
        print(f"Mapping: {report.mapping}")
    print(", ".join(f"{len(report.with_outcome(outcome))} {outcome.value}" for outcome in Outcome) + ".")
    print(f"Library: {report.library}" if report.library else "No library was written.")


def import_exit(report: ImportReport) -> Exit:
    """The exit code of an import: 3 if any file could not be read."""
    from spectralid.library.importing import Outcome

    return Exit.UNREADABLE if report.with_outcome(Outcome.UNREADABLE) else Exit.IDENTIFIED
