"""The chemists' desk over HTTP: queue, leases, decisions, drafts, sites, and what is on record."""

from __future__ import annotations

import struct

import pytest

from spectralid.casework.packet import Blob
from spectralid.reachback.people.roles import ACCOUNT_ROLES
from spectralid.reachback.store import audit, audit_reading

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
SAID = {
    "verdict": "identified",
    "headline": "Lactose",
    "words": "Presumptive.",
    "basis": "Bands at 850 cm-1.",
    "substances": ["lactose"],
}


@pytest.fixture
def kind():
    return "sqlite"


@pytest.fixture
def ada(client_as):
    return client_as("chemist", name="ada")


@pytest.fixture
def bob(client_as):
    return client_as("senior_chemist", name="bob")


def code(reply):
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    return reply.status_code, reply.json()["code"]


def decide(client, case_id, token, **said):
    return client.post(f"/v1/cases/{case_id}/adjudications", json={**SAID, "token": token, **said})


@BOTH
def test_from_the_queue_to_an_answer(server, ada):
    case_id = server.desk.scan()
    (line,) = ada.get("/v1/queue").json()["cases"]
    assert (line["case_id"], line["state"], line["holder"]) == (case_id, "QUEUED", None)
    lease = ada.post("/v1/queue/next").json()["lease"]
    assert (lease["case_id"], lease["chemist"], lease["purpose"]) == (case_id, "ada", "adjudicate")
    token = lease["token"]
    server.desk.passes(minutes=10)
    kept = ada.put(f"/v1/cases/{case_id}/lease", json={"token": token}).json()
    assert kept["until_utc"] > lease["until_utc"]
    said = ada.post(f"/v1/cases/{case_id}/interim", json={"token": token}).json()
    assert said["state"] == "INTERIM"
    done = decide(ada, case_id, token, seen=1)
    assert (done.status_code, done.json()["state"], done.json()["reasons"]) == (201, "ANSWERED", [])
    # The same again, because a reply was lost, is the same answer.
    assert decide(ada, case_id, token, seen=1).json() == done.json()
    case = ada.get(f"/v1/cases/{case_id}").json()
    assert case["case"]["state"] == "ANSWERED"
    assert [one["kind"] for one in case["decisions"]] == ["interim", "decision"]
    interim, final = case["answers"]
    assert (interim["kind"], final["kind"]) == ("interim", "final")
    assert (interim["superseded_by"], final["content"]["headline"]) == (final["answer_id"], "Lactose")
    assert [one["seq"] for one in case["scans"]] == [1]
    assert case["scans"][0]["substances"] == ["lactose"]
    assert ada.post("/v1/queue/next").json() == {"lease": None}


@BOTH
def test_two_chemists_and_one_case(server, ada, bob):
    """One decides; the other's words are kept and he is told under which number."""
    case_id = server.desk.scan()
    first = ada.post(f"/v1/cases/{case_id}/lease").json()["token"]
    assert code(bob.post(f"/v1/cases/{case_id}/lease")) == (409, "lease-taken")
    server.desk.passes(minutes=16)
    second = bob.post(f"/v1/cases/{case_id}/lease").json()["token"]
    assert second > first
    late = decide(ada, case_id, first, headline="Written while asleep")
    assert code(late) == (409, "stale-lease")
    draft = late.json()["draft"]
    (kept,) = ada.get(f"/v1/cases/{case_id}/drafts").json()["drafts"]
    assert (kept["draft"], kept["content"]["headline"]) == (draft, "Written while asleep")
    assert bob.get(f"/v1/cases/{case_id}/drafts").json() == {"drafts": []}
    assert code(ada.put(f"/v1/cases/{case_id}/lease", json={"token": first}))[0] == 409
    assert code(ada.delete(f"/v1/cases/{case_id}/lease", params={"token": first}))[0] == 409
    assert decide(bob, case_id, second).json()["state"] == "ANSWERED"


def test_evidence_that_was_not_seen_is_a_conflict_with_the_draft_kept(server, ada):
    case_id = server.desk.scan()
    token = ada.post(f"/v1/cases/{case_id}/lease").json()["token"]
    server.desk.scan()
    refused = decide(ada, case_id, token, seen=1)
    assert code(refused) == (409, "case-changed")
    assert refused.json()["draft"] >= 1
    assert decide(ada, case_id, token, seen=2).status_code == 201


