"""Off on every way out: while a frame blocks, on signals, on cancel, when the line is lost. No sleeping."""

import atexit
import contextlib
import signal
import threading
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectralid.devices import guard as guard_module
from spectralid.devices.driver import Interlock
from spectralid.devices.guard import LaserEndedError, ScanCancelledError, allowed_s
from spectralid.devices.laser import LaserOffUnconfirmedError, arm
from spectralid.devices.laser_watch import MAXIMUM_ON, next_order
from spectralid.devices.plan import ScanPlan, Stage
from spectralid.devices.session import Session
from spectralid.devices.state import State, StateError
from spectralid.errors import DeviceError, ProtocolError, TransportError
from tests.devices.lines import FakeDriver, lost

PLAN = ScanPlan(integration_ms=100.0, averages=4, warning_s=0.0)
WAIT_S = 20.0  # of a hung test, not of one that passes


class Blocking(FakeDriver):
    """Its acquire with the laser on blocks until it is aborted, or until `release`."""

    deaf = False

    def __init__(self):
        super().__init__()
        self.blocked = threading.Event()
        self.free = threading.Event()
        self.aborted = threading.Event()

    def acquire(self):
        if not self.laser:
            return super().acquire()
        self.log.append("acquire blocks")
        self.blocked.set()
        assert self.free.wait(WAIT_S)
        self.log.append("acquire ends")
        if self.aborted.is_set():
            raise TransportError("called off", kind="aborted")
        return super().acquire()

    def abort(self):
        super().abort()
        if not self.deaf:
            self.aborted.set()
            self.free.set()

    def resume(self):
        self.aborted.clear()


@pytest.fixture(autouse=True)
def signals_are_given_back():
    # Whoever starts the tests in the background may have them ignore SIGINT, and hand that down.
    wanted = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    yield
    after = {number: signal.getsignal(number) for number in wanted}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == wanted


@pytest.fixture
def session_with(request):
    """Makes sessions, and closes them after the test."""

    def make(driver, **kwargs):
        alarms, states = [], []
        connect = driver if callable(driver) else lambda: driver
        session = Session(connect, **{"alarm": alarms.append, "told": states.append, **kwargs})
        request.addfinalizer(session.close)
        return session, alarms, states

    return make


def measure(session, plan=PLAN, **kwargs):
    return session.scan(plan, token=arm("Kim"), acknowledge_unknown_interlock=True, **kwargs)


def test_states_of_a_scan(session_with):
    session, alarms, states = session_with(FakeDriver())
    with session:
        measure(session)
        assert session.state is State.IDLE
    assert [s.value for s in states] == [
        *("opening", "identified", "idle", "armed", "warmup", "acquiring", "dark", "idle", "disconnected")
    ]
    assert alarms == []


def test_time_is_up_while_a_frame_blocks(session_with):
    driver = Blocking()
    session, alarms, _ = session_with(
        driver, watch_wait=lambda orders, _: MAXIMUM_ON if driver.blocked.wait(WAIT_S) else ""
    )
    session.open()
    with pytest.raises(LaserEndedError, match="longest time allowed"):
        measure(session)
    order = [driver.log.index(step) for step in ("acquire blocks", "urgent off", "abort", "acquire ends")]
    assert order == sorted(order)
    assert not driver.laser
    assert driver.log[-2:] == ["laser off", "read laser"]
    assert session.state is State.FAULT
    assert "longest time" in session.fault or "Measure again" in session.fault
    assert alarms == []
    with pytest.raises(StateError, match="recover"):
        measure(session)
    assert session.recover().state is State.IDLE


def test_defects_of_a_driver_do_not_stand_before_off(session_with):
    class Defective(FakeDriver):
        def send_off(self):
            raise ZeroDivisionError

        abort = send_off

        def set_laser(self, on):
            super().set_laser(on)
            if not on and self.log.count("laser on"):
                off.set()

    def progress(step):
        if step.stage is Stage.SAMPLE and step.done == 1:
            lit.set()
            assert off.wait(WAIT_S)  # the thread has switched off although nothing else went well

    lit, off = threading.Event(), threading.Event()
    driver = Defective()
    session, alarms, _ = session_with(
        driver, watch_wait=lambda orders, _: MAXIMUM_ON if lit.wait(WAIT_S) else ""
    )
    session.open()
    with pytest.raises(LaserEndedError):
        measure(session, progress=progress)
    assert not driver.laser
    assert alarms == []


