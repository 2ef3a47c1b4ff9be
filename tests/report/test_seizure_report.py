"""The report of a seizure: everything in it, on as many pages as it takes, and per item what is of it."""

from __future__ import annotations

import csv
import io
import json

import pytest

from spectralid.errors import ParameterError
from spectralid.report import fentanyl_csv, fentanyl_json, seizure_json, seizure_report
from tests.report import made, pages

REFERENCE = "SZ-2026-0007"


def opened(**changes):
    return {
        "kind": "seizure", "seq": 1, "packet_id": "s1", "device_id": "TAB-0042", "seizure_ref": REFERENCE,
        "officer_ref": "K-17", "site_ref": "POE-3", "place": "Lane 4", "mode": "land",
        "note": "Hidden in a spare wheel.",
        "captured": {"wall_utc": "2026-11-22T12:20:00Z", "clock_state": "synced"},
    } | changes  # fmt: skip


def item(number, **changes):
    return {
        "kind": "item", "seq": 1 + number, "packet_id": f"i{number}", "device_id": "TAB-0042",
        "seizure_ref": REFERENCE, "item_ref": f"IT-{number:04d}", "label": f"bag {number}", "container": "pe",
        "captured": {"wall_utc": "2026-11-22T12:21:00Z", "clock_state": "synced"},
    } | changes  # fmt: skip


def harmless(number):
    manifest = made.scan(item_ref=f"IT-{number:04d}", seq=50 + number, packet_id=f"p{number}")
    manifest["result"]["components"] = [{"slug": "sucrose", "name": "Sucrose", "share": 1.0}]
    manifest["result"]["verdict"] |= {
        "alarm": "notice", "headline": "Sucrose", "named": ["sucrose"], "kind": "identified",
        "precautions": ["Gloves."],
    }  # fmt: skip
    return manifest


def shift():
    """A seizure of three items: fentanyl with a strip that contradicts, sugar, and one nobody scanned."""
    return [
        opened(), item(3), item(1), item(2), made.scan(sha256="ef" * 32), made.evidence(), harmless(1),
        {"kind": "custody", "seq": 140, "packet_id": "c", "seizure_ref": REFERENCE, "officer_ref": "K-17",
         "action": "handed over", "to": "LAB-2", "note": "sealed bag 77",
         "captured": {"wall_utc": "2026-11-22T13:21:00Z", "clock_state": "synced"}},
    ]  # fmt: skip


def test_items_scans_evidence_and_custody_are_in_it():
    data = seizure_report(
        shift(), custody=[{"n": 1, "utc": "2026-11-22T12:20:00Z"}, {"n": 9, "utc": "2026-11-22T13:21:00Z"}],
        custody_fault="",
    )  # fmt: skip
    text = " ".join(pages.texts(data))
    for said in (
        REFERENCE, "3 items", "2 scans", "Lane 4", "land", "Hidden in a spare wheel.", "Item 1 of 3: bag 1",
        "Item 3 of 3: bag 3", "NOTICE: Sucrose", "DANGER: Fentanyl by the spectrum, not by the strip",
        "neither is set aside", "fentanyl: NEGATIVE", "INCONSISTENT", "No scans of this item.", "118",
        "Lactose (monohydrate) 91 %, Fentanyl (hydrochloride) 6.8 %", "ef" * 32, "handed over", "LAB-2",
        "sealed bag 77", "2 entries",
        "was verified", "the seizure-report export is due, whatever the weight", "1–4, 51, 118–119, 140",
    ):  # fmt: skip
        assert said in text, said


def test_a_broken_custody_chain_is_told_and_one_nobody_looked_at_is_not_praised():
    broken = " ".join(pages.texts(seizure_report(shift(), custody_fault="Entry 4 was edited.")))
    assert "DOES NOT HOLD: Entry 4 was edited." in broken
    silent = " ".join(pages.texts(seizure_report(shift())))
    assert "verified when" not in silent
    assert "DOES NOT HOLD" not in silent


