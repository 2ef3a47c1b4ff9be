"""Everything a report of one seizure says, as plain data: its items, scans and evidence, and who had it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from spectralid.errors import ParameterError
from spectralid.report import record
from spectralid.report.fentanyl import is_family, is_member
from spectralid.report.scan import as_json

__all__ = ["SCHEMA", "seizure_facts", "seizure_json"]

SCHEMA: Final = "spectralid.report.seizure/1"

# Loudest first, as the verdict has them.
_ALARMS: Final = ("danger", "unknown", "warning", "notice")


def seizure_json(
    manifests: Iterable[Mapping[str, Any]],
    *,
    language: str = "en",
    lab_status: Mapping[str, str] | None = None,
    answers: Iterable[Mapping[str, Any]] = (),
    custody: Sequence[Mapping[str, Any]] = (),
    custody_fault: str | None = None,
) -> bytes:
    """The report of a seizure as JSON with sorted keys; nothing in it is shortened.

    Parameters
    ----------
    manifests : iterable of mapping
        Manifests of all packets of one seizure, in any order, each with its packet's SHA-256 as ``sha256``.
    language : str, optional
        Language the pages are in.
    lab_status : mapping of str to str, optional
        What a laboratory has said of an item, by its reference; taken from the answers where absent.
    answers : iterable of mapping, optional
        Answers of reachback and laboratory.
    custody : sequence of mapping, optional
        Entries of the custody log that concern it, oldest first.
    custody_fault : str, optional
        What is wrong with the chain of that log: empty if it was verified, absent if nobody looked.

    Returns
    -------
    bytes
        UTF-8.

    Raises
    ------
    ParameterError
        If there is no manifest, or they are of several seizures.
    """
    return as_json(
        seizure_facts(
            manifests,
            language=language,
            lab_status=lab_status,
            answers=answers,
            custody=custody,
            custody_fault=custody_fault,
        )
    )


def seizure_facts(
    manifests: Iterable[Mapping[str, Any]],
    *,
    language: str = "en",
    lab_status: Mapping[str, str] | None = None,
    answers: Iterable[Mapping[str, Any]] = (),
    custody: Sequence[Mapping[str, Any]] = (),
    custody_fault: str | None = None,
    classes: Mapping[str, Sequence[str]] | None = None,
    found: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, Any]:
    """What a report of a seizure says, as plain data; see `seizure_json`.

    Parameters
    ----------
    classes : mapping of str to sequence of str, optional
        What the substances of an item count as, in words, by its reference.
    found : mapping of str to sequence of mapping, optional
        Substances that a laboratory found in an item: a member of the fentanyl family makes it one of
        those, whatever the field said.
    """
    ordered = sorted(manifests, key=lambda m: record.number(m, "seq") or 0)
    references = {record.text(m, "seizure_ref") for m in ordered}
    if len(references) != 1:
        raise ParameterError("manifests", sorted(references), "of one seizure, and at least one")
    opened = next((m for m in ordered if record.text(m, "kind") == "seizure"), {})
    told = record.answered(answers)
    names = dict.fromkeys(record.text(m, "item_ref") for m in ordered)
    items = [_item(name, ordered, told, lab_status or {}) for name in names if name]
    for item in items:
        if classes is not None:
            item["classes"] = list(classes.get(item["item_ref"], ()))
        if any(map(is_member, (found or {}).get(item["item_ref"], ()))):
            item["fentanyl_family"] = True
    alarms = [item["alarm"] for item in items if item["alarm"]]
    return {
        "schema": SCHEMA,
        "presumptive": True,
        "simulated": any(record.simulated(m) for m in ordered),
        "language": language,
        "seizure": {
            "seizure_ref": references.pop(),
            "opened_utc": record.text(opened, "captured", "wall_utc"),
            "clock_state": record.text(opened, "captured", "clock_state"),
            "place": record.text(opened, "place"),
            "mode": record.text(opened, "mode"),
            "note": record.text(opened, "note"),
            "officers": sorted({o for m in ordered if (o := record.text(m, "officer_ref"))}),
            "sites": sorted({s for m in ordered if (s := record.text(m, "site_ref"))}),
            "devices": sorted({d for m in ordered if (d := record.text(m, "device_id"))}),
        },
        "alarm": min(alarms, key=_loudness, default=""),
        "items": items,
        "moves": [_move(m) for m in ordered if record.text(m, "kind") in ("custody", "send")],
        "custody": {"entries": [dict(entry) for entry in custody], "fault": custody_fault},
        "answers": told,
        "fentanyl_family": any(item["fentanyl_family"] for item in items),
        "packets": [_packet(m) for m in ordered],
    }


def _loudness(alarm: str) -> int:
    return _ALARMS.index(alarm) if alarm in _ALARMS else _ALARMS.index("unknown")


def _packet(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "packet_id": record.text(manifest, "packet_id"),
        "packet_sha256": record.text(manifest, "sha256"),
        "kind": record.text(manifest, "kind"),
        "seq": record.at(manifest, "seq"),
        "captured_utc": record.text(manifest, "captured", "wall_utc"),
        "clock_state": record.text(manifest, "captured", "clock_state"),
    }


def _item(
    reference: str,
    ordered: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]],
    lab_status: Mapping[str, str],
) -> dict[str, Any]:
    own = [m for m in ordered if record.text(m, "item_ref") == reference]
    added = next((m for m in own if record.text(m, "kind") == "item"), {})
    scans = [m for m in own if record.text(m, "kind") == "scan"]
    evidence = [m for m in own if record.text(m, "kind") == "evidence"]
    assessment = record.last(own, "assessment")
    strips = record.strips(own)
    packets = {record.text(m, "packet_id") for m in own}
    about = [
        a
        for a in answers
        if record.text(a, "item_ref") == reference or packets & set(record.texts(a, "packet_ids"))
    ]
    laboratory = record.laboratory(lab_status.get(reference), about)
    results = [_scan(m) for m in scans]
    alarms = [a for r in results if (a := r["alarm"])]
    if loudest := record.text(assessment, "alarm"):
        alarms.append(loudest)
    met = {c for m in scans for c in record.swgdrug(m, assessment or None, strips)}
    return {
        "item_ref": reference,
        "label": record.text(added, "label"),
        "container": record.text(added, "container"),
        "declared": record.declaration(own),
        "scans": results,
        "strips": strips,
        "notes": [note for m in evidence if (note := record.text(m, "note"))],
        "photos": [dict(p) for m in evidence for p in record.records(m, "photos")],
        "assessment": assessment,
        "alarm": min(alarms, key=_loudness, default=""),
        "swgdrug": sorted(met),
        "answers": list(about),
        "laboratory": laboratory,
        "fentanyl_family": is_family(own, laboratory),
    }


def _scan(manifest: Mapping[str, Any]) -> dict[str, Any]:
    verdict = record.at(manifest, "result", "verdict")
    return _packet(manifest) | {
        "technique": record.text(manifest, "instrument", "technique"),
        "simulated": record.simulated(manifest),
        "unit": record.text(next(iter(record.records(manifest, "spectra")), {}), "unit"),
        "instrument": record.text(manifest, "instrument", "instrument"),
        "serial": record.text(manifest, "instrument", "serial"),
        "ipv": record.check(manifest),
        "alarm": record.text(verdict, "alarm"),
        "kind_of_result": record.text(verdict, "kind"),
        "headline": record.text(verdict, "headline") or record.text(manifest, "result", "refused"),
        "components": [dict(c) for c in record.records(manifest, "result", "components")],
        "precautions": record.texts(verdict, "precautions"),
        "escalation": record.texts(manifest, "escalation", "why"),
    }


def _move(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A hand-over, a seal, or a question to reachback."""
    return {
        "kind": record.text(manifest, "kind"),
        "seq": record.at(manifest, "seq"),
        "captured_utc": record.text(manifest, "captured", "wall_utc"),
        "officer_ref": record.text(manifest, "officer_ref"),
        "item_ref": record.text(manifest, "item_ref"),
        "action": record.text(manifest, "action"),
        "to": record.text(manifest, "to"),
        "note": record.text(manifest, "note") or record.text(manifest, "escalation", "officer_note"),
    }
