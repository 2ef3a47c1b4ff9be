"""The record of one seizure as a document: JSON and PDF for people, CSV, spectra, and the fentanyl export.

What `spectralid.report` draws and writes is drawn and written there, here it is given what the server knows
more: answers, what a laboratory said of each item, and the class of every substance. Persons are taken out
first (`spectralid.reachback.redaction`) unless the whole record is asked for; photos are in no export.
Each export is on record with the SHA-256 of what went out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.packet import Packet, open_packet
from spectralid.errors import ParameterError
from spectralid.reachback import classification, csv_out
from spectralid.reachback.bench import decisions
from spectralid.reachback.caseload import cases
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.lab import laboratory
from spectralid.reachback.lab.reports import Result
from spectralid.reachback.redaction import Redactor, substance_name
from spectralid.reachback.store import audit, copies
from spectralid.reachback.store.tables import packets
from spectralid.reachback.tablets import answers

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database
    from spectralid.spectrum import Spectrum

__all__ = ["FORMS", "Export", "Form", "export"]

Form = Literal["json", "pdf", "csv", "jcamp", "nexus", "niem", "niem-csv"]

FORMS: Final[Mapping[str, tuple[str, str]]] = {
    "json": ("application/json", "json"),
    "pdf": ("application/pdf", "pdf"),
    "csv": ("text/csv; charset=utf-8", "csv"),
    "jcamp": ("chemical/x-jcamp-dx", "jdx"),
    "nexus": ("application/x-hdf5", "nxs"),
    "niem": ("application/json", "json"),
    "niem-csv": ("text/csv; charset=utf-8", "csv"),
}
"""Forms, each with its media type and the end of its file's name."""

_COLUMNS: Final = (
    "case", "item", "source", "packet_id", "seq", "utc", "technique", "verdict", "alarm", "slug", "substance",
    "class", "class_basis", "schedule", "share", "share_low", "share_high", "status", "by",
)  # fmt: skip


_OF_CASE: Final = ("case_id", "state", "opened_utc", "round")


@dataclass(frozen=True, slots=True)
class Export:
    """A document.

    Attributes
    ----------
    data : bytes
        It.
    media_type, name : str
        What it is, and what its file may be called.
    redacted : bool
        Whether persons were taken out.
    """

    data: bytes
    media_type: str
    name: str
    redacted: bool


@dataclass(frozen=True, slots=True)
class _Record:
    """What is on record of a case, with or without persons."""

    case: Mapping[str, Any]
    manifests: Sequence[Mapping[str, Any]]
    answers: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    results: Sequence[Mapping[str, Any]]
    standing: dict[str, Result]
    redacted: bool
    spectra: list[tuple[Mapping[str, Any], Spectrum]] = field(default_factory=list)
    language: str = "en"
    paper: str = "a4"

    @property
    def status(self) -> dict[str, str]:
        return {item: one.result for item, one in self.standing.items()}

    @property
    def found(self) -> dict[str, list[Mapping[str, Any]]]:
        """What the laboratory found in each item, as the components of a packet are."""
        return {item: [_component(x.slug) for x in one.substances] for item, one in self.standing.items()}


def _component(slug: str) -> dict[str, Any]:
    known = classification.compounds().by_slug.get(slug)
    if known is None:
        family = classification.classify(slug).family
        related = "yes" if family == classification.FENTANYL_RELATED else ""
        return {"slug": slug, "name": slug, "fentanyl_related": related}
    return {
        "slug": slug,
        "name": known.name,
        "category": known.category,
        "schedule": known.schedule,
        "fentanyl_related": known.fentanyl_related,
    }


def export(
    db: Database,
    case_id: str,
    form: str,
    *,
    by: str,
    now: datetime,
    persons: bool = False,
    language: str = "en",
    paper: str = "a4",
    key: bytes | None = None,
) -> Export:
    """The record of a case in some form.

    Parameters
    ----------
    db : Database
        The server's.
    case_id : str
        Which.
    form : str
        One of `FORMS`. ``niem`` and ``niem-csv`` are the export of fentanyl-family seizures, which has no
        rows for others.
    by : str
        Who asks.
    now : datetime
        When.
    persons : bool
        Leave persons and what they wrote in.
    language, paper : str
        Of the PDF.
    key : bytes, optional
        Of the pseudonyms; by default one for this export alone.

    Raises
    ------
    NotFoundError
        If there is no such case, or no spectrum for a form that holds spectra.
    ParameterError
        If form, language or paper are not known.
    """
    if form not in FORMS:
        raise ParameterError("format", form, "one of " + ", ".join(FORMS))
    record = _read(db, case_id, persons=persons, spectra=form in ("pdf", "jcamp", "nexus"), key=key)
    data = _MADE[form](replace(record, language=language, paper=paper))
    facts = {"format": form, "redacted": not persons, "sha256": hashlib.sha256(data).hexdigest()}
    with db.begin() as tx:
        audit.append(tx, by, "export", case_id, facts, now=now)
    media_type, ending = FORMS[form]
    return Export(data, media_type, f"{case_id}.{ending}", not persons)


