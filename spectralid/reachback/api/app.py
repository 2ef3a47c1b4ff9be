"""The application: every group of addresses, the limits before them, and what every reply carries."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from spectralid import __version__
from spectralid.errors import MissingDependencyError

try:
    from fastapi import FastAPI
    from starlette.staticfiles import StaticFiles
except ImportError:
    raise MissingDependencyError("fastapi", extra="reachback", purpose="for the server") from None

from spectralid.reachback.api import problems
from spectralid.reachback.api.limits import BodyLimit

if TYPE_CHECKING:
    from spectralid.reachback.api.desk import Desk

__all__ = ["GROUPS", "create_app"]

GROUPS: Final = (
    "health",
    "session",
    "device",
    "case",
    "admin",
    "instruments",
    "audit",
    "laboratory",
    "exports",
    "library",
    "research",
    "intelligence",
    "console",
)
"""Modules of this package with a ``router``, and perhaps ``STATIC``: pairs of an address and a folder of
files for everybody. What comes first wins where addresses overlap."""

_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")

_DESCRIPTION: Final = (
    "Takes in the signed packets of tablets, brings them before chemists, and returns signed answers. "
    "Whatever is refused comes as a problem (RFC 9457) with one sentence."
)


def create_app(desk: Desk, groups: Sequence[str] = GROUPS) -> FastAPI:
    """The server's application (ASGI).

    Parameters
    ----------
    desk : Desk
        What it works on.
    groups : sequence of str
        Which groups of addresses; those that are not there are left out.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        import anyio.to_thread

        anyio.to_thread.current_default_thread_limiter().total_tokens = desk.settings.limits.threads
        async with desk.waiting.running():
            yield

    app = FastAPI(
        title="spectralid reachback",
        version=__version__,
        description=_DESCRIPTION,
        # The pages that FastAPI would serve load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
    )
    app.state.desk = desk
    for module in _modules(groups):
        app.include_router(module.router, responses=problems.declared(*problems.COMMON))
        for path, folder in getattr(module, "STATIC", ()):
            app.mount(path, StaticFiles(directory=folder))
    problems.install(app)
    app.add_middleware(_Headers)
    app.add_middleware(BodyLimit, everybody=desk.limits.everybody, default=desk.settings.limits.body_bytes)
    _describe(app)
    return app


def _modules(groups: Sequence[str]) -> list[ModuleType]:
    return [importlib.import_module(f"{__package__}.{name}") for name in groups]


def _describe(app: FastAPI) -> None:
    """Let the description name the form of problems, which FastAPI does not know of."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            said = plain()
            schemas = said.setdefault("components", {}).setdefault("schemas", {})
            whole = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= whole.pop("$defs", {})
            schemas["Problem"] = whole
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = said
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class _Headers:
    """Puts what protects a browser on every reply; what a handler says itself stands."""

    def __init__(self, app: Callable[[_Message, _Receive, _Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = (*_HEADERS, _NO_STORE) if scope["path"].startswith("/v1/") else _HEADERS

        async def with_headers(message: _Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(one for one in wanted if one[0] not in there),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)
