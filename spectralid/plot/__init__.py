"""Figures for people: the spectrum, and the spectrum over its best matches with what is left unexplained."""

from spectralid.plot._style import save
from spectralid.plot.analysis import analysis_figure
from spectralid.plot.calibration import calibration_figure
from spectralid.plot.match import match_figure
from spectralid.plot.spectrum import spectrum_figure

__all__ = ["analysis_figure", "calibration_figure", "match_figure", "save", "spectrum_figure"]
