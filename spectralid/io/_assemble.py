"""From an axis and intensities as a file states them to a spectrum in cm⁻¹, with what its words say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spectralid.errors import UnreadableFileError, UnsupportedContentError
from spectralid.io._registry import ReadOptions, Source
from spectralid.io._text_header import AxisKind, Header
from spectralid.io._wavelength import shift_of_wavelength, wavenumber_of_wavelength
from spectralid.spectrum import (
    Acquisition,
    FloatArray,
    IntensityUnit,
    ProcessingStep,
    Spectrum,
    Technique,
)

__all__ = ["Axis", "counts_points", "is_infrared", "make_axis", "make_spectrum"]

# A vibrational spectrum's axis lies in here; beyond are visible light, time, mass and pixels.
HIGHEST_CM1: Final = 15_000.0
LOWEST_CM1: Final = -6_000.0
LEAST_REACH_CM1: Final = 60.0
SHORTEST_NM: Final = 100.0
LONGEST_NM: Final = 1e6

_INFRARED_UNITS: Final = frozenset(
    {
        IntensityUnit.ABSORBANCE,
        IntensityUnit.TRANSMITTANCE,
        IntensityUnit.PERCENT_TRANSMITTANCE,
        IntensityUnit.REFLECTANCE,
        IntensityUnit.KUBELKA_MUNK,
        IntensityUnit.SINGLE_BEAM,
    }
)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis in cm⁻¹ and how it came about.

    Attributes
    ----------
    values : ndarray of float, shape (n_points,)
        In cm⁻¹, in the file's order.
    is_shift : bool
        Whether it is known to be a Raman shift.
    history : tuple of ProcessingStep
        Conversion from wavelength, if there was one.
    laser_nm : float or None
        The excitation it was converted with.
    flags : tuple of str
        What is odd about it.
    """

    values: FloatArray
    is_shift: bool = False
    history: tuple[ProcessingStep, ...] = ()
    laser_nm: float | None = None
    flags: tuple[str, ...] = ()


def counts_points(values: FloatArray) -> bool:
    """Whether the values count 0, 1, 2 … or 1, 2, 3 …."""
    return values.size > 2 and values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))


def make_axis(
    values: FloatArray,
    kind: AxisKind | None,
    header: Header,
    infrared: bool,
    source: Source,
    options: ReadOptions,
) -> Axis:
    """Turn axis values into cm⁻¹.

    Parameters
    ----------
    values : ndarray of float, shape (n_points,)
        As the file has them; finite.
    kind : AxisKind or None
        What they are, where the file says so; ``None`` is taken for cm⁻¹ if they can be that.
    header : Header
        May know the laser.
    infrared : bool
        Whether ordinate, header or caller say infrared: then a wavelength is one of light absorbed.
    source, options
        The file and what the caller knows.

    Raises
    ------
    UnreadableFileError
        If they cannot be turned into cm⁻¹.
    UnsupportedContentError
        If they lie outside any vibrational spectrum.
    """
    if not np.isfinite(values).all():
        raise UnreadableFileError("its axis holds a value that is not finite.", file=source.name)
    flags: tuple[str, ...] = ()
    if kind is AxisKind.PIXEL and values.min() < 0 and not np.all(values == np.round(values)):
        # Pixels are neither negative nor fractional, and neither is a wavelength negative.
        kind, flags = AxisKind.SHIFT, ("axis_label_contradicted",)
    if kind is AxisKind.PIXEL or (kind is None and counts_points(values)):
        raise UnreadableFileError(
            "its axis counts points or pixels, not cm⁻¹; export it with the calibrated Raman shift or "
            "wavenumber axis (a true axis in steps of 1 cm⁻¹ is accepted under the heading 'Wavenumber').",
            file=source.name,
        )
    if kind in (AxisKind.NANOMETRE, AxisKind.MICROMETRE):
        return _from_wavelength(values, kind, header, infrared, source, options)
    low, high = float(values.min()), float(values.max())
    if low < LOWEST_CM1 or high > HIGHEST_CM1 or max(high, -low) < LEAST_REACH_CM1:
        raise UnsupportedContentError(
            f"its axis runs from {low:g} to {high:g}, which is no Raman shift or wavenumber in cm⁻¹; if it "
            "is a wavelength, head the column 'Wavelength (nm)' or 'Wavelength (µm)'.",
            file=source.name,
        )
    return Axis(values, is_shift=kind is AxisKind.SHIFT, flags=flags)


