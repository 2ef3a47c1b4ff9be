"""The driver against the simulated instrument: settings, calibration, frames, a laser where there is one."""

import os
import threading
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from spectralid.devices import load_profile, open_device
from spectralid.devices.codec.ocean_legacy import PixelMode
from spectralid.devices.driver import Interlock
from spectralid.devices.laser import arm
from spectralid.devices.ocean_legacy import Settings
from spectralid.devices.plan import ScanPlan
from spectralid.devices.session import scan
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.serve import serve_pty
from spectralid.errors import ParameterError, ProtocolError, TransportError
from tests.devices.legacy_lines import BENCH, FLAME, PIXELS, SAD500, Rig, with_options

# A laser that hangs on the strobe line, and one that somebody switches by hand.
LASER = replace(
    with_options(FLAME, laser_on_strobe_line=True),
    laser_nm=785.0,
    maximum_on_s=120.0,
    safety="The interlock …",
)
BY_HAND = replace(FLAME, laser_nm=785.0, maximum_on_s=120.0, safety="The interlock …")
PLAN = ScanPlan(integration_ms=120.0, averages=4, warning_s=0)


def sent_by(rig):
    """What is written on the line from now on."""
    sent = bytearray()
    write = rig.line.write

    def note(data, deadline):
        sent.extend(data)
        write(data, deadline)

    rig.line.write = note
    return sent


@pytest.mark.parametrize(
    "profile",
    [
        FLAME,
        with_options(FLAME, compression=True),
        with_options(FLAME, data_mode="ascii"),
        with_options(FLAME, scans_to_add=3),
        with_options(FLAME, scans_to_add=3, data_mode="ascii"),
        with_options(FLAME, fast_baud=115200),
        SAD500,
        with_options(SAD500, compression=True, channel=3),
        with_options(SAD500, scans_to_add=5, compression=True),
        with_options(SAD500, data_mode="ascii"),
    ],
    ids=lambda profile: ",".join(f"{k}={v}" for k, v in profile.options.items()),
)
def test_frames(profile):
    rig = Rig(profile, far_baud=9600)
    with rig.open() as driver:
        driver.set_integration(40.0)
        for number in range(1, 4):
            frame = driver.acquire()
            np.testing.assert_array_equal(frame.counts, rig.truth)
            assert frame.verified
            assert frame.integration_ms == 40.0
            assert frame.sequence == (
                number * profile.options.get("scans_to_add", 1)
                if "sad500" in profile.options.values()
                else None
            )
        assert driver.capabilities.payload_checksum == "sum16"
    assert rig.line.closed
    assert rig.line.baud == profile.options.get("fast_baud", 9600)


def test_hash_is_that_of_the_record_as_it_came():
    rig = Rig(FLAME)
    driver = rig.open()
    header = b"\xff\xff\0\0\0\1\0\x64\0\0\x04\xb0\0\0"
    frame = driver.acquire()
    assert frame.raw_sha256 == sha256(header + rig.truth.astype(">u2").tobytes() + b"\xff\xfd").hexdigest()


def test_identity_of_an_instrument_that_stores_its_calibration():
    rig = Rig(FLAME)
    driver = rig.open()
    identity = driver.identify()
    assert identity.serial == "FLMS00123"
    expected = np.polynomial.polynomial.polyval(np.arange(PIXELS), BENCH.reported)
    np.testing.assert_allclose(identity.wavelengths_nm, expected, rtol=1e-8)
    assert driver.capabilities.wavelength_source == "instrument"


@pytest.mark.parametrize("blank", ["ff", "nan", "descending"])
def test_lost_calibration_is_said_or_taken_from_the_profile(blank):
    plain = with_options(FLAME, serial_index=-1)
    with pytest.raises(ProtocolError, match=r"stored in the instrument .* calibration is lost"):
        Rig(plain, f"blank-eeprom:{blank}").open().identify()
    own = replace(plain, wavelength_nm=(500.0, 0.5))
    driver = Rig(own, f"blank-eeprom:{blank}").open()
    np.testing.assert_allclose(driver.identify().wavelengths_nm[:3], [500.0, 500.5, 501.0])
    assert driver.capabilities.wavelength_source == "profile"
    # And what is stored comes first where it is usable.
    driver = Rig(own).open()
    assert driver.identify().wavelengths_nm[0] == BENCH.reported[0]
    assert driver.capabilities.wavelength_source == "instrument"


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1_0", "0x10", "346.5 nm", "--3", "346,5", "\N{SUPERSCRIPT TWO}", "1e", "."]
)
def test_a_stored_text_that_is_no_number_is_no_coefficient(text):
    rig = Rig(FLAME)
    driver = rig.open()
    rig.instrument._constant = lambda index: text.encode("utf-8") + b"\0"
    driver._settings = replace(driver._settings, serial_index=-1)
    with pytest.raises(ProtocolError, match="nan, nan, nan, nan"):
        driver.identify()


