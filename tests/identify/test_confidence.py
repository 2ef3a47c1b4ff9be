"""Calibrated confidence: against theory, against scikit-learn, and the rules for names one by one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid import ReferenceLibrary, Spectrum
from spectralid.errors import InputError, ParameterError, UnreadableFileError
from spectralid.identify import analyse
from spectralid.identify.analysis import METHOD as METHOD_OF_THE_ENGINE
from spectralid.identify.analysis import Analysis
from spectralid.identify.confidence import (
    SOMETHING_ELSE,
    Confidence,
    ConfidenceRecord,
    apply,
    conformal_set,
    label_chances,
    load_record,
)
from spectralid.identify.confidence_fit import Labelled, conformal_quantile, fit
from spectralid.identify.confidence_record import Model
from spectralid.identify.features import features
from spectralid.identify.reliability import (
    brier,
    cluster_interval,
    expected_calibration_error,
    reliability_bins,
)
from spectralid.library import Compound, Tier
from spectralid.spectrum import Technique
from tests.identify.builders import GRID, library, raman, substance, with_noise

METHOD = "some-fit/1"
ANY = "any instrument"


def component(slug: str = "a", *, odds: float = 6.0, **changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "compound_slug": slug,
        "tier": "measured",
        "share": 0.5,
        "share_low": 0.45,
        "share_high": 0.55,
        "probability": 1 / (1 + math.exp(-odds)),
        "equivalent": [],
        "bands": {"positions_cm1": [500.0, 900.0], "ratios": [1.0, 0.9], "sd": [0.1, 0.1], "missing_cm1": []},
        "holds": True,
        "gain": odds,
        "rivals": [],
    }
    return plain | changes


def analysis(*components: dict[str, Any], number: int = 0, **changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "spectrum_sha256": f"spectrum {number}",
        "method": METHOD,
        "instrument": ANY,
        "components": list(components),
        "log_odds": sum(c["gain"] for c in components),
        "shift_cm1": 0.5,
        "unexplained": [],
    }
    return plain | changes


def world(n: int, seed: int, technique: Technique = Technique.RAMAN, instrument: str = ANY) -> list[Labelled]:
    """Analyses whose odds overstate fourfold how often they are right; rivals of low cost are the truth."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        parts, true = [], set()
        for slug in ("a", "b")[: int(rng.integers(1, 3))]:
            odds = rng.normal(1.0, 2.0)
            cost = float(rng.exponential(3.0))
            parts.append(component(slug, odds=4 * odds, rivals=[[f"{slug}-rival", cost]]))
            if rng.random() < 1 / (1 + math.exp(-odds)):
                true.add(slug)
            elif rng.random() < math.exp(-cost):
                true.add(f"{slug}-rival")
        plain = analysis(
            *parts, number=i + 10**6 * seed, shift_cm1=float(rng.normal()), instrument=instrument
        )
        out.append(Labelled(plain, technique, frozenset(true), unknown=bool(rng.random() < 0.5)))
    return out


def fitted(examples: list[Labelled], **how: Any) -> ConfidenceRecord:
    return fit(examples, version="1", created="2026-11-22", made_from={"seeds": [1]}, **how)


@pytest.fixture(scope="module")
def record() -> ConfidenceRecord:
    return fitted(world(1500, 1))


def judge(plain: dict[str, Any] | Analysis, record: ConfidenceRecord, **how: Any) -> Confidence:
    return apply(plain, record, **({"technique": Technique.RAMAN} | how))


def answers(record: ConfidenceRecord, examples: list[Labelled]) -> list[tuple[float, float, bool, bool, int]]:
    """Stated probability, probability before, whether right, whether in the set, and number of the scan."""
    return [
        (
            c.probability,
            plain["probability"],
            e.real(plain) == plain["compound_slug"],
            e.real(plain) in c.conformal_set,
            i,
        )
        for i, e in enumerate(examples)
        for c, plain in zip(judge(e.analysis, record).components, e.analysis["components"], strict=True)
        if c.probability is not None
    ]


# --- probabilities


