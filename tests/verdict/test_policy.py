"""The policy that comes with spectralid, and what it makes of every substance of the compound table."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import cache

import pytest

from spectralid import _bundled
from spectralid.errors import ParameterError
from spectralid.identify.families import FAMILIES, family_of
from spectralid.library import Compound
from spectralid.verdict import Alarm, Policy, default_policy
from spectralid.verdict.hazards import alarm_of, alarm_of_family, cautions, must_escalate, precautions
from spectralid.verdict.policy_file import FLOOR_HAZARDS, HAZARDS

LOUDER = [Alarm.NOTICE, Alarm.WARNING, Alarm.UNKNOWN, Alarm.DANGER]


@cache
def compounds() -> dict[str, Compound]:
    """The compound table that comes with spectralid."""
    with _bundled.path("libraries", "compounds.csv").open(encoding="utf-8", newline="") as table:
        return {
            row["slug"]: Compound(
                slug=row["slug"],
                name=row["name"],
                category=row["category"],
                schedule=row["schedule"],
                hazards=tuple(row["hazards"].split("|")) if row["hazards"] else (),
                fentanyl_related=row["fentanyl_related"],
            )
            for row in csv.DictReader(table)
        }


def loud(compound: Compound, level: Alarm) -> bool:
    return LOUDER.index(alarm_of(compound)) >= LOUDER.index(level)


def test_every_compound_raises_an_alarm_that_fits_its_hazards() -> None:
    policy = default_policy()
    assert len(compounds()) > 1500
    for slug, compound in compounds().items():
        if not compound.hazards and not compound.category:
            assert alarm_of(compound) is Alarm.UNKNOWN, slug
            continue
        assert alarm_of(compound) is not Alarm.UNKNOWN, slug
        for hazard in compound.hazards:
            if hazard != "none":
                assert loud(compound, policy.hazards[hazard].alarm), slug
        if not FLOOR_HAZARDS.isdisjoint(compound.hazards):
            assert alarm_of(compound) is Alarm.DANGER, slug
        if compound.schedule not in ("", "none"):
            assert loud(compound, Alarm.WARNING), slug
        if compound.fentanyl_related in ("yes", "parent"):
            assert alarm_of(compound) is Alarm.DANGER, slug


@pytest.mark.parametrize(
    ("start", "level", "escalated"),
    [
        ("opioid/fentanyl-analogue", Alarm.DANGER, True),
        ("opioid/fentanyl-like-nonFRS", Alarm.DANGER, True),
        ("opioid/nitazene", Alarm.DANGER, True),
        ("opioid/novel-synthetic", Alarm.DANGER, True),
        ("opioid/metabolite-degradant", Alarm.DANGER, True),
        ("opioid", Alarm.WARNING, True),
        ("explosive/primary-peroxide", Alarm.DANGER, True),
        ("explosive/military", Alarm.DANGER, True),
        ("explosive/improvised-oxidizer", Alarm.DANGER, True),
        ("explosive/precursor", Alarm.WARNING, True),
        ("cwa/nerve", Alarm.DANGER, True),
        ("cwa/blister", Alarm.DANGER, True),
        ("cwa/choking-blood", Alarm.DANGER, True),
        ("cwa", Alarm.WARNING, True),
        ("tic", Alarm.WARNING, True),
        ("pesticide", Alarm.WARNING, True),
        ("precursor", Alarm.WARNING, True),
        ("stimulant", Alarm.WARNING, True),
        ("cannabinoid", Alarm.WARNING, True),
        ("benzodiazepine", Alarm.WARNING, True),
        ("hallucinogen", Alarm.WARNING, True),
        ("dissociative", Alarm.WARNING, True),
        ("sedative", Alarm.WARNING, True),
        ("steroid", Alarm.WARNING, True),
        ("performance", Alarm.WARNING, True),
        ("adulterant/veterinary-sedative", Alarm.WARNING, True),
        ("cutting-agent", Alarm.NOTICE, False),
    ],
)
def test_whole_categories(start: str, level: Alarm, escalated: bool) -> None:
    members = [c for c in compounds().values() if (c.category + "/").startswith(start + "/")]
    assert members
    for compound in members:
        assert loud(compound, level), compound.slug
        if escalated:
            assert must_escalate(alarm_of(compound), [compound], default_policy()), compound.slug


def test_harmless_goods_escalate_nothing_and_are_never_called_harmless() -> None:
    for slug in ("lactose", "talc", "cellulose", "magnesium-stearate", "sucrose", "calcite", "polypropylene"):
        compound = compounds()[slug]
        assert alarm_of(compound) is Alarm.NOTICE
        assert not must_escalate(Alarm.NOTICE, [compound], default_policy())
        assert "Other, unseen substances may be present." in precautions([compound])[-1]
    assert "tablets" in precautions([compounds()["lactose"]])[0]


@pytest.mark.parametrize(
    "slug",
    [
        "4-anpp", "npp", "4-ap", "1-boc-4-ap", "1-boc-4-piperidone", "norfentanyl", "1-boc-norfentanyl",
        "benzylfentanyl", "phenethyl-4-anpp", "despropionyl-para-fluorofentanyl",
    ],
)  # fmt: skip
def test_next_of_kin_of_fentanyl_are_handled_as_fentanyl(slug: str) -> None:
    compound = compounds()[slug]
    assert alarm_of(compound) is Alarm.DANGER
    assert "naloxone" in precautions([compound])[0]
    assert must_escalate(Alarm.DANGER, [compound], default_policy())


@pytest.mark.parametrize("slug", ["bmk-ethyl-glycidate", "pmk-glycidic-acid", "chloroephedrine", "mamdpa"])
def test_designer_precursors_are_precursors_on_a_list_or_not(slug: str) -> None:
    assert loud(compounds()[slug], Alarm.WARNING)
    assert "precursor" in cautions([compounds()[slug]])


@pytest.mark.parametrize("slug", ["xylazine", "medetomidine", "detomidine", "btmps"])
def test_adulterants_of_fentanyl_bring_its_precautions(slug: str) -> None:
    assert loud(compounds()[slug], Alarm.WARNING)
    first = precautions([compounds()[slug]])[0]
    assert "naloxone" in first
    assert "support breathing" in first


def test_a_fentanyl_nobody_listed_is_one_by_its_structure_alone() -> None:
    new = Compound(
        "new", "New", hazards=("none",), category="industrial/organic-intermediate", fentanyl_related="yes"
    )
    assert alarm_of(new) is Alarm.DANGER
    assert must_escalate(Alarm.NOTICE, [new], default_policy())


def test_every_category_is_in_a_rule() -> None:
    rules = default_policy().rules
    with _bundled.path("libraries", "categories.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            probe = Compound("probe", "Probe", category=row["category"])
            assert any(rule.fits(probe) for rule in rules), row["category"]


def test_every_hazard_and_family_is_provided_for_in_both_languages() -> None:
    policy = default_policy()
    assert set(policy.hazards) >= HAZARDS
    assert set(policy.families) == set(FAMILIES) - {"sugar or polyol"}
    for language in policy.languages:
        catalog = policy.catalog(language)
        for compound in compounds().values():
            assert all(precautions([compound], policy=policy, catalog=catalog)), compound.slug
        assert len({catalog.say(f"family.{f}") for f in FAMILIES}) == len(FAMILIES)


def test_a_member_nobody_named_is_handled_as_its_family_at_least() -> None:
    for compound in compounds().values():
        family = family_of(compound)
        if family in ("fentanyl-related", "nitazene"):
            assert alarm_of_family(family) is alarm_of(compound) is Alarm.DANGER


def test_a_rule_fits_by_any_of_its_parts_and_only_whole_steps_of_a_category() -> None:
    rule = default_policy().rules[0]
    rule = replace(
        rule, fentanyl_related=("parent",), categories=("cwa",), compounds=("x",), schedules=("V",)
    )
    assert rule.fits(Compound("a", "A", category="cwa/nerve"))
    assert rule.fits(Compound("a", "A", category="cwa"))
    assert not rule.fits(Compound("a", "A", category="cwa-like/nerve"))
    assert rule.fits(Compound("x", "X"))
    assert rule.fits(Compound("a", "A", schedule="V"))
    assert rule.fits(Compound("a", "A", fentanyl_related="parent"))
    assert not rule.fits(Compound("a", "A", schedule="IV", fentanyl_related="yes", category="tic"))


def test_a_schedule_nobody_listed_counts_as_controlled() -> None:
    assert cautions([Compound("a", "A", hazards=("none",), schedule="VI")]) == ("controlled", "basic")
    assert alarm_of(Compound("a", "A", hazards=("none",), schedule="FRS")) is Alarm.DANGER


def test_identity_is_of_what_it_says() -> None:
    policy = default_policy()
    assert len(policy.sha256) == 64
    assert policy.title == f"{policy.name} {policy.version} {policy.sha256[:12]}"
    assert replace(policy, margin=0.06).sha256 != policy.sha256
    assert replace(policy).sha256 == policy.sha256
    order = dict(reversed(policy.hazards.items()))
    assert replace(policy, hazards=order).sha256 != policy.sha256
    plain = json.loads(json.dumps(policy.to_dict(), allow_nan=False))
    assert plain["thresholds"]["named_from"] == 0.95
    assert plain["hazards"][0] == {
        "id": "explosive-sensitive", "alarm": "danger", "precaution": "explosive-sensitive",
    }  # fmt: skip


def test_thresholds_are_those_that_were_studied() -> None:
    policy = default_policy()
    studied = {
        "named_from": 0.95, "family_false_alarms": 0.001, "identified_from": 0.95, "margin": 0.05,
        "corroboration": 0.7, "bands_compared": 0.5, "named_at_most": 5,
    }  # fmt: skip
    assert policy.to_dict()["thresholds"] == studied


def test_a_language_the_policy_does_not_have_is_refused() -> None:
    english: Policy = replace(default_policy(), languages=("en",))
    with pytest.raises(ParameterError, match="one of en"):
        english.catalog("es")
