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
from spectralid.preprocess._points import check_size
from spectralid.qa.limits import Limits, TechniqueLimits, load_limits
from spectralid.qa.performance import BandCheck, CheckError, Figure, PerformanceCheck
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum, Technique

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
# A pixel that stands out of its neighbours in the dark by this share of the range is hot.
_HOT: Final = 0.01
_NEIGHBOURS: Final = 51
_SAME_EXPOSURE: Final = 0.05
# Frames, and noise in counts, in which a living pixel does not stand still by chance (below 1 in 2,000).
_FRAMES_TO_MOVE: Final = 6
_NOISE_TO_MOVE: Final = 2.0
_TWO_FRAMES: Final = "The check needs two dark frames or more; take them with the laser off."


@dataclass(frozen=True, slots=True)
class Darkness:
    """What the detector shows without light.

    Attributes
    ----------
    mean, noise : float
        Mean count, and the median standard deviation of a pixel from frame to frame.
    dead_share, hot_share : float
        Share of pixels that never move, and of those that stand out by 1 % of the detector's range, 0 … 1.
    temperature_c : float or None
        Of the detector, where it says.
    adc_max : float
        Largest count the detector gives.
    integration_ms : float or None
        Exposure of a frame, where it is known.
    """

    mean: float
    noise: float
    dead_share: float
    temperature_c: float | None
    adc_max: float
    hot_share: float = 0.0
    integration_ms: float | None = None

    @classmethod
    def of(cls, dark: Frames, sample: Frames | None, adc_max: int) -> Darkness:
        """From dark frames and those of the standard; at least two dark frames.

        Raises
        ------
        CheckError
            If there is one dark frame only: nothing tells its noise.
        """
        from spectralid.devices.frames import dead_pixels

        taken = [dark] if sample is None else [dark, sample]
        temperatures = [value for frames in taken for value in frames.temperatures_c]
        exposures = {frame.integration_ms for frame in dark.raw}
        return cls._of(
            dark.counts,
            float(dead_pixels(taken, adc_max).mean()) if sample is not None else None,
            temperatures,
            adc_max,
            exposures.pop() if len(exposures) == 1 else None,
        )

    @classmethod
    def of_spectra(cls, frames: Sequence[Spectrum], adc_max: int) -> Darkness:
        """From dark frames that were saved as spectra, in counts; at least two.

        Without a frame that saw light, a pixel is dead if it shows 0 or the largest count in every frame, or
        stands still in six and more of a detector that is noisy enough to move it.

        Parameters
        ----------
        frames : sequence of Spectrum
            One a frame, none averaged or subtracted.
        adc_max : int
            Largest count the detector gives.

        Raises
        ------
        CheckError
            If there is one only, they are not counts, or not of one detector and exposure.
        """
        if not frames:
            raise CheckError(_TWO_FRAMES)
        first = frames[0]
        for frame in frames:
            # Plain text states no unit.
            if frame.unit not in (IntensityUnit.COUNTS, IntensityUnit.ARBITRARY):
                raise CheckError(f"Dark frames are counts; {frame.name or 'one'} is in {frame.unit}.")
            if frame.axis.size != first.axis.size:
                raise CheckError(
                    f"Dark frames are of one detector; one has {first.axis.size} points, another "
                    f"{frame.axis.size}."
                )
            if frame.acquisition.serial != first.acquisition.serial:
                raise CheckError(
                    f"Dark frames are of one unit; one is of {first.acquisition.serial!r}, another of "
                    f"{frame.acquisition.serial!r}."
                )
            if frame.acquisition.integration_ms != first.acquisition.integration_ms:
                raise CheckError("Dark frames must have one exposure; these have several.")
        told = [_temperature(frame) for frame in frames]
        counts = np.array([frame.intensity for frame in frames])
        return cls._of(
            counts[:, np.isfinite(counts).all(axis=0)],
            None,
            [value for value in told if value is not None],
            adc_max,
            first.acquisition.integration_ms,
        )

    @classmethod
    def _of(
        cls,
        counts: FloatArray,
        dead_share: float | None,
        temperatures: Sequence[float],
        adc_max: int,
        integration_ms: float | None,
    ) -> Darkness:
        if len(counts) < 2 or not counts.shape[1]:
            raise CheckError(_TWO_FRAMES)
        check_size(counts)
        level = counts.mean(axis=0)
        noise = float(np.median(counts.std(axis=0, ddof=1)))
        if dead_share is None:
            dead = np.all(counts == 0, axis=0) | np.all(counts >= adc_max, axis=0)
            if len(counts) >= _FRAMES_TO_MOVE and noise >= _NOISE_TO_MOVE:
                dead |= np.ptp(counts, axis=0) == 0
            dead_share = float(dead.mean())
        return cls(
            float(level.mean()),
            noise,
            dead_share,
            float(np.mean(temperatures)) if temperatures else None,
            float(adc_max),
            float(np.mean(level - _neighbours(level) > _HOT * adc_max)),
            integration_ms,
        )


