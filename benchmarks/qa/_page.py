"""The page of the studies on real data, and its figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import fill

import numpy as np
from _samples import Collection

from spectralid import open_library
from spectralid.calibration import CalibrationError, axis_standard, calibrate_axis
from spectralid.plot._style import BASELINE, GRID, MEASURED, OTHERS, new_figure
from spectralid.proportion import clopper_pearson
from spectralid.qa import measures
from spectralid.qa.study import Outcome, Study
from spectralid.qa.study_report import bounds_said
from spectralid.qa.tables import by_condition, summary

Done = tuple[Collection, tuple[Study, ...]]

_HEAD = """# Validation studies on real data

Written by `python benchmarks/qa/studies.py --out build/studies --docs docs`; nothing here is typed by hand.
Each study is what `spectralid qa validate` makes of a manifest ([quality assurance](quality-assurance.md)):
engine and verdict as on a tablet, with a library of that collection's own references.

Intervals are 95 %. The first, in brackets after the share, counts samples (Clopper and Pearson) and is too
narrow where samples are not independent. *By groups* counts what belongs together once, as far as it stands
or falls together (Korn and Graubard): quote that one. *Named* is what the verdict says to an officer. *The
fit holds* is what the analysis lists with odds for it, named or not: leads for a chemist. The engine
states shares of the signal, which are no shares by weight. *Left by a calibration* is the root mean square
after a straight line fitted to the other groups, as published calibrations are judged; where it is no less
than the spread of the levels, the share says nothing about the level.
"""
_RATES = {
    "complete": "all named, nothing else",
    "some": "at least one named",
    "false": "something named in vain",
    "listed": "the fit holds all of it",
    "listed_false": "the fit holds something else",
}


def write_page(done: Sequence[Done], folder: Path) -> None:
    """Write qa-studies.md and images/qa-*.png."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    lines = [_HEAD, *_summary(done)]
    for collection, studies in done:
        lines += _section(collection, studies)
    lines += _figures(done, images)
    (folder / "qa-studies.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _summary(done: Sequence[Done]) -> list[str]:
    lines = [
        "| study | samples (groups) | all named, nothing else | named in vain | the fit holds all of it |",
        "|---|---|---|---|---|",
    ]
    for collection, studies in done:
        rates = summary(studies[0].outcomes)
        groups = len({o.sample.group or o.sample.line for o in studies[0].outcomes})
        cells = [collection.title, f"{len(studies[0].outcomes)} ({groups})"]
        lines.append(
            "| " + " | ".join([*cells, *(str(rates[n]) for n in ("complete", "false", "listed"))]) + " |"
        )
    return [*lines, ""]


def _section(collection: Collection, studies: Sequence[Study]) -> list[str]:
    first = studies[0].outcomes
    rates = summary(first)
    lines = [f"## {collection.title}", "", collection.words, "", "| | share |", "|---|---|"]
    lines += [f"| {name} | {rates[key]} |" for key, name in _RATES.items()]
    lines.append("")
    lines += _by_unit(first)
    lines += _limits(studies)
    lines += _shares(studies)
    lines += _calibration(first)
    lines += _repeatability(first)
    if collection.slug == "acetaminophen":
        lines += _positions(collection)
    if collection.published:
        lines += ["| published | figure | source |", "|---|---|---|"]
        lines += [f"| {one.what} | {one.figure} | {one.source} |" for one in collection.published]
    else:
        lines.append("Published figures on such samples: none found.")
    return [*lines, ""]


def _by_unit(outcomes: Sequence[Outcome]) -> Iterator[str]:
    units = {outcome.sample.unit for outcome in outcomes if outcome.sample.unit}
    if len(units) < 2:
        return
    target = next(outcome.target for outcome in outcomes if outcome.target)
    yield f"| unit | {target} named where it is | the fit holds it | something named in vain |"
    yield "|---|---|---|---|"
    for unit, rates in by_condition(outcomes, "unit").items():
        mine = [o for o in outcomes if o.sample.unit == unit and target in o.held]
        named = sum(target in o.found for o in mine)
        listed = sum(any(slug == target for slug, *_ in o.shares) for o in mine)
        yield f"| {unit} | {named}/{len(mine)} | {listed}/{len(mine)} | {rates['false']} |"
    yield ""


def _limits(studies: Sequence[Study]) -> Iterator[str]:
    every = [levels for study in studies for levels in measures.detection_limits(study)]
    if not every:
        return
    yield "| target | levels | named | LOD50 | LOD90 | shape of the curve, p |"
    yield "|---|---|---|---|---|---|"
    notes = []
    for levels in every:
        above = [(x, rate) for x, rate in zip(levels.levels, levels.found, strict=True) if x > 0]
        if not above:
            continue
        blanks = [rate for x, rate in zip(levels.levels, levels.found, strict=True) if x == 0]
        span = f"{percent(above[0][0])} to {percent(above[-1][0])}"
        count = f"{sum(r.hits for _, r in above)}/{sum(r.of for _, r in above)}"
        count += f", blanks {blanks[0].hits}/{blanks[0].of}" if blanks else ""
        if levels.curve is None:
            cells = ["–", "–", "–"]
            notes.append(" ".join((f"{levels.target}: {levels.why_not}", *bounds_said(levels, percent))))
        else:
            cells = [
                f"{percent(limit.share)} [{percent(limit.low)}, {percent(limit.high)}]"
                + " (beyond the levels)" * (limit.share > above[-1][0])
                for limit in levels.curve.limits
            ]
            cells.append("–" if levels.curve.fit_p is None else f"{levels.curve.fit_p:.2g}")
        yield f"| {levels.target} | {span} | {count} | {' | '.join(cells)} |"
    yield ""
    for note in notes:
        yield note
        yield ""


def percent(share: float) -> str:
    """A share as percent; what the samples do not bound is said so."""
    if share > 1:
        return "over 100 %"
    return f"{100 * share:.3g} %"


def _shares(studies: Sequence[Study]) -> Iterator[str]:
    rows = [row for study in studies for row in measures.shares(study.outcomes)]
    if not rows:
        return
    yield (
        "| share of the signal against share by weight | in the fit | correlation | mean difference | "
        "left by a calibration | spread of the levels | the stated interval holds it |"
    )
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        alike = "–" if row.correlation is None else f"{row.correlation:.2f}"
        left = "–" if row.calibrated_rms is None else f"{100 * row.calibrated_rms:.2f} points"
        yield (
            f"| {row.target} | {row.listed}/{row.n} | {alike} | {100 * row.bias:+.1f} points | {left} | "
            f"{100 * row.spread:.2f} points | {row.covered} |"
        )
    yield ""


def _calibration(outcomes: Sequence[Outcome]) -> Iterator[str]:
    found = measures.calibration(outcomes)
    if found is None:
        yield "No component carries a calibrated probability."
    else:
        text = (
            f"Probabilities: {found.n} components of fits, {found.right} of them there; expected calibration "
            f"error {found.ece:.3f}, Brier score {found.brier:.3f}, "
        )
        if found.cllr is None or found.cllr_min is None:
            text += "no Cllr (all of one kind)."
        else:
            text += f"Cllr {found.cllr:.2f} bits, {found.cllr_min:.2f} with the best calibration."
        yield text
    yield ""


def _repeatability(outcomes: Sequence[Outcome]) -> Iterator[str]:
    found = measures.repeatability(outcomes)
    if found.within.of:
        yield f"Same answer, pairs of one group on one unit: {found.within}."
        yield ""
    # One substance on several units: the pure samples are one group.
    pure = [
        replace(one, sample=replace(one.sample, group="pure")) for one in outcomes
        if one.sample.unit and (one.sample.level is None or one.sample.level == 1)
    ]  # fmt: skip
    between = measures.repeatability(pure).between
    if between.of:
        yield (
            f"Same answer, pairs of pure samples (and the tablet) on two units: {between.hits} of "
            f"{between.of}; they are of one substance, so no interval says how it is with another."
        )
        yield ""


def _positions(collection: Collection) -> Iterator[str]:
    """Where the bands of the substance lie on each unit, against the standard's list."""
    standard = axis_standard("acetaminophen", "raman")
    yield "| unit | spectra with bands enough | axis off by, median | left after shift and stretch, rms |"
    yield "|---|---|---|---|"
    for unit in dict.fromkeys(row.unit for row in collection.rows):
        mine = [row for row in collection.rows if row.unit == unit and "acetaminophen" in row.truth]
        shifts, left = [], []
        for row in mine:
            try:
                found = calibrate_axis(row.scan(), standard, order=1)
            except CalibrationError:
                continue
            shifts.append(-found.shift_cm1)
            left += [peak.after_cm1 for peak in found.peaks if peak.used]
        off = f"{np.median(shifts):+.1f} cm⁻¹" if shifts else "–"
        rest = f"{math.sqrt(np.mean(np.square(left))):.2f} cm⁻¹" if left else "–"
        yield f"| {unit} | {len(shifts)}/{len(mine)} | {off} | {rest} |"
    yield ""
    yield (
        "Positions are those of ASTM E1840, averages of seven laboratories; the spread of the laboratories "
        "was in nothing that could be read."
    )
    yield ""


def _figures(done: Sequence[Done], images: Path) -> list[str]:
    lines = ["## Figures", ""]
    for collection, studies in done:
        if collection.slug == "acetaminophen":
            _acetaminophen_figure(collection, studies[0]).savefig(images / "qa-acetaminophen.png", dpi=110)
            lines += ["![Acetaminophen on four kinds of samples](images/qa-acetaminophen.png)", ""]
    curves = [
        (f"{collection.slug}: {levels.target}", levels)
        for collection, studies in done
        for study in studies
        for levels in measures.detection_limits(study)
        if levels.curve is not None and levels.curve.limits[0].share <= 1
    ]
    if curves:
        _detection_figure(curves).savefig(images / "qa-detection.png", dpi=110)
        lines += ["![How often each target was named, by its share](images/qa-detection.png)", ""]
    cases = [
        (collection.title, found)
        for collection, studies in done
        if (found := measures.calibration(studies[0].outcomes)) is not None and found.n >= 20
    ]
    if cases:
        _calibration_figure(cases).savefig(images / "qa-calibration.png", dpi=110)
        lines += ["![Stated against observed probability of components](images/qa-calibration.png)", ""]
    return lines


def _acetaminophen_figure(collection, study):  # type: ignore[no-untyped-def]
    """Spectra of the units above one another, and what the fit holds of the films by what is in them."""
    figure = new_figure(9.5, 4)
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    films = [(row, one) for row, one in zip(collection.rows, study.outcomes, strict=True) if row.group]
    shares = [{s: share for s, share, *_ in one.shares}.get("acetaminophen", 0.0) for _, one in films]
    pure = [i for i, (row, _) in enumerate(films) if row.levels["acetaminophen"] == 1]
    best, worst = max(pure, key=lambda i: shares[i]), min(pure, key=lambda i: shares[i])
    with open_library(collection.library) as library:
        info = next(one for one in library.references if one.compound_slug == "acetaminophen")
        shown = [("reference, portable unit", library.reference(info.id).spectrum)]
    shown += [(row.unit, row.scan()) for row in collection.rows if not row.group]
    shown += [(f"film, {films[i][0].unit}", films[i][0].scan()) for i in (best, worst)]
    for place, (name, spectrum) in enumerate(shown):
        inside = (spectrum.axis > 300) & (spectrum.axis < 1800)
        x, y = spectrum.axis[inside], spectrum.intensity[inside]
        low, high = np.quantile(y, 0.02), y.max()
        left.plot(x, (y - low) / (high - low) - 1.15 * place, color=MEASURED, linewidth=0.8)
        left.text(1810, -1.15 * place, name, fontsize=7)
    left.set(xlabel="Raman shift / cm⁻¹", yticks=[], xlim=(300, 1800))
    loadings = sorted({row.levels["acetaminophen"] for row, _ in films})
    for plate, color in zip(dict.fromkeys(row.unit for row, _ in films), OTHERS, strict=True):
        mine = [[share > 0 for (row, _), share in zip(films, shares, strict=True)
                 if (row.unit, row.levels["acetaminophen"]) == (plate, x)] for x in loadings]  # fmt: skip
        right.plot(
            [f"{100 * x:.0f}" for x in loadings], [np.mean(m) for m in mine], "o-", color=color, label=plate
        )
    right.set(xlabel="acetaminophen in the film, %", ylabel="films whose fit holds it", ylim=(-0.03, 1.03))
    right.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for axes in (left, right):
        axes.grid(True, color=GRID, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _pictures(number, width, height):  # type: ignore[no-untyped-def]
    """A figure for that many small pictures, three in a row, of that size in inches."""
    wide = min(3, number)
    high = math.ceil(number / wide)
    figure = new_figure(width * wide, height * high)
    for axes in figure.subplots(high, wide, squeeze=False).ravel()[number:]:
        axes.set_axis_off()
    return figure


def _detection_figure(curves):  # type: ignore[no-untyped-def]
    """One small picture of each target with a curve."""
    figure = _pictures(len(curves), 3.4, 2.6)
    for axes, (title, levels) in zip(figure.axes, curves, strict=False):
        at = np.array([x for x in levels.levels if x > 0])
        rates = [rate for x, rate in zip(levels.levels, levels.found, strict=True) if x > 0]
        smooth = np.geomspace(at.min() / 2, at.max() * 2, 200)
        axes.plot(100 * smooth, levels.curve.chance(smooth), color=OTHERS[0], linewidth=1.3)
        for limit, style in zip(levels.curve.limits, ("--", ":"), strict=False):
            axes.axvline(100 * limit.share, color=BASELINE, linestyle=style, linewidth=1)
        for centre, hits, of, low, high_ in _pooled(at, rates):
            axes.errorbar([100 * centre], [hits / of], yerr=[[hits / of - low], [high_ - hits / of]], fmt="o",
                          color=MEASURED, markersize=4, capsize=2)  # fmt: skip
        axes.set(xscale="log", ylim=(-0.04, 1.04), xlabel="share, %", ylabel="named", title=title)
        axes.set_xticks(
            [x for x in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if 40 * at.min() < x < 250 * at.max()]
        )
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.title.set_fontsize(8)
        axes.grid(True, color=GRID, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _pooled(at, rates):  # type: ignore[no-untyped-def]
    """Neighbouring levels together until there are at least five samples, so that points can be read."""
    pools, now = [], []
    for x, rate in zip(at, rates, strict=True):
        now.append((x, rate.hits, rate.of))
        if sum(of for *_, of in now) >= 5 or len(at) <= 12:
            pools.append(now)
            now = []
    if now:
        pools.append(now)
    for pool in pools:
        hits, of = sum(h for _, h, _ in pool), sum(n for *_, n in pool)
        yield float(np.exp(np.mean([np.log(x) for x, *_ in pool]))), hits, of, *clopper_pearson(hits, of)


def _calibration_figure(cases):  # type: ignore[no-untyped-def]
    figure = _pictures(len(cases), 3.2, 3.1)
    for axes, (title, found) in zip(figure.axes, cases, strict=False):
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.4)
        for one in found.bins:
            low, high_ = clopper_pearson(round(one.observed * one.count), one.count)
            off = [[one.observed - low], [high_ - one.observed]]
            axes.errorbar(
                [one.stated], [one.observed], yerr=off, fmt="o", color=MEASURED, markersize=4, capsize=2
            )
        cost = "" if found.cllr is None else f"\nCllr {found.cllr:.2f}, best {found.cllr_min:.2f}"
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.04, 1.04), xlabel="stated", ylabel="there")
        axes.set_title(fill(title, 40) + cost)
        axes.title.set_fontsize(7)
        axes.grid(True, color=GRID, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
