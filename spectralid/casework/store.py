"""The store of a device: everything that happened, on disk before anybody is told that it is.

One SQLite database (write-ahead log, ``synchronous=FULL``), a key, and a ballast file in one folder.
`CaseStore.capture` writes the packet, its place in the outbox, its custody entry and the projections for the
screen in one transaction, and returns after the commit. One thread of one process writes at a time; any
number reads.

Examples
--------
>>> import tempfile
>>> from spectralid.casework.store import CaseStore, Draft
>>> with tempfile.TemporaryDirectory() as folder, CaseStore.open(folder) as store:
...     stored = store.capture(Draft("seizure", "S-1", None, {"officer_ref": "K-17"}))
...     stored.seq, store.packet(stored.packet_id).kind
(1, 'seizure')
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from spectralid.casework import schema
from spectralid.casework.ballast import BALLAST_BYTES, Ballast
from spectralid.casework.chain import EPOCH, EPOCH_JUMP, against, chain_problems
from spectralid.casework.clock import Clock, ClockState, SystemClock, TrustedTime, to_text
from spectralid.casework.custody import Custody
from spectralid.casework.database import Connection, as_bytes, connect_sqlite, fault_of, rows
from spectralid.casework.errors import (
    KeyFileError,
    PacketError,
    RemovedPacketError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
    UnknownReferenceError,
)
from spectralid.casework.facts import Checkpoint, Draft, Health, Item, Problem, Row, Seizure, Stored
from spectralid.casework.ids import next_id
from spectralid.casework.keys import PublicKey, SigningKey
from spectralid.casework.lock import WriterLock
from spectralid.casework.manifest import GENESIS, KINDS, SCHEMA
from spectralid.casework.packet import Packet, open_packet, seal
from spectralid.errors import ParameterError
from spectralid.files import sync_folder

__all__ = ["CaseStore", "Draft", "Health", "Item", "Row", "Seizure", "Stored", "Transaction"]

DATABASE: Final = "casework.db"
KEY: Final = "device.key"
BALLAST: Final = "ballast"
LOCK: Final = "writer.lock"

# Packets and custody entries that are looked at on opening.
_TAIL: Final = 16
CAPTURED: Final = "captured"
# What the write-ahead log is cut back to when it is emptied.
_LOG_BYTES: Final = 16 * 1024 * 1024
# A disk with no more room than this is taken for full when opening fails.
_LITTLE: Final = 1024 * 1024
_LOG: Final = logging.getLogger(__name__)
_RESCUE: Final = "The packets can be copied with spectralid.casework.rescue."
_URGENT: Final = {"policy_high_hazard", "forced"}
# "raw IS NULL" would read megabytes from the disk to see that they are there.
_REMOVED: Final = "typeof(raw) = 'null'"
_ROW: Final = (
    "SELECT p.packet_id, p.seq, p.kind, p.seizure_ref, p.item_ref, p.sha256, p.captured_utc, p.clock_state, "
    f"p.size, COALESCE(o.state, 'attention'), {_REMOVED}, d.packet_id IS NOT NULL FROM packets p "
    "LEFT JOIN outbox o USING (packet_id) LEFT JOIN damaged d USING (packet_id) "
)


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction; what is executed in it is committed together or not at all."""

    _connection: Connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """A cursor, as the connection of the store gives it."""
        return self._connection.execute(sql, tuple(parameters))


