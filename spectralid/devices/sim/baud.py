"""What a serial receiver makes of bytes sent at another rate: it samples where its own bits would be."""

from __future__ import annotations

from itertools import chain
from typing import Final

__all__ = ["misread"]

_DATA_BITS: Final = 8
_FRAME_BITS: Final = 10


def misread(data: bytes, *, sent_at: int, read_at: int) -> bytes:
    """What a receiver at `read_at` bits per second takes `data` for that is sent at `sent_at`.

    A start bit, eight data bits (lowest first), a stop bit. The receiver waits for the line to fall, then
    looks at the middle of eight bits of its own length. Framing errors are passed on as the bytes they look
    like, as a UART without error reporting does.
    """
    if sent_at == read_at:
        return data
    bits = list(chain.from_iterable(_framed(byte) for byte in data))
    step = sent_at / read_at  # of the sender's bits per bit of the receiver
    seen = bytearray()
    place = 0.0
    while (place := _next_fall(bits, place)) < len(bits):
        sampled = [_level(bits, place + (k + 1.5) * step) for k in range(_DATA_BITS)]
        seen.append(sum(level << k for k, level in enumerate(sampled)))
        place += (_FRAME_BITS - 0.5) * step
    return bytes(seen)


def _framed(byte: int) -> list[int]:
    return [0, *((byte >> k) & 1 for k in range(_DATA_BITS)), 1]


def _level(bits: list[int], place: float) -> int:
    """Level of the line, which idles high."""
    return bits[int(place)] if place < len(bits) else 1


def _next_fall(bits: list[int], place: float) -> float:
    """Where the line next is low, from `place` on; the end of `bits` if it stays high."""
    index = int(place)
    if index < len(bits) and not bits[index]:
        return place
    while index < len(bits) and bits[index]:
        index += 1
    return float(index)
