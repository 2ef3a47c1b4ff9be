"""Whom a tablet trusts: the first time a person confirms it, later the keys it knows do."""

import base64
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from spectralid.casework import enrolment
from spectralid.casework.enrolment import EnrolmentError, enrol, enrolled, enrolled_endpoint, fingerprint
from spectralid.casework.errors import PacketError, SignatureError
from spectralid.casework.store import CaseStore
from tests.casework.field import ENROLMENT, Field
from tests.casework.server_double import Authority, ServerKey, open_envelope


@pytest.fixture
def field(tmp_path):
    made = Field(tmp_path)
    made.server.port = 8443
    yield made
    made.store.close()


def keys(*several: ServerKey) -> list[str]:
    return [base64.b64encode(one.public).decode() for one in several]


def test_an_enrolment_that_nobody_confirmed_is_not_taken(field):
    raw = field.enrolment()
    with pytest.raises(EnrolmentError, match="fingerprint") as caught:
        enrol(field.store, raw)
    assert fingerprint(raw) in str(caught.value)
    assert enrolled(field.store) is None
    assert enrolled_endpoint(field.store) is None


@pytest.mark.parametrize("part", [None, 32, 40])
def test_a_confirmed_fingerprint_enrols(field, part):
    raw = field.enrolment()
    told = fingerprint(raw) if part is None else fingerprint(raw).replace(" ", "").upper()[:part]
    found = enrol(field.store, raw, confirmed=told)
    assert found == enrolled(field.store)
    assert (found.url, found.device_id) == ("https://localhost:8443", "tablet-7")
    assert [one.raw for one in found.server_keys] == [field.server.key.public]
    assert enrolled_endpoint(field.store).url == "https://localhost:8443"
    entry = field.store.custody.entries()[-1]
    assert (entry.kind, entry.facts["by"]) == ("enrolled", "fingerprint")


@pytest.mark.parametrize("told", ["00" * 32, "ab", "x"])
def test_a_wrong_or_too_short_fingerprint_does_not(field, told):
    raw = field.enrolment()
    if told == "ab":
        told = fingerprint(raw).replace(" ", "")[:8]
    with pytest.raises(EnrolmentError, match="not that of this file"):
        enrol(field.store, raw, confirmed=told)
    assert enrolled(field.store) is None


def test_a_key_that_is_trusted_already_may_bring_new_ones(field):
    field.enrol()
    new = ServerKey()
    both = field.enrolment(issued_utc="2027-01-01T00:00:00Z", server_keys=keys(field.server.key, new))
    assert len(enrol(field.store, both).server_keys) == 2
    field.server.key, old = new, field.server.key
    without = field.enrolment(issued_utc="2027-02-01T00:00:00Z", server_keys=keys(new))
    assert len(enrol(field.store, without).server_keys) == 1
    assert set(enrolment.trust_ever(field.store).keys) == {old.keyid, new.keyid}
    assert set(enrolment.trust_of(field.store).keys) == {new.keyid}


def test_a_stranger_does_not_take_a_tablet_over(field):
    field.enrol()
    before = enrolled(field.store)
    field.server.key = ServerKey()
    with pytest.raises(EnrolmentError, match="not trusted yet"):
        enrol(field.store, field.enrolment(issued_utc="2028-01-01T00:00:00Z"))
    assert enrolled(field.store) == before


def test_an_older_enrolment_does_not_come_back_by_itself(field):
    field.enrol(issued_utc="2027-01-01T00:00:00Z")
    older = field.enrolment(issued_utc="2026-01-01T00:00:00Z")
    with pytest.raises(EnrolmentError, match="not taken back"):
        enrol(field.store, older)
    assert enrol(field.store, older, confirmed=fingerprint(older)).issued_utc.startswith("2026-01")


