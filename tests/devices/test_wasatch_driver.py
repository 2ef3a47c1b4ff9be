"""The driver against the simulated module: on a line that costs no time, and on a real one."""

import os
import struct
from dataclasses import replace

import numpy as np
import pytest

from spectralid.devices import Interlock, ScanPlan, arm, open_device, scan
from spectralid.devices.client.errors import RefusedError
from spectralid.devices.codec.wasatch import SET, Frame, Opcode, encode
from spectralid.devices.laser import LaserOffUnconfirmedError
from spectralid.devices.sim.faults import Fault, Faults
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.physics import Bench, Detector
from spectralid.devices.sim.serve import Reply
from spectralid.devices.sim.wasatch import eeprom_pages
from spectralid.devices.wasatch import WasatchDriver, open_wasatch
from spectralid.errors import ParameterError, ProtocolError, TransportError
from spectralid.identify import identify
from spectralid.library import open_library
from tests.devices.wasatch_lines import (
    BUNDLED,
    PROFILE,
    Recorder,
    Scripted,
    line_to,
    module,
    with_options,
)

PLAN = ScanPlan(integration_ms=200.0, averages=3, warning_s=0)
WAVELENGTHS = sum(np.float32(c) * np.arange(1024.0) ** k for k, c in enumerate(Bench().reported))


def opened(*faults: str, profile=PROFILE, **options) -> WasatchDriver:
    return open_wasatch(line_to(module(Faults(map(Fault.parse, faults)), **options)), profile)


def measured(driver):
    return scan(driver, PLAN, token=arm("Kim"), acknowledge_unknown_interlock=True)


def stored(**changes: tuple[int, int, str, object]) -> dict[int, bytes]:
    pages = {n: bytearray(p) for n, p in eeprom_pages(Detector(Bench(), (), seed=0), "WP-7").items()}
    for page, place, layout, value in changes.values():
        struct.pack_into("<" + layout, pages[page], place, value)
    return {number: bytes(page) for number, page in pages.items()}


# --- who it is ---------------------------------------------------------------------------------------------


def test_identity_comes_from_the_instrument():
    driver = opened(pages=eeprom_pages(Detector(Bench(), (), seed=0), "WP-7", warm_up_s=12, watchdog_s=90))
    identity = driver.identify()
    assert (identity.serial, identity.laser_nm) == ("WP-7", 785.0)
    assert (identity.warm_up_s, identity.watchdog_s) == (12.0, 90.0)
    np.testing.assert_allclose(identity.wavelengths_nm, WAVELENGTHS, rtol=1e-7)
    assert driver.eeprom.model == "WP-785-SIM"


def test_capabilities_say_what_the_line_cannot_do():
    driver = opened()
    can = driver.capabilities
    assert (can.has_laser, can.interlock_readback, can.payload_checksum) == (True, "unknown", "none")
    assert (can.wavelength_source, can.excitation_source) == ("instrument", "instrument")
    assert not can.intensity_calibration
    assert driver.has_laser()
    assert driver.interlock() is Interlock.UNKNOWN


def test_stored_intensity_calibration_is_a_capability():
    layout, first = (5, 63, "B", 1), (6, 1, "f", 0.25)
    driver = opened(pages=stored(layout=layout, first=first))
    driver.identify()
    assert driver.capabilities.intensity_calibration
    assert driver.eeprom.intensity_coefficients[0] == 0.25


def test_calibration_from_the_profile_where_the_eeprom_is_not_to_be_read():
    profile = replace(with_options(eeprom=False, serial="WP-9"), wavelength_nm=(797.0, 0.25), laser_nm=784.9)
    driver = opened(profile=profile, pages={})
    identity = driver.identify()
    assert (identity.serial, identity.laser_nm) == ("WP-9", None)
    np.testing.assert_allclose(identity.wavelengths_nm, 797.0 + 0.25 * np.arange(1024))
    assert driver.capabilities.wavelength_source == "profile"
    assert measured(driver).acquisition.laser_nm == 784.9


def test_eeprom_that_cannot_be_read_over_this_line():
    with pytest.raises(ProtocolError, match="set eeprom = false"):
        opened(pages={}).identify()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((0, 16, "16s", b""), "no readable serial number"),
        ((1, 4, "f", float("nan")), "no wavelength calibration .*nan"),
        ((1, 4, "f", -0.25), "do not give ascending wavelengths"),
        ((2, 16, "H", 2048), "2048 pixels and its detector has 1024"),
        ((3, 36, "f", 0.0), "no usable excitation wavelength .*is 0"),
    ],
)
def test_stored_nonsense_is_refused(change, said):
    with pytest.raises(ProtocolError, match=said):
        opened(pages=stored(change=change)).identify()


