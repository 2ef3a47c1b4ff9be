"""A server's database for benchmarks: SQLite, or a PostgreSQL that keeps its promises to the disk."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from spectralid.reachback import migrate
from spectralid.reachback.database import FILE, Database, open_database

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
