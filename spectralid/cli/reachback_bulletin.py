"""``spectralid reachback bulletin`` and ``alerts``: what was seized, found and linked, and what is new."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._output import add_force_option, check_new
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database

__all__ = ["add_parser"]

_FORMS: Final = (".pdf", ".csv", ".json")


def add_parser(subparsers: Any) -> None:
    """Register both commands."""
    parser = subparsers.add_parser(
        "bulletin",
        help="the bulletin of a month as PDF, CSV or JSON",
        description="Write the bulletin of a month: what was seized and found, what is new, what is linked.",
        epilog="exit codes: 0 written · 1 the record cannot be read · 2 usage",
    )
    _add_record(parser)
    parser.add_argument("--month", required=True, metavar="YYYY-MM", help="which month, in UTC")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help=".pdf, .csv or .json")
    parser.add_argument(
        "--site", action="append", metavar="SITE", help="only seizures of this place (repeat)"
    )
    parser.add_argument("--paper", choices=("a4", "letter"), default="a4", help="of a PDF (%(default)s)")
    add_force_option(parser)
    parser.set_defaults(run=_bulletin)

    parser = subparsers.add_parser(
        "alerts",
        help="look for what is new (to be run daily), and list what nobody has acknowledged",
        description="Bring fingerprints up to date, raise alerts for what is new, and list the open ones.",
        epilog="exit codes: 0 done · 1 the record cannot be read · 2 usage",
    )
    _add_record(parser)
    parser.add_argument("--json", action="store_true", help="print the open alerts as JSON")
    parser.set_defaults(run=_alerts)


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", required=True, type=Path, metavar="FOLDER", help="of the server's files")
    parser.add_argument("--database", metavar="URL", help="postgresql://…; by default SQLite in the folder")


def _record(args: argparse.Namespace) -> Database:
    from spectralid.reachback.store.database import FILE, open_database
    from spectralid.reachback.store.migrate import upgrade

    if args.database is None and not (args.folder / FILE).is_file():
        raise ParameterError("--folder", str(args.folder), "the folder of a server, with its database")
    db = open_database(args.database, args.folder)
    upgrade(db)
    return db


def _bulletin(args: argparse.Namespace) -> int:
    form = args.output.suffix.lower()
    if form not in _FORMS:
        raise ParameterError("--output", str(args.output), "named .pdf, .csv or .json")
    check_new(args, args.output)
    from spectralid.reachback.intelligence.bulletin import (
        bulletin_csv,
        bulletin_facts,
        bulletin_json,
        bulletin_pdf,
    )

    db = _record(args)
    try:
        facts = bulletin_facts(db, args.month, sites=args.site)
    finally:
        db.close()
    if form == ".pdf":
        content = bulletin_pdf(facts, paper=args.paper)
    else:
        content = bulletin_csv(facts) if form == ".csv" else bulletin_json(facts)
    from spectralid.files import write_whole

    write_whole(args.output, [content], mode=0o644)
    totals = facts["totals"]
    print(f"{args.output}: {totals['seizures']} seizures, {len(facts['first_sightings'])} first sightings")
    return Exit.IDENTIFIED


def _alerts(args: argparse.Namespace) -> int:
    from spectralid.reachback.intelligence import alerts
    from spectralid.reachback.intelligence.linkage_archive import Fingerprints

    db = _record(args)
    try:
        new = alerts.run(db, Fingerprints(), now=datetime.now(UTC))
        waiting = alerts.listed(db, open_only=True, limit=1000)
    finally:
        db.close()
    if args.json:
        from dataclasses import asdict

        print_json({"new": len(new), "alerts": [asdict(one) for one in waiting]})
        return Exit.IDENTIFIED
    for one in waiting:
        print(f"{one.raised_utc[:16]}  {one.alert_id}  {one.headline}")
    print(f"{len(new)} new, {len(waiting)} that nobody has acknowledged", file=sys.stderr)
    return Exit.IDENTIFIED
