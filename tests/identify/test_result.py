"""The result as a value: nothing is lost on the way through JSON and pickle, and all of it can be read."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import InputError
from spectralid.identify import Identification, identify, retrieve
from spectralid.identify._records import decoded
from spectralid.identify.checks import BandAgreement, UnexplainedBand
from spectralid.identify.confidence import Confidence
from spectralid.library import Compound, LibraryBuilder, ReferenceLibrary, Tier, open_library
from spectralid.library.schema import common_grid
from spectralid.spectrum import Spectrum
from spectralid.verdict import decide
from tests.identify.builders import GRID, raman, substance, with_noise
from tests.identify.builders import library as build
from tests.verdict.test_rules_for_names import member, part, result, shelf, sure

__all__ = ["shelf"]


@pytest.fixture(scope="module")
def full(shelf: ReferenceLibrary) -> Identification:
    """A result with something in every field."""
    sugar = part("sugar", 0.4, equivalent=("icing",))
    return result(
        shelf,
        part("flour", 0.6),
        sugar,
        judged=(sure(part("flour")), sure(sugar, 0.87)),
        unexplained=(UnexplainedBand(1333.0, 0.11, 8.4),),
        families=(member("nitazene", site_hint="A", nearest=("etonitazene",)),),
        alarms=("fentanyl-related",),
        shares={"amphetamine": 0.0625},
        context={"container": "glass", "declared": "flour"},
    )


def test_nothing_is_lost(full: Identification) -> None:
    assert Identification.from_json(full.to_json()) == full
    assert pickle.loads(pickle.dumps(full)) == full
    assert hash(Identification.from_json(full.to_json())) == hash(full)
    # Sorted, so that equal results are equal texts.
    assert full.to_json() == json.dumps(json.loads(full.to_json()), sort_keys=True, ensure_ascii=False)


def test_confidence_comes_back_from_its_plain_form(full: Identification) -> None:
    assert full.confidence is not None
    again = decoded(Confidence, {**full.confidence.to_dict(), "families": {"nitazene": 0.25}})
    assert again.families == (("nitazene", 0.25),)
    assert again.components == full.confidence.components


@pytest.mark.parametrize(
    "damage", [{"ratios": 3}, {"ratios": ["x"]}, {"sd": None}, {"missing_cm1": [True]}, {"ratios": ...}]
)
def test_values_of_another_kind_are_refused(damage: dict[str, object]) -> None:
    plain: dict[str, object] = {
        "positions_cm1": [1], "ratios": [1.0], "sd": [0.1], "missing_cm1": [],
        "consistency": 0.5, "without_best_z": 4,
    }  # fmt: skip
    assert decoded(BandAgreement, plain) == BandAgreement((1.0,), (1.0,), (0.1,), (), 0.5, 4.0)
    broken = {k: v for k, v in {**plain, **damage}.items() if v is not ...}
    with pytest.raises((KeyError, TypeError, ValueError)):
        decoded(BandAgreement, broken)


def test_the_dossier_holds_every_number(full: Identification) -> None:
    text = full.explain()
    for number in (
        full.spectrum_sha256, full.library_sha256, "60.0%", "54.0%", "66.0%", "87.0%", "1333 cm⁻¹", "8 σ",
        "11%", "+20.0", "raman/*/one", "2" * 64, "signal to noise 100", "container: glass", "declared: flour",
        "0.200 (HQI 0.100, without its strongest band 0.100)", "about 6.2%", "cannot be told from: icing",
    ):  # fmt: skip
        assert number in text, number
    assert "above the threshold of its family: fentanyl-related" in text
    assert re.search(r"Family, nitazene: log ratio \+6\.0 .* modified perhaps at A", text)
    assert "Presumptive" in text


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    entries = [
        (Compound(f"c{i}", f"C{i}", hazards=("none",)), raman(substance(GRID, i)), Tier.MEASURED)
        for i in range(3)
    ]
    return build(tmp_path_factory.mktemp("result"), entries)


def scan(seed: int) -> Spectrum:
    return raman(1000 * with_noise(substance(GRID, seed) + 1.0, 0.01, seed), name="powder")


def test_a_result_draws_itself_over_its_own_spectrum_only(
    references: ReferenceLibrary, shelf: ReferenceLibrary
) -> None:
    spectrum = scan(1)
    found = identify(spectrum, references)
    figure = found.plot(spectrum, references)
    assert "powder" in figure.axes[0].get_title(loc="left")
    labels = [t.get_text() for t in figure.axes[1].get_legend().get_texts()]
    assert any(label.startswith("C1") for label in labels)
    ranked = retrieve(spectrum, references).plot(spectrum, references)
    assert "baseline (for display)" in [line.get_label() for line in ranked.axes[0].lines]
    with pytest.raises(InputError, match="draw it with these"):
        found.plot(scan(2), references)
    with pytest.raises(InputError, match="draw it with these"):
        found.plot(spectrum, shelf)


def test_a_dossier_of_a_ranking_says_that_nothing_follows_from_it(references: ReferenceLibrary) -> None:
    found = retrieve(scan(1), references)
    assert found.analysis is None
    assert found.candidates[0].compound_slug == "c1"
    assert "nothing can be concluded" in found.explain()


def test_computed_references_alone_give_leads_and_no_verdict(tmp_path: Path) -> None:
    grid = common_grid("raman")
    builder = LibraryBuilder("computed")
    for i in range(3):
        values = np.clip(substance(grid, i), 0, None).astype(np.float16)
        builder.add(Spectrum(grid, values, "raman"), Compound(f"c{i}", f"C{i}"), tier=Tier.COMPUTED)
    builder.write(tmp_path / "computed.h5")
    with open_library(tmp_path / "computed.h5") as computed:
        found = identify(scan(1), computed, leads=True)
        verdict = decide(found, computed)
    assert found.analysis is None
    assert found.leads[0].compound_slug == "c1"
    assert verdict.headline == "no reference could be compared"
    assert verdict.named == ()
