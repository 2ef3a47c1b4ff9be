"""Files that commands write: none is replaced unless ``--force`` says so."""

from __future__ import annotations

import argparse
from pathlib import Path

from spectralid.errors import ParameterError

__all__ = ["add_force_option", "check_new"]


def add_force_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--force``."""
    parser.add_argument("--force", action="store_true", help="replace what is there already")


def check_new(args: argparse.Namespace, *files: Path) -> None:
    """Refuse to replace files that exist, unless ``--force`` was given.

    Call it before long work, not after.

    Raises
    ------
    ParameterError
        If one of `files` exists.
    """
    for file in files:
        if file.exists() and not args.force:
            raise ParameterError("--output", str(file), "a file that does not exist yet (or give --force)")
