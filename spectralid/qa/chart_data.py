"""Control charts of a unit as plain data, for the screens that draw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from spectralid.qa.history import chart_figure_of, charted_names
from spectralid.qa.performance import CheckError, PerformanceCheck

__all__ = ["BASELINE_DAYS", "charts_of"]

BASELINE_DAYS: Final = 20
"""How many of the first days the usual value is taken from, if nobody says otherwise."""
# Figures that are the same every day, or a count of faults, tell nothing as a chart.
_NOT_CHARTED: Final = frozenset({"saturated_points", "dead_pixels", "hot_pixels"})


def charts_of(
    checks: Sequence[PerformanceCheck], *, baseline_days: int = BASELINE_DAYS, most: int = 90
) -> list[dict[str, Any]]:
    """Every figure of a unit over its days, by standard.

    Parameters
    ----------
    checks : sequence of PerformanceCheck
        Of one unit, by time.
    baseline_days : int
        How many of the first days the usual value is taken from.
    most : int
        Days that are given, the latest.

    Returns
    -------
    list of dict
        For each standard and figure: ``standard``, ``figure``, ``unit``, ``times``, ``values``, ``low`` and
        ``high`` (limits of the last day), ``needed`` (checks until there is a chart), then ``mean``,
        ``sd``, ``stop_low``, ``stop_high`` (1_3s), and of each day after the baseline ``average`` and
        ``average_limit`` (EWMA; ``None`` before); ``stops`` and ``advice``: {``time``, ``rule``}.
    """
    return [
        _chart(mine, name, baseline_days, most)
        for standard in dict.fromkeys(check.standard for check in checks)
        for mine in [[check for check in checks if check.standard == standard]]
        for name in charted_names(mine)
        if name not in _NOT_CHARTED
    ]


def _chart(checks: Sequence[PerformanceCheck], name: str, baseline_days: int, most: int) -> dict[str, Any]:
    days = []
    for check in checks:
        # An older record may lack a figure that came later.
        figure = next((one for one in check.figures if one.name == name), None)
        if figure is not None and figure.value is not None:
            days.append((check, figure))
    last = days[-1][1]
    out: dict[str, Any] = {
        "standard": checks[0].standard,
        "figure": name,
        "unit": last.unit,
        "times": [check.time for check, _ in days][-most:],
        "values": [figure.value for _, figure in days][-most:],
        "low": last.low,
        "high": last.high,
        "needed": max(0, baseline_days + 1 - len(days)),
        "stops": [],
        "advice": [],
    }
    if out["needed"]:
        return out
    try:
        charted = chart_figure_of([check for check, _ in days], name, baseline_days=baseline_days)
    except (CheckError, ValueError):
        # Days that were all the same have no spread to hold a new one against.
        return out
    chart, baseline = charted.chart, charted.chart.baseline
    before: list[float | None] = [None] * baseline_days
    average = baseline.mean + baseline.sd * chart.ewma
    out |= {
        "mean": baseline.mean,
        "sd": baseline.sd,
        "stop_low": baseline.mean - chart.limit * baseline.sd,
        "stop_high": baseline.mean + chart.limit * baseline.sd,
        "average": [*before, *(float(value) for value in average)][-most:],
        "average_limit": [*before, *(float(value) for value in baseline.sd * chart.ewma_limit)][-most:],
    }
    for signal in chart.signals:
        kind = "stops" if signal.stops else "advice"
        out[kind].append({"time": charted.checks[signal.index].time, "rule": signal.rule})
    return out
