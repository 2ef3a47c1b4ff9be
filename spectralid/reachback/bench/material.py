"""What a chemist gets of a case: its packets, read into spectra, strips, photos and notes.

The same material comes from the server's database, from packets on a stick and from a notebook. Whatever an
officer or a device wrote is plain text here, of a bounded length; files of vendors are not opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import InputError
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum, Technique

if TYPE_CHECKING:
    from spectralid.casework.packet import Packet
    from spectralid.reachback.store.database import Database

__all__ = ["Material", "Photo", "Scan", "case_material", "picture_type", "plain", "read_material"]

_PICTURES: Final = (
    ("image/png", b"\x89PNG\r\n\x1a\n", 0),
    ("image/jpeg", b"\xff\xd8\xff", 0),
    ("image/gif", b"GIF87a", 0),
    ("image/gif", b"GIF89a", 0),
    ("image/webp", b"WEBP", 8),
)
_MOST_TEXT: Final = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One spectrum of a case, and what the field said of it.

    Attributes
    ----------
    seq, idx : int
        Packet of the device, and which of its spectra.
    packet_id, item_ref, role, captured_utc : str
        Where it comes from; `role` is ``sample`` unless it is a dark or a background.
    spectrum : Spectrum or None
        As measured; ``None`` where it cannot be read.
    problem : str
        Why it cannot, or why it is not to be trusted; empty if nothing is wrong.
    instrument : mapping
        What it was measured with and how.
    ipv : str
        Last performance check: ``passed``, ``failed``, ``none``.
    result : mapping
        What the tablet concluded, as it wrote it.
    why, caution_shown : tuple of str
        Why it was sent, and what the officer was warned of.
    officer_note, rescan_of : str
        As the officer wrote, and the packet this one repeats.
    """

    seq: int
    idx: int
    packet_id: str
    item_ref: str
    role: str
    captured_utc: str
    spectrum: Spectrum | None
    problem: str
    instrument: Mapping[str, Any]
    ipv: str
    result: Mapping[str, Any]
    why: tuple[str, ...] = ()
    caution_shown: tuple[str, ...] = ()
    officer_note: str = ""
    rescan_of: str = ""

    @property
    def name(self) -> str:
        """What it is called on the bench: packet and spectrum."""
        return f"{self.seq}/{self.idx}"


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture or another file of a packet.

    Attributes
    ----------
    sha256, name : str
        Which.
    media_type : str
        By its first bytes, whatever the packet says; empty for what is no picture of a kind that is shown.
    seq, size : int
        Packet, and how many bytes.
    item_ref : str
        Of which item; may be empty.
    """

    sha256: str
    name: str
    media_type: str
    seq: int
    size: int
    item_ref: str


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Everything of a case that a decision may rest on.

    Attributes
    ----------
    case_id, device_id, seizure_ref, site_ref : str
        Which.
    scans : tuple of Scan
        In the order of the packets.
    items, strips, notes : tuple of mapping
        Items and what they are declared as; strip tests; what officers wrote, each with its ``seq``.
    photos : tuple of Photo
        Pictures, and files that are only ever handed out as attachments.
    sends : tuple of mapping
        Requests of officers: why, urgency, note.
    """

    case_id: str
    device_id: str
    seizure_ref: str
    site_ref: str
    scans: tuple[Scan, ...] = ()
    items: tuple[Mapping[str, Any], ...] = ()
    strips: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[Mapping[str, Any], ...] = ()
    photos: tuple[Photo, ...] = ()
    sends: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class _Found:
    scans: list[Scan] = field(default_factory=list)
    items: list[Mapping[str, Any]] = field(default_factory=list)
    strips: list[Mapping[str, Any]] = field(default_factory=list)
    notes: list[Mapping[str, Any]] = field(default_factory=list)
    photos: list[Photo] = field(default_factory=list)
    sends: list[Mapping[str, Any]] = field(default_factory=list)


