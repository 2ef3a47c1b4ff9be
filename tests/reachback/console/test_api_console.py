"""What the console asks the server: the bench, the first look before names, re-fits, harmless files."""

from __future__ import annotations

import json
import threading

import pytest

from spectralid.casework.packet import Blob
from spectralid.reachback.bench import looks
from spectralid.reachback.bench.room import EngineRoom
from spectralid.reachback.caseload import leases
from spectralid.reachback.errors import UnavailableError
from spectralid.reachback.store import tables
from tests.reachback.console import world


@pytest.fixture
def room(server, agency, monkeypatch):
    """The server's engine, with the references prepared already."""
    room = EngineRoom(lambda: agency.library.path)
    facts = agency.library.path.stat()
    room._identifier = agency
    room._state = (str(agency.library.path), facts.st_mtime_ns, facts.st_size)
    server.app.state.engine = room
    yield room
    room.close()


@pytest.fixture
def case_id(desk, room):
    return world.case(desk)


@pytest.fixture
def chemist(client_as):
    return client_as("chemist")


def looked(client, case_id, impression="A xanthine."):
    reply = client.post(f"/v1/cases/{case_id}/first-look", json={"impression": impression})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_no_name_before_the_first_look(chemist, case_id, desk):
    bench = chemist.get(f"/v1/cases/{case_id}/bench").json()
    sheet = chemist.get(f"/v1/cases/{case_id}/bench/3/0").json()
    assert bench["blind"] is True
    whole = json.dumps([bench, sheet]).lower()
    for name in (*world.NAMES, "field-says", "mixture-suspected", "sock"):
        assert name not in whole
    assert len(sheet["raw"]["x"]) == len(world.AXIS)
    assert sheet["peaks"]
    assert (sheet["engine"], sheet["fit"]) == (None, None)
    for method, path, body in (
        ("POST", "bench/3/0/fit", {}),
        ("POST", "bench/3/0/rest", {}),
        ("POST", "bench/3/0/limits", {"names": ["urea"]}),
        ("GET", "bench/3/0/marks?slug=urea", None),
        ("GET", "bench/3/0/compounds?q=urea", None),
        ("GET", "device-history", None),
    ):
        reply = chemist.request(method, f"/v1/cases/{case_id}/{path}", json=body)
        assert (reply.status_code, reply.json()["code"]) == (409, "first-look"), path
    assert looked(chemist, case_id)["impression"] == "A xanthine."
    bench = chemist.get(f"/v1/cases/{case_id}/bench").json()
    assert bench["blind"] is False
    assert bench["scans"][0]["field"]["headline"] == "FIELD-SAYS-CAFFEINE"
    assert bench["scans"][0]["why"] == ["forced"]
    row = audit_of(desk, "first-look")
    assert (row["impression"], row["declined"]) == ("A xanthine.", False)


def audit_of(desk, action):
    with desk.db.read() as tx:
        rows = tx.execute(tables.audit.select().where(tables.audit.c.action == action)).mappings().all()
    return json.loads(rows[-1]["facts"])


def test_a_first_look_is_one_and_stays(chemist, case_id, client_as, desk):
    looked(chemist, case_id, "")
    assert looked(chemist, case_id, " ")["impression"] == ""
    again = chemist.post(f"/v1/cases/{case_id}/first-look", json={"impression": "Caffeine, I knew it."})
    assert again.status_code == 409
    assert audit_of(desk, "first-look")["declined"] is True
    # Another chemist looks for himself; who watches decides nothing and sees all.
    assert client_as("chemist").get(f"/v1/cases/{case_id}/bench").json()["blind"] is True
    assert client_as("auditor").get(f"/v1/cases/{case_id}/bench").json()["blind"] is False
    # A new round asks again.
    with desk.db.read() as tx:
        assert looks.of(tx, case_id, 2, chemist.account) is None