def test_probabilities_are_right_as_often_as_they_say_on_scans_never_seen(record: ConfidenceRecord) -> None:
    p, before, right, _, _ = (np.array(x) for x in zip(*answers(record, world(1500, 2)), strict=True))
    # Chance alone gives 0.02 on so many; the engine's own numbers, overstated fourfold, are far worse.
    assert expected_calibration_error(p, right) < 0.04
    assert expected_calibration_error(p, right, adaptive=True) < 0.04
    assert expected_calibration_error(before, right) > 0.08
    assert brier(p, right) < brier(before, right)


def test_log_odds_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    examples = [e for e in world(600, 3) if len(e.analysis["components"]) == 1]
    model, _ = fitted(examples).find("component", "raman", ANY, "one") or pytest.fail("no model")
    given = [features(e.analysis).components[0] for e in examples]
    values = np.array([[g[n] for n in model.names] for g in given])
    right = [e.real(e.analysis["components"][0]) == "a" for e in examples]
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(values, right)
    inside = np.abs(peer[0].transform(values)).max(axis=1) < 4
    assert inside.mean() > 0.9
    assert model.log_odds_of(values)[inside] == pytest.approx(
        peer.decision_function(values)[inside], abs=1e-6
    )


def test_no_probability_is_ever_certain(record: ConfidenceRecord) -> None:
    for odds in (-1e4, 1e4):
        chance = judge(analysis(component(odds=min(max(odds, -30), 30), gain=odds)), record).components[0]
        assert chance.probability is not None
        assert 0.0 < chance.probability < 1.0


def test_more_evidence_never_lowers_a_probability(record: ConfidenceRecord) -> None:
    chances = [
        judge(analysis(component(odds=o)), record).components[0].probability for o in range(-20, 21, 2)
    ]
    assert chances == sorted(chances)
    assert chances[0] < chances[-1]


def test_what_the_scan_as_a_whole_may_be_sums_to_one(record: ConfidenceRecord) -> None:
    told = judge(analysis(component(odds=0.3)), record)
    assert told.explained is not None
    assert told.nothing is not None
    assert told.insufficient is not None
    assert told.unknown is not None
    assert told.explained + told.nothing + told.insufficient == pytest.approx(1.0)
    assert told.unknown >= told.nothing


def test_without_anything_to_compare_nothing_is_claimed(record: ConfidenceRecord) -> None:
    told = judge(analysis(log_odds=None), record)
    assert (told.components, told.nothing, told.unknown) == ((), None, None)


# --- conformal sets


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_coverage_of_exchangeable_scores_is_what_theory_says(level: float) -> None:
    rng = np.random.default_rng(4)
    n, rounds = 99, 4000
    scores = rng.gamma(2.0, size=(rounds, n + 1))
    covered = sum(bool(row[-1] <= conformal_quantile(row[:-1], level)) for row in scores)
    expected = math.ceil((n + 1) * level) / (n + 1)
    assert covered / rounds == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / rounds))


def test_weights_stand_for_as_many_cases() -> None:
    rng = np.random.default_rng(15)
    scores, counts = rng.random(60), rng.integers(1, 5, 60)
    repeated = conformal_quantile(np.repeat(scores, counts), 0.9)
    assert conformal_quantile(scores, 0.9, 3 * np.ones(60)) == conformal_quantile(scores, 0.9)
    # A new case stands for the mean weight, not for one: at most the next score up.
    ordered = np.sort(scores)
    assert (
        0
        <= np.searchsorted(ordered, conformal_quantile(scores, 0.9, counts))
        - np.searchsorted(ordered, repeated)
        <= 1
    )


def test_heavy_examples_are_what_probabilities_go_by() -> None:
    rng = np.random.default_rng(16)

    def scan(number: int, share: float, weight: float) -> Labelled:
        true = frozenset({"a"} if rng.random() < share else ())
        plain = analysis(component(odds=float(rng.normal())), number=number)
        return Labelled(plain, Technique.RAMAN, true, unknown=False, weight=weight)

    many, few = [scan(i, 0.9, 1.0) for i in range(600)], [scan(i, 0.3, 1.0) for i in range(600, 700)]
    heavy = [replace(e, weight=6.0) for e in few]
    plain, tilted = (
        judge(analysis(component(odds=0.0)), fitted(given)).components[0].probability
        for given in (many + few, many + heavy)
    )
    assert plain == pytest.approx((600 * 0.9 + 100 * 0.3) / 700, abs=0.05)
    assert tilted == pytest.approx((600 * 0.9 + 600 * 0.3) / 1200, abs=0.06)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.floats(0.5, 0.99))
