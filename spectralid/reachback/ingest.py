"""Taking in packets: whatever way they came, once each, with a signed receipt.

The same bytes get the same receipt for ever, byte for byte. What is signed by an enrolled device and cannot
be taken in (its number was used for other bytes, its format is of a newer version) is put aside, not dropped.
Signature, hashes and rows are made before the transaction; in it are the packet, its case, what is noted of
it, the audit entry and the receipt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

import sqlalchemy as sa

from spectralid.casework.chain import EPOCH
from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError, UnknownSchemaError
from spectralid.casework.packet import MAX_PACKET, Packet, open_packet
from spectralid.reachback import audit, cases, receipts, tables
from spectralid.reachback.cases import State
from spectralid.reachback.enrolled import Keys
from spectralid.reachback.errors import (
    BadPacketError,
    DeviceRefusedError,
    IngestRefusedError,
    KeyReusedError,
    TooLargeError,
    UnknownFormatError,
)
from spectralid.reachback.projections import Projected, project
from spectralid.reachback.tables import chains, devices, gaps, packets, quarantine

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.database import Database
    from spectralid.reachback.serverkeys import ServerKeys

__all__ = ["Gap", "Ingested", "gaps_of", "ingest"]

_MOST_LINKS: Final = 50
_MOST_ASIDE: Final = 500
"""Packets put aside for one device: an enrolled device must not fill the disk either."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a packet.

    Attributes
    ----------
    status : {200, 201}
        201 the first time, 200 when it was here already.
    receipt : bytes
        The signed receipt; the same bytes each time.
    case : str
        The case it is in.
    device_id, seq, kind
        Which packet.
    """

    status: Literal[200, 201]
    receipt: bytes
    case: str
    device_id: str
    seq: int
    kind: str


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
            if self.device is not None:
                _see_active(tx, self.device)
            known = None if self._key_is_wrong() else self._replay(tx)
        if known is not None:
            return known
        packet = self._opened()
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
        with self.db.begin() as tx:
            if self.device is not None:
                _see_active(tx, self.device)
            # Somebody else may have brought it meanwhile.
            if (known := self._replay(tx)) is not None:
                return known
            near = self._neighbours(tx, packet)
            clash = near.get(packet.seq)
            if clash is None:
                return _Storing(tx, packet, projected, near, moment, self.keys, self.actor).store()
        words = (
            f"The device {packet.device_id!r} has used the number {clash['seq']} (packet "
            f"{clash['packet_id']}) for other bytes; both are kept, and an administrator has to look."
        )
        return self._aside(KeyReusedError(words), packet)

    def _key_is_wrong(self) -> bool:
        return self.key is not None and self.key != self.sha256

    def _replay(self, tx: Connection) -> Ingested | None:
        columns = packets.c
        chosen = sa.select(columns.receipt, columns.case_id, columns.device_id, columns.seq, columns.kind)
        row = tx.execute(chosen.where(columns.sha256 == self.sha256)).first()
        if row is None or self.device not in (None, row.device_id):
            return None
        return Ingested(200, *row)

    def _opened(self) -> Packet:
        """The packet, after its signature has been seen to be of the device that it names."""
        trusted = Keys(self.db, self.device)
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

    def _neighbours(self, tx: Connection, packet: Packet) -> dict[int, Mapping[str, Any]]:
        """The packets of the device before and after, and any whose number or name this one claims."""
        columns = packets.c
        seqs = (packet.seq - 1, packet.seq, packet.seq + 1)
        rows = tx.execute(
            sa.select(columns.seq, columns.sha256, columns.prev, columns.packet_id).where(
                columns.device_id == packet.device_id,
                sa.or_(columns.seq.in_(seqs), columns.packet_id == packet.packet_id),
            )
        ).mappings()
        near: dict[int, Mapping[str, Any]] = {}
        for row in rows:
            near[packet.seq if row["packet_id"] == packet.packet_id else row["seq"]] = dict(row)
        return near

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


def _see_active(tx: Connection, device_id: str) -> None:
    state = tx.execute(sa.select(devices.c.state).where(devices.c.device_id == device_id)).scalar()
    if state != "active":
        raise DeviceRefusedError(
            f"The device {device_id[:40]!r} is not enrolled here or was revoked; its packets can be handed "
            "over by USB stick."
        )


@dataclass(frozen=True, slots=True)
class _Storing:
    """A packet that is taken in, in the transaction that does it."""

    tx: Connection
    packet: Packet
    projected: Projected
    near: Mapping[int, Mapping[str, Any]]
    moment: datetime
    keys: ServerKeys
    actor: str

    def store(self) -> Ingested:
        packet, tx = self.packet, self.tx
        utc = to_text(self.moment)
        case_id = self._case()
        broken = self._chain_broken()
        gap = self._gap()
        facts = {
            "device": packet.device_id,
            "seq": packet.seq,
            "sha256": packet.sha256,
            "kind": packet.kind,
            "case": case_id,
            **({"chain": "broken"} if broken else {}),
            **gap,
        }
        subject = f"packet:{packet.packet_id}"
        n = audit.append(tx, self.actor, "packet", subject, facts, now=self.moment)
        receipt = receipts.receipt(
            self.keys,
            sha256=packet.sha256,
            device_id=packet.device_id,
            seq=packet.seq,
            case=case_id,
            now=self.moment,
            audit_n=n,
            checkpoint=audit.checkpoint(tx, self.keys, now=self.moment),
        )
        said = packet.manifest
        row = {
            "device_id": packet.device_id,
            "seq": packet.seq,
            "sha256": packet.sha256,
            "packet_id": packet.packet_id,
            "kind": packet.kind,
            "case_id": case_id,
            "seizure_ref": said["seizure_ref"],
            "item_ref": said.get("item_ref"),
            "epoch": self._epoch(),
            "prev": packet.prev,
            "chain_broken": broken,
            "captured_utc": said["captured"]["wall_utc"],
            "clock_state": said["captured"]["clock_state"],
            "received_utc": utc,
            "way": "hand" if self.actor == "hand" else "https",
            "raw": packet.raw,
            "receipt": receipt,
            "audit_n": n,
        }
        tx.execute(packets.insert(), row)
        for name, rows in self.projected.rows.items():
            if rows:
                tx.execute(
                    tables.metadata.tables[name].insert(), [{**one, "case_id": case_id} for one in rows]
                )
        self._link(case_id)
        tx.execute(devices.update().where(devices.c.device_id == packet.device_id).values(seen_utc=utc))
        return Ingested(201, receipt, case_id, packet.device_id, packet.seq, packet.kind)

    # the case

    def _case(self) -> str:
        """The case of the seizure, opened if need be, with what this packet changes of it."""
        tx, projected = self.tx, self.projected
        seizure_ref = self.packet.manifest["seizure_ref"]
        case_id = cases.case_id_of(self.packet.device_id, seizure_ref)
        case = tx.execute(sa.select(tables.cases).where(tables.cases.c.case_id == case_id)).mappings().first()
        if case is None:
            state = self._open(case_id, seizure_ref)
        else:
            state = case["state"]
            if projected.evidence:
                self._count(dict(case))
        if projected.asks:
            if state == State.GROUPED:
                cases.new_round(tx, case_id, why="queue", now=self.moment)
                self._move(case_id, "queue")
            elif (state, "changed") in cases.STEPS and (projected.evidence or state != State.SECOND_REVIEW):
                self._move(case_id, "changed")
        return case_id

    def _open(self, case_id: str, seizure_ref: str) -> State:
        utc = to_text(self.moment)
        state = cases.step(State.RECEIVED, "group")
        device_id = self.packet.device_id
        site = sa.select(devices.c.site_ref).where(devices.c.device_id == device_id)
        row = {
            "case_id": case_id,
            "device_id": device_id,
            "seizure_ref": seizure_ref,
            "site_ref": self.tx.execute(site).scalar_one(),
            "state": state,
            "round": 0,
            "opened_utc": utc,
            "priority": self.projected.priority,
            "stopped": False,
            "high_hazard": self.projected.high_hazard,
            "scans": self.projected.scans,
            "evidence": self.projected.evidence,
            "changed_utc": utc,
        }
        self.tx.execute(tables.cases.insert(), row)
        facts = {"event": "group", "from": State.RECEIVED, "to": state, "seizure": seizure_ref}
        audit.append(self.tx, self.actor, "case", case_id, facts, now=self.moment)
        return state

    def _count(self, case: Mapping[str, Any]) -> None:
        projected = self.projected
        self.tx.execute(
            tables.cases.update()
            .where(tables.cases.c.case_id == case["case_id"])
            .values(
                scans=case["scans"] + projected.scans,
                evidence=case["evidence"] + projected.evidence,
                priority=min(case["priority"], projected.priority),
                high_hazard=case["high_hazard"] or projected.high_hazard,
                changed_utc=to_text(self.moment),
            )
        )

    def _move(self, case_id: str, event: str) -> None:
        facts = {"packet": self.packet.packet_id}
        cases.move(self.tx, case_id, event, actor=self.actor, now=self.moment, facts=facts)

    def _link(self, case_id: str) -> None:
        """Link the case to others that hold the very same numbers."""
        columns = tables.spectra.c
        samples = {
            row["numbers_sha256"]
            for row in self.projected.rows.get("spectra", ())
            if row["role"] == "sample" and row["usable"]
        }
        if not samples:
            return
        found = self.tx.execute(
            sa.select(columns.case_id, columns.numbers_sha256)
            .where(columns.numbers_sha256.in_(samples), columns.role == "sample", columns.case_id != case_id)
            .distinct()
            .limit(_MOST_LINKS)
        ).all()
        for other, fact in found:
            cases.link(self.tx, case_id, other, why="same-spectrum", fact=fact, by="server", now=self.moment)

    # the chain of the device

    def _epoch(self) -> int:
        return (self.packet.seq - 1) // EPOCH

    def _chain_broken(self) -> bool:
        """Whether the packets beside this one know another in its place."""
        packet = self.packet
        before, after = self.near.get(packet.seq - 1), self.near.get(packet.seq + 1)
        if after is not None and after["prev"] != packet.sha256 and not _first_of_epoch(packet.seq + 1):
            return True
        return before is not None and before["sha256"] != packet.prev and not _first_of_epoch(packet.seq)

    def _gap(self) -> dict[str, Any]:
        """Keep the list of numbers that have not come; says what changed."""
        tx, seq, device_id = self.tx, self.packet.seq, self.packet.device_id
        epoch = self._epoch()
        this = (chains.c.device_id == device_id, chains.c.epoch == epoch)
        high = tx.execute(sa.select(chains.c.high_seq).where(*this)).scalar()
        if high is None:
            tx.execute(chains.insert(), {"device_id": device_id, "epoch": epoch, "high_seq": seq})
            high = epoch * EPOCH
        elif seq > high:
            tx.execute(chains.update().where(*this).values(high_seq=seq))
        if seq == high + 1:
            return {}
        utc = to_text(self.moment)
        if seq > high:
            self._note_gap(high + 1, seq - 1, utc)
            return {"gap": [high + 1, seq - 1]}
        found = tx.execute(
            sa.select(gaps).where(
                gaps.c.device_id == device_id, gaps.c.first_seq <= seq, gaps.c.last_seq >= seq
            )
        ).mappings().first()  # fmt: skip
        if found is None:
            return {}
        first, last = found["first_seq"], found["last_seq"]
        tx.execute(gaps.delete().where(gaps.c.device_id == device_id, gaps.c.first_seq == first))
        self._note_gap(first, seq - 1, found["noticed_utc"])
        self._note_gap(seq + 1, last, found["noticed_utc"])
        return {"filled": [seq, first, last]}

    def _note_gap(self, first: int, last: int, utc: str) -> None:
        if first <= last:
            row = {"first_seq": first, "last_seq": last, "noticed_utc": utc}
            self.tx.execute(gaps.insert(), {"device_id": self.packet.device_id, **row})


def _first_of_epoch(seq: int) -> bool:
    return (seq - 1) % EPOCH == 0


def gaps_of(db: Database, device_id: str | None = None) -> tuple[Gap, ...]:
    """The numbers that have not come: of one device, or of all."""
    chosen = sa.select(gaps).order_by(gaps.c.device_id, gaps.c.first_seq)
    if device_id is not None:
        chosen = chosen.where(gaps.c.device_id == device_id)
    with db.read() as tx:
        return tuple(Gap(**row) for row in tx.execute(chosen).mappings())
