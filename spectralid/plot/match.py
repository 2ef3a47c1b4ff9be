"""Figure of a measured spectrum over its best matches, with the residual below and the baseline shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from spectralid.library import Tier
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
from spectralid.preprocess import baseline_of
from spectralid.preprocess.convert import to_absorbance
from spectralid.spectrum import FloatArray, Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spectralid.identify import Candidate, Identification
    from spectralid.library import ReferenceLibrary

__all__ = ["match_figure"]

RUNNERS_UP: Final = 2
_TIER_NOTE: Final = {Tier.LITERATURE: "band table", Tier.COMPUTED: "computed: a lead only", Tier.MEASURED: ""}


def _flattened(spectrum: Spectrum) -> FloatArray:
    return spectrum.intensity - baseline_of(spectrum)


def _reference_on(axis: FloatArray, reference: Spectrum, tier: Tier) -> FloatArray:
    """Reference without baseline on the measured axis; missing outside its own range."""
    values = _flattened(to_absorbance(reference)) if tier is Tier.MEASURED else reference.intensity
    known = np.isfinite(values)
    return np.interp(axis, reference.axis[known], values[known], left=np.nan, right=np.nan)


def _scaled(target: FloatArray, reference: FloatArray) -> FloatArray:
    """`reference` times the factor that brings it closest to `target` in the least-squares sense."""
    both = np.isfinite(target) & np.isfinite(reference)
    energy = float(reference[both] @ reference[both])
    factor = max(0.0, float(target[both] @ reference[both]) / energy) if energy > 0 else 0.0
    return factor * reference


def _label(candidate: Candidate) -> str:
    note = _TIER_NOTE[candidate.tier]
    suffix = f", {note}" if note else ""
    return f"{candidate.rank}  {candidate.compound_name}  (score {candidate.score:.3f}{suffix})"


def _draw_matches(
    upper: Axes, lower: Axes, spectrum: Spectrum, shown: list[tuple[Candidate, FloatArray]]
) -> None:
    target = _flattened(spectrum)
    peak = float(np.nanmax(np.abs(target))) or 1.0
    target = target / peak
    line(upper, spectrum.axis, target, MEASURED, "measured, baseline removed")
    for place, (candidate, reference) in enumerate(shown):
        fitted = _scaled(target, reference)
        if place == 0:
            line(upper, spectrum.axis, fitted, FIT, _label(candidate), 1.4)
            line(lower, spectrum.axis, target - fitted, RESIDUAL, "measured − best match")
        else:
            line(upper, spectrum.axis, fitted - 0.75 * place, OTHERS[place - 1], _label(candidate), 1.0)
    upper.set_ylabel("relative intensity")
    upper.set_yticks([])
    upper.legend(frameon=False, loc="upper right", fontsize="small")
    lower.axhline(0, color=MEASURED, linewidth=0.6)
    lower.set_ylim(-0.6, 0.6)
    lower.set_ylabel("residual")


def match_figure(
    spectrum: Spectrum,
    identification: Identification,
    library: ReferenceLibrary,
    *,
    title: str = "",
) -> Figure:
    """Draw a measured spectrum, its baseline, its best matches and the residual of the best.

    The baseline here is for the eye (arPLS); the decision was made by the engine, not from this picture. The
    best match is scaled by least squares, the runners-up are drawn below it with an offset.

    Parameters
    ----------
    spectrum : Spectrum
        The measured spectrum.
    identification : Identification
        What the engine found for it.
    library : ReferenceLibrary
        The library it was found in.
    title : str, optional
        Heading; name of the spectrum by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    spectrum = to_absorbance(spectrum)
    infrared = spectrum.technique.is_infrared
    across, up = axis_name(spectrum)
    low, high = spectrum.range
    heading = title or spectrum.name or spectrum.source
    shown: list[tuple[Candidate, FloatArray]] = []
    for candidate in identification.candidates[: 1 + RUNNERS_UP]:
        reference = library.reference(candidate.reference_id)
        shown.append((candidate, _reference_on(spectrum.axis, reference.spectrum, candidate.tier)))

    figure = new_figure(9, 7.5 if shown else 4.2)
    if shown:
        raw, upper, lower = figure.subplots(3, 1, sharex=True, height_ratios=(1.1, 2, 0.8))
        _draw_matches(upper, lower, spectrum, shown)
        panels = [raw, upper, lower]
    else:
        panels = [figure.add_subplot()]
    line(panels[0], spectrum.axis, spectrum.intensity, MEASURED, "as measured")
    line(panels[0], spectrum.axis, baseline_of(spectrum), BASELINE, "baseline (for display)", 1.4)
    panels[0].set_ylabel(up)
    panels[0].legend(frameon=False, loc="upper right", fontsize="small")
    panels[0].set_title(heading, loc="left", fontweight="bold")
    panels[0].set_title("PRESUMPTIVE – not confirmed by a laboratory", loc="right", fontsize="small")
    for panel in panels:
        dress(panel, low, high, infrared=infrared)
    panels[-1].set_xlabel(across)
    source = f"library {identification.library_name} {identification.library_version}"
    figure.supxlabel(source, fontsize="x-small", color=RESIDUAL, x=0.99, ha="right")
    return figure
