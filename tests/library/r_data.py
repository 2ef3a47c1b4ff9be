"""Writes R's serialization, as `saveRDS` and `save` do: the counterpart to the reader, from *R Internals*."""

from __future__ import annotations

import struct

import numpy as np

NULL = struct.pack(">i", 254)


class Matrix:
    """A matrix of R: columns of numbers."""

    def __init__(self, columns: list[np.ndarray]) -> None:
        self.columns = columns


class Factor:
    """A factor of R."""

    def __init__(self, codes: list[int], levels: list[str]) -> None:
        self.codes, self.levels = codes, levels


def head(version: int = 3) -> bytes:
    encoding = struct.pack(">i", 5) + b"UTF-8" if version == 3 else b""
    return b"X\n" + struct.pack(">3i", version, 0x040301, 0x030500) + encoding


def rds(value, version: int = 3) -> bytes:
    """What saveRDS writes, not compressed."""
    return head(version) + item(value)


def rdata(**objects) -> bytes:
    """What save writes, not compressed."""
    return b"RDX3\n" + head() + pairlist(objects)


def chars(text: str | None) -> bytes:
    if text is None:
        return struct.pack(">2i", 9, -1)
    data = text.encode()
    return struct.pack(">2i", 9 | (8 << 12), len(data)) + data


def symbol(name: str) -> bytes:
    return struct.pack(">i", 1) + chars(name)


def pairlist(values) -> bytes:
    pairs = b"".join(struct.pack(">i", 2 | 0x400) + symbol(k) + item(v) for k, v in values.items())
    return pairs + NULL


def vector(kind: int, count: int, data: bytes, attributes=None) -> bytes:
    tail = pairlist(attributes) if attributes else b""
    return struct.pack(">2i", kind | (0x200 if attributes else 0), count) + data + tail


def item(value) -> bytes:
    if value is None:
        return NULL
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return vector(19, len(value), b"".join(map(item, value.values())), {"names": list(value)})
    if isinstance(value, Matrix):
        flat = np.concatenate(value.columns).astype(">f8")
        size = struct.pack(">2i", len(value.columns[0]), len(value.columns))
        return vector(14, flat.size, flat.tobytes(), {"dim": vector(13, 2, size)})
    if isinstance(value, Factor):
        codes = np.array(value.codes, ">i4")
        return vector(13, codes.size, codes.tobytes(), {"levels": value.levels, "class": ["factor"]})
    if isinstance(value, np.ndarray):
        return vector(14, value.size, value.astype(">f8").tobytes())
    return vector(16, len(value), b"".join(map(chars, value)))
