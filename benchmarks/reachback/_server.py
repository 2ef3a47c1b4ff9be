"""A server's database for benchmarks: SQLite, or a PostgreSQL that keeps its promises to the disk."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import sqlalchemy as sa

from spectralid.casework import enrolment as on_the_tablet
from spectralid.casework.enrolment import Enrolment
from spectralid.casework.store import CaseStore
from spectralid.reachback.api.desk import Desk
from spectralid.reachback.store import migrate
from spectralid.reachback.store.database import FILE, Database, open_database
from spectralid.reachback.tablets import enrolment
from spectralid.reachback.tablets.tls import Authority

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.reachback import postgres

KINDS = ("sqlite", "postgresql")


@contextlib.contextmanager
def url_of(kind: str) -> Iterator[str | None]:
    """The address of a new database; `None` is SQLite in the server's folder."""
    if kind == "sqlite":
        yield None
        return
    if reason := postgres.why_not():
        sys.exit(reason)
    with postgres.cluster(durable=True) as cluster:
        yield cluster.url()


@contextlib.contextmanager
def server(kind: str, folder: Path | None = None) -> Iterator[tuple[Database, str | None]]:
    """A migrated, empty database of a kind, durable as in service, and its address."""
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reachback-")))
        url = stack.enter_context(url_of(kind))
        db = open_database(url, place / "server")
        stack.callback(db.close)
        migrate.upgrade(db)
        yield db, url


def size_of(db: Database) -> int:
    """Bytes of the database, and of its log that is not in it yet."""
    if db.dialect == "sqlite":
        return sum(path.stat().st_size for path in db.folder.glob(FILE + "*"))
    with db.read() as tx:
        return int(tx.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())


def promises(db: Database) -> str:
    """What the database says of its care for the disk."""
    with db.read() as tx:
        if db.dialect == "sqlite":
            full = {1: "NORMAL", 2: "FULL"}[tx.execute(sa.text("PRAGMA synchronous")).scalar_one()]
            return f"SQLite {sqlite3.sqlite_version}, synchronous={full}"
        version, fsync, sync = (
            tx.execute(sa.text(f"SHOW {name}")).scalar_one()
            for name in ("server_version", "fsync", "synchronous_commit")
        )
    return f"PostgreSQL {version.split()[0]}, fsync={fsync}, synchronous_commit={sync}"


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, url: str | None, device_port: int, *options: str) -> Iterator[None]:
    """``spectralid reachback serve`` as a process of its own, once it is ready."""
    command = [sys.executable, "-c", "import sys; from spectralid.cli import main; sys.exit(main())"]
    command += ["reachback", "serve", "--data", str(folder), "--port", "0", "--device-port", str(device_port)]
    command += [*options, *(["--database", url] if url else [])]
    here = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path])}
    with (folder / f"log-{device_port}").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        if not address:
            raise RuntimeError((folder / f"log-{device_port}").read_text(errors="replace"))
        process.stdout.readline()
        context = ssl.create_default_context(cafile=folder / "tls" / "ca.pem")
        with httpx.Client(verify=context, trust_env=False) as client:
            client.get(f"{address}/readyz").raise_for_status()
        yield
    finally:
        process.terminate()
        process.wait(60)


def enrol(desk: Desk, store: CaseStore, device_port: int) -> Enrolment:
    """A tablet's own record enrolled with the server, the whole way: request, certificate, fingerprints."""
    now = datetime.now(UTC)
    request = on_the_tablet.request(store)
    issued = enrolment.issue(
        desk.db, desk.keys, Authority.open(desk.folder, now=now), request,
        confirmed=on_the_tablet.fingerprint(request), site_ref="north", url=f"https://localhost:{device_port}",
        by="admin", now=now, days=365,
    )  # fmt: skip
    return on_the_tablet.enrol(store, issued.envelope, confirmed=issued.fingerprint)
