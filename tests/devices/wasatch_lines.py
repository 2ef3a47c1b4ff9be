"""Wasatch modules on simulated lines, for tests: waiting costs no time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from spectralid.devices.codec.wasatch import Decoder, Frame
from spectralid.devices.profile import load_profile
from spectralid.devices.sim.faults import NO_FAULTS, Faults
from spectralid.devices.sim.physics import Bench, Detector, SampleBand
from spectralid.devices.sim.serve import Reply
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.devices.sim.wasatch import WasatchInstrument

BANDS = (SampleBand(620.0, 0.3, 10.0), SampleBand(1001.4, 1.0, 10.0), SampleBand(1602.3, 0.4, 12.0))
BAUD = 921_600
BUNDLED = load_profile("wasatch-wp-785")


def with_options(**options: object):
    """The bundled profile, without pauses between bytes and with these options."""
    return replace(
        BUNDLED, options=MappingProxyType({**BUNDLED.options, "byte_gap_ms": 0.0, **options}), warning_s=0.0
    )


PROFILE = with_options()


def module(
    faults: Faults = NO_FAULTS, *, bands=BANDS, pages: Mapping[int, bytes] | None = None, **options: object
) -> WasatchInstrument:
    detector = Detector(Bench(), bands, seed=4, faults=faults)
    return WasatchInstrument(detector, "WP-00042", faults=faults, pages=pages, **options)


class Recorder:
    """Passes bytes on to an instrument and keeps them; may change the answers."""

    def __init__(self, instrument, change: Callable[[Reply], Reply | None] = lambda reply: reply) -> None:
        self._instrument = instrument
        self._change = change
        self.writes: list[bytes] = []

    def receive(self, data: bytes) -> list[Reply]:
        self.writes.append(data)
        changed = map(self._change, self._instrument.receive(data))
        return [reply for reply in changed if reply is not None]

    @property
    def requests(self) -> list[Frame]:
        return [f for f in Decoder().feed(b"".join(self.writes)) if isinstance(f, Frame)]


class Scripted:
    """Answers each write with the next of some byte strings."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)

    def receive(self, data: bytes) -> list[Reply]:
        return [Reply(self._answers.pop(0))] if self._answers else []


def line_to(instrument) -> VirtualLine:
    return VirtualLine(instrument, baud=BAUD)
