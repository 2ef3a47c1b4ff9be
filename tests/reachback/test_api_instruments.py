"""How the tablets' instruments stand by their daily checks, in whatever order and of whatever bytes."""

import json
from datetime import timedelta

import pytest

from spectralid.casework import dsse, inbox, instrument_checks
from spectralid.casework.clock import to_text
from spectralid.casework.manifest import dumps
from spectralid.casework.store import CaseStore
from spectralid.qa.performance import Figure, PerformanceCheck
from spectralid.reachback.tablets import enrolled
from tests.casework.record import Clock

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@pytest.fixture
def kind():
    return "sqlite"


@pytest.fixture
def tablet(server):
    return server.tablet("tablet-1")


def body(at, outcome="passed", *, value=0.1, serial="SN-1", **more):
    """What a tablet says of a check."""
    failed = outcome == "failed"
    figure = Figure("axis_shift", value, "cm⁻¹", 0.2, -2.5, 2.5, "failed" if failed else "passed", "")
    check = PerformanceCheck(
        not failed,
        (figure,),
        (),
        "polystyrene",
        "PS-7",
        "Ventana",
        serial,
        at.isoformat(),
        "",
        "0" * 64,
        "v-2",
    )
    said = {
        "ipv_id": check.id, "time": to_text(at), "outcome": outcome, "passed": outcome == "passed",
        "limits_version": "v-2", "instrument": {"serial": serial}, "record": check.to_dict(),
    }  # fmt: skip
    if outcome == "skipped":
        said |= {"ipv_id": f"skip-{at:%H%M}", "reason": "Standard not at hand.", "record": None}
    return said | more


def send(server, tablet, said, device=None):
    device = device or server.desk.tablet
    payload = dumps({**said, "schema": "spectralid.ipv/1", "device_id": device.device_id})
    reply = tablet.post("/v1/ipv", content=dsse.sign(payload, instrument_checks.CHECK_TYPE, device.key))
    assert reply.status_code in (200, 201), reply.text


def standing(client, **asked):
    reply = client.get("/v1/checks", params=asked)
    assert reply.status_code == 200, reply.text
    return reply.json()


@BOTH
def test_the_last_check_counts_in_whatever_order_they_come(server, tablet):
    admin, now = server.client("admin"), server.desk.time
    said = standing(admin)
    assert (said["instruments"], said["attention"]) == ([], 0)
    assert "tablet-1" in said["unchecked"]
    days = [
        body(now - timedelta(hours=h), outcome)
        for h, outcome in ((50, "passed"), (2, "failed"), (30, "passed"))
    ]
    for one in days:
        send(server, tablet, one)
    (one,) = standing(admin)["instruments"]
    assert (one["device_id"], one["instrument"], one["state"], one["attention"]) == (
        "tablet-1", "SN-1", "failed", True,
    )  # fmt: skip
    assert one["last"]["failed"] == ["axis_shift"]
    assert one["last"]["figures"][0]["high"] == 2.5
    # A clock that was a day ahead must not keep an instrument passed.
    send(server, tablet, body(now + timedelta(days=1)))
    assert standing(admin)["attention"] == 1
    send(server, tablet, body(now - timedelta(hours=1)))
    assert standing(admin)["instruments"][0]["state"] == "passed"
    assert standing(admin, attention=True)["instruments"] == []


def test_overdue_is_a_matter_only_where_the_tablet_is_used(server, tablet):
    manager = server.client("qa_manager")
    send(server, tablet, body(server.desk.time))
    server.desk.passes(hours=25)
    (one,) = standing(manager)["instruments"]
    assert (one["state"], one["used_since"], one["attention"]) == ("overdue", False, False)
    server.desk.scan()
    (one,) = standing(manager)["instruments"]
    assert (one["state"], one["used_since"], one["attention"]) == ("overdue", True, True)
    send(server, tablet, body(server.desk.time, "skipped"))
    (one,) = standing(manager)["instruments"]
    assert (one["state"], one["last"]["reason"]) == ("skipped", "Standard not at hand.")
    assert one["last"]["figures"] == []


