"""Pictures of control charts: the days, the limits, and where a rule fired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from spectralid.plot._style import BASELINE, FIT, GRID, MEASURED, OTHERS, new_figure
from spectralid.qa.charts import CUSUM_H
from spectralid.qa.history import ChartedFigure
from spectralid.spectrum import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["control_chart_figure"]

_MOST_LABELS: Final = 6


def control_chart_figure(charted: Sequence[ChartedFigure], *, title: str = "") -> Figure:
    """Draw figures of a unit over its days: single values and average above, cumulative sums below.

    Parameters
    ----------
    charted : sequence of ChartedFigure
        One or more.
    title : str
        Above all of them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(9, 0.4 + 3.4 * len(charted))
    rows = figure.subplots(
        2 * len(charted), 1, squeeze=False, height_ratios=[3, 1.4] * len(charted)
    )[:, 0]  # fmt: skip
    for number, one in enumerate(charted):
        _values(rows[2 * number], one)
        _sums(rows[2 * number + 1], one)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def _values(axes: Axes, one: ChartedFigure) -> None:
    baseline, days = one.chart.baseline, np.arange(1, one.chart.z.size + 1)

    def shown(z: FloatArray) -> FloatArray:
        return np.asarray(baseline.mean + baseline.sd * z)

    axes.axhline(baseline.mean, color=GRID, linewidth=1.0)
    for side in (-1, 1):
        label = f"limit of a day, ±{one.chart.limit:.3g} sd" if side > 0 else None
        axes.axhline(
            baseline.mean + side * one.chart.limit * baseline.sd,
            color=FIT,
            linewidth=1.0,
            linestyle="--",
            label=label,
        )
        axes.plot(days, shown(side * one.chart.ewma_limit), color=BASELINE, linewidth=1.0,
                  label="limit of the average" if side > 0 else None)  # fmt: skip
    axes.plot(days, shown(one.chart.z), color=MEASURED, marker="o", markersize=3, linewidth=0.6, label="day")
    axes.plot(days, shown(one.chart.ewma), color=OTHERS[0], linewidth=1.4, label="moving average")
    stops = sorted({signal.index for signal in one.chart.signals if signal.stops})
    if stops:
        axes.plot(
            days[stops], shown(one.chart.z[stops]), linestyle="", marker="s", markersize=8,
            markerfacecolor="none", markeredgecolor=FIT, markeredgewidth=1.6, label="stop",
        )  # fmt: skip
    unit = f" / {one.unit}" if one.unit else ""
    axes.set_ylabel(one.name.replace("_", " ") + unit)
    state = "in control" if one.chart.in_control else f"STOP on day {stops[0] + 1}"
    axes.set_title(f"{one.name.replace('_', ' ')}: {state}", loc="left", fontsize="medium")
    _dress(axes, days.size)
    axes.legend(frameon=False, fontsize="x-small", ncols=_MOST_LABELS, loc="upper left")
    axes.margins(y=0.25)


def _sums(axes: Axes, one: ChartedFigure) -> None:
    days = np.arange(1, one.chart.z.size + 1)
    axes.plot(days, one.chart.cusum_up, color=OTHERS[1], linewidth=1.2, label="up")
    axes.plot(days, -one.chart.cusum_down, color=OTHERS[2], linewidth=1.2, linestyle="-.", label="down")
    for side in (-1, 1):
        axes.axhline(side * CUSUM_H, color=FIT, linewidth=1.0, linestyle="--")
    axes.set_ylabel("CUSUM / sd")
    axes.set_xlabel("day after the baseline")
    _dress(axes, days.size)
    axes.legend(frameon=False, fontsize="x-small", ncols=2, loc="upper left")


def _dress(axes: Axes, days: int) -> None:
    axes.set_xlim(0.5, max(days, 2) + 0.5)
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
