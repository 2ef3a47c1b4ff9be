"""What a process hands back, as bytes: a length, JSON, and arrays one after the other."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["OUT_OF_MEMORY", "Array", "pack", "unpack"]

Array = npt.NDArray[Any]

OUT_OF_MEMORY: Final = 71
"""Status of a process that ended because it got no more memory."""

_LENGTH: Final = struct.Struct("<Q")
# Truth values and numbers; what stands for an object or a text has no place here.
_KINDS: Final = frozenset("biuf")


def pack(said: object, arrays: Sequence[Array]) -> Iterator[bytes]:
    """Bytes of an answer, part by part.

    Parameters
    ----------
    said : object
        What JSON can say.
    arrays : sequence of ndarray
        Numbers.
    """
    plain = [np.ascontiguousarray(values) for values in arrays]
    head = json.dumps({"said": said, "arrays": [[a.dtype.str, list(a.shape)] for a in plain]}).encode()
    yield _LENGTH.pack(len(head))
    yield head
    for values in plain:
        yield values.tobytes()


def unpack(raw: bytes | bytearray) -> tuple[Any, tuple[Array, ...]]:
    """What was packed.

    Raises
    ------
    ValueError
        If the bytes are of another form: then `pack` did not make them.
    """
    try:
        (length,) = _LENGTH.unpack_from(raw)
        place = _LENGTH.size + length
        if place > len(raw):
            raise ValueError("cut short")
        head = json.loads(bytes(raw[_LENGTH.size : place]))
        arrays = []
        for dtype, shape in head["arrays"]:
            kind = np.dtype(dtype) if isinstance(dtype, str) else None
            if kind is None or kind.kind not in _KINDS or any(type(n) is not int or n < 0 for n in shape):
                raise ValueError("no array of numbers")
            count = 1
            for n in shape:
                count *= n
            values = (
                np.frombuffer(raw, kind, count, place).reshape(shape).copy()
                if count
                else np.empty(shape, kind)
            )
            place += values.nbytes
            arrays.append(values)
        if place != len(raw):
            raise ValueError("more than it says")
        return head["said"], tuple(arrays)
    except (TypeError, KeyError, AttributeError, struct.error, RecursionError, OverflowError, MemoryError):
        raise ValueError("another form") from None
