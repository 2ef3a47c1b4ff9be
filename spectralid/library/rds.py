"""R's own files (``.rds``, ``.RData``): vectors, lists and tables, nothing that could be run.

The serialization is described in R Core Team, *R Internals*, section 1.8 "Serialization Formats". Versions 2
and 3 in big-endian binary are read, which is what ``saveRDS`` and ``save`` write; code, environments and
anything else that is no data is refused.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final

import numpy as np

from spectralid.errors import UnreadableFileError

__all__ = ["RValue", "read_rds"]

_OPENERS: Final[Mapping[bytes, Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_DEPTH: Final = 64
_NULL_INTEGER: Final = -(2**31)

_SYMBOL, _PAIRLIST, _CHARS, _LOGICAL, _INTEGER, _REAL, _STRINGS, _LIST, _EXTERNAL, _RAW = (
    1, 2, 9, 10, 13, 14, 16, 19, 22, 24,
)  # fmt: skip
_ALTREP, _BASE_ENVIRONMENT, _EMPTY_ENVIRONMENT, _MISSING, _UNBOUND, _GLOBAL_ENVIRONMENT, _NULL, _REFERENCE = (
    238, 241, 242, 251, 252, 253, 254, 255,
)  # fmt: skip
_SINGLES: Final = {_BASE_ENVIRONMENT, _EMPTY_ENVIRONMENT, _MISSING, _UNBOUND, _GLOBAL_ENVIRONMENT, _NULL}


@dataclass(frozen=True, slots=True)
class RValue:
    """A value of R.

    Attributes
    ----------
    data : ndarray, list or None
        Numbers (missing integers and logicals as NaN) as an array of float64, strings as a list of ``str``
        or ``None``, the elements of a list as a list of `RValue`; ``None`` for R's ``NULL``.
    attributes : mapping of str to RValue
        ``names``, ``class``, ``levels``, ``dim`` …
    """

    data: Any = None
    attributes: Mapping[str, RValue] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the elements; empty if they have none."""
        names = self.attributes.get("names")
        return [] if names is None else [name or "" for name in names.data]

    def elements(self) -> dict[str, RValue]:
        """The elements of a list by their names."""
        return dict(zip(self.names, self.data, strict=True)) if isinstance(self.data, list) else {}

    def strings(self) -> list[str]:
        """The elements as text, factors by their levels; empty where missing."""
        levels = self.attributes.get("levels")
        if levels is not None:
            return ["" if np.isnan(i) else (levels.data[int(i) - 1] or "") for i in self.data]
        if isinstance(self.data, np.ndarray):
            return ["" if np.isnan(v) else f"{v:g}" for v in self.data]
        return [v if isinstance(v, str) else "" for v in self.data or ()]


def read_rds(path: str | os.PathLike[str], *, maximum_bytes: int = 2**32) -> RValue:
    """Read what ``saveRDS`` or ``save`` wrote.

    Parameters
    ----------
    path : path
        The file; gzip, bzip2, xz or not compressed.
    maximum_bytes : int
        Refused beyond this much, not compressed.

    Returns
    -------
    RValue
        The object; for a file of ``save``, a list of its objects by their names.

    Raises
    ------
    UnreadableFileError
        If it is no such file, is truncated or damaged, holds code, or is larger than allowed.
    """
    shown = os.fspath(path)
    try:
        with open(path, "rb") as plain:
            head = plain.read(6)
        opener = next((o for magic, o in _OPENERS.items() if head.startswith(magic)), open)
        with opener(path, "rb") as stream:
            return _Parser(stream, maximum_bytes).parse()
    except _NotDataError as error:
        raise UnreadableFileError(f"{error}.", file=shown) from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UnreadableFileError(f"it cannot be read ({error}).", file=shown) from None
    except (struct.error, ValueError, IndexError, KeyError, TypeError, AttributeError):
        raise UnreadableFileError("its R data are damaged.", file=shown) from None


class _NotDataError(Exception):
    """The sentence to be, without its full stop."""


