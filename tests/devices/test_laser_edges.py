"""What hardly ever happens around the laser: late timers, alarms while closing, signals of others, races."""

import queue
import signal
import threading
from dataclasses import replace

import pytest

from spectralid.devices import guard as guard_module
from spectralid.devices import session as session_module
from spectralid.devices.driver import Interlock
from spectralid.devices.guard import DeviceGuard, ScanCancelledError, allowed_s
from spectralid.devices.laser import (
    LaserOffUnconfirmedError,
    LaserRefusedError,
    arm,
    check_permission,
    check_token,
    switch_off,
)
from spectralid.devices.laser_watch import MAXIMUM_ON, LaserWatch, SignalWatch, next_order
from spectralid.devices.plan import ScanPlan
from spectralid.devices.run import ScanRun
from spectralid.devices.session import Session
from spectralid.devices.state import Event, State, StateError, StateMachine
from spectralid.errors import DeviceError, ParameterError, ProtocolError, TransportError
from tests.devices.lines import PROFILE, FakeDriver, lost, with_maximum

PLAN = ScanPlan(integration_ms=100.0, averages=2, warning_s=0.0)
WAIT_S = 20.0  # of a hung test, not of one that passes


class Guarded:
    """A guard, and what it told."""

    def __init__(self, driver, **kwargs):
        self.alarms, self.ended, self.passed = [], [], []
        self.guard = DeviceGuard(
            driver,
            **{
                "unconfirmed": self.alarms.append,
                "ended": self.ended.append,
                "pass_on": self.passed.append,
                **kwargs,
            },
        )


def in_light(guard, during):
    with guard.light(WAIT_S):
        during()


# --- consent ---------------------------------------------------------------------------------------------


def test_consent_holds_until_its_time_and_not_at_it():
    now = [100.0]
    token = arm("  Kim ", valid_s=60.0, clock=lambda: now[0])
    assert (token.operator, token.expires) == ("Kim", 160.0)
    now[0] = 159.999
    check_token(token, clock=lambda: now[0])
    for now[0] in (160.0, 160.001, 1e6):
        with pytest.raises(LaserRefusedError, match=r"armed by Kim .* expired"):
            check_token(token, clock=lambda: now[0])


@pytest.mark.parametrize("valid_s", [0.001, 600.0])
def test_the_shortest_and_the_longest_consent(valid_s):
    assert arm("Kim", valid_s=valid_s, clock=lambda: 0.0).expires == valid_s


@pytest.mark.parametrize("valid_s", [0.0, -1.0, 600.001, float("nan")])
def test_a_consent_for_no_time_or_for_too_long_is_none(valid_s):
    with pytest.raises(ParameterError, match="at most 600 s"):
        arm("Kim", valid_s=valid_s)


def test_without_a_time_consent_lasts_a_minute():
    assert arm("Kim", clock=lambda: 5.0).expires == 65.0


@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("state", list(Interlock))
def test_what_the_interlock_permits(state, acknowledged):
    token = arm("Kim", clock=lambda: 0.0)
    may = state is Interlock.CLOSED or (state is Interlock.UNKNOWN and acknowledged)
    try:
        check_permission(state, token, acknowledged=acknowledged, clock=lambda: 0.0)
    except LaserRefusedError:
        assert not may
    else:
        assert may
    with pytest.raises(LaserRefusedError, match="expired"):
        check_permission(state, token, acknowledged=acknowledged, clock=lambda: 60.0)


def test_off_is_tried_three_times_and_no_more():
    driver = FakeDriver()
    driver.stuck_on = True
    with pytest.raises(LaserOffUnconfirmedError, match="reads back as on") as caught:
        switch_off(driver)
    assert driver.log == ["laser off", "read laser"] * 3
    assert caught.value.reason == "it still reads back as on"
    assert caught.value.__cause__ is None