def test_fits_by_sliders_marks_rest_and_limits(chemist, case_id):
    looked(chemist, case_id)
    sheet = chemist.get(f"/v1/cases/{case_id}/bench/3/0").json()
    assert [part["slug"] for part in sheet["fit"]["parts"]] == ["caffeine", "lactose"]
    assert sheet["engine"]["candidates"]
    assert len(sheet["fit"]["x"]) == len(sheet["fit"]["curves"][0]) == 1024
    base = f"/v1/cases/{case_id}/bench/3/0"

    def fit(*components, excluded=()):
        body = {"components": [{"slug": s, "share": v} for s, v in components], "excluded": list(excluded)}
        reply = chemist.post(f"{base}/fit", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()["fit"]

    own = {part["slug"]: part["share"] for part in sheet["fit"]["parts"]}
    same = fit(("caffeine", own["caffeine"]), ("lactose", None))
    assert same["rise"] == pytest.approx(0, abs=0.01)
    away = fit(("caffeine", 0.2), ("lactose", None))
    assert away["rise"] > 30
    assert away["parts"][1]["share"] == pytest.approx(0.8)
    body = {"components": [{"slug": "caffeine"}], "count": 3}
    assert chemist.post(f"{base}/rest", json=body).json()["proposals"][0]["slug"] == "lactose"
    (limit,) = chemist.post(f"{base}/limits", json={"names": ["urea", "caffeine"]}).json()["limits"]
    assert "smallest detectable share" in limit["sentence"]
    marks = chemist.get(f"{base}/marks", params={"slug": "lactose", "tolerance_cm1": 5}).json()
    assert marks["name"] == "Lactose"
    assert any(mark["found"] is not None for mark in marks["marks"])
    found = chemist.get(f"{base}/compounds", params={"q": "UCR"}).json()["compounds"]
    assert [one["slug"] for one in found] == ["sucrose"]
    excluded = chemist.post(f"{base}/fit", json={"excluded": ["caffeine"]}).json()["fit"]
    assert "caffeine" not in [part["slug"] for part in excluded["parts"]]


@pytest.mark.parametrize(
    "body",
    [
        {"components": []},
        {"components": [{"slug": "caffeine", "share": 1.5}]},
        {"components": [{"slug": "nobody"}]},
        {
            "components": [
                {"slug": "caffeine", "share": 0.8},
                {"slug": "urea", "share": 0.7},
                {"slug": "talc"},
            ]
        },
        {"components": "all"},
        {"more": 1},
    ],
)
def test_what_cannot_be_fitted_is_422(chemist, case_id, body):
    looked(chemist, case_id)
    reply = chemist.post(f"/v1/cases/{case_id}/bench/3/0/fit", json=body)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"


def test_what_is_not_there_or_not_theirs_is_404(chemist, client_as, case_id):
    looked(chemist, case_id)
    for path in ("bench/4/0", "bench/3/5", f"packets/3/files/{'0' * 64}", f"packets/99/files/{'0' * 64}"):
        assert chemist.get(f"/v1/cases/{case_id}/{path}").status_code == 404, path
    southern = client_as("chemist", sites=["south"])
    for path in ("bench", "bench/3/0", "device-history"):
        assert southern.get(f"/v1/cases/{case_id}/{path}").status_code == 404
    assert southern.post(f"/v1/cases/{case_id}/first-look", json={}).status_code == 404


def test_files_are_shown_by_their_bytes_or_only_handed_out(chemist, desk, room):
    svg = Blob(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/png", "x.png")
    good = Blob(world.PNG, "text/html", "y.png")
    case_id = world.case(desk, photo=False)
    desk.ingest(
        desk.tablet.make(
            "evidence", "S-1", "I-1", (svg, good), photos=[{"blob": b.sha256} for b in (svg, good)]
        )
    )
    photos = chemist.get(f"/v1/cases/{case_id}/bench").json()["photos"]
    kinds = {one["sha256"]: one["media_type"] for one in photos}
    assert kinds == {svg.sha256: "", good.sha256: "image/png"}
    seq = photos[0]["seq"]
    shown = chemist.get(f"/v1/cases/{case_id}/packets/{seq}/files/{good.sha256}")
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.content == world.PNG
    held = chemist.get(f"/v1/cases/{case_id}/packets/{seq}/files/{svg.sha256}")
    assert held.headers["content-type"] == "application/octet-stream"
    assert held.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in held.headers["content-security-policy"]


def test_what_a_device_did_before(chemist, client_as, case_id, desk):
    looked(chemist, case_id)
    other = world.case(desk, seizure="S-2", photo=False)
    said = chemist.get(f"/v1/cases/{case_id}/device-history").json()
    assert [one["case_id"] for one in said["scans"]] == [other, case_id]
    assert said["scans"][0]["substances"] == ["caffeine"]
    assert said["checks"] == []


def test_new_evidence_is_on_the_bench_at_once(chemist, case_id, desk):
    assert chemist.get(f"/v1/cases/{case_id}/bench").json()["strips"] == []
    desk.ingest(desk.tablet.strip("fentanyl", "pos"))
    bench = chemist.get(f"/v1/cases/{case_id}/bench").json()
    assert bench["strips"][0]["target"] == "fentanyl"


def test_drafts_come_back(chemist, case_id, desk):
    token = chemist.post(f"/v1/cases/{case_id}/lease").json()["token"]
    content = {"headline": "half", "checked": ["bands"]}
    reply = chemist.post(f"/v1/cases/{case_id}/drafts", json={"token": token, "content": content})
    assert reply.status_code == 201
    desk.passes(minutes=16)
    assert chemist.get(f"/v1/cases/{case_id}/bench").json()["draft"] == content
    assert leases.drafts_of(desk.db, case_id, chemist.account)


def test_the_engine_has_a_queue_and_it_has_an_end(agency):
    room = EngineRoom(lambda: agency.library.path, threads=1, waiting=0)
    going, go = threading.Event(), threading.Event()

    def slow():
        going.set()
        assert go.wait(10)
        return "done"

    answers = []
    first = threading.Thread(target=lambda: answers.append(room.ask(slow)))
    first.start()
    assert going.wait(10)
    with pytest.raises(UnavailableError, match="Too many"):
        room.ask(lambda: "never")
    go.set()
    first.join()
    assert answers == ["done"]
    assert room.ask(lambda: "again") == "again"
    room.close()
    with pytest.raises(UnavailableError):
        room.ask(lambda: "late")


def test_benches_kept_are_bounded_and_a_new_library_opens_new_ones(desk, agency, tmp_path):
    folder = tmp_path / "lib"
    folder.mkdir()
    path = world.agency_library(folder).path
    room = EngineRoom(lambda: path, kept=1)
    one, two = world.case(desk, photo=False), world.case(desk, seizure="S-2", photo=False)
    first = room.bench(desk.db, one, 1)
    assert room.bench(desk.db, one, 1) is first
    room.bench(desk.db, two, 1)
    assert len(room._benches) == 1
    assert room.bench(desk.db, one, 1) is not first
    room.close()


def test_pages_are_served_and_nothing_beside_them(client_as):
    nobody = client_as()
    page = nobody.get("/console")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert nobody.get("/console/static/js/app.js").headers["content-type"].startswith("text/javascript")
    for path in ("../api.py", "js/../../api.py", "%2e%2e/api.py", "js/app.js.py", ".hidden", "", "js"):
        assert nobody.get(f"/console/static/{path}").status_code == 404, path