def test_watch_is_told_the_time_of_the_profile_or_of_the_watchdog(session_with):
    seconds = []

    def wait(orders, allowed):
        seconds.append(allowed)
        return next_order(orders, WAIT_S)

    driver = FakeDriver()
    session, _, _ = session_with(driver, watch_wait=wait)
    session.open()
    measure(session)
    driver.identity = replace(driver.identity, watchdog_s=7.0)
    measure(session)
    assert seconds == [driver.profile.maximum_on_s, 7.0]


def test_driver_that_does_not_end_its_call_is_an_alarm_while_it_blocks(monkeypatch, session_with):
    monkeypatch.setattr(guard_module, "_LOCK_S", 0.0)
    driver = Blocking()
    driver.deaf = True
    given = []

    def alarm(words):
        given.append((words, driver.log[-1]))
        driver.free.set()  # only now does the frame come back

    session, _, _ = session_with(
        driver,
        alarm=alarm,
        watch_wait=lambda orders, _: MAXIMUM_ON if driver.blocked.wait(WAIT_S) else "",
    )
    session.open()
    with pytest.raises((LaserEndedError, LaserOffUnconfirmedError)):
        measure(session)
    (words, last), *_ = given
    assert words.startswith("LASER OFF UNCONFIRMED")
    assert "acquire ends" not in driver.log[: driver.log.index("abort") + 1]
    assert last == "abort"  # the bare command had been sent and the call told to end
    assert "urgent off" in driver.log
    assert session.state is State.LASER_OFF_UNCONFIRMED
    session.off()
    assert not driver.laser
    assert session.state is State.FAULT


def test_alarm_refuses_everything_but_off(session_with):
    driver = FakeDriver()
    session, alarms, _ = session_with(driver)
    session.open()
    driver.fail("laser off", *[lost()] * 3)
    with pytest.raises(LaserOffUnconfirmedError):
        measure(session)
    assert session.state is State.LASER_OFF_UNCONFIRMED
    assert len(alarms) == 1
    for refused in (lambda: measure(session), session.open, session.recover):
        with pytest.raises(StateError, match="not confirmed to be off"):
            refused()
    session.off()
    assert session.state is State.FAULT
    assert session.recover().state is State.IDLE
    measure(session)


def test_lost_line_while_the_laser_is_on_never_reads_as_off(session_with):
    driver, again = FakeDriver(), FakeDriver()
    drivers = iter([driver, lost(), again])

    def connect():
        found = next(drivers)
        if isinstance(found, Exception):
            raise found
        return found

    session, alarms, states = session_with(connect)
    session.open()
    driver.fail("acquire on", lost())
    driver.fail("laser off", *[lost()] * 6)
    with pytest.raises(LaserOffUnconfirmedError) as caught:
        measure(session)
    assert isinstance(caught.value.__context__, TransportError)
    assert states[-1] is State.LASER_OFF_UNCONFIRMED
    # The line stays lost: still no "off", whatever is asked.
    with pytest.raises(LaserOffUnconfirmedError, match="gone"):
        session.off()
    assert session.state is State.LASER_OFF_UNCONFIRMED
    # The line is back: off is read back from the instrument, and only then believed.
    session.off()
    assert (again.laser, session.state) == (False, State.FAULT)
    assert again.log == ["laser off", "read laser"]
    assert len(alarms) == 1


def test_alarm_survives_closing(session_with):
    driver = FakeDriver()
    session, _, _ = session_with(driver)
    session.open()
    driver.fail("laser off", *[lost()] * 6, None)
    with pytest.raises(LaserOffUnconfirmedError):
        measure(session)
    with pytest.raises(LaserOffUnconfirmedError):
        session.close()
    assert driver.log[-1] == "close"
    assert session.state is State.LASER_OFF_UNCONFIRMED


def test_cancelling_the_countdown_means_no_light(session_with):
    driver = FakeDriver()
    session, _, _ = session_with(driver)
    session.open()

    def progress(step):
        if step.stage is Stage.WARNING:
            session.cancel()

    with pytest.raises(ScanCancelledError):
        measure(session, ScanPlan(integration_ms=100.0, averages=2, warning_s=360.0), progress=progress)
    assert "laser on" not in driver.log
    assert session.state is State.IDLE  # nothing has happened to the instrument
    measure(session)


