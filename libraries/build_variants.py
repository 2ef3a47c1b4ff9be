"""Build ``fentanyl-variants.h5``: computed references of the enumerated fentanyl variants, as far as they go.

``python libraries/build_variants.py`` builds it and writes ``fentanyl-variants.json``; ``spectralid.h5`` has
to be built first. ``--check`` exits with 1 unless every checksum is right and the library is what its sources
give, one computed result in 20 computed again.

Made of: ``variants.csv`` (variants that ``compounds.csv`` does not hold) with ``computed-variants/`` (their
packed results; whatever batches are there are taken), and ``variants_known.csv`` (the others), whose
compounds and computed references are taken over from ``spectralid.h5``, so that both libraries can be merged.
Needs the extra ``recipe``.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# From a checkout the script runs without the package being installed.
sys.path[:0] = [str(HERE), str(HERE.parent)]

import build as bundled  # noqa: E402
import computed_tier  # noqa: E402

from spectralid import LibraryBuilder  # noqa: E402
from spectralid.library import Compound, ReferenceLibrary, Tier, verify_library  # noqa: E402
from spectralid.library.compounds import read_compounds  # noqa: E402

VERSION = "0.1"
LIBRARY = "fentanyl-variants.h5"
MANIFEST = "fentanyl-variants.json"
PACKED = "computed-variants"
SOURCES = (
    "variants.csv",
    "variants_known.csv",
    f"{PACKED}/manifest.json",
    "recipe/correction.json",
    bundled.LIBRARY,
)
SAMPLE = 20


def variants() -> dict[str, Compound]:
    """The variants ``compounds.csv`` does not hold, by InChIKey: some were computed under other names."""
    return {compound.inchikey: compound for compound in read_compounds(HERE / "variants.csv")}


def known() -> list[str]:
    """Slugs of the variants ``compounds.csv`` holds."""
    with (HERE / "variants_known.csv").open(newline="", encoding="utf-8") as stream:
        return [row["slug"] for row in csv.DictReader(stream)]


def listed() -> tuple[list[computed_tier.Computed], list[str]]:
    """Packed results of variants, and those whose structure is not the listed one; none if none is packed."""
    if not (HERE / PACKED).is_dir():
        return [], []
    return computed_tier.listed(HERE, variants(), PACKED, by="inchikey")


def build(path: Path, spectra: bundled.Spectra) -> None:
    """Write the library."""
    main = ReferenceLibrary(HERE / bundled.LIBRARY)
    builder = LibraryBuilder(
        "fentanyl-variants",
        version=VERSION,
        created=bundled.CREATED,
        recipe="libraries/build_variants.py: every one- and two-site combination of substituents of named "
        "fentanyl analogues, and named outliers; molecules computed and corrected by libraries/recipe",
    )
    # All of them, computed or not: the library shows how many of how many it covers.
    taken = set(known())
    for compound in (*variants().values(), *map(main.compound, sorted(taken))):
        builder.add_compound(compound)
    for info in main.references:
        if info.compound_slug in taken and info.tier is Tier.COMPUTED:
            builder.add(
                main.reference(info.id).spectrum,
                info.compound_slug,
                tier=info.tier,
                form=info.form,
                source=info.source,
                licence=info.licence,
                citation=info.citation,
            )
    # No fitness: it was measured among unlike substances, not among relatives that share most of their bands.
    bundled.add_computed(builder, spectra)
    builder.write(path)


def manifest(left_out: list[str]) -> dict[str, Any]:
    """What ``fentanyl-variants.json`` says of the library file and of what it was made from."""
    library = ReferenceLibrary(HERE / LIBRARY)
    covered = {info.compound_slug for info in library.references}
    return {
        "library": LIBRARY,
        "version": library.version,
        "content_sha256": library.sha256,
        "file_sha256": bundled.sha256(HERE / LIBRARY),
        "references": library.n_references,
        "variants": len(library.compounds),
        "variants_with_reference": len(covered),
        "of_these_in_the_bundled_library": len(covered & set(known())),
        "left_out": left_out,
        "sources": {name: bundled.sha256(HERE / name) for name in SOURCES if (HERE / name).is_file()},
    }


def _problems(left_out: list[str], fresh: Path, expected: set[tuple[str, ...]]) -> list[str]:
    built = ReferenceLibrary(HERE / LIBRARY)
    found = list(bundled.differences(built, ReferenceLibrary(fresh), expected))
    if found:
        what = "; ".join(found)
        return [f"{LIBRARY} is not what its sources give ({what}); run: python libraries/build_variants.py"]
    if json.loads((HERE / MANIFEST).read_text(encoding="utf-8")) != manifest(left_out):
        return [f"{MANIFEST} does not describe the files here; run: python libraries/build_variants.py"]
    return []


def _expected(results: list[computed_tier.Computed]) -> set[tuple[str, ...]]:
    taken = set(known())
    shared, _ = computed_tier.listed(HERE, bundled.compounds())
    return bundled.references_of([*results, *(r for r in shared if r.slug in taken)])


def check() -> int:
    """1 with a line for each disagreement, else 0."""
    problems = list(verify_library(HERE / LIBRARY))
    results, left_out = listed()
    if not problems:
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder, LIBRARY)
            build(fresh, bundled.computed_spectra(results[::SAMPLE], PACKED) if results else ())
            problems = _problems(left_out, fresh, _expected(results))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{LIBRARY}: intact, and what its sources give.")
    return 1 if problems else 0


def _summary(facts: Mapping[str, Any]) -> str:
    return (
        f"{LIBRARY}: {facts['references']} references of {facts['variants_with_reference']} of "
        f"{facts['variants']} variants"
    )


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only check that the library is up to date")
    if parser.parse_args().check:
        return check()
    results, left_out = listed()
    build(HERE / LIBRARY, bundled.computed_spectra(results, PACKED) if results else ())
    facts = manifest(left_out)
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    (HERE / MANIFEST).write_text(text, encoding="utf-8")
    print(_summary(facts))
    for line in left_out:
        print(f"left out: {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
