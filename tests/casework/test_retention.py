"""Bytes go only when the server signed that it has them, and long enough ago by signed time."""

import datetime as dt

import pytest

from spectralid.casework import inbox, outbox
from spectralid.casework.enrolment import trust_of
from spectralid.casework.errors import RemovedPacketError, StoreError
from spectralid.casework.retention import RetentionPolicy, Swept, sweep
from spectralid.errors import ParameterError
from tests.casework.field import enrolled_field
from tests.casework.server_double import RECEIPT, ServerKey


@pytest.fixture
def field(tmp_path):
    with enrolled_field(tmp_path) as made:
        yield made


def later(field, days: float) -> None:
    """The server says that time has passed."""
    moment = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC) + dt.timedelta(days=days)
    field.server.utc = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    field.clock.advance(days * 86_400)
    with field.sync() as sync:
        sync.once()


def held(field) -> list[bool]:
    out = []
    for row in outbox.states(field.store):
        try:
            out.append(bool(field.store.raw(row.packet_id)))
        except RemovedPacketError:
            out.append(False)
    return out


def test_only_what_the_server_has_had_long_enough_is_removed(field):
    field.capture(2)
    later(field, 0)
    field.capture(2)
    later(field, 20)
    assert sweep(field.store, RetentionPolicy(30)) == Swept(0, 0, ())
    field.capture(1)
    later(field, 31)
    field.capture(1)
    done = sweep(field.store, RetentionPolicy(30))
    assert (done.removed, done.refused) == (2, ())
    assert done.freed_bytes > 0
    assert held(field) == [False, False, True, True, True, True]
    assert field.states() == ["received"] * 5 + ["queued"]


def test_what_was_removed_leaves_a_tombstone_and_a_chain_that_verifies(field):
    made = field.capture(3)
    later(field, 31)
    later(field, 62)
    assert sweep(field.store, RetentionPolicy(30)).removed == 3
    assert field.store.verify() == ()
    assert field.store.custody.verify() == ()
    assert field.store.custody.entries()[-1].facts["seq"] == [1, 2, 3]
    ((receipt,),) = field.store.read("SELECT receipt FROM outbox WHERE packet_id = ?", (made[0],))
    assert bytes(receipt) == field.server.packets["tablet-7", 1][2]
    (new,) = field.capture(1)
    assert field.store.packet(new).prev == field.row(made[2]).sha256
    assert sweep(field.store, RetentionPolicy(30)) == Swept(0, 0, ())
    field.nothing_lost_nothing_twice()


def test_a_clock_set_forward_removes_nothing(field):
    field.capture(2)
    later(field, 0)
    field.clock.advance(10 * 365 * 86_400)
    assert sweep(field.store, RetentionPolicy(30)) == Swept(0, 0, ())


def test_without_a_signed_time_nothing_is_removed(field):
    field.capture(2)
    assert sweep(field.store, RetentionPolicy(0)) == Swept(0, 0, ())


def test_the_unsent_is_never_removed(field):
    field.capture(3)
    field.server.stop()
    with field.sync() as sync:
        sync.once()
    field.server.start()
    with field.store.transaction() as tx:
        field.store.time.advance(tx, dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    assert sweep(field.store, RetentionPolicy(0)) == Swept(0, 0, ())
    assert held(field) == [True] * 3


def test_a_receipt_that_nobody_trusted_signed_removes_nothing(field):
    """Somebody wrote into the database of the tablet."""
    made = field.capture(2)
    later(field, 31)
    forged = ServerKey().envelope(
        RECEIPT,
        {
            "schema": "spectralid.receipt/1",
            "packet_sha256": field.row(made[0]).sha256,
            "device_id": "tablet-7",
            "seq": 1,
            "case": "x",
            "server_utc": "2020-01-01T00:00:00Z",
            "audit_n": 1,
            "checkpoint": "",
        },
    )
    ((other,),) = field.store.read("SELECT receipt FROM outbox WHERE packet_id = ?", (made[0],))
    with field.store.transaction() as tx:
        tx.execute("UPDATE outbox SET receipt = ? WHERE packet_id = ?", (forged, made[0]))
        tx.execute("UPDATE outbox SET receipt = ? WHERE packet_id = ?", (other, made[1]))
    later(field, 62)
    done = sweep(field.store, RetentionPolicy(30))
    assert done.removed == 0
    assert len(done.refused) == 2
    assert held(field) == [True, True]


def test_the_store_itself_refuses_to_forget_a_packet_without_receipt(field):
    field.capture(1)
    with pytest.raises(StoreError), field.store.transaction() as tx:
        tx.execute("UPDATE packets SET raw = NULL")
    assert held(field) == [True]


def test_receipts_outlive_the_key_that_signed_them(field):
    field.capture(1)
    later(field, 0)
    field.server.key = ServerKey()
    field.enrol(issued_utc="2026-11-23T00:00:00Z")
    later(field, 31)
    assert sweep(field.store, RetentionPolicy(30)).removed == 1


def test_a_packet_the_server_asks_for_again_stays(field):
    made = field.capture(2)
    later(field, 0)
    field.server.utc = "2026-12-30T12:00:00Z"
    notice = field.server.notice_missing("tablet-7", (1, field.row(made[0]).sha256))
    inbox.take_message(field.store, notice, trust_of(field.store))
    assert sweep(field.store, RetentionPolicy(30)).removed == 1
    assert held(field) == [True, False]


def test_what_was_removed_and_is_asked_for_again_is_said(field):
    made = field.capture(2)
    later(field, 0)
    later(field, 31)
    assert sweep(field.store, RetentionPolicy(30)).removed == 2
    field.server.utc = "2027-01-30T12:00:00Z"
    notice = field.server.notice_missing("tablet-7", (1, field.row(made[0]).sha256))
    for _ in range(2):
        taken = inbox.take_message(field.store, notice, trust_of(field.store))
        assert (taken.offered, taken.gone) == (0, 1)
    assert field.kinds().count("offered again") == 1
    assert field.states() == ["received"] * 2


def test_a_policy_of_nonsense_is_refused():
    with pytest.raises(ParameterError):
        RetentionPolicy(-1)
    with pytest.raises(ParameterError):
        RetentionPolicy(float("nan"))
