"""The agency's side of the enrolment of tablets (docs/sync.md): requests in, certificates out.

A request is signed with the tablet's key and compared by its fingerprint, which a person has by another way.
The answer brings a certificate of the agency's authority and the server's keys, signed with one of them.
Certificates are on record by their SHA-256: one that is not, or was withdrawn, opens nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from spectralid.casework import dsse
from spectralid.casework.clock import to_text
from spectralid.casework.enrolment import ENROLMENT_TYPE, REQUEST_TYPE, fingerprint
from spectralid.casework.errors import KeyFileError, PacketError
from spectralid.casework.keys import PublicKey
from spectralid.casework.manifest import dumps, loads
from spectralid.reachback.errors import BadPacketError, DeviceRefusedError, SignInError
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import devices, metadata
from spectralid.reachback.tablets import enrolled
from spectralid.reachback.tablets.enrolled import Device

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys
    from spectralid.reachback.tablets.tls import Authority

__all__ = ["Certificate", "Issued", "certificates_of", "device_certificates", "device_of", "issue", "revoke"]

_SHORTEST_FINGERPRINT: Final = 32

device_certificates: Final = sa.Table(
    "device_certificates",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("device_id", sa.Text, sa.ForeignKey("devices.device_id"), nullable=False),
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("issued_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text, nullable=False),
    sa.Column("revoked_utc", sa.Text, nullable=True),
    sa.Index(None, "device_id"),
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that was issued to a tablet.

    Attributes
    ----------
    sha256, serial, device_id
        Which, and whose.
    issued_utc, until_utc, revoked_utc
        Its life.
    """

    sha256: str
    serial: str
    device_id: str
    issued_utc: str
    until_utc: str
    revoked_utc: str | None


@dataclass(frozen=True, slots=True)
class Issued:
    """The answer to a request.

    Attributes
    ----------
    device_id : str
        For whom.
    envelope : bytes
        The file for the tablet.
    fingerprint : str
        Of the file; a person gives it to the officer by another way.
    until_utc : str
        When the certificate ends.
    """

    device_id: str
    envelope: bytes
    fingerprint: str
    until_utc: str


def device_of(db: Database, certificate: bytes, *, now: datetime) -> Device:
    """The tablet whose certificate TLS has verified.

    Parameters
    ----------
    db : Database
        The server's.
    certificate : bytes
        DER.
    now : datetime
        When.

    Raises
    ------
    SignInError
        If it is not on record here, or has ended.
    DeviceRefusedError
        If it or the tablet was revoked.
    """
    sha256 = hashlib.sha256(certificate).hexdigest()
    chosen = (
        sa.select(devices, device_certificates.c.until_utc, device_certificates.c.revoked_utc.label("gone"))
        .join_from(device_certificates, devices)
        .where(device_certificates.c.sha256 == sha256)
    )
    with db.read() as tx:
        row = tx.execute(chosen).mappings().first()
    if row is None or row["until_utc"] <= to_text(now):
        raise SignInError("The certificate of this tablet has ended or is not known here; enrol it again.")
    if row["gone"] is not None or row["state"] != "active":
        raise DeviceRefusedError(
            f"The device {row['device_id']!r} or its certificate was revoked; its packets can be handed over "
            "by USB stick."
        )
    facts = {name: row[name] for name in Device.__dataclass_fields__ if name != "active"}
    return Device(active=True, **facts)


def certificates_of(db: Database, device_id: str) -> tuple[Certificate, ...]:
    """The certificates of a tablet, oldest first."""
    of_device = device_certificates.c.device_id == device_id
    with db.read() as tx:
        rows = tx.execute(
            sa.select(device_certificates).where(of_device).order_by(device_certificates.c.issued_utc)
        ).mappings()
        return tuple(Certificate(**row) for row in rows)


