"""Makes the confidence record from development substances and measures it on test substances.

    python benchmarks/identification/calibrate.py --jobs 1 [--scale 1.0]

Analyses scans of known truth (`labelled.py`), fits `libraries/confidence.json` to those of development
substances alone, and prints, for those of test substances, how far the probabilities can be trusted:
calibration error over bins of equal width and of equal count, Brier score, conformal coverage and size of the
sets, names given and withheld, with 95 % intervals over scans. Draws the reliability diagram.

``--keep FILE`` writes every analysis down, ``--answers FILE`` fits and measures from such a file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import labelled
import numpy as np
from _shared import shared_data
from cross_instrument import share, wilson
from matplotlib.figure import Figure
from measures import Measure, markdown, table
from splits import Part
from tqdm import tqdm

from spectralid.identify.confidence import Confidence, ConfidenceRecord, apply, load_record
from spectralid.identify.confidence_fit import Labelled, fit
from spectralid.identify.reliability import (
    Bin,
    brier,
    cluster_interval,
    expected_calibration_error,
    reliability_bins,
)

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "libraries" / "confidence.json"
FIGURE = ROOT / "docs" / "images" / "identification-reliability.png"
# Scans of each part at scale 1.
COUNTS = {"raman": 1500, "infrared": 1000}
# What real scans weigh. Calibrated on simulated ones alone, 5 of 36 names given to real Raman spectra of
# development substances were wrong: the world is not as kind as its simulation.
REAL_SHARE = 0.3
# Bins of fewer cases are left out of the figure.
LEAST_DRAWN = 8
VERSION = "1"
ASSUMPTIONS = (
    "Probabilities hold where a third of what is scanned are single substances of the library, a third "
    "mixtures of two to four, and a third holds something the library lacks.",
    "Real spectra (Raman: other people's instruments; infrared: minerals) weigh 30 % in the calibration, and "
    "about half of them hold something the library lacks.",
)


@dataclass(frozen=True)
class Judged:
    """A test scan with what the record says of it."""

    answer: dict[str, Any]
    example: Labelled
    confidence: Confidence

    @property
    def real(self) -> bool:
        return bool(self.answer["source"] != labelled.SIMULATED)


def collect(
    scale: float, workers: int, parts: Sequence[Part], keep: Path | None = None
) -> list[dict[str, Any]]:
    """Analyse scans of known truth, each written to `keep` as soon as it is there."""
    counts = {technique: round(n * scale) for technique, n in COUNTS.items()}
    with tempfile.TemporaryDirectory() as name, ExitStack() as open_ones:
        folder = Path(name)
        kept = open_ones.enter_context(keep.open("w", encoding="utf-8")) if keep else None
        drawn = labelled.worlds(folder)
        queue = list(labelled.jobs(drawn, shared_data(), folder, parts, counts))
        pool = open_ones.enter_context(
            ProcessPoolExecutor(workers, initializer=labelled.prepare, initargs=(drawn,))
        )
        answers = []
        for answer in tqdm(
            pool.map(labelled.analysed, queue, chunksize=4), total=len(queue), unit="scan", disable=None
        ):
            answers.append(answer)
            if kept:
                kept.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return answers


def weighted(answers: Sequence[dict[str, Any]]) -> list[Labelled]:
    """Examples with real ones worth `REAL_SHARE` of their group, however many were simulated."""
    out = []
    for group in sorted({_group(a) for a in answers}):
        own = [a for a in answers if _group(a) == group]
        real = sum(a["source"] != labelled.SIMULATED for a in own)
        weight = max(1.0, REAL_SHARE / (1 - REAL_SHARE) * (len(own) - real) / max(1, real))
        out += [
            replace(labelled.labelled(a), weight=1.0 if a["source"] == labelled.SIMULATED else weight)
            for a in own
        ]
    return out


def _group(answer: dict[str, Any]) -> tuple[str, str]:
    return answer["technique"], answer["analysis"]["instrument"]


def fitted(answers: Sequence[dict[str, Any]], command: str) -> ConfidenceRecord:
    """The record, from development substances alone."""
    development = [a for a in answers if a["part"] == "development"]
    return fit(
        weighted(development),
        version=VERSION,
        created="2026-11-22",
        made_from={
            "command": command,
            "seeds": [labelled.SEED],
            "split": "benchmarks/identification/splits.py, part development",
            "substances": labelled.development_hashes(),
            "sources": dict(Counter(f"{a['technique']}: {a['source']}" for a in development)),
            "weight of real scans": REAL_SHARE,
            "mix": dict(labelled.MIX) | {"of these with next to no signal": labelled.DIM},
            "assumptions": list(ASSUMPTIONS),
        },
        families=labelled.families(),
    )


def components(judged: Sequence[Judged]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stated probability, probability before calibration, whether right, and number of the scan."""
    rows = [
        (c.probability, plain["probability"], j.example.real(plain) == c.compound_slug, i)
        for i, j in enumerate(judged)
        for c, plain in zip(j.confidence.components, j.answer["analysis"]["components"], strict=True)
        if c.probability is not None
    ]
    stated, before, right, scan = np.array(rows).reshape(-1, 4).T
    return stated, before, right.astype(bool), scan


