"""The connection to the database of a store: what is asked of it, and what its errors mean.

The store runs on the ``sqlite3`` of the standard library and on anything that executes SQL in the same way
(``apsw``); so an error is known by the code of SQLite that it carries or by the name of its class.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

__all__ = ["Connection", "Executes", "Fault", "as_bytes", "connect_sqlite", "fault_of", "rows"]

Fault = Literal["full", "ioerr", "busy", "corrupt", "readonly", "constraint", "other"]

# Result codes of SQLite: https://www.sqlite.org/rescode.html
_FAULTS: Final[dict[int, Fault]] = {
    5: "busy",  # SQLITE_BUSY
    6: "busy",  # SQLITE_LOCKED
    8: "readonly",  # SQLITE_READONLY
    10: "ioerr",  # SQLITE_IOERR
    11: "corrupt",  # SQLITE_CORRUPT
    13: "full",  # SQLITE_FULL
    14: "ioerr",  # SQLITE_CANTOPEN
    19: "constraint",  # SQLITE_CONSTRAINT
    26: "corrupt",  # SQLITE_NOTADB
}
# Classes of apsw, which carry no code where a file system written in Python raised them.
_CLASSES: Final[dict[str, Fault]] = {
    "BusyError": "busy",
    "FullError": "full",
    "IOError": "ioerr",
    "CantOpenError": "ioerr",
    "CorruptError": "corrupt",
    "ReadOnlyError": "readonly",
}


class Executes(Protocol):
    """What takes statements: a connection, or a transaction of the store."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any:
        """A cursor over what the statement gives."""


class Connection(Executes, Protocol):
    """What the store asks of a connection: explicit transactions, and cursors that can be fetched from."""

    def close(self) -> None:
        """Let go of the file."""


def connect_sqlite(path: str) -> Connection:
    """A connection of the standard library: transactions as written, usable from the thread that asks."""
    # The store keeps a connection per thread; those of threads that ended are closed by another.
    return sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)


def fault_of(error: BaseException) -> Fault | None:
    """What kind of failure of the database an exception is; ``None`` if it is none."""
    # sqlite3 says sqlite_errorcode, apsw extendedresult; the low byte is the primary code.
    for name in ("sqlite_errorcode", "extendedresult", "result"):
        code = getattr(error, name, None)
        if isinstance(code, int):
            return _FAULTS.get(code & 0xFF, "other")
    # sqlite3 itself says this, without a code, of a text that is no text any more.
    if isinstance(error, sqlite3.OperationalError) and "decode" in str(error):
        return "corrupt"
    return _CLASSES.get(type(error).__name__)


def as_bytes(value: Any) -> bytes:
    """A value of a column of bytes; in a damaged file it may be anything."""
    return value if isinstance(value, bytes) else b""


def rows(connection: Executes, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows at once: a statement left half read would keep the write-ahead log from being emptied."""
    return [tuple(row) for row in connection.execute(sql, tuple(parameters)).fetchall()]