def test_the_quantile_leaves_no_more_above_it_than_allowed(scores: list[float], level: float) -> None:
    q = conformal_quantile(scores, level)
    if math.isinf(q):
        assert len(scores) < level / (1 - level) + 1e-9
    else:
        assert sum(s <= q for s in scores) >= (len(scores) + 1) * level - 1e-9
        assert sum(s < q for s in scores) < (len(scores) + 1) * level


def test_sets_hold_the_truth_as_often_as_promised_in_every_group(record: ConfidenceRecord) -> None:
    examples = world(2500, 5)
    for size in (1, 2):
        own = [e for e in examples if len(e.analysis["components"]) == size]
        covered = np.array([inside for *_, inside, _ in answers(record, own)])
        # Above the promise only by what ties and the likeliest entry, always a member, bring.
        assert 0.95 - 4 * math.sqrt(0.95 * 0.05 / covered.size) < covered.mean() < 0.985


def test_a_close_rival_is_in_the_set_and_a_distant_one_is_not(record: ConfidenceRecord) -> None:
    close, distant = (
        judge(analysis(component(odds=-2.0, rivals=[["b", cost]])), record).components[0]
        for cost in (0.0, 30.0)
    )
    assert "b" in close.conformal_set
    assert "b" not in distant.conformal_set
    assert SOMETHING_ELSE in distant.conformal_set


@given(st.floats(0, 1), st.lists(st.floats(0, 40), max_size=6), st.floats(-3, 3), st.floats(-3, 3))
def test_chances_of_labels_sum_to_one(p: float, costs: list[float], a: float, b: float) -> None:
    chances = label_chances(component(rivals=[[f"r{i}", c] for i, c in enumerate(costs)]), p, (a, b))
    assert sum(chances.values()) == pytest.approx(1.0)
    assert min(chances.values()) >= 0
    assert chances["a"] == p


def test_a_set_is_never_empty() -> None:
    assert conformal_set({"a": 0.4, "b": 0.35, SOMETHING_ELSE: 0.25}, 0.1) == ("a",)
    assert conformal_set({"a": 0.4, "b": 0.35, SOMETHING_ELSE: 0.25}, 0.7) == ("a", "b")


# --- rules for names


def sure(**changes: Any) -> ConfidenceRecord:
    """A record whose probability is 0.99 at odds of 6, 0.5 at 0; a rival at no cost has half of the rest."""
    model = Model(
        names=("presence",),
        centre=(0.0,),
        scale=(1.0,),
        weights=(1.0,),
        intercept=0.0,
        slope=1.0,
        offset=0.0,
        knots=(0.0, math.asinh(6.0)),
        chances=(0.5, 0.99),
        scans=1000,
        cases=1000,
        events=500,
        quantile=0.6,
        rival=(0.0, -1.0),
    )
    models = {"component": {"raman/*/*": replace(model, **changes)}}
    return ConfidenceRecord("1", "2026-11-22", METHOD, {}, 0.95, 0.95, models)


def test_what_meets_every_rule_is_named() -> None:
    told = judge(analysis(component()), sure())
    assert told.named == ("a",)
    assert told.components[0].reasons == ()


@pytest.mark.parametrize(
    ("plain", "word"),
    [
        (analysis(component(odds=3.0)), "probability"),
        (analysis(component(holds=False)), "bands"),
        (analysis(component(tier="computed")), "computed"),
        (
            analysis(component(), unexplained=[{"position_cm1": 900.0, "share": 0.1, "z": 9.0}]),
            "not explained",
        ),
    ],
)
def test_what_breaks_one_rule_is_not_named_and_the_reason_is_told(plain: dict[str, Any], word: str) -> None:
    told = judge(plain, sure())
    assert told.named == ()
    assert len(told.components[0].reasons) == 1
    assert word in told.components[0].reasons[0]


