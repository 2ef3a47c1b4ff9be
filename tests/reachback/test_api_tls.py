"""Real lines: who comes through the handshake, and a tablet's own program against the real server."""

from __future__ import annotations

import datetime as dt
import ssl
import threading

import httpx
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from spectralid.casework import dsse, inbox, outbox
from spectralid.casework import enrolment as on_the_tablet
from spectralid.casework.endpoint import Attention, Delivered, Done, Inbox, ServerTime
from spectralid.casework.enrolment import REQUEST_TYPE, enrolled_endpoint
from spectralid.casework.keys import SigningKey
from spectralid.casework.store import CaseStore
from spectralid.casework.sync import Sync
from spectralid.errors import ParameterError
from spectralid.reachback.bench import decisions
from spectralid.reachback.bench.decisions import Decision
from spectralid.reachback.caseload import cases, leases
from spectralid.reachback.errors import BadPacketError, ReachbackError
from spectralid.reachback.settings import Desk, Settings
from spectralid.reachback.store.tables import packets
from spectralid.reachback.tablets import enrolled, enrolment
from spectralid.reachback.tablets.tls import Authority
from tests.casework.record import scan, with_item
from tests.casework.server_double import Authority as OtherAuthority
from tests.reachback.running import running

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with running(tmp_path_factory.mktemp("live")) as (desk, addresses):
        yield desk, addresses


def new_tablet(folder, name):
    return CaseStore.open(folder, device_id=name, ballast_bytes=4096)


def enrol(desk, addresses, store, *, days=365, now=None):
    """The whole way: request, its fingerprint, the answer, its fingerprint."""
    request = on_the_tablet.request(store)
    moment = now or desk.now()
    issued = enrolment.issue(
        desk.db, desk.keys, Authority.open(desk.folder, now=moment), request,
        confirmed=on_the_tablet.fingerprint(request), site_ref="north", url=addresses.devices, by="admin",
        now=moment, days=days,
    )  # fmt: skip
    on_the_tablet.enrol(store, issued.envelope, confirmed=issued.fingerprint)
    return issued


@pytest.fixture
def tablet(live, tmp_path, request):
    with new_tablet(tmp_path / "tablet", f"tablet-{request.node.name}") as store:
        enrol(*live, store)
        yield with_item(store)


def test_a_tablet_and_the_server_from_scan_to_answer(live, tablet):
    desk, _ = live
    tablet.capture(scan())
    endpoint = enrolled_endpoint(tablet)
    try:
        report = Sync(tablet, endpoint).once()
        assert len(report.delivered) == 3
        assert not report.refused
        case_id = case_of(desk, tablet)
        lease = leases.take(desk.db, case_id, "ada", now=desk.now())
        decision = Decision("no_match", "Nothing found", "Presumptive.", "Bands.")
        decisions.adjudicate(desk.db, desk.keys, case_id, lease.token, "ada", decision, now=desk.now())
        report = Sync(tablet, endpoint).once()
        (answer,) = inbox.unread(tablet)
        assert answer.headline == "Nothing found"
        inbox.shown(tablet, answer.answer_id)
        Sync(tablet, endpoint).once()
        assert not inbox.to_acknowledge(tablet)
        with desk.db.read() as tx:
            assert cases.get(tx, case_id)["state"] == "DELIVERED"
        assert [row.state for row in outbox.states(tablet)] == ["received", "received", "answered"]
        time = endpoint.time()
        assert isinstance(time, ServerTime)
    finally:
        endpoint.close()


def case_of(desk, store):
    with desk.db.read() as tx:
        chosen = sa.select(packets.c.case_id).where(packets.c.device_id == store.device_id).distinct()
        return tx.execute(chosen).scalar_one()


