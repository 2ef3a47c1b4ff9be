"""One scan in an open session: permission, warning, light, frames, dark."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from spectralid.devices.acquisition import Acquirer
from spectralid.devices.driver import Identity, Interlock
from spectralid.devices.frames import Frames
from spectralid.devices.guard import DeviceGuard, LaserEndedError
from spectralid.devices.laser import ArmToken, LaserRefusedError, check_permission, check_token
from spectralid.devices.plan import Progress, ScanPlan, Stage
from spectralid.devices.profile import Profile
from spectralid.devices.record import Measurement
from spectralid.devices.state import Event, StateMachine
from spectralid.errors import ParameterError, ProtocolError

__all__ = ["ScanRun"]

# Frames end after this much of the light's time, so that the watch need not end it.
_LIGHT_SHARE: Final = 0.95
# Units of one model differ by a few nm at most; more means that the profile is another model's.
_LASER_TOLERANCE_NM: Final = 5.0
_LASER_NM: Final = (200.0, 2000.0)
_TICK_S: Final = 1.0


class ScanRun:
    """One scan; the session's state is ARMED when it begins and IDLE when it has succeeded.

    Parameters
    ----------
    guard : DeviceGuard
        Calls the instrument.
    machine : StateMachine
        The session's state.
    identity : Identity
        The unit.
    plan : ScanPlan
        What to measure.
    progress : callable
        Told how far the scan is.
    wait, clock : callable
        Time.

    Raises
    ------
    ParameterError, ProtocolError
        If nobody knows the excitation wavelength, or the unit's makes no sense.
    """

    def __init__(
        self,
        guard: DeviceGuard,
        machine: StateMachine,
        identity: Identity,
        plan: ScanPlan,
        *,
        progress: Callable[[Progress], None] = lambda _: None,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = guard
        self._driver = guard.driver
        self._profile = guard.driver.profile
        self._machine = machine
        self._identity = identity
        self._plan = plan
        self._progress = progress
        self._wait = wait
        self._clock = clock
        self._laser_nm = _excitation_nm(self._profile, identity)
        self._warm_up_s = (
            max(self._profile.warm_up_s, identity.warm_up_s) if plan.warm_up_s is None else plan.warm_up_s
        )
        self._frames = Acquirer(
            self._profile,
            plan,
            pixels=identity.wavelengths_nm.size,
            acquire=guard.acquire,
            set_integration=partial(guard.call, self._driver.set_integration),
            progress=progress,
            clock=clock,
        )

    def with_laser(self, token: ArmToken | None, *, acknowledged: bool, sequence: int) -> Measurement:
        """Measure with the instrument's laser, which is off afterwards.

        Raises
        ------
        LaserRefusedError, LaserOffUnconfirmedError, LaserEndedError, ScanCancelledError
            See `Session.scan`.
        DeviceError, ParameterError
            If instrument or line fail, or the plan does not fit.
        """
        if token is None:
            raise LaserRefusedError("The laser is not armed; a person has to arm it for each scan.")
        interlock = self._guard.call(self._driver.interlock)
        check_permission(interlock, token, acknowledged=acknowledged, clock=self._clock)
        maximum_s = min(self._profile.maximum_on_s, self._identity.watchdog_s or math.inf)
        if not maximum_s:
            raise LaserRefusedError(
                f"The profile of {self._profile.name} sets no limits for its laser: it stays off."
            )
        self._frames.check_plan(maximum_s, self._warm_up_s)
        warning_s = self._profile.warning_s if self._plan.warning_s is None else self._plan.warning_s
        self._count(Stage.WARNING, warning_s)
        check_token(token, clock=self._clock)
        started = datetime.now(UTC)
        with self._guard.light(maximum_s):
            self._machine.fire(Event.LIGHT)
            self._frames.ends = self._clock() + _LIGHT_SHARE * maximum_s
            self._guard.call(self._driver.set_laser, True)
            if not self._guard.call(self._driver.laser_is_on):
                raise LaserRefusedError(
                    "The instrument acknowledged the laser and leaves it off; check key and interlock."
                )
            sample = self._sample()
            self._check_still_on(interlock)
        return self._measurement(sample, started, sequence, interlock, token.operator)

    def without_laser(self, light: Callable[[bool], None] | None, *, sequence: int) -> Measurement:
        """Measure with light that software cannot switch.

        Raises
        ------
        LaserRefusedError
            If nobody says how the light goes off for the dark frames.
        DeviceError, ParameterError
            If instrument or line fail, or the plan does not fit.
        """
        if light is None and self._plan.dark:
            raise LaserRefusedError(
                f"This {self._profile.name} has no laser that can be switched from here. Say how its light "
                "goes on and off, or measure without dark frames."
            )
        self._frames.check_plan(math.inf, self._warm_up_s)
        if light is not None:
            light(True)
        started = datetime.now(UTC)
        self._machine.fire(Event.LIGHT)
        sample = self._sample()
        if light is not None:
            light(False)
        return self._measurement(sample, started, sequence, None, self._plan.operator)

    def _sample(self) -> Frames:
        self._count(Stage.WARM_UP, self._warm_up_s)
        self._frames.expose()
        self._machine.fire(Event.ACQUIRE)
        return self._frames.sample()

    def _check_still_on(self, interlock: Interlock) -> None:
        if not self._guard.call(self._driver.laser_is_on):
            raise LaserEndedError(
                "The laser went off by itself during the scan; check key, interlock and watchdog, and "
                "measure again."
            )
        if interlock is Interlock.CLOSED and self._guard.call(self._driver.interlock) is not interlock:
            raise LaserEndedError("The interlock opened during the scan; close it and measure again.")

    def _measurement(
        self, sample: Frames, started: datetime, sequence: int, interlock: Interlock | None, operator: str
    ) -> Measurement:
        """Dark frames, and everything together."""
        self._machine.fire(Event.DARKEN)
        dark = self._frames.dark(len(sample.raw)) if self._plan.dark else None
        self._machine.fire(Event.FINISH)
        return Measurement(
            profile=self._profile,
            identity=self._identity,
            laser_nm=self._laser_nm,
            sample=sample,
            dark=dark,
            integration_ms=self._frames.integration_ms,
            averages=1 if self._plan.until_snr else self._plan.averages,
            stale=self._frames.stale,
            interlock=interlock,
            operator=operator,
            name=self._plan.name,
            sequence=sequence,
            started=started,
        )

    def _count(self, stage: Stage, seconds: float) -> None:
        """Wait `seconds`, second by second, unless the scan is ended meanwhile."""
        whole = int(seconds)
        for left in range(whole, 0, -1):
            self._progress(Progress(stage, left, whole))
            self._wait(_TICK_S)
            self._guard.check()
        self._wait(seconds - whole)
        self._guard.check()


def _excitation_nm(profile: Profile, identity: Identity) -> float:
    told, expected = identity.laser_nm, profile.laser_nm
    if told is None:
        if expected is None:
            raise ParameterError(
                "excitation wavelength",
                None,
                f"told by the profile of {profile.name}, which does not tell it itself",
            )
        return expected
    if not _LASER_NM[0] <= told <= _LASER_NM[1]:
        raise ProtocolError(
            f"The excitation wavelength stored in {profile.name} {identity.serial} ({told:g} nm) makes no "
            "sense; its calibration is lost. Have it calibrated before use."
        )
    if expected is not None and abs(told - expected) > _LASER_TOLERANCE_NM:
        raise ProtocolError(
            f"{profile.name} {identity.serial} says that its laser has {told:g} nm and its profile says "
            f"{expected:g} nm; choose the profile that fits the instrument."
        )
    return told
