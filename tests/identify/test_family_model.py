"""Family models on invented families: members share bands, strangers do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import LibraryError
from spectralid.identify import Identification, Identifier, identify_many
from spectralid.identify.analysis import Analyser
from spectralid.identify.family_model import FamilyModel
from spectralid.identify.references import ReferenceSet
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.spectrum import FloatArray, Technique
from tests.identify.builders import GRID, bands, library, raman, substance, with_noise

COMMON = {
    "opioid/fentanyl-analogue": [420.0, 745.0, 1003.0, 1156.0, 1602.0, 1655.0],
    "opioid/nitazene": [530.0, 860.0, 1110.0, 1338.0, 1522.0],
}


def member(category: str, seed: int) -> FloatArray:
    """A member: the family's bands, a little moved and of other heights, and bands of its own."""
    rng = np.random.default_rng(seed)
    centres = np.array(COMMON[category]) + rng.normal(0, 3, len(COMMON[category]))
    own = bands(GRID, rng.uniform(250, 1800, 4), rng.uniform(0.2, 0.6, 4))
    return bands(GRID, centres, rng.uniform(0.6, 1.0, centres.size)) + own


def compound(slug: str, category: str) -> Compound:
    related = "yes" if category == "opioid/fentanyl-analogue" else "no"
    return Compound(slug, slug, category=category, fentanyl_related=related)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    entries = [
        (
            compound(f"{category.split('/')[1]}-{i}", category),
            raman(member(category, 100 * k + i)),
            Tier.MEASURED,
        )
        for k, category in enumerate(COMMON, start=1)
        for i in range(7)
    ]
    entries += [
        (compound(f"stranger-{i}", "industrial/acid-base"), raman(substance(GRID, 1000 + i)), Tier.MEASURED)
        for i in range(24)
    ]
    return library(tmp_path_factory.mktemp("families"), entries)


@pytest.fixture(scope="module")
def model(held: ReferenceLibrary) -> FamilyModel:
    return FamilyModel.train(held, Technique.RAMAN)


def best(model: FamilyModel, held: ReferenceLibrary, values: FloatArray):  # type: ignore[no-untyped-def]
    analyser = Analyser(held, ReferenceSet.from_library(held, Technique.RAMAN))
    return model.findings(analyser.scene(raman(with_noise(values, 0.01))))[0]


def test_a_member_nobody_has_measured_gets_its_family(model: FamilyModel, held: ReferenceLibrary) -> None:
    for category, family in (
        ("opioid/fentanyl-analogue", "fentanyl-related"),
        ("opioid/nitazene", "nitazene"),
    ):
        found = best(model, held, member(category, 9000))
        assert found.family == family
        assert found.alarm(0.01)
        assert found.members_trained_on == 7
        assert not found.lead_only


def test_a_result_holds_what_the_model_found_beside_its_components(
    model: FamilyModel, held: ReferenceLibrary
) -> None:
    stranger = substance(GRID, 1003)
    mixture = stranger / stranger.sum() + 0.6 * (unknown := member("opioid/nitazene", 9001)) / unknown.sum()
    spectrum = raman(1000 * with_noise(mixture / mixture.max(), 0.003))
    identifier = Identifier(held, families=[model])
    found = identifier.identify(spectrum)
    assert found.families[0].family == "nitazene"
    assert found.families[0].alarm(0.01)
    assert Identification.from_json(found.to_json()) == found
    # Without a model there is nothing to find, and processes find the same.
    assert Identifier(held).identify(spectrum).families == ()
    (again,) = identify_many([spectrum], identifier, processes=2)
    assert again == found


def test_strangers_raise_no_alarm(model: FamilyModel, held: ReferenceLibrary) -> None:
    alarms = sum(best(model, held, substance(GRID, 5000 + i)).alarm(0.01) for i in range(20))
    assert alarms <= 1


def test_a_stored_model_says_the_same(model: FamilyModel, held: ReferenceLibrary, tmp_path: Path) -> None:
    model.save(tmp_path / "families.npz")
    again = FamilyModel.load(tmp_path / "families.npz")
    assert again.sha256 == model.sha256
    assert again.facts == model.facts
    values = member("opioid/nitazene", 9001)
    assert best(again, held, values) == best(model, held, values)


def test_training_again_gives_the_same_bytes(model: FamilyModel, held: ReferenceLibrary) -> None:
    assert FamilyModel.train(held, Technique.RAMAN).to_bytes() == model.to_bytes()


def test_what_is_left_out_leaves_no_trace(held: ReferenceLibrary) -> None:
    left = FamilyModel.train(held, Technique.RAMAN, without=["nitazene-3"])
    assert "nitazene-3" not in left.slugs
    assert left.facts["members"]["nitazene"] == 6
    assert left.facts["left_out"] == ["nitazene-3"]


def test_a_library_without_families_says_so(tmp_path: Path) -> None:
    few = library(tmp_path, [(compound("water", "solvent"), raman(substance(GRID, 1)), Tier.MEASURED)])
    with pytest.raises(LibraryError, match="No family has 3 members"):
        FamilyModel.train(few, Technique.RAMAN)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"not a model")
    with pytest.raises(LibraryError, match="no family model"):
        FamilyModel.load(tmp_path / "x.npz")