def _neighbours(level: FloatArray) -> FloatArray:
    """Median of the pixels around each: the dark of a detector need not be even."""
    width = min(_NEIGHBOURS, level.size // 2 * 2 - 1)
    if width < 3:
        return np.full(level.size, float(np.median(level)))
    padded = np.pad(level, width // 2, mode="reflect")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))


def _temperature(frame: Spectrum) -> float | None:
    """Of the detector, as our own records of a scan state it."""
    try:
        return float(frame.acquisition.metadata["temperature_c"])
    except (KeyError, ValueError):
        return None


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
    # Fits of all bands take most of the time of a check: they are made once.
    peaks = find_peaks(upright(spectrum))
    calibration, bands, why = _axis(spectrum, peaks, standard, allowed)
    figures = (
        *_axis_figures(calibration, bands, allowed, why),
        *_signal_figures(spectrum, quality, allowed),
        *_against_accepted(spectrum, peaks, accepted, standard, allowed),
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
    spectrum: Spectrum, peaks: tuple[Peak, ...], standard: AxisStandard, allowed: TechniqueLimits
) -> tuple[AxisCalibration | None, tuple[BandCheck, ...], str]:
    try:
        calibration = calibrate_axis(spectrum, standard, order=1, peaks=peaks)
    except CalibrationError:
        try:
            calibration = calibrate_axis(spectrum, standard, order=0, peaks=peaks)
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


def _signal_figures(spectrum: Spectrum, quality: SignalQuality, allowed: TechniqueLimits) -> Iterator[Figure]:
    if quality.snr is None:
        yield Figure("snr", None, note="the spectrum shows no noise: smoothed, or too few points")
    else:
        yield judged("snr", quality.snr, low=allowed.snr)
    # A full pixel is no flat top any more once its own dark was subtracted; the scan's own record knows.
    full = max(quality.saturated_points, "saturated" in spectrum.acquisition.flags)
    yield judged("saturated_points", float(full), high=allowed.saturated_points)


def _dark_figures(
    dark: Darkness | None, accepted: Darkness | None, allowed: TechniqueLimits
) -> Iterator[Figure]:
    names = ("dark_level", "dark_noise", "dead_pixels", "hot_pixels", "temperature")
    if dark is None:
        for name in names:
            yield Figure(name, None, note="no dark frames were given")
        return
    why = ""
    if accepted is None:
        why = "no dark frames of the accepted unit to compare with"
    elif dark.integration_ms and accepted.integration_ms:
        now, then = dark.integration_ms, accepted.integration_ms
        if not math.isclose(now, then, rel_tol=_SAME_EXPOSURE):
            why = f"exposed {now:g} ms, {then:g} ms when accepted"
    if accepted is None or why:
        yield Figure("dark_level", dark.mean, "counts", note=why)
        yield Figure("dark_noise", dark.noise, "counts", note=why)
    else:
        most = accepted.mean + allowed.dark_rise * dark.adc_max
        yield judged("dark_level", dark.mean, high=most, unit="counts")
        noisiest = allowed.dark_noise_ratio * accepted.noise
        yield judged("dark_noise", dark.noise, high=noisiest, unit="counts")
    yield judged("dead_pixels", 100 * dark.dead_share, high=100 * allowed.dead_share, unit="%")
    yield judged("hot_pixels", 100 * dark.hot_share, high=100 * allowed.hot_share, unit="%")
    if dark.temperature_c is None:
        yield Figure("temperature", None, "°C", note="the instrument gives none")
    else:
        low, high = allowed.temperature_c
        yield judged("temperature", dark.temperature_c, low=low, high=high, unit="°C")


# --- against the day the unit was accepted -----------------------------------------------------------------


def _against_accepted(
    spectrum: Spectrum,
    peaks: tuple[Peak, ...],
    accepted: Spectrum | None,
    standard: AxisStandard,
    allowed: TechniqueLimits,
) -> Iterator[Figure]:
    now = _bands_of(peaks, standard)
    strongest = max(now, key=lambda peak: peak.height, default=None)
    width = strongest.width_cm1 if strongest else None
    if accepted is None:
        yield Figure("resolution", width, "cm⁻¹", note=_NOT_ACCEPTED)
        for name in ("relative_intensity", "strength", "background", "self_match"):
            yield Figure(name, None, note=_NOT_ACCEPTED)
        return
    then = _bands_of(find_peaks(upright(accepted)), standard)
    pairs = [(peak, near) for peak in now if (near := _nearest(then, peak)) is not None]
    if not pairs:
        lost = "none of the bands of the accepted unit is there"
        for name in ("resolution", "relative_intensity", "strength", "background"):
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
        yield judged(
            "background",
            _background(spectrum, first) - _background(accepted, first_then),
            high=allowed.background_rise,
            note="level under the bands, in strongest bands, above the accepted day",
        )
    yield judged("self_match", _likeness(spectrum, accepted), low=allowed.self_match)


def _bands_of(peaks: tuple[Peak, ...], standard: AxisStandard) -> list[Peak]:
    places = [line.position_cm1 for line in standard.lines if line.strength >= _JUDGED_STRENGTH]
    return [
        peak
        for peak in usable(peaks)
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


def _background(spectrum: Spectrum, strongest: Peak) -> float:
    """Median of a spectrum over the height of its strongest band: bands cover the smaller part."""
    return float(np.nanmedian(upright(spectrum).intensity)) / strongest.height


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
