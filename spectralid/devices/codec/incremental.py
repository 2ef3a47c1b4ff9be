"""The search for frames in a stream of bytes that may be damaged, whatever the protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from spectralid.devices.codec.faults import FaultKind, FramingFault

__all__ = ["IncrementalDecoder"]

FrameT = TypeVar("FrameT")


class IncrementalDecoder(ABC, Generic[FrameT]):
    """Bytes in, frames and faults out, in the order of the bytes.

    The result does not depend on how the bytes are cut into pieces. What does not begin a frame is dropped; a
    frame that turns out to be damaged costs one byte and the search begins again behind it, so that a good
    frame hidden in what looked like a damaged one is still found. Never more than one frame is kept.

    A protocol says where a frame may begin (`_at_start`) and what stands there (`_take`).
    """

    _unit: ClassVar[str] = "message"  # what a frame is called in words

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skipped = 0

    @property
    @abstractmethod
    def wanted(self) -> int:
        """Bytes that must still come before another frame can be complete; at least 1."""

    @abstractmethod
    def _at_start(self) -> bool:
        """Drop bytes up to the next start mark; whether there is enough behind it for `_take`."""

    @abstractmethod
    def _take(self) -> FrameT | FramingFault | None:
        """The frame or fault at the start of the buffer; ``None`` while more bytes are needed."""

    def feed(self, data: bytes) -> list[FrameT | FramingFault]:
        """Take `data` in and return what it completes."""
        self._buffer += data
        found: list[FrameT | FramingFault] = []
        while self._at_start():
            result = self._take()
            if result is None:
                break
            if self._skipped and not isinstance(result, FramingFault):
                found.append(self._noise())
            found.append(result)
        return found

    def flush(self) -> list[FrameT | FramingFault]:
        """Give up waiting: drop the unfinished frame, so that it cannot swallow the next answer."""
        faults: list[FrameT | FramingFault] = []
        if self._skipped:
            faults.append(self._noise())
        if self._buffer:
            faults.append(self._truncated(len(self._buffer)))
            self._buffer.clear()
        return faults

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._skipped += count

    def _refuse(self, kind: FaultKind, why: str) -> FramingFault:
        """The fault of what stands at the start of the buffer; the search goes on one byte behind."""
        self._drop(1)
        return FramingFault(kind, why)

    def _noise(self) -> FramingFault:
        fault = FramingFault(FaultKind.NOISE, f"{self._skipped} bytes on the line belong to no {self._unit}")
        self._skipped = 0
        return fault

    @staticmethod
    def _truncated(count: int) -> FramingFault:
        return FramingFault(FaultKind.TRUNCATED, f"it broke off after {count} bytes")
