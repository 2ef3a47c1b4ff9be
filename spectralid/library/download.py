"""Getting one file from the web: http and https only, resumed where it was cut, never larger than allowed.

A download goes on where it stopped only if the server says that it still has the same file: the request
carries the entity tag or date of the part that is there (If-Range, RFC 9110 section 13.1.5), so that a server
with another file sends all of it, and the download starts over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Final, NoReturn
from urllib.parse import urlsplit

import spectralid
from spectralid.errors import LibraryError, ParameterError

__all__ = ["Downloaded", "FetchError", "download", "file_sha256"]

# Answers that another try may change (RFC 9110, RFC 6585).
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT: Final = 120.0
_CHUNK: Final = 1 << 16
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class FetchError(LibraryError):
    """A library could not be fetched."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was downloaded.

    Attributes
    ----------
    url : str
        Where it came from in the end, after redirects.
    sha256 : str
        Of its bytes.
    size : int
        Bytes.
    resumed_from : int
        Bytes that were there from an earlier try; 0 if none.
    """

    url: str
    sha256: str
    size: int
    resumed_from: int


def download(
    url: str,
    target: str | os.PathLike[str],
    *,
    maximum_bytes: int,
    timeout: float = 30.0,
    tries: int = 5,
    wait: Callable[[float], None] = time.sleep,
    progress: Callable[[int, int | None], None] | None = None,
) -> Downloaded:
    """Download a file; it appears at `target` only when it is complete.

    What has arrived of an incomplete file stays beside it (``.partial``), for the next try or the next call.

    Parameters
    ----------
    url : str
        Where from, http or https.
    target : path
        Where to; replaced if it is there.
    maximum_bytes : int
        A larger file is refused.
    timeout : float
        Seconds without any answer after which a try has failed.
    tries : int
        How often to try before giving up, at least 1.
    wait : callable
        Called with the seconds to wait before the next try.
    progress : callable, optional
        Called with the bytes that are there and the size, ``None`` if the server does not state it.

    Returns
    -------
    Downloaded

    Raises
    ------
    FetchError
        If the server refuses or cannot be reached, redirects to what is not http or https, the file is too
        large, or cannot be written.
    ParameterError
        If `url` is not http or https.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ParameterError("url", url, "an http or https address")
    part = _Part(url, Path(target), maximum_bytes, timeout, progress)
    for attempt in range(1, tries + 1):
        try:
            return part.attempt()
        except _TemporaryError as error:
            if attempt == tries:
                raise FetchError(
                    f"{url}: the download failed {tries} times, the last time because {error}; "
                    "what has arrived is kept, try again later."
                ) from None
            wait(min(error.after if error.after is not None else 2.0 ** (attempt - 1), _LONGEST_WAIT))
    raise ParameterError("tries", tries, "at least 1")


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _TemporaryError(Exception):
    """A try failed in a way that another may not; `after` is the wait the server asks for, in seconds."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, but not from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise urllib.error.HTTPError(req.full_url, code, f"a redirect to {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # Not build_opener(): that one also opens file:, ftp: and data: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Part:
    """What has arrived of a file, and how to get the rest."""

    def __init__(
        self,
        url: str,
        target: Path,
        maximum: int,
        timeout: float,
        progress: Callable[[int, int | None], None] | None,
    ) -> None:
        self._url = url
        self._target = target
        self._partial = target.with_name(target.name + ".partial")
        self._state = target.with_name(target.name + ".partial.json")
        self._maximum = maximum
        self._timeout = timeout
        self._progress = progress

    def attempt(self) -> Downloaded:
        """One try."""
        validator = self._validator()
        start = self._partial.stat().st_size if validator else 0
        request = urllib.request.Request(
            self._url,
            headers={
                "User-Agent": f"spectralid/{spectralid.__version__}",
                # A range is one of the bytes as they are, not of a compressed form of them.
                "Accept-Encoding": "identity",
            },
        )
        if start:
            request.add_header("Range", f"bytes={start}-")
            request.add_header("If-Range", validator)
        with self._open(request) as response:
            start = self._start(response, start, validator)
            stated = response.headers.get("Content-Length", "")
            total = start + int(stated) if stated.isdigit() else None
            if total is not None and total > self._maximum:
                self._forget()
                raise FetchError(
                    f"{self._url}: the file has {total} bytes, more than the {self._maximum} allowed."
                )
            size = self._receive(response, start, total)
            final = response.geturl()
        if total is not None and size < total:
            raise _TemporaryError(f"it was cut off after {size} of {total} bytes")
        try:
            os.replace(self._partial, self._target)
            self._state.unlink(missing_ok=True)
            return Downloaded(final, file_sha256(self._target), size, start)
        except OSError as error:
            raise self._unwritable(error) from None

    def _open(self, request: urllib.request.Request) -> Any:
        try:
            return _opener().open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise FetchError(
                    f"{self._url}: the certificate of the server cannot be verified "
                    f"({reason.verify_message}); nothing was fetched."
                ) from None
            raise _TemporaryError(f"the server cannot be reached ({reason})") from None

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        if error.code == 416:
            self._forget()
            raise _TemporaryError("the part that was there does not fit the file of the server")
        if error.code in _TEMPORARY:
            after = error.headers.get("Retry-After", "")
            raise _TemporaryError(
                f"the server answered {error.code} ({error.reason})",
                float(after) if after.isdigit() else None,
            )
        if 300 <= error.code < 400:
            raise FetchError(
                f"{self._url}: the server redirects to where spectralid does not go ({error.reason})."
            )
        raise FetchError(
            f"{self._url}: the server answered {error.code} ({error.reason}); see whether the file has moved."
        )

    def _start(self, response: Any, start: int, validator: str) -> int:
        """Byte at which the answer starts; the part is kept or thrown away accordingly."""
        headers: Message = response.headers
        if response.status == 206:
            stated = _RANGE.fullmatch(headers.get("Content-Range", ""))
            same = (
                headers.get("ETag" if validator.startswith('"') else "Last-Modified", validator) == validator
            )
            if not start or stated is None or int(stated[1]) != start or not same:
                self._forget()
                raise _TemporaryError("the server sent another part of the file than was asked for")
            return start
        if response.status != 200:
            raise FetchError(f"{self._url}: the server answered {response.status}, which is not a file.")
        state = {"url": self._url, "validator": _strong_validator(headers)}
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._partial.write_bytes(b"")
            self._state.write_text(json.dumps(state), encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from None
        return 0

    def _receive(self, response: Any, size: int, total: int | None) -> int:
        try:
            file = self._partial.open("ab")
        except OSError as error:
            raise self._unwritable(error) from None
        with file:
            while True:
                if self._progress:
                    self._progress(size, total)
                try:
                    data = response.read(_CHUNK)
                except (OSError, HTTPException) as error:
                    raise _TemporaryError(f"the connection broke after {size} bytes ({error})") from None
                if not data:
                    return size
                size += len(data)
                if size > self._maximum:
                    self._forget()
                    raise FetchError(
                        f"{self._url}: the file is larger than the {self._maximum} bytes allowed."
                    )
                try:
                    file.write(data)
                except OSError as error:
                    raise self._unwritable(error) from None

    def _validator(self) -> str:
        """What the part there was marked with by the server; empty if it cannot be gone on with."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            if state["url"] == self._url and self._partial.is_file():
                return str(state["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return ""

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)
            self._state.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> FetchError:
        return FetchError(f"{self._target}: the file cannot be written ({error.strerror}).")


def _strong_validator(headers: Message) -> str:
    """Entity tag or date by which the server can tell this file from any other; empty if there is none."""
    tag = headers.get("ETag", "")
    if tag:
        return "" if tag.startswith("W/") else tag
    modified, now = headers.get("Last-Modified", ""), headers.get("Date", "")
    try:
        # Within the same second the file may change again and keep its date (RFC 9110 section 8.8.2.2).
        settled = (parsedate_to_datetime(now) - parsedate_to_datetime(modified)).total_seconds() >= 1
    except (TypeError, ValueError):
        return ""
    return modified if settled else ""