def test_a_case_is_given_back(server, ada, bob):
    case_id = server.desk.scan()
    token = ada.post(f"/v1/cases/{case_id}/lease").json()["token"]
    assert ada.delete(f"/v1/cases/{case_id}/lease", params={"token": token}).status_code == 204
    assert bob.post("/v1/queue/next").json()["lease"]["case_id"] == case_id


def test_another_person_reviews(server, ada, bob, client_as):
    case_id = server.desk.scan(families=["fentanyl"], alarm="danger")
    token = bob.post(f"/v1/cases/{case_id}/lease").json()["token"]
    assert decide(bob, case_id, token).json()["state"] == "SECOND_REVIEW"
    review = f"/v1/cases/{case_id}/second-review"
    # Neither who decided, nor who may not.
    assert code(bob.post(f"/v1/cases/{case_id}/lease")) == (403, "same-person")
    assert code(ada.post(f"/v1/cases/{case_id}/lease")) == (403, "same-person")
    assert code(ada.post(review, json={"token": 9, "agrees": True, "note": "x"})) == (403, "forbidden")
    eve = client_as("senior_chemist", name="eve")
    token = eve.post("/v1/queue/next").json()["lease"]["token"]
    done = eve.post(review, json={"token": token, "agrees": True, "note": "bands checked"})
    assert done.json()["state"] == "ANSWERED"


def test_a_case_of_another_place_is_not_there(server, client_as):
    case_id = server.desk.scan()
    here, there = (
        client_as("chemist", sites=["north"]),
        client_as("chemist", "senior_chemist", sites=["south"]),
    )
    assert here.get(f"/v1/cases/{case_id}").status_code == 200
    assert there.get("/v1/queue").json()["cases"] == []
    assert there.post("/v1/queue/next").json() == {"lease": None}
    body = {"token": 1}
    asked = [
        there.get(f"/v1/cases/{case_id}"),
        there.get(f"/v1/cases/{case_id}/links"),
        there.get(f"/v1/cases/{case_id}/packets/1"),
        there.get(f"/v1/cases/{case_id}/spectra/1/0"),
        there.get(f"/v1/cases/{case_id}/drafts"),
        there.post(f"/v1/cases/{case_id}/lease"),
        there.put(f"/v1/cases/{case_id}/lease", json=body),
        there.delete(f"/v1/cases/{case_id}/lease", params=body),
        there.post(f"/v1/cases/{case_id}/interim", json=body),
        there.post(f"/v1/cases/{case_id}/adjudications", json={**SAID, **body}),
        there.post(f"/v1/cases/{case_id}/second-review", json={**body, "agrees": True, "note": "x"}),
        there.post(f"/v1/cases/{case_id}/drafts", json={**body, "content": {}}),
        there.post("/v1/links", json={"one": case_id, "other": case_id, "fact": "x"}),
    ]
    assert {code(one) for one in asked} == {(404, "not-found")}
    # It is said as of one that does not exist.
    unknown = there.get("/v1/cases/C-0000000000000000").json()["detail"]
    assert asked[0].json()["detail"] == unknown.replace("C-0000000000000000", case_id)


def test_links_show_what_is_of_ones_own_places(server, ada, client_as):
    south = server.desk.enrol("tablet-3", site="south")
    one, other = server.desk.scan("S-1"), server.desk.scan("S-9", south)
    assert ada.post("/v1/links", json={"one": one, "other": other, "fact": "same press"}).json() == {
        "new": True
    }
    assert ada.post("/v1/links", json={"one": other, "other": one, "fact": "again"}).json() == {"new": False}
    (link,) = ada.get(f"/v1/cases/{one}/links").json()["links"]
    assert (link["case_id"], link["fact"], link["by"]) == (other, "same press", "ada")
    northern = client_as("chemist", sites=["north"])
    assert northern.get(f"/v1/cases/{one}/links").json() == {"links": []}
    assert northern.get(f"/v1/cases/{one}").json()["links"] == []
    assert northern.post("/v1/links", json={"one": one, "other": other, "fact": "x"}).status_code == 404


