"""A scan from beginning to end: exposure, dark, sample, laser safety, and the facts that go on record."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import numpy as np

from spectralid import __version__
from spectralid.devices.axis import raman_shift
from spectralid.devices.driver import Driver, Identity, Interlock, RawFrame
from spectralid.devices.laser import ArmToken, LaserRefusedError, check_permission, lasing, switch_off
from spectralid.devices.profile import Profile
from spectralid.errors import ParameterError
from spectralid.spectrum import Acquisition, FloatArray, IntensityUnit, ProcessingStep, Spectrum, Technique

__all__ = ["Progress", "ScanPlan", "Stage", "scan"]

MAXIMUM_AVERAGES: Final = 1000

# Exposure control: aim at 70 % of the converter's range, be content between 60 and 80 %; at most five times
# longer in one go, because what is bright further on is not known yet; half as long when saturated.
_TARGET: Final = 0.7
_CONTENT: Final = (0.6, 0.8)
_STEP_UP: Final = 5.0
_STEP_DOWN: Final = 0.5
_FIRST_MS: Final = 100.0
_LONGEST_MS: Final = 5000.0
_EXPOSURE_STEPS: Final = 8

# Rounding to whole counts: variance of a uniform distribution one count wide. Keeps the standard deviation of
# points whose frames happen to agree above zero.
_ROUNDING_VARIANCE: Final = 1 / 12


class Stage(StrEnum):
    """What a scan is doing."""

    WARNING = "laser on in"
    EXPOSURE = "finding the exposure"
    DARK = "dark frames"
    SAMPLE = "sample frames"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: `done` of `total` frames (or seconds, for the warning) of a stage."""

    stage: Stage
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What to measure.

    Attributes
    ----------
    integration_ms : float or None
        Integration time of a frame in ms; ``None`` finds one that uses the detector's range.
    averages : int
        Frames of the sample, and of the dark, 1 to 1000.
    discard : int
        Frames thrown away after each change of laser or integration time, at least 1.
    warning_s : float or None
        Seconds of warning before the laser goes on; ``None`` takes the profile's.
    name : str
        Name of the spectrum.
    """

    integration_ms: float | None = None
    averages: int = 10
    discard: int = 1
    warning_s: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.averages <= MAXIMUM_AVERAGES:
            raise ParameterError(
                "averages", self.averages, f"a number of frames from 1 to {MAXIMUM_AVERAGES}"
            )
        if self.discard < 1:
            raise ParameterError("discard", self.discard, "at least 1: the first frame holds the old state")
        if self.warning_s is not None and self.warning_s < 0:
            raise ParameterError("warning_s", self.warning_s, "at least 0 s")


@dataclass(frozen=True, slots=True)
class _Frames:
    """Frames taken under one condition: counts of shape (n_frames, n_pixels)."""

    counts: FloatArray
    verified: bool

    @property
    def mean(self) -> FloatArray:
        return np.asarray(self.counts.mean(axis=0))

    @property
    def variance_of_mean(self) -> FloatArray | None:
        """Variance of `mean` in counts², or ``None`` for a single frame."""
        n = len(self.counts)
        if n < 2:
            return None
        return np.asarray((self.counts.var(axis=0, ddof=1) + _ROUNDING_VARIANCE) / n)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.counts.astype("<f8").tobytes()).hexdigest()


def scan(
    driver: Driver,
    plan: ScanPlan,
    *,
    token: ArmToken,
    acknowledge_unknown_interlock: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Spectrum:
    """Measure a Raman spectrum.

    The laser is switched off first. Then: warning, exposure (if it is to be found), dark frames with the
    laser off, sample frames with it on, laser off and read back. It goes off on every way out.

    Parameters
    ----------
    driver : Driver
        The instrument.
    plan : ScanPlan
        What to measure.
    token : ArmToken
        Consent to use the laser, see `spectralid.devices.laser.arm`.
    acknowledge_unknown_interlock : bool
        Whether the operator knows that the instrument cannot tell the state of its interlock.
    progress : callable
        Told how far the scan is.
    wait, clock : callable
        Time, for tests.

    Returns
    -------
    Spectrum
        Counts over Raman shift, dark subtracted, with the standard deviation of each point where at least two
        frames were averaged. Flags: ``checksum_verified`` or ``checksum_absent``, ``interlock_unknown``,
        ``saturated``.

    Raises
    ------
    LaserRefusedError
        If the laser may not go on.
    LaserOffUnconfirmedError
        If the laser cannot be confirmed to be off; the alarm comes before any other error.
    DeviceError
        If the instrument or the line fails.
    ParameterError
        If the plan does not fit the instrument.
    """
    profile = driver.profile
    if not driver.has_laser():
        raise LaserRefusedError(f"This {profile.name} says that it has no laser; a Raman scan needs one.")
    # Before anything that may fail: an earlier program may have left the laser on.
    switch_off(driver)
    identity = driver.identify()
    interlock = check_permission(
        driver, token, acknowledge_unknown_interlock=acknowledge_unknown_interlock, clock=clock
    )
    laser_nm = profile.laser_nm if identity.laser_nm is None else identity.laser_nm
    if laser_nm is None:
        raise ParameterError("excitation wavelength", None, "told by the instrument or its profile")
    if plan.integration_ms is not None:
        _check_laser_time(profile, plan, plan.integration_ms)
    _warn(profile.warning_s if plan.warning_s is None else plan.warning_s, progress, wait)

    if plan.integration_ms is None:
        with lasing(driver, token, clock=clock):
            integration_ms = _find_exposure(driver, plan, progress)
        _check_laser_time(profile, plan, integration_ms)
    else:
        integration_ms = plan.integration_ms
        driver.set_integration(integration_ms)

    started = datetime.now(UTC)
    dark = _take(driver, plan, Stage.DARK, progress)
    with lasing(driver, token, clock=clock):
        sample = _take(driver, plan, Stage.SAMPLE, progress)
    return _spectrum(
        profile, identity, laser_nm, plan, integration_ms, started, token, interlock, dark, sample
    )


def _check_laser_time(profile: Profile, plan: ScanPlan, integration_ms: float) -> None:
    seconds = (plan.discard + plan.averages) * integration_ms / 1000
    if seconds > profile.maximum_on_s:
        raise ParameterError(
            "integration time and averages",
            f"{integration_ms:g} ms × {plan.averages}, {seconds:.0f} s of laser light",
            f"so short that the laser of {profile.name} is on for at most {profile.maximum_on_s:g} s",
        )


def _warn(seconds: float, progress: Callable[[Progress], None], wait: Callable[[float], None]) -> None:
    whole = int(seconds)
    for left in range(whole, 0, -1):
        progress(Progress(Stage.WARNING, left, whole))
        wait(1.0)
    wait(seconds - whole)


def _discard(driver: Driver, plan: ScanPlan) -> None:
    for _ in range(plan.discard):
        driver.acquire()


def _find_exposure(driver: Driver, plan: ScanPlan, progress: Callable[[Progress], None]) -> float:
    """Integration time in ms whose brightest pixel lies well inside the converter's range."""
    profile = driver.profile
    shortest, longest = profile.integration_ms
    # The laser must not stay on longer than allowed for the frames that follow.
    share_ms = 1000 * profile.maximum_on_s / (plan.discard + plan.averages)
    longest = max(shortest, min(longest, _LONGEST_MS, share_ms))
    time_ms = min(max(_FIRST_MS, shortest), longest)
    for step in range(_EXPOSURE_STEPS):
        progress(Progress(Stage.EXPOSURE, step, _EXPOSURE_STEPS))
        driver.set_integration(time_ms)
        _discard(driver, plan)
        highest = int(driver.acquire().counts.max())
        level = highest / profile.adc_max
        if highest >= profile.adc_max:
            factor = _STEP_DOWN
        elif _CONTENT[0] <= level <= _CONTENT[1]:
            break
        else:
            factor = min(_STEP_UP, _TARGET / max(level, 1e-6))
        wanted = round(min(max(time_ms * factor, shortest), longest), 3)  # whole µs
        if wanted == time_ms:
            break
        time_ms = wanted
    else:
        # The last change was never tried: without this the instrument would keep the one before it.
        driver.set_integration(time_ms)
    return time_ms


