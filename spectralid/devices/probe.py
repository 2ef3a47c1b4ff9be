"""Which protocol answers on a port, found with questions only.

Each question is one that the manuals allow at any time, and none contains what would mean "laser on" in
another's protocol. Still, an instrument that listens at another rate may read something else: probe with the
laser's key off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from spectralid.devices.codec import obp, ocean_legacy, wasatch
from spectralid.devices.profile import Profile
from spectralid.devices.transport import BITS_PER_BYTE, Deadline, Transport
from spectralid.errors import ParameterError

__all__ = ["PROBES", "Answer", "Probe", "probe", "probes_for"]

_ANSWER_S: Final = 1.0
_QUIET_S: Final = 0.1
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Probe:
    """One question at one rate.

    Attributes
    ----------
    protocol : str
        The protocol it belongs to.
    baud : int
        Rate it is asked at.
    question : bytes
        What is sent.
    read : callable
        What the answer says in words; ``None`` for bytes that are no answer.
    """

    protocol: str
    baud: int
    question: bytes
    read: Callable[[bytes], str | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered.

    Attributes
    ----------
    protocol : str
        The protocol.
    baud : int
        The rate.
    says : str
        What the instrument said of itself.
    """

    protocol: str
    baud: int
    says: str


def _obp(received: bytes) -> str | None:
    for item in obp.Decoder().feed(received):
        if isinstance(item, obp.Frame) and item.message == obp.Message.SERIAL_NUMBER:
            serial = item.data.split(b"\0")[0].decode("ascii", errors="replace").strip()
            return f"serial number {serial}" if serial else "no serial number"
    return None


def _wasatch(received: bytes) -> str | None:
    frames = [item for item in wasatch.Decoder().feed(received) if isinstance(item, wasatch.Frame)]
    if not frames:
        return None
    first = frames[0]
    if first.opcode == wasatch.Opcode.FPGA_REVISION and len(first.data) > 1:
        return f"FPGA revision {first.data.decode('ascii', errors='replace')}"
    return "no revision"  # a refusal is proof enough of who is there


def _legacy(received: bytes) -> str | None:
    told = ocean_legacy.read_version(received)
    return None if told is None else f"version {told[1]}, {told[0].value} mode"


def _questions(baud: int) -> tuple[Probe, ...]:
    return (
        # First the one without a single letter in it: to the older protocol every letter is a command.
        Probe("obp", baud, obp.encode(obp.Frame(obp.Message.SERIAL_NUMBER)), _obp),
        Probe("ocean-legacy", baud, b"v", _legacy),
    )


PROBES: Final[Sequence[Probe]] = (
    *_questions(9600),
    *_questions(115_200),
    Probe(
        "wasatch-uart",
        921_600,
        wasatch.encode(wasatch.Frame(wasatch.Opcode.FPGA_REVISION)),
        _wasatch,
    ),
)
"""Every question, in the order in which they are asked: slow rates first, so that an instrument that listens
slowly never hears bytes too fast for it before it has been found."""


def probes_for(profile: Profile) -> tuple[Probe, ...]:
    """The questions for the protocol of `profile`, at its rates.

    Raises
    ------
    ParameterError
        If the protocol has no question that is nothing but a question.
    """
    rates = [profile.baud]
    fast = profile.options.get("fast_baud")
    if isinstance(fast, int | float) and fast not in rates:
        rates.append(int(fast))
    template = {probe.protocol: probe for probe in PROBES}.get(profile.protocol)
    if template is None:
        known = ", ".join(sorted({probe.protocol for probe in PROBES}))
        raise ParameterError(
            "profile", profile.name, f"of an instrument that can be asked who it is (protocols {known})"
        )
    return tuple(Probe(template.protocol, rate, template.question, template.read) for rate in rates)


def probe(line: Transport, probes: Sequence[Probe] = PROBES) -> Answer | None:
    """Ask until somebody answers.

    Parameters
    ----------
    line : Transport
        The line; its rate is changed. A line without one is asked each question once.
    probes : sequence of Probe
        The questions.

    Returns
    -------
    Answer or None
        ``None`` if nobody answers.

    Raises
    ------
    TransportError
        If the line fails.
    """
    asked: set[bytes] = set()
    for item in probes:
        if line.baud is None and item.question in asked:
            continue
        asked.add(item.question)
        line.set_baud(item.baud)
        line.read(_LONGEST, Deadline(0.0))  # what an earlier question, or a greeting, left
        wire_s = (len(item.question) + _LONGEST) * BITS_PER_BYTE / item.baud if line.baud else 0.0
        line.write(item.question, Deadline(_ANSWER_S + wire_s))
        received = bytearray()
        deadline = Deadline(_ANSWER_S)
        while deadline.left and len(received) < _LONGEST:
            piece = line.read(1, deadline)
            if piece:
                piece += line.read(_LONGEST, Deadline(_QUIET_S))
            received += piece
            # A line that echoes, with nobody behind it, is no instrument.
            if (says := item.read(bytes(received).removeprefix(item.question))) is not None:
                return Answer(item.protocol, item.baud, says)
    return None
