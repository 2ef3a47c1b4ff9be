"""The calibration of a wavenumber axis as a value: what it corrects by, how sure it is, where it holds."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from spectralid import __version__
from spectralid.calibration import _envelope
from spectralid.calibration._errors import CalibrationError
from spectralid.calibration.shift import wavelength
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.spectrum import FloatArray, ProcessingStep, Spectrum, Technique
from spectralid.vouching import TrustedKeys

__all__ = ["AxisCalibration", "AxisPrior", "MatchedPeak", "load_calibration"]

FORMAT: Final = "spectralid-axis-calibration"
STEP: Final = "axis_calibration"

Space = Literal["shift", "wavelength"]

# Coefficients are per 1000 cm⁻¹ or 100 nm from the pivot, which keeps them of one size.
_UNIT: Final[Mapping[Space, float]] = {"shift": 1000.0, "wavelength": 100.0}

# Where a single line tells no stretch: what axes of instruments that nobody calibrated have, judged from the
# instruments of benchmarks/axis_calibration.py.
_STRETCH_UNKNOWN_SD: Final = 0.002


class AxisPrior(NamedTuple):
    """What to add to a measured axis, for a search that may move it: shift and stretch, each with its sd."""

    shift_cm1: float
    shift_sd_cm1: float
    stretch: float
    stretch_sd: float


@dataclass(frozen=True, slots=True)
class MatchedPeak:
    """A band of the standard as the instrument showed it.

    Attributes
    ----------
    standard_cm1, standard_sd_cm1 : float
        Accepted position and its standard uncertainty.
    found_cm1, found_sd_cm1 : float
        Position on the axis as measured, and the uncertainty of the fit.
    after_cm1 : float
        What is left of the deviation (found − standard) after the correction.
    left_out_cm1, left_out_sd_cm1 : float or None
        The same, with this band left out of the calibration, and the uncertainty to expect of it; ``None``
        where too few bands remain without it.
    used : bool
        Whether it took part; a band that does not fit the others did not.
    """

    standard_cm1: float
    standard_sd_cm1: float
    found_cm1: float
    found_sd_cm1: float
    after_cm1: float
    left_out_cm1: float | None
    left_out_sd_cm1: float | None
    used: bool

    @property
    def before_cm1(self) -> float:
        """Deviation (found − standard) before the correction, in cm⁻¹."""
        return self.found_cm1 - self.standard_cm1


@dataclass(frozen=True, slots=True)
class AxisCalibration:
    """What is wrong with the wavenumber axis of an instrument, from a standard measured with it.

    The true position of what is measured at ν is ν + Σ cₖ·Bₖ(ν) with Bₖ = ((ν − pivot)/1000 cm⁻¹)ᵏ in the
    space ``"shift"``, and Bₖ = ((λ − λ_pivot)/100 nm)ᵏ · 10⁷/λ² (cₖ in nm) in the space ``"wavelength"``.
    Outside `valid_cm1` the correction goes on along its tangent.

    Attributes
    ----------
    technique : Technique
        What it was measured with; an infrared calibration holds for every infrared technique.
    standard : str
        Name of the standard.
    coefficients : tuple of float
        c₀ … cₙ, at most three.
    covariance : tuple of tuple of float
        Their covariance, without `common_sd_cm1`.
    space : {"shift", "wavelength"}
        What the polynomial is in.
    laser_nm : float or None
        Excitation; needed for the space ``"wavelength"``.
    pivot_cm1 : float
        Where shift and stretch are counted from.
    valid_cm1 : tuple of float
        Range the bands support.
    common_sd_cm1 : float
        Uncertainty of the standard that all its bands share.
    residual_sd_cm1 : float
        Standard deviation of what is left at the bands used, each predicted from the others.
    chi_square, degrees : float, int
        Of the weighted fit.
    peaks : tuple of MatchedPeak
        The bands.
    instrument, serial : str
        The unit, as far as known.
    time : str
        When the standard was measured or the calibration made, ISO 8601.
    spectrum_sha256 : str
        Identity of the spectrum of the standard.
    software : str
        Version of spectralid that made it.
    """

    technique: Technique
    standard: str
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    space: Space
    laser_nm: float | None
    pivot_cm1: float
    valid_cm1: tuple[float, float]
    common_sd_cm1: float
    residual_sd_cm1: float
    chi_square: float
    degrees: int
    peaks: tuple[MatchedPeak, ...]
    instrument: str = ""
    serial: str = ""
    time: str = ""
    spectrum_sha256: str = ""
    software: str = f"spectralid {__version__}"

    def __post_init__(self) -> None:
        n = len(self.coefficients)
        covariance = np.array(self.covariance, dtype=np.float64)
        numbers = [*self.coefficients, self.pivot_cm1, *self.valid_cm1, self.common_sd_cm1,
                   self.residual_sd_cm1, self.chi_square]  # fmt: skip
        if not 1 <= n <= 3 or covariance.shape != (n, n):
            raise CalibrationError("The calibration has a number of coefficients it cannot have.")
        if not all(math.isfinite(v) for v in numbers) or not np.isfinite(covariance).all():
            raise CalibrationError("The calibration holds a number that is not finite.")
        if np.any(np.diag(covariance) < 0) or self.common_sd_cm1 < 0 or self.residual_sd_cm1 < 0:
            raise CalibrationError("The calibration states a negative uncertainty.")
        if not self.valid_cm1[0] <= self.pivot_cm1 <= self.valid_cm1[1]:
            raise CalibrationError("The pivot of the calibration lies outside the range it is valid for.")
        if self.space not in _UNIT or (self.space == "wavelength" and not self.laser_nm):
            raise CalibrationError("A calibration in wavelengths needs the laser's wavelength.")

    @property
    def n_peaks(self) -> int:
        """Number of bands used."""
        return sum(peak.used for peak in self.peaks)

    @property
    def shift_cm1(self) -> float:
        """What to add to the axis at the pivot, in cm⁻¹."""
        return float(self.correction(self.pivot_cm1))

    @property
    def stretch(self) -> float:
        """By how much the axis must be stretched about the pivot: the slope of the correction there."""
        return float(self._slopes(np.array([self.pivot_cm1]))[0] @ np.array(self.coefficients))

    @property
    def shift_stretch_covariance(self) -> FloatArray:
        """Covariance of `shift_cm1` and `stretch`, with what the standard's bands share, shape (2, 2)."""
        pivot = np.array([self.pivot_cm1])
        rows = np.concatenate([self._basis(pivot), self._slopes(pivot)])
        out = rows @ np.array(self.covariance) @ rows.T
        out[0, 0] += self.common_sd_cm1**2
        return np.asarray(out)

    def correction(self, axis_cm1: npt.ArrayLike) -> FloatArray:
        """What to add to an axis, in cm⁻¹, in the shape of `axis_cm1`."""
        x = np.asarray(axis_cm1, dtype=np.float64)
        return np.asarray(
            (self._tangent_basis(np.atleast_1d(x)) @ np.array(self.coefficients)).reshape(x.shape)
        )

    def correction_sd(self, axis_cm1: npt.ArrayLike) -> FloatArray:
        """Standard uncertainty of the corrected axis, in cm⁻¹, in the shape of `axis_cm1`."""
        x = np.asarray(axis_cm1, dtype=np.float64)
        basis = self._tangent_basis(np.atleast_1d(x))
        variance = np.einsum("ij,jk,ik->i", basis, np.array(self.covariance), basis)
        return np.asarray(np.sqrt(variance + self.common_sd_cm1**2).reshape(x.shape))

    def _basis(self, x: FloatArray) -> FloatArray:
        return basis(x, len(self.coefficients), self.space, self.pivot_cm1, self.laser_nm)

    def _slopes(self, x: FloatArray) -> FloatArray:
        step = 0.05
        return np.asarray((self._basis(x + step) - self._basis(x - step)) / (2 * step))

    def _tangent_basis(self, x: FloatArray) -> FloatArray:
        inside = np.clip(x, *self.valid_cm1)
        return np.asarray(self._basis(inside) + (x - inside)[:, None] * self._slopes(inside))

    def apply(self, spectrum: Spectrum) -> Spectrum:
        """The spectrum on the corrected axis, with the step in its history.

        Parameters
        ----------
        spectrum : Spectrum
            Measured with the instrument the calibration is of.

        Returns
        -------
        Spectrum
            Flagged ``"axis_calibrated"``, and ``"axis_extrapolated"`` where it reaches beyond `valid_cm1`.

        Raises
        ------
        CalibrationError
            If the spectrum is of another technique, laser or unit, is calibrated already, or its axis would
            no longer ascend.
        """
        self._check_fits(spectrum)
        axis = spectrum.axis + self.correction(spectrum.axis)
        if np.any(np.diff(axis) <= 0):
            raise CalibrationError("The calibration would turn the axis of the spectrum round in places.")
        low, high = spectrum.range
        outside = low < self.valid_cm1[0] or high > self.valid_cm1[1]
        step = ProcessingStep(
            STEP,
            {
                "sha256": self.sha256,
                "standard": self.standard,
                "shift_cm1": self.shift_cm1,
                "stretch": self.stretch,
                "pivot_cm1": self.pivot_cm1,
                "sd_cm1": float(self.correction_sd(self.pivot_cm1)),
                "valid_cm1": list(self.valid_cm1),
            },
            f"spectralid {__version__}",
        )
        flags = ("axis_calibrated", "axis_extrapolated") if outside else ("axis_calibrated",)
        return spectrum.processed(step, axis=axis, sd=spectrum.sd, flags=flags)

    def _check_fits(self, spectrum: Spectrum) -> None:
        infrared = self.technique.is_infrared
        if spectrum.technique.is_infrared != infrared or spectrum.technique is Technique.UNKNOWN:
            raise CalibrationError(
                f"The calibration is for {'infrared' if infrared else 'Raman'} and the spectrum is "
                f"{spectrum.technique.value}."
            )
        given = spectrum.acquisition.serial
        if self.serial and given and self.serial != given:
            raise CalibrationError(
                f"The calibration is of the unit {self.serial} and the spectrum was measured with {given}."
            )
        laser = spectrum.acquisition.laser_nm
        if self.laser_nm and laser and abs(laser - self.laser_nm) > 2.0:
            raise CalibrationError(
                f"The calibration is for {self.laser_nm:g} nm and the spectrum was excited at {laser:g} nm."
            )
        if any(step.name == STEP for step in spectrum.history):
            raise CalibrationError("The axis of the spectrum is calibrated already.")

    def prior(self) -> AxisPrior:
        """Shift and stretch to expect of a spectrum of this unit as it is measured, each with its sd.

        For a spectrum `apply` has been through the means are 0; the uncertainties stay.
        """
        covariance = self.shift_stretch_covariance
        fitted = len(self.coefficients) > 1 or self.space == "wavelength"
        stretch_sd = math.sqrt(covariance[1, 1]) if fitted else _STRETCH_UNKNOWN_SD
        return AxisPrior(self.shift_cm1, math.sqrt(covariance[0, 0]), self.stretch, stretch_sd)

    @property
    def sha256(self) -> str:
        """Identity: SHA-256 (hex) of what it says."""
        return _envelope.identity(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        out = dataclasses.asdict(self)
        out["technique"] = self.technique.value
        # Through lists, as JSON gives them back.
        out.update(
            coefficients=list(self.coefficients),
            covariance=[list(row) for row in self.covariance],
            valid_cm1=list(self.valid_cm1),
            peaks=list(out["peaks"]),
        )
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AxisCalibration:
        """Inverse of `to_dict`.

        Raises
        ------
        CalibrationError
            If it does not make a calibration.
        """
        try:
            low, high = data["valid_cm1"]
            return cls(
                **{
                    **data,
                    "technique": Technique(data["technique"]),
                    "coefficients": tuple(float(c) for c in data["coefficients"]),
                    "covariance": tuple(tuple(float(c) for c in row) for row in data["covariance"]),
                    "valid_cm1": (float(low), float(high)),
                    "peaks": tuple(MatchedPeak(**peak) for peak in data["peaks"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, CalibrationError):
                raise
            raise CalibrationError(
                "The calibration record lacks a field or holds one of a wrong kind."
            ) from None

    def to_json(self, signature: Mapping[str, Any] | None = None) -> str:
        """The record as JSON text, with its SHA-256 and, where one is given, a signature over that."""
        return _envelope.wrap(FORMAT, self.to_dict(), signature)

    @classmethod
    def from_json(cls, text: str, *, file: str = "calibration record") -> AxisCalibration:
        """Inverse of `to_json`; a signature is not looked at.

        Raises
        ------
        UnreadableFileError
            If it is no such record, or was changed.
        """
        format, calibration, _ = _envelope.unwrap(text, file=file)
        if format != FORMAT:
            raise UnreadableFileError(f"it holds {format!r}, not the calibration of an axis.", file=file)
        try:
            return cls.from_dict(calibration)
        except CalibrationError as error:
            raise UnreadableFileError(str(error), file=file) from None


def load_calibration(path: str | os.PathLike[str], *, trusted: TrustedKeys | None = None) -> AxisCalibration:
    """Read the record of an axis calibration; see `AxisCalibration.from_json`.

    Parameters
    ----------
    path : path
        A file as `AxisCalibration.to_json` writes it.
    trusted : TrustedKeys, optional
        Keys that count: where there are any, one of them must have signed the record.

    Returns
    -------
    AxisCalibration
        The record.

    Raises
    ------
    UnreadableFileError
        If it cannot be read, is no such record, needs a newer spectralid, or was changed.
    NotVouchedError
        If keys are trusted and none of them has signed it.
    """
    text, file = read_text(path), os.fspath(path)
    loaded = AxisCalibration.from_json(text, file=file)
    _envelope.vouch(text, trusted or TrustedKeys(), file=file)
    return loaded


def read_text(path: str | os.PathLike[str]) -> str:
    """Text of a record.

    Raises
    ------
    UnreadableFileError
        If it cannot be read or is far too large for one.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_envelope.LARGEST + 1)
        if len(data) > _envelope.LARGEST:
            raise UnreadableFileError("it is too large for a calibration record.", file=os.fspath(path))
        return data.decode("utf-8")
    except OSError as error:
        raise UnreadableFileError(f"it cannot be opened ({error.strerror}).", file=os.fspath(path)) from None
    except UnicodeDecodeError:
        raise UnreadableFileError(
            "it is no calibration record of spectralid.", file=os.fspath(path)
        ) from None


def basis(x: FloatArray, n: int, space: Space, pivot_cm1: float, laser_nm: float | None) -> FloatArray:
    """What each coefficient adds at `x`, in cm⁻¹, shape (n_points, n); see `AxisCalibration`."""
    if space == "shift":
        return np.vander((x - pivot_cm1) / _UNIT["shift"], n, increasing=True)
    if laser_nm is None:
        raise ParameterError("laser_nm", None, "given for a correction in wavelengths")
    nm = wavelength(x, laser_nm)
    u = (nm - wavelength(pivot_cm1, laser_nm)) / _UNIT["wavelength"]
    return np.asarray(np.vander(u, n, increasing=True) * (1e7 / nm**2)[:, None])
