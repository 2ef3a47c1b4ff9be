"""Backups of the record on a device, and how a device goes on after one was restored.

A backup is a folder: the database as it was at one moment, and a signed statement of what it holds. It is
made while the tablet works. It holds no private key: a stolen backup lets nobody sign in the device's name.

A restored backup is older than the device was. Records made in between may be at the server already, under
numbers that the restored store would give out again. So a restored store opens a new *epoch* of its chain:
its numbers begin at ``epoch * 2**24 + 1``, above all that the device can have used, and its next packet says
which backup it goes on from. The epoch is drawn at random above the last one, so that restoring the same
backup twice does not use numbers twice either.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spectralid.casework import dsse
from spectralid.casework.chain import EPOCH, EPOCH_JUMP
from spectralid.casework.clock import to_text
from spectralid.casework.database import as_bytes
from spectralid.casework.errors import PacketError, RecordError, StoreReadOnlyError
from spectralid.casework.keys import PublicKey, SigningKey
from spectralid.casework.manifest import dumps, loads
from spectralid.casework.packet import GENESIS
from spectralid.casework.store import DATABASE, KEY, CaseStore
from spectralid.files import sync_folder, write_whole

if TYPE_CHECKING:
    from spectralid.casework.clock import Clock

__all__ = ["Backup", "BackupError", "Restored", "make_backup", "mend", "restore", "verify_backup"]

PAYLOAD_TYPE: Final = "application/vnd.spectralid.backup+json"
STATEMENT: Final = "backup.json"
_LARGEST: Final = 2**53
_PAGES: Final = 256
_CHUNK: Final = 1024 * 1024


class BackupError(RecordError):
    """A backup that cannot be made, is not whole, or cannot be restored here."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made, or was looked at and is whole.

    Attributes
    ----------
    folder : Path
        Where it is.
    backup_id : str
        UUID.
    device_id : str
        Of which device.
    taken_utc : str
        When, by the clock of the device.
    packets : int
        How many it holds, including those whose bytes had been removed after a receipt.
    last_seq : int
        The newest of them; 0 if there is none.
    last_sha256 : str
        Its SHA-256.
    keyid : str
        The key that signed the statement.
    sha256 : str
        Of the copy of the database.
    """

    folder: Path
    backup_id: str
    device_id: str
    taken_utc: str
    packets: int
    last_seq: int
    last_sha256: str
    keyid: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A store that was made from a backup.

    Attributes
    ----------
    folder : Path
        Where it is; open it with `CaseStore.open`.
    epoch : int
        Of the chain.
    first_seq : int
        The number of the next record.
    new_key : bool
        Whether it has a new key, so that the device must be enrolled again.
    """

    folder: Path
    epoch: int
    first_seq: int
    new_key: bool


