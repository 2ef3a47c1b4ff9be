"""The page of a scan: what is on it, that it is one, and that the same record gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import ParameterError
from spectralid.report import scan_json, scan_report
from spectralid.report.ink import text_width
from spectralid.report.signs import SIGNS
from tests.report import made, pages

LONG = "Präparat Nº 7 ≈ N-(1-phenethylpiperidin-4-yl)-N-phenylpropanamide " * 9


def report(manifest=None, **options):
    x, y = made.spectrum()
    options.setdefault("evidence", [made.evidence()])
    return scan_report(manifest or made.scan(sha256="ef" * 32), [(x, y, "raman")], **options)


def extreme() -> tuple[dict, list[dict], list[dict]]:
    """More than any page can hold, of everything."""
    manifest = made.scan(sha256="ef" * 32, officer_ref="K" * 100, site_ref="S" * 100, seizure_ref="Z" * 100)
    result = manifest["result"]
    result["components"] = [
        {"slug": f"c{n}", "name": LONG, "form": LONG, "tier": "measured", "share": 0.25, "low": 0.2,
         "high": 0.3, "probability": 0.9}
        for n in range(4)
    ]  # fmt: skip
    for key in ("precautions", "not_excluded", "evidence", "advice"):
        result["verdict"][key] = [f"{n} {LONG}" for n in range(20)]
    result["verdict"] |= {"headline": LONG * 4, "words": LONG * 12}
    result["smallest_shares"] = {f"family {n} {LONG}": 0.01 * n for n in range(40)}
    manifest["escalation"] = {"why": ["forced"] * 9, "officer_note": "x" * 2000}
    evidence = made.evidence(note="wwww " * 400)
    evidence["strips"] = evidence["strips"] * 12
    evidence["assessment"] |= {"conflicts": [f"{n} {LONG}" for n in range(12)], "words": LONG * 5}
    evidence["declared"] = {"text": LONG * 3, "check": {"outcome": "cannot_tell", "reasons": [LONG] * 9}}
    answers = [
        made.answer(answer_id=f"a{n}", n=n, headline=LONG, lab=None, kind="interim") for n in range(30)
    ]
    return manifest, [evidence], answers


def test_it_says_what_must_be_said():
    (text,) = pages.texts(report())
    for said in (
        "PRESUMPTIVE", "DANGER", "Mixture", "Lactose with fentanyl ≈ 7 %", "naloxone", "Nitazenes below 3.4",
        "fentanyl-related: 2.1 %", "Lactose (monohydrate)", "91 %", "5.1–8.9 %", "Raman shift / cm⁻¹",
        "1002 and 1030 cm⁻¹", "fentanyl: NEGATIVE", "lot L22", "INCONSISTENT", "neither is set aside",
        "high hazard by the policy", "the result is uncertain", "0193576e-7c00-7abc", "118", "TAB-0042",
        "K-17", "SZ-2026-0007", "IT-0003", "2026-11-22 12:31:07 UTC", "drifting from trusted", "WP-01234",
        "785 nm", "plastic bag", "passed", "spectralid 0.6.0", "agency 2026.11 cdcdcdcdcdcd",
        "default 1 0123456789ab", "NOT YET CONFIRMED BY A LABORATORY", "Page 1 of 1",
    ):  # fmt: skip
        assert said in text, said
    assert "ef" * 16 in text.replace(" ", "")


def test_spanish_says_it_in_spanish_and_leaves_what_the_officer_read():
    (text,) = pages.texts(report(language="es"))
    for said in ("PRESUNTIVO", "PELIGRO", "AÚN NO CONFIRMADO POR UN LABORATORIO", "6,8 %", "INCOHERENTE",
                 "Lactose with fentanyl", "en el idioma en que se mostraron (en)"):  # fmt: skip
        assert said in text, said


@pytest.mark.parametrize(
    ("lab", "said", "unsaid"),
    [
        (None, "NOT YET CONFIRMED", " CONFIRMED BY"),
        ("confirmed", "CONFIRMED BY A LABORATORY", "NOT YET"),
        ("refuted", "REFUTED BY A LABORATORY", "CONFIRMED"),
        ("inconclusive", "LABORATORY INCONCLUSIVE", "NOT YET"),
        ("sure", "NOT YET CONFIRMED", " CONFIRMED BY"),
    ],
)
def test_confirmed_is_said_only_after_a_laboratory_said_so(lab, said, unsaid):
    (text,) = pages.texts(report(lab_status=lab, evidence=[]))
    assert said in text
    assert unsaid not in text.replace("NOT YET CONFIRMED BY", "NOT YET CONFIRMED")
    assert "PRESUMPTIVE" in text


def test_a_later_laboratory_result_takes_the_place_of_the_one_it_supersedes():
    answers = [
        made.answer(n=2, answer_id="a-2", lab="refuted", headline="Caffeine", supersedes="a-1"),
        made.answer(),
        made.answer(n=3, answer_id="a-3", kind="notice", lab=None, headline="Training on Monday"),
    ]
    facts = json.loads(scan_json(made.scan(), answers=answers))
    assert facts["laboratory"] == "refuted"
    (text,) = pages.texts(report(answers=answers))
    assert "REFUTED" in text
    assert "superseded: 2026-11-23" in text


@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_extreme_records_stay_on_one_page_and_say_that_they_go_on(paper, language):
    manifest, evidence, answers = extreme()
    x, y = made.spectrum()
    data = scan_report(
        manifest, [(x, y, LONG)] * 6, evidence=evidence, answers=answers, paper=paper, language=language
    )
    (text,) = pages.texts(data)
    assert {"en": "continued in the JSON report", "es": "continúa en el informe JSON"}[language] in text
    assert {"en": "PRESUMPTIVE", "es": "PRESUNTIVO"}[language] in text
    assert {"en": "NOT YET CONFIRMED", "es": "AÚN NO CONFIRMADO"}[language] in text
    assert "0193576e-7c00-7abc-8def" in text.replace(" ", "")
    assert "≈" in text
    ((sheet, found),) = pages.boxes(data)
    assert not pages.overlaps(found)
    assert all(b[0] > 20 and b[2] < sheet[2] - 20 and b[1] > 20 and b[3] < sheet[3] - 20 for b in found)


def test_what_is_most_urgent_is_shortened_last():
    manifest, evidence, answers = extreme()
    x, y = made.spectrum()
    (text,) = pages.texts(scan_report(manifest, [(x, y, "s")], evidence=evidence, answers=answers))
    # Of twenty precautions and twelve conflicts some are read; of the notes and the evidence, one of each.
    assert "1 Präparat" in text
    json_report = json.loads(scan_json(manifest, evidence=evidence, answers=answers))
    assert len(json_report["conflicts"]) == 12
    assert json_report["verdict"]["words"] == LONG * 12


@pytest.mark.parametrize("language", ["en", "es"])
def test_nothing_overlaps_on_a_usual_page(language):
    data = report(language=language, answers=[made.answer()])
    ((sheet, found),) = pages.boxes(data)
    assert len(found) > 60
    assert not pages.overlaps(found)
    assert all(b[2] < sheet[2] - 20 and b[1] > 20 for b in found)
    assert "continued" not in pages.texts(data)[0]


def test_every_font_is_embedded():
    found = pages.fonts(report())
    assert len(found) >= 2
    assert all(pages.embedded(font) for font in found)


def test_the_spectrum_is_drawn_as_a_line_and_the_sign_as_a_shape():
    with_spectrum, without = pages.operators(report()), pages.operators(scan_report(made.scan()))
    lines = [sum(op == b"l" for _, op in page) for page in (with_spectrum, without)]
    assert lines[0] > lines[1] + 500
    # The octagon: a path of eight corners, filled.
    path: list[bytes] = []
    shapes = []
    for _, op in without:
        if op in (b"m", b"l", b"h"):
            path.append(op)
        elif op in (b"f", b"F", b"f*"):
            shapes.append(tuple(path))
            path = []
        elif op in (b"S", b"s", b"n"):
            path = []
    assert (b"m", *[b"l"] * 7, b"h") in shapes
    assert "none were given to this report" in pages.texts(scan_report(made.scan()))[0]


def test_the_drawing_shows_the_spectrum_it_was_given():
    x = [200.0 + n for n in range(1800)]
    y = [0.0 if n != 900 else 1000.0 for n in range(1800)]
    curve = pages.longest_path(scan_report(made.scan(), [(x, y, "raman")]))
    peak = max(curve, key=lambda p: p[1])
    left, right = curve[0][0], curve[-1][0]
    assert (peak[0] - left) / (right - left) == pytest.approx(900 / 1799, abs=0.005)


def test_infrared_falls_to_the_right_and_names_its_axis():
    manifest = made.scan()
    manifest["spectra"] = [{"technique": "ftir_atr", "unit": "absorbance"}]
    x = [400.0 + 2 * n for n in range(1800)]
    data = scan_report(manifest, [(x, [0.1] * 1799 + [0.9], "ftir_atr")])
    (text,) = pages.texts(data)
    assert "wavenumber / cm⁻¹" in text
    assert "absorbance" in text
    assert "infrared (ATR)" in text
    curve = pages.longest_path(data)
    assert max(curve, key=lambda p: p[1])[0] == min(p[0] for p in curve)


def test_points_without_a_value_and_empty_spectra_do_no_harm():
    nan = float("nan")
    for curve in [([], [], "a"), ([1.0], [2.0], "a"), ([1.0, 2.0, 3.0], [nan] * 3, "a"),
                  ([1.0, 2.0, 3.0, 4.0], [5.0, 5.0, nan, 5.0], "a")]:  # fmt: skip
        assert len(pages.texts(scan_report(made.scan(), [curve]))) == 1


def test_a_refused_scan_and_an_empty_manifest_make_a_page():
    refused = made.scan()
    refused["result"] = {"decision": "inconclusive", "refused": "The library holds no infrared references."}
    (text,) = pages.texts(scan_report(refused))
    assert "Not analysed" in text
    assert "The library holds no infrared references." in text
    assert "UNKNOWN" in text
    (text,) = pages.texts(scan_report({}))
    assert "PRESUMPTIVE" in text
    assert "UNKNOWN" in text


def test_a_manifest_of_another_kind_is_refused():
    with pytest.raises(ParameterError, match="the manifest of a scan"):
        scan_report(made.evidence())
    with pytest.raises(ParameterError, match="paper"):
        scan_report(made.scan(), paper="a5")
    with pytest.raises(ParameterError, match="language"):
        scan_report(made.scan(), language="xx")


@pytest.mark.parametrize("alarm", [*SIGNS, "catastrophe"])
def test_every_alarm_has_word_shape_and_colour(alarm):
    manifest = made.scan()
    manifest["result"]["verdict"]["alarm"] = alarm
    (text,) = pages.texts(scan_report(manifest))
    assert {"danger": "DANGER", "unknown": "UNKNOWN", "warning": "WARNING", "notice": "NOTICE"}.get(
        alarm, "catastrophe"
    ) in text
    assert len({(s.corners, s.colour) for s in SIGNS.values()}) == len(SIGNS)


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_the_colours_of_signs_stand_out_from_white_by_seven_to_one(sign):
    # WCAG 2.2, relative luminance.
    channels = [int(sign.colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) >= 7


def test_what_was_typed_cannot_turn_the_text_around_or_hide_it():
    manifest = made.scan(officer_ref="K-17\u202egnihton\u2066\x00\nNOTE: harmless")
    (text,) = pages.texts(scan_report(manifest))
    assert "K-17 gnihton NOTE: harmless" in text
    assert not set(text) & set("\u202e\u2066\x00")


def test_a_simulated_scan_is_marked_as_no_evidence():
    manifest = made.scan()
    assert "SIMULATED" not in pages.texts(report(manifest))[0]
    manifest["instrument"]["flags"] = ["simulated", "axis_calibrated"]
    data = report(manifest)
    assert "SIMULATED: NOT EVIDENCE" in pages.texts(data)[0]
    assert "SIMULADO: NO ES UNA PRUEBA" in pages.texts(report(manifest, language="es"))[0]
    ((_, found),) = pages.boxes(data)
    assert not pages.overlaps(found)
    assert json.loads(scan_json(manifest))["simulated"] is True


def test_no_heading_stands_over_nothing():
    (text,) = pages.texts(report(evidence=[]))
    for heading in ("Conflicts", "Strip tests", "Declared goods", "The item as a whole", "Notes", "Answers"):
        assert heading not in text


def test_what_was_declared_when_the_item_was_opened_is_checked_by_its_assessment():
    opened = {"kind": "item", "seq": 117, "item_ref": "IT-0003", "declared": {"text": "flour", "cas": ""}}
    scan = made.scan(assessment={"declared": {"outcome": "inconsistent", "reasons": ["It is no flour."]}})
    (text,) = pages.texts(report(scan, evidence=[opened]))
    assert "Declared as “flour”: INCONSISTENT with what was found." in text
    assert "It is no flour." in text
    (text,) = pages.texts(report(evidence=[opened]))
    assert "Declared as “flour”: not checked." in text


def test_a_family_that_nothing_can_be_said_of_has_no_limit():
    manifest = made.scan()
    manifest["result"]["smallest_shares"] = {"fentanyl-related": 0.998, "nitazene": 0.034}
    (text,) = pages.texts(report(manifest))
    assert "no limit from this scan" in text
    assert "100 %" not in text


def test_a_probability_is_never_rounded_to_certainty():
    manifest = made.scan()
    manifest["result"]["components"][0]["probability"] = 0.99999
    (text,) = pages.texts(scan_report(manifest))
    assert "> 99 %" in text
    assert "100 %" not in text


PROGRAM = """
import sys
from spectralid.report import scan_json, scan_report, seizure_report, fentanyl_csv
from tests.report import made
x, y = made.spectrum()
kinds = [made.scan(), made.evidence()]
data = scan_report(made.scan(), [(x, y, "raman")], evidence=[made.evidence()], answers=[made.answer()])
data += scan_json(made.scan(), evidence=[made.evidence()]) + fentanyl_csv(kinds)
curves = {made.scan()["packet_id"]: [(x, y, "a")]}
data += seizure_report(kinds, answers=[made.answer()], language="es", spectra=curves)
sys.stdout.buffer.write(data)
"""


def test_the_same_record_gives_the_same_bytes_in_any_process():
    digests = set()
    for seed, locale, zone in (
        ("0", "C", "UTC"),
        ("1", "es_ES.UTF-8", "Asia/Kathmandu"),
        ("77", "C.UTF-8", "EST5"),
    ):
        environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale, "TZ": zone}
        made_by = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True, timeout=120
        )
        assert made_by.stdout.startswith(b"%PDF")
        digests.add(hashlib.sha256(made_by.stdout).hexdigest())
    assert len(digests) == 1


def test_no_time_but_that_of_the_record_is_in_the_file():
    data = report()
    year = b"(D:2000"  # what reportlab writes for "no clock"
    assert data.count(b"/CreationDate " + year) == 1
    assert b"(D:20" not in data.replace(year, b"")


def test_json_is_sorted_versioned_and_whole():
    facts = scan_json(
        made.scan(sha256="ef" * 32), [([1.0, 2.0], [3.0, 4.0], "s")], evidence=[made.evidence()]
    )
    plain = json.loads(facts)
    assert plain["schema"] == "spectralid.report.scan/1"
    assert plain["presumptive"] is True
    assert plain["verdict"] == made.scan()["result"]["verdict"]
    assert plain["swgdrug"] == ["A"]
    assert plain["escalation"] == ["policy_high_hazard", "uncertain"]
    assert plain["identifiers"]["packet_sha256"] == "ef" * 32
    assert plain["drawn"] == [{"name": "s", "points": 2, "first": 1.0, "last": 2.0}]
    assert list(plain) == sorted(plain)


@settings(max_examples=25)
@given(
    text=st.text(max_size=400),
    items=st.lists(st.text(max_size=120), max_size=12),
    number=st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)),
)
def test_whatever_is_in_the_record_there_is_one_page_inside_its_margins(text, items, number):
    manifest = made.scan(officer_ref=text, device_id=text)
    manifest["result"]["verdict"] |= {
        "headline": text,
        "words": text,
        "precautions": items,
        "evidence": items,
    }
    manifest["result"]["components"] = [{"slug": "a", "name": text, "share": number, "probability": number}]
    evidence = made.evidence(note=text)
    evidence["assessment"]["conflicts"] = items
    data = scan_report(manifest, evidence=[evidence])
    ((sheet, found),) = pages.boxes(data)
    assert all(b[0] > 20 and b[2] < sheet[2] - 20 and b[1] > 20 for b in found)


def test_text_is_measured_as_it_is_printed():
    # Width of "PRESUMPTIVE" as pdfium sees it and as it was laid out.
    data = report()
    document_width = max(
        b[2] - b[0] for _, found in pages.boxes(data) for b in found if 15 < b[3] - b[1] < 25
    )
    assert document_width == pytest.approx(text_width("PRESUMPTIVE", 25, "bold"), rel=0.05)