class CaseStore:
    """The record on one device. Made by `open`.

    Attributes
    ----------
    folder : Path
        Where it is.
    device_id : str
        As every packet states it.
    clock : Clock
        Of the device.
    time : TrustedTime
        The clock, judged by signed server times.
    custody : Custody
        The log.
    on_captured : list of callable
        Called with each `Stored` after its commit, in the thread that captured; must not block.
    """

    device_id: str

    def __init__(
        self, folder: Path, *, clock: Clock, connect: Callable[[str], Connection], ballast_bytes: int
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.time = TrustedTime(clock)
        self.custody = Custody(self)
        self.on_captured: list[Callable[[Stored], None]] = []
        self._connect = connect
        self._ballast = Ballast(folder / BALLAST, ballast_bytes)
        self._key: SigningKey | None = None
        self._key_was_here = False
        self._lock: WriterLock | None = None
        self._writer: Connection | None = None
        self._writing = threading.RLock()
        self._in_transaction = False
        self._readers: dict[threading.Thread, Connection] = {}
        self._reading = threading.Lock()
        self._stopped = ""
        self._closed = False
        self._problems: tuple[Problem, ...] = ()

    # --- opening and closing -----------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        key: SigningKey | None = None,
        device_id: str | None = None,
        clock: Clock | None = None,
        connect: Callable[[str], Connection] = connect_sqlite,
        read_only: bool = False,
        new_key: bool = False,
        ballast_bytes: int = BALLAST_BYTES,
    ) -> Self:
        """Open the store in a folder; the first time, make it.

        Parameters
        ----------
        folder : path
            Made if need be.
        key : SigningKey, optional
            By default the one in the folder, which is made the first time, readable by its owner only.
        device_id : str, optional
            Name of the device, for a new store; by default derived from the key.
        clock : Clock, optional
            Of the device; by default the system's.
        connect : callable
            From a path to a connection in autocommit mode (`spectralid.casework.database.Connection`).
        read_only : bool
            Read beside the program that writes.
        new_key : bool
            Make a new key where the old one was lost; the device must then be enrolled again.
        ballast_bytes : int
            Size of the reserve.

        Raises
        ------
        StoreBusyError
            If another program writes to it.
        StoreVersionError
            If a newer version made it; `rescue` can still copy its packets.
        StoreDamagedError
            If its file is damaged or no store.
        KeyFileError
            If its key is missing, damaged or readable by others.
        StoreFullError
            If the disk has no room to open it.
        MissingDependencyError
            If the package ``cryptography`` is not installed.
        """
        store = cls(Path(folder), clock=clock or SystemClock(), connect=connect, ballast_bytes=ballast_bytes)
        try:
            if read_only:
                store._open_to_read()
            else:
                store._open_to_write(key, device_id, new_key=new_key)
        except BaseException:
            store.close()
            raise
        return store

    def _open_to_read(self) -> None:
        if not (self.folder / DATABASE).exists():
            raise StoreError(f"{self.folder}: there is no store.")
        self._stopped = f"{self.folder}: the store was opened for reading only."
        self._refuse_version(*self._version())
        self._recall()
        self._problems = self._tail_problems()

    def _open_to_write(self, key: SigningKey | None, device_id: str | None, *, new_key: bool) -> None:
        self._make_folder()
        self._lock = WriterLock(self.folder / LOCK)
        self._key = key or self._own_key(new_key=new_key)
        try:
            self._open_writer()
        except StoreError as error:
            # Even opening needs room, for the index of the log, and SQLite may not say that it lacks that.
            made = isinstance(error, StoreFullError) and error.room_was_made
            if not made and (_free_bytes(self.folder) > _LITTLE or not self._ballast.release()):
                raise
            self._stopped = ""
            self._open_writer()
        application, version = self._version()
        if (application, version) == (0, 0) and not self.read("SELECT 1 FROM sqlite_master"):
            self._create(device_id)
        else:
            self._refuse_version(application, version)
            self._migrate(version)
        self._recall()
        if device_id not in (None, self.device_id):
            raise ParameterError("device_id", device_id, f"that of the store, {self.device_id!r}")
        if self.key.keyid not in self.keys():
            self._add_key()
        with contextlib.suppress(OSError):
            self._ballast.restore()
        self._problems = self._tail_problems()

    def _make_folder(self) -> None:
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True)
                sync_folder(self.folder.parent)
        except OSError as error:
            raise StoreError(f"{self.folder}: the folder cannot be made ({error.strerror}).") from None

    def _own_key(self, *, new_key: bool) -> SigningKey:
        path = self.folder / KEY
        if path.exists():
            self._key_was_here = True
            return SigningKey.load(path)
        if (self.folder / DATABASE).exists() and not new_key:
            raise KeyFileError(
                f"{path}: the key of this store is missing; put it back from where it is kept, or open the "
                "store with new_key=True and enrol the device again."
            )
        key = SigningKey.generate()
        # On the disk before the first record that it signs.
        key.save(path)
        return key

    def _open_writer(self) -> None:
        try:
            if self._writer is None:
                self._writer = self._connect(str(self.folder / DATABASE))
            for pragma in (
                "busy_timeout = 5000",
                "foreign_keys = ON",
                "trusted_schema = OFF",
                "cell_size_check = ON",
                # macOS: without it, a sync does not reach the disk.
                "fullfsync = ON",
                "checkpoint_fullfsync = ON",
                f"journal_size_limit = {_LOG_BYTES}",
            ):
                rows(self._writer, f"PRAGMA {pragma}")
            ((mode,),) = rows(self._writer, "PRAGMA journal_mode = WAL")
            if mode != "wal":
                raise StoreError(
                    f"{self.folder}: the file system cannot hold a write-ahead log ({mode}); "
                    "use a local disk."
                )
            # Every commit on the disk before it is acknowledged.
            rows(self._writer, "PRAGMA synchronous = FULL")
        except Exception as error:
            raise self._failed(error) from None
        sync_folder(self.folder)

    def _version(self) -> tuple[int, int]:
        ((application,),) = self.read("PRAGMA application_id")
        ((version,),) = self.read("PRAGMA user_version")
        return application, version

    def _refuse_version(self, application: int, version: int) -> None:
        path = self.folder / DATABASE
        if application != schema.APPLICATION_ID:
            raise StoreDamagedError(f"{path}: it is no store of spectralid, or its header is damaged.")
        if version > len(schema.STEPS):
            raise StoreVersionError(
                f"{path}: a newer version of spectralid made this store (schema {version}, known here "
                f"{len(schema.STEPS)}); update spectralid. {_RESCUE}"
            )
        if version < len(schema.STEPS) and self._stopped:
            raise StoreVersionError(f"{path}: an older version made this store; open it for writing once.")

    def _create(self, device_id: str | None) -> None:
        device_id = device_id or f"sid-{self.key.keyid}"
        now = to_text(self.clock.wall_utc())
        with self.transaction() as tx:
            for statement in (statement for step in schema.STEPS for statement in step):
                tx.execute(statement)
            tx.execute("INSERT INTO device (id, device_id) VALUES (1, ?)", (device_id,))
            self._insert_key(tx, now)
            # A key without a record: the record was lost, and its numbers may be known to a server. They are
            # not given out again.
            epoch = 1 + secrets.randbelow(EPOCH_JUMP) if self._key_was_here else 0
            reason = "the record of this key was not there" if epoch else "created"
            tx.execute(
                "INSERT INTO epochs VALUES (?, ?, ?, 0, ?, ?, ?)",
                (epoch, str(uuid.uuid4()), epoch * EPOCH + 1, GENESIS, reason, now),
            )
            tx.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            tx.execute(f"PRAGMA user_version = {len(schema.STEPS)}")
            self.custody.append(tx, "created", {"device_id": device_id, "keyid": self.key.keyid})
        sync_folder(self.folder)

    def _migrate(self, version: int) -> None:
        if version == len(schema.STEPS):
            return
        self._backup(self.folder / f"casework.schema{version}.db")
        with self.transaction() as tx:
            for statement in (statement for step in schema.STEPS[version:] for statement in step):
                tx.execute(statement)
            tx.execute(f"PRAGMA user_version = {len(schema.STEPS)}")
            self.custody.append(tx, "migrated", {"from": version, "to": len(schema.STEPS)})

    def _backup(self, path: Path) -> None:
        """A copy of the database as it is, on the disk before anything is changed."""
        draft = path.with_name(f"{path.name}.new")
        try:
            draft.unlink(missing_ok=True)
            rows(self._the_writer(), "VACUUM INTO ?", (str(draft),))
            handle = os.open(draft, os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(draft, path)
            sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"{path}: the store cannot be backed up ({error.strerror}).") from None
        except Exception as error:
            raise self._failed(error) from None

    def _add_key(self) -> None:
        with self.transaction() as tx:
            self._insert_key(tx, to_text(self.clock.wall_utc()))
            self.custody.append(tx, "new key", {"keyid": self.key.keyid})

    def _insert_key(self, tx: Transaction, now: str) -> None:
        key = self.key.public
        tx.execute("INSERT INTO keys (keyid, public, since_utc) VALUES (?, ?, ?)", (key.keyid, key.raw, now))

    def _recall(self) -> None:
        """Which device this is, and what it knows of the time."""
        try:
            ((device_id,),) = self.read("SELECT device_id FROM device")
            (known,) = self.read(
                "SELECT latest_utc, compared_utc, compared_monotonic_ns, compared_boot_id, "
                "seen_utc, seen_monotonic_ns, seen_boot_id FROM trusted_time"
            )
            self.device_id, self.time = str(device_id), TrustedTime(self.clock, known)
        except (ValueError, TypeError) as error:
            # Out of a damaged file anything may come.
            raise self._damaged(error) from None

    def close(self) -> None:
        """Let go of the files; other threads must be done with the store."""
        with self._writing, self._reading:
            self._closed = True
            connections = [*self._readers.values(), *([self._writer] if self._writer else [])]
            self._readers, self._writer = {}, None
            for connection in connections:
                # What was acknowledged is on the disk; what closing tidies up is done again on opening.
                with contextlib.suppress(Exception):
                    connection.close()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def key(self) -> SigningKey:
        """What packets and custody entries are signed with.

        Raises
        ------
        StoreReadOnlyError
            If the store was opened for reading only.
        """
        if self._key is None:
            raise StoreReadOnlyError(self._stopped)
        return self._key

    @property
    def clock_state(self) -> ClockState:
        """How far the clock of the device can be trusted now."""
        return self.time.judge(self.time.moment())[0]

    # --- writing -----------------------------------------------------------------------------------------

    def capture(self, draft: Draft) -> Stored:
        """Record what happened; when this returns, it is on the disk.

        Parameters
        ----------
        draft : Draft
            What happened.

        Returns
        -------
        Stored

        Raises
        ------
        PacketError
            If a field is missing, of the wrong type or too large.
        UnknownReferenceError
            If it belongs to a seizure or an item that is not on record.
        StoreFullError
            If the disk is full. It is not stored; nothing stored before is lost.
        StoreReadOnlyError
            If a write failed, now or earlier, or the store was opened for reading. It is not stored.
        """
        if draft.kind not in KINDS:
            raise ParameterError("kind", draft.kind, f"one of {', '.join(KINDS)}")
        if taken := _RESERVED & draft.body.keys():
            raise ParameterError("body", sorted(taken), "without the fields that the store fills in")
        with self.transaction() as tx:
            self._keep_reserve(sum(len(blob.data) for blob in draft.blobs))
            self._check_references(tx, draft)
            moment = self.time.moment()
            state, flags = self.time.judge(moment)
            utc, boot = to_text(moment.utc), moment.boot_id
            last = rows(tx, "SELECT seq, sha256, packet_id FROM packets ORDER BY seq DESC LIMIT 1")
            last_seq, prev, last_id = last[0] if last else (0, GENESIS, None)
            seq, chain = _next(tx, last_seq)
            packet_id = next_id(moment.utc, last_id)
            head = self.custody.head(tx)
            trusted = self.time.latest
            manifest = {
                **draft.body,
                "schema": SCHEMA,
                "kind": draft.kind,
                "packet_id": packet_id,
                "device_id": self.device_id,
                "seq": seq,
                "prev": prev,
                "chain": chain,
                "custody": {"n": head.n, "sha256": head.sha256},
                "captured": {
                    "wall_utc": utc,
                    "monotonic_us": moment.monotonic_ns // 1000,
                    "boot_id": boot,
                    "clock_state": state,
                    "last_trusted_utc": trusted and to_text(trusted),
                    "flags": list(flags),
                },
                "seizure_ref": draft.seizure_ref,
                "item_ref": draft.item_ref,
            }
            raw = seal(manifest, draft.blobs, self.key)
            sha256 = hashlib.sha256(raw).hexdigest()
            tx.execute(
                "INSERT INTO packets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (seq, packet_id, draft.kind, draft.seizure_ref, draft.item_ref, sha256, prev, utc,
                 moment.monotonic_ns // 1000, boot, state, len(raw), raw),
            )  # fmt: skip
            tx.execute(
                "INSERT INTO outbox (packet_id, seq, urgent) VALUES (?, ?, ?)",
                (packet_id, seq, _urgent(manifest)),
            )
            _project(tx, manifest)
            facts = {"packet_id": packet_id, "seq": seq, "sha256": sha256, "kind": draft.kind,
                     "seizure_ref": draft.seizure_ref, "item_ref": draft.item_ref}  # fmt: skip
            self.custody.append(tx, CAPTURED, facts)
            self.time.note(moment)
            self.time.remember(tx)
        stored = Stored(packet_id, seq, sha256, utc, state)
        for told in self.on_captured:
            try:
                told(stored)
            except Exception:
                # It is stored: whoever records must not hear otherwise.
                _LOG.exception("a listener failed after packet %d was stored", seq)
        return stored

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction: committed, on the disk, when the block ends; undone if it raises.

        Raises
        ------
        StoreFullError, StoreReadOnlyError, StoreBusyError, StoreDamagedError
            As for `capture`.
        """
        with self._writing:
            connection = self._the_writer()
            if self._stopped:
                raise StoreReadOnlyError(self._stopped)
            if self._in_transaction:
                raise StoreError("A transaction is open already in this thread; use that one.")
            try:
                connection.execute("BEGIN IMMEDIATE")
                self._in_transaction = True
                yield Transaction(connection)
                connection.execute("COMMIT")
            except BaseException as error:
                # Without effect where SQLite has undone it already.
                with contextlib.suppress(Exception):
                    connection.execute("ROLLBACK")
                failure = self._failed(error)
                if failure is error:
                    raise
                raise failure from None
            finally:
                self._in_transaction = False

    def _the_writer(self) -> Connection:
        if self._writer is None:
            raise StoreReadOnlyError(self._stopped or f"{self.folder}: the store is closed.")
        return self._writer

    def _keep_reserve(self, size: int) -> None:
        """Refuse to fill the half of the given-up reserve that sending and removing need."""
        if self._ballast.ready:
            return
        # The log first, the database later: a record needs its room twice.
        needed = 2 * size
        with contextlib.suppress(OSError):
            if self._ballast.restore(needed):
                return
        if _free_bytes(self.folder) < self._ballast.size // 2 + needed:
            raise StoreFullError(self._full_words("the reserve is in use"))

    def _full_words(self, reserve: str) -> str:
        return (
            f"{self.folder}: the disk is full; this record is NOT stored ({reserve}). What was stored before "
            "is safe. Free some space, or send what is queued so that it can be removed, and record it again."
        )

    def _failed(self, error: BaseException) -> BaseException:
        """What a failure of the database means to the caller; other errors as they are."""
        fault = fault_of(error)
        if fault is None:
            return error
        if fault == "full":
            made = self._ballast.release()
            words = "the reserve was given up to make room, try once more" if made else "no reserve is left"
            return StoreFullError(self._full_words(words), room_was_made=made)
        if fault == "busy":
            return StoreBusyError(f"{self.folder}: another program holds the store; NOT stored, try again.")
        if fault in ("constraint", "other"):
            return StoreError(f"{self.folder}: this record is NOT stored ({error}).")
        # After a failed sync the system may think unwritten pages are written: only opening anew can tell.
        self._stopped = (
            f"{self.folder}: the disk failed ({error}); nothing more is stored until the store is opened "
            "again. Restart the program, and look at the disk if it happens again."
        )
        if fault == "corrupt":
            return self._damaged(error)
        return StoreReadOnlyError(f"{self._stopped} This record is NOT stored.")

    def _damaged(self, error: BaseException) -> StoreDamagedError:
        return StoreDamagedError(
            f"{self.folder / DATABASE}: the file is damaged ({error}); restore a backup. {_RESCUE}"
        )

    def _check_references(self, tx: Transaction, draft: Draft) -> None:
        if draft.kind == "seizure":
            return
        if not rows(tx, "SELECT 1 FROM seizures WHERE seizure_ref = ?", (draft.seizure_ref,)):
            raise UnknownReferenceError(f"The seizure {draft.seizure_ref!r} is not on record; open it first.")
        if draft.item_ref is None:
            return
        found = rows(tx, "SELECT seizure_ref FROM items WHERE item_ref = ?", (draft.item_ref,))
        if not found and draft.kind != "item":
            raise UnknownReferenceError(f"The item {draft.item_ref!r} is not on record; add it first.")
        if found and found[0][0] != draft.seizure_ref:
            raise UnknownReferenceError(
                f"The item {draft.item_ref!r} is of the seizure {found[0][0]!r}, "
                f"not of {draft.seizure_ref!r}."
            )

    # --- reading -----------------------------------------------------------------------------------------

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a query gives, read in the connection of this thread.

        Raises
        ------
        StoreError
            If the store is closed, or cannot be read.
        """
        try:
            return rows(self._reader(), sql, parameters)
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if fault == "corrupt":
                raise self._damaged(error) from None
            raise StoreError(f"{self.folder / DATABASE}: it cannot be read ({error}).") from None

    def _reader(self) -> Connection:
        thread = threading.current_thread()
        with self._reading:
            if self._closed:
                raise StoreError(f"{self.folder}: the store is closed.")
            for ended in [other for other in self._readers if not other.is_alive()]:
                self._readers.pop(ended).close()
            if thread not in self._readers:
                connection = self._connect(str(self.folder / DATABASE))
                rows(connection, "PRAGMA busy_timeout = 5000")
                rows(connection, "PRAGMA query_only = ON")
                self._readers[thread] = connection
            return self._readers[thread]

    def keys(self) -> dict[str, PublicKey]:
        """The public keys this device has signed with, by key id."""
        found = (PublicKey(as_bytes(raw)) for (raw,) in self.read("SELECT public FROM keys"))
        return {key.keyid: key for key in found}

    def packet(self, packet_id: str) -> Packet:
        """A packet, after its SHA-256 and its signature have been seen to hold.

        Raises
        ------
        UnknownReferenceError
            If it is not on record.
        RemovedPacketError
            If its bytes were removed after a receipt.
        PacketError
            If its bytes are damaged.
        """
        return open_packet(self.raw(packet_id), self.keys())

    def raw(self, packet_id: str) -> bytes:
        """The bytes of a packet, after their SHA-256 has been seen to hold.

        Raises
        ------
        UnknownReferenceError, RemovedPacketError, PacketError
            As for `packet`.
        """
        found = self.read(
            "SELECT p.seq, p.sha256, p.raw, o.received_utc FROM packets p "
            "LEFT JOIN outbox o USING (packet_id) WHERE packet_id = ?",
            (packet_id,),
        )
        if not found:
            raise UnknownReferenceError(f"The packet {packet_id} is not on record.")
        seq, sha256, raw, received = found[0]
        if raw is None:
            raise RemovedPacketError(
                f"The packet {seq} was removed from this device after its receipt ({received}); "
                "the server has it."
            )
        if hashlib.sha256(as_bytes(raw)).hexdigest() != sha256:
            words = f"its bytes are damaged ({packet_id}); ask for a copy from the server or a backup."
            problem = Problem(f"packet {seq}", "edited", words)
            if problem not in self._problems:
                self._problems = (*self._problems, problem)
            raise PacketError(f"The packet {seq} on this device: {words}")
        return as_bytes(raw)

    def history(
        self, limit: int = 50, before_seq: int | None = None, kind: str | None = None
    ) -> tuple[Row, ...]:
        """What was recorded, newest first.

        Parameters
        ----------
        limit : int
            At most so many rows.
        before_seq : int, optional
            Only rows before this one: the next page.
        kind : str, optional
            Only packets of this kind.
        """
        return self._rows(
            "WHERE (?1 IS NULL OR p.seq < ?1) AND (?2 IS NULL OR p.kind = ?2) ORDER BY p.seq DESC LIMIT ?3",
            (before_seq, kind, limit),
        )

    def _rows(self, where: str, parameters: Sequence[Any]) -> tuple[Row, ...]:
        return tuple(
            Row(*(*row[:10], bool(row[10]), bool(row[11]))) for row in self.read(_ROW + where, parameters)
        )

    def similar_recent(
        self, item_ref: str, spectrum_sha256s: Sequence[str], within_s: float
    ) -> tuple[Row, ...]:
        """Scans that the one about to be recorded may repeat, newest first: for the question "same item?".

        Parameters
        ----------
        item_ref : str
            The item about to be scanned.
        spectrum_sha256s : sequence of str
            Identities of its spectra.
        within_s : float
            How long ago a scan of the same item counts as recent. By the monotonic clock within this boot,
            else by the clock of the device.

        Returns
        -------
        tuple of Row
            Scans of the same item within that time, and scans of any item with the very same spectrum.
        """
        moment = self.time.moment()
        marks = ", ".join("?" * len(spectrum_sha256s))
        return self._rows(
            "WHERE p.kind = 'scan' AND ((p.item_ref = ? AND (CASE WHEN p.boot_id = ? "
            "THEN (? - p.monotonic_us) / 1e6 ELSE (julianday(?) - julianday(p.captured_utc)) * 86400 END) "
            f"BETWEEN 0 AND ?) OR p.seq IN (SELECT seq FROM spectra WHERE sha256 IN ({marks}))) "
            "ORDER BY p.seq DESC",
            (item_ref, moment.boot_id, moment.monotonic_ns // 1000, to_text(moment.utc), within_s,
             *spectrum_sha256s),
        )  # fmt: skip

    def seizures(self) -> tuple[Seizure, ...]:
        """The seizures, newest first."""
        found = self.read(
            "SELECT s.seizure_ref, p.packet_id, s.opened_utc, s.officer_ref, s.site_ref, s.place, s.mode, "
            "s.note, "
            "(SELECT COUNT(*) FROM items i WHERE i.seizure_ref = s.seizure_ref), "
            "(SELECT COUNT(*) FROM packets q WHERE q.seizure_ref = s.seizure_ref AND q.kind = 'scan') "
            "FROM seizures s JOIN packets p ON p.seq = s.seq ORDER BY s.seq DESC"
        )
        return tuple(Seizure(*row) for row in found)

    def items(self, seizure_ref: str) -> tuple[Item, ...]:
        """The items of a seizure, in the order they were added."""
        found = self.read(
            "SELECT i.item_ref, i.seizure_ref, p.packet_id, i.added_utc, i.label, i.container, i.declared, "
            "(SELECT COUNT(*) FROM packets q WHERE q.item_ref = i.item_ref AND q.kind = 'scan') "
            "FROM items i JOIN packets p ON p.seq = i.seq WHERE i.seizure_ref = ? "
            "ORDER BY i.added_utc, i.seq",
            (seizure_ref,),
        )
        return tuple(Item(*(*row[:6], json.loads(row[6]), row[7])) for row in found)

    def of_item(self, item_ref: str) -> tuple[Packet, ...]:
        """The packets of an item that can be read here, oldest first.

        Those that were removed, and those found damaged (told in `health`), are left out; `history` has them.
        """
        return tuple(self._sound("item_ref = ?", item_ref))

    def of_seizure(self, seizure_ref: str) -> tuple[Packet, ...]:
        """The packets of a seizure that can be read here, as for `of_item`."""
        return tuple(self._sound("seizure_ref = ?", seizure_ref))

    def sound_packets(self) -> Iterator[Packet]:
        """Every packet that can be read here, as for `of_item`, one at a time."""
        return self._sound(f"NOT {_REMOVED}")

    def _sound(self, which: str, *parameters: str) -> Iterator[Packet]:
        for (packet_id,) in self.read(
            f"SELECT packet_id FROM packets WHERE {which} ORDER BY seq", parameters
        ):
            with contextlib.suppress(PacketError, RemovedPacketError, UnknownReferenceError):
                yield self.packet(packet_id)

    def health(self) -> Health:
        """Whether the store can be relied on; never raises because it cannot."""
        try:
            free = _free_bytes(self.folder)
        except OSError:
            free = 0
        counts: dict[str, int] = {}
        reason = self._stopped
        try:
            for table in ("packets", "seizures", "items"):
                ((counts[table],),) = self.read(f"SELECT COUNT(*) FROM {table}")
            counts.update(self.read("SELECT state, COUNT(*) FROM outbox GROUP BY state"))
        except StoreError as error:
            reason = reason or str(error)
        return Health(
            read_only=bool(self._stopped) or self._closed,
            reason=reason,
            free_bytes=free,
            ballast=self._ballast.ready,
            counts=counts,
            problems=self._problems,
        )

    # --- the chain of packets ----------------------------------------------------------------------------

    def verify(
        self, checkpoints: Iterable[Checkpoint] = (), *, keys: Mapping[str, PublicKey] | None = None
    ) -> tuple[Problem, ...]:
        """What is wrong with the chain of packets, all of it looked at; empty when nothing is.

        See `custody` for its own chain.

        Parameters
        ----------
        checkpoints : iterable of Checkpoint
            Sequence numbers and hashes of packets, held elsewhere. Those in the custody log are looked at as
            well.
        keys : mapping of str to PublicKey, optional
            The keys of this device by key id, from somewhere else than the store; by default those that the
            store says it has had.
        """
        seqs = [seq for (seq,) in self.read("SELECT seq FROM packets ORDER BY seq")]
        hashes: dict[int, str] = {}
        problems = chain_problems(
            self, seqs, keys=self.keys() if keys is None else keys, hashes=hashes, whole=True
        )
        logged = (entry["facts"] for entry in self.custody.sound() if entry["kind"] == CAPTURED)
        held = {*checkpoints, *(Checkpoint(facts["seq"], facts["sha256"]) for facts in logged)}
        return tuple(problems + against(held, hashes, "packet"))

    def _tail_problems(self) -> tuple[Problem, ...]:
        found = self.read("SELECT seq FROM packets ORDER BY seq DESC LIMIT ?", (_TAIL,))
        seqs = [seq for (seq,) in reversed(found)]
        packets = chain_problems(self, seqs, keys=self.keys(), hashes={}, whole=False)
        return (*packets, *self.custody.tail_problems(_TAIL))