def test_a_tablet_that_waits_is_told_when_the_answer_is_there(live, tablet):
    desk, _ = live
    tablet.capture(scan())
    endpoint = enrolled_endpoint(tablet)
    try:
        Sync(tablet, endpoint).once()
        case_id = case_of(desk, tablet)
        lease = leases.take(desk.db, case_id, "ada", now=desk.now())
        decision = Decision("no_match", "Nothing found", "Presumptive.", "Bands.")
        later = threading.Timer(
            0.2, lambda: decisions.adjudicate(
                desk.db, desk.keys, case_id, lease.token, "ada", decision, now=desk.now()
            ),
        )  # fmt: skip
        later.start()
        reply = endpoint.inbox(0, wait_s=30, interrupted=lambda: False)
        later.join()
        assert isinstance(reply, Inbox)
        assert len(reply.envelopes) == 1
    finally:
        endpoint.close()


def test_a_revoked_tablet_is_told_to_enrol_again_and_keeps_its_packets(live, tablet):
    desk, _ = live
    tablet.capture(scan())
    endpoint = enrolled_endpoint(tablet)
    try:
        enrolled.revoke(desk.db, tablet.device_id, why="lost", by="admin", now=desk.now())
        reply = endpoint.inbox(0, wait_s=0, interrupted=lambda: False)
        assert isinstance(reply, Attention)
        assert reply.code == "re-enrol"
        Sync(tablet, endpoint).once()
        assert {row.state for row in outbox.states(tablet)} == {"queued"}
    finally:
        endpoint.close()
    enrol(*live, tablet)
    before, after = enrolment.certificates_of(desk.db, tablet.device_id)
    assert before.revoked_utc is not None
    assert after.revoked_utc is None
    endpoint = enrolled_endpoint(tablet)
    try:
        assert len(Sync(tablet, endpoint).once().delivered) == 3
    finally:
        endpoint.close()


def test_a_tablet_whose_certificate_has_ended_is_told_so(live, tmp_path):
    with new_tablet(tmp_path / "old", "tablet-old") as store:
        enrol(*live, store, days=10, now=NOW - dt.timedelta(days=30))
        endpoint = enrolled_endpoint(store)
        try:
            reply = endpoint.inbox(0, wait_s=0, interrupted=lambda: False)
        finally:
            endpoint.close()
        assert isinstance(reply, Attention)
        assert (reply.code, reply.scope) == ("re-enrol", "device")
        assert "has ended" in reply.reason


def context_of(desk, certificate=None, key=None):
    context = ssl.create_default_context(cadata=(desk.folder / "tls" / "ca.pem").read_text())
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def test_no_certificate_or_another_authoritys_does_not_get_through(live, tmp_path):
    desk, addresses = live
    with httpx.Client(verify=context_of(desk)) as nobody, pytest.raises(httpx.TransportError):
        nobody.get(addresses.devices + "/healthz")
    pem, key = OtherAuthority().issue("tablet-1")
    (tmp_path / "c.pem").write_bytes(pem)
    (tmp_path / "c.key").write_bytes(key)
    with (
        httpx.Client(verify=context_of(desk, tmp_path / "c.pem", tmp_path / "c.key")) as rogue,
        pytest.raises(httpx.TransportError),
    ):
        rogue.get(addresses.devices + "/healthz")


def test_a_certificate_of_the_authority_that_is_not_on_record_opens_nothing(live, tmp_path):
    desk, addresses = live
    key = ec.generate_private_key(ec.SECP256R1())
    _, pem, _ = Authority.open(desk.folder, now=NOW).issue_device(csr(key), "tablet-x", now=NOW, days=9)
    (tmp_path / "c.pem").write_bytes(pem)
    (tmp_path / "c.key").write_bytes(pem_of(key))
    with httpx.Client(verify=context_of(desk, tmp_path / "c.pem", tmp_path / "c.key")) as line:
        reply = line.get(addresses.devices + "/v1/inbox")
        assert reply.status_code == 401
        assert "enrol it again" in reply.json()["detail"]
        # Somebody with a certificate is that tablet or nobody, whatever else they bring.
        assert (
            line.get(addresses.devices + "/v1/queue", headers={"Authorization": "Bearer x"}).status_code
            == 401
        )


def test_persons_are_asked_for_no_certificate_and_can_be_no_tablet(live):
    desk, addresses = live
    with httpx.Client(verify=context_of(desk)) as person:
        assert person.get(addresses.desk + "/healthz").status_code == 200
        for name in ("X-Client-Cert", "X-Forwarded-Client-Cert", "peer_certificate"):
            reply = person.get(addresses.desk + "/v1/inbox", headers={name: "tablet-1"})
            assert reply.status_code == 401
        assert "content-security-policy" in reply.headers
        assert "server" not in reply.headers


