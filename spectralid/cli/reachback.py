"""``spectralid reachback``: what belongs to the server and its desk."""

from __future__ import annotations

import argparse
from typing import Any

from spectralid.cli import (
    reachback_admin,
    reachback_bulletin,
    reachback_lab,
    reachback_plan,
    reachback_release,
    reachback_research,
    reachback_scrub,
    reachback_serve,
)

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command and its sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "reachback",
        help="the server and the chemists' desk",
        description="The server that takes in what tablets record, and the desk of the chemists who answer.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        reachback_serve,
        reachback_admin,
        reachback_bulletin,
        reachback_lab,
        reachback_release,
        reachback_research,
        reachback_scrub,
        reachback_plan,
    ):
        module.add_parser(commands)
