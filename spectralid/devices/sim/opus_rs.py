"""A stand-in for OPUS with OPUS-RS: its states, its pages over HTTP on this machine, and what can go wrong.

The pages are made here by hand, not by the reader's tables; which error answers which wrong command follows
the meaning of the codes and is not verified on a real OPUS.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

__all__ = ["Fault", "OpusServer", "OpusStation"]

_TEXTS: Final = (
    "Idle",
    "Connecting",
    "Connected",
    "Measuring",
    "Finishing current measurement",
    "Cancelling",
    "Undefined",
)
_IDLE, _CONNECTING, _CONNECTED, _MEASURING, _FINISHING, _CANCELLING, _UNDEFINED = range(7)
_ERRORS: Final = (
    "",
    "Status is not 'Idle'",
    "Status is not 'Running'",
    "Status is not 'Running' or 'Finishing'",
    "Unknown command",
    "Website not found",
    "No result available",
    "System not connected",
)


class Fault(StrEnum):
    """What the server does wrong."""

    NONE = "none"
    SILENCE = "silence"
    GARBAGE = "garbage"
    SLOW = "slow"
    WRONG_PAGE = "wrong-page"
    NOT_FOUND = "404"
    DISCONNECT = "disconnect"
    NO_ANSWER = "no-answer"
    NOT_HTTP = "not-http"
    ENDLESS = "endless"


class OpusStation:
    """OPUS and its spectrometer, as far as OPUS-RS shows them.

    Parameters
    ----------
    export : callable
        Called when a measurement has come to its end; writes the file.
    clock : callable, optional
        Seconds that only go forward.
    connect_s, measure_s, finish_s, cancel_s : float, optional
        How long each takes.

    Attributes
    ----------
    refusal : int
        Error code with which every command is refused from now on; 0 for none.
    commands : list of str
        What it was told to do.
    """

    def __init__(
        self,
        export: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        connect_s: float = 3.0,
        measure_s: float = 20.0,
        finish_s: float = 3.0,
        cancel_s: float = 1.0,
    ) -> None:
        self._export = export
        self._clock = clock
        self._seconds = {
            _CONNECTING: connect_s,
            _MEASURING: measure_s,
            _FINISHING: finish_s,
            _CANCELLING: cancel_s,
        }
        self._status = _IDLE
        self._since = clock()
        # Requests come from the threads of a server.
        self._lock = threading.Lock()
        self.refusal = 0
        self.commands: list[str] = []

    def page(self, target: str) -> str:
        """The page for a request."""
        with self._lock:
            self._advance()
            if target == "/opusrs/stat.htm":
                return self._html(7 if self._status == _IDLE else 0)
            if target.startswith("/opusrs/cmd.htm?opusrs"):
                return self._html(self._command(target.removeprefix("/opusrs/cmd.htm?opusrs")))
            return self._html(5)

    def leave(self) -> None:
        """Go to the undefined state, as when the spectrometer is unplugged."""
        with self._lock:
            self._enter(_UNDEFINED, self._clock())

    def _enter(self, status: int, when: float) -> None:
        self._status, self._since = status, when

    def _advance(self) -> None:
        """Let happen what has happened by now."""
        then = {
            _CONNECTING: _CONNECTED,
            _MEASURING: _FINISHING,
            _FINISHING: _CONNECTED,
            _CANCELLING: _CONNECTED,
        }
        while self._status in then and self._clock() >= self._since + self._seconds[self._status]:
            if self._status == _FINISHING:
                self._export()
            self._enter(then[self._status], self._since + self._seconds[self._status])

    def _command(self, name: str) -> int:
        """Carry out a command; an error code."""
        self.commands.append(name)
        if self.refusal:
            return self.refusal
        now, status = self._clock(), self._status
        if name == "connect":
            if status != _IDLE:
                return 1
            self._enter(_CONNECTING, now)
        elif name == "start":
            if status != _CONNECTED:
                return 7 if status in (_IDLE, _CONNECTING) else 1
            self._enter(_MEASURING, now)
        elif name == "stop":
            if status not in (_MEASURING, _FINISHING):
                return 3
            self._enter(_FINISHING, now)
        elif name == "cancel":
            if status != _MEASURING:
                return 2
            self._enter(_CANCELLING, now)
        else:
            return 4
        return 0

    def _html(self, error: int) -> str:
        rows = f'<tr><td>Status</td><td id="STATUS">{self._status}</td></tr>\n'
        rows += f'<tr><td>Text</td><td id="TEXT">{_TEXTS[self._status]}</td></tr>\n'
        if error:
            text = _ERRORS[error] if error < len(_ERRORS) else "Unspecified"
            rows += f'<tr><td>Error</td><td id="ERRCODE">{error}</td></tr>\n'
            rows += f'<tr><td>Error text</td><td id="ERRTEXT">{text}</td></tr>\n'
        return f"<html><head><title>OPUS-RS</title></head>\n<body><table>\n{rows}</table></body></html>\n"


class OpusServer:
    """Serves a station over HTTP on this machine.

    Parameters
    ----------
    station : OpusStation
        What it shows.

    Attributes
    ----------
    fault : Fault
        What it does wrong from now on.
    requests : list of str
        What was asked for.
    """

    def __init__(self, station: OpusStation) -> None:
        self.fault = Fault.NONE
        self.requests: list[str] = []
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                server._answer(self, station)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; whoever still waits for an answer gets none."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, request: BaseHTTPRequestHandler, station: OpusStation) -> None:
        fault, out = self.fault, request.wfile
        if fault is Fault.SILENCE:
            self._closing.wait()
            return
        if fault is Fault.NO_ANSWER:
            return
        if fault is Fault.NOT_HTTP:
            out.write(b"\x00\xff220 smtp.example ready\r\n")
            return
        if fault is Fault.NOT_FOUND:
            request.send_error(404)
            return
        if fault is Fault.WRONG_PAGE:
            page = "<html><body><h1>It works!</h1><td id='state'>2</td></body></html>"
        elif fault is Fault.GARBAGE:
            page = "<<<table <td id='STATUS'><b>\x00&#xFFFFFF; two \udcff</td><td id"
        else:
            page = station.page(request.path)
        data = page.encode("utf-8", "surrogateescape")
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        if fault is not Fault.ENDLESS:
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if fault is Fault.DISCONNECT:
            out.write(data[: len(data) // 2])
        elif fault is Fault.ENDLESS:
            self._until_gone(request, b"<p>more</p>" * 1000, 0.0)
        elif fault is Fault.SLOW:
            self._until_gone(request, data[:1], 0.02)
        else:
            out.write(data)

    def _until_gone(self, request: BaseHTTPRequestHandler, piece: bytes, pause_s: float) -> None:
        while not self._closing.wait(pause_s):
            try:
                request.wfile.write(piece)
            except OSError:
                return
