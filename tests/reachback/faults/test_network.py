"""A real tablet and the real server with a line between them that fails in every way a line can."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra [reachback]")
pytest.importorskip("uvicorn", reason="the server needs the extra [reachback]")

from spectralid.casework.endpoint import Deadlines
from tests.casework.field import IMPATIENT
from tests.reachback.conftest import fresh
from tests.reachback.faults.line import Tablet, served, wait_for
from tests.reachback.faults.proxy import (
    BlackHole,
    CutAfter,
    Drips,
    Held,
    HtmlInstead,
    ReplyLost,
    ResetAfter,
    Sliced,
)

# Beyond any handshake, within the body of a large packet.
BODY = 30_000
LARGE = 150_000


@pytest.fixture
def server(tmp_path, request):
    fresh("sqlite", tmp_path / "server", request).close()
    with served(tmp_path / "server") as made:
        yield made


@pytest.fixture
def tablet(tmp_path, server):
    made = Tablet(tmp_path / "tablet", server)
    yield made
    made.close()


def test_an_honest_line(tablet):
    tablet.capture(LARGE)
    report = tablet.exchange()
    assert (report.online, len(report.delivered), report.held) == (True, 2, ())
    assert tablet.proxy.connections == 1
    tablet.once_each()


# A handshake is part of connecting.
SHORT = Deadlines(connect_s=0.3, read_s=0.3, write_s=10.0, total_s=5.0)
# A byte every 20 ms never is too long for a read.
SLOW = Deadlines(connect_s=10.0, read_s=10.0, write_s=10.0, total_s=0.5, slowest_bytes_s=1e9)

FAULTS = {
    "black hole": (BlackHole, SHORT, "offline"),
    "reset before the handshake": (lambda: ResetAfter(1), None, "offline"),
    "reset in the body": (lambda: ResetAfter(BODY), None, "cut"),
    "64 KiB, then cut": (lambda: CutAfter(64 * 1024), None, "cut"),
    "one byte now and then": (lambda: Drips(BODY, 0.02), SLOW, "too-slow"),
    "a sign-in page": (HtmlInstead, None, "tls"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_and_the_line_pauses(tablet, name):
    fault, deadlines, code = FAULTS[name]
    tablet.capture(LARGE)
    for _ in range(2):
        tablet.proxy.script(fault())
        report = tablet.exchange(*([deadlines] if deadlines else []))
        assert (report.online, report.code) == (False, code), report
        assert not set(tablet.states()) & {"attention"}
        tablet.once_each()
    tablet.exchange()
    assert tablet.states() == ["received", "received"]
    tablet.once_each()


def test_nobody_listens(tablet):
    tablet.proxy.refuse()
    report = tablet.exchange()
    assert (report.online, report.code) == (False, "offline")
    tablet.proxy.listen()
    tablet.exchange()
    assert tablet.states() == ["received"]
    tablet.once_each()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_that_brings_a_few_bytes_at_a_time_is_a_line(tablet, size):
    tablet.capture(2_000)
    tablet.proxy.script(Sliced(size))
    assert tablet.exchange().online
    assert tablet.states() == ["received", "received"]
    tablet.once_each()


def test_a_reply_lost_after_the_commit_comes_again_byte_for_byte(tablet):
    tablet.exchange()
    tablet.capture(LARGE)
    lost = ReplyLost(BODY, lambda: wait_for(lambda: tablet.arrived(2), "the server takes nothing in"))
    tablet.proxy.script(lost)
    report = tablet.exchange()
    assert not report.online
    assert tablet.states() == ["received", "queued"]
    assert tablet.arrived(2), "it was committed before the line died"
    tablet.exchange()
    assert tablet.states() == ["received", "received"]
    tablet.once_each()


def test_a_reply_that_comes_too_late_is_not_waited_for(tablet):
    tablet.exchange()
    tablet.capture(LARGE)
    held = Held(BODY)
    tablet.proxy.script(held)
    report = tablet.exchange(IMPATIENT)
    assert (report.online, report.code) == (False, "timeout")
    wait_for(lambda: tablet.arrived(2), "the server took it in all the same")
    held.release.set()
    tablet.exchange()
    assert tablet.states() == ["received", "received"]
    tablet.once_each()


def test_the_officer_records_on_while_the_line_hangs(tablet):
    hole = BlackHole()
    tablet.proxy.script(hole)
    tablet.clock.advance(600)
    with tablet.sync() as sync:
        exchange = threading.Thread(target=sync.once)
        exchange.start()
        assert hole.reached.wait(20)
        raw = tablet.capture(100)
        assert exchange.is_alive(), "recording did not wait for the line"
        assert raw
        tablet.proxy.close()
        exchange.join(20)
        assert not exchange.is_alive()
    assert tablet.states() == ["queued", "queued"]
