"""Figures for people: the spectrum, what was found in it, and what is left unexplained.

Names load when first used: the picture of a spectrum needs no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy

if TYPE_CHECKING:
    from spectralid.plot._style import save as save
    from spectralid.plot.analysis import analysis_figure as analysis_figure
    from spectralid.plot.analysis import identification_figure as identification_figure
    from spectralid.plot.bench import bench_figure as bench_figure
    from spectralid.plot.calibration import calibration_figure as calibration_figure
    from spectralid.plot.match import match_figure as match_figure
    from spectralid.plot.spectrum import spectrum_figure as spectrum_figure

_WHERE = {
    "analysis_figure": "analysis",
    "bench_figure": "bench",
    "calibration_figure": "calibration",
    "identification_figure": "analysis",
    "match_figure": "match",
    "save": "_style",
    "spectrum_figure": "spectrum",
}

__all__ = [
    "analysis_figure",
    "bench_figure",
    "calibration_figure",
    "identification_figure",
    "match_figure",
    "save",
    "spectrum_figure",
]

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