def test_the_signature_is_of_the_tablet_whose_line_it_is(live, tablet, tmp_path):
    """A stolen packet is not taken in from another tablet's line."""
    tablet.capture(scan())
    (packet_id,) = [row.packet_id for row in outbox.states(tablet)][-1:]
    packet = tablet.packet(packet_id)
    with new_tablet(tmp_path / "other", "tablet-other") as other:
        enrol(*live, other)
        endpoint = enrolled_endpoint(other)
        try:
            reply = endpoint.deliver(packet.raw, sha256=packet.sha256, seq=packet.seq)
            assert isinstance(reply, Attention)
            assert reply.code == "refused"
        finally:
            endpoint.close()
    endpoint = enrolled_endpoint(tablet)
    try:
        assert isinstance(endpoint.deliver(packet.raw, sha256=packet.sha256, seq=packet.seq), Delivered)
        assert isinstance(endpoint.acknowledge("A-unknown", b"{}"), Done | Attention)
    finally:
        endpoint.close()


# --- the agency's side of an enrolment ---------------------------------------------------------------------


def csr(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def issue(desk, request, told):
    return enrolment.issue(
        desk.db, desk.keys, Authority.open(desk.folder, now=NOW), request, confirmed=told, site_ref="north",
        url="https://localhost:1", by="admin", now=NOW, days=9,
    )  # fmt: skip


def test_a_request_is_taken_by_its_fingerprint_only(live, tmp_path):
    desk, _ = live
    with new_tablet(tmp_path / "t", "tablet-f") as store:
        request = on_the_tablet.request(store)
    told = on_the_tablet.fingerprint(request)
    for wrong in ("", told[:20], "00" * 32):
        with pytest.raises(BadPacketError, match="fingerprint"):
            issue(desk, request, wrong)
    assert "tablet-f" not in {one.device_id for one in enrolled.listed(desk.db)}
    # Whoever signs it has to have the key that it brings.
    said = dsse.verify(request, None, payload_types={REQUEST_TYPE}).payload
    forged = dsse.sign(said, REQUEST_TYPE, SigningKey.generate())
    with pytest.raises(BadPacketError, match="not trusted"):
        issue(desk, forged, on_the_tablet.fingerprint(forged))
    assert issue(desk, request, told[:39]).device_id == "tablet-f"


@pytest.mark.parametrize("curve", [ec.SECP384R1(), None])
def test_only_p256_gets_a_certificate(live, curve):
    desk, _ = live
    key = ec.generate_private_key(curve) if curve else rsa.generate_private_key(65537, 2048)
    with pytest.raises(BadPacketError, match="P-256"):
        Authority.open(desk.folder, now=NOW).issue_device(csr(key), "x", now=NOW, days=1)


# --- the server's own files --------------------------------------------------------------------------------


def test_the_servers_certificate_is_made_anew_when_it_has_to_be(tmp_path):
    authority = Authority.open(tmp_path, now=NOW)
    pem, key = authority.server_files(tmp_path, ("localhost",), now=NOW)
    first = pem.read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    assert authority.server_files(tmp_path, ("localhost",), now=NOW)[0].read_bytes() == first
    assert authority.server_files(tmp_path, ("localhost", "10.0.0.1"), now=NOW)[0].read_bytes() != first
    second = pem.read_bytes()
    later = NOW + dt.timedelta(days=320)
    assert authority.server_files(tmp_path, ("localhost", "10.0.0.1"), now=later)[0].read_bytes() != second
    (tmp_path / "tls" / "ca.key").write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ReachbackError, match=r"ca\.key"):
        Authority.open(tmp_path, now=NOW)


def test_without_tls_only_this_machine_is_served(tmp_path):
    with (
        pytest.raises(ParameterError, match="this machine"),
        running(tmp_path, Settings(), desk=Desk(host="0.0.0.0", port=0, plain=True)),
    ):
        pass
