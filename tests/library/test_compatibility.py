"""Libraries of other versions: one of each minor version, kept as it was written, opens for ever."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from spectralid.errors import LibraryError
from spectralid.library import (
    Tier,
    compare_libraries,
    export_library,
    merge_libraries,
    open_library,
    subset_library,
    verify_library,
)
from spectralid.library.schema import canonical_json, dataset_entry, manifest_sha256
from spectralid.spectrum import IntensityUnit, Technique
from tests.library.data.make_schema_1_0 import ETHANOL, SALT, band
from tests.library.data.make_schema_1_1 import FITNESS, TRAINED, computed

# Made by tests/library/data/make_schema_1_0.py with spectralid 0.1.0; never to be made again.
KEPT = Path(__file__).parent / "data" / "schema-1.0.h5"
# Likewise by make_schema_1_1.py.
KEPT_1_1 = KEPT.with_name("schema-1.1.h5")


def test_the_file_is_still_the_one_that_was_kept():
    library = open_library(KEPT)
    assert library.sha256 == "4b6d8849c30cb5f335b8c756f742482ab8609bc7fdf041040deb2c0e347ee48e"
    assert library.manifest["schema"] == "1.0"
    assert verify_library(KEPT) == ()


def test_everything_in_it_is_read_as_it_was_meant():
    library = open_library(KEPT)
    assert (library.name, library.version, library.n_references) == ("schema 1.0", "1.2.3", 2)
    assert library.techniques == (Technique.RAMAN, Technique.FTIR_ATR)
    assert library.compounds == (ETHANOL, SALT)
    raman, infrared = (library.reference(info.id) for info in library.references)
    assert (raman.info.tier, raman.info.licence, raman.info.quality) == (Tier.MEASURED, "CC0-1.0", 0.5)
    assert (raman.info.url, raman.info.citation) == ("https://example.org", "A citation.")
    assert (raman.info.resolution_cm1, raman.info.laser_nm) == (8.0, 785.0)
    assert (infrared.info.tier, infrared.info.form, infrared.info.quality) == (
        Tier.COMPUTED,
        "hydrate II",
        None,
    )
    spectrum = raman.spectrum
    np.testing.assert_array_equal(spectrum.axis, np.linspace(300.3, 1800.7, 40))
    expected = band(spectrum.axis, 880.0)
    expected[3] = np.nan
    np.testing.assert_array_equal(spectrum.intensity, expected)
    np.testing.assert_array_equal(spectrum.sd, np.full(40, 0.25))
    assert (spectrum.name, spectrum.source) == ("ethanol, 785 nm", "a.csv")
    assert (spectrum.acquisition.operator, spectrum.acquisition.flags) == ("Ä", {"saturated"})
    assert spectrum.acquisition.metadata == {"Sample": "liquid"}
    assert [step.to_dict()["name"] for step in spectrum.history] == ["crop"]
    assert infrared.spectrum.unit is IntensityUnit.TRANSMITTANCE
    # The gridded forms: the band where it belongs, absorbance for the infrared, nothing beyond the range.
    grid, row = library.grid("raman"), library.matrix("raman")[0]
    assert grid[np.nanargmax(row)] == pytest.approx(880.0, abs=20)
    assert np.isnan(row[grid > 1801]).all()
    absorbance = library.matrix("ftir", Tier.COMPUTED)[0]
    assert np.nanmax(absorbance) == pytest.approx(1.1, abs=0.01)
    assert library.rows("ftir", Tier.COMPUTED)[0].compound_slug == "made-up-salt"


def test_a_computed_reference_in_the_matrix_of_version_1_0_names_nothing():
    library = open_library(KEPT)
    assert not library.holds("ftir")
    with pytest.raises(LibraryError, match="has no measured or literature infrared references"):
        library.matrix("ftir")
    assert [info.tier for info in library.rows("raman")] == [Tier.MEASURED]
    with pytest.raises(LibraryError, match="has no computed raman references"):
        library.rows("raman", Tier.COMPUTED)


def test_schema_1_1_is_read_as_it_was_meant():
    library = open_library(KEPT_1_1)
    assert library.sha256 == "19a75d980d732cf4dca5b292c4f83ebafccf009ada9852ccfe02bc2d20d5c1d2"
    assert library.manifest["schema"] == "1.1"
    assert verify_library(KEPT_1_1) == ()
    assert (library.fitness, library.training_substances) == ((FITNESS,), TRAINED)
    measured, of_row, own = (library.reference(info.id) for info in library.references)
    assert library.rows("raman") == (measured.info,)
    assert library.rows("raman", "computed") == (own.info,)
    assert library.rows("ftir", "computed") == (of_row.info,)
    assert not library.holds("ftir")
    assert of_row.spectrum == computed()
    np.testing.assert_array_equal(library.matrix("ftir", "computed")[0], computed().intensity)
    np.testing.assert_array_equal(own.spectrum.intensity, 3 * band(own.spectrum.axis, 700.0))


def newer(path, schema, kept=KEPT):
    """A kept library as a later version might write it: more manifest keys, columns, groups."""
    arrays = {}
    with h5py.File(kept) as old:
        old.visititems(
            lambda name, node: arrays.update({"/" + name: node[()]} if hasattr(node, "dtype") else {})
        )
    manifest = json.loads(arrays.pop("/manifest").tobytes())
    for name, column in (("/compounds", "melting_point"), ("/references/info", "polymorph")):
        columns = json.loads(arrays[name].tobytes())
        columns[column] = ["x"] * len(next(iter(columns.values())))
        arrays[name] = np.frombuffer(canonical_json(columns), np.uint8)
    arrays["/grids/terahertz/matrix"] = np.zeros((2, 4), "<f4")
    arrays["/evidence/roc"] = np.arange(3.0)
    manifest |= {"schema": schema, "licence_file": "LICENCE", "fitness": {"raman": [1, 2]}}
    manifest["datasets"] = {name: dataset_entry(values) for name, values in arrays.items()}
    manifest["sha256"] = manifest_sha256(manifest)
    arrays["/manifest"] = np.frombuffer(canonical_json(manifest), np.uint8)
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["schema"] = "spectralid-library", schema
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
    return path


def test_every_tool_works_on_a_later_minor_version(tmp_path):
    path = newer(tmp_path / "newer.h5", "1.9")
    library, kept = open_library(path), open_library(KEPT)
    assert verify_library(path) == ()
    assert library.manifest["schema"] == "1.9"
    assert compare_libraries(kept, library).same
    for technique, tier in (("raman", None), ("ftir", Tier.COMPUTED)):
        np.testing.assert_array_equal(library.matrix(technique, tier), kept.matrix(technique, tier))
    subset_library(library, tmp_path / "part.h5", tiers=["measured"])
    merge_libraries([library, open_library(tmp_path / "part.h5")], tmp_path / "merged.h5")
    merged = open_library(tmp_path / "merged.h5")
    assert compare_libraries(kept, merged).same
    assert merged.manifest["schema"] == "1.1"
    assert export_library(library, tmp_path / "out") == 2


def test_a_later_minor_version_of_a_library_with_computed_references(tmp_path):
    path = newer(tmp_path / "newer.h5", "1.9", KEPT_1_1)
    library, kept = open_library(path), open_library(KEPT_1_1)
    assert verify_library(path) == ()
    assert compare_libraries(kept, library).same
    assert (library.fitness, library.training_substances) == (kept.fitness, kept.training_substances)
    for technique in ("raman", "ftir"):
        np.testing.assert_array_equal(
            library.matrix(technique, "computed"), kept.matrix(technique, "computed")
        )
    subset_library(library, tmp_path / "part.h5", tiers=["computed"])
    assert open_library(tmp_path / "part.h5").fitness == kept.fitness


@pytest.mark.parametrize("schema", ["2.0", "10.3"])
def test_a_later_major_version_is_refused(tmp_path, schema):
    with pytest.raises(LibraryError, match=rf"format {schema}, newer than the 1\.x .* update spectralid"):
        open_library(newer(tmp_path / "newer.h5", schema))