def test_a_set_of_two_withholds_the_name() -> None:
    told = judge(analysis(component(rivals=[["b", 0.0]])), sure(quantile=0.996))
    assert told.components[0].conformal_set == ("a", "b", SOMETHING_ELSE)
    assert told.named == ()
    assert "b" in told.components[0].reasons[0]


def test_what_cannot_be_told_apart_is_named_together() -> None:
    told = judge(analysis(component(equivalent=["a-twin"], rivals=[["a-twin", 0.1]])), sure())
    assert told.named == ("a",)
    assert told.components[0].conformal_set == ("a", "a-twin")


def test_a_literature_reference_may_name() -> None:
    assert judge(analysis(component(tier="literature")), sure()).named == ("a",)


# --- groups


def test_the_nearest_group_is_taken_and_a_broader_one_is_stated() -> None:
    ours = fitted([*world(500, 6, instrument="ours"), *world(60, 7, instrument="rare")])
    assert judge(analysis(component()), ours, instrument="ours").group == "raman/ours/one"
    assert judge(analysis(component()), ours, instrument="ours").assumptions == ()
    other = judge(analysis(component()), ours, instrument="theirs")
    assert other.group == "raman/*/one"
    assert "'theirs'" in other.assumptions[0]


def test_a_technique_without_a_calibration_is_not_calibrated(record: ConfidenceRecord) -> None:
    told = judge(analysis(component()), record, technique=Technique.FTIR_ATR)
    assert not told.calibrated
    assert told.named == ()
    assert told.components[0].probability is None
    assert "not calibrated" in told.assumptions[0]


def test_infrared_techniques_are_one_group() -> None:
    infrared = fitted(world(400, 8, Technique.FTIR_ATR))
    assert judge(analysis(component()), infrared, technique=Technique.FTIR_TRANSMISSION).calibrated
    assert not judge(analysis(component()), infrared, technique=Technique.RAMAN).calibrated


def test_a_family_raises_the_alarm_above_its_own_threshold() -> None:
    examples = world(900, 9)
    marked = [
        replace(e, families=frozenset({"watched"} & ({"watched"} if "b" in e.true else set())))
        for e in examples
    ]
    record = fitted(marked, families={"b": "watched"})
    numbers = record.families["watched"]
    assert numbers["negatives"] == sum("b" not in e.true for e in examples)
    assert 0.05 <= numbers["threshold"] <= record.name_at
    both = analysis(component("a", odds=20.0), component("b", odds=20.0))
    assert judge(both, record, families={"b": "watched"}).alarms == ("watched",)
    assert judge(both, record, families={}).alarms == ()
    weak = analysis(component("a", odds=20.0), component("b", odds=-20.0))
    assert judge(weak, record, families={"b": "watched"}).alarms == ()


# --- the record


def test_the_same_analysis_and_record_give_the_same_answer_from_a_file(
    record: ConfidenceRecord, tmp_path: Path
) -> None:
    record.write(tmp_path / "record.json")
    again = load_record(tmp_path / "record.json")
    assert again == record
    assert again.sha256 == record.sha256
    plain = world(1, 10)[0].analysis
    first = judge(dict(plain), record)
    assert judge(json.loads(json.dumps(plain)), again) == first
    assert json.loads(json.dumps(first.to_dict())) == first.to_dict()
    assert first.record_sha256 == record.sha256


def test_the_order_of_the_examples_does_not_matter() -> None:
    examples = world(300, 14)
    plain = world(1, 10)[0].analysis
    mine, theirs = (
        judge(dict(plain), fitted(given)).components[0] for given in (examples, list(reversed(examples)))
    )
    assert mine.probability == pytest.approx(theirs.probability, abs=1e-4)