_RESERVED: Final = {
    "schema", "kind", "packet_id", "device_id", "seq", "prev", "chain", "custody", "captured", "seizure_ref",
    "item_ref", "blobs",
}  # fmt: skip


def _next(tx: Transaction, last_seq: int) -> tuple[int, dict[str, Any]]:
    """The next number, and what the packet says of the chain it continues."""
    found = rows(
        tx,
        "SELECT epoch, chain_id, first_seq, after_seq, after_sha256, reason FROM epochs "
        "ORDER BY epoch DESC LIMIT 1",
    )
    if not found:
        raise StoreDamagedError("The store does not say which chain it continues; restore a backup.")
    ((epoch, chain_id, first_seq, after_seq, after_sha256, reason),) = found
    seq = max(last_seq + 1, first_seq)
    chain = {"id": chain_id, "epoch": epoch}
    if epoch and seq == first_seq:
        chain.update(after_seq=after_seq, after_sha256=after_sha256, reason=reason)
    return seq, chain


def _urgent(manifest: Mapping[str, Any]) -> bool:
    escalation = manifest.get("escalation") or {}
    return manifest["kind"] == "send" or not _URGENT.isdisjoint(escalation.get("why", ()))


def _project(tx: Transaction, manifest: Mapping[str, Any]) -> None:
    """What the screen lists; all of it can be read again from the packets."""
    seq, utc = manifest["seq"], manifest["captured"]["wall_utc"]
    if manifest["kind"] == "seizure":
        tx.execute(
            "INSERT INTO seizures VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seizure_ref) DO UPDATE SET "
            "seq = excluded.seq, officer_ref = excluded.officer_ref, site_ref = excluded.site_ref, "
            "place = excluded.place, mode = excluded.mode, note = excluded.note",
            (manifest["seizure_ref"], seq, utc, manifest["officer_ref"],
             *(manifest.get(name, "") for name in ("site_ref", "place", "mode", "note"))),
        )  # fmt: skip
    elif manifest["kind"] == "item":
        tx.execute(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (item_ref) DO UPDATE SET "
            "seq = excluded.seq, label = excluded.label, container = excluded.container, "
            "declared = excluded.declared",
            (manifest["item_ref"], manifest["seizure_ref"], seq, utc, manifest["label"],
             manifest.get("container", ""), json.dumps(manifest.get("declared"))),
        )  # fmt: skip
    for spectrum in manifest.get("spectra", ()) if manifest["kind"] == "scan" else ():
        for sha256 in {spectrum["blob"], spectrum.get("sha256") or spectrum["blob"]}:
            tx.execute("INSERT OR IGNORE INTO spectra VALUES (?, ?)", (sha256, seq))


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
