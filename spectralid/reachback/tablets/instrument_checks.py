"""The daily checks of the instruments, as the tablets sign them: kept as they came, and found again.

Envelope of type ``application/vnd.spectralid.ipv+json`` (instrument performance verification), payload
``spectralid.ipv/1``: ``device_id``, ``ipv_id``, ``time`` (when it was made), ``passed``, ``limits_version``,
``instrument`` (an object; its ``serial`` names it), and whatever figures there are: from our tablets
``outcome`` (``passed``, ``failed`` or ``skipped``, with a ``reason``) and ``record``, the check itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework import dsse
from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError
from spectralid.casework.manifest import loads
from spectralid.casework.messages import parse_utc
from spectralid.reachback.errors import BadPacketError, KeyReusedError
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import metadata
from spectralid.reachback.tablets.enrolled import Keys

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database

__all__ = ["IPV_TYPE", "Check", "Taken", "ipv_records", "of_device", "take"]

IPV_TYPE: Final = "application/vnd.spectralid.ipv+json"

ipv_records: Final = sa.Table(
    "ipv_records",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("device_id", sa.Text, sa.ForeignKey("devices.device_id"), nullable=False),
    sa.Column("ipv_id", sa.Text, nullable=False),
    sa.Column("checked_utc", sa.Text, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("limits_version", sa.Text, nullable=False),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("received_utc", sa.Text, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("audit_n", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("device_id", "ipv_id"),
    sa.Index(None, "received_utc"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """A check of an instrument.

    Attributes
    ----------
    device_id, ipv_id
        Which.
    checked_utc : str
        When, by the tablet's clock.
    passed : bool
        Whether the instrument was within its limits.
    limits_version : str
        Which limits.
    instrument : str
        Its serial number.
    received_utc : str
        When it came here.
    """

    device_id: str
    ipv_id: str
    checked_utc: str
    passed: bool
    limits_version: str
    instrument: str
    received_utc: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a record.

    Attributes
    ----------
    new : bool
        Whether it was not here before.
    sha256, ipv_id : str
        Which.
    audit_n : int
        Entry of the audit log that tells of it.
    """

    new: bool
    sha256: str
    ipv_id: str
    audit_n: int


def take(db: Database, device_id: str, raw: bytes, *, now: datetime) -> Taken:
    """Keep a check; the same again changes nothing.

    Parameters
    ----------
    db : Database
        The server's.
    device_id : str
        Who brings it.
    raw : bytes
        The signed envelope.
    now : datetime
        When.

    Returns
    -------
    Taken

    Raises
    ------
    BadPacketError
        If it is damaged, or not signed by this tablet.
    KeyReusedError
        If there is another check of the same name.
    """
    row = {
        **_read(db, device_id, raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "device_id": device_id,
        "received_utc": to_text(now),
        "raw": raw,
    }
    same = sa.select(ipv_records.c.sha256, ipv_records.c.audit_n).where(
        ipv_records.c.device_id == device_id, ipv_records.c.ipv_id == row["ipv_id"]
    )
    with db.begin() as tx:
        if (before := tx.execute(same).first()) is not None:
            if before.sha256 != row["sha256"]:
                raise KeyReusedError(f"There is another check {row['ipv_id'][:40]!r} of this tablet.")
            return Taken(False, row["sha256"], row["ipv_id"], before.audit_n)
        names = ("sha256", "ipv_id", "passed", "instrument", "limits_version")
        facts = {name: row[name] for name in names}
        n = audit.append(tx, f"device:{device_id}", "ipv", f"device:{device_id}", facts, now=now)
        tx.execute(ipv_records.insert(), {**row, "audit_n": n})
    return Taken(True, row["sha256"], row["ipv_id"], n)


def of_device(db: Database, device_id: str, *, limit: int = 100) -> tuple[Check, ...]:
    """The checks of a tablet's instrument, newest first."""
    columns = [ipv_records.c[name] for name in Check.__dataclass_fields__]
    chosen = sa.select(*columns).where(ipv_records.c.device_id == device_id)
    with db.read() as tx:
        rows = tx.execute(chosen.order_by(ipv_records.c.audit_n.desc()).limit(limit)).mappings()
        return tuple(Check(**row) for row in rows)


def _read(db: Database, device_id: str, raw: bytes) -> dict[str, Any]:
    try:
        said = loads(dsse.verify(raw, Keys(db, device_id), payload_types={IPV_TYPE}).payload)
        if said.get("schema") != "spectralid.ipv/1" or said.get("device_id") != device_id:
            raise PacketError("It is not a check of this tablet.")
        found = {name: _text(said, name) for name in ("ipv_id", "limits_version")}
        instrument = said.get("instrument")
        serial = _text(instrument, "serial") if isinstance(instrument, dict) else _text(said, "instrument")
        if not isinstance(said.get("passed"), bool):
            raise PacketError("It does not say whether the instrument passed.")
        checked = to_text(parse_utc(_text(said, "time")))
    except PacketError as error:
        raise BadPacketError(f"The check is not taken: {error}") from None
    return {**found, "passed": said["passed"], "instrument": serial, "checked_utc": checked}


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 200 or not value.isprintable():
        raise PacketError(f"Its {name!r} is no text of 1 to 200 characters.")
    return value
