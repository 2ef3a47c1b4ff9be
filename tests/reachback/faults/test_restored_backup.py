"""Yesterday's backup of the server: tablets hand over again what it lost, once each, and nothing twice."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest

from spectralid.casework import inbox, outbox
from spectralid.casework.store import CaseStore
from spectralid.reachback.store import audit
from spectralid.reachback.store.database import FILE, open_database
from spectralid.reachback.tablets import answers, enrolled, ingest
from tests.casework.record import Clock, scan, with_item
from tests.reachback.conftest import fresh
from tests.reachback.desk import Desk
from tests.reachback.faults.direct import hand_over, look, rows


class Agency:
    """A server whose database can be put back to an earlier state."""

    def __init__(self, folder, request):
        self.folder = folder
        self.desk = Desk(fresh("sqlite", folder, request))

    def back_up(self):
        with (
            contextlib.closing(sqlite3.connect(self.folder / FILE)) as source,
            contextlib.closing(sqlite3.connect(self.folder / "backup")) as target,
        ):
            source.backup(target)

    def restore(self):
        time = self.desk.time
        self.desk.db.close()
        for path in self.folder.glob(f"{FILE}*"):
            path.unlink()
        shutil.copy(self.folder / "backup", self.folder / FILE)
        desk = object.__new__(Desk)
        desk.db, desk.time, desk.keys = open_database(None, self.folder), time, self.desk.keys
        desk.tablet, desk.other = self.desk.tablet, self.desk.other
        self.desk = desk


@pytest.fixture
def agency(tmp_path, request):
    made = Agency(tmp_path / "server", request)
    yield made
    made.desk.db.close()


@pytest.fixture
def store(agency, tmp_path):
    with CaseStore.open(tmp_path / "tablet", device_id="field-1", clock=Clock(), ballast_bytes=4096) as made:
        enrolled.add(
            agency.desk.db, "field-1", made.key.public, site_ref="north", by="admin", now=agency.desk.time
        )
        yield with_item(made)


def states(store):
    return {row.state for row in outbox.states(store)}


def once_each(desk, store):
    """Everything that the tablet made is here once, in one case, without a gap, on a log that holds."""
    packets = {row["seq"]: row["raw"] for row in rows(desk, "packets") if row["device_id"] == "field-1"}
    made = {row.seq: store.raw(row.packet_id) for row in outbox.states(store)}
    assert packets == made
    assert ingest.gaps_of(desk.db) == ()
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()


def test_what_the_backup_lacks_is_asked_for_and_comes_once(agency, store):
    store.capture(scan())
    hand_over(agency.desk, store)
    agency.back_up()
    for _ in range(4):
        store.capture(scan())
        agency.desk.passes(minutes=5)
    case_id = hand_over(agency.desk, store)[-1].case
    assert states(store) == {"received"}
    agency.desk.passes(hours=20)
    agency.restore()
    desk = agency.desk
    assert len(rows(desk, "packets")) == 3
    assert answers.announce_restore(desk.db, desk.keys, by="admin", now=desk.time) == 3
    (asked,) = look(desk, store)
    assert asked.offered == 4
    assert {done.case for done in hand_over(desk, store)} == {case_id}
    assert states(store) == {"received"}
    once_each(desk, store)
    (case,) = [row for row in rows(desk, "cases") if row["device_id"] == "field-1"]
    assert case["scans"] == 5
    # Asked again and again, the tablet has newer receipts by then, and offers nothing twice.
    desk.passes(minutes=30)
    assert sum(taken.offered for taken in look(desk, store)) == 0


def test_what_was_never_sent_comes_too_and_the_gap_is_told_until_then(agency, store):
    hand_over(agency.desk, store)
    agency.back_up()
    store.capture(scan())
    hand_over(agency.desk, store)
    store.capture(scan())
    agency.desk.passes(hours=20)
    agency.restore()
    desk = agency.desk
    # The unsent packet arrives first: the one before it is missing, and said to be.
    hand_over(desk, store)
    assert [(gap.device_id, gap.first_seq, gap.last_seq) for gap in ingest.gaps_of(desk.db)] == [
        ("field-1", 3, 3)
    ]
    desk.passes(minutes=1)
    answers.announce_restore(desk.db, desk.keys, by="admin", now=desk.time)
    look(desk, store)
    hand_over(desk, store)
    once_each(desk, store)


def test_answers_given_since_the_backup_keep_their_numbers(agency, store):
    store.capture(scan())
    case_id = hand_over(agency.desk, store)[-1].case
    agency.back_up()
    agency.desk.decide(agency.desk.lease(case_id))
    look(agency.desk, store)
    (held,) = inbox.all(store)
    agency.desk.passes(hours=20)
    agency.restore()
    desk = agency.desk
    # The case waits again; a chemist decides once more, and the tablet gets that as a second answer.
    assert desk.case(case_id)["state"] == "QUEUED"
    desk.decide(desk.lease(case_id))
    look(desk, store)
    assert [answer.n for answer in inbox.all(store)] == [1, 2]
    assert inbox.all(store)[0].answer_id == held.answer_id
    actions = [row["action"] for row in rows(desk, "audit")]
    assert "answers-lost" in actions
