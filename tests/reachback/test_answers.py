import json

import pytest
import sqlalchemy as sa

from spectralid.casework import messages
from spectralid.reachback.errors import BadPacketError, NotFoundError
from spectralid.reachback.store import tables
from spectralid.reachback.tablets import answers
from tests.reachback.desk import Tablet


def inbox(desk, n=0, tablet=None):
    """As the tablet takes it from the line: read as JSON and written again."""
    tablet = tablet or desk.tablet
    found = answers.after(desk.db, desk.keys, tablet.device_id, n, now=desk.time)
    return [json.dumps(json.loads(raw)).encode() for raw in found]


def read(desk, raw, tablet=None):
    return messages.parse(raw, desk.trust(tablet or desk.tablet))


def publish(desk, case_id, kind="notice", **more):
    said = {"headline": "News", "words": "w", "by": "ada", "now": desk.time, **more}
    with desk.db.begin() as tx:
        return answers.publish(tx, desk.keys, case_id, kind, **said)


def publish_and_fail(desk, case_id):
    with desk.db.begin() as tx:
        answers.publish(tx, desk.keys, case_id, "notice", headline="h", words="w", by="ada", now=desk.time)
        raise RuntimeError


def acknowledge(desk, raw, tablet=None):
    tablet = tablet or desk.tablet
    answer = messages.kept(raw, messages.Answer)
    answers.take_shown(desk.db, tablet.device_id, answer.answer_id, tablet.shown(raw), now=desk.time)


def test_the_tablet_reads_what_the_chemist_wrote(desk):
    case_id = desk.scan()
    desk.scan()
    lease = desk.lease(case_id)
    desk.interim(lease, precautions=("Gloves.",))
    desk.decide(lease)
    first, second = (read(desk, raw) for raw in inbox(desk))
    assert (first.n, first.kind, first.precautions) == (1, "interim", ("Gloves.",))
    assert (second.n, second.kind, second.supersedes) == (2, "final", first.answer_id)
    assert (second.case, second.seizure_ref, len(second.packet_ids)) == (case_id, "S-1", 2)
    assert inbox(desk, 2) == []
    assert [read(desk, raw).n for raw in inbox(desk, 1)] == [2]


def test_answers_are_numbered_for_each_device_without_gaps(desk):
    one, two = desk.scan("S-1"), desk.scan("S-1", desk.other)
    for case_id in (one, two, one, two, one):
        publish(desk, case_id)
    assert [read(desk, raw).n for raw in inbox(desk)] == [1, 2, 3]
    assert [read(desk, raw, desk.other).n for raw in inbox(desk, tablet=desk.other)] == [1, 2]


def test_an_answer_that_is_undone_leaves_no_gap(desk):
    case_id = desk.scan()
    publish(desk, case_id)
    with pytest.raises(RuntimeError):
        publish_and_fail(desk, case_id)
    publish(desk, case_id)
    assert [read(desk, raw).n for raw in inbox(desk)] == [1, 2]


def test_a_correction_supersedes_and_changes_nothing(desk):
    case_id = desk.answered()
    (before,) = answers.of_case(desk.db, case_id)
    publish(desk, case_id, "lab_result", lab="refuted", headline="Refuted")
    first, second = answers.of_case(desk.db, case_id)
    assert first.raw == before.raw
    assert (first.superseded_by, second.supersedes) == (second.answer_id, first.answer_id)
    publish(desk, case_id)
    assert answers.of_case(desk.db, case_id)[1].superseded_by is None


def test_an_answer_about_one_item_names_its_packets_only(desk):
    desk.ingest(desk.tablet.scan(item="bag 1"))
    case_id = desk.ingest(desk.tablet.scan(item="bag 2")).case
    said = publish(desk, case_id, item_ref="bag 2").content()
    assert (said["item_ref"], said["packet_ids"]) == ("bag 2", [desk.tablet.last_id])


def test_linked_seizures_are_told(desk):
    one = desk.scan("S-1", values=(1.0, 9.5, 2.0))
    desk.scan("S-2", desk.other, values=(1.0, 9.5, 2.0))
    desk.scan("S-3", desk.other)
    with desk.db.begin() as tx:
        told = answers.notify_linked(
            tx, desk.keys, one, headline="Refuted", words="See again.", by="lab", now=desk.time
        )
    assert [(one.device_id, one.kind) for one in told] == [("tablet-2", "notice")]
    (raw,) = inbox(desk, tablet=desk.other)
    assert read(desk, raw, desk.other).seizure_ref == "S-2"


def test_a_case_is_delivered_when_its_answer_was_shown(desk):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    desk.interim(lease)
    desk.decide(lease)
    interim, final = inbox(desk)
    acknowledge(desk, interim)
    assert desk.case(case_id)["state"] == "ANSWERED"
    acknowledge(desk, final)
    acknowledge(desk, final)
    assert desk.case(case_id)["state"] == "DELIVERED"
    with desk.db.read() as tx:
        shown = tx.execute(
            sa.select(sa.func.count()).select_from(tables.audit).where(tables.audit.c.action == "shown")
        ).scalar_one()
    assert shown == 2
    assert all(one.acknowledged_utc for one in answers.of_case(desk.db, case_id))


