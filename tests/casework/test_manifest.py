"""Manifests are read strictly: what two readers could understand differently is refused."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.casework.errors import PacketError, UnknownSchemaError
from spectralid.casework.manifest import GENESIS, MAX_MANIFEST, check, dumps, loads

HASH = "ab" * 32
COMMON = {
    "schema": "spectralid.packet/1",
    "packet_id": "01a2033d-29ef-7000-965b-514deecb8be0",
    "device_id": "sid-1",
    "seq": 1,
    "prev": GENESIS,
    "captured": {
        "wall_utc": "2026-11-22T12:00:00.000000Z",
        "monotonic_us": 5,
        "boot_id": "b",
        "clock_state": "unsynced",
    },
    "blobs": [],
    "seizure_ref": "S-1",
}
SCAN = {
    "kind": "scan",
    "item_ref": "I-1",
    "instrument": {"technique": "raman"},
    "spectra": [{"blob": HASH, "dtype": "<f8", "n": 3, "unit": "counts", "x0": 1.0, "dx": 1.0}],
    "result": {"decision": "no_match", "engine": {}, "library": {}},
}
CHECK = {"id": "1", "time": "2026-11-22T12:00:00Z", "passed": True, "limits_version": "1"}
STRIP = {"target": "fentanyl", "result": "pos"}
BODIES = {
    "seizure": {"officer_ref": "K-17"},
    "item": {"item_ref": "I-1", "label": ""},
    "scan": {k: v for k, v in SCAN.items() if k != "kind"},
    "evidence": {"item_ref": "I-1"},
    "send": {"escalation": {"why": ["forced"]}},
    "custody": {"action": "sealed"},
}


def nested(depth):
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def test_plain_json_comes_back_as_it_is():
    content = {"a": [1, -2.5e-3, None, True, "ß – \n \u2028"], "b": {"c": 2**53, "d": -(2**53)}}
    assert loads(dumps(content)) == content
    assert loads(json.dumps(content).encode()) == content


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a":1,"a":2}', "twice"),
        (b'{"x":{"a":1,"\\u0061":2}}', "twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":9007199254740993}', "2\\^53"),
        (b'{"a":-9007199254740993}', "2\\^53"),
        (b'{"a":' + b"9" * 200_000 + b"}", "2\\^53"),
        (b"[1]", "no JSON object"),
        (b'{"a":"\xff"}', "decode"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"a":"\\ud800"}', "no Unicode"),
        (b'{"\\udfff":1}', "no Unicode"),
        (b'{"a":["\\u0000"]}', "NUL"),
        (b'{"a":1}x', "Extra data"),
        (b"", "Expecting value"),
        (nested(9), "nested 9 deep"),
        (b"[" * 200_000, "deep"),
        (b'{"a":"' + b"x" * MAX_MANIFEST + b'"}', "allowed"),
    ],
)
def test_what_is_ambiguous_or_too_much_is_refused(data, why):
    with pytest.raises(PacketError, match=why):
        loads(data)


def test_the_limits_themselves_are_allowed():
    assert loads(nested(8))
    assert loads(b'{"a":"' + b"x" * (MAX_MANIFEST - 8) + b'"}')
    # Brackets and escaped quotes within text are no nesting.
    assert loads(dumps({"a": '[[[[[[[[["\\[[[['})) == {"a": '[[[[[[[[["\\[[[['}


@pytest.mark.parametrize(
    "data",
    [b'"' + b'\\"' * 130_000, b'"' * 262_000, b'"\\', b'{"a":"\\u' + b"0" * 200_000, b"1" * 262_000],
    ids=["escapes", "quotes", "backslash", "escape", "digits"],
)
def test_hostile_text_costs_linear_time(data):
    """With quadratic matching this test would not end: these take it hours."""
    with pytest.raises(PacketError):
        loads(data)


def test_nothing_that_json_cannot_hold_is_written():
    for bad in (float("nan"), float("inf"), b"bytes", object(), "\ud800", {"k": {1, 2}}):
        with pytest.raises(PacketError):
            dumps({"a": bad})


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(PacketError):
        assert isinstance(loads(data), dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(BODIES)), st.data())
def test_any_value_in_any_field_is_taken_or_refused(kind, data):
    content = {**COMMON, "kind": kind, **BODIES[kind]}
    field = data.draw(st.sampled_from(sorted({*content, "spectra", "photos", "original", "strips", "ipv"})))
    content[field] = data.draw(JSON)
    with contextlib.suppress(PacketError):
        check(content)


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_each_kind_with_its_required_fields_and_without(kind):
    whole = {**COMMON, "kind": kind, **BODIES[kind]}
    check(whole)
    check({**whole, "ipv": CHECK, "something_new": {"of": "a later version"}})
    for field in (*BODIES[kind], *COMMON):
        with pytest.raises(PacketError, match=field):
            check({k: v for k, v in whole.items() if k != field})


@pytest.mark.parametrize(
    ("kind", "changes", "where"),
    [
        ("seizure", {"seq": 0}, "seq"),
        ("seizure", {"seq": True}, "seq"),
        ("seizure", {"packet_id": "01a2033d-29ef-4000-965b-514deecb8be0"}, "packet_id"),
        ("seizure", {"prev": HASH.upper()}, "prev"),
        ("seizure", {"prev": HASH + "\n"}, "prev"),
        ("seizure", {"seizure_ref": "S\n1"}, "seizure_ref"),
        ("seizure", {"seizure_ref": "S-1\n"}, "seizure_ref"),
        ("seizure", {"seizure_ref": "x" * 101}, "seizure_ref"),
        ("seizure", {"note": "x" * 2001}, "note"),
        ("seizure", {"captured": {**COMMON["captured"], "clock_state": "fine"}}, "clock_state"),
        ("seizure", {"captured": {**COMMON["captured"], "wall_utc": "yesterday"}}, "wall_utc"),
        ("seizure", {"blobs": [{"sha256": HASH, "size": 1, "media_type": "Image/../x"}]}, "media_type"),
        ("seizure", {"blobs": [{"sha256": HASH, "size": 1, "media_type": "a/b"}] * 17}, "blobs"),
        ("scan", {"instrument": {"technique": "nmr"}}, "technique"),
        ("scan", {"spectra": []}, "spectra"),
        ("scan", {"spectra": [{**SCAN["spectra"][0], "n": 65_537}]}, "n"),
        ("scan", {"spectra": [{**SCAN["spectra"][0], "dtype": "<i4"}]}, "dtype"),
        ("scan", {"result": {**SCAN["result"], "decision": "sure"}}, "decision"),
        ("scan", {"ipv": "passed"}, "ipv"),
        ("scan", {"ipv": {**CHECK, "passed": 1}}, "passed"),
        ("scan", {"strips": [{**STRIP, "result": "maybe"}]}, "result"),
        ("evidence", {"strips": [{"target": "fentanyl"}]}, "result"),
        ("evidence", {"photos": [{"blob": "x"}]}, "blob"),
        ("send", {"escalation": {"why": "forced"}}, "why"),
        ("send", {"escalation": {"why": ["forced"], "officer_note": "x" * 2001}}, "officer_note"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(kind, changes, where):
    with pytest.raises(PacketError, match=where):
        check({**COMMON, "kind": kind, **BODIES[kind], **changes})


def test_what_a_newer_version_made_is_told_from_what_is_wrong():
    whole = {**COMMON, "kind": "seizure", **BODIES["seizure"]}
    for changes in ({"schema": "spectralid.packet/2"}, {"kind": "autopsy"}):
        with pytest.raises(UnknownSchemaError):
            check({**whole, **changes})
    for changes in ({"schema": "spectralid.packet/0"}, {"schema": "other/1"}, {"schema": 1}, {"kind": 7}):
        with pytest.raises(PacketError) as raised:
            check({**whole, **changes})
        assert not isinstance(raised.value, UnknownSchemaError)
