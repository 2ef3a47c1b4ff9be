"""Changes to bytes, drawn from a seed: the engine for where no coverage-guided one is at hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

MAXIMUM: Final = 64 * 1024

_NUMBERS: Final = (
    0,
    1,
    2**7 - 1,
    2**7,
    2**8 - 1,
    2**15 - 1,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
)
_DIGITS: Final = (
    b"-1",
    b"0",
    b"1e999",
    b"-1e308",
    b"nan",
    b"inf",
    b"4294967296",
    b"9" * 40,
    b"1e-320",
    b"0x10",
)


class Mutator:
    """Makes one input after the other from seeds.

    Parameters
    ----------
    seeds : sequence of bytes
        Sound inputs.
    tokens : sequence of bytes
        What has a meaning in the format.
    seed : int
        Of the random numbers.
    """

    def __init__(self, seeds: Sequence[bytes], tokens: Sequence[bytes], seed: int) -> None:
        self._seeds = seeds
        self._tokens = (*tokens, *_DIGITS)
        self._random = random.Random(seed)
        self._changes: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._byte,
            self._number,
            self._token,
            self._token,
            self._cut,
            self._double,
            self._drop,
            self._cross,
            self._noise,
        )

    def next(self) -> bytes:
        """Another input, of at most `MAXIMUM` bytes."""
        data = bytearray(self._random.choice(self._seeds)[:MAXIMUM])
        for _ in range(self._random.choice((1, 1, 1, 2, 2, 3, 5, 8))):
            self._random.choice(self._changes)(data)
        return bytes(data[:MAXIMUM])

    def _at(self, data: bytearray) -> int:
        # Half of the time near the beginning, where headers are.
        end = len(data) if self._random.random() < 0.5 else min(len(data), 512)
        return self._random.randrange(end + 1)

    def _span(self, data: bytearray) -> tuple[int, int]:
        start = self._at(data)
        return start, min(len(data), start + int(2 ** self._random.uniform(0, 11)))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._at(data) - 1] ^= 1 << self._random.randrange(8)

    def _byte(self, data: bytearray) -> None:
        if data:
            data[self._at(data) - 1] = self._random.randrange(256)

    def _number(self, data: bytearray) -> None:
        width = self._random.choice((1, 2, 4, 8))
        number = self._random.choice(_NUMBERS) & (256**width - 1)
        at = self._at(data)
        data[at : at + width] = number.to_bytes(width, self._random.choice(("little", "big")))

    def _token(self, data: bytearray) -> None:
        at = self._at(data)
        token = self._random.choice(self._tokens)
        data[at : at + self._random.choice((0, 0, len(token)))] = token

    def _cut(self, data: bytearray) -> None:
        del data[self._at(data) :]

    def _drop(self, data: bytearray) -> None:
        start, end = self._span(data)
        del data[start:end]

    def _double(self, data: bytearray) -> None:
        start, end = self._span(data)
        data[start:start] = data[start:end] * self._random.choice((1, 1, 2, 16))

    def _cross(self, data: bytearray) -> None:
        other = self._random.choice(self._seeds)
        start = self._random.randrange(len(other) + 1)
        at = self._at(data)
        data[at:] = other[start : start + MAXIMUM]

    def _noise(self, data: bytearray) -> None:
        start, end = self._span(data)
        data[start:end] = self._random.randbytes(end - start)