def test_an_answer_from_a_stick_is_acknowledged_by_the_bytes_that_were_signed(desk):
    case_id = desk.answered()
    acknowledge(desk, answers.after(desk.db, desk.keys, "tablet-1", 0, now=desk.time)[0])
    assert desk.case(case_id)["state"] == "DELIVERED"


def test_what_was_superseded_delivers_nothing(desk):
    case_id = desk.answered()
    (raw,) = inbox(desk)
    desk.scan()
    desk.decide(desk.lease(case_id))
    acknowledge(desk, raw)
    assert desk.case(case_id)["state"] == "ANSWERED"


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": Tablet("x").key}, {"device_id": "tablet-2"}, {"sha256": "0" * 64}, {"shown_utc": "yesterday"},
    ],
)  # fmt: skip
def test_an_acknowledgement_that_is_none(desk, wrong):
    case_id = desk.answered()
    (raw,) = inbox(desk)
    answer = messages.kept(raw, messages.Answer)
    with pytest.raises(BadPacketError):
        answers.take_shown(
            desk.db, "tablet-1", answer.answer_id, desk.tablet.shown(raw, **wrong), now=desk.time
        )
    assert desk.case(case_id)["state"] == "ANSWERED"
    for name, envelope in (("A-other", desk.tablet.shown(raw)), (answer.answer_id, b"{}"), ("", b"\xff")):
        with pytest.raises(BadPacketError):
            answers.take_shown(desk.db, "tablet-1", name, envelope, now=desk.time)


def test_the_inbox_of_nobody(desk):
    with pytest.raises(NotFoundError):
        answers.after(desk.db, desk.keys, "nobody", 0, now=desk.time)


def test_a_long_inbox_comes_in_pieces_that_fit(desk, monkeypatch):
    case_id = desk.scan()
    for _ in range(4):
        publish(desk, case_id, words="x" * 3000)
    monkeypatch.setattr(answers, "_INBOX_BYTES", 10_000)
    seen, n = [], 0
    while found := [read(desk, raw).n for raw in inbox(desk, n)]:
        assert len(found) < 4
        seen += found
        n = found[-1]
    assert seen == [1, 2, 3, 4]


# A server that was restored from a backup.


def forget(desk, case_id, count):
    """What a backup from before the newest `count` answers would hold."""
    with desk.db.begin() as tx:
        n = tx.execute(sa.select(tables.devices.c.answer_n).where(tables.devices.c.device_id == "tablet-1"))
        left = n.scalar_one() - count
        tx.execute(sa.delete(tables.answers).where(tables.answers.c.n > left))
        tx.execute(
            sa.update(tables.devices).where(tables.devices.c.device_id == "tablet-1").values(answer_n=left)
        )


def test_answers_the_server_forgot_keep_their_numbers_and_new_ones_get_others(desk):
    case_id = desk.scan()
    for number in range(3):
        publish(desk, case_id, headline=f"old {number}")
    held = [read(desk, raw) for raw in inbox(desk)]
    forget(desk, case_id, 2)
    lease = desk.lease(case_id)
    desk.interim(lease)
    desk.decide(lease)
    new = [read(desk, raw) for raw in inbox(desk, 3)]
    assert [one.n for one in new] == [4, 5]
    assert [one.kind for one in new] == ["interim", "final"]
    assert new[1].supersedes == new[0].answer_id
    assert not {one.answer_id for one in new} & {one.answer_id for one in held}
    assert inbox(desk, 5) == []
    publish(desk, case_id)
    assert [read(desk, raw).n for raw in inbox(desk, 5)] == [6]


def test_a_number_beyond_belief_is_not_believed(desk):
    case_id = desk.scan()
    assert inbox(desk, 2**62) == []
    publish(desk, case_id)
    assert [read(desk, raw).n for raw in inbox(desk)] == [1]


def test_shown_of_an_answer_the_server_forgot_is_on_record(desk):
    case_id = desk.scan()
    publish(desk, case_id)
    (raw,) = inbox(desk)
    forget(desk, case_id, 1)
    acknowledge(desk, raw)
    with desk.db.read() as tx:
        actions = tx.execute(sa.select(tables.audit.c.action)).scalars().all()
    assert "shown-unknown" in actions


def test_after_a_restore_every_device_is_asked_and_not_without_end(desk):
    made = [desk.tablet.scan() for _ in range(5)]
    desk.ingest(made[0])
    desk.ingest(made[3])
    assert answers.announce_restore(desk.db, desk.keys, by="admin", now=desk.time) == 2
    (raw,) = inbox(desk)
    notice = read(desk, raw)
    assert [one.seq for one in notice.packets[:4]] == [2, 3, 5, 6]
    assert read(desk, inbox(desk, tablet=desk.other)[0], desk.other).packets[0].seq == 1
    assert inbox(desk) == []
    offered = 1
    for _ in range(30):
        desk.passes(minutes=11)
        offered += len(inbox(desk))
    assert offered == 6
