"""Where releases of a library come from: an agency's server, or a folder such as that on a USB stick.

Both hold the same files. Nothing here is trusted, and nothing is read without an end: whoever asks stops
after as many bytes as the signed metadata allow, and a line that yields them too slowly is given up.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlsplit

from spectralid.errors import LibraryError, MissingDependencyError, ParameterError

if TYPE_CHECKING:
    import ssl

__all__ = ["FolderSource", "HttpSource", "NotThereError", "Source", "SourceError"]

_CHUNK: Final = 64 * 1024
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class SourceError(LibraryError):
    """A file of a repository that could not be read."""


class NotThereError(SourceError):
    """A file that the repository does not have."""


class Source(Protocol):
    """Gives the files of a repository by name: ``metadata/timestamp.json``, ``targets/…``."""

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, piece after piece.

        Raises
        ------
        NotThereError
            If there is none.
        SourceError
            If it cannot be read.
        """


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A repository in a folder: the copy on a USB stick.

    Parameters
    ----------
    folder : Path
        It holds the folders ``metadata`` and ``targets``.
    """

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, piece after piece."""
        parts = PurePosixPath(name).parts
        if not parts or any(part in ("..", "/") for part in parts):
            raise SourceError(f"{name}: it is no name of a file in a repository.")
        path = self.folder.joinpath(*parts)
        try:
            # A stick may hold anything under that name; a pipe would wait for ever.
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
            handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            raise NotThereError(f"{path}: it is not there.") from None
        except OSError as error:
            raise SourceError(f"{path}: it cannot be opened ({error.strerror}).") from None
        return _pieces(handle, path)


def _pieces(handle: int, path: Path) -> Iterator[bytes]:
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise SourceError(f"{path}: it is no ordinary file.")
        while piece := os.read(handle, _CHUNK):
            yield piece
    except OSError as error:
        raise SourceError(f"{path}: it cannot be read ({error.strerror}).") from None
    finally:
        os.close(handle)


@dataclass
class HttpSource:
    """A repository on a server.

    Parameters
    ----------
    url : str
        ``https://host/v1/library``; plain ``http`` only to this machine itself.
    tls : ssl.SSLContext, optional
        Authority of the server and certificate of this device; by default those the system trusts, and none.
    read_s : float
        How long the server may be silent, in seconds.
    total_s : float
        How long all of an update may take, in seconds: a line that yields a byte now and then is not silent.
    monotonic : callable
        Seconds since some moment.

    Raises
    ------
    ParameterError
        If the address is none.
    """

    url: str
    tls: ssl.SSLContext | None = None
    read_s: float = 20.0
    total_s: float = 1800.0
    monotonic: Callable[[], float] = time.monotonic
    _client: Any = field(default=None, init=False, repr=False)
    _end: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        if address.scheme != "https" and not (
            address.scheme == "http" and (address.hostname or "") in _LOOPBACK
        ):
            raise ParameterError("from", self.url, "an address of the form https://host/path, or a folder")
        self.url = self.url.rstrip("/")

    def __str__(self) -> str:
        return self.url

    def close(self) -> None:
        """Hang up."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, piece after piece."""
        if self._end is None:
            self._end = self.monotonic() + self.total_s
        if self._client is None:
            self._client = self._dial()
        return self._stream(f"{self.url}/{quote(name)}")

    def _stream(self, address: str) -> Iterator[bytes]:
        import httpx

        assert self._end is not None
        try:
            with self._client.stream("GET", address) as reply:
                if reply.status_code in (403, 404):
                    raise NotThereError(f"{address}: the server does not have it ({reply.status_code}).")
                if reply.status_code != 200:
                    raise SourceError(f"{address}: the server replied {reply.status_code}.")
                if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise SourceError(f"{address}: the reply is compressed, which was not asked for.")
                # As the bytes come: waiting for a whole piece would let a slow line wait for ever.
                for piece in reply.iter_raw():
                    if self.monotonic() > self._end:
                        raise SourceError(f"{address}: the update takes longer than {self.total_s:.0f} s.")
                    yield piece
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise SourceError(f"{address}: the server cannot be read ({type(error).__name__}).") from None

    def _dial(self) -> Any:
        try:
            import httpx
        except ImportError:
            raise MissingDependencyError("httpx", extra="tablet", purpose="to fetch a library") from None
        return httpx.Client(
            verify=self.tls if self.tls is not None else True,
            # Whoever sets a variable or answers with a redirect must not change the way to the agency.
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(10.0, read=self.read_s),
            headers={"Accept-Encoding": "identity", "User-Agent": "spectralid"},
        )