def test_spectra_and_packets_come_as_they_are(server, ada):
    raw = server.desk.tablet.scan(values=(1.0, 2.5, 3.0))
    case_id = server.desk.ingest(raw).case
    said = ada.get(f"/v1/cases/{case_id}/spectra/1/0").json()
    assert said["axis"] == [200.0, 201.5, 203.0]
    assert said["intensity"] == [1.0, 2.5, 3.0]
    packet = ada.get(f"/v1/cases/{case_id}/packets/1")
    assert packet.content == raw
    assert packet.headers["content-disposition"].startswith("attachment")
    assert code(ada.get(f"/v1/cases/{case_id}/packets/2")) == (404, "not-found")
    assert code(ada.get(f"/v1/cases/{case_id}/spectra/1/1")) == (404, "not-found")
    # A packet of the same tablet that belongs to another case is not found by this one.
    other = server.desk.scan("S-2")
    assert code(ada.get(f"/v1/cases/{case_id}/packets/2")) == (404, "not-found")
    assert code(ada.get(f"/v1/cases/{case_id}/spectra/2/0")) == (404, "not-found")
    assert ada.get(f"/v1/cases/{other}/packets/2").status_code == 200
    assert ada.get(f"/v1/cases/{other}/spectra/2/0").status_code == 200


def test_numbers_that_are_none_are_null(server, ada):
    values = Blob(struct.pack("<3d", 1.0, float("nan"), 1e300), "application/octet-stream")
    spectrum = {"blob": values.sha256, "dtype": "<f8", "n": 3, "unit": "counts", "x0": 200.0, "dx": 1.5}
    raw = server.desk.tablet.make(
        "scan", "S-1", "I-1", (values,), instrument={"technique": "raman"}, spectra=[spectrum],
        result={"decision": "no_match", "engine": {"version": "0"}, "library": {"name": "t", "version": "1"}},
    )  # fmt: skip
    case_id = server.desk.ingest(raw).case
    said = ada.get(f"/v1/cases/{case_id}/spectra/1/0").json()
    assert said["intensity"] == [1.0, None, None]
    assert said["usable"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"basis": ""}, {"basis": "   "}, {"verdict": "guilty"}, {"substances": []}, {"headline": "x" * 301},
        {"extra": 1}, {"token": "1"}, {"token": -1}, {"token": 2**63}, {"headline": "a\u0000b"},
        {"words": "a\u0000b"}, {"high_hazard": 1}, {"substances": ["x"] * 51},
    ],
)  # fmt: skip
def test_a_decision_that_lacks_something_is_refused_in_words(server, ada, wrong):
    case_id = server.desk.scan()
    token = ada.post(f"/v1/cases/{case_id}/lease").json()["token"]
    refused = ada.post(f"/v1/cases/{case_id}/adjudications", json={**SAID, "token": token, **wrong})
    assert refused.status_code == 422
    assert len(refused.json()["detail"]) < 600
    assert server.desk.case(case_id)["state"] == "LEASED"


def test_what_a_browser_is_told_about_itself(server, ada):
    reply = ada.get("/v1/queue")
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-security-policy"].startswith("default-src 'self'")
    for name in ("x-content-type-options", "x-frame-options", "referrer-policy", "strict-transport-security"):
        assert name in reply.headers
    assert "content-security-policy" in server.client().get("/nowhere").headers
    assert code(server.client().get("/nowhere")) == (404, "not-found")
    assert code(ada.delete("/v1/queue")) == (405, "method-not-allowed")


def test_a_defect_says_nothing_of_itself(server, client_as, monkeypatch):
    from spectralid.reachback.caseload import queue

    def broken(*_, **__):
        raise RuntimeError("secret of the server")

    monkeypatch.setattr(queue, "listed", broken)
    reply = client_as("chemist", raises=False).get("/v1/queue")
    assert code(reply) == (500, "internal")
    assert "secret" not in reply.text


def test_no_database_is_busy_and_not_a_defect(server, ada, monkeypatch):
    from spectralid.reachback.caseload import queue
    from spectralid.reachback.errors import UnavailableError

    def away(*_, **__):
        raise UnavailableError("The server's database cannot be used at the moment; try again later.")

    monkeypatch.setattr(queue, "listed", away)
    reply = ada.get("/v1/queue")
    assert code(reply) == (503, "busy")
    assert int(reply.headers["retry-after"]) > 0


# --- the log -----------------------------------------------------------------------------------------------


