"""Figure of a measured spectrum over its best matches, with the residual below and the baseline shown."""

from __future__ import annotations

from dataclasses import dataclass
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
from spectralid.preprocess._points import check_size
from spectralid.preprocess.convert import to_absorbance
from spectralid.spectrum import FloatArray, Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spectralid.identify import Candidate, Identification
    from spectralid.library import ReferenceLibrary

__all__ = ["match_figure", "reference_on"]

RUNNERS_UP: Final = 2
# Enough for fluorescence and too stiff for bands, on the 1,500 to 3,500 cm⁻¹ that instruments cover.
BASELINE_DEGREE: Final = 8
_TIER_NOTE: Final = {Tier.LITERATURE: "band table", Tier.COMPUTED: "computed: a lead only", Tier.MEASURED: ""}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A candidate as drawn: its reference on the measured axis, missing where the two do not overlap."""

    candidate: Candidate
    reference: FloatArray


def reference_on(axis: FloatArray, reference: Spectrum, tier: Tier) -> FloatArray:
    """Reference on the measured axis; missing outside its own range."""
    absorbing = to_absorbance(reference)
    # Band tables and computed spectra have no baseline; one would be invented by looking for it.
    values = absorbing.intensity - baseline_of(absorbing) if tier is Tier.MEASURED else absorbing.intensity
    known = np.isfinite(values)
    return np.interp(axis, reference.axis[known], values[known], left=np.nan, right=np.nan)


def _fit(spectrum: Spectrum, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Baseline and scaled reference that together come closest to the measurement, where they overlap.

    Fitted in one go by least squares: a baseline taken off beforehand swallows broad bands and leaves its own
    error in the residual.
    """
    both = np.isfinite(spectrum.intensity) & np.isfinite(reference)
    place = np.interp(spectrum.axis, spectrum.axis[both][[0, -1]], (-1.0, 1.0))
    smooth = np.polynomial.legendre.legvander(place, BASELINE_DEGREE)
    design = np.column_stack([reference, smooth])
    weights = np.linalg.lstsq(design[both], spectrum.intensity[both], rcond=None)[0]
    if weights[0] < 0:  # A substance cannot be there with a negative amount.
        weights[0] = 0.0
        weights[1:] = np.linalg.lstsq(smooth[both], spectrum.intensity[both], rcond=None)[0]
    baseline = np.where(both, smooth @ weights[1:], np.nan)
    return baseline, weights[0] * reference


def _label(candidate: Candidate) -> str:
    note = _TIER_NOTE[candidate.tier]
    suffix = f", {note}" if note else ""
    return f"{candidate.rank}  {candidate.compound_name}  (score {candidate.score:.3f}{suffix})"


def _draw_matches(upper: Axes, lower: Axes, spectrum: Spectrum, shown: list[_Shown]) -> FloatArray:
    """Draw the candidates and the residual; the baseline of the best is returned."""
    baseline, fitted = _fit(spectrum, shown[0].reference)
    target = spectrum.intensity - baseline
    peak = float(np.nanmax(np.abs(target))) or 1.0
    line(upper, spectrum.axis, target / peak, MEASURED, "measured − baseline")
    line(upper, spectrum.axis, fitted / peak, FIT, _label(shown[0].candidate), 1.4)
    line(lower, spectrum.axis, (target - fitted) / peak, RESIDUAL, "residual")
    for place, other in enumerate(shown[1:]):
        _, scaled = _fit(spectrum, other.reference)
        line(upper, spectrum.axis, scaled / peak - 0.6 * (place + 1), OTHERS[place], _label(other.candidate))
    upper.set_ylabel("relative intensity")
    upper.set_yticks([])
    upper.margins(y=0.04)
    upper.legend(frameon=False, loc="upper right", fontsize="small")
    lower.axhline(0, color=MEASURED, linewidth=0.6)
    lower.set_ylim(-0.6, 0.6)
    lower.set_ylabel("residual")
    return baseline


def match_figure(
    spectrum: Spectrum,
    identification: Identification,
    library: ReferenceLibrary,
    *,
    title: str = "",
) -> Figure:
    """Draw a measured spectrum, its baseline, its best matches and the residual of the best.

    The baseline is a polynomial fitted together with the best match by least squares, where the two overlap.
    It is for the eye: the decision was made by the engine, not from this picture. The runners-up, each fitted
    in the same way, are drawn below with an offset.

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

    Raises
    ------
    InvalidSpectrumError
        If an intensity is too large to compute with.
    """
    spectrum = to_absorbance(spectrum)
    check_size(spectrum.intensity)
    infrared = spectrum.technique.is_infrared
    across, up = axis_name(spectrum)
    low, high = spectrum.range
    heading = title or spectrum.name or spectrum.source
    shown = []
    for candidate in identification.candidates[: 1 + RUNNERS_UP]:
        reference = library.reference(candidate.reference_id)
        shown.append(_Shown(candidate, reference_on(spectrum.axis, reference.spectrum, candidate.tier)))

    figure = new_figure(9, 7.5 if shown else 4.2)
    if shown:
        raw, upper, lower = figure.subplots(3, 1, sharex=True, height_ratios=(1.1, 2, 0.8))
        baseline = _draw_matches(upper, lower, spectrum, shown)
        panels = [raw, upper, lower]
    else:
        baseline = baseline_of(spectrum)
        panels = [figure.add_subplot()]
    line(panels[0], spectrum.axis, spectrum.intensity, MEASURED, "as measured")
    line(panels[0], spectrum.axis, baseline, BASELINE, "baseline (for display)", 1.4)
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