def test_the_enrolment_of_another_tablet_is_refused(field):
    raw = field.enrolment(device_id="tablet-8")
    with pytest.raises(EnrolmentError, match="tablet-8"):
        enrol(field.store, raw, confirmed=fingerprint(raw))


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://server.example"},
        {"url": "https://user:word@server.example"},
        {"url": "ftp://x"},
        {"server_keys": []},
        {"server_keys": ["AAAA!"]},
        {"ca_pem": "not a certificate"},
        {"schema": "spectralid.enrolment/2"},
        {"issued_utc": "soon"},
    ],
)
def test_an_enrolment_that_could_not_work_is_refused_at_once(field, changes):
    raw = field.enrolment(**changes)
    with pytest.raises(PacketError):
        enrol(field.store, raw, confirmed=fingerprint(raw))
    assert enrolled(field.store) is None


def test_an_enrolment_not_signed_with_the_key_it_brings_is_refused(field):
    raw = field.enrolment(server_keys=keys(ServerKey()))
    with pytest.raises(SignatureError):
        enrol(field.store, raw, confirmed=fingerprint(raw))


def test_a_changed_enrolment_is_refused(field):
    envelope = json.loads(field.enrolment())
    payload = base64.b64decode(envelope["payload"]).replace(b"localhost", b"evilhost1")
    raw = json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}).encode()
    with pytest.raises(SignatureError):
        enrol(field.store, raw, confirmed=fingerprint(raw))


def test_a_certificate_for_another_key_is_refused(field):
    pem, _ = Authority().issue("tablet-7")
    raw = field.enrolment(certificate_pem=pem.decode())
    with pytest.raises(EnrolmentError, match="not made for the key"):
        enrol(field.store, raw, confirmed=fingerprint(raw))
    assert enrolled(field.store) is None


def test_certificate_and_key_may_be_files_of_the_agency(field, tmp_path):
    pem, key = field.authority.issue("tablet-7")
    (tmp_path / "c.pem").write_bytes(pem)
    (tmp_path / "k.pem").write_bytes(key)
    raw = field.enrolment(certificate_pem=None)
    with pytest.raises(EnrolmentError, match="no certificate"):
        enrol(field.store, raw, confirmed=fingerprint(raw))
    found = enrol(
        field.store,
        raw,
        confirmed=fingerprint(raw),
        certificate=tmp_path / "c.pem",
        key=tmp_path / "k.pem",
    )
    assert found.certificate == str(tmp_path / "c.pem")


def test_a_moved_folder_is_still_enrolled(field, tmp_path):
    field.enrol()
    field.store.close()
    (field.folder / "tablet").rename(tmp_path / "moved")
    with CaseStore.open(tmp_path / "moved", clock=field.clock) as store:
        found = enrolled(store)
        assert found.key == str(tmp_path / "moved" / "tls.key")


def test_a_request_says_who_asks_and_proves_it(field):
    raw = enrolment.request(field.store)
    said = open_envelope(raw, field.store.key.public.raw, enrolment.REQUEST_TYPE)
    assert said["device_id"] == "tablet-7"
    assert base64.b64decode(said["public_key"]) == field.store.key.public.raw
    wanted = x509.load_pem_x509_csr(said["csr_pem"].encode())
    assert wanted.is_signature_valid
    path = field.store.folder / "tls.key"
    private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert private.public_key() == wanted.public_key()
    assert path.stat().st_mode & 0o077 == 0
    again = open_envelope(enrolment.request(field.store), field.store.key.public.raw, enrolment.REQUEST_TYPE)
    assert x509.load_pem_x509_csr(again["csr_pem"].encode()).public_key() == wanted.public_key()


def test_enrolling_before_a_request_says_what_is_missing(field):
    raw = field.enrolment()
    (field.store.folder / "tls.key").unlink()
    with pytest.raises(EnrolmentError, match="request"):
        enrol(field.store, raw, confirmed=fingerprint(raw))


def test_what_is_no_enrolment_at_all(field):
    for raw in (b"", b"{}", b"x" * 1_000_000, field.server.key.envelope(ENROLMENT, b"[]")):
        with pytest.raises(PacketError):
            enrol(field.store, raw, confirmed="00" * 32)
