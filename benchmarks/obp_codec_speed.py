"""How fast the Ocean Binary Protocol decoder is, in MB/s: good frames, with MD5, in noise, on damage."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spectralid.devices.codec.obp import Checksum, Decoder, Frame, Message, encode

FRAMES = 2000
CHUNK = 512
REPEATS = 5


def main() -> int:
    """Print the table."""
    rng = np.random.Generator(np.random.PCG64(0))
    counts = rng.integers(0, 65_536, 1024).astype("<u2").tobytes()
    plain = encode(Frame(Message.CORRECTED_SPECTRUM, counts))
    proved = encode(Frame(Message.CORRECTED_SPECTRUM, counts, checksum=Checksum.VERIFIED))
    damaged = bytearray(plain)
    damaged[-1] ^= 1
    streams = {
        "good frames without checksum": plain * FRAMES,
        "good frames with MD5": proved * FRAMES,
        "a frame in 2 kB of noise": (rng.bytes(2048) + plain) * (FRAMES // 2),
        "every second frame damaged": (bytes(damaged) + plain) * (FRAMES // 2),
        "start marks only": b"\xc1\xc0" * (FRAMES * 100),
    }
    print("| stream | MB/s |\n|---|--:|")
    for name, stream in streams.items():
        seconds = min(_timed(lambda data=stream: _decode(data)) for _ in range(REPEATS))
        print(f"| {name} | {len(stream) / seconds / 1e6:.1f} |")
    return 0


def _decode(stream: bytes) -> None:
    decoder = Decoder()
    for start in range(0, len(stream), CHUNK):
        decoder.feed(stream[start : start + CHUNK])


def _timed(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
