"""Calibration of the wavenumber axis and of the intensity scale, from standards measured with the instrument.

Examples
--------
>>> from spectralid import read
>>> from spectralid.calibration import calibrate_axis
>>> def calibrated(standard_file, sample_file):
...     calibration = calibrate_axis(read(standard_file), "polystyrene")
...     return calibration.apply(read(sample_file))
"""

from spectralid.calibration._errors import CalibrationError
from spectralid.calibration.axis import calibrate_axis
from spectralid.calibration.film import FilmCheck, check_film
from spectralid.calibration.intensity import (
    IntensityCorrection,
    calibrate_intensity,
    correction_of_polynomial,
    load_intensity_correction,
)
from spectralid.calibration.peaks import Peak, find_peaks
from spectralid.calibration.record import AxisCalibration, AxisPrior, MatchedPeak, load_calibration
from spectralid.calibration.shift import raman_shift, wavelength
from spectralid.calibration.standards import (
    AxisStandard,
    IntensityStandard,
    StandardLine,
    axis_standard,
    axis_standards,
    intensity_standard,
    intensity_standards,
)

__all__ = [
    "AxisCalibration",
    "AxisPrior",
    "AxisStandard",
    "CalibrationError",
    "FilmCheck",
    "IntensityCorrection",
    "IntensityStandard",
    "MatchedPeak",
    "Peak",
    "StandardLine",
    "axis_standard",
    "axis_standards",
    "calibrate_axis",
    "calibrate_intensity",
    "check_film",
    "correction_of_polynomial",
    "find_peaks",
    "intensity_standard",
    "intensity_standards",
    "load_calibration",
    "load_intensity_correction",
    "raman_shift",
    "wavelength",
]