def test_the_last_reason_is_the_one_that_is_said():
    driver = FakeDriver()
    driver.stuck_on = True
    driver.fail("laser off", lost(), None, None)
    with pytest.raises(LaserOffUnconfirmedError, match="reads back as on"):
        switch_off(driver)
    driver.fail("laser off", None, None, ZeroDivisionError("driver"))
    with pytest.raises(LaserOffUnconfirmedError, match="ZeroDivisionError: driver") as caught:
        switch_off(driver)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


# --- the thread that ends the light ----------------------------------------------------------------------


def test_an_order_is_taken_and_none_is_the_end_of_the_time():
    orders = queue.SimpleQueue()
    orders.put("stop")
    assert next_order(orders, 0.0) == "stop"
    assert next_order(orders, 0.0) == MAXIMUM_ON


def test_the_watch_switches_off_once_for_an_order_and_never_for_a_scan_that_is_over():
    given = []
    watch = LaserWatch(7.0, given.append)
    assert watch.reason == ""
    watch.start()
    watch.end("somebody")
    watch.end("somebody else")
    watch.join(WAIT_S)
    assert (given, watch.reason) == (["somebody"], "somebody")
    quiet = LaserWatch(7.0, given.append)
    quiet.start()
    quiet.finish(WAIT_S)
    assert not quiet._thread.is_alive()
    assert (given, quiet.reason) == (["somebody"], "")


def test_the_watch_waits_its_seconds_in_a_thread_that_no_program_waits_for():
    waited = []

    def wait(orders, seconds):
        waited.append((seconds, threading.current_thread().daemon, threading.current_thread().name))
        return MAXIMUM_ON

    given = []
    watch = LaserWatch(7.0, given.append, wait=wait)
    watch.start()
    watch.join(WAIT_S)
    assert waited == [(7.0, True, "spectralid laser watch")]
    assert (given, watch.reason) == ([MAXIMUM_ON], MAXIMUM_ON)


def test_a_watch_that_never_began_is_finished_at_once():
    LaserWatch(7.0, lambda _: None).finish(WAIT_S)  # joining a thread that never began would raise


def test_finishing_waits_no_longer_than_it_was_told():
    free = threading.Event()
    watch = LaserWatch(7.0, lambda _: free.wait(WAIT_S))
    watch.start()
    watch.end("somebody")
    watch.finish(0.0)
    assert watch._thread.is_alive()
    free.set()
    watch.join(WAIT_S)


# --- signals ---------------------------------------------------------------------------------------------

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def handlers():
    """Every signal with a handler of its own, put back afterwards."""
    seen = []
    before = {number: signal.signal(number, lambda n, _: seen.append(n)) for number in NUMBERS}
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_are_taken_once_and_given_back(handlers):
    before = [signal.getsignal(number) for number in NUMBERS]
    held = []
    watch = SignalWatch(lambda number: held.append(number) or True)
    watch.install()
    watch.install()  # a second time would take itself for whoever was before
    for number in NUMBERS:
        signal.raise_signal(number)
    assert (held, handlers) == (list(NUMBERS), [])
    watch.remove()
    assert [signal.getsignal(number) for number in NUMBERS] == before
    watch.install()
    watch.remove()
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_a_signal_that_nobody_holds_goes_to_whoever_was_before(handlers):
    watch = SignalWatch(lambda _: False)
    watch.install()
    signal.raise_signal(signal.SIGTERM)
    watch.remove()
    assert handlers == [signal.SIGTERM]


def test_a_handler_that_came_later_is_left_alone_and_may_still_pass_on(handlers):
    watch = SignalWatch(lambda _: False)
    watch.install()
    ours = signal.getsignal(signal.SIGHUP)

    def later(number, frame):
        ours(number, frame)

    signal.signal(signal.SIGHUP, later)
    watch.remove()
    assert signal.getsignal(signal.SIGHUP) is later
    assert signal.getsignal(signal.SIGTERM) is not ours
    signal.raise_signal(signal.SIGHUP)
    assert handlers == [signal.SIGHUP]
    signal.signal(signal.SIGHUP, ours)
    watch.remove()
    assert signal.getsignal(signal.SIGHUP) is not ours
    assert watch._before == {}  # all given back: it may be installed anew


