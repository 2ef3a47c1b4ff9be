"""One request, its answer, and nothing else, against far ends that misbehave."""

import threading
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.devices.client.errors import RefusedError
from spectralid.devices.client.wasatch import MARGIN_S, WasatchClient
from spectralid.devices.codec.wasatch import SET, Frame, Opcode, encode
from spectralid.devices.sim.serve import Reply
from spectralid.errors import ProtocolError, TransportError
from tests.devices.wasatch_lines import Recorder, Scripted, line_to, module

PIXELS = encode(Frame(Opcode.PIXEL_COUNT, b"\0\4"))
ON, OFF = (encode(Frame(Opcode.LASER, bytes([state]))) for state in (1, 0))
IMAGE = (np.arange(1024) % 97 + 1000).astype("<u2").tobytes()


INTEGRATION = encode(Frame(Opcode.INTEGRATION_TIME, b"\x64\0\0"))


def image_of(asking: WasatchClient, busy_s: float = 0.0) -> bytes:
    image, answer = asking.acquire(2048, busy_s=busy_s, then=Opcode.INTEGRATION_TIME, then_size=3)
    assert len(answer) == 3
    return image


def client(instrument, **kwargs):
    return WasatchClient(line_to(instrument), **kwargs)


def answering(*answers: bytes) -> tuple[WasatchClient, Recorder]:
    recorder = Recorder(Scripted(*answers))
    return client(recorder), recorder


def test_question_and_answer():
    asking = client(module())
    assert asking.ask(Opcode.FPGA_REVISION, 7) == b"02.1.23"
    assert asking.ask(Opcode.PIXEL_COUNT, 2) == b"\0\4"


def test_command_is_carried_out():
    asking = client(module())
    asking.command(Opcode.INTEGRATION_TIME, (250).to_bytes(3, "little"))
    assert asking.ask(Opcode.INTEGRATION_TIME, 3) == b"\xfa\0\0"


def test_image_comes_bare():
    asking = client(module())
    image = image_of(asking, 0.2)
    assert len(image) == 2048
    assert np.frombuffer(image, "<u2").mean() == pytest.approx(1208, abs=15)
    assert asking.ask(Opcode.PIXEL_COUNT, 2) == b"\0\4"


def test_requests_go_out_byte_by_byte_where_asked_for():
    recorder = Recorder(module())
    waited: list[float] = []
    asking = WasatchClient(line_to(recorder), byte_gap_s=0.001, pause=waited.append)
    asking.ask(Opcode.FPGA_REVISION, 7)
    assert recorder.writes == [bytes([b]) for b in bytes.fromhex("3c000110593e")]
    assert waited == [0.001] * 6


def test_unpaced_request_is_one_write():
    asking, recorder = answering(PIXELS)
    asking.ask(Opcode.PIXEL_COUNT, 2)
    assert len(recorder.writes) == 1


# --- silence and damage ------------------------------------------------------------------------------------


def test_silence_is_a_timeout_within_the_deadline():
    line = line_to(Scripted())
    with pytest.raises(TransportError, match="did not answer pixel count") as caught:
        WasatchClient(line).ask(Opcode.PIXEL_COUNT, 2, retries=0)
    assert caught.value.kind == "timeout"
    assert line.now_s == pytest.approx(MARGIN_S, abs=0.2)


def test_questions_are_repeated_measurements_and_commands_are_not():
    asking, recorder = answering()
    with pytest.raises(TransportError):
        asking.ask(Opcode.PIXEL_COUNT, 2)
    assert recorder.requests == [Frame(Opcode.PIXEL_COUNT)] * 3
    for call in (
        image_of,
        lambda c: c.command(Opcode.LASER, b"\1"),
        lambda c: c.ask(Opcode.LASER, 1, retries=0),
    ):
        asking, recorder = answering()
        with pytest.raises(TransportError):
            call(asking)
        assert len(recorder.requests) == 1


@given(st.integers(0, len(PIXELS) - 1), st.integers(1, 255))
def test_damaged_answer_is_asked_for_again(place, flip):
    damaged = bytearray(PIXELS)
    damaged[place] ^= flip
    asking, recorder = answering(bytes(damaged), PIXELS, PIXELS)
    assert asking.ask(Opcode.PIXEL_COUNT, 2) == b"\0\4"
    assert 2 <= len(recorder.requests) <= 3


