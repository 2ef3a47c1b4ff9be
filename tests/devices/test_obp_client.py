"""One request, its answer, and nothing else, against a simulated far end that misbehaves."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.devices.client.errors import RefusedError
from spectralid.devices.client.obp import ObpClient
from spectralid.devices.codec.faults import Checksum
from spectralid.devices.codec.obp import Decoder, Flag, Frame, Message, encode
from spectralid.devices.sim.faults import Fault, Faults
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.obp import ObpInstrument
from spectralid.devices.sim.physics import Bench, Detector
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.devices.transport import Deadline
from spectralid.errors import ProtocolError, TransportError
from tests.devices.lines import MemoryLine, instrument, line_to


def client(line: MemoryLine, **kwargs: object) -> ObpClient:
    return ObpClient(line, margin_s=5.0, **kwargs)


def answering(*answers: Frame | bytes | None) -> MemoryLine:
    """A line that answers the requests in turn; a frame is given the number of the request it answers."""
    rest = list(answers)

    def answer(data: bytes) -> bytes:
        (request,) = Decoder().feed(data)
        reply = rest.pop(0)
        if isinstance(reply, Frame):
            return encode(replace(reply, regarding=request.regarding))
        return reply or b""

    return MemoryLine(answer)


SERIAL = Frame(Message.SERIAL_NUMBER, b"ABC", Flag.RESPONSE)


def test_question_and_answer():
    assert client(line_to(instrument())).ask(Message.SERIAL_NUMBER) == b"SIM-TEST"


def test_md5_is_used_once_agreed():
    line = line_to(instrument())
    asking = client(line)
    assert asking.negotiate_checksum() is Checksum.VERIFIED
    asking.ask(Message.SERIAL_NUMBER)
    assert [r.checksum for r in line.requests] == [Checksum.ABSENT, Checksum.VERIFIED]


def test_instrument_without_md5_goes_on_without():
    asking = client(answering(Frame(Message.CHECKSUM_TYPE, flags=Flag.NACK, error=2), SERIAL))
    assert asking.negotiate_checksum() is Checksum.ABSENT
    assert asking.ask(Message.SERIAL_NUMBER) == b"ABC"


def test_answer_without_the_agreed_checksum_is_not_used():
    agreed = Frame(Message.CHECKSUM_TYPE, flags=Flag.ACK)
    line = answering(agreed, SERIAL, agreed, SERIAL, agreed, SERIAL)
    asking = client(line)
    asking.negotiate_checksum()
    with pytest.raises(ProtocolError, match="without the checksum"):
        asking.ask(Message.SERIAL_NUMBER)
    # An instrument that was reset has forgotten the agreement: it is made again before the next question.
    kinds = [request.message for request in line.requests]
    assert kinds == [Message.CHECKSUM_TYPE, Message.SERIAL_NUMBER] * 3


def test_instrument_that_was_reset_says_so_and_is_asked_for_checksums_again():
    device = ObpInstrument(
        Detector(Bench(), (), seed=0),
        "X",
        faults=Faults([Fault("reset-mid-scan", first=2, times=1, spectrum_only=True)]),
    )
    asking = client(line_to(device))
    asking.negotiate_checksum()
    asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=2048)
    with pytest.raises(RefusedError, match="reset unexpectedly") as caught:
        asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=2048)
    assert caught.value.number == 9
    assert len(asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=2048)) == 2048
    assert asking.checksum is Checksum.VERIFIED


FAST = 115_200


def at_a_rate(*faults, far_baud=9600, baud_ack="old"):
    """A client and a line that garbles what is sent at another rate, the instrument at `far_baud`."""
    device = ObpInstrument(
        Detector(Bench(), (), seed=0), "SIM-TEST", faults=Faults(faults), baud_ack=baud_ack
    )
    line = VirtualLine(device, baud=9600, far_baud=far_baud)
    return client(line), line


@pytest.mark.parametrize("baud_ack", ["old", "new"])
def test_both_ends_change_to_the_fast_rate(baud_ack):
    asking, line = at_a_rate(baud_ack=baud_ack)
    asking.negotiate_checksum()
    assert asking.negotiate_baud(FAST, settle_s=3.0) == FAST
    assert line.baud == FAST
    assert asking.ask(Message.SERIAL_NUMBER) == b"SIM-TEST"
    before = line.now_s
    asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=1.0, expect=2048)
    # 2112 bytes of ten bits and a request of 64, and 0.1 s of integration.
    assert line.now_s - before == pytest.approx(0.1 + (2112 + 64) * 10 / FAST, rel=0.01)


def test_line_is_left_alone_after_the_change():
    asking, line = at_a_rate()
    asking.negotiate_baud(FAST, settle_s=3.0)
    assert line.now_s > 3.0


@pytest.mark.parametrize(
    ("fault", "agreed"),
    [
        (Fault("baud-ack-lost", "first"), FAST),
        (Fault("baud-ack-lost", "revert"), 9600),
        (Fault("nak-baud"), 9600),
        (Fault("silence", first=2, times=1), FAST),
        (Fault("silence", first=2, times=3), 9600),
    ],
)
def test_rate_is_found_again_whatever_is_lost(fault, agreed):
    """Silence from the second answer on is the second acknowledgement lost."""
    asking, line = at_a_rate(fault)
    if fault.name == "silence":
        # The fault belongs to the line: answers at the new rate get lost.
        line._instrument = FaultyLine(line._instrument, Faults([fault]))
    if fault.times == 3:
        # Nothing is heard at the new rate; at the old one the instrument is not there any more.
        with pytest.raises((TransportError, ProtocolError)):
            asking.negotiate_baud(FAST, settle_s=0.1)
        return
    assert asking.negotiate_baud(FAST, settle_s=0.1) == agreed
    assert asking.ask(Message.SERIAL_NUMBER) == b"SIM-TEST"


def test_wrong_rate_is_damage_or_silence_never_an_answer():
    for far in (2400, 4800, 19_200, 57_600, 115_200):
        asking, _ = at_a_rate(far_baud=far)
        with pytest.raises((TransportError, ProtocolError)):
            asking.ask(Message.SERIAL_NUMBER)


def test_change_that_is_made_although_it_was_refused_is_found():
    device = ObpInstrument(
        Detector(Bench(), (), seed=0), "SIM-TEST", faults=Faults([Fault("exception", first=1, times=1)])
    )
    asking = client(VirtualLine(device, baud=9600, far_baud=9600))
    assert asking.negotiate_baud(FAST, settle_s=0.1) == FAST
    assert asking.ask(Message.SERIAL_NUMBER) == b"SIM-TEST"


def test_damaged_message_from_before_does_not_answer_the_next_question():
    damaged = bytearray(encode(SERIAL))
    damaged[-1] ^= 1
    device = instrument()
    line = line_to(device)
    asking = client(line)
    line._incoming += damaged
    asking.command(Message.SET_LIGHT_SOURCE_ENABLE, b"\0\0\0")


def test_network_has_no_rate_to_change():
    assert client(line_to(instrument())).negotiate_baud(FAST, settle_s=0.1) is None


def test_stale_answer_is_thrown_away():
    stale = encode(Frame(Message.SERIAL_NUMBER, b"OLD", Flag.RESPONSE, regarding=41))
    line = MemoryLine(lambda _: stale + encode(replace(SERIAL, regarding=43)))
    asking = client(line, new_number=lambda: 42)
    assert asking.ask(Message.SERIAL_NUMBER) == b"ABC"
    assert asking.stale_answers == 1


def test_doubled_answer_does_not_become_the_next_one():
    device = instrument()
    line = line_to(device, lambda answer: answer * 2)
    asking = client(line)
    asking.ask(Message.SERIAL_NUMBER)
    assert asking.ask(Message.WAVELENGTH_COEFFICIENT_COUNT) == b"\x04"
    assert asking.stale_answers == 1


def test_late_answer_after_a_timeout_is_thrown_away():
    late: list[bytes] = []

    def answer(data: bytes) -> bytes:
        (request,) = Decoder().feed(data)
        own = encode(replace(SERIAL, data=bytes([len(late)]), regarding=request.regarding))
        late.append(own)
        # The first answer comes only with the second request, before its own.
        return b"" if len(late) == 1 else b"".join(late)

    asking = client(MemoryLine(answer))
    assert asking.ask(Message.SERIAL_NUMBER) == b"\x01"


def test_questions_are_repeated_measurements_and_commands_are_not():
    silent = answering(*[None] * 5)
    with pytest.raises(TransportError, match="did not answer serial number") as caught:
        client(silent).ask(Message.SERIAL_NUMBER)
    assert caught.value.kind == "timeout"
    assert len(silent.written) == 3
    for call in (
        lambda c: c.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=0),
        lambda c: c.command(Message.SET_LIGHT_SOURCE_ENABLE, b"\0\0\1"),
    ):
        silent = answering(None)
        with pytest.raises(TransportError):
            call(client(silent))
        assert len(silent.written) == 1


def test_damaged_answer_is_asked_for_again():
    damaged = bytearray(encode(SERIAL))
    damaged[-1] ^= 1
    line = answering(bytes(damaged), SERIAL)
    assert client(line).ask(Message.SERIAL_NUMBER) == b"ABC"
    assert len(line.written) == 2


def test_damaged_measurement_is_an_error_and_the_next_one_works():
    device = instrument()
    damage = iter([False, True, False])

    def corrupt(answer: bytes) -> bytes:
        flipped = bytearray(answer)
        if next(damage):
            flipped[500] ^= 0x10
        return bytes(flipped)

    asking = client(line_to(device, corrupt))
    asking.negotiate_checksum()
    with pytest.raises(ProtocolError, match="checksum does not fit"):
        asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=2048)
    assert len(asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=2048)) == 2048


def test_truncated_answer_does_not_swallow_the_next():
    device = instrument()
    cut = iter([60, None])
    asking = client(line_to(device, lambda answer: answer[: next(cut)]))
    with pytest.raises(ProtocolError, match="broke off after 60 bytes"):
        asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=2048)
    assert asking.ask(Message.SERIAL_NUMBER) == b"SIM-TEST"


def test_noise_before_the_answer_does_no_harm():
    line = line_to(instrument(), lambda answer: b"\xc1\x00hello\xc1\xc0" + answer)
    assert client(line).ask(Message.SERIAL_NUMBER) == b"SIM-TEST"


@pytest.mark.parametrize(
    ("error", "meaning"), [(7, "not ready"), (2, "unknown"), (13, "internal error"), (99, "does not list it")]
)
def test_refusal_says_what_and_why(error, meaning):
    line = answering(Frame(Message.SERIAL_NUMBER, flags=Flag.NACK, error=error))
    with pytest.raises(RefusedError, match=f"serial number .*error {error}, .*{meaning}") as caught:
        client(line).ask(Message.SERIAL_NUMBER)
    assert caught.value.number == error
    assert len(line.written) == 1


def test_exception_flag_is_an_error_although_data_came():
    line = answering(replace(SERIAL, flags=Flag.RESPONSE | Flag.EXCEPTION, error=13))
    with pytest.raises(ProtocolError, match="hardware fault"):
        client(line).ask(Message.SERIAL_NUMBER)


def test_deferred_answer_is_waited_for():
    def answer(data: bytes) -> bytes:
        (request,) = Decoder().feed(data)
        deferred = Frame(Message.SERIAL_NUMBER, error=255, regarding=request.regarding)
        return encode(deferred) + encode(replace(SERIAL, regarding=request.regarding))

    assert client(MemoryLine(answer)).ask(Message.SERIAL_NUMBER) == b"ABC"


def test_answer_to_another_question_is_refused():
    with pytest.raises(ProtocolError, match="does not keep to the protocol"):
        client(answering(replace(SERIAL, message=0x1234))).ask(Message.SERIAL_NUMBER)


def test_interrupted_measurement_is_waited_out_by_what_comes_next():
    device = instrument()
    line = line_to(device)
    deadlines: list[float] = []
    read = line.read

    def interrupted_once(at_most: int, deadline: Deadline) -> bytes:
        if not deadline.seconds:  # what came before the question
            return read(at_most, deadline)
        deadlines.append(deadline.seconds)
        if len(deadlines) == 1:
            raise KeyboardInterrupt
        return read(at_most, deadline)

    line.read = interrupted_once
    asking = client(line)
    with pytest.raises(KeyboardInterrupt):
        asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=60.0, expect=2048)
    asking.command(Message.SET_LIGHT_SOURCE_ENABLE, b"\0\0\0")
    assert deadlines[0] == pytest.approx(65.0, abs=1)
    assert 60.0 < deadlines[1] <= deadlines[0]
    # The frame nobody took was recognised as one, and what follows need not wait.
    assert asking.stale_answers == 1
    asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=0.0, expect=2048)
    asking.ask(Message.SERIAL_NUMBER)
    assert deadlines[-1] == pytest.approx(5.0, abs=1)


def test_setting_must_be_acknowledged():
    line = answering(Frame(Message.SET_INTEGRATION_TIME, flags=Flag.RESPONSE))
    with pytest.raises(ProtocolError, match="without saying whether"):
        client(line).command(Message.SET_INTEGRATION_TIME, b"\0\0\0\1")
    assert line.requests[0].flags == Flag.ACK_REQUESTED


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_single_byte_error_yields_another_spectrum(data):
    """Flip, loss or insertion of any byte of a proved answer: an error, or the very same data."""
    counts = bytes(range(256)) * 8
    kind = data.draw(st.sampled_from(["flip", "drop", "insert"]))
    value = data.draw(st.integers(1, 255))

    def answer(request: bytes) -> bytes:
        (asked,) = Decoder().feed(request)
        if asked.message == Message.CHECKSUM_TYPE:
            return encode(replace(asked, data=b"", flags=Flag.ACK))
        frame = Frame(asked.message, counts, regarding=asked.regarding, checksum=Checksum.VERIFIED)
        sent = bytearray(encode(frame))
        place = data.draw(st.integers(0, len(sent) - 1), label="place")
        if kind == "flip":
            sent[place] ^= value
        elif kind == "drop":
            del sent[place]
        else:
            sent.insert(place, value)
        return bytes(sent)

    asking = client(MemoryLine(answer))
    asking.negotiate_checksum()
    try:
        got = asking.acquire(Message.CORRECTED_SPECTRUM, busy_s=0, expect=len(counts))
    except (ProtocolError, TransportError):
        return
    assert got == counts
    assert asking.checksum is Checksum.VERIFIED
