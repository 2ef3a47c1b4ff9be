"""From the frames of a scan to a `Spectrum` that says how it was made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

import numpy as np

from spectralid import __version__
from spectralid.devices.axis import raman_shift
from spectralid.devices.driver import Identity, Interlock
from spectralid.devices.frames import Frames, dead_pixels, light_is_steady
from spectralid.devices.nonlinearity import linearised
from spectralid.devices.profile import Profile
from spectralid.errors import DeviceError, ParameterError, ProtocolError
from spectralid.spectrum import Acquisition, FloatArray, IntensityUnit, ProcessingStep, Spectrum, Technique

__all__ = ["Calibration", "Measurement", "RetakeError"]

# A pixel that is full in half of the frames is full; in fewer, cosmic rays or a flicker were.
_SATURATED_SHARE: Final = 0.5
_DEAD_SHARE: Final = 0.1
# The dark no longer belongs to the sample frames when the detector has warmed up or cooled down since.
_TEMPERATURE_DRIFT_C: Final = 1.0


class RetakeError(DeviceError):
    """What the detector gave is no measurement; measure again."""


class Calibration(Protocol):
    """What corrects axis or intensity of a spectrum and records that in its history."""

    def apply(self, spectrum: Spectrum) -> Spectrum:
        """The corrected spectrum."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Everything a scan knows when its last frame is in.

    Attributes
    ----------
    profile, identity : Profile, Identity
        The instrument.
    laser_nm : float
        Excitation wavelength.
    sample : Frames
        Frames with the light on.
    dark : Frames or None
        Frames with the light off.
    integration_ms : float
        Integration time that was set.
    averages : int
        Frames that were wanted.
    stale : int
        Frames thrown away because they were taken with an earlier integration time.
    interlock : Interlock or None
        State of the interlock; ``None`` where no laser was switched.
    operator, name : str
        Who measured what.
    sequence : int
        Number of the scan in its session, from 1.
    started : datetime
        When the first frame was taken.
    """

    profile: Profile
    identity: Identity
    laser_nm: float
    sample: Frames
    dark: Frames | None
    integration_ms: float
    averages: int
    stale: int
    interlock: Interlock | None
    operator: str
    name: str
    sequence: int
    started: datetime

    def spectrum(
        self, *, axis_calibration: Calibration | None, intensity_calibration: Calibration | None
    ) -> Spectrum:
        """The spectrum: mean of the frames, dark subtracted, calibrated, with all facts and flags.

        Raises
        ------
        RetakeError
            If the frames cannot be a measurement.
        """
        taken = [self.sample] if self.dark is None else [self.sample, self.dark]
        if self.sample.flat:
            raise RetakeError(
                f"{self._source()} gave a frame with the same count in every pixel; measure again, and have "
                "the instrument checked if it stays."
            )
        dead = dead_pixels(taken, self.profile.adc_max)
        if dead.mean() > _DEAD_SHARE:
            raise RetakeError(
                f"{int(dead.sum())} of {dead.size} pixels of {self._source()} show no signal; measure again, "
                "and have the instrument checked if it stays."
            )
        intensity = self.sample.mean
        intensity[dead] = np.nan
        measured = Spectrum(
            axis=raman_shift(self.identity.wavelengths_nm, self.laser_nm),
            intensity=intensity,
            technique=Technique.RAMAN,
            unit=IntensityUnit.COUNTS,
            sd=_root(self.sample.variance_of_mean) if self.dark is None else None,
            acquisition=self._acquisition(taken, int(dead.sum()), axis_calibration is not None),
            name=self.name,
            source=self._source(),
        )
        linear = self._linearised(self._without_dark(measured))
        return _calibrated(linear, (intensity_calibration, axis_calibration))

    def _without_dark(self, measured: Spectrum) -> Spectrum:
        if self.dark is None:
            return measured
        step = ProcessingStep(
            "dark_subtraction",
            {
                "frames": len(self.dark.raw),
                "integration_ms": self.integration_ms,
                "sha256": self.dark.sha256,
            },
            __version__,
        )
        of_sample, of_dark = self.sample.variance_of_mean, self.dark.variance_of_mean
        variance = None if of_sample is None or of_dark is None else of_sample + of_dark
        return measured.processed(
            step,
            intensity=measured.intensity - self.dark.mean,
            sd=_root(variance),
        )

    def _linearised(self, measured: Spectrum) -> Spectrum:
        coefficients = self.identity.nonlinearity
        # The instrument's coefficients are for counts above the dark.
        if self.dark is None or not coefficients:
            return measured
        counts = measured.intensity
        known = np.isfinite(counts) & (counts != 0)
        factor = np.ones_like(counts)
        try:
            factor[known] = linearised(counts[known], coefficients) / counts[known]
        except ParameterError as error:
            raise ProtocolError(
                f"The nonlinearity coefficients stored in {self._source()} ({error.given}) make no sense: "
                "its calibration is lost. Have it calibrated before use."
            ) from None
        return measured.processed(
            ProcessingStep("linearise_counts", {"coefficients": list(coefficients)}, __version__),
            intensity=counts * factor,
            sd=None if measured.sd is None else measured.sd * factor,
        )

    def _acquisition(self, taken: list[Frames], dead: int, calibrated: bool) -> Acquisition:
        full = (self.sample.counts >= self.profile.adc_max).mean(axis=0)
        temperatures = [t for frames in taken for t in frames.temperatures_c]
        unsteady = self.dark is not None and not light_is_steady(self.sample, self.dark)
        flags = {
            "checksum_verified": all(frames.verified for frames in taken),
            "checksum_absent": not all(frames.verified for frames in taken),
            "interlock_unknown": self.interlock is Interlock.UNKNOWN,
            "stale_integration_discarded": self.stale > 0,
            "integration_unverified": self._actual_ms() is None,
            "saturated": bool(np.any(full > 0)),
            "light_unsteady": unsteady,
            "retake": unsteady or bool(np.any(full >= _SATURATED_SHARE)),
            "dead_pixels": dead > 0,
            "repeated_frames": any(frames.repeated for frames in taken),
            "fewer_averages": len(self.sample.raw) < self.averages,
            "dark_absent": self.dark is None,
            "temperature_drift": bool(temperatures) and np.ptp(temperatures) > _TEMPERATURE_DRIFT_C,
            "uncalibrated_axis": not calibrated,
        }
        return Acquisition(
            instrument=self.profile.name,
            serial=self.identity.serial,
            laser_nm=self.laser_nm,
            integration_ms=self._actual_ms() or self.integration_ms,
            averages=len(self.sample.raw),
            time=self.started.isoformat(timespec="seconds"),
            operator=self.operator,
            flags=frozenset(name for name, raised in flags.items() if raised),
            metadata={**self._facts(taken, full, dead), **_of_instrument(self.sample, temperatures)},
        )

    def _actual_ms(self) -> float | None:
        """Integration time by what the frames say, where they say it."""
        told = [frame.integration_ms for frame in self.sample.raw if frame.integration_ms is not None]
        # One that does not say it may have been taken with another.
        return float(np.mean(told)) if len(told) == len(self.sample.raw) else None

    def _facts(self, taken: list[Frames], full: FloatArray, dead: int) -> dict[str, str]:
        switched = self.interlock is not None
        facts = {
            "sequence": str(self.sequence),
            "protocol": self.profile.protocol,
            "profile_sha256": self.profile.sha256,
            "integration_requested_ms": f"{self.integration_ms:g}",
            "checksum": "verified" if all(frames.verified for frames in taken) else "absent",
            "sample_frames": str(len(self.sample.raw)),
            "sample_frames_sha256": self.sample.sha256,
            "saturated_points": str(int(np.sum(full > 0))),
            "dead_points": str(dead),
            "stale_frames_discarded": str(self.stale),
            # The scan itself ends in an alarm where any of these could not be read back.
            "laser_before_scan": "off, read back" if switched else "not switched by software",
            "laser_during_scan": "on, read back" if switched else "not switched by software",
            "laser_after_scan": "off, read back" if switched else "not switched by software",
            "interlock": self._interlock_on_record(),
        }
        if (actual_ms := self._actual_ms()) is not None:
            facts["integration_actual_ms"] = f"{actual_ms:.6g}"
        if self.dark is not None:
            facts["dark_frames"] = str(len(self.dark.raw))
            facts["dark_frames_sha256"] = self.dark.sha256
        if (snr := self.sample.snr) is not None:
            facts["snr_strongest_band"] = f"{snr:.1f}"
        return facts

    def _interlock_on_record(self) -> str:
        if self.interlock is None:
            return "not applicable"
        if self.interlock is Interlock.UNKNOWN:
            return f"unknown, acknowledged by {self.operator}"
        return self.interlock.value

    def _source(self) -> str:
        return f"{self.profile.name} {self.identity.serial}"


def _of_instrument(sample: Frames, temperatures: list[float]) -> dict[str, str]:
    """What the instrument says of its frames, where it says anything."""
    facts: dict[str, str] = {}
    ticks = [frame.tick_us for frame in sample.raw if frame.tick_us is not None]
    if ticks:
        facts["device_tick_us"] = f"{ticks[0]} to {ticks[-1]}"
    numbers = [frame.sequence for frame in sample.raw if frame.sequence is not None]
    if numbers:
        facts["device_sequence"] = f"{numbers[0]} to {numbers[-1]}"
    if temperatures:
        facts["temperature_c"] = f"{np.mean(temperatures):.2f}"
    return facts


def _calibrated(spectrum: Spectrum, calibrations: tuple[Calibration | None, ...]) -> Spectrum:
    before = len(spectrum.history)
    for calibration in calibrations:
        if calibration is not None:
            spectrum = calibration.apply(spectrum)
    added = [step.to_dict() for step in spectrum.history[before:]]
    if not added:
        return spectrum
    # The steps say all that was done; their hash names that very calibration.
    identity = hashlib.sha256(json.dumps(added, sort_keys=True).encode("utf-8")).hexdigest()
    facts = spectrum.acquisition
    return spectrum.replace(
        acquisition=replace(facts, metadata={**facts.metadata, "calibration_id": identity})
    )


def _root(variance: FloatArray | None) -> FloatArray | None:
    return None if variance is None else np.sqrt(variance)
