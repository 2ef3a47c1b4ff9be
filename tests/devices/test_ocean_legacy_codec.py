"""Records and answers against the manuals' worked examples, against a second encoder, and against damage."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spectralid.devices.codec.faults import Checksum, FaultKind, FramingFault
from spectralid.devices.codec.ocean_legacy import (
    BAUD_CODES,
    Answer,
    AnswerDecoder,
    Dialect,
    Expect,
    Layout,
    Mode,
    PixelMode,
    Record,
    RecordDecoder,
    TextRecordDecoder,
    encode,
    read_version,
)
from spectralid.devices.sim.ocean_legacy import checksum, compressed
from spectralid.errors import ParameterError
from tests.devices import legacy_records as made

# SAD500 manual, Technical Note 3: ten pixels and their checksum.
PLAIN_PIXELS = (15, 23, 46, 98, 231, 509, 1023, 2432, 3245, 1984)
PLAIN_CHECKSUM = 0x2586
# Technical Notes 1 and 3: a section of a line spectrum, what is transmitted, and what each pixel adds to the
# checksum, whose sum the manual does not print.
COMPRESSED_PIXELS = (
    *(185, 2151, 836, 453, 210, 118, 90, 89, 87, 89, 86, 88, 98, 121, 383),
    *(1162, 634, 356, 211, 132, 88, 83, 86, 82, 91, 92, 81, 80, 84),
)
COMPRESSED_BYTES = bytes.fromhex(
    "8000b9 800867 800344 8001c5 8000d2 a4 e4 ff fe 02 fd 02 0a 17 80017f"
    "80048a 80027a 800164 8000d3 b1 d4 fb 03 fc 09 01 f5 ff 04"
)
ADDED = (
    *(0x139, 0x8E7, 0x3C4, 0x245, 0x152, 0xA4, 0xE4, 0xFF, 0xFE, 2, 0xFD, 2, 0xA, 0x17, 0x1FF),
    *(0x50A, 0x2FA, 0x1E4, 0x153, 0xB1, 0xD4, 0xFB, 3, 0xFC, 9, 1, 0xF5, 0xFF, 4),
)


def only(items):
    assert len(items) == 1, items
    return items[0]


def layout(points, **changes):
    return Layout(**{"dialect": Dialect.FLAME, "pixels": points, "checksum": True, **changes})


def words(*values):
    return b"".join(value.to_bytes(2, "big") for value in values)


def flame(data, checksum, points, mode=0):
    """A record of the Flame class around transmitted `data`, laid out by hand."""
    return b"\x02" + words(0xFFFF, 0, 1, 100, 0, 1200, mode) + data + words(0xFFFD, checksum)


def test_manual_example_uncompressed():
    record = only(RecordDecoder(layout(10)).feed(flame(words(*PLAIN_PIXELS), PLAIN_CHECKSUM, 10)))
    assert tuple(record.counts) == PLAIN_PIXELS
    assert record.checksum is Checksum.VERIFIED


def test_manual_example_compressed():
    sent = flame(COMPRESSED_BYTES, sum(ADDED) & 0xFFFF, 29)
    record = only(RecordDecoder(layout(29, compressed=True)).feed(sent))
    assert tuple(record.counts) == COMPRESSED_PIXELS


def test_manual_text_sends_the_first_pixel_without_a_mark():
    sent = flame(COMPRESSED_BYTES[1:], (sum(ADDED) - 0x80) & 0xFFFF, 29)
    record = only(RecordDecoder(layout(29, compressed=True)).feed(sent))
    assert tuple(record.counts) == COMPRESSED_PIXELS


def test_second_encoder_reproduces_the_manual_too():
    values = np.array(COMPRESSED_PIXELS)
    assert compressed(values) == COMPRESSED_BYTES
    assert checksum(values, as_compressed=True) == sum(ADDED) & 0xFFFF
    assert checksum(np.array(PLAIN_PIXELS)) == PLAIN_CHECKSUM


def test_sad500_header():
    sent = b"\x02" + words(0xFFFF, 3, 17, 0, 250, 4711, 0, 5, 6, 0xFFFD, 11)
    record = only(RecordDecoder(layout(2, dialect=Dialect.SAD500)).feed(sent))
    assert (record.channel, record.integration_ms, record.counter) == (3, 250, 4711)
    assert record.sent == sent[1:-2]


def test_flame_sends_double_words_for_several_scans():
    data = b"".join(v.to_bytes(4, "big") for v in (70_000, 3))
    sent = b"\x02" + words(0xFFFF, 1, 2, 100, 0, 2400, 0) + data + words(0xFFFD, 1 + (70_000 & 0xFFFF) + 3)
    record = only(RecordDecoder(layout(2, scans=2)).feed(sent))
    assert tuple(record.counts) == (70_000, 3)
    assert (record.integration_ms, record.checksum) == (100, Checksum.VERIFIED)
    assert record.counter is None


def test_sum_of_points_proves_no_high_words():
    data = b"".join(v.to_bytes(4, "big") for v in (70_000, 3))
    sent = b"\x02" + words(0xFFFF, 1, 2, 100, 0, 0, 0) + data + words(0xFFFD, (70_003) & 0xFFFF)
    assert only(RecordDecoder(layout(2, scans=2)).feed(sent)).kind is FaultKind.CHECKSUM
    record = only(RecordDecoder(layout(2, scans=2, double_words_by="points")).feed(sent))
    assert record.checksum is Checksum.ABSENT


def test_marks_inside_the_data_end_nothing():
    values = (0xFFFF, 0xFFFD, 0xFFFF, 0x02FF, 0xFFFF, 0xFFFD, 1, 0xFFFF)
    for differences in (False, True):
        here = layout(len(values), compressed=differences)
        assert tuple(only(RecordDecoder(here).feed(made.record(values, here))).counts) == values


@pytest.mark.parametrize(
    ("mode", "operands", "expected"),
    [
        (0, (), range(10)),
        (1, (3,), [0, 3, 6, 9]),
        (2, (4,), [0, 4, 8]),
        (3, (2, 8, 3), [2, 5, 8]),
        (4, (3, 7, 1, 9), [7, 1, 9]),
        (5, (2, 0, 2, 8, 9), [0, 1, 2, 8, 9]),
    ],
)
def test_pixel_modes(mode, operands, expected):
    chosen = PixelMode(mode, operands)
    np.testing.assert_array_equal(chosen.indices(10), list(expected))
    here = layout(10, pixel_mode=chosen)
    values = np.arange(len(list(expected))) + 100
    np.testing.assert_array_equal(only(RecordDecoder(here).feed(made.record(values, here))).counts, values)


@pytest.mark.parametrize(
    ("mode", "operands"),
    [
        (0, (1,)),
        (1, (0,)),
        (1, ()),
        (3, (5, 4, 1)),
        (3, (0, 10, 1)),
        (4, (2, 1)),
        (4, (0,)),
        (5, (1, 4, 2)),
        (6, ()),
    ],
)
def test_impossible_pixel_mode(mode, operands):
    with pytest.raises(ParameterError, match="pixels 0 to 9"):
        PixelMode(mode, operands).indices(10)


def test_compressed_mode_may_show_in_the_mode_word():
    # The SAD500 has a mode 256 for "all pixels, compressed"; whether G alone shows there is not said.
    sent = flame(COMPRESSED_BYTES, sum(ADDED) & 0xFFFF, 29, mode=0x100)
    assert isinstance(only(RecordDecoder(layout(29, compressed=True)).feed(sent)), Record)
    plain = flame(words(*PLAIN_PIXELS), PLAIN_CHECKSUM, 10, mode=0x100)
    assert RecordDecoder(layout(10)).feed(plain)[0].kind is FaultKind.HEADER


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [(1, 1, "data size flag"), (2, 2, "2 scans where 1"), (6, 3, "pixel mode 3"), (6, 512, "pixel mode 512")],
)
def test_header_of_other_settings(place, value, said):
    header = [0xFFFF, 0, 1, 100, 0, 0, 0]
    header[place] = value
    fault = RecordDecoder(layout(2)).feed(b"\x02" + words(*header, 1, 2, 0xFFFD, 3))[0]
    assert fault.kind is FaultKind.HEADER
    assert said in fault.detail


def test_header_of_another_channel_or_pixels():
    sent = b"\x02" + words(0xFFFF, 8, 1, 0, 100, 0, 0, 1, 2, 0xFFFD, 3)
    assert "channel 8" in RecordDecoder(layout(2, dialect=Dialect.SAD500)).feed(sent)[0].detail
    here = layout(10, pixel_mode=PixelMode(1, (3,)))
    other = layout(10, pixel_mode=PixelMode(1, (4,)))
    assert "pixels" in RecordDecoder(here).feed(made.record((1, 2, 3), other))[0].detail


def test_differences_that_leave_the_range_are_damage():
    here = layout(2, compressed=True)
    sent = flame(bytes.fromhex("800001 fe"), 0x80 + 1 + 0xFE, 2)
    fault = RecordDecoder(here).feed(sent)[0]
    assert fault.kind is FaultKind.CHECKSUM
    assert "below 0" in fault.detail


def test_compression_of_double_words_is_undocumented_and_refused():
    with pytest.raises(ParameterError, match="compression"):
        layout(5, compressed=True, scans=2)
    # The SAD500 sums into single words.
    assert not layout(5, compressed=True, scans=2, dialect=Dialect.SAD500).wide


@st.composite
def records(draw, *, checksum=None):
    dialect = draw(st.sampled_from(Dialect))
    compressed = draw(st.booleans())
    scans = 1 if compressed else draw(st.integers(1, 3))
    pixels = draw(st.integers(2, 40))
    here = Layout(
        dialect=dialect,
        pixels=pixels,
        scans=scans,
        compressed=compressed,
        checksum=draw(st.booleans()) if checksum is None else checksum,
        pixel_mode=draw(st.sampled_from([PixelMode(), PixelMode(1, (2,)), PixelMode(3, (1, pixels - 1, 1))])),
    )
    # Runs of small steps with jumps between, so that both ways of compression occur.
    top = 3 * 65535 if here.wide else 65535
    steps = st.one_of(st.integers(-130, 130), st.integers(-top, top), st.sampled_from([0xFFFF, 0xFFFD]))
    values = np.cumsum(draw(st.lists(steps, min_size=here.points, max_size=here.points))) % (top + 1)
    return values, here


def taken(decoder, data):
    """What a decoder makes of `data` in all, when nothing follows."""
    return decoder.feed(data) + decoder.flush()


def found(items):
    return [item for item in items if isinstance(item, Record)]


@given(records(), st.booleans())
def test_what_the_second_encoder_sends_is_read(given_record, marked):
    values, here = given_record
    assume(marked or not here.compressed or values[0] >> 8 != 0x80)
    record = only(RecordDecoder(here).feed(made.record(values, here, marked_first=marked)))
    np.testing.assert_array_equal(record.counts, values)
    assert record.checksum is (Checksum.VERIFIED if here.checksum else Checksum.ABSENT)


@given(records(), st.integers(0, 255))
def test_an_unmarked_first_pixel_that_looks_marked_is_never_misread(given_record, low):
    values, here = given_record
    assume(here.compressed)
    values[0] = 0x8000 + low
    assert not found(taken(RecordDecoder(here), made.record(values, here, marked_first=False)))


def same(one, other):
    assert type(one) is type(other)
    if isinstance(one, Record):
        assert (one.sent, one.header, one.checksum) == (other.sent, other.header, other.checksum)
        np.testing.assert_array_equal(one.counts, other.counts)
    else:
        assert one == other


@given(
    records(),
    st.lists(st.one_of(st.none(), st.binary(max_size=60), st.just(b"\x02\xff\xff" * 9)), max_size=4),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_any_chunking_decodes_the_same(given_record, between, cuts):
    values, here = given_record
    sent = made.record(values, here)
    stream = b"".join(sent if piece is None else piece for piece in between)
    expected = taken(RecordDecoder(here), stream)
    edges = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    decoder = RecordDecoder(here)
    got = [item for a, b in pairwise(edges) for item in decoder.feed(stream[a:b])] + decoder.flush()
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        same(one, other)


@given(records(checksum=True), st.data())
def test_no_changed_byte_gives_other_counts(given_record, data):
    values, here = given_record
    sent = bytearray(made.record(values, here))
    place = data.draw(st.integers(0, len(sent) - 1))
    sent[place] ^= data.draw(st.integers(1, 255))
    for record in found(taken(RecordDecoder(here), bytes(sent))):
        # Only words nothing is computed from may differ: baseline, scan number, counters, integration time.
        np.testing.assert_array_equal(record.counts, values)


@given(records(checksum=True), st.data())
def test_no_lost_or_doubled_byte_gives_other_counts(given_record, data):
    values, here = given_record
    sent = made.record(values, here)
    place = data.draw(st.integers(0, len(sent) - 1))
    for damaged in (
        sent[:place] + sent[place + 1 :],
        sent[:place] + data.draw(st.binary(min_size=1, max_size=1)) + sent[place:],
    ):
        for record in found(taken(RecordDecoder(here), damaged)):
            np.testing.assert_array_equal(record.counts, values)


def test_every_single_change_of_a_record_is_noticed():
    """Exhaustive for one record of each kind: every byte of the data to every other value."""
    rng = np.random.default_rng(4)
    for here in (layout(24), layout(24, compressed=True)):
        values = np.clip(np.cumsum(rng.integers(-200, 200, 24)) + 33_000, 0, 65535)
        sent = made.record(values, here)
        for place in range(15, len(sent)):
            for change in range(1, 256):
                damaged = bytearray(sent)
                damaged[place] ^= change
                assert not found(taken(RecordDecoder(here), bytes(damaged)))


def test_what_a_sum_cannot_see():
    # Two words exchanged, or one more here and one less there: the manual's checksum does not change.
    for values in ((15, 46, 23, *PLAIN_PIXELS[3:]), (16, 22, *PLAIN_PIXELS[2:])):
        record = only(RecordDecoder(layout(10)).feed(flame(words(*values), PLAIN_CHECKSUM, 10)))
        assert record.checksum is Checksum.VERIFIED
        assert tuple(record.counts) != PLAIN_PIXELS


def test_without_checksum_nothing_is_claimed():
    here = layout(10, checksum=False)
    record = only(RecordDecoder(here).feed(made.record(PLAIN_PIXELS, here)))
    assert record.checksum is Checksum.ABSENT


def test_damaged_record_does_not_hide_the_next():
    here = layout(10)
    good = made.record(PLAIN_PIXELS, here)
    for place in (0, 1, 5, 20, len(good) - 3, len(good) - 1):
        damaged = bytearray(good)
        damaged[place] ^= 0x55
        assert found(RecordDecoder(here).feed(bytes(damaged) + good))[-1].sent == good[1:-2]


def test_noise_before_a_record_is_told_and_skipped():
    here = layout(10)
    noise, record = RecordDecoder(here).feed(b"\x02\xffhello" + made.record(PLAIN_PIXELS, here))
    assert (noise.kind, record.checksum) == (FaultKind.NOISE, Checksum.VERIFIED)
    assert "7 bytes" in noise.detail


def test_record_sent_again_comes_with_or_without_stx():
    here = layout(10)
    for skipped in (0, 1):
        items = RecordDecoder(here, after_stx=False).feed(made.record(PLAIN_PIXELS, here)[skipped:])
        assert tuple(found(items)[0].counts) == PLAIN_PIXELS


@given(
    records(),
    st.lists(
        st.one_of(st.binary(max_size=900), st.just(b"\x02\xff\xff" * 200), st.just(b"\xff" * 500)), max_size=5
    ),
)
def test_memory_is_bounded(given_record, chunks):
    _, here = given_record
    decoder = RecordDecoder(here)
    for chunk in chunks:
        decoder.feed(chunk)
        assert len(decoder._buffer) <= 1 + here.longest + 2
        assert 1 <= decoder.wanted <= 1 + here.longest + 2


@given(records(), st.integers(0, 400))
def test_wanted_never_asks_beyond_the_record(given_record, cut):
    values, here = given_record
    sent = made.record(values, here)
    cut = min(cut, len(sent) - 1)
    decoder = RecordDecoder(here)
    decoder.feed(sent[:cut])
    assert 1 <= decoder.wanted <= len(sent) - cut


def text(values, here):
    """A record in ASCII mode: the numbers of the binary one, a line each."""
    sent = made.record(values, here)
    width = 4 if here.wide else 2
    start, end = 1 + 2 * here.header_words, 1 + 2 * here.header_words + width * here.points
    pieces = [sent[i : i + 2] for i in range(1, start, 2)]
    pieces += [sent[i : i + width] for i in range(start, end, width)]
    pieces += [sent[i : i + 2] for i in range(end, len(sent), 2)]
    return b"\x02" + b"".join(b"%d\r\n" % int.from_bytes(piece, "big") for piece in pieces)


@given(records(), st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_record_in_ascii_mode(given_record, cuts, last_blank):
    values, here = given_record
    assume(not here.compressed)
    sent = text(values, here)
    sent = sent if last_blank else sent.rstrip()
    edges = sorted({0, len(sent), *(c for c in cuts if c < len(sent))})
    decoder = TextRecordDecoder(here)
    items = [item for a, b in pairwise(edges) for item in decoder.feed(sent[a:b])]
    record = only(items or decoder.flush())
    np.testing.assert_array_equal(record.counts, values)
    assert record.checksum is (Checksum.VERIFIED if here.checksum else Checksum.ABSENT)
    assert record.sent == made.record(values, here)[1 : -2 if here.checksum else None]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (b"\r\n23\r", b"\r\n24\r", FaultKind.CHECKSUM),
        (b"65533", b"65532", FaultKind.FOOTER),
        (b"\x0265535", b"\x0265534", FaultKind.HEADER),
        (b"\r\n23\r", b"\r\n2x\r", FaultKind.NOISE),
        (b"\r\n23\r", b"\r\n70000\r", FaultKind.NOISE),
        (b"\r\n23\r", b"\r\n" + b"2" * 40, FaultKind.NOISE),
    ],
)
def test_damaged_record_in_ascii_mode(old, new, kind):
    sent = text(PLAIN_PIXELS, layout(10))
    assert old in sent
    decoder = TextRecordDecoder(layout(10))
    assert decoder.feed(sent.replace(old, new, 1))[0].kind is kind
    assert isinstance(only(decoder.feed(sent)), Record)  # and the next one is read


def test_unfinished_record_in_ascii_mode():
    decoder = TextRecordDecoder(layout(10))
    sent = text(PLAIN_PIXELS, layout(10))
    assert decoder.feed(sent[:-12]) == []
    assert decoder.wanted >= 1
    assert only(decoder.flush()).kind is FaultKind.TRUNCATED
    assert TextRecordDecoder(layout(10)).flush() == []
    with pytest.raises(ParameterError, match="ASCII mode"):
        TextRecordDecoder(layout(10, compressed=True))


def test_commands():
    assert encode("I", 1500) == b"I\x05\xdc"
    assert encode("P", 3, 10, 900, 2) == b"P" + words(3, 10, 900, 2)
    assert encode("?I") == b"?I"
    assert encode("I", 1500, mode=Mode.ASCII) == b"I1500\r"
    assert encode("?x", 2, mode=Mode.ASCII) == b"?x2\r"
    assert [encode("K", BAUD_CODES[rate])[2] for rate in (2400, 9600, 115200)] == [0, 2, 6]
    for word in (-1, 65536):
        with pytest.raises(ParameterError, match="operand of I"):
            encode("I", word)


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"\x06\x03\xe8", (Mode.BINARY, 1000)),
        (b"v\x06\x03\xe8", (Mode.BINARY, 1000)),
        (b"v\x061000\r\n", (Mode.ASCII, 1000)),
        (b"\x06 1020", (Mode.ASCII, 1020)),
        (b"hello\r\n\x06\x03\xfc", (Mode.BINARY, 1020)),
        (b"\x06\x06\x03\xe8", (Mode.BINARY, 1000)),  # an ACK nobody read, then the answer
        (b"\x06\x03\xe8\0\0\0\0\0", (Mode.BINARY, 1000)),
        (b"v\x061000\r\0\0\0", (Mode.ASCII, 1000)),
        (b"", None),
        (b"\x15", None),
        (b"\x06\x03", None),
        (b"login: ", None),
    ],
)
def test_version_tells_the_mode(received, expected):
    assert read_version(received) == expected


def answered(command, sent, expect=Expect.NOTHING, mode=Mode.BINARY):
    """The answer in `sent`, the same in one piece and byte by byte; and what is left."""
    whole = AnswerDecoder(command, mode, expect)
    result = whole.feed(sent) or whole.flush()
    bytewise = AnswerDecoder(command, mode, expect)
    stepped = None
    fed = 0
    while stepped is None and fed < len(sent):
        step = min(bytewise.wanted, len(sent) - fed)
        stepped = bytewise.feed(sent[fed : fed + step])
        fed += step
    assert (stepped or bytewise.flush()) == result
    return result, whole.rest


def test_answers():
    assert answered(b"I\0\5", b"\x06") == (Answer(True), b"")
    assert answered(b"I\0\5", b"\x15xy") == (Answer(False), b"xy")
    assert answered(b"?I", b"\x06\x05\xdc\x06", Expect.WORD) == (Answer(True, word=1500), b"\x06")
    assert answered(b"?I", b"?I\r\x061500\r", Expect.WORD, Mode.ASCII) == (Answer(True, word=1500), b"")
    assert answered(b"?I", b"\x061500", Expect.WORD, Mode.ASCII) == (Answer(True, word=1500), b"")


def test_echo_is_told_from_the_answer_although_it_holds_its_bytes():
    # The operand of `I 1542` is 06 06: an ACK twice over.
    assert answered(b"I\6\6", b"I\6\6\x15") == (Answer(False), b"")
    assert answered(b"I\6\6", b"I\6\6I\6\6\x06") == (Answer(True), b"")
    fault, _ = answered(b"I\6\6", b"I\6\7\x06")
    assert "not what was sent" in fault.detail


@pytest.mark.parametrize(
    ("sent", "constant", "rest"),
    [
        (b"\x06346.123\0\xa5\xa5", b"346.123", b"\0\xa5\xa5"),
        (b"\x06346.123\r\n", b"346.123", b"\r\n"),
        (b"\x06346.123", b"346.123", b""),
        (b"\x06" + b"\xff" * 17, b"\xff" * 15, b"\xff\xff"),
        (b"\x06\0", b"", b"\0"),
    ],
)
def test_a_constant_ends_in_one_of_four_ways(sent, constant, rest):
    assert answered(b"?x\0\1", sent, Expect.CONSTANT) == (Answer(True, constant=constant), rest)


@pytest.mark.parametrize(
    ("sent", "expect", "mode", "kind"),
    [
        (b"\x99\x06", Expect.NOTHING, Mode.BINARY, FaultKind.NOISE),
        (b"\x06\x05", Expect.WORD, Mode.BINARY, FaultKind.TRUNCATED),
        (b"\x06", Expect.WORD, Mode.ASCII, FaultKind.TRUNCATED),
        (b"\x0612a4\r", Expect.WORD, Mode.ASCII, FaultKind.NOISE),
        (b"\x0670000\r", Expect.WORD, Mode.ASCII, FaultKind.NOISE),
        (b"?", Expect.WORD, Mode.BINARY, FaultKind.TRUNCATED),
    ],
)
def test_damaged_answer(sent, expect, mode, kind):
    fault, _ = answered(b"?I", sent, expect, mode)
    assert isinstance(fault, FramingFault)
    assert fault.kind is kind


def test_no_answer_is_no_damage():
    assert AnswerDecoder(b"v", Mode.BINARY, Expect.WORD).flush() is None
