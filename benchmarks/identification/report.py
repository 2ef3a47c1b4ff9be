"""Writes the page of results and its figures from what a run found.

    python benchmarks/identification/report.py build/identification/results.json

Nothing on the page is typed by hand: run the benchmark, then this.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from goals import GOALS
from matplotlib.figure import Figure
from measures import Measure, markdown, table
from power import LOD90, Z_ALARM
from scipy.special import ndtr

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "identification-results.md"
IMAGES = ROOT / "docs" / "images"
PREFIX = "identification-"
# One colour for each method on every figure; Okabe and Ito's, which the colour-blind tell apart.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#8B6508",
    "#777777",
    "#B22222",
    "#004D40",
)
_OURS = "spectralid"
_TITLES = {
    "A": "Pure substances",
    "B": "Screening for watched families",
    "D": "Families of members that are in no library",
    "E": "Power in mixtures, against the oracle",
    "E2": "Names in mixtures",
    "E3": "The fentanyl family in cutting agents",
    "F": "Open set",
    "G": "Calibration",
    "H": "Triage",
    "I": "Speed and memory",
    "real": "Real spectra",
    "ablation": "What each part of the joint fit buys",
}
_WORDS = {
    "A": "Every query is a pure test substance of the library, seen by a unit drawn anew.",
    "B": (
        "Watched families at a fifth and more of a mixture, beside mixtures without any. At ≤ 0.1 % false "
        "alarms the threshold is that of the negatives themselves; methods that were run on a sixth of "
        "them have a stricter one."
    ),
    "E": (
        "η is the share at which a method finds nine in ten, over the share at which the oracle does at "
        "0.1 % false alarms. The oracle knows which two substances it are, their true spectra on that "
        "very unit, and how grains, glow and photons scatter; it does not know the amounts or the glow. "
        "Whole pairs of substances are drawn anew for the interval. *Photons alone*: library and query "
        "come from one unit without any difference between grains; the usual model of the simulated units "
        "expects some. *Instrument not characterised*: with the model of any instrument. *The best linear "
        "use of the library* knows a reference from another unit and how units and grains scatter: what "
        "real mismatch leaves of the oracle. Baselines get the threshold at which 5 % of the scans "
        "without the target are false alarms, which favours them. The oracle's row on the same scans must "
        "be 1."
    ),
    "E2": "Shares of at least a tenth, drawn evenly.",
    "E3": (
        "One member of the family at the stated share of the signal, in test cutting agents, 50,000 "
        "counts in the strongest band."
    ),
    "F": "*Kept*: exactly that substance is named. *Noticed*: nothing is named.",
    "H": "A scan is escalated where the verdict settles nothing: no alarm and no name for all of it.",
    "real": (
        "Libraries are made of single-substance spectra of the collection named, or of one portable unit "
        "(other instruments, solvent binaries). References of tablets and of FAME are derived from part "
        "of the series by least squares, because no pure one was measured. Drugs in cutting agents are "
        "sums of altered scans of the collection, so that query and reference share a scan: a bound, no "
        "field figure. Shares found are of the signal, shares weighed are by mass."
    ),
    "ablation": "The joint fit alone, without rules for names: the same scans for every row of a group.",
}


def figures(results: Mapping[str, Any], folder: Path) -> list[str]:
    """Draw every figure there is something for; names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    curves = results["curves"]
    drawn: list[tuple[str, Figure]] = []
    makers: dict[str, tuple[str, Callable[[Any], Figure]]] = {
        "power": ("power", power_figure),
        "roc": ("roc", roc_figure),
        "triage": ("triage", triage_figure),
    }
    for key, (name, make) in makers.items():
        if curves.get(key):
            drawn.append((name, make(curves[key])))
    reliability = {k: v for k, v in curves.items() if k.startswith("reliability")}
    if reliability:
        drawn.append(("reliability-run", reliability_figure(reliability)))
    levels = [Measure.from_dict(m) for m in results["measures"] if m["track"] == "E3"]
    if levels:
        drawn.append(("fentanyl", fentanyl_figure(levels)))
    for i, case in enumerate((c for c in results["failures"] if c["cases"]), start=1):
        drawn.append((f"failure-{i}", failure_figure(case)))
    names = []
    for name, figure in drawn:
        file = folder / f"{PREFIX}{name}.png"
        figure.savefig(file, dpi=120)
        names.append(file.name)
    return names


