"""Computed references stand apart from all others, and every tool still serves them."""

from __future__ import annotations

import numpy as np
import pytest

from spectralid import LibraryBuilder, Spectrum, open_library
from spectralid.errors import LibraryError, ParameterError
from spectralid.library import (
    Compound,
    Fitness,
    Tier,
    compare_libraries,
    describe,
    export_library,
    export_table,
    import_folder,
    merge_libraries,
    subset_library,
    verify_library,
)
from spectralid.library.schema import common_grid
from tests.library.builders import band_spectrum, compound

FITNESS = Fitness(
    Tier.COMPUTED, "raman", "all", 91, 66, 853, (0.41, 0.28, 0.53), (0.59, 0.47, 0.71), (0.68, 0.56, 0.78),
    (3.0, 1.0, 6.0), "cross-validated by compound", "fitness.py",
)  # fmt: skip
KEYS = ("BBBBBBBBBBBBBB-UHFFFAOYSA-N", "AAAAAAAAAAAAAA-UHFFFAOYSA-N")


def computed(key: str, position: float, **facts) -> Spectrum:
    """A spectrum as the recipe hands it over: on the common grid, largest value 1, values float16 holds."""
    grid = common_grid(key)
    values = 1 / (1 + ((grid - position) / 12) ** 2)
    values = (values / values.max()).astype(np.float16)
    facts = {"technique": "raman" if key == "raman" else "ftir", "unit": "arbitrary"} | facts
    return Spectrum(grid, values, name=f"computed {position:g}", **facts)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    builder = LibraryBuilder("tiers", created="2026-01-01")
    for i, (tier, spectrum, form) in enumerate(
        [
            (Tier.COMPUTED, computed("raman", 800.0), "neutral molecule"),
            (Tier.MEASURED, band_spectrum(800.0), ""),
            (Tier.LITERATURE, band_spectrum(900.0), ""),
            (Tier.COMPUTED, computed("infrared", 1700.0), "neutral molecule"),
            (Tier.COMPUTED, computed("raman", 806.0), "protonated cation"),
            # Somebody's own calculation: another axis, another scale, a part of the range.
            (
                Tier.COMPUTED,
                band_spectrum(1200.0).replace(intensity=1e6 * band_spectrum(1200.0).intensity),
                "",
            ),
        ]
    ):
        builder.add(spectrum, compound(i % 2), tier=tier, source=f"source {i}", form=form, licence="CC0-1.0")
    builder.add_fitness(FITNESS)
    builder.add_training_substances(KEYS)
    path = tmp_path_factory.mktemp("tiers") / "tiers.h5"
    builder.write(path)
    return open_library(path)


def test_they_are_in_no_matrix_but_their_own(library):
    assert {info.tier for info in library.rows("raman")} == {Tier.MEASURED, Tier.LITERATURE}
    assert library.matrix("raman").shape == (2, 1024)
    assert [info.form for info in library.rows("raman", "computed")] == [
        "neutral molecule", "protonated cation", "",
    ]  # fmt: skip
    block = library.matrix("raman", Tier.COMPUTED)
    assert (block.dtype, block.shape) == (np.float16, (3, 1024))
    assert np.nanmax(block, axis=1).tolist() == [1.0, 1.0, 1.0]
    low, high = band_spectrum(1200.0).range
    grid = library.grid("raman")
    assert (np.isnan(block[2]) == ((grid < low) | (grid > high))).all()
    assert grid[np.nanargmax(block[2])] == 1200.0
    with pytest.raises(ValueError, match="read-only"):
        block[0, 0] = 1


@pytest.mark.parametrize("tier", [Tier.MEASURED, Tier.LITERATURE])
def test_one_tier_alone(library, tier):
    (info,) = library.rows("raman", tier)
    assert info.tier is tier
    matrix = library.matrix("raman", tier)
    position = list(library.rows("raman")).index(info)
    np.testing.assert_array_equal(matrix[0], library.matrix("raman")[position])
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1


def test_a_technique_of_computed_references_only(library):
    assert library.holds("ftir_atr", "computed")
    assert not library.holds("ftir_atr")
    assert library.grid("ftir").size == 1024
    with pytest.raises(LibraryError, match="has no measured or literature infrared references"):
        library.matrix("ftir")
    with pytest.raises(LibraryError, match="has no literature infrared references"):
        library.rows("ftir", "literature")
    with pytest.raises(ParameterError, match="tier"):
        library.rows("raman", "guessed")