def test_every_page_is_marked_numbered_and_free_of_overlaps():
    manifests = [opened(), *(item(n) for n in range(1, 25)), *(harmless(n) for n in range(1, 25))]
    for language, mark, page in (("en", "PRESUMPTIVE", "Page"), ("es", "PRESUNTIVO", "Página")):
        data = seizure_report(manifests, language=language, paper="letter")
        found = pages.texts(data)
        assert len(found) > 4
        for number, text in enumerate(found, 1):
            assert text.count(mark) == 2
            assert f"{page} {number} d" in text or f"{page} {number} of {len(found)}" in text
        for sheet, boxes in pages.boxes(data):
            assert not pages.overlaps(boxes)
            assert all(b[0] > 20 and b[2] < sheet[2] - 20 and b[1] > 20 for b in boxes)
        assert all(pages.embedded(font) for font in pages.fonts(data))


def test_extreme_texts_are_cut_and_no_page_runs_over():
    long = "Wheel of a lorry from Ciudad Juárez ≈ " * 200
    manifests = shift()
    manifests[0] |= {"note": long, "place": long}
    manifests[1] |= {"label": long}
    manifests[5]["assessment"] |= {"conflicts": [long] * 12, "words": long}
    data = seizure_report(manifests, answers=[made.answer(headline=long)] * 5)
    for sheet, boxes in pages.boxes(data):
        assert not pages.overlaps(boxes)
        assert all(b[0] > 20 and b[2] < sheet[2] - 20 and b[1] > 20 for b in boxes)
    assert json.loads(seizure_json(manifests))["seizure"]["note"] == long


def test_a_laboratory_result_is_of_its_item_alone():
    facts = json.loads(seizure_json(shift(), answers=[made.answer()]))
    status = {i["item_ref"]: i["laboratory"] for i in facts["items"]}
    assert status == {"IT-0001": "none", "IT-0002": "none", "IT-0003": "confirmed"}
    text = " ".join(pages.texts(seizure_report(shift(), answers=[made.answer()])))
    assert text.count("NOT YET CONFIRMED BY A LABORATORY") == 2
    assert text.count("CONFIRMED BY A LABORATORY") == 3


def test_spectra_are_drawn_where_they_are_given():
    x, y = made.spectrum()
    packet = made.scan()["packet_id"]
    with_curve = seizure_report(shift(), spectra={packet: [(x, y, "raman")]})
    assert "Raman shift / cm⁻¹" in " ".join(pages.texts(with_curve))
    assert "Raman shift" not in " ".join(pages.texts(seizure_report(shift())))
    lines = max(sum(op == b"l" for _, op in pages.operators(with_curve, n)) for n in (0, 1))
    assert lines > 500


def test_simulated_scans_mark_every_page_and_every_row():
    manifests = shift()
    manifests[4]["instrument"]["flags"] = ["simulated"]
    found = pages.texts(seizure_report(manifests))
    assert all("SIMULATED: NOT EVIDENCE" in page for page in found)
    assert sum(page.count("SIMULATED") for page in found) == len(found) + 1
    (row,) = rows(manifests)
    assert row["sid:Simulated"] == "SIMULATED"


def test_packets_of_several_seizures_or_none_are_refused():
    with pytest.raises(ParameterError, match="one seizure"):
        seizure_report([opened(), opened(seizure_ref="other")])
    with pytest.raises(ParameterError, match="one seizure"):
        seizure_report([])


def test_json_is_sorted_and_independent_of_the_order_of_packets():
    assert seizure_json(shift()) == seizure_json(reversed(shift()))
    facts = json.loads(seizure_json(shift()))
    assert facts["schema"] == "spectralid.report.seizure/1"
    assert facts["alarm"] == "danger"
    assert facts["fentanyl_family"] is True
    assert [i["item_ref"] for i in facts["items"]] == ["IT-0001", "IT-0002", "IT-0003"]
    assert [s["packet_id"] for s in facts["items"][2]["scans"]] == [made.scan()["packet_id"]]


# --- fentanyl family ---------------------------------------------------------------------------------------


def rows(manifests, **options):
    return list(csv.DictReader(io.StringIO(fentanyl_csv(manifests, **options).decode(), newline="")))


