"""``spectralid report`` on a store and on packet files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from spectralid.casework.compose import instrument_facts, spectrum_blobs, spectrum_entry
from spectralid.casework.store import CaseStore, Draft
from spectralid.cli import main
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum, Technique
from tests.report import made, pages

SEIZURE = "SZ-1"


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A store with a seizure of two items, and its packets as files."""
    folder = tmp_path_factory.mktemp("record")
    x, y = made.spectrum()
    spectrum = Spectrum(
        axis=np.array(x), intensity=np.array(y), technique=Technique.RAMAN, unit=IntensityUnit.COUNTS,
        acquisition=Acquisition(instrument="WP-785X", serial="7", laser_nm=785.0), name="s",
    )  # fmt: skip
    blobs = spectrum_blobs(spectrum)
    result = made.scan()["result"]
    who = {"officer_ref": "K-17"}
    with CaseStore.open(folder / "store", device_id="TAB-0042", ballast_bytes=1 << 20) as store:
        store.capture(Draft("seizure", SEIZURE, None, who | {"place": "Lane 4", "mode": "land"}))
        scans = []
        for name in ("IT-1", "IT-2"):
            store.capture(Draft("item", SEIZURE, name, who | {"label": f"bag {name}", "container": "pe"}))
            body = who | {
                "instrument": instrument_facts(spectrum),
                "spectra": [spectrum_entry(spectrum, blobs)],
                "result": result,
            }
            scans.append(store.capture(Draft("scan", SEIZURE, name, body, blobs)))
        strips = {"strips": made.evidence()["strips"], "assessment": made.evidence()["assessment"]}
        store.capture(Draft("evidence", SEIZURE, "IT-1", who | strips))
        files = []
        for packet in store.of_seizure(SEIZURE):
            files.append(folder / f"{packet.seq}.sidpkt")
            files[-1].write_bytes(packet.raw)
    return folder / "store", files, [s.packet_id for s in scans]


def test_a_scan_from_a_store_has_the_evidence_of_its_item(record, tmp_path):
    store, _, (first, second) = record
    for packet, said in ((first, True), (second, False)):
        target = tmp_path / f"{packet}.pdf"
        assert main(["report", "scan", str(store), "--packet", packet, "-o", str(target)]) == 0
        (text,) = pages.texts(target.read_bytes())
        assert packet in text.replace(" ", "")
        assert ("fentanyl: NEGATIVE" in text) is said
        assert "Raman shift" in text


def test_a_packet_file_alone_makes_a_report_and_says_what_was_not_checked(record, tmp_path, capsys):
    _, files, _ = record
    scan = next(f for f in files if b'"kind":"scan"' in f.read_bytes() or f.name == "3.sidpkt")
    target = tmp_path / "r.json"
    assert main(["report", "scan", str(scan), "-o", str(target)]) == 0
    assert json.loads(target.read_text("utf-8"))["identifiers"]["seq"] == 3
    assert "not checked" in capsys.readouterr().err


def test_a_seizure_from_a_store_verifies_its_custody_log(record, tmp_path):
    store, files, _ = record
    target = tmp_path / "s.pdf"
    assert main(["report", "seizure", str(store), "--spectra", "--language", "es", "-o", str(target)]) == 0
    text = " ".join(pages.texts(target.read_bytes()))
    assert "2 objetos" in text
    assert "se verificó" in text
    assert main(["report", "seizure", *map(str, files), "-o", str(tmp_path / "s.json")]) == 0
    facts = json.loads((tmp_path / "s.json").read_text("utf-8"))
    assert len(facts["items"]) == 2
    assert facts["custody"] == {"entries": [], "fault": None}


def test_the_fentanyl_export_as_a_table(record, tmp_path):
    store, _, _ = record
    target = tmp_path / "f.csv"
    assert main(["report", "fentanyl", str(store), "--seizure", SEIZURE, "-o", str(target)]) == 0
    with target.open(encoding="utf-8", newline="") as file:
        assert [row["nc:ItemOtherIdentification"] for row in csv.DictReader(file)] == ["IT-1", "IT-2"]


def test_two_reports_of_a_store_are_the_same_bytes(record, tmp_path):
    store, _, (first, _) = record
    for name in ("a", "b"):
        main(["report", "scan", str(store), "--packet", first, "-o", str(tmp_path / f"{name}.pdf")])
        main(["report", "seizure", str(store), "-o", str(tmp_path / f"{name}-s.pdf")])
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a-s.pdf").read_bytes() == (tmp_path / "b-s.pdf").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scan", "STORE", "-o", "x.pdf"], "the id of one scan"),
        (["scan", "STORE", "-o", "x.doc"], "ending in .pdf or .json"),
        (["seizure", "STORE", "--seizure", "other", "-o", "x.pdf"], f"one of: {SEIZURE}"),
        (["fentanyl", "STORE", "STORE", "-o", "x.csv"], "one folder of a store"),
        (["seizure", "STORE", "--language", "xx", "-o", "x.pdf"], "language"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(record, tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    given = [str(record[0]) if a == "STORE" else a for a in arguments]
    assert main(["report", *given]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_packet_is_refused(tmp_path, capsys):
    (tmp_path / "a.sidpkt").write_bytes(b"no packet")
    assert main(["report", "scan", str(tmp_path / "a.sidpkt"), "-o", str(tmp_path / "r.pdf")]) == 3
    assert "no packet" in capsys.readouterr().err
