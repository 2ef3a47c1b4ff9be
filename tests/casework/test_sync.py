"""Whatever the line does: nothing is lost, nothing arrives twice, and every packet says where it stands."""

import datetime as dt
import json
import threading
from itertools import pairwise

import pytest

from spectralid.casework import inbox, outbox
from spectralid.casework.endpoint import Done, Inbox, Retry
from spectralid.casework.errors import StoreReadOnlyError
from spectralid.casework.outbox import Backoff
from spectralid.casework.sync import Sync, SyncReport
from tests.casework.field import START, enrolled_field
from tests.casework.server_double import (
    RECEIPT,
    Reply,
    ServerKey,
    answers_with,
    captive_portal,
    closes_after,
    cuts_reply_at,
    endless_reply,
    gives,
    loses_reply,
    open_envelope,
    problem,
    resets_mid_body,
    slices_reply,
)


@pytest.fixture
def field(tmp_path):
    with enrolled_field(tmp_path) as made:
        yield made


def test_everything_recorded_arrives_once_and_is_received(field):
    made = field.capture(5)
    with field.sync() as sync:
        report = sync.once()
        assert report.delivered == tuple(made)
        assert sync.online
        assert sync.once() == SyncReport(online=True)
    assert field.states() == ["received"] * 5
    assert field.server.deliveries == [("tablet-7", seq) for seq in range(1, 6)]
    assert field.kinds() == ["received"] * 5
    field.nothing_lost_nothing_twice()


def foreign(reply: Reply) -> bytes:
    import base64

    return ServerKey().envelope(RECEIPT, base64.b64decode(json.loads(reply.body)["payload"]))


@pytest.mark.parametrize(
    "fault",
    [
        closes_after(0),
        closes_after(300),
        resets_mid_body,
        loses_reply,
        slices_reply,
        cuts_reply_at(64 * 1024, 1 << 20),
        endless_reply,
        captive_portal,
        gives(lambda r: b'{"status": "received"}'),
        gives(lambda r: b"<html>ok</html>"),
        gives(foreign),
        answers_with(problem(409, "busy")),
        answers_with(problem(429, "slow", Retry_After="60")),
        answers_with(problem(500, "oops")),
        answers_with(problem(503, "down")),
        answers_with(problem(404, "proxy")),
    ],
)
@pytest.mark.parametrize("at", [0, 2])
def test_after_any_fault_everything_arrives_once(field, fault, at):
    made = field.capture(4)
    honest = [slices_reply] * at
    field.server.script("packets", *honest, fault, fault)
    with field.sync() as sync:
        for _ in range(6):
            sync.once()
            assert "attention" not in field.states()
            assert "sending" not in field.states()
            field.nothing_lost_nothing_twice()
            field.clock.advance(600)
    assert field.states() == ["received"] * 4
    assert set(field.server.packets) == {("tablet-7", seq) for seq in range(1, 5)}
    assert field.kinds().count("received") == len(made)


def test_a_reply_lost_after_the_commit_ends_with_the_same_receipt(field):
    (packet_id,) = field.capture()
    field.server.script("packets", loses_reply)
    with field.sync() as sync:
        sync.once()
        assert field.row(packet_id).code == "cut"
        field.clock.advance(600)
        sync.once()
    ((kept,),) = field.store.read("SELECT receipt FROM outbox")
    assert bytes(kept) == field.server.packets["tablet-7", 1][2]
    assert field.server.deliveries == [("tablet-7", 1)] * 2
    assert field.server.audit_n == 1


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (problem(413, "too big"), "too-large"),
        (problem(415, "packet/2"), "unknown-schema"),
        (problem(422, "number taken"), "refused"),
    ],
)
def test_a_refusal_for_good_asks_for_a_person_and_holds_up_nothing_else(field, reply, code):
    made = field.capture(3)
    field.server.script("packets", slices_reply, answers_with(reply))
    with field.sync() as sync:
        assert sync.once().attention == (made[1],)
        assert field.states() == ["received", "attention", "received"]
        row = field.row(made[1])
        assert row.code == code
        assert row.reason.endswith(json.loads(reply.body)["detail"])
        field.clock.advance(86_400)
        assert sync.once() == SyncReport(online=True), "it is not sent again by itself"
        outbox.retry_now(field.store)
        assert sync.once().delivered == (made[1],)
    assert field.states() == ["received"] * 3
    assert field.kinds().count("refused") == 1
    field.nothing_lost_nothing_twice()


