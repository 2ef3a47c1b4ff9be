"""Strips: what a result is worth, when it is worth nothing, and when it does not agree with the spectrum."""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.errors import InputError, ParameterError
from spectralid.library import ReferenceLibrary, open_library
from spectralid.verdict import VerdictKind
from spectralid.verdict.strip_figures import Rate, after, limits, rates, ratios, studies
from spectralid.verdict.strips import TARGETS, StripEvidence, StripTest, target_of, weigh
from tests.verdict.built import catalog, scanned

K = VerdictKind
TODAY = date(2026, 11, 22)
GOOD = StripTest("fentanyl", "BTNX Rapid Response", "L7", "2027-03-31", 200.0, 0.5, 300.0, "pos")
FAMILY = "fentanyl-related"


@pytest.fixture(scope="module")
def library() -> ReferenceLibrary:
    return open_library()


def weighed(library: ReferenceLibrary, test: StripTest, language: str = "en", **found: Any) -> StripEvidence:
    scans = [scanned(library, **found)] if found else []
    return weigh(test, scans, library, on=TODAY, catalog=catalog(language))


# -- Arithmetic ----------------------------------------------------------------------------------------------

counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, counts)
def test_odds_agree_with_bayes_by_counting_people(present: tuple[int, int], without: tuple[int, int]) -> None:
    """A town of samples: with half a case more on either side, as the rates are, count who is positive."""
    (hits, ill), (right, well) = present, without
    positive, negative = ratios(Rate.counted(hits, ill), Rate.counted(right, well))
    with_it = {"pos": Fraction(2 * hits + 1, 2), "neg": Fraction(2 * (ill - hits) + 1, 2)}
    without_it = {"pos": Fraction(2 * (well - right) + 1, 2), "neg": Fraction(2 * right + 1, 2)}
    prior = Fraction(ill + 1, ill + well + 2)
    for result, ratio in (("pos", positive.value), ("neg", negative.value)):
        counted = with_it[result] / (with_it[result] + without_it[result])
        assert after(float(prior), ratio) == pytest.approx(float(counted), abs=1e-12)


@given(st.floats(0.001, 0.999), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_two_results_in_a_row_are_bayes_by_enumeration(
    prior: float, sensitivity: float, specificity: float
) -> None:
    """Two independent strips: every outcome of the whole tree, summed."""
    positive, negative = ratios(Rate(sensitivity, 0, 1), Rate(specificity, 0, 1))
    value = {True: positive.value, False: negative.value}
    for first, second in itertools.product((True, False), repeat=2):
        of_present = math.prod(sensitivity if r else 1 - sensitivity for r in (first, second))
        of_without = math.prod(1 - specificity if r else specificity for r in (first, second))
        enumerated = prior * of_present / (prior * of_present + (1 - prior) * of_without)
        assert after(after(prior, value[first]), value[second]) == pytest.approx(enumerated, rel=1e-9)


def test_certain_odds_stay_certain() -> None:
    assert after(0.0, 50.0) == 0
    assert after(1.0, 0.02) == 1
    assert after(0.3, 1.0) == pytest.approx(0.3)
    assert after(0.3, math.inf) == 1
    with pytest.raises(ParameterError):
        after(1.5, 2.0)


def test_the_published_figures_come_out_of_the_table() -> None:
    """343 police samples: sensitivity 98.5 %, specificity 89.2 %; xylazine 49.3 % and 89.0 %."""
    leading = {(s.target, s.about): s for s in studies() if s.primary}
    fentanyl, xylazine = leading["fentanyl", "samples"], leading["xylazine", "samples"]
    for study, sensitivity, specificity in ((fentanyl, 98.5, 89.2), (xylazine, 49.3, 89.0)):
        assert study.sensitivity is not None
        assert study.specificity is not None
        assert 100 * study.sensitivity.value == pytest.approx(sensitivity, abs=0.5)
        assert 100 * study.specificity.value == pytest.approx(specificity, abs=0.5)


def test_every_row_has_a_source_and_every_target_is_known(library: ReferenceLibrary) -> None:
    keys, slugs = {t.key for t in TARGETS}, {c.slug for c in library.compounds}
    for study in studies():
        assert study.target in keys
        assert study.source.startswith("http")
        assert study.sensitivity or study.specificity
    for limit in limits():
        assert limit.target in keys
        assert limit.source.startswith("http")
        assert limit.compound in {"", *slugs}
        assert limit.effect in ("seen", "missed", "false-positive")
    for target in TARGETS:
        assert any(target.holds(c) for c in library.compounds), target.key
        assert f"strip.target.{target.key}" in catalog("es")


def test_the_interval_is_as_wide_as_the_studies_differ() -> None:
    ours = [s for s in studies() if s.target == "fentanyl"]
    sensitivity, specificity = rates(ours, analogue=False)
    alone = next(s for s in ours if s.primary and s.about == "samples")
    assert sensitivity is not None
    assert specificity is not None
    assert alone.sensitivity is not None
    assert sensitivity.value == alone.sensitivity.value
    assert sensitivity.low < alone.sensitivity.low


# -- Whether a result has a weight ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dilution_mg_ml": None}, "no-dilution"),
        ({"expiry": "2026-11-21"}, "expired"),
        ({"expiry": ""}, "expiry-unknown"),
        ({"read_s": None}, "read-time-unknown"),
        ({"read_s": 60.0}, "read-time"),
        ({"read_s": 1200.0}, "read-time"),
        ({"result": "invalid"}, "invalid"),
        ({"target": "methamphetamine"}, "no-figures"),
        ({"target": "medetomidine"}, "no-figures"),
        ({"target": "unobtainium"}, "target-unknown"),
        ({"target": "xylazine", "brand": "BTNX"}, "brand-not-studied"),
        ({"target": "xylazine", "brand": ""}, "brand-unknown"),
        ({"brand": ""}, "brand-unknown"),
        ({"brand": "Acme"}, "brand-not-studied"),
        ({"target": "benzodiazepine", "brand": ""}, "brand-unknown"),
    ],
)
def test_no_ratio_where_nothing_published_holds(
    library: ReferenceLibrary, change: dict[str, Any], code: str
) -> None:
    found = weighed(library, replace(GOOD, **change), named=["lactose"])
    assert (found.ratio, found.low, found.high, found.source) == (None, None, None, ())
    assert code in found.codes


