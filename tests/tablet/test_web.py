"""The web application as a browser meets it: over HTTP on this machine, a simulated instrument behind it."""

import base64
import json
import threading
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import uvicorn

from spectralid import open_library, write
from spectralid.casework.errors import StoreFullError, StoreReadOnlyError
from spectralid.casework.store import CaseStore
from spectralid.identify import Identifier
from spectralid.spectrum import IntensityUnit, Spectrum, Technique
from spectralid.tablet import FieldUnit
from spectralid.tablet.checks import CheckBook
from spectralid.tablet.serve import listen
from spectralid.tablet.web import application
from spectralid.tablet.workplace import Workplace
from spectralid.verdict import PolicyKeeper

KEY, SESSION = "key", "session-secret"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture(scope="module")
def engine():
    with open_library() as library:
        yield Identifier(library)


@contextmanager
def served(folder, engine, **options):
    """A client of a running tablet, and what it acts on."""
    folder.mkdir(exist_ok=True)
    store = CaseStore.open(folder, ballast_bytes=1 << 16)
    unit = FieldUnit(
        store, engine.library, keeper=PolicyKeeper(folder / "policy"), engine=engine,
        checks=CheckBook(folder / "checks"),
    )  # fmt: skip
    unit.close = store.close
    with Workplace(unit, folder, simulators=True, **options) as place, listen(0) as listener:
        config = uvicorn.Config(
            application(place, key=KEY, session=SESSION), lifespan="off", log_level="error", ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with httpx.Client(
                base_url=address, headers={"X-Spectralid": "1"}, follow_redirects=True, timeout=30
            ) as client:
                yield client, place
        finally:
            place.broker.close()
            server.should_exit = True
            thread.join()


@pytest.fixture
def tablet(tmp_path, engine):
    with served(tmp_path / "record", engine) as (client, place):
        client.get("/", params={"key": KEY})
        yield client, place


@pytest.fixture
def client(tablet):
    return tablet[0]


def ok(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["sentence"].endswith((".", "?"))
    assert "Traceback" not in answer.text
    return error["sentence"]


def item(client, **facts):
    seizure = ok(client.post("/api/seizures", json={"place": "Lane 4", "mode": "land"}), 201)
    return ok(client.post("/api/items", json={**seizure, "label": "bag", **facts}), 201)["item_ref"]


class Events:
    """Server-sent events, one after the other."""

    def __init__(self, client):
        self._client = client

    def __enter__(self):
        self._context = self._client.stream("GET", "/api/events")
        self._lines = self._context.__enter__().iter_lines()
        return self

    def __exit__(self, *args):
        self._context.__exit__(*args)

    def until(self, *names):
        """Everything up to the first event of one of these names."""
        seen = []
        event = ""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                seen.append((event, json.loads(value)))
                if event in names:
                    return seen
        raise AssertionError(f"the stream ended after {[s[0] for s in seen]}")


def scan(client, ref, events, **more):
    ok(client.post("/api/scans", json={"item_ref": ref, "confirmed": True, **more}), 202)
    return events.until("result", "failed")


def test_a_stranger_gets_nothing_but_a_sentence(tmp_path, engine):
    with served(tmp_path / "record", engine) as (client, _):
        for path in ("/", "/api/state", "/api/events", "/api/history", "/static/index.html"):
            answer = client.get(path)
            assert answer.status_code == 403
            assert "spectralid" not in answer.text.lower() or "tablet" in answer.text
        assert client.get("/", params={"key": "guess"}).status_code == 403
        assert client.get("/", params={"key": KEY}).status_code == 200
        assert client.get("/api/state", headers={"Host": "evil.example"}).status_code == 421


def test_from_connecting_to_the_report(tablet):
    client = tablet[0]
    ok(client.put("/api/settings", json={"officer": "K-17", "site": "Nogales", "language": "es"}))
    ok(client.post("/api/instrument", json={"simulate": "acetaminophen", "container": "pe", "seed": 3}))
    ref = item(client, container="pe", declared={"text": "lactose"})
    with Events(client) as events:
        seen = scan(client, ref, events)
    assert seen[-1][0] == "result", seen[-1]
    stages = [data["stage"] for name, data in seen if name == "progress"]
    assert list(dict.fromkeys(stages)) == ["warm_up", "exposure", "sample", "dark", "identifying"] or (
        list(dict.fromkeys(stages)) == ["exposure", "sample", "dark", "identifying"]
    )
    curves = [data for name, data in seen if name == "live"]
    assert curves
    assert len(curves[0]["x"]) == len(curves[0]["y"]) > 200

    packet_id = seen[-1][1]["packet_id"]
    record = ok(client.get(f"/api/records/{packet_id}"))
    assert record["verdict"]["kind"] in ("identified", "mixture")
    assert record["verdict"]["language"] == "es"
    assert "Paracetamol" in record["components"][0]["name"]
    assert record["simulated"] is True
    assert record["queue"]["state"] == "queued"
    assert len(record["spectrum"]["x"]) == len(record["spectrum"]["y"]) == 1024
    manifest = tablet[1].unit.store.packet(packet_id).manifest
    assert manifest["assessment"]["declared"]["outcome"] == "inconsistent"
    view = ok(client.get(f"/api/items/{ref}"))
    assert view["declared"]["outcome"] == "inconsistent"
    assert view["assessment"]["escalate"] is True
    pdf = client.get(f"/api/records/{packet_id}/report.pdf")
    assert pdf.content.startswith(b"%PDF-")
    assert pdf.content == client.get(f"/api/records/{packet_id}/report.pdf").content
    assert ok(client.get(f"/api/records/{packet_id}/report.json"))["presumptive"] is True
    seizure = view["seizure_ref"]
    assert client.get(f"/api/seizures/{seizure}/report.pdf").content.startswith(b"%PDF-")
    assert [h["packet_id"] for h in ok(client.get("/api/history"))] == [packet_id]
    assert ok(client.get(f"/api/seizures/{seizure}"))["items"][0]["scans"] == 1
    assert ok(client.get("/api/queue"))["summary"]["queued"] == 3
    assert ok(client.get("/api/state"))["current"]["last"]["packet_id"] == packet_id


def test_strip_note_photo_and_send_are_on_record_and_shown(client):
    ok(client.post("/api/instrument", json={"simulate": "lactose"}))
    ref = item(client)
    with Events(client) as events:
        scan(client, ref, events)
    photo = "data:image/png;base64," + base64.b64encode(PNG).decode()
    strip = {
        "target": "fentanyl",
        "brand": "BTNX",
        "lot": "7",
        "expiry": "2099-01-01",
        "dilution_mg_ml": 0.5,
        "read_s": 300,
        "result": "pos",
        "photo": photo,
    }
    view = ok(client.post(f"/api/items/{ref}/strips", json=strip))
    assert view["assessment"]["conflicts"]
    assert view["assessment"]["alarm"] == "danger"
    assert "C" in view["assessment"]["swgdrug"]
    # The scan alone is harmless; the list of seizures must not say so.
    assert [s["alarm"] for s in ok(client.get("/api/seizures"))] == ["danger"]
    assert ok(client.get(f"/api/seizures/{view['seizure_ref']}"))["items"][0]["alarm"] == "danger"
    view = ok(client.post(f"/api/items/{ref}/notes", json={"text": "white powder"}))
    assert view["notes"][-1]["text"] == "white powder"
    headers = {"Content-Type": "image/png"}
    view = ok(client.post(f"/api/items/{ref}/photos", content=PNG, headers=headers))
    shown = view["photos"][-1]
    picture = client.get(f"/api/records/{shown['packet_id']}/photos/{shown['sha256']}")
    assert picture.content == PNG
    assert picture.headers["content-type"] == "image/png"
    ok(client.post(f"/api/items/{ref}/send", json={"note": "urgent"}))
    rows = ok(client.get("/api/queue"))["rows"]
    assert rows[0]["kind"] == "send"
    assert {r["state"] for r in rows} == {"queued"}


def test_a_repeat_is_asked_about_and_done_when_meant(client):
    ok(client.post("/api/instrument", json={"simulate": "caffeine"}))
    ref = item(client)
    with Events(client) as events:
        scan(client, ref, events)
        refused(client.post("/api/scans", json={"item_ref": ref, "confirmed": True}), 409, "same_item")
        assert scan(client, ref, events, again=True)[-1][0] == "result"
    first, second = ok(client.get(f"/api/items/{ref}"))["scans"]
    assert first["packet_id"] != second["packet_id"]


def test_a_file_of_another_program_waits_for_its_item_and_is_kept_as_it_is(tmp_path, engine):
    watched = tmp_path / "bench"
    watched.mkdir()
    x = np.linspace(600, 3600, 1500)
    y = sum(h * np.exp(-(((x - c) / 9) ** 2)) for c, h in ((1100, 1.0), (1650, 0.7), (2900, 0.4)))
    y = y + np.random.default_rng(0).normal(0, 0.002, x.size)
    spectrum = Spectrum(axis=x, intensity=y, technique=Technique.FTIR_ATR, unit=IntensityUnit.ABSORBANCE)
    with served(tmp_path / "record", engine, watch=watched) as (client, place):
        client.get("/", params={"key": KEY})
        ref = item(client)
        with Events(client) as events:
            write(spectrum, watched / "bench-1.jdx")
            events.until("arrived")
            (waiting,) = ok(client.get("/api/arrived"))
            assert (waiting["file"], waiting["technique"]) == ("bench-1.jdx", "ftir_atr")
            body = {"file": "bench-1.jdx", "item_ref": ref}
            (packet_id,) = ok(client.post("/api/arrived/assign", json=body), 202)["packets"]
        packet = place.unit.store.packet(packet_id)
        original = packet.blob(packet.manifest["original"]["blob"])
        assert original == (watched / "bench-1.jdx").read_bytes()
        assert ok(client.get(f"/api/records/{packet_id}"))["technique"] == "ftir_atr"
        assert ok(client.get("/api/arrived")) == []
        refused(client.post("/api/arrived/assign", json=body), 400, "parameter")
    with served(tmp_path / "record", engine, watch=watched) as (client, _):
        client.get("/", params={"key": KEY})
        # Looked at again after a restart: it was taken, and is not offered twice.
        for _ in range(3):
            assert ok(client.get("/api/arrived")) == []


def test_a_page_stays_known_across_a_restart(tmp_path, engine):
    with served(tmp_path / "record", engine) as (client, _):
        client.get("/", params={"key": KEY})
        ok(client.put("/api/settings", json={"theme": "night", "officer": "K-17"}))
        ref = item(client)
        cookies = dict(client.cookies)
    with served(tmp_path / "record", engine) as (client, _):
        client.cookies.update(cookies)
        state = ok(client.get("/api/state"))
        assert (state["theme"], state["officer"]) == ("night", "K-17")
        assert ok(client.get(f"/api/items/{ref}"))["label"] == "bag"


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("POST", "/api/seizures", b"{", 400, "parameter"),
        ("POST", "/api/seizures", b"[]", 400, "parameter"),
        ("POST", "/api/seizures", b'{"mode": "rocket"}', 400, "parameter"),
        ("POST", "/api/seizures", b"[" * 100_000, 400, "parameter"),
        ("POST", "/api/seizures", b"x" * (7 << 20), 400, "parameter"),
        ("POST", "/api/items", b"{}", 400, "parameter"),
        ("POST", "/api/items", b'{"seizure_ref": "S-0"}', 400, "parameter"),
        ("GET", "/api/items/S-0", b"", 400, "parameter"),
        ("GET", "/api/records/nothing", b"", 404, "record"),
        ("GET", "/api/seizures/S-0", b"", 404, "unknown"),
        ("GET", "/api/history?before=x", b"", 400, "parameter"),
        ("PUT", "/api/settings", b'{"language": "xx"}', 400, "parameter"),
        ("PUT", "/api/settings", b'{"colour": "red"}', 400, "parameter"),
        ("POST", "/api/instrument", b'{"simulate": ""}', 400, "parameter"),
        ("POST", "/api/instrument", b'{"simulate": "lactose", "fault": "x"}', 400, "parameter"),
        ("POST", "/api/instrument", b'{"port": "/dev/none", "profile": "none"}', 400, "parameter"),
        ("POST", "/api/instrument", b'{"port": "/dev/none", "profile": "ocean-sts"}', 409, "device"),
        ("POST", "/api/answers/none/shown", b"{}", 404, "record"),
        ("POST", "/api/queue/export", b'{"folder": ""}', 400, "parameter"),
    ],
)
def test_what_makes_no_sense_gets_one_sentence_and_changes_nothing(
    tablet, method, path, content, status, code
):
    client, place = tablet
    before = place.unit.store.health().counts
    refused(client.request(method, path, content=content), status, code)
    assert place.unit.store.health().counts == before


