"""``spectralid convert``: spectrum files from one format into another, with their history."""

from __future__ import annotations

import argparse
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import Unread, add_reading_options, progress, read_input, report_unread
from spectralid.cli._output import add_force_option, check_new
from spectralid.errors import ParameterError

__all__ = ["add_parser"]

_SUFFIX: Final = {"jcamp-dx": ".jdx", "text": ".csv", "hdf5": ".h5", "nexus": ".nxs"}


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "convert",
        help="convert spectrum files to another format",
        description="Convert spectrum files to JCAMP-DX, text, HDF5 or NeXus, keeping facts and history.",
    )
    add_reading_options(parser)
    parser.add_argument("--to", required=True, choices=sorted(_SUFFIX), help="format to write")
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="PATH",
        help="file to write (one input) or folder (several inputs)",
    )  # fmt: skip
    add_force_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.io import write

    to_folder = len(args.files) > 1 or args.output.is_dir()
    if to_folder:
        if args.output.is_file():
            raise ParameterError("--output", str(args.output), "a folder when there are several inputs")
        args.output.mkdir(parents=True, exist_ok=True)
        planned = [args.output / (Path(file).stem + _SUFFIX[args.to]) for file in args.files]
    else:
        planned = [args.output]
    check_new(args, *planned)
    failed = False
    written: set[Path] = set()
    for file, target in zip(progress(args.files, "file"), planned, strict=True):
        loaded = read_input(file, args)
        if isinstance(loaded, Unread):
            report_unread(loaded)
            failed = True
            continue
        # Inputs of one name must not overwrite each other.
        numbered = (target.with_stem(f"{target.stem}-{number}") for number in count(2))
        free = (name for name in chain([target], numbered) if name not in written)
        unique = next(name for name in free if args.force or not name.exists())
        write(loaded, unique, format=args.to, overwrite=args.force)
        written.add(unique)
    return Exit.UNREADABLE if failed else Exit.IDENTIFIED