def test_a_signal_that_was_ignored_stays_ignored(handlers, monkeypatch):
    raised = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watch = SignalWatch(lambda _: True)
    watch.install()
    watch.pass_on(signal.SIGHUP)
    assert raised == []
    watch.remove()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_signal_with_no_handler_does_what_the_system_does(handlers, monkeypatch):
    raised = []
    monkeypatch.setattr(signal, "raise_signal", lambda n: raised.append((n, signal.getsignal(n))))
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    watch = SignalWatch(lambda _: False)
    watch.install()
    watch.pass_on(signal.SIGHUP)
    assert raised == [(signal.SIGHUP, signal.SIG_DFL)]
    watch._before[signal.SIGHUP] = None  # a handler that was not installed from Python
    watch.pass_on(signal.SIGHUP)
    assert len(raised) == 2


def test_a_handler_from_outside_of_python_is_replaced_by_the_default(handlers, monkeypatch):
    watch = SignalWatch(lambda _: True)
    watch.install()
    watch._before[signal.SIGHUP] = None
    watch.remove()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_signals_are_only_touched_in_the_main_thread(handlers):
    before = [signal.getsignal(number) for number in NUMBERS]
    watch = SignalWatch(lambda _: True)

    def elsewhere(step):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()

    elsewhere(watch.install)
    assert [signal.getsignal(number) for number in NUMBERS] == before
    watch.install()
    ours = [signal.getsignal(number) for number in NUMBERS]
    assert ours != before
    elsewhere(watch.remove)  # Python would raise
    assert [signal.getsignal(number) for number in NUMBERS] == ours
    watch.remove()


# --- the guard -------------------------------------------------------------------------------------------


def test_a_timer_that_fires_too_late_ends_nothing():
    driver = FakeDriver()
    it = Guarded(driver, timer=NeverTimer)
    frame = it.guard.acquire(100.0)
    timer = NeverTimer.last
    assert frame.counts.shape == (PROFILE.pixels,)
    assert timer.seconds == allowed_s(100.0, PROFILE.pixels, PROFILE.baud)
    assert timer.did == ["started as a daemon", "cancelled"]  # a program that ends does not wait for it
    timer.function()
    assert "abort" not in driver.log
    it.guard.acquire(100.0)  # and the next call is none the worse for it


class NeverTimer:
    """A timer that only the test fires."""

    daemon = False
    last = None

    def __init__(self, seconds, function):
        self.seconds, self.function = seconds, function
        self.did = []
        NeverTimer.last = self

    def start(self):
        self.did.append("started as a daemon" if self.daemon else "started")

    def cancel(self):
        self.did.append("cancelled")


def test_a_frame_that_was_ended_by_a_person_is_not_said_to_be_late():
    driver = FakeDriver()
    driver.fail("acquire on", TransportError("called off", kind="aborted"))
    it = Guarded(driver, timer=NeverTimer)
    with pytest.raises(TransportError, match="called off"):
        it.guard.acquire(100.0)


def test_an_error_that_has_nothing_to_do_with_the_timer_is_passed_on():
    driver = FakeDriver()

    def acquire():
        NeverTimer.last.function()
        raise lost()

    driver.acquire = acquire
    resumed = []
    driver.resume = lambda: resumed.append(True)
    it = Guarded(driver, timer=NeverTimer)
    with pytest.raises(TransportError, match="gone") as caught:
        it.guard.acquire(100.0)
    assert caught.value.kind == "disconnected"
    assert driver.log == ["abort"]
    assert resumed == [True]  # the line may be used again


def test_a_call_that_was_ended_says_who_ended_it():
    driver = FakeDriver()
    it = Guarded(driver)

    def ended():
        it.guard.cancel()
        raise TransportError("called off", kind="aborted")

    with pytest.raises(ScanCancelledError):
        it.guard.call(ended)
    with pytest.raises(ScanCancelledError):
        it.guard.call(driver.identify)  # what comes after is not begun
    assert "identify" not in driver.log

    it.guard.renew()
    it.guard.call(driver.identify)

    def broken():
        raise TransportError("gone", kind="disconnected")

    with pytest.raises(TransportError, match="gone"):
        it.guard.call(broken)


