"""The asking end: a file and a function's name go to the keeper, numbers and JSON come back."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Final

from spectralid.errors import SpectralIDError
from spectralid.sandbox.answers import OUT_OF_MEMORY, Array, unpack
from spectralid.sandbox.limits import Limits

__all__ = ["BrokenError", "Result", "available", "run"]

_KEEPER: Final = "spectralid.sandbox.keeper"
# Beyond the time of the file itself: for starting the keeper on a busy machine.
_MARGIN_S: Final = 20.0
_MOST_SAID: Final = 4096


class BrokenError(SpectralIDError):
    """The process that read a file did not come to a good end.

    Its message follows "Reading it": *took more than 30 s*, *needed too much memory*.
    """


@dataclass(frozen=True, slots=True)
class Result:
    """What a function has handed back.

    Attributes
    ----------
    said : object
        Anything JSON can say.
    arrays : tuple of ndarray
        Numbers.
    """

    said: Any
    arrays: tuple[Array, ...] = ()


def available() -> bool:
    """Whether this system can read files in a process of their own.

    Returns
    -------
    bool
        ``False`` where the system cannot fork: Windows.
    """
    return hasattr(os, "fork") and hasattr(socket, "SOCK_SEQPACKET")


def run(
    function: str,
    data: bytes | str | os.PathLike[str],
    options: Mapping[str, Any],
    limits: Limits | None = None,
) -> Result:
    """Run a function on a file, in a process of its own.

    Parameters
    ----------
    function : str
        ``"module:name"`` of a function of ours. It gets the open file, and the options by name; it returns
        what JSON can say, and a list of arrays.
    data : bytes or path
        The content, or the file.
    options : mapping of str to object
        What JSON can say.
    limits : Limits, optional
        What it may cost.

    Returns
    -------
    Result

    Raises
    ------
    BrokenError
        If the process was ended by a limit or by the file, or handed back something else.
    OSError
        If there is no such file.
    """
    chosen = limits or Limits()
    request = {"function": function, "options": dict(options), "limits": asdict(chosen)}
    with _opened(data) as file:
        return _keeper().run(file, json.dumps(request).encode(), chosen)


@contextlib.contextmanager
def _opened(data: bytes | str | os.PathLike[str]) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        if not isinstance(data, bytes):
            file: Any = stack.enter_context(open(data, "rb", buffering=0))
        else:
            file = stack.enter_context(tempfile.TemporaryFile(buffering=0))
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            file.seek(0)
        yield file.fileno()


class _Keeper:
    """The line to the keeper of one process; threads take turns."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def close(self) -> None:
        """Let the keeper go."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def run(self, file: int, request: bytes, limits: Limits) -> Result:
        """Hand a file over and take what comes back."""
        with self._lock:
            if self._line is not None:
                # It may have gone, after a while without work.
                with contextlib.suppress(ConnectionError, EOFError):
                    return self._ask(self._line, file, request, limits)
            self.close()
            self._line = self._start()
            try:
                return self._ask(self._line, file, request, limits)
            except (ConnectionError, EOFError):
                self.close()
                raise BrokenError("could not be begun: no process for it starts on this machine") from None

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _KEEPER, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **_ONE_THREAD},
                start_new_session=True,
            )
        return ours

    def _ask(self, line: socket.socket, file: int, request: bytes, limits: Limits) -> Result:
        deadline = time.monotonic() + limits.wall_s + _MARGIN_S
        reading, writing = os.pipe()
        with open(reading, "rb", buffering=0) as answer:
            try:
                socket.send_fds(line, [request], [file, writing])
            finally:
                os.close(writing)
            try:
                raw = _everything(answer, deadline, limits.result_bytes)
                line.settimeout(max(0.1, deadline - time.monotonic()))
                said = line.recv(_MOST_SAID)
            except TimeoutError:
                self.close()
                raise BrokenError(f"took more than {limits.wall_s:g} s") from None
        if not said:
            raise EOFError
        _see(json.loads(said)["ended"], limits)
        if raw is None:
            raise BrokenError(f"gave more than {limits.result_bytes} bytes")
        try:
            return Result(*unpack(raw))
        except ValueError:
            raise BrokenError("gave something that is no answer") from None


_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _see(ended: int | str, limits: Limits) -> None:
    """Nothing, if the process ended as it should."""
    if ended == "time":
        raise BrokenError(f"took more than {limits.wall_s:g} s")
    if ended == -signal.SIGXCPU:
        raise BrokenError(f"took more than {limits.cpu_s} s of processor time")
    if ended == OUT_OF_MEMORY:
        raise BrokenError(f"needed more than {limits.memory_bytes / 2**20:.0f} MB of memory")
    if ended != 0:
        raise BrokenError(f"ended the process that did it (status {ended})")


def _everything(stream: BinaryIO, deadline: float, most: int) -> bytearray | None:
    """All that comes by a pipe until its end; ``None`` where that is too much."""
    raw: bytearray | None = bytearray()
    while select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = stream.read(2**20)
        if not part:
            return raw
        if raw is not None:
            raw += part
            if len(raw) > most:
                raw = None
    raise TimeoutError


_lines: Final[dict[int, _Keeper]] = {}


def _keeper() -> _Keeper:
    # By process: one that was forked must not talk on the line of its parent.
    return _lines.setdefault(os.getpid(), _Keeper())


@atexit.register
def _close() -> None:
    if (mine := _lines.get(os.getpid())) is not None:
        mine.close()
