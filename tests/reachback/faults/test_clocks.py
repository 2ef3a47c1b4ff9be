"""Tablets with wrong clocks: the hour runs by the server, the record says what the clock was worth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectralid.casework import inbox
from spectralid.casework.clock import from_text, to_text
from spectralid.casework.store import CaseStore
from spectralid.reachback.caseload import cases, queue
from spectralid.reachback.store import audit
from spectralid.reachback.tablets import answers, enrolled
from tests.casework.record import Clock, scan, with_item
from tests.reachback.desk import START
from tests.reachback.faults.direct import hand_over, look, rows

YEAR = timedelta(days=365)
WRONG = {
    "a year ahead": START + YEAR,
    "a year behind": START - YEAR,
    "no clock of its own": datetime(1970, 1, 1, tzinfo=UTC),
}


@pytest.fixture
def tablet_at(desk, tmp_path):
    stores = []

    def make(wall):
        clock = Clock(wall)
        store = CaseStore.open(tmp_path / "tablet", device_id="field-1", clock=clock, ballast_bytes=4096)
        enrolled.add(desk.db, "field-1", store.key.public, site_ref="north", by="admin", now=desk.time)
        stores.append(store)
        return store, clock

    yield make
    for store in stores:
        store.close()


@pytest.mark.parametrize("name", WRONG)
def test_the_hour_is_the_servers_and_the_record_is_flagged(desk, tablet_at, name):
    store, _ = tablet_at(WRONG[name])
    with_item(store).capture(scan())
    case_id = hand_over(desk, store)[-1].case
    case = desk.case(case_id)
    assert cases.due(case) == desk.time + cases.HOUR
    assert {row["clock_state"] for row in rows(desk, "packets")} == {"unsynced"}
    assert {from_text(row["captured_utc"]).year for row in rows(desk, "packets")} == {WRONG[name].year}
    assert {row["received_utc"] for row in rows(desk, "packets")} == {to_text(desk.time)}
    (entry,) = queue.listed(desk.db, now=desk.time)
    assert entry.case_id == case_id


@pytest.mark.parametrize("name", WRONG)
def test_a_tablet_with_a_wrong_clock_gets_its_answer_and_learns_the_time(desk, tablet_at, name):
    store, _ = tablet_at(WRONG[name])
    with_item(store).capture(scan())
    case_id = hand_over(desk, store)[-1].case
    desk.passes(minutes=20)
    desk.decide(desk.lease(case_id))
    look(desk, store)
    (answer,) = inbox.unread(store)
    # Compared with the server's time it came at once, whatever the tablet's own clock says.
    assert not answer.late
    inbox.shown(store, answer.answer_id)
    ((_, answer_id, envelope),) = inbox.to_acknowledge(store)
    answers.take_shown(desk.db, "field-1", answer_id, envelope, now=desk.time)
    assert desk.case(case_id)["state"] == "DELIVERED"
    # The next packet states what is known by now.
    later = store.packet(store.capture(scan()).packet_id).manifest["captured"]
    assert from_text(later["last_trusted_utc"]) >= desk.time - timedelta(minutes=1)


def test_a_clock_that_jumps_in_the_middle_changes_no_order(desk, tablet_at):
    store, clock = tablet_at(START)
    with_item(store)
    for wall in (START + YEAR, START - YEAR, datetime(1970, 1, 1, tzinfo=UTC), START):
        clock.restarts(wall)
        store.capture(scan())
    hand_over(desk, store)
    packets = sorted(rows(desk, "packets"), key=lambda row: row["seq"])
    names = [row["packet_id"] for row in packets]
    assert names == sorted(names), "the order of the names is that of the chain"
    assert not any(row["chain_broken"] for row in packets)
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()
    assert len(rows(desk, "cases")) == 1
