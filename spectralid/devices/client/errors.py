"""How an exchange with an instrument fails, whatever the protocol."""

from __future__ import annotations

from spectralid.errors import ProtocolError

__all__ = ["DamagedAnswerError", "RefusedError"]


class RefusedError(ProtocolError):
    """The instrument says no.

    Parameters
    ----------
    message : str
        What it refused and why.
    number : int or None
        Its error number; ``None`` where the protocol has none.
    """

    def __init__(self, message: str, *, number: int | None = None) -> None:
        super().__init__(message)
        self.number = number


class DamagedAnswerError(ProtocolError):
    """What came back is no answer: a question may be asked again; a command may or may not have been done."""
