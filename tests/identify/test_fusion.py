"""Two techniques on one item: against Bayes where the model is known, and the words for everything else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.errors import InputError, ParameterError
from spectralid.identify import Identification, Outcome, fuse
from spectralid.identify.fusion import fused_probability
from spectralid.library import ReferenceLibrary
from spectralid.spectrum import Technique
from tests.verdict.test_rules_for_names import part, result, shelf, sure

__all__ = ["shelf"]


def infrared(found: Identification) -> Identification:
    return replace(found, technique=Technique.FTIR_ATR, spectrum_sha256="f" * 64)


def uncalibrated(found: Identification) -> Identification:
    return replace(found, confidence=None)


@given(prior=st.floats(0.01, 0.99), separation=st.floats(0.5, 2.0), seed=st.integers(0, 2**32 - 1))
def test_the_product_of_odds_is_bayes_where_both_see_one_thing(
    prior: float, separation: float, seed: int
) -> None:
    """Each instrument reads a number, normal about 0 without the compound, about `separation` with it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(separation * rng.integers(0, 2), 1.0, 2)

    def density(value: float, mean: float) -> float:
        return float(np.exp(-0.5 * (value - mean) ** 2))

    def posterior(*seen: float) -> float:
        with_it = prior * np.prod([density(v, separation) for v in seen])
        without = (1 - prior) * np.prod([density(v, 0.0) for v in seen])
        return float(with_it / (with_it + without))

    together = fused_probability(posterior(x[0]), posterior(x[1]), prior)
    assert together == pytest.approx(posterior(*x), rel=1e-9, abs=1e-5)


def test_the_prior_is_counted_once() -> None:
    # Neither scan says anything: each gives back the prior, and so do both.
    assert fused_probability(0.03, 0.03, 0.03) == pytest.approx(0.03)
    assert fused_probability(0.9, 0.9, 0.5) == pytest.approx(81 / 82)


def test_a_prior_of_one_half_never_says_more_than_a_smaller_one() -> None:
    values = [fused_probability(0.9, 0.8, prior) for prior in (0.5, 0.1, 0.001)]
    assert values == sorted(values)


def test_certainty_of_one_does_not_silence_the_other() -> None:
    assert 0.99 < fused_probability(1.0, 0.01, 0.5) < 1.0
    assert fused_probability(1.0, 0.0, 0.5) == pytest.approx(0.5)


def test_fused_where_both_are_calibrated(shelf: ReferenceLibrary) -> None:
    flour = part("flour")
    ours = result(shelf, flour, judged=(sure(flour, 0.9),))
    theirs = infrared(result(shelf, flour, judged=(sure(flour, 0.8),)))
    found = fuse(ours, theirs)
    assert found.outcome is Outcome.FUSED
    (shared,) = found.shared
    assert (shared.compound_slug, shared.raman, shared.infrared) == ("flour", 0.9, 0.8)
    assert shared.probability == pytest.approx(36 / 37)
    assert "97.3%" in found.words
    assert "Raman 90.0%, infrared 80.0%, together 97.3%" in found.explain()
    assert json.loads(found.to_json())["shared"][0]["compound_slug"] == "flour"


@pytest.mark.parametrize("which", ["raman", "infrared", "both"])
def test_not_fused_unless_both_are_calibrated(shelf: ReferenceLibrary, which: str) -> None:
    ours, theirs = result(shelf, part("flour")), infrared(result(shelf, part("flour")))
    if which != "infrared":
        ours = uncalibrated(ours)
    if which != "raman":
        theirs = uncalibrated(theirs)
    found = fuse(ours, theirs)
    assert found.outcome is Outcome.AGREE
    assert found.shared[0].probability is None
    assert "agree on Flour" in found.words
    assert "%" not in found.words


def test_what_only_one_finds_stands_beside_what_both_find(shelf: ReferenceLibrary) -> None:
    ours = result(shelf, part("flour", 0.6), part("sugar", 0.4))
    found = fuse(ours, infrared(result(shelf, part("flour"))))
    assert found.outcome is Outcome.FUSED
    assert [s.compound_slug for s in found.shared] == ["flour"]
    assert (found.raman_only, found.infrared_only) == (("Sugar",), ())
    assert "Sugar by Raman only" in found.words


def test_two_names_disagree(shelf: ReferenceLibrary) -> None:
    found = fuse(result(shelf, part("flour")), infrared(result(shelf, part("sugar"))))
    assert found.outcome is Outcome.DISAGREE
    assert found.shared == ()
    assert "Flour by Raman only" in found.words
    assert "Sugar by infrared only" in found.words
    assert "rely on neither" in found.words


@pytest.mark.parametrize(
    "nothing", [{"log_odds": -3.0}, {"holds": False}, {"problem": "low_snr"}, {"empty": True}]
)
def test_one_only_where_the_other_found_nothing(shelf: ReferenceLibrary, nothing: dict[str, Any]) -> None:
    components = [] if nothing.get("empty") else [part("flour", holds=nothing.get("holds", True))]
    theirs = result(shelf, *components, log_odds=nothing.get("log_odds", 5.0))
    if problem := nothing.get("problem"):
        theirs = replace(theirs, quality=replace(theirs.quality, problems=(problem,)))
    found = fuse(result(shelf, part("flour")), infrared(theirs))
    assert found.outcome is Outcome.ONE_ONLY
    assert found.raman_only == ("Flour",)
    assert "neither bears it out nor speaks against it" in found.words
    assert fuse(replace(theirs), infrared(theirs)).outcome is Outcome.NEITHER


def test_one_technique_tells_apart_what_the_other_cannot(shelf: ReferenceLibrary) -> None:
    either = part("sugar", equivalent=("icing",))
    found = fuse(result(shelf, either), infrared(result(shelf, part("icing"))))
    assert found.outcome is Outcome.FUSED
    assert found.shared[0].compound_slug == "icing"


def test_the_same_compound_goes_before_a_likeness(shelf: ReferenceLibrary) -> None:
    ours = result(shelf, part("sugar", 0.6, equivalent=("icing",)), part("icing", 0.4))
    found = fuse(ours, infrared(result(shelf, part("icing"))))
    assert [s.compound_slug for s in found.shared] == ["icing"]
    assert found.raman_only == ("Sugar",)


def test_fusion_refuses_what_it_cannot_compare(shelf: ReferenceLibrary) -> None:
    one = result(shelf, part("flour"))
    with pytest.raises(InputError, match="a Raman and an infrared"):
        fuse(one, one)
    with pytest.raises(InputError, match="a Raman and an infrared"):
        fuse(infrared(one), one)
    with pytest.raises(InputError, match="ranking"):
        fuse(one, infrared(replace(one, analysis=None)))
    with pytest.raises(ParameterError, match="prior"):
        fuse(one, infrared(one), prior=0.0)
