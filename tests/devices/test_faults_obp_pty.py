"""Faults of the line itself, on real ptys: unplugged, renamed, shared, at another rate, taking nothing."""

import os
import threading
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from spectralid.devices import load_profile, open_device
from spectralid.devices.client.obp import ObpClient
from spectralid.devices.codec.obp import Message
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.physics import Detector
from spectralid.devices.transport import Deadline, open_transport
from spectralid.errors import DeviceError, ProtocolError, TransportError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")

PROFILE = load_profile("ocean-ventana-785l")
SOON_S = 0.3


def test_unplugged_in_the_middle_of_a_frame():
    with Simulator("--fault", "unplug@spectrum-2") as simulator:
        device = open_device(simulator.port, PROFILE)
        device.acquire()
        with pytest.raises(DeviceError) as caught:
            device.acquire()
        assert isinstance(caught.value, TransportError | ProtocolError)
        # Whatever half of the frame was seen, the line is known to be gone from then on.
        with pytest.raises(TransportError) as gone:
            device.acquire()
        assert gone.value.kind == "disconnected"
        with pytest.raises(TransportError) as absent:
            open_device(simulator.port, PROFILE)
        assert absent.value.kind == "absent"


def test_comes_back_under_another_name():
    with Simulator("--fault", "re-enumerated@spectrum-1", "--serial", "SIM-9") as simulator:
        first = simulator.port
        lost = open_device(first, PROFILE)
        with pytest.raises(DeviceError):
            lost.acquire()
        with suppress(TransportError):
            lost.close()
        assert simulator.next_port() not in ("", first)
        with open_device(simulator.port, PROFILE) as device:
            assert device.identify().serial == "SIM-9"
            assert device.acquire().verified


def test_second_program_that_steals_bytes_never_makes_a_wrong_spectrum():
    detector = Detector(BENCHES["ventana-785l"], (), seed=0)
    # Who gets a byte of a line is chance: more scans until the thief has had some.
    expected = [detector.frame() for _ in range(60)]
    with Simulator() as simulator:
        client = ObpClient(open_transport(simulator.port, 9600), margin_s=SOON_S)
        client.negotiate_checksum()
        thief = os.open(simulator.port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        stop = threading.Event()
        stolen = bytearray()

        def steal() -> None:
            while not stop.is_set():
                with suppress(BlockingIOError):
                    stolen.extend(os.read(thief, 50))

        stealing = threading.Thread(target=steal)
        stealing.start()
        seen = []
        try:
            for taken in range(1, len(expected)):
                if taken > 5 and stolen:
                    break
                done = taken
                try:
                    data = client.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=0)
                except (TransportError, ProtocolError):
                    continue
                seen.append(np.frombuffer(data, "<u2"))
        finally:
            stop.set()
            stealing.join()
            os.close(thief)
        assert stolen
        for counts in seen:
            assert any(np.array_equal(counts, frame) for frame in expected)
        # Alone again, it works again.
        data = client.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=0)
        np.testing.assert_array_equal(np.frombuffer(data, "<u2"), expected[done])


def test_wrong_rate_is_noticed_and_the_right_one_works():
    with Simulator("--baud", "19200") as simulator:
        for baud in (9600, 38_400):
            transport = open_transport(simulator.port, baud)
            with transport, pytest.raises((TransportError, ProtocolError)):
                ObpClient(transport, margin_s=SOON_S).ask(Message.SERIAL_NUMBER, retries=0)
        with open_transport(simulator.port, 19_200) as transport:
            assert ObpClient(transport).ask(Message.SERIAL_NUMBER) == b"SIM785L-0001"


def test_line_is_made_fast_and_left_as_it_was():
    fast = replace(PROFILE, options={"fast_baud": 115_200, "settle_s": 0.05})
    with Simulator("--baud", "9600") as simulator:
        for _ in range(2):
            with open_device(simulator.port, fast) as device:
                assert device.acquire().verified
        with open_device(simulator.port, PROFILE) as device:
            assert device.acquire().verified


def test_line_that_takes_nothing_ends_at_its_deadline():
    with (
        Simulator("--fault", "back-pressure") as simulator,
        open_transport(simulator.port, 9600) as transport,
        pytest.raises(TransportError) as caught,
    ):
        # More than a pty holds.
        transport.write(bytes(200_000), Deadline(SOON_S))
    assert caught.value.kind == "timeout"


def test_line_that_answers_nothing_ends_at_its_deadline():
    with (
        Simulator("--fault", "back-pressure") as simulator,
        open_transport(simulator.port, 9600) as transport,
        pytest.raises(TransportError) as caught,
    ):
        ObpClient(transport, margin_s=SOON_S).ask(Message.SERIAL_NUMBER, retries=0)
    assert caught.value.kind == "timeout"
