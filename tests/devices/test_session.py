"""A scan with an instrument whose failures the test sets: laser safety first, numbers second."""

import numpy as np
import pytest

from spectralid.devices.axis import raman_shift
from spectralid.devices.driver import Interlock
from spectralid.devices.laser import (
    LaserOffUnconfirmedError,
    LaserRefusedError,
    arm,
    check_token,
    switch_off,
)
from spectralid.devices.plan import ScanPlan, Stage
from spectralid.devices.record import RetakeError
from spectralid.devices.session import scan
from spectralid.errors import DeviceError, ParameterError, TransportError
from spectralid.spectrum import IntensityUnit, Technique
from tests.devices.lines import PROFILE, FakeDriver, lost, with_maximum

PLAN = ScanPlan(integration_ms=100.0, averages=4, warning_s=0.0)


def run(driver, plan=PLAN, *, acknowledge=True, **kwargs):
    return scan(driver, plan, token=arm("Kim"), acknowledge_unknown_interlock=acknowledge, **kwargs)


def test_order_of_a_scan():
    driver = FakeDriver()
    run(driver)
    assert driver.log == [
        "laser off",
        "read laser",
        "identify",
        "laser on",
        "read laser",
        "set_integration",
        *["acquire on"] * 5,
        "read laser",
        "laser off",
        "read laser",
        *["acquire off"] * 5,
    ]
    assert not driver.laser


def test_numbers_and_facts():
    driver = FakeDriver()
    driver.lines = (100, 4000, 30.0)
    spectrum = run(driver)
    ramp = np.arange(PROFILE.pixels) / PROFILE.pixels
    np.testing.assert_allclose(spectrum.intensity, 4000 * ramp, atol=1.0)
    np.testing.assert_allclose(spectrum.axis, raman_shift(np.linspace(800.0, 1000.0, PROFILE.pixels), 785.0))
    # Frames alternate by 30 counts: variance of a frame 300, of the mean of four 75; the dark adds as much.
    np.testing.assert_allclose(spectrum.sd, np.sqrt(2 * (300 + 1 / 12) / 4), rtol=0.02)
    assert spectrum.technique is Technique.RAMAN
    assert spectrum.unit is IntensityUnit.COUNTS
    facts = spectrum.acquisition
    assert (facts.serial, facts.laser_nm, facts.integration_ms, facts.averages, facts.operator) == (
        "T1",
        785.0,
        100.0,
        4,
        "Kim",
    )
    assert facts.flags == {
        "checksum_verified",
        "integration_unverified",
        "interlock_unknown",
        "uncalibrated_axis",
    }
    assert facts.metadata["saturated_points"] == "0"
    assert [step.name for step in spectrum.history] == ["dark_subtraction"]
    assert spectrum.history[0].parameters["sha256"] == facts.metadata["dark_frames_sha256"]


def test_single_frame_has_no_standard_deviation():
    assert run(FakeDriver(), ScanPlan(integration_ms=100.0, averages=1, warning_s=0)).sd is None


def test_saturated_points_are_counted_and_flagged():
    driver = FakeDriver()
    driver.lines = (100, 131_000, 0.0)
    spectrum = run(driver)
    assert "saturated" in spectrum.acquisition.flags
    assert int(spectrum.acquisition.metadata["saturated_points"]) == pytest.approx(PROFILE.pixels / 2, abs=3)


@pytest.mark.parametrize("light", [30, 4000, 400_000])
def test_exposure_uses_the_range_without_saturating(light):
    driver = FakeDriver()
    driver.lines = (100, light, 0.0)
    spectrum = run(driver, ScanPlan(averages=2, warning_s=0))
    level = spectrum.intensity.max() / PROFILE.adc_max
    found = spectrum.acquisition.integration_ms
    assert driver.integration == found
    if light == 30:
        assert found == 5000.0  # the longest a frame may be
    else:
        assert 0.55 < level < 0.85
    assert not driver.laser


def test_exposure_that_never_settles_ends():
    driver = FakeDriver()
    driver.lines = (70_000, 0, 0.0)  # saturated in the dark
    with pytest.raises(RetakeError, match="same count in every pixel"):
        run(driver, ScanPlan(averages=2, warning_s=0))
    assert driver.integration == PROFILE.integration_ms[0]


def test_warning_counts_down_before_the_laser():
    driver = FakeDriver()
    told = []

    def wait(seconds):
        told.append((seconds, driver.log.count("laser on")))

    stages = []
    run(driver, ScanPlan(integration_ms=100.0, averages=2), wait=wait, progress=stages.append)
    assert told == [(1.0, 0), (1.0, 0), (1.0, 0), (0.0, 0), (0.0, 1)]  # the last one is no warm-up
    assert [p.done for p in stages if p.stage is Stage.WARNING] == [3, 2, 1]
    assert stages[-1].stage is Stage.DARK
    assert stages[-1].done == stages[-1].total == 2


@pytest.mark.parametrize("moment", range(1, 17))
@pytest.mark.parametrize("error", [lost(), KeyboardInterrupt(), SystemExit(143), ZeroDivisionError()])
def test_laser_is_off_after_a_failure_at_any_moment(moment, error):
    class Failing(FakeDriver):
        def _called(self, call):
            super()._called(call)
            if len(self.log) == moment + 2:  # after the laser has been switched off to begin with
                raise error

    driver = Failing()
    try:
        run(driver)
    except type(error):
        pass
    else:
        # Switching off tries again; nothing else swallows a failure.
        assert driver.log[moment + 1] in ("laser off", "read laser")
        assert isinstance(error, DeviceError)
    assert not driver.laser
    assert [call for call in driver.log if "laser" in call][-2:] == ["laser off", "read laser"]


