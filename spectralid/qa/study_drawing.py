"""Pictures of a study: detection curves, and stated against observed probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spectralid.plot._style import BASELINE, GRID, MEASURED, OTHERS, new_figure
from spectralid.qa.measures import Calibration, Levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["calibration_figure", "levels_figure"]


def levels_figure(levels: Levels) -> Figure:
    """How often a target was found at each share, with the curve and LOD50 and LOD90.

    Parameters
    ----------
    levels : Levels
        Of a study.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(7, 3.8)
    axes = figure.subplots()
    at = [(level, rate) for level, rate in zip(levels.levels, levels.found, strict=True) if level > 0]
    x = np.array([level for level, _ in at])
    y = np.array([rate.value or 0.0 for _, rate in at])
    below = y - np.array([rate.low for _, rate in at])
    above = np.array([rate.high for _, rate in at]) - y
    axes.errorbar(x, y, yerr=[below, above], fmt="o", color=MEASURED, markersize=5, capsize=3,
                  label="found, 95 % (Clopper–Pearson)")  # fmt: skip
    if levels.curve is not None:
        smooth = np.geomspace(x.min() / 2, x.max() * 2, 200)
        axes.plot(smooth, levels.curve.chance(smooth), color=OTHERS[0], linewidth=1.4, label="probit curve")
        for limit, style in zip(levels.curve.limits, ("--", ":"), strict=False):
            name = f"LOD{100 * limit.probability:.0f} = {limit.share:.3g} [{limit.low:.3g}, {limit.high:.3g}]"
            axes.axvline(limit.share, color=BASELINE, linestyle=style, label=name)
    axes.set_xscale("log")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(f"share of {levels.target}")
    axes.set_ylabel("found")
    _dress(axes)
    axes.legend(frameon=False, fontsize="small", loc="best")
    return figure


def calibration_figure(calibration: Calibration) -> Figure:
    """Stated against observed probability of components.

    Parameters
    ----------
    calibration : Calibration
        Of a study.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from spectralid.proportion import clopper_pearson

    figure = new_figure(4.6, 4.2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.5, label="perfect")
    stated = np.array([one.stated for one in calibration.bins])
    observed = np.array([one.observed for one in calibration.bins])
    ends = np.array([clopper_pearson(round(b.observed * b.count), b.count) for b in calibration.bins])
    axes.errorbar(
        stated, observed, yerr=[observed - ends[:, 0], ends[:, 1] - observed], fmt="o", color=MEASURED,
        markersize=5, capsize=3, label="components, 95 %",
    )  # fmt: skip
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("stated probability")
    axes.set_ylabel("share that is there")
    axes.set_aspect("equal")
    _dress(axes)
    axes.legend(frameon=False, fontsize="small", loc="upper left")
    return figure


def _dress(axes: Axes) -> None:
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
