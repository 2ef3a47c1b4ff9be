"""What the readers of binary formats share: never taking more from a file than it has."""

from __future__ import annotations

import numpy as np

from spectralid.errors import UnreadableFileError
from spectralid.spectrum import FloatArray

__all__ = ["floats", "need", "text"]


def floats(data: bytes, start: int, count: int, order: str = "<") -> FloatArray:
    """32-bit IEEE floats of a file, shape (count,); see `need` for what must be checked before."""
    # A NaN with a signalling pattern marks nothing we care about, and must not print a warning.
    with np.errstate(invalid="ignore"):
        return np.frombuffer(data, f"{order}f4", count, start).astype(np.float64)


def need(data: bytes, start: int, length: int, what: str, file: str) -> None:
    """Make sure that ``data[start : start + length]`` is all there, before anything is made of it.

    Parameters
    ----------
    data : bytes
        The whole file.
    start, length : int
        The stretch that is needed.
    what : str
        What lies there, for the message.
    file : str
        Name of the file, for the message.

    Raises
    ------
    UnreadableFileError
        If the stretch is not wholly in the file.
    """
    if start < 0 or start + length > len(data):
        raise UnreadableFileError(
            f"the file ends here, but its {what} reaches to byte {start + length}; it is cut short or "
            "damaged. Copy it again from where it came from.",
            file=file,
            where=f"byte {len(data)}",
        )


def text(raw: bytes) -> str:
    """Text up to its NUL; Latin-1 because it maps every byte, and older programs wrote their code page."""
    return raw.split(b"\0", 1)[0].decode("latin-1").strip()