def make_backup(
    store: CaseStore,
    folder: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Backup:
    """Copy the record into a new folder, while others may go on writing.

    Parameters
    ----------
    store : CaseStore
        Of the device; opened for reading only, the backup is not entered into the custody log.
    folder : path
        Where the backup is to be, on a stick or another disk; it must not exist.
    progress : callable, optional
        Called with pages copied and pages in all.

    Returns
    -------
    Backup
        After it was read back and found whole. The custody log tells of it.

    Raises
    ------
    BackupError
        If the folder exists or cannot be written, or the copy is not whole because the store is damaged.
    """
    folder = Path(folder)
    key = _key(store)
    with _drafted(folder, "backed up") as draft:
        _copy_database(store.folder / DATABASE, draft / DATABASE, progress)
        with closing(_read_only(draft / DATABASE)) as copy:
            ((packets, last_seq),) = copy.execute(
                "SELECT count(*), coalesce(max(seq), 0) FROM packets"
            ).fetchall()
            last = copy.execute("SELECT sha256 FROM packets WHERE seq = ?", (last_seq,)).fetchone()
        statement = {
            "schema": "spectralid.backup/1",
            "backup_id": str(uuid.uuid4()),
            "device_id": store.device_id,
            "taken_utc": to_text(store.clock.wall_utc()),
            "clock_state": store.clock_state,
            "packets": packets,
            "last_seq": last_seq,
            "last_sha256": last[0] if last else GENESIS,
            "sha256": _sha256(draft / DATABASE),
            "public_key": key.public.raw.hex(),
        }
        write_whole(draft / STATEMENT, [dsse.sign(dumps(statement), PAYLOAD_TYPE, key), b"\n"])
        backup = verify_backup(draft)
    facts = {name: statement[name] for name in ("backup_id", "last_seq", "last_sha256", "sha256")}
    # Beside the program that writes, or from a disk that fails, a backup is worth having all the same.
    with suppress(StoreReadOnlyError), store.transaction() as tx:
        store.custody.append(tx, "backed up", facts)
    return replace(backup, folder=folder)


def verify_backup(folder: str | os.PathLike[str], *, key: PublicKey | None = None) -> Backup:
    """Read a backup and see that all of it is as it was made.

    Parameters
    ----------
    folder : path
        Of the backup.
    key : PublicKey, optional
        Of the device, from somewhere else. By default the one that the backup names: that shows damage, and
        not that somebody made up the whole of it.

    Raises
    ------
    BackupError
        If it is damaged, incomplete, changed, or no backup.
    """
    folder = Path(folder)
    try:
        envelope = (folder / STATEMENT).read_bytes().rstrip(b"\n")
        stated = loads(dsse.verify(envelope, None, payload_types={PAYLOAD_TYPE}).payload)
        if stated["schema"] != "spectralid.backup/1":
            raise BackupError(
                f"{folder}: the backup is of a newer format ({stated['schema']}); update spectralid."
            )
        key = key or PublicKey(bytes.fromhex(stated["public_key"]))
        dsse.verify(envelope, {key.keyid: key}, payload_types={PAYLOAD_TYPE})
        if _sha256(folder / DATABASE) != stated["sha256"]:
            raise BackupError(f"{folder}: the copy of the database is damaged; use another backup.")
        backup = Backup(
            folder=folder,
            keyid=key.keyid,
            **{
                name: stated[name]
                for name in (
                    "backup_id", "device_id", "taken_utc", "packets", "last_seq", "last_sha256", "sha256",
                )
            },
        )  # fmt: skip
    except OSError as error:
        raise BackupError(f"{folder}: the backup cannot be read ({error.strerror}).") from None
    except (PacketError, KeyError, ValueError) as error:
        raise BackupError(f"{folder}: it is no backup, or its statement was changed ({error}).") from None
    _look_into(backup)
    return backup


def _look_into(backup: Backup) -> None:
    """Structure of the database, every packet and every custody entry."""
    try:
        with closing(_read_only(backup.folder / DATABASE)) as copy:
            ((verdict,), *_) = copy.execute("PRAGMA integrity_check").fetchall()
        if verdict != "ok":
            raise BackupError(f"{backup.folder}: SQLite finds the copy damaged ({verdict}); scrub the store.")
        with CaseStore.open(backup.folder, read_only=True, connect=_connect_read_only) as store:
            problems = (*store.verify(), *store.custody.verify())
    except sqlite3.Error as error:
        raise BackupError(f"{backup.folder}: the copy of the database is damaged ({error}).") from None
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise BackupError(f"{backup.folder}: the record in it is not whole: {problems[0]}{more}")


def restore(
    backup: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    key_file: str | os.PathLike[str] | None = None,
    clock: Clock | None = None,
) -> Restored:
    """Make a store from a backup: all of it or none.

    Parameters
    ----------
    backup : path
        Of a backup; it is verified first and not changed.
    folder : path
        Of the new store; it must not exist.
    key_file : path, optional
        The key of the device, where it could be saved. By default a new one is made, and the device must be
        enrolled again.
    clock : Clock, optional
        Of the device.

    Returns
    -------
    Restored

    Raises
    ------
    BackupError
        If the backup is not whole, the folder exists, or it cannot be written.
    KeyFileError
        If the key cannot be used.
    """
    found = verify_backup(backup)
    folder = Path(folder)
    with _drafted(folder, "restored") as draft:
        _copy(Path(backup) / DATABASE, draft / DATABASE)
        if key_file is not None:
            SigningKey.load(key_file).save(draft / KEY)
        # No reserve yet: it is laid down when the store is opened where it is to stay.
        with CaseStore.open(draft, new_key=key_file is None, clock=clock, ballast_bytes=0) as store:
            epoch = _open_epoch(store, found)
        for name in os.listdir(draft):
            if name not in (DATABASE, KEY):
                os.unlink(draft / name)
        _sync(draft / DATABASE)
    return Restored(folder, epoch, epoch * EPOCH + 1, key_file is None)


def _key(store: CaseStore) -> SigningKey:
    try:
        return store.key
    except StoreReadOnlyError:
        return SigningKey.load(store.folder / KEY)


def _open_epoch(store: CaseStore, backup: Backup) -> int:
    with store.transaction() as tx:
        ((last,),) = tx.execute("SELECT max(epoch) FROM epochs").fetchall()
        epoch: int = last + 1 + secrets.randbelow(EPOCH_JUMP)
        if (epoch + 1) * EPOCH > _LARGEST:
            raise BackupError("This device was restored too often for another epoch; enrol it as a new one.")
        reason = f"restored from backup {backup.backup_id} of {backup.taken_utc}"
        chain_id = str(uuid.uuid4())
        tx.execute(
            "INSERT INTO epochs (epoch, chain_id, first_seq, after_seq, after_sha256, reason, opened_utc) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (epoch, chain_id, epoch * EPOCH + 1, backup.last_seq, backup.last_sha256, reason,
             to_text(store.clock.wall_utc())),
        )  # fmt: skip
        facts = {
            "backup_id": backup.backup_id,
            "taken_utc": backup.taken_utc,
            "after_seq": backup.last_seq,
            "after_sha256": backup.last_sha256,
            "epoch": epoch,
            "chain_id": chain_id,
        }
        store.custody.append(tx, "restored", facts)
    return epoch


