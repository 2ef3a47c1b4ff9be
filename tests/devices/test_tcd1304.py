"""TCD1304 boards: command and readout against the firmware's facts, and against a board that misbehaves."""

import contextlib
import os
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.devices import Interlock, ScanPlan, load_profile, open_device, scan
from spectralid.devices.client.tcd1304 import QUIET_S, Tcd1304Client
from spectralid.devices.codec.tcd1304 import (
    ADC_MAX,
    FRAME_BYTES,
    PEDESTAL,
    Periods,
    decode,
    encode,
    periods,
)
from spectralid.devices.laser import LaserRefusedError
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.serve import Reply
from spectralid.devices.sim.tcd1304 import Tcd1304Instrument
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.devices.tcd1304 import Tcd1304Driver, open_tcd1304
from spectralid.errors import ParameterError, ProtocolError, TransportError
from tests.devices.wasatch_lines import BANDS

PROFILE = load_profile("tcd1304-er")
F401 = {"clock_hz": 2e6, "shortest_sh": 20, "longest_sh": 2**32 - 1}
F103 = {"clock_hz": 8e5, "shortest_sh": 8, "longest_sh": 2**16 - 1}


def with_options(**options):
    return replace(PROFILE, options=MappingProxyType({**PROFILE.options, **options}))


def board(**kwargs) -> Tcd1304Instrument:
    return Tcd1304Instrument(Detector(BENCHES["tcd1304-er"], BANDS, seed=6), **kwargs)


def line_to(instrument) -> VirtualLine:
    return VirtualLine(instrument, baud=115_200)


def readout(signal=None, dark=3800, noise=2.0, seed=0) -> np.ndarray:
    """Words of a readout: `signal` counts of light on 3648 pixels."""
    words = dark + np.rint(np.random.default_rng(seed).normal(0, noise, 3694)).astype(np.int64)
    if signal is not None:
        words[32:3680] -= signal
    return np.clip(words, 0, ADC_MAX)


def as_bytes(words) -> bytes:
    return b"".join(int(word).to_bytes(2, "little") for word in words)


LIGHT = np.rint(1500 * np.exp(-(((np.arange(3648) - 1000) / 30) ** 2)) + 200).astype(np.int64)


# --- command -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "golden"),
    [
        # SH 200, ICG 100000 ticks: 0.1 ms of exposure read out every 50 ms.
        ("pc-ready", "4552 000000c8 000186a0 01 00"),
        ("single-continuous", "4552 000000c8 000186a0 00 01"),
    ],
)
def test_golden_command(dialect, golden):
    assert encode(Periods(200, 100_000), dialect).hex() == golden.replace(" ", "")


@given(st.floats(0.01, 20_000), st.sampled_from([F401, F103]))
def test_periods_keep_the_limits_of_the_sensor(exposure_ms, of_board):
    clock_hz = of_board["clock_hz"]
    try:
        found = periods(exposure_ms, **of_board)
    except ParameterError:
        assert exposure_ms > 1000 * of_board["longest_sh"] / clock_hz
        return
    assert found.icg >= 14_776
    assert found.icg % found.sh == 0
    assert of_board["shortest_sh"] <= found.sh <= of_board["longest_sh"]
    assert found.sh / clock_hz * 1000 == pytest.approx(exposure_ms, abs=500 / clock_hz)
    # No longer than needed: one exposure more than the sensor takes to read out.
    assert found.icg < 14_776 + found.sh


@pytest.mark.parametrize(
    ("exposure_ms", "of_board"),
    [(0.009, F401), (0.0, F401), (float("nan"), F401), (2.2e6, F401), (82.0, F103), (0.009, F103)],
)
def test_exposure_the_board_cannot_make(exposure_ms, of_board):
    with pytest.raises(ParameterError, match="integration time must be from"):
        periods(exposure_ms, **of_board)


def test_key_inside_the_numbers_is_avoided():
    # 0x4552 ticks: the firmware would begin to read there.
    assert b"ER" in (0x4552).to_bytes(4, "big")
    for ticks in (0x4552, 0x455200, 0x455201, 0x4552 * 2**8 + 0x45):
        found = periods(ticks / 2000, **F401)
        assert encode(found, "pc-ready").count(b"ER") == 1
        assert abs(found.sh - ticks) <= 256


