"""Check of an infrared instrument with a polystyrene film: band positions and resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from spectralid.calibration._errors import CalibrationError
from spectralid.calibration.axis import upright
from spectralid.calibration.peaks import find_peaks
from spectralid.calibration.standards import AxisStandard, axis_standard
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum, Technique

__all__ = ["FilmCheck", "check_film"]

# A band further off than this many tolerances is another band.
_SAME_BAND: Final = 5.0
# No background is so much darker than a sample.
_LOWEST_ABSORBANCE: Final = -2.0


@dataclass(frozen=True, slots=True)
class FilmCheck:
    """One thing that was checked.

    Attributes
    ----------
    what : str
        In words.
    found : float or None
        What was found (cm⁻¹ or %T); ``None`` if the band is not there.
    wanted, tolerance : float
        What should be found; for a depth `tolerance` is 0 and `wanted` the least.
    passed : bool
        Whether it was.
    """

    what: str
    found: float | None
    wanted: float
    tolerance: float
    passed: bool


def check_film(
    spectrum: Spectrum, standard: str | AxisStandard = "polystyrene-film"
) -> tuple[FilmCheck, ...]:
    """Check positions and depths of bands of a polystyrene film.

    Parameters
    ----------
    spectrum : Spectrum
        The film, infrared. Depths need a transmission spectrum, absorbance or transmittance: the strength of
        an ATR spectrum says nothing about resolution.
    standard : str or AxisStandard
        Which film.

    Returns
    -------
    tuple of FilmCheck
        One per position in the range of the spectrum, then one per depth.

    Raises
    ------
    CalibrationError
        If the spectrum is not infrared, or holds none of the bands.
    """
    if not spectrum.technique.is_infrared:
        raise CalibrationError("The film is a standard for infrared; the spectrum is not.")
    if isinstance(standard, str):
        standard = axis_standard(standard, "infrared")
    absorbance = upright(spectrum)
    found = np.array([p.position_cm1 for p in find_peaks(absorbance) if not p.problem])
    low, high = spectrum.range
    checks = []
    for line in standard.lines:
        tolerance = line.tolerance_cm1 or 0.0
        if not low < line.position_cm1 < high:
            continue
        place = _nearest(found, line.position_cm1, _SAME_BAND * tolerance)
        passed = place is not None and abs(place - line.position_cm1) <= tolerance
        checks.append(
            FilmCheck(f"band at {line.position_cm1:g} cm⁻¹", place, line.position_cm1, tolerance, passed)
        )
    if all(check.found is None for check in checks):
        raise CalibrationError(f"None of the bands of {standard.title} is there; check what was measured.")
    if spectrum.technique is Technique.FTIR_TRANSMISSION and absorbance.unit is IntensityUnit.ABSORBANCE:
        lowest = float(np.nanmin(absorbance.intensity))
        if lowest < _LOWEST_ABSORBANCE:
            raise CalibrationError(
                f"The absorbance goes down to {lowest:g}, which no film has; was the background measured?"
            )
        percent = 100 * 10.0**-absorbance.intensity
        for depth in standard.depths:
            if low < depth.to_cm1 and depth.from_cm1 < high:
                top, bottom = (_value(absorbance.axis, percent, x) for x in (depth.from_cm1, depth.to_cm1))
                checks.append(
                    FilmCheck(
                        f"step from {depth.from_cm1:g} to {depth.to_cm1:g} cm⁻¹ in %T",
                        top - bottom, depth.at_least_percent, 0.0, top - bottom >= depth.at_least_percent,
                    )
                )  # fmt: skip
    return tuple(checks)


def _nearest(found: FloatArray, position: float, reach: float) -> float | None:
    if not found.size:
        return None
    place = float(found[np.argmin(np.abs(found - position))])
    return place if abs(place - position) <= reach else None


def _value(axis: FloatArray, values: FloatArray, at: float) -> float:
    known = np.isfinite(values)
    return float(np.interp(at, axis[known], values[known]))
