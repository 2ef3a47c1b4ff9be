"""``spectralid report``: documents made from what is on record."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._output import add_force_option, check_new
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.casework.packet import Packet

__all__ = ["add_parser"]

_PACKET: Final = ".sidpkt"
_SIGNATURE: Final = "spectralid: the signatures of packet files are not checked here; a store checks its own."


@dataclass(frozen=True, slots=True)
class _Record:
    """What the sources hold."""

    packets: tuple[Packet, ...]
    answers: tuple[Mapping[str, Any], ...] = ()
    custody: tuple[Mapping[str, Any], ...] = ()
    custody_fault: str | None = None

    def plain(self, packets: Iterable[Packet]) -> list[Mapping[str, Any]]:
        """Manifests, each with its packet's SHA-256."""
        return [{**p.manifest, "sha256": p.sha256} for p in packets]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "report",
        help="PDF and JSON reports of scans and seizures",
        description=(
            "Make a report from packets (.sidpkt) or from the folder of a store. The same record always "
            "gives the same bytes."
        ),
    )
    kinds = parser.add_subparsers(title="reports", metavar="REPORT", required=True)
    scan = kinds.add_parser("scan", help="one page about one scan")
    _add_common(scan, ".pdf .json")
    scan.add_argument("--packet", default="", metavar="ID", help="which scan, if there are several")
    scan.set_defaults(run=_scan)
    seizure = kinds.add_parser("seizure", help="items, scans, evidence and custody of one seizure")
    _add_common(seizure, ".pdf .json")
    seizure.add_argument("--seizure", default="", metavar="REF", help="which seizure, if there are several")
    seizure.add_argument("--spectra", action="store_true", help="draw the spectrum of every scan")
    seizure.set_defaults(run=_seizure)
    export = kinds.add_parser("fentanyl", help="export of fentanyl-family seizures, whatever their weight")
    _add_source(export, ".csv .json")
    export.add_argument("--seizure", default="", metavar="REF", help="only this seizure")
    export.set_defaults(run=_fentanyl)


def _add_source(parser: argparse.ArgumentParser, suffixes: str) -> None:
    parser.add_argument(
        "source", nargs="+", type=Path, help="packet files (.sidpkt), or the folder of a store"
    )
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FILE", help=f"file to write ({suffixes})"
    )
    add_force_option(parser)


def _add_common(parser: argparse.ArgumentParser, suffixes: str) -> None:
    _add_source(parser, suffixes)
    parser.add_argument("--language", default="en", metavar="CODE", help="en or es (default en)")
    parser.add_argument("--paper", default="a4", choices=("a4", "letter"), help="default a4")


def _scan(args: argparse.Namespace) -> int:
    from spectralid.casework.compose import spectrum_of
    from spectralid.report import scan_json, scan_report

    pdf = _chosen(args, ".pdf", ".json")
    record = _read(args.source)
    scans = [p for p in record.packets if p.kind == "scan" and args.packet in ("", p.packet_id)]
    if not scans or (len(scans) > 1 and not args.packet):
        found = ", ".join(p.packet_id for p in scans) or "none"
        raise ParameterError("--packet", args.packet, f"the id of one scan (there: {found})")
    packet = scans[-1]
    item = packet.manifest.get("item_ref")
    options: dict[str, Any] = {
        "language": args.language,
        "answers": [a for a in record.answers if _about(a, packet, item)],
        "evidence": record.plain(p for p in record.packets if p.manifest.get("item_ref") == item),
    }
    spectrum = spectrum_of(packet)
    curves = [(spectrum.axis, spectrum.intensity, spectrum.technique.value)]
    (manifest,) = record.plain([packet])
    if pdf:
        return _write(args, scan_report(manifest, curves, paper=args.paper, **options))
    return _write(args, scan_json(manifest, curves, **options))


