"""A case with everything on record about it, as one reads it on one page."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.reachback.caseload import cases
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.store import copies
from spectralid.reachback.store.tables import (
    case_links,
    items,
    packets,
    rounds,
    scans,
    sends,
    spectra,
    strips,
)
from spectralid.reachback.store.tables import cases as case_table

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.engine import Connection

__all__ = ["links", "of", "packet", "spectrum"]

_LISTS: Final = {"scans": ("families", "substances", "why"), "sends": ("why", "packet_ids")}
_LARGEST: Final = 3.5e38  # above any finite float32
_HEAVY: Final = frozenset({"raw", "receipt", "axis", "intensity"})


def of(tx: Connection, case_id: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table that tell of a case, in the order in which they came.

    Parameters
    ----------
    tx : Connection
        From `Database.read`.
    case_id : str
        Which.

    Returns
    -------
    dict
        ``packets``, ``scans``, ``spectra``, ``strips``, ``items``, ``sends``, ``rounds``: rows without
        their bytes.
    """
    found = {}
    for table in (packets, scans, spectra, strips, items, sends, rounds):
        columns = [one for one in table.c if one.name not in _HEAVY and one.name != "case_id"]
        order = [table.c[name] for name in ("seq", "idx", "round") if name in table.c]
        rows = tx.execute(sa.select(*columns).where(table.c.case_id == case_id).order_by(*order)).mappings()
        found[table.name] = [_plain(dict(row), _LISTS.get(table.name, ())) for row in rows]
    return found


def links(tx: Connection, case_id: str, sites: Collection[str] | None) -> list[dict[str, Any]]:
    """The cases that a case is linked to, and why; only those of the places given."""
    found = []
    for this, other in (("case_id", "other_id"), ("other_id", "case_id")):
        chosen = (
            sa.select(
                case_links.c[other].label("case_id"),
                case_links.c.why,
                case_links.c.fact,
                case_links.c.linked_utc,
                case_links.c.by,
                case_table.c.site_ref,
                case_table.c.state,
            )
            .join_from(case_links, case_table, case_links.c[other] == case_table.c.case_id)
            .where(case_links.c[this] == case_id)
        )
        if sites is not None:
            chosen = chosen.where(case_table.c.site_ref.in_(sorted(sites)))
        found += [dict(row) for row in tx.execute(chosen).mappings()]
    return sorted(found, key=lambda one: (one["linked_utc"], one["case_id"], one["why"]))


def spectrum(tx: Connection, case_id: str, seq: int, idx: int) -> dict[str, Any]:
    """A spectrum with its numbers (float32); what is not finite is ``None``.

    Raises
    ------
    NotFoundError
        If the case has no such spectrum.
    """
    this = (spectra.c.case_id == case_id, spectra.c.seq == seq, spectra.c.idx == idx)
    row = tx.execute(sa.select(spectra).where(*this)).mappings().first()
    if row is None:
        raise NotFoundError(f"The case {case_id[:40]!r} has no spectrum {idx} in its packet {seq}.")
    found = {name: row[name] for name in row if name not in ("axis", "intensity", "case_id")}
    return found | {name: _numbers(row[name]) for name in ("axis", "intensity")}


def packet(tx: Connection, case_id: str, seq: int) -> bytes:
    """The bytes of a packet of a case, as they were signed.

    Raises
    ------
    NotFoundError
        If the case has no such packet.
    DamagedError
        If it is not what was stored, and there is no sound copy yet.
    """
    device_id = cases.get(tx, case_id)["device_id"]
    this = (packets.c.device_id == device_id, packets.c.seq == seq, packets.c.case_id == case_id)
    if tx.execute(sa.select(packets.c.seq).where(*this)).first() is None:
        raise NotFoundError(f"The case {case_id[:40]!r} has no packet {seq}.")
    return copies.raw_of(tx, device_id, seq)


def _numbers(raw: bytes) -> list[float | None]:
    values = struct.unpack(f"<{len(raw) // 4}f", raw)
    return [one if abs(one) <= _LARGEST else None for one in values]


def _plain(row: Mapping[str, Any], lists: Collection[str]) -> dict[str, Any]:
    return {name: json.loads(row[name]) if name in lists else row[name] for name in row}
