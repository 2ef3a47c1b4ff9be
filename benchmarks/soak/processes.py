"""The programs of a soak: started as processes of their own, by its clock, and the server they all reach."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.reachback._server import enrol, free_port
from benchmarks.soak.clock import SharedClock
from spectralid.casework.enrolment import Enrolment
from spectralid.casework.store import CaseStore
from spectralid.reachback.api import serve
from spectralid.reachback.api.desk import Desk
from spectralid.reachback.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
_END_S = 60.0
_LIMITS = """
[limits]
device_per_min = 6000.0
device_burst = 20000
sign_in_per_min = 6000.0
sign_in_burst = 10000
all_per_s = 5000.0
all_burst = 20000
"""
"""Those of the server, as much looser as the day passes faster."""


class Program:
    """A program of spectralid; ends with the ``with`` block.

    Parameters
    ----------
    log : Path
        Where it writes what it says of itself.
    clock : Path
        Of the soak.
    pace : float
        See `SharedClock.install`.
    plant : str
        A leak, or ``-``.
    *arguments : str
        Of ``spectralid``.
    """

    def __init__(self, log: Path, clock: Path, pace: float, plant: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "benchmarks.soak.program", str(clock), str(pace), plant, *arguments]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=file, env={**os.environ, "PYTHONPATH": path}
            )
        self._log = log

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline().decode().strip()
        if not said:
            raise RuntimeError("the program ended: " + self._log.read_text(errors="replace")[-2000:])
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it as its user would."""
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Server:
    """``spectralid reachback serve``, which can be taken away and come back.

    Parameters
    ----------
    folder : Path
        Of its files.
    clock : Path
        Of the soak.
    pace : float
        See `SharedClock.install`.
    database : str, optional
        ``postgresql://…``; SQLite by default.
    """

    def __init__(self, folder: Path, clock: Path, pace: float, database: str = "", plant: str = "-") -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.device_port, self.port = free_port(), free_port()
        self._clock, self._pace, self._database, self._plant = clock, pace, database, plant
        self._settings = folder / "settings.toml"
        self._settings.write_text(_LIMITS)
        self._program: Program | None = None
        # Keys, certificates and tables are made with the core of the server, before it runs.
        shared = SharedClock(clock)
        made = serve.open_desk(folder, Settings(database=database))
        self.desk = Desk(made.db, made.keys, made.settings, shared.wall_utc)

    @property
    def is_there(self) -> bool:
        """Whether it runs."""
        return self._program is not None

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._program is not None
        return self._program.pid

    @property
    def url(self) -> str:
        """For persons."""
        return f"https://localhost:{self.port}"

    @property
    def ca(self) -> Path:
        """The agency's authority."""
        return self.folder / "tls" / "ca.pem"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        arguments = ["reachback", "serve", "--data", str(self.folder), "--settings", str(self._settings)]
        arguments += ["--port", str(self.port), "--device-port", str(self.device_port)]
        arguments += ["--database", self._database] if self._database else []
        self._program = Program(
            self.folder.parent / "server.log", self._clock, self._pace, self._plant, *arguments
        )
        self._program.line()
        self._program.line()
        context = ssl.create_default_context(cafile=self.ca)
        with httpx.Client(verify=context, trust_env=False, timeout=60) as client:
            client.get(f"{self.url}/readyz").raise_for_status()

    def stop(self) -> None:
        """Take it away."""
        if self._program is not None:
            self._program.close()
            self._program = None

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self.desk.db.close()


def enrolled(server: Server, folder: Path, clock: SharedClock) -> None:
    """A tablet's record that knows the server, made and closed."""
    with CaseStore.open(folder, clock=clock) as store:
        enrol_with(server, store)


def enrol_with(server: Server, store: CaseStore) -> Enrolment:
    """The same for a record that is open."""
    return enrol(server.desk, store, server.device_port)


def lines_to(path: Path) -> Callable[[dict[str, Any]], None]:
    """Writes each reading to a file as it comes, so that a run that breaks off has left what it had."""
    lock = threading.Lock()

    def tell(reading: dict[str, Any]) -> None:
        with lock, path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(reading) + "\n")

    return tell
