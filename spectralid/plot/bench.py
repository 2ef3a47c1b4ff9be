"""Figure of a fit by hand: the spectrum with its fit, the components, and what is left with its tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from spectralid.plot._style import BASELINE, FIT, MEASURED, OTHERS, RESIDUAL, dress, line, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spectralid.identify.bench import HandFit

__all__ = ["bench_figure"]

_COLOURS: Final = (FIT, *OTHERS)


def bench_figure(fit: HandFit, *, title: str = "", infrared: bool = False) -> Figure:
    """Draw a fit whose components somebody chose.

    Parameters
    ----------
    fit : HandFit
        From `spectralid.identify.bench.Bench.fit`.
    title : str
        Heading.
    infrared : bool
        Whether the axis runs from high to low.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(9, 7.5)
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1.4, 1))
    x = fit.axis_cm1
    here = np.isfinite(fit.values)
    line(upper, x, fit.values, MEASURED, "measured")
    line(upper, x, np.where(np.isfinite(fit.residual), fit.fit, np.nan), FIT, "fit")
    line(upper, x, np.where(here, fit.background, np.nan), BASELINE, "background")
    for place, (part, curve) in enumerate(zip(fit.parts, fit.curves, strict=True)):
        label = f"{part.name} {part.share:.0%}" + (" (held)" if part.held else "")
        line(middle, x, curve, _COLOURS[min(place, len(_COLOURS) - 1)], label)
    lower.fill_between(x, -fit.tolerance, fit.tolerance, color=RESIDUAL, alpha=0.25, linewidth=0)
    line(lower, x, fit.residual, RESIDUAL, "rest")
    for panel, name in ((upper, "relative intensity"), (middle, "components"), (lower, "rest")):
        panel.set_ylabel(name)
        dress(panel, float(x[here][0]), float(x[here][-1]), infrared=infrared)
    upper.legend(frameon=False, loc="upper right", fontsize="small")
    middle.legend(frameon=False, loc="upper right", fontsize="small")
    upper.set_title(title, loc="left", fontweight="bold")
    upper.set_title("PRESUMPTIVE – not confirmed by a laboratory", loc="right", fontsize="small")
    lower.set_xlabel(
        f"cm⁻¹ (axis corrected by {-fit.shift_cm1:+.1f}); rise of χ² by shares held {fit.rise:.1f}"
    )
    return figure
