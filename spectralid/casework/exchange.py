"""Exchange by USB stick, or any folder: packets out as files, the server's messages in.

The files hold the very bytes that travel by HTTPS, so both ways can be mixed freely: whatever arrives twice
changes nothing. A file that is damaged, foreign or meant for another tablet is refused by itself, with a
sentence; the rest goes on.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spectralid.casework import inbox, messages, packet
from spectralid.casework.enrolment import trust_of
from spectralid.casework.errors import RecordError, StoreError
from spectralid.files import sync_folder

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore

__all__ = ["ExchangeError", "Exported", "Imported", "export_packets", "import_answers"]

# A stick with more than this in one folder was not written by a server.
_MOST_FILES: Final = 20_000
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


class ExchangeError(RecordError):
    """The folder of an exchange cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes
    ----------
    folder : Path
        Where.
    written : int
        Files that were not there before: packets, and acknowledgements of answers.
    already : int
        Files that were there, whole.
    skipped : tuple of str
        Packets that could not be written, as sentences.
    """

    folder: Path
    written: int
    already: int
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read.

    Attributes
    ----------
    folder : Path
        Where.
    taken : int
        Messages that were new.
    known : int
        Messages that had come before.
    refused : tuple of str
        Files that were not taken, as sentences.
    answers : tuple of str
        Answers among the new messages.
    """

    folder: Path
    taken: int
    known: int
    refused: tuple[str, ...]
    answers: tuple[str, ...]


def export_packets(store: CaseStore, folder: str | os.PathLike[str], *, everything: bool = False) -> Exported:
    """Write packets into a folder, to be carried to the server.

    Each file is complete under its name or not there under it, whenever the stick is pulled out. What was
    written is still sent by HTTPS when there is a way: only a receipt ends that.

    Parameters
    ----------
    store : CaseStore
        Of the device; may be open for reading only.
    folder : path
        Made if need be.
    everything : bool
        All packets that are here, not only those without a receipt.

    Returns
    -------
    Exported

    Raises
    ------
    ExchangeError
        If the folder cannot be written; what is complete in it stays.
    """
    folder = Path(folder)
    skipped: list[str] = []
    written = already = 0
    device = _UNSAFE.sub("_", store.device_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in _outgoing(store, device, skipped, everything=everything):
            if _holds(folder / name, data):
                already += 1
            else:
                _write(folder / name, data)
                written += 1
        with contextlib.suppress(OSError):  # file systems of sticks may not sync a folder
            sync_folder(folder)
    except OSError as error:
        raise ExchangeError(
            f"{folder}: it cannot be written ({error.strerror}); {written} files are complete on it. Nothing "
            "on the tablet has changed."
        ) from None
    if written:
        # A store that is open for reading, or whose disk failed, still hands its packets over.
        with contextlib.suppress(StoreError), store.transaction() as tx:
            store.custody.append(tx, "exported", {"files": written, "everything": everything})
    return Exported(folder, written, already, tuple(skipped))


def _outgoing(
    store: CaseStore, device: str, skipped: list[str], *, everything: bool
) -> Iterator[tuple[str, bytes]]:
    # typeof: for IS NOT NULL, SQLite reads all of a blob.
    which = "" if everything else "AND o.state <> 'received' "
    for packet_id, seq in store.read(
        "SELECT p.packet_id, p.seq FROM packets p JOIN outbox o ON o.packet_id = p.packet_id "
        f"WHERE typeof(p.raw) <> 'null' {which}ORDER BY o.urgent DESC, p.seq"
    ):
        try:
            yield f"{device}-{seq:010d}{packet.SUFFIX}", store.raw(packet_id)
        except RecordError as error:
            skipped.append(str(error))
    for n, _, envelope in inbox.to_acknowledge(store):
        yield f"{device}-shown-{n:06d}{messages.SUFFIX}", envelope


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _write(path: Path, data: bytes) -> None:
    """Whole under its name or not there; the folder, which a stick may not sync, is the caller's."""
    draft = path.with_name(f"{path.name}.part")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def import_answers(store: CaseStore, folder: str | os.PathLike[str]) -> Imported:
    """Take in the server's messages (answers, receipts) that lie in a folder.

    Parameters
    ----------
    store : CaseStore
        Of the device.
    folder : path
        Its files ending in ``.sidmsg`` are read; nothing in it is changed.

    Returns
    -------
    Imported

    Raises
    ------
    ExchangeError
        If the folder cannot be read.
    EnrolmentError
        If the tablet is not enrolled, so that no message can be trusted.
    StoreError
        If the store cannot be written.
    """
    folder = Path(folder)
    trust = trust_of(store)
    taken = known = 0
    refused: list[str] = []
    answers: list[str] = []
    own = re.compile(re.escape(_UNSAFE.sub("_", store.device_id)) + r"-shown-\d+")
    for path in _listed(folder):
        if own.fullmatch(path.stem):
            continue  # what this tablet itself wrote for the server
        try:
            done = inbox.take_message(store, _read(path), trust)
        except StoreError:
            raise
        except RecordError as error:
            refused.append(f"{path.name}: {error}")
            continue
        taken += done.new
        known += not done.new
        if done.new and isinstance(done.message, messages.Answer):
            answers.append(done.message.answer_id)
        if done.gone:
            refused.append(
                f"{path.name}: the server asks for {done.gone} packets that were removed from this tablet "
                "after their receipts; the receipts are still here."
            )
    return Imported(folder, taken, known, tuple(refused), tuple(answers))


def _listed(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == messages.SUFFIX)
    except OSError as error:
        raise ExchangeError(f"{folder}: it cannot be read ({error.strerror}).") from None
    if len(found) > _MOST_FILES:
        raise ExchangeError(
            f"{folder}: it holds {len(found)} messages; at most {_MOST_FILES} are read at once."
        )
    return found


def _read(path: Path) -> bytes:
    """A plain file of a plausible size: a stick may hold links, pipes, and files that never end."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        handle = os.open(path, flags)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ExchangeError("It is no plain file.")
            data = file.read(messages.MAX_MESSAGE + 1)
    except OSError as error:
        raise ExchangeError(f"It cannot be read ({error.strerror}).") from None
    return data
