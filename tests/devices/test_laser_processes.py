"""Real programs that really end, against the simulator: what its laser does, and what went over the line."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spectralid.devices.client.obp import ObpClient
from spectralid.devices.codec.obp import Decoder, Flag, Frame, Message
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.transport import open_transport

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and ptys are those of POSIX")
ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 60  # of a hung program


@pytest.fixture(scope="module")
def simulator():
    with Simulator("--substance", "polystyrene", "--paced") as running:
        yield running


def laser_is_on(port):
    client = ObpClient(open_transport(port, 9600))
    try:
        return client.ask(Message.LIGHT_SOURCE_ENABLE, b"\0\0") != b"\0"
    finally:
        client.close()


def leave(port, how, trace=None, send=None):
    """Run the program until it is lit, make it leave, and return its exit code."""
    line = f"spy://{port}?file={trace}" if trace else port
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.devices.leaving", line, how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert program.stdout.readline() == "lit\n", program.stderr.read()
        if send is not None:
            program.send_signal(send)
        program.communicate(timeout=LONGEST_S)
    finally:
        program.kill()
        program.communicate()
    return program.returncode


@pytest.mark.parametrize(
    ("how", "send", "code"),
    [
        ("signal", signal.SIGTERM, -signal.SIGTERM),
        ("signal", signal.SIGINT, -signal.SIGINT),
        ("signal", signal.SIGHUP, -signal.SIGHUP),
        ("raise", None, 1),
        ("exit", None, 7),
        ("main ends", None, 0),
    ],
)
def test_laser_is_off_when_the_program_has_left(simulator, how, send, code):
    assert leave(simulator.port, how, send=send) == code
    assert not laser_is_on(simulator.port)


def test_off_is_read_back_over_the_line_before_the_program_ends(simulator, tmp_path):
    trace = tmp_path / "line.txt"
    assert leave(simulator.port, "signal", trace=trace, send=signal.SIGTERM) == -signal.SIGTERM
    sent, received = traced(trace)
    lights = [f.data[2] for f in sent if f.message == Message.SET_LIGHT_SOURCE_ENABLE]
    assert lights[:2] == [0, 1]  # off to begin with, then on
    # The bare "off" of the watch, its confirmed one, and that of the scan on its way out.
    assert lights[2:] == [0, 0, 0]
    urgent = [f for f in sent if f.message == Message.SET_LIGHT_SOURCE_ENABLE][2]
    assert not urgent.flags & Flag.ACK_REQUESTED
    read_back = [f.data for f in received if f.message == Message.LIGHT_SOURCE_ENABLE]
    assert read_back[-1] == b"\0"
    assert b"\1" in read_back


def test_killed_program_leaves_the_laser_on(simulator):
    """What no software can do, and the proof that the tests above would notice."""
    leave(simulator.port, "signal", send=signal.SIGKILL)
    assert laser_is_on(simulator.port)


def test_next_program_switches_off_what_a_killed_one_left_on(simulator):
    leave(simulator.port, "signal", send=signal.SIGKILL)
    assert leave(simulator.port, "exit") == 7
    assert not laser_is_on(simulator.port)


def traced(file):
    """Frames sent and received, from pyserial's trace of the line: time, way, offset, sixteen bytes, text."""
    ways = {"TX": bytearray(), "RX": bytearray()}
    for way, data in re.findall(r"^\S+ (TX|RX)\s+[0-9A-F]{4}  (.{48,49})", file.read_text("latin-1"), re.M):
        ways[way] += bytes.fromhex(data)
    return [
        [frame for frame in Decoder().feed(bytes(data)) if isinstance(frame, Frame)] for data in ways.values()
    ]