def test_without_an_instrument_a_scan_says_so_and_stopping_is_always_fine(client):
    ref = item(client)
    refused(client.post("/api/scans", json={"item_ref": ref, "confirmed": True}), 409, "device")
    ok(client.delete("/api/scans"))
    ok(client.post("/api/instrument/off"))
    ok(client.delete("/api/instrument"))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreFullError("The disk is full."), 507, "store_full"),
        (StoreReadOnlyError("It failed."), 503, "store_read_only"),
    ],
)
def test_what_cannot_be_stored_is_never_shown_as_stored(tablet, monkeypatch, error, status, code):
    client, place = tablet

    def fails(draft):
        raise error

    ok(client.post("/api/instrument", json={"simulate": "caffeine"}))
    ref = item(client)
    monkeypatch.setattr(place.unit.store, "capture", fails)
    refused(client.post(f"/api/items/{ref}/notes", json={"text": "x"}), status, code)
    with Events(client) as events:
        name, told = scan(client, ref, events)[-1]
    assert name == "failed"
    assert told["sentence"] == str(error)
    assert ok(client.get("/api/history")) == []


def test_a_defect_is_one_sentence_too(tablet, monkeypatch):
    client, place = tablet
    monkeypatch.setattr(place, "state", lambda: 1 / 0)
    sentence = refused(client.get("/api/state"), 500, "internal")
    assert "nothing recorded is lost" in sentence