@pytest.mark.parametrize(
    ("old", "new"), [('"version": "1"', '"version": "2"'), ('"level": 0.95', '"level": 0.9')]
)
def test_a_changed_record_is_refused(record: ConfidenceRecord, tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "record.json"
    record.write(file)
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match="changed after it was made"):
        load_record(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": "", "record": {"schema": "x"}}', "\x00"])
def test_what_is_no_record_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "record.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableFileError, match="record"):
        load_record(file)
    with pytest.raises(UnreadableFileError, match=r"nowhere\.json"):
        load_record(tmp_path / "nowhere.json")


def test_a_record_for_another_method_is_refused(record: ConfidenceRecord) -> None:
    with pytest.raises(InputError, match=r"some-fit/1.*other-fit/2"):
        judge(analysis(component(), method="other-fit/2"), record)


def test_an_analysis_that_says_too_little_is_refused(record: ConfidenceRecord) -> None:
    plain = analysis(component())
    del plain["components"][0]["gain"]
    plain["log_odds"] = 6.0
    with pytest.raises(InputError, match="gain"):
        judge(plain, record)


def test_examples_of_two_methods_do_not_make_a_record() -> None:
    examples = world(5, 11)
    strange = replace(examples[0], analysis={**examples[0].analysis, "method": "other"})
    with pytest.raises(ParameterError, match="one method"):
        fitted([strange, *examples])
    with pytest.raises(ParameterError, match="one method"):
        fitted([])


# --- with the engine


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    entries = [
        (Compound(f"substance-{i}", f"Substance {i}"), raman(substance(GRID, i)), Tier.MEASURED)
        for i in range(12)
    ]
    return library(tmp_path_factory.mktemp("library"), entries)


def scan(seed: int) -> Spectrum:
    return raman(with_noise(1000 * substance(GRID, seed) + 300, 5.0, seed=1))


def test_the_record_that_comes_with_it_was_made_for_this_engine() -> None:
    held = load_record()
    assert held.method == METHOD_OF_THE_ENGINE
    assert held.made_from["substances"]
    for technique in ("raman", "infrared"):
        for event in ("component", "nothing", "unknown_beside"):
            assert f"{technique}/*/*" in held.models[event]


def test_an_analysis_of_the_engine_is_judged(small: ReferenceLibrary) -> None:
    known, stranger = (judge(analyse(scan(seed), small), load_record()) for seed in (3, 500))
    assert known.components[0].compound_slug == "substance-3"
    assert known.components[0].probability is not None
    assert known.components[0].probability > 0.5
    assert stranger.named == ()
    assert known.nothing is not None
    assert stranger.nothing is not None
    assert known.nothing < 0.5 < stranger.nothing


# --- measures


def test_calibration_error_of_known_cases() -> None:
    assert expected_calibration_error([0.0, 1.0, 1.0], [False, True, True]) == 0.0
    assert expected_calibration_error([0.5, 0.5], [True, True]) == 0.5
    # A quarter of the cases off by 0.4, the others by 0.1.
    p, y = [0.4] + [0.9] * 3, [False] + [True] * 3
    assert expected_calibration_error(p, y, bins=2) == pytest.approx(0.25 * 0.4 + 0.75 * 0.1)


def test_bins_of_equal_count_keep_equal_probabilities_together() -> None:
    p = np.array([0.1] * 5 + [0.2, 0.3, 0.4, 0.5, 0.6])
    found = reliability_bins(p, p > 0.25, bins=5, adaptive=True)
    assert [b.count for b in found] == [5, 1, 2, 2]
    assert sum(b.count * b.stated for b in found) == pytest.approx(p.sum())


def test_brier_and_calibration_error_of_honest_probabilities() -> None:
    rng = np.random.default_rng(12)
    p = rng.random(20_000)
    y = rng.random(p.size) < p
    assert brier(p, y) == pytest.approx(1 / 6, abs=0.01)
    assert expected_calibration_error(p, y) < 0.02
    assert expected_calibration_error(p**2, y) == pytest.approx(1 / 6, abs=0.02)


def test_an_interval_over_clusters_is_as_wide_as_the_clusters_are_few() -> None:
    rng = np.random.default_rng(13)
    values = np.repeat(rng.normal(size=50), 20)
    low, high = cluster_interval(
        lambda x: float(x.mean()), (values,), np.repeat(np.arange(50), 20), draws=400
    )
    alone = cluster_interval(lambda x: float(x.mean()), (values,), np.arange(1000), draws=400)
    assert low < values.mean() < high
    # √20 times as wide, because repeats of a cluster tell nothing new.
    assert (high - low) / (alone[1] - alone[0]) == pytest.approx(math.sqrt(20), rel=0.25)
