"""A driver for a made-up instrument, the "Acme Raman", as another package would bring it.

Its protocol: one line of ASCII each way. ``ID?`` ``WL?`` ``IT?`` ``LAS?`` ``LOCK?`` ask for serial number,
wavelength coefficients, integration time in ms, laser, interlock. ``IT 100`` and ``LAS 1`` set, answered
with ``OK``. ``SPEC?`` takes a frame: its sum modulo 65536, then the counts. ``NO`` refuses.
"""

from __future__ import annotations

import hashlib
from typing import Self

import numpy as np

from spectralid.devices import Capabilities, Identity, Interlock, Profile, RawFrame
from spectralid.devices.transport import BITS_PER_BYTE, Deadline, Transport, open_transport
from spectralid.errors import ParameterError, ProtocolError, TransportError

MARGIN_S = 0.5
BYTES_PER_COUNT = 6  # up to five digits and a space


class AcmeDriver:
    """Acme Raman; see `spectralid.devices.Driver` for what each method promises."""

    def __init__(self, line: Transport, profile: Profile) -> None:
        self._line = line
        self._profile = profile
        self._integration_s = profile.integration_ms[1] / 1000

    @property
    def profile(self) -> Profile:
        return self._profile

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(has_laser=True, interlock_readback="yes", payload_checksum="sum16")

    def identify(self) -> Identity:
        serial = self._ask("ID?")
        coefficients = [float(text) for text in self._ask("WL?").split()]
        pixel = np.arange(self._profile.pixels)
        return Identity(serial, np.polynomial.polynomial.polyval(pixel, coefficients))

    def has_laser(self) -> bool:
        return True

    def interlock(self) -> Interlock:
        return Interlock.CLOSED if self._ask("LOCK?") == "1" else Interlock.OPEN

    def set_integration(self, milliseconds: float) -> None:
        low, high = self._profile.integration_ms
        if not low <= milliseconds <= high:
            raise ParameterError("integration time", f"{milliseconds:g} ms", f"from {low:g} to {high:g} ms")
        self._set(f"IT {milliseconds:g}")
        if float(self._ask("IT?")) != milliseconds:
            raise ProtocolError("The instrument does not keep the integration time it was set to.")
        self._integration_s = milliseconds / 1000

    def acquire(self) -> RawFrame:
        # A frame that has just begun may have to end before the one asked for begins.
        text = self._ask(
            "SPEC?", busy_s=2 * self._integration_s, expect=BYTES_PER_COUNT * self._profile.pixels
        )
        told, *counts = (int(word) for word in text.split())
        if len(counts) != self._profile.pixels or sum(counts) % 65536 != told:
            raise ProtocolError("A frame arrived damaged: its sum does not fit. Measure again.")
        return RawFrame(
            np.array(counts, dtype=np.int64),
            verified=True,
            raw_sha256=hashlib.sha256(text.encode()).hexdigest(),
        )

    def set_laser(self, on: bool) -> None:
        self._set(f"LAS {int(on)}")

    def laser_is_on(self) -> bool:
        # Anything but a clear "0" is not off.
        return self._ask("LAS?") != "0"

    def send_off(self) -> None:
        self._line.write(b"LAS 0\n", Deadline(MARGIN_S))

    def abort(self) -> None:
        self._line.abort()

    def resume(self) -> None:
        self._line.resume()

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set(self, command: str) -> None:
        if self._ask(command) != "OK":
            raise ProtocolError(f"The instrument refuses {command!r}.")

    def _ask(self, question: str, *, busy_s: float = 0.0, expect: int = 32) -> str:
        # The protocol numbers nothing: what an exchange that was broken off left on the line must go first.
        self._line.read(65536, Deadline(0.0))
        wire_s = (len(question) + expect) * BITS_PER_BYTE / self._line.baud if self._line.baud else 0.0
        deadline = Deadline(busy_s + wire_s + MARGIN_S)
        self._line.write(f"{question}\n".encode(), deadline)
        answer = bytearray()
        while not answer.endswith(b"\n"):
            piece = self._line.read(1, deadline)
            if not piece:
                raise TransportError(
                    f"The instrument did not answer {question!r} within {deadline.seconds:.1f} s.",
                    kind="timeout",
                )
            answer += piece
        return answer.decode("ascii", errors="replace").strip()


def open_acme(port: str | Transport, profile: Profile) -> AcmeDriver:
    """Open an Acme Raman; what the entry point names."""
    line = open_transport(port, profile.baud) if isinstance(port, str) else port
    return AcmeDriver(line, profile)
