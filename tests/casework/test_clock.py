"""How far a clock can be trusted: told by signed server times, the monotonic clock, and the boot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.casework.clock import SystemClock, TrustedTime, from_text, to_text
from tests.casework.record import START, Clock


class Remembered:
    """In place of a transaction: keeps the last row."""

    row = None

    def execute(self, sql, parameters=()):
        self.row = parameters


@pytest.fixture
def tx():
    return Remembered()


def judged(time):
    return time.judge(time.moment())


def synced(tx, clock=None):
    time = TrustedTime(clock or Clock())
    assert time.advance(tx, time.clock.wall_utc(), round_trip_s=0.2)
    return time


def test_without_a_server_nothing_is_trusted(tx):
    assert judged(TrustedTime(Clock())) == ("unsynced", ())
    assert judged(TrustedTime(Clock(datetime(1970, 1, 1, 0, 3, tzinfo=UTC)))) == ("unsynced", ("never_set",))


def test_an_answer_of_the_server_vouches_for_a_week(tx):
    time = synced(tx)
    assert judged(time) == ("synced", ())
    time.clock.passes(days=6, hours=23)
    assert judged(time) == ("synced", ())
    time.clock.passes(hours=2)
    assert judged(time) == ("drift", ())


@pytest.mark.parametrize(
    ("jump", "flags"),
    [
        (timedelta(days=365), ("ahead_of_trusted", "jumped_forward")),
        (timedelta(days=-365), ("behind_trusted", "jumped_back")),
        (timedelta(minutes=10), ("ahead_of_trusted", "jumped_forward")),
        (timedelta(minutes=-10), ("behind_trusted", "jumped_back")),
        (timedelta(seconds=50), ()),
    ],
)
def test_a_clock_set_after_the_comparison_is_seen(tx, jump, flags):
    time = synced(tx)
    time.note(time.moment())
    time.clock.passes(hours=1)
    time.clock.wall += jump
    state, found = judged(time)
    # A year back is also before the program was written.
    assert (state, tuple(f for f in found if f != "never_set")) == ("unsynced" if flags else "synced", flags)


def test_a_year_forward_and_back_without_any_server():
    time = TrustedTime(Clock())
    time.note(time.moment())
    time.clock.passes(minutes=5)
    time.clock.wall += timedelta(days=365)
    assert judged(time) == ("unsynced", ("jumped_forward",))
    time.note(time.moment())
    assert judged(time) == ("unsynced", ())
    time.clock.wall -= timedelta(days=365)
    assert judged(time) == ("unsynced", ("jumped_back",))


def test_across_a_restart(tx):
    time = synced(tx)
    time.note(time.moment())
    clock = time.clock
    clock.restarts(START + timedelta(hours=5))
    assert judged(time) == ("drift", ())
    clock.restarts(START - timedelta(hours=5))
    assert judged(time) == ("unsynced", ("behind_trusted", "jumped_back"))
    clock.restarts(datetime(1970, 1, 1, tzinfo=UTC))
    assert judged(time) == ("unsynced", ("never_set", "behind_trusted", "jumped_back"))
    clock.restarts(START + timedelta(days=365))
    assert judged(time)[0] != "synced"


def test_drift_that_a_quartz_may_have_is_no_lie(tx):
    time = synced(tx)
    time.clock.passes(days=6)
    time.clock.wall += timedelta(seconds=6 * 8.64)
    assert judged(time) == ("synced", ())
    # A month without a server and without a record: 4 minutes off, and nobody set the clock.
    time.note(time.moment())
    time.clock.passes(days=30)
    time.clock.wall += timedelta(seconds=30 * 8.64)
    assert judged(time) == ("drift", ())
    time.clock.wall += timedelta(minutes=4)
    assert judged(time) == ("unsynced", ("ahead_of_trusted", "jumped_forward"))


def test_trusted_time_never_goes_back(tx):
    time = synced(tx)
    latest = time.latest
    for earlier in (timedelta(), timedelta(seconds=-1), timedelta(days=-400)):
        assert not time.advance(tx, START + earlier, round_trip_s=0.1)
    assert time.latest == latest
    assert time.advance(tx, START + timedelta(seconds=1))
    assert time.latest == START + timedelta(seconds=1)


def test_a_message_that_took_days_is_a_bound_and_no_comparison(tx):
    """By USB stick: the clock is right, and the newest signed time three days old."""
    clock = Clock()
    time = TrustedTime(clock)
    for second, round_trip in enumerate((None, 3600.0, -5.0)):
        latest = START - timedelta(days=3) + timedelta(seconds=second)
        time.advance(tx, latest, round_trip_s=round_trip)
        assert judged(time) == ("drift", ())
        assert time.latest == latest
    assert time.now() == clock.wall


def test_the_estimate_follows_the_server_and_not_a_clock_that_lies(tx):
    clock = Clock(START - timedelta(days=365))
    time = TrustedTime(clock)
    time.advance(tx, START, round_trip_s=0.2)
    clock.passes(minutes=30)
    assert time.now() == START + timedelta(minutes=30)
    clock.restarts(START - timedelta(days=365))
    assert time.now() == START
    clock.restarts(START + timedelta(days=2))
    assert time.now() == START + timedelta(days=2)


def test_what_is_known_outlives_the_process(tx):
    time = synced(tx)
    time.note(time.moment())
    time.clock.passes(minutes=1)
    time.advance(tx, START + timedelta(minutes=1), round_trip_s=0.1)
    again = TrustedTime(time.clock, tx.row)
    assert again.row() == time.row() == tx.row
    assert judged(again) == judged(time) == ("synced", ())
    assert TrustedTime(time.clock, (None,) * 7).row() == (None,) * 7


@given(st.lists(st.tuples(st.sampled_from(["server", "usb", "jump", "pass", "restart", "record"]),
                          st.integers(-10**8, 10**8)), max_size=20))  # fmt: skip
def test_whatever_happens_the_latest_trusted_time_only_grows(events):
    clock, tx = Clock(), Remembered()
    time = TrustedTime(clock)
    best = None
    for what, seconds in events:
        span = timedelta(seconds=seconds)
        if what in ("server", "usb"):
            time.advance(tx, START + span, round_trip_s=1.0 if what == "server" else None)
            best = max(best or START + span, START + span)
        elif what == "jump":
            clock.wall += span
        elif what == "pass":
            clock.passes(seconds=abs(seconds))
        elif what == "restart":
            clock.restarts(clock.wall + span)
        else:
            time.note(time.moment())
        state, flags = judged(time)
        assert time.latest == best
        assert (state == "unsynced") >= bool(best is None or "behind_trusted" in flags)
        if best is not None:
            assert time.now() >= best
            assert state == "unsynced" or clock.wall >= best - timedelta(minutes=2)


def test_the_clock_of_the_system():
    clock = SystemClock()
    assert clock.boot_id == SystemClock().boot_id or clock.boot_id.startswith("process-")
    first = clock.monotonic_ns()
    assert clock.monotonic_ns() >= first
    assert abs(clock.wall_utc() - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_system_that_names_no_boot_counts_each_process(monkeypatch):
    from pathlib import Path

    def unreadable(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", unreadable)
    assert SystemClock().boot_id != SystemClock().boot_id


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_times_as_text_come_back_and_sort(moment):
    assert from_text(to_text(moment)) == moment
    later = moment + timedelta(microseconds=1)
    assert to_text(later) > to_text(moment)
