"""Pack finished results into compact files to be committed, and read them back.

A batch is a pair of files: *sticks*, all that a search needs, and *derivatives*, all that a force-field
correction is trained on. Batches are only ever added, so that packing an unfinished run again leaves the
files already committed as they are.

``python pack.py --source compounds.csv --work DIR --out DIR``
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import run
import structures
import vibrations
from rdkit import Chem

FORMAT = 1
MANIFEST = "manifest.json"
ENTRIES = "entries.csv"
EXCLUDED = "excluded.csv"
_BATCH_BYTES = 13_000_000
_INT16 = 32767

# fmt: off
_RECORD_COLUMNS = [
    "key", "id", "inchikey", "form", "smiles", "charge", "unpaired", "solvent", "recipe", "method", "atoms",
    "energy", "gradient_max", "gradient_norm", "imaginary", "lowest_frequency", "pushes", "evaluations",
    "hessian_asymmetry", "dipole_mismatch", "finished", "cpu_seconds", "wall_seconds",
]
# fmt: on
_COLUMNS = [*_RECORD_COLUMNS, "versions", "conformers", "notes", "packing_error_cm", "batch", "row"]


def encode(values: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Square-root companding to 16 bits: fine steps for the many small couplings, coarse for the few bonds.

    Returns
    -------
    codes : ndarray of int16, shape of `values`
    scale : float32
        Largest magnitude.
    """
    scale = np.float32(np.abs(values).max(initial=0.0))
    if scale == 0:
        return np.zeros(values.shape, dtype=np.int16), scale
    # Rounding the scale to float32 may leave the largest value just above it.
    relative = np.clip(values / float(scale), -1, 1)
    return np.rint(np.sign(relative) * np.sqrt(np.abs(relative)) * _INT16).astype(np.int16), scale


def decode(codes: np.ndarray, scale: float) -> np.ndarray:
    """Undo :func:`encode`."""
    root = codes.astype(float) / _INT16
    return np.sign(root) * root**2 * float(scale)


@dataclass(frozen=True)
class Entry:
    """One packed result, unpacked: see :class:`vibrations.Derivatives` and :class:`vibrations.Sticks`.

    Attributes
    ----------
    key : str
        Form and InChIKey, ``form/inchikey``.
    numbers, masses : ndarray, shape (n,)
        Atomic numbers and masses in u.
    positions : ndarray, shape (n, 3)
        In bohr.
    hessian : ndarray, shape (3n, 3n)
    dipole : ndarray, shape (3n, 3)
    polarizability : ndarray, shape (3n, 6)
        Derivatives in atomic units.
    """

    key: str
    numbers: np.ndarray
    masses: np.ndarray
    positions: np.ndarray
    hessian: np.ndarray
    dipole: np.ndarray
    polarizability: np.ndarray