def test_a_row_of_the_grid_is_stored_once_and_read_back_exactly(library):
    index = library.raw("/native/index")
    pools = dict(zip([info.id for info in library.references], index[:, 3].tolist(), strict=True))
    for info in library.references:
        original = {
            ("raman", "neutral molecule"): computed("raman", 800.0),
            ("ftir", "neutral molecule"): computed("infrared", 1700.0),
            ("raman", "protonated cation"): computed("raman", 806.0),
        }.get((info.technique, info.form))
        assert (pools[info.id] in (2, 3)) == (original is not None)
        if original is not None:
            assert library.reference(info.id).spectrum == original
    (own,) = [i for i in library.references if i.tier is Tier.COMPUTED and not i.form]
    np.testing.assert_array_equal(
        library.reference(own.id).spectrum.intensity, 1e6 * band_spectrum(1200.0).intensity
    )
    assert library.raw("/native/float64").size + library.raw("/native/float32").size < 8000


def test_values_float16_cannot_hold_are_kept_as_they_are(tmp_path):
    spectrum = computed("raman", 500.0)
    for number, other in enumerate(
        [
            spectrum.replace(intensity=spectrum.intensity / 3),
            spectrum.replace(intensity=spectrum.intensity * 0.5),
            spectrum.replace(sd=np.full(1024, 0.1)),
        ]
    ):
        builder = LibraryBuilder("one")
        id = builder.add(other, Compound("a", "A"), tier="computed")
        builder.write(tmp_path / f"{number}.h5")
        library = open_library(tmp_path / f"{number}.h5")
        assert library.raw("/native/index")[0, 3] in (0, 1)
        assert library.reference(id).spectrum == other
        assert library.matrix("raman", "computed").max() == 1


def test_evidence_is_kept(library):
    assert library.fitness == (FITNESS,)
    assert library.training_substances == tuple(sorted(KEYS))
    facts = describe(library)
    assert facts["fitness"][0]["top1"] == [0.41, 0.28, 0.53]
    assert facts["training_substances"] == 2
    assert facts["tiers_by_technique"]["computed"] == {"raman": 3, "ftir": 1}
    assert facts["categories_by_tier"] == {"test/one": {"measured": 1, "literature": 1, "computed": 4}}
    with pytest.raises(ParameterError, match="complete"):
        Fitness.from_dict({"tier": "computed"})
    assert Fitness.from_dict({**FITNESS.to_dict(), "later": 1}) == FITNESS


def test_every_tool_serves_them(library, tmp_path):
    assert verify_library(library.path) == ()
    subset_library(library, tmp_path / "computed.h5", tiers=["computed"])
    subset_library(library, tmp_path / "rest.h5", tiers=["measured", "literature"])
    part, rest = open_library(tmp_path / "computed.h5"), open_library(tmp_path / "rest.h5")
    assert (part.fitness, part.training_substances) == (library.fitness, library.training_substances)
    assert (rest.fitness, rest.training_substances) == ((), ())
    assert not part.holds("raman")
    np.testing.assert_array_equal(part.matrix("raman", "computed"), library.matrix("raman", "computed"))
    merge_libraries([rest, part], tmp_path / "merged.h5")
    merged = open_library(tmp_path / "merged.h5")
    assert compare_libraries(library, merged).same
    assert (merged.fitness, merged.training_substances) == (library.fitness, library.training_substances)
    assert export_library(library, tmp_path / "files") == 6
    import_folder(tmp_path / "files", tmp_path / "again.h5")
    again = open_library(tmp_path / "again.h5")
    assert {i.id: i.tier for i in again.references} == {i.id: i.tier for i in library.references}
    assert sorted(again.raw("/native/index")[:, 3].tolist()) == sorted(
        library.raw("/native/index")[:, 3].tolist()
    )
    assert export_table(library, tmp_path / "table.csv") == 6
    assert "neutral molecule" in (tmp_path / "table.csv").read_text(encoding="utf-8")


def test_a_reference_in_a_place_of_a_later_version_is_refused(library, monkeypatch):
    # What a reader of 1.0 meets: it knows two pools and no other.
    monkeypatch.setattr("spectralid.library.store.POOLS", ("/native/float64", "/native/float32"))
    old = open_library(library.path)
    (info,) = [i for i in old.references if i.form == "protonated cation"]
    with pytest.raises(LibraryError, match="cannot be read"):
        old.reference(info.id)
    measured = old.rows("raman")[0]
    assert old.reference(measured.id).spectrum == band_spectrum(800.0)
