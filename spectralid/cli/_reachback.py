"""What the commands of the server have in common: where it is, and how it is set up."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spectralid.reachback.api.desk import Desk
    from spectralid.reachback.settings import Settings

__all__ = ["REACHBACK_FOLDER", "add_server_options", "console", "opened", "settings_of"]

REACHBACK_FOLDER: Final = Path.home() / ".spectralid" / "reachback"
"""The files of a server."""


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Let a command say which server it is about."""
    parser.add_argument(
        "--data",
        type=Path,
        default=REACHBACK_FOLDER,
        metavar="DIR",
        help=f"folder of the server's files, made the first time (default {REACHBACK_FOLDER})",
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="settings, TOML (docs/reachback.md)")
    parser.add_argument(
        "--database",
        default="",
        metavar="URL",
        help="postgresql://… (default SQLite in the folder, which needs no set-up)",
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings of the file, and of the command line above them."""
    from spectralid.reachback.settings import read

    settings = read(args.settings)
    return replace(settings, database=args.database) if args.database else settings


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[Desk]:
    """The server, for a command that does one thing."""
    from spectralid.reachback.api.serve import open_desk

    desk = open_desk(args.data, settings_of(args))
    try:
        yield desk
    finally:
        desk.db.close()


def console() -> str:
    """Whoever is at the machine; told apart from the accounts by the colon."""
    try:
        return f"console:{getpass.getuser()}"[:100]
    except (OSError, KeyError):
        return "console:unknown"
