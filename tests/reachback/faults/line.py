"""A real tablet, a line that fails, and the real server with TLS both ways."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from spectralid.casework import enrolment as tablet_enrolment
from spectralid.casework import outbox
from spectralid.casework.endpoint import Endpoint
from spectralid.casework.packet import Blob
from spectralid.casework.store import CaseStore, Draft
from spectralid.casework.sync import Sync
from spectralid.reachback.store import audit, tables
from spectralid.reachback.store.database import Database
from spectralid.reachback.store.serverkeys import ServerKeys
from spectralid.reachback.tablets import enrolment, ingest
from spectralid.reachback.tablets.tls import Authority
from tests.casework.field import QUICK, FakeClock
from tests.reachback.faults.proxy import Proxy
from tests.reachback.running import running

DEADLINE_S = 20.0


def now() -> datetime:
    """Certificates are compared with the clock of the machine; so everything here is."""
    return datetime.now(UTC)


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Until something is so; it is looked at often, and not for ever."""
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.005)


@dataclass(frozen=True)
class Served:
    """What a tablet and its judge know of a server: where it listens, and what it has on record."""

    db: Database
    keys: ServerKeys
    port: int

    def authority(self) -> Authority:
        return Authority.open(self.db.folder, now=now())


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Served]:
    """The server, as it runs for an agency, with a database in a folder."""
    with running(folder) as (desk, addresses):
        yield Served(desk.db, desk.keys, int(addresses.devices.rpartition(":")[2]))


class Tablet:
    """A tablet's own store, enrolled with a server that it reaches by a proxy."""

    def __init__(self, folder: Path, served: Served, device_id: str = "field-1") -> None:
        self.clock = FakeClock(now())
        self.served = served
        self.proxy = Proxy(served.port)
        self.store = CaseStore.open(folder, device_id=device_id, clock=self.clock, ballast_bytes=4096)
        self.enrol()
        self.store.capture(Draft("seizure", "S-1", None, {"officer_ref": "K-17"}))

    def enrol(self) -> None:
        request = tablet_enrolment.request(self.store)
        issued = enrolment.issue(
            self.served.db,
            self.served.keys,
            self.served.authority(),
            request,
            confirmed=tablet_enrolment.fingerprint(request),
            site_ref="north",
            url=f"https://localhost:{self.proxy.port}",
            by="admin",
            now=now(),
            days=365,
        )
        tablet_enrolment.enrol(self.store, issued.envelope, confirmed=issued.fingerprint)

    def capture(self, size: int = 0) -> bytes:
        """One more packet, of at least so many bytes."""
        blob = Blob(random.Random(size).randbytes(size + 16), "application/octet-stream")
        original = {"blob": blob.sha256, "media_type": blob.media_type, "name_sanitised": "a.bin"}
        body = {"action": "sealed", "note": "bag", "original": original}
        return self.store.raw(self.store.capture(Draft("custody", "S-1", None, body, (blob,))).packet_id)

    @contextlib.contextmanager
    def sync(self, deadlines=QUICK) -> Iterator[Sync]:
        """An exchange on a line of its own, whose pauses have no random part."""
        enrolled = tablet_enrolment.enrolled(self.store)
        assert enrolled is not None
        endpoint = Endpoint(enrolled, enrolled.trust(), deadlines=deadlines)
        try:
            yield Sync(self.store, endpoint, jitter=lambda: 1.0)
        finally:
            endpoint.close()

    def states(self) -> list[str]:
        return [row.state for row in outbox.states(self.store)]

    def exchange(self, deadlines=QUICK):
        """One round, after whatever pause there is."""
        self.clock.advance(600)
        with self.sync(deadlines) as sync:
            return sync.once()

    def receipts(self) -> dict[int, bytes]:
        rows = self.store.read(
            "SELECT p.seq, o.receipt FROM packets p JOIN outbox o ON o.packet_id = p.packet_id "
            "WHERE o.receipt IS NOT NULL"
        )
        return {seq: bytes(raw) for seq, raw in rows}

    def close(self) -> None:
        self.proxy.close()
        self.store.close()

    def arrived(self, seq: int) -> bool:
        with self.served.db.read() as tx:
            columns = tables.packets.c
            chosen = sa.select(columns.seq).where(
                columns.device_id == self.store.device_id, columns.seq == seq
            )
            return tx.execute(chosen).first() is not None

    def once_each(self) -> None:
        """Every packet is on the server once, byte for byte, under the receipt that the tablet holds."""
        mine = {
            row.seq: self.store.raw(row.packet_id)
            for row in outbox.states(self.store)
            if self.arrived(row.seq)
        }
        with self.served.db.read() as tx:
            columns = tables.packets.c
            of_device = columns.device_id == self.store.device_id
            rows = tx.execute(sa.select(columns.seq, columns.raw, columns.receipt).where(of_device)).all()
            cases = tx.execute(sa.select(sa.func.count()).select_from(tables.cases)).scalar_one()
            entries = tx.execute(
                sa.select(sa.func.count()).where(tables.audit.c.action == "packet")
            ).scalar_one()
        assert {row.seq: row.raw for row in rows} == mine
        assert cases == bool(rows)
        assert entries == len(rows)
        on_record = {row.seq: row.receipt for row in rows}
        for seq, receipt in self.receipts().items():
            assert on_record[seq] == receipt, seq
        assert ingest.gaps_of(self.served.db) == ()
        assert audit.verify(self.served.db, trusted=self.served.keys.trusted) == ()
        assert self.store.verify() == ()
        assert self.store.custody.verify() == ()
