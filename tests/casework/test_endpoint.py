"""What each way a line can fail means to a packet: received, again later, or a person has to look."""

import hashlib
import threading

import pytest

from spectralid.casework.endpoint import Attention, Delivered, Done, Endpoint, Inbox, Retry, ServerTime
from tests.casework.field import IMPATIENT, QUICK, enrolled_field
from tests.casework.server_double import (
    RECEIPT,
    TIME,
    Authority,
    Reply,
    ServerKey,
    answers_with,
    captive_portal,
    closes_after,
    cuts_reply_at,
    drips,
    endless_reply,
    gives,
    loses_reply,
    never_replies,
    problem,
    resets_mid_body,
    slices_reply,
)


@pytest.fixture
def field(tmp_path):
    with enrolled_field(tmp_path) as made:
        yield made


@pytest.fixture
def line(field):
    endpoint = field.endpoint()
    yield endpoint
    endpoint.close()


def deliver(field, endpoint: Endpoint, packet_id: str):
    row = field.row(packet_id)
    return endpoint.deliver(field.store.raw(packet_id), sha256=row.sha256, seq=row.seq)


def test_a_packet_is_delivered_when_its_own_receipt_is_there(field, line):
    (packet_id,) = field.capture()
    outcome = deliver(field, line, packet_id)
    assert isinstance(outcome, Delivered)
    assert not outcome.replayed
    assert outcome.receipt.packet_sha256 == hashlib.sha256(field.store.raw(packet_id)).hexdigest()
    method, path, headers = field.server.log[-1]
    assert (method, path) == ("POST", "/v1/packets")
    assert headers["Idempotency-Key"] == outcome.receipt.packet_sha256
    assert headers["Content-Type"] == "application/vnd.spectralid.packet"


def test_the_same_packet_again_gets_the_same_receipt(field, line):
    (packet_id,) = field.capture()
    first, again = deliver(field, line, packet_id), deliver(field, line, packet_id)
    assert again == Delivered(first.receipt, replayed=True)


def test_a_slow_and_sliced_line_is_a_line(field, line):
    (packet_id,) = field.capture()
    field.server.script("packets", slices_reply)
    assert isinstance(deliver(field, line, packet_id), Delivered)


def foreign_receipt(reply: Reply) -> bytes:
    import base64
    import json

    return ServerKey().envelope(RECEIPT, base64.b64decode(json.loads(reply.body)["payload"]))


@pytest.mark.parametrize(
    ("fault", "code", "scope", "after_s"),
    [
        (closes_after(0), "cut", "link", None),
        (closes_after(200), "cut", "link", None),
        (resets_mid_body, "cut", "link", None),
        (loses_reply, "cut", "link", None),
        (cuts_reply_at(300, 4000), "cut", "link", None),
        (cuts_reply_at(64 * 1024, 1 << 20), "cut", "link", None),
        (endless_reply, "reply-too-long", "link", None),
        (captive_portal, "not-the-server", "link", None),
        (
            answers_with(Reply(302, b"", "", {"Location": "https://hotel.example"})),
            "not-the-server",
            "link",
            None,
        ),
        (gives(lambda r: b"<html>ok</html>"), "receipt-not-trusted", "link", None),
        (gives(lambda r: b""), "receipt-not-trusted", "link", None),
        (gives(lambda r: r.body[:-40]), "receipt-not-trusted", "link", None),
        (gives(lambda r: b'{"status": "received"}'), "receipt-not-trusted", "link", None),
        (gives(foreign_receipt), "receipt-not-trusted", "link", None),
        (answers_with(problem(409, "busy")), "in-flight", "packet", None),
        (answers_with(problem(409, "busy", Retry_After="2")), "in-flight", "packet", 2.0),
        (answers_with(problem(429, "slow down", Retry_After="120")), "too-many", "link", 120.0),
        (answers_with(problem(429, "slow down", Retry_After="999999")), "too-many", "link", 3600.0),
        (answers_with(problem(429, "slow down", Retry_After="soon")), "too-many", "link", None),
        (answers_with(problem(503, "restarting", Retry_After="30")), "busy", "link", 30.0),
        (answers_with(problem(507, "full")), "busy", "link", None),
        (answers_with(problem(500, "oops")), "server-error", "packet", None),
        (answers_with(problem(418, "tea")), "unexpected", "packet", None),
        (answers_with(Reply(404, b"<h1>Not here</h1>", "text/html")), "not-the-server", "link", None),
        (
            answers_with(
                problem(
                    503,
                    "back at",
                    Retry_After="Sun, 22 Nov 1970 12:05:00 GMT",
                    Date="Sun, 22 Nov 1970 12:00:00 GMT",
                )
            ),
            "busy",
            "link",
            300.0,
        ),
    ],
)
def test_what_may_work_later_is_tried_later(field, line, fault, code, scope, after_s):
    (packet_id,) = field.capture()
    field.server.script("packets", fault)
    outcome = deliver(field, line, packet_id)
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.scope, outcome.after_s) == (code, scope, after_s)
    assert outcome.reason.endswith(".")
    # Whatever it was, the next attempt finds a server that has the packet at most once.
    assert isinstance(deliver(field, line, packet_id), Delivered)
    assert len(field.server.packets) == 1


