"""Records of the older Ocean protocol, made by the simulator's encoder: it shares nothing with the codec."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectralid.devices.codec.ocean_legacy import Dialect, Layout
from spectralid.devices.sim.ocean_legacy import checksum, compressed


def record(
    values: Sequence[int] | np.ndarray,
    layout: Layout,
    *,
    marked_first: bool = True,
    integration_ms: int = 100,
) -> bytes:
    """STX and the record a sound instrument sends for `values`."""
    counts = np.asarray(values, dtype=np.int64)
    if layout.dialect is Dialect.FLAME:
        header = [int(layout.wide), layout.scans, integration_ms, 0, 1200]
    else:
        header = [0, 1, 0, integration_ms, 77]
    words = [0xFFFF, *header, layout.pixel_mode.mode, *layout.pixel_mode.operands]
    if layout.compressed:
        data = compressed(counts, marked_first=marked_first)
    else:
        data = counts.astype(">u4" if layout.wide else ">u2").tobytes()
    total = checksum(counts, as_compressed=layout.compressed, marked_first=marked_first)
    tail = [0xFFFD, total] if layout.checksum else [0xFFFD]
    return b"\x02" + packed(words) + data + packed(tail)


def packed(words: Sequence[int]) -> bytes:
    return np.array(words, dtype=">u2").tobytes()
