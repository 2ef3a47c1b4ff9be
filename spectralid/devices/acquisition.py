"""Frames for a scan: finding the exposure, waiting until a change has arrived, averaging."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from spectralid.devices.driver import RawFrame
from spectralid.devices.frames import Frames, RunningSnr
from spectralid.devices.plan import MAXIMUM_DISCARD, Progress, ScanPlan, Stage
from spectralid.devices.profile import Profile
from spectralid.errors import ParameterError, ProtocolError

__all__ = ["Acquirer"]

# Exposure control: aim at 70 % of the converter's range, be content between 60 and 80 %; at most five times
# longer in one go, because what is bright further on is not known yet; half as long when saturated.
_TARGET: Final = 0.7
_CONTENT: Final = (0.6, 0.8)
_STEP_UP: Final = 5.0
_STEP_DOWN: Final = 0.5
_FIRST_MS: Final = 100.0
_LONGEST_MS: Final = 5000.0
_EXPOSURE_STEPS: Final = 8

# How far the integration time a frame reports may lie from the one set: the instrument's own rounding. The
# coarsest protocol counts whole milliseconds.
_TOLERANCE: Final = 0.01
_ROUNDING_MS: Final = 0.5


class Acquirer:
    """Takes the frames of one scan; knows nothing of lasers but when the light must end.

    Parameters
    ----------
    profile : Profile
        What is fixed for the instrument.
    plan : ScanPlan
        What to measure.
    pixels : int
        Pixels each frame must have.
    acquire : callable
        Takes one frame, told the integration time in ms.
    set_integration : callable
        Sets the integration time in ms.
    progress : callable
        Told how far the scan is.
    clock : callable
        The monotonic clock.

    Attributes
    ----------
    integration_ms : float
        Integration time in ms, 0 until `expose`.
    stale : int
        Frames thrown away because they said they were taken with an earlier integration time.
    ends : float
        When the light must end, by `clock`.
    """

    def __init__(
        self,
        profile: Profile,
        plan: ScanPlan,
        *,
        pixels: int,
        acquire: Callable[[float], RawFrame],
        set_integration: Callable[[float], None],
        progress: Callable[[Progress], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile = profile
        self._plan = plan
        self._pixels = pixels
        self._acquire = acquire
        self._set_integration = set_integration
        self._progress = progress
        self._clock = clock
        self._settled = False  # whether a frame has come since light or integration time changed
        self._longest_frame_s = 0.0
        self._overhead_s = 0.0
        self.integration_ms = 0.0
        self.stale = 0
        self.ends = math.inf

    def check_plan(self, maximum_s: float, warm_up_s: float) -> None:
        """Make sure before any light that the plan fits the instrument and need not have light for too long.

        Raises
        ------
        ParameterError
            If it does not.
        """
        plan = self._plan
        if plan.integration_ms is None:
            return  # it is chosen to fit
        low, high = self._profile.integration_ms
        if not low <= plan.integration_ms <= high:
            raise ParameterError(
                "integration time", f"{plan.integration_ms:g} ms", f"from {low:g} to {high:g} ms"
            )
        frames = plan.discard + (2 if plan.until_snr else plan.averages)
        seconds = warm_up_s + frames * plan.integration_ms / 1000
        if seconds > maximum_s:
            raise ParameterError(
                "integration time and averages",
                f"{plan.integration_ms:g} ms × {plan.averages}, {seconds:.0f} s of laser light",
                f"so short that the laser of {self._profile.name} is on for at most {maximum_s:g} s",
            )

    def expose(self) -> None:
        """Set the integration time, or find one whose brightest pixel lies well inside the range."""
        if self._plan.integration_ms is not None:
            self._set(self._plan.integration_ms)
            return
        shortest = self._profile.integration_ms[0]
        self._set(min(max(_FIRST_MS, shortest), self._longest_ms()))
        for step in range(_EXPOSURE_STEPS):
            self._progress(Progress(Stage.EXPOSURE, step, _EXPOSURE_STEPS))
            highest = int(self._frame().counts.max())
            level = highest / self._profile.adc_max
            if _CONTENT[0] <= level <= _CONTENT[1]:
                return
            full = highest >= self._profile.adc_max
            factor = _STEP_DOWN if full else min(_STEP_UP, _TARGET / max(level, 1e-6))
            wanted = round(
                min(max(self.integration_ms * factor, shortest), self._longest_ms()), 3
            )  # whole µs
            if wanted == self.integration_ms:
                return
            self._set(wanted)

    def sample(self) -> Frames:
        """Frames of the sample: as many as planned, or as the signal needs, or as the light's time allows."""
        plan = self._plan
        running = RunningSnr()
        frames: list[RawFrame] = []
        while True:
            frames.append(self._frame())
            snr = running.add(frames[-1].counts)
            enough = plan.until_snr is not None and snr is not None and snr >= plan.until_snr
            no_time = self._clock() + self._longest_frame_s > self.ends
            over = enough or no_time or len(frames) == plan.averages
            total = len(frames) if over else plan.averages
            self._progress(Progress(Stage.SAMPLE, len(frames), total, snr, running.mean))
            if over:
                return Frames.of(frames)

    def dark(self, count: int) -> Frames:
        """`count` frames in the dark."""
        self.ends = math.inf
        self._settled = False
        frames: list[RawFrame] = []
        for done in range(count):
            frames.append(self._frame())
            self._progress(Progress(Stage.DARK, done + 1, count))
        return Frames.of(frames)

    def _set(self, milliseconds: float) -> None:
        self._set_integration(milliseconds)
        self.integration_ms = milliseconds
        self._settled = False

    def _longest_ms(self) -> float:
        """The longest integration time that leaves time for all frames that follow."""
        plan = self._plan
        frames = plan.discard + (2 if plan.until_snr else plan.averages)
        share_s = (self.ends - self._clock()) / frames - self._overhead_s
        shortest, longest = self._profile.integration_ms
        return max(shortest, min(longest, _LONGEST_MS, 1000 * share_s))

    def _frame(self) -> RawFrame:
        """The next frame that counts."""
        frame = self._next() if self._settled else self._first()
        self._settled = True
        return frame

    def _first(self) -> RawFrame:
        """The first frame that counts after light or integration time have changed."""
        discarded = 0
        while True:
            frame = self._take()
            current = self._is_current(frame)
            if current and discarded >= self._plan.discard:
                return frame
            self.stale += not current
            discarded += 1
            if discarded > MAXIMUM_DISCARD:
                raise ProtocolError(
                    f"{self._profile.name} was set to an integration time of {self.integration_ms:g} ms and "
                    f"its frames still say {frame.integration_ms:g} ms; reset it and measure again."
                )

    def _next(self) -> RawFrame:
        frame = self._take()
        if not self._is_current(frame):
            raise ProtocolError(
                f"{self._profile.name} changed its integration time from {self.integration_ms:g} to "
                f"{frame.integration_ms:g} ms between two frames; it may have been reset. Measure again."
            )
        return frame

    def _take(self) -> RawFrame:
        begun = self._clock()
        frame = self._acquire(self.integration_ms)
        taken_s = self._clock() - begun
        self._longest_frame_s = max(self._longest_frame_s, taken_s)
        self._overhead_s = max(self._overhead_s, taken_s - self.integration_ms / 1000)
        if frame.counts.shape != (self._pixels,):
            raise ProtocolError(
                f"{self._profile.name} sent a frame of {frame.counts.size} pixels and has wavelengths for "
                f"{self._pixels}; choose the profile that fits the instrument."
            )
        return frame

    def _is_current(self, frame: RawFrame) -> bool:
        if frame.integration_ms is None:
            return True
        off_ms = abs(frame.integration_ms - self.integration_ms)
        return off_ms <= max(_ROUNDING_MS, _TOLERANCE * self.integration_ms)