@BOTH
def test_an_auditor_reads_all_and_can_prove_it(server, client_as):
    auditor = client_as("auditor")
    case_id = server.desk.scan()
    server.desk.decide(server.desk.lease(case_id))
    said = auditor.get("/v1/audit", params={"from": 3, "limit": 2}).json()
    assert [one["n"] for one in said["entries"]] == [3, 4]
    whole = auditor.get("/v1/audit").json()
    assert whole["head"] == len(whole["entries"])
    for before, entry in zip(whole["entries"], whole["entries"][1:], strict=False):
        assert entry["prev"] == before["sha256"]
        assert audit._sha256(entry) == entry["sha256"]
    point = auditor.get("/v1/audit/checkpoints").json()
    held = audit.read_checkpoint(point["checkpoint"], server.desk.keys.trusted)
    assert (held.n, held.sha256) == (point["n"], point["sha256"]) == (
        whole["head"], whole["entries"][-1]["sha256"],
    )  # fmt: skip
    keys = auditor.get("/v1/audit/keys").json()["keys"]
    assert keys == {keyid: key.raw.hex() for keyid, key in server.desk.keys.trusted.items()}


@pytest.mark.parametrize("n", [1, "packet", "newest"])
def test_a_proof_ends_at_a_checkpoint_that_is_held_elsewhere(server, client_as, n):
    auditor = client_as("auditor")
    server.desk.scan()
    with server.desk.db.read() as tx:
        packet = audit_reading.proof(tx, server.desk.keys, 1, now=server.desk.time)[0][-1]["n"]
    server.desk.enrol("tablet-9")
    newest = auditor.get("/v1/audit").json()["head"]
    said = auditor.get("/v1/audit/proof", params={"n": {"packet": packet, "newest": newest}.get(n, n)}).json()
    held = audit.read_checkpoint(said["checkpoint"], server.desk.keys.trusted)
    assert said["entries"][-1]["sha256"] == held.sha256
    assert said["held_by"] == (None if n == "newest" else "tablet-1")
    for before, entry in zip(said["entries"], said["entries"][1:], strict=False):
        assert entry["prev"] == before["sha256"]
    assert code(auditor.get("/v1/audit/proof", params={"n": newest + 1})) == (404, "not-found")


def test_figures(server, client_as):
    server.desk.scan()
    text = client_as("qa_manager").get("/metrics").text
    assert 'spectralid_cases{state="QUEUED"} 1' in text
    assert "spectralid_packets_total 1\n" in text
    assert "spectralid_cases_late 0\n" in text
    server.desk.passes(minutes=61)
    assert "spectralid_cases_late 1\n" in client_as("qa_manager").get("/metrics").text


def test_roles_of_the_body_and_of_the_table_are_the_same():
    from typing import get_args

    from spectralid.reachback.api import admin as api_admin

    assert get_args(api_admin._Role) == ACCOUNT_ROLES


# --- tablets, by administrators ----------------------------------------------------------------------------


def test_a_tablet_is_enrolled_looked_at_and_revoked(server, client_as, tmp_path):
    from spectralid.casework import enrolment as on_the_tablet
    from spectralid.casework.store import CaseStore

    admin = client_as("admin")
    with CaseStore.open(tmp_path / "t", device_id="field-1", ballast_bytes=4096) as store:
        request = on_the_tablet.request(store)
        told = on_the_tablet.fingerprint(request)
        body = {"request": request.decode(), "fingerprint": told, "site_ref": "north"}
        assert code(admin.post("/v1/devices", json={**body, "fingerprint": "0" * 64})) == (422, "bad-packet")
        said = admin.post("/v1/devices", json=body).json()
        taken = on_the_tablet.enrol(store, said["enrolment"].encode(), confirmed=said["fingerprint"])
        assert taken.url == "https://localhost:8444"
    found = admin.get("/v1/devices/field-1").json()
    assert found["device"]["active"]
    assert [one["revoked_utc"] for one in found["certificates"]] == [None]
    assert "field-1" in {one["device_id"] for one in admin.get("/v1/devices").json()["devices"]}
    gone = admin.post("/v1/devices/field-1/revoke", json={"why": "lost", "stolen": True}).json()
    assert (gone["active"], gone["revoked_why"]) == (False, "lost")
    assert admin.get("/v1/devices/field-1").json()["certificates"][0]["revoked_utc"] is not None
    assert code(admin.get("/v1/devices/field-9")) == (404, "not-found")
    assert code(admin.post("/v1/devices/field-9/revoke", json={"why": "x"})) == (404, "not-found")
