"""A PostgreSQL of its own for tests: in a temporary folder, on a socket, gone afterwards.

It never runs as root (PostgreSQL refuses that): as root, everything is done by the account ``postgres``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ACCOUNT = "postgres"


def why_not() -> str:
    """Why there can be no PostgreSQL here; nothing if there can."""
    if _binaries() is None:
        return "the programs of PostgreSQL (initdb, pg_ctl) are not installed"
    if os.name != "posix":
        return "PostgreSQL is tested on POSIX systems only"
    if os.geteuid() == 0:
        if shutil.which("runuser") is None:
            return "PostgreSQL cannot run as root, and there is no runuser"
        try:
            pwd.getpwnam(ACCOUNT)
        except KeyError:
            return f"PostgreSQL cannot run as root, and there is no account {ACCOUNT!r}"
    return ""


def _binaries() -> Path | None:
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda p: float(p.parts[-3]))
    return versions[-1].parent if versions else None


class Cluster:
    """A running server; `url` names a database of it."""

    def __init__(self, folder: Path, *, durable: bool, wal_segment_mb: int = 16) -> None:
        self.folder = folder
        self.data = folder / "data"
        binaries = _binaries()
        assert binaries is not None
        self.binaries = binaries
        self._durable = durable
        if os.geteuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            os.chown(folder, account.pw_uid, account.pw_gid)
        auth = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self.run("initdb", "-D", str(self.data), f"--wal-segsize={wal_segment_mb}", *auth)

    def run(self, program: str, *arguments: str, files_kb: int | None = None) -> None:
        command = [str(self.binaries / program), *arguments]
        if files_kb is not None:
            command = ["/bin/sh", "-c", f'ulimit -S -f {2 * files_kb}; exec "$0" "$@"', *command]
        if os.geteuid() == 0:
            command = ["runuser", "-u", ACCOUNT, "--", *command]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}{self.log()}"

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, *, files_kb: int | None = None) -> None:
        """Start it; `files_kb` is how large a file of it may become, as on a disk that is full."""
        options = f"-k {self.folder} -c listen_addresses= -c shared_buffers=32MB -c max_connections=60"
        if not self._durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        # Not `with`: pg_ctl's child keeps its output open, and must not keep ours.
        self.run("pg_ctl", "start", "-w", "-t", "60", "-D", str(self.data), "-l", str(self.folder / "log"),
                 "-o", options, files_kb=files_kb)  # fmt: skip

    def stop(self, how: str = "immediate") -> None:
        self.run("pg_ctl", "stop", "-w", "-t", "60", "-D", str(self.data), "-m", how)

    @property
    def pid(self) -> int:
        """Of the postmaster, for tests that kill it."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"


@contextmanager
def cluster(*, durable: bool = False, wal_segment_mb: int = 16) -> Iterator[Cluster]:
    """A cluster that is running; `durable` keeps its promises about the disk, and is slower."""
    # A socket's path has a hundred characters at most, and pytest's folders are deeper.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        made = Cluster(folder, durable=durable, wal_segment_mb=wal_segment_mb)
        made.start()
        try:
            yield made
        finally:
            if (made.data / "postmaster.pid").exists():
                made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