def test_the_dangerous_goes_first_the_rest_in_order(field):
    field.capture(3)
    field.capture(1, urgent=True)
    field.capture(1)
    with field.sync() as sync:
        sync.once()
    assert [seq for _, seq in field.server.deliveries] == [4, 1, 2, 3, 5]


def test_what_becomes_urgent_meanwhile_overtakes_the_backlog(field):
    field.capture(3)

    def one_more(handler, commit) -> None:
        reply = commit()
        field.capture(1, urgent=True)
        handler.reply(reply)

    field.server.script("packets", one_more)
    with field.sync() as sync:
        sync.once()
    assert [seq for _, seq in field.server.deliveries] == [1, 4, 2, 3]


# Pauses


def test_pauses_double_up_to_a_limit_and_are_spread():
    backoff = Backoff(first_s=5, longest_s=300)
    assert [backoff.pause_s(n, 1.0) for n in (1, 2, 3, 6, 7, 8, 5000)] == [5, 10, 20, 160, 300, 300, 300]
    assert backoff.pause_s(3, 0.0) == 10
    assert backoff.pause_s(3, 0.5) == 15


def test_offline_is_tried_again_after_growing_pauses(field):
    field.capture()
    field.server.stop()
    tried = []
    with field.sync() as sync:
        for _ in range(720):
            if sync.once().code == "offline":
                tried.append((field.clock.now - START).total_seconds())
            field.clock.advance(5)
        assert not sync.online
        assert sync.failure == ("offline", "The server cannot be reached; the tablet may be offline.")
        field.server.start()
        field.clock.advance(300)
        assert len(sync.once().delivered) == 1
        assert (sync.online, sync.failure) == (True, None)
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert pauses[:7] == [5, 10, 20, 40, 80, 160, 300]
    assert set(pauses[7:]) == {300}


def test_a_server_that_only_answers_questions_is_not_hammered_with_packets(field):
    """Maintenance: time and inbox work, packets are refused."""
    field.capture(3)
    field.server.script("packets", *[answers_with(problem(503, "maintenance"))] * 99)
    tried = []
    with field.sync() as sync:
        for _ in range(360):
            if sync.once().code == "busy":
                tried.append((field.clock.now - START).total_seconds())
            field.clock.advance(5)
        pauses = [later - earlier for earlier, later in pairwise(tried)]
        assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]
        field.server.next_fault = lambda area: None
        field.clock.advance(300)
        sync.once()
        outbox.retry_now(field.store)
        sync.once()
    assert field.states() == ["received"] * 3


def test_a_restart_neither_hurries_nor_forgets_the_pause(field):
    field.capture()
    field.server.stop()
    with field.sync() as sync:
        for _ in range(5):
            sync.once()
            field.clock.advance(300)
        sync.once()
    field.reopen()
    field.server.start()
    with field.sync() as sync:
        field.clock.advance(159)
        assert sync.once() == SyncReport()
        field.clock.advance(2)
        assert len(sync.once().delivered) == 1


def test_the_server_may_ask_for_a_longer_pause(field):
    field.capture()
    field.server.script("packets", answers_with(problem(429, "slow", Retry_After="1800")))
    with field.sync() as sync:
        assert sync.once().code == "too-many"
        field.clock.advance(1799)
        sync.wake()
        assert sync.once().delivered == (), "not even for something new"
        field.clock.advance(300)
        assert len(sync.once().delivered) == 1


def test_something_new_shortens_a_pause_of_our_own(field):
    field.capture()
    field.server.stop()
    with field.sync() as sync:
        for _ in range(8):
            sync.once()
            field.clock.advance(300)
        sync.once()
        field.server.start()
        field.clock.advance(1)
        sync.wake()
        assert sync.once() == SyncReport(), "but not at once: a broken line must not be hammered"
        assert sync._link_pause_s() == 9
        field.clock.advance(10)
        sync.wake()
        assert len(sync.once().delivered) == 1


