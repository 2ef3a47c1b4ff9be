"""The tablet's own code against the server's core: what one signs, the other believes."""

import pytest

from spectralid.casework import inbox
from spectralid.casework.store import CaseStore
from spectralid.reachback.tablets import answers, enrolled
from tests.casework.record import Clock, scan, with_item
from tests.reachback.desk import Desk


@pytest.fixture
def tablet(desk, tmp_path):
    with CaseStore.open(tmp_path / "tablet", device_id="field-1", clock=Clock(), ballast_bytes=4096) as store:
        enrolled.add(desk.db, store.device_id, store.key.public, site_ref="north", by="admin", now=desk.time)
        yield with_item(store)


def hand_over(desk, store):
    """What is queued, each packet with its receipt, as the tablet takes it."""
    for (packet_id,) in store.read("SELECT packet_id FROM outbox WHERE state = 'queued' ORDER BY seq"):
        done = desk.ingest(store.packet(packet_id).raw)
        assert inbox.take_message(store, done.receipt, desk.trust(store)).new
    return done.case


def states(store):
    return [state for (state,) in store.read("SELECT state FROM outbox ORDER BY seq")]


def test_from_a_scan_to_an_answer_that_was_seen(desk, tablet):
    tablet.capture(scan())
    case_id = hand_over(desk, tablet)
    assert states(tablet) == ["received"] * 3
    desk.decide(desk.lease(case_id), None)
    for raw in answers.after(
        desk.db, desk.keys, tablet.device_id, inbox.last_without_gap(tablet), now=desk.time
    ):
        assert inbox.take_message(tablet, raw, desk.trust(tablet)).new
    (answer,) = inbox.unread(tablet)
    assert answer.case == case_id
    assert not answer.gap_before
    inbox.shown(tablet, answer.answer_id)
    ((_, answer_id, envelope),) = inbox.to_acknowledge(tablet)
    answers.take_shown(desk.db, tablet.device_id, answer_id, envelope, now=desk.time)
    assert desk.case(case_id)["state"] == "DELIVERED"


def test_a_server_that_lost_everything_gets_it_back(desk, tablet, tmp_path, request, kind):
    from tests.reachback.conftest import fresh

    tablet.capture(scan())
    case_id = hand_over(desk, tablet)
    # A backup from before the first packet: of the server there are its keys, and the devices enrolled.
    desk.db.close()
    folder = desk.db.folder
    for path in folder.glob("reachback.db*"):
        path.unlink()
    again = Desk(fresh(kind, folder, request))
    again.passes(hours=1)
    enrolled.add(again.db, tablet.device_id, tablet.key.public, site_ref="north", by="admin", now=again.time)
    answers.announce_restore(again.db, again.keys, by="admin", now=again.time)
    (notice,) = answers.after(again.db, again.keys, tablet.device_id, 0, now=again.time)
    assert inbox.take_message(tablet, notice, again.trust(tablet)).offered == 3
    assert hand_over(again, tablet) == case_id
    assert states(tablet) == ["received"] * 3
    again.db.close()
