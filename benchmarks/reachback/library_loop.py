"""What the library loop costs: building a release, judging it, and installing it on a tablet.

    python benchmarks/reachback/library_loop.py [--sizes 0 1000 4000] [--judged 20] [--json FILE]

Each row is the bundled library with so many measured references more (random bands, 1,024 points), to which
20 candidates are added. *Build* is merging and comparing, *judge* a held-out spectrum asked of both libraries
(prepared before), *sign* the repository's part (copy, hash, signatures), *install* what a tablet does from a
folder (fetch, every checksum, on the disk), *ask* when there is nothing newer. Times are processor time of
one thread (set OPENBLAS_NUM_THREADS=1), because other work runs on the machine; waiting for the disk is not
in it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from securesystemslib.signer import CryptoSigner

from spectralid import LibraryBuilder, Spectrum
from spectralid.library import Compound, Tier, compare_libraries, merge_libraries, open_library, update
from spectralid.library.update_sources import FolderSource
from spectralid.reachback.releases import regression, repository
from spectralid.reachback.releases.regression import HeldOut, Question

AXIS = 150.0 + 3.0 * np.arange(1024)
CANDIDATES = 20


def spectrum(draw: np.random.Generator) -> Spectrum:
    """Twelve random bands with noise."""
    values = draw.normal(0, 0.002, AXIS.size)
    for _ in range(12):
        place, width, height = draw.uniform(200, 3100), draw.uniform(4, 9), draw.uniform(0.2, 1)
        values += height * np.exp(-0.5 * ((AXIS - place) / width) ** 2)
    return Spectrum(AXIS, 1000 * values, technique="raman", unit="counts")


def written(path: Path, count: int, draw: np.random.Generator, prefix: str) -> Path:
    """A library of so many substances."""
    builder = LibraryBuilder(path.stem, created="2026-11-22")
    for number in range(count):
        known = Compound(f"{prefix}-{number}", f"{prefix.title()} {number}", category="test/one")
        builder.add(spectrum(draw), known, tier=Tier.MEASURED)
    builder.write(path)
    return path


def measured(size: int, judged: int, folder: Path) -> dict[str, float]:
    """One row."""
    draw = np.random.default_rng(size)
    base = folder / "base.h5"
    if size:
        more = open_library(written(folder / "more.h5", size, draw, "more"))
        merge_libraries([open_library(), more], base, name="agency", created="2026-11-22")
    before = open_library(base) if size else open_library()
    candidates = open_library(written(folder / "candidates.h5", CANDIDATES, draw, "new"))
    out: dict[str, float] = {"references": before.n_references + CANDIDATES}

    start = time.process_time()
    merge_libraries([before, candidates], folder / "made.h5", name="agency", created="2026-11-22")
    made = open_library(folder / "made.h5")
    assert len(compare_libraries(before, made).references_added) == CANDIDATES
    out["build_s"] = time.process_time() - start
    out["file_mb"] = (folder / "made.h5").stat().st_size / 1e6

    asked = [
        candidates.reference(info.id) for info in candidates.references[: max(1, judged // 2)] for _ in (0, 1)
    ]
    questions = tuple(
        Question(str(n), one.spectrum, frozenset({one.info.compound_slug}), "") for n, one in enumerate(asked)
    )
    regression.compare(before, made, HeldOut(questions[:1]))
    start = time.process_time()
    both = regression.compare(before, made, HeldOut(questions))
    out["judge_s"] = (time.process_time() - start) / len(questions)
    assert not both.worse

    now = datetime.now(UTC)
    place, key = folder / "repository", CryptoSigner.generate_ed25519()
    online = {"snapshot": CryptoSigner.generate_ed25519(), "timestamp": CryptoSigner.generate_ed25519()}
    roots = [CryptoSigner.generate_ed25519() for _ in range(3)]
    root = repository.create(place, root=roots, targets=[key], **online, now=now)
    said = {
        "schema": update.RELEASE,
        "number": 1,
        "library": {"name": made.name, "version": made.version, "sha256": made.sha256},
        "min_engine": "0.1",
        "made_utc": now.isoformat(),
    }
    start = time.process_time()
    target = repository.Target("library-1.h5", folder / "made.h5", said)
    repository.sign(repository.stage_targets(place, [target], now=now), key)
    repository.publish(place, **online, now=now)
    out["sign_s"] = time.process_time() - start
    out["metadata_bytes"] = sum(path.stat().st_size for path in (place / "metadata").glob("*.json"))

    device, source = folder / "device", FolderSource(place)
    update.trust(device, root, confirmed=update.fingerprint(root))
    for name in ("install_s", "ask_s"):
        start = time.process_time()
        outcome = update.update(device, source).outcome
        out[name] = time.process_time() - start
        assert outcome == {"install_s": "installed", "ask_s": "current"}[name]
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 1000, 4000])
    parser.add_argument("--judged", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    print("| references | MB | build, s | judge, s each | sign, s | install, s | ask, s | metadata, bytes |")
    print("|---|---|---|---|---|---|---|---|")
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            row = measured(size, args.judged, Path(folder))
        rows.append(row)
        shown = (
            f"{row['references']:,}", f"{row['file_mb']:.1f}", f"{row['build_s']:.1f}",
            f"{row['judge_s']:.2f}", f"{row['sign_s']:.2f}", f"{row['install_s']:.2f}", f"{row['ask_s']:.3f}",
            f"{row['metadata_bytes']:,}",
        )  # fmt: skip
        print(f"| {' | '.join(shown)} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
