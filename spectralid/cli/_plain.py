"""What is printed moves nothing on the screen: control characters in names and notes are spelled out.

A file from outside may be called, or call its sample, anything: escape sequences would rewrite lines of the
terminal that were printed before, and marks of writing direction would show a name backwards.
"""

from __future__ import annotations

import io
import re
from typing import Any, Final, TextIO

__all__ = ["PlainText", "plain"]

# All of C0 and C1 but tab, line feed and the carriage return of a line's end or of a progress bar, which is
# the first of what it writes; and what turns the direction of writing (Unicode, UAX #9).
_MOVING: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]|(?<=[\s\S])\r(?!\n)"
)


def plain(text: str) -> str:
    """A text with what moves the cursor, or turns the writing, spelled out.

    Parameters
    ----------
    text : str
        What is to be shown.
    """
    return _MOVING.sub(lambda found: ascii(found[0])[1:-1], text)


class PlainText(io.TextIOBase):
    """A stream of text that writes to another one what `plain` makes of it.

    Parameters
    ----------
    stream : text stream
        Where it goes.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it, spelled out."""
        self._stream.write(plain(text))
        return len(text)

    def flush(self) -> None:
        """Bring it on its way."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether somebody may be looking."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Of the stream it writes to."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """It is."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream it writes to."""
        return self._stream.encoding

    @property
    def buffer(self) -> Any:
        """For bytes, which go as they are."""
        return self._stream.buffer
