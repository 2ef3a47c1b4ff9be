"""A soak as a picture: memory with its slope, handles and threads, the database against its prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.soak import evaluate
from spectralid.plot._style import BASELINE, FIT, GRID, MEASURED, OTHERS, RESIDUAL, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure(result: dict[str, Any]) -> Figure:
    """Four panels over the simulated hours.

    Parameters
    ----------
    result : dict
        As `benchmarks.soak.results.load` gives it.
    """
    rows, judged = result["readings"], result["judged"]
    hours = np.array([one["hour"] for one in rows])
    warm = judged["warm_up_h"]
    drawn = new_figure(10.0, 7.2)
    panels = drawn.subplots(2, 2, sharex=True)
    _memory(panels[0, 0], hours, rows, judged, warm)
    _before(panels[0, 0], result["what"])
    _counts(panels[0, 1], hours, rows, "connections" in rows[0])
    _database(panels[1, 0], hours, rows, judged, warm)
    _done(panels[1, 1], hours, rows, result)
    for axes in panels.flat:
        axes.axvspan(0, warm, color=GRID, alpha=0.45, linewidth=0)
        axes.grid(True, color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, float(hours[-1]))
        axes.legend(fontsize=8, frameon=False, loc="best")
    for axes in panels[1]:
        axes.set_xlabel("simulated hours (grey: warm-up, left out)")
    return drawn


def _series(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([one[name] for one in rows], float)


def _before(axes: Axes, what: str) -> None:
    """Own memory in the first run, before what it found was mended."""
    past = json.loads((Path(__file__).parent / "before.json").read_text(encoding="utf-8"))[what]
    axes.plot(
        past["hour"],
        past["own_mb"],
        color=OTHERS[2],
        linewidth=0.9,
        linestyle=":",
        label="own, before the mends",
    )


def _memory(axes: Axes, hours: np.ndarray, rows: Any, judged: Any, warm: float) -> None:
    axes.plot(hours, _series(rows, "rss_mb"), color=RESIDUAL, linewidth=0.8, label="resident")
    axes.plot(
        hours, _series(rows, "pss_mb"), color=OTHERS[0], linewidth=0.8, label="with a share of mapped files"
    )
    own = _series(rows, "own_mb")
    axes.plot(hours, own, color=MEASURED, linewidth=1.1, label="own (anonymous)")
    later = hours >= warm
    done = _series(rows, judged["unit"])[later] / 1000
    found = evaluate.slope(done, own[later])
    centre = own[later].mean()
    axes.plot(
        hours[later],
        centre + found.value * (done - done.mean()),
        color=FIT,
        linewidth=1.4,
        label=f"{found.value:+.2f} MiB per 1,000 {judged['unit']}\n"
        f"(95 %: {found.low:+.2f} to {found.high:+.2f}; limit {judged['limit_mb']:g})",
    )
    axes.set_ylim(0, None)
    axes.set_ylabel("memory / MiB")


def _counts(axes: Axes, hours: np.ndarray, rows: Any, connections: bool) -> None:
    names = [("handles", "open files and sockets", MEASURED), ("threads", "threads", OTHERS[0])]
    names += [("children", "child processes", OTHERS[1])]
    names += [("connections", "connections to the database", OTHERS[2])] if connections else []
    for name, label, color in names:
        axes.step(hours, _series(rows, name), where="post", color=color, linewidth=0.9, label=label)
    axes.set_ylim(0, 1.35 * float(_series(rows, "handles").max()))
    axes.set_ylabel("count")


def _database(axes: Axes, hours: np.ndarray, rows: Any, judged: Any, warm: float) -> None:
    size, packets = _series(rows, "database") / 1e6, _series(rows, "packets")
    first = int(np.argmax(hours >= warm))
    predicted = size[first] + judged["database"]["predicted"] * (packets - packets[first]) / 1e6
    axes.plot(hours, size, color=MEASURED, linewidth=1.1, label="database with its log")
    axes.plot(
        hours, predicted, color=FIT, linewidth=1.1, linestyle="--",
        label=f"predicted: {judged['database']['predicted'] / 1000:.1f} kB a packet\n"
        f"(measured {judged['database']['bytes_each'] / 1000:.1f}, ratio {judged['database']['ratio']:.2f})",
    )  # fmt: skip
    axes.set_ylim(0, None)
    axes.set_ylabel("size / MB")


def _done(axes: Axes, hours: np.ndarray, rows: Any, result: Any) -> None:
    if result["what"] == "tablet":
        axes.plot(hours, _series(rows, "scans"), color=MEASURED, linewidth=1.1, label="scans recorded")
        axes.plot(
            hours,
            _series(rows, "queued"),
            color=BASELINE,
            linewidth=0.9,
            label="packets that wait for the server",
        )
        away = _series(rows, "server") == 0
        top = float(_series(rows, "scans").max())
        axes.fill_between(
            hours, 0, top, where=away, color=OTHERS[2], alpha=0.15, linewidth=0, label="no server"
        )
    else:
        axes.plot(hours, _series(rows, "packets"), color=MEASURED, linewidth=1.1, label="packets taken in")
        axes.plot(
            hours, _series(rows, "requests"), color=OTHERS[0], linewidth=0.9, label="requests of persons"
        )
    axes.set_ylim(0, None)
    axes.set_ylabel("count")
