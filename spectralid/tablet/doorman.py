"""Who may talk to the tablet's web application: the page this program opened, on this machine, no one else.

A local server is within reach of every web site the browser visits (DNS rebinding, cross-site requests) and
of every other program of the machine. Hence: the address must be a local one, a key that only this program
prints makes a cookie, what changes anything needs a header no form can set, and the page may load nothing
from elsewhere (OWASP ASVS 5.0, V3; Fetch standard, CORS-safelisted request headers).
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs

__all__ = ["COOKIE", "HEADER", "Doorman"]

COOKIE: Final = "spectralid_session"
HEADER: Final = b"x-spectralid"

_SAFE: Final = frozenset({"GET", "HEAD"})
_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


class Doorman:
    """Middleware that lets in who holds the key and sends the others away.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    key : str
        Printed for the officer's browser; opening ``/?key=…`` exchanges it for a cookie.
    session : str
        What the cookie holds.
    """

    def __init__(self, app: _App, key: str, session: str) -> None:
        self._app = app
        self._key = key
        self._session = session

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one connection (ASGI 3)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not _is_local(headers.get(b"host", b"")):
            await _refuse(send, 421, "This address is not served here.")
            return
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("key", [""])[0]
        if given and scope["path"] == "/" and scope["method"] in _SAFE:
            await self._exchange(given, send)
            return
        if not self._knows(headers.get(b"cookie", b"")):
            await _refuse(send, 403, "Open the address that the tablet program printed when it started.")
            return
        if scope["method"] not in _SAFE and HEADER not in headers:
            await _refuse(send, 403, "This request did not come from the tablet's own page.")
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._app(scope, receive, guarded)

    async def _exchange(self, given: str, send: _Send) -> None:
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            await _refuse(send, 403, "This key is not the one the tablet program printed when it started.")
            return
        cookie = f"{COOKIE}={self._session}; HttpOnly; SameSite=Strict; Path=/"
        await _answer(send, 303, b"", [(b"location", b"/"), (b"set-cookie", cookie.encode())])

    def _knows(self, header: bytes) -> bool:
        try:
            cookies = SimpleCookie(header.decode("latin-1"))
        except CookieError:
            return False
        return COOKIE in cookies and hmac.compare_digest(
            cookies[COOKIE].value.encode(), self._session.encode()
        )


def _is_local(host: bytes) -> bool:
    name, _, port = host.decode("latin-1").rpartition(":")
    return (name if port.isdigit() and name else host.decode("latin-1")) in _HOSTS


async def _refuse(send: _Send, status: int, sentence: str) -> None:
    await _answer(send, status, sentence.encode(), [(b"content-type", b"text/plain; charset=utf-8")])


async def _answer(send: _Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length, *_HEADERS]})
    await send({"type": "http.response.body", "body": body})
