"""One command, its answer, and nothing else: over lines where time costs nothing."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from spectralid.devices import transport
from spectralid.devices.client.errors import DamagedAnswerError, RefusedError
from spectralid.devices.client.ocean_legacy import ATTEMPTS, RETRANSMISSIONS, OceanLegacyClient
from spectralid.devices.codec.faults import Checksum
from spectralid.devices.codec.ocean_legacy import BAUD_CODES, Dialect, Layout, Mode, PixelMode
from spectralid.devices.transport import Deadline
from spectralid.errors import ParameterError, ProtocolError, TransportError
from tests.devices.legacy_lines import FLAME, PIXELS, SAD500, Rig

RATES = tuple(sorted(BAUD_CODES, reverse=True))
VERSION = b"\x06\x03\xe8"


class Waits(list):
    """Waits that are counted instead of waited."""

    def __call__(self, seconds):
        self.append(seconds)


class ScriptLine:
    """A line whose far end answers what is written, in order: bytes, nothing, or an error to raise.

    The version is always answered, so that getting in step again needs no script.
    """

    name = "script"
    baud = None

    def __init__(self, *answers):
        self.answers = list(answers)
        self.incoming = bytearray()
        self.written = []

    def write(self, data, deadline):
        self.written.append(data)
        if data == b"v":
            self.incoming += VERSION
        elif self.answers:
            self.incoming += self.answers.pop(0)

    def read(self, at_most, deadline):
        data = bytes(self.incoming[:at_most])
        del self.incoming[:at_most]
        if len(data) < at_most:
            deadline.spend(deadline.left)
        return data

    def set_baud(self, baud):
        raise AssertionError

    def close(self):
        pass

    @property
    def commands(self):
        return [command for command in self.written if command != b"v"]


def connected(line, dialect=Dialect.FLAME, mode=Mode.BINARY, rates=()):
    client = OceanLegacyClient(line, dialect=dialect, wait=Waits())
    client.connect(mode, rates=rates)
    return client


def client_of(rig, **options):
    dialect = Dialect(str(rig.profile.options["dialect"]))
    return connected(rig.line, dialect, **options)


def layout_of(rig, **changes):
    return Layout(dialect=Dialect(str(rig.profile.options["dialect"])), pixels=PIXELS, **changes)


@pytest.mark.parametrize("profile", [FLAME, SAD500])
def test_question_and_answer(profile):
    client = client_of(Rig(profile))
    assert client.version == (1000 if profile is FLAME else 1020)
    client.command("I", 250)
    assert client.ask("?I") == 250
    with pytest.raises(RefusedError, match="refuses I 0"):
        client.command("I", 0)
    with pytest.raises(RefusedError, match=r"refuses \?i"):
        client.ask("?i")
    assert client.ask("?I") == 250


@pytest.mark.parametrize("mode", [Mode.BINARY, Mode.ASCII])
@pytest.mark.parametrize(
    "chosen",
    [
        PixelMode(1, (3,)),
        PixelMode(2, (4,)),
        PixelMode(3, (5, 200, 7)),
        PixelMode(4, (3, 9, 200, 1)),
        PixelMode(5, (2, 0, 9, 100, 119)),
    ],
)
def test_every_pixel_mode(mode, chosen):
    rig = Rig(FLAME)
    client = client_of(rig, mode=mode)
    client.command("P", chosen.mode, *chosen.operands)
    record = client.acquire(layout_of(rig, pixel_mode=chosen), busy_s=0.2)
    np.testing.assert_array_equal(record.counts, rig.truth)
    assert record.counts.size == chosen.indices(PIXELS).size
    with pytest.raises(RefusedError):
        client.command("P", 9)


def test_record_of_other_pixels_than_those_set_is_damage():
    rig = Rig(FLAME)
    client = client_of(rig)
    client.command("P", 1, 2)
    with pytest.raises(DamagedAnswerError, match="pixel mode 1 where 0"):
        client.acquire(layout_of(rig), busy_s=0.2)


@pytest.mark.parametrize("first", [Mode.BINARY, Mode.ASCII])
@pytest.mark.parametrize("wanted", [Mode.BINARY, Mode.ASCII])
def test_mode_is_found_and_changed(first, wanted):
    rig = Rig(FLAME, *(["ascii-mode"] if first is Mode.ASCII else []))
    client = client_of(rig, mode=wanted)
    assert client.mode is wanted
    client.command("I", 1542)  # in binary the operand is two ACKs
    assert client.ask("?I") == 1542
    assert client.constant(0) == "FLMS00123"
    record = client.acquire(layout_of(rig), busy_s=2.0)
    np.testing.assert_array_equal(record.counts, rig.truth)


def test_instrument_that_only_claims_to_change_its_mode():
    line = ScriptLine(b"\x06")
    with pytest.raises(ProtocolError, match="does not answer in it"):
        connected(line, mode=Mode.ASCII)
    assert line.commands == [b"aA"]


@pytest.mark.parametrize("far", RATES)
def test_instrument_is_found_at_any_rate(far):
    rig = Rig(FLAME, far_baud=far)
    client = client_of(rig, rates=RATES)
    assert rig.line.baud == far
    assert client.ask("?A") == 1


def test_silent_instrument_is_given_up_and_the_rate_restored():
    rig = Rig(FLAME, "silence")
    with pytest.raises(TransportError, match=r"115200, .* baud") as caught:
        client_of(rig, rates=RATES)
    assert caught.value.kind == "timeout"
    assert rig.line.baud == 9600
    assert rig.line.now_s < 10


def test_one_answer_is_not_enough_to_believe_in_an_instrument():
    line = ScriptLine()
    rest = iter([b"\x06ab", b"\x06cd", b"\x06ef", b"\x06gh"])
    line.write = lambda data, deadline: line.incoming.extend(next(rest, b""))
    with pytest.raises(TransportError, match="did not answer version"):
        connected(line)


@pytest.mark.parametrize("profile", [FLAME, SAD500])
def test_change_of_rate(profile):
    rig = Rig(profile, far_baud=9600)
    client = client_of(rig)
    assert client.change_baud(115200)
    assert rig.line.baud == 115200
    assert 0.06 in client._wait  # more than 50 ms between the halves, as the manual asks
    assert client.ask("?K") == 6
    record = client.acquire(layout_of(rig), busy_s=0.2)
    np.testing.assert_array_equal(record.counts, rig.truth)
    assert client.change_baud(115200)
    assert client.change_baud(2400)
    assert client.ask("?K") == 0


def test_rates_the_protocol_does_not_know():
    rig = Rig(FLAME, far_baud=9600)
    with pytest.raises(ParameterError, match="2400, 4800"):
        client_of(rig).change_baud(14400)
    assert connected(ScriptLine()).change_baud(115200) is False  # a line without a rate


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        ("nak-baud", False),
        ("baud-ack-lost:first", False),
        ("baud-ack-lost:second", True),
        ("baud-ack-lost:revert", False),
    ],
)
def test_change_of_rate_that_goes_wrong_leaves_both_at_one_rate(fault, changed):
    rig = Rig(FLAME, fault, far_baud=9600)
    client = client_of(rig)
    assert client.change_baud(57600) is changed
    assert rig.line.baud == (57600 if changed else 9600)
    assert client.ask("?A") == 1


def test_instrument_lost_during_a_change_of_rate():
    rig = Rig(FLAME, far_baud=9600)
    client = client_of(rig)
    rig.line._far_baud = 300  # where nobody looks for it
    with pytest.raises(TransportError, match="lost while changing"):
        client.change_baud(115200)
    assert rig.line.baud == 9600


def test_sad500_gets_a_pause_between_bytes_and_the_flame_none():
    for profile, pauses, writes in ((SAD500, 2, 3), (FLAME, 0, 1)):
        rig = Rig(profile)
        client = client_of(rig)
        sent = []
        write = rig.line.write
        rig.line.write = lambda data, deadline, write=write, sent=sent: (
            sent.append(data),
            write(data, deadline),
        )
        client._wait.clear()
        client.command("I", 100)
        assert (list(client._wait), len(sent)) == ([0.001] * pauses, writes)


def test_urgent_command_does_not_fall_between_the_bytes_of_another():
    rig = Rig(SAD500)
    client = client_of(rig)
    threads = []

    def wait(seconds):
        # While another command is half sent, somebody wants the light off.
        if not threads:
            threads.append(threading.Thread(target=client.send, args=("J", 0)))
            threads[0].start()

    client._wait = wait
    sent = []
    write = rig.line.write
    rig.line.write = lambda data, deadline: (sent.append(data), write(data, deadline))
    client.command("I", 100)
    threads[0].join()
    client._wait = Waits()
    assert b"".join(sent).startswith(b"I\x00\x64")
    assert not client.in_step
    assert client.ask("?J") == 0


def test_question_is_asked_again_and_a_command_is_not():
    line = ScriptLine(b"", b"\x99", b"\x06\x00\x07")
    assert connected(line).ask("?A") == 7
    assert line.commands == [b"?A"] * 3
    line = ScriptLine(*[b""] * 9)
    with pytest.raises(TransportError, match=r"did not answer \?A"):
        connected(line).ask("?A")
    assert line.commands == [b"?A"] * ATTEMPTS
    for answer, error in ((b"", TransportError), (b"\x99", DamagedAnswerError)):
        line = ScriptLine(answer)
        with pytest.raises(error):
            connected(line).command("G", 1)
        assert len(line.commands) == 1


def test_refused_question_is_not_asked_again():
    line = ScriptLine(b"\x15")
    with pytest.raises(RefusedError, match="NAK"):
        connected(line).ask("?A")
    assert len(line.commands) == 1


def test_answer_with_something_stuck_to_it_counts_when_it_comes_twice():
    # An ACK from the noise makes of 06 00 07 the answer 06 06 00, with a 7 left over.
    line = ScriptLine(b"\x06\x06\x00\x07", b"\x06\x00\x07", b"never")
    assert connected(line).ask("?A") == 7
    line = ScriptLine(*[b"\x06\x00\x07\x00\x00"] * 2)
    assert connected(line).ask("?A") == 7
    line = ScriptLine(b"\x06\x00\x07x", b"\x06\x00\x08x", b"\x06\x00\x09x")
    with pytest.raises(DamagedAnswerError, match="differently each time"):
        connected(line).ask("?A")


def test_constant_must_come_the_same_twice():
    line = ScriptLine(b"\x06346.5\0", b"\x06346.4\0", b"\x06346.4\0")
    assert connected(line).constant(1) == "346.4"
    line = ScriptLine(b"\x06346.5\0", b"\x06346.4\0", b"\x06346.3\0")
    with pytest.raises(DamagedAnswerError):
        connected(line).constant(1)


def test_late_answer_is_not_taken_for_the_next():
    line = ScriptLine(b"")
    client = connected(line)
    with pytest.raises(TransportError):
        client.command("A", 5)
    assert not client.in_step
    line.incoming += b"\x15"  # the answer to it, too late
    line.answers = [b"\x06\x00\x09"]
    assert client.ask("?A") == 9
    assert client.in_step


def test_bytes_nobody_asked_for_are_thrown_away():
    line = ScriptLine(b"\x06\x00\x09")
    client = connected(line)
    line.incoming += b"\x06\x00\x01"
    assert client.ask("?A") == 9


def test_late_spectrum_is_not_taken_for_the_next():
    rig = Rig(FLAME, "late-reply@spectrum")
    client = client_of(rig)
    with pytest.raises(TransportError) as caught:
        client.acquire(layout_of(rig), busy_s=0.2)
    assert caught.value.kind == "timeout"
    stale = rig.truth
    rig.faults.heal()
    record = client.acquire(layout_of(rig), busy_s=0.2)
    np.testing.assert_array_equal(record.counts, rig.truth)
    assert not np.array_equal(record.counts, stale)


def test_out_of_step_with_an_instrument_that_is_gone():
    rig = Rig(FLAME)
    client = client_of(rig)
    client.send("J", 0)
    rig.line._instrument.receive = lambda data: []
    begun = rig.line.now_s
    with pytest.raises(TransportError, match="after an answer was lost"):
        client.ask("?A")
    assert rig.line.now_s - begun < ATTEMPTS * 1.1


def test_measurement_is_asked_for_once():
    line = ScriptLine(b"")
    with pytest.raises(TransportError, match="did not answer S"):
        connected(line).acquire(Layout(Dialect.FLAME, 4), busy_s=0.1)
    assert line.commands == [b"S"]


@pytest.mark.parametrize(("byte", "why"), [(b"\x03", "no memory"), (b"\x15", "refuses")])
def test_measurement_refused(byte, why):
    line = ScriptLine(byte, b"\x06\x00\x01")
    client = connected(line)
    with pytest.raises(RefusedError, match=why):
        client.acquire(Layout(Dialect.FLAME, 4), busy_s=0.1)
    assert client.ask("?A") == 1
    assert line.written.count(b"v") == line.written.index(b"S")  # no need to get in step again


def test_refusal_byte_before_a_record_is_noise():
    rig = Rig(FLAME)
    client = client_of(rig)
    receive = rig.line._instrument.receive

    def noisy(data):
        if data == b"S":
            rig.line._arriving.append((rig.line.now_s, b"\x03\x15\x02"))
        return receive(data)

    rig.line._instrument.receive = noisy
    np.testing.assert_array_equal(client.acquire(layout_of(rig), busy_s=0.2).counts, rig.truth)


@pytest.mark.parametrize(
    "fault", ["bit-flip@spectrum-1", "truncated-payload@spectrum-1", "dropped-byte@spectrum-1"]
)
def test_sad500_sends_a_damaged_record_again(fault):
    for again in (True, False):
        rig = Rig(SAD500, fault, stx_again=again)
        client = client_of(rig)
        client.command("k", 1)
        record = client.acquire(layout_of(rig, checksum=True), busy_s=0.2)
        np.testing.assert_array_equal(record.counts, rig.truth)
        assert record.checksum is Checksum.VERIFIED
        assert rig.detector.frames == 1  # sent again, not measured again


def test_record_that_stays_damaged_is_given_up():
    rig = Rig(SAD500, "bit-flip@spectrum")
    client = client_of(rig)
    client.command("k", 1)
    sent = []
    write = rig.line.write
    rig.line.write = lambda data, deadline: (sent.append(data), write(data, deadline))
    with pytest.raises(DamagedAnswerError, match=r"spectrum .* was damaged"):
        client.acquire(layout_of(rig, checksum=True), busy_s=0.2)
    assert b"".join(sent) == b"S" + b"O\x00\x01" * RETRANSMISSIONS


def test_flame_cannot_send_again():
    rig = Rig(FLAME, "bit-flip@spectrum-1")
    client = client_of(rig)
    client.command("k", 1)
    with pytest.raises(DamagedAnswerError, match="checksum does not fit"):
        client.acquire(layout_of(rig, checksum=True), busy_s=0.2)
    np.testing.assert_array_equal(client.acquire(layout_of(rig, checksum=True), busy_s=0.2).counts, rig.truth)


def test_compressed_record_with_bytes_left_over_is_damaged():
    # One mark flipped into a difference makes three pixels of one, and two pixels too many.
    rig = Rig(FLAME, "trailing-bytes:2@spectrum")
    client = client_of(rig)
    client.command("G", 1)
    with pytest.raises(DamagedAnswerError, match="more bytes came"):
        client.acquire(layout_of(rig, compressed=True), busy_s=0.2)


def test_interrupted_measurement_is_waited_out_by_what_comes_next():
    rig = Rig(FLAME)
    client = client_of(rig)
    read = rig.line.read
    deadlines = []
    interrupted = []

    def interrupted_once(at_most, deadline):
        deadlines.append(deadline.seconds)
        if deadline.seconds > 60 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return read(at_most, deadline)

    rig.line.read = interrupted_once
    with pytest.raises(KeyboardInterrupt):
        client.acquire(layout_of(rig), busy_s=60.0)
    deadlines.clear()
    client.command("J", 0)
    assert max(deadlines) > 60
    deadlines.clear()
    client.ask("?J")
    assert max(deadlines) < 5


def test_lost_line_is_said_at_once():
    rig = Rig(FLAME)
    client = client_of(rig)
    rig.line._lost_at = rig.line.now_s
    for call in (lambda: client.ask("?A"), lambda: client.command("G", 0), lambda: client.change_baud(2400)):
        with pytest.raises(TransportError) as caught:
            call()
        assert caught.value.kind == "disconnected"


def test_line_that_never_falls_silent_does_not_hold_anybody_for_ever(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: clock.now))

    class Babble(ScriptLine):
        def read(self, at_most, deadline):
            clock.now += 0.01
            return b"\x55" * min(at_most, 20)

    client = OceanLegacyClient(Babble(), dialect=Dialect.FLAME, wait=Waits())
    with pytest.raises(TransportError):
        client.connect()
    assert clock.now < 10
    client.version = 1000
    begun = clock.now
    with pytest.raises(TransportError):
        client.ask("?A")
    assert clock.now - begun < 10


def test_deadline_of_a_spectrum_counts_bytes_and_rate():
    seen = {}
    for baud in (2400, 115200):
        rig = Rig(FLAME, far_baud=9600)
        client = client_of(rig)
        client.change_baud(baud)
        read = rig.line.read
        longest = []
        rig.line.read = lambda n, d, read=read, longest=longest: (longest.append(d.seconds), read(n, d))[1]
        client.acquire(layout_of(rig), busy_s=0.5)
        seen[baud] = max(longest)
    wire = 2 * (PIXELS + 8) * 10
    assert seen[2400] - seen[115200] == pytest.approx(wire / 2400 - wire / 115200, rel=1e-6)
    assert isinstance(Deadline(seen[2400]).left, float)
