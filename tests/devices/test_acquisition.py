"""What becomes of the frames: stale, dead, saturated, drifting ones, the noise, and the record of it all."""

from dataclasses import replace

import numpy as np
import pytest

from spectralid.devices.acquisition import Acquirer
from spectralid.devices.driver import RawFrame
from spectralid.devices.frames import Frames, RunningSnr, dead_pixels
from spectralid.devices.laser import arm
from spectralid.devices.nonlinearity import linearised
from spectralid.devices.plan import ScanPlan, Stage
from spectralid.devices.record import RetakeError
from spectralid.devices.session import Session, scan
from spectralid.devices.state import State
from spectralid.errors import ParameterError, ProtocolError
from spectralid.spectrum import ProcessingStep
from tests.devices.lines import PROFILE, FakeDriver

PLAN = ScanPlan(integration_ms=100.0, averages=4, warning_s=0.0)


def run(driver, plan=PLAN, **kwargs):
    return scan(driver, plan, token=arm("Kim"), acknowledge_unknown_interlock=True, **kwargs)


def acquirer(told, plan=PLAN, averages=4):
    """One whose frames say the integration times `told`, one after the other, the last for ever."""
    times = list(told)

    def acquire(_):
        value = times.pop(0) if len(times) > 1 else times[0]
        taken.append(value)
        return RawFrame(np.arange(PROFILE.pixels), verified=True, integration_ms=value)

    taken = []
    made = Acquirer(PROFILE, plan, pixels=PROFILE.pixels, acquire=acquire, set_integration=lambda _: None)
    made.expose()
    return made, taken


@pytest.mark.parametrize("stale", range(9))
def test_stale_frames_are_discarded(stale):
    made, taken = acquirer([50.0] * stale + [100.0])
    frames = made.sample()
    assert [frame.integration_ms for frame in frames.raw] == [100.0] * 4
    assert made.stale == stale
    assert len(taken) == max(stale, 1) + 4  # one frame goes in any case


def test_integration_time_that_never_arrives():
    made, taken = acquirer([50.0])
    with pytest.raises(ProtocolError, match="100 ms and its frames still say 50 ms"):
        made.sample()
    assert len(taken) == 9


def test_integration_time_that_changes_between_frames_is_a_reset():
    made, _ = acquirer([100.0, 100.0, 100.0, 10.0])
    with pytest.raises(ProtocolError, match="from 100 to 10 ms"):
        made.sample()


def test_rounding_of_the_instrument_is_no_change():
    made, taken = acquirer([100.04])
    made.sample()
    assert (made.stale, len(taken)) == (0, 5)


def test_stale_and_actual_integration_time_go_on_record():
    driver = FakeDriver()
    driver.facts = {"integration_ms": 100.02, "tick_us": 7, "sequence": 3, "temperature_c": -10.0}
    facts = run(driver).acquisition
    assert facts.integration_ms == pytest.approx(100.02)
    assert facts.metadata["integration_requested_ms"] == "100"
    assert facts.metadata["integration_actual_ms"] == "100.02"
    assert facts.metadata["device_tick_us"] == "7 to 7"
    assert facts.metadata["device_sequence"] == "3 to 3"
    assert facts.metadata["temperature_c"] == "-10.00"
    driver = FakeDriver()
    acquire = driver.acquire
    driver.acquire = lambda: replace(acquire(), integration_ms=10.0 if driver.frames < 3 else 100.0)
    spectrum = run(driver)
    assert "stale_integration_discarded" in spectrum.acquisition.flags
    assert spectrum.acquisition.metadata["stale_frames_discarded"] == "2"


def test_wrong_number_of_pixels():
    driver = FakeDriver()
    driver.identity = replace(driver.identity, wavelengths_nm=driver.identity.wavelengths_nm[:-1])
    with pytest.raises(ProtocolError, match="1024 pixels and has wavelengths for 1023"):
        run(driver)
    assert not driver.laser


def test_light_that_ends_too_soon_leaves_fewer_averages():
    driver = FakeDriver()
    now = [0.0]
    acquire = driver.acquire

    def slow():
        now[0] += 10.0
        return acquire()

    driver.acquire = slow
    driver.profile = replace(PROFILE, maximum_on_s=60.0)
    spectrum = run(driver, replace(PLAN, averages=20), clock=lambda: now[0])
    # 57 s of light: one frame thrown away and four kept; a sixth would end after them.
    assert spectrum.acquisition.averages == 4
    assert "fewer_averages" in spectrum.acquisition.flags
    assert spectrum.acquisition.metadata["dark_frames"] == "4"


