"""``spectralid packets``: what a tablet recorded, on its way to the agency's server, by stick or by line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._folders import TABLET_FOLDER
from spectralid.cli._inputs import print_json
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.casework.keys import PublicKey
    from spectralid.casework.store import CaseStore

__all__ = ["add_parser"]

_STATES: Final = ("queued", "sending", "received", "answered", "attention")
# More than any packet or message may have: what is longer is refused by its own rules.
_LARGEST: Final = 16 * 1024 * 1024


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "packets",
        help="records of a tablet: list, check, hand over by stick, send, enrol",
        description="What a tablet recorded, and how it gets to the agency's server and answers come back "
        "(docs/sync.md). Commands that write need the tablet's program to be closed.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, words: str, **more: Any) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = commands.add_parser(name, help=words, **more)
        made.add_argument(
            "--data",
            type=Path,
            default=TABLET_FOLDER,
            metavar="DIR",
            help=f"folder of the record (default {TABLET_FOLDER})",
        )
        made.set_defaults(run=run)
        return made

    listed = command("list", _list, "every packet and where it stands")
    listed.add_argument("--state", choices=_STATES, help="only packets in this state")
    listed.add_argument("--json", action="store_true", help="print it as JSON")
    show = command("show", _show, "the manifest of a packet, as it was signed")
    show.add_argument("packet", metavar="PACKET", help="a file, or the id or number of a packet on record")
    verify = command(
        "verify",
        _verify,
        "whether packets are whole and signed by this tablet; without files, the whole record",
        epilog="exit codes: 0 all hold · 3 at least one does not",
    )
    verify.add_argument("files", type=Path, metavar="FILE", nargs="*", help="packets (.sidpkt)")
    export = command("export", _export, "write packets onto a stick, for the server")
    export.add_argument("folder", type=Path, metavar="DIR", help="folder, made if need be")
    export.add_argument("--all", action="store_true", help="also those the server has given a receipt for")
    take = command(
        "import",
        _import,
        "take in the server's answers and receipts from a stick",
        epilog="exit codes: 0 all were taken · 3 at least one file was refused",
    )
    take.add_argument("folder", type=Path, metavar="DIR", help="folder with .sidmsg files")
    command("send", _send, "exchange with the server once, now")
    request = command("request", _request, "what the agency needs to enrol this tablet, as a file")
    request.add_argument("file", type=Path, metavar="FILE", help="file to write")
    enrol = command("enrol", _enrol, "take the agency's enrolment: server, certificate, keys")
    enrol.add_argument("file", type=Path, metavar="FILE", help="the enrolment")
    enrol.add_argument(
        "--fingerprint", default="", metavar="HEX", help="the file's fingerprint, as the agency told you"
    )
    enrol.add_argument("--certificate", type=Path, metavar="PEM", help="certificate, if a file of its own")
    enrol.add_argument("--key", type=Path, metavar="PEM", help="its key, if not made by 'request'")


@contextmanager
def _record(args: argparse.Namespace, *, read_only: bool = False, make: bool = False) -> Iterator[CaseStore]:
    from spectralid.casework.store import DATABASE, CaseStore

    if not make and not (args.data / DATABASE).exists():
        raise ParameterError("--data", str(args.data), "the folder of a tablet's record")
    with CaseStore.open(args.data, read_only=read_only) as store:
        yield store


def _list(args: argparse.Namespace) -> int:
    from spectralid.casework import instrument_checks, outbox

    with _record(args, read_only=True) as store:
        rows = [row for row in outbox.states(store) if args.state in (None, row.state)]
        checks = [row for row in instrument_checks.states(store) if args.state in (None, row.state)]
        counted = outbox.summary(store)
    if args.json:
        shown = {"packets": [asdict(row) for row in rows], "checks": [asdict(row) for row in checks]}
        print_json({**shown, "summary": counted})
        return Exit.IDENTIFIED
    for row in rows:
        later = f" · next try {row.next_try_utc[:19]}Z" if row.next_try_utc else ""
        print(f"{row.seq:>6}  {row.packet_id}  {row.kind:8} {row.state:9} {row.reason}{later}".rstrip())
    print(", ".join(f"{counted[name]} {name}" for name in _STATES))
    for check in checks:
        print(f"check   {check.made_utc[:19]}Z  {check.outcome:8} {check.state:9} {check.reason}".rstrip())
    return Exit.IDENTIFIED


def _show(args: argparse.Namespace) -> int:
    from spectralid.casework import outbox
    from spectralid.casework.errors import UnknownReferenceError
    from spectralid.casework.packet import open_packet

    file = Path(args.packet)
    if file.is_file():
        # To look into, whoever signed it; 'verify' tells whether to believe it.
        packet = open_packet(_bytes(file), None)
    else:
        with _record(args, read_only=True) as store:
            ids = {str(row.seq): row.packet_id for row in outbox.states(store)}
            wanted = ids.get(args.packet, args.packet)
            if wanted not in ids.values():
                raise UnknownReferenceError(f"There is no file and no packet {args.packet!r} on record.")
            packet = store.packet(wanted)
    print_json({"sha256": packet.sha256, "keyid": packet.keyid, "manifest": dict(packet.manifest)})
    return Exit.IDENTIFIED


def _verify(args: argparse.Namespace) -> int:
    with _record(args, read_only=True) as store:
        if args.files:
            keys = store.keys()
            wrong = [sentence for file in args.files if (sentence := _check(file, keys))]
        else:
            wrong = [str(problem) for problem in (*store.verify(), *store.custody.verify())]
            if not wrong:
                print("The chain of packets and the custody log hold.")
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return Exit.UNREADABLE if wrong else Exit.IDENTIFIED


def _check(file: Path, keys: dict[str, PublicKey]) -> str:
    """What is wrong with a file; nothing if it is a packet of this tablet."""
    from spectralid.casework.errors import RecordError
    from spectralid.casework.packet import open_packet

    try:
        packet = open_packet(_bytes(file), keys)
    except (RecordError, OSError) as error:
        return f"{file}: {getattr(error, 'strerror', None) or error}"
    said = f"packet {packet.seq} of {packet.device_id}, {packet.kind}, {packet.sha256[:12]}"
    print(f"{file}: {said}: whole, signed.")
    return ""


def _export(args: argparse.Namespace) -> int:
    from spectralid.casework.errors import StoreBusyError
    from spectralid.casework.exchange import export_packets

    try:
        with _record(args) as store:
            done = export_packets(store, args.folder, everything=args.all)
    except StoreBusyError:
        # The tablet's program is running; packets can be copied beside it.
        with _record(args, read_only=True) as store:
            done = export_packets(store, args.folder, everything=args.all)
    print(f"{done.folder}: {done.written} files written, {done.already} were there already.")
    return _told(done.skipped)


def _import(args: argparse.Namespace) -> int:
    from spectralid.casework.exchange import import_answers

    with _record(args) as store:
        done = import_answers(store, args.folder)
    counted = f"{done.taken} messages taken, {done.known} were known; {len(done.answers)} new answers"
    print(f"{done.folder}: {counted}.")
    return _told(done.refused)


def _send(args: argparse.Namespace) -> int:
    from spectralid.casework import outbox
    from spectralid.casework.enrolment import enrolled_endpoint, trust_of
    from spectralid.casework.sync import Sync

    with _record(args) as store:
        trust_of(store)  # says what to do when the tablet is not enrolled
        endpoint = enrolled_endpoint(store)
        assert endpoint is not None
        outbox.retry_now(store)
        try:
            report = Sync(store, endpoint).once()
        finally:
            endpoint.close()
    print(
        f"{len(report.delivered)} packets received by the server, {len(report.held)} to be tried again; "
        f"{len(report.answers)} new answers."
        + (f" {len(report.checks)} checks of instruments received." if report.checks else "")
    )
    wrong = (*report.refused, *([report.reason] if report.reason else []))
    needed = [f"packet {packet_id}: the server refuses it, see 'list'." for packet_id in report.attention]
    return _told((*wrong, *needed))


def _request(args: argparse.Namespace) -> int:
    from spectralid.casework import enrolment

    with _record(args, make=True) as store:
        raw = enrolment.request(store)
    with args.file.open("xb") as file:
        file.write(raw)
    print(f"{args.file}: give it to the agency, with this fingerprint: {enrolment.fingerprint(raw)}")
    return Exit.IDENTIFIED


def _enrol(args: argparse.Namespace) -> int:
    from spectralid.casework import enrolment

    raw = _bytes(args.file)
    with _record(args) as store:
        taken = enrolment.enrol(
            store, raw, confirmed=args.fingerprint, certificate=args.certificate, key=args.key
        )
    print(f"This tablet is enrolled as {taken.device_id} with {taken.url}.")
    return Exit.IDENTIFIED


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_LARGEST)


def _told(sentences: tuple[str, ...]) -> int:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return Exit.UNREADABLE if sentences else Exit.IDENTIFIED
