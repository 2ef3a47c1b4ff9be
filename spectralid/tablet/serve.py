"""Running the tablet's web application on this machine, for this machine only."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spectralid.errors import MissingDependencyError, ParameterError
from spectralid.files import write_whole

if TYPE_CHECKING:
    from spectralid.tablet.workplace import Workplace

__all__ = ["ADDRESS", "listen", "serve", "session_secret"]

ADDRESS: Final = "127.0.0.1"
# Open event streams would otherwise keep the program from ending.
_GRACE_S: Final = 2


def listen(port: int) -> socket.socket:
    """A listening socket on this machine; port 0 takes any free one.

    Raises
    ------
    ParameterError
        If the port is taken or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port))
    except (OSError, OverflowError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or str(error)
        raise ParameterError("port", port, f"one that is free ({why}); 0 takes any") from None
    return listener


def session_secret(folder: Path) -> str:
    """Secret of the cookie, kept readable by its owner only, so that an open page survives a restart."""
    file = folder / "session"
    try:
        kept = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        kept = ""
    if len(kept) >= 32:
        return kept
    made = secrets.token_urlsafe(32)
    write_whole(file, [made.encode()])
    return made


def serve(place: Workplace, folder: Path, listener: socket.socket, *, ready: Callable[[str], None]) -> None:
    """Serve until the program is asked to end.

    Parameters
    ----------
    place : Workplace
        What is served; started here, closed by the caller.
    folder : Path
        Folder of the record.
    listener : socket
        From `listen`.
    ready : callable
        Told the address to open once the screen can be shown.

    Raises
    ------
    MissingDependencyError
        Without the extra ``[tablet]``.
    """
    try:
        import uvicorn
    except ImportError:
        raise MissingDependencyError("uvicorn", extra="tablet", purpose="for the tablet's screen") from None
    from spectralid.tablet.web import application

    key = secrets.token_urlsafe(16)
    app = application(place, key=key, session=session_secret(folder))
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    port = listener.getsockname()[1]

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(f"http://{ADDRESS}:{port}/?key={key}")
            place.start()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Streams end first, else shutting down waits for the pages to close.
            place.broker.close()
            await super().shutdown(sockets)

    Server(config).run(sockets=[listener])
