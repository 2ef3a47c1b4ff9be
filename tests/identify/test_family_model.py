"""Family models on invented families: members share bands, strangers do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import LibraryError
from spectralid.identify import Identification, Identifier, identify_many
from spectralid.identify.analysis import Analyser
from spectralid.identify.family_evidence import Evidencer, Rest, class_gains
from spectralid.identify.family_model import FamilyFinding, FamilyModel, site_hint
from spectralid.identify.references import AREA, ReferenceSet
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.spectrum import FloatArray, Spectrum, Technique
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


@pytest.fixture(scope="module")
def analyser(held: ReferenceLibrary) -> Analyser:
    return Analyser(held, ReferenceSet.from_library(held, Technique.RAMAN))


def best(model: FamilyModel, analyser: Analyser, values: FloatArray, beside: str = "") -> FamilyFinding:
    """What the model finds first, given one known component or none."""
    scene = analyser.scene(raman(with_noise(values, 0.01)))
    rows = [i for i, r in enumerate(analyser.references.rows) if r.compound_slug == beside]
    return model.findings(scene, scene.explain(rows, 0.0) if rows else None)[0]


def test_a_member_nobody_has_measured_gets_its_family(model: FamilyModel, analyser: Analyser) -> None:
    for category, family in (
        ("opioid/fentanyl-analogue", "fentanyl-related"),
        ("opioid/nitazene", "nitazene"),
    ):
        found = best(model, analyser, member(category, 9000))
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


def test_strangers_raise_no_alarm(model: FamilyModel, analyser: Analyser) -> None:
    alarms = sum(best(model, analyser, substance(GRID, 5000 + i)).alarm(0.01) for i in range(20))
    assert alarms <= 1


def test_a_member_shows_beside_a_known_component(model: FamilyModel, analyser: Analyser) -> None:
    known = substance(GRID, 1003)
    member_too = 0.75 * known / known.sum() + 0.25 * (drug := member("opioid/nitazene", 9002)) / drug.sum()
    found = best(model, analyser, member_too / member_too.max(), "stranger-3")
    assert found.family == "nitazene"
    assert found.alarm(0.01)
    assert any("stranger-3" in reference for reference in found.beside)
    assert 0.1 < found.share_left < 0.35
    assert not best(model, analyser, known, "stranger-3").alarm(0.01)


def test_relatives_of_the_unknown_do_not_explain_it_away(model: FamilyModel, analyser: Analyser) -> None:
    drug = member("opioid/nitazene", 9003)
    found = best(model, analyser, drug, "nitazene-2")
    assert found.family == "nitazene"
    assert found.beside == ()


def test_computed_members_give_a_lead_only(tmp_path: Path) -> None:
    entries = [
        (compound(f"nitazene-{i}", "opioid/nitazene"), raman(member("opioid/nitazene", i)), Tier.COMPUTED)
        for i in range(5)
    ]
    entries += [
        (compound(f"stranger-{i}", "industrial/acid-base"), raman(substance(GRID, 2000 + i)), Tier.COMPUTED)
        for i in range(10)
    ]
    measured = (compound("water", "solvent"), raman(substance(GRID, 1)), Tier.MEASURED)
    held = library(tmp_path, [*entries, measured])
    model = FamilyModel.train(held, Technique.RAMAN, tier=Tier.COMPUTED)
    assert model.tier is Tier.COMPUTED
    scene = Analyser(held, ReferenceSet.from_library(held, Technique.RAMAN)).scene(
        raman(with_noise(member("opioid/nitazene", 77), 0.01))
    )
    found = model.findings(scene)[0]
    assert found.family == "nitazene"
    assert found.lead_only
    assert found.to_dict()["lead_only"]


def test_a_stored_model_says_the_same(model: FamilyModel, analyser: Analyser, tmp_path: Path) -> None:
    model.save(tmp_path / "families.npz")
    again = FamilyModel.load(tmp_path / "families.npz")
    assert again.sha256 == model.sha256
    assert again.facts == model.facts
    values = member("opioid/nitazene", 9001)
    assert best(again, analyser, values) == best(model, analyser, values)


def test_training_again_gives_the_same_model(model: FamilyModel, held: ReferenceLibrary) -> None:
    assert FamilyModel.train(held, Technique.RAMAN).sha256 == model.sha256


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


def test_a_model_that_was_changed_is_refused(model: FamilyModel, tmp_path: Path) -> None:
    path = tmp_path / "families.npz"
    good = model.to_bytes()
    path.write_bytes(good)
    with np.load(path, allow_pickle=False) as held:
        arrays = dict(held)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays | {"thresholds": arrays["thresholds"] + 0.5})
    with pytest.raises(LibraryError, match="no family model"):
        FamilyModel.load(path)
    for bit in np.random.default_rng(11).integers(0, 8 * len(good), 100).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            again = FamilyModel.load(path)
        except LibraryError:
            continue
        assert (again.sha256, again.facts, again.thresholds.tolist()) == (
            model.sha256, model.facts, model.thresholds.tolist()
        ), bit  # fmt: skip


def test_a_model_is_kept_beside_its_library(tmp_path: Path) -> None:
    def entries(first: int) -> list[tuple[Compound, Spectrum, Tier]]:
        return [
            (
                compound(f"n-{i}", "opioid/nitazene"),
                raman(member("opioid/nitazene", first + i)),
                Tier.MEASURED,
            )
            for i in range(3)
        ] + [
            (compound(f"s-{i}", "industrial/acid-base"), raman(substance(GRID, first + i)), Tier.MEASURED)
            for i in range(4)
        ]

    held = library(tmp_path, entries(10))
    first = FamilyModel.of(held, Technique.RAMAN)
    (file,) = tmp_path.glob("*.families")
    written = file.stat().st_mtime_ns
    assert FamilyModel.of(held, Technique.RAMAN).sha256 == first.sha256
    assert file.stat().st_mtime_ns == written
    scan = entries(10)[0][1]
    assert not any("families" in said for said in Identifier(held).identify(scan).assumptions)
    # Another library in its place: what was kept is not for this one, and who relies on it must hear of it.
    other = library(tmp_path, entries(50))
    assert any(
        "families were not looked for" in said for said in Identifier(other).identify(scan).assumptions
    )
    again = FamilyModel.of(other, Technique.RAMAN)
    assert again.facts["library_sha256"] == other.sha256
    assert again.sha256 != first.sha256


@pytest.mark.parametrize(
    ("likeness", "hint"),
    [
        ([0.9, 0.9, 0.5, 0.5], "D"),
        ([0.5, 0.5, 0.9, 0.9], "E"),
        ([0.7, 0.7, 0.7, 0.7], ""),
    ],
)
def test_the_site_of_the_nearest_members_is_hinted_at(likeness: list[float], hint: str) -> None:
    assert site_hint(["D", "D", "E", "E"], likeness, {"D": 1.0, "E": 1.0}) == hint
    # A site whose hints did not hold for held-out members is not hinted at.
    assert "D" not in site_hint(["D", "D", "E", "E"], likeness, {"E": 1.0})


def test_the_gain_of_a_class_is_that_of_the_dense_model() -> None:
    rng = np.random.default_rng(3)
    n = 60
    mean, directions = np.abs(rng.normal(size=n)), 0.3 * rng.normal(size=(2, n))
    y = 4 * mean + 4 * directions.T @ rng.normal(size=2) + rng.normal(size=n)
    rest = Rest(y, np.ones(n), np.ones(n, dtype=bool), np.empty((n, 0)), 1.0)

    def dense(amount: float) -> float:
        covariance = np.eye(n) + amount**2 * directions.T @ directions
        off = y - amount * mean
        log_det = np.linalg.slogdet(covariance)[1]
        return float((y @ y - off @ np.linalg.solve(covariance, off) - log_det) / (y @ y))

    found = class_gains(np.concatenate([mean[None], directions])[None], rest)[0]
    assert found == pytest.approx(max(dense(a) for a in np.linspace(0, 8, 801)), abs=0.01)


def test_a_known_component_is_taken_out_and_the_rest_stays() -> None:
    known, unknown = substance(GRID, 5), bands(GRID, [700.0, 1250.0], [1.0, 0.8])
    shape = known * AREA / (known.sum() * 3.0)
    glow = 2 + np.cos((GRID - 500) / 1500)
    evidencer = Evidencer(GRID, Technique.RAMAN)
    rest = evidencer.rest(3 * known + 0.5 * unknown + glow, [shape])
    height = float((3 * known + 0.5 * unknown).max())
    at = np.searchsorted(GRID, [700.0, 1250.0])
    assert rest.values[at] * height == pytest.approx([0.5, 0.4], rel=0.25)
    # Features know direction, not strength or what the spectrum was multiplied with.
    again = evidencer.rest(10 * (3 * known + 0.5 * unknown + glow), [shape])
    assert evidencer.features(again) @ evidencer.features(rest) == pytest.approx(1.0, abs=1e-6)


def test_points_a_spectrum_lacks_take_no_part(analyser: Analyser) -> None:
    values = substance(GRID, 1001)
    cut = GRID > 800
    scene = analyser.scene(raman(with_noise(values, 0.01)[cut], GRID[cut]))
    rest = Evidencer(GRID, Technique.RAMAN).of_scene(scene, None)
    assert not rest.known[GRID < 790].any()
    assert rest.known[GRID > 810].all()
    assert not rest.y[GRID < 790].any()
