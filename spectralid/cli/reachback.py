"""``spectralid reachback``: what belongs to the server and its desk."""

from __future__ import annotations

import argparse
from typing import Any

from spectralid.cli import reachback_plan

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command and its sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "reachback",
        help="the chemists' desk: how many it takes",
        description="The server and the desk of the chemists who answer for it.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (reachback_plan,):
        module.add_parser(commands)