def test_a_lost_line_is_not_taken_for_a_person_who_ended_the_call():
    it = Guarded(FakeDriver())

    def lost_and_ended():
        it.guard.cancel()
        raise lost()

    with pytest.raises(TransportError, match="gone"):
        it.guard.call(lost_and_ended)


def test_the_line_is_free_again_before_off_and_before_a_new_scan():
    driver = FakeDriver()
    driver.resume = lambda: driver.log.append("resume")
    it = Guarded(driver)
    it.guard.cancel()
    it.guard.off()
    assert driver.log == ["abort", "resume", "laser off", "read laser"]
    driver.log.clear()
    it.guard.renew()
    assert driver.log == ["resume"]


@pytest.mark.parametrize("order", ["cancel", "urgent_off"])
def test_nobody_aborts_a_switching_off(order, monkeypatch):
    monkeypatch.setattr(guard_module, "_LOCK_S", 0.0)
    driver = FakeDriver()
    it = Guarded(driver)
    errors = []

    def other():
        try:
            it.guard.cancel() if order == "cancel" else it.guard.urgent_off("somebody")
        except LaserOffUnconfirmedError as error:
            errors.append(error.reason)

    def set_laser(on):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(WAIT_S)
        FakeDriver.set_laser(driver, on)

    driver.set_laser = set_laser
    it.guard.off()
    assert not driver.laser
    assert "abort" not in driver.log
    if order == "urgent_off":
        # The bare command went out at once; the confirmed "off" had to wait its turn and says so.
        assert driver.log[0] == "urgent off"
        assert errors == ["a call of the driver does not end"]
        assert [alarm.reason for alarm in it.alarms] == errors
    driver.set_laser = lambda on: FakeDriver.set_laser(driver, on)
    it.guard.cancel()
    assert driver.log[-1] == "abort"  # afterwards it may again


def test_urgent_off_tells_the_watch_why_but_not_against_what_it_knows(monkeypatch):
    orders = []
    driver = FakeDriver()
    it = Guarded(driver, watch_wait=next_order)

    def during():
        for reason in ("first reason", "second reason"):
            it.guard.urgent_off(reason)
            orders.append(it.guard._watch.reason)

    with pytest.raises(DeviceError, match="first reason"):
        in_light(it.guard, during)
    assert orders == ["first reason", "first reason"]
    assert driver.log[:2] == ["urgent off", "abort"]


def test_at_the_end_of_the_program_the_alarm_is_given_and_nothing_raised():
    driver = FakeDriver()
    driver.stuck_on = True
    it = Guarded(driver)
    it.guard._off_at_exit()
    (alarm,) = it.alarms
    assert isinstance(alarm, LaserOffUnconfirmedError)
    assert it.ended == []


def test_the_watch_tells_of_an_end_only_once_it_is_confirmed():
    driver = FakeDriver()
    it = Guarded(driver)
    it.guard._off_by_watch("the time")
    assert (it.ended, it.alarms) == (["the time"], [])
    driver.stuck_on = driver.laser = True
    it.guard._off_by_watch("the time")
    assert (it.ended, len(it.alarms)) == (["the time"], 1)


def test_a_signal_without_light_is_not_held():
    it = Guarded(FakeDriver())
    assert it.guard.hold_signal(signal.SIGTERM) is False
    assert it.passed == []


def test_after_the_light_nothing_of_it_is_left():
    driver = FakeDriver()
    it = Guarded(driver)
    with it.guard.light(WAIT_S):
        driver.set_laser(True)
        watch = it.guard._watch
        assert it.guard._lit_by is threading.current_thread()
    assert not driver.laser
    assert not watch._thread.is_alive()
    assert (it.guard._watch, it.guard._lit_by) == (None, None)
    assert it.guard.hold_signal(signal.SIGTERM) is False


