"""The bulletin of a month: what is in it, what must not be, and that it is the same each time."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from spectralid.cli import main
from spectralid.errors import ParameterError
from spectralid.reachback.intelligence import bulletin
from spectralid.reachback.lab import laboratory
from tests.reachback.desk import says
from tests.reachback.mixtures import scan

SECRET = "Officer Maria Lopez, gate 7"


@pytest.fixture
def kind():
    # What is read from the record is tested on both databases elsewhere.
    return "sqlite"


@pytest.fixture
def month(desk):
    """October: a year's record, with something of everything."""
    desk.time = datetime(2026, 8, 3, 12, tzinfo=UTC)
    desk.scan("A-1", substances=("cocaine",))
    desk.passes(days=60)
    number = 0
    for substances, n in ((("cocaine",), 6), (("fentanyl", "lactose"), 4), (("acetylfentanyl",), 2)):
        for _ in range(n):
            number += 1
            opened = desk.tablet.seizure(
                f"S-{number}", mode="mail" if number % 2 else "land", note=SECRET, place=SECRET
            )
            desk.ingest(opened)
            for k in range(2):
                raw = scan(
                    desk.tablet, f"S-{number}", {1: 0.6, 2: 0.4}, 100 * number + k, substances=substances,
                    escalation={"why": ["forced"], "officer_note": SECRET},
                )  # fmt: skip
                case_id = desk.ingest(raw).case
            desk.passes(hours=3)
    for seizure in ("U-1", "U-2"):
        raw = scan(desk.tablet, seizure, {9: 1.0}, int(seizure[-1]), decision="no_match", substances=())
        desk.ingest(raw)
    lease = desk.lease(case_id)
    desk.decide(lease, says("acetylfentanyl", headline="Acetylfentanyl", words=SECRET, basis=SECRET))
    desk.review(desk.lease(case_id, "ben", senior=True), note=SECRET)
    laboratory.record(
        desk.db, desk.keys, case_id, result="confirmed", substances=("acetylfentanyl",), laboratory="F",
        sample_ref="1", by="lab", now=desk.time,
    )  # fmt: skip
    return desk


def text_of(pdf):
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    try:
        return " ".join(page.get_textpage().get_text_range() for page in document).replace("\r\n", " ")
    finally:
        document.close()


def table(facts):
    return list(csv.DictReader(io.StringIO(bulletin.bulletin_csv(facts).decode(), newline="")))


def test_it_counts_confirmed_and_presumptive_apart(month):
    facts = bulletin.bulletin_facts(month.db, "2026-10")
    assert facts["totals"] == {
        "seizures": 14, "laboratory": 1, "chemist": 0, "field": 13, "no_match": 2, "scans": 26,
    }  # fmt: skip
    by_class = {c["key"]: c for c in facts["classes"]}
    fentanyl = by_class["opioid / fentanyl-related"]
    assert (fentanyl["confirmed"], fentanyl["presumptive"], fentanyl["of"]) == (1, 5, 14)
    assert [(s["key"], s["presumptive"]) for s in facts["first_sightings"] if s["level"] == "substance"] == [
        ("fentanyl", True),
        ("acetylfentanyl", True),
    ]
    assert len(facts["unknown_clusters"]) == 1
    assert facts["linked"]
    assert {c["where"] for c in facts["by_mode"]} == {"mail", "land", "not stated"}
    assert {c["period"] for c in facts["months"]} == {"2026-08", "2026-10"}
    august = bulletin.bulletin_facts(month.db, "2026-08")
    assert august["totals"]["seizures"] == 1
    assert august["linked"] == august["unknown_clusters"] == []


def test_nothing_of_persons_and_nothing_typed_is_in_it(month):
    facts = bulletin.bulletin_facts(month.db, "2026-10")
    pages = text_of(bulletin.bulletin_pdf(facts))
    everything = pages + bulletin.bulletin_csv(facts).decode() + bulletin.bulletin_json(facts).decode()
    for hidden in (SECRET, "Lopez", "gate 7", "K-17", "tablet-1", "ada", "ben", "U-1", "S-1"):
        assert f" {hidden} " not in f" {everything} ".replace('"', " ").replace(",", " "), hidden


