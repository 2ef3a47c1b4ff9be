"""One item from everything that was measured of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spectralid.identify import Identification
from spectralid.identify.fusion import Fusion, Outcome, fuse
from spectralid.library import ReferenceLibrary, open_library
from spectralid.spectrum import Technique
from spectralid.verdict import Alarm, Verdict, VerdictKind
from spectralid.verdict.alarm import worst
from spectralid.verdict.declared import Declaration, DeclaredCheck, check
from spectralid.verdict.item import Assessment, assess
from spectralid.verdict.strips import StripEvidence, StripTest, weigh
from tests.verdict.built import catalog, scanned

K = VerdictKind
TODAY = date(2026, 11, 22)
STRIP = StripTest("fentanyl", "BTNX", "L7", "2027-03-31", 200.0, 0.5, 300.0, "pos")
FAMILY = "fentanyl-related"
Scan = tuple[Identification, Verdict]


@pytest.fixture(scope="module")
def library() -> ReferenceLibrary:
    return open_library()


def stripped(
    library: ReferenceLibrary, scans: Sequence[Scan], language: str = "en", **change: Any
) -> StripEvidence:
    return weigh(replace(STRIP, **change), scans, library, on=TODAY, catalog=catalog(language))


def declared(library: ReferenceLibrary, scan: Scan, **said: str) -> DeclaredCheck:
    return check(Declaration(**said), scan[1], scan[0], library, catalog=catalog())


def assessed(
    library: ReferenceLibrary, scans: Sequence[Scan], language: str = "en", **more: Any
) -> Assessment:
    return assess(scans, library=library, catalog=catalog(language), **more)


def both(library: ReferenceLibrary, raman: str, infrared: str) -> tuple[list[Scan], Fusion]:
    scans = [
        scanned(library, named=[raman]),
        scanned(library, named=[infrared], technique=Technique.FTIR_ATR),
    ]
    return scans, fuse(scans[0][0], scans[1][0])


def test_a_single_harmless_scan_comes_to_itself(library: ReferenceLibrary) -> None:
    scan = scanned(library, named=["lactose"])
    found = assessed(library, [scan])
    assert (found.alarm, found.headline) == (Alarm.NOTICE, scan[1].headline)
    assert found.precautions == scan[1].precautions
    assert not found.escalate
    assert (found.escalation, found.conflicts, found.agreement) == ((), (), None)
    assert (found.swgdrug, found.techniques) == (("A",), ("vibrational spectroscopy",))


@given(
    st.lists(
        st.sampled_from(["lactose", "xylazine", "fentanyl", "tatp", "acetone", "caffeine"]),
        min_size=1,
        max_size=4,
    )
)
@example(["lactose", "caffeine"])
@settings(deadline=None, max_examples=40)
def test_the_alarm_is_the_worst_and_no_precaution_is_lost(
    library: ReferenceLibrary, slugs: list[str]
) -> None:
    scans = [scanned(library, named=[s]) for s in slugs]
    found = assessed(library, scans)
    assert found.alarm is worst(v.alarm for _, v in scans)
    # Scans of one item that name different substances contradict each other, which a person must look at.
    assert found.escalate == (any(v.escalate for _, v in scans) or len(set(slugs)) > 1)
    told = {line for _, v in scans for line in v.precautions}
    assert set(found.precautions) == told
    assert len(found.precautions) == len(set(found.precautions))
    # Each verdict's own order is kept: what is most urgent for it does not go behind what is less so.
    for _, verdict in scans:
        places = [found.precautions.index(line) for line in verdict.precautions]
        assert places == sorted(places)


def test_a_poor_scan_counts_only_where_there_is_no_other(library: ReferenceLibrary) -> None:
    poor, fine = scanned(library, kind=K.POOR_SIGNAL), scanned(library, named=["lactose"])
    assert assessed(library, [poor]).alarm is Alarm.UNKNOWN
    assert assessed(library, [poor, fine]).alarm is Alarm.NOTICE
    assert assessed(library, [poor]).swgdrug == ()


def test_without_a_scan_an_item_is_unknown(library: ReferenceLibrary) -> None:
    found = assessed(library, [])
    assert found.alarm is Alarm.UNKNOWN
    assert found.headline == "not scanned yet"
    assert found.precautions


def test_a_positive_strip_alone_raises_its_alarm(library: ReferenceLibrary) -> None:
    scan = scanned(library, named=["lactose"], shares={FAMILY: 0.12})
    strip = stripped(library, [scan])
    found = assessed(library, [scan], strips=[strip])
    assert found.alarm is Alarm.DANGER
    assert any("naloxone" in line for line in found.precautions)
    assert found.escalate
    assert set(found.escalation) == {"uncertain", "policy_high_hazard"}
    assert found.conflicts == (strip.reasons[strip.codes.index("complementary")],)
    assert "strip-complementary" in found.codes
    assert (found.swgdrug, len(found.techniques)) == (("A", "C"), 2)
    assert "fentanyl" in found.headline


def test_strip_and_spectrum_that_agree_are_no_conflict(library: ReferenceLibrary) -> None:
    scan = scanned(library, named=["fentanyl"])
    found = assessed(library, [scan], strips=[stripped(library, [scan])])
    assert found.conflicts == ()
    assert found.escalate
    assert "2 techniques" in found.words


def test_a_negative_strip_takes_no_alarm_away(library: ReferenceLibrary) -> None:
    scan = scanned(library, named=["fentanyl"])
    strip = stripped(library, [scan], result="neg")
    found = assessed(library, [scan], strips=[strip])
    assert found.alarm is Alarm.DANGER
    assert len(found.conflicts) == 1
    assert found.swgdrug == ("A",)
    assert found.escalate


@pytest.mark.parametrize("change", [{"result": "invalid"}, {"expiry": "2020-01-01"}])
def test_a_strip_that_was_not_made_well_meets_no_category(
    library: ReferenceLibrary, change: dict[str, Any]
) -> None:
    scan = scanned(library, named=["lactose"])
    assert assessed(library, [scan], strips=[stripped(library, [scan], **change)]).swgdrug == ("A",)


def test_a_strip_for_something_unknown_is_handled_as_the_worst(library: ReferenceLibrary) -> None:
    scan = scanned(library, named=["lactose"])
    found = assessed(library, [scan], strips=[stripped(library, [scan], target="unobtainium")])
    assert found.alarm is Alarm.UNKNOWN
    assert found.escalate


def test_two_techniques_that_agree(library: ReferenceLibrary) -> None:
    scans, fusion = both(library, "caffeine", "caffeine")
    found = assessed(library, scans, fusion=fusion)
    assert found.agreement is Outcome.FUSED
    assert found.headline == "Caffeine"
    assert found.conflicts == ()
    assert not found.escalate
    # Both see vibrations: one kind of technique, whatever the number of instruments.
    assert (found.swgdrug, found.techniques) == (("A",), ("vibrational spectroscopy",))
    assert "agree on Caffeine" in found.words


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("key", ["words.presumptive", "words.presumptive_laboratory"])
def test_it_says_once_that_it_is_presumptive(library: ReferenceLibrary, key: str, language: str) -> None:
    end = catalog(language).say(key)
    scans = [
        (identification, replace(verdict, words=f"{identification.technique.value}. {end}"))
        for identification, verdict in both(library, "fentanyl", "fentanyl")[0]
    ]
    words = assessed(library, scans, language).words
    assert words.count({"en": "presumptive", "es": "presuntivo"}[language]) == 1
    assert all(identification.technique.value in words for identification, _ in scans)
    assert "  " not in words


@pytest.mark.parametrize(
    ("chance", "told"), [(1.0, "> 99.9 %"), (0.9996, "> 99.9 %"), (0.998, "99.8 %"), (0.5, "50.0 %")]
)
def test_rounding_makes_nothing_certain(library: ReferenceLibrary, chance: float, told: str) -> None:
    scans, fusion = both(library, "caffeine", "caffeine")
    sure = tuple(replace(s, probability=chance) for s in fusion.shared)
    found = assessed(library, scans, fusion=replace(fusion, shared=sure))
    assert f"Caffeine {told}" in found.words
    assert "100.0" not in found.words


def test_two_techniques_that_disagree_are_a_conflict(library: ReferenceLibrary) -> None:
    scans, fusion = both(library, "caffeine", "lactose")
    found = assessed(library, scans, fusion=fusion)
    assert found.agreement is Outcome.DISAGREE
    assert found.escalate
    assert found.escalation == ("uncertain",)
    assert "Caffeine" in found.conflicts[0]
    assert "Lactose" in found.conflicts[0]


def test_two_scans_by_one_technique_that_name_different_things(library: ReferenceLibrary) -> None:
    scans = [scanned(library, named=["caffeine"]), scanned(library, named=["lactose"])]
    found = assessed(library, scans)
    assert "scans-differ" in found.codes
    assert found.escalate
    alike = [
        scanned(library, named=["caffeine"]),
        scanned(library, kind=K.MIXTURE, named=["caffeine", "lactose"]),
    ]
    assert "scans-differ" not in assessed(library, alike).codes


def test_a_misdeclared_item_escalates(library: ReferenceLibrary) -> None:
    scan = scanned(library, named=["caffeine"])
    wrong = assessed(library, [scan], declared=declared(library, scan, text="powdered sugar"))
    assert wrong.escalate
    assert "declared-inconsistent" in wrong.codes
    assert wrong.conflicts[0].startswith("DOES NOT AGREE")
    right = assessed(library, [scan], declared=declared(library, scan, text="caffeine"))
    assert not right.escalate
    assert right.to_dict()["declared"]["outcome"] == "consistent"


def test_escalation_is_the_union(library: ReferenceLibrary) -> None:
    first, second = scanned(library, named=["fentanyl"]), scanned(library, kind=K.NO_MATCH)
    scans = [first, (second[0], replace(second[1], escalation=("no_match", "library_old")))]
    assert set(assessed(library, scans).escalation) == {"policy_high_hazard", "no_match", "library_old"}


def test_the_record_is_plain_and_presumptive(library: ReferenceLibrary) -> None:
    scans, fusion = both(library, "fentanyl", "lactose")
    found = assessed(
        library,
        scans,
        fusion=fusion,
        strips=[stripped(library, scans)],
        declared=declared(library, scans[0], text="sugar"),
    )
    record = found.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert found.presumptive
    assert record["presumptive"] is True
    assert "presumptive" in found.words
    assert record["strips"][0]["conflict"] is False


def test_spanish_says_the_same(library: ReferenceLibrary) -> None:
    for raman, infrared in (("caffeine", "caffeine"), ("caffeine", "lactose")):
        english, spanish = (
            assessed(
                library,
                [
                    scanned(library, named=[raman], language=lang),
                    scanned(library, named=[infrared], technique=Technique.FTIR_ATR, language=lang),
                ],
                lang,
                fusion=both(library, raman, infrared)[1],
                strips=[stripped(library, both(library, raman, infrared)[0], lang)],
            )
            for lang in ("en", "es")
        )
        assert english.codes == spanish.codes
        assert english.alarm is spanish.alarm
        assert len(english.conflicts) == len(spanish.conflicts)
        assert not set(english.precautions) & set(spanish.precautions)
        assert "presuntivo" in spanish.words
    assert "Cafeína" in " ".join(spanish.conflicts)
