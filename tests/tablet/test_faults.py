"""What happens to a tablet on its shift: the real program, record, engine; only the instrument is simulated.

The instrument is pulled out or goes flat, the browser is closed, two pages want to scan at once, the program
is killed, the clock jumps, somebody puts nonsense in the place of the policy. Whatever was shown stays, and
the next scan works.
"""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

import spectralid.verdict
from spectralid.casework.store import CaseStore
from spectralid.devices.sim.launch import Simulator
from spectralid.tablet import FieldUnit
from spectralid.verdict import PolicyKeeper
from tests.casework.record import Clock, opened
from tests.tablet.test_web import KEY, Events, engine, item, ok, refused, scan, served, tablet

__all__ = ["engine", "tablet"]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "import sys; from spectralid.cli import main; sys.exit(main())", "tablet"]
PORT = {"profile": "ocean-ventana-785l"}


def whole(store):
    """Assert that packets and custody log are as they were signed."""
    assert store.verify() == ()
    assert store.custody.verify() == ()


def idle(client):
    """Wait until the instrument is free again: a result is told a moment before."""
    while ok(client.get("/api/state"))["current"]["scan"]:
        time.sleep(0.01)


def records(client):
    return [row["packet_id"] for row in ok(client.get("/api/history"))]


# --- the instrument -----------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")
@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("unplug@spectrum-4", {"laser_off_unconfirmed"}),  # pulled out
        ("silence@20+", {"laser_off_unconfirmed", ""}),  # its battery is flat, with the laser on or just off
        ("reset-mid-scan@spectrum-4", {""}),  # its battery wobbles
    ],
)
def test_an_instrument_that_goes_in_the_middle_of_a_scan(tablet, fault, codes, record_property):
    client, place = tablet
    ref = item(client)
    with Simulator("--substance", "lactose", "--fault", fault) as simulator, Events(client) as events:
        ok(client.post("/api/instrument", json=PORT | {"port": simulator.port}))
        seen = scan(client, ref, events)
        name, told = seen[-1]
        code = told["code"]
        assert name == "failed"
        assert code in codes
        record_property("observed", told["sentence"])
        assert told["sentence"].endswith((".", ".)"))
        idle(client)
        assert ok(client.get("/api/state"))["device"]["state"] == (code or "fault")
        assert records(client) == [], "half a scan is none"
        # Letting go of it says once more what nobody could confirm.
        assert client.delete("/api/instrument").status_code == (409 if code else 200)
    # Plugged in again, or another one.
    with Events(client) as events:
        ok(client.post("/api/instrument", json={"simulate": "lactose"}))
        assert scan(client, ref, events)[-1][0] == "result"
    assert len(records(client)) == 1
    whole(place.unit.store)


# --- pages --------------------------------------------------------------------------------------------------


def test_a_browser_that_is_closed_in_the_middle_of_a_scan(tablet):
    client, place = tablet
    ok(client.post("/api/instrument", json={"simulate": "lactose"}))
    ref = item(client)
    with Events(client) as events:
        wanted = {"item_ref": ref, "confirmed": True}
        scan_id = ok(client.post("/api/scans", json=wanted), 202)["scan_id"]
        events.until("progress")
    # Nobody is there to be told; the scan is ended and recorded all the same.
    place.desk._thread.join(60)
    again = ok(client.get("/api/state"))["current"]
    assert again["scan"] is None
    assert again["last"]["scan_id"] == scan_id
    assert records(client) == [again["last"]["packet_id"]]
    assert ok(client.get(f"/api/records/{again['last']['packet_id']}"))["queue"]["state"] == "queued"


def test_two_pages_that_scan_at_once(tablet):
    client, _ = tablet
    ok(client.post("/api/instrument", json={"simulate": "caffeine"}))
    first, second = item(client), item(client)
    address = {"base_url": client.base_url, "headers": client.headers, "cookies": client.cookies}
    with httpx.Client(**address, timeout=30) as other, Events(client) as here, Events(other) as there:
        ok(client.post("/api/scans", json={"item_ref": first, "confirmed": True}), 202)
        wanted = {"item_ref": second, "confirmed": True}
        sentence = refused(other.post("/api/scans", json=wanted), 409, "device")
        assert sentence == "A scan is running; wait for it or cancel it."
        told = [seen.until("result", "failed")[-1] for seen in (here, there)]
        assert told[0] == told[1]
        assert told[0][0] == "result"
        # Then it is the other one's turn.
        idle(client)
        assert scan(other, second, there)[-1][0] == "result"
    assert [len(ok(client.get(f"/api/items/{ref}"))["scans"]) for ref in (first, second)] == [1, 1]


def test_two_pages_that_record_at_once(tablet):
    client, place = tablet
    ref = item(client)
    address = {"base_url": client.base_url, "headers": client.headers, "cookies": client.cookies}

    def notes(page):
        with httpx.Client(**address, timeout=60) as one:
            for n in range(20):
                ok(one.post(f"/api/items/{ref}/notes", json={"text": f"page {page}, {n}"}))

    pages = [threading.Thread(target=notes, args=(page,)) for page in range(3)]
    for page in pages:
        page.start()
    for page in pages:
        page.join()
    texts = [note["text"] for note in ok(client.get(f"/api/items/{ref}"))["notes"]]
    assert sorted(texts) == sorted(f"page {page}, {n}" for page in range(3) for n in range(20))
    for page in range(3):
        assert [text for text in texts if text.startswith(f"page {page}")] == [
            f"page {page}, {n}" for n in range(20)
        ]
    whole(place.unit.store)