@given(st.integers(0, len(OFF) - 1), st.integers(1, 255))
def test_no_damaged_laser_state_is_believed(place, flip):
    damaged = bytearray(OFF)
    damaged[place] ^= flip
    asking, _ = answering(bytes(damaged))
    with pytest.raises((ProtocolError, TransportError)):
        asking.ask(Opcode.LASER, 1, retries=0)


def test_damage_is_named():
    asking, _ = answering(*[PIXELS[:-2] + b"\0>"] * 3)
    with pytest.raises(ProtocolError, match=r"pixel count \(0x15\) was damaged: its checksum does not fit"):
        asking.ask(Opcode.PIXEL_COUNT, 2)
    asking, _ = answering(*[PIXELS[:5]] * 3)
    with pytest.raises(ProtocolError, match="broke off after 5 bytes"):
        asking.ask(Opcode.PIXEL_COUNT, 2)


def test_answer_of_a_wrong_size_is_damage():
    asking, _ = answering(*[encode(Frame(Opcode.PIXEL_COUNT, b"abc"))] * 3)
    with pytest.raises(ProtocolError, match="3 bytes"):
        asking.ask(Opcode.PIXEL_COUNT, 2)


@pytest.mark.parametrize("noise", [b"\0", b"hello", b"<", b"<\0", b"<\0\x3c<", b">" * 9, bytes(range(256))])
def test_noise_before_the_answer_does_no_harm(noise):
    asking, recorder = answering(noise + PIXELS)
    assert asking.ask(Opcode.PIXEL_COUNT, 2) == b"\0\4"
    assert len(recorder.requests) == 1


def test_rest_of_a_damaged_answer_does_not_reach_the_next():
    asking, _ = answering(*[b"\x3c\x00\x40" + PIXELS[:4]] * 3, encode(Frame(Opcode.LASER, b"\1")))
    with pytest.raises(ProtocolError, match="broke off"):
        asking.ask(Opcode.PIXEL_COUNT, 2)
    assert asking.ask(Opcode.LASER, 1, retries=0) == b"\1"


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("byte", "number", "meaning"),
    [
        (0xFC, -4, "busy"),
        (0xFD, -3, "address"),
        (0xFE, -2, "communication"),
        (0xFF, -1, "data error"),
        (1, 1, "length"),
        (2, 2, "checksum"),
        (3, 3, "unknown to the instrument"),
        (4, 4, "port"),
        (77, 77, "does not list it"),
    ],
)
def test_refusal_says_what_and_why(byte, number, meaning):
    for call, opcode in (
        (lambda c: c.command(Opcode.INTEGRATION_TIME, b"\1\0\0"), Opcode.INTEGRATION_TIME | SET),
        (lambda c: c.ask(Opcode.INTEGRATION_TIME, 3), Opcode.INTEGRATION_TIME),
        (image_of, Opcode.ACQUIRE),
    ):
        asking, recorder = answering(encode(Frame(opcode, bytes([byte]))))
        with pytest.raises(RefusedError, match=rf"status {number}, .*{meaning}") as caught:
            call(asking)
        assert caught.value.number == number
        assert len(recorder.requests) == 1


def test_unknown_command_and_bad_checksum_are_told_by_the_module():
    assert module().receive(bytes.fromhex("3c0001491e3e"))[0].data == encode(Frame(0x49, b"\3"))
    assert module().receive(bytes.fromhex("3c000111083e"))[0].data == encode(Frame(0x11, b"\2"))


# --- what is left of earlier exchanges ---------------------------------------------------------------------


def test_answer_to_another_question_is_thrown_away():
    asking, _ = answering(OFF + PIXELS)
    assert asking.ask(Opcode.PIXEL_COUNT, 2) == b"\0\4"
    assert asking.stale_answers == 1


def test_doubled_answer_does_not_become_the_next_one():
    asking, _ = answering(ON + ON, OFF)
    assert asking.ask(Opcode.LASER, 1) == b"\1"
    assert asking.ask(Opcode.LASER, 1) == b"\0"