class _Parser:
    """Reads one serialized value after the other from a stream."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._known: list[Any] = []

    def parse(self) -> RValue:
        start = self._bytes(2)
        saved = start == b"RD"
        if saved:
            if self._bytes(3) not in (b"X2\n", b"X3\n"):
                raise _NotDataError("it is no R data in binary form")
            start = self._bytes(2)
        if start != b"X\n":
            raise _NotDataError("it is no R data in binary form")
        version, _, _ = self._integers(3)
        if version not in (2, 3):
            raise _NotDataError(f"it is R data of version {version}; 2 and 3 are read")
        if version == 3:
            self._bytes(self._integers(1)[0])
        value = self._item(0)
        if not isinstance(value, RValue):
            pairs = value if isinstance(value, list) else []
            names = RValue([name for name, _ in pairs])
            return RValue([item for _, item in pairs], {"names": names})
        return value

    def _bytes(self, count: int) -> bytes:
        if count < 0 or count > self._left:
            raise _NotDataError("it is damaged, or holds more than is allowed")
        self._left -= count
        data = self._stream.read(count)
        if len(data) != count:
            raise _NotDataError("it is truncated")
        return data

    def _integers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f">{count}i", self._bytes(4 * count))

    def _length(self) -> int:
        (length,) = self._integers(1)
        if length == -1:
            high, low = struct.unpack(">II", self._bytes(8))
            return int(high << 32 | low)
        return length

    def _item(self, depth: int) -> Any:
        """A value as `RValue`, text as ``str``, a symbol as ``_Symbol``, a pairlist as pairs."""
        if depth > _DEPTH:
            raise _NotDataError("its lists are nested too deeply")
        (flags,) = self._integers(1)
        kind = flags & 0xFF
        if kind in _SINGLES:
            return RValue()
        if kind == _REFERENCE:
            return self._known[(flags >> 8 or self._integers(1)[0]) - 1]
        if kind == _SYMBOL:
            symbol = _Symbol(self._item(depth + 1))
            self._known.append(symbol)
            return symbol
        if kind == _CHARS:
            return self._text(flags >> 12)
        if kind == _PAIRLIST:
            return self._pairs(flags, depth)
        if kind == _EXTERNAL:
            # data.table leaves one in its tables; it points nowhere in a file.
            self._known.append(RValue())
            self._item(depth + 1)
            self._item(depth + 1)
            self._attributes(flags, depth)
            return RValue()
        if kind == _ALTREP:
            return self._compact(depth)
        return self._vector(kind, flags, depth)

    def _text(self, levels: int) -> str | None:
        (length,) = self._integers(1)
        if length == -1:
            return None
        return self._bytes(length).decode("latin-1" if levels & 4 else "utf-8", errors="replace")

    def _pairs(self, flags: int, depth: int) -> list[tuple[str, Any]]:
        pairs: list[tuple[str, Any]] = []
        # A loop, as a pairlist is nested once for each of its elements.
        while flags & 0xFF == _PAIRLIST:
            if flags & 0x200:
                self._item(depth + 1)
            tag = self._item(depth + 1) if flags & 0x400 else ""
            pairs.append((str(tag), self._item(depth + 1)))
            (flags,) = self._integers(1)
        if flags & 0xFF != _NULL:
            raise _NotDataError("it holds something that is no data")
        return pairs

    def _attributes(self, flags: int, depth: int) -> dict[str, RValue]:
        if not flags & 0x200:
            return {}
        return {name: v for name, v in self._item(depth + 1) if isinstance(v, RValue)}

    def _vector(self, kind: int, flags: int, depth: int) -> RValue:
        data: Any
        if kind in (_LOGICAL, _INTEGER):
            whole = np.frombuffer(self._bytes(4 * self._length()), ">i4")
            data = np.where(whole == _NULL_INTEGER, np.nan, whole.astype(np.float64))
        elif kind == _REAL:
            data = np.frombuffer(self._bytes(8 * self._length()), ">f8").astype(np.float64)
        elif kind in (_STRINGS, _LIST):
            data = [self._item(depth + 1) for _ in range(self._length())]
        elif kind == _RAW:
            data = np.frombuffer(self._bytes(self._length()), np.uint8).astype(np.float64)
        else:
            raise _NotDataError(f"it holds something that is no data (R type {kind})")
        return RValue(data, self._attributes(flags, depth))

    def _compact(self, depth: int) -> RValue:
        """A vector in one of the compact forms of R 3.5 and later."""
        (_, name), *_ = self._item(depth + 1)
        state = self._item(depth + 1)
        found = self._item(depth + 1)
        attributes = {k: v for k, v in found if isinstance(v, RValue)} if isinstance(found, list) else {}
        form = str(name)
        if form in ("compact_intseq", "compact_realseq"):
            count, first, step = state.data
            return RValue(first + step * np.arange(int(count)), attributes)
        parts = [v for _, v in state] if isinstance(state, list) else state.data
        if form == "deferred_string":
            return RValue(parts[0].strings(), attributes)
        if form.startswith("wrap_"):
            return RValue(parts[0].data, {**parts[0].attributes, **attributes})
        raise _NotDataError(f"it holds a compact form that is not known ({form})")


class _Symbol(str):
    """A name of R, as opposed to text."""

    __slots__ = ()
