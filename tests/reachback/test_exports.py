"""Exports of a seizure: what is in them, and that no person is."""

import csv
import io
import json

import pytest
import sqlalchemy as sa

from spectralid.casework.manifest import GENESIS
from spectralid.errors import ParameterError
from spectralid.reachback import classification, exports
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.exports import FORMS
from spectralid.reachback.lab import laboratory
from spectralid.reachback.lab.reports import Substance
from spectralid.reachback.redaction import Redactor
from spectralid.reachback.store import tables
from tests.reachback.desk import says

NAME = "Zebulon Quartermain"
HIDDEN = ("Zebulon", "Quartermain", "zebulon", "quartermain")
FENTANYL = {
    "slug": "fentanyl", "name": "Fentanyl", "category": "opioid/fentanyl-analogue", "schedule": "II",
    "fentanyl_related": "parent", "share": 0.04, "low": 0.02, "high": 0.07, "probability": 0.99,
}  # fmt: skip


def export(desk, case_id, form, **options):
    return exports.export(desk.db, case_id, form, by="ada", now=desk.time, **options).data


def closed(desk, seizure="S-1", result=None, **body):
    """An answered case with fentanyl and all that goes with it."""
    desk.ingest(desk.tablet.seizure(seizure, place=f"Lane 4, {NAME}", mode="mail", note=NAME, site_ref=NAME))
    desk.ingest(desk.tablet.item("I-1", seizure, container="pe", declared={"text": NAME, "cas": "63-42-3"}))
    said = {
        "components": [FENTANYL], "families": ["fentanyl-related"],
        "verdict": {"kind": "identified", "alarm": "danger", "named": ["fentanyl"], "headline": "Fentanyl",
                    "precautions": ["Naloxone at hand."]},
        **(result or {}),
    }  # fmt: skip
    case_id = desk.scan(seizure, result=said, officer_ref="K-17", **body)
    desk.ingest(desk.tablet.strip(seizure=seizure))
    decided = says("fentanyl", headline="Fentanyl", basis="Bands.")
    desk.decide(desk.lease(case_id), decided)
    desk.review(desk.lease(case_id, "bea", senior=True))
    return case_id


def lab(desk, case_id, result="confirmed", *substances, **more):
    return laboratory.record(
        desk.db, desk.keys, case_id, result=result, substances=substances, laboratory="Forward 1",
        sample_ref="F-1", by="lab-ann", now=desk.time, **more,
    )  # fmt: skip


def pdf_text(data):
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    return "\n".join(page.extract_text() for page in reader.pages) + str(reader.metadata)


def text_of(form, data):
    """Whatever anybody could read in an export."""
    if form == "pdf":
        return pdf_text(data)
    if form == "nexus":
        import h5py

        found = []

        def visit(name, node):
            found.append(name)
            found.extend(f"{key}={value}" for key, value in node.attrs.items())
            if isinstance(node, h5py.Dataset) and node.dtype.kind == "O":
                found.append(str(node[()]))

        with h5py.File(io.BytesIO(data)) as file:
            found.extend(f"{key}={value}" for key, value in file.attrs.items())
            file.visititems(visit)
        return "\n".join(found) + data.decode("latin-1")
    return data.decode("utf-8")


# Fields that programs fill in, and that are checked when a packet comes in: names cannot stand there.
FIXED = {
    "schema", "kind", "packet_id", "seq", "prev", "wall_utc", "monotonic_us", "clock_state", "item_ref",
    "seizure_ref", "technique", "decision", "blob", "x_blob", "dtype", "device_id", "chain", "epoch",
    "sha256",
}  # fmt: skip


def planted(value, key=""):
    """The same with a name in every text field that anybody could have written."""
    if isinstance(value, dict):
        more = {"remark": NAME, "operator": NAME} if key not in ("chain", "captured") else {}
        return {**{k: planted(v, k) for k, v in value.items()}, **more}
    if isinstance(value, list):
        return [planted(one, key) for one in value] + (
            [NAME] if key not in ("spectra", "strips", "photos", "candidates") else []
        )
    fixed = key in FIXED or str(value).startswith("2026-") or value == "pos"
    return NAME if isinstance(value, str) and not fixed else value


