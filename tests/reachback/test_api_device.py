"""What tablets ask, over HTTP: receipts, replays, limits, the inbox that waits."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading

import httpx
import pytest

from spectralid.casework import dsse, messages
from spectralid.casework.clock import to_text
from spectralid.casework.manifest import dumps
from spectralid.casework.packet import MAX_PACKET
from spectralid.reachback.api import waiting as waiting_room
from spectralid.reachback.settings import Limits, Settings
from spectralid.reachback.tablets import enrolled, enrolment, ingest, instrument_checks
from tests.reachback.http import QUICK, Server

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
TYPE = "application/vnd.spectralid.packet"


def send(client, raw, key=None, **headers):
    sent = {"Content-Type": TYPE, "Idempotency-Key": key or hashlib.sha256(raw).hexdigest(), **headers}
    return client.post("/v1/packets", content=raw, headers=sent)


@pytest.fixture
def kind():
    return "sqlite"


@pytest.fixture
def tablet(server):
    return server.tablet("tablet-1")


def code(reply):
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    said = reply.json()
    assert said["status"] == reply.status_code
    return reply.status_code, said["code"]


@BOTH
def test_the_same_bytes_have_the_same_receipt(server, tablet):
    raw = server.desk.tablet.scan()
    first = send(tablet, raw)
    assert first.status_code == 201
    receipt = messages.parse_receipt(first.content, server.desk.trust(server.desk.tablet))
    assert receipt.packet_sha256 == hashlib.sha256(raw).hexdigest()
    server.desk.passes(days=3)
    again = send(tablet, raw)
    assert (again.status_code, again.content) == (200, first.content)


def test_what_is_refused_says_why(server, tablet):
    raw = server.desk.tablet.scan()
    assert code(send(tablet, raw, key="another")) == (422, "key-reused")
    assert code(send(tablet, b"no packet")) == (422, "bad-packet")
    assert code(send(server.tablet("tablet-2"), raw)) == (422, "bad-packet")
    assert code(send(tablet, raw, **{"Content-Type": "text/plain"})) == (415, "unknown-schema")
    assert code(send(tablet, b"SIDPKT/9\nof a newer program")) == (415, "unknown-schema")
    assert code(tablet.post("/v1/packets", content=raw, headers={"Content-Type": TYPE})) == (422, "not-valid")


@BOTH
def test_a_packet_in_flight_is_not_taken_twice(server, tablet, monkeypatch):
    raw = server.desk.tablet.scan()
    entered, go_on = threading.Event(), threading.Event()
    known = ingest.ingest

    def slow(*args, **options):
        entered.set()
        assert go_on.wait(20)
        return known(*args, **options)

    monkeypatch.setattr(ingest, "ingest", slow)
    replies = []
    first = threading.Thread(target=lambda: replies.append(send(tablet, raw)))
    first.start()
    assert entered.wait(20)
    assert code(send(server.tablet("tablet-1"), raw)) == (409, "in-flight")
    go_on.set()
    first.join()
    assert replies[0].status_code == 201
    assert send(tablet, raw).status_code == 200


def test_a_device_without_a_certificate_on_record_is_nobody(server):
    raw = server.desk.tablet.scan()
    assert code(send(server.tablet("tablet-1", b"of the same authority, but not issued here"), raw))[0] == 401
    assert code(send(server.client(), raw))[0] == 401
    assert code(send(server.client("chemist"), raw)) == (403, "forbidden")
    # Nothing that is said in a header makes a tablet.
    forged = {
        "X-Client-Cert": "tablet-1",
        "X-SSL-Client-S-DN": "CN=tablet-1",
        "X-Forwarded-Client-Cert": "By=x",
    }
    assert code(send(server.client(), raw, **forged))[0] == 401


@BOTH
def test_a_certificate_ends_and_is_revoked(server):
    raw, desk = server.desk.tablet.scan(), server.desk
    tablet = server.tablet("tablet-1", server.certificate("tablet-1", days=10))
    assert send(tablet, raw).status_code == 201
    enrolment.revoke(desk.db, "tablet-1", why="lost", by="admin", now=desk.time)
    assert code(send(tablet, raw)) == (403, "device-refused")
    # Enrolled again, it comes with a new certificate; the one that was revoked stays so.
    enrolled.add(desk.db, "tablet-1", desk.tablet.key.public, site_ref="north", by="admin", now=desk.time)
    assert code(send(tablet, raw)) == (403, "device-refused")
    other = server.tablet("tablet-2", server.certificate("tablet-2", days=10))
    assert other.get("/v1/inbox").status_code == 200
    # The tablet alone, whatever became of its certificates.
    enrolled.revoke(desk.db, "tablet-2", why="lost", by="admin", now=desk.time)
    assert code(other.get("/v1/inbox")) == (403, "device-refused")
    enrolled.add(desk.db, "tablet-2", desk.other.key.public, site_ref="north", by="admin", now=desk.time)
    assert other.get("/v1/inbox").status_code == 200
    desk.passes(days=11)
    assert code(other.get("/v1/inbox"))[0] == 401


# --- limits ------------------------------------------------------------------------------------------------


def test_a_body_that_says_it_is_too_long_is_not_read(server):
    read = []

    async def ask():
        async def body():
            while True:
                read.append(1)
                yield b"x" * 65536

        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://server") as client:
            headers = {"Content-Length": str(MAX_PACKET + 1), "Content-Type": TYPE, "Idempotency-Key": "k"}
            return await client.post("/v1/packets", content=body(), headers=headers)

    reply = asyncio.run(ask())
    assert code(reply) == (413, "too-large")
    assert reply.headers["connection"] == "close"
    assert not read


@pytest.mark.parametrize(("path", "limit"), [("/v1/packets", MAX_PACKET), ("/v1/links", 1024 * 1024)])
def test_a_body_that_grows_too_long_is_not_read_to_its_end(server, path, limit):
    role = "device" if path == "/v1/packets" else "chemist"
    client = server.client(role)

    def body():
        for _ in range(limit // 65536 + 40):
            yield b" " * 65536

    headers = {"Content-Type": TYPE if role == "device" else "application/json", "Idempotency-Key": "k"}
    reply = client.post(path, content=body(), headers=headers)
    assert code(reply) == (413, "too-large")


def raw_request(app, messages):
    """A request whose body comes as told; gives what is answered, and what was left of the body."""
    left, said = list(messages), []

    async def receive():
        if not left:
            await asyncio.sleep(3600)
        return left.pop(0)

    async def send(message):
        said.append(message)

    headers = [(b"content-type", TYPE.encode()), (b"idempotency-key", b"k")]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/packets", "raw_path": b"/v1/packets",
        "query_string": b"", "headers": headers, "http_version": "1.1", "scheme": "https",
        "server": ("server", 443), "client": ("10.0.0.9", 5), "root_path": "",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return said[0]["status"], dict(said[0]["headers"]), left


def test_a_body_without_a_length_is_read_no_further_than_its_limit(server):
    piece = {"type": "http.request", "body": b"x" * 2**20, "more_body": True}
    status, headers, left = raw_request(with_peer(server, "tablet-1"), [piece] * 50)
    assert (status, headers[b"connection"]) == (413, b"close")
    assert len(left) == 50 - MAX_PACKET // 2**20 - 1


def test_a_body_that_does_not_go_on_ends(server):
    for one in server.app.user_middleware:
        if "default" in one.kwargs:
            one.kwargs["silence_s"] = 0.05
    piece = {"type": "http.request", "body": b"x", "more_body": True}
    status, headers, _ = raw_request(with_peer(server, "tablet-1"), [piece])
    assert (status, headers[b"connection"]) == (408, b"close")


def test_a_tablet_has_its_share_and_no_other_pays_for_it(desk):
    few = Settings(accounts=QUICK.accounts, limits=Limits(device_per_min=60, device_burst=3), poll_s=0.05)
    server = Server(desk, few)
    first, second = server.tablet("tablet-1"), server.tablet("tablet-2")
    assert [first.get("/v1/time").status_code for _ in range(3)] == [200] * 3
    refused = first.get("/v1/time")
    assert code(refused) == (429, "too-many")
    assert refused.headers["retry-after"] == "1"
    assert second.get("/v1/time").status_code == 200


def test_there_is_a_limit_for_everybody_but_not_for_their_health(desk):
    server = Server(desk, Settings(accounts=QUICK.accounts, limits=Limits(all_per_s=0.001, all_burst=2)))
    nobody = server.client()
    replies = [nobody.get("/v1/openapi.json") for _ in range(3)]
    assert [one.status_code for one in replies] == [200, 200, 429]
    assert int(replies[2].headers["retry-after"]) >= 1
    assert nobody.get("/healthz").status_code == 200


# --- the inbox ---------------------------------------------------------------------------------------------


@BOTH
def test_answers_come_in_order_and_are_acknowledged_once(server, tablet):
    desk = server.desk
    case_id = desk.answered()
    said = tablet.get("/v1/inbox?after=0").json()["messages"]
    raw = json.dumps(said[0]).encode()
    answer = messages.parse_answer(raw, desk.trust(desk.tablet))
    assert (answer.case, answer.n) == (case_id, 1)
    assert tablet.get("/v1/inbox?after=1").json() == {"messages": []}
    path = f"/v1/answers/{answer.answer_id}/shown"
    envelope = desk.tablet.shown(raw)
    for _ in range(2):
        assert (
            tablet.post(path, content=envelope, headers={"Content-Type": "application/json"}).status_code
            == 204
        )
    assert desk.case(case_id)["state"] == "DELIVERED"
    # Another tablet cannot speak for it.
    assert code(server.tablet("tablet-2").post(path, content=envelope)) == (422, "bad-packet")


@BOTH
def test_whoever_waits_is_told_at_once_and_holds_no_thread(server):
    desk = server.desk
    case_id = desk.scan()
    lease = desk.lease(case_id)

    async def story():
        transport = httpx.ASGITransport(with_peer(server, "tablet-1"))
        async with (
            server.app.router.lifespan_context(server.app),
            httpx.AsyncClient(transport=transport, base_url="https://server", timeout=60) as client,
        ):
            # More of them than there are threads; if each held one, the decision below would not get one.
            waiters = [asyncio.create_task(client.get("/v1/inbox?after=0&wait=30")) for _ in range(60)]
            while len(server.here.waiting) < 60:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(desk.decide, lease)
            replies = await asyncio.wait_for(asyncio.gather(*waiters), 25)
            assert all(len(one.json()["messages"]) == 1 for one in replies)
            # Nothing new: the time is up, and that is no error.
            late = await client.get("/v1/inbox?after=1&wait=0.2")
            assert (late.status_code, late.json()) == (200, {"messages": []})
            # When the server stops, nobody is kept waiting.
            last = asyncio.create_task(client.get("/v1/inbox?after=1&wait=30"))
            while not len(server.here.waiting):
                await asyncio.sleep(0.01)
            server.here.waiting.stop()
            assert (await asyncio.wait_for(last, 20)).json() == {"messages": []}

    asyncio.run(story())


def with_peer(server, device_id):
    from spectralid.reachback.tablets.tls import PEER

    der = server.certificate(device_id)

    async def app(scope, receive, send):
        await server.app({**scope, "state": {PEER: der}}, receive, send)

    return app


@BOTH
def test_a_lost_notification_is_made_up_for(server, monkeypatch):
    """On PostgreSQL a notification wakes; without any, the poll does."""
    desk = server.desk
    case_id = desk.scan()
    lease = desk.lease(case_id)
    waiting = server.here.waiting

    async def deaf():
        await asyncio.sleep(3600)

    monkeypatch.setattr(waiting, "_listen", deaf)

    async def story():
        async with server.app.router.lifespan_context(server.app):
            first = asyncio.create_task(waiting.until_new("tablet-1", 20))
            await asyncio.to_thread(desk.decide, lease)
            assert await first

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_notification_wakes_before_the_poll_would(desk):
    settings = Settings(accounts=QUICK.accounts, poll_s=5.0)
    server = Server(desk, settings)
    lease = desk.lease(desk.scan())
    waiting = server.here.waiting
    waiting._marked["tablet-1"] = waiting._marks(["tablet-1"])["tablet-1"]

    async def story():
        async with server.app.router.lifespan_context(server.app):
            while not waiting.listening:
                await asyncio.sleep(0.01)
            # The poll on beginning to listen is over before anybody waits.
            await asyncio.sleep(0)
            waiting._poll_s = 3600
            first = asyncio.create_task(waiting.until_new("tablet-1", 30))
            while not len(waiting):
                await asyncio.sleep(0.01)
            await asyncio.to_thread(desk.decide, lease)
            assert await asyncio.wait_for(first, 4.5)

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_connection_for_notifications_that_is_lost_is_made_again(desk, monkeypatch):
    monkeypatch.setattr(waiting_room, "_SLOWEST_POLL_S", 0.5)
    server = Server(desk)
    lease = desk.lease(desk.scan())
    waiting = server.here.waiting

    def cut():
        with desk.db.begin() as tx:
            tx.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %%'"
            )

    async def until(holds):
        while not holds():
            await asyncio.sleep(0.005)

    async def story():
        async with server.app.router.lifespan_context(server.app), asyncio.timeout(30):
            await until(lambda: waiting.listening)
            await asyncio.to_thread(cut)
            await until(lambda: not waiting.listening)
            first = asyncio.create_task(waiting.until_new("tablet-1", 20))
            await asyncio.to_thread(desk.decide, lease)
            assert await first
            await until(lambda: waiting.listening)

    asyncio.run(story())


# --- time and checks ---------------------------------------------------------------------------------------


def test_the_time_is_signed_for_this_request(server, tablet):
    reply = tablet.get("/v1/time", params={"nonce": "n-1"})
    said = messages.parse_time(reply.content, server.desk.trust(server.desk.tablet))
    assert (said.nonce, said.server_utc) == ("n-1", to_text(server.desk.time))
    assert code(tablet.get("/v1/time", params={"nonce": "x" * 65}))[0] == 422


def check(tablet, ipv_id="ipv-1", *, key=None, **more):
    body = {
        "schema": "spectralid.ipv/1",
        "device_id": tablet.device_id,
        "ipv_id": ipv_id,
        "time": "2026-11-22T08:00:00Z",
        "passed": True,
        "limits_version": "1",
        "instrument": {"serial": "SN-1"},
        **more,
    }
    return dsse.sign(dumps(body), instrument_checks.IPV_TYPE, key or tablet.key)


@BOTH
def test_a_daily_check_is_kept_once(server, tablet):
    raw = check(server.desk.tablet)
    for status in (201, 200):
        reply = tablet.post("/v1/ipv", content=raw)
        assert reply.status_code == status
        said = messages.parse_check_receipt(reply.content, server.desk.trust(server.desk.tablet))
        assert (said.ipv_id, said.ipv_sha256) == ("ipv-1", hashlib.sha256(raw).hexdigest())
        assert said.server_utc == to_text(server.desk.time)
    (kept,) = instrument_checks.of_device(server.desk.db, "tablet-1")
    assert (kept.ipv_id, kept.passed, kept.instrument) == ("ipv-1", True, "SN-1")
    other = check(server.desk.tablet, passed=False)
    assert code(tablet.post("/v1/ipv", content=other)) == (422, "key-reused")
    forged = check(server.desk.tablet, "ipv-2", key=server.desk.other.key)
    assert code(tablet.post("/v1/ipv", content=forged)) == (422, "bad-packet")
    wrong = check(server.desk.tablet, "ipv-3", passed="yes")
    assert code(tablet.post("/v1/ipv", content=wrong)) == (422, "bad-packet")
    assert len(instrument_checks.of_device(server.desk.db, "tablet-1")) == 1
