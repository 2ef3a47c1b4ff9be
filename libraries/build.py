"""Build the bundled library ``spectralid.h5`` from the tables beside this file.

``python libraries/build.py`` builds it and writes ``MANIFEST.json``. ``--check`` exits with 1 unless every
checksum is right, the substances and the literature tier are what their tables give, and the computed tier is
what its packed results give: every entry by what it says of itself, one in 40 by its values, computed again.

Made of: ``compounds.csv`` (substances), ``bands/`` (literature tier, see ``literature_tier.py``),
``computed/`` with ``recipe/correction.json`` (computed tier, see ``computed_tier.py``; whatever batches are
there are taken) and ``fitness.json`` (how well the tiers find substances). Needs the extra ``recipe``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
# From a checkout the script runs without the package being installed.
sys.path.insert(0, str(HERE.parent))

import computed_tier  # noqa: E402
import literature_tier  # noqa: E402

from spectralid import LibraryBuilder, Spectrum  # noqa: E402
from spectralid.library import Compound, Fitness, ReferenceLibrary, Tier, verify_library  # noqa: E402
from spectralid.library.compounds import read_compounds  # noqa: E402

VERSION = "0.2"
CREATED = "2026-11-22"
LIBRARY = "spectralid.h5"
FITNESS = "fitness.json"
SOURCES = ("compounds.csv", *literature_tier.SOURCES, *computed_tier.SOURCES, FITNESS)

# ``--check`` computes one in so many again.
SAMPLE = 40
# Twice what rounding to float16 can do to a value of 1: another BLAS gives other last bits.
TOLERANCE = 1e-3

Spectra = Iterable[tuple[computed_tier.Computed, Spectrum]]


def compounds() -> dict[str, Compound]:
    """The substances by slug."""
    return {compound.slug: compound for compound in read_compounds(HERE / "compounds.csv")}


def fitness() -> list[Fitness]:
    """How well the tiers find substances, as ``fitness.json`` records it."""
    records = json.loads((HERE / FITNESS).read_text(encoding="utf-8"))["records"]
    return [Fitness.from_dict(record) for record in records]


def computed_spectra(
    wanted: list[computed_tier.Computed], packed: str = computed_tier.PACKED
) -> Iterator[tuple[computed_tier.Computed, Spectrum]]:
    """Spectra of both techniques of each of the wanted results."""
    name = computed_tier.correction_name(HERE)
    values = computed_tier.computed(HERE, wanted, packed)
    for result, of_grid in tqdm(values, total=len(wanted), unit="molecule", disable=None):
        for spectrum in result.spectra(name, of_grid):
            yield result, spectrum


def build(path: Path, known: Mapping[str, Compound], spectra: Spectra) -> list[str]:
    """Write the library; returns a line for each entry of the literature tier that was left out."""
    builder = LibraryBuilder(
        "spectralid",
        version=VERSION,
        created=CREATED,
        recipe="libraries/build.py: band tables in libraries/bands; molecules in libraries/computed, "
        "computed and corrected by libraries/recipe",
    )
    # All of them, with a reference or not: names, hazards and the structure rule are wanted on a tablet too.
    for compound in known.values():
        builder.add_compound(compound)
    left_out = []
    for entry in literature_tier.entries(HERE):
        if isinstance(entry, literature_tier.LeftOut):
            left_out.append(f"{entry.name}: {entry.reason}")
        elif entry.slug not in known:
            left_out.append(f"{entry.spectrum.name}: the substance is not in compounds.csv")
        else:
            builder.add(entry.spectrum, known[entry.slug], tier=Tier.LITERATURE, **entry.facts)
    add_computed(builder, spectra)
    for record in fitness():
        builder.add_fitness(record)
    builder.write(path)
    return left_out


def add_computed(builder: LibraryBuilder, spectra: Spectra) -> None:
    """Add computed references in a fixed order, and what they learned from."""
    for result, spectrum in sorted(spectra, key=lambda pair: (pair[0].slug, pair[0].key, pair[1].technique)):
        builder.add(spectrum, result.slug, tier=Tier.COMPUTED, **result.facts)
    builder.add_training_substances(computed_tier.training_substances(HERE))


def references_of(results: Iterable[computed_tier.Computed]) -> set[tuple[str, ...]]:
    """What `differences` expects of computed references: those of both techniques."""
    return {
        (r.slug, r.form, technique, r.facts["source"], r.facts["citation"])
        for r in results
        for technique in ("raman", "ftir")
    }


def manifest(left_out: list[str]) -> dict[str, Any]:
    """What ``MANIFEST.json`` says of the library file and of what it was made from."""
    library = ReferenceLibrary(HERE / LIBRARY)
    counts = Counter(f"{info.tier.value}, {info.technique.value}" for info in library.references)
    return {
        "library": LIBRARY,
        "version": library.version,
        "content_sha256": library.sha256,
        "file_sha256": sha256(HERE / LIBRARY),
        "references": library.n_references,
        "references_by_tier_and_technique": dict(sorted(counts.items())),
        "compounds": len(library.compounds),
        "compounds_with_reference": len({info.compound_slug for info in library.references}),
        "left_out": left_out,
        "not_computed": "computed/excluded.csv",
        "sources": {name: sha256(HERE / name) for name in SOURCES},
    }


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def differences(
    built: ReferenceLibrary, fresh: ReferenceLibrary, expected: set[tuple[str, ...]]
) -> Iterator[str]:
    """What in the built library is not what its sources give.

    Parameters
    ----------
    built : ReferenceLibrary
        The bundled library.
    fresh : ReferenceLibrary
        Built again, with a sample of the computed references.
    expected : set of tuple of str
        Compound, form, technique and source of every computed reference.
    """
    names = {}
    for label, library in (("built", built), ("fresh", fresh)):
        names[label] = [info for info in library.references if info.tier is not Tier.COMPUTED]
    about = [
        {key: library.manifest[key] for key in ("name", "version", "created", "recipe")}
        for library in (built, fresh)
    ]
    if about[0] != about[1] or built.compounds != fresh.compounds:
        yield "name, version or substances"
    if names["built"] != names["fresh"]:
        yield "the literature tier"
    if (built.fitness, built.training_substances) != (fresh.fitness, fresh.training_substances):
        yield "the fitness figures or the training substances"
    here = {_identity(info): info.id for info in built.references if info.tier is Tier.COMPUTED}
    if here.keys() != expected:
        yield "the list of computed references"
    for info in fresh.references:
        if info.tier is Tier.COMPUTED and _identity(info) in here:
            old = built.reference(here[_identity(info)]).spectrum
            new = fresh.reference(info.id).spectrum
            if old.history != new.history or not np.allclose(
                old.intensity, new.intensity, rtol=0, atol=TOLERANCE
            ):
                yield f"the computed reference {here[_identity(info)]}"


def _identity(info: Any) -> tuple[str, ...]:
    return info.compound_slug, info.form, info.technique.value, info.source, info.citation


def check() -> int:
    """1 with a line for each disagreement, else 0."""
    problems = list(verify_library(HERE / LIBRARY))
    known = compounds()
    results, dropped = computed_tier.listed(HERE, known)
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder, LIBRARY)
        left_out = build(fresh, known, computed_spectra(results[::SAMPLE])) + dropped
        if not problems:
            found = list(
                differences(ReferenceLibrary(HERE / LIBRARY), ReferenceLibrary(fresh), references_of(results))
            )
            if found:
                problems.append(
                    f"{LIBRARY} is not what its sources give ({'; '.join(found)}); "
                    "run: python libraries/build.py"
                )
    if not problems and json.loads((HERE / "MANIFEST.json").read_text(encoding="utf-8")) != manifest(
        left_out
    ):
        problems.append("MANIFEST.json does not describe the files here; run: python libraries/build.py")
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{LIBRARY}: intact, and what its sources give.")
    return 1 if problems else 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only check that the library is up to date")
    if parser.parse_args().check:
        return check()
    known = compounds()
    results, dropped = computed_tier.listed(HERE, known)
    left_out = build(HERE / LIBRARY, known, computed_spectra(results)) + dropped
    facts = manifest(left_out)
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    (HERE / "MANIFEST.json").write_text(text, encoding="utf-8")
    print(
        f"{LIBRARY}: {facts['references']} references of {facts['compounds_with_reference']} compounds, "
        f"{facts['compounds']} compounds known"
    )
    for kind, count in facts["references_by_tier_and_technique"].items():
        print(f"  {count:6d}  {kind}")
    for line in left_out:
        print(f"left out: {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