def test_a_held_signal_is_passed_on_once_and_after_off():
    driver = FakeDriver()
    it = Guarded(driver, pass_on=lambda number: passed.append((number, driver.laser)))
    passed, held = [], []

    def during():
        driver.set_laser(True)
        held.append(it.guard.hold_signal(signal.SIGTERM))

    with pytest.raises(DeviceError, match="SIGTERM"):
        in_light(it.guard, during)
    assert (held, passed) == ([True], [(signal.SIGTERM, False)])
    with it.guard.light(WAIT_S):
        pass
    assert len(passed) == 1


# --- the session -----------------------------------------------------------------------------------------


@pytest.fixture
def opened(request):
    """Makes open sessions, and closes them after the test."""

    def make(driver, **kwargs):
        alarms = []
        session = Session(lambda: driver, **{"alarm": alarms.append, **kwargs})
        session.open()
        request.addfinalizer(session.close)
        return session, alarms

    return make


def scan(session, plan=PLAN, **kwargs):
    return session.scan(plan, token=arm("Kim"), acknowledge_unknown_interlock=True, **kwargs)


def test_a_session_on_a_port_opens_the_instrument_of_the_profile_there(monkeypatch):
    asked = []

    def open_device(port, profile):
        asked.append((port, profile))
        return FakeDriver()

    monkeypatch.setattr(session_module, "open_device", open_device)
    session = Session.on("COM7", PROFILE)
    assert asked == []  # not opened yet
    with pytest.raises(StateError, match="not been identified"):
        _ = session.identity
    assert session.has_laser is False
    with session:
        assert asked == [("COM7", PROFILE)]
        assert session.identity.serial == "T1"
        assert session.has_laser is True
        assert session.__enter__() is session  # open already: left alone
    assert len(asked) == 1


def test_an_alarm_is_repaired_by_closing_when_off_can_be_confirmed_then(opened):
    driver = FakeDriver()
    session, _ = opened(driver)
    driver.fail("laser off", *[lost()] * 3)
    with pytest.raises(LaserOffUnconfirmedError):
        scan(session)
    session.close()
    assert not driver.laser
    assert driver.log[-3:] == ["laser off", "read laser", "close"]
    assert session.state is State.FAULT


class Endless(FakeDriver):
    """Its acquire with the laser on does not come back before `free`, whatever it is told."""

    def __init__(self):
        super().__init__()
        self.blocked, self.free = threading.Event(), threading.Event()

    def acquire(self):
        if self.laser:
            self.blocked.set()
            assert self.free.wait(WAIT_S)
        return super().acquire()


def test_closing_does_not_wait_for_ever_for_a_scan(opened, monkeypatch):
    monkeypatch.setattr(session_module, "_CLOSE_S", 0.0)
    monkeypatch.setattr(guard_module, "_LOCK_S", 0.0)
    driver = Endless()
    session, alarms = opened(driver)
    raised = []

    def run():
        try:
            scan(session)
        except DeviceError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert driver.blocked.wait(WAIT_S)
    with pytest.raises(LaserOffUnconfirmedError, match="does not end"):
        session.close()
    assert session.state is State.LASER_OFF_UNCONFIRMED
    assert "urgent off" in driver.log
    session.close()  # once more, with the line gone and the scan still hanging: nothing more to be done
    assert session.state is State.LASER_OFF_UNCONFIRMED
    driver.free.set()
    thread.join(WAIT_S)
    assert raised
    assert alarms
    assert not driver.laser


def test_closing_waits_for_the_scan_it_has_cancelled(opened):
    driver = FakeDriver()
    session, alarms = opened(driver)
    closing = []

    def progress(_):
        if not closing:
            closing.append(threading.Thread(target=session.close))
            closing[0].start()
            assert cancelled.wait(WAIT_S)

    cancelled = threading.Event()
    driver.abort = cancelled.set
    session._guard.cancel = _then(session._guard.cancel, cancelled.set)
    with pytest.raises(DeviceError):
        scan(session, progress=progress)
    closing[0].join(WAIT_S)
    assert driver.log[-1] == "close"
    assert not driver.laser
    assert alarms == []


