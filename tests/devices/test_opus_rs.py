"""OPUS-RS: pages written by hand, every error code, every fault, and the way from a command to a spectrum."""

import http.client
import socket
import threading
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid import Spectrum, read_all, write
from spectralid.devices.opus_rs import (
    OPUS_ERRORS,
    OpusRefusedError,
    OpusRs,
    OpusState,
    OpusStatus,
    parse_page,
)
from spectralid.devices.sim.opus_rs import Fault, OpusServer, OpusStation
from spectralid.devices.watch_folder import WatchFolder
from spectralid.errors import DeviceError, ParameterError, ProtocolError, TransportError

# Written by hand after the description of the protocol, not by the simulator.
PLAIN = """<html>
<head><title>OPUS Remote Status</title></head>
<body><table border="1">
<tr><td>Status:</td><td id="STATUS">3</td></tr>
<tr><td>Message:</td><td id="TEXT">Measuring</td></tr>
</table></body></html>"""
REFUSED = """<table><tr><td id="STATUS">0</td><td id="TEXT">Idle</td>
<td id="ERRCODE">7</td><td id="ERRTEXT">System not connected</td></tr></table>"""


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self):
        self.now = 1000.0
        self.waited = []

    def __call__(self):
        return self.now

    def wait(self, seconds):
        assert seconds >= 0
        self.waited.append(seconds)
        self.now += seconds


class Bench:
    """OPUS, its folder, and a client, on one clock."""

    def __init__(self, tmp_path, **station):
        self.clock = Clock()
        self.folder = tmp_path / "opus"
        self.folder.mkdir()
        self.ledger = tmp_path / "ledger"
        self.exported = 0
        self.station = OpusStation(self.export, clock=self.clock, **station)
        self.server = OpusServer(self.station)
        self.opus = self.client()

    def client(self, **options):
        options = {"deadline_s": 5.0, "clock": self.clock, "wait": self.clock.wait, **options}
        return OpusRs("127.0.0.1", self.server.port, **options)

    def export(self):
        axis = np.linspace(400.0, 4000.0, 200)
        self.exported += 1
        spectrum = Spectrum(axis, axis / (4000.0 + self.exported), "ftir_atr", "absorbance")
        write(spectrum, self.folder / f"sample.{self.exported}.jdx")

    def watch(self):
        return WatchFolder(self.folder, read_all, ledger=self.ledger, wait=self.clock.wait)

    def connected(self):
        self.opus.connect()
        self.clock.now += 60
        assert self.opus.status().status is OpusStatus.CONNECTED


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    with made.server:
        yield made


@pytest.mark.parametrize(
    ("page", "state"),
    [
        (PLAIN, OpusState(OpusStatus.MEASURING, "Measuring")),
        (REFUSED, OpusState(OpusStatus.IDLE, "Idle", 7, "System not connected")),
        # Neither closing tags nor quotes, in capitals, cells in another order.
        (
            "<TABLE><TR><TD ID=TEXT>Connected<TD ID=STATUS> 2 <TR><TD ID=ERRTEXT>no<TD ID=ERRCODE>0</TABLE>",
            OpusState(OpusStatus.CONNECTED, "Connected", 0, "no"),
        ),
        # Markup and references inside a cell; other cells are not looked at.
        (
            '<td id="STATUS"><b>4</b></td><td id=O>9</td><td id="TEXT">&Auml;nderung &amp;\n <i>x</i></td>',
            OpusState(OpusStatus.FINISHING, "Änderung & x"),
        ),
        ('<td id="STATUS">6</td><td id="ERRCODE"></td>', OpusState(OpusStatus.UNDEFINED)),
    ],
)
def test_pages(page, state):
    assert parse_page(page) == state


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("", "no cell STATUS"),
        ("<html><h1>It works!</h1></html>", "no cell STATUS"),
        ('<p id="STATUS">2</p>', "no cell STATUS"),
        ('<td id="STATUS">busy</td>', "'busy', not a number"),
        ('<td id="STATUS">-1</td>', "'-1', not a number"),
        ('<td id="STATUS">٣</td>', "not a number"),
        ('<td id="STATUS">7</td>', "status 7, which is unknown"),
        ('<td id="STATUS"></td>', "not a number"),
        ('<td id="STATUS">2</td><td id="STATUS">3</td>', "two cells STATUS"),
        ('<td id="STATUS">2</td><td id="ERRCODE">many</td>', "ERRCODE"),
        ("<![x[", "check the address"),
    ],
)
def test_pages_that_are_refused(page, said):
    with pytest.raises(ProtocolError, match=said.replace("[", r"\[")):
        parse_page(page)


