"""The report of a validation study.

Its headings are the performance characteristics that guidance on validation in forensic drug analysis asks
for: purpose and scope, method and reference material, accuracy, selectivity, limit of detection,
precision, robustness, uncertainty. (The text of SWGDRUG's Part IV was not at hand; its headings are commonly
cited so.) What a study of identification does not touch is said to be outside of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from spectralid.qa import measures
from spectralid.qa.document import Block, Document, Heading, Paragraph, Picture, table
from spectralid.qa.planning import samples_needed
from spectralid.qa.robustness import STRESSES, Stressed
from spectralid.qa.study import NOT_READ, Outcome, Study
from spectralid.qa.study_drawing import calibration_figure, levels_figure
from spectralid.qa.tables import Rate, by_condition, confusion, detections, summary

__all__ = ["stressed_facts", "study_document", "study_facts"]

_NAMES: Final[Mapping[str, str]] = {
    "read": "a verdict was given",
    "answered": "the verdict names substances",
    "complete": "all that the library has of the sample is named, and nothing else",
    "some": "at least one substance is rightly named",
    "false": "something is named that is not there",
    "false_unknown": "the same, of samples of which the library has nothing",
    "alarm_found": "the loudest alarm, where something dangerous is there",
    "alarm_false": "the loudest alarm, where nothing dangerous is there",
    "silent": "less care asked for than for the unknown, where something dangerous is there",
    "escalated": "sent to reachback",
    "listed": "the fit holds all that the library has of the sample, named or not",
    "listed_false": "the fit holds something that is not there, named or not",
}
_MOST_ROWS: Final = 400


def study_document(
    study: Study,
    *,
    title: str = "Validation study",
    other: Study | None = None,
    stressed: Sequence[Stressed] = (),
) -> Document:
    """The report.

    Parameters
    ----------
    study : Study
        What it reports.
    title : str
        Of the report.
    other : Study, optional
        Another method on the same manifest, to compare with.
    stressed : sequence of Stressed
        The same samples made worse (`spectralid.qa.robustness`).

    Returns
    -------
    Document
        To be written as HTML or PDF.

    Raises
    ------
    ParameterError
        If `other` is of another manifest.
    """
    return Document(title, tuple(_blocks(study, other, stressed)))


def study_facts(study: Study) -> dict[str, object]:
    """The figures as plain data, for scripts.

    Parameters
    ----------
    study : Study
        What to tell.

    Returns
    -------
    dict
        JSON-ready.
    """
    found = measures.calibration(study.outcomes)
    repeat = measures.repeatability(study.outcomes)
    return {
        "manifest": {"file": study.manifest.file, "sha256": study.manifest.sha256},
        "library": {"name": study.library, "version": study.library_version, "sha256": study.library_sha256},
        "policy": study.policy,
        "software": study.software,
        "samples": len(study.outcomes),
        "rates": {name: _rate(rate) for name, rate in summary(study.outcomes).items()},
        "compounds": {
            row.slug: {"found": _rate(row.found), "false": _rate(row.false)}
            for row in detections(study.outcomes)
        },
        "confusion": [
            {"there": there, "said": said, "n": n} for (there, said), n in confusion(study.outcomes).items()
        ],
        "detection_limits": [_limits(levels) for levels in measures.detection_limits(study)],
        "calibration": None
        if found is None
        else {
            "n": found.n, "right": found.right, "ece": found.ece, "brier": found.brier,
            "cllr": _finite(found.cllr), "cllr_min": found.cllr_min,
        },
        "shares": [
            {"target": one.target, "n": one.n, "listed": one.listed, "low": one.low, "high": one.high,
             "bias": one.bias, "rms": one.rms, "correlation": one.correlation,
             "spread": one.spread, "calibrated_rms": one.calibrated_rms, "covered": _rate(one.covered)}
            for one in measures.shares(study.outcomes)
        ],
        "repeatability": {
            "groups": repeat.groups, "within": _rate(repeat.within), "between": _rate(repeat.between),
        },
        "leaks": [
            {"line": one.sample.line, "file": one.sample.file.name, "reference": one.leak}
            for one in study.outcomes
            if one.leak
        ],
        "not_read": [
            {"line": one.sample.line, "file": one.sample.file.name, "why": one.error}
            for one in study.outcomes
            if one.kind == NOT_READ
        ],
    }  # fmt: skip


def stressed_facts(one: Stressed) -> dict[str, object]:
    """What became of the samples under a stress, as plain data.

    Parameters
    ----------
    one : Stressed
        A stress and its rates.

    Returns
    -------
    dict
        JSON-ready.
    """
    rates = {name: _rate(rate) for name, rate in one.rates.items()}
    return {"stress": one.stress.name, "level": one.stress.level, "rates": rates}


def _rate(rate: Rate) -> dict[str, float | int | None]:
    plain = {"hits": rate.hits, "of": rate.of, "value": rate.value, "low": rate.low, "high": rate.high}
    if rate.grouped is None:
        return plain
    by = rate.grouped
    return plain | {"groups": by.groups, "group_low": by.low, "group_high": by.high}


def _finite(value: float | None) -> float | None:
    """What JSON can hold: of the infinite it has no number."""
    return value if value is not None and math.isfinite(value) else None


def _limits(levels: measures.Levels) -> dict[str, object]:
    curve = levels.curve
    finite = curve.limits if curve else ()
    return {
        "target": levels.target,
        "levels": [
            {"share": level, **_rate(rate)} for level, rate in zip(levels.levels, levels.found, strict=True)
        ],
        "limits": [
            {"probability": limit.probability, "share": limit.share, "low": limit.low,
             "high": _finite(limit.high)}
            for limit in finite
        ],
        "bounds": [
            {"probability": bound.probability, "low": bound.low, "high": _finite(bound.high)}
            for bound in levels.bounds
        ],
        "fit_p": curve.fit_p if curve else None,
        "why_not": levels.why_not,
    }  # fmt: skip


def _blocks(study: Study, other: Study | None, stressed: Sequence[Stressed]) -> Iterator[Block]:
    yield from _purpose(study)
    yield from _accuracy(study)
    yield from _selectivity(study)
    yield from _detection(study)
    yield from _precision(study)
    yield from _robustness(study, stressed)
    yield from _uncertainty(study)
    if other is not None:
        yield from _comparison(study, other)
    yield from _outside()
    yield from _samples(study.outcomes)


def _purpose(study: Study) -> Iterator[Block]:
    yield Heading("Purpose and scope")
    yield Paragraph(
        "How well the method below names what is in samples whose composition is known. Its results "
        "are presumptive; this report says how often they are right on these samples, and claims nothing for "
        "samples unlike them."
    )
    yield Heading("Method and reference material")
    units = sorted({outcome.sample.unit for outcome in study.outcomes if outcome.sample.unit})
    yield table(
        ("What", "Which"),
        (
            ("Software", study.software),
            ("Library", f"{study.library} {study.library_version}"),
            ("Library (SHA-256)", study.library_sha256),
            ("Policy", study.policy),
            ("Manifest", study.manifest.file),
            ("Manifest (SHA-256)", study.manifest.sha256),
            ("Samples", str(len(study.outcomes))),
            ("Instruments", ", ".join(units) or "not stated"),
        ),
        "The same manifest with the same library, policy and software gives the same report.",
    )
    yield from _leaks(study.outcomes)


def _leaks(outcomes: Sequence[Outcome]) -> Iterator[Block]:
    leaked = [one for one in outcomes if one.leak]
    if not leaked:
        yield Paragraph("No sample is, by its noise, a scan that is in the library.")
        return
    yield table(
        ("Line", "File", "Reference"),
        [(one.sample.line, one.sample.file.name, one.leak) for one in leaked[:_MOST_ROWS]],
        f"{len(leaked)} of {len(outcomes)} samples are scans that are in the library: the same noise. They "
        "are counted below and say nothing about the method: take them out of the manifest or the library.",
    )


def _accuracy(study: Study) -> Iterator[Block]:
    rates = summary(study.outcomes)
    yield Heading("Accuracy")
    yield table(
        ("Event", "Share, 95 % interval (count)"),
        [(_NAMES[name], rate) for name, rate in rates.items()],
        "Intervals of Clopper and Pearson, as if samples were independent.",
    )
    if any(rate.grouped for rate in rates.values()):
        yield Paragraph(
            "Samples of one group (a specimen, a batch, a solution) mostly stand or fall together: the first "
            "interval is too narrow. The second counts them by group (Korn and Graubard): quote that one."
        )
    else:
        yield Paragraph(
            "The manifest puts no two samples into one group. If some are replicates of one specimen, say so "
            "in its column group; without that the intervals are too narrow."
        )
    complete = rates["complete"]
    if complete.at_least is not None:
        yield Paragraph(
            f"With 95 % confidence (one-sided) the method names samples like these completely in at least "
            f"{100 * complete.at_least:.1f} % of cases. To show 95 % takes {samples_needed(0.95)} samples "
            f"without a failure, to show 99 % {samples_needed(0.99)}."
        )
    yield table(
        ("Compound", "Found where it is", "Named where it is not"),
        [(row.slug, row.found, row.false) for row in detections(study.outcomes)],
        "By compound: true and false positives",
    )


def _selectivity(study: Study) -> Iterator[Block]:
    yield Heading("Selectivity")
    wrong = [(there, said, n) for (there, said), n in confusion(study.outcomes).items() if there != said]
    if wrong:
        yield table(
            ("What is there", "What was said", "Samples"),
            wrong[:_MOST_ROWS],
            "Every answer that is not the truth",
        )
    else:
        yield Paragraph("Every answer was the truth.")


def _detection(study: Study) -> Iterator[Block]:
    every = measures.detection_limits(study)
    if not every:
        return
    yield Heading("Limit of detection")
    for levels in every:
        yield Heading(levels.target, 2)
        yield table(
            ("Share", "Found"),
            [(f"{level:g}", rate) for level, rate in zip(levels.levels, levels.found, strict=True)],
        )
        if levels.curve is None:
            yield Paragraph(" ".join(("No limit can be told.", levels.why_not, *bounds_said(levels))))
            continue
        for limit in levels.curve.limits:
            yield Paragraph(
                f"LOD{100 * limit.probability:.0f}: {limit.share:.3g}, 95 % interval {limit.low:.3g} to "
                f"{limit.high:.3g} (probit, profile likelihood)."
            )
        if levels.curve.fit_p is not None and levels.curve.fit_p < 0.05:
            yield Paragraph(
                f"The counts do not follow the curve (p = {levels.curve.fit_p:.2g}): the intervals are too "
                "narrow."
            )
        yield Picture(levels_figure(levels), f"How often {levels.target} was found at each share")


def bounds_said(levels: measures.Levels, share: Callable[[float], str] = "{:.3g}".format) -> Iterator[str]:
    """What is known of the limits where all were found, or none, in sentences; `share` writes a share."""
    for bound in levels.bounds:
        name = f"LOD{100 * bound.probability:.0f}"
        if math.isfinite(bound.high):
            yield f"With 95 % confidence {name} is not above {share(bound.high)}."
        elif bound.low:
            yield f"With 95 % confidence {name} is not below {share(bound.low)}."
        else:
            yield (
                f"The samples do not bound {name}: that takes {bound.needed} independent ones of the same "
                "answer at or beyond a share."
            )


def _precision(study: Study) -> Iterator[Block]:
    found = measures.repeatability(study.outcomes)
    yield Heading("Precision")
    if not found.groups:
        yield Paragraph("The manifest states no groups of specimens; repeatability was not studied.")
        return
    yield table(
        ("Pairs of specimens of one group", "The same answer"),
        (("measured with one unit (repeatability)", found.within),
         ("measured with two units (reproducibility)", found.between)),
        f"{found.groups} groups",
    )  # fmt: skip


def _robustness(study: Study, stressed: Sequence[Stressed]) -> Iterator[Block]:
    several = measures.conditions(study.outcomes)
    yield Heading("Robustness")
    if stressed:
        yield table(
            ("Done to every sample", "Level", "Named completely", "Something named in vain"),
            [
                (
                    STRESSES[one.stress.name],
                    f"{one.stress.level:g}",
                    one.rates["complete"],
                    one.rates["false"],
                )
                for one in stressed
            ],
            "The same samples made worse by simulation",
        )
    if not several:
        yield Paragraph("All samples were measured under one condition; no other was studied.")
    for name in several:
        rows = [
            (value, rates["complete"], rates["false"])
            for value, rates in by_condition(study.outcomes, name).items()
        ]
        yield table((name, "Named completely", "Something named in vain"), rows, f"By {name}")


def _uncertainty(study: Study) -> Iterator[Block]:
    found = measures.calibration(study.outcomes)
    yield Heading("Uncertainty")
    if found is None:
        yield Paragraph("The method states no calibrated probabilities for these samples.")
        return
    yield Paragraph(
        f"{found.n} components carry a probability; {found.right} of them are there. Expected calibration "
        f"error {found.ece:.3f}, Brier score {found.brier:.3f}."
    )
    if found.cllr is None or found.cllr_min is None:
        yield Paragraph(
            f"{'All' if found.right else 'None'} of them are there: whether the probabilities tell what is "
            "there from what is not does not show, and there is no Cllr."
        )
    else:
        yield Paragraph(
            f"Cllr {found.cllr:.3f} bits (0: always right, 1: says nothing); {found.cllr_min:.3f} with the "
            f"best calibration, so that {found.cllr - found.cllr_min:.3f} is what miscalibration costs."
        )
    yield Picture(calibration_figure(found), "Stated against observed probability of components")
    rows = [
        (one.target, f"{100 * one.low:.3g} to {100 * one.high:.3g} %", f"{one.listed}/{one.n}",
         f"{100 * one.bias:+.2g}", f"{100 * one.rms:.2g}", f"{100 * one.spread:.2g}",
         "–" if one.calibrated_rms is None else f"{100 * one.calibrated_rms:.2g}", one.covered)
        for one in measures.shares(study.outcomes)
    ]  # fmt: skip
    if rows:
        yield table(
            ("Target", "Levels", "In the fit", "Mean difference, points", "Root mean square, points",
             "Spread of the levels",
             "The same, calibrated on the other groups", "Interval holds the level"),
            rows,
            "Shares of the signal against levels, for levels that are shares. A share of the signal is no "
            "share by weight.",
        )  # fmt: skip


def _comparison(study: Study, other: Study) -> Iterator[Block]:
    found = measures.compare(study, other)
    yield Heading("Comparison of methods")
    yield table(
        ("Named completely by", "Samples"),
        (("both", found.both), (f"only {study.library} {study.library_version}", found.first),
         (f"only {other.library} {other.library_version}", found.second), ("neither", found.neither)),
    )  # fmt: skip
    yield Paragraph(
        f"The second names {100 * found.difference:+.1f} % of the samples more (95 % interval "
        f"{100 * found.low:+.1f} to {100 * found.high:+.1f} %); exact McNemar test p = {found.p:.3g}."
    )


def _outside() -> Iterator[Block]:
    yield Heading("Outside of this study")
    yield Paragraph(
        "Recovery, limit of quantitation and linearity: the method identifies and does not quantify. "
        "Sampling of the seizure, and confirmation by another technique: the laboratory's own plans."
    )


def _samples(outcomes: Sequence[Outcome]) -> Iterator[Block]:
    yield Heading("Samples")
    rows = []
    for outcome in outcomes[:_MOST_ROWS]:
        there = " + ".join((*outcome.held, *(f"{name} (not in the library)" for name in outcome.not_held)))
        said = " + ".join(outcome.answer) if outcome.names_something else f"({outcome.kind})"
        file = f"{outcome.sample.file.name}[{outcome.sample.record}]"
        rows.append((outcome.sample.line, file, there or "nothing", said, outcome.error))
    yield table(("Line", "File", "What is there", "What was said", "Why not"), rows)
    if len(outcomes) > _MOST_ROWS:
        yield Paragraph(f"{len(outcomes) - _MOST_ROWS} further samples are in the JSON of this study.")
