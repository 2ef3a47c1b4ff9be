"""Whether the smallest detectable share that every result prints is true.

    python benchmarks/identification/limits.py --part development --pairs 40

A member of a watched family, held by the library, is put beside another substance in multiples of the share
that a scan of that other substance alone, on the same unit, with the same light, says it could have shown.
Printed is how often it was found then: as a component, or by the alarm of its family. A limit is true if nine
in ten are found at it. What makes it so was derived and checked on development substances
(`spectralid.identify.limits`), and is measured on test substances.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import generator
import labelled
import numpy as np
import power
from measures import wilson
from splits import Part, part
from tqdm import tqdm

from spectralid import open_library
from spectralid.identify import Identification, Identifier
from spectralid.identify.families import FAMILIES, family_of

MULTIPLES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
MOST = 0.5


@dataclass(frozen=True)
class Trial:
    """One scan with a member of a family in it."""

    pair: int
    characterised: bool
    family: str
    limit: float
    multiple: float
    found: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("development", "test"), default="test")
    parser.add_argument("--pairs", type=int, default=40, help="members beside another substance (40)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = labelled.worlds(Path(folder))["raman"]
        with open_library(world.path) as library:
            engines = {
                name: Identifier(library, instruments=labelled.instruments() if name else ())
                for name in (True, False)
            }
            trials = [
                trial
                for pair in tqdm(range(args.pairs))
                for trial in of_pair(world, args.part, pair, engines, library)
            ]
    print(f"{args.part} substances, {args.pairs} pairs, Raman\n")
    print(
        "| instrument | " + " | ".join(f"{m:g} × the limit" for m in MULTIPLES) + " | nine in ten found at |"
    )
    print("|---|" + "---|" * (len(MULTIPLES) + 1))
    for characterised, name in ((True, "characterised"), (False, "any")):
        some = [t for t in trials if t.characterised is characterised]
        cells = []
        for multiple in MULTIPLES:
            hits = [t.found for t in some if t.multiple == multiple]
            low, high = wilson(sum(hits), len(hits))
            cells.append(f"{sum(hits)}/{len(hits)} ({100 * low:.0f}–{100 * high:.0f} %)" if hits else "–")
        at = power.limit(np.array([t.multiple for t in some]), np.array([t.found for t in some]))
        print(f"| {name} | " + " | ".join(cells) + f" | {at:.2g} × |")
    printed = sorted(t.limit for t in trials if t.multiple == 1.0)
    print(f"\nlimits printed: median {np.median(printed):.1%}, a tenth below {np.quantile(printed, 0.1):.1%}")


def of_pair(
    world: labelled.World, which: Part, pair: int, engines: dict[bool, Identifier], library: object
) -> list[Trial]:
    """Scans of one member beside one other substance, all on the same unit."""
    rng = np.random.default_rng([20261122, pair, which == "test"])
    watched = set(FAMILIES) - {"sugar or polyol"}
    inside = [s for s in world.inside if part(s.slug) == which]
    kin = {s.slug: family_of(library.compound(s.slug)) for s in inside}
    members = [s for s in inside if kin[s.slug] in watched]
    others = [s for s in inside if not kin[s.slug]]
    member = members[int(rng.integers(len(members)))]
    other = others[int(rng.integers(len(others)))]
    family = kin[member.slug]
    scanner = generator.unit(rng)
    how = {
        "peak_counts": float(np.exp(rng.uniform(*np.log((3e3, 1e5))))),
        "fluorescence": float(np.exp(rng.uniform(*np.log((0.05, 3.0))))),
    }
    trials = []
    for characterised, engine in engines.items():
        alone = engine.identify(generator.scan([(other, 1.0)], scanner, rng, name="alone", **how))
        if alone.analysis is None or found(alone, family, library):
            continue
        limit = alone.analysis.smallest_shares.get(family, 1.0)
        for multiple in MULTIPLES:
            if (share := limit * multiple) > MOST:
                continue
            spectrum = generator.scan(
                [(other, 1 - share), (member, share)], scanner, rng, name=f"{multiple:g} x", **how
            )
            trials.append(
                Trial(
                    pair,
                    characterised,
                    family,
                    limit,
                    multiple,
                    found(engine.identify(spectrum), family, library),
                )
            )
    return trials


def found(result: Identification, family: str, library: object) -> bool:
    """Whether the result speaks of the family at all: a component of it, or its alarm."""
    named = {family_of(library.compound(c.compound_slug)) for c in result.analysis.components}
    sure = result.confidence
    return family in named or bool(sure and family in sure.alarms)


if __name__ == "__main__":
    main()