def read_material(packets: Iterable[Packet], *, case_id: str = "") -> Material:
    """Read the packets of a seizure.

    Parameters
    ----------
    packets : iterable of Packet
        As `spectralid.casework.open_packet` gives them, of one seizure.
    case_id : str
        Of the case, where there is one.

    Raises
    ------
    InputError
        If there is none, or they are of several seizures.
    """
    read = sorted(packets, key=lambda one: one.seq)
    if not read:
        raise InputError("A case needs at least one packet.")
    whose = {(one.device_id, str(one.manifest["seizure_ref"])) for one in read}
    if len(whose) > 1:
        raise InputError(f"These packets are of {len(whose)} seizures; a case is one.")
    found = _Found()
    for packet in read:
        _take(packet, found)
    ((device_id, seizure_ref),) = whose
    site = next((_text(one.manifest.get("site_ref")) for one in read if one.manifest.get("site_ref")), "")
    return Material(
        case_id, device_id, seizure_ref, site,
        *(tuple(getattr(found, name)) for name in ("scans", "items", "strips", "notes", "photos", "sends")),
    )  # fmt: skip


def case_material(db: Database, case_id: str) -> Material:
    """Read a case from the server's record.

    Parameters
    ----------
    db : Database
        The server's.
    case_id : str
        Which case.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    import sqlalchemy as sa

    from spectralid.casework.packet import open_packet
    from spectralid.reachback.caseload import cases
    from spectralid.reachback.store import copies
    from spectralid.reachback.store.tables import packets

    with db.read() as tx:
        case = cases.get(tx, case_id)
        chosen = sa.select(packets.c.device_id, packets.c.seq).where(packets.c.case_id == case_id)
        raw = [copies.raw_of(tx, device, seq) for device, seq in tx.execute(chosen.order_by(packets.c.seq))]
    # The signature was verified when each came in; that its bytes are those, `copies` has seen to.
    material = read_material((open_packet(one, None) for one in raw), case_id=case_id)
    return Material(
        case_id, case["device_id"], case["seizure_ref"], case["site_ref"], material.scans, material.items,
        material.strips, material.notes, material.photos, material.sends,
    )  # fmt: skip


def picture_type(data: bytes) -> str:
    """Media type of a picture that a browser may show, by its first bytes; empty for anything else.

    Neither SVG nor HTML is ever among them, whatever a packet calls them: both can hold programs.
    """
    for media_type, magic, at in _PICTURES:
        if data[at : at + len(magic)] == magic and (at == 0 or data[:4] == b"RIFF"):
            return media_type
    return ""


def _take(packet: Packet, found: _Found) -> None:
    said = packet.manifest
    item = _text(said.get("item_ref"))
    head = {"seq": packet.seq, "item_ref": item}
    escalation = _mapping(said.get("escalation"))
    if packet.kind == "scan":
        for idx, entry in enumerate(said["spectra"]):
            spectrum, problem = _spectrum(packet, entry)
            found.scans.append(
                Scan(
                    seq=packet.seq,
                    idx=idx,
                    packet_id=packet.packet_id,
                    item_ref=item,
                    role=_text(entry.get("role")) or "sample",
                    captured_utc=_text(_mapping(said.get("captured")).get("wall_utc")),
                    spectrum=spectrum,
                    problem=problem,
                    instrument=_facts(said.get("instrument")),
                    ipv=_ipv(said.get("ipv")),
                    result=_mapping(said.get("result")),
                    why=_strings(escalation.get("why")),
                    caution_shown=_strings(said.get("caution_shown")),
                    officer_note=_text(escalation.get("officer_note")),
                    rescan_of=_text(said.get("rescan_of")),
                )
            )
    if packet.kind in ("item", "evidence"):
        declared = _mapping(said.get("declared"))
        words = {
            "label": _text(said.get("label")),
            "container": _text(said.get("container")),
            "declared": _text(declared.get("text")),
            "cas": _text(declared.get("cas")),
            "tariff": _text(declared.get("tariff")),
        }
        if packet.kind == "item" or any(words.values()):
            found.items.append({**head, **words})
    for strip in said.get("strips") or ():
        found.strips.append({**head, **_strip(strip)})
    if _text(said.get("note")):
        found.notes.append({**head, "kind": packet.kind, "text": _text(said.get("note"))})
    if packet.kind == "send":
        found.sends.append(
            {
                **head,
                "why": list(_strings(escalation.get("why"))),
                "urgency": _text(escalation.get("urgency")),
                "officer_note": _text(escalation.get("officer_note")),
            }
        )
    _files(packet, item, found)


def _files(packet: Packet, item: str, found: _Found) -> None:
    """Pictures by their first bytes, and the vendor's file; what else a packet holds is no file."""
    said = packet.manifest
    original = _mapping(said.get("original")).get("blob")
    named = {_mapping(one).get("blob"): one for one in said.get("photos") or ()}
    stated = {one.get("sha256"): one for one in said.get("blobs") or ()}
    for blob in packet.blobs:
        kind = picture_type(blob.data)
        if not kind and blob.sha256 != original and blob.sha256 not in named:
            continue
        name = _text(_mapping(stated.get(blob.sha256)).get("name"), 100)
        found.photos.append(Photo(blob.sha256, name, kind, packet.seq, len(blob.data), item))


