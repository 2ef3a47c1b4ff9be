"""Drivers with one guard of the store taken away each: the crash tests must find the harm these do."""

from __future__ import annotations

import sqlite3
from typing import Any


class _Tampered(sqlite3.Connection):
    """Passes everything on; a subclass changes one thing."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().execute(sql, parameters)


class SynchronousOff(_Tampered):
    """No sync at all."""

    setting = "OFF"

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if "synchronous" in sql.lower() and "=" in sql:
            sql = f"PRAGMA synchronous={self.setting}"
        return super().execute(sql, parameters)


class SynchronousNormal(SynchronousOff):
    """The WAL is synced before a checkpoint only, not at each commit."""

    setting = "NORMAL"


class OutboxLater(_Tampered):
    """The outbox row is written in a transaction of its own, after that of the packet."""

    _held: list[tuple[str, Any]]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        held = self.__dict__.setdefault("_held", [])
        if sql.lstrip().upper().startswith("INSERT INTO OUTBOX"):
            held.append((sql, parameters))
            return super().execute("SELECT 1")
        done = super().execute(sql, parameters)
        if sql.strip().upper() == "COMMIT" and held:
            super().execute("BEGIN IMMEDIATE")
            for later in held:
                super().execute(*later)
            held.clear()
            super().execute("COMMIT")
        return done


class AcknowledgedBeforeCommit(_Tampered):
    """COMMIT returns at once; it is carried out when the next transaction begins."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        owed = self.__dict__.get("owed", False)
        if sql.strip().upper() == "COMMIT":
            self.__dict__["owed"] = True
            return super().execute("SELECT 1")
        if owed and self.in_transaction:
            self.__dict__["owed"] = False
            super().execute("COMMIT")
        return super().execute(sql, parameters)