# --- the program --------------------------------------------------------------------------------------------


@contextmanager
def program(folder):
    """``spectralid tablet``, as an officer starts it: the process, and a client that has its key."""
    with subprocess.Popen(
        [*COMMAND, "--data", str(folder), "--simulate", "--port", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http"), process.communicate()[1]
            address, _, key = url.partition("/?key=")
            with httpx.Client(
                base_url=address, headers={"X-Spectralid": "1"}, follow_redirects=True, timeout=60
            ) as client:
                client.get("/", params={"key": key})
                yield process, client
        finally:
            process.kill()


@pytest.mark.skipif(os.name != "posix", reason="nothing is killed like that elsewhere")
def test_a_program_killed_in_the_middle_of_a_scan(tmp_path, record_property):
    folder = tmp_path / "record"
    with program(folder) as (process, client):
        ok(client.post("/api/instrument", json={"simulate": "lactose"}))
        first, second = item(client), item(client)
        with Events(client) as events:
            done = scan(client, first, events)[-1][1]["packet_id"]
            idle(client)
            ok(client.post("/api/scans", json={"item_ref": second, "confirmed": True}), 202)
            events.until("live")
            process.send_signal(signal.SIGKILL)
            with pytest.raises((httpx.HTTPError, AssertionError)):
                events.until("result")
        cookies = dict(client.cookies)
    with CaseStore.open(folder) as store:
        whole(store)
        kinds = [kind for (kind,) in store.read("SELECT kind FROM packets ORDER BY seq")]
    record_property("observed", f"after the kill: {', '.join(kinds)}; chain and log verify")
    assert kinds == ["seizure", "item", "seizure", "item", "scan"]
    with program(folder) as (_, client):
        client.cookies.clear()
        client.cookies.update(cookies)
        assert records(client) == [done], "the page that was open is known, and finds what it had shown"
        ok(client.post("/api/instrument", json={"simulate": "lactose"}))
        with Events(client) as events:
            assert scan(client, second, events)[-1][0] == "result"


def test_a_second_program_on_the_same_record(tmp_path, engine):
    with served(tmp_path / "record", engine) as (client, place):
        client.get("/", params={"key": KEY})
        done = subprocess.run(
            [*COMMAND, "--data", str(tmp_path / "record"), "--port", "0"],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode not in (0, 1)
        assert "Traceback" not in done.stderr
        (sentence,) = done.stderr.strip().splitlines()
        assert sentence.endswith(".")
        ref = item(client)
        ok(client.post(f"/api/items/{ref}/notes", json={"text": "the first goes on"}))
        whole(place.unit.store)


# --- clock and policy ---------------------------------------------------------------------------------------


def test_a_clock_that_jumps_during_a_shift(tmp_path, engine):
    """Without a server nobody can say which time is right; the order of the packets holds."""
    clock = Clock()
    with opened(tmp_path / "record", clock=clock) as store:
        unit = FieldUnit(
            store, engine.library, keeper=PolicyKeeper(tmp_path / "policy"), engine=engine, officer="K-17"
        )
        ref = unit.add_item(unit.open_seizure(place="Lane 4"))
        for jump in (timedelta(0), timedelta(days=365), timedelta(days=-900), timedelta(days=-20_000)):
            clock.wall += jump
            clock.passes(minutes=1)
            unit.add_note(ref, f"after {jump.days} days")
        clock.restarts(clock.wall)
        unit.add_note(ref, "after a restart in the past")
        packets = [store.packet(name) for (name,) in store.read("SELECT packet_id FROM packets ORDER BY seq")]
        assert [packet.seq for packet in packets] == list(range(1, 8))
        assert [packet.manifest["note"] for packet in packets[2:]] == [
            *(f"after {days} days" for days in (0, 365, -900, -20_000)),
            "after a restart in the past",
        ]
        assert {packet.manifest["captured"]["clock_state"] for packet in packets} <= {"unsynced"}
        assert all(later.packet_id > one.packet_id for one, later in itertools.pairwise(packets))
        whole(store)


def test_nonsense_in_the_place_of_the_policy(tmp_path, engine):
    folder = tmp_path / "record"
    keeper = PolicyKeeper(folder / "policy")
    keeper.install(Path(spectralid.verdict.__file__).with_name("policy.toml"))
    for file in (folder / "policy").glob("policy-*.toml"):
        file.chmod(0o600)
        file.write_bytes(b"\x00[nonsense")
    with served(folder, engine) as (client, _):
        client.get("/", params={"key": KEY})
        note = ok(client.get("/api/state"))["policy"]["note"]
        assert note.endswith(".")
        ok(client.post("/api/instrument", json={"simulate": "lactose"}))
        ref = item(client)
        with Events(client) as events:
            packet_id = scan(client, ref, events)[-1][1]["packet_id"]
        verdict = ok(client.get(f"/api/records/{packet_id}"))["verdict"]
        assert any("policy" in str(reason) for reason in verdict["reasons"])
