"""Similar seizures, graph, trends, alerts and bulletins over HTTP."""

from __future__ import annotations

import pytest

from spectralid.reachback.intelligence import alerts
from spectralid.reachback.intelligence.linkage_archive import Fingerprints
from tests.reachback.mixtures import scan

RECIPE = {1: 0.5, 2: 0.3, 3: 0.2}


@pytest.fixture
def seizures(server):
    """Two of one mixture, one of another, one of the south, after some quiet weeks."""
    desk = server.desk
    south = desk.enrol("tablet-s", site="south")
    desk.scan("A-0", substances=("cocaine",))
    desk.passes(days=40)
    found = {}
    for name, tablet, parts in (
        ("one", desk.tablet, RECIPE),
        ("same", desk.other, RECIPE),
        ("other", desk.tablet, {1: 0.2, 2: 0.7, 3: 0.1}),
        ("south", south, RECIPE),
    ):
        desk.ingest(tablet.seizure(f"S-{name}", mode="mail"))
        for k in range(2):
            raw = scan(tablet, f"S-{name}", parts, 10 * len(found) + k, substances=("fentanyl", "lactose"))
            found[name] = desk.ingest(raw).case
        desk.passes(minutes=1)
    desk.passes(hours=1)
    alerts.run(desk.db, Fingerprints(), now=desk.time)
    return found


def get(client, path, **params):
    reply = client.get(path, params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_similar_seizures_are_listed_and_accepted(server, seizures):
    chemist = server.client("chemist", sites=["north"])
    said = get(chemist, f"/v1/cases/{seizures['one']}/similar")
    first = said["similar"][0]
    assert first["case_id"] == seizures["same"]
    assert first["log10_ratio"] > 0 > said["similar"][1]["log10_ratio"]
    assert "support for one mixture" in first["words"]
    assert said["alternative"].startswith("They hold other mixtures")
    # The south is not theirs, and is not counted either.
    assert seizures["south"] not in {one["case_id"] for one in said["similar"]}
    assert said["searched"] == 2
    everywhere = get(server.client("senior_chemist"), f"/v1/cases/{seizures['one']}/similar")
    assert {seizures["same"], seizures["south"]} == {one["case_id"] for one in everywhere["similar"][:2]}
    made = chemist.post(f"/v1/cases/{seizures['one']}/similar/{seizures['same']}")
    assert (made.status_code, made.json()["new"]) == (201, True)
    assert "log10_ratio" in made.json()["fact"]
    again = chemist.post(f"/v1/cases/{seizures['same']}/similar/{seizures['one']}")
    assert again.json()["new"] is False
    assert chemist.post(f"/v1/cases/{seizures['one']}/similar/{seizures['south']}").status_code == 404
    assert get(chemist, f"/v1/cases/{seizures['one']}/similar")["similar"][0]["linked"] == ["fingerprint"]
    assert chemist.get("/v1/cases/C-0/similar").status_code == 404


def test_the_graph_comes_as_json_and_graphml(server, seizures):
    manager = server.client("qa_manager")
    said = get(manager, "/v1/graph", days=7)
    assert {node["case_id"] for node in said["nodes"]} == set(seizures.values())
    assert said["complete"] is True
    assert said["components"][0]["cases"]
    assert "K-17" not in str(said)
    graphml = manager.get("/v1/graph", params={"format": "graphml"})
    assert graphml.headers["content-type"].startswith("application/graphml+xml")
    assert b"<graphml" in graphml.content
    northern = get(server.client("chemist", sites=["north"]), "/v1/graph", days=7)
    assert seizures["south"] not in {node["case_id"] for node in northern["nodes"]}


def test_trends_are_counted_by_place_and_mode(server, seizures):
    chemist = server.client("chemist")
    said = get(chemist, "/v1/trends", split="mode", period="week", days=7)
    cells = {(c["key"], c["where"]): c for c in said["cells"]}
    fentanyl = cells["opioid / fentanyl-related", "mail"]
    assert (fentanyl["presumptive"], fentanyl["confirmed"], fentanyl["of"]) == (4, 0, 4)
    assert fentanyl["small"] is True
    assert {one["key"] for one in said["first_sightings"]} == {"fentanyl", "opioid / fentanyl-related"}
    by_site = get(server.client("chemist", sites=["south"]), "/v1/trends", split="site", days=7)
    assert {c["where"] for c in by_site["cells"]} == {"south"}
    assert chemist.get("/v1/trends", params={"level": "person"}).status_code == 422
    assert chemist.get("/v1/trends", params={"days": 0}).status_code == 422


def test_alerts_are_listed_and_acknowledged(server, seizures):
    chemist = server.client("chemist")
    found = get(chemist, "/v1/alerts", open="true", kind="first_sighting")["alerts"]
    assert len(found) == 2
    one = found[0]["alert_id"]
    address = f"/v1/alerts/{one}/acknowledgement"
    assert server.client("auditor").post(address, json={"note": "x"}).status_code == 403
    assert server.client("chemist", sites=["south"]).post(address, json={}).status_code == 404
    done = chemist.post(address, json={"note": "the laboratory knows"})
    assert done.status_code == 200
    assert done.json()["acknowledged_by"] == chemist.account
    assert server.client("chemist").post(address, json={"note": "too late"}).status_code == 409
    assert chemist.post("/v1/alerts/A-0/acknowledgement", json={}).status_code == 404
    assert chemist.post(address, json={"note": "x" * 2001}).status_code == 422
    assert one not in {a["alert_id"] for a in get(chemist, "/v1/alerts", open="true")["alerts"]}
    assert get(server.client("chemist", sites=["south"]), "/v1/alerts", kind="first_sighting")["alerts"] == []


def test_bulletins_come_in_three_forms(server, seizures):
    auditor = server.client("auditor")
    month = server.desk.time.strftime("%Y-%m")
    pdf = auditor.get(f"/v1/bulletins/{month}")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF")
    assert f"bulletin-{month}.pdf" in pdf.headers["content-disposition"]
    assert pdf.content == auditor.get(f"/v1/bulletins/{month}").content
    table = auditor.get(f"/v1/bulletins/{month}", params={"format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.startswith("section,")
    assert get(auditor, f"/v1/bulletins/{month}", format="json")["totals"]["seizures"] == 4
    southern = server.client("chemist", sites=["south"])
    assert get(southern, f"/v1/bulletins/{month}", format="json")["totals"]["seizures"] == 1
    for wrong in ("2026-13", "2026-1", "october", "1999-01"):
        assert auditor.get(f"/v1/bulletins/{wrong}").status_code == 422