def issue(
    db: Database,
    keys: ServerKeys,
    authority: Authority,
    request: bytes,
    *,
    confirmed: str,
    site_ref: str,
    url: str,
    by: str,
    now: datetime,
    days: int,
) -> Issued:
    """Enrol a tablet by its request, or enrol it again.

    Parameters
    ----------
    db, keys, authority
        The server's: whom it signs as, and who issues certificates.
    request : bytes
        The file that ``spectralid packets request`` made on the tablet.
    confirmed : str
        The fingerprint of that file, at least its first 32 digits, as the tablet showed it.
    site_ref : str
        Where the tablet belongs.
    url : str
        Where it reaches the server.
    by, now
        Who enrols it, when.
    days : int
        How long the certificate is valid.

    Returns
    -------
    Issued

    Raises
    ------
    BadPacketError
        If the request is damaged, or its fingerprint is another.
    ConflictError
        If its key belongs to another tablet, or was withdrawn.
    """
    device_id, public, csr = _read(request, confirmed)
    der, pem, until = authority.issue_device(csr, device_id, now=now, days=days)
    with db.read() as tx:
        state = tx.execute(sa.select(devices.c.state).where(devices.c.device_id == device_id)).scalar()
    enrolled.add(db, device_id, public, site_ref=site_ref, by=by, now=now)
    with db.begin() as tx:
        if state == "revoked":
            # Let in again with this certificate, not with those it was revoked with.
            _withdraw(tx, device_id, now)
        put(tx, device_id, der, serial=authority.serial_of(der), until=until, by=by, now=now)
    body = {
        "schema": "spectralid.enrolment/1",
        "device_id": device_id,
        "issued_utc": to_text(now),
        "url": url,
        "ca_pem": authority.pem.decode(),
        "certificate_pem": pem.decode(),
        "server_keys": [base64.b64encode(key.raw).decode() for key in keys.trusted.values()],
    }
    envelope = dsse.sign(dumps(body), ENROLMENT_TYPE, keys.signing)
    return Issued(device_id, envelope, fingerprint(envelope), to_text(until))


def put(
    tx: Connection, device_id: str, der: bytes, *, serial: str, until: datetime, by: str, now: datetime
) -> None:
    """Note a certificate as one of a tablet."""
    row = {
        "sha256": hashlib.sha256(der).hexdigest(),
        "device_id": device_id,
        "serial": serial,
        "issued_utc": to_text(now),
        "until_utc": to_text(until),
    }
    tx.execute(device_certificates.insert(), row)
    facts = {"certificate": row["sha256"], "serial": serial, "until": row["until_utc"]}
    audit.append(tx, by, "certificate", f"device:{device_id}", facts, now=now)


def revoke(db: Database, device_id: str, *, why: str, by: str, now: datetime, stolen: bool = False) -> Device:
    """Let a tablet in no more: neither it nor its certificates, also when it is enrolled again.

    Parameters
    ----------
    db, device_id, why, by, now
        As for `spectralid.reachback.tablets.enrolled.revoke`.
    stolen : bool
        Believe nothing any more that it signed, not even from a USB stick.
    """
    revoked = enrolled.revoke(db, device_id, why=why, by=by, now=now, stolen=stolen)
    with db.begin() as tx:
        _withdraw(tx, device_id, now)
    return revoked


def _withdraw(tx: Connection, device_id: str, now: datetime) -> None:
    tx.execute(
        device_certificates.update()
        .where(device_certificates.c.device_id == device_id, device_certificates.c.revoked_utc.is_(None))
        .values(revoked_utc=to_text(now))
    )


def _read(request: bytes, confirmed: str) -> tuple[str, PublicKey, bytes]:
    digits = "".join(confirmed.split()).lower()
    if len(digits) < _SHORTEST_FINGERPRINT or not hashlib.sha256(request).hexdigest().startswith(digits):
        raise BadPacketError(
            "The fingerprint given is not that of this request; compare it with what the tablet showed "
            f"(at least {_SHORTEST_FINGERPRINT} digits)."
        )
    try:
        said = loads(dsse.verify(request, None, payload_types={REQUEST_TYPE}).payload)
        device_id, csr = said.get("device_id"), said.get("csr_pem")
        if said.get("schema") != "spectralid.enrolment-request/1" or not isinstance(csr, str):
            raise PacketError("It is no request for an enrolment.")
        if not isinstance(device_id, str) or not 1 <= len(device_id) <= 100 or not device_id.isprintable():
            raise PacketError("It names no device.")
        public = PublicKey(base64.b64decode(str(said.get("public_key")), validate=True))
        # Signed with the key that it brings, so whoever made it has the key.
        dsse.verify(request, {public.keyid: public}, payload_types={REQUEST_TYPE})
    except (PacketError, KeyFileError, binascii.Error) as error:
        raise BadPacketError(f"The request cannot be taken: {error}") from None
    return device_id, public, csr.encode()
