"""The laboratory loop, its figures and exports, over HTTP."""

import csv
import io
import json
import os
import threading
from pathlib import Path

import pytest

from spectralid.reachback.exports import FORMS
from spectralid.reachback.lab import laboratory

REPORT = {
    "laboratory": "Forward 1", "sample_ref": "F-1", "result": "confirmed", "methods": ["gc-ms"],
    "report_ref": "R-1", "substances": [{"slug": "lactose", "share": 0.9}], "analyst": "Dr Mabuse",
}  # fmt: skip


@pytest.fixture
def desk(server):
    return server.desk


@pytest.fixture
def lab(client_as):
    return client_as("lab_analyst")


def test_a_result_by_form(desk, lab, client_as):
    case_id = desk.answered()
    address = f"/v1/cases/{case_id}/lab-results"
    sample = {"laboratory": "Forward 1", "sample_ref": "F-1"}
    sent = lab.post(f"/v1/cases/{case_id}/lab-samples", json=sample)
    assert (sent.status_code, sent.json()["sampling"], sent.json()["by"]) == (200, "routine", lab.account)
    first = lab.post(address, json=REPORT)
    assert (first.status_code, first.json()["what"], first.json()["state"]) == (
        201,
        "applied",
        "LAB_CONFIRMED",
    )
    again = lab.post(address, json=REPORT)
    assert (again.status_code, again.json()["n"]) == (200, first.json()["n"])
    differs = lab.post(address, json={**REPORT, "result": "refuted"})
    assert (differs.status_code, differs.json()["code"]) == (409, "lab-result-differs")
    said = client_as("chemist").get(address).json()
    assert said["status"] == {"I-1": "confirmed"}
    assert said["results"][0]["methods"] == ["GC-MS"]
    assert said["results"][0]["by"] == lab.account
    assert len(said["samples"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"result": "maybe"}, {"methods": []}, {"methods": ["divining"]}, {"substances": [{"slug": "A B"}]},
        {"substances": [{"slug": "a", "share": 2}]}, {"measured_utc": "yesterday"}, {"more": 1},
        {"note": "\0"}, {"sample_ref": " x"}, {"item_ref": "I\n1"},
        {"measured_utc": "0001-01-01T00:00:00+20:00"},
    ],
)  # fmt: skip
def test_what_is_not_as_it_has_to_be_is_refused(desk, lab, wrong):
    case_id = desk.answered()
    reply = lab.post(f"/v1/cases/{case_id}/lab-results", json={**REPORT, **wrong})
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert laboratory.listed(desk.db) == ()


def test_a_result_without_a_case_waits_to_be_placed(desk, lab):
    case_id = desk.answered()
    assert lab.post("/v1/cases/C-none/lab-results", json=REPORT).status_code == 404
    lost = lab.post("/v1/lab-results", json={**REPORT, "case_id": "C-none"})
    assert (lost.status_code, lost.json()["why"]) == (201, "no-such-case")
    listed = lab.get("/v1/lab-results", params={"what": "unmatched"}).json()["results"]
    assert [one["n"] for one in listed] == [lost.json()["n"]]
    placed = lab.post(f"/v1/lab-results/{lost.json()['n']}/placement", json={"case_id": case_id})
    assert placed.json()["state"] == "LAB_CONFIRMED"
    address = f"/v1/lab-results/{lost.json()['n']}/dismissal"
    assert lab.post(address, json={"why": "not ours"}).status_code == 409
    assert lab.post("/v1/lab-results/99/dismissal", json={"why": "not ours"}).status_code == 404
    other = lab.post("/v1/lab-results", json={**REPORT, "sample_ref": "F-2", "seizure_ref": "S-9"}).json()[
        "n"
    ]
    gone = lab.post(f"/v1/lab-results/{other}/dismissal", json={"why": "not ours"})
    assert gone.json()["what"] == "dismissed"
    rows = list(csv.DictReader(io.StringIO(lab.get("/v1/lab-results/csv").text)))
    assert [row["what"] for row in rows] == ["dismissed", "applied"]


def test_a_laboratory_sees_the_cases_of_its_sites_only(desk, client_as):
    case_id = desk.answered()
    south = client_as("lab_analyst", sites=["south"])
    assert south.post(f"/v1/cases/{case_id}/lab-results", json=REPORT).status_code == 404
    assert south.get(f"/v1/cases/{case_id}/lab-results").status_code == 404
    assert south.post("/v1/lab-results", json={**REPORT, "case_id": case_id}).json()["why"] == "no-such-case"
    assert desk.case(case_id)["state"] == "ANSWERED"
    north = client_as("lab_analyst", sites=["north"])
    assert (
        north.post(f"/v1/cases/{case_id}/lab-results", json={**REPORT, "report_ref": "2"}).status_code == 201
    )


