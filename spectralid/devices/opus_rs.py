"""Bruker OPUS-RS: starting a measurement in OPUS over HTTP; the spectrum comes as the file OPUS writes.

OPUS, on the computer beside the spectrometer, answers ``GET /opusrs/stat.htm`` and
``GET /opusrs/cmd.htm?opusrs…`` with a page whose table cells STATUS, TEXT, ERRCODE and ERRTEXT tell its
state. What is measured (scans, resolution, background) is set up in OPUS, not here. Addresses, cells and
codes are those of an open-source program that drives an EM27 this way (FINESSE, Imperial College London),
which took them from Bruker's manual. No spectrometer was at hand to try this on.
"""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import IntEnum
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any, Final

from spectralid.devices.transport import Deadline
from spectralid.devices.watch_folder import TakenFile, WatchFolder
from spectralid.errors import DeviceError, ParameterError, ProtocolError, SpectralIDError, TransportError
from spectralid.spectrum import Spectrum

__all__ = ["OPUS_ERRORS", "OpusRefusedError", "OpusRs", "OpusState", "OpusStatus", "parse_page"]

STATUS_PAGE: Final = "/opusrs/stat.htm"
COMMAND_PAGE: Final = "/opusrs/cmd.htm?opusrs"
# A page of these is a few hundred bytes.
MAXIMUM_PAGE: Final = 64 * 1024
# What the program this was learned from allows itself; OPUS has to measure, too.
PAUSE_S: Final = 2.0
# A page that does not come while a long measurement runs is asked for again so many times in a row.
_MISSES: Final = 3
_CELLS: Final = ("STATUS", "TEXT", "ERRCODE", "ERRTEXT")


class OpusStatus(IntEnum):
    """What OPUS is doing."""

    IDLE = 0
    CONNECTING = 1
    CONNECTED = 2
    MEASURING = 3
    FINISHING = 4
    CANCELLING = 5
    UNDEFINED = 6


OPUS_ERRORS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "no error",
        1: "OPUS is not idle",
        2: "no measurement is running",
        3: "no measurement is running or finishing",
        4: "OPUS does not know the command",
        5: "OPUS does not have the page",
        6: "there is no result",
        7: "OPUS is not connected to the spectrometer",
    }
)
"""What the error codes mean."""


class OpusRefusedError(DeviceError):
    """OPUS did not carry out a command.

    Parameters
    ----------
    command : str
        What it was told to do.
    code : int
        Its error code, see `OPUS_ERRORS`.
    text : str
        Its own words.
    """

    def __init__(self, command: str, code: int, text: str) -> None:
        meaning = OPUS_ERRORS.get(code, "an error unknown here")
        own = f", in its words: {text}" if text else ""
        super().__init__(f"OPUS refused to {command}: {meaning} (error {code}{own}).")
        self.command = command
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class OpusState:
    """What a page of OPUS says.

    Attributes
    ----------
    status : OpusStatus
        What it is doing.
    text : str
        The same in its words.
    error : int
        Error code, 0 for none.
    error_text : str
        The same in its words.
    """

    status: OpusStatus
    text: str = ""
    error: int = 0
    error_text: str = ""