def test_integration_is_verified_by_the_frames_or_not_at_all():
    def measured(silent):
        driver = FakeDriver()
        acquire = driver.acquire
        driver.acquire = lambda: replace(
            acquire(), integration_ms=None if driver.frames % 2 in silent else 100.0
        )
        return run(driver).acquisition

    assert "integration_unverified" not in measured(()).flags
    # A frame that does not say it may have been taken with another.
    facts = measured((0,))
    assert "integration_unverified" in facts.flags
    assert facts.integration_ms == 100.0
    assert "integration_actual_ms" not in facts.metadata


def test_checksum_of_a_single_frame_counts():
    driver = FakeDriver()
    acquire = driver.acquire
    driver.acquire = lambda: replace(acquire(), verified=driver.frames != 9)
    flags = run(driver).acquisition.flags
    assert "checksum_absent" in flags
    assert "checksum_verified" not in flags


def test_dead_pixels_become_missing_points():
    driver = FakeDriver()
    acquire = driver.acquire

    def with_dead():
        frame = acquire()
        frame.counts[[10, 11]] = 0
        frame.counts[500] = PROFILE.adc_max
        return frame

    driver.acquire = with_dead
    spectrum = run(driver)
    assert list(np.flatnonzero(spectrum.missing)) == [10, 11, 500]
    assert "dead_pixels" in spectrum.acquisition.flags
    assert spectrum.acquisition.metadata["dead_points"] == "3"


@pytest.mark.parametrize("dead", [slice(0, None), slice(0, 200)])
def test_detector_without_signal_is_no_measurement(dead):
    driver = FakeDriver()
    acquire = driver.acquire

    def blind():
        frame = acquire()
        frame.counts[dead] = 0
        return frame

    driver.acquire = blind
    session = Session(lambda: driver)
    with session:
        with pytest.raises(RetakeError, match="measure again"):
            session.scan(PLAN, token=arm("Kim"), acknowledge_unknown_interlock=True)
        assert session.state is State.IDLE  # nothing is wrong with the line or the laser


def test_pixel_that_is_dark_is_not_dead():
    light = Frames.of([RawFrame(np.array([0, 5, 65535]), True)])
    dark = Frames.of([RawFrame(np.array([0, 0, 40]), True)])
    assert list(dead_pixels([light, dark], 65535)) == [True, False, False]


def test_saturation_by_a_cosmic_ray_is_flagged_and_no_reason_to_measure_again():
    driver = FakeDriver()
    acquire = driver.acquire

    def hit():
        frame = acquire()
        if driver.frames == 3:
            frame.counts[77] = PROFILE.adc_max
        return frame

    driver.acquire = hit
    flags = run(driver).acquisition.flags
    assert "saturated" in flags
    assert "retake" not in flags
    driver = FakeDriver()
    driver.lines = (100, 131_000, 10.0)
    assert {"saturated", "retake"} <= run(driver).acquisition.flags


def test_repeated_and_drifting_frames_are_flagged():
    driver = FakeDriver()
    driver.lines = (100, 400, 0.0)
    assert "repeated_frames" in run(driver).acquisition.flags
    driver = FakeDriver()
    acquire = driver.acquire
    driver.acquire = lambda: replace(acquire(), temperature_c=-10.0 + (0 if driver.laser else 1.5))
    flags = run(driver).acquisition.flags
    assert "temperature_drift" in flags
    assert "repeated_frames" not in flags


def test_light_switched_by_hand():
    driver = FakeDriver()
    driver.laser_fitted = False
    switched = []

    def by_hand(on):
        driver.laser = on
        switched.append((on, driver.frames))

    driver.laser = False
    spectrum = scan(driver, replace(PLAN, operator="Kim"), light=by_hand)
    assert switched == [(True, 0), (False, 5)]
    assert "laser on" not in driver.log
    assert spectrum.acquisition.operator == "Kim"
    assert spectrum.acquisition.metadata["laser_during_scan"] == "not switched by software"
    ramp = np.arange(PROFILE.pixels) / PROFILE.pixels
    np.testing.assert_allclose(spectrum.intensity, 400 * ramp, atol=1)
    driver.laser = True
    undarkened = scan(driver, replace(PLAN, dark=False))
    assert "dark_absent" in undarkened.acquisition.flags
    assert undarkened.history == ()
    assert undarkened.sd is not None


def test_calibrations_are_applied_and_named():
    class Shift:
        def __init__(self, name, by):
            self.name, self.by = name, by

        def apply(self, spectrum):
            step = ProcessingStep(self.name, {"by": self.by}, "1")
            return spectrum.processed(
                step, axis=spectrum.axis + self.by, intensity=spectrum.intensity, sd=spectrum.sd
            )

    driver = FakeDriver()
    plain = run(driver)
    spectrum = run(driver, axis_calibration=Shift("axis", 2.0), intensity_calibration=Shift("intensity", 0.0))
    assert [step.name for step in spectrum.history] == ["dark_subtraction", "intensity", "axis"]
    np.testing.assert_allclose(spectrum.axis, plain.axis + 2.0)
    assert "uncalibrated_axis" not in spectrum.acquisition.flags
    other = run(driver, axis_calibration=Shift("axis", 2.5), intensity_calibration=Shift("intensity", 0.0))
    named = {s.acquisition.metadata.get("calibration_id") for s in (plain, spectrum, other)}
    assert len(named) == 3
    assert None in named