def _colour(method: str, methods: Sequence[str]) -> str:
    return "black" if method.startswith("oracle") else _COLOURS[list(methods).index(method) % len(_COLOURS)]


def power_figure(curves: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Share of scans in which the target was found, over its share in limits of the oracle."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    methods = list(dict.fromkeys(m for c in curves.values() for m in c))
    for axes, (group, found) in zip(panels, curves.items(), strict=True):
        x = np.geomspace(0.4, 18, 200)
        axes.plot(x, ndtr(LOD90 * x - Z_ALARM), color="0.6", linewidth=1.2, label="oracle, theory")
        for method in methods:
            points = found.get(method, [])
            if not points:
                continue
            alone = method.startswith("oracle")
            axes.plot(
                [p["x"] for p in points],
                [p["hits"] / p["n"] for p in points],
                marker="o",
                markersize=4,
                linewidth=0 if alone else 1.3,
                color=_colour(method, methods),
                label=method,
            )
        axes.axhline(0.9, color="0.8", linewidth=0.8, linestyle="--")
        axes.set(xscale="log", title=group, xlabel="share of the target / the oracle's limit (90 %, 0.1 %)")
        axes.set_xticks([0.5, 1, 2, 4, 8, 16], ["0.5", "1", "2", "4", "8", "16"])
    panels[0].set_ylabel("found")
    shown = {
        label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(shown.values(), shown.keys(), fontsize=7, loc="outside lower center", ncols=3)
    return figure


def roc_figure(curves: Mapping[str, Mapping[str, Any]]) -> Figure:
    """True over false alarms where false alarms are few."""
    figure = Figure(figsize=(7, 5.6), layout="constrained")
    axes = figure.subplots()
    methods = list(curves)
    for method, curve in curves.items():
        false, true = np.array(curve["false"]), np.array(curve["true"])
        least = 0.5 / max(1, curve["negatives"])
        axes.step(
            np.maximum(np.concatenate([[0.0], false, [1.0]]), least),
            np.concatenate([[0.0], true, true[-1:] if true.size else [0.0]]),
            where="post",
            color=_colour(method, methods),
            linewidth=2.2 if method == _OURS else 1.2,
            label=f"{method} ({curve['negatives']:,} negatives)",
        )
    axes.axvline(0.001, color="0.8", linewidth=0.8, linestyle="--")
    axes.set(
        xscale="log",
        ylim=(0, 1.02),
        xlabel="scans without a watched family that raise an alarm (none: half a scan)",
        ylabel="watched families found",
    )
    axes.set_xlim(right=1.0)
    figure.legend(fontsize=7, loc="outside lower center", ncols=2)
    return figure


def triage_figure(curve: Sequence[Mapping[str, float]]) -> Figure:
    """What it costs to miss fewer."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    limit = [c["limit"] for c in curve]
    axes.plot(limit, [100 * c["escalated"] for c in curve], color=_COLOURS[0], marker="o", markersize=3)
    axes.set(xscale="log", xlabel="largest share of fentanyl that may hide in a scan that is not sent on")
    axes.set_ylabel("escalated, % (by base rates)", color=_COLOURS[0])
    axes.axhline(12, color="0.8", linewidth=0.8, linestyle="--")
    other = axes.twinx()
    other.plot(limit, [c["missed"] for c in curve], color=_COLOURS[1], marker="s", markersize=3)
    other.set_ylabel("scans with a watched family missed", color=_COLOURS[1])
    axes.set_xticks([0.01, 0.03, 0.1, 0.3, 1], ["1 %", "3 %", "10 %", "30 %", "100 %"])
    return figure


def reliability_figure(curves: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Stated probability against what happened."""
    figure = Figure(figsize=(4.6 * len(curves), 4.4), layout="constrained")
    for axes, (title, found) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
        for colour, (label, bins) in zip(_COLOURS, found.items(), strict=False):
            stated = [b["stated"] for b in bins if b["count"]]
            observed = [b["observed"] for b in bins if b["count"]]
            axes.plot(stated, observed, marker="o", markersize=4, color=colour, label=label)
        axes.set(title=title, xlabel="stated probability", ylabel="share that was so")
        axes.legend(fontsize=7, loc="upper left")
    return figure


def fentanyl_figure(measures: Sequence[Measure]) -> Figure:
    """Alarms over the share of the drug."""
    figure = Figure(figsize=(7, 5.0), layout="constrained")
    axes = figure.subplots()
    plain = [m for m in measures if m.name == "alarm" and m.group.endswith("%") and " " not in m.group]
    methods = list(dict.fromkeys(m.method for m in plain))
    for method in methods:
        mine = sorted((float(m.group[:-1]), m) for m in plain if m.method == method and m.n)
        ours = method == _OURS
        axes.errorbar(
            [max(x, 1.0) for x, _ in mine],
            [m.value for _, m in mine],
            yerr=np.maximum(  # Ends at 0 and 1 may be beyond the value by a rounding.
                [[m.value - m.low for _, m in mine], [m.high - m.value for _, m in mine]], 0.0
            )
            if ours
            else None,
            color=_colour(method, methods),
            marker="o",
            markersize=4,
            capsize=2,
            linewidth=2.2 if ours else 1.2,
            label=method,
        )
    axes.set(
        xscale="log",
        xlabel="share of the drug, % of the signal",
        ylabel="alarm for the fentanyl family",
    )
    axes.set_xticks([1, 2, 5, 7, 10, 20, 90], ["none", "2", "5", "7", "10", "20", "90"])
    figure.legend(fontsize=7, loc="outside lower center", ncols=3)
    return figure


def failure_figure(case: Mapping[str, Any]) -> Figure:
    """The scan of one case with what was found and what was left over."""
    figure = Figure(figsize=(9, 5.0), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    axes.plot(case["axis"], case["intensity"], color="0.25", linewidth=0.8)
    top = max(case["intensity"])
    for place in case["unexplained_cm1"]:
        axes.axvline(place, color=_COLOURS[1], linewidth=0.8, alpha=0.7)
        axes.text(
            place, top, f"{place:.0f}", fontsize=6, rotation=90, va="top", ha="right", color=_COLOURS[1]
        )
    truth = ", ".join(f"{s} {c:.0%}" for s, c in case["true"].items()) or "nothing of the library"
    found = ", ".join(f"{s} {c:.0%}" for s, c, *_ in case["components"]) or "nothing"
    beside = "" if case["nothing else in it"] else " and something no library holds"
    axes.set_title(f"there: {truth}{beside}\nfitted: {found}", fontsize=9)
    axes.set_ylabel("counts")
    for colour, (slug, values) in zip(_COLOURS, case["parts"].items(), strict=False):
        below.plot(case["axis"], values, color=colour, linewidth=1.0, label=slug)
    below.set(
        xlabel="Raman shift, cm⁻¹ (as the unit reports it)", ylabel="what is in it, counts", yscale="symlog"
    )
    below.set_ylim(bottom=0)
    below.legend(fontsize=7, loc="upper center")
    return figure


def page(results: Mapping[str, Any], images: Sequence[str]) -> str:
    """The page of results."""
    env = results["environment"]
    measures = [Measure.from_dict(m) for m in results["measures"]]
    lines = [
        "# How well identification works, measured",
        "",
        "Written by `benchmarks/identification/report.py` from one run of "
        "`benchmarks/identification/run.py`; nothing here is typed by hand.",
        "",
        f"Engine `{env['engine']}`, commit {env['commit']}, `--scale {env['scale']:g}`, "
        f"{env['processes']} processes, {env['minutes']} minutes; Python {env['python']}, "
        f"NumPy {env['numpy']}, SciPy {env['scipy']}.",
    ]
    if "substances" in results:
        told = ", ".join(f"{n} {what}" for what, n in results["substances"].items())
        lines += ["", f"Simulated world: {told}."]
    lines += [
        "",
        "**spectralid** is what the verdict names by the rules for names; *explained* is what the joint fit "
        "holds where it explains the whole spectrum, *detected* all it holds where there are odds for it. "
        "Intervals are 95 %, behind the comma is what was counted. All simulated queries are of test "
        "substances, which set nothing; simulated units are characterised from development substances, as a "
        "user characterises an instrument (`characterise.py`).",
        "",
        "## Goals of the design, and what was reached",
        "",
        markdown(results["goals"]),
        "",
        "*Met, not proven* means that the figure is as wanted but its interval reaches beyond the goal.",
    ]
    if results["skipped"]:
        lines += ["", "Left out:", ""] + [f"* {what}: {why}" for what, why in results["skipped"].items()]
    for leak in results["leaks"]:
        lines += ["", f"**η below 1 beyond its interval: {leak}.** Something leaks, or the oracle is wrong."]
    shown = {"E": "power", "B": "roc", "H": "triage", "G": "reliability-run", "E3": "fentanyl"}
    for track, title in _TITLES.items():
        mine = [m for m in measures if m.track == track]
        if not mine:
            continue
        lines += ["", f"## {track + ': ' if len(track) < 3 else ''}{title}", ""]
        if track in _WORDS:
            lines += [_WORDS[track], ""]
        lines.append(table(mine, GOALS))
        for name, rows in results["tables"].items():
            if rows and (name.startswith(f"{track}:") or (track == "real" and ":" not in name[:3])):
                lines += ["", f"{name}:", "", markdown(rows)]
        image = f"{PREFIX}{shown.get(track, '')}.png"
        if image in images:
            lines += ["", f"![{title}](images/{image})"]
    lines += failures(results["failures"], images)
    return "\n".join(lines) + "\n"


def failures(cases: Sequence[Mapping[str, Any]], images: Sequence[str]) -> list[str]:
    """Cases that went wrong, each with what the numbers say of it."""
    if not cases:
        return []
    lines = ["", "## Three failures", "", "Chosen by rule, the worst of their kind in this run."]
    number = 0
    for case in cases:
        lines += ["", f"### {case['rule']}", ""]
        if not case["cases"]:
            lines.append("There was none in this run.")
            continue
        number += 1
        truth = ", ".join(f"{s} ({c:.1%})" for s, c in case["true"].items()) or "nothing of the library"
        beside = "" if case["nothing else in it"] else ", and something no library holds"
        found = "; ".join(f"{s} {c:.1%} ({low:.1%}–{high:.1%})" for s, c, low, high in case["components"])
        lines.append(
            f"{case['cases']} of {case['of']} scans are of this kind. Track {case['track']}, "
            f"{case['scans of']}. "
            f"There: {truth}{beside}. Fitted: {found or 'nothing'}; log odds {case['log_odds']:+.0f}. "
            f"Verdict: {case['verdict'].replace('_', ' ')}."
        )
        lines += ["", _reason(case)]
        image = f"{PREFIX}failure-{number}.png"
        if image in images:
            lines += ["", f"![{case['rule']}](images/{image})"]
    return lines


def _reason(case: Mapping[str, Any]) -> str:
    """What the numbers say went wrong."""
    fitted = {s for s, *_ in case["components"]}
    lacking, extra = set(case["true"]) - fitted, fitted - set(case["true"])
    said = []
    if extra and not case["nothing else in it"]:
        said.append(f"{' and '.join(sorted(extra))} stood in for what no library holds.")
    elif extra:
        said.append(f"{' and '.join(sorted(extra))} took the place of signal that belongs to what is there.")
    if lacking:
        said.append(f"{' and '.join(sorted(lacking))} did not pay for a place in the explanation.")
    if case["unexplained_cm1"]:
        places = ", ".join(f"{p:.0f}" for p in case["unexplained_cm1"][:6])
        said.append(f"Left over beyond doubt at {places} cm⁻¹, so that no name is given.")
    elif not case["explained"]:
        said.append(
            "No single band is left over; a component whose bands do not all hold keeps it from a name."
        )
    elif not lacking and not extra:
        said.append("The fit is right; the rules for names asked for more certainty than it had.")
    return " ".join(said)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="results.json of a run")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write")
    args = parser.parse_args()
    results = json.loads(args.results.read_text(encoding="utf-8"))
    folder = args.page.parent / IMAGES.name
    names = figures(results, folder)
    args.page.write_text(page(results, names), encoding="utf-8")
    print(f"{args.page} and {len(names)} figures in {os.path.relpath(folder)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
