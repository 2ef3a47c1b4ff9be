"""What the commands that judge a manifest share: their options, and the study itself."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.qa.manifest import Manifest
    from spectralid.qa.robustness import Stress, Stressed
    from spectralid.qa.study import Study

__all__ = ["add_report_option", "add_study_options", "check_reports", "judged", "stressed"]


def add_study_options(parser: argparse.ArgumentParser, *, title: str) -> None:
    """Add ``--library``, ``--report``, ``--title``, ``--jobs`` and ``--json``."""
    add = parser.add_argument
    add(
        "--library", default="spectralid", metavar="FILE", help="reference library (default: the bundled one)"
    )
    add_report_option(parser)
    add("--title", default=title, help="of the report")
    add("--jobs", type=int, metavar="N", help="processes (default: as many as there are processors)")
    add("--json", action="store_true", help="print every figure as JSON")


def add_report_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--report``."""
    parser.add_argument(
        "--report",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the report, as .html or .pdf (repeat)",
    )


def check_reports(args: argparse.Namespace) -> None:
    """Find out before the work whether the reports can be written.

    Raises
    ------
    ParameterError
        If one is of no kind that can be.
    """
    for file in args.report:
        if file.suffix.lower() not in (".html", ".pdf"):
            raise ParameterError("--report", file.name, "a file that ends in .html or .pdf")


def stressed(
    manifest: Manifest, library: str, jobs: int | None, stresses: Sequence[Stress]
) -> tuple[Stressed, ...]:
    """Every sample of a manifest judged under each stress."""
    from spectralid.library import open_library
    from spectralid.qa.robustness import stress_study

    with open_library(library) as opened, _watched(len(manifest.samples) * len(stresses)) as shown:
        return stress_study(manifest, opened, stresses, processes=jobs, progress=shown)


def judged(manifest: Manifest, library: str, jobs: int | None) -> Study:
    """Every sample of a manifest judged with a library."""
    from spectralid.library import open_library
    from spectralid.qa.study import run_study

    with open_library(library) as opened, _watched(len(manifest.samples)) as shown:
        return run_study(manifest, opened, processes=jobs, progress=shown)


@contextlib.contextmanager
def _watched(total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar where somebody watches; takes the number of samples done."""
    from tqdm import tqdm

    with tqdm(total=total, unit="sample", disable=not sys.stderr.isatty()) as bar:

        def shown(done: int) -> None:
            bar.update(done - bar.n)

        yield shown
