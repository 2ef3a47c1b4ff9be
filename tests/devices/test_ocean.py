"""The driver against the simulated instrument, in memory."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from spectralid.devices.codec.obp import Decoder, Frame, Message, encode
from spectralid.devices.driver import Interlock
from spectralid.devices.laser import LaserOffUnconfirmedError, arm
from spectralid.devices.ocean import open_ocean
from spectralid.devices.session import ScanPlan, scan
from spectralid.devices.sim.physics import Bench
from spectralid.errors import ParameterError, ProtocolError, TransportError
from tests.devices.lines import PROFILE, MemoryLine, instrument, line_to


def patched(message: Message, change):
    """A line to the simulator on which answers to `message` are changed."""

    def damage(answer: bytes) -> bytes:
        (frame,) = Decoder().feed(answer)
        return encode(change(frame)) if frame.message == message else answer

    return line_to(instrument(), damage)


def test_identify():
    driver = open_ocean(line_to(instrument()), PROFILE)
    identity = driver.identify()
    assert identity.serial == "SIM-TEST"
    assert driver.has_laser()
    pixel = np.arange(1024)
    expected = sum(np.float32(c) * pixel**k for k, c in enumerate(Bench().reported))
    np.testing.assert_allclose(identity.wavelengths_nm, expected, rtol=1e-6)
    assert driver.interlock() is Interlock.UNKNOWN


def test_no_laser_fitted():
    line = patched(Message.LIGHT_SOURCE_ENABLE, lambda f: replace(f, data=b"", flags=f.flags | 8, error=2))
    assert not open_ocean(line, PROFILE).has_laser()


def test_laser_that_cannot_be_asked_now_is_not_taken_for_none():
    line = patched(Message.LIGHT_SOURCE_ENABLE, lambda f: replace(f, data=b"", flags=f.flags | 8, error=7))
    with pytest.raises(ProtocolError, match="not ready"):
        open_ocean(line, PROFILE).has_laser()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0, 1e38])
def test_lost_calibration_is_said(value):
    line = patched(Message.WAVELENGTH_COEFFICIENT, lambda f: replace(f, data=struct.pack("<f", value)))
    with pytest.raises(ProtocolError, match="calibration is lost"):
        open_ocean(line, PROFILE).identify()


@pytest.mark.parametrize("serial", [b"", b"\0\0", b"\x01\x02", b"\xff\xff\x07"])
def test_unreadable_serial(serial):
    line = patched(Message.SERIAL_NUMBER, lambda f: replace(f, data=serial))
    with pytest.raises(ProtocolError, match="serial number"):
        open_ocean(line, PROFILE).identify()


def test_padded_serial_is_read():
    line = patched(Message.SERIAL_NUMBER, lambda f: replace(f, data=b"V785-12\0\0\0"))
    assert open_ocean(line, PROFILE).identify().serial == "V785-12"


def test_wrong_pixel_count():
    line = patched(Message.CORRECTED_SPECTRUM, lambda f: replace(f, data=f.data[:-2]))
    driver = open_ocean(line, PROFILE)
    with pytest.raises(ProtocolError, match="2046 bytes for a frame of 1024 pixels"):
        driver.acquire()


def test_integration_is_read_back():
    line = patched(Message.INTEGRATION_TIME, lambda f: replace(f, data=struct.pack("<I", 5)))
    with pytest.raises(ProtocolError, match="says 5 µs"):
        open_ocean(line, PROFILE).set_integration(10.0)
    line = patched(Message.INTEGRATION_TIME, lambda f: replace(f, data=b"\1"))
    with pytest.raises(ProtocolError, match="4-byte number"):
        open_ocean(line, PROFILE).set_integration(10.0)


@pytest.mark.parametrize("milliseconds", [0.0, 20_000.0, float("nan")])
def test_integration_outside_the_limits(milliseconds):
    with pytest.raises(ParameterError, match="from 1 to 10000 ms"):
        open_ocean(line_to(instrument()), PROFILE).set_integration(milliseconds)


def test_line_is_closed_when_nothing_answers():
    line = MemoryLine(lambda _: b"")
    with pytest.raises(TransportError):
        open_ocean(line, PROFILE)
    assert line.closed


def test_laser_is_off_after_a_scan_that_breaks_down():
    device = instrument()
    seen: list[bool] = []

    def cut(answer: bytes) -> bytes:
        (frame,) = Decoder().feed(answer)
        if isinstance(frame, Frame) and frame.message == Message.CORRECTED_SPECTRUM:
            seen.append(device._detector.laser)
            return answer[:100] if seen[-3:] == [True] * 3 else answer
        return answer

    driver = open_ocean(line_to(device, cut), PROFILE)
    with pytest.raises(ProtocolError, match="broke off"):
        scan(
            driver,
            ScanPlan(integration_ms=50.0, averages=4, warning_s=0),
            token=arm("Kim"),
            acknowledge_unknown_interlock=True,
        )
    assert not device._detector.laser


def test_laser_acknowledged_off_but_still_on_is_an_alarm():
    on = patched(Message.LIGHT_SOURCE_ENABLE, lambda f: replace(f, data=b"\1"))
    with pytest.raises(LaserOffUnconfirmedError, match="still reads back as on"):
        scan(
            open_ocean(on, PROFILE),
            ScanPlan(integration_ms=50.0, averages=2, warning_s=0),
            token=arm("Kim"),
            acknowledge_unknown_interlock=True,
        )


def test_without_checksum_the_spectrum_says_so():
    line = patched(Message.CHECKSUM_TYPE, lambda f: replace(f, flags=f.flags | 8, error=8))
    # The simulator has switched its checksum on all the same; the driver did not ask for it to be required.
    spectrum = scan(
        open_ocean(line, PROFILE),
        ScanPlan(integration_ms=50.0, averages=2, warning_s=0),
        token=arm("Kim"),
        acknowledge_unknown_interlock=True,
    )
    assert "checksum_absent" in spectrum.acquisition.flags
