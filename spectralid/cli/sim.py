"""``spectralid sim``: serve a simulated instrument on a serial port of this computer until stopped."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "sim",
        help="serve a simulated instrument",
        # Every option is the simulator's own, its help included.
        add_help=False,
        prefix_chars="\0",
    )
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of the simulator")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.devices.sim.__main__ import main

    return main(args.options)
