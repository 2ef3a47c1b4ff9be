"""Telling every open page what happens: from any thread into streams of server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

__all__ = ["Broker", "event_bytes"]

# A page that reads slower than this many events is shown the latest of each kind only.
_WAITING: Final = 256
# A line sent into silence now and then shows either side that the other has gone.
_SILENCE_S: Final = 15.0


class Broker:
    """Hands what is published to all who listen.

    `publish` may be called in any thread; `stream` belongs to the event loop of the server.
    """

    def __init__(self) -> None:
        self._listeners: dict[asyncio.Queue[bytes | None], asyncio.AbstractEventLoop] = {}

    @property
    def listeners(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    def publish(self, event: str, data: Mapping[str, Any]) -> None:
        """Tell everyone who listens; nobody listening is no error.

        Parameters
        ----------
        event : str
            Its name.
        data : mapping
            What happened, JSON-ready.
        """
        text = event_bytes(event, data)
        for queue, loop in list(self._listeners.items()):
            try:
                loop.call_soon_threadsafe(_put, queue, text)
            except RuntimeError:  # the loop has been closed
                self._listeners.pop(queue, None)

    async def stream(self, first: bytes = b"") -> AsyncIterator[bytes]:
        """Events as they come, until the listener goes or `close`.

        Parameters
        ----------
        first : bytes
            Sent before anything else.
        """
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        self._listeners[queue] = asyncio.get_running_loop()
        try:
            if first:
                yield first
            while True:
                try:
                    text = await asyncio.wait_for(queue.get(), _SILENCE_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if text is None:
                    return
                yield text
        finally:
            self._listeners.pop(queue, None)

    def close(self) -> None:
        """End all streams."""
        for queue, loop in list(self._listeners.items()):
            try:
                loop.call_soon_threadsafe(_put, queue, None)
            except RuntimeError:
                self._listeners.pop(queue, None)


def event_bytes(event: str, data: Mapping[str, Any]) -> bytes:
    """One event as it goes over the wire (WHATWG HTML, server-sent events)."""
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _put(queue: asyncio.Queue[bytes | None], text: bytes | None) -> None:
    if queue.full():
        # Whoever does not read gets the newest: state is sent whole, so nothing is missing for long.
        queue.get_nowait()
    queue.put_nowait(text)
