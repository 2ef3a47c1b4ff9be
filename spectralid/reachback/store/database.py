"""One database, SQLite or PostgreSQL, and its transactions.

One transaction writes at a time, on both: the audit log is one chain, and whoever adds to it has to know what
the last entry is. On SQLite that is ``BEGIN IMMEDIATE``, on PostgreSQL an advisory lock that ends with the
transaction, or with the process that held it. Readers never wait. Whatever takes time (signatures, hashes,
searches) is done before a transaction is begun.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import MissingDependencyError
from spectralid.reachback.errors import ReachbackError, StorageFullError, UnavailableError
from spectralid.reachback.store.intake import Line

try:
    import sqlalchemy as sa
except ImportError:
    raise MissingDependencyError("sqlalchemy", extra="reachback", purpose="to keep the record") from None

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

__all__ = ["Database", "notes", "open_database"]

FILE: Final = "reachback.db"

# Any number does, as long as every process of this program takes the same.
_WRITER: Final = 7_364_839
_WRITES: Final = "spectralid_writes"
_NOTES: Final = "spectralid_notes"
_BUSY_MS: Final = 30_000
_FULL: Final = ("database or disk is full", "No space left on device", "could not extend file")


class Database:
    """Where the server keeps everything.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        As `open_database` makes it.
    folder : Path
        Of the server's files: the database if it is SQLite, and the server's keys.

    Attributes
    ----------
    line : Line
        Of packets that wait to be taken in (`spectralid.reachback.tablets.ingest`).
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.dialect = engine.dialect.name
        # SQLite polls for its lock; threads of one process queue up here instead.
        self._turn = threading.Lock()
        self.line: Line[Any] = Line()
        sa.event.listen(engine, "rollback_savepoint", _forget)

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end of the block, undone if it raises.

        Raises
        ------
        UnavailableError
            If the database cannot be reached, or is busy for too long. If it breaks off during the commit,
            nobody knows whether it was stored; everything here may be asked for again without harm.
        StorageFullError
            If there is no room; nothing was stored.
        """
        with contextlib.ExitStack() as stack:
            if self.dialect == "sqlite":
                stack.enter_context(self._turn)
            with self._translated(), self._connection(writes=True) as tx, tx.begin():
                if self.dialect == "postgresql":
                    tx.execute(sa.text(f"SELECT pg_advisory_xact_lock({_WRITER})"))
                yield tx

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; on SQLite everything in it is of one moment.

        Raises
        ------
        UnavailableError
            If the database cannot be reached.
        """
        with self._translated(), self._connection(writes=False) as tx, tx.begin():
            yield tx

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def _connection(self, *, writes: bool) -> Connection:
        options = {_WRITES: writes, **({_NOTES: {}} if writes else {})}
        return self.engine.connect().execution_options(**options)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (
            sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError,
        ) as error:  # fmt: skip
            words = str(getattr(error, "orig", None) or error)
            if any(full in words for full in _FULL):
                raise StorageFullError("The server's disk is full; nothing was stored.") from error
            # A limit on files or a quota is an internal error to PostgreSQL; what else is one is a defect.
            if isinstance(error, sa.exc.InternalError):
                raise
            raise UnavailableError(
                "The server's database cannot be used at the moment; try again later."
            ) from error


def notes(tx: Connection) -> dict[str, Any]:
    """What is known in a transaction of `Database.begin` without asking the database, until it ends.

    Going back to a savepoint empties it; what it says must follow from what was read or written in the
    transaction itself.
    """
    found: dict[str, Any] = tx.get_execution_options().get(_NOTES, {})
    return found


def _forget(tx: Connection, _name: str, _context: object) -> None:
    notes(tx).clear()


def open_database(url: str | None, folder: str | Path) -> Database:
    """Open the server's database; nothing is created in it (see `spectralid.reachback.store.migrate`).

    Parameters
    ----------
    url : str or None
        ``postgresql://…``; by default SQLite in the folder, which needs no set-up.
    folder : path
        Of the server's files; made if it is not there, for its owner only.

    Raises
    ------
    ReachbackError
        If the address is not one of SQLite or PostgreSQL.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        address = sa.engine.make_url(url if url is not None else f"sqlite:///{folder / FILE}")
    except sa.exc.ArgumentError:
        raise ReachbackError(
            "The address of the database cannot be read; it begins with postgresql:// or sqlite:///."
        ) from None
    match address.get_backend_name():
        case "postgresql":
            # At 30 s a statement is stuck, and the lock that all wait for with it.
            options = "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s"
            engine = sa.create_engine(
                address.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                pool_size=10,
                max_overflow=10,
                pool_timeout=20,
                connect_args={"connect_timeout": 10, "options": options},
            )
        case "sqlite":
            engine = sa.create_engine(
                address.set(drivername="sqlite+pysqlite"),
                pool_size=10,
                max_overflow=10,
                pool_timeout=20,
                connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
            )
            sa.event.listen(engine, "connect", _sqlite_connection)
            sa.event.listen(engine, "begin", _sqlite_begin)
        case other:
            raise ReachbackError(f"The database {other!r} is not supported; use PostgreSQL or SQLite.")
    return Database(engine, folder)


def _sqlite_connection(connection: Any, _record: Any) -> None:
    # Transactions are begun here and nowhere else: the driver's own would be deferred, and fail when late.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        # NORMAL loses commits in a power cut.
        "synchronous=FULL",
        "foreign_keys=ON",
        # REPLACE deletes, and without this no trigger sees it.
        "recursive_triggers=ON",
        f"busy_timeout={_BUSY_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