def scans(judged: Sequence[Judged], event: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stated probability of an event of the whole scan, whether it was so, and number of the scan."""
    rows = []
    for i, j in enumerate(judged):
        stated = getattr(j.confidence, event)
        if stated is not None:
            true = {"nothing": not j.example.true, "unknown": j.example.unknown}[event]
            rows.append((stated, true, i))
    stated, true, scan = np.array(rows).reshape(-1, 3).T
    return stated, true.astype(bool), scan


def judge(answers: Sequence[dict[str, Any]], record: ConfidenceRecord) -> list[Judged]:
    """What a record says of scans of test substances."""
    families = labelled.families()
    return [
        Judged(
            a,
            labelled.labelled(a),
            apply(a["analysis"], record, technique=labelled.TECHNIQUES[a["technique"]], families=families),
        )
        for a in answers
        if a["part"] == "test"
    ]


def groups(judged: Sequence[Judged]) -> Iterator[tuple[str, list[Judged]]]:
    """Test scans by technique, source and instrument model, and of each by number of components found."""
    calibrated = [j for j in judged if j.confidence.calibrated]
    for technique, model, real in sorted({(*_group(j.answer), j.real) for j in calibrated}):
        some = [j for j in calibrated if (*_group(j.answer), j.real) == (technique, model, real)]
        where = f"{technique}, {'real' if real else 'simulated'}, {model}"
        yield where, some
        for size in ("one", "several"):
            own = [j for j in some if (len(j.confidence.components) > 1) == (size == "several")]
            yield f"{where}, {size} found", own


def adaptive(p: np.ndarray, y: np.ndarray) -> float:
    return expected_calibration_error(p, y, adaptive=True)


def mean(x: np.ndarray) -> float:
    return float(x.mean())


def by_chance(p: np.ndarray) -> float:
    """Calibration error that perfect probabilities would show on so many cases, in the mean."""
    rng = np.random.default_rng(0)
    return float(np.mean([expected_calibration_error(p, rng.random(p.size) < p) for _ in range(200)]))


def calibration(judged: Sequence[Judged]) -> list[Measure]:
    """How far probabilities of components, of *nothing* and of *something unknown* can be trusted."""
    found: list[Measure] = []
    for name, some in groups(judged):
        p, before, right, scan = components(some)
        if p.size:
            found += _trust(f"component, {name}", p, right, scan)
            found.append(
                _plain(
                    f"component, {name}", "ECE before calibration", expected_calibration_error(before, right)
                )
            )
            found += _sets(name, some)
        if not name.endswith("found"):
            for event in ("nothing", "unknown"):
                p, true, scan = scans(some, event)
                if p.size:
                    found += _trust(f"{event}, {name}", p, true, scan)
    return found


def _trust(group: str, p: np.ndarray, true: np.ndarray, scan: np.ndarray) -> list[Measure]:
    of = "expected calibration error"
    return [
        _over_scans(group, of, expected_calibration_error, p, true, scan),
        _over_scans(group, f"{of}, bins of equal count", adaptive, p, true, scan),
        _plain(group, "by chance alone", by_chance(p)),
        _over_scans(group, "Brier score", brier, p, true, scan),
    ]


def _sets(name: str, some: Sequence[Judged]) -> list[Measure]:
    """How often the truth is in the conformal set, and how large the sets are."""
    rows = []
    for i, j in enumerate(some):
        for c, plain in zip(j.confidence.components, j.answer["analysis"]["components"], strict=True):
            entries = [s for s in c.conformal_set if s not in c.equivalent]
            alone = entries == [c.compound_slug]
            rows.append((j.example.real(plain) in c.conformal_set, len(entries), alone, i))
    hit, size, alone, scan = np.array(rows, dtype=float).T
    group = f"component, {name}"
    return [
        _over_scans(group, "conformal coverage", mean, hit, scan, unit="%"),
        _over_scans(group, "entries in a set", mean, size, scan),
        _over_scans(group, "sets of one entry", mean, alone, scan, unit="%"),
    ]


def _over_scans(
    group: str, name: str, measure: Callable[..., float], *arrays: np.ndarray, unit: str = ""
) -> Measure:
    """A measure with its interval over scans; the last array numbers the scans."""
    low, high = cluster_interval(measure, arrays[:-1], arrays[-1], draws=300)
    value = measure(*arrays[:-1])
    return Measure("G", group, "spectralid", name, value, low, high, arrays[0].size, unit)


def _plain(group: str, name: str, value: float) -> Measure:
    return Measure("G", group, "spectralid", name, value, math.nan, math.nan, 0, "")


def names(judged: Sequence[Judged]) -> list[dict[str, str]]:
    """Names given, right and wrong, by what was scanned."""
    rows = []
    for key in dict.fromkeys((j.answer["technique"], j.answer["kind"]) for j in judged):
        some = [j for j in judged if (j.answer["technique"], j.answer["kind"]) == key]
        right = wrong = wanted = noticed = 0
        spoilt = 0
        for j in some:
            plain = {c["compound_slug"]: c for c in j.answer["analysis"]["components"]}
            good = [s for s in j.confidence.named if j.example.real(plain[s]) == s]
            right += len(good)
            wrong += len(j.confidence.named) - len(good)
            spoilt += len(good) < len(j.confidence.named)
            wanted += len(j.example.true)
            noticed += (j.confidence.unknown or 0.0) >= 0.5 or bool(j.answer["analysis"]["unexplained"])
        n = len(some)
        rows.append(
            {
                "scanned": f"{key[0]}, {key[1]}",
                "scans": str(n),
                "named of what the library holds": share(right, wanted),
                "of names wrong": share(wrong, right + wrong),
                "scans with a wrong name": share(spoilt, n),
                "something unknown noticed": share(noticed, n),
            }
        )
    return rows


def diagram(judged: Sequence[Judged], technique: str) -> list[tuple[str, list[Bin], str]]:
    """Curves of a reliability diagram with their colours; bins of few cases are left out."""
    some = [j for j in judged if j.answer["technique"] == technique]
    p, before, right, _ = components([j for j in some if not j.real])
    chance, nothing, _ = scans([j for j in some if not j.real], "nothing")
    measured, _, so, _ = components([j for j in some if j.real])
    curves = (
        ("component, as the engine gives it", reliability_bins(before, right, bins=10), "0.6"),
        ("component, calibrated", reliability_bins(p, right, bins=10), "C0"),
        ("nothing in the library, calibrated", reliability_bins(chance, nothing, bins=10), "C1"),
        ("component, calibrated, real spectra", reliability_bins(measured, so, bins=5), "C2"),
    )
    return [
        (label, shown, colour)
        for label, bins, colour in curves
        if (shown := [b for b in bins if b.count >= LEAST_DRAWN])
    ]


def figure(judged: Sequence[Judged]) -> Figure:
    """Reliability diagram: stated probability against what happened, one panel per technique."""
    drawn = Figure(figsize=(9, 4.6), layout="constrained")
    axes = drawn.subplots(1, 2, sharex=True, sharey=True)
    for axis, technique in zip(axes, ("raman", "infrared"), strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
        for label, bins, colour in diagram(judged, technique):
            low, high = np.array([wilson(round(b.observed * b.count), b.count) for b in bins]).T
            observed = np.array([b.observed for b in bins])
            axis.errorbar(
                [b.stated for b in bins],
                observed,
                yerr=np.maximum(0, [observed - low, high - observed]),
                color=colour,
                marker="o",
                markersize=4,
                linewidth=1.2,
                capsize=2,
                label=label,
            )
        axis.set_title("Raman" if technique == "raman" else "Infrared")
        axis.set_xlabel("stated probability")
    axes[0].set_ylabel("share that was so, test substances")
    axes[0].legend(fontsize=8, loc="upper left")
    return drawn


def measured(
    scale: float, workers: int
) -> tuple[list[Measure], dict[str, list[dict[str, str]]], dict[str, Any]]:
    """Track G with the record as it lies there: measures, tables, curves of the reliability diagram."""
    judged = judge(collect(scale, workers, ("test",)), load_record(RECORD))
    curves = {label: [asdict(b) for b in bins] for label, bins, _ in diagram(judged, "raman")}
    return calibration(judged), {"G: names": names(judged)}, {"reliability, raman": curves}


def plain(found: Sequence[Measure]) -> dict[str, dict[str, list[float | None]]]:
    """Measures with their intervals by group and name."""
    out: dict[str, dict[str, list[float | None]]] = {}
    for m in found:
        numbers = [None if math.isnan(v) else round(v, 4) for v in (m.value, m.low, m.high)]
        out.setdefault(m.group, {})[m.name] = numbers
    return out


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the scans")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write every analysis there")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="take the analyses from there")
    parser.add_argument("--record", type=Path, default=RECORD, help="where the record goes")
    parser.add_argument("--figure", type=Path, default=FIGURE, help="where the figure goes")
    arguments = parser.parse_args()
    answers = (
        labelled.load(arguments.answers)
        if arguments.answers
        else collect(arguments.scale, arguments.jobs, ("development", "test"), arguments.keep)
    )
    how = "--answers, analyses kept before" if arguments.answers else f"--scale {arguments.scale:g}"
    record = fitted(answers, f"benchmarks/identification/calibrate.py {how}")
    judged = judge(answers, record)
    found = calibration(judged)
    # How good it was goes with it; the models are the same.
    record = replace(record, made_from={**record.made_from, "measured on test substances": plain(found)})
    record.write(arguments.record)
    print(f"Record {record.sha256[:16]}, fitted to {record.made_from['counts']}\n")
    print(table(found, {}) + "\n\n" + markdown(names(judged)) + "\n")
    for family, numbers in record.families.items():
        print(
            f"{family}: alarm from {numbers['threshold']:.2f}, {numbers['negatives']:.0f} scans without a "
            f"member, false alarms at most {numbers['false_alarm_upper']:.2%}"
        )
    figure(judged).savefig(arguments.figure, dpi=130)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