def test_a_person_ends_every_pause(field):
    (packet_id,) = field.capture()
    field.server.script("packets", answers_with(problem(503, "x", Retry_After="3600")))
    with field.sync() as sync:
        sync.once()
        outbox.retry_now(field.store)
        assert sync.once().delivered == (packet_id,)


@pytest.mark.parametrize("years", [-56, -1, 1])
def test_a_clock_that_jumps_does_not_stop_the_exchange(field, years):
    """Scheduled in 2027 by a wrong clock, or in 2026 before the battery died: tried now."""
    made = field.capture(2)
    field.server.script("packets", answers_with(problem(500, "x")))
    field.server.script("inbox", slices_reply, answers_with(problem(503, "x", Retry_After="3000")))
    with field.sync() as sync:
        assert sync.once().held == (made[0],)
        assert sync.once().code == "busy"
    field.clock.reboot(START.replace(year=START.year + years))
    field.reopen()
    with field.sync() as sync:
        for _ in range(2):
            sync.once()
            field.clock.advance(3900)
    assert set(field.states()) == {"received"}
    assert len(field.server.packets) == len(made)


def test_one_packet_that_breaks_the_line_does_not_keep_the_others_back(field):
    """Something on the way does not let one packet pass, and cuts the line each time."""
    bad, *others = field.capture(4)

    def hates_the_first(handler, commit) -> None:
        if handler.headers["Idempotency-Key"] == field.row(bad).sha256:
            handler.cut()
        else:
            handler.reply(commit())

    field.server.script("packets", *[hates_the_first] * 50)
    with field.sync() as sync:
        for _ in range(8):
            sync.once()
            field.clock.advance(300)
    assert [field.row(one).state for one in others] == ["received"] * 3
    assert (field.row(bad).state, field.row(bad).code) == ("queued", "cut")
    assert field.row(bad).tries >= 3


def test_a_server_error_over_one_packet_holds_up_that_one_only(field):
    made = field.capture(3)
    field.server.script("packets", answers_with(problem(500, "bug")))
    with field.sync() as sync:
        report = sync.once()
    assert (report.held, report.delivered) == ((made[0],), tuple(made[1:]))
    assert field.row(made[0]).next_try_utc == "2026-11-22T12:00:05.000000Z"


def test_what_was_being_sent_at_a_power_cut_is_sent_again(field):
    (packet_id,) = field.capture()
    field.server.accept(field.store.raw(packet_id))
    outbox.mark_sending(field.store, packet_id)
    field.reopen()
    with field.sync() as sync:
        assert sync.once().delivered == (packet_id,)
    assert len(field.server.packets) == 1
    field.nothing_lost_nothing_twice()


def test_a_damaged_packet_is_not_sent_and_holds_up_nothing(field):
    made = field.capture(3)
    raw = bytearray(field.store.raw(made[1]))
    raw[-3] ^= 1
    with field.store.transaction() as tx:
        tx.execute("UPDATE packets SET raw = ? WHERE packet_id = ?", (bytes(raw), made[1]))
    with field.sync() as sync:
        report = sync.once()
    assert report.attention == (made[1],)
    assert field.row(made[1]).code == "damaged"
    assert len(field.server.packets) == 2


def test_packets_leave_a_tablet_whose_disk_fails(field, monkeypatch):
    """Nothing can be recorded any more; the packets are brought to safety all the same, each once."""
    field.capture(3)

    def fails():
        raise StoreReadOnlyError("The disk failed.")

    with field.sync() as sync:
        monkeypatch.setattr(field.store, "transaction", fails)
        sync.once()
        sync.once()
        monkeypatch.undo()
    assert [seq for _, seq in field.server.deliveries] == [1, 2, 3]
    assert field.states() == ["queued"] * 3
    with field.sync() as sync:
        sync.once()
    assert field.states() == ["received"] * 3
    field.nothing_lost_nothing_twice()