@pytest.mark.parametrize(("sh", "icg"), [(20, 14_760), (30, 14_780), (0, 15_000), (2**32, 2**32), (200, 100)])
def test_periods_that_may_hang_the_firmware_are_not_sent(sh, icg):
    with pytest.raises(ParameterError, match="ICG a multiple of SH"):
        encode(Periods(sh, icg), "pc-ready")


# --- readout -----------------------------------------------------------------------------------------------


def test_signal_is_turned_round_and_counted_from_the_shielded_pixels():
    reading = decode(as_bytes(readout(LIGHT, dark=3712, noise=0.0)))
    assert reading.dark_level == 3712
    np.testing.assert_array_equal(reading.counts, LIGHT + PEDESTAL)
    np.testing.assert_array_equal(reading.raw, 3712 - LIGHT)


def test_drift_of_the_dark_level_does_not_count():
    high, low = (decode(as_bytes(readout(LIGHT, dark=dark, noise=0.0))).counts for dark in (3900, 3650))
    np.testing.assert_array_equal(high, low)


@given(st.integers(0, FRAME_BYTES - 40), st.binary(min_size=1, max_size=1), st.integers(0, 50), st.booleans())
def test_byte_lost_with_another_in_its_place_shows(place, other, seed, lit):
    good = as_bytes(readout(LIGHT if lit else None, seed=seed))
    decode(good)
    with pytest.raises(ProtocolError, match=r"lost or added"):
        decode(good[:place] + good[place + 1 :] + other)


@given(st.integers(0, FRAME_BYTES - 40), st.integers(0, 255), st.integers(0, 50))
def test_byte_added_shows(place, other, seed):
    good = as_bytes(readout(LIGHT, seed=seed))
    with pytest.raises(ProtocolError, match=r"lost or added"):
        decode(good[:place] + bytes([other]) + good[place:-1])


def test_bytes_in_the_other_order_show():
    with pytest.raises(ProtocolError, match="larger than the converter's 4095"):
        decode(as_bytes(readout(LIGHT).astype(np.uint16).byteswap()))


def test_words_all_below_4096_in_either_order_show_by_their_steps():
    # Dark at 0x0E08 with noise of a count or two: each byte is below 16.
    words = readout(None, dark=0x0E08, noise=1.0)
    assert np.all(words.astype(np.uint16).byteswap() <= ADC_MAX)
    with pytest.raises(ProtocolError, match="out of step"):
        decode(as_bytes(words.astype(np.uint16).byteswap()))


def test_shielded_pixels_in_the_light_show():
    # 25 counts lost at the beginning: what sees light lies where the shielded pixels should.
    words = np.append(readout(np.arange(3648) % 100 * 20)[25:], np.full(25, 3800))
    with pytest.raises(ProtocolError, match="pixels that see no light"):
        decode(as_bytes(words))


def test_sensor_that_is_not_inverted_shows():
    words = readout(None, dark=300)
    words[32:3680] += LIGHT + 200
    with pytest.raises(ProtocolError, match="pixels that see no light"):
        decode(as_bytes(words))


@pytest.mark.parametrize("length", [0, FRAME_BYTES - 2, FRAME_BYTES - 1, FRAME_BYTES + 1, FRAME_BYTES + 2])
def test_wrong_length(length):
    with pytest.raises(ProtocolError, match=f"not {length}"):
        decode(bytes(length))


# --- the simulated board -----------------------------------------------------------------------------------


COMMAND = encode(Periods(2000, 16_000), "pc-ready")


def test_board_answers_with_one_readout():
    (reply,) = board().receive(COMMAND)
    assert len(reply.data) == FRAME_BYTES
    assert reply.spectrum
    # Three clearing cycles of 7.5 ms, and three of 8 ms.
    assert reply.busy_s == pytest.approx(0.0465)


def test_board_that_is_not_asked_for_data_sends_none():
    quiet = COMMAND[:10] + b"\0\0"
    assert board().receive(quiet) == []
    assert len(board(dialect="single-continuous").receive(quiet)) == 1


