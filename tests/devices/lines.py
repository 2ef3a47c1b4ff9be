"""Lines and instruments for tests: no port, no clock but the deadline's own, nothing random."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spectralid.devices.codec.obp import Decoder, Frame
from spectralid.devices.driver import Capabilities, Identity, Interlock, RawFrame
from spectralid.devices.profile import Profile
from spectralid.devices.sim.obp import ObpInstrument
from spectralid.devices.sim.physics import Bench, Detector, SampleBand
from spectralid.devices.transport import Deadline
from spectralid.errors import DeviceError, TransportError

PROFILE = Profile(
    name="Test 785",
    protocol="obp",
    tried_on_hardware=False,
    baud=9600,
    pixels=1024,
    adc_max=65535,
    laser_nm=785.0,
    integration_ms=(1.0, 10_000.0),
    warning_s=3.0,
    maximum_on_s=60.0,
    safety="Careful.",
)

BANDS = (SampleBand(620.0, 0.3, 10.0), SampleBand(1001.4, 1.0, 10.0), SampleBand(1602.3, 0.4, 12.0))


def instrument(seed: int = 0, bands: tuple[SampleBand, ...] = BANDS) -> ObpInstrument:
    return ObpInstrument(Detector(Bench(), bands, seed=seed), "SIM-TEST")


class MemoryLine:
    """A line whose far end is a function from the bytes written to the bytes that come back.

    A read that finds nothing lets the deadline pass at once instead of waiting for it.
    """

    name = "memory"
    baud = None

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._incoming = bytearray()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes, deadline: Deadline) -> None:
        self.written.append(data)
        self._incoming += self._answer(data)

    def read(self, at_most: int, deadline: Deadline) -> bytes:
        data = bytes(self._incoming[:at_most])
        del self._incoming[:at_most]
        if not data:
            deadline._end = 0.0
        return data

    def set_baud(self, baud: int) -> None: ...

    def abort(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    @property
    def requests(self) -> list[Frame]:
        return [f for f in Decoder().feed(b"".join(self.written)) if isinstance(f, Frame)]


def line_to(device: ObpInstrument, damage: Callable[[bytes], bytes] = lambda answer: answer) -> MemoryLine:
    """A line to a simulated instrument, its answers passed through `damage`."""
    return MemoryLine(lambda data: b"".join(damage(reply.data) for reply in device.receive(data)))


class FakeDriver:
    """A driver whose laser, and whose failures, a test sets."""

    def __init__(self) -> None:
        self.profile = PROFILE
        self.laser = True  # an instrument found with its laser on
        self.log: list[str] = []
        self.failing: dict[str, deque[BaseException | None]] = {}
        self.stuck_on = False
        self.interlock_state = Interlock.UNKNOWN
        self.integration = 0.0
        self.laser_fitted = True
        self.capabilities = Capabilities(has_laser=True)
        self.identity = Identity("T1", np.linspace(800.0, 1000.0, PROFILE.pixels))
        self.facts: dict = {}  # further fields of every frame
        self.lines: tuple[int, int, float] = (100, 400, 30.0)  # dark counts, light counts at 100 ms, step
        self.frames = 0

    def fail(self, call: str, *errors: BaseException | None) -> None:
        """Make the next calls of `call` fail with `errors` in turn; ``None`` lets one through."""
        self.failing[call] = deque(errors)

    def _called(self, call: str) -> None:
        self.log.append(call)
        if self.failing.get(call) and (error := self.failing[call].popleft()) is not None:
            raise error

    def identify(self) -> Identity:
        self._called("identify")
        return self.identity

    def has_laser(self) -> bool:
        return self.laser_fitted

    def interlock(self) -> Interlock:
        return self.interlock_state

    def set_integration(self, milliseconds: float) -> None:
        self._called("set_integration")
        self.integration = milliseconds

    def acquire(self) -> RawFrame:
        self._called("acquire on" if self.laser else "acquire off")
        self.frames += 1
        dark, light, step = self.lines
        ramp = np.arange(PROFILE.pixels) / PROFILE.pixels
        level = dark + (light * ramp * self.integration / 100 if self.laser else 0) + step * (self.frames % 2)
        counts = np.clip(np.rint(level + np.zeros(PROFILE.pixels)), 0, PROFILE.adc_max).astype(np.int64)
        return RawFrame(counts, **{"verified": True, **self.facts})

    def set_laser(self, on: bool) -> None:
        self._called("laser on" if on else "laser off")
        self.laser = on or self.stuck_on

    def laser_is_on(self) -> bool:
        self._called("read laser")
        return self.laser

    def send_off(self) -> None:
        self.log.append("urgent off")

    def abort(self) -> None:
        self.log.append("abort")

    def resume(self) -> None:
        pass

    def close(self) -> None:
        self.log.append("close")


def lost() -> DeviceError:
    return TransportError("gone", kind="disconnected")


def with_maximum(seconds: float) -> Profile:
    return replace(PROFILE, maximum_on_s=seconds)
