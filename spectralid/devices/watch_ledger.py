"""The ledger of a watched folder: which contents have been taken, also across restarts and crashes.

A text file of JSON lines, only ever appended to: a line that tells what the file is, then one line per file
taken, with the SHA-256 of its content. No clock is needed, and a person can read it. A line is on the disk
before the file counts as taken; a line cut off by a crash was not acknowledged and is dropped.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, Final

from spectralid.errors import DeviceError, FileError

__all__ = ["Ledger"]

_HEADER: Final = b'{"ledger": "spectralid watch 1"}\n'


class Ledger:
    """Contents that have been taken.

    Parameters
    ----------
    path : Path or None
        Where it is kept; ``None`` remembers only as long as the object lives.

    Raises
    ------
    FileError
        If the file cannot be opened, is no such ledger, or is damaged (names the line).
    DeviceError
        If another program uses the same ledger.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._names: dict[str, str] = {}
        self._known_names: set[str] = set()
        self._stream: FileIO | None = None
        self._shown = str(path)
        if path is None:
            return
        try:
            new = not path.exists()
            # Append mode: whatever else happens, what was written before is not written over.
            self._stream = FileIO(path, "a+")
        except OSError as error:
            raise FileError(
                f"the ledger cannot be opened ({error.strerror}); name one where you may write.",
                file=self._shown,
            ) from None
        try:
            _lock(self._stream, self._shown)
            self._load(self._stream)
        except BaseException:
            self._stream.close()
            raise
        if new:
            _sync_folder(path.parent)

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._names

    def name(self, sha256: str) -> str:
        """Name under which a content was taken first."""
        return self._names[sha256]

    def has_name(self, name: str) -> bool:
        """Whether something was taken under this name."""
        return name in self._known_names

    def add(self, sha256: str, name: str, size: int) -> None:
        """Enter a content; it is on the disk when this returns.

        Raises
        ------
        FileError
            If it cannot be written; then it is not entered.
        """
        if self._stream is not None:
            entry = {"sha256": sha256, "bytes": size, "name": name}
            self._append(self._stream, json.dumps(entry).encode("ascii") + b"\n")
        self._remember(sha256, name)

    def close(self) -> None:
        """Close the file and give it free for others."""
        if self._stream is not None:
            self._stream.close()

    def _remember(self, sha256: str, name: str) -> None:
        self._names.setdefault(sha256, name)
        self._known_names.add(name)

    def _append(self, stream: FileIO, line: bytes) -> None:
        before = stream.seek(0, os.SEEK_END)
        try:
            if stream.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(stream.fileno())
        except OSError as error:
            # Half a line in the middle would spoil the ledger once there is room again.
            with suppress(OSError):
                stream.truncate(before)
            raise FileError(
                f"the ledger cannot be written ({error.strerror}); the file will be taken again.",
                file=self._shown,
            ) from None

    def _load(self, stream: FileIO) -> None:
        stream.seek(0)
        data = stream.readall()
        if data and not data.startswith(_HEADER) and not _HEADER.startswith(data):
            # Anything may be named by mistake, a spectrum too: what is not known for ours is not touched.
            raise FileError("this is not a ledger of spectralid; name another file.", file=self._shown)
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            stream.truncate(len(whole))
        if not whole:
            self._append(stream, _HEADER)
        for number, line in enumerate(whole.splitlines()[1:], 2):
            sha256, name = self._entry(line, number)
            self._remember(sha256, name)

    def _entry(self, line: bytes, number: int) -> tuple[str, str]:
        try:
            entry: Any = json.loads(line)
            sha256, name = entry["sha256"], entry["name"]
        except (ValueError, TypeError, KeyError):
            sha256 = name = None
        if not (isinstance(sha256, str) and len(sha256) == 64 and isinstance(name, str)):
            raise FileError(
                "the ledger is damaged here; take this line out, and its file will be taken again.",
                file=self._shown,
                where=f"line {number}",
            )
        return sha256, name


def _lock(stream: FileIO, shown: str) -> None:
    """Lock the ledger for this program; the lock goes with the process, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # A byte far beyond the end: on Windows a locked range cannot be read by others.
            stream.seek(2**40)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise DeviceError(
                f"Ledger {shown}: another program watches with it; stop that program or name another ledger."
            ) from None
        # A share without locks is no reason not to work.


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a power cut; systems that cannot do this do it by themselves."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