def test_results_by_file(desk, lab):
    case_id = desk.answered()
    data = (
        "laboratory;sample_ref;result;methods;case_id;shares_percent;substances\r\n"
        f"Forward 1;F-1;refuted;GC-MS;{case_id};12,5;caffeine\r\nForward 1;F-2;maybe;GC-MS;;;\r\n"
    ).encode("utf-16")
    dry = lab.post("/v1/lab-results/csv", params={"dry": True}, content=data).json()
    assert (dry["dry"], dry["lines"][0]["taken"]["what"]) == (True, "applied")
    assert desk.case(case_id)["state"] == "ANSWERED"
    done = lab.post("/v1/lab-results/csv", content=data, headers={"Content-Type": "text/csv"})
    assert done.status_code == 200
    assert [one["line"] for one in done.json()["bad"]] == [3]
    assert done.json()["lines"][0]["taken"]["state"] == "REOPENED"
    (result,) = laboratory.of_case(desk.db, case_id)
    assert (result.by, result.source, result.substances[0].share) == (lab.account, "csv", 0.125)
    for wrong in (b"", b"\x89PNG", b"a,b\n1,2\n"):
        assert lab.post("/v1/lab-results/csv", content=wrong).status_code == 422


def test_figures_of_quality(desk, lab, client_as):
    case_id = desk.answered()
    lab.post(f"/v1/cases/{case_id}/lab-results", json=REPORT)
    watcher = client_as("qa_manager")
    times = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}
    found = watcher.get("/v1/qa/ages", params=times).json()
    assert found["cases"] == 1
    assert found["overdue"] == []
    assert watcher.get("/v1/qa/ages/csv", params=times).text.startswith("name,n,p50_h")
    board = watcher.get("/v1/qa/scoreboard", params=times).json()
    assert board["lines"][0]["outcomes"] == {"true_negative": 1}
    assert "verified" in board["caveat"]
    assert watcher.get("/v1/qa/scoreboard/csv", params=times).text.startswith("by,key,sayer")
    figure = watcher.get("/v1/qa/scoreboard/figure", params={**times, "by": "site"})
    assert figure.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in figure.content
    for wrong in ({"since": "x"}, {"since": times["until"], "until": times["since"]},
                  {"since": "1900-01-01T00:00:00Z"}, {"until": "0001-01-01T00:00:00+20:00"}):  # fmt: skip
        assert watcher.get("/v1/qa/scoreboard", params=wrong).status_code == 422
    assert client_as("qa_manager", sites=["south"]).get("/v1/qa/ages", params=times).json()["cases"] == 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted by /proc")
def test_a_figure_leaves_no_font_open_for_each_thread_that_asks(desk, client_as):
    # matplotlib opens its fonts anew in each thread that draws, and keeps them open.
    watcher = client_as("qa_manager")
    together = threading.Barrier(3)

    def ask():
        together.wait(60)
        assert watcher.get("/v1/qa/scoreboard/figure").status_code == 200
        together.wait(60)

    def fonts():
        links = [os.path.realpath(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")]
        return sum(one.endswith(".ttf") for one in links)

    watcher.get("/v1/qa/scoreboard/figure")
    before = fonts()
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert fonts() == before


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_seizure_as_a_document(desk, client_as, form):
    case_id = desk.answered(officer_ref="K-17")
    chemist, senior = client_as("chemist"), client_as("senior_chemist")
    address = f"/v1/seizures/{case_id}/report"
    reply = chemist.get(address, params={"format": form})
    assert reply.status_code == 200
    assert reply.headers["content-type"].split(";")[0] == FORMS[form][0].split(";")[0]
    assert f"{case_id}." in reply.headers["content-disposition"]
    assert b"K-17" not in reply.content
    assert chemist.get(f"{address}-with-persons", params={"format": form}).status_code == 403
    whole = senior.get(f"{address}-with-persons", params={"format": form})
    assert whole.status_code == 200
    if form == "json":
        assert json.loads(whole.content)["seizure"]["officers"] == ["K-17"]


def test_documents_of_other_sites_and_forms_are_not_given(desk, client_as):
    case_id = desk.answered()
    south = client_as("chemist", sites=["south"])
    assert south.get(f"/v1/seizures/{case_id}/report").status_code == 404
    chemist = client_as("chemist")
    assert chemist.get(f"/v1/seizures/{case_id}/report", params={"format": "docx"}).status_code == 422
    assert chemist.get("/v1/seizures/C-none/report").status_code == 404
    grouped = desk.ingest(desk.tablet.seizure("S-9")).case
    assert chemist.get(f"/v1/seizures/{grouped}/report", params={"format": "nexus"}).status_code == 404


@pytest.mark.parametrize("role", ["chemist", "senior_chemist", "qa_manager", "librarian", "admin", "auditor"])
def test_only_a_laboratory_records_results(desk, client_as, role):
    case_id = desk.answered()
    client = client_as(role)
    assert client.post(f"/v1/cases/{case_id}/lab-results", json=REPORT).status_code == 403
    assert client.post("/v1/lab-results", json=REPORT).status_code == 403
    assert client.post("/v1/lab-results/csv", content=b"x").status_code == 403
    assert laboratory.listed(desk.db) == ()
