"""Reports of what is on record on this tablet, made from the packets alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import inbox
from spectralid.casework.compose import spectrum_of
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.casework.packet import Packet
    from spectralid.tablet.unit import FieldUnit

__all__ = ["FORMS", "of_scan", "of_seizure"]

FORMS: Final = ("pdf", "json")


def of_scan(unit: FieldUnit, packet: Packet, form: str) -> bytes:
    """The report of one scan.

    Parameters
    ----------
    unit : FieldUnit
        Where it is on record.
    packet : Packet
        The scan.
    form : {"pdf", "json"}
        As what.
    """
    from spectralid import report

    make = _form(form, report.scan_report, report.scan_json)
    spectrum = spectrum_of(packet)
    item_ref = packet.manifest.get("item_ref")
    evidence = [_with_identity(p) for p in unit.store.of_item(str(item_ref)) if p.kind == "evidence"]
    answers = [
        a.to_dict()
        for a in inbox.all(unit.store)
        if packet.packet_id in a.packet_ids or (not a.packet_ids and a.item_ref == item_ref)
    ]
    made: bytes = make(
        _with_identity(packet),
        [(spectrum.axis, spectrum.intensity, spectrum.technique.value)],
        language=unit.language,
        evidence=evidence,
        answers=answers,
    )
    return made


def of_seizure(unit: FieldUnit, seizure_ref: str, form: str) -> bytes:
    """The report of a whole seizure, with its entries of the custody log; parameters as for `of_scan`."""
    from spectralid import report

    _form(form, None, None)
    packets = unit.store.of_seizure(seizure_ref)
    known = {p.packet_id for p in packets}
    problems = unit.store.custody.verify()
    facts: dict[str, Any] = {
        "language": unit.language,
        "answers": [a.to_dict() for a in inbox.all(unit.store) if a.seizure_ref == seizure_ref],
        "custody": [
            {**asdict(e), "facts": dict(e.facts)} for e in unit.store.custody.about(seizure_ref, known)
        ],
        "custody_fault": str(problems[0]) if problems else "",
    }
    manifests = [_with_identity(p) for p in packets]
    if form == "json":
        return report.seizure_json(manifests, **facts)
    spectra = {}
    for packet in packets:
        if packet.kind == "scan":
            spectrum = spectrum_of(packet)
            spectra[packet.packet_id] = [(spectrum.axis, spectrum.intensity, spectrum.technique.value)]
    return report.seizure_report(manifests, spectra=spectra, **facts)


def _with_identity(packet: Packet) -> dict[str, Any]:
    """The manifest with the SHA-256 of its packet, which it cannot hold itself."""
    return {**packet.manifest, "sha256": packet.sha256}


def _form(form: str, pdf: Any, json: Any) -> Any:
    if form not in FORMS:
        raise ParameterError("form", form, "one of " + ", ".join(FORMS))
    return pdf if form == "pdf" else json
