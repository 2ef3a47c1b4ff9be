"""Verdicts on fitted spectra where probabilities are not calibrated."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectralid.errors import InputError, ParameterError
from spectralid.identify import Identification, identify, retrieve
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.spectrum import Acquisition, Spectrum
from spectralid.verdict import Alarm, Policy, Verdict, VerdictKind, decide, default_policy
from tests.identify.builders import GRID, bands, library, raman, substance, with_noise

TWINS = 20
TWIN_OF = 21


def _entries() -> list[tuple[Compound, Spectrum, Tier]]:
    plain = [
        (
            Compound(f"compound-{i}", f"Compound {i}", hazards=("none",)),
            raman(substance(GRID, i)),
            Tier.MEASURED,
        )
        for i in range(4)
    ]
    twin = substance(GRID, TWINS)
    nearly = twin + 0.1 * substance(GRID, TWIN_OF)
    special = [
        (
            Compound("fentanyl", "Fentanyl", category="opioid/fentanyl-analogue", fentanyl_related="yes"),
            10,
            Tier.MEASURED,
        ),
        (Compound("tatp", "TATP", hazards=("explosive-sensitive",)), 11, Tier.LITERATURE),
        (Compound("newdrug", "Newdrug", hazards=("controlled",)), 12, Tier.COMPUTED),
        (Compound("mystery", "Mystery powder"), 13, Tier.MEASURED),
        (
            Compound("shaky", "Shaky", hazards=("none",), verification="unverified"),
            14,
            Tier.MEASURED,
        ),
    ]
    return [
        *plain,
        *((c, raman(substance(GRID, seed)), tier) for c, seed, tier in special),
        (Compound("left", "Left twin", hazards=("none",)), raman(twin), Tier.MEASURED),
        (Compound("right", "Right twin", hazards=("toxic",)), raman(nearly), Tier.MEASURED),
        (
            Compound("one-band", "One band", hazards=("none",)),
            raman(bands(GRID, [992, 450, 620], [1, 0.08, 0.05])),
            Tier.MEASURED,
        ),
    ]


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    return library(tmp_path_factory.mktemp("verdict"), _entries())


def scan(values: np.ndarray, noise: float = 0.003) -> Spectrum:
    return raman(1000 * with_noise(values + 2.0, noise), name="scan")


def uncalibrated(spectrum: Spectrum, references: ReferenceLibrary, **options: Any) -> Identification:
    """A result without calibrated probabilities, whatever record is installed."""
    return replace(identify(spectrum, references, **options), confidence=None)


def verdict_of(spectrum: Spectrum, references: ReferenceLibrary, policy: Policy | None = None) -> Verdict:
    identification = uncalibrated(spectrum, references)
    return decide(identification, references, policy=policy) if policy else decide(identification, references)


def every_kind(references: ReferenceLibrary) -> dict[str, Verdict]:
    short = np.linspace(200, 500, 200)
    return {
        "identified": verdict_of(scan(substance(GRID, 1)), references),
        "opioid": verdict_of(scan(substance(GRID, 10)), references),
        "explosive": verdict_of(scan(substance(GRID, 11)), references),
        "computed": verdict_of(scan(substance(GRID, 12)), references),
        "hazard unknown": verdict_of(scan(substance(GRID, 13)), references),
        "twins": verdict_of(scan(substance(GRID, TWINS)), references),
        "halfway": verdict_of(scan(substance(GRID, 1) + 0.7 * substance(GRID, 77)), references),
        "mixture": verdict_of(scan(substance(GRID, 1) + 0.2 * substance(GRID, 10)), references),
        "nothing": verdict_of(scan(substance(GRID, 99)), references),
        "noise": verdict_of(scan(np.zeros(GRID.size), 1.0), references),
        "constant": verdict_of(raman(np.ones(GRID.size)), references),
        "short": verdict_of(raman(with_noise(substance(short, 1), 0.001), short), references),
    }


@pytest.fixture(scope="module")
def verdicts(references: ReferenceLibrary) -> dict[str, Verdict]:
    return every_kind(references)


def test_each_kind_an_uncalibrated_result_gives_is_reached(verdicts: dict[str, Verdict]) -> None:
    assert {case: v.kind for case, v in verdicts.items()} == {
        "identified": VerdictKind.IDENTIFIED,
        "opioid": VerdictKind.IDENTIFIED,
        "explosive": VerdictKind.IDENTIFIED,
        "computed": VerdictKind.NO_MATCH,
        "hazard unknown": VerdictKind.IDENTIFIED,
        "twins": VerdictKind.INCONCLUSIVE,
        "halfway": VerdictKind.INCONCLUSIVE,
        "mixture": VerdictKind.INCONCLUSIVE,
        "nothing": VerdictKind.NO_MATCH,
        "noise": VerdictKind.POOR_SIGNAL,
        "constant": VerdictKind.POOR_SIGNAL,
        "short": VerdictKind.POOR_SIGNAL,
    }


def test_every_verdict_is_presumptive_in_its_words(verdicts: dict[str, Verdict]) -> None:
    for verdict in verdicts.values():
        assert verdict.presumptive is True
        assert verdict.to_dict()["presumptive"] is True
        assert "PRESUMPTIVE" in verdict.text().splitlines()[0]
        assert "presumptive" in verdict.words


def test_text_is_narrow_and_complete(verdicts: dict[str, Verdict]) -> None:
    for verdict in verdicts.values():
        text = verdict.text()
        assert max(map(len, text.splitlines())) <= 80
        flat = " ".join(text.split())
        for part in (
            verdict.headline,
            verdict.words,
            *verdict.precautions,
            *verdict.not_excluded,
            *verdict.reasons,
        ):
            assert " ".join(part.split()) in flat


def test_absence_is_never_claimed(verdicts: dict[str, Verdict]) -> None:
    for verdict in verdicts.values():
        everything = json.dumps(verdict.to_dict()).lower()
        assert not re.search(
            r"no fentanyl|\bsafe\b|safely|negative|harmless|absent|free of|rules? out", everything
        )
        assert verdict.not_excluded
        if verdict.kind is not VerdictKind.POOR_SIGNAL:
            assert "not detected" in everything
            assert "fentanyl" in everything
            assert "not excluded" in everything


def test_identified_names_one_compound_with_its_evidence(
    verdicts: dict[str, Verdict], references: ReferenceLibrary
) -> None:
    verdict = verdicts["identified"]
    assert verdict.headline == "Compound 1"
    assert verdict.named == ("compound-1",)
    assert verdict.alarm is Alarm.NOTICE
    assert not verdict.escalate
    evidence = " ".join(verdict.evidence)
    assert re.search(r"1\. Compound 1 (0\.9|1\.0)\d+, 2\. ", evidence)
    assert "Compound 1: 11 of 11 bands beyond doubt, probability >99.9%, not calibrated" in evidence
    assert "both methods had to agree" in verdict.reasons[0]
    assert "Library test 7 of 2026-01-02, 11 references" in evidence
    assert "not a probability" in evidence


def test_hazards_raise_alarm_and_escalate(verdicts: dict[str, Verdict]) -> None:
    opioid, explosive = verdicts["opioid"], verdicts["explosive"]
    assert opioid.alarm is explosive.alarm is Alarm.DANGER
    assert opioid.escalate
    assert explosive.escalate
    assert "naloxone" in opioid.precautions[0]
    assert "stop scanning" in explosive.precautions[0]


def test_unknown_hazards_are_handled_as_dangerous(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["hazard unknown"]
    assert verdict.alarm is Alarm.UNKNOWN
    assert verdict.escalate
    assert any("handle it as dangerous" in p for p in verdict.precautions)
    for case in ("nothing", "noise", "halfway"):
        assert verdicts[case].alarm is Alarm.UNKNOWN
        assert any("most dangerous plausible" in p for p in verdicts[case].precautions)


def test_unverified_entries_escalate(references: ReferenceLibrary) -> None:
    verdict = verdict_of(scan(substance(GRID, 14)), references)
    assert verdict.kind is VerdictKind.IDENTIFIED
    assert verdict.escalate
    assert any("not verified" in r for r in verdict.reasons)


def test_close_compounds_are_all_named(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["twins"]
    assert verdict.headline == "one of: Left twin or Right twin"
    assert any("does not tell Left twin and Right twin apart" in r for r in verdict.reasons)
    assert set(verdict.named) == {"left", "right"}
    assert verdict.escalate
    assert any("Toxic" in p for p in verdict.precautions)


def test_what_is_not_explained_overrides_the_name(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["halfway"]
    assert verdict.headline == "something that is not explained, and bands like those of Compound 1"
    # The strongest bands of the substance that no entry is.
    assert re.search(r"Nothing found accounts for the bands at .*90\d", verdict.reasons[0])
    assert any("may itself be fentanyl-related" in n for n in verdict.not_excluded)


def test_a_second_component_is_told_and_warned_of_though_the_whole_looks_like_the_first(
    verdicts: dict[str, Verdict],
) -> None:
    # Derivative-cosine 0.97 with the first alone, 0.63 ahead of the next: that named it before.
    verdict = verdicts["mixture"]
    assert verdict.headline.startswith("most like a mixture of Compound 1 and Fentanyl")
    assert verdict.alarm is Alarm.DANGER
    assert verdict.escalate
    assert set(verdict.named) == {"compound-1", "fentanyl"}
    assert re.search(r"Fentanyl, about (1\d|2\d)% of the signal", verdict.words)
    assert any("not calibrated" in r for r in verdict.reasons)


def test_nothing_like_it_says_so_and_escalates(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["nothing"]
    assert verdict.named == ()
    assert verdict.escalate
    assert any("not in this library" in n for n in verdict.not_excluded)


def test_poor_signal_gives_advice_before_anything_else(verdicts: dict[str, Verdict]) -> None:
    for case in ("noise", "constant", "short"):
        assert verdicts[case].advice
        assert not verdicts[case].escalate
        assert verdicts[case].named == ()
    assert "spot" in verdicts["noise"].advice[0]


@pytest.mark.parametrize("score_floor", [0.5, 0.75, 0.95])
def test_a_computed_reference_never_identifies(references: ReferenceLibrary, score_floor: float) -> None:
    lenient = replace(
        default_policy(),
        named_from=0.01,
        identified_from=score_floor,
        margin=0.01,
        corroboration=-1.0,
        bands_compared=0.0,
    )
    # Not even where it is the very spectrum that was scanned.
    found = uncalibrated(scan(substance(GRID, 12), 1e-6), references, leads=True)
    assert found.leads[0].compound_slug == "newdrug"
    verdict = decide(found, references, policy=lenient)
    assert verdict.kind is VerdictKind.NO_MATCH
    assert "newdrug" not in verdict.named
    assert "Newdrug" not in verdict.text()
    # A record of an earlier version may hold one as a candidate.
    found = uncalibrated(scan(substance(GRID, 1), 1e-6), references)
    assert decide(found, references, policy=lenient).kind is VerdictKind.IDENTIFIED
    assert found.analysis is not None
    (component,) = found.analysis.components
    lead = replace(found.analysis, components=(replace(component, tier=Tier.COMPUTED),))
    verdict = decide(replace(found, analysis=lead), references, policy=lenient)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert any("never identifies" in r for r in verdict.reasons)


def test_one_band_in_common_is_no_name(references: ReferenceLibrary) -> None:
    # Another substance with a band at the same place: 0.97 like it, and nothing else agrees.
    verdict = verdict_of(scan(bands(GRID, [992, 1180, 1585], [1, 0.1, 0.08]), 1e-4), references)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert [r for r in verdict.reasons if "rests on one band" in r]
    assert [r for r in verdict.reasons if re.search(r"accounts for the bands at 11[78]\d, 158\d", r)]
    assert not [r for r in verdict.reasons if "below 0.95" in r]


def test_one_band_of_two_substances_is_not_said_to_be_one_of_them(tmp_path: Path) -> None:
    entries = [
        (Compound("a", "A"), raman(bands(GRID, [992, 450, 620], [1, 0.08, 0.05])), Tier.MEASURED),
        (Compound("b", "B"), raman(bands(GRID, [993, 1800, 2200], [1, 0.08, 0.05])), Tier.MEASURED),
    ]
    verdict = verdict_of(
        scan(bands(GRID, [992.5, 1180, 1585], [1, 0.1, 0.08]), 1e-4), library(tmp_path, entries)
    )
    assert set(verdict.named) == {"a", "b"}
    assert not verdict.headline.startswith("one of")
    assert re.search(r"(A or B|B or A)", verdict.headline)


def test_overloaded_detector_gives_no_name(references: ReferenceLibrary) -> None:
    spectrum = scan(substance(GRID, 1))
    flagged = spectrum.replace(acquisition=Acquisition(flags=frozenset({"saturated"})))
    verdict = verdict_of(flagged, references)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert any("overloaded" in r for r in verdict.reasons)
    assert verdict.advice


def test_bands_outside_the_range_compared_give_no_name(references: ReferenceLibrary, tmp_path: Path) -> None:
    narrow = GRID < 1300
    low = bands(GRID, [400, 700, 1000], [1, 0.8, 0.6])
    entries = _entries()[:3]
    entries.append((Compound("low", "Low"), raman(low[narrow], GRID[narrow]), Tier.MEASURED))
    verdict = verdict_of(
        scan(low + bands(GRID, [1500, 2000, 2400, 2900], [1, 1, 1, 1]), 1e-4), library(tmp_path, entries)
    )
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert any("bands of this scan lie" in r for r in verdict.reasons)


def test_a_library_of_one_compound_names_nothing(tmp_path: Path) -> None:
    verdict = verdict_of(scan(substance(GRID, 0)), library(tmp_path, _entries()[:1]))
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert any("No second compound" in r for r in verdict.reasons)


def test_scan_where_nothing_can_be_compared(references: ReferenceLibrary, tmp_path: Path) -> None:
    axis = GRID[:300]
    only_high = library(
        tmp_path,
        [(Compound("high", "High"), raman(substance(GRID, 5)[600:], GRID[600:]), Tier.MEASURED)],
    )
    verdict = verdict_of(raman(1000 * with_noise(substance(axis, 5), 0.001), axis), only_high)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert verdict.headline == "no reference could be compared"


def test_references_left_out_are_told(tmp_path: Path) -> None:
    high = (Compound("high", "High"), raman(substance(GRID, 5)[700:], GRID[700:]), Tier.MEASURED)
    references = library(tmp_path, [*_entries()[:3], high])
    axis = GRID[:600]
    verdict = verdict_of(_cut(1, axis), references)
    assert any(re.match(r"[1-3] of 4 references have too little range", n) for n in verdict.not_excluded)


def _cut(seed: int, axis: np.ndarray) -> Spectrum:
    return raman(1000 * with_noise(substance(axis, seed), 0.001), axis)


def test_salt_or_hydrate_is_part_of_the_name(references: ReferenceLibrary) -> None:
    identification = uncalibrated(scan(substance(GRID, 1)), references)
    assert identification.analysis is not None
    best = replace(identification.analysis.components[0], form="monohydrate")
    analysis = replace(identification.analysis, components=(best,))
    verdict = decide(replace(identification, analysis=analysis), references)
    assert verdict.headline == "Compound 1 (monohydrate)"


def test_identification_of_another_library_is_refused(references: ReferenceLibrary, tmp_path: Path) -> None:
    other = library(tmp_path, _entries()[:3])
    identification = uncalibrated(scan(substance(GRID, 1)), references)
    with pytest.raises(InputError, match="same library"):
        decide(identification, other)


def test_a_stored_identification_gives_the_same_verdict(references: ReferenceLibrary) -> None:
    identification = uncalibrated(scan(substance(GRID, 10)), references)
    again = Identification.from_json(identification.to_json())
    assert decide(again, references) == decide(identification, references)


def test_verdict_is_json_ready(verdicts: dict[str, Verdict]) -> None:
    for verdict in verdicts.values():
        data = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
        assert data["schema"] == "spectralid.verdict/1"
        assert data["kind"] == verdict.kind.value


@pytest.mark.parametrize(
    "wrong", [{"named_from": 1.0}, {"named_from": 0.0}, {"identified_from": 1.2}, {"margin": 0.0}]
)
def test_policy_refuses_numbers_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        replace(default_policy(), **wrong)


def test_choice_between_two_warns_as_loudly_as_the_worse(tmp_path: Path) -> None:
    twin = substance(GRID, TWINS)
    nearly = twin + 0.1 * substance(GRID, TWIN_OF)
    entries = [
        (Compound("mild", "Mild", hazards=("none",)), raman(twin), Tier.MEASURED),
        (Compound("bad", "Bad", hazards=("ultra-potent-opioid",)), raman(nearly), Tier.MEASURED),
        (Compound("other", "Other", hazards=("none",)), raman(substance(GRID, 3)), Tier.MEASURED),
    ]
    verdict = verdict_of(scan(twin), library(tmp_path, entries))
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert verdict.alarm is Alarm.DANGER
    assert set(verdict.named) == {"mild", "bad"}


def test_a_ranking_is_no_basis_for_a_verdict(references: ReferenceLibrary) -> None:
    with pytest.raises(InputError, match="ranking only"):
        decide(retrieve(scan(substance(GRID, 1)), references), references)


def test_both_methods_must_agree_without_calibration(references: ReferenceLibrary) -> None:
    found = uncalibrated(scan(substance(GRID, 1)), references)
    first, second = found.candidates[:2]
    other = replace(second, rank=1, score=0.99)
    verdict = decide(replace(found, candidates=(other, replace(first, rank=2, score=0.5))), references)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert any("ranking disagrees" in r for r in verdict.reasons)
    low = replace(found, candidates=tuple(replace(c, score=c.score * 0.95) for c in found.candidates))
    assert decide(low, references).kind is VerdictKind.INCONCLUSIVE


def test_dangerous_candidate_counts_however_few_are_asked_for(tmp_path: Path) -> None:
    base = substance(GRID, TWINS)
    hazards = [("none",)] * 6 + [("ultra-potent-opioid",)]
    entries = [
        (
            Compound(f"c{i}", f"C{i}", hazards=h),
            raman(base + 0.01 * i * substance(GRID, 30 + i)),
            Tier.MEASURED,
        )
        for i, h in enumerate(hazards)
    ]
    references = library(tmp_path, entries)
    for top in (2, 3, 10):
        verdict = decide(uncalibrated(scan(base), references, top=top), references)
        assert verdict.kind is VerdictKind.INCONCLUSIVE
        assert verdict.alarm is Alarm.DANGER
        assert "c6" in verdict.named
        assert any("Ultra-potent opioid" in line for line in verdict.precautions)
        assert "more)" in verdict.headline