@pytest.mark.parametrize("text", ["346.5", "+3.465e2", ".5E+3", "346.", " 346.5 "])
def test_numbers_as_instruments_write_them(text):
    rig = Rig(with_options(FLAME, serial_index=-1))
    driver = rig.open()
    rig.instrument._constant = lambda index: (
        (text if index == 1 else "1" if index == 2 else "0").encode() + b"\0"
    )
    assert driver.identify().wavelengths_nm[0] == float(text)


def test_instrument_that_refuses_to_tell_its_constants():
    rig = Rig(replace(with_options(FLAME, serial_index=-1), wavelength_nm=(500.0, 0.5)))
    driver = rig.open()
    answer = rig.instrument._answer
    rig.instrument._answer = lambda name, operands: (
        rig.instrument._no() if name == "x" else answer(name, operands)
    )
    assert driver.identify().wavelengths_nm[1] == 500.5
    driver._profile = replace(driver.profile, wavelength_nm=())
    with pytest.raises(ProtocolError, match="NAK"):
        driver.identify()


def test_damaged_constants_are_no_reason_to_use_others():
    rig = Rig(replace(with_options(FLAME, serial_index=-1), wavelength_nm=(500.0, 0.5)))
    driver = rig.open()
    different = iter(range(100))
    rig.instrument._constant = lambda index: b"%d\0" % next(different)
    with pytest.raises(ProtocolError, match="differently each time"):
        driver.identify()


def test_unreadable_serial_number():
    with pytest.raises(ProtocolError, match="serial number"):
        Rig(FLAME, "blank-eeprom:ff").open().identify()


def test_sad500_stores_no_calibration():
    identity = Rig(SAD500).open().identify()
    assert identity.serial == "not told"
    np.testing.assert_allclose(identity.wavelengths_nm[:2], [796.5, 796.75])
    with pytest.raises(ProtocolError, match="calibration sheet"):
        Rig(replace(SAD500, wavelength_nm=())).open().identify()


def test_part_of_the_pixels():
    rig = Rig(with_options(FLAME, first_pixel=20, last_pixel=99, pixel_step=3))
    driver = rig.open()
    frame = driver.acquire()
    wavelengths = driver.identify().wavelengths_nm
    assert frame.counts.shape == wavelengths.shape == (27,)
    np.testing.assert_array_equal(frame.counts, rig.truth)
    every = np.polynomial.polynomial.polyval(np.arange(PIXELS), BENCH.reported)
    np.testing.assert_allclose(wavelengths, every[20:100:3], rtol=1e-8)


def test_sum_of_scans_has_a_larger_full_scale():
    assert Rig(with_options(FLAME, scans_to_add=4)).open().profile.adc_max == 4 * 65535
    assert Rig(with_options(SAD500, scans_to_add=4)).open().profile.adc_max == 4 * 4095
    assert Rig(replace(with_options(SAD500, scans_to_add=15), adc_max=4500)).open().profile.adc_max == 65535


def test_integration_time():
    rig = Rig(FLAME)
    driver = rig.open()
    driver.set_integration(33.4)
    assert rig.detector.integration_s == 0.033
    assert driver.acquire().integration_ms == 33.0
    for milliseconds in (0.5, 70_000.0, float("nan")):
        with pytest.raises(ParameterError, match="from 1 to 65000 ms"):
            driver.set_integration(milliseconds)
    rig.instrument._settings["I"] = 50
    rig.instrument._set = lambda name, value: rig.instrument._yes()
    with pytest.raises(ProtocolError, match="set to I 80 and says 50"):
        driver.set_integration(80.0)


def test_setting_whose_acknowledgement_is_lost_is_read_back():
    rig = Rig(FLAME)
    driver = rig.open()
    receive = rig.line._instrument.receive

    def lossy(data):
        replies = receive(data)
        return [] if data[:1] == b"I" else replies

    rig.line._instrument.receive = lossy
    driver.set_integration(77.0)
    assert rig.detector.integration_s == 0.077


def test_nothing_is_initialised():
    # Q would switch the SAD500's strobe line on.
    for profile in (FLAME, SAD500):
        rig = Rig(profile)
        sent = sent_by(rig)
        rig.open()
        assert b"Q" not in sent


