"""The frame and the decoder against the vendor's layout, and against damage."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.devices.codec.faults import Checksum, FaultKind, FramingFault
from spectralid.devices.codec.obp import (
    MAXIMUM_PAYLOAD,
    MINIMUM_FRAME,
    Decoder,
    Flag,
    Frame,
    Message,
    encode,
)
from spectralid.errors import ParameterError


def words(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


# The first two have the layout of the examples in the vendor's data sheet.
GET_SPECTRUM = words(
    "c1c00010 00000000 00101000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 14000000"
    "00000000 00000000 00000000 00000000 c5c4c3c2"
)
SET_INTEGRATION = words(
    "c1c00011 04000000 10001100 00000000 00000000 00000004 a0860100 00000000 00000000 00000000 14000000"
    "00000000 00000000 00000000 00000000 c5c4c3c2"
)


def frames(*checksums: Checksum) -> st.SearchStrategy[Frame]:
    return st.builds(
        Frame,
        message=st.integers(0, 2**32 - 1),
        data=st.binary(max_size=300),
        flags=st.integers(0, 0x7F).map(Flag),
        error=st.integers(0, 255),
        regarding=st.integers(0, 2**32 - 1),
        protocol=st.integers(0x1000, 0x1FFF),
        checksum=st.sampled_from(checksums or tuple(Checksum)),
    )


def only_frames(items: list[Frame | FramingFault]) -> list[Frame]:
    return [item for item in items if isinstance(item, Frame)]


@pytest.mark.parametrize(
    ("frame", "golden"),
    [
        (Frame(Message.CORRECTED_SPECTRUM, protocol=0x1000), GET_SPECTRUM),
        (
            Frame(Message.SET_INTEGRATION_TIME, (100_000).to_bytes(4, "little"), Flag.ACK_REQUESTED),
            SET_INTEGRATION,
        ),
    ],
)
def test_golden_vectors(frame, golden):
    assert encode(frame) == golden
    assert Decoder().feed(golden) == [frame]


def test_golden_md5():
    encoded = encode(Frame(Message.SERIAL_NUMBER, checksum=Checksum.VERIFIED))
    assert encoded[-20:-4].hex() == "d96ba8121ca9bb7f9364490ea86d93dc"


def test_golden_nack():
    data = bytearray(64)
    data[:2], data[60:] = b"\xc1\xc0", b"\xc5\xc4\xc3\xc2"
    data[2:16] = words("0011 0800 0700 00101000 04030201")
    data[40] = 20
    (frame,) = Decoder().feed(bytes(data))
    assert (frame.flags, frame.error, frame.message, frame.regarding) == (
        Flag.NACK,
        7,
        Message.CORRECTED_SPECTRUM,
        0x01020304,
    )


def test_golden_laser_on():
    encoded = encode(Frame(Message.SET_LIGHT_SOURCE_ENABLE, b"\x00\x00\x01", Flag.ACK_REQUESTED))
    assert encoded[4:12].hex() == "0400000031008100"
    assert encoded[23] == 3
    assert encoded[24:27] == b"\x00\x00\x01"


def test_payload_frame_has_the_length_of_the_vendors():
    # 1024 pixels of 16 bits make 2112 bytes.
    encoded = encode(Frame(Message.CORRECTED_SPECTRUM, bytes(2048)))
    assert len(encoded) == 2112
    assert int.from_bytes(encoded[40:44], "little") == 2048 + 20


def test_md5_covers_header_and_payload():
    encoded = encode(Frame(1, bytes(range(100)), checksum=Checksum.VERIFIED))
    assert encoded[-20:-4] == hashlib.md5(encoded[:-20]).digest()


def test_too_long_to_send():
    with pytest.raises(ParameterError, match="data must be at most"):
        encode(Frame(1, bytes(MAXIMUM_PAYLOAD + 1)))


@given(frames())
def test_round_trip(frame):
    assert Decoder().feed(encode(frame)) == [frame]


@given(
    st.lists(st.one_of(frames().map(encode), st.binary(max_size=80)), max_size=5),
    st.lists(st.integers(0, 600), max_size=12),
)
def test_any_chunking_decodes_the_same(pieces, cuts):
    stream = b"".join(pieces)
    whole = Decoder()
    expected = whole.feed(stream) + whole.flush()
    edges = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    chunked = Decoder()
    found = [item for a, b in pairwise(edges) for item in chunked.feed(stream[a:b])]
    assert found + chunked.flush() == expected


@given(frames(Checksum.VERIFIED), st.data())
def test_no_changed_byte_passes_for_proved(frame, data):
    encoded = bytearray(encode(frame))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    decoder = Decoder()
    items = decoder.feed(bytes(encoded))
    # A frame whose checksum type was changed to "none" may come through, marked as proved by nothing.
    assert all(item.checksum is Checksum.ABSENT for item in only_frames(items))
    assert items or decoder.flush()


@given(frames(Checksum.VERIFIED), frames(), st.data())
def test_deletion_and_insertion_do_not_cost_the_next_frame(damaged, following, data):
    encoded = bytearray(encode(damaged))
    # Not in the length field: a longer claim swallows what follows until the client gives up.
    place = data.draw(st.integers(44, len(encoded) - 1))
    if data.draw(st.booleans()):
        del encoded[place]
        # What is missing at the end is taken from the next frame's start, which the search finds again.
    else:
        encoded.insert(place, data.draw(st.integers(0, 255)))
    decoder = Decoder()
    assert only_frames(decoder.feed(bytes(encoded) + encode(following)))[-1] == following


@given(st.binary(max_size=100).filter(lambda b: b"\xc1\xc0" not in b and not b.endswith(b"\xc1")), frames())
def test_noise_before_a_frame_is_reported_and_skipped(noise, frame):
    items = Decoder().feed(noise + encode(frame))
    assert items[-1] == frame
    assert [i.kind for i in items[:-1]] == ([FaultKind.NOISE] if noise else [])


def test_frame_inside_a_damaged_frame_is_found():
    inner = encode(Frame(7, regarding=9))
    outer = bytearray(encode(Frame(1, inner + bytes(40))))
    outer[-1] ^= 1
    items = Decoder().feed(bytes(outer))
    assert items[0].kind is FaultKind.FOOTER
    assert only_frames(items) == [Frame(7, regarding=9)]


@pytest.mark.parametrize("remaining", [0, 19, MAXIMUM_PAYLOAD + 21, 2**32 - 1])
def test_absurd_length_is_refused_at_once(remaining):
    bad = bytearray(encode(Frame(1)))
    bad[40:44] = remaining.to_bytes(4, "little")
    good = Frame(2, b"after")
    items = Decoder().feed(bytes(bad) + encode(good))
    assert items[0].kind is FaultKind.HEADER
    assert "length" in items[0].detail
    assert items[-1] == good


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [(3, 0x20, "protocol version"), (22, 2, "checksum type"), (23, 17, "immediate")],
)
def test_impossible_header_says_what_is_wrong(place, value, said):
    bad = bytearray(encode(Frame(1)))
    bad[place] = value
    fault = Decoder().feed(bytes(bad))[0]
    assert fault.kind is FaultKind.HEADER
    assert said in fault.detail


def test_immediate_and_payload_at_once_is_refused():
    bad = bytearray(encode(Frame(1, bytes(40))))
    bad[23] = 4
    assert Decoder().feed(bytes(bad))[0].kind is FaultKind.HEADER


def test_flush_frees_the_way_for_the_next_answer():
    decoder = Decoder()
    lying = bytearray(encode(Frame(1)))
    lying[40:44] = (5000).to_bytes(4, "little")
    assert decoder.feed(bytes(lying)) == []
    (fault,) = decoder.flush()
    assert fault.kind is FaultKind.TRUNCATED
    assert decoder.feed(encode(Frame(2))) == [Frame(2)]


@given(st.lists(st.one_of(st.binary(max_size=3000), st.just(b"\xc1\xc0" * 500)), max_size=6))
def test_memory_is_bounded_on_garbage(chunks):
    decoder = Decoder()
    for chunk in chunks:
        decoder.feed(chunk)
        assert len(decoder._buffer) <= MAXIMUM_PAYLOAD + MINIMUM_FRAME


@given(frames(), st.integers(0, 400))
def test_wanted_never_asks_beyond_the_frame(frame, cut):
    encoded = encode(frame)
    cut = min(cut, len(encoded) - 1)
    decoder = Decoder()
    decoder.feed(encoded[:cut])
    assert 1 <= decoder.wanted <= len(encoded) - cut