FULL = {
    "instrument": {"technique": "raman", "instrument": "X", "maker": "X", "model": "X", "serial": "X",
                   "flags": [], "time": "X", "metadata": {"a": "b"}},
    "ipv": {"id": "X", "time": "2026-11-22T11:00:00Z", "passed": True, "limits_version": "X"},
    "officer_ref": "X", "site_ref": "X", "ui_locale": "X",
    "caution_shown": ["X"],
    "escalation": {"why": ["X"], "urgency": "X", "officer_note": "X"},
    "strips": [{"target": "X", "brand": "X", "lot": "X", "expiry": "X", "result": "pos"}],
    "context": {"a": "X"},
    "assessment": {"alarm": "X", "headline": "X", "words": "X", "conflicts": ["X"], "precautions": ["X"],
                   "swgdrug": ["X"], "escalation": ["X"],
                   "declared": {"check": {"outcome": "X", "reasons": ["X"]}}},
    "result": {
        "decision": "identified",
        "engine": {"version": "X", "ranking": "X"}, "library": {"name": "X", "version": "X", "sha256": "X"},
        "components": [{**FENTANYL, "name": "X", "form": "X", "tier": "X"}, {"slug": "X", "name": "X"}],
        "candidates": [{"substance_id": "X", "name": "X", "score": 0.9, "rank": 1}],
        "families": ["X"], "reason_codes": ["X"], "refused": "X", "quality": {"snr": 3, "problems": ["X"]},
        "smallest_shares": {"nitazene": 0.1}, "thresholds": {"a": "X"},
        "verdict": {"kind": "X", "alarm": "X", "headline": "X", "words": "X", "named": ["X"],
                    "families": ["X"], "precautions": ["X"], "codes": ["X"], "escalation": ["X"],
                    "policy": "X"},
    },
}  # fmt: skip


def planted_case(desk):
    tablet = desk.tablet
    desk.ingest(
        tablet.make(
            "seizure", NAME, officer_ref=NAME, site_ref=NAME, place=NAME, mode=NAME, note=NAME, ui_locale=NAME
        )
    )
    desk.ingest(
        tablet.make("item", NAME, NAME, label=NAME, container=NAME, note=NAME,
                    declared={"text": NAME, "cas": NAME, "tariff": NAME})
    )  # fmt: skip
    body = planted(FULL)
    # The slug of one component stays, so that there is something to report.
    body["result"]["components"][0]["slug"] = "fentanyl"
    body["result"]["components"][0]["fentanyl_related"] = "parent"
    scan = tablet.scan(NAME, NAME, **{k: v for k, v in body.items() if k != "result"}, result=body["result"])
    case_id = desk.ingest(scan).case
    evidence = {
        name: planted(FULL[name], name) for name in ("strips", "assessment", "escalation", "officer_ref")
    }  # fmt: skip
    desk.ingest(tablet.make("evidence", NAME, NAME, note=NAME, **evidence))
    desk.ingest(tablet.make("send", NAME, NAME, escalation=planted(FULL["escalation"])))
    desk.ingest(tablet.make("custody", NAME, NAME, action=NAME, to=NAME, note=NAME, officer_ref=NAME))
    lease = desk.lease(case_id, NAME)
    desk.interim(lease, headline=NAME, words=NAME, precautions=(NAME,))
    decision = says(
        "fentanyl", NAME, headline=NAME, words=NAME, basis=NAME, precautions=(NAME,), first_look=NAME
    )
    desk.decide(lease, decision)
    desk.review(desk.lease(case_id, f"Dr {NAME}", senior=True), note=NAME)
    laboratory.record(
        desk.db, desk.keys, case_id, result="refuted", laboratory=NAME, sample_ref=NAME, report_ref=NAME,
        substances=(Substance("carfentanil", NAME), Substance("x-17", NAME)), analyst=NAME, note=NAME,
        by=NAME, now=desk.time,
    )  # fmt: skip
    return case_id


@pytest.mark.parametrize("form", sorted(FORMS))
def test_no_name_that_anybody_wrote_is_in_a_redacted_export(desk, form):
    case_id = planted_case(desk)
    whole = text_of(form, export(desk, case_id, form, persons=True))
    shown = text_of(form, export(desk, case_id, form))
    if form in ("json", "pdf", "csv"):
        # Without this, the test would pass on an empty page.
        assert any(one in whole for one in HIDDEN)
    assert case_id in shown or "fentanyl" in shown.lower()
    for one in HIDDEN:
        assert one not in shown, f"{one} in {form}: …{shown[max(0, shown.find(one) - 200) :][:400]}"