@given(st.text(st.sampled_from("<>/!-[]&;=\"' \n\x00tdTDid=STATUSERCOX0123456789é"), max_size=120))
def test_any_page_is_a_state_or_a_protocol_error(page):
    with suppress(ProtocolError):
        assert parse_page(page).status in OpusStatus


def test_what_is_asked_for(bench):
    bench.opus.status()
    for command in (bench.opus.connect, bench.opus.start, bench.opus.stop, bench.opus.cancel):
        with suppress(OpusRefusedError):
            command()
    assert bench.server.requests == [
        "/opusrs/stat.htm",
        "/opusrs/cmd.htm?opusrsconnect",
        "/opusrs/cmd.htm?opusrsstart",
        "/opusrs/cmd.htm?opusrsstop",
        "/opusrs/cmd.htm?opusrscancel",
    ]


def test_no_more_than_one_request_in_two_seconds(bench):
    bench.opus.status()
    assert bench.clock.waited == []
    bench.opus.status()
    assert bench.clock.waited == [2.0]
    bench.clock.now += 1.5
    bench.opus.status()
    assert bench.clock.waited == [2.0, 0.5]
    bench.clock.now += 2.0
    bench.opus.status()
    assert len(bench.clock.waited) == 2
    bench.server.fault = Fault.NOT_FOUND
    with pytest.raises(ProtocolError):
        bench.opus.status()
    with pytest.raises(ProtocolError):
        bench.opus.status()
    assert bench.clock.waited[2:] == [2.0, 2.0]


def test_states_one_after_the_other(bench):
    state = bench.opus.status()
    assert (state.status, state.error) == (OpusStatus.IDLE, 7)
    assert bench.opus.connect().status is OpusStatus.CONNECTING
    seen = []
    while not seen or seen[-1] is not OpusStatus.CONNECTED:
        seen.append(bench.opus.status().status)
    assert seen == [OpusStatus.CONNECTING, OpusStatus.CONNECTED]
    assert bench.opus.start().status is OpusStatus.MEASURING
    assert bench.opus.stop().status is OpusStatus.FINISHING
    bench.clock.now += 3
    assert bench.opus.status().status is OpusStatus.CONNECTED
    assert bench.exported == 1
    bench.opus.start()
    assert bench.opus.cancel().status is OpusStatus.CANCELLING
    bench.clock.now += 30
    assert bench.opus.status().status is OpusStatus.CONNECTED
    assert bench.exported == 1


def test_commands_at_the_wrong_time(bench):
    def code(command):
        with pytest.raises(OpusRefusedError) as refused:
            command()
        return refused.value.code

    assert code(bench.opus.start) == 7
    assert code(bench.opus.stop) == 3
    assert code(bench.opus.cancel) == 2
    bench.connected()
    assert code(bench.opus.connect) == 1


@pytest.mark.parametrize("code", range(1, 8))
def test_each_error_code(bench, code):
    bench.station.refusal = code
    with pytest.raises(OpusRefusedError, match=f"error {code}, in its words: ") as refused:
        bench.opus.connect()
    assert refused.value.code == code
    assert refused.value.command == "connect"
    assert OPUS_ERRORS[code] in str(refused.value)
    assert "refused to connect" in str(refused.value)


