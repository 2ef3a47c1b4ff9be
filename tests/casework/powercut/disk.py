"""What a disk may hold after a power cut, given what was done to it: the model of the crash tests.

Sources: SQLite, *Atomic Commit In SQLite*, section 2 "Hardware Assumptions" (https://sqlite.org/atomiccommit.html);
*Powersafe Overwrite* (https://sqlite.org/psow.html); *How SQLite Is Tested*, 3.3 "Crash Testing"
(https://sqlite.org/testing.html) and its test6.c, where each unsynced write is written, lost or trashed.

* What was written to a file before a sync of that file returned is safe. Everything later may be lost,
  kept, or replaced by garbage, independently for each write and for each 512- or 4096-byte sector of it, in
  any order, across files. Bytes outside the written range are never harmed (powersafe overwrite).
* A file may have grown although the bytes that made it grow are lost: it then holds zeros or garbage there.
* Creation, deletion and renaming are safe once the *folder* has been synced, not before – not even when the
  file itself has been. A rename is atomic: the old name or the new one, never neither.
* A truncation not yet synced may not have happened.
* After a failed sync the pages may be marked clean without having been written: a later successful sync does
  not make them safe (J. Corbet, "PostgreSQL's fsync() surprise", LWN, 2018, https://lwn.net/Articles/752063).
* Shared memory is gone.

It is harsher than ext4 in its default mode, which journals names in order and makes the name of a new file
safe when the file is synced.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .recording import Operation

_GARBAGE = random.Random(20261122).randbytes(1 << 17)
STYLES = ("nothing", "everything", "prefix", "writes", "sectors", "sectors-4096", "garbage", "suffix")
"""The ways in which unsynced operations survive; see `Disk.after_cut`."""
_ORDERLY = ("nothing", "everything", "prefix", "suffix")


@dataclass(slots=True)
class _Inode:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Operation]] = field(default_factory=list)
    """(position in the recording, write or truncation) not yet in `durable`."""
    in_doubt: int = 0
    """So many of `pending`, from the front, were to be written by a sync that failed."""
    safe: set[int] = field(default_factory=set)
    """Positions in `pending` that are on the disk, but above others in doubt."""

    def sync(self) -> None:
        if self.in_doubt:
            self.safe.update(at for at, _ in self.pending[self.in_doubt :])
            return
        for _, operation in self.pending:
            apply(self.durable, operation)
        self.pending.clear()

    def sync_failed(self) -> None:
        # What lies in doubt may be lost for ever; what later syncs write above it is safe.
        self.in_doubt = len(self.pending)


def apply(content: bytearray, operation: Operation) -> None:
    """Carry out a write or truncation."""
    if operation.kind == "truncate":
        size = operation.offset
        if size < len(content):
            del content[size:]
        else:
            content.extend(bytes(size - len(content)))
        return
    end = operation.offset + len(operation.data)
    if operation.offset > len(content):
        content.extend(bytes(operation.offset - len(content)))
    content[operation.offset : end] = operation.data


class Disk:
    """A folder on a disk, fed with operations in order; at any moment the power can be cut.

    Parameters
    ----------
    files : dict of str to bytes
        What is safely there at the beginning.
    """

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._durable = {name: _Inode(bytearray(content)) for name, content in (files or {}).items()}
        self._names = dict(self._durable)
        self._name_changes: list[tuple[int, dict[str, _Inode | None]]] = []
        self._at = 0

    def do(self, operation: Operation) -> None:
        """Carry out the next operation."""
        self._at += 1
        kind, name = operation.kind, operation.name
        if kind == "create":
            self._rename({name: _Inode()})
        elif kind in ("write", "truncate"):
            self._names[name].pending.append((self._at, operation))
        elif kind == "sync":
            self._names[name].sync()
        elif kind == "sync-failed" and name in self._names:
            self._names[name].sync_failed()
        elif kind == "delete":
            self._rename({name: None})
        elif kind == "rename":
            self._rename({operation.other: self._names[name], name: None})
        elif kind == "dirsync":
            for _, changes in self._name_changes:
                _change(self._durable, changes)
            self._name_changes.clear()

    def _rename(self, changes: dict[str, _Inode | None]) -> None:
        _change(self._names, changes)
        self._name_changes.append((self._at, changes))

    @property
    def unsynced(self) -> bool:
        """Whether anything is not yet safe."""
        return self._unsynced_positions() != [self._at + 1]

    def after_cut(self, style: str, rng: random.Random) -> dict[str, bytes]:
        """Contents of the folder when the power comes back.

        Parameters
        ----------
        style : str
            One of `STYLES`: ``"nothing"`` unsynced survives; ``"everything"`` does; ``"prefix"``, in order up
            to a random point, the last write torn; ``"suffix"``, the late writes but not the early;
            ``"writes"``, each write or not; ``"sectors"`` and ``"sectors-4096"``, each sector of each write
            or not; ``"garbage"``, each sector survives, is lost, or holds zeros or garbage.
        rng : random.Random
        """
        kept = self._kept_for_sure(style, rng)
        names = dict(self._durable)
        share = rng.choice((0.1, 0.5, 0.9))
        for at, changes in self._name_changes:
            if at in kept or (style not in _ORDERLY and rng.random() < share):
                _change(names, changes)
        torn = kept.stop if style == "prefix" else -1
        return {
            name: bytes(_survivors(inode, style, share, kept, torn, rng)) for name, inode in names.items()
        }

    def _kept_for_sure(self, style: str, rng: random.Random) -> range:
        """Positions of the operations that survive whole."""
        if style == "everything":
            return range(self._at + 1)
        if style in ("prefix", "suffix"):
            point = rng.choice(self._unsynced_positions())
            return range(point) if style == "prefix" else range(point, self._at + 1)
        return range(0)

    def _unsynced_positions(self) -> list[int]:
        inodes = {id(inode): inode for inode in (*self._names.values(), *self._durable.values())}
        positions = {at for inode in inodes.values() for at, _ in inode.pending}
        return sorted(positions.union(at for at, _ in self._name_changes)) or [self._at + 1]


def _survivors(
    inode: _Inode, style: str, share: float, kept: range, torn: int, rng: random.Random
) -> bytearray:
    content = bytearray(inode.durable)
    chance = rng.random
    size = 4096 if style == "sectors-4096" else 512
    for at, operation in inode.pending:
        if at in inode.safe or at in kept:
            apply(content, operation)
        elif style in _ORDERLY and at != torn:
            continue
        elif style == "writes" or operation.kind == "truncate":
            if chance() < share:
                apply(content, operation)
        else:
            for piece in _sectors(operation, size):
                fate = chance()
                if fate < share:
                    apply(content, piece)
                elif style == "garbage" and fate < (1 + share) / 2:
                    apply(content, _trashed(piece, rng))
    return content


def _change(names: dict[str, _Inode], changes: dict[str, _Inode | None]) -> None:
    for name, inode in changes.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _sectors(operation: Operation, size: int) -> Iterator[Operation]:
    """The pieces of a write that lie in one sector each."""
    if operation.kind != "write":
        yield operation
        return
    offset, data = operation.offset, operation.data
    at = 0
    while at < len(data):
        until = min(len(data), (offset + at) // size * size + size - offset)
        yield Operation("write", operation.name, offset + at, data[at:until])
        at = until


def _trashed(piece: Operation, rng: random.Random) -> Operation:
    length = len(piece.data)
    if rng.random() < 0.5:
        return Operation("write", piece.name, piece.offset, bytes(length))
    start = rng.randrange(len(_GARBAGE) - length)
    return Operation("write", piece.name, piece.offset, _GARBAGE[start : start + length])


def write_image(folder: Path, image: dict[str, bytes]) -> None:
    """Make `folder` hold exactly these files, readable by their owner only as a key must be."""
    folder.mkdir(exist_ok=True)
    for old in os.listdir(folder):
        if old not in image:
            os.unlink(folder / old)
    for name, content in image.items():
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, content)
        finally:
            os.close(handle)


def final(operations: Sequence[Operation], files: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """Contents of the folder when no power was cut."""
    disk = Disk(files)
    for operation in operations:
        disk.do(operation)
    return disk.after_cut("everything", random.Random(0))
