"""The rules for names, one by one, on results made by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spectralid.identify import Analysis, Component, Identification, SignalQuality
from spectralid.identify.checks import BandAgreement, UnexplainedBand
from spectralid.identify.confidence import SOMETHING_ELSE, ComponentConfidence, Confidence
from spectralid.identify.families import family_of
from spectralid.identify.family_model import FamilyFinding
from spectralid.identify.result import Candidate
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.spectrum import Technique
from spectralid.verdict import Alarm, Verdict, VerdictKind, decide
from spectralid.verdict.naming import percent
from tests.identify.builders import library, raman

COMPOUNDS = (
    Compound("flour", "Flour", hazards=("none",)),
    Compound("sugar", "Sugar", hazards=("none",)),
    Compound("icing", "Icing", hazards=("toxic",)),
    Compound("alpha", "Alpha-fentanyl", category="opioid/fentanyl-analogue", fentanyl_related="yes"),
    Compound("beta", "Beta-fentanyl", category="opioid/fentanyl-analogue", fentanyl_related="yes"),
    Compound("pe", "Polyethylene", category="polymer", hazards=("none",)),
    Compound("vial", "Empty vial", category="container", hazards=("none",)),
    Compound("ethanol", "Ethanol", category="solvent", hazards=("flammable",)),
)
NAMES = {c.slug: c.name for c in COMPOUNDS}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    axis = np.linspace(200.0, 2000.0, 400)
    rng = np.random.default_rng(0)
    entries = [(c, raman(rng.normal(1.0, 0.1, axis.size), axis), Tier.MEASURED) for c in COMPOUNDS]
    return library(tmp_path_factory.mktemp("names"), entries)


def part(slug: str, share: float = 1.0, **changes: Any) -> Component:
    """A component that all is well with."""
    bands = BandAgreement((500.0, 900.0), (1.0, 1.1), (0.1, 0.1), (), 0.6, 9.0)
    facts: dict[str, Any] = {
        "reference_id": f"ref-{slug}",
        "compound_slug": slug,
        "compound_name": NAMES[slug],
        "form": "",
        "tier": Tier.MEASURED,
        "share": share,
        "share_low": share * 0.9,
        "share_high": min(1.0, share * 1.1),
        "probability": 0.99,
        "equivalent": (),
        "gain": 12.5,
        "rivals": (("sugar", 7.5),),
        "bands": bands,
        "holds": True,
    }
    return Component(**(facts | changes))


def sure(component: Component, probability: float = 0.99, among: tuple[str, ...] = ()) -> ComponentConfidence:
    slug = component.compound_slug
    return ComponentConfidence(
        slug, component.equivalent, probability, among or (slug, *component.equivalent), True, ()
    )


def result(
    shelf: ReferenceLibrary,
    *components: Component,
    judged: tuple[ComponentConfidence, ...] | None = None,
    unexplained: tuple[UnexplainedBand, ...] = (),
    nothing: float = 0.001,
    insufficient: float = 0.001,
    alarms: tuple[str, ...] = (),
    chances: tuple[tuple[str, float], ...] = (),
    families: tuple[FamilyFinding, ...] = (),
    shares: dict[str, float] | None = None,
    log_odds: float = 20.0,
    context: dict[str, str] | None = None,
) -> Identification:
    """A calibrated result with these components."""
    score = (
        Candidate(
            1, "flour", "Flour", "ref-flour", "", Tier.MEASURED, 0.2, 0.1, (200.0, 2000.0), 1.0, 1.0, 0.1
        ),
    )
    return Identification(
        spectrum_sha256="0" * 64,
        spectrum_name="scan",
        technique=Technique.RAMAN,
        library_name=shelf.name,
        library_version=shelf.version,
        library_sha256=shelf.sha256,
        method="ranking",
        candidates=score,
        not_comparable=(),
        n_references=7,
        quality=SignalQuality(1.0, 100.0, 900.0, 100.0, 0, (200.0, 2000.0), 0.0, (), ()),
        analysis=Analysis(
            spectrum_sha256="0" * 64,
            library_sha256=shelf.sha256,
            method="fit",
            instrument="any instrument",
            components=components,
            log_odds=log_odds,
            nothing=0.0,
            shift_cm1=0.0,
            unexplained=unexplained,
            strongest_unexplained_z=3.0,
            smallest_shares=shares or {},
        ),
        confidence=Confidence(
            "1" * 64, "2" * 64, "7", "raman/*/one",
            tuple(map(sure, components)) if judged is None else judged,
            1 - nothing - insufficient, nothing, insufficient, nothing, chances, alarms, (),
        ),
        families=families,
        context=context or {},
    )  # fmt: skip


def member(family: str, **changes: Any) -> FamilyFinding:
    """A family finding that raises the alarm."""
    facts: dict[str, Any] = {
        "family": family,
        "log_ratio": 6.0,
        "probability": 0.95,
        "false_alarm_rate": 0.001,
        "typical": True,
        "site_hint": "",
        "nearest": (),
        "beside": (),
        "share_left": 0.2,
        "how": "made by hand",
        "members_trained_on": 20,
        "tier": Tier.MEASURED,
    }
    return FamilyFinding(**(facts | changes))


def verdict(shelf: ReferenceLibrary, *components: Component, **facts: Any) -> Verdict:
    return decide(result(shelf, *components, **facts), shelf)


def test_a_calibrated_name_needs_no_agreement_of_the_ranking(shelf: ReferenceLibrary) -> None:
    found = verdict(shelf, part("flour"))
    assert found.kind is VerdictKind.IDENTIFIED
    assert found.named == ("flour",)
    assert "Calibrated probability at least 95%" in found.reasons[0]
    (line,) = (line for line in found.evidence if "Calibration 7, group raman/*/one" in line)
    assert "which the library lacks: 0.1%" in line


@pytest.mark.parametrize(
    ("component", "judged", "reason"),
    [
        (part("flour"), {"probability": 0.949}, "94.9%, is below the 95%"),
        (part("flour"), {"among": ("flour", SOMETHING_ELSE)}, "something else is not excluded"),
        (part("flour"), {"among": ("flour", "sugar")}, "does not tell Flour and Sugar apart"),
        (part("flour", tier=Tier.COMPUTED), {}, "never identifies"),
        (part("flour", holds=False), {}, "do not bear it out"),
        (
            part(
                "flour",
                holds=False,
                bands=BandAgreement((500.0, 900.0), (1.0, 0.0), (0.1, 0.1), (900.0,), 0.0, 0.0),
            ),
            {},
            "missing at 900 cm",
        ),
    ],
)
def test_each_rule_alone_keeps_the_name_back(
    shelf: ReferenceLibrary, component: Component, judged: dict[str, Any], reason: str
) -> None:
    found = verdict(shelf, component, judged=(sure(component, **judged),))
    assert found.kind is VerdictKind.INCONCLUSIVE
    assert any(reason in r for r in found.reasons)
    assert found.escalate


def test_a_published_reference_may_name(shelf: ReferenceLibrary) -> None:
    assert verdict(shelf, part("flour", tier=Tier.LITERATURE)).kind is VerdictKind.IDENTIFIED


def test_unexplained_signal_overrides_the_surest_name(shelf: ReferenceLibrary) -> None:
    bands = (UnexplainedBand(1333.0, 0.1, 8.0), UnexplainedBand(777.0, 0.1, 7.0))
    found = verdict(shelf, part("flour"), unexplained=bands)
    assert found.kind is VerdictKind.INCONCLUSIVE
    assert "777, 1333 cm⁻¹" in found.reasons[0]
    assert verdict(shelf, part("flour", 0.6), part("sugar", 0.4), unexplained=bands).kind is (
        VerdictKind.INCONCLUSIVE
    )


def test_an_equivalence_set_is_named_as_such_and_warns_of_its_worst(shelf: ReferenceLibrary) -> None:
    found = verdict(shelf, part("sugar", equivalent=("icing",)))
    assert found.kind is VerdictKind.IDENTIFIED
    assert found.headline == "Sugar or Icing"
    assert "cannot be told apart" in found.words
    assert set(found.named) == {"sugar", "icing"}
    assert found.alarm is Alarm.WARNING
    assert any("Toxic" in p for p in found.precautions)


def test_a_mixture_names_each_with_its_share_of_the_signal(shelf: ReferenceLibrary) -> None:
    found = verdict(shelf, part("flour", 0.7), part("alpha", 0.3))
    assert found.kind is VerdictKind.MIXTURE
    assert found.headline == "Flour + Alpha-fentanyl"
    assert "Flour, about 70% of the signal" in found.words
    assert "Shares are of the signal, not by weight." in found.words
    assert not re.search(r"%\s*(w/w|by weight)", found.text())
    assert found.alarm is Alarm.DANGER


def test_a_mixture_tells_which_part_has_no_name(shelf: ReferenceLibrary) -> None:
    flour, sugar = part("flour", 0.7), part("sugar", 0.3)
    found = verdict(shelf, flour, sugar, judged=(sure(flour), sure(sugar, 0.6)))
    assert found.kind is VerdictKind.MIXTURE
    assert found.headline == "Flour + something not certain"
    assert found.named == ("flour",)
    assert "most like Sugar" in found.words
    assert found.alarm is Alarm.UNKNOWN
    assert found.escalate
    assert any("most dangerous plausible" in p for p in found.precautions)
    neither = verdict(shelf, flour, sugar, judged=(sure(flour, 0.6), sure(sugar, 0.6)))
    assert neither.kind is VerdictKind.INCONCLUSIVE


def test_container_and_solvent_are_told_apart_from_the_substance(shelf: ReferenceLibrary) -> None:
    found = verdict(shelf, part("pe", 0.5), part("ethanol", 0.3), part("flour", 0.2))
    assert found.kind is VerdictKind.IDENTIFIED
    assert found.headline == "Flour"
    assert found.named == ("flour",)
    assert "Container or solvent: Polyethylene, about 50% of the signal and Ethanol" in found.words
    assert any("Flammable" in p for p in found.precautions)


def test_a_solvent_in_plastic_is_the_substance_and_the_plastic_the_container(shelf: ReferenceLibrary) -> None:
    found = verdict(shelf, part("pe", 0.5), part("ethanol", 0.5))
    assert found.headline == "Ethanol"
    assert "Container or solvent: Polyethylene" in found.words


def test_a_vial_of_ones_own_library_is_a_container(shelf: ReferenceLibrary) -> None:
    found = verdict(shelf, part("vial", 0.6), part("flour", 0.4))
    assert found.kind is VerdictKind.IDENTIFIED
    assert found.headline == "Flour"
    assert "Container or solvent: Empty vial, about 60%" in found.words
    assert any("only that was seen" in a for a in verdict(shelf, part("vial")).advice)


def test_plastic_alone_is_named_with_a_warning_that_it_may_be_the_bag(shelf: ReferenceLibrary) -> None:
    found = verdict(shelf, part("pe"))
    assert found.headline == "Polyethylene"
    assert any("only that was seen" in a for a in found.advice)


@pytest.mark.parametrize("by_model", [True, False])
def test_a_family_raises_the_alarm_though_another_is_named(shelf: ReferenceLibrary, by_model: bool) -> None:
    how: dict[str, Any] = (
        {"families": (member("fentanyl-related"),)}
        if by_model
        else {"alarms": ("fentanyl-related",), "chances": (("fentanyl-related", 0.31),)}
    )
    found = verdict(shelf, part("flour"), **how)
    assert found.kind is VerdictKind.MIXTURE
    assert found.alarm is Alarm.DANGER
    assert found.escalate
    assert "fentanyl-related" in found.headline
    why = "log ratio +6.0, false alarms below 0.1%" if by_model else "a probability of 31.0%"
    assert any(why in r for r in found.reasons)
    assert found.precautions[0].startswith("Not named")
    assert any("Ultra-potent opioid" in p for p in found.precautions)
    assert not any(line.startswith("Fentanyl-related: not detected") for line in found.not_excluded)


@pytest.mark.parametrize(
    "finding",
    [
        member("fentanyl-related", false_alarm_rate=0.01),
        member("fentanyl-related", typical=False),
        member("fentanyl-related", tier=Tier.COMPUTED),
        member("sugar or polyol"),
    ],
)
def test_weak_untypical_and_computed_family_findings_raise_nothing(
    shelf: ReferenceLibrary, finding: FamilyFinding
) -> None:
    found = verdict(shelf, part("flour"), families=(finding,))
    assert found.kind is VerdictKind.IDENTIFIED
    assert found.alarm is Alarm.NOTICE


def test_a_family_is_said_where_its_member_cannot_be(shelf: ReferenceLibrary) -> None:
    alpha = part("alpha")
    found = verdict(shelf, alpha, judged=(sure(alpha, among=("alpha", "beta")),))
    assert found.kind is VerdictKind.FAMILY
    assert found.headline == "fentanyl-related: member not certain"
    assert set(found.named) == {"alpha", "beta"}
    assert found.alarm is Alarm.DANGER
    assert found.escalate


def test_a_family_of_the_model_is_said_where_nothing_in_the_library_is_like_it(
    shelf: ReferenceLibrary,
) -> None:
    bands = (UnexplainedBand(1333.0, 0.5, 20.0),)
    found = verdict(
        shelf, part("flour", holds=False), unexplained=bands, nothing=0.99, log_odds=-50.0,
        families=(member("nitazene"),),
    )  # fmt: skip
    assert found.kind is VerdictKind.FAMILY
    assert found.headline == "nitazene: member not certain"
    assert found.named == ()


def test_nothing_in_the_library_is_no_match_unless_something_holds(shelf: ReferenceLibrary) -> None:
    bands = (UnexplainedBand(1333.0, 0.5, 20.0),)
    wrong = part("flour", holds=False)
    found = verdict(shelf, wrong, judged=(sure(wrong, 0.01),), unexplained=bands, nothing=0.98)
    assert found.kind is VerdictKind.NO_MATCH
    assert any("may itself be fentanyl-related" in n for n in found.not_excluded)
    there = part("flour")
    found = verdict(shelf, there, judged=(sure(there, 0.01),), unexplained=bands, nothing=0.98)
    assert found.kind is VerdictKind.INCONCLUSIVE


def test_too_little_signal_asks_for_a_longer_scan(shelf: ReferenceLibrary) -> None:
    weak = part("flour", holds=False)
    found = verdict(shelf, weak, judged=(sure(weak, 0.1),), insufficient=0.9)
    assert found.kind is VerdictKind.POOR_SIGNAL
    assert "4× longer" in found.advice[0]
    assert "FTIR" in found.advice[0]


def test_each_watched_family_has_its_smallest_share_or_was_not_looked_for(shelf: ReferenceLibrary) -> None:
    shares = {"fentanyl-related": 0.0632, "nitazene": 1.0, "amphetamine": 0.42, "sugar or polyol": 0.01}
    found = verdict(shelf, part("flour"), shares=shares)
    lines = found.not_excluded
    (fentanyl,) = (line for line in lines if line.startswith("Fentanyl-related"))
    assert "not detected; smallest detectable share ≈ 6.3% of the signal." in fentanyl
    (amphetamine,) = (line for line in lines if line.startswith("Amphetamine"))
    assert "not detected; smallest detectable share ≈ 42% of the signal." in amphetamine
    assert "Nitazene: not detected, but this scan could not have shown it at any share." in lines
    (never,) = (line for line in lines if line.startswith("Not looked for"))
    assert "benzodiazepine" in never
    assert "amphetamine" not in never
    assert "sugar" not in " ".join(lines)


def test_a_family_is_looked_for_by_the_members_the_library_holds_and_no_others(
    shelf: ReferenceLibrary,
) -> None:
    held = {
        info.compound_slug
        for info in shelf.rows("raman")
        if info.tier is not Tier.COMPUTED
        and family_of(shelf.compound(info.compound_slug)) == "fentanyl-related"
    }
    found = verdict(shelf, part("flour"), shares={"fentanyl-related": 0.05})
    (line,) = (n for n in found.not_excluded if n.startswith("Fentanyl-related"))
    assert f"Looked for by {len(held)} of its members; others are not excluded." in line
    assert held


def test_what_is_found_is_not_also_said_to_be_undetected(shelf: ReferenceLibrary) -> None:
    shares = {"fentanyl-related": 0.05, "nitazene": 0.05}
    found = verdict(shelf, part("flour", 0.8), part("alpha", 0.2), shares=shares)
    assert not any(line.startswith("Fentanyl-related") for line in found.not_excluded)
    assert any(line.startswith("Nitazene: not detected") for line in found.not_excluded)


def test_the_scene_is_told_and_changes_nothing(shelf: ReferenceLibrary) -> None:
    plain = verdict(shelf, part("flour"))
    told = verdict(shelf, part("flour"), context={"declared": "icing sugar", "instrument_class": "bench"})
    assert "As stated, declared: icing sugar." in told.evidence
    assert replace(told, evidence=plain.evidence) == plain


@pytest.mark.parametrize("probability", [0.94, 0.96])
@pytest.mark.parametrize("among", [("flour",), ("flour", SOMETHING_ELSE), ("flour", "sugar")])
@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("holds", [True, False])
def test_a_name_is_given_where_every_rule_holds_and_nowhere_else(
    shelf: ReferenceLibrary, probability: float, among: tuple[str, ...], tier: Tier, holds: bool
) -> None:
    component = part("flour", tier=tier, holds=holds)
    allowed = probability >= 0.95 and among == ("flour",) and tier is not Tier.COMPUTED and holds
    found = verdict(shelf, component, judged=(sure(component, probability, among),))
    assert (found.kind is VerdictKind.IDENTIFIED) == allowed


@pytest.mark.parametrize(
    ("chance", "said"),
    [
        (1.0, ">99.9%"), (0.9999, "99.9%"), (0.998, "99.8%"), (0.949, "94.9%"), (0.9499, "94.9%"),
        (0.29, "29.0%"), (0.001, "0.1%"), (0.0009, "<0.1%"), (0.0, "<0.1%"),
    ],
)  # fmt: skip
def test_no_rounding_makes_anything_certain(chance: float, said: str) -> None:
    assert percent(chance) == said
