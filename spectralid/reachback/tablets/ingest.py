"""Taking in packets: whatever way they came, once each, with a signed receipt.

The same bytes get the same receipt for ever, byte for byte. What is signed by an enrolled device and cannot
be taken in (its number was used for other bytes, its format is of a newer version) is put aside, not dropped.
Signature, hashes and rows are made before the transaction; in it (`tablets.storing`) are the
packet, its case, what is noted of it, the audit entry and the receipt, and those of others who wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError, UnknownSchemaError
from spectralid.casework.packet import MAX_PACKET, Packet, open_packet
from spectralid.reachback.errors import (
    BadPacketError,
    IngestRefusedError,
    KeyReusedError,
    TooLargeError,
    UnknownFormatError,
)
from spectralid.reachback.store import audit, copies
from spectralid.reachback.store.tables import gaps, packets, quarantine
from spectralid.reachback.tablets.enrolled import Keys
from spectralid.reachback.tablets.projections import project
from spectralid.reachback.tablets.storing import Arriving, Ingested, refused, store

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["Gap", "Ingested", "gaps_of", "ingest"]

_MOST_ASIDE: Final = 500
"""Packets put aside for one device: an enrolled device must not fill the disk either."""
_REPLAY: Final = sa.select(
    packets.c.receipt, packets.c.case_id, packets.c.device_id, packets.c.seq, packets.c.kind
).where(packets.c.sha256 == sa.bindparam("sha256"))


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers of a device that have not come.

    Attributes
    ----------
    device_id : str
        Whose.
    first_seq, last_seq : int
        From which to which number, both included.
    noticed_utc : str
        When a later one came.
    """

    device_id: str
    first_seq: int
    last_seq: int
    noticed_utc: str


def ingest(
    db: Database,
    raw: bytes,
    *,
    device: str | None,
    idempotency_key: str | None,
    now: Callable[[], datetime],
    keys: ServerKeys,
) -> Ingested:
    """Take in one packet.

    Parameters
    ----------
    db : Database
        The server's.
    raw : bytes
        The packet, of any content.
    device : str or None
        Who hands it over, as the line knows; ``None`` for packets that an operator brings (USB stick,
        e-mail), where the signature alone tells.
    idempotency_key : str or None
        As it was sent: the SHA-256 of `raw`. ``None`` where no line needs one.
    now : callable
        The server's time.
    keys : ServerKeys
        Whom the receipt is signed as.

    Returns
    -------
    Ingested

    Raises
    ------
    TooLargeError, UnknownFormatError, BadPacketError, KeyReusedError, DeviceRefusedError
        If it is refused; the error knows the status. Refusals are on record.
    UnavailableError, StorageFullError
        If it cannot be stored now; nothing was.
    """
    return _Ingest(db, raw, device, idempotency_key, now, keys).run()


