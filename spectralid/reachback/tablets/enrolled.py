"""The devices that may hand packets over, and the keys they sign with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.casework.keys import PublicKey
from spectralid.errors import ParameterError
from spectralid.reachback.errors import ConflictError, NotFoundError
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import device_keys, devices

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = ["Device", "Keys", "add", "find", "listed", "revoke"]


_ACTIVE: Final = (
    sa.select(device_keys.c.keyid, device_keys.c.public)
    .select_from(
        devices.outerjoin(
            device_keys,
            sa.and_(device_keys.c.device_id == devices.c.device_id, device_keys.c.revoked_utc.is_(None)),
        )
    )
    .where(devices.c.device_id == sa.bindparam("device"), devices.c.state == "active")
)


@dataclass(frozen=True, slots=True)
class Device:
    """A tablet as the server knows it.

    Attributes
    ----------
    device_id, site_ref
        Its name, and where it belongs: who may see its cases is decided by that.
    active : bool
        Whether it may hand packets over by the network.
    enrolled_utc, revoked_utc, revoked_why, seen_utc
        Its life; `seen_utc` is when its newest packet came.
    """

    device_id: str
    site_ref: str
    active: bool
    enrolled_utc: str
    revoked_utc: str | None
    revoked_why: str | None
    seen_utc: str | None


class Keys(Mapping[str, PublicKey]):
    """The keys that sign packets, by key id, read from the database when asked for.

    Parameters
    ----------
    db : Database
        The server's.
    device : str or None
        Only those of this device.
    """

    def __init__(self, db: Database, device: str | None = None) -> None:
        self._db = db
        self._which: list[sa.ColumnElement[bool]] = [device_keys.c.revoked_utc.is_(None)]
        if device is not None:
            self._which.append(device_keys.c.device_id == device)
        self._found: dict[str, tuple[str, PublicKey] | None] = {}

    @classmethod
    def of_active(cls, db: Database, tx: Connection, device: str) -> Keys | None:
        """Those of a device that may hand packets over, read by one question; ``None`` if it may not."""
        rows = tx.execute(_ACTIVE, {"device": device}).all()
        if not rows:
            return None
        keys = cls(db, device)
        for keyid, public in rows:
            if keyid is not None:
                keys._found[keyid] = (device, PublicKey(public))
        return keys

    def __getitem__(self, keyid: str) -> PublicKey:
        found = self._look_up(keyid)
        if found is None:
            raise KeyError(keyid)
        return found[1]

    def owner(self, keyid: str) -> str | None:
        """The device whose key it is."""
        found = self._look_up(keyid)
        return None if found is None else found[0]

    def _look_up(self, keyid: str) -> tuple[str, PublicKey] | None:
        if keyid not in self._found:
            columns = device_keys.c
            chosen = sa.select(columns.device_id, columns.public).where(columns.keyid == keyid, *self._which)
            with self._db.read() as tx:
                row = tx.execute(chosen).first()
            self._found[keyid] = None if row is None else (row.device_id, PublicKey(row.public))
        return self._found[keyid]

    def __iter__(self) -> Iterator[str]:
        with self._db.read() as tx:
            yield from tx.execute(sa.select(device_keys.c.keyid).where(*self._which)).scalars().all()

    def __len__(self) -> int:
        return sum(1 for _ in self)


def add(db: Database, device_id: str, public: PublicKey, *, site_ref: str, by: str, now: datetime) -> Device:
    """Enrol a device, or enrol it again with the same key or another one.

    Parameters
    ----------
    db : Database
        The server's.
    device_id : str
        As its packets name it.
    public : PublicKey
        That its packets are signed with. Former keys of the device go on counting.
    site_ref : str
        Where it belongs.
    by : str
        The account that does it.
    now : datetime
        When.

    Raises
    ------
    ConflictError
        If the key is another device's, or was withdrawn.
    """
    if not 1 <= len(device_id) <= 100 or not device_id.isprintable():
        raise ParameterError("device_id", device_id, "1 to 100 printable characters")
    utc = to_text(now)
    with db.begin() as tx:
        owner = (
            tx.execute(sa.select(device_keys).where(device_keys.c.keyid == public.keyid)).mappings().first()
        )
        if owner is not None and (owner["device_id"] != device_id or owner["revoked_utc"] is not None):
            raise ConflictError(
                f"The key {public.keyid} belongs to {owner['device_id']!r} or was withdrawn; make a new one."
            )
        values = {"site_ref": site_ref, "state": "active", "enrolled_utc": utc}
        known = tx.execute(
            devices.update()
            .where(devices.c.device_id == device_id)
            .values(**values, revoked_utc=None, revoked_why=None)
        ).rowcount
        if not known:
            tx.execute(devices.insert(), {"device_id": device_id, **values})
        if owner is None:
            row = {"keyid": public.keyid, "device_id": device_id, "public": public.raw, "added_utc": utc}
            tx.execute(device_keys.insert(), row)
        facts = {"keyid": public.keyid, "site_ref": site_ref}
        audit.append(tx, by, "enrol", f"device:{device_id}", facts, now=now)
        return _get(tx, device_id)


def revoke(db: Database, device_id: str, *, why: str, by: str, now: datetime, stolen: bool = False) -> Device:
    """Let a device in no more.

    Parameters
    ----------
    db : Database
        The server's.
    device_id, why, by, now
        Which, for what reason, by whose decision, when.
    stolen : bool
        Withdraw its keys too: what it signed is not believed any more, not even from a USB stick. Packets
        that are here already stay.

    Raises
    ------
    NotFoundError
        If it is not enrolled.
    """
    utc = to_text(now)
    with db.begin() as tx:
        _get(tx, device_id)
        tx.execute(
            devices.update()
            .where(devices.c.device_id == device_id)
            .values(state="revoked", revoked_utc=utc, revoked_why=why)
        )
        if stolen:
            of_device = device_keys.c.device_id == device_id
            tx.execute(
                device_keys.update()
                .where(of_device, device_keys.c.revoked_utc.is_(None))
                .values(revoked_utc=utc)
            )
        audit.append(tx, by, "revoke", f"device:{device_id}", {"why": why, "stolen": stolen}, now=now)
        return _get(tx, device_id)


def find(db: Database, device_id: str) -> Device:
    """A device.

    Raises
    ------
    NotFoundError
        If it is not enrolled.
    """
    with db.read() as tx:
        return _get(tx, device_id)


def listed(db: Database) -> tuple[Device, ...]:
    """Every device there ever was, by name."""
    with db.read() as tx:
        rows = tx.execute(sa.select(devices).order_by(devices.c.device_id)).mappings()
        return tuple(_device(dict(row)) for row in rows)


def _get(tx: Connection, device_id: str) -> Device:
    row = tx.execute(sa.select(devices).where(devices.c.device_id == device_id)).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no device {device_id[:40]!r}; enrol it.")
    return _device(dict(row))


def _device(row: Mapping[str, object]) -> Device:
    facts = {name: row[name] for name in Device.__dataclass_fields__ if name != "active"}
    return Device(active=row["state"] == "active", **facts)  # type: ignore[arg-type]