def test_excitation_of_the_profile_stands_in_and_guards():
    profile = replace(PROFILE, laser_nm=785.0)
    assert opened(profile=profile, pages=stored(c=(3, 36, "f", 0.0))).identify().laser_nm is None
    assert opened(profile=profile, pages=stored(c=(3, 36, "f", 784.2))).identify().laser_nm == pytest.approx(
        784.2
    )
    with pytest.raises(ProtocolError, match="laser of 830 nm and the profile is for 785 nm"):
        opened(profile=profile, pages=stored(c=(3, 36, "f", 830.0))).identify()


def test_other_pixel_count_than_the_profile():
    with pytest.raises(ProtocolError, match="1024 pixels and the profile says 2048"):
        opened(profile=replace(PROFILE, pixels=2048)).identify()


# --- settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "whole"), [(1.0, 1), (99.6, 100), (60_000.0, 60_000), (15_939.0, 0x3E43)])
def test_integration_is_set_in_whole_milliseconds(wanted, whole):
    recorder = Recorder(module())
    driver = open_wasatch(line_to(recorder), PROFILE)
    driver.set_integration(wanted)
    setting = Frame(Opcode.INTEGRATION_TIME | SET, whole.to_bytes(3, "little"))
    assert recorder.requests[-2:] == [setting, Frame(Opcode.INTEGRATION_TIME)]


@pytest.mark.parametrize("milliseconds", [0.0, 60_001.0, float("nan")])
def test_integration_outside_the_limits(milliseconds):
    with pytest.raises(ParameterError, match="from 1 to 60000 ms"):
        opened().set_integration(milliseconds)


def test_longest_integration_is_that_of_the_protocol():
    with pytest.raises(ParameterError, match=r"to 1\.67772e\+07 ms"):
        opened(profile=replace(PROFILE, integration_ms=(1.0, 1e9))).set_integration(2.0**24)


def changing(opcode: int, data: bytes):
    """A driver whose module answers `opcode` with `data`."""

    def change(reply: Reply) -> Reply:
        return replace(reply, data=encode(Frame(opcode, data))) if reply.data[3] == opcode else reply

    return open_wasatch(line_to(Recorder(module(), change)), PROFILE)


def test_integration_is_read_back():
    with pytest.raises(ProtocolError, match="set to an integration time of 50 ms and says 5 ms"):
        changing(Opcode.INTEGRATION_TIME, b"\5\0\0").set_integration(50.0)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pixel_byte_order", "middle"),
        ("eeprom", "yes"),
        ("byte_gap_ms", -1),
        ("byte_gap_ms", "none"),
        ("pixel_order", "big"),
    ],
)
def test_wrong_options_are_refused_and_the_line_closed(option, value):
    line = line_to(module())
    with pytest.raises(ParameterError, match=option):
        open_wasatch(line, with_options(**{option: value}))
    assert line.closed


def test_profile_without_eeprom_needs_coefficients():
    line = line_to(module())
    with pytest.raises(ParameterError, match="wavelength"):
        open_wasatch(line, with_options(eeprom=False))
    assert line.closed


def test_line_is_closed_when_nothing_answers():
    line = line_to(Scripted())
    with pytest.raises(TransportError, match="fpga revision"):
        open_wasatch(line, PROFILE)
    assert line.closed


# --- frames ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["little", "big"])
def test_frame_says_that_nothing_proves_it(order):
    driver = opened(profile=with_options(pixel_byte_order=order), byte_order=order)
    driver.set_integration(100.0)
    frame = driver.acquire()
    assert not frame.verified
    assert frame.counts.shape == (1024,)
    # In the dark: offset and a little dark current.
    assert np.median(frame.counts) == pytest.approx(1210, abs=10)
    assert len(frame.raw_sha256) == 64


@pytest.mark.parametrize(("told", "sent"), [("little", "big"), ("big", "little")])
def test_wrong_byte_order_is_found_out(told, sent):
    driver = opened(profile=with_options(pixel_byte_order=told), byte_order=sent)
    with pytest.raises(ProtocolError, match=f'set pixel_byte_order = "{sent}"'):
        driver.acquire()


def test_frame_waits_for_the_integration_that_was_set_before():
    line = line_to(module())
    driver = open_wasatch(line, PROFILE)
    driver.set_integration(5000.0)
    again = open_wasatch(line, PROFILE)  # a program that does not know what was set
    assert again.acquire().counts.shape == (1024,)
    assert line.now_s > 5.0


