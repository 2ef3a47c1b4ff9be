"""A web server on this machine that answers as a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """Answers each path with its next answer; the last one again and again.

    Attributes
    ----------
    url : str
        Address of the site, without a slash at the end.
    requests : list of (path, headers)
        What was asked for.
    """

    def __init__(self) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.requests.append((self.path, dict(self.headers.items())))
                answers = site._answers.get(self.path, [status(404)])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                answer(self)
                self.close_connection = True

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def put(self, path: str, *answers: Answer) -> str:
        """Answer `path` so; returns its address."""
        self._answers[path] = list(answers)
        return self.url + path

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def status(code: int, **headers: str) -> Answer:
    """An answer without content."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def content(
    data: bytes,
    *,
    etag: str = "",
    modified: str = "",
    cut: int | None = None,
    ranges: bool = True,
    length: bool = True,
) -> Answer:
    """A file as RFC 9110 has it: with a part of it on request, if it still is the file that was meant.

    `cut` closes the connection after so many bytes of what was to be sent.
    """

    def answer(request: BaseHTTPRequestHandler) -> None:
        wanted, condition = request.headers.get("Range", ""), request.headers.get("If-Range")
        start = 0
        if ranges and wanted and (condition is None or condition in (etag, modified)):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                status(416, Content_Range=f"bytes */{len(data)}")(request)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            request.send_response(200)
        if etag:
            request.send_header("ETag", etag)
        if modified:
            request.send_header("Last-Modified", modified)
        if length:
            request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        request.wfile.write(data[start:] if cut is None else data[start:][:cut])

    return answer
