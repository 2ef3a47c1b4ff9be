"""Figures for people: the spectrum, what was found in it, and what is left unexplained."""

from spectralid.plot._style import save
from spectralid.plot.analysis import analysis_figure, identification_figure
from spectralid.plot.bench import bench_figure
from spectralid.plot.calibration import calibration_figure
from spectralid.plot.match import match_figure
from spectralid.plot.spectrum import spectrum_figure

__all__ = [
    "analysis_figure",
    "bench_figure",
    "calibration_figure",
    "identification_figure",
    "match_figure",
    "save",
    "spectrum_figure",
]
