"""Messages of the server count only as it signed them, for this device."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.casework import messages
from spectralid.casework.errors import PacketError, RecordError, SignatureError, UnknownSchemaError
from spectralid.casework.keys import PublicKey, SigningKey
from spectralid.casework.messages import Answer, Receipt, Trust
from tests.casework.server_double import (
    ANSWER,
    MISSING,
    RECEIPT,
    SHOWN,
    TIME,
    ServerKey,
    open_envelope,
)

KEY = ServerKey()
TRUST = Trust("tablet-7", {KEY.keyid: PublicKey(KEY.public)})
RECEIPT_BODY = {
    "schema": "spectralid.receipt/1",
    "packet_sha256": "ab" * 32,
    "device_id": "tablet-7",
    "seq": 3,
    "case": "case-1",
    "server_utc": "2026-11-22T12:00:00Z",
    "audit_n": 9,
    "checkpoint": "cd" * 32,
}
ANSWER_BODY = {
    "schema": "spectralid.answer/1",
    "answer_id": "answer-1",
    "device_id": "tablet-7",
    "n": 1,
    "case": "case-1",
    "seizure_ref": "S-1",
    "item_ref": None,
    "packet_ids": ["p-1", "p-2"],
    "kind": "final",
    "utc": "2026-11-22T12:00:00Z",
    "headline": "Fentanilo – precaución",
    "words": "Treat as fentanyl.",
    "precautions": ["Gloves."],
    "basis": "Bands.",
    "by": "chemist-4",
    "supersedes": None,
    "lab": None,
}


def test_a_receipt_says_what_the_server_signed():
    receipt = messages.parse_receipt(KEY.envelope(RECEIPT, RECEIPT_BODY), TRUST)
    assert {name: getattr(receipt, name) for name in RECEIPT_BODY} == RECEIPT_BODY


def test_an_answer_says_what_the_server_signed():
    raw = KEY.envelope(ANSWER, ANSWER_BODY | {"a field of a later version": {"x": 1}})
    answer = messages.parse_answer(raw, TRUST)
    told = {name: getattr(answer, name) for name in ANSWER_BODY}
    assert told == ANSWER_BODY | {"packet_ids": ("p-1", "p-2"), "precautions": ("Gloves.",)}
    assert answer.raw == raw


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RECEIPT, RECEIPT_BODY | {"seq": 0}),
        (RECEIPT, RECEIPT_BODY | {"seq": "3"}),
        (RECEIPT, RECEIPT_BODY | {"packet_sha256": "AB" * 32}),
        (RECEIPT, RECEIPT_BODY | {"server_utc": "yesterday"}),
        (RECEIPT, RECEIPT_BODY | {"server_utc": "2026-13-22T12:00:00Z"}),
        (RECEIPT, RECEIPT_BODY | {"server_utc": "2026-11-22T12:00:00"}),
        (RECEIPT, RECEIPT_BODY | {"device_id": "tablet-8"}),
        (RECEIPT, {name: value for name, value in RECEIPT_BODY.items() if name != "audit_n"}),
        (ANSWER, ANSWER_BODY | {"n": 0}),
        (ANSWER, ANSWER_BODY | {"n": 1.5}),
        (ANSWER, ANSWER_BODY | {"kind": "rumour"}),
        (ANSWER, ANSWER_BODY | {"lab": "perhaps"}),
        (ANSWER, ANSWER_BODY | {"answer_id": "../../etc"}),
        (ANSWER, ANSWER_BODY | {"answer_id": ""}),
        (ANSWER, ANSWER_BODY | {"headline": ""}),
        (ANSWER, ANSWER_BODY | {"words": "w" * 4001}),
        (ANSWER, ANSWER_BODY | {"device_id": "tablet-8"}),
        (ANSWER, ANSWER_BODY | {"precautions": ["x"] * 31}),
        (MISSING, {"schema": "spectralid.missing/1", "device_id": "tablet-7", "packets": []}),
        (TIME, {"schema": "spectralid.time/1", "server_utc": "2026-11-22T25:00:00Z"}),
        (RECEIPT, ANSWER_BODY),
        ("application/vnd.spectralid.packet+json", RECEIPT_BODY),
    ],
)
def test_what_is_not_well_formed_or_for_another_device_is_refused(kind, body):
    with pytest.raises(PacketError) as caught:
        messages.parse(KEY.envelope(kind, body), TRUST)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[]",
        b'{"schema": NaN}',
        json.dumps(RECEIPT_BODY).encode() + b" x",
        json.dumps(RECEIPT_BODY).encode()[:-1] + b', "seq": 4}',
        b'{"schema":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"schema": "' + b"x" * 300_000 + b'"}',
    ],
)
def test_a_signature_makes_no_sense_of_nonsense(payload):
    with pytest.raises(PacketError):
        messages.parse(KEY.envelope(RECEIPT, payload), TRUST)


def test_a_newer_form_is_told_from_damage():
    with pytest.raises(UnknownSchemaError):
        messages.parse(KEY.envelope(RECEIPT, RECEIPT_BODY | {"schema": "spectralid.receipt/2"}), TRUST)


def test_the_signature_of_another_server_does_not_count():
    with pytest.raises(SignatureError):
        messages.parse(ServerKey().envelope(RECEIPT, RECEIPT_BODY), TRUST)


def test_a_signature_of_one_kind_of_message_is_none_of_another():
    """A server tricked into signing bytes as time must not have signed a receipt with them."""
    envelope = json.loads(KEY.envelope(TIME, RECEIPT_BODY))
    with pytest.raises(SignatureError):
        messages.parse(json.dumps(envelope | {"payloadType": RECEIPT}).encode(), TRUST)


def test_an_unsigned_message_does_not_count():
    envelope = json.loads(KEY.envelope(RECEIPT, RECEIPT_BODY))
    for signatures in ([], [{"keyid": KEY.keyid, "sig": ""}], [{"sig": envelope["signatures"][0]["sig"]}]):
        with pytest.raises(PacketError):
            messages.parse(json.dumps(envelope | {"signatures": signatures}).encode(), TRUST)


@given(position=st.integers(0, 10_000), change=st.integers(1, 255))
def test_no_byte_of_a_message_can_be_changed_to_another_meaning(position, change):
    raw = bytearray(KEY.envelope(ANSWER, ANSWER_BODY))
    raw[position % len(raw)] ^= change
    try:
        changed = messages.parse(bytes(raw), TRUST)
    except RecordError:
        return
    assert messages.same(changed, messages.parse(KEY.envelope(ANSWER, ANSWER_BODY), TRUST))


@given(raw=st.binary(max_size=300))
def test_bytes_from_anywhere_end_in_a_sentence(raw):
    with pytest.raises(PacketError):
        messages.parse(raw, TRUST)


def test_a_message_of_another_kind_is_not_taken_for_what_was_asked():
    with pytest.raises(PacketError):
        messages.parse_receipt(KEY.envelope(ANSWER, ANSWER_BODY), TRUST)
    with pytest.raises(PacketError):
        messages.parse_answer(KEY.envelope(RECEIPT, RECEIPT_BODY), TRUST)


def test_what_was_kept_reads_as_it_was_verified():
    raw = KEY.envelope(ANSWER, ANSWER_BODY)
    assert messages.kept(raw, Answer) == messages.parse(raw, TRUST)
    with pytest.raises(PacketError):
        messages.kept(raw, Receipt)


def test_the_server_can_check_who_says_that_an_answer_was_shown():
    key = SigningKey.generate()
    answer = messages.parse_answer(KEY.envelope(ANSWER, ANSWER_BODY), TRUST)
    envelope = messages.shown(
        answer,
        device_id="tablet-7",
        sha256="ef" * 32,
        shown_utc="2026-11-22T12:01:00Z",
        clock_state="drift",
        key=key,
    )
    assert open_envelope(envelope, key.public.raw, SHOWN) == {
        "schema": "spectralid.shown/1",
        "device_id": "tablet-7",
        "answer_id": "answer-1",
        "n": 1,
        "answer_sha256": "ef" * 32,
        "shown_utc": "2026-11-22T12:01:00Z",
        "clock_state": "drift",
    }


def test_a_message_beyond_the_limit_is_not_even_read():
    raw = KEY.envelope(ANSWER, ANSWER_BODY)
    padded = raw[:-1] + b" " * messages.MAX_MESSAGE + b"}"
    with pytest.raises(PacketError, match="at most"):
        messages.parse(padded, TRUST)
    assert base64.b64decode(json.loads(padded)["payload"])  # it was sound but for its size
