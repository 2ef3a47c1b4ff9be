"""``spectralid reachback scrub``: whether what is on the server's disk is still what was taken in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._reachback import add_server_options, opened, settings_of

__all__ = ["add_parser"]

_EPILOG: Final = """\
exit codes: 0 everything is sound, or was put right · 3 something is damaged, and its tablet was asked for it
What is asked of a tablet comes with its next exchange, as long as it still holds the packet. Run it every
week, beside the server or without it."""


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "scrub",
        help="compare every packet, receipt and audit entry with what was signed",
        description="Compare every packet with its signed receipt, what is searched in with its packet, and "
        "the audit log with its own chain and the receipts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_server_options(parser)
    parser.add_argument(
        "--rescue",
        type=Path,
        metavar="DIR",
        help="instead, copy every sound packet into files; works with a database of any version, too",
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from spectralid.reachback.store import audit, copies
    from spectralid.reachback.tablets import scrub

    if args.rescue is not None:
        return _rescue(args)
    with opened(args) as desk:
        found = scrub.scrub(desk.db, desk.keys, now=datetime.now(UTC))
        problems = audit.verify(desk.db, trusted=desk.keys.trusted)
        waiting = copies.open_findings(desk.db)
    print(f"{found.checked} packets were compared.")
    for one in found.found:
        print(f"{one.device_id}/{one.seq}: {_WORDS[one.what]}", file=sys.stderr)
    for problem in problems:
        print(problem, file=sys.stderr)
    if waiting:
        print(f"{len(waiting)} damaged packets wait for a sound copy from their tablets.", file=sys.stderr)
    lasting = any(one.what != "spectra" for one in found.found)
    return Exit.UNREADABLE if waiting or problems or lasting else Exit.IDENTIFIED


_WORDS: Final = {
    "packet": "its bytes are damaged; the tablet is asked for them.",
    "receipt": "its receipt, or the hash noted beside it, is damaged; the packet was judged by the other.",
    "spectra": "what is searched in was damaged, and was written again from the packet.",
}


def _rescue(args: argparse.Namespace) -> int:
    from spectralid.reachback.store.database import open_database
    from spectralid.reachback.tablets.scrub import rescue

    db = open_database(settings_of(args).database or None, args.data)
    try:
        written, damaged = rescue(db, args.rescue)
    finally:
        db.close()
    print(f"{written} packets were copied to {args.rescue}.")
    for device_id, seq in damaged:
        print(f"{device_id}/{seq}: damaged, not copied.", file=sys.stderr)
    return Exit.UNREADABLE if damaged else Exit.IDENTIFIED
