"""Where a packet stands on its way to reachback: every step, by itself, without a line."""

from __future__ import annotations

import datetime as dt
import hashlib
import json

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("msgspec")

from spectralid.casework import messages, outbox
from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError, UnknownReferenceError
from spectralid.casework.facts import Draft
from spectralid.casework.messages import Missing, MissingPacket, Receipt
from spectralid.casework.outbox import LONGEST_PAUSE, Backoff, OutboxRow
from tests.casework.record import START, opened, seizure
from tests.casework.server_double import RECEIPT, ServerKey

SERVER = ServerKey()
NOW = START
SECOND = dt.timedelta(seconds=1)
MICROSECOND = dt.timedelta(microseconds=1)


@pytest.fixture
def store(tmp_path):
    """Four packets; the third is urgent."""
    with opened(tmp_path / "record") as store:
        store.capture(seizure())
        store.capture(Draft("custody", "S-1", None, {"action": "sealed"}))
        store.capture(Draft("send", "S-1", None, {"escalation": {"why": ["forced"], "urgency": "now"}}))
        store.capture(Draft("custody", "S-1", None, {"action": "handed over"}))
        yield store


def ids(store):
    return [row.packet_id for row in outbox.states(store)]


def set_row(store, seq, **values):
    words = ", ".join(f"{name} = ?" for name in values)
    with store.transaction() as tx:
        tx.execute(f"UPDATE outbox SET {words} WHERE seq = ?", (*values.values(), seq))


def receipt_of(store, of, *, server_utc="2026-11-22T12:00:05.000000Z", **changes):
    (row,) = [row for row in outbox.states(store) if row.seq == of]
    body = {
        "schema": "spectralid.receipt/1",
        "packet_sha256": row.sha256,
        "device_id": store.device_id,
        "seq": of,
        "case": "C-1",
        "server_utc": server_utc,
        "audit_n": 10 + of,
        "checkpoint": "head",
    }
    return messages.kept(SERVER.envelope(RECEIPT, body | changes), Receipt)


def notice(store, *packets, server_utc="2026-11-22T13:00:00.000000Z"):
    return Missing(
        raw=b"",
        schema="spectralid.missing/1",
        device_id=store.device_id,
        server_utc=server_utc,
        packets=tuple(MissingPacket(seq=seq, sha256=sha256) for seq, sha256 in packets),
    )


def log(store, kind):
    return [entry.facts for entry in store.custody.entries() if entry.kind == kind]


# --- what one sees ---------------------------------------------------------------------------------------


def test_a_row_says_everything_of_its_packet(store):
    first, _, third, _ = outbox.states(store)
    ((packet_id, kind, sha256),) = store.read("SELECT packet_id, kind, sha256 FROM packets WHERE seq = 1")
    assert first == OutboxRow(packet_id, 1, kind, sha256, "queued", 0, "", "", None, False)
    assert (third.seq, third.kind, third.urgent) == (3, "send", True)
    set_row(store, 2, tries=4, code="busy", reason="Words.", next_try_utc="2026-11-22T12:00:09.000000Z")
    second = outbox.state(store, ids(store)[1])
    assert (second.tries, second.code, second.reason) == (4, "busy", "Words.")
    assert second.next_try_utc == "2026-11-22T12:00:09.000000Z"
    with pytest.raises(AttributeError):
        second.state = "received"


def test_a_packet_that_is_not_here_has_no_state(store):
    with pytest.raises(UnknownReferenceError, match=r"no packet 'P-none'"):
        outbox.state(store, "P-none")


def test_the_summary_counts_every_state_and_names_the_empty_ones(store):
    set_row(store, 1, state="received")
    set_row(store, 2, state="received")
    set_row(store, 3, state="attention")
    assert outbox.summary(store) == {
        "queued": 1,
        "sending": 0,
        "received": 2,
        "answered": 0,
        "attention": 1,
    }
    with store.transaction() as tx:
        tx.execute("INSERT INTO answer_packets VALUES ('A-1', ?)", (ids(store)[0],))
    assert outbox.summary(store)["answered"] == 1
    assert outbox.summary(store)["received"] == 1
    assert [row.state for row in outbox.states(store)] == ["answered", "received", "attention", "queued"]


# --- pauses ----------------------------------------------------------------------------------------------


