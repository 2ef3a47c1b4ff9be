"""What instrument, library, clock, chance and language add to a verdict, and what a policy makes of them."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectralid.cli
import spectralid.verdict
from spectralid.errors import ParameterError
from spectralid.identify import Identification, SignalQuality
from spectralid.identify.checks import UnexplainedBand
from spectralid.library import ReferenceLibrary
from spectralid.spectrum import Technique
from spectralid.verdict import Alarm, Circumstances, Policy, Verdict, VerdictKind, decide, default_policy
from spectralid.verdict.catalog import Catalog, claims_too_much
from tests.verdict.test_rules_for_names import member, part, result, shelf, sure

__all__ = ["shelf"]

BANDS = (UnexplainedBand(1333.0, 0.1, 8.0), UnexplainedBand(777.0, 0.1, 7.0))


def by(policy: Policy, **escalation: Any) -> Policy:
    """A policy with other rules of escalation; no sample for quality control unless asked for."""
    return replace(policy, escalation=replace(policy.escalation, **({"qa_rate": 0.0} | escalation)))


QUIET = by(default_policy())


def plain(shelf: ReferenceLibrary) -> Identification:
    return result(shelf, part("flour"))


def cases(shelf: ReferenceLibrary) -> dict[str, Identification]:
    """One result for each kind of verdict, and more."""
    alpha, bag, flour, sugar = part("alpha"), part("pe", 0.1), part("flour", 0.6), part("sugar", 0.3)
    wrong = part("flour", holds=False)
    noise = SignalQuality(1.0, 5.0, 900.0, 5.0, 0, (200.0, 600.0), 0.0, ("short_range", "low_snr"), ())
    none = replace(plain(shelf), analysis=None, confidence=None, candidates=())
    shares = {"nitazene": 0.06, "amphetamine": 1.0}
    return {
        "identified": result(shelf, part("flour"), shares=shares, context={"container": "glass"}),
        "equivalent": result(shelf, part("sugar", equivalent=("icing",))),
        "carrier": result(shelf, part("pe")),
        "opioid": result(shelf, alpha),
        "mixture": result(shelf, bag, flour, sugar, judged=(sure(bag), sure(flour), sure(sugar, 0.6))),
        "beside": result(shelf, flour, families=(member("fentanyl-related"),)),
        "family": result(shelf, alpha, judged=(sure(alpha, among=("alpha", "beta")),)),
        "alarm": result(shelf, wrong, alarms=("nitazene",), chances=(("nitazene", 0.4),)),
        "unexplained": result(shelf, part("flour"), unexplained=BANDS),
        "several": result(shelf, flour, sugar, unexplained=BANDS),
        "doubt": result(shelf, part("flour"), judged=(sure(part("flour"), 0.5, ("flour", "sugar")),)),
        "no match": result(shelf, wrong, judged=(sure(wrong, 0.01),), unexplained=BANDS, nothing=0.98),
        "nothing": result(shelf, judged=(), nothing=0.2),
        "weak": result(shelf, wrong, judged=(sure(wrong, 0.1),), insufficient=0.9),
        "poor": replace(plain(shelf), quality=noise),
        "poor infrared": replace(plain(shelf), quality=noise, technique=Technique.FTIR_ATR),
        "not comparable": none,
        "uncalibrated": replace(result(shelf, flour, sugar, log_odds=-1.0), confidence=None),
    }  # fmt: skip


# Instrument.


def test_of_an_instrument_nobody_knows_about_nothing_is_said(shelf: ReferenceLibrary) -> None:
    assert decide(plain(shelf), shelf, circumstances=Circumstances()) == decide(plain(shelf), shelf)
    passed = decide(plain(shelf), shelf, circumstances=Circumstances(instrument_check="passed"))
    assert passed == decide(plain(shelf), shelf)
    assert "verified" not in passed.words.lower()


@pytest.mark.parametrize(
    ("action", "kind", "escalated"),
    [
        ("mark", VerdictKind.IDENTIFIED, False),
        ("escalate", VerdictKind.IDENTIFIED, True),
        ("withhold", VerdictKind.INCONCLUSIVE, True),
    ],
)
@pytest.mark.parametrize("check", ["failed", "skipped"])
def test_an_instrument_that_is_not_verified(
    shelf: ReferenceLibrary, check: Any, action: str, kind: VerdictKind, escalated: bool
) -> None:
    policy = by(QUIET, **{f"instrument_{check}": action})
    told = decide(plain(shelf), shelf, policy=policy, circumstances=Circumstances(instrument_check=check))
    assert told.kind is kind
    assert told.escalate is escalated
    assert ("instrument_not_verified" in told.escalation) is escalated
    assert told.words.startswith("INSTRUMENT NOT VERIFIED. ")
    assert "instrument-not-verified" in told.codes
    assert told.reasons[0].startswith("Instrument not verified: ")
    # What is dangerous stays so however little the instrument is to be trusted.
    opioid = decide(
        result(shelf, part("alpha")),
        shelf,
        policy=policy,
        circumstances=Circumstances(instrument_check=check),
    )
    assert opioid.alarm is Alarm.DANGER
    assert any("Ultra-potent opioid" in line for line in opioid.precautions)


def test_by_default_a_failed_instrument_names_nothing_and_a_skipped_check_escalates(
    shelf: ReferenceLibrary,
) -> None:
    failed, skipped = (
        decide(plain(shelf), shelf, circumstances=Circumstances(instrument_check=check))
        for check in ("failed", "skipped")
    )
    assert failed.kind is VerdictKind.INCONCLUSIVE
    assert skipped.kind is VerdictKind.IDENTIFIED
    assert failed.escalate
    assert skipped.escalate


# Library, clock, officer, chance.


@pytest.mark.parametrize(("days", "old"), [(0, False), (180, False), (181, True)])
def test_an_old_library_escalates(shelf: ReferenceLibrary, days: int, old: bool) -> None:
    told = decide(plain(shelf), shelf, policy=QUIET, circumstances=Circumstances(library_age_days=days))
    assert told.escalation == (("library_old",) if old else ())
    assert f"The library is {days} days old." in told.evidence
    if old:
        assert "older than the 180 days" in told.reasons[-1]


@pytest.mark.parametrize(
    ("state", "said"), [(None, False), ("synced", False), ("drift", True), ("unsynced", True)]
)
def test_a_clock_that_is_not_confirmed_is_told(shelf: ReferenceLibrary, state: Any, said: bool) -> None:
    told = decide(plain(shelf), shelf, policy=QUIET, circumstances=Circumstances(clock_state=state))
    assert ("clock-not-trusted" in told.codes) is said
    assert any("clock of this device" in line for line in told.evidence) is said
    assert not told.escalate


def test_what_an_officer_asks_for_is_escalated_whatever_it_is(shelf: ReferenceLibrary) -> None:
    for name, found in cases(shelf).items():
        told = decide(found, shelf, policy=QUIET, circumstances=Circumstances(forced=True))
        assert told.escalate, name
        assert "forced" in told.escalation
        assert "escalate-forced" in told.codes


def test_the_sample_for_quality_control_has_its_rate_and_is_the_same_everywhere() -> None:
    hashes = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(20_000)]
    rules = default_policy().escalation
    assert rules.qa_rate == 0.02
    drawn = sum(map(rules.draws, hashes))
    # Four standard deviations of a binomial.
    assert abs(drawn - 400) < 4 * (20_000 * 0.02 * 0.98) ** 0.5
    assert not any(map(replace(rules, qa_rate=0.0).draws, hashes))
    assert all(map(replace(rules, qa_rate=1.0).draws, hashes))
    # Written down once, so that another version or machine draws the same.
    assert [i for i, h in enumerate(hashes[:300]) if rules.draws(h)] == DRAWN


DRAWN = [9, 55, 127, 263, 288, 291]


def test_only_what_nothing_else_escalates_is_drawn(shelf: ReferenceLibrary) -> None:
    always = by(QUIET, qa_rate=1.0)
    told = decide(plain(shelf), shelf, policy=always)
    assert told.escalation == ("qa_sample",)
    assert "as 100 % of results" in told.reasons[-1]
    for name, found in cases(shelf).items():
        told = decide(found, shelf, policy=always)
        assert ("qa_sample" in told.escalation) == (not decide(found, shelf, policy=QUIET).escalate) or (
            told.kind is VerdictKind.POOR_SIGNAL
        ), name
        if told.kind is VerdictKind.POOR_SIGNAL:
            assert not told.escalate


# Escalation by the policy.


def test_why_a_scan_is_escalated(shelf: ReferenceLibrary) -> None:
    said = {name: decide(found, shelf, policy=QUIET).escalation for name, found in cases(shelf).items()}
    assert said == {
        "identified": (),
        "equivalent": ("policy_high_hazard",),
        "carrier": (),
        "opioid": ("policy_high_hazard",),
        "mixture": ("uncertain",),
        "beside": ("policy_high_hazard", "uncertain"),
        "family": ("uncertain", "policy_high_hazard"),
        "alarm": ("uncertain", "policy_high_hazard"),
        "unexplained": ("uncertain",),
        "several": ("uncertain",),
        "doubt": ("uncertain",),
        "no match": ("no_match",),
        "nothing": ("uncertain",),
        "weak": (),
        "poor": (),
        "poor infrared": (),
        "not comparable": ("uncertain",),
        "uncalibrated": ("uncertain",),
    }


def test_an_agency_may_escalate_less_but_not_what_is_dangerous(shelf: ReferenceLibrary) -> None:
    least = by(QUIET, no_match=False, uncertain=False, alarm_from=Alarm.DANGER)
    said = {name: decide(found, shelf, policy=least) for name, found in cases(shelf).items()}
    assert {name for name, v in said.items() if v.escalate} == {"opioid", "beside", "family", "alarm"}
    # The alarm is not lowered by not asking anyone.
    assert said["no match"].alarm is said["doubt"].alarm is Alarm.UNKNOWN
    assert said["equivalent"].alarm is Alarm.WARNING
    most = by(QUIET, alarm_from=Alarm.NOTICE)
    assert decide(plain(shelf), shelf, policy=most).escalation == ("policy_high_hazard",)


def test_a_damaged_policy_is_told_in_every_verdict(shelf: ReferenceLibrary) -> None:
    policy = replace(QUIET, damaged="it was damaged")
    for name, found in cases(shelf).items():
        told = decide(found, shelf, policy=policy)
        assert told.codes[0] == "policy-damaged", name
        assert "policy is damaged" in told.reasons[0]


def test_families_an_agency_does_not_watch_raise_nothing(shelf: ReferenceLibrary) -> None:
    found = result(shelf, part("flour"), families=(member("amphetamine"),), shares={"amphetamine": 0.1})
    assert decide(found, shelf, policy=QUIET).kind is VerdictKind.MIXTURE
    unwatched = {f: h for f, h in QUIET.families.items() if f != "amphetamine"}
    told = decide(found, shelf, policy=replace(QUIET, families=unwatched))
    assert told.kind is VerdictKind.IDENTIFIED
    assert not any("mphetamine" in line for line in told.not_excluded)


# Language.


def test_the_same_verdict_in_every_language(shelf: ReferenceLibrary) -> None:
    kinds = set()
    for name, found in cases(shelf).items():
        english, spanish = (
            decide(found, shelf, language=language, circumstances=Circumstances("skipped", 200, "drift"))
            for language in ("en", "es")
        )
        kinds.add(english.kind)
        assert english.language == "en"
        assert spanish.language == "es"
        for field in ("kind", "alarm", "escalate", "named", "codes", "policy", "escalation", "cautions"):
            assert getattr(english, field) == getattr(spanish, field), name
        for field in ("precautions", "not_excluded", "evidence", "reasons", "advice"):
            assert len(getattr(english, field)) == len(getattr(spanish, field)), name
        assert english.headline != spanish.headline or name in ("identified", "carrier", "opioid")
        assert "PRESUNTIVO" in spanish.text().splitlines()[0]
        assert "presuntivo" in spanish.words
        assert max(map(len, spanish.text().splitlines())) <= 80
        assert not claims_too_much(spanish.text()), name
    assert kinds == set(VerdictKind)


def test_no_english_is_left_in_a_spanish_verdict(shelf: ReferenceLibrary) -> None:
    english = Catalog.load("en").texts
    spanish = Catalog.load("es").texts
    # The words of sentences that only English has.
    words, own = (
        {w for t in texts.values() for w in re.findall(r"[^\W\d_]{3,}", re.sub(r"\{\w+\}", " ", t.lower()))}
        for texts in (english, spanish)
    )
    words -= own
    assert len(words) > 300
    words -= {"test", "fit", "one", "sugar", "unknown"}
    for name, found in cases(shelf).items():
        found = replace(found, context={})
        told = decide(found, shelf, language="es", circumstances=Circumstances("failed", 200, "drift", True))
        said = re.sub(r"Alpha-fentanyl|Beta-fentanyl|Polyethylene|Ethanol|Flour|raman/\S+", " ", told.text())
        assert not words & set(re.findall(r"[^\W\d_]{3,}", said.lower())), name


def test_an_agencys_wording_is_what_officers_read(shelf: ReferenceLibrary) -> None:
    own = replace(QUIET, wording={"en": {"precaution.ultra-potent-opioid": "Call 555-0100."}})
    told = decide(result(shelf, part("alpha")), shelf, policy=own)
    assert told.precautions[0] == "Call 555-0100."
    assert told.cautions[0] == "ultra-potent-opioid"
    assert "Call 555-0100." in told.text()
    assert told.policy != decide(result(shelf, part("alpha")), shelf).policy


def test_a_language_the_policy_lacks_is_refused(shelf: ReferenceLibrary) -> None:
    with pytest.raises(ParameterError, match="one of en, es"):
        decide(plain(shelf), shelf, language="fr")


def test_no_text_is_there_that_nothing_says() -> None:
    folders = [Path(spectralid.verdict.__file__).parent, Path(spectralid.cli.__file__).parent]
    source = "".join(p.read_text(encoding="utf-8") for folder in folders for p in folder.glob("*.py"))
    of_data = ("precaution", "family", "category", "schedule", "assumption", "word", "context", "list")
    made = ("headword", "alarm", "problem", "advice", "evidence.tier_", "evidence.library_age", "text.")
    made += ("reason.instrument-check",)
    for key in Catalog.load().texts:
        if not key.startswith((*of_data, *made)):
            assert re.search(rf"""["'.]{re.escape(key.split(".", 1)[1])}["']""", source), key


# The record.


def test_a_verdict_says_by_what_it_was_decided_and_survives_pickling(shelf: ReferenceLibrary) -> None:
    for found in cases(shelf).values():
        told = decide(found, shelf, language="es")
        data = json.loads(json.dumps(told.to_dict(), allow_nan=False))
        assert data["policy"] == default_policy().title
        assert data["language"] == "es"
        assert data["escalate"] is bool(data["escalation"])
        assert set(data) >= {"codes", "cautions", "precautions", "presumptive", "schema"}
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in data["codes"])
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", caution) for caution in data["cautions"])
        again: Verdict = pickle.loads(pickle.dumps(told))
        assert again == told
        assert again.text() == told.text()


@pytest.mark.parametrize(
    "wrong", [{"instrument_check": "none"}, {"instrument_check": ""}, {"clock_state": "unknown"}]
)
def test_circumstances_refuse_words_of_their_own(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Circumstances(**wrong)


def test_nothing_of_numpy_gets_into_the_record(shelf: ReferenceLibrary) -> None:
    told = decide(plain(shelf), shelf, circumstances=Circumstances(library_age_days=3))
    for value in told.to_dict().values():
        assert not isinstance(value, np.generic)