class _Cells(HTMLParser):
    """Text of the table cells whose id is wanted; a cell ends where the next begins, closed or not."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, list[str]] = {}
        self._open: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._open = None
        if tag in ("td", "th"):
            name = (dict(attrs).get("id") or "").strip().upper()
            if name in _CELLS:
                if name in self.found:
                    raise ProtocolError(f"The page of OPUS has two cells {name}; it is not understood.")
                self._open = self.found[name] = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open.append(data)


def parse_page(page: str) -> OpusState:
    """Read a page of OPUS-RS.

    Parameters
    ----------
    page : str
        HTML.

    Raises
    ------
    ProtocolError
        If it is no such page, or says something unknown.
    """
    parser = _Cells()
    try:
        parser.feed(page)
        parser.close()
    except AssertionError:  # so the standard library says that it cannot make sense of a declaration
        raise ProtocolError("The page is not HTML that can be read; check the address.") from None
    cells = {name: " ".join("".join(parts).split()) for name, parts in parser.found.items()}
    if "STATUS" not in cells:
        raise ProtocolError(
            "The page is not one of OPUS-RS (it has no cell STATUS); check the address, and that OPUS-RS is "
            "switched on in OPUS."
        )
    number = _number(cells["STATUS"], "STATUS")
    try:
        status = OpusStatus(number)
    except ValueError:
        raise ProtocolError(f"OPUS reports status {number}, which is unknown here.") from None
    error = _number(cells["ERRCODE"], "ERRCODE") if cells.get("ERRCODE") else 0
    return OpusState(status, cells.get("TEXT", ""), error, cells.get("ERRTEXT", ""))


def _number(text: str, cell: str) -> int:
    # Unlike int(), neither signs nor underscores nor other scripts' digits.
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise ProtocolError(f"The cell {cell} of OPUS's page holds {text[:40]!r}, not a number.")
    return int(text)


class OpusRs:
    """OPUS on another computer, or this one.

    Parameters
    ----------
    host : str
        Name or address of the computer on which OPUS runs.
    port : int, optional
        Port of its web server.
    deadline_s : float, optional
        Seconds within which a page must have come whole, > 0.
    pause_s : float, optional
        Least seconds between two requests.
    clock, wait : callable, optional
        Seconds that only go forward, and what lets some pass; for tests.
    """

    def __init__(
        self,
        host: str,
        port: int = 80,
        *,
        deadline_s: float = 5.0,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        if not deadline_s > 0:
            raise ParameterError("deadline_s", deadline_s, "more than 0 seconds")
        if not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
            raise ParameterError("host", host, "the name or address of a computer, without http:// and path")
        self.host = host
        self.port = port
        self._deadline_s = deadline_s
        self._pause_s = pause_s
        self._clock = clock
        self._wait = wait
        self._last: float | None = None

    def status(self) -> OpusState:
        """What OPUS is doing. An error it reports with it (not connected, when idle) is no failure.

        Raises
        ------
        TransportError
            ``absent``, ``timeout`` or ``disconnected``.
        ProtocolError
            If what comes is no page of OPUS-RS.
        """
        return self._page(STATUS_PAGE)

    def connect(self) -> OpusState:
        """Let OPUS connect to the spectrometer.

        Raises
        ------
        OpusRefusedError
            If OPUS refuses; the other commands likewise.
        TransportError, ProtocolError
            As for `status`. The command is not repeated: whether it arrived is unknown.
        """
        return self._command("connect")

    def start(self) -> OpusState:
        """Start the measurement that is set up in OPUS; errors as for `connect`."""
        return self._command("start")

    def stop(self) -> OpusState:
        """End the measurement and keep what there is; errors as for `connect`."""
        return self._command("stop")

    def cancel(self) -> OpusState:
        """End the measurement and drop it; errors as for `connect`."""
        return self._command("cancel")

    def measure(
        self,
        watch: WatchFolder,
        *,
        connect_s: float = 120.0,
        measure_s: float = 1800.0,
        file_s: float = 60.0,
    ) -> TakenFile:
        """Measure once, and take the file that OPUS writes.

        Parameters
        ----------
        watch : WatchFolder
            The folder OPUS saves to. What is in it beforehand is passed over. Nobody else may measure with
            this OPUS meanwhile: the first file that appears is taken for the result.
        connect_s, measure_s, file_s : float, optional
            Most seconds for connecting, for measuring, and from the end of it to a complete file.

        Returns
        -------
        TakenFile
            Not yet entered as taken: call ``watch.acknowledge`` with it when its spectra are safe.

        Raises
        ------
        OpusRefusedError
            If OPUS refuses a command.
        DeviceError
            If the measurement was ended by somebody else.
        TransportError
            If OPUS cannot be reached, or something did not happen in time (``timeout``).
        """
        state = self.status()
        if state.status is OpusStatus.IDLE:
            self.connect()
        elif state.status not in (OpusStatus.CONNECTING, OpusStatus.CONNECTED):
            raise DeviceError(f"OPUS is busy or not well ({state.text}); wait until it is ready.")
        if state.status is not OpusStatus.CONNECTED:
            self._until_connected(connect_s, on_the_way=(OpusStatus.IDLE, OpusStatus.CONNECTING))
        watch.pass_over_present()
        try:
            if self.start().status is OpusStatus.CONNECTED:
                # Accepted, but not yet begun: taken at its word, the next look would call it finished.
                self.status()
            self._until_connected(measure_s, on_the_way=(OpusStatus.MEASURING, OpusStatus.FINISHING))
        except OpusRefusedError:
            raise
        except BaseException:
            # Whoever gives up must not leave the spectrometer measuring, if it can still be reached.
            with suppress(SpectralIDError):
                self.cancel()
            raise
        return self._result(watch, file_s)

    def _until_connected(self, seconds: float, *, on_the_way: tuple[OpusStatus, ...]) -> None:
        end = self._clock() + seconds
        misses = 0
        while self._clock() < end:
            try:
                state = self.status()
            except TransportError:
                misses += 1
                if misses == _MISSES:
                    raise
                continue
            misses = 0
            if state.status is OpusStatus.CONNECTED:
                return
            if state.status not in on_the_way:
                raise DeviceError(
                    f"OPUS went to the state {state.status.name.lower()} ({state.text}); what was under way "
                    "was ended there."
                )
        raise TransportError(f"OPUS on {self.host} was not ready after {seconds:g} s.", kind="timeout")

    def _result(self, watch: WatchFolder, seconds: float) -> TakenFile:
        end = self._clock() + seconds
        while True:
            for file in watch.poll():
                return replace(file, spectra=tuple(_flagged(spectrum) for spectrum in file.spectra))
            if self._clock() >= end:
                raise TransportError(
                    f"OPUS has measured, but no readable file appeared in {watch.folder} within "
                    f"{seconds:g} s; check where OPUS saves to.",
                    kind="timeout",
                )
            self._wait(watch.poll_s)

    def _command(self, name: str) -> OpusState:
        state = self._page(COMMAND_PAGE + name)
        if state.error:
            raise OpusRefusedError(name, state.error, state.error_text)
        return state

    def _page(self, target: str) -> OpusState:
        now = self._clock()
        if self._last is not None and now < self._last + self._pause_s:
            self._wait(self._last + self._pause_s - now)
        try:
            return parse_page(self._get(target))
        finally:
            # Counted from the end of a request: a slow OPUS is not pressed.
            self._last = self._clock()

    def _get(self, target: str) -> str:
        connection = _Connection(self.host, self.port, Deadline(self._deadline_s))
        with self._normalised():
            try:
                connection.request("GET", target, headers={"Connection": "close"})
                answer = connection.getresponse()
                if answer.status != 200:
                    raise ProtocolError(
                        f"OPUS on {self.host} answers {target} with HTTP {answer.status} ({answer.reason}); "
                        "check the address, and that OPUS-RS is switched on in OPUS."
                    )
                data = answer.read(MAXIMUM_PAGE + 1)
                if answer.length:
                    raise http.client.IncompleteRead(data, answer.length)
            finally:
                connection.end()
        if len(data) > MAXIMUM_PAGE:
            raise ProtocolError(f"The page {target} is longer than any of OPUS-RS; check the address.")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("cp1252", errors="replace")

    @contextmanager
    def _normalised(self) -> Iterator[None]:
        """One kind of error, whatever the library calls it."""
        where = f"OPUS on {self.host}, port {self.port}"
        try:
            yield
        except TimeoutError:
            raise TransportError(
                f"{where} sent no whole page within {self._deadline_s:g} s; check that OPUS runs.",
                kind="timeout",
            ) from None
        except (ConnectionRefusedError, socket.gaierror):
            # Nobody listens there, or the name is not known.
            raise TransportError(
                f"{where} is not there; check the address, the network and that OPUS runs.", kind="absent"
            ) from None
        except (http.client.RemoteDisconnected, http.client.IncompleteRead):
            raise TransportError(
                f"{where} ended the connection in the middle of a page.", kind="disconnected"
            ) from None
        except http.client.HTTPException as error:
            raise ProtocolError(
                f"{where} does not speak HTTP ({type(error).__name__}); check the address."
            ) from None
        except OSError as error:
            raise TransportError(f"{where}: the line was lost ({error}).", kind="disconnected") from None


class _Connection(http.client.HTTPConnection):
    """An HTTP connection on which everything together has one deadline.

    A timeout of the standard library counts for each piece: one byte now and then would keep it waiting.
    """

    def __init__(self, host: str, port: int, deadline: Deadline) -> None:
        super().__init__(host, port, timeout=deadline.seconds)
        self._deadline = deadline
        self._line: _Socket | None = None

    def connect(self) -> None:
        address = (self.host, self.port)
        plain = socket.create_connection(address, timeout=max(self._deadline.left, 1e-3))
        self.sock = self._line = _Socket.of(plain, self._deadline)

    def end(self) -> None:
        """Close everything; `close` leaves the socket open while an answer, failed or not, holds on to it."""
        self.close()
        if self._line is not None and (handle := self._line.detach()) >= 0:
            socket.close(handle)


class _Socket(socket.socket):
    """A socket whose reads together end at a deadline."""

    deadline: Deadline

    @classmethod
    def of(cls, plain: socket.socket, deadline: Deadline) -> _Socket:
        timeout = plain.gettimeout()
        made = cls(plain.family, plain.type, plain.proto, fileno=plain.detach())
        made.settimeout(timeout)
        made.deadline = deadline
        return made

    def recv_into(self, *args: Any, **options: Any) -> int:
        left = self.deadline.left
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)
        return super().recv_into(*args, **options)


def _flagged(spectrum: Spectrum) -> Spectrum:
    return spectrum.replace(acquisition=spectrum.acquisition.with_flags("opus_rs"))
