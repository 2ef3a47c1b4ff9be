"""What a decoder says of the bytes it took: what was wrong with them, or what proves them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Checksum", "FaultKind", "FramingFault"]


class Checksum(StrEnum):
    """What the checksum of a received frame says; a frame whose checksum failed is never delivered."""

    VERIFIED = "verified"
    ABSENT = "absent"


class FaultKind(StrEnum):
    """What was wrong with bytes that are not a frame."""

    NOISE = "noise"
    HEADER = "header"
    FOOTER = "footer"
    CHECKSUM = "checksum"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class FramingFault:
    """Bytes that are not a frame.

    Attributes
    ----------
    kind : FaultKind
        What was wrong.
    detail : str
        The same in words, finishing the sentence "The answer was damaged: …".
    """

    kind: FaultKind
    detail: str