def test_reset_between_setting_and_frame_is_noticed():
    driver = opened("reset-mid-scan@2")
    driver.set_integration(300.0)
    driver.acquire()
    with pytest.raises(ProtocolError, match="300 ms and now says 100 ms: it was reset"):
        driver.acquire()
    driver.set_integration(300.0)
    driver.acquire()


# --- laser -------------------------------------------------------------------------------------------------


def test_laser_goes_on_without_modulation_and_off():
    device = module()
    device._modulated = True
    recorder = Recorder(device)
    driver = open_wasatch(line_to(recorder), PROFILE)
    assert not driver.laser_is_on()
    driver.set_laser(True)
    assert driver.laser_is_on()
    sent = [frame for frame in recorder.requests if frame.opcode & SET]
    assert sent == [Frame(Opcode.LASER_MODULATION | SET, b"\0"), Frame(Opcode.LASER | SET, b"\1")]
    dark_to_light = driver.acquire().counts.max()
    driver.set_laser(False)
    assert not driver.laser_is_on()
    assert dark_to_light > driver.acquire().counts.max() + 1000


def test_laser_that_stays_modulated_is_not_switched_on():
    driver = changing(Opcode.LASER_MODULATION, b"\1")
    with pytest.raises(ProtocolError, match="stays modulated"):
        driver.set_laser(True)
    assert not driver.laser_is_on()


def test_no_laser_fitted():
    assert not changing(Opcode.LASER, b"\3").has_laser()


@pytest.mark.parametrize("byte", [0xFC, 0xFF, 2, 0x7F])
def test_laser_that_cannot_be_asked_now_is_not_taken_for_none_or_off(byte):
    driver = changing(Opcode.LASER, bytes([byte]))
    with pytest.raises(RefusedError):
        driver.has_laser()
    with pytest.raises(RefusedError):
        driver.laser_is_on()


def test_laser_is_asked_once():
    # Whoever needs it off must not wait through silent repetitions.
    recorder = Recorder(module(), lambda reply: None if reply.data[3] == Opcode.LASER else reply)
    driver = open_wasatch(line_to(recorder), PROFILE)
    with pytest.raises(TransportError):
        driver.laser_is_on()
    assert recorder.requests[1:] == [Frame(Opcode.LASER)]


def test_urgent_off():
    device = module()
    driver = open_wasatch(line_to(device), PROFILE)
    driver.set_laser(True)
    driver.send_off()
    assert not device._detector.laser


# --- whole scans -------------------------------------------------------------------------------------------


def test_spectrum_says_what_is_not_known():
    device = module()
    spectrum = measured(open_wasatch(line_to(device), PROFILE))
    assert {"checksum_absent", "interlock_unknown"} <= spectrum.acquisition.flags
    assert "checksum_verified" not in spectrum.acquisition.flags
    assert spectrum.acquisition.serial == "WP-00042"
    assert spectrum.acquisition.laser_nm == 785.0
    assert abs(spectrum.axis[np.argmax(spectrum.intensity)] - 1001.4) < 4
    assert not device._detector.laser


def test_laser_acknowledged_off_but_still_on_is_an_alarm():
    driver = opened("laser-stuck-on")
    driver.set_laser(True)
    with pytest.raises(LaserOffUnconfirmedError):
        measured(driver)


def test_bundled_profile():
    assert not BUNDLED.tried_on_hardware
    assert (BUNDLED.baud, BUNDLED.pixels, BUNDLED.laser_nm) == (921_600, 1024, None)
    assert "no interlock" in BUNDLED.safety
    open_wasatch(line_to(module()), BUNDLED).identify()


@pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")
def test_scan_over_a_serial_line_identifies_acetaminophen():
    simulator = Simulator(
        "--protocol", "wasatch-uart", "--substance", "acetaminophen", "--seed", "2", "--serial", "WP-1"
    )
    with simulator, open_device(simulator.port, BUNDLED) as driver:
        plan = ScanPlan(integration_ms=400.0, averages=4, warning_s=0)
        spectrum = scan(driver, plan, token=arm("Kim"), acknowledge_unknown_interlock=True)
        assert not driver.laser_is_on()
    assert spectrum.acquisition.serial == "WP-1"
    assert "checksum_absent" in spectrum.acquisition.flags
    best = identify(spectrum, open_library()).candidates[0]
    assert best.compound_slug == "acetaminophen"
