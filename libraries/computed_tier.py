"""The computed tier of the bundled library: packed results, corrected and broadened on the common grids."""

from __future__ import annotations

import csv
import hashlib
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from spectralid import Spectrum
from spectralid.library import Compound
from spectralid.library.schema import GRIDS, common_grid
from spectralid.spectrum import Acquisition, ProcessingStep

__all__ = ["LICENCE", "PACKED", "SOURCES", "Computed", "computed", "listed", "training_substances"]

PACKED: Final = "computed"
SOURCES: Final = (f"{PACKED}/manifest.json", "recipe/correction.json")

LASER_NM: Final = 785.0
LICENCE: Final = "Apache-2.0, computed by spectralid"
CITATION: Final = (
    "GFN2-xTB: C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15 (2019) 1652; "
    "correction and broadening: libraries/recipe of spectralid"
)
_PROCESSES: Final = 2
# Force fields in memory at a time, some 200 kB each.
_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Computed:
    """One packed result: its compound, and what its references say of themselves.

    Attributes
    ----------
    key : str
        Form and InChIKey, as packed.
    slug : str
        The compound.
    form : str
        In plain words.
    row : mapping of str to str
        Its line of ``entries.csv``.
    """

    key: str
    slug: str
    form: str
    row: Mapping[str, str]

    def spectra(self, correction: str, values: Mapping[str, np.ndarray]) -> Iterator[Spectrum]:
        """Its spectra of both techniques, from their values on the common grids."""
        for key in GRIDS:
            step = ProcessingStep(
                "computed",
                {
                    "method": self.row["method"],
                    "surroundings": self.row["solvent"],
                    "charge": int(self.row["charge"]),
                    "imaginary_modes_left": int(self.row["imaginary"]),
                    "structure": self.row["smiles"],
                    "notes": self.row["notes"],
                    "correction": correction,
                },
                self.row["recipe"],
            )
            yield Spectrum(
                common_grid(key),
                values[key],
                technique="raman" if key == "raman" else "ftir",
                unit="arbitrary" if key == "raman" else "absorbance",
                acquisition=Acquisition(laser_nm=LASER_NM if key == "raman" else None),
                history=[step],
                name=f"{self.slug}, {self.form}, computed",
            )

    @property
    def facts(self) -> dict[str, Any]:
        """What `LibraryBuilder.add` takes by keyword."""
        return {
            "form": self.form,
            "source": f"computed by spectralid: {self.row['method']}, {self.row['solvent']}, "
            "learned correction",
            "licence": LICENCE,
            "citation": CITATION,
        }


def listed(
    folder: Path, compounds: Mapping[str, Compound], packed: str = PACKED, *, by: str = "id"
) -> tuple[list[Computed], list[str]]:
    """Packed results in the order of their keys, and a line for each whose compound is not the listed one.

    Parameters
    ----------
    folder : Path
        Folder of the library's sources.
    compounds : mapping of str to Compound
        By the identifier they were computed under, or by InChIKey.
    packed : str
        Folder of the packed results, below `folder`.
    by : {"id", "inchikey"}
        Which of both.
    """
    found, left_out = [], []
    with (folder / packed / "entries.csv").open(newline="", encoding="utf-8") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["key"])
    for row in rows:
        compound = compounds.get(row[by])
        if compound is None or compound.inchikey != row["inchikey"]:
            left_out.append(f"{row['id']} ({row['form']}), computed: its structure is no longer in the table")
        else:
            found.append(Computed(row["key"], compound.slug, _form(row), row))
    return found, left_out


def _form(row: Mapping[str, str]) -> str:
    if row["form"] == "protonated":
        return "protonated cation"
    charge = int(row["charge"])
    return "neutral molecule" if charge == 0 else "cation" if charge > 0 else "anion"


def training_substances(folder: Path) -> tuple[str, ...]:
    """InChIKeys of the substances whose measured spectra the correction learned from."""
    return _recipe(folder)[0].load(folder / "recipe/correction.json")[0].trained_on


def correction_name(folder: Path) -> str:
    """Start of the SHA-256 of the correction, by which references say which one shaped them."""
    return hashlib.sha256((folder / "recipe/correction.json").read_bytes()).hexdigest()[:12]


def computed(
    folder: Path, wanted: Sequence[Computed], packed: str = PACKED
) -> Iterator[tuple[Computed, Mapping[str, np.ndarray]]]:
    """The wanted results with their values on the common grids (float16, largest 1), in no fixed order.

    Parameters are those of `listed`, which gives what may be wanted.

    Raises
    ------
    ValueError
        If a packed file does not have its SHA-256.
    """
    _, pack = _recipe(folder)
    by_key = {result.key: result for result in wanted}
    entries = (entry for entry in pack.read(folder / packed) if entry.key in by_key)
    # One thread per process: two processes with two BLAS threads each would only wait for each other.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with multiprocessing.get_context("spawn").Pool(_PROCESSES, _start, (folder,)) as pool:
        while part := list(islice(entries, _AT_ONCE)):
            for key, values in pool.map(_values, part, chunksize=2):
                yield by_key[key], values


def _recipe(folder: Path) -> tuple[Any, Any]:
    # The recipe's files import each other by their bare names.
    if str(folder / "recipe") not in sys.path:
        sys.path.append(str(folder / "recipe"))
    import correction
    import pack

    return correction, pack


_correction: Any = None
_learned: Any = None


def _start(folder: Path) -> None:
    """Prepare a worker: the recipe's module and the correction, once."""
    global _correction, _learned
    _correction, _ = _recipe(folder)
    _learned, _ = _correction.load(folder / "recipe/correction.json")


def _values(entry: Any) -> tuple[str, dict[str, np.ndarray]]:
    molecule = _correction.force_field(
        entry.numbers, entry.masses, entry.positions, entry.hessian, entry.dipole, entry.polarizability
    )
    lines = _correction.corrected_lines(molecule, _learned)
    spectra = {
        key: _correction.corrected_spectrum(lines, _learned, key, common_grid(key), LASER_NM) for key in GRIDS
    }
    return entry.key, {key: values.astype(np.float16) for key, values in spectra.items()}
