"""``spectralid plot``: a picture of spectrum files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import Unread, add_reading_options, read_input, report_unread
from spectralid.cli._output import add_force_option, check_new

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "plot",
        help="draw spectrum files",
        description="Draw up to four spectra over one another, with the baseline of the first if asked for.",
    )
    add_reading_options(parser)
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FILE", help="picture to write (.png .pdf .svg)"
    )
    parser.add_argument("--baseline", action="store_true", help="draw the baseline of the first spectrum")
    parser.add_argument("--title", default="", help="heading of the picture")
    add_force_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.plot import save, spectrum_figure
    from spectralid.preprocess import baseline_of

    check_new(args, args.output)
    spectra = []
    failed = False
    for file in args.files:
        loaded = read_input(file, args)
        if isinstance(loaded, Unread):
            report_unread(loaded)
            failed = True
        else:
            spectra.extend(loaded)
    if spectra:
        baseline = baseline_of(spectra[0]) if args.baseline else None
        save(spectrum_figure(spectra, baseline=baseline, title=args.title), args.output)
    return Exit.UNREADABLE if failed else Exit.IDENTIFIED