def test_the_export_holds_fentanyl_with_its_code_and_not_the_sugar():
    (row,) = rows(shift())
    assert row["nc:ActivityIdentification"] == REFERENCE
    assert row["nc:ItemOtherIdentification"] == "IT-0003"
    assert row["nc:LocationName"] == "Lane 4"
    assert row["sid:SubstanceName"] == "Fentanyl"
    assert row["dea:DrugCode"] == "9801"  # 21 CFR 1308.12(c)
    assert row["sid:Status"] == "presumptive"
    assert row["sid:Basis"] == "spectrum"
    assert row["nc:SubstanceQuantityMeasure"] == ""


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        ("carfentanil", "9743"),  # 21 CFR 1308.12(c)
        ("acetylfentanyl", "9821"),  # 21 CFR 1308.11(b)
        ("para-bromofentanyl", "9850"),  # by the rule for fentanyl-related substances
        ("meta-fluorofentanyl", ""),  # listed by name since 2023; its code is not in the source
    ],
)
def test_codes_are_those_of_the_source_and_empty_where_there_is_none(slug, code):
    manifest = made.scan()
    manifest["result"]["components"][1] |= {"slug": slug, "name": slug}
    manifest["result"]["verdict"]["named"] = ["lactose", slug]
    (row,) = rows([manifest])
    assert row["dea:DrugCode"] == code


def test_a_trace_is_exported_like_a_kilogram_and_what_was_only_fitted_is_not():
    manifest = made.scan()
    manifest["result"]["components"][1]["share"] = 0.0004
    assert len(rows([manifest])) == 1
    manifest["result"]["verdict"]["named"] = ["lactose"]
    assert rows([manifest]) == []


def test_a_family_without_a_name_and_an_agency_substance_count():
    family = made.scan()
    family["result"] |= {"components": [], "families": ["fentanyl-related"]}
    family["result"]["verdict"]["named"] = []
    (row,) = rows([family])
    assert row["sid:Basis"] == "spectrum: family"
    assert row["dea:DrugCode"] == ""
    own = made.scan()
    own["result"]["components"][1] |= {
        "slug": "agency-0815", "name": "Agency 0815", "fentanyl_related": "yes", "schedule": "FRS"
    }  # fmt: skip
    own["result"]["verdict"]["named"] = ["agency-0815"]
    (row,) = rows([own])
    assert (row["sid:SubstanceName"], row["dea:DrugClassScheduleCode"]) == ("Agency 0815", "I")


def test_a_positive_strip_counts_and_a_refuted_item_does_not():
    strip = made.evidence()
    strip["strips"][0]["result"] = "pos"
    assert [r["sid:Basis"] for r in rows([harmless(3), strip])] == ["immunoassay"]
    assert rows(shift(), answers=[made.answer(lab="refuted")]) == []
    (row,) = rows(shift(), answers=[made.answer()])
    assert row["sid:Status"] == "laboratory confirmed"


def test_a_positive_strip_counts_for_swgdrug_only_if_its_validity_is_on_record():
    for codes, met in (([], ["A", "C"]), (["brand-unknown"], ["A", "C"]), (["expired"], ["A"])):
        strip = made.evidence()
        del strip["assessment"]
        strip["strips"][0] |= {"result": "pos", "evidence": {"codes": codes}}
        facts = json.loads(seizure_json([item(3), made.scan(), strip]))
        assert facts["items"][0]["swgdrug"] == met


@pytest.mark.parametrize("evil", ['=HYPERLINK("http://x")', "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1"])
def test_no_cell_is_a_formula(evil):
    manifest = made.scan(officer_ref=evil)
    manifest["result"]["components"][1]["name"] = evil
    text = fentanyl_csv([opened(place=evil), item(3, label=evil), manifest]).decode()
    (row,) = list(csv.DictReader(io.StringIO(text, newline="")))
    for column in ("sid:OfficerPseudonym", "sid:SubstanceName", "nc:LocationName", "nc:ItemDescriptionText"):
        assert row[column] == f"'{evil}"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in row.values())


def test_the_json_export_states_its_sources():
    facts = json.loads(fentanyl_json(shift()))
    assert facts["schema"] == "spectralid.report.fentanyl/1"
    assert any("NIEM 6.0" in source for source in facts["code_sources"])
    assert facts["rows"][0]["sid:SignalShare"] == 0.068