def test_late_answer_is_not_taken_for_the_next_one():
    # "on" was true when it was asked; it comes after the next question, before the answer to that.
    asking, recorder = answering(b"", ON + OFF, OFF)
    with pytest.raises(TransportError):
        asking.ask(Opcode.LASER, 1, retries=0)
    assert asking.ask(Opcode.LASER, 1, retries=0) == b"\0"
    assert len(recorder.requests) == 3
    # From then on one question is enough.
    asking, recorder = answering(b"", ON, OFF, ON)
    with pytest.raises(TransportError):
        asking.ask(Opcode.LASER, 1, retries=0)
    assert [asking.ask(Opcode.LASER, 1, retries=0) for _ in range(2)] == [b"\0", b"\1"]


def test_answers_that_come_after_a_late_one_are_waited_for():
    class Slow:
        """Silent to the first question; the answer to the last but one, then that to the last, come late."""

        replies: ClassVar = [[], [Reply(ON)], [Reply(OFF), Reply(OFF, busy_s=0.02)], [Reply(ON)]]

        def receive(self, data):
            return self.replies.pop(0)

    asking = client(Slow())
    with pytest.raises(TransportError):
        asking.ask(Opcode.LASER, 1, retries=0)
    assert asking.ask(Opcode.LASER, 1, retries=0) == b"\0"
    assert asking.ask(Opcode.LASER, 1, retries=0) == b"\1"


def test_late_image_is_not_taken_for_the_next_one():
    asking, _ = answering(b"", IMAGE + IMAGE, INTEGRATION, IMAGE, INTEGRATION)
    with pytest.raises(TransportError, match="did not answer acquire"):
        image_of(asking, 0.1)
    with pytest.raises(ProtocolError, match="more than the 2048 bytes"):
        image_of(asking, 0.1)
    assert image_of(asking, 0.1) == IMAGE


def test_late_image_does_not_hide_an_answer():
    asking, _ = answering(b"", IMAGE + PIXELS)
    with pytest.raises(TransportError):
        image_of(asking, 0.1)
    assert asking.ask(Opcode.PIXEL_COUNT, 2) == b"\0\4"


def test_stale_answer_before_an_image_is_taken_off():
    asking, _ = answering(OFF + PIXELS + IMAGE, INTEGRATION)
    assert image_of(asking) == IMAGE
    assert asking.stale_answers == 2


def test_image_that_looks_like_a_frame_at_first():
    tricky = b"\x3c\x00\x05\x0a\x01\x02\x03\x04\x05\x3e" + IMAGE[10:]
    asking, _ = answering(tricky, INTEGRATION)
    assert image_of(asking) == tricky


@pytest.mark.parametrize("lost", [1, 2, 1000, 2045])
def test_short_image_is_an_error_and_the_next_one_works(lost):
    asking, _ = answering(IMAGE[lost:], IMAGE, INTEGRATION)
    with pytest.raises(ProtocolError, match=f"broke off after {2048 - lost} of 2048 bytes"):
        image_of(asking)
    assert image_of(asking) == IMAGE


@pytest.mark.parametrize("more", [b"\0", b"<", IMAGE, OFF, bytes(300)])
def test_long_image_is_an_error_and_the_next_one_works(more):
    asking, _ = answering(IMAGE + more, INTEGRATION, IMAGE, INTEGRATION)
    with pytest.raises(ProtocolError, match="more than the 2048 bytes"):
        image_of(asking)
    assert image_of(asking) == IMAGE


def test_image_costs_its_wire_time_and_one_question():
    recorder = Recorder(Scripted(IMAGE, INTEGRATION))
    line = line_to(recorder)
    asking = WasatchClient(line)
    assert asking.acquire(2048, busy_s=0.0, then=Opcode.INTEGRATION_TIME, then_size=3) == (IMAGE, b"\x64\0\0")
    assert recorder.requests == [Frame(Opcode.ACQUIRE), Frame(Opcode.INTEGRATION_TIME)]
    assert line.now_s == pytest.approx((6 + 2048 + 6 + 9) * 10 / 921_600, rel=1e-6)


def test_image_whose_end_no_answer_proves_is_not_used():
    asking, _ = answering(IMAGE, b"", IMAGE, INTEGRATION)
    with pytest.raises(TransportError, match="integration time"):
        image_of(asking)
    assert image_of(asking) == IMAGE


