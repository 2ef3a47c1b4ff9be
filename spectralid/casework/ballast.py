"""A reserve of disk space that can be given up when the disk is full.

SQLite needs room even to delete. The reserve is what lets the queue drain and receipted packets be removed
when everything else on the disk is taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Final

from spectralid.files import sync_folder, write_whole

__all__ = ["BALLAST_BYTES", "Ballast"]

# Twice what the write-ahead log grows to: 4 MiB between checkpoints and one packet of 8 MiB, rounded up.
BALLAST_BYTES: Final = 32 * 1024 * 1024
_CHUNK: Final = 1024 * 1024
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Ballast:
    """A file of real blocks.

    Parameters
    ----------
    path : Path
        Where.
    size : int
        Bytes.
    """

    def __init__(self, path: Path, size: int = BALLAST_BYTES) -> None:
        self.path = path
        self.size = size

    @property
    def ready(self) -> bool:
        """Whether it is there in full."""
        try:
            return self.path.stat().st_size >= self.size
        except OSError:
            return False

    def restore(self, spare: int = 0) -> bool:
        """Lay it down unless it is there; ``False`` where that would leave the disk nearly full.

        Parameters
        ----------
        spare : int
            Bytes that must be left beside half of the reserve's size.

        Raises
        ------
        OSError
            If the disk fails otherwise.
        """
        if self.ready:
            return True
        # Asked before writing: on a disk that is nearly full, trying would take what is left from others.
        if shutil.disk_usage(self.path.parent).free < self.size + self.size // 2 + spare:
            return False
        # Random, as a compressing file system would give zeros no blocks.
        pieces = (os.urandom(min(_CHUNK, self.size - start)) for start in range(0, self.size, _CHUNK))
        try:
            write_whole(self.path, pieces)
        except OSError as error:
            if error.errno in _NO_ROOM:
                return False
            raise
        return True

    def release(self) -> bool:
        """Give the room up; whether there was any to give."""
        try:
            os.unlink(self.path)
        except OSError:
            return False
        with contextlib.suppress(OSError):
            sync_folder(self.path.parent)
        return True
