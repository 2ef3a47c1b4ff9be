"""The one table of everything in a library."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from spectralid import Spectrum
from spectralid.cli import main
from spectralid.errors import LibraryError
from spectralid.library import export_table
from spectralid.library.bands import Band, sum_of_bands
from spectralid.library.export import TABLE_COLUMNS
from tests.library.builders import build_small, compound, small_library
from tests.library.test_difference import built

AXIS = np.arange(300.0, 2000.0, 1.0)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_per_reference_with_compound_and_provenance(tmp_path):
    library = small_library(tmp_path)
    assert export_table(library, tmp_path / "t.csv") == 6
    rows = rows_of(tmp_path / "t.csv")
    assert tuple(rows[0]) == TABLE_COLUMNS
    assert [row["id"] for row in rows] == [info.id for info in library.references]
    first, info = rows[0], library.references[0]
    assert (first["slug"], first["name"], first["synonyms"]) == ("compound-0", "Compound 0", "C0")
    assert (first["licence"], first["laser_nm"], first["tier"]) == ("CC0-1.0", "785.0", "measured")
    assert (float(first["low_cm1"]), float(first["high_cm1"])) == info.range_cm1
    assert first["spectrum_sha256"] == info.spectrum_sha256
    assert rows[2]["quality"] == "0.5"
    assert rows[1]["quality"] == rows[1]["laser_nm"] == ""


def test_bands_are_where_they_were_put_strongest_first(tmp_path):
    table = [
        Band(1001, 1.0, 8, 0.5),
        Band(620, 0.4, 8, 0.5),
        Band(1600, 0.6, 8, 0.5),
        Band(1900, 0.03, 8, 0.5),
    ]
    values = sum_of_bands(AXIS, table)
    values[:3] = np.nan
    transmittance = Spectrum(AXIS, 10**-values, technique="ftir", unit="transmittance")
    raman = Spectrum(AXIS, values, technique="raman")
    empty = Spectrum(AXIS, np.zeros(AXIS.size), technique="raman")
    library = built(
        tmp_path / "a.h5", *((s, compound(i), {}) for i, s in enumerate((raman, transmittance, empty)))
    )
    export_table(library, tmp_path / "t.csv")
    assert [row["bands_cm1"] for row in rows_of(tmp_path / "t.csv")] == ["1001.0|1600.0|620.0"] * 2 + [""]


def test_command_and_refusal(tmp_path, capsys):
    build_small(tmp_path / "small.h5")
    command = ["library", "export", str(tmp_path / "small.h5"), "--format", "table"]
    assert main([*command, "-o", str(tmp_path / "t.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": str(tmp_path / "t.csv"), "format": "table", "references": 6
    }  # fmt: skip
    assert main([*command, "-o", str(tmp_path / "absent" / "t.csv")]) == 4
    with pytest.raises(LibraryError, match="cannot be written"):
        export_table(small_library(tmp_path), tmp_path / "absent" / "t.csv")
