"""``spectralid qa plan``: how many samples a validation study needs."""

from __future__ import annotations

import argparse
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "plan",
        help="how many samples a study needs to show a rate",
        description="The smallest number of independent samples that shows a rate, with so many failures.",
    )
    add = parser.add_argument
    add("--rate", type=float, required=True, metavar="SHARE", help="to be shown, like 0.95")
    add("--confidence", type=float, default=0.95, metavar="SHARE", help="one-sided (default 0.95)")
    add("--failures", type=int, default=0, metavar="N", help="that are allowed (default 0)")
    add("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.qa.planning import samples_needed

    n = samples_needed(args.rate, confidence=args.confidence, failures=args.failures)
    if args.json:
        print_json(
            {"samples": n, "rate": args.rate, "confidence": args.confidence, "failures": args.failures}
        )
    else:
        allowed = "no failure" if args.failures == 0 else f"at most {args.failures} failures"
        print(f"{n} independent samples with {allowed} show a rate of {args.rate:g} or more ", end="")
        print(f"with a confidence of {args.confidence:g}.")
    return Exit.IDENTIFIED
