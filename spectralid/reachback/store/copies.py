"""Sound copies beside packets that were found damaged on the disk.

A packet's row is never changed. What a scrub finds damaged is asked of its device again
(`spectralid.reachback.tablets.scrub`), and whoever reads a packet gets the copy in its place.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from spectralid.casework import messages
from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError
from spectralid.reachback.errors import DamagedError, NotFoundError
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import metadata, packets

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = ["mend", "open_findings", "packet_damage", "raw_of", "stated"]


def _packet_key() -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["device_id", "seq"], ["packets.device_id", "packets.seq"]),
        sa.PrimaryKeyConstraint("device_id", "seq"),
    )


packet_damage: Final = sa.Table(
    "packet_damage",
    metadata,
    *_packet_key(),
    sa.Column("found_utc", sa.Text, nullable=False),
    sa.Column("mended_utc", sa.Text, nullable=True),
)

packet_copies: Final = sa.Table(
    "packet_copies",
    metadata,
    *_packet_key(),
    sa.Column("taken_utc", sa.Text, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
)


def raw_of(tx: Connection, device_id: str, seq: int) -> bytes:
    """The bytes of a packet, as they were taken in: checked, and from the copy where the row is damaged.

    Parameters
    ----------
    tx : Connection
        Of any transaction.
    device_id : str
        Whose.
    seq : int
        Its number.

    Raises
    ------
    NotFoundError
        If there is none.
    DamagedError
        If neither is sound.
    """
    chosen = sa.select(packets.c.sha256, packets.c.receipt, packets.c.raw)
    row = tx.execute(chosen.where(packets.c.device_id == device_id, packets.c.seq == seq)).first()
    if row is None:
        raise NotFoundError(f"There is no packet {seq} of {device_id[:40]!r}.")
    copies = sa.select(packet_copies.c.raw).where(
        packet_copies.c.device_id == device_id, packet_copies.c.seq == seq
    )
    for raw in (row.raw, *tx.execute(copies).scalars()):
        # Either of the two that say so may be what was damaged.
        if hashlib.sha256(raw).hexdigest() in (row.sha256, stated(row.receipt)):
            return bytes(raw)
    raise DamagedError(
        f"The packet {seq} of {device_id!r} is damaged on the server's disk; a sound copy is asked of the "
        "tablet by: spectralid reachback scrub"
    )


def mend(db: Database, device_id: str, seq: int, raw: bytes, *, now: datetime) -> bool:
    """Keep a sound copy of a packet that was found damaged; of any other, nothing is done.

    Parameters
    ----------
    db : Database
        The server's.
    device_id : str
        Whose.
    seq : int
        Its number.
    raw : bytes
        Bytes whose SHA-256 is the packet's.
    now : datetime
        When.

    Returns
    -------
    bool
        Whether it was needed.
    """
    this = (packet_damage.c.device_id == device_id, packet_damage.c.seq == seq)
    needed = sa.select(packet_damage.c.seq).where(*this, packet_damage.c.mended_utc.is_(None))
    with db.read() as tx:
        if tx.execute(needed).first() is None:
            return False
    utc = to_text(now)
    with db.begin() as tx:
        if tx.execute(needed).first() is None:
            return False
        row = {"device_id": device_id, "seq": seq, "taken_utc": utc, "raw": raw}
        tx.execute(packet_copies.insert(), row)
        tx.execute(packet_damage.update().where(*this).values(mended_utc=utc))
        audit.append(tx, f"device:{device_id}", "mended", f"packet:{device_id}/{seq}", {}, now=now)
    return True


def open_findings(db: Database) -> tuple[tuple[str, int], ...]:
    """Packets that are damaged and of which there is no sound copy yet: device and number."""
    columns = packet_damage.c
    chosen = sa.select(columns.device_id, columns.seq).where(columns.mended_utc.is_(None))
    with db.read() as tx:
        return tuple(
            (one.device_id, one.seq) for one in tx.execute(chosen.order_by(*chosen.selected_columns))
        )


def stated(receipt: bytes) -> str | None:
    """The SHA-256 that a receipt names, without looking at its signature."""
    try:
        return messages.kept(receipt, messages.Receipt).packet_sha256
    except PacketError:
        return None