@pytest.mark.parametrize(
    "fault", [slices_reply, answers_with(problem(500, "x")), answers_with(problem(503, "x")), closes_after(0)]
)
def test_a_failing_disk_does_not_make_the_exchange_run_hot(field, monkeypatch, fault):
    field.capture(3)
    stop = threading.Event()
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        field.clock.advance(seconds)
        if len(waited) == 4:
            stop.set()

    def fails():
        raise StoreReadOnlyError("The disk failed.")

    field.server.script("packets", *[fault] * 50)
    # A server that does not hold its polls, so that nothing but the pauses slows the exchange down.
    honest = field.server._inbox
    monkeypatch.setattr(field.server, "_inbox", lambda after, wait: honest(after, 0))
    monkeypatch.setattr(field.store, "transaction", fails)
    with field.sync(wait=wait) as sync:
        sync.run(stop)
    assert min(waited) >= 30
    assert len(field.server.deliveries) <= 3
    assert sum(path == "/v1/packets" for _, path, _ in field.server.log) <= 3 * 4


# Enrolment that has ended


def test_a_revoked_tablet_says_so_keeps_everything_and_goes_on_once_enrolled(field):
    made = field.capture(2)
    field.server.script("time", answers_with(problem(403, "revoked")))
    with field.sync() as sync:
        sync.once()
        assert sync.attention is not None
        assert sync.attention[0] == "re-enrol"
        assert "Enrol" in sync.attention[1]
        assert not sync.online
    assert field.states() == ["queued", "queued"]
    field.reopen()
    with field.sync() as sync:
        assert sync.attention is not None, "it is still true after a restart"
    field.enrol(issued_utc="2026-11-23T00:00:00Z")
    with field.sync() as sync:
        assert sync.attention is None
        assert sync.once().delivered == tuple(made)


def test_an_expired_certificate_asks_for_enrolment(field):
    field.capture()
    (field.store.folder / "tls.pem").write_bytes(field.certificate(expires_days=-1))
    with field.sync() as sync:
        assert sync.once().code == "re-enrol"
        assert sync.attention is not None
    field.nothing_lost_nothing_twice()


# A server that was restored from a backup (it forgot what it signed)


def lose(field, *seqs: int) -> None:
    for seq in seqs:
        del field.server.packets["tablet-7", seq]


def test_a_server_that_says_what_it_lost_gets_it_again(field):
    made = field.capture(4)
    with field.sync() as sync:
        sync.once()
        lose(field, 2, 3)
        field.server.utc = "2026-11-23T08:00:00Z"
        field.server.notices.append(
            field.server.notice_missing(
                "tablet-7", (2, field.row(made[1]).sha256), (3, field.row(made[2]).sha256)
            )
        )
        report = sync.once()
        assert (report.offered, report.delivered) == (2, tuple(made[1:3]))
        # The same notice again changes nothing: it is older than the receipts there are now.
        assert sync.once() == SyncReport(online=True)
    assert field.states() == ["received"] * 4
    assert len(field.server.packets) == 4
    assert field.kinds().count("offered again") == 1
    again = [e.facts for e in field.store.custody.entries() if e.kind == "received" and "replaces" in e.facts]
    assert len(again) == 2, "the receipt it forgot is kept as proof"
    field.nothing_lost_nothing_twice()


def test_a_notice_about_other_peoples_packets_changes_nothing(field):
    field.capture(2)
    with field.sync() as sync:
        sync.once()
        field.server.utc = "2026-11-23T08:00:00Z"
        field.server.notices.append(field.server.notice_missing("tablet-7", (1, "ab" * 32), (99, "cd" * 32)))
        assert sync.once() == SyncReport(online=True)
    assert field.states() == ["received"] * 2


def test_a_log_that_went_back_gets_everything_that_is_still_here(field):
    """Restored without noticing: the next receipt continues an older log."""
    field.capture(4)
    with field.sync() as sync:
        sync.once()
        lose(field, 3, 4)
        field.server.audit_n = 2
        field.server.utc = "2026-11-23T08:00:00Z"
        field.capture(1)
        report = sync.once()
        assert report.offered == 4
        assert sync.once() == SyncReport(online=True)
    assert field.states() == ["received"] * 5
    assert len(field.server.packets) == 5
    field.nothing_lost_nothing_twice()