def test_the_pages_say_what_they_are(month):
    facts = bulletin.bulletin_facts(month.db, "2026-10")
    said = text_of(bulletin.bulletin_pdf(facts))
    for words in (
        "Seizure bulletin, October 2026", "PRESUMPTIVE", "First sightings", "Acetylfentanyl", "confirmed",
        "What this does not say", "may hold the same mixture", "mode of entry",
    ):  # fmt: skip
        assert words in said, words
    for sentence in bulletin.LIMITS:
        assert sentence[:40] in said
    empty = text_of(bulletin.bulletin_pdf(bulletin.bulletin_facts(month.db, "2025-01")))
    assert "Nothing of interest was found." in empty


def test_the_same_record_gives_the_same_bytes(month):
    one, other = (bulletin.bulletin_facts(month.db, "2026-10") for _ in range(2))
    assert bulletin.bulletin_pdf(one) == bulletin.bulletin_pdf(other)
    assert bulletin.bulletin_csv(one) == bulletin.bulletin_csv(other)
    assert bulletin.bulletin_json(one) == bulletin.bulletin_json(other)
    assert bulletin.bulletin_pdf(one, paper="letter") != bulletin.bulletin_pdf(one)


def test_the_table_has_what_the_facts_have_and_runs_in_no_spreadsheet(month):
    facts = bulletin.bulletin_facts(month.db, "2026-10")
    rows = table(facts)
    (fentanyl,) = [r for r in rows if r["section"] == "class" and r["key"] == "opioid / fentanyl-related"]
    assert (fentanyl["confirmed"], fentanyl["presumptive"], fentanyl["of"]) == ("1", "5", "14")
    assert float(fentanyl["share"]) == pytest.approx(6 / 14, rel=1e-5)
    assert {r["section"] for r in rows} >= {"total", "class", "class by mode", "first sighting", "limit"}
    evil = {**facts, "by_site": [{**facts["by_site"][0], "where": "=cmd|'/c calc'!A1", "label": "@SUM(A1)"}]}
    for row in table(evil):
        assert not any(str(value).startswith(("=", "+", "@", "-")) for value in row.values())


def test_only_ones_own_places(month):
    assert bulletin.bulletin_facts(month.db, "2026-10", sites={"south"})["totals"]["seizures"] == 0
    facts = bulletin.bulletin_facts(month.db, "2026-10", sites={"north"})
    assert facts["totals"]["seizures"] == 14
    assert "sites north" in text_of(bulletin.bulletin_pdf(facts))


def test_the_command_writes_each_form(month, capsys, tmp_path):
    folder = str(month.db.folder)
    month.db.close()
    common = ["reachback", "bulletin", "--folder", folder, "--month", "2026-10"]
    for form in ("pdf", "csv", "json"):
        assert main([*common, "--output", str(tmp_path / f"b.{form}")]) == 0
    assert (tmp_path / "b.pdf").read_bytes().startswith(b"%PDF")
    assert json.loads((tmp_path / "b.json").read_text())["month"] == "2026-10"
    assert main([*common, "--output", str(tmp_path / "b.pdf")]) == 2  # it is there
    assert main([*common, "--output", str(tmp_path / "b.txt")]) == 2
    assert main([*common[:-1], "2026-13", "--output", str(tmp_path / "c.pdf")]) == 2
    assert main(["reachback", "bulletin", "--folder", str(tmp_path), "--month", "2026-10", "--output",
                 str(tmp_path / "d.pdf")]) == 2  # fmt: skip
    capsys.readouterr()
    assert main(["reachback", "alerts", "--folder", folder, "--json"]) == 0
    assert "alerts" in json.loads(capsys.readouterr().out)


def test_no_month_is_no_bulletin(month):
    with pytest.raises(ParameterError):
        bulletin.bulletin_facts(month.db, "October")