def test_line_that_never_falls_silent_does_not_keep_a_command_back():
    class Babbler:
        def receive(self, data):
            return [Reply(b"x" * 2000, byte_gap_s=0.001)]

    line = line_to(Babbler())
    asking = WasatchClient(line)
    for _ in range(2):
        with pytest.raises(ProtocolError):
            asking.command(Opcode.LASER, b"\0")
    assert line.now_s < 3.0


# --- echo --------------------------------------------------------------------------------------------------


def echoing(instrument):
    class Echo:
        def receive(self, data):
            return [Reply(data), *instrument.receive(data)]

    return client(Echo())


def test_local_echo_is_recognised():
    asking = echoing(module())
    assert asking.ask(Opcode.FPGA_REVISION, 7) == b"02.1.23"
    # "laser off" and its acknowledgement are the same seven bytes.
    asking.command(Opcode.LASER, b"\1")
    assert asking.ask(Opcode.LASER, 1) == b"\1"
    asking.command(Opcode.LASER, b"\0")
    assert asking.ask(Opcode.LASER, 1) == b"\0"
    assert len(image_of(asking, 0.1)) == 2048


def test_echo_of_off_is_no_acknowledgement_once_echo_is_known():
    class DeadToCommands:
        def receive(self, data):
            return module().receive(data) if data[3] < SET else []

    asking = echoing(DeadToCommands())
    asking.ask(Opcode.FPGA_REVISION, 7)
    with pytest.raises(TransportError):
        asking.command(Opcode.LASER, b"\0")


def test_echo_that_ends_is_noticed():
    device, echo = module(), [True]

    class Echo:
        def receive(self, data):
            return [*([Reply(data)] if echo else []), *device.receive(data)]

    asking = client(Echo())
    assert asking.ask(Opcode.FPGA_REVISION, 7) == b"02.1.23"
    echo.clear()
    assert asking.ask(Opcode.LASER, 1) == b"\0"
    asking.command(Opcode.LASER, b"\0")


# --- interruption ------------------------------------------------------------------------------------------


def test_interrupted_measurement_is_waited_out_by_what_comes_next():
    line = interrupted_once(line_to(module()))
    asking = WasatchClient(line)
    asking.command(Opcode.INTEGRATION_TIME, (3000).to_bytes(3, "little"))
    with pytest.raises(KeyboardInterrupt):
        image_of(asking, 6.0)
    asking.command(Opcode.LASER, b"\0")
    assert 3.0 < line.now_s < 3.2
    assert len(image_of(asking, 6.0)) == 2048


def interrupted_once(line):
    """A line on which the first read that waits long is interrupted."""
    read = line.read

    def interrupted(at_most, deadline):
        if deadline.seconds > 1:
            line.read = read
            raise KeyboardInterrupt
        return read(at_most, deadline)

    line.read = interrupted
    return line


def test_interrupted_measurement_is_not_taken_for_the_next():
    device = module()
    device._detector.integration_s = 3.0
    asking = WasatchClient(interrupted_once(line_to(device)))
    with pytest.raises(KeyboardInterrupt):
        image_of(asking, 6.0)
    image_of(asking, 6.0)
    assert device._detector.frames == 2


def test_abort_ends_a_call():
    line = line_to(module())
    asking = WasatchClient(line)
    line.abort()
    with pytest.raises(TransportError) as caught:
        image_of(asking, 0.1)
    assert caught.value.kind == "aborted"
    line.resume()
    assert len(image_of(asking, 0.1)) == 2048


def test_urgent_off_from_another_thread_does_not_fall_into_a_request():
    recorder = Recorder(module())
    others: list[threading.Thread] = []

    def pause(_):
        if not others:
            others.append(threading.Thread(target=asking.send, args=(Opcode.LASER, b"\0")))
            others[0].start()
            others[0].join(0.05)  # it has to wait for the end of the request

    asking = WasatchClient(line_to(recorder), byte_gap_s=0.001, pause=pause)
    asking.ask(Opcode.FPGA_REVISION, 7)
    others[0].join()
    assert recorder.requests == [Frame(Opcode.FPGA_REVISION), Frame(Opcode.LASER | SET, b"\0")]


def test_urgent_off_is_a_whole_command():
    recorder = Recorder(module())
    line = line_to(recorder)
    WasatchClient(line, byte_gap_s=0.001, pause=lambda _: None).send(Opcode.LASER, b"\0")
    assert b"".join(recorder.writes).hex() == "3c0002b400763e"