def _seizure(args: argparse.Namespace) -> int:
    from spectralid.casework.compose import spectrum_of
    from spectralid.report import seizure_json, seizure_report

    pdf = _chosen(args, ".pdf", ".json")
    record = _read(args.source)
    reference = _one_seizure(record, args.seizure)
    packets = [p for p in record.packets if p.manifest.get("seizure_ref") == reference]
    numbers = {p.seq for p in packets}
    options: dict[str, Any] = {
        "language": args.language,
        "answers": [a for a in record.answers if a.get("seizure_ref") in (None, reference)],
        "custody": [e for e in record.custody if _concerns(e, reference, numbers)],
        "custody_fault": record.custody_fault,
    }
    if not pdf:
        return _write(args, seizure_json(record.plain(packets), **options))
    curves = {}
    for packet in packets if args.spectra else ():
        if packet.kind == "scan":
            spectrum = spectrum_of(packet)
            curves[packet.packet_id] = [(spectrum.axis, spectrum.intensity, spectrum.technique.value)]
    made = seizure_report(record.plain(packets), spectra=curves, paper=args.paper, **options)
    return _write(args, made)


def _fentanyl(args: argparse.Namespace) -> int:
    from spectralid.report import fentanyl_csv, fentanyl_json

    csv = _chosen(args, ".csv", ".json")
    record = _read(args.source)
    if args.seizure:
        _one_seizure(record, args.seizure)
    packets = [p for p in record.packets if args.seizure in ("", p.manifest.get("seizure_ref"))]
    make = fentanyl_csv if csv else fentanyl_json
    return _write(args, make(record.plain(packets), answers=record.answers))


def _chosen(args: argparse.Namespace, first: str, second: str) -> bool:
    """Whether the first form was asked for, by the name of the file."""
    suffix = args.output.suffix.lower()
    if suffix not in (first, second):
        raise ParameterError("--output", str(args.output), f"a file ending in {first} or {second}")
    check_new(args, args.output)
    return bool(suffix == first)


def _write(args: argparse.Namespace, made: bytes) -> int:
    args.output.write_bytes(made)
    return Exit.IDENTIFIED


def _read(sources: Sequence[Path]) -> _Record:
    from spectralid.casework.packet import open_packet

    folders = [s for s in sources if s.is_dir()]
    if folders:
        if len(sources) > 1:
            raise ParameterError(
                "source", [str(s) for s in sources], "packet files, or one folder of a store"
            )
        return _of_store(folders[0])
    print(_SIGNATURE, file=sys.stderr)
    packets = [open_packet(source.read_bytes(), None) for source in sources]
    return _Record(tuple(sorted(packets, key=lambda p: (p.device_id, p.seq))))


def _of_store(folder: Path) -> _Record:
    from spectralid.casework import inbox
    from spectralid.casework.store import CaseStore

    with CaseStore.open(folder, read_only=True) as store:
        packets = tuple(sorted(store.sound_packets(), key=lambda p: p.seq))
        log = store.custody.entries()
        problems = store.custody.verify()
        return _Record(
            packets,
            tuple(answer.to_dict() for answer in inbox.all(store)),
            tuple(
                {"n": e.n, "utc": e.utc, "clock_state": e.clock_state, "kind": e.kind, "facts": dict(e.facts)}
                for e in log
            ),
            " ".join(problem.words for problem in problems),
        )


def _one_seizure(record: _Record, wanted: str) -> str:
    found = sorted({p.manifest["seizure_ref"] for p in record.packets if p.manifest.get("seizure_ref")})
    if wanted in found:
        return wanted
    if len(found) == 1 and not wanted:
        return str(found[0])
    raise ParameterError("--seizure", wanted, "one of: " + (", ".join(found) or "none on record"))


def _about(answer: Mapping[str, Any], packet: Packet, item: str | None) -> bool:
    packets = answer.get("packet_ids") or ()
    return packet.packet_id in packets or (
        not packets and item is not None and answer.get("item_ref") == item
    )


def _concerns(entry: Mapping[str, Any], reference: str, numbers: set[int]) -> bool:
    facts = entry["facts"]
    return bool(facts.get("seizure_ref") == reference or facts.get("seq") in numbers)
