"""The driver against the simulated instrument, in memory."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from spectralid.devices.client.errors import RefusedError
from spectralid.devices.codec.obp import Decoder, Frame, Message, encode
from spectralid.devices.driver import Interlock
from spectralid.devices.laser import LaserOffUnconfirmedError, arm
from spectralid.devices.nonlinearity import linearised
from spectralid.devices.ocean import DetectorNotCooledError, open_ocean
from spectralid.devices.profile import load_profile
from spectralid.devices.session import ScanPlan, scan
from spectralid.devices.sim.faults import NO_FAULTS, Fault, Faults
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.obp import ObpInstrument
from spectralid.devices.sim.physics import Bench, Detector
from spectralid.devices.sim.virtual import VirtualLine
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


def opened(model, *, faults=NO_FAULTS, far_baud=9600, bands=()):
    """Driver, simulated instrument's detector and line of a model, in virtual time."""
    detector = Detector(BENCHES[model], bands, seed=1, faults=faults)
    line = VirtualLine(
        ObpInstrument(detector, "SIM-1", model=model, faults=faults), baud=9600, far_baud=far_baud
    )
    return open_ocean(line, load_profile(f"ocean-{model}")), detector, line


@pytest.mark.parametrize("model", ["sts", "spark", "qe-pro", "ventana-785l"])
def test_models_are_identified_and_measure(model):
    driver, detector, _ = opened(model)
    bench = BENCHES[model]
    identity = driver.identify()
    assert identity.serial == "SIM-1"
    np.testing.assert_allclose(
        identity.wavelengths_nm,
        np.polynomial.polynomial.polyval(np.arange(bench.pixels), np.float32(bench.reported)),
    )
    assert driver.has_laser() is (model == "ventana-785l")
    driver.set_integration(50.0)
    frame = driver.acquire()
    assert frame.verified
    assert frame.counts.shape == (bench.pixels,)
    assert detector.integration_s == 0.05
    assert np.median(frame.counts) == pytest.approx(bench.offset, rel=0.05)


def test_qe_pro_tells_how_each_frame_was_taken():
    driver, detector, _ = opened("qe-pro")
    driver.set_integration(80.0)
    first, second = driver.acquire(), driver.acquire()
    assert (first.integration_ms, second.integration_ms) == (80.0, 80.0)
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.tick_us - first.tick_us == 80_000
    assert first.temperature_c == pytest.approx(-10.0)
    assert first.counts.max() < BENCHES["qe-pro"].adc_max
    assert len(first.raw_sha256) == 64
    assert first.raw_sha256 != second.raw_sha256
    assert driver.capabilities.true_integration
    assert driver.capabilities.tec
    detector.integration_s = 0.2  # behind the driver's back
    assert driver.acquire().integration_ms == 200.0


def test_counts_above_16_bits_come_through():
    driver, _, _ = opened("qe-pro")
    driver.set_integration(900_000.0)
    assert driver.acquire().counts.max() > 65_535


def test_warm_detector_is_refused_until_it_is_cold():
    driver, detector, _ = opened("qe-pro")
    detector.cooler.setpoint_c = -20.0
    with pytest.raises(DetectorNotCooledError, match=r"has -10\.0 °C and is not yet steady at -20\.0 °C"):
        driver.identify()
    detector.cooler.elapse(200.0)
    assert driver.identify().serial == "SIM-1"


def test_nonlinearity_coefficients_make_counts_proportional_to_light():
    driver, _, _ = opened("qe-pro")
    coefficients = driver.nonlinearity()
    assert coefficients == pytest.approx(BENCHES["qe-pro"].nonlinearity)
    raw, straight = [], []
    for milliseconds in (300_000.0, 600_000.0):
        driver.set_integration(milliseconds)
        # Dark current stands in for light: it is proportional to time.
        above = driver.acquire().counts.astype(float) - BENCHES["qe-pro"].offset
        raw.append(above.mean())
        straight.append(linearised(above, coefficients).mean())
    assert straight[1] / straight[0] == pytest.approx(2.0, abs=0.005)
    assert abs(raw[1] / raw[0] - 2) > 2 * abs(straight[1] / straight[0] - 2)


def test_no_nonlinearity_stored():
    line = patched(
        Message.NONLINEARITY_COEFFICIENT_COUNT, lambda f: replace(f, data=b"", flags=f.flags | 8, error=12)
    )
    driver = open_ocean(line, PROFILE)
    assert driver.nonlinearity() == ()
    np.testing.assert_array_equal(linearised([1.0, 5.0], ()), [1.0, 5.0])


@pytest.mark.parametrize("coefficients", [(0.0,), (1.0, -1.0), (float("nan"),)])
def test_nonlinearity_that_cannot_be_is_refused(coefficients):
    with pytest.raises(ParameterError, match="nonlinearity"):
        linearised([0.0, 10.0], coefficients)


