"""A session with one instrument: what may happen when, laser safety throughout, and spectra with their facts.

Software is not an interlock. What a session adds to key, interlock and glasses: the laser is off unless a
person armed it; while it may be on, a thread of its own ends the light when its time is over, also while the
scan waits for a frame; it goes off on every way out, signals and the end of the program included; and it
counts as off only when the instrument says so. What nobody can promise: a killed process (SIGKILL), a
computer that loses power, an instrument that does not tell the truth.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Self

from spectralid.devices.driver import Driver, Identity
from spectralid.devices.guard import DeviceGuard, ScanCancelledError, Timer
from spectralid.devices.laser import ArmToken, LaserOffUnconfirmedError, LaserRefusedError
from spectralid.devices.laser_watch import Orders, SignalWatch, next_order
from spectralid.devices.plan import Progress, ScanPlan
from spectralid.devices.profile import Profile
from spectralid.devices.record import Calibration, Measurement
from spectralid.devices.registry import open_device
from spectralid.devices.run import ScanRun
from spectralid.devices.state import Event, State, StateError, StateMachine
from spectralid.devices.transport import Transport
from spectralid.errors import DeviceError, ProtocolError
from spectralid.spectrum import Spectrum

__all__ = ["Session", "scan"]

_log = logging.getLogger("spectralid.devices")

# How long closing waits for a scan it has cancelled to switch off and end.
_CLOSE_S: Final = 20.0


class Session:
    """One instrument, from opening to closing.

    Parameters
    ----------
    connect : callable
        Opens the instrument; called again by `recover`.
    keep_open : bool
        Leave the line open at the end: it is the caller's.
    alarm : callable
        Told the words of the alarm as soon as "off" cannot be confirmed, possibly in another thread. By
        default they are logged as critical, which prints them where nothing else is configured.
    told : callable
        Told every new state.
    wait : callable
        Waits some seconds, less if the scan is cancelled; for tests.
    clock : callable
        The monotonic clock, for tests.
    watch_wait : callable
        How the thread that ends the light waits, see `spectralid.devices.laser_watch.next_order`; for tests.
    timer : callable
        Makes the timer that ends a call of a driver that keeps no deadline; for tests.

    Notes
    -----
    Enter it (``with``, or `open`) in the main thread: only there Python lets it take the signals that end a
    program. Scans may then run in any thread, one at a time.
    """

    def __init__(
        self,
        connect: Callable[[], Driver],
        *,
        keep_open: bool = False,
        alarm: Callable[[str], None] = _log.critical,
        told: Callable[[State], None] = lambda _: None,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        watch_wait: Callable[[Orders, float], str] = next_order,
        timer: Timer = threading.Timer,
    ) -> None:
        self._connect = connect
        self._keep_open = keep_open
        self._alarm = alarm
        self._cancelled = threading.Event()
        self._wait = self._cancelled.wait if wait is None else wait
        self._clock = clock
        self._watch_wait = watch_wait
        self._timer = timer
        self._machine = StateMachine(told)
        self._scanning = threading.Lock()
        self._signals = SignalWatch(self._hold_signal)
        self._guard: DeviceGuard | None = None
        self._identity: Identity | None = None
        self._has_laser = False
        self._scans = 0
        self._fault = ""

    @classmethod
    def on(cls, port: str | Transport, profile: Profile) -> Session:
        """A session with the instrument of `profile` on `port`, not opened yet."""
        return cls(partial(open_device, port, profile))

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._machine.state

    @property
    def fault(self) -> str:
        """What went wrong last, in words; empty if nothing did."""
        return self._fault

    @property
    def identity(self) -> Identity:
        """Which unit this is.

        Raises
        ------
        StateError
            Before the session is open.
        """
        if self._identity is None:
            raise StateError("The instrument has not been identified yet; open the session first.")
        return self._identity

    @property
    def has_laser(self) -> bool:
        """Whether the instrument has a laser that this session switches; known once it is open."""
        return self._has_laser

    # --- from opening to closing -------------------------------------------------------------------------

    def open(self) -> Self:
        """Connect, switch the laser off before anything else, and identify the instrument.

        Raises
        ------
        LaserOffUnconfirmedError
            If a laser cannot be confirmed to be off.
        DeviceError
            If it cannot be opened or does not make sense; the session is then in `State.FAULT`.
        StateError
            If it is open already.
        """
        self._machine.fire(Event.OPEN)
        return self._begin()

    def recover(self) -> Self:
        """Leave `State.FAULT`: connect anew, laser off, identify. It must be the same unit.

        Raises
        ------
        StateError
            If the session is not in `State.FAULT`.
        LaserOffUnconfirmedError, DeviceError
            As for `open`; the fault stays.
        """
        self._machine.fire(Event.RECOVER)
        self._drop()
        return self._begin()

    def off(self) -> None:
        """Switch the laser off, in any state and from any thread, and have that confirmed.

        Ends a scan that is running. After an alarm this is all a session does; it connects anew where the
        line was lost, and a confirmed "off" leads to `State.FAULT`.

        Raises
        ------
        LaserOffUnconfirmedError
            If it is not confirmed.
        """
        if self.state is State.LASER_OFF_UNCONFIRMED:
            self._off_after_alarm()
        elif self._guard is not None and self._has_laser:
            self._guard.urgent_off("the operator had it switched off")

    def cancel(self) -> None:
        """Call the scan off, from any thread: the countdown ends, the laser goes off, the scan raises."""
        guard = self._guard
        if guard is not None and self._scanning.locked():
            self._cancelled.set()
            guard.cancel()

    def close(self) -> None:
        """Switch the laser off if it may be on, and close the line. The states of failure stay.

        Raises
        ------
        LaserOffUnconfirmedError
            If "off" cannot be confirmed; the line is closed all the same.
        """
        try:
            if self.state is State.LASER_OFF_UNCONFIRMED and self._guard is not None:
                self._guard.off()
                self._machine.fire(Event.OFF_CONFIRMED)
            elif not self._scanning.acquire(blocking=False):
                self.cancel()
                # The scan switches off on its way out; the line is its own until then.
                if self._scanning.acquire(timeout=_CLOSE_S):
                    self._scanning.release()
                elif self._guard is not None:
                    self._guard.urgent_off("the session was closed")
            else:
                self._scanning.release()
        finally:
            self._drop()
            if self.state in (State.WARMUP, State.ACQUIRING):
                self._machine.fire(Event.FAIL)
            self._machine.fire(Event.CLOSE)
            self._signals.remove()

    def __enter__(self) -> Self:
        if self.state is not State.DISCONNECTED:
            return self
        try:
            return self.open()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> Self:
        self._fault = ""
        self._signals.install()
        try:
            guard = self._new_guard()
            driver = guard.driver
            self._has_laser = driver.capabilities.has_laser and guard.call(driver.has_laser)
            if self._has_laser:
                # Before anything that may fail: an earlier program may have left the laser on.
                guard.off()
            self._check_unit(guard.call(driver.identify))
            self._machine.fire(Event.IDENTIFY)
            self._machine.fire(Event.READY)
        except BaseException as error:
            self._fail(error)
            raise
        return self

    def _new_guard(self) -> DeviceGuard:
        driver = self._connect()
        guard = self._guard = DeviceGuard(
            driver,
            unconfirmed=self._unconfirmed,
            ended=self._ended,
            pass_on=self._signals.pass_on,
            watch_wait=self._watch_wait,
            timer=self._timer,
        )
        guard.renew()
        return guard

    def _drop(self) -> None:
        guard, self._guard = self._guard, None
        if guard is None:
            return
        if not self._keep_open:
            try:
                guard.driver.close()
            except DeviceError as error:
                # A line that is gone cannot be closed; there is nothing left to do about it.
                _log.warning("Closing the line failed: %s", error)

    def _off_after_alarm(self) -> None:
        try:
            if self._guard is not None:
                self._guard.off()
        except LaserOffUnconfirmedError:
            # The line may be dead while the instrument is not.
            self._drop()
        if self._guard is None:
            try:
                guard = self._new_guard()
            except DeviceError as error:
                alarm = LaserOffUnconfirmedError(str(error))
                self._unconfirmed(alarm)
                raise alarm from error
            guard.off()
        self._machine.fire(Event.OFF_CONFIRMED)

    def _hold_signal(self, number: int) -> bool:
        return self._guard is not None and self._guard.hold_signal(number)

    def _check_unit(self, identity: Identity) -> None:
        """Make sure that it is the unit the session began with."""
        if self._identity is not None and self._identity.serial != identity.serial:
            raise ProtocolError(
                f"The instrument is {identity.serial} and was {self._identity.serial}: it was exchanged. "
                "Close the session and open a new one."
            )
        self._identity = identity

    # --- what goes wrong ---------------------------------------------------------------------------------

    def _fail(self, error: BaseException) -> None:
        self._fault = str(error) or type(error).__name__
        alarm = isinstance(error, LaserOffUnconfirmedError)
        self._machine.fire(Event.OFF_UNCONFIRMED if alarm else Event.FAIL)

    def _unconfirmed(self, error: LaserOffUnconfirmedError) -> None:
        known = self.state is State.LASER_OFF_UNCONFIRMED
        self._fail(error)
        if not known:
            self._alarm(str(error))

    def _ended(self, reason: str) -> None:
        self._fault = reason
        self._machine.fire(Event.FAIL)

    # --- a scan ------------------------------------------------------------------------------------------

    def scan(
        self,
        plan: ScanPlan,
        *,
        token: ArmToken | None = None,
        acknowledge_unknown_interlock: bool = False,
        light: Callable[[bool], None] | None = None,
        axis_calibration: Calibration | None = None,
        intensity_calibration: Calibration | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> Spectrum:
        """Measure a Raman spectrum.

        Warning, laser on, warm-up, exposure (if it is to be found), sample frames, laser off and read back,
        dark frames. The laser goes off on every way out.

        Parameters
        ----------
        plan : ScanPlan
            What to measure.
        token : ArmToken, optional
            Consent to use the laser, see `spectralid.devices.laser.arm`; needed where there is one to switch.
        acknowledge_unknown_interlock : bool
            Whether the operator knows that the instrument cannot tell the state of its interlock; goes on
            record.
        light : callable, optional
            For an instrument whose light software cannot switch: told ``True`` before the sample frames and
            ``False`` before the dark ones, returns when a person has switched it.
        axis_calibration, intensity_calibration : Calibration, optional
            Applied to the spectrum, intensity first.
        progress : callable
            Told how far the scan is.

        Returns
        -------
        Spectrum
            Counts over Raman shift, dark subtracted, with the standard deviation of each point where at least
            two frames were averaged. Flags, of which ``retake`` means that it is not fit for matching:
            ``checksum_verified`` or ``checksum_absent``, ``dark_absent``, ``dead_pixels``,
            ``fewer_averages``, ``integration_unverified``, ``interlock_unknown``, ``repeated_frames``,
            ``retake``, ``saturated``, ``stale_integration_discarded``, ``temperature_drift``,
            ``uncalibrated_axis``.

        Raises
        ------
        StateError
            If the session is not idle.
        LaserRefusedError
            If the laser may not go on.
        LaserOffUnconfirmedError
            If the laser cannot be confirmed to be off; the alarm comes before any other error.
        LaserEndedError, ScanCancelledError
            If the laser was switched off before the scan was over: its time was up, it went off by itself,
            its interlock opened, or somebody called the scan off.
        RetakeError
            If the frames cannot be a measurement.
        DeviceError
            If the instrument or the line fails.
        ParameterError
            If the plan does not fit the instrument.
        """
        measured = self.measure(
            plan,
            token=token,
            acknowledge_unknown_interlock=acknowledge_unknown_interlock,
            light=light,
            progress=progress,
        )
        return measured.spectrum(
            axis_calibration=axis_calibration, intensity_calibration=intensity_calibration
        )

    def measure(
        self,
        plan: ScanPlan,
        *,
        token: ArmToken | None = None,
        acknowledge_unknown_interlock: bool = False,
        light: Callable[[bool], None] | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> Measurement:
        """Measure as `scan` does, and give the frames: for whoever judges the detector as well.

        Parameters
        ----------
        plan, token, acknowledge_unknown_interlock, light, progress
            As for `scan`.

        Returns
        -------
        Measurement
            Frames with and without light; its `Measurement.spectrum` is what `scan` gives.

        Raises
        ------
        DeviceError, ParameterError
            As for `scan`.
        """
        if not self._scanning.acquire(blocking=False):
            raise StateError("A scan is running; wait for it or cancel it.")
        try:
            self._machine.fire(Event.ARM)
            try:
                return self._run(plan, token, acknowledge_unknown_interlock, light, progress)
            except BaseException as error:
                self._scan_failed(error)
                raise
        finally:
            self._scanning.release()
            self._cancelled.clear()

    def _run(
        self,
        plan: ScanPlan,
        token: ArmToken | None,
        acknowledged: bool,
        light: Callable[[bool], None] | None,
        progress: Callable[[Progress], None],
    ) -> Measurement:
        guard = self._guard
        if guard is None:
            raise StateError("The session is not connected to an instrument; open it first.")
        guard.renew()
        if self._scans:
            self._check_unit(guard.call(guard.driver.identify))
        self._scans += 1
        run = ScanRun(
            guard,
            self._machine,
            self.identity,
            plan,
            progress=progress,
            wait=self._wait,
            clock=self._clock,
        )
        if self._has_laser:
            return run.with_laser(token, acknowledged=acknowledged, sequence=self._scans)
        return run.without_laser(light, sequence=self._scans)

    def _scan_failed(self, error: BaseException) -> None:
        refused = isinstance(error, LaserRefusedError | ScanCancelledError)
        if self.state is State.ARMED and (refused or not isinstance(error, DeviceError)):
            self._machine.fire(Event.DISARM)  # nothing but questions has been asked
        elif self.state is not State.IDLE:
            self._fail(error)


def scan(
    driver: Driver,
    plan: ScanPlan,
    *,
    token: ArmToken | None = None,
    acknowledge_unknown_interlock: bool = False,
    light: Callable[[bool], None] | None = None,
    axis_calibration: Calibration | None = None,
    intensity_calibration: Calibration | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    wait: Callable[[float], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Spectrum:
    """Measure one Raman spectrum with an open instrument; the line stays open.

    Parameters
    ----------
    driver : Driver
        The instrument.
    plan, token, acknowledge_unknown_interlock, light, axis_calibration, intensity_calibration, progress
        As for `Session.scan`.
    wait, clock : callable
        Time, for tests.

    Returns
    -------
    Spectrum
        See `Session.scan`.

    Raises
    ------
    DeviceError, ParameterError
        As for `Session.open` and `Session.scan`.
    """
    with Session(lambda: driver, keep_open=True, wait=wait, clock=clock) as session:
        return session.scan(
            plan,
            token=token,
            acknowledge_unknown_interlock=acknowledge_unknown_interlock,
            light=light,
            axis_calibration=axis_calibration,
            intensity_calibration=intensity_calibration,
            progress=progress,
        )
