"""A packet is one byte string; whatever is changed in it, it is refused."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cryptography")

from spectralid.casework import dsse
from spectralid.casework.errors import PacketError, SignatureError, UnknownSchemaError
from spectralid.casework.keys import PublicKey, SigningKey
from spectralid.casework.manifest import dumps
from spectralid.casework.packet import MAGIC, MAX_PACKET, PAYLOAD_TYPE, Blob, open_packet, seal
from tests.casework.record import numbers, scan_body, spectrum
from tests.casework.test_manifest import BODIES, COMMON

KEY = SigningKey.generate()
KEYS = {KEY.keyid: KEY.public}
Y, X = numbers(1.0, 2.0, 3.0), numbers(7.0, 8.0, 9.0)
PHOTO = Blob(b"\xff\xd8\xff photo", "image/jpeg", "bag.jpg")


def manifest(**more):
    return {**COMMON, "kind": "scan", "item_ref": "I-1", **scan_body(Y), **more}


RAW = seal(manifest(), (Y, PHOTO), KEY)


def signed(payload, body=b"", kind=PAYLOAD_TYPE):
    """A packet as anybody could write it who has the key, whatever it holds."""
    return MAGIC + dsse.sign(payload, kind, KEY) + b"\n" + body


def test_a_packet_comes_back_as_it_was_sealed():
    packet = open_packet(RAW, KEYS)
    assert packet.raw == RAW
    assert packet.sha256 == hashlib.sha256(RAW).hexdigest()
    assert [blob.data for blob in packet.blobs] == [Y.data, PHOTO.data]
    assert packet.blob(PHOTO.sha256) == PHOTO.data
    assert (packet.keyid, packet.seq, packet.kind) == (KEY.keyid, 1, "scan")
    assert json.loads(packet.payload) == packet.manifest
    assert {**packet.manifest, "blobs": []} == manifest()
    with pytest.raises(PacketError, match="no blob"):
        packet.blob("0" * 64)
    with pytest.raises(dataclasses.FrozenInstanceError):
        packet.seq = 2


def test_the_layout_is_the_documented_one():
    """Read by hand, from docs/packet-format.md alone."""
    magic, envelope, body = RAW.split(b"\n", 2)
    assert magic == b"SIDPKT/1"
    envelope = json.loads(envelope)
    payload = base64.b64decode(envelope["payload"])
    listed = json.loads(payload)["blobs"]
    assert body == Y.data + PHOTO.data
    assert [(b["sha256"], b["size"]) for b in listed] == [(b.sha256, len(b.data)) for b in (Y, PHOTO)]
    (signature,) = envelope["signatures"]
    assert signature["alg"] == "ed25519"
    kind = envelope["payloadType"].encode()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    Ed25519PublicKey.from_public_bytes(KEY.public.raw).verify(base64.b64decode(signature["sig"]), message)


def test_a_packet_of_the_first_version_opens_for_ever():
    """Kept as it was written; the key was made for it."""
    raw = (Path(__file__).parent / "data" / "packet-1.sidpkt").read_bytes()
    key = PublicKey(bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"))
    packet = open_packet(raw, {key.keyid: key})
    assert packet.sha256 == "5e52c30df20650e85028df5df46e18d4ed2423c6a9fe35c577c0bb265faf2cee"
    assert (packet.device_id, packet.seq, packet.prev) == ("sid-golden", 7, "ab" * 32)
    assert packet.manifest["escalation"]["officer_note"] == "señal débil"
    (entry,) = packet.manifest["spectra"]
    assert struct.unpack("<32d", packet.blob(entry["x_blob"])) == tuple(200.0 + 3 * n for n in range(32))
    assert struct.unpack("<32d", packet.blob(entry["blob"])) == tuple(float(n * n % 97) for n in range(32))


def test_no_byte_can_be_changed():
    """Every byte of head and tail, and a sample between, each changed in three ways."""
    rng = random.Random(1)
    places = {*range(60), *range(len(RAW) - 80, len(RAW)), *rng.sample(range(len(RAW)), 700)}
    for place in places:
        for change in (1, 0x20, rng.randrange(1, 256)):
            data = bytearray(RAW)
            data[place] ^= change
            with pytest.raises(PacketError):
                open_packet(bytes(data), KEYS)


def test_nothing_can_be_cut_off_added_or_taken_out():
    rng = random.Random(2)
    for place in {0, 1, len(MAGIC), len(RAW) - 1, *rng.sample(range(len(RAW)), 300)}:
        for data in (
            RAW[:place],
            RAW[:place] + b"\n" + RAW[place:],
            RAW[:place] + b" " + RAW[place:],
            RAW[:place] + RAW[place + 1 :],
        ):
            with pytest.raises(PacketError):
                open_packet(data, KEYS)


def test_the_envelope_has_one_form_only():
    """What means the same but is written otherwise would give one packet two hashes."""
    envelope = RAW.split(b"\n")[1]
    content = json.loads(envelope)
    others = [
        json.dumps(content).encode(),
        dumps({**content, "extra": 1}),
        dumps({**content, "signatures": content["signatures"] * 2}),
        envelope.replace(b'"ed25519"', b"null"),
        envelope.replace(b"ed25519", b"Ed25519"),
        envelope.replace(b"ed25519", b"\\u0065d25519"),
    ]
    # The last character of a base64 text has bits that belong to no byte.
    for field, text in (("payload", content["payload"]), ("sig", content["signatures"][0]["sig"])):
        stem = text.rstrip("=")
        if stem != text:
            alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            loose = stem[:-1] + alphabet[alphabet.index(stem[-1]) + 1] + "=" * (len(text) - len(stem))
            assert base64.b64decode(loose) == base64.b64decode(text), field
            others.append(envelope.replace(text.encode(), loose.encode()))
    assert len(others) >= 7
    for other in others:
        assert other != envelope
        with pytest.raises(PacketError):
            open_packet(RAW.replace(envelope, other), KEYS)


def test_only_a_trusted_key_counts():
    other = SigningKey.generate()
    forged = seal(manifest(), (Y, PHOTO), other)
    with pytest.raises(SignatureError, match="not trusted"):
        open_packet(forged, KEYS)
    # A forger who names the key of the device cannot sign for it.
    renamed = forged.replace(other.keyid.encode(), KEY.keyid.encode())
    with pytest.raises(SignatureError, match="does not hold"):
        open_packet(renamed, KEYS)
    with pytest.raises(SignatureError):
        open_packet(RAW, {})
    assert open_packet(forged, None).keyid == other.keyid


def test_what_was_signed_as_something_else_is_no_packet():
    """A receipt signed with the same key must not pass for a packet."""
    payload = open_packet(RAW, KEYS).payload
    body = Y.data + PHOTO.data
    assert open_packet(signed(payload, body), KEYS).seq == 1
    with pytest.raises(PacketError, match="expected"):
        open_packet(signed(payload, body, "application/vnd.spectralid.receipt+json"), KEYS)
    other = RAW.replace(b"packet+json", b"secret+json")
    with pytest.raises(PacketError):
        open_packet(other, KEYS)


def test_a_newer_format_is_told_from_damage():
    newer = dumps({**manifest(), "schema": "spectralid.packet/2", "blobs": 5})
    with pytest.raises(UnknownSchemaError):
        open_packet(signed(newer), KEYS)
    with pytest.raises(UnknownSchemaError):
        open_packet(b"SIDPKT/2\nwhatever", KEYS)
    # Only from somebody who may send packets at all: else anybody could fill the quarantine.
    with pytest.raises(SignatureError):
        open_packet(signed(newer), {})


@pytest.mark.parametrize(
    ("more", "blobs", "why"),
    [
        ({"spectra": [spectrum(Y, n=2)]}, (Y,), "another length"),
        ({"spectra": [spectrum(Y, dtype="<f4")]}, (Y,), "another length"),
        ({"spectra": [spectrum(Y, x_blob=X.sha256)]}, (Y, X), "axis"),
        ({"spectra": [spectrum(Y, dx=0.0)]}, (Y,), "axis"),
        ({"spectra": [spectrum(Y, x0=None)]}, (Y,), "axis"),
        ({"spectra": [spectrum(Y, x0=None, dx=None, x_blob=X.sha256)]}, (Y,), "does not hold"),
        ({}, (X,), "does not hold"),
        ({"original": {"blob": X.sha256, "media_type": "a/b", "name_sanitised": "x"}}, (Y,), "does not hold"),
        ({"photos": [{"blob": X.sha256}]}, (Y,), "does not hold"),
        ({"spectra": [spectrum(Y, header_blob=X.sha256)]}, (Y,), "does not hold"),
        ({}, (Y, Blob(b"", "text plain")), "media_type"),
        ({}, (Y, Blob(bytes(MAX_PACKET), "a/b")), "at most"),
        ({}, (Y, *(Blob(bytes([n]), "a/b") for n in range(16))), "blobs"),
        ({"result": {"decision": "no_match", "engine": {"x": float("nan")}, "library": {}}}, (Y,), "JSON"),
        ({"note": "x" * 300_000}, (Y,), "allowed"),
    ],
)
def test_what_would_be_refused_on_opening_is_never_sealed(more, blobs, why):
    with pytest.raises(PacketError, match=why):
        seal(manifest(**more), blobs, KEY)


def test_the_number_of_floats_is_limited():
    """2,000,000 in all, however they are spread: by 16 spectra of 65,536 points that share their arrays."""
    big = Blob(bytes(65_536 * 4), "application/octet-stream")
    entry = spectrum(big, dtype="<f4", n=65_536)
    seal(manifest(spectra=[entry] * 16), (big,), KEY)
    entry = {**entry, "sd_blob": big.sha256}
    with pytest.raises(PacketError, match="2000000"):
        seal(manifest(spectra=[entry] * 16), (big,), KEY)


def test_a_blob_is_kept_once():
    raw = seal(manifest(spectra=[spectrum(Y, x0=None, dx=None, x_blob=Y.sha256)]), (Y, Y), KEY)
    assert len(open_packet(raw, KEYS).blobs) == 1
    listed = {"sha256": PHOTO.sha256, "size": len(PHOTO.data), "media_type": "a/b", "name": ""}
    twice = dumps({**COMMON, "kind": "seizure", **BODIES["seizure"], "blobs": [listed, listed]})
    with pytest.raises(PacketError, match="twice"):
        open_packet(signed(twice, PHOTO.data * 2), KEYS)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\evil\x00.spa", "C__evil_.spa"),
        (".hidden", "hidden"),
        ("<script>.spc", "_script_.spc"),
        ("Müller 3 (1).SPA", "Müller 3 (1).SPA"),
        ("x" * 400, "x" * 120),
    ],
)
def test_file_names_are_made_harmless(given_name, kept):
    raw = seal(manifest(), (Y, Blob(b"1", "a/b", given_name)), KEY)
    assert open_packet(raw, KEYS).blobs[1].name == kept


def test_a_harmful_name_is_refused_from_others():
    listed = {"sha256": PHOTO.sha256, "size": len(PHOTO.data), "media_type": "a/b", "name": "../x"}
    payload = dumps({**COMMON, "kind": "seizure", **BODIES["seizure"], "blobs": [listed]})
    with pytest.raises(PacketError, match="name"):
        open_packet(signed(payload, PHOTO.data), KEYS)


def test_sizes_cannot_be_shifted_between_blobs():
    entries = [{"sha256": b.sha256, "size": len(b.data), "media_type": "a/b", "name": ""} for b in (Y, PHOTO)]
    entries[0]["size"] += 1
    entries[1]["size"] -= 1
    payload = dumps({**manifest(), "blobs": entries})
    with pytest.raises(PacketError, match="damaged"):
        open_packet(signed(payload, Y.data + PHOTO.data), KEYS)


@given(st.binary(max_size=400), st.integers(0, len(RAW)), st.integers(0, 300))
def test_any_bytes_are_refused_as_a_packet(noise, place, length):
    for data in (noise, MAGIC + noise, RAW[:place] + noise + RAW[place + length :]):
        for keys in (KEYS, None):
            try:
                open_packet(data, keys)
            except PacketError:
                continue
            assert data == RAW or keys is None


FIELDS = [*COMMON, *BODIES["scan"], "kind", "photos", "original"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**53) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["blob", "n", "sha256", "size", "dtype"]), inner)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3), st.binary(max_size=20))
def test_a_manifest_signed_by_a_broken_device_is_refused_or_read(changes, body):
    with contextlib.suppress(PacketError):
        open_packet(signed(dumps({**manifest(), "blobs": [], **changes}), body), KEYS)


# --- against another implementation of DSSE --------------------------------------------------------------


@pytest.fixture(scope="module")
def theirs():
    """Signer and key of securesystemslib for the same private key."""
    pytest.importorskip("securesystemslib")
    from securesystemslib.signer import CryptoSigner, SSlibKey

    public = SSlibKey(KEY.keyid, "ed25519", "ed25519", {"public": KEY.public.raw.hex()})
    return CryptoSigner(KEY._private, public), public


def test_another_implementation_verifies_our_envelopes(theirs):
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError

    envelope = Envelope.from_dict(json.loads(RAW.split(b"\n")[1]))
    assert list(envelope.verify([theirs[1]], 1)) == [KEY.keyid]
    assert envelope.payload == open_packet(RAW, KEYS).payload
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([theirs[1]], 1)


def test_we_verify_the_envelopes_of_another_implementation(theirs):
    from securesystemslib.dsse import Envelope

    envelope = Envelope(b'{"n": 1}', "application/vnd.spectralid.receipt+json", {})
    envelope.sign(theirs[0])
    data = json.dumps(envelope.to_dict()).encode()
    kinds = {"application/vnd.spectralid.receipt+json"}
    read = dsse.verify(data, KEYS, payload_types=kinds)
    assert (read.payload, read.keyid, read.payload_type) == (b'{"n": 1}', KEY.keyid, *kinds)
    with pytest.raises(PacketError, match="expected"):
        dsse.verify(data, KEYS, payload_types={"application/vnd.spectralid.answer+json"})
    payload = envelope.payload
    for place in range(len(payload)):
        envelope.payload = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        with pytest.raises(SignatureError):
            dsse.verify(json.dumps(envelope.to_dict()).encode(), KEYS, payload_types=kinds)


def test_the_algorithm_is_that_of_the_key():
    envelope = json.loads(dsse.sign(b"{}", "a/b", KEY))
    envelope["signatures"][0]["alg"] = "none"
    with pytest.raises(SignatureError, match="ed25519"):
        dsse.verify(dumps(envelope), KEYS, payload_types={"a/b"})


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": 5},
        {"payload": "é"},
        {"payload": "YQ"},
        {"payloadType": None},
        {"signatures": []},
        {"signatures": "x"},
        {"signatures": [5]},
        {"signatures": [{"sig": "YQ=="}]},
        {"signatures": [{"keyid": "a", "sig": "!"}]},
        {"signatures": [{"keyid": "a", "sig": "YQ==", "alg": 3}]},
        {"signatures": [{"keyid": "a", "sig": "YQ=="}] * 9},
    ],
)
def test_what_is_no_envelope_is_refused(changes):
    envelope = {**json.loads(dsse.sign(b"{}", "a/b", KEY)), **changes}
    with pytest.raises(PacketError):
        dsse.verify(dumps(envelope), None, payload_types={"a/b"})


def test_a_public_key_has_32_bytes():
    from spectralid.casework.errors import KeyFileError

    with pytest.raises(KeyFileError):
        PublicKey(b"short")
