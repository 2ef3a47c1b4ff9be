"""When a question may be asked again, and doing so."""

from __future__ import annotations

from collections.abc import Callable

from spectralid.devices.client.errors import DamagedAnswerError
from spectralid.errors import ProtocolError, TransportError

__all__ = ["ask_repeatedly", "raise_if_lost"]


def raise_if_lost(error: ProtocolError | TransportError) -> None:
    """Raise what cannot be mended by asking again: a line that is lost, not one that is silent."""
    if isinstance(error, TransportError) and error.kind != "timeout":
        raise error


def ask_repeatedly(once: Callable[[], bytes], retries: int) -> bytes:
    """Answer to a question, asked up to `retries` times more while its answer is lost.

    Parameters
    ----------
    once : callable
        Asks and returns the data of the answer.
    retries : int
        How often to ask again.

    Raises
    ------
    ProtocolError, TransportError
        What the last attempt raised, or what asking again cannot mend.
    """
    for _ in range(retries):
        try:
            return once()
        except (DamagedAnswerError, TransportError) as error:
            raise_if_lost(error)
    return once()
