"""The server's disk is full: 507 and no receipt, nothing half-written, and on it goes when there is room."""

from __future__ import annotations

import contextlib
import random

import pytest
import sqlalchemy as sa

from spectralid.casework.packet import Blob
from spectralid.reachback.caseload import leases
from spectralid.reachback.errors import StorageFullError
from spectralid.reachback.store import audit, migrate, tables
from spectralid.reachback.store.database import open_database
from spectralid.reachback.tablets import answers
from tests.reachback import postgres
from tests.reachback.conftest import fresh
from tests.reachback.desk import Desk, says

_LARGE = 200_000


class SmallDisk:
    """SQLite that may grow by so many pages, as a disk of that size would let it."""

    def __init__(self, db):
        self.db = db
        sa.event.listen(db.engine, "begin", self.limit)
        self.spare = None

    def limit(self, connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count = {self.most or 1_073_741_823}")

    most = None

    def leaves(self, pages):
        with self.db.read() as tx:
            self.most = tx.exec_driver_sql("PRAGMA page_count").scalar() + pages

    def has_room(self):
        self.most = None


class SmallFiles:
    """PostgreSQL whose files may not grow beyond so many bytes: what it asks of the disk is refused."""

    def __init__(self, db, running):
        self.db = db
        self.running = running

    def _again(self, files_kb):
        self.db.close()
        self.running.stop("fast")
        self.running.start(files_kb=files_kb)

    def leaves(self, _pages):
        # WAL files of 1 MiB are within it; the table with the packets soon is not.
        self._again(1200)

    def has_room(self):
        self._again(None)


@pytest.fixture
def small(kind, tmp_path, request):
    """A desk, and its disk."""
    with contextlib.ExitStack() as stack:
        if kind == "sqlite":
            db = fresh(kind, tmp_path / "server", request)
            disk = SmallDisk(db)
        else:
            if reason := postgres.why_not():
                pytest.skip(reason)
            running = stack.enter_context(postgres.cluster(wal_segment_mb=1))
            db = open_database(running.url(), tmp_path / "server")
            migrate.upgrade(db)
            disk = SmallFiles(db, running)
        stack.callback(db.close)
        yield Desk(db), disk


def everything(desk):
    """All rows of all tables."""
    with desk.db.read() as tx:
        return {
            name: sorted(map(repr, tx.execute(sa.select(table)).all()))
            for name, table in tables.metadata.tables.items()
            if sa.inspect(desk.db.engine).has_table(name)
        }


def large(tablet):
    # Nothing that a database could make smaller.
    blob = Blob(random.Random(tablet.seq).randbytes(_LARGE), "application/octet-stream")
    original = {"blob": blob.sha256, "media_type": blob.media_type, "name_sanitised": "a.bin"}
    return tablet.make("custody", action="copied", blobs=(blob,), original=original)


def test_full_in_the_midst_of_packets(small):
    desk, disk = small
    receipts = {}
    first = large(desk.tablet)
    receipts[first] = desk.ingest(first).receipt
    disk.leaves(150)
    refused = None
    for _ in range(40):
        raw = large(desk.tablet)
        before = everything(desk)
        try:
            receipts[raw] = desk.ingest(raw).receipt
        except StorageFullError:
            refused = raw
            break
    assert refused is not None, "it never was full"
    assert everything(desk) == before
    # What is here can still be read and is given out; what is not gets no receipt however often it comes.
    with pytest.raises(StorageFullError) as again:
        desk.ingest(refused)
    assert again.value.status == 507
    assert desk.ingest(first).receipt == receipts[first]
    disk.has_room()
    assert desk.ingest(refused).status == 201
    assert desk.tablet.seq == len(everything(desk)["packets"])
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()


def test_full_at_each_page_of_a_packet_of_a_decision_and_of_an_answer(tmp_path, request):
    """Whatever the transaction wants when there is no room: all of it is undone."""
    desk = Desk(fresh("sqlite", tmp_path / "server", request))
    disk = SmallDisk(desk.db)
    # Pages that earlier work left free would be room.
    case_id = desk.scan()
    lease = desk.lease(case_id)
    works = (
        lambda: desk.ingest(raw),
        lambda: desk.decide(lease, says(words="x" * 3900)),
        lambda: leases.save_draft(desk.db, case_id, 1, "ada", {"words": "y" * 5000}, now=desk.time),
        lambda: answers.announce_restore(desk.db, desk.keys, by="admin", now=desk.time),
    )
    raw = large(desk.tablet)
    full = 0
    for work in works:
        for pages in (*range(12), 10_000):
            disk.leaves(pages)
            before = everything(desk)
            try:
                work()
            except StorageFullError:
                full += 1
                if work is not works[-1]:
                    assert everything(desk) == before
            else:
                break
        disk.has_room()
    assert full >= 12
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()
    desk.db.close()
