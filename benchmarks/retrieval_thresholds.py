"""Where the numbers of retrieval and verdict come from: one measured library against itself.

    python benchmarks/retrieval_thresholds.py [--shared DIR] [--rounds 6]

Genuine queries are made from the library's own 80 measured spectra as another instrument would see them:
axis off by a normal error (1 cm⁻¹: in calibration; 3 cm⁻¹: not), bands broadened by up to about twice,
response tilted, white noise, another pitch. The same queries with their compound taken out of the
library are the open set: what is then named is named wrongly. No spectrum of another instrument takes
part.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _shared import shared_data
from _wasatch import wasatch_library

from spectralid import ReferenceLibrary, Spectrum, Technique
from spectralid.identify import Hit, RetrievalIndex
from spectralid.identify.similarity import derivative_cosine, first_derivative

AXIS_ERRORS = (1.0, 3.0)
PITCH = 2.0


@dataclass(frozen=True)
class Outcome:
    """One query: the first hits, one per compound, and whether its own compound is first."""

    substance: str
    hits: tuple[Hit, ...]

    def without_own(self) -> tuple[Hit, ...]:
        """The hits of a library that lacks the compound."""
        return tuple(h for h in self.hits if h.reference.compound_slug != self.substance)

    @property
    def is_first(self) -> bool:
        """Whether the right compound is first."""
        return self.hits[0].reference.compound_slug == self.substance


def seen_elsewhere(spectrum: Spectrum, axis_error: float, snr: float, rng: np.random.Generator) -> Spectrum:
    """The spectrum as another instrument would measure it."""
    x, y = spectrum.axis, spectrum.intensity / spectrum.intensity.max()
    sigma = abs(rng.normal(0, 6.0)) / 2.3548 / float(x[1] - x[0])
    if sigma > 0.1:
        k = np.arange(-int(5 * sigma) - 1, int(5 * sigma) + 2)
        kernel = np.exp(-((k / sigma) ** 2) / 2)
        y = np.convolve(np.pad(y, k.size // 2, mode="edge"), kernel / kernel.sum(), mode="valid")
    y = y * np.exp(rng.normal(0, 0.4) * np.linspace(-1, 1, x.size))
    axis = np.arange(x[0] + rng.uniform(0, PITCH), x[-1], PITCH)
    seen = np.interp(axis - rng.normal(0, axis_error), x, y)
    return Spectrum(axis, seen + rng.normal(0, seen.max() / snr, axis.size), technique=Technique.RAMAN)


def outcomes(
    library: ReferenceLibrary, index: RetrievalIndex, axis_error: float, snr: float, rounds: int
) -> list[Outcome]:
    """Every reference seen elsewhere, `rounds` times."""
    rng = np.random.default_rng(20261122)
    found = []
    for row in list(index.rows) * rounds:
        spectrum = seen_elsewhere(library.reference(row.id).spectrum, axis_error, snr, rng)
        found.append(Outcome(row.compound_slug, index.search_compounds(spectrum, 4).hits))
    return found


def is_named(hits: tuple[Hit, ...], score: float, margin: float, corroboration: float) -> bool:
    """Whether the rules would name the first hit."""
    return (
        hits[0].score >= score
        and hits[0].score - hits[1].score >= margin
        and hits[0].corroboration >= corroboration
    )


def width_table(library: ReferenceLibrary, index: RetrievalIndex) -> None:
    """First places and likeness of unlike substances for several widths of the derivative window."""
    print("\n### Derivative window (axis error 1 and 3 cm⁻¹, signal to noise 30)\n")
    print(
        "| points | width cm⁻¹ | right first, 1 | right first, 3 | unlike pairs: 99th percentile |\n|---"
        + "|---" * 4
        + "|"
    )
    slugs = np.array([row.compound_slug for row in index.rows])
    unlike = slugs[:, None] != slugs[None, :]
    for window in (5, 7, 9, 11, 13, 15, 19):
        references = first_derivative(index.intensities, window)
        pairs = np.array([[derivative_cosine(a, b) for b in references] for a in references])
        cells = []
        for error in AXIS_ERRORS:
            rng = np.random.default_rng(1)
            right = 0
            for row, slug in zip(index.rows, slugs, strict=True):
                spectrum = seen_elsewhere(library.reference(row.id).spectrum, error, 30.0, rng)
                query = first_derivative(index.on_grid(spectrum), window)
                scores = [derivative_cosine(query, reference) for reference in references]
                right += slugs[int(np.argmax(scores))] == slug
            cells.append(f"{right}/{len(slugs)}")
        print(
            f"| {window} | {3 * window} | {cells[0]} | {cells[1]} | {np.percentile(pairs[unlike], 99):.2f} |"
        )


def noise_table(library: ReferenceLibrary, index: RetrievalIndex, rounds: int) -> None:
    """First places against signal to noise."""
    print(
        "\n### Signal to noise\n\n"
        "| signal to noise | right first, axis error 1 | right first, axis error 3 |\n|---|---|---|"
    )
    for snr in (2, 3, 5, 7, 10, 15, 30, 100):
        cells = []
        for error in AXIS_ERRORS:
            found = outcomes(library, index, error, snr, max(1, rounds // 2))
            cells.append(f"{np.mean([o.is_first for o in found]):.1%}")
        print(f"| {snr} | {cells[0]} | {cells[1]} |")


def naming_table(found: dict[float, list[Outcome]]) -> None:
    """Share named, genuine and open set, for combinations of the rules."""
    print("\n### Naming: right names / wrong names when the compound is not in the library\n")
    print("| score ≥ | lead ≥ | others agree ≥ | axis error 1 | axis error 3 |\n|---|---|---|---|---|")
    for corroboration in (-1.0, 0.5, 0.7, 0.8):
        for score in (0.85, 0.90, 0.92, 0.94, 0.95, 0.96):
            for margin in (0.05, 0.10):
                cells = []
                for error in AXIS_ERRORS:
                    rules = (score, margin, corroboration)
                    named = [o.is_first and is_named(o.hits, *rules) for o in found[error]]
                    wrong = [is_named(o.without_own(), *rules) for o in found[error]]
                    cells.append(f"{np.mean(named):.1%} / {np.mean(wrong):.2%}")
                told = f"{corroboration:.1f}" if corroboration > 0 else "not asked"
                print(f"| {score:.2f} | {margin:.2f} | {told} | {cells[0]} | {cells[1]} |")


def no_match_table(found: dict[float, list[Outcome]]) -> None:
    """Where nothing is like it: what is lost and what is kept on either side of the bound."""
    print("\n### No match below: right compound lost / unlisted compound kept as a lead\n")
    print("| bound | axis error 1 | axis error 3 |\n|---|---|---|")
    for bound in (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85):
        cells = []
        for error in AXIS_ERRORS:
            lost = np.mean([o.hits[0].score < bound for o in found[error]])
            kept = np.mean([o.without_own()[0].score >= bound for o in found[error]])
            cells.append(f"{lost:.1%} / {kept:.1%}")
        print(f"| {bound:.2f} | {cells[0]} | {cells[1]} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="folder that holds data/ (default: SPECTRALID_SHARED)")
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    if arguments.shared:
        os.environ["SPECTRALID_SHARED"] = str(arguments.shared)
    with tempfile.TemporaryDirectory() as folder, wasatch_library(shared_data(), Path(folder)) as library:
        index = RetrievalIndex.from_library(library, Technique.RAMAN)
        width_table(library, index)
        noise_table(library, index, arguments.rounds)
        found = {
            error: [
                o for snr in (15, 30, 100) for o in outcomes(library, index, error, snr, arguments.rounds)
            ]
            for error in AXIS_ERRORS
        }
        naming_table(found)
        no_match_table(found)


if __name__ == "__main__":
    main()