def test_an_error_code_of_a_later_version(bench):
    bench.station.refusal = 12
    with pytest.raises(OpusRefusedError, match="unknown here"):
        bench.opus.start()


@pytest.mark.parametrize(
    ("fault", "error", "kind", "said"),
    [
        (Fault.SILENCE, TransportError, "timeout", "within 0.3 s"),
        (Fault.SLOW, TransportError, "timeout", "within 0.3 s"),
        (Fault.NO_ANSWER, TransportError, "disconnected", "in the middle"),
        (Fault.DISCONNECT, TransportError, "disconnected", "in the middle"),
        (Fault.NOT_FOUND, ProtocolError, None, "HTTP 404"),
        (Fault.WRONG_PAGE, ProtocolError, None, "not one of OPUS-RS"),
        (Fault.GARBAGE, ProtocolError, None, "STATUS"),
        (Fault.NOT_HTTP, ProtocolError, None, "does not speak HTTP"),
        (Fault.ENDLESS, ProtocolError, None, "longer than any"),
    ],
)
def test_each_fault_and_the_next_request_works(bench, fault, error, kind, said):
    # A deadline only where it is to pass: others must not fail on a busy machine.
    opus = bench.client(deadline_s=0.3 if kind == "timeout" else 20.0)
    bench.server.fault = fault
    with pytest.raises(error, match=said) as caught:
        opus.status()
    assert getattr(caught.value, "kind", None) == kind
    bench.server.fault = Fault.NONE
    assert bench.opus.status().status is OpusStatus.IDLE


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        opus = OpusRs("127.0.0.1", free.getsockname()[1])
        with pytest.raises(TransportError, match="is not there") as caught:
            opus.status()
    assert caught.value.kind == "absent"