def test_nonlinearity_formula():
    # 1000 / (0.9 + 1e-5 · 1000 + 2e-9 · 1000²) = 1000 / 0.912
    assert linearised([1000.0], (0.9, 1e-5, 2e-9))[0] == pytest.approx(1000 / 0.912)


def test_fast_line_is_used_and_given_back():
    driver, _, line = opened("sts")
    assert line.baud == 115_200
    driver.close()
    assert line.baud == 9600
    assert line.closed


def test_instrument_left_at_the_fast_rate_is_found():
    driver, _, line = opened("sts", far_baud=115_200)
    assert driver.identify().serial == "SIM-1"
    assert line.baud == 115_200


def test_waiting_frame_with_the_old_integration_time_is_called_off():
    faults = Faults([Fault("stale-integration", "5")])
    driver, _, _ = opened("qe-pro", faults=faults)
    driver.set_integration(30.0)
    assert driver.acquire().integration_ms == 30.0


def test_cooler_is_set_and_read_back():
    driver, detector, _ = opened("qe-pro")
    detector.cooler.on = False
    driver.cool_to(-15.5)
    assert (detector.cooler.on, detector.cooler.setpoint_c) == (True, -15.5)
    detector.cooler.elapse(300.0)
    assert driver.temperature_c() == pytest.approx(-15.5, abs=0.01)
    with pytest.raises(RefusedError, match="invalid"):
        driver.cool_to(-100.0)


def qe_pro_with(message, change):
    """Driver of a QE Pro on a line where answers to `message` are changed."""

    def damage(answer):
        (frame,) = Decoder().feed(answer)
        return encode(change(frame)) if frame.message == message else answer

    device = ObpInstrument(Detector(BENCHES["qe-pro"], (), seed=1), "SIM-1", model="qe-pro")
    return open_ocean(line_to(device, damage), load_profile("ocean-qe-pro"))


def test_setpoint_that_is_not_kept_is_said():
    driver = qe_pro_with(Message.TEC_SETPOINT, lambda f: replace(f, data=struct.pack("<f", 5.0)))
    with pytest.raises(ProtocolError, match="set to -10 °C and the instrument says 5 °C"):
        driver.cool_to(-10.0)


def test_temperature_that_is_no_number_is_said():
    driver = qe_pro_with(Message.TEC_TEMPERATURE, lambda f: replace(f, data=struct.pack("<f", float("nan"))))
    with pytest.raises(ProtocolError, match="gives nan for the temperature"):
        driver.acquire()


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (Message.NONLINEARITY_COEFFICIENT_COUNT, lambda driver: driver.nonlinearity()),
        (Message.ABORT, lambda driver: driver.set_integration(50.0)),
    ],
)
def test_refusal_for_another_reason_than_not_knowing_is_an_error(message, call):
    driver = qe_pro_with(message, lambda f: replace(f, data=b"", flags=f.flags | 8, error=7))
    with pytest.raises(RefusedError, match="not ready"):
        call(driver)


def test_instrument_that_cannot_abort_is_set_all_the_same():
    driver = qe_pro_with(Message.ABORT, lambda f: replace(f, data=b"", flags=f.flags | 8, error=2))
    driver.set_integration(50.0)
    assert driver.acquire().integration_ms == 50.0


def test_urgent_off_waits_for_no_answer():
    device = instrument()
    line = line_to(device)
    driver = open_ocean(line, PROFILE)
    driver.set_laser(True)
    driver.send_off()
    assert not device._detector.laser
    assert line.requests[-1].flags == 0
    driver, _, line = opened("sts")
    before = line.now_s
    driver.send_off()
    assert line.now_s == before, "without a laser nothing is sent"


def test_line_that_is_gone_can_be_closed():
    faults = Faults([Fault("unplug", first=1, spectrum_only=True)])
    detector = Detector(BENCHES["sts"], (), seed=1)
    far = FaultyLine(ObpInstrument(detector, "SIM-1", model="sts"), faults)
    line = VirtualLine(far, baud=9600, far_baud=9600)
    driver = open_ocean(line, load_profile("ocean-sts"))
    with pytest.raises((TransportError, ProtocolError)):
        driver.acquire()
    driver.close()
    assert line.closed


def test_silent_at_both_rates_names_the_first():
    line = VirtualLine(ObpInstrument(Detector(BENCHES["sts"], (), seed=1), "S"), baud=9600, far_baud=57_600)
    with pytest.raises((TransportError, ProtocolError), match="checksum type"):
        open_ocean(line, load_profile("ocean-sts"))
    assert line.baud == 9600
    assert line.closed