# --- what is on record -------------------------------------------------------------------------------------


def _packets(db: Database, case_id: str) -> Iterator[Packet]:
    chosen = sa.select(packets.c.device_id, packets.c.seq).where(packets.c.case_id == case_id)
    with db.read() as tx:
        numbers = tx.execute(chosen.order_by(packets.c.device_id, packets.c.seq)).all()
    for device_id, seq in numbers:
        with db.read() as tx:
            raw = copies.raw_of(tx, device_id, seq)
        yield open_packet(raw, None)


def _read(db: Database, case_id: str, *, persons: bool, spectra: bool, key: bytes | None) -> _Record:
    with db.read() as tx:
        case = cases.get(tx, case_id)
        items = laboratory.items_of(tx, case_id)
    redactor = None if persons else Redactor(case_id, items, key)
    manifests: list[Mapping[str, Any]] = []
    measured: list[tuple[Mapping[str, Any], Spectrum]] = []
    for packet in _packets(db, case_id):
        whole: dict[str, Any] = {**packet.manifest, "sha256": packet.sha256}
        manifest = whole if redactor is None else redactor.manifest(whole)
        manifests.append(manifest)
        if spectra and packet.kind == "scan":
            measured += [(manifest, one) for one in _spectra(packet)]
    told = [one.content() for one in answers.of_case(db, case_id)]
    decided = decisions.of_case(db, case_id)
    results = laboratory.of_case(db, case_id)
    standing = {item: one for item, one in laboratory.standing(results).items() if item is not None}
    if redactor is None:
        return _Record(
            case, manifests, told, [_decision(one) for one in decided], [_plain(one) for one in results],
            standing, redacted=False, spectra=measured,
        )  # fmt: skip
    named = {str(redactor.item(item)): one for item, one in standing.items()}
    kept = {name: case[name] for name in _OF_CASE}
    return _Record(
        kept, manifests, [redactor.answer(one) for one in told], [redactor.decision(one) for one in decided],
        [redactor.result(one) for one in results], named, redacted=True, spectra=measured,
    )  # fmt: skip


def _spectra(packet: Packet) -> Iterator[Spectrum]:
    from spectralid.reachback.bench.material import read_material

    for scan in read_material([packet]).scans:
        if scan.role == "sample" and scan.spectrum is not None:
            yield scan.spectrum


def _decision(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: one[name] for name in ("kind", "round", "utc", "by")}, **one["said"]}


def _plain(one: Result) -> dict[str, Any]:
    plain = one.to_dict()
    plain["swgdrug"] = plain.pop("categories")
    return plain


# --- classes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Class:
    """A substance or family that somebody found in an item."""

    item: str
    source: str
    of: classification.Classification
    status: str
    manifest: Mapping[str, Any]
    component: Mapping[str, Any]
    by: str = ""
    utc: str = ""


def _classes(record: _Record) -> list[_Class]:
    """Of every scan, then of the chemist's newest decision, then of the laboratory."""
    found = []
    for manifest in record.manifests:
        if manifest.get("kind") != "scan":
            continue
        item = str(manifest.get("item_ref") or "")
        components = {
            str(one.get("slug")): one
            for one in manifest["result"].get("components", ())
            if isinstance(one, Mapping)
        }
        status = record.status.get(item)
        said = "presumptive" if status is None else f"presumptive; laboratory: {status}"
        found += [
            _Class(item, "field", one, said, manifest, components.get(one.slug, {}))
            for one in classification.of_scan(manifest["result"])
        ]
    decided = [one for one in record.decisions if one["kind"] == "decision"]
    if decided:
        last = decided[-1]
        found += [
            _Class(
                "", "chemist", classification.classify(slug), "presumptive", {}, {"slug": slug},
                str(last["by"]), str(last["utc"]),
            )
            for slug in last.get("substances", ())
        ]  # fmt: skip
    for item, one in record.standing.items():
        status = f"laboratory: {one.result}"
        found += [
            _Class(
                item, "laboratory", classification.classify(x.slug), status, {},
                {"slug": x.slug, "share": x.share}, "", one.received_utc,
            )
            for x in one.substances
        ]  # fmt: skip
    return found


def _lines(record: _Record) -> dict[str, list[str]]:
    """Classes of each item in words, for the pages."""
    lines: dict[str, list[str]] = {}
    for one in _classes(record):
        line = f"{one.of.text()} ({one.source}; {one.status})"
        if line not in lines.setdefault(one.item, []):
            lines[one.item].append(line)
    of_all = lines.pop("", [])
    if of_all:
        for item in dict.fromkeys(str(m["item_ref"]) for m in record.manifests if m.get("item_ref")):
            lines.setdefault(item, []).extend(of_all)
    return lines


