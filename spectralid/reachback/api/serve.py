"""Running the server: one application, a listener for tablets and one for persons.

Tablets need a certificate of the agency's authority before anything of a request is read. Persons are asked
for none: password, second factor and session are theirs. What a line is can therefore never be said by who
is at its other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import MissingDependencyError, ParameterError
from spectralid.reachback.errors import ReachbackError
from spectralid.reachback.store import migrate
from spectralid.reachback.store.database import open_database
from spectralid.reachback.store.serverkeys import ServerKeys

if TYPE_CHECKING:
    import ssl

    from spectralid.reachback.api.desk import Desk
    from spectralid.reachback.settings import Settings

__all__ = ["Addresses", "listen", "open_desk", "run", "serve"]

# As long as a tablet keeps a line open, and a little.
_KEEP_ALIVE_S: Final = 65
_BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the server is reached.

    Attributes
    ----------
    desk, devices : str
        URLs for persons and for tablets.
    """

    desk: str
    devices: str


def open_desk(folder: str | Path, settings: Settings) -> Desk:
    """Open a server's database, bring it to this version, and load its keys; made where there are none.

    Parameters
    ----------
    folder : path
        Of the server's files.
    settings : Settings
        How it is set up.

    Raises
    ------
    ReachbackError
        If the database cannot be used, or was made by a newer version.
    """
    from spectralid.reachback.api.desk import Desk

    db = open_database(settings.database or None, folder)
    try:
        migrate.upgrade(db)
        return Desk(db, ServerKeys.open(db.folder), settings)
    except BaseException:
        db.close()
        raise


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises
    ------
    ParameterError
        If the address is taken or not of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(found[0], socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(found[4])
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ParameterError("address", f"{host}:{port}", f"one that is free ({why})") from None
    return listener


def serve(desk: Desk, *, ready: Callable[[Addresses], None]) -> None:
    """Serve until the program is asked to end; requests under way are finished first.

    Parameters
    ----------
    desk : Desk
        As `open_desk` makes it; closed at the end.
    ready : callable
        Told where, once both listeners take requests.

    Raises
    ------
    ParameterError
        If an address is taken, or one without TLS is not of this machine alone.
    """

    async def until_asked() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        with _signals(loop, stop):
            await run(desk, ready=ready, stop=stop)

    try:
        asyncio.run(until_asked())
    finally:
        desk.db.close()


async def run(desk: Desk, *, ready: Callable[[Addresses], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set, within a loop that is there already.

    Parameters
    ----------
    desk : Desk
        The server.
    ready : callable
        Told where, once both listeners take requests.
    stop : asyncio.Event
        Ends it: nobody new is let in, who waits is sent home, what is under way is finished.
    """
    try:
        import uvicorn
    except ImportError:
        raise MissingDependencyError("uvicorn", extra="reachback", purpose="for the server") from None
    from spectralid.reachback.api.app import create_app
    from spectralid.reachback.tablets.tls import Authority, PeerCertificate, server_context

    settings = desk.settings
    _see_plain(settings)
    authority = Authority.open(desk.folder, now=desk.now())
    files = authority.server_files(desk.folder, settings.desk.names, now=desk.now())
    own = settings.desk.certificate, settings.desk.key
    chosen = (Path(own[0]), Path(own[1] or own[0])) if own[0] else files
    with contextlib.ExitStack() as stack:
        listeners = [
            stack.enter_context(contextlib.closing(listen(said.host, said.port)))
            for said in (settings.desk, settings.devices)
        ]
        ports = [one.getsockname()[1] for one in listeners]
        # With port 0 only now it is known where tablets are to come.
        desk = replace(desk, settings=replace(settings, devices=replace(settings.devices, port=ports[1])))
        app = create_app(desk)
        contexts: list[ssl.SSLContext | None] = [
            None if settings.desk.plain else server_context(*chosen, None),
            server_context(*files, authority),
        ]
        servers = []
        for context in contexts:
            config = uvicorn.Config(
                app,
                http=PeerCertificate,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # What a proxy says of who is behind it counts only where there has to be one.
                proxy_headers=context is None,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(settings.stop_s)),
                backlog=_BACKLOG,
            )
            config.load()
            config.ssl = context
            servers.append(_server(uvicorn)(config))
        async with app.router.lifespan_context(app):
            tasks = [
                asyncio.create_task(one.serve(sockets=[listener]))
                for one, listener in zip(servers, listeners, strict=True)
            ]
            try:
                while not all(one.started for one in servers):
                    for task in tasks:
                        if task.done():
                            task.result()
                            raise ReachbackError("The server could not begin to listen.")
                    await asyncio.sleep(0.01)
                ready(_addresses(settings, *ports))
                await stop.wait()
            finally:
                desk.waiting.stop()
                for one in servers:
                    one.should_exit = True
                await asyncio.gather(*tasks, return_exceptions=True)


def _server(uvicorn: Any) -> Any:
    class Server(uvicorn.Server):  # type: ignore[misc]
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # There are two of them, and one program that is asked to end.
            yield

    return Server


def _addresses(settings: Settings, desk_port: int, device_port: int) -> Addresses:
    name = settings.desk.names[0]
    host = f"[{name}]" if ":" in name else name
    scheme = "http" if settings.desk.plain else "https"
    return Addresses(
        f"{scheme}://{host}:{desk_port}", settings.devices.url or f"https://{host}:{device_port}"
    )


def _see_plain(settings: Settings) -> None:
    if not settings.desk.plain:
        return
    try:
        local = ipaddress.ip_address(settings.desk.host).is_loopback
    except ValueError:
        local = settings.desk.host == "localhost"
    if not local:
        raise ParameterError("desk.plain", settings.desk.host, "only at an address of this machine alone")


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    if sys.platform == "win32":
        before = {one: signal.signal(one, lambda *_: loop.call_soon_threadsafe(stop.set)) for one in numbers}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
        return
    for one in numbers:
        loop.add_signal_handler(one, stop.set)
    try:
        yield
    finally:
        for one in numbers:
            loop.remove_signal_handler(one)