def _then(first, second):
    def both():
        first()
        second()

    return both


def test_a_scan_found_half_way_when_the_session_closes_is_a_fault():
    """Nobody can come here by the rules; if a defect does, the laser's states are not left silently."""
    session = Session(FakeDriver)
    session.open()
    for event in (Event.ARM, Event.LIGHT):
        session._machine.fire(event)
    session.close()
    assert session.state is State.FAULT


def test_a_line_that_cannot_be_closed_is_said_and_let_go(opened, caplog):
    driver = FakeDriver()
    session, _ = opened(driver)

    def close():
        raise lost()

    driver.close = close
    session.close()
    assert session.state is State.DISCONNECTED
    assert "gone" in caplog.text


def test_a_scan_needs_an_instrument(opened):
    session, _ = opened(FakeDriver())
    session._drop()
    with pytest.raises(StateError, match="not connected"):
        scan(session)


def test_a_failure_after_the_scan_has_ended_changes_no_state(opened):
    session, _ = opened(FakeDriver())
    session._scan_failed(RuntimeError("too late"))
    assert (session.state, session.fault) == (State.IDLE, "")


def test_a_fault_without_words_is_named(opened):
    session, _ = opened(FakeDriver())
    session._fail(ZeroDivisionError())
    assert (session.state, session.fault) == (State.FAULT, "ZeroDivisionError")


def test_off_for_an_instrument_without_laser_sends_nothing(opened):
    driver = FakeDriver()
    driver.laser_fitted = False
    session, _ = opened(driver)
    driver.log.clear()
    session.off()
    session.cancel()  # no scan: nothing to call off
    assert driver.log == []
    assert session.has_laser is False


def test_a_laser_that_a_model_may_have_is_asked_for():
    driver = FakeDriver()
    driver.capabilities = replace(driver.capabilities, has_laser=False)
    session = Session(lambda: driver)
    with session:
        assert session.has_laser is False
    assert "laser off" not in driver.log


# --- a scan ----------------------------------------------------------------------------------------------


def run_of(driver, plan=PLAN, **kwargs):
    """One scan, in a session's place."""
    machine = StateMachine()
    for event in (Event.OPEN, Event.IDENTIFY, Event.READY, Event.ARM):
        machine.fire(event)
    guard = Guarded(driver).guard
    return ScanRun(guard, machine, driver.identity, plan, **{"wait": lambda _: None, **kwargs})


def test_a_profile_without_limits_for_its_laser_has_no_light(opened):
    driver = FakeDriver()
    driver.profile = with_maximum(0.0)
    session, _ = opened(driver)
    with pytest.raises(LaserRefusedError, match="sets no limits"):
        scan(session)
    assert "laser on" not in driver.log
    assert session.state is State.IDLE


@pytest.mark.parametrize(
    ("told", "expected", "gives"),
    [
        (None, 785.0, 785.0),
        (784.0, None, 784.0),
        (790.0, 785.0, 790.0),
        (780.0, 785.0, 780.0),
        (200.0, None, 200.0),
        (2000.0, None, 2000.0),
        (790.001, 785.0, "choose the profile"),
        (779.999, 785.0, "choose the profile"),
        (199.9, None, "makes no sense"),
        (2000.1, None, "makes no sense"),
        (None, None, "excitation wavelength"),
    ],
)
def test_the_wavelength_of_the_laser(told, expected, gives):
    driver = FakeDriver()
    driver.profile = replace(PROFILE, laser_nm=expected)
    driver.identity = replace(driver.identity, laser_nm=told)
    if isinstance(gives, str):
        with pytest.raises((ProtocolError, ParameterError), match=gives):
            run_of(driver)
    else:
        assert run_of(driver)._laser_nm == gives


