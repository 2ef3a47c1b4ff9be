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
    """COMMIT of a packet returns at once; it is carried out before the next BEGIN, or on closing."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        state = self.__dict__
        statement = sql.strip().upper()
        if statement.startswith("BEGIN") and state.pop("owed", False):
            super().execute("COMMIT")
        if statement.startswith("INSERT INTO PACKETS"):
            state["packet"] = True
        if statement == "COMMIT" and state.pop("packet", False):
            state["owed"] = True
            return super().execute("SELECT 1")
        return super().execute(sql, parameters)

    def close(self) -> None:
        if self.__dict__.pop("owed", False):
            super().execute("COMMIT")
        super().close()
