"""Files that are whole and on the disk, or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["sync_folder", "write_whole"]


def write_whole(path: Path, pieces: Iterable[bytes], *, mode: int = 0o600) -> None:
    """Write a file that has its name when all of it is on the disk.

    Parameters
    ----------
    path : Path
        Where; what is there is replaced.
    pieces : iterable of bytes
        What to write.
    mode : int
        Who may read it; its owner only by default.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left of it then.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        # Of an earlier attempt that a power cut ended.
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; where folders cannot be synced, the file system sees to it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
