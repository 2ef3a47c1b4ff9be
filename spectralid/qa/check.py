"""The daily performance check of a unit, from its spectrum of a standard.

What the standard alone tells is judged on any day: where its bands are, what that makes of the axis, signal
to noise, saturation. What wears (laser, gratings, detector) shows only against the day the unit was accepted:
without the spectrum of that day those figures are "not done", and the record says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from spectralid.calibration import CalibrationError, calibrate_axis
from spectralid.calibration.axis import upright
from spectralid.calibration.peaks import Peak, find_peaks, usable
from spectralid.calibration.standards import AxisStandard, axis_standard
from spectralid.identify.quality import SignalQuality, signal_quality
from spectralid.qa.limits import Limits, TechniqueLimits, load_limits
from spectralid.qa.performance import BandCheck, CheckError, Figure, PerformanceCheck
from spectralid.spectrum import FloatArray, Spectrum, Technique

if TYPE_CHECKING:
    from spectralid.calibration import AxisCalibration
    from spectralid.devices.frames import Frames

__all__ = ["Darkness", "check_performance"]

# Bands of an infrared film carry their own tolerances; of a Raman standard only those are judged singly that
# any unit shows well (strength 2 and more of 5). The others take part in the fit of the axis.
_JUDGED_STRENGTH: Final = 2
_NOT_ACCEPTED: Final = "no spectrum of the accepted unit to compare with"
# Pitch of the grid on which two days are compared, near that of the instruments.
_PITCH_CM1: Final = 3.0
# The fit tells no uncertainty of a height; a band this weak says nothing about relative intensity.
_WEAK: Final = 0.1
_SAME_BAND_CM1: Final = 8.0


@dataclass(frozen=True, slots=True)
class Darkness:
    """What the detector shows without light.

    Attributes
    ----------
    mean, noise : float
        Mean count, and the median standard deviation of a pixel from frame to frame.
    dead_share : float
        Share of pixels that never move, 0 … 1.
    temperature_c : float or None
        Of the detector, where it says.
    adc_max : float
        Largest count the detector gives.
    """

    mean: float
    noise: float
    dead_share: float
    temperature_c: float | None
    adc_max: float

    @classmethod
    def of(cls, dark: Frames, sample: Frames, adc_max: int) -> Darkness:
        """From dark frames and those of the standard; at least two dark frames.

        Raises
        ------
        CheckError
            If there is one dark frame only: nothing tells its noise.
        """
        from spectralid.devices.frames import dead_pixels

        if len(dark.counts) < 2:
            raise CheckError("The check needs two dark frames or more; take them with the laser off.")
        temperatures = dark.temperatures_c + sample.temperatures_c
        return cls(
            float(dark.mean.mean()),
            float(np.median(dark.counts.std(axis=0, ddof=1))),
            float(dead_pixels([dark, sample], adc_max).mean()),
            float(np.mean(temperatures)) if temperatures else None,
            float(adc_max),
        )


def check_performance(
    spectrum: Spectrum,
    standard: str | AxisStandard,
    *,
    limits: Limits | None = None,
    accepted: Spectrum | None = None,
    dark: Darkness | None = None,
    accepted_dark: Darkness | None = None,
    lot: str = "",
    time: str = "",
) -> PerformanceCheck:
    """Judge a unit by what it shows of a standard.

    Parameters
    ----------
    spectrum : Spectrum
        The standard as the unit gives it: dark subtracted, nothing else done to it.
    standard : str or AxisStandard
        What was measured: ``polystyrene``, ``acetaminophen``, ``polystyrene-film`` …
    limits : Limits, optional
        By default the built-in ones.
    accepted : Spectrum, optional
        The same standard on the day the unit was accepted.
    dark, accepted_dark : Darkness, optional
        What the detector shows without light, now and then.
    lot : str
        Of the reference material.
    time : str
        When it was measured, ISO 8601; by default what the spectrum states.

    Returns
    -------
    PerformanceCheck
        A figure passes if its value lies within its limits; a value so near to a limit that its uncertainty
        reaches across is marked (`Figure.near_limit`).

    Raises
    ------
    CheckError
        If the spectrum is of no known technique, or `accepted` is not of the same unit and technique.
    ParameterError
        If the standard is not known.
    """
    if spectrum.technique is Technique.UNKNOWN:
        raise CheckError("State the technique of the spectrum: Raman and infrared standards differ.")
    if isinstance(standard, str):
        standard = axis_standard(standard, "infrared" if spectrum.technique.is_infrared else "raman")
    if accepted is not None:
        _see_same_unit(spectrum, accepted)
    limits = limits or load_limits()
    allowed = limits.of(spectrum.technique)
    quality = signal_quality(spectrum)
    calibration, bands, why = _axis(spectrum, standard, allowed)
    figures = (
        *_axis_figures(calibration, bands, allowed, why),
        *_signal_figures(quality, allowed),
        *_against_accepted(spectrum, accepted, standard, allowed),
        *_dark_figures(dark, accepted_dark, allowed),
    )
    acquisition = spectrum.acquisition
    return PerformanceCheck(
        passed=not any(figure.status == "failed" for figure in figures),
        figures=figures,
        bands=bands,
        standard=standard.name,
        lot=lot,
        instrument=acquisition.instrument,
        serial=acquisition.serial,
        time=time or acquisition.time,
        accepted_sha256=accepted.sha256 if accepted is not None else "",
        spectrum_sha256=spectrum.sha256,
        limits_version=limits.version,
    )


def _see_same_unit(spectrum: Spectrum, accepted: Spectrum) -> None:
    if accepted.technique is not spectrum.technique:
        raise CheckError(
            f"The spectrum of the accepted unit is {accepted.technique}, this one {spectrum.technique}."
        )
    here, then = spectrum.acquisition.serial, accepted.acquisition.serial
    if here and then and here != then:
        raise CheckError(f"The spectrum of the accepted unit is of unit {then!r}, this one of {here!r}.")


def judged(
    name: str,
    value: float | None,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    uncertainty: float | None = None,
    note: str = "",
) -> Figure:
    """A figure against its limits; one that could not be told, though it should have been, fails."""
    inside = value is not None and math.isfinite(value)
    inside = inside and (low is None or value >= low) and (high is None or value <= high)  # type: ignore[operator]
    shown = value if value is not None and math.isfinite(value) else None
    return Figure(name, shown, unit, uncertainty, low, high, "passed" if inside else "failed", note)


# --- the axis ----------------------------------------------------------------------------------------------


def _axis(
    spectrum: Spectrum, standard: AxisStandard, allowed: TechniqueLimits
) -> tuple[AxisCalibration | None, tuple[BandCheck, ...], str]:
    try:
        calibration = calibrate_axis(spectrum, standard, order=1)
    except CalibrationError:
        try:
            calibration = calibrate_axis(spectrum, standard, order=0)
        except CalibrationError as error:
            return None, (), str(error)
    strength = {line.position_cm1: line.strength for line in standard.lines}
    tolerance = {line.position_cm1: line.tolerance_cm1 for line in standard.lines}
    bands = tuple(
        BandCheck(
            peak.standard_cm1,
            peak.standard_sd_cm1,
            peak.found_cm1,
            peak.found_sd_cm1,
            tolerance[peak.standard_cm1] or allowed.deviation_cm1,
            peak.used,
        )
        for peak in calibration.peaks
        if strength[peak.standard_cm1] >= _JUDGED_STRENGTH
    )
    return calibration, bands, ""


def _axis_figures(
    calibration: AxisCalibration | None, bands: Sequence[BandCheck], allowed: TechniqueLimits, why: str
) -> Iterator[Figure]:
    if calibration is None:
        for name in ("bands", "axis_shift", "axis_stretch"):
            yield judged(name, None, unit="cm⁻¹", note=why)
        return
    if bands:
        # The one that is furthest beyond what it may be.
        worst = max(bands, key=lambda band: abs(band.deviation_cm1) / band.limit_cm1)
        yield judged(
            "bands",
            worst.deviation_cm1,
            low=-worst.limit_cm1,
            high=worst.limit_cm1,
            unit="cm⁻¹",
            uncertainty=math.hypot(worst.found_sd_cm1, worst.standard_sd_cm1),
            note=f"of {len(bands)} bands, the one at {worst.standard_cm1:g} cm⁻¹",
        )
    else:
        yield judged("bands", None, unit="cm⁻¹", note="no strong band of the standard was found")
    covariance = calibration.shift_stretch_covariance
    # The record says what the axis is off by; the calibration what to add to it.
    yield judged(
        "axis_shift",
        -calibration.shift_cm1,
        low=-allowed.shift_cm1,
        high=allowed.shift_cm1,
        unit="cm⁻¹",
        uncertainty=math.sqrt(covariance[0, 0]),
        note=f"at {calibration.pivot_cm1:.0f} cm⁻¹",
    )
    reach = max(abs(end - calibration.pivot_cm1) for end in calibration.valid_cm1)
    yield judged(
        "axis_stretch",
        -calibration.stretch * reach,
        low=-allowed.stretch_cm1,
        high=allowed.stretch_cm1,
        unit="cm⁻¹",
        uncertainty=math.sqrt(covariance[1, 1]) * reach,
        note=f"{reach:.0f} cm⁻¹ from there",
    )


# --- signal and detector -----------------------------------------------------------------------------------


def _signal_figures(quality: SignalQuality, allowed: TechniqueLimits) -> Iterator[Figure]:
    if quality.snr is None:
        yield Figure("snr", None, note="the spectrum shows no noise: smoothed, or too few points")
    else:
        yield judged("snr", quality.snr, low=allowed.snr)
    yield judged("saturated_points", float(quality.saturated_points), high=allowed.saturated_points)


def _dark_figures(
    dark: Darkness | None, accepted: Darkness | None, allowed: TechniqueLimits
) -> Iterator[Figure]:
    names = ("dark_level", "dark_noise", "dead_pixels", "temperature")
    if dark is None:
        for name in names:
            yield Figure(name, None, note="no dark frames were given")
        return
    if accepted is None:
        yield Figure("dark_level", dark.mean, "counts", note=_NOT_ACCEPTED)
        yield Figure("dark_noise", dark.noise, "counts", note=_NOT_ACCEPTED)
    else:
        most = accepted.mean + allowed.dark_rise * dark.adc_max
        yield judged("dark_level", dark.mean, high=most, unit="counts")
        noisiest = allowed.dark_noise_ratio * accepted.noise
        yield judged("dark_noise", dark.noise, high=noisiest, unit="counts")
    yield judged("dead_pixels", 100 * dark.dead_share, high=100 * allowed.dead_share, unit="%")
    if dark.temperature_c is None:
        yield Figure("temperature", None, "°C", note="the instrument gives none")
    else:
        low, high = allowed.temperature_c
        yield judged("temperature", dark.temperature_c, low=low, high=high, unit="°C")


# --- against the day the unit was accepted -----------------------------------------------------------------


def _against_accepted(
    spectrum: Spectrum, accepted: Spectrum | None, standard: AxisStandard, allowed: TechniqueLimits
) -> Iterator[Figure]:
    now = _bands_of(spectrum, standard)
    strongest = max(now, key=lambda peak: peak.height, default=None)
    width = strongest.width_cm1 if strongest else None
    if accepted is None:
        yield Figure("resolution", width, "cm⁻¹", note=_NOT_ACCEPTED)
        for name in ("relative_intensity", "strength", "self_match"):
            yield Figure(name, None, note=_NOT_ACCEPTED)
        return
    then = _bands_of(accepted, standard)
    pairs = [(peak, near) for peak in now if (near := _nearest(then, peak)) is not None]
    if not pairs:
        lost = "none of the bands of the accepted unit is there"
        for name in ("resolution", "relative_intensity", "strength"):
            yield judged(name, None, note=lost)
    else:
        first, first_then = max(pairs, key=lambda pair: pair[1].height)
        yield judged(
            "resolution",
            first.width_cm1,
            high=allowed.width_ratio * first_then.width_cm1,
            unit="cm⁻¹",
            note=f"full width of the band at {first_then.position_cm1:.0f} cm⁻¹, {first_then.width_cm1:.1f} "
            "when accepted",
        )
        yield _relative_intensity(pairs, allowed)
        yield _strength(spectrum, accepted, first, first_then, allowed)
    yield judged("self_match", _likeness(spectrum, accepted), low=allowed.self_match)


def _bands_of(spectrum: Spectrum, standard: AxisStandard) -> list[Peak]:
    peaks = usable(find_peaks(upright(spectrum)))
    places = [line.position_cm1 for line in standard.lines if line.strength >= _JUDGED_STRENGTH]
    return [
        peak
        for peak in peaks
        if min(abs(peak.position_cm1 - place) for place in places) <= 2 * _SAME_BAND_CM1
    ]


def _nearest(peaks: Sequence[Peak], to: Peak) -> Peak | None:
    near = min(peaks, key=lambda peak: abs(peak.position_cm1 - to.position_cm1), default=None)
    return near if near and abs(near.position_cm1 - to.position_cm1) <= _SAME_BAND_CM1 else None


def _relative_intensity(pairs: Sequence[tuple[Peak, Peak]], allowed: TechniqueLimits) -> Figure:
    highest = max(then.height for _, then in pairs)
    ratios = [now.height / then.height for now, then in pairs if then.height >= _WEAK * highest]
    if len(ratios) < 2:
        return Figure("relative_intensity", None, "%", note="fewer than two strong bands in common")
    common = math.exp(float(np.median(np.log(ratios))))
    off = max((100 * (ratio / common - 1) for ratio in ratios), key=abs)
    most = 100 * allowed.relative_intensity
    return judged("relative_intensity", off, low=-most, high=most, unit="%")


def _strength(
    spectrum: Spectrum, accepted: Spectrum, now: Peak, then: Peak, allowed: TechniqueLimits
) -> Figure:
    """Light per exposure: of a worn laser, a dirty window, a detector that lost its gain."""
    if spectrum.unit is not accepted.unit:
        return Figure("strength", None, note=f"{spectrum.unit} now, {accepted.unit} when accepted")
    ratio = now.height / then.height
    if spectrum.technique.is_infrared:
        # A film's bands are as strong as the film is thick: the instrument has no part in it.
        return Figure("strength", ratio, note="says nothing of the instrument in infrared")
    for which in ("integration_ms", "power_mw"):
        here, there = getattr(spectrum.acquisition, which), getattr(accepted.acquisition, which)
        if here and there:
            ratio *= there / here
        elif which == "integration_ms" and here != there:
            return Figure("strength", None, note="the exposure of one of the two is not known")
    return judged("strength", ratio, low=allowed.strength_ratio, high=1 / allowed.strength_ratio)


def _likeness(spectrum: Spectrum, accepted: Spectrum) -> float | None:
    from spectralid.identify.similarity import derivative_cosine, derivative_window, first_derivative

    low = max(spectrum.range[0], accepted.range[0])
    high = min(spectrum.range[1], accepted.range[1])
    if high - low < 100 * _PITCH_CM1:
        return None
    grid = np.arange(low, high, _PITCH_CM1)
    window = derivative_window(_PITCH_CM1)

    def derivative(one: Spectrum) -> FloatArray:
        return first_derivative(np.interp(grid, one.axis, one.intensity), window)

    return derivative_cosine(derivative(upright(spectrum)), derivative(upright(accepted)))
