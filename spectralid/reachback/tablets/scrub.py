"""Whether the packets on the disk are still those that were taken in, and what becomes of those that are not.

A database does not notice every flipped bit. Each packet is compared with the SHA-256 that its signed receipt
states; of one that is damaged a sound copy is asked of its device, which keeps packets for weeks after their
receipt, and the copy is put beside it: the row itself is never changed. What is searched in (the numbers of
spectra) is compared with the packet that it was read from, and written again from it.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework import dsse
from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError
from spectralid.casework.packet import SUFFIX, open_packet
from spectralid.files import write_whole
from spectralid.reachback.errors import DamagedError
from spectralid.reachback.store import audit, copies
from spectralid.reachback.store.copies import packet_damage, stated
from spectralid.reachback.store.receipts import RECEIPT_TYPE
from spectralid.reachback.store.tables import packets, spectra
from spectralid.reachback.tablets import answers
from spectralid.reachback.tablets.projections import project

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Row

    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["Finding", "Scrubbed", "rescue", "scrub"]

_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not what was stored.

    Attributes
    ----------
    device_id, seq
        The packet.
    what : {"packet", "receipt", "spectra"}
        Its bytes; the receipt that vouches for them, or the SHA-256 noted beside them; or what is searched
        in (which has been written again).
    """

    device_id: str
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A part of the packets that was looked through.

    Attributes
    ----------
    checked : int
        Packets.
    found : tuple of Finding
        What is wrong.
    after : tuple of (str, int) or None
        Where to go on; ``None`` when all were seen.
    """

    checked: int
    found: tuple[Finding, ...]
    after: tuple[str, int] | None


def scrub(
    db: Database,
    keys: ServerKeys,
    *,
    now: datetime,
    after: tuple[str, int] | None = None,
    most: int | None = None,
) -> Scrubbed:
    """Look through packets; whatever is damaged is put on record and asked of its device.

    Parameters
    ----------
    db : Database
        The server's.
    keys : ServerKeys
        Whom receipts are verified with, and requests signed as.
    now : datetime
        When.
    after : tuple of (str, int), optional
        Where to go on: device and number of the last packet that was seen.
    most : int, optional
        How many to look through; all of them by default.

    Returns
    -------
    Scrubbed
    """
    checked, found = 0, list[Finding]()
    while most is None or checked < most:
        with db.read() as tx:
            rows = _next_rows(tx, after, _AT_ONCE if most is None else min(_AT_ONCE, most - checked))
            for row in rows:
                found += _check(tx, row, keys)
        if not rows:
            after = None
            break
        checked += len(rows)
        after = (rows[-1].device_id, rows[-1].seq)
    _put_right(db, keys, found, now=now)
    return Scrubbed(checked, tuple(found), after)


def _next_rows(tx: Connection, after: tuple[str, int] | None, count: int) -> list[Row[Any]]:
    columns = packets.c
    chosen = sa.select(columns.device_id, columns.seq, columns.sha256, columns.raw, columns.receipt)
    if after is not None:
        chosen = chosen.where(sa.tuple_(columns.device_id, columns.seq) > sa.tuple_(*after))
    return list(tx.execute(chosen.order_by(columns.device_id, columns.seq).limit(count)))


def _check(tx: Connection, row: Row[Any], keys: ServerKeys) -> list[Finding]:
    device_id, seq = row.device_id, row.seq
    found, vouched = [], _receipted(bytes(row.receipt), keys)
    if vouched != row.sha256:
        found.append(Finding(device_id, seq, "receipt"))
    raw = bytes(row.raw)
    if hashlib.sha256(raw).hexdigest() != (vouched or row.sha256):
        try:
            raw = copies.raw_of(tx, device_id, seq)
        except DamagedError:
            return [*found, Finding(device_id, seq, "packet")]
    if _spectra_of(tx, device_id, seq) != _spectra_in(raw):
        found.append(Finding(device_id, seq, "spectra"))
    return found


def _receipted(raw: bytes, keys: ServerKeys) -> str | None:
    """The SHA-256 that a receipt vouches for; nothing if the receipt itself is damaged."""
    try:
        dsse.verify(raw, keys.trusted, payload_types={RECEIPT_TYPE})
    except PacketError:
        return None
    return stated(raw)


def _spectra_of(tx: Connection, device_id: str, seq: int) -> list[tuple[bytes, bytes]]:
    columns = spectra.c
    rows = tx.execute(
        sa.select(columns.axis, columns.intensity)
        .where(columns.device_id == device_id, columns.seq == seq)
        .order_by(columns.idx)
    )
    return [(bytes(axis), bytes(intensity)) for axis, intensity in rows]


def _spectra_in(raw: bytes) -> list[tuple[bytes, bytes]]:
    # Its signature was verified when it was taken in, and its hash a moment ago.
    rows = project(open_packet(raw, None), received_utc="").rows.get("spectra", ())
    return [(row["axis"], row["intensity"]) for row in rows]


def _put_right(db: Database, keys: ServerKeys, found: list[Finding], *, now: datetime) -> None:
    wanted = defaultdict[str, list[tuple[int, str | None]]](list)
    for finding in found:
        with db.begin() as tx:
            facts = {"what": finding.what}
            if finding.what == "spectra":
                _write_spectra(tx, finding)
            elif finding.what == "packet" and _note(tx, finding, now):
                wanted[finding.device_id].append((finding.seq, None))
            elif finding.what == "packet":
                continue
            subject = f"packet:{finding.device_id}/{finding.seq}"
            audit.append(tx, "server", "damaged", subject, facts, now=now)
    for device_id, packets_wanted in wanted.items():
        with db.begin() as tx:
            answers.ask_again(tx, keys, device_id, packets_wanted, now=now)


def _note(tx: Connection, finding: Finding, now: datetime) -> bool:
    """Put a damaged packet on the list; whether its device is to be asked."""
    this = (packet_damage.c.device_id == finding.device_id, packet_damage.c.seq == finding.seq)
    known = tx.execute(sa.select(packet_damage.c.mended_utc).where(*this)).first()
    if known is None:
        row = {"device_id": finding.device_id, "seq": finding.seq, "found_utc": to_text(now)}
        tx.execute(packet_damage.insert(), row)
        return True
    # Asked once before, without an answer: the device may have been away for long.
    return known.mended_utc is None


def _write_spectra(tx: Connection, finding: Finding) -> None:
    raw = copies.raw_of(tx, finding.device_id, finding.seq)
    for number, (axis, intensity) in enumerate(_spectra_in(raw)):
        tx.execute(
            spectra.update()
            .where(
                spectra.c.device_id == finding.device_id,
                spectra.c.seq == finding.seq,
                spectra.c.idx == number,
            )
            .values(axis=axis, intensity=intensity)
        )


def rescue(db: Database, folder: str | os.PathLike[str]) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Copy every sound packet into files, as its device signed it, whatever version made the database.

    Parameters
    ----------
    db : Database
        Opened, and neither migrated nor changed.
    folder : path
        Made if need be; the files can be handed over to any server.

    Returns
    -------
    tuple of (int, tuple of (str, int))
        How many were written, and which are damaged.
    """
    output = Path(folder)
    output.mkdir(parents=True, exist_ok=True, mode=0o700)
    written, damaged = 0, list[tuple[str, int]]()
    after: tuple[str, int] | None = None
    while True:
        with db.read() as tx:
            rows = _next_rows(tx, after, _AT_ONCE)
        if not rows:
            return written, tuple(damaged)
        for row in rows:
            after = (row.device_id, row.seq)
            if hashlib.sha256(row.raw).hexdigest() == row.sha256:
                # By its hash: the name of a device is anything, and must not lead out of the folder.
                write_whole(output / f"{row.sha256}{SUFFIX}", [bytes(row.raw)])
                written += 1
            else:
                damaged.append(after)
