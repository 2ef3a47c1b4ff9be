"""Starting the simulator in a process of its own, and ending it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import spectralid
from spectralid.errors import DeviceError

__all__ = ["Simulator"]

_START_S: Final = 30.0
_END_S: Final = 5.0


class Simulator:
    """A running simulator; ends with the ``with`` block, or with this program.

    Parameters
    ----------
    *arguments : str
        Arguments of ``python -m spectralid.devices.sim``.

    Attributes
    ----------
    port : str
        Serial port it serves.

    Raises
    ------
    DeviceError
        If it does not start.
    """

    def __init__(self, *arguments: str) -> None:
        self._process = _start(arguments)
        self.port = _next_line(self._process)
        if not self.port:
            self._process.kill()
            why = self._process.communicate()[1].strip().splitlines()
            raise DeviceError(f"The simulator did not start: {why[-1] if why else 'it printed no port'}")

    def next_port(self) -> str:
        """Wait for the name under which an unplugged line comes back; empty if it does not."""
        self.port = _next_line(self._process)
        return self.port

    def close(self) -> None:
        """End the simulator."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    # The child must find this very package, also from a checkout that is not installed.
    package = str(Path(spectralid.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "spectralid.devices.sim", "--until-eof", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def _next_line(process: subprocess.Popen[str]) -> str:
    """The next line the process prints, or an empty string if it prints none in time."""
    lines: list[str] = []

    def read() -> None:
        if process.stdout is not None:
            lines.append(process.stdout.readline().strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(_START_S)
    return lines[0] if lines else ""
