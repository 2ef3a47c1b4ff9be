"""From the spectrum of a standard to the calibration of the axis."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectralid.calibration._errors import CalibrationError
from spectralid.calibration.matching import Pair, match
from spectralid.calibration.peaks import Peak, find_peaks, usable
from spectralid.calibration.record import AxisCalibration, MatchedPeak, Space, basis
from spectralid.calibration.standards import AxisStandard, StandardLine, axis_standard
from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray, Spectrum, Technique

__all__ = ["calibrate_axis"]

# Bands needed for a shift alone (unless the standard has but one), for a stretch, and for a curvature; and
# the range the bands must span for the latter two.
_FOR_SHIFT: Final = 3
_FOR_STRETCH: Final = 4
_FOR_CURVATURE: Final = 7
_SPAN_CM1: Final = 500.0
# A further coefficient must lower the error of predicting each band from the others by this share.
_WORTH: Final = 0.85
# A band is left out if it lies further from what the others predict, in standard deviations, than chance
# explains.
_OUTLIER: Final = 3.5
_MOST_OUTLIERS: Final = 0.25
# How far beyond the outermost bands the calibration still holds.
_MARGIN_CM1: Final = 100.0


class _Line(NamedTuple):
    """The weighted fit of deviations: coefficients, covariance, χ², degrees of freedom."""

    coefficients: FloatArray
    covariance: FloatArray
    chi_square: float
    degrees: int


def calibrate_axis(
    spectrum: Spectrum,
    standard: str | AxisStandard,
    *,
    order: int | None = None,
    space: Space = "shift",
    laser_nm: float | None = None,
    instrument: str = "",
    serial: str = "",
    time: str = "",
    peaks: tuple[Peak, ...] | None = None,
) -> AxisCalibration:
    """Calibrate the wavenumber axis of an instrument from its spectrum of a standard.

    Parameters
    ----------
    spectrum : Spectrum
        The standard as measured: Raman, or infrared of the polystyrene film.
    standard : str or AxisStandard
        What was measured.
    order : int, optional
        0: shift, 1: shift and stretch, 2: also a curvature. By default the highest order that the bands
        support and that predicts each band better from the others than the order below.
    space : {"shift", "wavelength"}
        Whether the correction is a polynomial in Raman shift or in wavelength.
    laser_nm : float, optional
        Excitation in nm; by default what the spectrum states.
    instrument, serial, time : str, optional
        For the record; by default what the spectrum states.
    peaks : tuple of Peak, optional
        Its bands, if somebody has found them already (`find_peaks`, of the spectrum `upright`).

    Returns
    -------
    AxisCalibration

    Raises
    ------
    CalibrationError
        If the bands of the standard cannot be found, read in one way only, or are too few.
    ParameterError
        If the standard is not known or an argument is not allowed.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.calibration import axis_standard, calibrate_axis
    >>> axis = np.arange(400.0, 3300.0, 2.0)
    >>> lines = axis_standard("polystyrene", "raman").lines
    >>> bands = sum(np.exp(-(((axis - 2.5 - line.position_cm1) / 6) ** 2)) for line in lines)
    >>> noise = np.random.default_rng(0).normal(size=axis.size)
    >>> measured = Spectrum(axis, 1000 * bands + noise, technique="raman")
    >>> calibration = calibrate_axis(measured, "polystyrene")
    >>> round(float(calibration.apply(measured).axis[0]), 1)
    397.5
    """
    if spectrum.technique is Technique.UNKNOWN:
        raise CalibrationError("State the technique of the spectrum: Raman and infrared standards differ.")
    if isinstance(standard, str):
        standard = axis_standard(standard, "infrared" if spectrum.technique.is_infrared else "raman")
    if order not in (None, 0, 1, 2):
        raise ParameterError("order", order, "0, 1 or 2")
    if (standard.kind == "infrared") != spectrum.technique.is_infrared:
        raise CalibrationError(f"{standard.title} is a standard for {standard.kind} spectra.")
    laser = laser_nm or spectrum.acquisition.laser_nm
    if space == "wavelength" and not laser:
        raise ParameterError("laser_nm", laser_nm, "given for a correction in wavelengths")

    bands = usable(find_peaks(upright(spectrum)) if peaks is None else peaks)
    lines, matched = _matched(bands, standard, spectrum)
    true = np.array([line.position_cm1 for line in lines])
    found = np.array([peak.position_cm1 for peak in matched])
    own = np.array([peak.sd_cm1 for peak in matched])
    sd = np.hypot(own, [line.sd_cm1 for line in lines])

    def design(n: int) -> FloatArray:
        return basis(found, n, space, pivot, laser)

    pivot = _pivot(found, sd)
    highest = _highest_order(found, order)
    least = highest if order is not None else 0
    used, n = np.ones(found.size, dtype=bool), least + 1
    best = math.inf
    for trial in range(least + 1, highest + 2):
        kept = _without_outliers(design(trial), true - found, sd)
        left_out = _left_out(design(trial), true - found, sd, kept)[0]
        error = (
            float(np.sqrt(np.mean(left_out[kept] ** 2))) if np.isfinite(left_out[kept]).all() else math.inf
        )
        if error < _WORTH * best or trial == least + 1:
            used, n, best = kept, trial, error
    fit = _fit(design(n)[used], (true - found)[used], sd[used])
    left_out, left_out_sd = _left_out(design(n), true - found, sd, used)
    after = design(n) @ fit.coefficients - (true - found)
    # If the bands scatter more than their uncertainties say, the uncertainties were too small.
    scale = max(1.0, fit.chi_square / fit.degrees) if fit.degrees else 1.0
    known = left_out[used & np.isfinite(left_out)]
    return AxisCalibration(
        technique=spectrum.technique,
        standard=standard.name,
        coefficients=tuple(float(c) for c in fit.coefficients),
        covariance=tuple(tuple(float(c) for c in row) for row in fit.covariance * scale),
        space=space,
        laser_nm=laser,
        pivot_cm1=pivot,
        valid_cm1=_valid(found[used]),
        common_sd_cm1=standard.common_sd_cm1,
        residual_sd_cm1=float(np.sqrt(np.mean(known**2))) if known.size else 0.0,
        chi_square=fit.chi_square,
        degrees=fit.degrees,
        peaks=tuple(
            MatchedPeak(
                standard_cm1=line.position_cm1,
                standard_sd_cm1=line.sd_cm1,
                found_cm1=peak.position_cm1,
                found_sd_cm1=peak.sd_cm1,
                after_cm1=float(rest),
                left_out_cm1=None if math.isnan(out) else float(out),
                left_out_sd_cm1=None if math.isnan(out) else float(out_sd * math.sqrt(scale)),
                used=bool(use),
            )
            for line, peak, rest, out, out_sd, use in zip(
                lines, matched, after, left_out, left_out_sd, used, strict=True
            )
        ),
        instrument=instrument or spectrum.acquisition.instrument,
        serial=serial or spectrum.acquisition.serial,
        time=time or spectrum.acquisition.time,
        spectrum_sha256=spectrum.sha256,
    )


def upright(spectrum: Spectrum) -> Spectrum:
    """The spectrum with its bands pointing upwards: infrared as absorbance."""
    if not spectrum.technique.is_infrared:
        return spectrum
    from spectralid.preprocess import to_absorbance

    return to_absorbance(spectrum)


def _matched(
    peaks: tuple[Peak, ...], standard: AxisStandard, spectrum: Spectrum
) -> tuple[list[StandardLine], list[Peak]]:
    low, high = spectrum.range
    middle = 0.5 * (max(low, standard.lines[0].position_cm1) + min(high, standard.lines[-1].position_cm1))
    pairs: tuple[Pair, ...] = match(peaks, standard, spectrum.range, middle)
    pairs = tuple(p for p in pairs if standard.lines[p.line].fitted)
    needed = min(_FOR_SHIFT, len(standard.lines))
    if len(pairs) < needed:
        raise CalibrationError(
            f"Only {len(pairs)} of the {len(standard.lines)} bands of {standard.title} can be measured; "
            f"{needed} are needed. Measure longer, or another standard."
        )
    return [standard.lines[p.line] for p in pairs], [peaks[p.peak] for p in pairs]


def _pivot(found: FloatArray, sd: FloatArray) -> float:
    """The weighted mean position, where shift and stretch are least correlated."""
    return float(np.average(found, weights=1 / sd**2))


def _highest_order(found: FloatArray, order: int | None) -> int:
    wide = found.size > 1 and float(np.ptp(found)) >= _SPAN_CM1
    possible = 0
    if wide and found.size >= _FOR_STRETCH:
        possible = 2 if found.size >= _FOR_CURVATURE else 1
    if order is not None and order > possible:
        raise CalibrationError(
            f"{found.size} bands over {np.ptp(found):.0f} cm⁻¹ do not support a correction of order {order}; "
            f"at most {possible}."
        )
    return possible if order is None else order


def _fit(design: FloatArray, deviation: FloatArray, sd: FloatArray) -> _Line:
    weighted = design / sd[:, None]
    covariance = np.linalg.inv(weighted.T @ weighted).astype(np.float64)
    coefficients = covariance @ weighted.T @ (deviation / sd)
    rest = deviation / sd - weighted @ coefficients
    return _Line(coefficients, covariance, float(rest @ rest), deviation.size - design.shape[1])


def _left_out(
    design: FloatArray, deviation: FloatArray, sd: FloatArray, used: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """What is left of each band after a correction made without it, and its sd; NaN where there is none."""
    rest, rest_sd = np.full(deviation.size, np.nan), np.full(deviation.size, np.nan)
    for i in range(deviation.size):
        others = used & (np.arange(deviation.size) != i)
        if others.sum() > design.shape[1]:
            fit = _fit(design[others], deviation[others], sd[others])
            rest[i] = design[i] @ fit.coefficients - deviation[i]
            rest_sd[i] = math.sqrt(sd[i] ** 2 + float(design[i] @ fit.covariance @ design[i]))
    return rest, rest_sd


def _without_outliers(design: FloatArray, deviation: FloatArray, sd: FloatArray) -> npt.NDArray[np.bool_]:
    """Which bands agree with the others; the worst is left out first, at most a quarter of them."""
    used = np.ones(deviation.size, dtype=bool)
    for _ in range(int(_MOST_OUTLIERS * deviation.size)):
        rest, rest_sd = _left_out(design, deviation, sd, used)
        score = np.where(used & np.isfinite(rest), np.abs(rest) / rest_sd, 0.0)
        # A common misfit of all bands is no reason to drop one.
        typical = max(1.0, 1.4826 * float(np.median(score[used])))
        worst = int(np.argmax(score))
        if score[worst] <= _OUTLIER * typical:
            break
        used[worst] = False
    return used


def _valid(found: FloatArray) -> tuple[float, float]:
    return float(found.min()) - _MARGIN_CM1, float(found.max()) + _MARGIN_CM1