def test_what_is_left_is_still_a_report(desk):
    case_id = planted_case(desk)
    said = json.loads(export(desk, case_id, "json"))
    assert said["redacted"] is True
    assert said["seizure"]["seizure_ref"] == case_id
    (item,) = said["items"]
    assert (item["item_ref"], item["laboratory"], item["fentanyl_family"]) == ("item-1", "refuted", True)
    assert item["scans"][0]["headline"] == "Fentanyl"
    assert "opioid / fentanyl-related / Fentanyl (field; presumptive; laboratory: refuted)" in item["classes"]
    assert any("naloxone" in one.lower() for one in item["scans"][0]["precautions"])
    assert said["laboratory_results"][0]["methods"] == ["GC-MS"]
    assert [one["kind"] for one in said["decisions"]] == ["interim", "decision", "review"]
    # The same person is the same in one export, and nobody in another.
    assert said["decisions"][0]["by"] == said["decisions"][1]["by"] != said["decisions"][2]["by"]
    again = json.loads(export(desk, case_id, "json"))
    assert again["decisions"][0]["by"] != said["decisions"][0]["by"]
    fixed = [json.loads(export(desk, case_id, "json", key=b"k" * 32)) for _ in range(2)]
    assert fixed[0] == fixed[1]


def test_the_whole_record_has_its_persons_and_no_photo(desk):
    case_id = closed(desk, officer_note=NAME)
    said = json.loads(export(desk, case_id, "json", persons=True))
    assert said["seizure"]["officers"] == ["K-17"]
    assert NAME in said["seizure"]["place"]
    assert said["decisions"][0]["by"] == "ada"
    assert said["redacted"] is False
    assert "classes" in said["items"][0]


@pytest.mark.parametrize("persons", [True, False])
def test_confirmed_stands_in_a_report_after_the_laboratory_said_so_and_not_before(desk, persons):
    case_id = closed(desk)
    for form in ("json", "pdf", "csv", "niem", "niem-csv", "jcamp"):
        before = text_of(form, export(desk, case_id, form, persons=persons)).lower()
        assert "laboratory confirmed" not in before
        assert "laboratory: confirmed" not in before
    lab(desk, case_id, "confirmed", "fentanyl")
    assert "LABORATORY" in text_of("pdf", export(desk, case_id, "pdf", persons=persons)).upper()
    rows = json.loads(export(desk, case_id, "niem", persons=persons))["rows"]
    assert {row["sid:Status"] for row in rows} == {"laboratory confirmed"}
    said = json.loads(export(desk, case_id, "json", persons=persons))
    assert said["items"][0]["laboratory"] == "confirmed"


def test_the_fentanyl_export_is_made_whatever_the_weight_and_for_what_only_the_laboratory_found(desk):
    case_id = closed(desk)
    (row, strip) = json.loads(export(desk, case_id, "niem"))["rows"]
    assert (row["sid:SubstanceName"], row["dea:DrugCode"], row["sid:Status"]) == (
        "Fentanyl",
        "9801",
        "presumptive",
    )
    assert strip["sid:Basis"] == "immunoassay"
    lab(desk, case_id, "refuted", "carfentanil")
    (row,) = json.loads(export(desk, case_id, "niem"))["rows"]
    assert (row["sid:SubstanceName"], row["sid:Basis"], row["sid:Status"]) == (
        "Carfentanil",
        "laboratory",
        "laboratory finding",
    )
    assert row["dea:DrugCode"] == "9743"
    harmless = desk.answered("S-2")
    assert json.loads(export(desk, harmless, "niem"))["rows"] == []
    table = list(csv.DictReader(io.StringIO(export(desk, case_id, "niem-csv").decode())))
    assert [one["sid:SubstanceName"] for one in table] == ["Carfentanil"]


def test_a_family_without_a_name_is_exported_with_its_class(desk):
    case_id = desk.scan(
        decision="class_only", substances=(), families=("fentanyl-related",), alarm="danger",
        result={"verdict": {"kind": "family", "alarm": "danger", "families": ["fentanyl-related"]}},
    )  # fmt: skip
    (row,) = list(csv.DictReader(io.StringIO(export(desk, case_id, "csv").decode())))
    assert row["class"] == "opioid / fentanyl-related / structure not determined"
    assert row["status"] == "presumptive"
    assert json.loads(export(desk, case_id, "niem"))["rows"][0]["sid:Basis"] == "spectrum: family"


