"""A line that fails: a proxy of TCP between a tablet and its server, which sees bytes and no meaning.

Each connection meets the next fault of the script; without one it is an honest line. TLS goes through it, so
that what a fault does to the bytes is what a network does to them.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator

__all__ = [
    "BlackHole",
    "CutAfter",
    "Drips",
    "Fault",
    "Held",
    "HtmlInstead",
    "Link",
    "Proxy",
    "ReplyLost",
    "ResetAfter",
    "Sliced",
]

DEADLINE_S = 20.0


class Link:
    """One connection through the proxy, worked on by one thread."""

    def __init__(self, client: socket.socket, over: threading.Event) -> None:
        self.client = client
        self.server: socket.socket | None = None
        self.over = over
        self.up_bytes = 0
        self.ended = False

    def connect(self, port: int) -> None:
        self.server = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def up(self, data: bytes) -> None:
        assert self.server is not None
        self.server.sendall(data)

    def down(self, data: bytes) -> None:
        self.client.sendall(data)

    def arriving(self) -> Iterator[tuple[socket.socket, bytes]]:
        """Which end has said what, until one of them has nothing more to say or the proxy is closed."""
        while not (self.ended or self.over.is_set()):
            ready, _, _ = select.select(list(self.ends()), [], [], 0.02)
            for end in ready:
                data = end.recv(16384)
                if not data:
                    return
                yield end, data
                if self.ended:
                    return

    def reset(self) -> None:
        """RST to both ends: what is under way is lost."""
        for end in self.ends():
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.ended = True
        for end in self.ends():
            end.close()

    def ends(self) -> Iterator[socket.socket]:
        yield self.client
        if self.server is not None:
            yield self.server


class Fault:
    """An honest line; the others change what becomes of the bytes of one connection."""

    def begin(self, link: Link) -> bool:
        """Whether the server is called at all."""
        return True

    def up(self, link: Link, data: bytes) -> None:
        """Bytes from the tablet."""
        link.up(data)

    def down(self, link: Link, data: bytes) -> None:
        """Bytes from the server."""
        link.down(data)


class BlackHole(Fault):
    """Takes everything in and never says a word."""

    def __init__(self) -> None:
        self.reached = threading.Event()

    def begin(self, link: Link) -> bool:
        self.reached.set()
        for _ in link.arriving():
            pass
        return False


class HtmlInstead(Fault):
    """The hotel's sign-in page, for whoever asks for whatever."""

    def begin(self, link: Link) -> bool:
        link.client.recv(65536)
        page = b"<html>Welcome, please sign in</html>"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)
        with contextlib.suppress(OSError):
            link.down(head + page)
        return False


class ResetAfter(Fault):
    """RST once the tablet has sent so many bytes: in the midst of a body."""

    def __init__(self, up_bytes: int) -> None:
        self.left = up_bytes

    def up(self, link: Link, data: bytes) -> None:
        link.up(data[: self.left])
        self.left -= len(data)
        if self.left <= 0:
            self.end(link)

    def end(self, link: Link) -> None:
        link.reset()


class CutAfter(ResetAfter):
    """An orderly end after so many bytes: a router that allows 64 KiB."""

    def end(self, link: Link) -> None:
        link.close()


class Sliced(Fault):
    """Every byte arrives, a few at a time."""

    def __init__(self, size: int) -> None:
        self.size = size

    def up(self, link: Link, data: bytes) -> None:
        for start in range(0, len(data), self.size):
            link.up(data[start : start + self.size])

    def down(self, link: Link, data: bytes) -> None:
        for start in range(0, len(data), self.size):
            link.down(data[start : start + self.size])


class Drips(Fault):
    """One byte of the reply to a body now and then: no single read is ever too long."""

    def __init__(self, up_bytes: int, every_s: float) -> None:
        self.up_bytes = up_bytes
        self.every_s = every_s

    def down(self, link: Link, data: bytes) -> None:
        if link.up_bytes < self.up_bytes:
            link.down(data)
            return
        for at in range(len(data)):
            link.down(data[at : at + 1])
            if link.over.wait(self.every_s):
                return


class Held(Fault):
    """What the server says once the body has come is held back until it is let go."""

    def __init__(self, up_bytes: int) -> None:
        self.up_bytes = up_bytes
        self.release = threading.Event()

    def down(self, link: Link, data: bytes) -> None:
        if link.up_bytes >= self.up_bytes:
            self.release.wait(DEADLINE_S)
        link.down(data)


class ReplyLost(Fault):
    """The line dies when the server has committed, before a byte of its reply has passed."""

    def __init__(self, up_bytes: int, committed: Callable[[], None]) -> None:
        self.up_bytes = up_bytes
        self.committed = committed

    def down(self, link: Link, data: bytes) -> None:
        if link.up_bytes < self.up_bytes:
            link.down(data)
            return
        self.committed()
        link.reset()


class Proxy:
    """Listens, and hands on to a port of this machine.

    Parameters
    ----------
    upstream : int
        The server's port; may be changed at any time.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.connections = 0
        self._script: deque[Fault] = deque()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.port = 0
        self._listener: socket.socket | None = None
        self.listen()

    def script(self, *faults: Fault) -> None:
        """The next connections meet these, one each."""
        self._script.extend(faults)

    def listen(self) -> None:
        """Take calls (again, after `refuse`)."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def refuse(self) -> None:
        """Nobody listens: callers are refused."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def close(self) -> None:
        self._over.set()
        self.refuse()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            fault = self._script.popleft() if self._script else Fault()
            self._start(self._serve, Link(client, self._over), fault)

    def _serve(self, link: Link, fault: Fault) -> None:
        # What ends a connection by whatever way is what is tested.
        with contextlib.suppress(OSError):
            if fault.begin(link):
                link.connect(self.upstream)
                for end, data in link.arriving():
                    if end is link.client:
                        link.up_bytes += len(data)
                        fault.up(link, data)
                    else:
                        fault.down(link, data)
        link.close()
