"""What is committed in ``libraries/computed``: every file as its manifest says, and lines that can be."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np

COMPUTED = Path(__file__).resolve().parents[2] / "libraries" / "computed"
COMPOUNDS = COMPUTED.parent / "compounds.csv"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_files_are_what_the_manifest_says():
    manifest = json.loads((COMPUTED / "manifest.json").read_text(encoding="utf-8"))
    stated = dict(manifest["tables"])
    for batch in manifest["batches"]:
        stated |= {name: file["sha256"] for name, file in batch["files"].items()}
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in COMPUTED.iterdir()
        if file.name != "manifest.json"
    }
    assert found == stated
    assert sum(batch["entries"] for batch in manifest["batches"]) == len(rows(COMPUTED / "entries.csv"))


def test_every_entry_is_a_compound_of_ours_with_lines_that_can_be():
    structures = {row["inchikey"]: row["smiles"] for row in rows(COMPOUNDS)}
    entries = {row["key"]: row for row in rows(COMPUTED / "entries.csv")}
    seen = set()
    for file in sorted(COMPUTED.glob("sticks-*.npz")):
        with np.load(file, allow_pickle=False) as sticks:
            ends = np.cumsum(sticks["lines"])
            for key, end, count in zip(sticks["key"], ends, sticks["lines"], strict=True):
                entry, part = entries[str(key)], slice(end - count, end)
                atoms = int(entry["atoms"])
                assert structures[entry["inchikey"]], key
                # 3n − 6 vibrations, one more for a straight molecule.
                assert count in (3 * atoms - 6, 3 * atoms - 5), key
                frequencies = sticks["frequencies_cm"][part]
                # Nothing vibrates faster than H2; below −10 cm⁻¹ (free rotors are noise) it is counted.
                assert frequencies.max() < 4500, key
                assert (frequencies < -10).sum() == int(entry["imaginary"]), key
                for name in ("ir_km_mol", "raman_a4_u"):
                    values = sticks[name][part]
                    assert np.isfinite(values).all(), key
                    assert (values >= 0).all(), key
                ratio, activity = sticks["depolarisation"][part], sticks["raman_a4_u"][part]
                assert not (ratio > 0.75 + 1e-5).any(), key
                # Only a line without Raman activity has no depolarisation ratio.
                assert activity[np.isnan(ratio)].max(initial=0.0) < 1e-6, key
                seen.add(str(key))
    assert seen == set(entries)


def test_nothing_is_both_computed_and_excluded():
    done = {(row["inchikey"], row["form"]) for row in rows(COMPUTED / "entries.csv")}
    left = {(row["inchikey"], row["form"]) for row in rows(COMPUTED / "excluded.csv") if row["inchikey"]}
    assert not done & left
