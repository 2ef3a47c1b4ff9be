"""The Wasatch frame and its decoder against the vendor's frames, the vendor's mistakes, and damage."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.devices.codec.faults import FaultKind, FramingFault
from spectralid.devices.codec.wasatch import (
    MAXIMUM_DATA,
    MINIMUM_FRAME,
    OVERHEAD,
    SET,
    Decoder,
    Frame,
    Opcode,
    crc8,
    decode_image,
    encode,
    status,
)
from spectralid.devices.codec.words import swapped_stretch
from spectralid.devices.sim import wasatch as sim
from spectralid.errors import ParameterError, ProtocolError

GOLDEN = {
    "3c00014ba23e": Frame(Opcode.PING),
    "3c00010d393e": Frame(Opcode.FIRMWARE_REVISION),
    "3c000110593e": Frame(Opcode.FPGA_REVISION),
    "3c000111073e": Frame(Opcode.INTEGRATION_TIME),
    "3c0004916400004a3e": Frame(Opcode.INTEGRATION_TIME | SET, (100).to_bytes(3, "little")),
    "3c0002b401283e": Frame(Opcode.LASER | SET, b"\1"),
    "3c0002b400763e": Frame(Opcode.LASER | SET, b"\0"),
    "3c0001341b3e": Frame(Opcode.LASER),
    "3c00010aba3e": Frame(Opcode.ACQUIRE),
    "3c0001491e3e": Frame(0x49),  # CCD temperature
    "3c000411640000933e": Frame(Opcode.INTEGRATION_TIME, (100).to_bytes(3, "little")),
    "3c00029100483e": Frame(Opcode.INTEGRATION_TIME | SET, b"\0"),
    "3c0003150004963e": Frame(Opcode.PIXEL_COUNT, (1024).to_bytes(2, "little")),
    "3c00081030322e312e3233833e": Frame(Opcode.FPGA_REVISION, b"02.1.23"),
}

frames = st.builds(Frame, opcode=st.integers(0, 255), data=st.binary(max_size=70))


def only_frames(items: list[Frame | FramingFault]) -> list[Frame]:
    return [item for item in items if isinstance(item, Frame)]


@pytest.mark.parametrize(("golden", "frame"), GOLDEN.items())
def test_golden_frames(golden, frame):
    assert encode(frame).hex() == golden
    assert Decoder().feed(bytes.fromhex(golden)) == [frame]


@pytest.mark.parametrize("crc", [crc8, sim._crc])
def test_published_check_value(crc):
    assert crc(b"123456789") == 0xA1
    assert crc(b"") == 0


@given(st.binary(max_size=40))
def test_both_ends_compute_the_same_checksum(data):
    assert crc8(data) == sim._crc(data)


@given(st.binary(min_size=1, max_size=80), st.data())
def test_checksum_shows_any_change_within_eight_bits(data, draw):
    place = draw.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[place] ^= draw.draw(st.integers(1, 255))
    assert crc8(bytes(changed)) != crc8(data)


def test_too_long_to_send():
    with pytest.raises(ParameterError, match="data must be at most"):
        encode(Frame(1, bytes(MAXIMUM_DATA + 1)))


@pytest.mark.parametrize(("byte", "number"), [(0, 0), (4, 4), (0xFF, -1), (0xFE, -2), (0xFD, -3), (0xFC, -4)])
def test_status_is_signed(byte, number):
    # The vendor's program takes the byte as it is and knows none of the negative ones.
    assert status(byte) == number


# --- what the vendor's example program gets wrong ---------------------------------------------------------


def test_bytes_above_127_are_kept():
    # It reads the line as ASCII text, where they become question marks.
    frame = Frame(Opcode.EEPROM_PAGE, bytes(range(128, 192)))
    assert Decoder().feed(encode(frame)) == [frame]


@pytest.mark.parametrize("before", [b"\0", b"ok\r\n", b"\x3e", b"\x3c", b"\x3c\x00", b"\x3c\x3c\x3c"])
def test_start_mark_need_not_come_first(before):
    # It looks for the start mark in the first byte of a piece only.
    frame = Frame(Opcode.PIXEL_COUNT, b"\0\4")
    decoder = Decoder()
    items = decoder.feed(before + encode(frame))
    # A false start may claim a length: the frame behind it is found when nothing more comes.
    assert only_frames(items + decoder.flush()) == [frame]


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.INTEGRATION_TIME, b"\x3e\x3e\x3e"),
        Frame(Opcode.INTEGRATION_TIME, b"\x3c\x00\x01"),
        Frame(Opcode.EEPROM_PAGE, b"\x3e" * 64),
        Frame(0x00, b"\xa1"),
    ],
)
def test_end_mark_inside_does_not_end_the_frame(frame):
    # It takes a piece that ends with 0x3E for a whole answer.
    decoder = Decoder()
    found = [item for byte in encode(frame) for item in decoder.feed(bytes([byte]))]
    assert found == [frame]


def test_end_mark_as_checksum():
    (frame,) = (f for f in (Frame(op, b"\7") for op in range(256)) if crc8(encode(f)[1:-2]) == 0x3E)
    decoder = Decoder()
    assert decoder.feed(encode(frame)[:-1]) == []
    assert decoder.feed(b"\x3e") == [frame]


def test_integration_time_has_24_bits():
    # It clamps at 1677215 where 16777215 was meant.
    assert encode(Frame(Opcode.INTEGRATION_TIME | SET, (2**24 - 1).to_bytes(3, "little")))[4:7] == b"\xff" * 3


# --- any stream --------------------------------------------------------------------------------------------


@given(frames)
def test_round_trip(frame):
    assert Decoder().feed(encode(frame)) == [frame]


@given(
    st.lists(st.one_of(frames.map(encode), st.binary(max_size=40)), max_size=6),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_any_chunking_decodes_the_same(pieces, cuts):
    stream = b"".join(pieces)
    whole = Decoder()
    expected = whole.feed(stream) + whole.flush()
    edges = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    chunked = Decoder()
    found = [item for a, b in pairwise(edges) for item in chunked.feed(stream[a:b])]
    assert found + chunked.flush() == expected


@pytest.mark.parametrize("golden", GOLDEN)
def test_no_single_changed_byte_is_accepted_as_an_answer(golden):
    good = bytes.fromhex(golden)
    (frame,) = Decoder().feed(good)
    for place in range(len(good)):
        for flip in range(1, 256):
            changed = bytearray(good)
            changed[place] ^= flip
            decoder = Decoder()
            items = decoder.feed(bytes(changed))
            # A client knows opcode and length of the answer it waits for.
            alike = [f for f in only_frames(items) if f.opcode == frame.opcode]
            assert all(len(f.data) != len(frame.data) for f in alike)
            assert items or decoder.flush()


@given(frames, frames, st.data())
def test_damage_behind_the_length_does_not_cost_the_next_frame(damaged, following, data):
    encoded = bytearray(encode(damaged))
    place = data.draw(st.integers(3, len(encoded) - 1))
    change = data.draw(st.sampled_from(("flip", "delete", "insert")))
    if change == "flip":
        encoded[place] ^= data.draw(st.integers(1, 255))
    elif change == "delete":
        del encoded[place]
    else:
        encoded.insert(place, data.draw(st.integers(0, 255)))
    decoder = Decoder()
    items = decoder.feed(bytes(encoded) + encode(following))
    # What is left of the damaged one may look like the beginning of a longer one; silence frees the way.
    assert following in items + decoder.flush()


@pytest.mark.parametrize("length", [0, MAXIMUM_DATA + 2, 0x4000, 0xFFFF])
def test_absurd_length_is_refused_at_once(length):
    good = Frame(Opcode.LASER, b"\1")
    items = Decoder().feed(b"<" + length.to_bytes(2, "big") + encode(good))
    assert items[0].kind is FaultKind.HEADER
    assert str(length) in items[0].detail
    assert items[-1] == good


@pytest.mark.parametrize(("place", "kind"), [(-1, FaultKind.FOOTER), (-2, FaultKind.CHECKSUM)])
def test_fault_says_what_is_wrong(place, kind):
    bad = bytearray(encode(Frame(Opcode.PIXEL_COUNT, b"\0\4")))
    bad[place] ^= 1
    assert Decoder().feed(bytes(bad))[0].kind is kind


def test_flush_frees_the_way_for_the_next_answer():
    decoder = Decoder()
    assert decoder.feed(b"noise" + encode(Frame(1, bytes(20)))[:10]) == []
    assert [f.kind for f in decoder.flush()] == [FaultKind.NOISE, FaultKind.TRUNCATED]
    assert decoder.feed(encode(Frame(2))) == [Frame(2)]


@given(st.lists(st.one_of(st.binary(max_size=3000), st.just(b"\x3c\x00\xff" * 500)), max_size=6))
def test_memory_is_bounded_on_garbage(chunks):
    decoder = Decoder()
    for chunk in chunks:
        decoder.feed(chunk)
        assert len(decoder._buffer) <= MAXIMUM_DATA + OVERHEAD


@given(frames, st.integers(0, 80))
def test_wanted_never_asks_beyond_the_frame(frame, cut):
    encoded = encode(frame)
    cut = min(cut, len(encoded) - 1)
    decoder = Decoder()
    decoder.feed(encoded[:cut])
    assert 1 <= decoder.wanted <= max(len(encoded) - cut, MINIMUM_FRAME - cut)


# --- images ------------------------------------------------------------------------------------------------


def spectrum(noise=10.0, level=1500.0, height=20_000.0, n=1024, seed=3):
    x = np.arange(n)
    ideal = level + height * np.exp(-(((x - 400) / 6) ** 2)) + height / 3 * np.exp(-(((x - 700) / 200) ** 2))
    counts = np.rint(ideal + np.random.default_rng(seed).normal(0, noise, n))
    return np.clip(counts, 0, 65535).astype(np.int64)


@pytest.mark.parametrize("order", ["little", "big"])
def test_image_in_either_order(order):
    counts = spectrum()
    data = b"".join(int(c).to_bytes(2, order) for c in counts)
    np.testing.assert_array_equal(decode_image(data, order), counts)
    other = {"little": "big", "big": "little"}[order]
    with pytest.raises(ProtocolError, match=f'pixel_byte_order = "{order}"'):
        decode_image(data, other)


@given(
    noise=st.floats(1.0, 150.0),
    level=st.floats(0.0, 30_000.0),
    height=st.floats(0.0, 30_000.0),
    place=st.integers(1, 2047 - 64),
    seed=st.integers(0, 100),
)
def test_lost_byte_with_another_one_in_its_place_shows(noise, level, height, place, seed):
    good = spectrum(noise, level, height, seed=seed).astype("<u2").tobytes()
    np.testing.assert_array_equal(decode_image(good, "little"), np.frombuffer(good, "<u2"))
    # The length stays right: a byte is lost, and noise adds one at the end.
    with pytest.raises(ProtocolError, match=r"out of step from pixel \d+|in the other order"):
        decode_image(good[:place] + good[place + 1 :] + b"\0", "little")


def test_place_of_the_lost_byte_is_told():
    good = spectrum().astype("<u2").tobytes()
    with pytest.raises(ProtocolError, match=r"from pixel 496 to 1\d\d\d"):
        decode_image(good[:1001] + good[1002:] + b"\0", "little")


@pytest.mark.parametrize(
    "counts",
    [
        np.zeros(1024),
        np.full(1024, 65535),
        np.full(1024, 0x1234),
        np.full(1024, 0x0100),
        np.arange(1024),
        np.where(np.arange(1024) % 2, 65535, 0),
        np.repeat([0, 65535], 512),
        spectrum(noise=0.0),
        spectrum(noise=300.0, level=60_000, height=60_000),
    ],
)
def test_unusual_images_are_not_called_swapped(counts):
    data = counts.astype("<u2").tobytes()
    np.testing.assert_array_equal(decode_image(data, "little"), counts)


def test_cosmic_ray_is_not_called_swapped():
    for height in range(500, 65_000, 251):
        counts = spectrum(noise=2.0, height=0.0)
        counts[512] = height
        assert swapped_stretch(counts.astype(np.uint16)) is None


@pytest.mark.parametrize("n", [1, 2, 5, 16, 17])
def test_short_images(n):
    assert swapped_stretch(spectrum(n=1024)[:n].astype(np.uint16)) is None


def test_half_a_pixel_is_refused():
    with pytest.raises(ProtocolError, match="half a pixel"):
        decode_image(bytes(2047), "little")
