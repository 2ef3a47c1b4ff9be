"""What the server reads out of a packet, for queues and searches: plain rows, made before any transaction.

The packet stays the evidence; these rows only say where to look. A device may state its result in any form
(docs/packet-format.md lets fields be added), so nothing here relies on the form of what the packet reader
does not check: what is not of the expected type counts as not stated. Files of vendors are not opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spectralid.casework.packet import Packet

__all__ = ["Projected", "project"]

# Families with members that kill in amounts too small to see.
_ULTRA_POTENT: Final = frozenset({"fentanyl-related", "nitazene"})
_FENTANYL: Final = frozenset({"yes", "parent"})
_DEADLY_TARGETS: Final = ("fentanyl", "nitazene")

FIRST, HAZARD, ORDINARY = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Projected:
    """Rows for the tables of `spectralid.reachback.store.tables`, without the case they go into.

    Attributes
    ----------
    rows : mapping of str to list of dict
        By table.
    priority : int
        0 fentanyl family or no match, 1 a hazard or an officer's request, 2 anything else.
    high_hazard : bool
        Whether two persons must look.
    asks : bool
        Whether a chemist is to look at it.
    scans, evidence : int
        What it adds to the case: scans, and anything a decision rests on.
    """

    rows: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    priority: int = ORDINARY
    high_hazard: bool = False
    asks: bool = False
    scans: int = 0
    evidence: int = 0


def project(packet: Packet, *, received_utc: str) -> Projected:
    """What the server notes of a packet.

    Parameters
    ----------
    packet : Packet
        Verified.
    received_utc : str
        When it came.
    """
    said = packet.manifest
    key = {"device_id": packet.device_id, "seq": packet.seq}
    match packet.kind:
        case "scan":
            return _scan(packet, key, received_utc)
        case "evidence":
            return _evidence(said, key)
        case "item":
            return Projected({"items": [{**key, **_item(said)}]})
        case "send":
            why = _strings(said["escalation"]["why"])
            send = {
                **key,
                "item_ref": said.get("item_ref"),
                "packet_ids": json.dumps(_strings(said.get("packet_ids"))),
                "received_utc": received_utc,
                **_escalation(said),
            }
            urgent = ORDINARY if why == ["qa_sample"] else HAZARD
            return Projected({"sends": [send]}, priority=urgent, asks=True)
        case _:
            return Projected()


def _scan(packet: Packet, key: Mapping[str, Any], received_utc: str) -> Projected:
    said = packet.manifest
    result, instrument = said["result"], said["instrument"]
    verdict = _mapping(result.get("verdict"))
    library, engine = _mapping(result.get("library")), _mapping(result.get("engine"))
    components = [_mapping(one) for one in _list(result.get("components"))]
    families = _strings(result.get("families"))
    substances = [_text(one.get("slug")) for one in components if _text(one.get("slug"))]
    if not substances and result["decision"] == "identified":
        # A device that tells of no components names what it found by its first candidate.
        substances = [_text(_mapping(one).get("substance_id")) for one in result.get("candidates", [])[:1]]
    alarm = _text(verdict.get("alarm"))
    strips = _strips(said, key)
    fentanyl = (
        bool(_ULTRA_POTENT & set(families))
        or any(one.get("fentanyl_related") in _FENTANYL for one in components)
        or _deadly(strips)
    )
    hazard = fentanyl or alarm == "danger"
    escalation = _escalation(said)
    row = {
        **key,
        "item_ref": said["item_ref"],
        "technique": instrument["technique"],
        "decision": result["decision"],
        "verdict": _text(verdict.get("kind")) or result["decision"],
        "alarm": alarm,
        "families": json.dumps(families),
        "substances": json.dumps([one for one in substances if one]),
        "fentanyl": fentanyl,
        "high_hazard": hazard,
        "library_name": _text(library.get("name")),
        "library_version": _text(library.get("version")),
        "engine_version": _text(engine.get("version")),
        "instrument": " ".join(
            filter(None, (_text(instrument.get(n)) for n in ("maker", "model", "serial")))
        ),
        "ipv": _ipv(said.get("ipv")),
        **escalation,
        "rescan_of": said.get("rescan_of"),
        "captured_utc": said["captured"]["wall_utc"],
        "received_utc": received_utc,
    }
    unknown = result["decision"] == "no_match"
    asked = escalation["why"] != "[]" or alarm == "unknown"
    return Projected(
        {"scans": [row], "spectra": list(_spectra(packet, key)), "strips": strips},
        priority=FIRST if fentanyl or unknown else HAZARD if hazard or asked else ORDINARY,
        high_hazard=hazard,
        asks=True,
        scans=1,
        evidence=1,
    )


def _evidence(said: Mapping[str, Any], key: Mapping[str, Any]) -> Projected:
    strips = _strips(said, key)
    deadly = _deadly(strips)
    danger = deadly or _text(_mapping(said.get("assessment")).get("alarm")) == "danger"
    declared = [{**key, **_item(said)}] if said.get("declared") or said.get("note") else []
    asks = bool(said.get("escalation"))
    return Projected(
        {"strips": strips, "items": declared},
        priority=FIRST if deadly else HAZARD if danger or asks else ORDINARY,
        high_hazard=danger,
        asks=asks or danger,
        evidence=1,
    )


def _item(said: Mapping[str, Any]) -> dict[str, Any]:
    declared = _mapping(said.get("declared"))
    return {
        "item_ref": said["item_ref"],
        "label": _text(said.get("label")),
        "container": _text(said.get("container")),
        "declared": _text(declared.get("text"), 2000),
        "cas": _text(declared.get("cas")),
        "tariff": _text(declared.get("tariff")),
        "note": _text(said.get("note"), 2000),
    }


def _escalation(said: Mapping[str, Any]) -> dict[str, Any]:
    escalation = _mapping(said.get("escalation"))
    return {
        "why": json.dumps(_strings(escalation.get("why"))),
        "urgency": _text(escalation.get("urgency")),
        "officer_note": _text(escalation.get("officer_note"), 2000),
    }


def _strips(said: Mapping[str, Any], key: Mapping[str, Any]) -> list[dict[str, Any]]:
    out = []
    for number, strip in enumerate(_list(said.get("strips"))):
        texts = {name: _text(strip.get(name)) for name in ("target", "result", "brand", "lot", "expiry")}
        numbers = {name: strip.get(name) for name in ("cutoff_ng_ml", "dilution_mg_ml", "read_s")}
        out.append({**key, "idx": number, "item_ref": said["item_ref"], **texts, **numbers})
    return out


def _deadly(strips: list[dict[str, Any]]) -> bool:
    return any(
        strip["result"] == "pos" and any(word in strip["target"].lower() for word in _DEADLY_TARGETS)
        for strip in strips
    )


def _spectra(packet: Packet, key: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    import numpy as np

    for number, entry in enumerate(packet.manifest["spectra"]):
        y = np.frombuffer(packet.blob(entry["blob"]), dtype=entry["dtype"])
        if entry.get("x_blob") is not None:
            x = np.frombuffer(packet.blob(entry["x_blob"]), dtype=entry["dtype"])
        else:
            x = float(entry["x0"]) + float(entry["dx"]) * np.arange(entry["n"])
        technique = _text(entry.get("technique")) or packet.manifest["instrument"]["technique"]
        # A number beyond float32 becomes infinite, and the spectrum is one that nobody searches.
        with np.errstate(all="ignore"):
            axis, intensity = x.astype("<f4"), y.astype("<f4")
            rising = np.diff(axis)
            identity = hashlib.sha256(f"{technique}\0{entry['unit']}\0".encode())
            identity.update(x.astype("<f8").tobytes())
            identity.update(y.astype("<f8").tobytes())
            usable = bool(
                np.isfinite(axis).all()
                and np.isfinite(intensity).all()
                and ((rising > 0).all() or (rising < 0).all())
                and intensity.min() < intensity.max()
            )
        yield {
            **key,
            "idx": number,
            "role": _text(entry.get("role")) or "sample",
            "technique": technique,
            "unit": entry["unit"],
            "spectrum_sha256": entry.get("sha256"),
            "numbers_sha256": identity.hexdigest(),
            "n": entry["n"],
            "usable": usable,
            "axis": axis.tobytes(),
            "intensity": intensity.tobytes(),
        }


def _ipv(check: Any) -> str:
    if isinstance(check, dict):
        return "passed" if check.get("passed") is True else "failed"
    return "none"


def _text(value: Any, most: int = 500) -> str:
    return value[:most] if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [one for one in _list(value) if isinstance(one, str)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