def test_the_receipt_of_another_packet_confirms_nothing(field, line):
    first, second = field.capture(2)
    other = deliver(field, line, first).receipt.raw
    field.server.script("packets", gives(lambda r: other))
    outcome = deliver(field, line, second)
    assert (outcome.code, outcome.scope) == ("receipt-of-other", "packet")


@pytest.mark.parametrize(
    ("reply", "code", "scope"),
    [
        (problem(413, "8 MiB at most"), "too-large", "packet"),
        (problem(415, "packet/9"), "unknown-schema", "packet"),
        (problem(422, "signature does not hold"), "refused", "packet"),
        (problem(401, "who?"), "re-enrol", "device"),
        (problem(403, "revoked"), "re-enrol", "device"),
    ],
)
def test_what_will_never_work_needs_a_person(field, line, reply, code, scope):
    (packet_id,) = field.capture()
    field.server.script("packets", answers_with(reply))
    outcome = deliver(field, line, packet_id)
    assert isinstance(outcome, Attention)
    assert (outcome.code, outcome.scope) == (code, scope)


def test_the_servers_words_reach_the_screen_without_control_characters(field, line):
    (packet_id,) = field.capture()
    field.server.script("packets", answers_with(problem(422, "number\x1b[2J 7 \u2028taken" + "!" * 500)))
    outcome = deliver(field, line, packet_id)
    assert "number [2J 7  taken" in outcome.reason
    assert len(outcome.reason) < 500


def test_a_server_that_falls_silent_is_given_up_on(field):
    (packet_id,) = field.capture()
    release = threading.Event()
    endpoint = field.endpoint(IMPATIENT)
    try:
        field.server.script("packets", never_replies(release), drips(release, 0.05))
        assert deliver(field, endpoint, packet_id).code == "timeout"
        assert deliver(field, endpoint, packet_id).code == "too-slow"
    finally:
        release.set()
        endpoint.close()
    assert len(field.server.packets) == 1


def test_nobody_there(field, line):
    (packet_id,) = field.capture()
    field.server.stop()
    outcome = deliver(field, line, packet_id)
    assert (outcome.code, outcome.scope) == ("offline", "link")
    field.server.start()
    assert isinstance(deliver(field, line, packet_id), Delivered)


def test_a_server_of_another_authority_gets_nothing(field, line):
    """TLS interception: the certificate is sound, and not of the agency's authority."""
    (packet_id,) = field.capture()
    field.server.stop()
    field.server.use_certificate(Authority("Interceptor"))
    field.server.start()
    outcome = deliver(field, line, packet_id)
    assert (outcome.code, outcome.scope) == ("not-the-server", "link")
    assert field.server.log == []


@pytest.mark.parametrize(
    ("validity", "code"), [({"expires_days": -1}, "server-certificate"), ({"begins_days": 1}, "clock")]
)
def test_a_certificate_out_of_date_is_said_to_be_that_or_the_clock(field, line, validity, code):
    """Expired; or not yet valid, as all are to a tablet that came up in 1970."""
    (packet_id,) = field.capture()
    field.server.stop()
    field.server.use_certificate(field.authority, **validity)
    field.server.start()
    outcome = deliver(field, line, packet_id)
    assert (outcome.code, outcome.scope) == (code, "link")
    assert "clock" in outcome.reason


@pytest.mark.parametrize("expires_days", [-1, 30])
def test_a_certificate_the_server_does_not_accept_means_enrol_again(field, expires_days):
    """Expired, or of an authority the server does not know."""
    (packet_id,) = field.capture()
    authority = field.authority if expires_days < 0 else Authority("Former authority")
    pem = field.certificate(authority, expires_days=expires_days)
    (field.store.folder / "tls.pem").write_bytes(pem)
    endpoint = field.endpoint()
    try:
        assert endpoint.time().code == "re-enrol"
        assert deliver(field, endpoint, packet_id).scope == "device"
    finally:
        endpoint.close()
    assert field.server.packets == {}


@pytest.mark.parametrize("name", ["tls.key", "tls.pem"])
def test_a_lost_or_damaged_certificate_means_enrol_again(field, name):
    (packet_id,) = field.capture()
    for damage in ("write", "remove"):
        file = field.store.folder / name
        file.write_text("-----BEGIN NOTHING-----") if damage == "write" else file.unlink()
        endpoint = field.endpoint()
        outcome = deliver(field, endpoint, packet_id)
        endpoint.close()
        assert (outcome.code, outcome.scope) == ("re-enrol", "device")