@pytest.mark.parametrize(
    ("profile_s", "unit_s", "plan_s", "waits"),
    [(2.0, 3.0, None, 3.0), (3.0, 2.0, None, 3.0), (3.0, 2.0, 0.0, 0.0), (3.0, 2.0, 1.5, 1.5)],
)
def test_how_long_the_laser_warms_up(profile_s, unit_s, plan_s, waits):
    driver = FakeDriver()
    driver.profile = replace(PROFILE, warm_up_s=profile_s)
    driver.identity = replace(driver.identity, warm_up_s=unit_s)
    waited = []
    plan = replace(PLAN, warm_up_s=plan_s)
    run_of(driver, plan, wait=waited.append).with_laser(arm("Kim"), acknowledged=True, sequence=1)
    assert sum(waited) == pytest.approx(waits)


def test_a_countdown_counts_whole_seconds_and_waits_the_rest():
    driver = FakeDriver()
    waited, told = [], []
    run = run_of(driver, wait=waited.append, progress=lambda p: told.append((p.done, p.total)))
    run._count(None, 2.5)
    assert waited == [1.0, 1.0, 0.5]
    assert told == [(2, 2), (1, 2)]


def test_the_countdown_is_the_plans_or_the_profiles():
    for plan, expected in ((replace(PLAN, warning_s=None), 3.0), (replace(PLAN, warning_s=1.0), 1.0)):
        driver = FakeDriver()
        before = []
        run_of(
            driver, plan, wait=lambda s, d=driver, b=before: b.append((s, d.log.count("laser on")))
        ).with_laser(arm("Kim"), acknowledged=True, sequence=1)
        assert sum(seconds for seconds, lit in before if not lit) == expected


def test_light_that_software_cannot_switch_is_switched_by_a_person():
    driver = FakeDriver()
    asked = []
    run = run_of(driver)
    with pytest.raises(LaserRefusedError, match="how its light goes on"):
        run.without_laser(None, sequence=1)
    assert "acquire on" not in driver.log

    def light(on):
        asked.append((on, driver.frames))
        driver.laser = on

    measured = run_of(driver).without_laser(light, sequence=4)
    assert [on for on, _ in asked] == [True, False]
    assert measured.dark is not None
    assert (measured.interlock, measured.sequence) == (None, 4)


def test_without_dark_frames_nobody_needs_to_switch_a_light():
    driver = FakeDriver()
    measured = run_of(driver, replace(PLAN, dark=False, operator="Lee")).without_laser(None, sequence=1)
    assert measured.dark is None
    assert measured.operator == "Lee"


def test_frames_end_before_the_light_has_to():
    driver = FakeDriver()
    now = [1000.0]
    run = run_of(driver, clock=lambda: now[0])
    ends = []
    driver.acquire = lambda: ends.append(run._frames.ends) or FakeDriver.acquire(driver)
    token = arm("Kim", clock=lambda: now[0])
    run.with_laser(token, acknowledged=True, sequence=1)
    assert ends[0] == pytest.approx(1000.0 + 0.95 * PROFILE.maximum_on_s)


def test_an_interlock_of_unknown_state_is_not_asked_again_after_the_scan():
    driver = FakeDriver()
    asked = []
    driver.interlock = lambda: asked.append(True) or Interlock.UNKNOWN
    run_of(driver).with_laser(arm("Kim"), acknowledged=True, sequence=1)
    assert len(asked) == 1


@pytest.mark.parametrize("averages", [3])
def test_what_goes_on_record_of_a_scan(averages):
    driver = FakeDriver()
    plan = replace(PLAN, averages=averages, name="bag 3")
    measured = run_of(driver, plan).with_laser(arm("Kim"), acknowledged=True, sequence=2)
    assert (measured.averages, measured.name, measured.operator, measured.sequence) == (3, "bag 3", "Kim", 2)
    assert measured.interlock is Interlock.UNKNOWN
    assert measured.laser_nm == 785.0
    assert len(measured.sample.raw) == len(measured.dark.raw) == 3
    assert measured.integration_ms == 100.0