def test_laser_whose_acknowledgement_is_lost_is_switched_off():
    driver = FakeDriver()
    driver.fail("laser on", lost())
    driver.stuck_on = False
    with pytest.raises(TransportError):
        run(driver)
    assert driver.log[-2:] == ["laser off", "read laser"]


def test_laser_that_stays_on_is_an_alarm():
    driver = FakeDriver()

    def progress(step):
        driver.stuck_on = driver.laser

    with pytest.raises(LaserOffUnconfirmedError, match="LASER OFF UNCONFIRMED"):
        run(driver, progress=progress)
    # Once at the beginning; three times after the light, and again while the session is closed.
    assert driver.log.count("laser off") == 1 + 3 + 3


def test_lost_line_never_counts_as_off():
    driver = FakeDriver()
    driver.fail("laser off", None, *[lost()] * 3)
    with pytest.raises(LaserOffUnconfirmedError, match="gone"):
        run(driver)


def test_alarm_comes_before_the_error_that_led_to_it():
    driver = FakeDriver()
    driver.fail("acquire on", lost())
    driver.fail("laser off", None, *[lost()] * 3)
    with pytest.raises(LaserOffUnconfirmedError) as caught:
        run(driver)
    assert isinstance(caught.value.__context__, TransportError)


def test_off_succeeds_at_the_third_attempt():
    driver = FakeDriver()
    driver.fail("laser off", lost(), lost(), None)
    switch_off(driver)
    assert not driver.laser


@pytest.mark.parametrize("call", ["laser off", "read laser"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), ZeroDivisionError()])
def test_interruption_while_switching_off_does_not_leave_the_laser_on(call, error):
    driver = FakeDriver()
    driver.fail(call, error)
    with pytest.raises(type(error)):
        switch_off(driver)
    assert not driver.laser
    assert driver.log[-2:] == ["laser off", "read laser"]


def test_instrument_that_will_not_go_dark_is_not_used():
    driver = FakeDriver()
    driver.stuck_on = True
    with pytest.raises(LaserOffUnconfirmedError):
        run(driver)
    assert "laser on" not in driver.log
    assert not any(call.startswith("acquire") for call in driver.log)


def test_unknown_interlock_must_be_acknowledged():
    driver = FakeDriver()
    with pytest.raises(LaserRefusedError, match="acknowledge"):
        run(driver, acknowledge=False)
    assert "laser on" not in driver.log


def test_known_interlock():
    driver = FakeDriver()
    driver.interlock_state = Interlock.OPEN
    with pytest.raises(LaserRefusedError, match="open"):
        run(driver)
    assert "laser on" not in driver.log
    driver.interlock_state = Interlock.CLOSED
    assert "interlock_unknown" not in run(driver, acknowledge=False).acquisition.flags


def test_consent_expires():
    times = iter([0.0, 61.0])
    token = arm("Kim", valid_s=60.0, clock=lambda: next(times))
    with pytest.raises(LaserRefusedError, match="expired"):
        check_token(token, clock=lambda: next(times))


def test_consent_that_expires_during_the_countdown_counts_no_more():
    driver = FakeDriver()
    now = [0.0]
    token = arm("Kim", valid_s=2.0, clock=lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    plan = ScanPlan(integration_ms=100.0, averages=2, warning_s=3.0)
    with pytest.raises(LaserRefusedError, match="expired"):
        scan(driver, plan, token=token, acknowledge_unknown_interlock=True, wait=wait, clock=lambda: now[0])
    assert "laser on" not in driver.log


def test_without_consent_there_is_no_light():
    driver = FakeDriver()
    with pytest.raises(LaserRefusedError, match="not armed"):
        scan(driver, PLAN, acknowledge_unknown_interlock=True)
    assert "laser on" not in driver.log


@pytest.mark.parametrize(("operator", "valid"), [("", 60.0), (" ", 60.0), ("Kim", 0.0), ("Kim", 3600.0)])
def test_consent_is_checked(operator, valid):
    with pytest.raises(ParameterError):
        arm(operator, valid_s=valid)


def test_laser_that_does_not_come_on_is_said():
    driver = FakeDriver()
    driver.laser_is_on = lambda: False
    with pytest.raises(LaserRefusedError, match="leaves it off"):
        run(driver)


def test_instrument_without_laser():
    driver = FakeDriver()
    driver.laser_fitted = False
    with pytest.raises(LaserRefusedError, match="no laser"):
        run(driver)
    assert driver.log == ["identify"]


def test_laser_left_on_is_switched_off_before_anything_can_fail():
    driver = FakeDriver()
    driver.fail("identify", lost())
    with pytest.raises(TransportError):
        run(driver)
    assert not driver.laser


def test_too_much_laser_light_is_refused_before_any():
    driver = FakeDriver()
    driver.profile = with_maximum(1.0)
    with pytest.raises(ParameterError, match="at most 1 s"):
        run(driver, ScanPlan(integration_ms=500.0, averages=4, warning_s=0))
    assert "laser on" not in driver.log
    # Found by itself, the exposure keeps within the limit.
    driver.lines = (100, 1, 0.0)
    assert 100 < run(driver, ScanPlan(averages=4, warning_s=0)).acquisition.integration_ms < 200.0


@pytest.mark.parametrize("wrong", [{"averages": 0}, {"averages": 2000}, {"discard": 0}, {"warning_s": -1.0}])
def test_plan_is_checked(wrong):
    with pytest.raises(ParameterError):
        ScanPlan(**wrong)


def test_laser_errors_are_device_errors():
    assert issubclass(LaserOffUnconfirmedError, DeviceError)
    assert issubclass(LaserRefusedError, DeviceError)
