"""Figure of a measured spectrum with the components a joint fit found in it, and what they leave over.

`identification_figure` draws any result: its joint fit where it has one, else its best matches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from spectralid.identify.references import background_shapes
from spectralid.plot._style import (
    BASELINE,
    FIT,
    MEASURED,
    OTHERS,
    RESIDUAL,
    axis_name,
    dress,
    line,
    new_figure,
)
from spectralid.plot.match import match_figure, reference_on
from spectralid.preprocess._points import check_size
from spectralid.preprocess.convert import to_absorbance
from spectralid.spectrum import FloatArray, Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spectralid.identify import Analysis, Identification
    from spectralid.library import ReferenceLibrary

__all__ = ["analysis_figure", "identification_figure"]

# As many components as there are colours that stay apart; the rest share the last.
_COLOURS: Final = (FIT, *OTHERS)


def analysis_figure(
    spectrum: Spectrum, analysis: Analysis, library: ReferenceLibrary, *, title: str = ""
) -> Figure:
    """Draw a spectrum, the components found in it with their sum, and the rest with its unexplained bands.

    Amounts are fitted once more for the picture, by non-negative least squares with the same background
    shapes and the shift that was found. The decision was made by the engine, which also allows for what the
    references leave open.

    Parameters
    ----------
    spectrum : Spectrum
        The measured spectrum.
    analysis : Analysis
        What the joint fit found in it.
    library : ReferenceLibrary
        The library it was made with.
    title : str, optional
        Heading; name of the spectrum by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidSpectrumError
        If an intensity is too large to compute with.
    """
    spectrum = to_absorbance(spectrum)
    check_size(spectrum.intensity)
    axis = spectrum.axis - analysis.shift_cm1
    shapes = []
    for component in analysis.components:
        reference = library.reference(component.reference_id)
        shapes.append(reference_on(axis, reference.spectrum, component.tier))
    background, parts = _fit(spectrum, axis, shapes)
    target = spectrum.intensity - background
    peak = float(np.nanmax(np.abs(target))) or 1.0

    figure = new_figure(9, 7.5)
    raw, upper, lower = figure.subplots(3, 1, sharex=True, height_ratios=(1.1, 2, 0.8))
    line(raw, axis, spectrum.intensity, MEASURED, "as measured")
    line(raw, axis, background, BASELINE, "background", 1.4)
    raw.set_ylabel(axis_name(spectrum)[1])
    raw.legend(frameon=False, loc="upper right", fontsize="small")
    line(upper, axis, target / peak, MEASURED, "measured − background")
    for place, (component, part) in enumerate(zip(analysis.components, parts, strict=True)):
        label = component.compound_name
        if len(parts) > 1:
            label += f"  {component.share:.0%} of the signal"
        if not component.holds:
            label += "  (bands do not agree)"
        line(upper, axis, part / peak, _COLOURS[min(place, len(_COLOURS) - 1)], label)
    if len(parts) > 1:
        line(upper, axis, np.sum(parts, axis=0) / peak, BASELINE, "sum of the components")
    rest = (target - np.sum(parts, axis=0) if parts else target) / peak
    line(lower, axis, rest, RESIDUAL, "rest")
    _mark(lower, analysis, axis, rest)
    upper.set_ylabel("relative intensity")
    upper.legend(frameon=False, loc="upper right", fontsize="small")
    raw.set_title(title or spectrum.name or spectrum.source, loc="left", fontweight="bold")
    raw.set_title("PRESUMPTIVE – not confirmed by a laboratory", loc="right", fontsize="small")
    lower.axhline(0, color=MEASURED, linewidth=0.6)
    reach = float(np.nanmax(np.abs(rest), initial=0.2))
    lower.set_ylim(-1.1 * reach, 1.3 * reach)
    lower.set_ylabel("rest")
    lower.set_xlabel(f"{axis_name(spectrum)[0]} (axis corrected by {-analysis.shift_cm1:+.1f} cm⁻¹)")
    for panel in (raw, upper, lower):
        dress(panel, float(axis[0]), float(axis[-1]), infrared=spectrum.technique.is_infrared)
    figure.supxlabel(
        f"library {library.name} {library.version}", fontsize="x-small", color=RESIDUAL, x=0.99, ha="right"
    )
    return figure


def identification_figure(
    spectrum: Spectrum, identification: Identification, library: ReferenceLibrary, *, title: str = ""
) -> Figure:
    """Draw what was found in a spectrum: its components, or its best matches where there is no joint fit.

    Parameters
    ----------
    spectrum : Spectrum
        The measured spectrum.
    identification : Identification
        What was found in it.
    library : ReferenceLibrary
        The library it was made with.
    title : str, optional
        Heading; name of the spectrum by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if identification.analysis and identification.analysis.components:
        return analysis_figure(spectrum, identification.analysis, library, title=title)
    return match_figure(spectrum, identification, library, title=title)


def _fit(
    spectrum: Spectrum, axis: FloatArray, shapes: list[FloatArray]
) -> tuple[FloatArray, list[FloatArray]]:
    """Background and contribution of each component on the measured axis, missing where a reference is."""
    from scipy.optimize import lsq_linear

    smooth = background_shapes(axis, spectrum.technique)
    design = np.column_stack([*shapes, smooth])
    usable = np.isfinite(spectrum.intensity) & np.isfinite(design).all(axis=1)
    n = len(shapes)
    lowest = np.concatenate([np.zeros(n), np.full(smooth.shape[1], -np.inf)])
    scale = np.sqrt(np.mean(design[usable] ** 2, axis=0)) + 1e-30
    solved = lsq_linear(design[usable] / scale, spectrum.intensity[usable], bounds=(lowest, np.inf)).x / scale
    # Where no reference reaches, nothing was fitted and splines swing freely.
    background = np.where(usable, smooth @ solved[n:], np.nan)
    return background, [a * s for a, s in zip(solved[:n], shapes, strict=True)]


def _mark(lower: Axes, analysis: Analysis, axis: FloatArray, rest: FloatArray) -> None:
    for band in analysis.unexplained:
        height = float(np.interp(band.position_cm1, axis, np.nan_to_num(rest)))
        lower.annotate(
            f"{band.position_cm1:.0f}",
            (band.position_cm1, height),
            xytext=(0, 10),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
            color=FIT,
            arrowprops={"arrowstyle": "-", "color": FIT, "linewidth": 0.8},
        )