@pytest.mark.parametrize("end", ["cancel", "off", "close"])
def test_ended_by_another_thread_while_a_frame_blocks(end, session_with):
    driver = Blocking()
    session, alarms, _ = session_with(driver)
    session.open()

    def other():
        assert driver.blocked.wait(WAIT_S)
        getattr(session, end)()

    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises((ScanCancelledError, LaserEndedError)):
        measure(session)
    thread.join()
    assert not driver.laser
    assert alarms == []
    assert session.state is State.FAULT
    if end == "close":
        assert driver.log[-1] == "close"
        assert driver.log.index("acquire ends") < driver.log.index("close")


def test_two_scans_at_once_are_refused(session_with):
    driver = Blocking()
    session, _, _ = session_with(driver)
    session.open()

    def scan():
        with pytest.raises(ScanCancelledError):
            measure(session)

    thread = threading.Thread(target=scan)
    thread.start()
    assert driver.blocked.wait(WAIT_S)
    with pytest.raises(StateError, match="running"):
        measure(session)
    session.cancel()
    thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", [Stage.WARNING, Stage.WARM_UP, Stage.SAMPLE, Stage.DARK])
def test_signal_switches_off_first_and_then_does_what_it_always_did(number, moment, session_with):
    class EndingError(Exception):
        pass

    def handler(*_):
        assert not driver.laser
        raise EndingError

    driver = FakeDriver()
    session, alarms, _ = session_with(driver, wait=lambda _: None)
    before = signal.signal(number, handler)
    sent = []

    def progress(step):
        if step.stage is moment and not sent:
            sent.append(driver.laser)
            signal.raise_signal(number)

    try:
        plan = ScanPlan(integration_ms=100.0, averages=4, warning_s=2.0, warm_up_s=2.0)
        with pytest.raises(EndingError), session:
            measure(session, plan, progress=progress)
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)
    assert sent == [moment in (Stage.WARM_UP, Stage.SAMPLE)]
    assert not driver.laser
    assert alarms == []


def test_signal_during_switching_off_does_not_cut_it_short(session_with):
    driver = FakeDriver()

    def set_laser(on):
        FakeDriver.set_laser(driver, on)
        if not on and driver.log.count("laser on"):
            signal.raise_signal(signal.SIGINT)

    driver.set_laser = set_laser
    session, alarms, _ = session_with(driver)
    with pytest.raises(KeyboardInterrupt), session:
        measure(session)
    assert not driver.laser
    assert driver.log[-2:] == ["read laser", "close"]
    assert alarms == []


def test_signal_to_the_main_thread_while_another_one_scans(session_with):
    driver = Blocking()
    session, _, _ = session_with(driver)
    errors = []

    def scan():
        try:
            measure(session)
        except (LaserEndedError, ScanCancelledError) as error:
            errors.append(error)

    thread = threading.Thread(target=scan)
    session.open()
    thread.start()
    assert driver.blocked.wait(WAIT_S)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert not driver.laser
    thread.join()
    assert len(errors) == 1


def test_program_that_ends_switches_off(monkeypatch, session_with):
    registered = []
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(atexit, "unregister", registered.remove)
    driver = Blocking()
    session, _, _ = session_with(driver)
    session.open()
    errors = []

    def scan():
        with pytest.raises(LaserEndedError, match="the program ends") as caught:
            measure(session)
        errors.append(caught.value)

    thread = threading.Thread(target=scan)
    thread.start()
    assert driver.blocked.wait(WAIT_S)
    (at_exit,) = registered
    at_exit()
    assert not driver.laser
    thread.join()
    assert errors
    assert registered == []


def test_driver_that_keeps_no_deadline_is_ended(session_with):
    driver = Blocking()
    driver.laser_fitted = False
    given = []

    class Timer(threading.Thread):
        """Fires as soon as the driver blocks."""

        def __init__(self, seconds, function):
            super().__init__()
            given.append(seconds)
            self._function = function

        def run(self):
            if driver.blocked.wait(WAIT_S):
                self._function()

        def cancel(self):
            driver.blocked.set()

    driver.laser = True  # a light beside the instrument
    session, _, _ = session_with(driver, timer=Timer)
    session.open()
    with pytest.raises(TransportError, match="no frame within") as caught:
        session.scan(PLAN, light=lambda on: None)
    assert caught.value.kind == "timeout"
    assert given[0] == allowed_s(100.0, driver.profile.pixels, driver.profile.baud)
    assert session.state is State.FAULT
    assert session.recover().state is State.IDLE


@pytest.mark.parametrize(("baud", "wire_s"), [(9600, 4 * 1024 * 10 / 9600), (0, 0.0)])
def test_time_allowed_for_a_frame(baud, wire_s):
    assert allowed_s(100.0, 1024, baud) == pytest.approx(0.3 + wire_s + 5.0)
    assert allowed_s(60_000.0, 1024, baud) == pytest.approx((180 + wire_s) * 1.2)


