"""What a published band table of a drug would be worth: real scans searched against tables made from them.

    python benchmarks/band_tables.py [--shared DIR]

No table of a controlled drug could be read so far. Whether one would serve can be told all the same: of each
infrared scan of drugs and cutting agents a table is made as a publication would give it (the most prominent
bands above 650 cm⁻¹, rounded to 1 cm⁻¹) and built as the literature tier builds tables. Half of the
substances are held, beside the infrared references of the bundled library; scans of both halves are asked.

A table and its scan are of one measurement, so what is found is an upper bound. What is said of the half that
is not held is none: a name or a family's alarm there is false unless it is the family of the substance.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "identification"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "libraries"))

import literature_tier
import numpy as np
import real
from scipy.signal import find_peaks, peak_widths

import spectralid
from spectralid import LibraryBuilder, ReferenceLibrary, Spectrum, Technique
from spectralid.identify import Identifier
from spectralid.identify.families import family_of
from spectralid.library import Compound, Tier
from spectralid.library.bands import Band, sum_of_bands
from spectralid.verdict import VerdictKind, decide

LOWEST_CM1 = 650.0
# Of the highest point.
LEAST_PROMINENCE = 0.01
SEED = 1
ASSUMED = literature_tier.ASSUMED_FWHM_CM1["infrared"]


@dataclass(frozen=True)
class Answer:
    """What was said of one scan.

    Attributes
    ----------
    truth : Compound
    held : bool
        Whether the library had a table of it.
    rank : int
        Of the right substance, 0 where it is not among the candidates.
    score : float
        Of the first candidate.
    kind : VerdictKind
    named : tuple of Compound
        What the verdict names, or a family's alarm rests on.
    excluded : bool
        Whether the verdict says of the substance's own family that it was not detected.
    """

    truth: Compound
    held: bool
    rank: int
    score: float
    kind: VerdictKind
    named: tuple[Compound, ...]
    excluded: bool

    @property
    def right(self) -> bool:
        """Whether the substance, or where a family is told the family, is among what is told."""
        if self.kind is VerdictKind.FAMILY:
            return family_of(self.truth) in {family_of(c) for c in self.named}
        return self.truth.slug in {c.slug for c in self.named}


def bands(spectrum: Spectrum, most: int, strengths: str) -> list[Band]:
    """The bands of a scan as a publication would list them.

    Parameters
    ----------
    spectrum : Spectrum
    most : int
        Bands, the most prominent ones.
    strengths : {"none", "classes", "numbers", "numbers and widths"}
        What is told beside the positions; classes are strong, medium, weak by thirds.
    """
    inside = spectrum.axis >= LOWEST_CM1
    x, y = spectrum.axis[inside], spectrum.intensity[inside]
    peaks, facts = find_peaks(y, prominence=LEAST_PROMINENCE * y.max())
    chosen = np.sort(np.argsort(-facts["prominences"])[:most])
    width = peak_widths(y, peaks)[0] * abs(x[1] - x[0])
    found = []
    # Where widths are told, heights are above the neighbouring valleys, as a fit gives them.
    measure = facts["prominences"] if strengths.endswith("widths") else y[peaks]
    heights = measure / measure[chosen].max()
    for i in chosen:
        height = float(heights[i])
        if strengths == "none":
            height = literature_tier.MIDDLING
        elif strengths == "classes":
            height = literature_tier.STRENGTHS["s" if height > 2 / 3 else "m" if height > 1 / 3 else "w"]
        wide = float(np.clip(width[i], 8, 120)) if strengths.endswith("widths") else ASSUMED
        found.append(Band(round(float(x[peaks[i]])), height, wide, literature_tier.ASSUMED_ETA))
    return found


def table(spectrum: Spectrum, most: int, strengths: str) -> Spectrum:
    """The scan's table as a reference."""
    listed = bands(spectrum, most, strengths)
    margin = literature_tier.MARGIN_FWHM * ASSUMED
    first = max(min(b.position for b in listed) - margin, 400)
    last = min(max(b.position for b in listed) + margin, 3980)
    axis = np.arange(np.ceil(first), np.floor(last) + 1)
    total = sum_of_bands(axis, listed)
    return Spectrum(axis, total / total.max(), technique=Technique.FTIR_ATR, unit="absorbance")


