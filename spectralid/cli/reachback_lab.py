"""``spectralid reachback lab`` and ``export``: laboratory results, figures, and a seizure as a document."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._output import add_force_option, check_new
from spectralid.cli._reachback import add_server_options, console, opened
from spectralid.errors import ParameterError, RecordError

if TYPE_CHECKING:
    from spectralid.reachback.lab.ages import Ages
    from spectralid.reachback.lab.scoreboard import Rate, Scoreboard

__all__ = ["add_parser"]

_WHAT: Final = ("applied", "waiting", "noted", "unmatched", "dismissed")
_ENDINGS: Final = {".json": "json", ".pdf": "pdf", ".csv": "csv", ".jdx": "jcamp", ".nxs": "nexus"}
_CODES: Final = "exit codes: 0 done · 2 usage · 3 a line or the file was not taken"


def add_parser(subparsers: Any) -> None:
    """Register the commands."""
    lab = subparsers.add_parser(
        "lab",
        help="laboratory results: import, list, what is overdue, ages, scoreboard",
        description="The laboratory loop (docs/reachback-laboratory.md).",
    )
    kinds = lab.add_subparsers(title="commands", metavar="COMMAND", required=True)
    parser = kinds.add_parser("import", help="take in a CSV file of results", epilog=_CODES)
    parser.add_argument("file", type=Path, help="CSV; its header names the columns")
    parser.add_argument("--dry-run", action="store_true", help="only say what would become of each line")
    _finish(parser, _import)
    parser = kinds.add_parser("list", help="results on record, newest first")
    parser.add_argument("--what", choices=_WHAT, default="", help="only those of which that became")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="at most so many (%(default)s)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write them as CSV")
    add_force_option(parser)
    _finish(parser, _list)
    parser = kinds.add_parser("overdue", help="what of the laboratory loop is late")
    parser.add_argument("--hours", type=float, default=24.0, metavar="H", help="late after (%(default)g)")
    _finish(parser, _overdue)
    parser = kinds.add_parser("ages", help="how long everything takes")
    _add_time(parser, "cases opened")
    _finish(parser, _ages)
    parser = kinds.add_parser("scoreboard", help="presumptive against laboratory")
    _add_time(parser, "scans received")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="figure (.png, .pdf, .svg)")
    parser.add_argument("--figure-by", default="device", metavar="WHAT", help="its lines (%(default)s)")
    _finish(parser, _scoreboard)

    parser = subparsers.add_parser(
        "export",
        help="a seizure as a document: .json, .pdf, .csv, .jdx (JCAMP-DX), .nxs (NeXus)",
        description="Write the record of a seizure, without persons unless --persons is given.",
    )
    parser.add_argument("case", help="the case")
    parser.add_argument("--output", "-o", type=Path, required=True, metavar="FILE", help="what to write")
    parser.add_argument("--niem", action="store_true", help="the fentanyl export (.json or .csv)")
    parser.add_argument("--persons", action="store_true", help="leave persons and notes in")
    parser.add_argument("--language", default="en", metavar="CODE", help="of a PDF: en or es (%(default)s)")
    add_force_option(parser)
    add_server_options(parser)
    parser.set_defaults(run=_export)


def _finish(parser: argparse.ArgumentParser, run: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    add_server_options(parser)
    parser.set_defaults(run=run)


def _add_time(parser: argparse.ArgumentParser, of: str) -> None:
    parser.add_argument("--since", default="", metavar="UTC", help=f"{of} since (30 days before the end)")
    parser.add_argument("--until", default="", metavar="UTC", help="and until (now)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write it as CSV")
    add_force_option(parser)


def _time(args: argparse.Namespace) -> tuple[datetime, datetime]:
    from spectralid.casework.messages import parse_utc

    try:
        until = parse_utc(args.until) if args.until else datetime.now(UTC)
        since = parse_utc(args.since) if args.since else until - timedelta(days=30)
    except RecordError:
        raise ParameterError(
            "--since, --until", f"{args.since} {args.until}", "times with their zone"
        ) from None
    return since, until


def _import(args: argparse.Namespace) -> int:
    from spectralid.reachback.lab.results_csv import import_csv

    data = _read(args.file)
    with opened(args) as desk:
        done = import_csv(
            desk.db, desk.keys, data, by=console(), source="cli", now=datetime.now(UTC), dry=args.dry_run
        )
    if args.json:
        from dataclasses import asdict

        print_json(asdict(done))
        return Exit.UNREADABLE if done.bad else Exit.IDENTIFIED
    for one in done.bad:
        print(f"line {one.line}: not taken: {one.why}", file=sys.stderr)
    for line in done.lines:
        if line.taken.what == "unmatched":
            kept = "would be kept" if done.dry else f"kept as {line.taken.n}"
            print(f"line {line.line}: {kept}, its case is not clear ({line.taken.why})")
    counts = ", ".join(f"{n} {what}" for what in (*_WHAT, "known") if (n := done.count(what)))
    would = "would be " if done.dry else ""
    print(f"{len(done.lines)} lines {would}taken ({counts or 'none'}), {len(done.bad)} not taken")
    if done.ignored:
        print(f"columns that are not read: {', '.join(done.ignored)}", file=sys.stderr)
    return Exit.UNREADABLE if done.bad else Exit.IDENTIFIED


def _read(file: Path) -> bytes:
    from spectralid.reachback.lab.results_csv import MOST_BYTES

    try:
        with file.open("rb") as source:
            return source.read(MOST_BYTES + 1)
    except OSError as error:
        raise ParameterError("file", str(file), f"a file that can be read ({error.strerror})") from None


def _list(args: argparse.Namespace) -> int:
    from spectralid.reachback.lab import laboratory
    from spectralid.reachback.lab import results_csv as laboratory_csv

    if args.csv is not None:
        check_new(args, args.csv)
    with opened(args) as desk:
        found = laboratory.listed(desk.db, what=args.what, limit=args.limit)
    if args.csv is not None:
        _write(args.csv, laboratory_csv.listing(found))
    elif args.json:
        print_json({"results": [one.to_dict() for one in found]})
    else:
        for one in found:
            where = one.case_id or f"? {one.why}"
            print(
                f"{one.n:>6}  {one.received_utc[:16]}  {one.result:<12}  {one.what:<9}  {one.laboratory} "
                f"{one.sample_ref}  {where} {one.item_ref or ''}".rstrip()
            )
    return Exit.IDENTIFIED


def _overdue(args: argparse.Namespace) -> int:
    from spectralid.reachback.lab.ages import overdue

    with opened(args) as desk:
        found = overdue(desk.db, now=datetime.now(UTC), within=timedelta(hours=args.hours))
    if args.json:
        from dataclasses import asdict

        print_json({"overdue": [asdict(one) for one in found]})
        return Exit.IDENTIFIED
    for one in found:
        sample = f"  {one.laboratory} {one.sample_ref}" if one.laboratory else ""
        print(f"{one.hours:>8.1f} h  {one.why:<10}  {one.case_id}  {one.site_ref}  {one.seizure_ref}{sample}")
    print(f"{len(found)} overdue", file=sys.stderr)
    return Exit.IDENTIFIED


def _ages(args: argparse.Namespace) -> int:
    from spectralid.reachback.lab import ages

    if args.csv is not None:
        check_new(args, args.csv)
    since, until = _time(args)
    with opened(args) as desk:
        found = ages.ages(desk.db, since=since, until=until)
    if args.csv is not None:
        _write(args.csv, ages.ages_csv(found))
    elif args.json:
        print_json(found.to_dict())
    else:
        _print_ages(found)
    return Exit.IDENTIFIED


def _print_ages(found: Ages) -> None:
    print(f"{found.cases} cases\n{'hours':<44}{'n':>6}{'p50':>9}{'p90':>9}{'p99':>9}{'most':>9}{'late':>6}")
    for one in found.spans:
        numbers = (one.p50_h, one.p90_h, one.p99_h, one.most_h)
        cells = "".join(f"{'–' if value is None else f'{value:.2f}':>9}" for value in numbers)
        print(f"{one.name:<44}{one.n:>6}{cells}{'–' if one.late is None else one.late:>6}")


def _scoreboard(args: argparse.Namespace) -> int:
    from spectralid.reachback.lab.scoreboard import BY, figure, scoreboard

    if args.figure_by not in BY:
        raise ParameterError("--figure-by", args.figure_by, "one of " + ", ".join(BY))
    check_new(args, *(file for file in (args.csv, args.figure) if file is not None))
    since, until = _time(args)
    with opened(args) as desk:
        board = scoreboard(desk.db, since=since, until=until)
    if args.csv is not None:
        _write(args.csv, board.to_csv())
    if args.figure is not None:
        figure(board, args.figure_by).savefig(args.figure)
    if args.json:
        print_json(board.to_dict())
    elif args.csv is None and args.figure is None:
        _print_board(board)
    return Exit.IDENTIFIED


def _print_board(board: Scoreboard) -> None:
    print(
        f"{'':<34}{'said by':<9}{'items':>7}{'verified':>9}  {'confirmed':<24}{'weighted':<24}{'missed':<24}"
    )
    for one in board.lines:
        print(
            f"{one.by + ' ' + one.key:<34.33}{one.sayer:<9}{one.items:>7}{one.verified:>9}  "
            f"{_shown(one.confirmed):<24}{_shown(one.weighted_confirmed):<24}{_shown(one.false_negative):<24}"
        )
    print(board.caveat)


def _shown(rate: Rate | None) -> str:
    if rate is None:
        return "–"
    return f"{rate.share:.2f} ({rate.low:.2f}-{rate.high:.2f}, n={rate.of})"


def _export(args: argparse.Namespace) -> int:
    form = _ENDINGS.get(args.output.suffix.lower(), "")
    if args.niem:
        form = {"json": "niem", "csv": "niem-csv"}.get(form, "")
    if not form:
        raise ParameterError("--output", str(args.output), "named " + ", ".join(_ENDINGS))
    check_new(args, args.output)
    from spectralid.reachback.exports import export

    with opened(args) as desk:
        made = export(
            desk.db, args.case, form, by=console(), now=datetime.now(UTC), persons=args.persons,
            language=args.language,
        )  # fmt: skip
    _write(args.output, made.data)
    print(f"{args.output}: {len(made.data)} bytes, {'without' if made.redacted else 'with'} persons")
    return Exit.IDENTIFIED


def _write(file: Path, data: bytes) -> None:
    from spectralid.files import write_whole

    write_whole(file, [data], mode=0o600)