class _Columns:
    """Ragged arrays laid end to end."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}
        self.bytes = 0

    def add(self, name: str, values: Any, dtype: Any) -> None:
        part = np.atleast_1d(np.asarray(values, dtype=dtype)).ravel()
        self._parts.setdefault(name, []).append(part)
        self.bytes += part.nbytes

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


class _Batch:
    def __init__(self) -> None:
        self.sticks, self.derivatives = _Columns(), _Columns()
        self.rows: list[dict[str, Any]] = []

    def add(self, result: dict[str, np.ndarray], record: dict[str, Any]) -> None:
        sticks, derivatives = self.sticks, self.derivatives
        for columns in (sticks, derivatives):
            columns.add("key", record["key"], f"U{len(record['key'])}")
        sticks.add("lines", len(result["frequencies_cm"]), np.int32)
        for name in ("frequencies_cm", "ir_km_mol", "raman_a4_u", "depolarisation"):
            sticks.add(name, result[name], np.float32)
        derivatives.add("atoms", len(result["numbers"]), np.int32)
        derivatives.add("numbers", result["numbers"], np.int16)
        derivatives.add("masses_u", result["masses_u"], np.float32)
        derivatives.add("positions_bohr", result["positions_bohr"], np.float32)
        size = len(result["hessian"])
        packed = {}
        for name, values in (
            ("hessian", result["hessian"][np.tril_indices(size)]),
            ("dipole_derivatives", result["dipole_derivatives"]),
            ("polarizability_derivatives", result["polarizability_derivatives"]),
        ):
            codes, scale = encode(values)
            derivatives.add(name, codes, np.int16)
            derivatives.add(f"{name}_scale", scale, np.float32)
            packed[name] = decode(codes, scale)
        self.rows.append(_row(record, _packing_error(result, packed), len(self.rows)))


def _packing_error(result: dict[str, np.ndarray], packed: dict[str, np.ndarray]) -> float:
    """Largest shift in cm-1 that packing does to any line above 100 cm-1."""
    again = vibrations.sticks(
        result["positions_bohr"].astype(np.float32).astype(float),
        result["masses_u"].astype(np.float32).astype(float),
        symmetric(packed["hessian"], len(result["hessian"])),
        packed["dipole_derivatives"],
        packed["polarizability_derivatives"],
    )
    counted = result["frequencies_cm"] > 100
    return float(np.abs(again.frequencies - result["frequencies_cm"])[counted].max(initial=0.0))


def symmetric(lower: np.ndarray, size: int) -> np.ndarray:
    """Full matrix (size, size) from its lower triangle, row by row."""
    full = np.zeros((size, size))
    full[np.tril_indices(size)] = lower
    return full + np.tril(full, -1).T


def _row(record: dict[str, Any], error: float, row: int) -> dict[str, Any]:
    line = {name: record[name] for name in _RECORD_COLUMNS}
    line["versions"] = " ".join(f"{name} {number}" for name, number in sorted(record["versions"].items()))
    line["conformers"] = len(record["conformer_energies"])
    line["notes"] = "; ".join(record["notes"])
    line["packing_error_cm"] = round(error, 3)
    line["row"] = row
    return line


def pack(work: run.Work, out: Path, excluded: list[run.Skipped], wanted: Container[str] | None = None) -> int:
    """Add all results that are not packed yet; return their number.

    Parameters
    ----------
    work : run.Work
        Where the results are.
    out : Path
        Where the batches go.
    excluded : list of run.Skipped
        Substances without a result, with reasons; replaces the earlier list. Results that turned into
        another substance are added to it.
    wanted : container of str, optional
        Keys to pack; what was computed from another table, or from a structure since left out of this one,
        stays behind. Everything by default.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / MANIFEST
    manifest = json.loads(path.read_text()) if path.exists() else {"format": FORMAT, "batches": []}
    if manifest["format"] != FORMAT:
        raise ValueError(
            f"{path} has format {manifest['format']}; this program writes {FORMAT}: pack elsewhere"
        )
    rows = []
    if (out / ENTRIES).exists():
        with (out / ENTRIES).open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    present = {row["key"] for row in rows}
    before = len(rows)
    batch = _Batch()
    for source in work.results():
        key = f"{source.parent.name}/{source.stem}"
        if key in present or (wanted is not None and key not in wanted):
            continue
        with np.load(source, allow_pickle=False) as archive:
            result = {name: archive[name] for name in archive.files}
        record = json.loads(str(result["record"]))
        changed = _changed_bonds(record, result["positions_bohr"])
        if changed:
            reason = f"rearranged: {', '.join(changed)}"
            excluded.append(run.Skipped(record["id"], record["inchikey"], record["form"], reason))
            continue
        batch.add(result, record)
        if batch.derivatives.bytes > _BATCH_BYTES:
            rows.extend(_write(batch, out, manifest))
            batch = _Batch()
    if batch.rows:
        rows.extend(_write(batch, out, manifest))
    _write_csv(out / ENTRIES, _COLUMNS, rows)
    _write_csv(
        out / EXCLUDED, ["identifier", "inchikey", "form", "reason"], [asdict(entry) for entry in excluded]
    )
    manifest["tables"] = {name: _digest(out / name) for name in (ENTRIES, EXCLUDED)}
    _write_text(path, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return len(rows) - before


def _changed_bonds(record: dict[str, Any], positions: np.ndarray) -> list[str]:
    choice = structures.chosen(record["smiles_listed"], record["form"])
    return structures.changed_bonds(Chem.AddHs(choice[0]), positions) if choice else []


def _write(batch: _Batch, out: Path, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    number = len(manifest["batches"]) + 1
    files = {}
    for kind, columns in (("sticks", batch.sticks), ("derivatives", batch.derivatives)):
        name = f"{kind}-{number:03d}.npz"
        run.write_npz(out / name, columns.arrays())
        files[name] = {"sha256": _digest(out / name), "bytes": (out / name).stat().st_size}
    manifest["batches"].append({"entries": len(batch.rows), "files": files})
    return [{**row, "batch": number} for row in batch.rows]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _write_csv(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(path)


def read(out: Path) -> Iterator[Entry]:
    """All packed derivatives, batch by batch, after checking their digests.

    Raises
    ------
    ValueError
        If a file is not the one the manifest names.
    """
    manifest = json.loads((out / MANIFEST).read_text())
    for batch in manifest["batches"]:
        for name, facts in batch["files"].items():
            if _digest(out / name) != facts["sha256"]:
                raise ValueError(
                    f"{out / name} does not have the SHA-256 listed in {MANIFEST}: fetch it again"
                )
            if name.startswith("derivatives"):
                with np.load(out / name, allow_pickle=False) as archive:
                    yield from _entries({column: archive[column] for column in archive.files})


def _entries(columns: dict[str, np.ndarray]) -> Iterator[Entry]:
    atoms = columns["atoms"].astype(int)
    size = 3 * atoms

    def part(name: str, lengths: np.ndarray, row: int) -> np.ndarray:
        end = int(lengths[: row + 1].sum())
        return columns[name][end - int(lengths[row]) : end]

    def tensor(name: str, lengths: np.ndarray, row: int) -> np.ndarray:
        return decode(part(name, lengths, row), columns[f"{name}_scale"][row])

    for row, n in enumerate(atoms):
        yield Entry(
            key=str(columns["key"][row]),
            numbers=part("numbers", atoms, row),
            masses=part("masses_u", atoms, row).astype(float),
            positions=part("positions_bohr", size, row).astype(float).reshape(n, 3),
            hessian=symmetric(tensor("hessian", size * (size + 1) // 2, row), 3 * n),
            dipole=tensor("dipole_derivatives", 3 * size, row).reshape(3 * n, 3),
            polarizability=tensor("polarizability_derivatives", 6 * size, row).reshape(3 * n, 6),
        )


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    run.add_shared_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="directory of the packed files")
    arguments = parser.parse_args()
    work = run.Work(arguments.work)
    failed = work.failed()
    excluded: list[run.Skipped] = []
    wanted: set[str] = set()
    for source in arguments.sources:
        tasks, skipped = run.plan(run.read_source(source, arguments.tier), arguments.forms, arguments.order)
        wanted.update(task.key for task in tasks)
        excluded.extend(skipped)
        excluded.extend(
            run.Skipped(task.identifier, task.inchikey, task.form, failed[task.key]["reason"])
            for task in tasks
            if task.key in failed
        )
    added = pack(work, arguments.out, excluded, wanted)
    print(f"{added} results added, {len(excluded)} listed as excluded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
