"""Copying the packets out of a store that cannot be opened: made by a newer version, or damaged."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spectralid.casework.database import Connection, connect_sqlite, fault_of, rows
from spectralid.casework.errors import StoreError
from spectralid.casework.packet import SUFFIX
from spectralid.casework.store import DATABASE

__all__ = ["Rescued", "rescue"]


@dataclass(frozen=True, slots=True)
class Rescued:
    """What could be copied.

    Attributes
    ----------
    written : tuple of Path
        Packets, byte for byte as signed.
    damaged : tuple of int
        Sequence numbers whose bytes are damaged or cannot be read.
    """

    written: tuple[Path, ...]
    damaged: tuple[int, ...]


def rescue(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    connect: Callable[[str], Connection] = connect_sqlite,
) -> Rescued:
    """Copy every sound packet of a store into files, changing nothing in it.

    Parameters
    ----------
    folder : path
        Of the store, of whatever version.
    output : path
        A folder, made if need be. A file of the same name that is there already is replaced.
    connect : callable
        As for `CaseStore.open`.

    Returns
    -------
    Rescued

    Raises
    ------
    StoreError
        If there is no store, its list of packets cannot be read, or a file cannot be written.
    """
    database, output = Path(folder) / DATABASE, Path(output)
    if not database.exists():
        raise StoreError(f"{folder}: there is no store.")
    connection = connect(str(database))
    written: list[Path] = []
    damaged: list[int] = []
    try:
        output.mkdir(parents=True, exist_ok=True)
        rows(connection, "PRAGMA query_only = ON")
        for seq, sha256 in rows(connection, "SELECT seq, sha256 FROM packets ORDER BY seq"):
            raw = _raw(connection, seq)
            if raw is None or hashlib.sha256(raw).hexdigest() != sha256:
                damaged.append(seq)
                continue
            path = output / f"{seq:08d}-{sha256[:12]}{SUFFIX}"
            path.write_bytes(raw)
            written.append(path)
    except OSError as error:
        raise StoreError(f"{output}: the packets cannot be written ({error.strerror}).") from None
    except Exception as error:
        if fault_of(error) is None and not hasattr(error, "sqlite_errorcode"):
            raise
        raise StoreError(f"{database}: the list of packets cannot be read ({error}).") from None
    finally:
        with contextlib.suppress(Exception):
            connection.close()
    return Rescued(tuple(written), tuple(damaged))


def _raw(connection: Connection, seq: int) -> bytes | None:
    try:
        ((raw,),) = rows(connection, "SELECT raw FROM packets WHERE seq = ?", (seq,))
    except Exception as error:
        if fault_of(error) != "corrupt":
            raise
        return None
    return None if raw is None else bytes(raw)