def test_byte_11_averages_in_the_later_dialect():
    command = encode(Periods(200_000, 200_000), "single-continuous")
    noise = []
    for averages in (1, 16):
        device = board(dialect="single-continuous")
        first, second = (
            decode(device.receive(command[:-1] + bytes([averages]))[0].data).counts for _ in range(2)
        )
        noise.append((first - second)[1100:1200].std())
    assert noise[1] < 0.4 * noise[0]


def test_board_finds_the_key_in_any_rotation():
    for lost in range(1, 12):
        device = board()
        device.receive(COMMAND[lost:])
        replies = [reply for _ in range(3) for reply in device.receive(COMMAND)]
        # Out of step, and it answers all the same, each time with the first bytes of the command after.
        assert len(replies) >= 2
        for reply in replies[1:]:
            assert decode(reply.data).dark_level == pytest.approx(ADC_MAX - 300, abs=2)


def test_board_with_impossible_periods_sends_nothing():
    for sh, icg in ((2000, 16_001), (2000, 14_000), (10, 15_000)):
        assert board().receive(b"ER" + sh.to_bytes(4, "big") + icg.to_bytes(4, "big") + b"\1\0") == []


def test_simulated_board_needs_its_sensor():
    with pytest.raises(ParameterError, match="3648"):
        Tcd1304Instrument(Detector(BENCHES["wasatch-uart"], (), seed=0))


# --- client ------------------------------------------------------------------------------------------------


GOOD = as_bytes(readout(LIGHT))