def test_instrument_without_checksum_goes_on_without():
    rig = Rig(FLAME)
    del rig.instrument._settings["k"]
    rig.instrument._settings = _WithoutChecksum(rig.instrument._settings)
    driver = rig.open()
    frame = driver.acquire()
    assert not frame.verified
    assert driver.capabilities.payload_checksum == "none"
    np.testing.assert_array_equal(frame.counts, rig.truth)


class _WithoutChecksum(dict):
    def __missing__(self, name):
        return 0


def test_reset_instrument_is_set_up_again_before_the_next_frame():
    rig = Rig(
        with_options(FLAME, fast_baud=115200, compression=True), "reset-mid-scan@spectrum-2", far_baud=9600
    )
    driver = rig.open()
    driver.set_integration(40.0)
    driver.acquire()
    with pytest.raises(TransportError):
        driver.acquire()
    assert rig.instrument._settings["I"] == 100
    frame = driver.acquire()
    assert (frame.verified, frame.integration_ms, rig.line.baud) == (True, 40.0, 115200)
    np.testing.assert_array_equal(frame.counts, rig.truth)


def test_other_channel_than_the_one_set():
    rig = Rig(with_options(SAD500, channel=2))
    driver = rig.open()
    rig.instrument._settings["H"] = 5
    with pytest.raises(ProtocolError, match="channel 5 instead of 2"):
        driver.acquire()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dialect": "usb4000"}, "dialect must be one of sad500, flame"),
        ({"data_mode": "hex"}, "data_mode"),
        ({"fast_baud": 14400}, "fast_baud must be 0 or one of 2400"),
        ({"fast_baud": True}, "fast_baud"),
        ({"compression": 1}, "compression must be true or false"),
        ({"compression": True, "data_mode": "ascii"}, "compression must be false in ASCII mode"),
        ({"compression": True, "scans_to_add": 2}, "compression"),
        ({"scans_to_add": 0}, "scans_to_add must be a whole number from 1"),
        ({"dialect": "sad500", "scans_to_add": 16}, "from 1 to 15"),
        ({"channel": 1}, "channel"),
        ({"first_pixel": 200, "last_pixel": 100}, "first_pixel must be at most the last pixel, 100"),
        ({"last_pixel": PIXELS}, "last_pixel"),
        ({"checksum_of_double_words": "bytes"}, "checksum_of_double_words"),
        ({"strobe": True}, "protocol_options must be among dialect, .* got 'strobe'"),
    ],
)
def test_wrong_option_is_named(options, said):
    with pytest.raises(ParameterError, match=said):
        Settings.of(with_options(FLAME, **options))


def test_missing_dialect():
    with pytest.raises(ParameterError, match="dialect"):
        Settings.of(replace(FLAME, options={}))


@pytest.mark.parametrize(("name", "dialect"), [("ocean-flame-s", "flame"), ("ocean-sad500", "sad500")])
def test_bundled_profiles(name, dialect):
    profile = load_profile(name)
    settings = Settings.of(profile)
    assert (settings.dialect, settings.fast_baud) == (dialect, 115200)
    assert (profile.pixels, profile.baud, profile.laser_nm) == (2048, 9600, None)
    assert not settings.laser_on_strobe_line
    assert not profile.tried_on_hardware
    assert settings.pixel_mode == PixelMode()
    assert (settings.serial_index, settings.wavelength_index) == ((0, 1) if dialect == "flame" else (-1, -1))


def test_line_is_closed_when_nothing_answers():
    rig = Rig(FLAME, "silence")
    with pytest.raises(TransportError):
        rig.open()
    assert rig.line.closed


def test_strobe_line_is_no_laser_unless_the_profile_says_so():
    rig = Rig(SAD500)
    driver = rig.open()
    assert rig.detector.laser  # what is on it is on after power-up
    sent = sent_by(rig)
    assert not driver.has_laser()
    assert not driver.capabilities.has_laser
    driver.send_off()
    for call in (lambda: driver.set_laser(True), driver.laser_is_on):
        with pytest.raises(ParameterError, match="strobe line"):
            call()
    assert not sent


def test_laser_on_the_strobe_line():
    rig = Rig(LASER)
    driver = rig.open()
    assert driver.has_laser()
    assert driver.interlock() is Interlock.UNKNOWN
    driver.set_laser(True)
    assert rig.detector.laser
    assert driver.laser_is_on()
    driver.send_off()
    assert not rig.detector.laser
    assert not driver.laser_is_on()