class _Ingest:
    """One packet on its way in."""

    def __init__(
        self,
        db: Database,
        raw: bytes,
        device: str | None,
        idempotency_key: str | None,
        now: Callable[[], datetime],
        keys: ServerKeys,
    ) -> None:
        self.db = db
        self.raw = raw
        self.device = device
        self.key = idempotency_key
        self.now = now
        self.keys = keys
        self.actor = "hand" if device is None else f"device:{device}"
        self.sha256 = ""

    def run(self) -> Ingested:
        if len(self.raw) > MAX_PACKET:
            words = f"The packet has {len(self.raw)} bytes; at most {MAX_PACKET} are taken."
            raise TooLargeError(words)
        self.sha256 = hashlib.sha256(self.raw).hexdigest()
        with self.db.read() as tx:
            trusted = Keys(self.db) if self.device is None else Keys.of_active(self.db, tx, self.device)
            known = None if self._key_is_wrong() else self._replay(tx)
        if trusted is None:
            raise refused(self.device or "")
        if known is not None:
            # It may be the sound copy that was asked for.
            copies.mend(self.db, known.device_id, known.seq, self.raw, now=self.now())
            return known
        packet = self._opened(trusted)
        if self._key_is_wrong():
            self._aside(
                KeyReusedError(
                    "The idempotency key is not the SHA-256 of the body; the packet was put aside. Send it "
                    "with its own key."
                ),
                packet,
            )
        moment = self.now()
        projected = project(packet, received_utc=to_text(moment))
        arriving = Arriving(packet, projected, self.device, moment, self.keys)
        self.db.line.bring(arriving, partial(store, self.db))
        outcome = arriving.outcome()
        if isinstance(outcome, Ingested):
            return outcome
        words = (
            f"The device {packet.device_id!r} has used the number {outcome.seq} (packet "
            f"{outcome.packet_id}) for other bytes; both are kept, and an administrator has to look."
        )
        return self._aside(KeyReusedError(words), packet)

    def _key_is_wrong(self) -> bool:
        return self.key is not None and self.key != self.sha256

    def _replay(self, tx: Connection) -> Ingested | None:
        row = tx.execute(_REPLAY, {"sha256": self.sha256}).first()
        if row is None or self.device not in (None, row.device_id):
            return None
        return Ingested(200, *row)

    def _opened(self, trusted: Keys) -> Packet:
        """The packet, after its signature has been seen to be of the device that it names."""
        try:
            packet = open_packet(self.raw, trusted)
        except UnknownSchemaError as error:
            self._aside(UnknownFormatError(str(error)), None)
        except PacketError as error:
            self._refuse(BadPacketError(str(error)))
        owner = trusted.owner(packet.keyid)
        if owner != packet.device_id:
            words = f"It names the device {packet.device_id!r} and is signed by {owner!r}."
            self._refuse(BadPacketError(words))
        return packet

    def _aside(self, error: IngestRefusedError, packet: Packet | None) -> NoReturn:
        """Keep a packet that cannot be taken in, and say so."""
        moment = self.now()
        device_id = packet.device_id if packet else self.device
        with self.db.begin() as tx:
            kept = tx.execute(
                sa.select(quarantine.c.n).where(
                    quarantine.c.sha256 == self.sha256, quarantine.c.code == error.code
                )
            ).first()
            of_device = sa.select(sa.func.count()).where(
                quarantine.c.device_id.is_not_distinct_from(device_id)
            )
            room = kept is None and tx.execute(of_device).scalar_one() < _MOST_ASIDE
            if room:
                number = tx.execute(sa.select(sa.func.coalesce(sa.func.max(quarantine.c.n), 0))).scalar_one()
                row = {
                    "n": number + 1,
                    "sha256": self.sha256,
                    "device_id": device_id,
                    "code": error.code,
                    "said": str(error),
                    "idempotency_key": self.key[:100] if self.key is not None else None,
                    "received_utc": to_text(moment),
                    "raw": self.raw,
                }
                tx.execute(quarantine.insert(), row)
            if kept is None:
                facts = {"code": error.code, "said": str(error), "kept": room}
                audit.append(tx, self.actor, "refused", f"packet:{self.sha256}", facts, now=moment)
        raise error

    def _refuse(self, error: IngestRefusedError) -> NoReturn:
        """Refuse what nobody known has signed; its hash stays on record, its bytes do not."""
        facts = {"code": error.code, "said": str(error), "size": len(self.raw)}
        with self.db.begin() as tx:
            audit.append(tx, self.actor, "refused", f"packet:{self.sha256}", facts, now=self.now())
        raise error


def gaps_of(db: Database, device_id: str | None = None) -> tuple[Gap, ...]:
    """The numbers that have not come: of one device, or of all."""
    chosen = sa.select(gaps).order_by(gaps.c.device_id, gaps.c.first_seq)
    if device_id is not None:
        chosen = chosen.where(gaps.c.device_id == device_id)
    with db.read() as tx:
        return tuple(Gap(**row) for row in tx.execute(chosen).mappings())