def test_laser_that_goes_off_by_itself_is_noticed(session_with):
    driver = FakeDriver()
    session, _, _ = session_with(driver)
    session.open()

    def progress(step):
        if step.stage is Stage.SAMPLE and step.done == 2:
            driver.laser = False  # its watchdog

    with pytest.raises(LaserEndedError, match="went off by itself"):
        measure(session, progress=progress)


def test_interlock_that_opens_during_the_scan_is_noticed(session_with):
    driver = FakeDriver()
    driver.interlock_state = Interlock.CLOSED
    session, _, _ = session_with(driver)
    session.open()

    def progress(step):
        if step.stage is Stage.SAMPLE:
            driver.interlock_state = Interlock.OPEN

    with pytest.raises(LaserEndedError, match="interlock opened"):
        measure(session, progress=progress)
    assert not driver.laser


def test_exchanged_instrument_is_noticed(session_with):
    driver = FakeDriver()
    session, _, _ = session_with(driver)
    session.open()
    measure(session)
    driver.identity = replace(driver.identity, serial="T2")
    with pytest.raises(ProtocolError, match="T2 and was T1"):
        measure(session)
    assert session.state is State.FAULT
    with pytest.raises(ProtocolError, match="exchanged"):
        session.recover()


def test_fault_is_sticky(session_with):
    driver = FakeDriver()
    session, _, _ = session_with(driver)
    session.open()
    driver.fail("acquire on", lost())
    with pytest.raises(TransportError):
        measure(session)
    assert (session.state, session.fault) == (State.FAULT, "gone")
    for _ in range(2):
        with pytest.raises(StateError, match="recover"):
            measure(session)
    session.close()
    assert session.state is State.FAULT
    assert session.recover().state is State.IDLE


def test_light_and_dark_in_the_log_of_every_scan(session_with):
    driver = FakeDriver()
    session, _, _ = session_with(driver)
    with session:
        for _ in range(3):
            measure(session)
    lights = [call for call in driver.log if call in ("laser on", "laser off")]
    assert lights == ["laser off", *["laser on", "laser off"] * 3]
    for call, following in pairwise(driver.log):
        if call == "laser off":
            assert following == "read laser"


class Unreliable(FakeDriver):
    """Fails, or keeps its laser on, as it is told, call by call."""

    def __init__(self, troubles):
        super().__init__()
        self.troubles = iter(troubles)

    def _called(self, call):
        super()._called(call)
        trouble = next(self.troubles, None)
        self.stuck_on = trouble == "stuck" and self.laser
        if trouble == "lost":
            raise lost()
        if trouble == "lost, but done" and call in ("laser on", "laser off"):
            self.laser = call == "laser on"
            raise lost()
        if trouble == "defect":
            raise ZeroDivisionError
        if trouble == "Ctrl-C":
            raise KeyboardInterrupt


# Single troubles among calls that go well, and lines that stay lost or lasers that stay on for a while.
RUNS = [[None] * 8, *([trouble] for trouble in ("stuck", "lost", "lost, but done", "defect", "Ctrl-C"))]
RUNS += [["lost"] * 6, ["stuck"] * 6, [None] * 8, [None] * 3]
TROUBLES = st.lists(st.sampled_from(RUNS), max_size=30).map(lambda runs: [t for run in runs for t in run])
STEPS = st.lists(st.sampled_from(["scan", "scan", "off", "recover", "cancel", "close", "open"]), max_size=12)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TROUBLES, STEPS)
def test_between_two_steps_the_laser_is_off_or_the_alarm_is_on(troubles, steps):
    driver = Unreliable(())
    alarms = []
    session = Session(lambda: driver, alarm=alarms.append).open()
    driver.troubles = iter(troubles)
    try:
        for step in steps:
            before, lights = session.state, driver.log.count("laser on")
            with contextlib.suppress(DeviceError, ZeroDivisionError, KeyboardInterrupt):
                measure(session) if step == "scan" else getattr(session, step)()
            if driver.log.count("laser on") > lights:
                # Light was made: then only in a scan, from rest, and it is off again or everybody knows.
                assert (step, before) == ("scan", State.IDLE)
                assert not driver.laser or session.state is State.LASER_OFF_UNCONFIRMED
                assert not driver.laser or alarms
            assert session.state not in (State.ARMED, State.WARMUP, State.ACQUIRING, State.DARK)
    finally:
        driver.troubles = iter(())
        session.close()