def test_counts_are_linearised_with_the_units_own_coefficients():
    coefficients = (0.98, 1e-5)
    driver = FakeDriver()
    driver.lines = (100, 4000, 30.0)
    plain = run(driver)
    driver.identity = replace(driver.identity, nonlinearity=coefficients)
    spectrum = run(driver)
    known = plain.intensity != 0
    np.testing.assert_allclose(
        spectrum.intensity[known], linearised(plain.intensity[known], coefficients), rtol=1e-12
    )
    assert spectrum.history[-1].name == "linearise_counts"
    driver.identity = replace(driver.identity, nonlinearity=(float("nan"),))
    with pytest.raises(ProtocolError, match="nonlinearity coefficients"):
        run(driver)


@pytest.mark.parametrize(
    ("unit", "profile", "error", "said"),
    [
        (None, None, ParameterError, "excitation wavelength"),
        (0.0, 785.0, ProtocolError, "makes no sense"),
        (float("nan"), None, ProtocolError, "makes no sense"),
        (532.0, 785.0, ProtocolError, "choose the profile"),
    ],
)
def test_excitation_must_make_sense(unit, profile, error, said):
    driver = FakeDriver()
    driver.profile = replace(PROFILE, laser_nm=profile)
    driver.identity = replace(driver.identity, laser_nm=unit)
    with pytest.raises(error, match=said):
        run(driver)
    assert "laser on" not in driver.log


def test_excitation_of_the_unit_counts():
    driver = FakeDriver()
    driver.identity = replace(driver.identity, laser_nm=784.2)
    assert run(driver).acquisition.laser_nm == 784.2


def frames_with(height, noise, count, seed=3):
    """Frames of a band 20 pixels wide on a slope, with a hot pixel, in Gaussian noise."""
    rng = np.random.default_rng(seed)
    x = np.arange(1024)
    clean = 1000 + 0.5 * x + height * np.exp(-0.5 * ((x - 400) / 8.5) ** 2)
    clean[700] += 20 * height
    return clean + rng.normal(0, noise, (count, x.size))


@pytest.mark.parametrize(("height", "noise", "count"), [(100.0, 10.0, 16), (400.0, 10.0, 64), (50.0, 2.0, 9)])
def test_signal_to_noise_ratio(height, noise, count):
    running = RunningSnr()
    told = [running.add(frame) for frame in frames_with(height, noise, count)]
    assert told[0] is None
    # √2: the dark is no noisier than the sample and is averaged over as many frames.
    assert told[-1] == pytest.approx(height / (noise * np.sqrt(2 / count)), rel=0.15)


def test_signal_to_noise_ratio_of_no_band_is_small():
    assert Frames.of([RawFrame(f, True) for f in frames_with(0.0, 10.0, 30)]).snr < 6


def test_bleaching_is_no_noise():
    frames = frames_with(200.0, 5.0, 40)
    bleaching = frames + 2000 * np.exp(-np.arange(40) / 20)[:, None]
    steady, fading = (Frames.of([RawFrame(f, True) for f in taken]).snr for taken in (frames, bleaching))
    # The plain variance between frames would make it forty times smaller.
    assert fading > steady / 10


def test_averaging_until_the_ratio_is_reached_stops_there():
    driver = FakeDriver()
    rng = np.random.default_rng(5)
    clean = frames_with(300.0, 0.0, 1)[0]
    driver.acquire = lambda: RawFrame(
        np.rint(clean * driver.laser + 200 + rng.normal(0, 10, clean.size)).astype(np.int64), True
    )
    seen = []
    spectrum = run(driver, replace(PLAN, averages=200, until_snr=100.0), progress=seen.append)
    ratios = [step.snr for step in seen if step.stage is Stage.SAMPLE]
    assert ratios[-1] >= 100 > max(ratios[1:-1])
    # What is shown while it comes in is the mean so far: its noise falls with the frames.
    shown = [step.mean - clean - 200 for step in seen if step.stage is Stage.SAMPLE]
    assert np.std(shown[0]) == pytest.approx(10, rel=0.15)
    assert np.std(shown[-1]) == pytest.approx(10 / np.sqrt(len(shown)), rel=0.15)
    assert spectrum.acquisition.averages == len(ratios) < 50
    assert "fewer_averages" not in spectrum.acquisition.flags
    # What was promised holds with the dark subtracted.
    peak = slice(380, 421)
    assert 300.0 / np.median(spectrum.sd[peak]) > 95