def test_the_time_is_signed_and_fresh(field, line):
    outcome = line.time()
    assert isinstance(outcome, ServerTime)
    assert outcome.message.server_utc == field.server.utc


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (lambda reply: b'{"server_utc": "2036-01-01T00:00:00Z"}', "time-not-signed"),
        (
            lambda reply: ServerKey().envelope(
                TIME, {"schema": "spectralid.time/1", "server_utc": "2036-01-01T00:00:00Z", "nonce": ""}
            ),
            "time-not-signed",
        ),
    ],
)
def test_a_time_that_nobody_trusted_signed_is_not_taken(field, line, body, code):
    field.server.script("time", gives(body, status=200))
    assert line.time().code == code


def test_a_recorded_time_is_not_taken_for_the_present(field, line):
    recorded = line.time().message.raw
    field.server.script("time", gives(lambda reply: recorded, status=200))
    assert line.time().code == "time-replayed"


def test_the_inbox_brings_what_is_new(field, line):
    raw = [field.server.answer("tablet-7") for _ in range(3)]
    outcome = line.inbox(1, wait_s=0, interrupted=lambda: False)
    assert isinstance(outcome, Inbox)
    assert len(outcome.envelopes) == len(raw) - 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (captive_portal, "not-the-server"),
        (gives(lambda r: b"[]", status=200), "bad-inbox"),
        (gives(lambda r: b'{"messages": {}}', status=200), "bad-inbox"),
        (gives(lambda r: b'{"messages": ["x"]}', status=200), "bad-inbox"),
        (gives(lambda r: b'{"messages": [' + b"[" * 9999, status=200), "bad-inbox"),
        (cuts_reply_at(64 * 1024, 1 << 20), "cut"),
        (answers_with(problem(503, "restarting")), "busy"),
    ],
)
def test_an_inbox_that_makes_no_sense_is_asked_again(field, line, fault, code):
    field.server.script("inbox", fault)
    outcome = line.inbox(0, wait_s=0, interrupted=lambda: False)
    assert isinstance(outcome, Retry)
    assert outcome.code == code


def test_waiting_for_an_answer_ends_when_one_comes(field, line):
    def write() -> None:
        assert field.server.polling.wait(10)
        field.server.answer("tablet-7")

    writer = threading.Thread(target=write)
    writer.start()
    outcome = line.inbox(0, wait_s=30, interrupted=lambda: False)
    writer.join()
    assert len(outcome.envelopes) == 1


def test_waiting_for_an_answer_can_be_cut_short(field, line):
    def interrupt() -> None:
        assert field.server.polling.wait(10)
        line.interrupt()

    other = threading.Thread(target=interrupt)
    other.start()
    outcome = line.inbox(0, wait_s=30, interrupted=lambda: False)
    other.join()
    assert outcome.code == "interrupted"
    assert isinstance(line.time(), ServerTime), "the next request dials again"


def test_an_interruption_before_the_wait_is_not_lost(field, line):
    outcome = line.inbox(0, wait_s=30, interrupted=lambda: True)
    assert outcome.code == "interrupted"
    assert field.server.log == []


@pytest.mark.parametrize("stage", ["connect_tcp", "start_tls"])
def test_an_end_while_the_line_is_dialled_leaves_no_socket_behind(field, line, monkeypatch, stage):
    trace, dialled = line._line.trace, []

    def ending(event, info):
        if event == f"connection.{stage}.complete":
            dialled.append(info["return_value"])
            line.interrupt(everything=True)
        trace(event, info)

    monkeypatch.setattr(line._line, "trace", ending)
    assert line.time().code == "interrupted"
    (stream,) = dialled
    assert stream.get_extra_info("socket").fileno() == -1


def test_an_interruption_leaves_a_delivery_alone(field, line):
    (packet_id,) = field.capture()

    def reply_late(handler, commit) -> None:
        reply = commit()
        line.interrupt()
        handler.reply(reply)

    field.server.script("packets", reply_late)
    assert isinstance(deliver(field, line, packet_id), Delivered)


def test_ending_cuts_a_delivery_too(field):
    (packet_id,) = field.capture()
    endpoint = field.endpoint(QUICK)
    release = threading.Event()

    def silent(handler, commit) -> None:
        commit()
        endpoint.interrupt(everything=True)
        release.wait(20)
        handler.cut()

    field.server.script("packets", silent)
    try:
        assert deliver(field, endpoint, packet_id).code == "interrupted"
    finally:
        release.set()
        endpoint.close()


def test_an_acknowledgement_reaches_the_server(field, line):
    assert line.acknowledge("answer-1", b"{}") == Done()
    assert field.server.acknowledged == {"answer-1": [b"{}"]}


def test_a_sign_in_page_is_no_confirmation_of_an_acknowledgement(field, line):
    field.server.script("answers", captive_portal)
    assert line.acknowledge("answer-1", b"{}").code == "not-the-server"


def test_no_proxy_of_the_environment_is_used(field, line, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    (packet_id,) = field.capture()
    assert isinstance(deliver(field, line, packet_id), Delivered)