def test_a_server_without_the_length_of_its_pages():
    """HTTP/1.0, as small servers speak it: the page ends with the connection; Windows' code page."""
    answer = (
        b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n"
        b'<td id="STATUS">2</td><td id="TEXT">Verbunden \x96 Ger\xe4t</td>'
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            line, _ = listening.accept()
            with line:
                line.recv(4096)
                line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        state = OpusRs("127.0.0.1", listening.getsockname()[1]).status()
        thread.join()
    assert state == OpusState(OpusStatus.CONNECTED, "Verbunden – Gerät")


def test_an_independent_client_reads_the_stand_in(bench):
    line = http.client.HTTPConnection("127.0.0.1", bench.server.port, timeout=20)
    line.request("GET", "/opusrs/stat.htm")
    page = line.getresponse().read().decode()
    line.close()
    assert '<td id="STATUS">0</td>' in page
    assert '<td id="ERRCODE">7</td>' in page


@pytest.mark.parametrize("host", ["http://opus", "opus/x", "", "a b", "a\r\nX: y"])
def test_wrong_hosts(host):
    with pytest.raises(ParameterError, match="host"):
        OpusRs(host)


def test_a_measurement_from_idle_to_the_spectrum(bench):
    bench.export()
    with bench.watch() as watch:
        file = bench.opus.measure(watch)
        watch.acknowledge(file)
    assert file.name == "sample.2.jdx"
    (spectrum,) = file.spectra
    assert {"opus_rs", "from_file", "ftir"} <= spectrum.acquisition.flags
    assert spectrum == read_all(bench.folder / "sample.2.jdx")[0]
    assert bench.station.commands == ["connect", "start"]
    with bench.watch() as watch:
        assert [f.name for _ in range(3) for f in watch.poll()] == ["sample.1.jdx"]


def test_a_measurement_that_is_connected_already(bench):
    bench.connected()
    with bench.watch() as watch:
        for number in (1, 2):
            file = bench.opus.measure(watch)
            watch.acknowledge(file)
            assert file.name == f"sample.{number}.jdx"
    assert bench.station.commands == ["connect", "start", "start"]


def test_a_measurement_that_shows_late_that_it_has_begun(bench):
    bench.connected()
    original, late = bench.opus._page, ["cmd.htm?opusrsstart", "stat.htm"]

    def page(target):
        state = original(target)
        if bench.station.commands[-1] == "start" and late and target.endswith(late[0]):
            late.pop(0)
            return replace(state, status=OpusStatus.CONNECTED)
        return state

    bench.opus._page = page
    with bench.watch() as watch:
        # Called finished too early, no file would come within the few seconds allowed for it.
        assert bench.opus.measure(watch, file_s=5).name == "sample.1.jdx"
    assert late == []


def test_a_page_lost_now_and_then_does_not_end_a_measurement(bench):
    bench.connected()
    original, count = bench.server._answer, iter(range(1000))

    def losing(request, station):
        bench.server.fault = Fault.NO_ANSWER if next(count) in (2, 3, 5) else Fault.NONE
        original(request, station)

    bench.server._answer = losing
    with bench.watch() as watch:
        assert bench.opus.measure(watch).name == "sample.1.jdx"


def test_opus_lost_for_good_during_a_measurement(bench):
    bench.connected()
    original, count = bench.server._answer, iter(range(1000))

    def losing(request, station):
        bench.server.fault = Fault.NONE if next(count) < 3 else Fault.NO_ANSWER
        original(request, station)

    bench.server._answer = losing
    with bench.watch() as watch, pytest.raises(TransportError) as caught:
        bench.opus.measure(watch)
    assert caught.value.kind == "disconnected"
    # It still tried to end what it had begun.
    assert bench.server.requests[-1].endswith("cancel")


def test_a_measurement_that_takes_too_long_is_cancelled(bench):
    bench.connected()
    with bench.watch() as watch, pytest.raises(TransportError, match="not ready after 7 s") as caught:
        bench.opus.measure(watch, measure_s=7)
    assert caught.value.kind == "timeout"
    assert bench.station.commands == ["connect", "start", "cancel"]
    bench.clock.now += 60
    assert bench.opus.status().status is OpusStatus.CONNECTED
    assert bench.exported == 0


def test_an_interrupted_measurement_is_cancelled(bench):
    bench.connected()
    original = bench.clock.wait

    def wait(seconds):
        if bench.station.commands[-1] == "start":
            bench.clock.wait = original
            bench.opus._wait = original
            raise KeyboardInterrupt
        original(seconds)

    bench.opus._wait = wait
    with bench.watch() as watch, pytest.raises(KeyboardInterrupt):
        bench.opus.measure(watch)
    assert bench.station.commands == ["connect", "start", "cancel"]


def test_ended_by_somebody_else(bench):
    bench.connected()
    original = bench.clock.wait

    def wait(seconds):
        original(seconds)
        if bench.station.commands[-1] == "start":
            bench.station.leave()

    bench.opus._wait = wait
    with bench.watch() as watch, pytest.raises(DeviceError, match="undefined"):
        bench.opus.measure(watch)


def test_busy_with_somebody_elses_measurement(bench):
    bench.connected()
    bench.opus.start()
    with bench.watch() as watch, pytest.raises(DeviceError, match="busy"):
        bench.opus.measure(watch)
    assert bench.station.commands == ["connect", "start"]


def test_no_file_comes(bench):
    bench.connected()
    bench.station._export = lambda: None
    with bench.watch() as watch, pytest.raises(TransportError, match="check where OPUS saves") as caught:
        bench.opus.measure(watch, file_s=9)
    assert caught.value.kind == "timeout"


def test_connecting_never_ends(tmp_path):
    bench = Bench(tmp_path, connect_s=10_000)
    with bench.server, bench.watch() as watch, pytest.raises(TransportError, match="not ready after 30 s"):
        bench.opus.measure(watch, connect_s=30)
