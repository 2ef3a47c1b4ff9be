"""Build the bundled library ``spectralid.h5`` from the tables beside this file.

``python libraries/build.py`` builds it and writes ``MANIFEST.json``; ``--check`` builds it in a scratch
folder and exits with 1 unless file, manifest and rebuilt content agree.

Made of: ``compounds.csv`` (substances) and ``bands/wasatch_entries.csv`` with ``bands/wasatch_bands.csv``
(bands fitted by ``bands/fit_bands.py``). A reference is the sum of its bands over the range that was
measured, its highest point set to 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
# From a checkout the script runs without the package being installed.
sys.path.insert(0, str(HERE.parent))

from spectralid import LibraryBuilder, Spectrum, Technique  # noqa: E402
from spectralid.library import ReferenceLibrary, Tier, verify_library  # noqa: E402
from spectralid.library.bands import Band, read_bands, sum_of_bands  # noqa: E402
from spectralid.library.compounds import read_compounds, read_rows  # noqa: E402
from spectralid.spectrum import Acquisition, ProcessingStep  # noqa: E402

VERSION = "0.1"
CREATED = "2026-11-22"
LIBRARY = "spectralid.h5"
SOURCES = ("compounds.csv", "bands/wasatch_bands.csv", "bands/wasatch_entries.csv")

LICENCE = "MIT, © 2026 Wasatch Photonics"
URL = "https://github.com/WasatchPhotonics/ENLIGHTEN"
COMMIT = "0e98896"
STEP_CM1 = 1.0
# Below this correlation of the derivative spectra the bands do not stand for the measurement.
LOWEST_QUALITY = 0.9

ENTRY_COLUMNS = (
    "entry", "slug", "form", "first_cm1", "last_cm1", "laser_nm", "n_bands", "derivative_correlation",
    "axis_offset_cm1", "axis_offset_sd_cm1",
)  # fmt: skip


def reference_spectrum(row: Mapping[str, str], bands: Sequence[Band]) -> Spectrum:
    """The sum of an entry's bands over the range that was measured."""
    first, last = float(row["first_cm1"]), float(row["last_cm1"])
    axis = np.arange(math.ceil(first / STEP_CM1), math.floor(last / STEP_CM1) + 1) * STEP_CM1
    total = sum_of_bands(axis, bands)
    # Rounded, so that the last bits of another machine's exponential do not make another library.
    intensity = np.round(total / total.max(), 6).astype(np.float32)
    step = ProcessingStep(
        "sum_of_bands",
        {"bands": len(bands), "axis_offset_cm1": float(row["axis_offset_cm1"]), "height": "highest point 1"},
        "1",
    )
    return Spectrum(
        axis,
        intensity,
        technique=Technique.RAMAN,
        acquisition=Acquisition(laser_nm=float(row["laser_nm"])),
        history=[step],
        name=row["entry"],
        source=f"default_matching_library/{row['entry']}.csv",
    )


def build(path: Path) -> list[str]:
    """Write the library; returns a line for each entry that was left out."""
    builder = LibraryBuilder(
        "spectralid",
        version=VERSION,
        created=CREATED,
        recipe="libraries/build.py: sums of the bands in libraries/bands/wasatch_bands.csv",
    )
    compounds = {compound.slug: compound for compound in read_compounds(HERE / "compounds.csv")}
    # All of them, with a reference or not: names, hazards and the structure rule are wanted on a tablet too.
    for compound in compounds.values():
        builder.add_compound(compound)
    bands = read_bands(HERE / "bands/wasatch_bands.csv")
    left_out = []
    rows = read_rows(HERE / "bands/wasatch_entries.csv", required=ENTRY_COLUMNS, optional=())
    for _, row in rows:
        quality = float(row["derivative_correlation"])
        if quality < LOWEST_QUALITY:
            left_out.append(f"{row['entry']}: correlation {quality:.3f}")
            continue
        builder.add(
            reference_spectrum(row, bands[row["entry"]]),
            compounds[row["slug"]],
            tier=Tier.LITERATURE,
            form=row["form"],
            source="bands fitted by spectralid to Wasatch ENLIGHTEN default_matching_library/"
            f"{row['entry']}.csv, commit {COMMIT}",
            licence=LICENCE,
            url=URL,
            citation=f"Wasatch Photonics, ENLIGHTEN, {URL}, commit {COMMIT} (2026)",
            quality=quality,
        )
    builder.write(path)
    return left_out


def content(path: Path) -> dict[str, Any]:
    """Everything in a library's manifest but which version of spectralid wrote it."""
    manifest = ReferenceLibrary(path).manifest
    return {key: value for key, value in manifest.items() if key not in ("generator", "sha256")}


def manifest(left_out: list[str]) -> dict[str, Any]:
    """What ``MANIFEST.json`` says of the library file and of what it was made from."""
    library = ReferenceLibrary(HERE / LIBRARY)
    return {
        "library": LIBRARY,
        "version": library.version,
        "content_sha256": library.sha256,
        "file_sha256": _sha256(HERE / LIBRARY),
        "references": library.n_references,
        "compounds": len(library.compounds),
        "compounds_with_reference": len({info.compound_slug for info in library.references}),
        "left_out": left_out,
        "sources": {name: _sha256(HERE / name) for name in SOURCES},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check() -> int:
    """1 with a line for each disagreement, else 0."""
    problems = list(verify_library(HERE / LIBRARY))
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder, LIBRARY)
        left_out = build(fresh)
        if not problems and content(fresh) != content(HERE / LIBRARY):
            problems.append(f"{LIBRARY} is not what its sources give; run: python libraries/build.py")
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
    left_out = build(HERE / LIBRARY)
    facts = manifest(left_out)
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    (HERE / "MANIFEST.json").write_text(text, encoding="utf-8")
    print(
        f"{LIBRARY}: {facts['references']} references of {facts['compounds_with_reference']} compounds, "
        f"{facts['compounds']} compounds known"
    )
    for line in left_out:
        print(f"left out: {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
