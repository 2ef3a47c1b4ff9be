"""What the linkage of seizures is worth, and the model behind it.

::

    python benchmarks/reachback/linkage.py --fit --figures docs/images --real ../shared/data
    python benchmarks/reachback/linkage.py --real ../shared/data

The first simulates, fits, writes the model and draws Tippett and cross-entropy plots; the second asks the
model that is there about measured spectra only.

Weights are fitted on one set of compositions, calibrated and bounded on a second, and measured on a third
whose substances are in neither. Everything is drawn from fixed seeds: the model comes out the same again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from linkage_real import Known, pairs, tablets, textiles  # noqa: E402
from linkage_world import seizures  # noqa: E402

from spectralid.qa.likelihood_ratios import pooled  # noqa: E402
from spectralid.reachback.intelligence import linkage, linkage_fit  # noqa: E402
from spectralid.reachback.intelligence.fingerprint import VERSION, Fingerprint, pool, read_all  # noqa: E402

MODEL = HERE.parents[1] / "spectralid/reachback/linkage.json"
SEED = 20261122
# Compositions of each set. Those of even number and those of odd number have no substance in common.
FIT, CALIBRATE, HELD_OUT = range(0, 56, 2), range(56, 140, 2), range(1, 61, 2)
QUESTIONS = ("mixture", "substances")
# Pairs of seizures that have nothing in common are as many as one likes; so many of them are enough.
UNRELATED_SHARE = 0.02

Ratios = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Item:
    """A simulated seizure with its fingerprint."""

    composition: int
    batch: int
    substances: frozenset[str]
    unit: int
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Pairs:
    """Features of pairs, and what is true of them."""

    x: np.ndarray
    same_batch: np.ndarray
    same_substances: np.ndarray
    same_unit: np.ndarray
    batches: int

    def of(self, question: str, *, same_unit: bool) -> tuple[np.ndarray, np.ndarray]:
        """Features, and whether the first proposition of a question holds, of the pairs it is asked of."""
        of_unit = self.same_unit == same_unit
        if question == "mixture":
            asked = of_unit & self.same_substances
            return self.x[asked], self.same_batch[asked]
        # Whether an unrelated pair was measured on one unit makes no difference to how unrelated it is.
        asked = of_unit | ~self.same_substances
        return self.x[asked], self.same_substances[asked]


def _items(task: tuple[str, int]) -> list[Item]:
    technique, composition = task
    return [
        Item(one.composition, one.batch, one.substances, one.unit, pool(read_all(one.spectra)))
        for one in seizures(technique, range(composition, composition + 1), seed=SEED)
    ]


def simulated(technique: str, compositions: Sequence[int], jobs: int) -> list[Item]:
    """Every seizure of some compositions."""
    tasks = [(technique, number) for number in compositions]
    if jobs < 2:
        return [item for task in tasks for item in _items(task)]
    with ProcessPoolExecutor(jobs) as workers:
        return [item for items in workers.map(_items, tasks) for item in items]


def paired(items: list[Item], usual_spread: float) -> Pairs:
    """All pairs within a composition, and some between compositions."""
    rng = np.random.default_rng(SEED)
    rows: list[tuple[np.ndarray, bool, bool, bool]] = []
    for one, other in itertools.combinations(items, 2):
        related = one.composition == other.composition
        if not related and rng.random() > UNRELATED_SHARE:
            continue
        x = linkage.features(one.fingerprint, other.fingerprint, usual_spread=usual_spread)
        assert x is not None
        same_unit = related and one.unit == other.unit
        rows.append((x, one.batch == other.batch, one.substances == other.substances, same_unit))
    x, batch, substances, unit = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(x, batch, substances, unit, len({item.batch for item in items}))


def fitted(
    jobs: int, told: Callable[[str], None]
) -> tuple[dict[str, Any], dict[tuple[str, str, str], Ratios]]:
    """The model, and the log ratios of the held-out pairs by technique, unit and question."""
    models: dict[str, Any] = {}
    spreads: dict[str, float] = {}
    held: dict[str, Any] = {}
    ratios: dict[tuple[str, str, str], Ratios] = {}
    for technique in ("raman", "infrared"):
        sets = [simulated(technique, numbers, jobs) for numbers in (FIT, CALIBRATE, HELD_OUT)]
        told(f"{technique}: {', '.join(str(len(one)) for one in sets)} seizures")
        known = [s for item in sets[0] if (s := item.fingerprint.spread) is not None]
        spreads[technique] = float(f"{np.median(known):.4g}")
        fit, calibrate, test = (paired(items, spreads[technique]) for items in sets)
        told(f"{technique}: {', '.join(str(len(p.x)) for p in (fit, calibrate, test))} pairs")
        for unit, question in itertools.product(("same", "other"), QUESTIONS):
            same_unit = unit == "same"
            part = linkage_fit.fit(
                *fit.of(question, same_unit=same_unit),
                *calibrate.of(question, same_unit=same_unit),
                signs=linkage.SIGNS,
                independent=calibrate.batches,
            )
            models.setdefault(technique, {}).setdefault(unit, {})[question] = part
            x, truth = test.of(question, same_unit=same_unit)
            value = np.clip(part["offset"] + x @ np.array(part["weights"]), part["low"], part["high"])
            ratios[technique, unit, question] = value[truth], value[~truth]
            measured = linkage_fit.measure(value[truth], value[~truth], independent=test.batches)
            held.setdefault(technique, {}).setdefault(unit, {})[question] = measured.to_dict()
    facts = {
        "schema": "spectralid.linkage/1",
        "fingerprint": VERSION,
        "recipe": "python benchmarks/reachback/linkage.py --fit",
        "seed": SEED,
        "features": list(linkage.FEATURES),
        "compositions": {"fit": len(FIT), "calibrate": len(CALIBRATE), "held_out": len(HELD_OUT)},
        "usual_spread": spreads,
        "models": models,
        "held_out": held,
    }
    return facts, ratios


def real(data: Path) -> Iterator[tuple[str, list[Known]]]:
    """Measured sets that are there."""
    if (data / "dyrby-raman-tablets").is_dir():
        yield "tablets, two each", tablets(data)
        yield "tablets, five each", tablets(data, at_once=5)
    if (data / "textile-mir-blends").is_dir():
        yield "textiles, two spots each", textiles(data)


def ratios_of(known: list[Known]) -> dict[str, Ratios]:
    """log₁₀ ratios where the mixture is the same, and where it is not; the former also by batch."""
    found: dict[str, list[float]] = {"batch": [], "mixture": [], "other": []}
    for one, other in pairs(known):
        compared = linkage.compare(one.fingerprint, other.fingerprint, same_unit=True)
        assert compared is not None
        same = "batch" if one.batch == other.batch else "mixture" if one.mixture == other.mixture else "other"
        found[same].append(compared.mixture)
    batch, mixture, different = (np.array(found[name]) for name in ("batch", "mixture", "other"))
    out = {"one batch": (batch, different)}
    if mixture.size:
        out["another batch of the recipe"] = mixture, different
    return out


def table(title: str, same: np.ndarray, different: np.ndarray, independent: int) -> str:
    """One line of the table."""
    m = linkage_fit.measure(same, different, independent=independent)
    return (
        f"| {title} | {m.same} / {m.different} | {m.cllr:.2f} | {m.cllr_min:.2f} | {m.misleading_same:.1%} | "
        f"{m.misleading_different:.1%} | {m.strongly_misleading:.2%} | "
        f"{same.max():+.1f} | {different.min():+.1f} |"
    )


HEAD = (
    "| pairs | same / different | Cllr | least Cllr | same, ratio < 1 | different, ratio > 1 | "
    "different, ratio ≥ 10 | highest log₁₀ | lowest |\n|---|---|---|---|---|---|---|---|---|"
)


def figures(folder: Path, sets: dict[str, Ratios]) -> None:
    """Tippett and cross-entropy plots of each set, in one figure."""
    from PIL import Image

    from spectralid.plot import save
    from spectralid.plot._style import FIT as ORANGE
    from spectralid.plot._style import GRID, MEASURED, OTHERS, RESIDUAL, new_figure

    figure = new_figure(10, 2.6 * len(sets))
    axes = figure.subplots(len(sets), 2, squeeze=False)
    priors = np.linspace(-3, 3, 121)
    for (title, (same, different)), (left, right) in zip(sets.items(), axes, strict=True):
        for values, color, style, label in (
            (same, OTHERS[0], "-", "same mixture"),
            (different, ORANGE, "--", "other mixture, same substances"),
        ):
            at = np.sort(values)
            share = 1 - np.arange(at.size) / at.size
            left.step(np.r_[-4, at, 4], np.r_[1, share, 0], color=color, linestyle=style, label=label)
        left.axvline(0, color=RESIDUAL, linewidth=0.8)
        left.set(xlim=(-2.5, 2.5), ylim=(0, 1.02), ylabel="share with more", xlabel="log₁₀ likelihood ratio")
        left.set_title(title, loc="left", fontweight="bold", fontsize="medium")
        left.legend(frameon=False, fontsize="small", loc="lower left")
        best = tuple(np.clip(values, -99, 99) for values in pooled(same, different))
        for (a, b), color, style, label in (
            ((np.zeros(1), np.zeros(1)), MEASURED, ":", "without ratios"),
            ((same, different), OTHERS[0], "-", "with ratios"),
            (best, OTHERS[1], "--", "calibrated with the truth"),
        ):
            bits = linkage_fit.cross_entropy(a, b, priors)
            right.plot(priors, bits, color=color, linestyle=style, label=label)
        right.set(xlim=(-3, 3), ylim=(0, 1.05), xlabel="prior log₁₀ odds", ylabel="cross-entropy / bits")
        right.legend(frameon=False, fontsize="small", loc="upper left")
        for one in (left, right):
            one.grid(True, color=GRID, linewidth=0.6)
            one.spines[["top", "right"]].set_visible(False)
    file = folder / "reachback-linkage.png"
    save(figure, file)
    # A palette is enough for lines, and a third of the size.
    with Image.open(file) as drawn:
        drawn.convert("RGB").quantize(64).save(file, optimize=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--fit", action="store_true", help="fit the model anew and write it")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="draw plots there (fits again)")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="measured spectra")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    args = parser.parse_args()
    sets: dict[str, Ratios] = {}
    print(HEAD)
    if args.fit or args.figures:
        start = time.perf_counter()
        facts, ratios = fitted(args.jobs, lambda text: print(text, file=sys.stderr))
        if args.fit:
            MODEL.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        for (technique, unit, question), (same, different) in ratios.items():
            print(table(f"simulated {technique}, {unit} unit, {question}", same, different, len(HELD_OUT)))
            if question == "mixture":
                sets[f"simulated, {technique}, {unit} unit"] = same, different
        print(f"{math.ceil(time.perf_counter() - start)} s", file=sys.stderr)
    if args.real:
        for title, known in real(args.real):
            for what, (same, different) in ratios_of(known).items():
                print(table(f"measured {title}: {what}", same, different, len({k.batch for k in known})))
                if what == "one batch":
                    sets[f"measured {title}"] = same, different
    if args.figures:
        figures(args.figures, sets)


if __name__ == "__main__":
    main()
