"""The daily check as the screen asks for it: with the simulated instrument, from a file, and without."""

import pytest

from spectralid import write
from tests.tablet.test_instrument_check import standard
from tests.tablet.test_web import Events, engine, ok, refused, served, tablet

__all__ = ["engine", "tablet"]


def test_a_standard_is_measured_like_a_sample_and_judged_with_its_dark(tablet):
    client, place = tablet
    ok(client.post("/api/instrument", json={"simulate": "polystyrene", "seed": 3}))
    assert ok(client.get("/api/state"))["device"]["check"]["state"] == "unknown"
    with Events(client) as events:
        wanted = {"standard": "polystyrene", "lot": "PS-7", "confirmed": True}
        scan = ok(client.post("/api/checks", json=wanted), 202)["scan_id"]
        seen = events.until("checked", "failed")
    name, told = seen[-1]
    assert (name, told["scan_id"]) == ("checked", scan)
    stages = [data["stage"] for event, data in seen if event == "progress"]
    assert {"sample", "dark", "judging"} <= set(stages)
    assert "identifying" not in stages
    assert {data["purpose"] for event, data in seen if event == "progress"} == {"check"}

    check = ok(client.get(f"/api/checks/{told['check_id']}"))
    figures = {figure["name"]: figure for figure in check["figures"]}
    assert (check["outcome"], check["lot"], check["simulated"]) == ("passed", "PS-7", True)
    assert figures["axis_shift"]["status"] == "passed"
    assert figures["dead_pixels"]["status"] == "passed", "the driver's dark frames were used"
    assert all(figure["note_code"] for figure in figures.values() if figure["note"])
    assert len(check["spectrum"]["x"]) > 500
    assert 1001.4 in check["expected"]

    standing = ok(client.get("/api/state"))["device"]["check"]
    assert (standing["state"], standing["due"]) == ("passed", False)
    assert standing["until"][:10] > check["utc"][:10]
    overview = ok(client.get("/api/checks"))
    assert [row["check_id"] for row in overview["rows"]] == [told["check_id"]]
    assert {chart["figure"]: chart["needed"] for chart in overview["charts"]}["axis_shift"] == 20
    assert [one["name"] for one in overview["standards"]][:2] == ["polystyrene", "acetaminophen"]
    assert client.get(f"/api/checks/{told['check_id']}/report.pdf").content.startswith(b"%PDF")
    queue = ok(client.get("/api/queue"))
    assert (queue["rows"][0]["kind"], queue["summary"]["queued"]) == ("check", 1)
    assert place.unit.store.custody.entries()[-1].kind == "instrument checked"
    refused(client.post("/api/checks/skip", json={"reason": "no time"}), 400, "parameter")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "standard.jdx"
    write(standard("U-9", shift=8.0), path)
    return path.read_bytes()


def send(client, data, **asked):
    wanted = {"name": "day.jdx", "standard": "polystyrene", "lot": "PS-7"} | asked
    kind = {"Content-Type": "application/octet-stream"}
    return client.post("/api/checks/file", params=wanted, content=data, headers=kind)


def test_a_file_is_judged_and_what_is_no_spectrum_of_a_standard_is_refused(tablet, file):
    client, place = tablet
    check = ok(client.get(f"/api/checks/{ok(send(client, file), 201)['check_id']}"))
    assert (check["outcome"], check["serial"], check["standing"]["state"]) == ("failed", "U-9", "failed")
    assert {f["name"] for f in check["figures"] if f["status"] == "failed"} >= {"bands", "axis_shift"}
    # Of no instrument that is connected: the overview shows the one that was checked last.
    assert ok(client.get("/api/checks"))["serial"] == "U-9"
    assert place.unit.standing("").state == "unknown"

    refused(send(client, b"no spectrum"), 422, "input")
    # A name says nothing of where anything is written; what a file is, its content says.
    ok(send(client, file, name="../../x/day.exe"), 201)
    refused(send(client, file, standard="gold"), 400, "parameter")
    refused(send(client, b""), 400, "parameter")
    refused(client.get("/api/checks/nothing"), 404, "record")
    assert len(ok(client.get("/api/checks"))["rows"]) == 2


def test_a_file_of_the_watched_folder_and_a_check_done_without(tmp_path, engine, file):
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "ps.jdx").write_bytes(file)
    with served(tmp_path / "record", engine, watch=watched) as (client, place):
        client.get("/", params={"key": "key"})
        ok(client.post("/api/checks/skip", json={"reason": "Standard not at hand."}))
        state = ok(client.get("/api/state"))["device"]["check"]
        assert (state["state"], state["reason"]) == ("skipped", "Standard not at hand.")
        skipped = ok(client.get("/api/checks"))["rows"][0]
        assert ok(client.get(f"/api/checks/{skipped['check_id']}"))["reason"] == "Standard not at hand."
        assert client.get(f"/api/checks/{skipped['check_id']}/report.pdf").status_code == 404
        refused(client.post("/api/checks/skip", json={"reason": ""}), 400, "parameter")

        with Events(client) as events:
            if not ok(client.get("/api/arrived")):
                events.until("arrived")
        wanted = {"file": "ps.jdx", "standard": "polystyrene"}
        made = ok(client.post("/api/checks/arrived", json=wanted), 201)["check_id"]
        assert ok(client.get(f"/api/checks/{made}"))["outcome"] == "failed"
        assert ok(client.get("/api/arrived")) == []
        assert place.unit.standing("U-9").state == "failed"