def _take(driver: Driver, plan: ScanPlan, stage: Stage, progress: Callable[[Progress], None]) -> _Frames:
    _discard(driver, plan)
    frames: list[RawFrame] = []
    for done in range(plan.averages):
        progress(Progress(stage, done, plan.averages))
        frames.append(driver.acquire())
    progress(Progress(stage, plan.averages, plan.averages))
    return _Frames(np.array([f.counts for f in frames], dtype=np.float64), all(f.verified for f in frames))


def _spectrum(
    profile: Profile,
    identity: Identity,
    laser_nm: float,
    plan: ScanPlan,
    integration_ms: float,
    started: datetime,
    token: ArmToken,
    interlock: Interlock,
    dark: _Frames,
    sample: _Frames,
) -> Spectrum:
    saturated = int(np.any(sample.counts >= profile.adc_max, axis=0).sum())
    flags = ["checksum_verified" if dark.verified and sample.verified else "checksum_absent"]
    if interlock is Interlock.UNKNOWN:
        flags.append("interlock_unknown")
    if saturated:
        flags.append("saturated")
    parts: Sequence[FloatArray | None] = (sample.variance_of_mean, dark.variance_of_mean)
    known = [p for p in parts if p is not None]
    acquisition = Acquisition(
        instrument=profile.name,
        serial=identity.serial,
        laser_nm=laser_nm,
        integration_ms=integration_ms,
        averages=plan.averages,
        time=started.isoformat(timespec="seconds"),
        operator=token.operator,
        flags=frozenset(flags),
        metadata={
            "dark_frames": str(plan.averages),
            "dark_frames_sha256": dark.sha256,
            "sample_frames_sha256": sample.sha256,
            "saturated_points": str(saturated),
            "laser_after_scan": "off, read back",
        },
    )
    measured = Spectrum(
        axis=raman_shift(identity.wavelengths_nm, laser_nm),
        intensity=sample.mean,
        technique=Technique.RAMAN,
        unit=IntensityUnit.COUNTS,
        acquisition=acquisition,
        name=plan.name,
        source=f"{profile.name} {identity.serial}",
    )
    step = ProcessingStep(
        "dark_subtraction",
        {"frames": plan.averages, "integration_ms": integration_ms, "sha256": dark.sha256},
        __version__,
    )
    return measured.processed(
        step,
        intensity=sample.mean - dark.mean,
        sd=np.sqrt(np.sum(known, axis=0)) if len(known) == len(parts) else None,
    )