def _from_wavelength(
    values: FloatArray,
    kind: AxisKind,
    header: Header,
    infrared: bool,
    source: Source,
    options: ReadOptions,
) -> Axis:
    nanometres = values * (1000.0 if kind is AxisKind.MICROMETRE else 1.0)
    shortest, longest = float(nanometres.min()), float(nanometres.max())
    if shortest < SHORTEST_NM or longest > LONGEST_NM:
        raise UnsupportedContentError(
            f"its wavelengths run from {shortest:g} to {longest:g} nm: not a vibrational spectrum, or headed "
            "with the wrong unit.",
            file=source.name,
        )
    if infrared:
        wavenumbers, step = wavenumber_of_wavelength(nanometres)
        if wavenumbers.max() > HIGHEST_CM1:
            raise UnsupportedContentError(
                f"its wavelengths begin at {shortest:g} nm: visible or ultraviolet light, not a "
                "vibrational spectrum.",
                file=source.name,
            )
        return Axis(wavenumbers, history=(step,))
    laser = header.acquisition.laser_nm or options.laser_nm
    if laser is None:
        raise UnreadableFileError(
            f"its axis is a wavelength ({shortest:.0f} to {longest:.0f} nm) and it does not "
            "state the excitation; give the laser wavelength (laser_nm).",
            file=source.name,
        )
    shift, step = shift_of_wavelength(nanometres, laser)
    return Axis(shift, is_shift=True, history=(step,), laser_nm=laser)


def _settle_unit(unit: IntensityUnit | None, values: FloatArray) -> IntensityUnit:
    """The unit, with a transmittance or reflectance told from per cent by its size."""
    # Not the largest: one noise point above 2 would make per cent of a ratio, wrong by two decades.
    known = values[np.isfinite(values)]
    largest = float(np.quantile(known, 0.95)) if known.size else 0.0
    if unit is IntensityUnit.TRANSMITTANCE and largest > 2:
        return IntensityUnit.PERCENT_TRANSMITTANCE
    if unit is IntensityUnit.REFLECTANCE and largest > 2:
        return IntensityUnit.ARBITRARY
    return unit or IntensityUnit.ARBITRARY


def make_spectrum(
    axis: Axis,
    intensity: FloatArray,
    *,
    name: str,
    header: Header,
    source: Source,
    unit: IntensityUnit | None = None,
    technique: Technique | None = None,
    sd: FloatArray | None = None,
    metadata: dict[str, str] | None = None,
    flags: Sequence[str] = (),
) -> Spectrum:
    """One spectrum from an axis and intensities, with what header and headings say.

    Parameters
    ----------
    axis : Axis
        Axis in cm⁻¹.
    intensity, sd : ndarray of float, shape (n_points,)
        Ordinate and its standard deviation.
    name : str
        Name of the spectrum.
    header : Header
        What the file says of all its spectra.
    source : Source
        The file.
    unit, technique
        What the column's or row's own heading says; goes before the header.
    metadata : dict, optional
        Fields of this spectrum alone.
    flags : sequence of str
        Validity flags.

    Returns
    -------
    Spectrum
    """
    unit = unit or header.unit
    acquisition: Acquisition = header.acquisition
    if axis.laser_nm is not None:
        acquisition = replace(acquisition, laser_nm=axis.laser_nm)
    if metadata:
        acquisition = replace(acquisition, metadata={**acquisition.metadata, **metadata})
    acquisition = acquisition.with_flags(*axis.flags, *flags)
    technique = technique or header.technique
    if technique is None:
        if unit in _INFRARED_UNITS:
            technique = Technique.FTIR
        elif axis.is_shift or acquisition.laser_nm is not None:
            technique = Technique.RAMAN
        else:
            technique = Technique.UNKNOWN
    return Spectrum.from_points(
        axis.values,
        intensity,
        sd=sd,
        technique=technique,
        unit=_settle_unit(unit, intensity),
        acquisition=acquisition,
        history=axis.history,
        name=name,
        source=source.name,
    )


def is_infrared(
    unit: IntensityUnit | None, technique: Technique | None, header: Header, options: ReadOptions
) -> bool:
    """Whether ordinate, header or caller say infrared (the file before the caller)."""
    stated = technique or header.technique or options.technique
    return stated.is_infrared if stated is not None else (unit or header.unit) in _INFRARED_UNITS