def mend(store: CaseStore, backup: str | os.PathLike[str]) -> tuple[str, ...]:
    """Put the bytes of damaged packets back from a backup.

    Parameters
    ----------
    store : CaseStore
        Scrubbed before: what is damaged is what `spectralid.casework.scrub` has marked.
    backup : path
        Of a backup of the same device; verified first.

    Returns
    -------
    tuple of str
        The ids of the packets that are whole again.

    Raises
    ------
    BackupError
        If the backup is not whole or is of another device.
    """
    found = verify_backup(backup)
    if found.device_id != store.device_id:
        raise BackupError(
            f"{backup}: it is a backup of the device {found.device_id}, not of {store.device_id}."
        )
    mended = []
    with closing(_read_only(found.folder / DATABASE)) as copy:
        for packet_id, sha256 in store.read(
            "SELECT d.packet_id, p.sha256 FROM damaged d JOIN packets p USING (packet_id) ORDER BY p.seq"
        ):
            # By the hash: the bytes themselves say whether they are the right ones.
            row = copy.execute("SELECT raw FROM packets WHERE sha256 = ?", (sha256,)).fetchone()
            if row is None or row[0] is None or hashlib.sha256(as_bytes(row[0])).hexdigest() != sha256:
                continue
            with store.transaction() as tx:
                tx.execute("UPDATE packets SET raw = ? WHERE packet_id = ?", (row[0], packet_id))
                tx.execute("DELETE FROM damaged WHERE packet_id = ?", (packet_id,))
                facts = {"packet_id": packet_id, "sha256": sha256, "backup_id": found.backup_id}
                store.custody.append(tx, "mended", facts)
            mended.append(packet_id)
    return tuple(mended)


# --- files --------------------------------------------------------------------------------------------------


@contextmanager
def _drafted(folder: Path, what: str) -> Iterator[Path]:
    """A folder to work in beside `folder`, which it becomes when all went well."""
    if folder.exists():
        raise BackupError(f"{folder}: it exists already; name a new folder.")
    draft = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        yield draft
        sync_folder(draft)
        os.replace(draft, folder)
        sync_folder(folder.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{folder}: it cannot be {what} ({error}).") from None
    finally:
        if draft is not None and draft.exists():
            with suppress(OSError):
                shutil.rmtree(draft)


def _copy_database(source: Path, target: Path, progress: Callable[[int, int], None] | None) -> None:
    """A copy of the database at one moment, as one file without a write-ahead log."""

    def told(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    with (
        closing(sqlite3.connect(source, isolation_level=None)) as read,
        closing(sqlite3.connect(target)) as copy,
    ):
        read.execute("PRAGMA query_only = ON")
        # What others commit meanwhile is not seen here, so that the copy never has to begin anew.
        read.execute("BEGIN")
        read.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        read.backup(copy, pages=_PAGES, progress=told)
        copy.execute("PRAGMA journal_mode = DELETE")
    _sync(target)


def _read_only(path: Path) -> sqlite3.Connection:
    # A medium that cannot be written to, or must not be, will do.
    return sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True, isolation_level=None)


def _connect_read_only(path: str) -> sqlite3.Connection:
    return _read_only(Path(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read:
        write_whole(target, iter(lambda: read.read(_CHUNK), b""))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
