"""``spectralid qa``: what keeps units in control, and a method defensible."""

from __future__ import annotations

import argparse
from typing import Any

from spectralid.cli import qa_chart, qa_check, qa_library, qa_plan, qa_replay, qa_transfer, qa_validate

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command and its sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "qa",
        help="daily checks, control charts, validation studies",
        description="Quality assurance of units and methods.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (qa_check, qa_chart, qa_validate, qa_transfer, qa_plan, qa_library, qa_replay):
        module.add_parser(commands)