def test_the_last_day_counts(library: ReferenceLibrary) -> None:
    assert weighed(library, replace(GOOD, expiry="2026-11-22"), named=["lactose"]).ratio is not None


def test_a_good_test_has_a_ratio_with_interval_and_source(library: ReferenceLibrary) -> None:
    found = weighed(library, GOOD, named=["lactose"])
    assert found.ratio is not None
    assert found.low is not None
    assert found.high is not None
    # Half a case more on either side: 128.5 of 131 with it, 23.5 of 214 without.
    assert found.ratio == pytest.approx(8.93, abs=0.01)
    assert found.low < found.ratio < found.high
    assert any("PMC9588631" in s for s in found.source)
    assert re.search(r"about 8\.9 \(", " ".join(found.reasons))


def test_figures_of_no_stated_brand_say_so(library: ReferenceLibrary) -> None:
    found = weighed(library, replace(GOOD, target="benzodiazepine", brand="Acme"), named=["lactose"])
    assert found.ratio == pytest.approx(0.67 / 0.18)
    assert "brand-of-figures-unknown" in found.codes


def test_the_first_reason_is_how_strip_and_spectrum_compare(library: ReferenceLibrary) -> None:
    strong = replace(GOOD, dilution_mg_ml=2.0)
    assert weighed(library, strong, named=["methamphetamine"]).codes[:2] == (
        "positive-only",
        "cross-reactant",
    )
    undecided = weighed(library, GOOD, kind=K.INCONCLUSIVE, named=["fentanyl"])
    assert undecided.codes[:2] == ("positive-only", "positive-possible")


def test_a_negative_result_speaks_against(library: ReferenceLibrary) -> None:
    found = weighed(library, replace(GOOD, result="neg"), named=["lactose"])
    assert found.ratio is not None
    assert found.high is not None
    assert found.ratio < found.high < 1


def test_a_negative_strip_in_a_thin_solution_has_no_weight(library: ReferenceLibrary) -> None:
    # 200 ng/mL of 0.005 mg/mL is 4 % of the sample.
    thin = replace(GOOD, result="neg", dilution_mg_ml=0.005)
    found = weighed(library, thin, named=["lactose"])
    assert found.ratio is None
    assert "too-dilute" in found.codes
    assert "4 %" in " ".join(found.reasons)
    assert weighed(library, replace(thin, result="pos"), named=["lactose"]).ratio is not None


@pytest.mark.parametrize("slug", ["methamphetamine", "mdma", "diphenhydramine", "lidocaine"])
def test_a_known_cross_reactant_takes_the_weight_of_a_positive_strip(
    library: ReferenceLibrary, slug: str
) -> None:
    found = weighed(library, replace(GOOD, dilution_mg_ml=2.0), named=[slug])
    assert found.ratio == 1
    assert "cross-reactant" in found.codes
    assert library.compound(slug).name in " ".join(found.reasons)
    assert found.conflict
    assert found.escalate