def library(path: Path, held: Iterable[real.Entry]) -> ReferenceLibrary:
    """The infrared references of the bundled library, and more of the same tier."""
    builder = LibraryBuilder("tables", version="1", created="2026-11-22", recipe="benchmarks/band_tables.py")
    with spectralid.open_library("spectralid") as bundled:
        for info in bundled.rows(Technique.FTIR):
            spectrum = bundled.reference(info.id).spectrum
            facts = {"source": info.source, "licence": info.licence, "form": info.form}
            builder.add(spectrum, bundled.compound(info.compound_slug), tier=info.tier, **facts)
    for compound, spectrum in held:
        builder.add(spectrum, compound, tier=Tier.LITERATURE, source="table", licence="benchmarks only")
    builder.write(path)
    return ReferenceLibrary(path)


def answers(
    path: Path, entries: list[real.Entry], held: set[str], made: Callable[[Spectrum], Spectrum] | None
) -> Iterator[Answer]:
    """What is said of every scan, where the tables of some substances are held."""
    added = ((c, made(s)) for c, s in entries if c.slug in held) if made else ()
    known = {compound.slug: compound for compound, _ in entries}
    with library(path, added) as references:
        identifier = Identifier(references, families=())
        for compound, spectrum in entries:
            found = identifier.identify(spectrum)
            verdict = decide(found, references)
            ranked = [c.compound_slug for c in found.candidates]
            said = " ".join(verdict.text().split()).lower()
            family = family_of(compound)
            yield Answer(
                compound,
                made is not None and compound.slug in held,
                ranked.index(compound.slug) + 1 if compound.slug in ranked else 0,
                found.candidates[0].score if found.candidates else float("nan"),
                verdict.kind,
                tuple(known.get(s) or references.compound(s) for s in verdict.named),
                bool(family) and f"{family.lower()}: not detected" in said,
            )


def row(name: str, said: list[Answer]) -> str:
    """One row of the table that is printed."""
    held, absent = [a for a in said if a.held], [a for a in said if not a.held]
    cells: list[Any] = [name]
    if held:
        cells += [
            f"{np.mean([a.rank == 1 for a in held]):.0%}",
            f"{np.median([a.score for a in held if a.rank == 1]):.2f}",
        ]
    else:
        cells += ["", ""]
    cells += [told(held, VerdictKind.IDENTIFIED), told(held, VerdictKind.FAMILY)]
    cells += [told(absent, VerdictKind.IDENTIFIED), told(absent, VerdictKind.FAMILY)]
    watched = [a for a in absent if family_of(a.truth)]
    cells.append(f"{sum(a.excluded for a in watched)} of {len(watched)}")
    return f"| {' | '.join(cells)} |"


def told(some: list[Answer], kind: VerdictKind) -> str:
    """How many verdicts of a kind are right, and how many wrong."""
    of_kind = [a for a in some if a.kind is kind]
    right = sum(a.right for a in of_kind)
    return f"{right} / {len(of_kind) - right}"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, help="folder of measured spectra, instead of the usual one")
    data = parser.parse_args().shared or real.shared_data()
    entries = real._enfsi(data)
    order = np.random.default_rng(SEED).permutation(len(entries))
    held = {entries[i][0].slug for i in order[: len(entries) // 2]}
    print(
        f"{len(entries)} scans; {len(held)} substances held, {len(entries) - len(held)} not. Right / wrong.\n"
    )
    print(
        "| table | held: first | score | named | family | not held: named | family "
        "| own family «not detected» |\n|---|---|---|---|---|---|---|---|"
    )
    kinds: dict[str, Callable[[Spectrum], Spectrum] | None] = {"none (the bundled library)": None}
    for most in (6, 10, 25):
        for strengths in ("none", "classes", "numbers"):
            what = "positions" if strengths == "none" else f"{strengths} for strength"
            kinds[f"{most} bands, {what}"] = partial(table, most=most, strengths=strengths)
    kinds["25 bands, numbers and widths"] = partial(table, most=25, strengths="numbers and widths")
    kinds["the scan itself"] = lambda spectrum: spectrum
    details = []
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, made) in enumerate(kinds.items()):
            said = list(answers(Path(folder, f"{i}.h5"), entries, held, made))
            print(row(name, said), flush=True)
            details += [
                f"* {name}: {a.truth.slug} ({'held' if a.held else 'not held'}), {a.kind.value} "
                f"{', '.join(c.slug for c in a.named)}"
                for a in said
                if a.kind in (VerdictKind.IDENTIFIED, VerdictKind.FAMILY, VerdictKind.MIXTURE) and not a.right
            ]
    print("\nWrong ones:\n\n" + "\n".join(details))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