def test_pauses_double_up_to_a_limit_and_are_spread_over_the_upper_half():
    backoff = Backoff()
    assert [backoff.pause_s(n, 1.0) for n in range(1, 9)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert [backoff.pause_s(n, 0.0) for n in range(1, 9)] == [2.5, 5, 10, 20, 40, 80, 150, 150]
    assert backoff.pause_s(3, 0.5) == 15
    assert backoff.pause_s(10**6, 1.0) == 300  # no number too large to compute
    # As many failures as doublings are counted: 30, so that a first pause may be a billionth of the longest.
    assert Backoff(1.0, 2.0**40).pause_s(31, 1.0) == 2.0**30
    assert Backoff(1.0, 2.0**40).pause_s(32, 1.0) == 2.0**30


@pytest.mark.parametrize(
    ("after", "pause_s"),
    [
        (None, 0.0),
        (-SECOND, 0.0),
        (dt.timedelta(), 0.0),
        (MICROSECOND, 1e-6),
        (90 * SECOND, 90.0),
        (LONGEST_PAUSE, LONGEST_PAUSE.total_seconds()),
        (LONGEST_PAUSE + MICROSECOND, 0.0),  # written by a clock that was wrong
        (dt.timedelta(days=400), 0.0),
    ],
)
def test_a_pause_ends_when_it_is_over_or_cannot_be_true(after, pause_s):
    text = None if after is None else to_text(NOW + after)
    assert outbox.pause_until(NOW, text) == pytest.approx(pause_s)


def test_the_longest_pause_is_that_of_the_agencys_limit_and_a_margin():
    assert dt.timedelta(minutes=65) == LONGEST_PAUSE


def test_the_urgent_goes_first_and_the_rest_in_order(store):
    sent = []
    while (row := outbox.next_due(store, NOW)) is not None:
        sent.append(row.seq)
        set_row(store, row.seq, state="received")
    assert sent == [3, 1, 2, 4]


def test_what_is_left_out_is_not_next_and_nobody_waits_for_it(store):
    first, second, third, fourth = ids(store)
    assert outbox.next_due(store, NOW, without=[third, first]).seq == 2
    assert outbox.next_due(store, NOW, without=[first, second, third, fourth]) is None
    assert outbox.wait_s(store, NOW, without=[first, second, third, fourth]) is None
    set_row(store, 4, next_try_utc=to_text(NOW + 7 * SECOND))
    assert outbox.wait_s(store, NOW, without=[first, second, third]) == 7.0


@pytest.mark.parametrize(
    ("after", "due"),
    [
        (-SECOND, True),
        (dt.timedelta(), True),
        (SECOND, False),
        (LONGEST_PAUSE, False),
        (LONGEST_PAUSE + SECOND, True),
    ],
)
def test_a_packet_is_due_when_its_pause_is_over(store, after, due):
    for seq in (1, 2, 3, 4):
        set_row(store, seq, next_try_utc=to_text(NOW + after))
    assert (outbox.next_due(store, NOW) is not None) is due
    assert (outbox.wait_s(store, NOW) == 0.0) is due


def test_one_waits_for_the_earliest(store):
    for seq, seconds in enumerate((50, 20, 30, 40), start=1):
        set_row(store, seq, next_try_utc=to_text(NOW + seconds * SECOND))
    assert outbox.wait_s(store, NOW) == 20.0
    set_row(store, 2, state="attention")
    assert outbox.wait_s(store, NOW) == 30.0
    set_row(store, 1, next_try_utc=None)
    assert outbox.wait_s(store, NOW) == 0.0


# --- what moves a packet ---------------------------------------------------------------------------------


def test_an_attempt_is_counted_and_a_failed_one_says_why(store):
    first = ids(store)[0]
    outbox.mark_sending(store, first)
    outbox.mark_sending(store, first)
    row = outbox.state(store, first)
    assert (row.state, row.tries) == ("sending", 2)
    assert [row.state for row in outbox.states(store)][1:] == ["queued"] * 3
    outbox.mark_queued(store, first, code="busy", reason="Later.", next_try_utc="2026-11-22T12:01:00.000000Z")
    row = outbox.state(store, first)
    assert (row.state, row.code, row.reason, row.tries) == ("queued", "busy", "Later.", 2)
    assert row.next_try_utc == "2026-11-22T12:01:00.000000Z"
    assert {row.code for row in outbox.states(store)[1:]} == {""}


def test_after_a_crash_what_was_being_sent_is_queued_and_nothing_else(store):
    set_row(store, 1, state="sending", tries=3, next_try_utc="2026-11-22T12:01:00.000000Z")
    set_row(store, 2, state="received")
    set_row(store, 3, state="attention")
    outbox.recover(store)
    assert [row.state for row in outbox.states(store)] == ["queued", "received", "attention", "queued"]
    assert outbox.states(store)[0].tries == 3
    changes = store.read("SELECT total_changes()")
    outbox.recover(store)  # nothing to do: nothing is written
    assert store.read("SELECT total_changes()") == changes


def test_a_refusal_for_good_asks_for_a_person_and_is_on_record(store):
    first, second, *_ = ids(store)
    outbox.mark_sending(store, first)
    outbox.mark_attention(store, first, code="too-large", reason="A person has to look.")
    row = outbox.state(store, first)
    assert (row.state, row.code, row.reason) == ("attention", "too-large", "A person has to look.")
    assert row.next_try_utc is None
    assert log(store, "refused") == [{"packet_id": first, "code": "too-large"}]
    assert outbox.state(store, second).state == "queued"


@pytest.mark.parametrize("state", ["received", "attention"])
def test_what_is_settled_is_not_moved_by_a_late_failure(store, state):
    first = ids(store)[0]
    set_row(store, 1, state=state)
    outbox.mark_queued(store, first, code="busy", reason="Later.", next_try_utc=None)
    assert (outbox.state(store, first).state, outbox.state(store, first).code) == (state, "")
    outbox.mark_attention(store, first, code="x", reason="y")
    assert (outbox.state(store, first).state, outbox.state(store, first).code) == (state, "")


def test_a_person_may_have_everything_tried_at_once(store):
    for seq, state in enumerate(("queued", "attention", "sending", "received"), start=1):
        set_row(store, seq, state=state, next_try_utc="2026-11-22T12:30:00.000000Z")
    with store.transaction() as tx:
        tx.execute("INSERT INTO sync_state (key, value) VALUES ('link', '1'), ('other', '2')")
    outbox.retry_now(store)
    rows = outbox.states(store)
    assert [row.state for row in rows] == ["queued", "queued", "sending", "received"]
    assert [row.next_try_utc is None for row in rows] == [True, True, False, False]
    assert store.read("SELECT key FROM sync_state WHERE key IN ('link', 'other')") == [("other",)]


def test_a_person_may_have_one_packet_tried_and_the_checks_wait_on(store, monkeypatch):
    retried = []
    monkeypatch.setattr(outbox.instrument_checks, "retry_now", retried.append)
    for seq in (1, 2, 3, 4):
        set_row(store, seq, state="attention", next_try_utc="2026-11-22T12:30:00.000000Z")
    outbox.retry_now(store, ids(store)[1])
    assert [row.state for row in outbox.states(store)] == ["attention", "queued", "attention", "attention"]
    assert retried == []
    outbox.retry_now(store)
    assert len(retried) == 1


# --- receipts --------------------------------------------------------------------------------------------


def test_a_receipt_is_kept_with_its_proof_and_on_record(store):
    first = ids(store)[0]
    outbox.mark_sending(store, first)
    set_row(store, 1, code="busy", reason="Later.", next_try_utc="2026-11-22T12:30:00.000000Z")
    receipt = receipt_of(store, 1)
    assert outbox.take_receipt(store, receipt, round_trip_s=0.5) is True
    row = outbox.state(store, first)
    assert (row.state, row.code, row.reason, row.next_try_utc) == ("received", "", "", None)
    ((kept, received),) = store.read("SELECT receipt, received_utc FROM outbox WHERE seq = 1")
    assert (bytes(kept), received) == (receipt.raw, to_text(START))
    assert log(store, "received") == [
        {
            "packet_id": first,
            "receipt": hashlib.sha256(receipt.raw).hexdigest(),
            "case": "C-1",
            "server_utc": "2026-11-22T12:00:05.000000Z",
            "audit_n": 11,
        }
    ]
    assert [row.state for row in outbox.states(store)[1:]] == ["queued"] * 3


def test_the_first_receipt_stays(store):
    first = receipt_of(store, 1)
    again = receipt_of(store, 1, server_utc="2026-11-22T12:00:09.000000Z")
    assert outbox.take_receipt(store, first) is True
    assert outbox.take_receipt(store, again) is False
    ((kept,),) = store.read("SELECT receipt FROM outbox WHERE seq = 1")
    assert bytes(kept) == first.raw
    assert len(log(store, "received")) == 1


def test_a_receipt_moves_the_trusted_time(store):
    outbox.take_receipt(store, receipt_of(store, 1, server_utc="2026-11-22T15:00:00.000000Z"))
    assert store.time.latest >= dt.datetime(2026, 11, 22, 15, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize("changes", [{"seq": 99}, {"packet_sha256": "f" * 64}, {"packet_sha256": "0" * 64}])
def test_a_receipt_for_something_else_is_refused_and_changes_nothing(store, changes):
    with pytest.raises(PacketError, match="that this device does not hold"):
        outbox.take_receipt(store, receipt_of(store, 1, **changes))
    assert {row.state for row in outbox.states(store)} == {"queued"}
    assert log(store, "received") == []


def test_a_receipt_after_the_server_lost_the_packet_names_the_one_it_replaces(store):
    first = receipt_of(store, 1)
    outbox.take_receipt(store, first)
    sha256 = outbox.states(store)[0].sha256
    assert outbox.offer_again(store, notice(store, (1, sha256))) == (1, 0)
    again = receipt_of(store, 1, server_utc="2026-11-22T14:00:00.000000Z")
    assert outbox.take_receipt(store, again) is True
    assert log(store, "received")[1]["replaces"] == first.raw.decode()
    assert "replaces" not in log(store, "received")[0]


# --- what a server lost ----------------------------------------------------------------------------------


def test_what_the_server_asks_for_is_queued_once_and_said(store):
    for seq in (1, 2):
        outbox.take_receipt(store, receipt_of(store, seq))
    rows = outbox.states(store)
    set_row(store, 1, tries=5)
    asked = notice(store, (99, None), (1, rows[0].sha256), (4, None), (2, None))
    assert outbox.offer_again(store, asked) == (2, 0)
    rows = outbox.states(store)
    assert [row.state for row in rows] == ["queued"] * 4
    assert [row.code for row in rows] == ["lost", "lost", "", ""]
    assert rows[0].reason == "The server was restored from a backup and asks for this packet again."
    assert (rows[0].tries, rows[0].next_try_utc) == (0, None)
    assert log(store, "offered again") == [{"packets": ids(store)[:2], "removed_seq": []}]
    assert store.time.latest >= dt.datetime(2026, 11, 22, 13, 0, tzinfo=dt.UTC)
    assert outbox.offer_again(store, asked) == (0, 0)  # queued already
    assert len(log(store, "offered again")) == 1


def test_a_packet_with_other_bytes_is_not_what_the_server_lost(store):
    outbox.take_receipt(store, receipt_of(store, 1))
    assert outbox.offer_again(store, notice(store, (1, "f" * 64))) == (0, 0)
    assert outbox.states(store)[0].state == "received"
    assert log(store, "offered again") == []


@pytest.mark.parametrize(
    ("server_utc", "offered"),
    [
        ("2026-11-22T12:00:04.999999Z", 0),
        ("2026-11-22T12:00:05.000000Z", 0),  # an older notice was answered already
        ("2026-11-22T12:00:05.000001Z", 1),
    ],
)
def test_a_notice_counts_when_it_is_newer_than_the_receipt(store, server_utc, offered):
    outbox.take_receipt(store, receipt_of(store, 1, server_utc="2026-11-22T12:00:05.000000Z"))
    assert outbox.offer_again(store, notice(store, (1, None), server_utc=server_utc)) == (offered, 0)


def test_a_received_packet_without_a_receipt_is_offered(store):
    set_row(store, 1, state="received")
    assert outbox.offer_again(store, notice(store, (1, None))) == (1, 0)


def test_bytes_that_were_removed_are_said_to_be_gone_once(store):
    for seq in (1, 2):
        outbox.take_receipt(store, receipt_of(store, seq))
    with store.transaction() as tx:
        tx.execute("UPDATE packets SET raw = NULL WHERE seq = 1")
    asked = notice(store, (1, None), (2, None))
    assert outbox.offer_again(store, asked) == (1, 1)
    assert log(store, "offered again") == [{"packets": [ids(store)[1]], "removed_seq": [1]}]
    assert store.read("SELECT value FROM sync_state WHERE key = 'gone'") == [(json.dumps([1]),)]
    assert outbox.offer_again(store, asked) == (0, 1)  # no news: nothing more on record
    assert len(log(store, "offered again")) == 1
    with store.transaction() as tx:
        tx.execute("UPDATE packets SET raw = NULL WHERE seq = 2")
    set_row(store, 2, state="received")
    assert outbox.offer_again(store, asked) == (0, 2)
    assert log(store, "offered again")[1] == {"packets": [], "removed_seq": [1, 2]}


def test_the_checks_are_offered_with_the_packets(store, monkeypatch):
    told = []
    monkeypatch.setattr(
        outbox.instrument_checks, "offer_again", lambda tx, before_utc=None: told.append(before_utc)
    )
    outbox.offer_again(store, notice(store, (1, None)))
    outbox.offer_lost(store, why="its log went back", but=None)
    assert told == ["2026-11-22T13:00:00.000000Z", None]


def test_a_log_that_went_back_has_everything_held_offered_but_the_one_that_showed_it(store):
    for seq in (1, 2, 3):
        outbox.take_receipt(store, receipt_of(store, seq))
    with store.transaction() as tx:
        tx.execute("UPDATE packets SET raw = NULL WHERE seq = 1")
    assert outbox.offer_lost(store, why="its log went back", but=2) == 1
    assert [(row.state, row.code) for row in outbox.states(store)] == [
        ("received", ""),
        ("received", ""),
        ("queued", "lost"),
        ("queued", ""),
    ]
    assert log(store, "offered again") == [{"packets": 1, "why": "its log went back"}]
    assert outbox.offer_lost(store, why="once more", but=None) == 1
    assert outbox.states(store)[1].code == "lost"
