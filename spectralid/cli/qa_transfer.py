"""``spectralid qa transfer``: whether daughter units name and warn as their parent does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._study import add_study_options, check_reports, judged

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "transfer",
        help="accept daughter units by what they make of the parent's specimens",
        description="Every specimen measured with parent and daughters, against the parent's library. "
        "Exit code 21 if a daughter is not accepted.",
    )
    add = parser.add_argument
    add("manifest", type=Path, metavar="MANIFEST", help="CSV with file, truth, unit and group (the specimen)")
    add("--parent", required=True, metavar="UNIT", help="which unit is the parent")
    add("--margin", type=float, default=0.10, metavar="SHARE", help="loss that is borne (default 0.10)")
    add_study_options(parser, title="Transfer to daughter units")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.qa.manifest import read_manifest
    from spectralid.qa.transfer import transfer
    from spectralid.qa.transfer_report import transfer_document, transfer_facts

    check_reports(args)
    study = judged(read_manifest(args.manifest), args.library, args.jobs)
    found = transfer(study, args.parent, margin=args.margin)
    for file in args.report:
        transfer_document(found, study, title=args.title).save(file)
    if args.json:
        print_json(transfer_facts(found))
    else:
        print(f"{found.parent} (parent): all named {found.rates['complete']}")
        for one in found.daughters:
            print(f"{'ok    ' if one.accepted else 'REFUSE'}  {one.unit}: all named {one.rates['complete']}")
            for reason in one.reasons:
                print(f"        {reason}")
    return Exit.IDENTIFIED if found.accepted else Exit.GOAL_MISSED
