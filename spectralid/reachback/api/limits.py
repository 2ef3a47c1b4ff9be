"""How much is let in: buckets that fill by time, and bodies that end where they have to.

A bucket belongs to one process; what has to hold over all of them (how long an account waits after wrong
passwords) is in the database.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from spectralid.casework.packet import MAX_PACKET
from spectralid.reachback.api import problems
from spectralid.reachback.errors import TooManyError

if TYPE_CHECKING:
    from spectralid.reachback.settings import Settings

__all__ = ["BodyLimit", "Buckets", "Limits"]

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[MutableMapping[str, Any], _Receive, _Send], Awaitable[None]]

_MOST_BUCKETS: Final = 10_000
_LARGE: Final = {
    "/v1/packets": MAX_PACKET,
    "/v1/lab-results": 16 * 1024 * 1024,
}
"""Longest body of addresses that begin so; any other has the one in the settings."""


class Buckets:
    """A token bucket for each name.

    Parameters
    ----------
    per_s : float
        How fast a bucket fills.
    burst : int
        How much it holds.
    clock : callable
        Seconds that only go on.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take one out; returns 0, or after how many seconds there will be one."""
        with self._lock:
            now = self._clock()
            level, since = self._levels.pop(name, (self._burst, now))
            level = min(self._burst, level + (now - since) * self._per_s)
            short = level < 1
            # The bucket used last is the last here, so that the first is the one to forget.
            self._levels[name] = (level if short else level - 1, now)
            if len(self._levels) > _MOST_BUCKETS:
                del self._levels[next(iter(self._levels))]
            return (1 - level) / self._per_s if short else 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The buckets of one process.

    Attributes
    ----------
    everybody, devices, sign_ins : Buckets
        All requests together; those of each tablet; attempts to sign in, by address and by account.
    """

    everybody: Buckets
    devices: Buckets
    sign_ins: Buckets

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float] = time.monotonic) -> Limits:
        """As they are set."""
        said = settings.limits
        return cls(
            Buckets(said.all_per_s, said.all_burst, clock),
            Buckets(said.device_per_min / 60, said.device_burst, clock),
            Buckets(said.sign_in_per_min / 60, said.sign_in_burst, clock),
        )

    def device(self, device_id: str) -> None:
        """One request of a tablet.

        Raises
        ------
        TooManyError
            If it has made too many.
        """
        _let_in(self.devices, device_id, "This tablet sends more than is taken at a time.")

    def sign_in(self, address: str, account: str) -> None:
        """One attempt to sign in.

        Raises
        ------
        TooManyError
            If there were too many from this address, or for this account.
        """
        for name in (f"address {address}", f"account {account}"):
            _let_in(self.sign_ins, name, "There were too many attempts to sign in.")


def _let_in(buckets: Buckets, name: str, words: str) -> None:
    if wait := buckets.take(name):
        raise TooManyError(f"{words} Try again in {wait:.0f} s.", retry_after_s=wait)


class BodyLimit:
    """The outermost layer: the limit for everybody, and no body is longer, or slower, than it may be.

    Parameters
    ----------
    app : ASGI application
        What is protected.
    everybody : Buckets
        For all requests together; those for the health of the server are always let in.
    default : int
        Longest body.
    silence_s : float
        For how long nothing of a body may come.
    """

    def __init__(self, app: _App, everybody: Buckets, default: int, silence_s: float = 30.0) -> None:
        self._app = app
        self._everybody = everybody
        self._default = default
        self._silence_s = silence_s

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Let a request through, or not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] not in ("/healthz", "/readyz") and (wait := self._everybody.take("")):
            busy = TooManyError("The server has more to do than it can; try again.", retry_after_s=wait)
            await problems.of_error(busy)(scope, receive, send)
            return
        limit = next((most for path, most in _LARGE.items() if scope["path"].startswith(path)), self._default)
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                await _too_large(limit)(scope, receive, send)
                return
        await self._streamed(scope, receive, send, limit)

    async def _streamed(
        self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send, limit: int
    ) -> None:
        read, whole, started = 0, False, False
        refused: JSONResponse | None = None

        async def counted() -> _Message:
            nonlocal read, whole, refused
            if whole:
                # Not of the body any more: whoever asks wants to know whether the line is still there.
                return await receive()
            try:
                async with asyncio.timeout(self._silence_s):
                    message = await receive()
            except TimeoutError:
                refused = _too_slow(self._silence_s)
                raise _Refused from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > limit:
                refused = _too_large(limit)
                raise _Refused
            return message

        async def unless_refused(message: _Message) -> None:
            nonlocal started
            # Whatever the application makes of a body that ended so, something else is said.
            if refused is None:
                started = True
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        except Exception:
            if refused is None:
                raise
        if refused is not None and not started:
            await refused(scope, receive, send)


class _Refused(Exception):  # noqa: N818
    """The body is longer or slower than it may be."""


def _too_slow(silence_s: float) -> JSONResponse:
    words = f"Nothing of the body came for {silence_s:g} s."
    return problems.reply(408, "too-slow", words, headers={"Connection": "close"})


def _too_large(limit: int) -> JSONResponse:
    words = f"The body is longer than the {limit} bytes that are taken here."
    # The rest of it is not read, so that nothing else can come on this line.
    return problems.reply(413, "too-large", words, headers={"Connection": "close"})