def test_laser_that_is_on_after_power_up_is_off_once_opened():
    rig = Rig(with_options(SAD500, laser_on_strobe_line=True))
    assert rig.detector.laser
    assert not rig.open().laser_is_on()
    assert not rig.detector.laser


def test_off_is_sent_before_the_step_is_found_again():
    rig = Rig(LASER, "silence@spectrum-1")
    driver = rig.open()
    driver.set_laser(True)
    with pytest.raises(TransportError):
        driver.acquire()
    sent = sent_by(rig)
    driver.set_laser(False)
    assert sent.startswith(b"J\0\0")
    assert sent.endswith(b"J\0\0")
    assert not driver.laser_is_on()


def test_abort_ends_a_frame():
    rig = Rig(LASER)
    driver = rig.open()
    driver.abort()
    with pytest.raises(TransportError) as caught:
        driver.acquire()
    assert caught.value.kind == "aborted"
    driver.resume()
    np.testing.assert_array_equal(driver.acquire().counts, rig.truth)


@pytest.mark.parametrize("profile", [LASER, BY_HAND], ids=["strobe line", "by hand"])
def test_scan(profile):
    rig = Rig(profile, far_baud=9600)

    def by_hand(on):
        rig.detector.laser = on

    with rig.open() as driver:
        spectrum = scan(
            driver,
            PLAN,
            token=arm("Kim"),
            acknowledge_unknown_interlock=True,
            light=None if driver.has_laser() else by_hand,
            wait=lambda _: None,
        )
    assert not rig.detector.laser
    near = np.abs(spectrum.axis - 1001.4) < 40
    found = spectrum.axis[near][np.argmax(spectrum.intensity[near])]
    assert found == pytest.approx(1001.4, abs=3)  # a pixel is 3.4 cm⁻¹ wide here, the axis 1 cm⁻¹ off
    assert "checksum_verified" in spectrum.acquisition.flags
    assert ("interlock_unknown" in spectrum.acquisition.flags) is (profile is LASER)
    assert "retake" not in spectrum.acquisition.flags


@pytest.mark.parametrize(("asked", "taken"), [(33.4, 33.0), (10.5, 10.0)])
def test_scan_with_a_time_that_is_no_whole_number(asked, taken):
    rig = Rig(LASER)
    plan = replace(PLAN, integration_ms=asked)
    spectrum = scan(
        rig.open(), plan, token=arm("Kim"), acknowledge_unknown_interlock=True, wait=lambda _: None
    )
    assert spectrum.acquisition.integration_ms == taken
    assert "stale_integration_discarded" not in spectrum.acquisition.flags
    assert rig.detector.taken_s * 1000 == taken


@pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")
@pytest.mark.parametrize(
    "profile", [with_options(FLAME, fast_baud=115200), with_options(SAD500, compression=True)]
)
def test_frames_over_a_pty_whose_rate_counts(profile):
    """On a real port: the far end reads the rate this end has set, and garbles what does not fit."""
    rig = Rig(profile)
    port: list[str] = []
    served = threading.Event()

    def announce(name):
        port.append(name)
        served.set()

    line = FaultyLine(rig.instrument, rig.faults)
    # At 38400, where the profile does not expect it: it has to be found first.
    threading.Thread(
        target=serve_pty,
        args=(line,),
        kwargs={"paced": False, "announce": announce, "baud": 38400},
        daemon=True,
    ).start()
    assert served.wait(10)
    with open_device(port[0], profile) as driver:
        driver.identify()
        driver.set_integration(30.0)
        for _ in range(3):
            frame = driver.acquire()
            np.testing.assert_array_equal(frame.counts, rig.truth)
            assert frame.verified
            assert frame.integration_ms == 30.0


@pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")
def test_bundled_profile_against_the_simulator_in_a_process_of_its_own():
    with (
        Simulator("--protocol", "ocean-legacy", "--baud", "9600", "--seed", "3") as simulator,
        open_device(simulator.port, load_profile("ocean-flame-s")) as driver,
    ):
        identity = driver.identify()
        driver.set_integration(25.0)
        first, second = driver.acquire(), driver.acquire()
    assert identity.wavelengths_nm.shape == first.counts.shape == (2048,)
    assert first.verified
    assert second.verified
    # In the dark: offset and a little dark current, and noise that is never the same twice.
    assert np.mean(first.counts) == pytest.approx(1202, abs=3)
    assert not np.array_equal(first.counts, second.counts)