def test_dilution_below_the_limit_gives_the_weight_back(library: ReferenceLibrary) -> None:
    strong = weighed(library, replace(GOOD, dilution_mg_ml=1.0), named=["methamphetamine"])
    dilute = weighed(library, replace(GOOD, dilution_mg_ml=0.99), named=["methamphetamine"])
    assert strong.ratio == 1
    assert dilute.ratio == pytest.approx(8.93, abs=0.01)
    assert "cross-reactant" not in dilute.codes


def test_a_strong_solution_may_hold_an_unseen_cross_reactant(library: ReferenceLibrary) -> None:
    strong = weighed(library, replace(GOOD, dilution_mg_ml=4.0), named=["lactose"])
    assert strong.low == 1
    assert "too-strong" in strong.codes
    weak = weighed(library, GOOD, named=["lactose"])
    assert weak.low is not None
    assert weak.low > 1


def test_caffeine_takes_the_weight_of_a_nitazene_strip(library: ReferenceLibrary) -> None:
    nitazene = replace(GOOD, target="nitazene", dilution_mg_ml=0.4)
    assert weighed(library, nitazene, named=["caffeine"]).ratio == 1
    found = weighed(library, replace(nitazene, dilution_mg_ml=0.1), named=["caffeine"])
    assert found.ratio is not None
    assert found.ratio > 10
    # 93 of 93 were right: no upper bound, which JSON has no number for.
    assert found.high == math.inf
    assert found.to_dict()["high"] is None
    assert "ratio-at-least" in found.codes


def test_a_known_miss_takes_the_weight_of_a_negative_strip(library: ReferenceLibrary) -> None:
    found = weighed(library, replace(GOOD, result="neg"), named=["carfentanil"])
    assert found.ratio == 1
    assert found.conflict
    assert "negative-known-miss" in found.codes
    assert "Carfentanil" in " ".join(found.reasons)


def test_an_analogue_is_judged_by_the_figures_on_analogues(library: ReferenceLibrary) -> None:
    negative = replace(GOOD, result="neg")
    parent = weighed(library, negative, named=["fentanyl"])
    analogue = weighed(library, negative, kind=K.FAMILY, families=[FAMILY])
    assert parent.ratio is not None
    assert analogue.ratio is not None
    # Standards of 251 synthetic opioids: 173 seen.
    assert analogue.ratio > 10 * parent.ratio
    assert analogue.ratio == pytest.approx((1 - 173.5 / 252) / (190.5 / 214), rel=1e-6)


# -- Strip and spectrum --------------------------------------------------------------------------------------

NOTHING_SHOWN: dict[str, Any] = {"named": ["lactose"], "shares": {FAMILY: 0.12}}
PAIRS: list[tuple[str, str, dict[str, Any], bool, str]] = [
    ("positive, shown", "pos", {"named": ["fentanyl"]}, False, "both-show"),
    ("positive, an analogue shown", "pos", {"named": ["acetylfentanyl"]}, False, "both-show"),
    ("positive, class shown", "pos", {"kind": K.FAMILY, "families": [FAMILY]}, False, "both-show"),
    (
        "positive, alarm beside",
        "pos",
        {"kind": K.MIXTURE, "named": ["lactose"], "families": [FAMILY]},
        False,
        "both-show",
    ),
    ("positive, spectrum sees less", "pos", NOTHING_SHOWN, True, "complementary"),
    ("positive, spectrum's limit unknown", "pos", {"named": ["lactose"]}, True, "positive-only"),
    (
        "positive, spectrum sees more",
        "pos",
        {"named": ["lactose"], "shares": {FAMILY: 0.0001}},
        True,
        "positive-only",
    ),
    (
        "positive, undecided",
        "pos",
        {"kind": K.INCONCLUSIVE, "named": ["fentanyl"]},
        True,
        "positive-possible",
    ),
    ("positive, no match", "pos", {"kind": K.NO_MATCH}, True, "positive-only"),
    ("positive, poor scan", "pos", {"kind": K.POOR_SIGNAL}, False, "positive-alone"),
    ("positive, no scan", "pos", {}, False, "positive-alone"),
    ("negative, shown", "neg", {"named": ["fentanyl"]}, True, "negative-only"),
    ("negative, class shown", "neg", {"kind": K.FAMILY, "families": [FAMILY]}, True, "negative-only"),
    ("negative, known miss shown", "neg", {"named": ["carfentanil"]}, True, "negative-known-miss"),
    ("negative, not shown", "neg", {"named": ["lactose"]}, False, "negative-excludes-nothing"),
    ("negative, poor scan", "neg", {"kind": K.POOR_SIGNAL}, False, "negative-alone"),
    ("invalid, shown", "invalid", {"named": ["fentanyl"]}, False, "invalid"),
    ("invalid, not shown", "invalid", {"named": ["lactose"]}, False, "invalid"),
]