@pytest.mark.parametrize("persons", [True, False])
@pytest.mark.parametrize("form", ["jcamp", "nexus"])
def test_spectra_go_out_as_they_were_measured_with_their_class(desk, tmp_path, form, persons):
    import spectralid.io

    case_id = closed(desk, values=(1.0, 7.5, 3.0, 2.0))
    file = tmp_path / f"out.{FORMS[form][1]}"
    file.write_bytes(export(desk, case_id, form, persons=persons))
    (spectrum,) = spectralid.io.read_all(file)
    assert list(spectrum.intensity) == [1.0, 7.5, 3.0, 2.0]
    assert list(spectrum.axis) == [200.0, 201.5, 203.0, 204.5]
    assert spectrum.technique.value == "raman"
    facts = spectrum.acquisition.metadata
    assert facts["SPECTRALID CLASS"] == "opioid / fentanyl-related / Fentanyl"
    assert facts["SPECTRALID STATUS"] == "presumptive"
    assert case_id in spectrum.name


def test_a_case_without_a_spectrum_has_no_file_of_spectra(desk):
    case_id = desk.ingest(desk.tablet.seizure("S-1")).case
    assert json.loads(export(desk, case_id, "json"))["items"] == []
    with pytest.raises(NotFoundError):
        export(desk, case_id, "jcamp")
    with pytest.raises(ParameterError):
        export(desk, case_id, "docx")
    with pytest.raises(NotFoundError):
        export(desk, "C-none", "json")


def test_an_export_is_on_record_with_what_went_out(desk):
    import hashlib

    case_id = desk.answered()
    data = export(desk, case_id, "csv")
    with desk.db.read() as tx:
        chosen = sa.select(tables.audit).where(tables.audit.c.action == "export")
        (row,) = tx.execute(chosen).mappings()
    assert (row["actor"], row["subject"]) == ("ada", case_id)
    assert json.loads(row["facts"]) == {
        "format": "csv",
        "redacted": True,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_a_damaged_packet_is_not_exported(desk):
    from spectralid.reachback.errors import DamagedError

    case_id = desk.answered()
    trigger = {
        "sqlite": "DROP TRIGGER packets_no_update",
        "postgresql": "ALTER TABLE packets DISABLE TRIGGER packets_append_only",
    }
    with desk.db.begin() as tx:
        tx.exec_driver_sql(trigger[desk.db.dialect])
        tx.execute(sa.update(tables.packets).values(raw=b"SIDPKT/1\n{}"))
    try:
        with pytest.raises(DamagedError):
            export(desk, case_id, "json")
    finally:
        if desk.db.dialect == "postgresql":
            with desk.db.begin() as tx:
                tx.exec_driver_sql("ALTER TABLE packets ENABLE TRIGGER packets_append_only")


def test_a_redacted_manifest_keeps_what_names_nobody():
    redactor = Redactor("C-1", ["bag of Zebulon"], b"k" * 32)
    manifest = {
        "schema": "spectralid.packet/1", "kind": "scan", "packet_id": "01900000-0000-7000-8000-000000000000",
        "seq": 4, "prev": GENESIS, "sha256": "ab" * 32, "device_id": "tablet-1", "officer_ref": "K-17",
        "item_ref": "bag of Zebulon",
        "captured": {"wall_utc": "2026-11-22T12:00:00Z", "clock_state": "synced"},
        "instrument": {"technique": "raman", "instrument": "Wasatch WP-785X", "laser_nm": 785,
                       "flags": ["simulated"]},
        "result": {"decision": "no_match", "verdict": {"kind": "no_match", "alarm": "unknown"}},
    }  # fmt: skip
    kept = redactor.manifest(manifest)
    assert kept["instrument"] == manifest["instrument"]
    assert (kept["item_ref"], kept["seizure_ref"], kept["seq"], kept["prev"]) == ("item-1", "C-1", 4, GENESIS)
    assert kept["packet_id"] == manifest["packet_id"]
    assert kept["officer_ref"].startswith("officer-")
    assert kept["result"]["verdict"] == {
        "kind": "no_match", "alarm": "unknown", "headline": "no match", "precautions": [],
    }  # fmt: skip
    assert classification.UNDETERMINED not in str(kept)