def _spectrum(packet: Packet, entry: Mapping[str, Any]) -> tuple[Spectrum | None, str]:
    """One spectrum, and what is wrong with it."""
    import numpy as np

    from spectralid.casework.errors import PacketError

    said = packet.manifest["instrument"]
    try:
        y = np.frombuffer(packet.blob(entry["blob"]), dtype=entry["dtype"]).astype(np.float64)
        if entry.get("x_blob") is not None:
            x = np.frombuffer(packet.blob(entry["x_blob"]), dtype=entry["dtype"]).astype(np.float64)
        else:
            x = float(entry["x0"]) + float(entry["dx"]) * np.arange(entry["n"])
        sd = None
        if entry.get("sd_blob") is not None:
            sd = np.frombuffer(packet.blob(entry["sd_blob"]), dtype=entry["dtype"]).astype(np.float64)
        facts = {name: value for name, value in said.items() if name != "technique"}
        spectrum = Spectrum(
            x, y, sd=sd,
            technique=Technique(_text(entry.get("technique")) or said["technique"]),
            unit=IntensityUnit(entry["unit"]) if entry["unit"] in _UNITS else IntensityUnit.ARBITRARY,
            acquisition=_acquisition(facts),
            name=f"packet {packet.seq}",
        )  # fmt: skip
    except (InputError, PacketError, KeyError, ValueError, TypeError) as error:
        return None, f"This spectrum cannot be read: {_text(str(error), 300)}"
    stated = entry.get("sha256")
    # A device that measures in other numbers than doubles states the identity of what it had.
    if isinstance(stated, str) and entry["dtype"] == "<f8" and spectrum.sha256 != stated:
        return spectrum, (
            "The numbers are not those of the spectrum that the packet names; do not decide on them alone."
        )
    return spectrum, ""


_UNITS: Final = frozenset(unit.value for unit in IntensityUnit)


def _acquisition(facts: Mapping[str, Any]) -> Acquisition:
    try:
        return Acquisition.from_dict(facts)
    except (InputError, TypeError, ValueError):
        return Acquisition()


def _strip(strip: Any) -> dict[str, Any]:
    said = _mapping(strip)
    texts = {name: _text(said.get(name)) for name in ("target", "result", "brand", "lot", "expiry")}
    numbers = {name: _number(said.get(name)) for name in ("cutoff_ng_ml", "dilution_mg_ml", "read_s")}
    return {**texts, **numbers}


def _facts(value: Any) -> dict[str, Any]:
    """Plain facts of an instrument: texts and numbers."""
    out: dict[str, Any] = {}
    for name, one in list(_mapping(value).items())[:40]:
        if isinstance(one, str):
            out[_text(str(name), 60)] = _text(one, 200)
        elif isinstance(one, int | float) and not isinstance(one, bool):
            out[_text(str(name), 60)] = one
    return out


def _ipv(check: Any) -> str:
    if isinstance(check, Mapping):
        return "passed" if check.get("passed") is True else "failed"
    return "none"


def plain(text: str) -> str:
    """A text without what is not seen: a mark that turns the direction of writing would reverse ours too."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text)


def _text(value: Any, most: int = _MOST_TEXT) -> str:
    return plain(value[:most]) if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(_text(one, 500) for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
