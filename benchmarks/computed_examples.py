"""Pictures for docs/reference-tiers.md: computed spectra beside measured ones, the good and the bad.

    python benchmarks/computed_examples.py [--shared DIR]

Nobody picks the examples. Of all measured spectra whose substance has a computed reference, and whose terms
allow a picture of them, those with the best, the median and the worst score are drawn, each with the
correction that was trained without its substance. The rank is that among all committed computed references.
Writes docs/images/computed_raman.png and computed_infrared.png, and prints what is on them.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _shared import shared_data

HERE = Path(__file__).resolve().parent
LIBRARIES = HERE.parent / "libraries"
IMAGES = HERE.parent / "docs" / "images"
sys.path[:0] = [str(LIBRARIES / "recipe"), str(LIBRARIES / "bands")]

import correction  # noqa: E402
import fit_collections  # noqa: E402
import fitness  # noqa: E402

from spectralid import Spectrum  # noqa: E402
from spectralid.identify import leads  # noqa: E402
from spectralid.plot import _style, save  # noqa: E402

#: MIT, by those who measured. Pictures of the others are not ours to give away.
FREE = ("wasatch-enlighten/", "arcadia-5-spectrometers/")
#: Infrared spectra under MIT that are not among the queries: sample of PlotFTIR, InChIKey.
NRCAN = (("toluene", "YXFVVABEGXRONW-UHFFFAOYSA-N"), ("isopropanol", "KFZMGEQAYNKOFK-UHFFFAOYSA-N"))


@dataclass(frozen=True)
class Example:
    """One measured spectrum beside the computed one it was compared with."""

    name: str
    place: str
    rank: int
    candidates: int
    score: float
    measured: np.ndarray
    computed: np.ndarray


def infrared_queries(data: Path) -> list[fitness.Query]:
    """The two liquids of Natural Resources Canada."""
    queries = []
    for sample, inchikey in NRCAN:
        points = fit_collections.read_nrcan(data, sample)
        spectrum = Spectrum(points.x, points.y, technique="ftir_atr", unit="absorbance")
        queries.append(
            fitness.Query(sample, inchikey, "infrared", "liquid", "neutral", leads.comparable(spectrum))
        )
    return queries


def examples(
    queries: list[fitness.Query],
    candidates: fitness.Candidates,
    folds: tuple[correction.Correction, ...],
    names: dict[str, str],
) -> list[Example]:
    """Best, median and worst of the queries; all of them if there are fewer than three."""
    technique = queries[0].technique
    scores = fitness.cross_validated_scores(candidates, queries, technique, folds)
    rank, own = fitness.ranks(scores, candidates, queries)
    order = np.argsort(-own, kind="stable")
    places = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    if len(order) == 2:
        places = {"better": 0, "other": 1}
    found = []
    for place, position in places.items():
        query = queries[order[position]]
        forms = candidates.of(query.skeleton)
        best = forms[int(np.argmax(scores[order[position], forms]))]
        learned = folds[fitness.fold(query.inchikey)]
        lines = correction.corrected_lines(candidates.molecules[best], learned)
        found.append(
            Example(
                names[query.skeleton],
                place,
                int(rank[order[position]]),
                len(set(candidates.skeletons)),
                float(own[order[position]]),
                query.values,
                correction.corrected_spectrum(lines, learned, technique, fitness.GRIDS[technique]),
            )
        )
    return found


def draw(shown: list[Example], technique: str, count: int) -> None:
    """One panel per example: measured upwards, computed downwards."""
    grid = fitness.GRIDS[technique]
    low, high = (200.0, 2300.0) if technique == "raman" else (650.0, 3980.0)
    figure = _style.new_figure(8.0, 2.3 * len(shown))
    inside = (grid >= low) & (grid <= high)
    for row, example in enumerate(shown):
        axes = figure.add_subplot(len(shown), 1, row + 1)
        for values, sign, colour, label in (
            (example.measured, 1, _style.MEASURED, "measured"),
            (example.computed, -1, _style.FIT, "computed"),
        ):
            top = np.nanmax(values[inside])
            _style.line(axes, grid[inside], sign * values[inside] / top, colour, label)
        axes.axhline(0, color=_style.RESIDUAL, linewidth=0.6)
        axes.set_title(
            f"{example.name}: {example.place} of {count} spectra – score {example.score:.2f}, "
            f"rank {example.rank} of {example.candidates}",
            fontsize=10,
            loc="left",
        )
        _style.dress(axes, low, high, infrared=technique == "infrared")
        axes.set_ylim(-1.08, 1.08)
        axes.set_yticks([])
        if row == 0:
            axes.legend(loc="upper center" if technique == "infrared" else "upper left", fontsize=9)
    across = "Raman shift / cm⁻¹" if technique == "raman" else "wavenumber / cm⁻¹"
    figure.axes[-1].set_xlabel(across)
    save(figure, IMAGES / f"computed_{technique}.png")


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, help="folder of measured spectra, instead of the usual one")
    data = parser.parse_args().shared or shared_data()
    candidates = fitness.Candidates.read([LIBRARIES / "computed"])
    _, folds = correction.load(fitness.CORRECTION)
    with (LIBRARIES / "compounds.csv").open(newline="", encoding="utf-8") as stream:
        names = {fitness.skeleton(row["inchikey"]): row["name"] for row in csv.DictReader(stream)}
    queries = [
        query
        for query in fitness.load_queries(data, skeletons=candidates.skeletons)
        if query.file.startswith(FREE) and query.technique == "raman"
    ]
    for chosen in (queries, infrared_queries(data)):
        shown = examples(chosen, candidates, folds, names)
        draw(shown, chosen[0].technique, len(chosen))
        for example in shown:
            print(
                f"{chosen[0].technique}, {example.place} of {len(chosen)}: {example.name}, score "
                f"{example.score:.2f}, rank {example.rank} of {example.candidates}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