# --- forms -------------------------------------------------------------------------------------------------


def _json(record: _Record) -> bytes:
    from spectralid.report.scan import as_json
    from spectralid.report.seizure import seizure_facts

    facts = seizure_facts(
        record.manifests, language=record.language, lab_status=record.status, answers=record.answers,
        classes=_lines(record), found=record.found,
    )  # fmt: skip
    more = {
        "redacted": record.redacted,
        "case": {name: record.case[name] for name in _OF_CASE},
        "classification": [
            {"item_ref": one.item, "source": one.source, "status": one.status, **one.of.to_dict()}
            for one in _classes(record)
        ],
        "decisions": record.decisions,
        "laboratory_results": record.results,
    }
    return as_json({**facts, **more})


def _pdf(record: _Record) -> bytes:
    from spectralid.report import seizure_report

    curves: dict[str, list[Any]] = {}
    for manifest, one in record.spectra:
        curves.setdefault(str(manifest["packet_id"]), []).append(
            (one.axis, one.intensity, one.technique.value)
        )
    return seizure_report(
        record.manifests, language=record.language, paper=record.paper, lab_status=record.status,
        answers=record.answers, classes=_lines(record), found=record.found, spectra=curves,
    )  # fmt: skip


def _csv(record: _Record) -> bytes:
    rows = []
    for one in _classes(record):
        result = one.manifest.get("result", {})
        verdict = result.get("verdict", {}) if isinstance(result.get("verdict"), Mapping) else {}
        captured = one.manifest.get("captured", {})
        rows.append(
            (
                record.case["case_id"], one.item, one.source, one.manifest.get("packet_id"),
                one.manifest.get("seq"), captured.get("wall_utc") or one.utc,
                one.manifest.get("instrument", {}).get("technique"), result.get("decision"),
                verdict.get("alarm"), one.of.slug, substance_name(one.of.slug) if one.of.slug else None,
                one.of.text(), one.of.basis, one.of.schedule, one.component.get("share"),
                one.component.get("low"), one.component.get("high"), one.status, one.by,
            )
        )  # fmt: skip
    return csv_out.written(_COLUMNS, rows)


def _named(record: _Record) -> Iterator[Spectrum]:
    """The spectra, each with its class and what it is worth."""
    from spectralid.spectrum import Acquisition

    of_packet: dict[str, list[str]] = {}
    for one in _classes(record):
        if one.manifest:
            of_packet.setdefault(str(one.manifest["packet_id"]), []).append(one.of.text())
    numbers: dict[str, int] = {}
    for manifest, spectrum in record.spectra:
        packet_id, item = str(manifest["packet_id"]), str(manifest.get("item_ref") or "")
        numbers[packet_id] = numbers.get(packet_id, 0) + 1
        # A record of several lines is wrapped anywhere in some formats; ASCII with marks between survives.
        notes = {
            "SPECTRALID CASE": str(record.case["case_id"]),
            "SPECTRALID PACKET": packet_id,
            "SPECTRALID CLASS": "; ".join(of_packet.get(packet_id, ["nothing named"])),
            "SPECTRALID STATUS": record.status.get(item) or "presumptive",
        }
        facts = spectrum.acquisition
        if record.redacted:
            said = manifest.get("instrument", {})
            known = {k: v for k, v in said.items() if k in Acquisition.__dataclass_fields__}
            facts = replace(
                Acquisition.from_dict(known), time=str(manifest.get("captured", {}).get("wall_utc", ""))
            )
        yield replace(
            spectrum,
            acquisition=replace(facts, metadata={**facts.metadata, **notes}),
            history=(),
            name=f"{record.case['case_id']} {item} packet {manifest.get('seq')}/{numbers[packet_id]}",
        )


def _spectrum_file(record: _Record, write: Any) -> bytes:
    found = list(_named(record))
    if not found:
        raise NotFoundError("The case has no spectrum that can be written.")
    data: bytes = write(found)
    return data


def _jcamp(record: _Record) -> bytes:
    from spectralid.io.jcamp import FORMAT

    return _spectrum_file(record, FORMAT.write)


def _nexus(record: _Record) -> bytes:
    from spectralid.io.nexus import FORMAT

    return _spectrum_file(record, FORMAT.write)


def _niem(record: _Record) -> bytes:
    from spectralid.report import fentanyl_json

    return fentanyl_json(
        record.manifests, answers=record.answers, lab_status=record.status, found=record.found
    )


def _niem_csv(record: _Record) -> bytes:
    from spectralid.report import fentanyl_csv

    return fentanyl_csv(
        record.manifests, answers=record.answers, lab_status=record.status, found=record.found
    )


_MADE: Final = {
    "json": _json,
    "pdf": _pdf,
    "csv": _csv,
    "jcamp": _jcamp,
    "nexus": _nexus,
    "niem": _niem,
    "niem-csv": _niem_csv,
}