class Scripted:
    """Answers each write with the next of some byte strings; keeps what was written."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.written: list[bytes] = []

    def receive(self, data):
        self.written.append(data)
        return [Reply(self.answers.pop(0))] if self.answers else []


def test_readout_and_its_time():
    far = Scripted(GOOD, GOOD, GOOD)
    line = line_to(far)
    asking = Tcd1304Client(line)
    assert asking.read_out(COMMAND, busy_s=0.1) == GOOD
    assert far.written == [COMMAND] * 2
    before_s = line.now_s
    assert asking.read_out(COMMAND, busy_s=0.1) == GOOD
    assert far.written == [COMMAND] * 3
    # 0.641 s for 7388 bytes.
    assert line.now_s - before_s == pytest.approx(0.641 + 12 * 10 / 115_200 + QUIET_S, abs=0.02)


def test_first_readout_of_a_new_command_is_thrown_away():
    mixed = as_bytes(readout(LIGHT, seed=1))
    far = Scripted(mixed, GOOD, GOOD, mixed, GOOD)
    asking = Tcd1304Client(line_to(far))
    other = encode(Periods(4000, 16_000), "pc-ready")
    assert [asking.read_out(c, busy_s=0.1) for c in (COMMAND, COMMAND, other)] == [GOOD] * 3
    assert far.written == [COMMAND] * 3 + [other] * 2


def test_silence_is_a_timeout_within_the_deadline():
    line = line_to(Scripted())
    with pytest.raises(TransportError, match="sent nothing") as caught:
        Tcd1304Client(line).read_out(COMMAND, busy_s=1.0)
    assert caught.value.kind == "timeout"
    # Once for each of the two commands.
    assert line.now_s == pytest.approx(2 * (1.0 + 0.642 + 0.5), abs=0.2)


@pytest.mark.parametrize("lost", [1, 2, 500, FRAME_BYTES - 1])
def test_short_readout_is_an_error_and_the_next_one_works(lost):
    asking = Tcd1304Client(line_to(Scripted(GOOD, GOOD[lost:], GOOD, GOOD)))
    with pytest.raises(ProtocolError, match=f"broke off after {FRAME_BYTES - lost} of 7388 bytes"):
        asking.read_out(COMMAND, busy_s=0.1)
    assert asking.read_out(COMMAND, busy_s=0.1) == GOOD


@pytest.mark.parametrize("more", [b"\0", GOOD])
def test_long_readout_is_an_error_and_the_next_one_works(more):
    asking = Tcd1304Client(line_to(Scripted(GOOD, GOOD + more, GOOD, GOOD)))
    with pytest.raises(ProtocolError, match="more than the 7388 bytes"):
        asking.read_out(COMMAND, busy_s=0.1)
    assert asking.read_out(COMMAND, busy_s=0.1) == GOOD


def test_late_readout_is_not_taken_for_the_next_one():
    late = as_bytes(readout(LIGHT, seed=1))
    asking = Tcd1304Client(line_to(Scripted(late, b"", late + late, GOOD)))
    with pytest.raises(TransportError):
        asking.read_out(COMMAND, busy_s=0.1)
    assert asking.read_out(COMMAND, busy_s=0.1) == GOOD


def test_readout_nobody_asked_for_is_told():
    line = line_to(Scripted(GOOD, GOOD))
    asking = Tcd1304Client(line)
    asking.read_out(COMMAND, busy_s=0.1)
    line._arriving.append((line.now_s, GOOD))
    with pytest.raises(ProtocolError, match=r"nobody asked for.*dialect"):
        asking.read_out(COMMAND, busy_s=0.1)


def test_greeting_is_thrown_away():
    line = line_to(Scripted(GOOD, GOOD))
    line._arriving.append((0.0, b"boot ok\r\n"))
    assert Tcd1304Client(line).read_out(COMMAND, busy_s=0.1) == GOOD


class Lossy:
    """A line on which the first `commands` commands lose the bytes at `places`."""

    def __init__(self, instrument, places, commands=1):
        self._instrument, self._places, self._left = instrument, places, commands

    def receive(self, data):
        if self._left:
            self._left -= 1
            data = bytes(byte for place, byte in enumerate(data) if place not in self._places)
        return self._instrument.receive(data)


@pytest.mark.parametrize("dialect", ["pc-ready", "single-continuous"])
@settings(max_examples=40)
@given(
    places=st.sets(st.integers(0, 11), min_size=1, max_size=12),
    commands=st.integers(1, 3),
    then=st.sampled_from([1.0, 250.0]),
)
def test_board_out_of_step_gives_an_error_or_the_exposure_asked_for(dialect, places, commands, then):
    device = board(dialect=dialect)
    asking = Tcd1304Client(line_to(Lossy(device, places, commands)))
    for _ in range(commands):
        with contextlib.suppress(ProtocolError, TransportError):
            asking.read_out(encode(periods(100.0, **F401), dialect), busy_s=0.4)
    # The next one has its own exposure, and not that of the damaged command.
    command = encode(periods(then, **F401), dialect)
    if dialect == "single-continuous":
        # A damaged command may set this board to long or endless readouts, which the simulated one ends late.
        for _ in range(8):
            with contextlib.suppress(ProtocolError, TransportError):
                asking.read_out(command, busy_s=8.0)
                break
    assert len(asking.read_out(command, busy_s=1.5)) == FRAME_BYTES
    assert device._detector.integration_s * 1000 == pytest.approx(then)


def test_interrupted_readout_is_waited_out_by_the_next():
    device = board()
    line = line_to(device)
    asking = Tcd1304Client(line)
    asking.read_out(COMMAND, busy_s=0.1)
    read = line.read

    def interrupted(at_most, deadline):
        if deadline.seconds > 0.2:
            line.read = read
            raise KeyboardInterrupt
        return read(at_most, deadline)

    line.read = interrupted
    with pytest.raises(KeyboardInterrupt):
        asking.read_out(COMMAND, busy_s=0.1)
    before = device._detector.frames
    asking.read_out(COMMAND, busy_s=0.1)
    assert device._detector.frames == before + 2  # one thrown away behind the one nobody took
    assert not line._arriving


def test_abort_ends_a_call():
    line = line_to(board())
    asking = Tcd1304Client(line)
    line.abort()
    with pytest.raises(TransportError) as caught:
        asking.read_out(COMMAND, busy_s=0.1)
    assert caught.value.kind == "aborted"
    line.resume()
    assert len(asking.read_out(COMMAND, busy_s=0.1)) == FRAME_BYTES


# --- driver ------------------------------------------------------------------------------------------------


def opened(profile=PROFILE, **kwargs) -> Tcd1304Driver:
    return open_tcd1304(line_to(board(**kwargs)), profile)


def test_identity_comes_from_the_profile():
    driver = opened(with_options(serial="DIY-3"))
    identity = driver.identify()
    assert (identity.serial, identity.laser_nm) == ("DIY-3", None)
    np.testing.assert_allclose(identity.wavelengths_nm, 790.0 + 0.07 * np.arange(3648))
    assert opened().identify().serial == "not told"


def test_there_is_no_laser_here():
    driver = opened()
    assert not driver.capabilities.has_laser
    assert not driver.has_laser()
    assert driver.interlock() is Interlock.UNKNOWN
    assert (driver.capabilities.wavelength_source, driver.capabilities.excitation_source) == ("profile",) * 2
    # Neither switched nor said to be off.
    for call in (lambda: driver.set_laser(True), lambda: driver.set_laser(False), driver.laser_is_on):
        with pytest.raises(LaserRefusedError, match="no laser that can be"):
            call()
    driver.send_off()


def test_frame():
    driver = opened()
    driver.set_integration(50.0)
    frame = driver.acquire()
    assert not frame.verified
    assert frame.counts.shape == (3648,)
    assert len(frame.raw_sha256) == 64
    light = frame.counts.max()
    driver.set_integration(100.0)
    assert driver.acquire().counts.max() - PEDESTAL == pytest.approx(2 * (light - PEDESTAL), rel=0.03)


def test_saturated_pixels_show_the_largest_count():
    dim = opened(with_options(saturation_raw=3000))
    dim.set_integration(500.0)
    plain = opened()
    plain.set_integration(500.0)
    counts, other = dim.acquire().counts, plain.acquire().counts
    full = other - PEDESTAL >= 3795 - 3000 + 2
    assert full.any()
    assert not full.all()
    assert np.all(counts[full] == PROFILE.adc_max)
    assert np.all(counts[other - PEDESTAL < 3795 - 3000 - 2] < PROFILE.adc_max)


@pytest.mark.parametrize("milliseconds", [0.001, 30_000.0, float("nan")])
def test_integration_outside_the_limits(milliseconds):
    with pytest.raises(ParameterError, match=r"integration time must be from 0\.01 to 20000 ms"):
        opened().set_integration(milliseconds)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("dialect", "french"),
        ("master_clock_hz", 0),
        ("shortest_sh", "few"),
        ("saturation_raw", 5000),
        ("averages", 3),
    ],
)
def test_wrong_options_are_refused_and_the_line_closed(option, value):
    line = line_to(board())
    with pytest.raises(ParameterError, match=option):
        open_tcd1304(line, with_options(**{option: value}))
    assert line.closed


@pytest.mark.parametrize("change", [{"pixels": 3694}, {"wavelength_nm": ()}])
def test_profile_that_does_not_fit(change):
    with pytest.raises(ParameterError):
        opened(replace(PROFILE, **change))


def test_wrong_dialect_is_told():
    # What asks the later firmware for one averaged readout tells the earlier one to send nothing.
    with pytest.raises(TransportError, match="dialect"):
        opened(with_options(dialect="single-continuous"))
    # And what asks the earlier one for data sets the later one to sending for ever.
    with pytest.raises(ProtocolError, match="more than"):
        opened(dialect="single-continuous")


def test_bundled_profile():
    assert not PROFILE.tried_on_hardware
    assert (PROFILE.baud, PROFILE.adc_max) == (115_200, 4095)
    assert "neither switches" in PROFILE.safety


PLAN = ScanPlan(integration_ms=200.0, averages=2, warning_s=0)


def test_scan_with_a_laser_switched_by_hand():
    device = board()
    switched: list[bool] = []

    def by_hand(on: bool) -> None:
        switched.append(on)
        device._detector.laser = on

    spectrum = scan(open_tcd1304(line_to(device), PROFILE), PLAN, light=by_hand)
    assert switched == [True, False]
    assert "checksum_absent" in spectrum.acquisition.flags
    assert "interlock_unknown" not in spectrum.acquisition.flags
    assert spectrum.acquisition.laser_nm == 785.0
    assert abs(spectrum.axis[np.argmax(spectrum.intensity)] - 1001.4) < 4


@pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")
def test_readouts_over_a_serial_line():
    with (
        Simulator("--protocol", "tcd1304-er", "--substance", "polystyrene", "--seed", "3") as simulator,
        open_device(simulator.port, PROFILE) as driver,
    ):
        driver.set_integration(100.0)
        frames = [driver.acquire().counts for _ in range(3)]
    assert frames[0].shape == (3648,)
    assert not np.array_equal(frames[0], frames[1])
    assert np.corrcoef(frames[0], frames[2])[0, 1] > 0.95
