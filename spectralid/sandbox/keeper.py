"""The keeper: ``python -m spectralid.sandbox.keeper HANDLE`` forks for each file that comes by a socket.

It imports what the functions need, so that the fork has it, and never looks at a file itself.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Final

from spectralid.sandbox.answers import OUT_OF_MEMORY, pack
from spectralid.sandbox.limits import Limits, impose

_IDLE_S: Final = 30.0
_MOST_ASKED: Final = 64 * 1024
_FAILED: Final = 70


def serve(line: socket.socket) -> None:
    """Fork for each file that comes, until nobody is at the other end or nothing came for a while."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    # With a handler, and the wake-up above, the end of a child interrupts waiting for it.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    line.settimeout(_IDLE_S)
    while True:
        try:
            message, handles, _, _ = socket.recv_fds(line, _MOST_ASKED, 2)
        except (TimeoutError, ConnectionError):
            return
        if not message:
            return
        request = json.loads(message)
        module, name = request["function"].split(":")
        function = getattr(importlib.import_module(module), name)
        limits = Limits(**request["limits"])
        child = os.fork()
        if child == 0:
            line.close()
            os._exit(_one(function, request["options"], limits, *handles))
        for handle in handles:
            os.close(handle)
        line.sendall(json.dumps({"ended": _wait(child, woken, limits.wall_s)}).encode())


def _one(function: Any, options: dict[str, Any], limits: Limits, file: int, out: int) -> int:
    """In a process of its own: read, hand back, and say how it went."""
    try:
        impose(limits)
        with open(file, "rb") as data, open(out, "wb") as answer:
            for part in pack(*function(data, **options)):
                answer.write(part)
    except MemoryError:
        return OUT_OF_MEMORY
    except BaseException:
        # Whatever it was ends with the process; the other end says that this file could not be read.
        return _FAILED
    return 0


def _wait(child: int, woken: int, wall_s: float) -> int | str:
    """How a child ended: its status, minus the signal that ended it, or ``"time"``."""
    deadline = time.monotonic() + wall_s
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        left = deadline - time.monotonic()
        if left <= 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "time"
        if select.select([woken], [], [], left)[0]:
            os.read(woken, 512)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as _line:
        serve(_line)
