"""Relative intensity correction: what to multiply by so that the instrument's response drops out."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from spectralid import __version__
from spectralid.calibration import _envelope
from spectralid.calibration._errors import CalibrationError
from spectralid.calibration.record import read_text
from spectralid.calibration.standards import IntensityStandard, intensity_standard
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.spectrum import FloatArray, ProcessingStep, Spectrum, Technique
from spectralid.vouching import TrustedKeys

__all__ = [
    "IntensityCorrection",
    "calibrate_intensity",
    "correction_of_polynomial",
    "load_intensity_correction",
]

FORMAT: Final = "spectralid-intensity-correction"
STEP: Final = "intensity_correction"

# The glass's luminescence has no structure narrower than this; what is narrower in its scan is noise.
_SMOOTH_CM1: Final = 60.0
# Standard uncertainty of the certified curve, of ours: the certificates' own was not available.
_CURVE_SD: Final = 0.05
# The correction holds where the glass gave at least this share of its highest signal, and this ratio to the
# noise.
_LEAST_SHARE: Final = 0.01
_LEAST_SNR: Final = 10.0
_LEAST_INTENSITY: Final = 1e-100
# A glass certified for one laser says nothing for another.
_LASER_NM: Final = 3.0
_LARGEST_RATIO: Final = 1e4


@dataclass(frozen=True, slots=True)
class IntensityCorrection:
    """What to multiply intensities by, over the Raman shift.

    Attributes
    ----------
    axis_cm1 : tuple of float
        Raman shifts, ascending, that span the range it holds for.
    factor : tuple of float
        Factor at each, 1 where the instrument responds best.
    relative_sd : tuple of float
        Its relative standard uncertainty (k = 1).
    standard : str
        What it comes from.
    laser_nm : float or None
        Excitation it holds for.
    instrument, serial, time : str
        The unit, and when.
    spectrum_sha256 : str
        Identity of the spectrum of the standard, if there was one.
    software : str
        Version of spectralid that made it.
    """

    axis_cm1: tuple[float, ...]
    factor: tuple[float, ...]
    relative_sd: tuple[float, ...]
    standard: str
    laser_nm: float | None = None
    instrument: str = ""
    serial: str = ""
    time: str = ""
    spectrum_sha256: str = ""
    software: str = f"spectralid {__version__}"

    def __post_init__(self) -> None:
        axis, factor, sd = (np.array(v) for v in (self.axis_cm1, self.factor, self.relative_sd))
        if axis.size < 2 or not axis.size == factor.size == sd.size:
            raise CalibrationError(
                "The intensity correction does not have one factor for each of its points."
            )
        if not (np.isfinite(axis).all() and np.all(np.diff(axis) > 0)):
            raise CalibrationError("The axis of the intensity correction does not ascend.")
        if not (
            np.isfinite(factor).all() and np.all(factor > 0) and np.isfinite(sd).all() and np.all(sd >= 0)
        ):
            raise CalibrationError("The intensity correction holds a factor that is not above 0.")

    @property
    def valid_cm1(self) -> tuple[float, float]:
        """Range it holds for."""
        return self.axis_cm1[0], self.axis_cm1[-1]

    def apply(self, spectrum: Spectrum) -> Spectrum:
        """The spectrum with its intensities corrected; points outside the valid range become missing (NaN).

        Parameters
        ----------
        spectrum : Spectrum
            Raman, measured with the instrument the correction is of, dark subtracted, with a calibrated axis
            if the standard's was.

        Returns
        -------
        Spectrum
            Flagged ``"intensity_corrected"``. Its standard deviation is that of the points; the uncertainty
            of the correction is common to neighbouring points and stays in the record.

        Raises
        ------
        CalibrationError
            If the spectrum is of another technique, laser or unit, is corrected already, or lies outside.
        """
        if spectrum.technique is not Technique.RAMAN:
            raise CalibrationError(
                f"An intensity correction is for Raman; the spectrum is {spectrum.technique.value}."
            )
        _check_laser(spectrum.acquisition.laser_nm, self.laser_nm, "correction")
        given = spectrum.acquisition.serial
        if self.serial and given and self.serial != given:
            raise CalibrationError(
                f"The correction is of the unit {self.serial} and the spectrum was measured with {given}."
            )
        if any(step.name == STEP for step in spectrum.history):
            raise CalibrationError("The intensities of the spectrum are corrected already.")
        inside = (spectrum.axis >= self.axis_cm1[0]) & (spectrum.axis <= self.axis_cm1[-1])
        if not np.any(inside & ~spectrum.missing):
            raise CalibrationError(
                f"The correction holds from {self.axis_cm1[0]:.0f} to {self.axis_cm1[-1]:.0f} cm⁻¹, where "
                "the spectrum has no point."
            )
        factor = np.interp(spectrum.axis, self.axis_cm1, self.factor)
        step = ProcessingStep(
            STEP,
            {
                "sha256": self.sha256,
                "standard": self.standard,
                "valid_cm1": list(self.valid_cm1),
                "outcome": {"points_outside": int(np.sum(~inside))},
            },
            f"spectralid {__version__}",
        )
        return spectrum.processed(
            step,
            intensity=np.where(inside, spectrum.intensity * factor, np.nan),
            sd=None if spectrum.sd is None else spectrum.sd * factor,
            flags=("intensity_corrected",),
        )

    @property
    def sha256(self) -> str:
        """Identity: SHA-256 (hex) of what it says."""
        return _envelope.identity(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        out = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in out.items()}

    def to_json(self, signature: Mapping[str, Any] | None = None) -> str:
        """The record as JSON text, with its SHA-256 and, where one is given, a signature over that."""
        return _envelope.wrap(FORMAT, self.to_dict(), signature)

    @classmethod
    def from_json(cls, text: str, *, file: str = "calibration record") -> IntensityCorrection:
        """Inverse of `to_json`; a signature is not looked at.

        Raises
        ------
        UnreadableFileError
            If it is no such record, or was changed.
        """
        format, data, _ = _envelope.unwrap(text, file=file)
        if format != FORMAT:
            raise UnreadableFileError(f"it holds {format!r}, not an intensity correction.", file=file)
        try:
            arrays = {k: tuple(float(v) for v in data[k]) for k in ("axis_cm1", "factor", "relative_sd")}
            return cls(**{**data, **arrays})
        except CalibrationError as error:
            raise UnreadableFileError(str(error), file=file) from None
        except (KeyError, TypeError, ValueError):
            raise UnreadableFileError(
                "the intensity correction lacks a field or holds one of a wrong kind.", file=file
            ) from None


def load_intensity_correction(
    path: str | os.PathLike[str], *, trusted: TrustedKeys | None = None
) -> IntensityCorrection:
    """Read an intensity correction; see `IntensityCorrection.from_json`.

    Parameters
    ----------
    path : path
        A file as `IntensityCorrection.to_json` writes it.
    trusted : TrustedKeys, optional
        Keys that count: where there are any, one of them must have signed the record.

    Returns
    -------
    IntensityCorrection
        The record.

    Raises
    ------
    UnreadableFileError
        If it cannot be read, is no such record, needs a newer spectralid, or was changed.
    NotVouchedError
        If keys are trusted and none of them has signed it.
    """
    text, file = read_text(path), os.fspath(path)
    loaded = IntensityCorrection.from_json(text, file=file)
    _envelope.vouch(text, trusted or TrustedKeys(), file=file)
    return loaded


def calibrate_intensity(
    spectrum: Spectrum,
    standard: str | IntensityStandard,
    *,
    laser_nm: float | None = None,
    instrument: str = "",
    serial: str = "",
    time: str = "",
) -> IntensityCorrection:
    """Intensity correction from the spectrum of a glass of certified luminescence (ASTM E2911).

    Parameters
    ----------
    spectrum : Spectrum
        The glass as measured, dark subtracted, not baseline corrected.
    standard : str or IntensityStandard
        Which glass, like ``"srm-2241"``.
    laser_nm : float, optional
        Excitation in nm; by default what the spectrum states.
    instrument, serial, time : str, optional
        For the record; by default what the spectrum states.

    Returns
    -------
    IntensityCorrection
        Certified curve over the measured one, which is smoothed over 60 cm⁻¹. Etalon fringes and pixels that
        are narrower than that are not corrected.

    Raises
    ------
    CalibrationError
        If the spectrum cannot be that of the glass, or is too weak.
    """
    from spectralid.preprocess import Whittaker

    if isinstance(standard, str):
        standard = intensity_standard(standard)
    if spectrum.technique is not Technique.RAMAN:
        raise CalibrationError("State that the spectrum is Raman: the glasses are standards for Raman only.")
    laser = laser_nm or spectrum.acquisition.laser_nm
    _check_laser(laser, standard.laser_nm, standard.title)
    measured = np.asarray(Whittaker(scale_cm1=_SMOOTH_CM1)(spectrum).intensity)
    noise = _noise(spectrum)
    curve = standard.curve(spectrum.axis)
    with np.errstate(invalid="ignore"):
        inside = np.isfinite(curve) & (curve > 0) & np.isfinite(measured)
        inside &= (measured > _LEAST_SHARE * np.nanmax(measured)) & (measured > _LEAST_SNR * noise)
    low, high = _longest_run(inside)
    if high - low < 2:
        raise CalibrationError(
            f"The spectrum is nowhere strong enough within the range of {standard.title} "
            f"({standard.range_cm1[0]:.0f} to {standard.range_cm1[1]:.0f} cm⁻¹); measure longer."
        )
    kept = slice(low, high)
    if measured[kept].min() < _LEAST_INTENSITY:
        raise CalibrationError(
            f"The intensities are as small as {measured[kept].min():g}, too small to divide by; check the "
            "source's numbers, or multiply them all by one number."
        )
    factor = curve[kept] / measured[kept]
    ratio = float(factor.max() / factor.min())
    if ratio > _LARGEST_RATIO:
        raise CalibrationError(
            f"The response would differ by a factor of {ratio:.0g} within the range; that is no Raman "
            "instrument. Was the dark subtracted, and is it the glass?"
        )
    # Smoothing averages over the points of its own width.
    spacing = float(np.median(np.diff(spectrum.axis)))
    averaged = max(1.0, _SMOOTH_CM1 / spacing)
    sd = np.sqrt(_CURVE_SD**2 + (noise / measured[kept]) ** 2 / averaged)
    return IntensityCorrection(
        axis_cm1=tuple(float(v) for v in spectrum.axis[kept]),
        factor=tuple(float(v) for v in factor / factor.min()),
        relative_sd=tuple(float(v) for v in sd),
        standard=standard.name,
        laser_nm=laser or standard.laser_nm,
        instrument=instrument or spectrum.acquisition.instrument,
        serial=serial or spectrum.acquisition.serial,
        time=time or spectrum.acquisition.time,
        spectrum_sha256=spectrum.sha256,
    )


def correction_of_polynomial(
    log10_coefficients: Sequence[float],
    axis_cm1: Sequence[float] | FloatArray,
    *,
    relative_sd: float = 0.0,
    laser_nm: float | None = None,
    instrument: str = "",
    serial: str = "",
) -> IntensityCorrection:
    """The correction an instrument stores as a polynomial: factor = 10^(Σ cₖ·pixelᵏ).

    Parameters
    ----------
    log10_coefficients : sequence of float
        c₀ … cₙ, as in the memory of Wasatch instruments.
    axis_cm1 : sequence of float, shape (n_pixels,)
        Raman shift of each pixel, ascending.
    relative_sd : float
        Relative uncertainty of the factor (k = 1), where it is known.
    laser_nm : float, optional
        Excitation in nm.
    instrument, serial : str, optional
        The unit.

    Returns
    -------
    IntensityCorrection
        One factor per pixel.

    Raises
    ------
    ParameterError
        If the polynomial gives no factor.
    """
    axis = np.asarray(axis_cm1, dtype=np.float64)
    exponent = np.polynomial.polynomial.polyval(np.arange(axis.size), list(log10_coefficients))
    # A memory never written to reads as NaN, or as numbers out of all proportion.
    if not np.all(np.isfinite(exponent)) or float(np.ptp(exponent)) > math.log10(_LARGEST_RATIO):
        raise ParameterError(
            "log10_coefficients", list(log10_coefficients), "a polynomial that gives factors of one magnitude"
        )
    return IntensityCorrection(
        axis_cm1=tuple(axis.tolist()),
        factor=tuple((10 ** (exponent - exponent.min())).tolist()),
        relative_sd=(float(relative_sd),) * axis.size,
        standard="polynomial of the instrument",
        laser_nm=laser_nm,
        instrument=instrument,
        serial=serial,
    )


def _check_laser(given: float | None, needed: float | None, what: str) -> None:
    if given and needed and abs(given - needed) > _LASER_NM:
        raise CalibrationError(f"{what} is for {needed:g} nm and the spectrum was excited at {given:g} nm.")


def _noise(spectrum: Spectrum) -> float:
    """Typical standard deviation of a point."""
    if spectrum.sd is not None:
        return float(np.nanmedian(spectrum.sd))
    jumps = np.diff(spectrum.intensity[~spectrum.missing], 2)
    if not jumps.size:
        raise CalibrationError("The spectrum has too few points to tell its noise; measure it whole.")
    return float(1.4826 * np.median(np.abs(jumps - np.median(jumps))) / math.sqrt(6))


def _longest_run(inside: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[int, int]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
    starts, stops = edges[::2], edges[1::2]
    if not starts.size:
        return 0, 0
    longest = int(np.argmax(stops - starts))
    return int(starts[longest]), int(stops[longest])