# Time


def test_the_servers_time_is_taken_and_never_goes_back(field):
    field.clock.reboot(dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    with field.sync() as sync:
        sync.once()
    assert field.store.time.latest == dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
    field.capture()
    field.server.utc = "2026-11-22T09:00:00Z"
    with field.sync() as sync:
        sync.once()
    assert field.store.time.latest == dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
    assert field.states() == ["received"]


# Answers


def test_answers_come_are_shown_and_acknowledged_once(field):
    field.server.answer("tablet-7")
    field.server.answer("tablet-7", kind="lab_result", lab="refuted")
    with field.sync() as sync:
        assert sync.once().answers == ("answer-1", "answer-2")
        assert [a.n for a in inbox.unread(field.store)] == [1, 2]
        field.server.stop()
        assert inbox.shown(field.store, "answer-1")
        field.clock.advance(600)
        assert sync.once().acknowledged == ()
        field.server.start()
        field.clock.advance(600)
        assert sync.once().acknowledged == ("answer-1",)
        assert not inbox.shown(field.store, "answer-1")
        assert sync.once() == SyncReport(online=True)
    (told,) = field.server.acknowledged["answer-1"]
    said = open_envelope(told, field.store.key.public.raw, "application/vnd.spectralid.shown+json")
    assert (said["answer_id"], said["n"], said["device_id"]) == ("answer-1", 1, "tablet-7")


@pytest.mark.parametrize(
    ("fault", "again"),
    [(loses_reply, 2), (answers_with(problem(500, "x")), 1), (answers_with(problem(404, "?")), 1)],
)
def test_an_acknowledgement_that_fails_is_made_again(field, fault, again):
    field.server.answer("tablet-7")
    field.server.script("answers", fault)
    with field.sync() as sync:
        sync.once()
        inbox.shown(field.store, "answer-1")
        assert sync.once().acknowledged == ()
        field.clock.advance(600)
        assert sync.once().acknowledged == ("answer-1",)
    assert len(field.server.acknowledged["answer-1"]) == again
    assert len(set(field.server.acknowledged["answer-1"])) == 1, "the same signed words each time"


def test_an_acknowledgement_refused_for_good_is_not_repeated(field):
    field.server.answer("tablet-7")
    field.server.script("answers", answers_with(problem(422, "no such device")))
    with field.sync() as sync:
        sync.once()
        inbox.shown(field.store, "answer-1")
        assert sync.once().refused
        assert sync.once() == SyncReport(online=True)


def test_what_nobody_trusted_signed_never_becomes_an_answer(field):
    good = field.server.make_answer("tablet-7", 2)
    forged = ServerKey().envelope("application/vnd.spectralid.answer+json", b"{}")
    field.server.answers = [forged, good]
    with field.sync() as sync:
        report = sync.once()
    assert report.answers == ("answer-2",)
    assert len(report.refused) == 1
    (answer,) = inbox.all(field.store)
    assert (answer.answer_id, answer.gap_before) == ("answer-2", True)


def test_an_answer_names_its_packets(field):
    made = field.capture(3)
    field.server.answer("tablet-7", packet_ids=[made[1]])
    with field.sync() as sync:
        sync.once()
    assert field.states() == ["received", "answered", "received"]
    assert outbox.summary(field.store) == {
        "queued": 0,
        "sending": 0,
        "received": 2,
        "answered": 1,
        "attention": 0,
    }


def test_more_answers_than_one_reply_holds_come_all(field):
    every = [field.server.make_answer("tablet-7", n) for n in range(1, 26)]
    field.server.answers = every
    honest = field.server._waiting
    field.server._waiting = lambda after: honest(after)[:10]
    with field.sync() as sync:
        assert len(sync.once().answers) == 25


# Running by itself


class Scripted:
    """A line of which only the calls matter."""

    url = "https://server.example"

    def __init__(self, outcome) -> None:
        self.outcome = outcome
        self.calls: list[str] = []
        self.closed = False

    def time(self):
        self.calls.append("time")
        return self.outcome("time")

    def inbox(self, after, *, wait_s, interrupted):
        self.calls.append(f"inbox {wait_s:g}")
        return self.outcome("inbox")

    def deliver(self, raw, *, sha256, seq):
        self.calls.append(f"deliver {seq}")
        return self.outcome("deliver")

    def acknowledge(self, answer_id, envelope):
        return Done()

    def interrupt(self, *, everything=False):
        self.calls.append("interrupt")

    def close(self):
        self.closed = True


def test_days_offline_cost_a_try_every_five_minutes_and_no_more(field):
    field.capture()
    line = Scripted(lambda what: Retry("offline", "The server cannot be reached.", "link"))
    stop = threading.Event()
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        field.clock.advance(seconds)
        if field.clock.now - START > dt.timedelta(days=3):
            stop.set()

    Sync(field.store, line, wait=wait, jitter=lambda: 1.0).run(stop)
    assert min(waited) >= 5
    assert max(waited) == 300
    assert len(line.calls) < 3 * 86_400 / 300 + 20
    assert set(line.calls) == {"time"}
    assert line.closed
    assert field.states() == ["queued"]


def test_a_server_that_does_not_hold_its_polls_is_not_asked_without_end(field):
    now = []

    def outcome(what):
        return Inbox(()) if what == "inbox" else Retry("unexpected", "No.", "packet")

    line = Scripted(outcome)
    stop = threading.Event()

    def wait(seconds: float) -> None:
        now.append(seconds)
        field.clock.advance(seconds)
        if len(now) == 20:
            stop.set()

    Sync(field.store, line, wait=wait).run(stop)
    assert set(now) == {30.0}
    assert line.calls.count("inbox 30") == 20


def test_the_wait_for_answers_ends_when_something_is_due(field):
    field.capture(2)
    line = Scripted(
        lambda what: Retry("server-error", "The server failed.", "packet") if what == "deliver" else Inbox(())
    )
    line.time = lambda: Retry("unexpected", "No.", "packet")
    stop = threading.Event()
    Sync(field.store, line, wait=lambda _: stop.set(), jitter=lambda: 1.0).run(stop)
    assert line.calls == ["inbox 0", "deliver 1", "deliver 2", "inbox 5"]


def test_running_sends_what_is_recorded_and_tells_what_comes(field):
    """The real thread, the real line: a poll is under way when something new is recorded."""
    told: list[SyncReport] = []
    arrived, answered = threading.Event(), threading.Event()

    def hear(report: SyncReport) -> None:
        told.append(report)
        if report.delivered:
            arrived.set()
        if report.answers:
            answered.set()

    stop = threading.Event()
    with field.sync(told=hear) as sync:
        thread = threading.Thread(target=sync.run, args=(stop,))
        thread.start()
        try:
            assert field.server.polling.wait(20)
            (packet_id,) = field.capture()
            assert arrived.wait(20), "capturing wakes the exchange out of its poll"
            field.server.answer("tablet-7", packet_ids=[packet_id])
            assert answered.wait(20), "the server's answer comes while it is polled"
        finally:
            stop.set()
            sync.wake()
            thread.join(20)
        assert not thread.is_alive()
    assert field.states() == ["answered"]
    assert field.store.on_captured == []


def test_a_defect_does_not_end_the_exchange(field, caplog):
    calls = []

    def outcome(what):
        calls.append(what)
        raise ZeroDivisionError

    stop = threading.Event()
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            stop.set()

    Sync(field.store, Scripted(outcome), wait=wait).run(stop)
    assert calls == ["time"] * 3
    assert waited == [60.0] * 3
    assert "internal error" in caplog.text


def test_the_clock_is_compared_now_and_then_only(field):
    asked = []
    with field.sync() as sync:
        ask = sync.endpoint.time
        sync.endpoint.time = lambda: asked.append(1) or ask()
        for _ in range(24):
            sync.once()
            field.clock.advance(3600)
    assert len(asked) == 4