@pytest.mark.parametrize(
    ("result", "found", "conflict", "code"), [p[1:] for p in PAIRS], ids=[p[0] for p in PAIRS]
)
def test_every_pair_of_strip_and_spectrum(
    library: ReferenceLibrary, result: Any, found: dict[str, Any], conflict: bool, code: str
) -> None:
    said = weighed(library, replace(GOOD, result=result), **found)
    assert (said.conflict, code in said.codes) == (conflict, True), said.codes
    assert said.escalate is (conflict or result == "pos")
    assert len(said.codes) == len(said.reasons)


@pytest.mark.parametrize(("result", "found"), [p[1:3] for p in PAIRS], ids=[p[0] for p in PAIRS])
def test_sentences_in_both_languages(library: ReferenceLibrary, result: Any, found: dict[str, Any]) -> None:
    test = replace(GOOD, result=result)
    english, spanish = weighed(library, test, **found), weighed(library, test, "es", **found)
    assert (english.codes, english.ratio) == (spanish.codes, spanish.ratio)
    for sentence in (*english.reasons, *spanish.reasons):
        assert sentence.endswith(".")
        assert "{" not in sentence
        assert not re.search(r"\b(absent|safe|not there|no está presente|seguro)\b", sentence)


def test_a_positive_strip_where_the_spectrum_sees_less_is_no_contradiction_and_says_so(
    library: ReferenceLibrary,
) -> None:
    found = weighed(library, GOOD, **NOTHING_SHOWN)
    sentence = found.reasons[found.codes.index("complementary")]
    assert "no contradiction" in sentence
    # 200 ng/mL of 0.5 mg/mL is 0.04 % of the sample.
    assert "0.04 %" in sentence
    assert "12 %" in sentence
    assert found.escalate


def test_a_conflict_keeps_the_weight_as_it_is(library: ReferenceLibrary) -> None:
    """Nothing is averaged: the ratio is that of the strip alone."""
    against, alone = weighed(library, GOOD, **NOTHING_SHOWN), weighed(library, GOOD)
    assert against.ratio == alone.ratio


def test_an_expired_strip_that_is_positive_still_escalates(library: ReferenceLibrary) -> None:
    found = weighed(library, replace(GOOD, expiry="2020-01-01"), named=["lactose"])
    assert found.conflict
    assert found.escalate
    assert found.ratio is None


def test_the_better_of_two_scans_sets_the_limit(library: ReferenceLibrary) -> None:
    scans = [scanned(library, named=["lactose"], shares={FAMILY: s}) for s in (0.5, 0.0002)]
    found = weigh(GOOD, scans, library, on=TODAY, catalog=catalog())
    assert "positive-only" in found.codes


# -- Records -------------------------------------------------------------------------------------------------


def test_a_test_goes_through_its_record() -> None:
    test = replace(GOOD, photo_sha256="f" * 64)
    record = json.loads(json.dumps(test.to_dict()))
    assert set(record) == {
        "target", "brand", "lot", "expiry", "cutoff_ng_ml", "dilution_mg_ml", "read_s", "result", "photo",
    }  # fmt: skip
    assert StripTest.from_dict({**record, "evidence": {"any": 1}}) == test
    with pytest.raises(InputError, match="dilution_mg_ml"):
        StripTest.from_dict({k: v for k, v in record.items() if k != "dilution_mg_ml"})


@pytest.mark.parametrize(
    "change",
    [
        {"target": " "},
        {"result": "maybe"},
        {"expiry": "31.12.2027"},
        {"dilution_mg_ml": 0.0},
        {"dilution_mg_ml": -1.0},
        {"cutoff_ng_ml": float("nan")},
        {"read_s": float("inf")},
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        replace(GOOD, **change)


def test_evidence_is_plain(library: ReferenceLibrary) -> None:
    for found in (weighed(library, GOOD, **NOTHING_SHOWN), weighed(library, replace(GOOD, result="invalid"))):
        record = found.to_dict()
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert record["presumptive"] is True


@pytest.mark.parametrize(
    ("printed", "key"),
    [
        ("Fentanyl", "fentanyl"),
        ("FYL", "fentanyl"),
        ("Fentanyl test strip 20 ng/mL", "fentanyl"),
        ("fentanilo", "fentanyl"),
        ("BZO", "benzodiazepine"),
        ("xilacina", "xylazine"),
        ("nitazenes", "nitazene"),
        ("MET", "methamphetamine"),
    ],
)
def test_targets_go_by_what_is_printed(printed: str, key: str) -> None:
    target = target_of(printed)
    assert target is not None
    assert target.key == key


def test_a_strip_for_two_things_is_none_of_them() -> None:
    assert target_of("fentanyl xylazine combo") is None
