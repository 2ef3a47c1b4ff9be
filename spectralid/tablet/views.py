"""What the screen is told, as plain data: one function for each thing it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework.compose import spectrum_of
from spectralid.tablet.curves import curve

if TYPE_CHECKING:
    from spectralid.casework.inbox import Answer
    from spectralid.casework.instrument_checks import CheckRow
    from spectralid.casework.outbox import OutboxRow
    from spectralid.casework.packet import Packet
    from spectralid.tablet.item import ItemView
    from spectralid.tablet.unit import FieldUnit
    from spectralid.verdict.catalog import Catalog

__all__ = [
    "answer_view",
    "check_queue_view",
    "history_view",
    "item_view",
    "queue_view",
    "record_view",
    "seizure_view",
]

# Of several packets the one that is furthest from an answer counts.
_STATES: Final = ("attention", "queued", "sending", "received", "answered")
# Loudest first; of a seizure the loudest of its scans is shown.
_ALARMS: Final = ("danger", "unknown", "warning", "notice")


def record_view(
    packet: Packet, catalog: Catalog, *, queue: OutboxRow, answers: Iterable[Answer] = ()
) -> dict[str, Any]:
    """One recorded scan."""
    manifest = packet.manifest
    result = manifest["result"]
    told = [answer_view(a) for a in answers]
    spectrum = spectrum_of(packet)
    return {
        "packet_id": packet.packet_id,
        "seq": packet.seq,
        "sha256": packet.sha256,
        "utc": manifest["captured"]["wall_utc"],
        "clock_state": manifest["captured"]["clock_state"],
        "seizure_ref": manifest.get("seizure_ref"),
        "item_ref": manifest.get("item_ref"),
        "technique": spectrum.technique.value,
        "instrument": manifest["instrument"],
        "check": manifest.get("instrument_check", "unknown"),
        "check_utc": check["time"] if isinstance(check := manifest.get("ipv"), dict) else None,
        "library": result["library"],
        "language": manifest.get("ui_locale", "en"),
        "verdict": result.get("verdict"),
        "refused": result.get("refused", ""),
        "components": [_component(c, catalog) for c in result.get("components", ())],
        "queue": {"state": queue.state, "code": queue.code, "reason": queue.reason},
        "answers": told,
        "lab": next((a["lab"] for a in reversed(told) if a["lab"]), None),
        "spectrum": curve(spectrum),
        "simulated": "simulated" in manifest["instrument"].get("flags", ()),
    }


def item_view(view: ItemView, rows: Sequence[OutboxRow], *, answers: Iterable[Answer] = ()) -> dict[str, Any]:
    """All of one item, with how far its packets are on their way to reachback."""
    slowest = min(rows, key=lambda row: _STATES.index(row.state), default=None)
    assessment = view.assessment.to_dict() if view.assessment else None
    declared = dict(view.declared) if view.declared else None
    if declared is not None:
        declared.pop("check", None)
        declared.update((assessment or {}).get("declared") or {"outcome": None, "reasons": []})
    fusion = view.fusion
    return {
        "item_ref": view.item_ref,
        "seizure_ref": view.seizure_ref,
        "label": view.opened.get("label", ""),
        "container": view.opened.get("container", "none"),
        "scans": [_scan(p) for p in view.scans],
        "strips": [dict(s) for s in view.strips],
        "declared": declared,
        "fusion": {"outcome": fusion.outcome.value, "words": fusion.words} if fusion else None,
        "assessment": assessment,
        "notes": [
            {"utc": p.manifest["captured"]["wall_utc"], "text": p.manifest["note"]}
            for p in view.evidence
            if p.manifest.get("note")
        ],
        "photos": [
            {"packet_id": p.packet_id, "sha256": photo["blob"], "name": photo["name"]}
            for p in view.evidence
            for photo in p.manifest.get("photos", ())
        ],
        "suggest": view.suggest,
        "suggest_reason": view.suggest_reason,
        "queue": slowest.state if slowest else None,
        "queue_code": slowest.code if slowest else "",
        "answers": [answer_view(a) for a in answers],
    }


def seizure_view(unit: FieldUnit, seizure_ref: str, *, with_items: bool = False) -> dict[str, Any]:
    """One seizure, with its items where asked for."""
    row = next(s for s in unit.store.seizures() if s.seizure_ref == seizure_ref)
    items = unit.store.items(seizure_ref)
    every = {i.item_ref: unit.store.of_item(i.item_ref) for i in items}
    view: dict[str, Any] = {
        "seizure_ref": seizure_ref,
        "opened_utc": row.opened_utc,
        "place": row.place,
        "mode": row.mode,
        "items": len(items),
        "alarm": _loudest(p for packets in every.values() for p in packets),
    }
    if with_items:
        view["items"] = [
            {
                "item_ref": i.item_ref,
                "label": i.label,
                "container": i.container,
                "alarm": _loudest(every[i.item_ref]),
                "headline": _headline(every[i.item_ref]),
                "scans": sum(p.kind == "scan" for p in every[i.item_ref]),
            }
            for i in items
        ]
    return view


def history_view(packets: Iterable[Packet], states: Mapping[str, str]) -> list[dict[str, Any]]:
    """Scans, as a list."""
    return [{**_scan(p), "queue": states.get(p.packet_id, "queued")} for p in packets]


def queue_view(row: OutboxRow) -> dict[str, Any]:
    """Where one packet stands on its way to reachback."""
    return {
        "packet_id": row.packet_id,
        "seq": row.seq,
        "kind": row.kind,
        "state": row.state,
        "tries": row.tries,
        "code": row.code,
        "reason": row.reason,
        "next_try_utc": row.next_try_utc,
        "urgent": row.urgent,
    }


def check_queue_view(row: CheckRow) -> dict[str, Any]:
    """Where the record of a check stands on its way to reachback."""
    return {
        "check_id": row.ipv_id,
        "kind": "check",
        **{name: getattr(row, name) for name in ("state", "tries", "code", "reason", "next_try_utc")},
        "urgent": False,
    }


def answer_view(answer: Answer) -> dict[str, Any]:
    """What reachback said."""
    return answer.to_dict()


def _scan(packet: Packet) -> dict[str, Any]:
    result = packet.manifest["result"]
    verdict = result.get("verdict") or {}
    return {
        "packet_id": packet.packet_id,
        "seq": packet.seq,
        "utc": packet.manifest["captured"]["wall_utc"],
        "technique": packet.manifest["instrument"]["technique"],
        "kind": packet.kind,
        "verdict": verdict.get("kind", "inconclusive"),
        "alarm": verdict.get("alarm", "unknown"),
        "headline": verdict.get("headline") or result.get("refused", ""),
        "item_ref": packet.manifest.get("item_ref"),
        "seizure_ref": packet.manifest.get("seizure_ref"),
    }


def _loudest(packets: Iterable[Packet]) -> str | None:
    """The loudest alarm of scans, and of what items came to with their strips."""
    said = [_conclusion(p) for p in packets]
    alarms = {c["alarm"] for c in said if c}
    return next((a for a in _ALARMS if a in alarms), None)


def _headline(packets: Sequence[Packet]) -> str:
    said = [c for p in packets if (c := _conclusion(p))]
    return str(said[-1]["headline"]) if said else ""


def _conclusion(packet: Packet) -> Mapping[str, Any] | None:
    """What an item had come to with a packet; what its scan alone said, where that is not on record."""
    assessment: Mapping[str, Any] | None = packet.manifest.get("assessment")
    return assessment or (_scan(packet) if packet.kind == "scan" else None)


def _component(stated: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    shown = {k: stated.get(k) for k in ("form", "share", "low", "high", "probability", "tier")}
    return {**shown, "name": catalog.named(stated["slug"], stated["name"])}