def test_every_figure_is_charted_from_what_the_server_holds(server, tablet):
    start = server.desk.time - timedelta(days=40)
    for day in range(30):
        wobble = 0.05 * ((7 * day) % 5 - 2)
        send(server, tablet, body(start + timedelta(days=day), value=wobble + 0.2 * max(0, day - 22)))
    send(server, tablet, body(start, serial="SN-2"))
    reply = server.client("chemist").get("/v1/devices/tablet-1/checks")
    assert reply.status_code == 200, reply.text
    found = {one["instrument"]: one for one in reply.json()["instruments"]}
    (chart,) = found["SN-1"]["charts"]
    assert (len(chart["values"]), chart["needed"], chart["figure"]) == (30, 0, "axis_shift")
    assert chart["stop_low"] < chart["mean"] < chart["stop_high"]
    assert chart["stops"][0]["time"] > chart["times"][22]
    assert {one["rule"] for one in chart["stops"]} == {"1_3s", "ewma"}
    assert found["SN-2"]["charts"][0]["needed"] == 20
    newest = [one["checked_utc"] for one in found["SN-1"]["checks"]]
    assert newest == sorted(newest, reverse=True)


def test_a_tablet_may_sign_anything_and_is_shown_without_figures(server, tablet):
    changes = (
        lambda record: record | {"passed": False},
        lambda record: {"format": "other"},
        lambda record: "text",
        lambda record: _resealed(record, value="x"),
        lambda record: _resealed(record, value=1e300),
        lambda record: _resealed(record, status="perhaps"),
        lambda record: _resealed(record, note=["list"]),
        lambda record: _resealed(record, name=None),
    )
    for n, change in enumerate(changes):
        said = body(server.desk.time, serial=f"SN-{n}")
        send(server, tablet, said | {"record": change(said["record"])})
    send(server, tablet, body(server.desk.time, serial="sound"))
    admin = server.client("admin")
    found = {one["instrument"]: one for one in standing(admin)["instruments"]}
    assert {one["state"] for one in found.values()} == {"passed"}
    assert [name for name, one in found.items() if one["last"]["figures"]] == ["sound"]
    reply = admin.get("/v1/devices/tablet-1/checks")
    assert reply.status_code == 200, reply.text
    charted = [one["instrument"] for one in reply.json()["instruments"] if one["charts"]]
    assert charted == ["sound"]
    assert len(found) == len(changes) + 1


def _resealed(record, **change):
    """A record with a wrong figure and the right SHA-256."""
    import hashlib

    from spectralid.library.schema import canonical_json

    plain = {key: value for key, value in record.items() if key not in ("format", "sha256")}
    plain = plain | {"figures": [plain["figures"][0] | change]}
    return {"format": record["format"], "sha256": hashlib.sha256(canonical_json(plain)).hexdigest(), **plain}


def test_a_place_that_is_not_ones_own_is_not_there(server, tablet):
    send(server, tablet, body(server.desk.time, "failed"))
    site = enrolled.find(server.desk.db, "tablet-1").site_ref
    here, elsewhere = server.client("chemist", sites=[site]), server.client("chemist", sites=["nowhere"])
    assert standing(here)["attention"] == 1
    said = standing(elsewhere)
    assert (said["attention"], said["instruments"], said["unchecked"]) == (0, [], [])
    replies = [elsewhere.get(f"/v1/devices/{name}/checks") for name in ("tablet-1", "tablet-x")]
    assert [reply.status_code for reply in replies] == [404, 404]
    first, second = (json.loads(reply.text)["detail"] for reply in replies)
    assert first.replace("tablet-1", "") == second.replace("tablet-x", "")


def test_what_a_tablet_records_the_server_holds_and_receipts(server, tmp_path):
    """The tablet's own code against the server's: what one signs, the other believes."""
    desk = server.desk
    with CaseStore.open(tmp_path / "t", device_id="field-1", clock=Clock(), ballast_bytes=4096) as store:
        enrolled.add(desk.db, store.device_id, store.key.public, site_ref="north", by="admin", now=desk.time)
        said = body(desk.time, "failed")
        instrument_checks.enter(store, said, kind="instrument checked", facts={}, serial="SN-1")
        ((row, raw),) = instrument_checks.due(store, store.clock.wall_utc(), timedelta(hours=1))
        replies = [server.tablet("field-1").post("/v1/ipv", content=raw) for _ in range(2)]
        assert [reply.status_code for reply in replies] == [201, 200]
        assert inbox.take_message(store, replies[0].content, desk.trust(store)).new
        assert not inbox.take_message(store, replies[1].content, desk.trust(store)).new
        assert [one.state for one in instrument_checks.states(store)] == ["received"]
        assert standing(server.client("admin"))["instruments"][0]["last"]["ipv_id"] == row.ipv_id
