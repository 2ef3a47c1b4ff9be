"""Switches of the simulator's faults, the garbling of wrong baud rates, and the line in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.devices.sim.__main__ import main
from spectralid.devices.sim.baud import misread
from spectralid.devices.sim.faults import FAULTS, NO_FAULTS, Fault, Faults, Level
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.serve import Reply
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.devices.transport import Deadline
from spectralid.errors import ParameterError, TransportError

ANSWER = bytes(range(64, 128))


class Parrot:
    """An instrument that gives one answer to anything."""

    def __init__(self, **facts):
        self.heard = []
        self.facts = facts

    def receive(self, data):
        self.heard.append(data)
        return [Reply(ANSWER, **self.facts)]


def answers(text, times=3, **facts):
    """What comes back over a line with a fault, write by write."""
    line = FaultyLine(Parrot(**facts), Faults([Fault.parse(text)], seed=3))
    return [b"".join(reply.data for reply in line.receive(b"?")) for _ in range(times)]


def test_catalogue_has_the_48_faults_in_order():
    assert [kind.number for kind in FAULTS.values()] == list(range(1, 49))
    assert {kind.level for kind in FAULTS.values()} == set(Level)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("silence", Fault("silence")),
        ("nack:9", Fault("nack", "9")),
        ("nack:9@3", Fault("nack", "9", first=3, times=1)),
        ("silence@3+", Fault("silence", first=3)),
        ("silence@spectrum", Fault("silence", spectrum_only=True)),
        ("silence@spectrum-4", Fault("silence", first=4, times=1, spectrum_only=True)),
        ("silence@spectrum-4+", Fault("silence", first=4, spectrum_only=True)),
    ],
)
def test_switches_are_read(text, fault):
    assert Fault.parse(text) == fault


@pytest.mark.parametrize("text", ["", "unheard-of", "silence@x", "silence@0", "@3", "nack:seven"])
def test_switches_that_make_no_sense(text):
    with pytest.raises(ParameterError, match="fault"):
        Fault.parse(text)


def test_fault_strikes_when_told_to_and_ends_when_healed():
    faults = Faults([Fault.parse("silence@2"), Fault.parse("echo@2+"), Fault.parse("nack@spectrum")])
    assert [faults.active("silence") for _ in range(4)] == [False, True, False, False]
    assert [faults.active("echo") for _ in range(4)] == [False, True, True, True]
    assert [faults.active("nack", spectrum=s) for s in (False, True)] == [False, True]
    assert faults.switched_on("silence")
    faults.heal()
    assert not faults.active("echo")
    assert not faults.switched_on("silence")
    assert not any(NO_FAULTS.active(name) for name in FAULTS)
    with pytest.raises(KeyError):
        faults.active("unheard-of")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("silence@2", [ANSWER, b"", ANSWER]),
        ("truncated-header:3@1", [ANSWER[:3], ANSWER, ANSWER]),
        ("truncated-payload:0.5@1", [ANSWER[:32], ANSWER, ANSWER]),
        ("duplicate@1", [ANSWER * 2, ANSWER, ANSWER]),
        ("late-reply@1", [b"", ANSWER * 2, ANSWER]),
        ("trailing-bytes:2@1", [ANSWER + b"\0\0", ANSWER, ANSWER]),
        ("echo@2", [ANSWER, b"?" + ANSWER, ANSWER]),
    ],
)
def test_what_line_faults_do(text, expected):
    assert answers(text) == expected


def test_what_seeded_line_faults_do():
    (flipped,) = answers("bit-flip", 1)
    assert sum((a ^ b).bit_count() for a, b in zip(flipped, ANSWER, strict=True)) == 1
    (shorter,) = answers("dropped-byte", 1)
    assert len(shorter) == 63
    assert any(shorter == ANSWER[:k] + ANSWER[k + 1 :] for k in range(64))
    before, after = answers("noise-before:9", 1)[0], answers("noise-between:9", 1)[0]
    assert (before[9:], after[:-9]) == (ANSWER, ANSWER)
    (stolen,) = answers("second-opener:0.5", 1)
    assert any(stolen == ANSWER[:k] + ANSWER[k + 32 :] for k in range(33))
    greeted = answers("greeting")
    assert greeted[0].endswith(ANSWER)
    assert greeted[0] != ANSWER
    assert greeted[1:] == [ANSWER, ANSWER]
    assert answers("bit-flip") == answers("bit-flip"), "the same seed, the same fault"


def test_only_answers_with_a_spectrum():
    assert answers("silence@spectrum", 1) == [ANSWER]
    assert answers("silence@spectrum", 1, spectrum=True) == [b""]


def test_overrun_loses_what_comes_at_once():
    parrot = Parrot()
    FaultyLine(parrot, Faults([Fault("input-overrun", "2")])).receive(b"hello")
    assert parrot.heard == [b"he"]


def test_line_is_lost_while_the_laser_is_on():
    laser = [False, True]
    line = FaultyLine(Parrot(), Faults([Fault("unplug-laser-on")]), laser_on=lambda: laser[0])
    assert not line.receive(b"?")[0].unplug
    laser.reverse()
    (last,) = line.receive(b"?")
    assert last.unplug
    assert last.data == ANSWER[:32]


@given(st.binary(max_size=50), st.sampled_from([2400, 9600, 115_200]))
def test_same_rate_same_bytes(data, baud):
    assert misread(data, sent_at=baud, read_at=baud) == data


def test_slow_byte_seen_by_a_receiver_twice_as_fast():
    # U is 01010101: on the line 0 1 0 1 0 1 0 1 0 1. Twice as fast, each bit is seen twice:
    # start, then 0 11 00 11 0 as the first eight data bits, of which the stop falls on a 0.
    assert misread(b"U", sent_at=9600, read_at=19_200)[:1] == bytes([0b01100110])


def test_break_is_what_a_slow_byte_of_zeros_is_to_a_fast_receiver():
    # Nine low bits last 108 of the receiver's: eleven bytes of zeros, and one in which the line rises.
    seen = misread(b"\0", sent_at=9600, read_at=115_200)
    assert set(seen[:-1]) == {0}
    assert len(seen) == 12


@given(st.binary(min_size=8, max_size=40), st.sampled_from([19_200, 57_600, 115_200]))
def test_wrong_rate_never_gives_the_bytes_back(data, baud):
    assert misread(data, sent_at=9600, read_at=baud) != data


def test_virtual_line_counts_the_time_of_wire_and_measurement():
    line = VirtualLine(Parrot(busy_s=2.0), baud=9600, far_baud=9600)
    line.write(b"x" * 96, Deadline(60))
    assert line.now_s == pytest.approx(0.1)
    assert line.read(64, Deadline(1.0)) == b""
    assert line.now_s == pytest.approx(1.1, abs=0.01)
    assert line.read(64, Deadline(5.0)) == ANSWER
    assert line.now_s == pytest.approx(2.1 + 64 / 960, abs=0.01)


def test_virtual_line_gives_what_came_before_a_deadline():
    line = VirtualLine(Parrot(byte_gap_s=0.1))
    line.write(b"x", Deadline(1))
    assert line.read(64, Deadline(1.05)) == ANSWER[:10]


def test_virtual_line_that_is_unplugged():
    line = VirtualLine(Parrot(unplug=True))
    line.write(b"x", Deadline(1))
    assert line.read(100, Deadline(1)) == ANSWER
    with pytest.raises(TransportError) as caught:
        line.read(1, Deadline(1))
    assert caught.value.kind == "disconnected"
    assert line.lost


def test_virtual_line_called_off():
    line = VirtualLine(Parrot())
    line.abort()
    with pytest.raises(TransportError) as caught:
        line.read(1, Deadline(1))
    assert caught.value.kind == "aborted"
    line.resume()
    line.write(b"x", Deadline(1))
    assert line.read(64, Deadline(1)) == ANSWER


def test_list_of_faults(capsys):
    assert main(["--fault", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 48
    assert lines[0].split()[:2] == ["1", "silence"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "unheard-of"], "fault"),
        (["--substance", "unobtainium"], "unobtainium"),
        (["--substance", "urea:much"], "urea:much"),
        (["--substance", "urea:-1"], "share"),
        (["--excitation", "20"], "excitation"),
        (["--resolution", "0"], "resolution"),
        (["--etalon", "2"], "etalon"),
        (["--protocol", "wasatch-uart", "--model", "sts"], "wasatch-uart"),
        (["--model", "wasatch-uart"], "model"),
    ],
)
def test_command_line_that_makes_no_sense(arguments, said, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
