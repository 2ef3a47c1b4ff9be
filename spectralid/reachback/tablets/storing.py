"""Packets into the database: a group of them in one transaction, each as if it had come alone.

What the group has to know is read at once, what follows from it is decided packet by packet in memory, and
the rows are written at once: a handful of statements for a group instead of twenty for a packet. Refusals are
decided before anything of a packet is written. Whatever else goes wrong undoes the whole transaction, and
each packet is then taken in one of its own, so that none takes others with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.chain import EPOCH
from spectralid.casework.clock import to_text
from spectralid.casework.packet import Packet
from spectralid.reachback.caseload import cases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import DeviceRefusedError, StorageFullError, UnavailableError
from spectralid.reachback.store import audit, receipts, tables
from spectralid.reachback.store.intake import Waiting
from spectralid.reachback.store.tables import chains, devices, gaps, packets, spectra
from spectralid.reachback.tablets.projections import Projected

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["Arriving", "Clash", "Ingested", "refused", "store"]

_MOST_LINKS: Final = 50


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
class Clash:
    """The packet that is here under the number or the name of another one.

    Attributes
    ----------
    seq, packet_id
        Which.
    """

    seq: int
    packet_id: str


class Arriving(Waiting["Ingested | Clash"]):
    """A packet that was seen to be sound, on its way in.

    Parameters
    ----------
    packet : Packet
        Verified.
    projected : Projected
        What is noted of it.
    device : str or None
        Who hands it over by the network.
    moment : datetime
        When it came.
    keys : ServerKeys
        Whom its receipt is signed as.
    """

    def __init__(
        self, packet: Packet, projected: Projected, device: str | None, moment: datetime, keys: ServerKeys
    ) -> None:
        super().__init__(len(packet.raw))
        self.packet = packet
        self.projected = projected
        self.device = device
        self.actor = "hand" if device is None else f"device:{device}"
        self.moment = moment
        self.keys = keys

    @property
    def case_id(self) -> str:
        """The case it goes into."""
        return cases.case_id_of(self.packet.device_id, self.packet.manifest["seizure_ref"])

    @property
    def epoch(self) -> int:
        """The epoch of its number."""
        return (self.packet.seq - 1) // EPOCH


def refused(device_id: str) -> DeviceRefusedError:
    """The error of a device that may not hand packets over."""
    return DeviceRefusedError(
        f"The device {device_id[:40]!r} is not enrolled here or was revoked; its packets can be handed "
        "over by USB stick."
    )


def store(db: Database, group: Sequence[Arriving]) -> None:
    """Take packets in; each of them ends or fails, and nothing of one that fails is stored.

    Parameters
    ----------
    db : Database
        The server's.
    group : sequence of Arriving
        In any order.
    """
    # What a device has numbered one after the other may have been overtaken on its way here.
    group = sorted(group, key=lambda one: (one.packet.device_id, one.packet.seq))
    try:
        with db.begin() as tx:
            outcomes = _Group(tx, group).stored()
    except (UnavailableError, StorageFullError) as error:
        for one in group:
            one.fail(error)
    except Exception as error:
        if len(group) == 1:
            group[0].fail(error)
            return
        for one in group:
            store(db, [one])
    else:
        for one, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, DeviceRefusedError):
                one.fail(outcome)
            else:
                one.end(outcome)


def _in(column: sa.ColumnElement[Any], name: str = "some") -> sa.ColumnElement[bool]:
    return column.in_(sa.bindparam(name, expanding=True))


_p, _c = packets.c, tables.cases.c
_DEVICES: Final = sa.select(devices.c.device_id, devices.c.state, devices.c.site_ref).where(
    _in(devices.c.device_id)
)
# Two lists, not one of pairs, for which SQLite would use no index; more rows are read than asked.
_CHAINS: Final = sa.select(chains).where(_in(chains.c.device_id, "of"), _in(chains.c.epoch))
_KNOWN: Final = sa.select(_p.device_id, _p.seq, _p.sha256, _p.prev, _p.packet_id, _p.kind, _p.case_id)
_NUMBERED: Final = _KNOWN.where(_in(_p.device_id, "of"), _in(_p.seq))
_NAMED: Final = _KNOWN.where(_in(_p.device_id, "of"), _in(_p.packet_id))
_RECEIPT: Final = sa.select(_p.receipt).where(_p.device_id == sa.bindparam("d"), _p.seq == sa.bindparam("s"))
_COUNTS: Final = ("scans", "evidence", "priority", "high_hazard")
_CASES: Final = sa.select(_c.case_id, _c.state, *(_c[name] for name in _COUNTS)).where(_in(_c.case_id))
_COUNT: Final = (
    tables.cases.update()
    .where(_c.case_id == sa.bindparam("which"))
    .values({name: sa.bindparam(name) for name in (*_COUNTS, "changed_utc")})
)
_HIGH: Final = (
    chains.update()
    .where(chains.c.device_id == sa.bindparam("d"), chains.c.epoch == sa.bindparam("e"))
    .values(high_seq=sa.bindparam("high"))
)
_SEEN: Final = (
    devices.update().where(devices.c.device_id == sa.bindparam("d")).values(seen_utc=sa.bindparam("utc"))
)
_SAME: Final = (
    sa.select(spectra.c.case_id, spectra.c.numbers_sha256)
    .where(
        _in(spectra.c.numbers_sha256),
        spectra.c.role == "sample",
        spectra.c.case_id != sa.bindparam("but"),
    )
    .distinct()
    .limit(_MOST_LINKS)
)
_SHARED: Final = (
    sa.select(spectra.c.numbers_sha256)
    .where(_in(spectra.c.numbers_sha256), spectra.c.role == "sample")
    .group_by(spectra.c.numbers_sha256)
    .having(sa.func.min(spectra.c.case_id) != sa.func.max(spectra.c.case_id))
)
_OPEN: Final = tables.cases.insert()
_BEGIN: Final = chains.insert()
# In the order in which they refer to each other.
_ROWS: Final = {
    name: tables.metadata.tables[name].insert()
    for name in ("packets", "scans", "spectra", "strips", "items", "sends")
}


@dataclass(slots=True)
class _Known:
    """What is known of the devices, packets and cases that a group is about, and what it adds."""

    sites: dict[str, tuple[str, str]] = field(default_factory=dict)
    packets: dict[tuple[str, int], Mapping[str, Any]] = field(default_factory=dict)
    names: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    chains: dict[tuple[str, int], int] = field(default_factory=dict)

    def keep(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self.packets[row["device_id"], row["seq"]] = row
            self.names[row["device_id"], row["packet_id"]] = row


class _Group:
    """A group of packets in the transaction that takes them in."""

    def __init__(self, tx: Connection, group: Sequence[Arriving]) -> None:
        self.tx = tx
        self.group = group
        self.known = _Known()
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _ROWS}
        self.counted: dict[str, str] = {}
        self.highs: set[tuple[str, int]] = set()
        self.seen: dict[str, str] = {}
        self.new: list[Arriving] = []

    def stored(self) -> list[Ingested | Clash | DeviceRefusedError]:
        """What becomes of each; the transaction is still to be committed."""
        self._read()
        with audit.gathered(self.tx):
            outcomes = [self._taken(one) for one in self.group]
            self._write()
            self._link()
        return outcomes

    def _read(self) -> None:
        ids, numbers, names, case_ids, epochs = set(), set(), set(), set(), set()
        for one in self.group:
            seq = one.packet.seq
            ids.add(one.packet.device_id)
            numbers |= {seq - 1, seq, seq + 1}
            names.add(one.packet.packet_id)
            case_ids.add(one.case_id)
            epochs.add(one.epoch)
        known = self.known
        known.sites = {row.device_id: (row.state, row.site_ref) for row in self._some(_DEVICES, ids)}
        known.keep(row._asdict() for row in self._some(_NUMBERED, numbers, of=ids))
        known.keep(row._asdict() for row in self._some(_NAMED, names, of=ids))
        known.cases = {row.case_id: row._asdict() for row in self._some(_CASES, case_ids)}
        known.chains = {
            (row.device_id, row.epoch): row.high_seq for row in self._some(_CHAINS, epochs, of=ids)
        }

    def _some(self, chosen: sa.Select[Any], some: set[Any], **more: set[Any]) -> Sequence[sa.Row[Any]]:
        lists = {name: sorted(of) for name, of in {"some": some, **more}.items()}
        return self.tx.execute(chosen, lists).all()

    def _write(self) -> None:
        tx = self.tx
        if self.counted:
            known = self.known.cases
            counts = [
                {"which": case_id, "changed_utc": utc, **{name: known[case_id][name] for name in _COUNTS}}
                for case_id, utc in self.counted.items()
            ]
            tx.execute(_COUNT, counts)
        for name, rows in self.rows.items():
            if rows:
                tx.execute(_ROWS[name], rows)
        if self.highs:
            tx.execute(_HIGH, [{"d": d, "e": e, "high": self.known.chains[d, e]} for d, e in self.highs])
        if self.seen:
            tx.execute(_SEEN, [{"d": device_id, "utc": utc} for device_id, utc in self.seen.items()])

    # one packet

    def _taken(self, one: Arriving) -> Ingested | Clash | DeviceRefusedError:
        packet = one.packet
        if one.device is not None and self.known.sites.get(one.device, ("", ""))[0] != "active":
            return refused(one.device)
        there = self.known.packets.get((packet.device_id, packet.seq))
        if there is not None and there["sha256"] == packet.sha256:
            # Somebody else brought it meanwhile.
            return self._replay(there)
        there = self.known.names.get((packet.device_id, packet.packet_id), there)
        if there is not None:
            return Clash(there["seq"], there["packet_id"])
        return self._new(one)

    def _replay(self, there: Mapping[str, Any]) -> Ingested:
        key = {"d": there["device_id"], "s": there["seq"]}
        receipt = there.get("receipt") or self.tx.execute(_RECEIPT, key).scalar_one()
        return Ingested(200, receipt, there["case_id"], there["device_id"], there["seq"], there["kind"])

    def _new(self, one: Arriving) -> Ingested:
        packet, said, utc = one.packet, one.packet.manifest, to_text(one.moment)
        case_id = self._case(one)
        broken = self._chain_broken(packet)
        facts = {
            "device": packet.device_id,
            "seq": packet.seq,
            "sha256": packet.sha256,
            "kind": packet.kind,
            "case": case_id,
            **({"chain": "broken"} if broken else {}),
            **self._gap(one),
        }
        n = audit.append(
            self.tx, one.actor, "packet", f"packet:{packet.packet_id}", facts, now=one.moment
        )  # fmt: skip
        receipt = receipts.receipt(
            one.keys,
            sha256=packet.sha256,
            device_id=packet.device_id,
            seq=packet.seq,
            case=case_id,
            now=one.moment,
            audit_n=n,
            checkpoint=audit.checkpoint(self.tx, one.keys, now=one.moment),
        )
        row = {
            "device_id": packet.device_id,
            "seq": packet.seq,
            "sha256": packet.sha256,
            "packet_id": packet.packet_id,
            "kind": packet.kind,
            "case_id": case_id,
            "seizure_ref": said["seizure_ref"],
            "item_ref": said.get("item_ref"),
            "epoch": one.epoch,
            "prev": packet.prev,
            "chain_broken": broken,
            "captured_utc": said["captured"]["wall_utc"],
            "clock_state": said["captured"]["clock_state"],
            "received_utc": utc,
            "way": "hand" if one.device is None else "https",
            "raw": packet.raw,
            "receipt": receipt,
            "audit_n": n,
        }
        self.rows["packets"].append(row)
        self.known.keep([row])
        self.new.append(one)
        for name, rows in one.projected.rows.items():
            self.rows[name] += [{**noted, "case_id": case_id} for noted in rows]
        self.seen[packet.device_id] = utc
        return Ingested(201, receipt, case_id, packet.device_id, packet.seq, packet.kind)

    # its case

    def _case(self, one: Arriving) -> str:
        """The case of the seizure, opened if need be, with what this packet changes of it."""
        case_id, projected = one.case_id, one.projected
        case = self.known.cases.get(case_id)
        if case is None:
            case = self._open(one)
        elif projected.evidence:
            case["scans"] += projected.scans
            case["evidence"] += projected.evidence
            case["priority"] = min(case["priority"], projected.priority)
            case["high_hazard"] = case["high_hazard"] or projected.high_hazard
            self.counted[case_id] = to_text(one.moment)
        state = case["state"]
        if projected.asks:
            if state == State.GROUPED:
                cases.new_round(self.tx, case_id, why="queue", now=one.moment)
                self._move(one, case, "queue")
            elif (state, "changed") in cases.STEPS and (projected.evidence or state != State.SECOND_REVIEW):
                self._move(one, case, "changed")
        return case_id

    def _open(self, one: Arriving) -> dict[str, Any]:
        utc = to_text(one.moment)
        state = cases.step(State.RECEIVED, "group")
        device_id, seizure_ref = one.packet.device_id, one.packet.manifest["seizure_ref"]
        row = {
            "case_id": one.case_id,
            "device_id": device_id,
            "seizure_ref": seizure_ref,
            "site_ref": self.known.sites[device_id][1],
            "state": state,
            "round": 0,
            "opened_utc": utc,
            "priority": one.projected.priority,
            "stopped": False,
            "high_hazard": one.projected.high_hazard,
            "scans": one.projected.scans,
            "evidence": one.projected.evidence,
            "changed_utc": utc,
        }
        self.tx.execute(_OPEN, row)
        facts = {"event": "group", "from": State.RECEIVED, "to": state, "seizure": seizure_ref}
        audit.append(self.tx, one.actor, "case", one.case_id, facts, now=one.moment)
        self.known.cases[one.case_id] = row
        return row

    def _move(self, one: Arriving, case: dict[str, Any], event: str) -> None:
        facts = {"packet": one.packet.packet_id}
        case["state"] = cases.move(
            self.tx, case["case_id"], event, actor=one.actor, now=one.moment, facts=facts
        )

    def _link(self) -> None:
        """Link cases that hold the very same numbers."""
        numbers = {row["numbers_sha256"] for row in self.rows["spectra"] if _is_linking(row)}
        shared = {row.numbers_sha256 for row in self._some(_SHARED, numbers)} if numbers else set()
        if not shared:
            return
        for one in self.new:
            mine = {
                row["numbers_sha256"] for row in one.projected.rows.get("spectra", ()) if _is_linking(row)
            }
            if not mine & shared:
                continue
            found = self.tx.execute(_SAME, {"some": sorted(mine & shared), "but": one.case_id}).all()
            for other, fact in found:
                cases.link(
                    self.tx, one.case_id, other, why="same-spectrum", fact=fact, by="server", now=one.moment
                )

    # the chain of its device

    def _chain_broken(self, packet: Packet) -> bool:
        """Whether the packets beside this one know another in its place."""
        near = self.known.packets
        before, after = (near.get((packet.device_id, packet.seq + step)) for step in (-1, 1))
        if after is not None and after["prev"] != packet.sha256 and not _first_of_epoch(packet.seq + 1):
            return True
        return before is not None and before["sha256"] != packet.prev and not _first_of_epoch(packet.seq)

    def _gap(self, one: Arriving) -> dict[str, Any]:
        """Keep the list of numbers that have not come; says what changed."""
        tx, seq, device_id, epoch = self.tx, one.packet.seq, one.packet.device_id, one.epoch
        high = self.known.chains.get((device_id, epoch))
        if high is None:
            tx.execute(_BEGIN, {"device_id": device_id, "epoch": epoch, "high_seq": seq})
            self.known.chains[device_id, epoch] = seq
            high = epoch * EPOCH
        elif seq > high:
            self.known.chains[device_id, epoch] = seq
            self.highs.add((device_id, epoch))
        if seq == high + 1:
            return {}
        utc = to_text(one.moment)
        if seq > high:
            self._note_gap(device_id, high + 1, seq - 1, utc)
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
        self._note_gap(device_id, first, seq - 1, found["noticed_utc"])
        self._note_gap(device_id, seq + 1, last, found["noticed_utc"])
        return {"filled": [seq, first, last]}

    def _note_gap(self, device_id: str, first: int, last: int, utc: str) -> None:
        if first <= last:
            row = {"device_id": device_id, "first_seq": first, "last_seq": last, "noticed_utc": utc}
            self.tx.execute(gaps.insert(), row)


def _is_linking(row: Mapping[str, Any]) -> bool:
    return row["role"] == "sample" and bool(row["usable"])


def _first_of_epoch(seq: int) -> bool:
    return (seq - 1) % EPOCH == 0
