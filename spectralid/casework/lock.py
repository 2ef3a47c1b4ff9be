"""One writer per store, across processes."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from spectralid.casework.errors import StoreBusyError, StoreError

__all__ = ["WriterLock"]


class WriterLock:
    """A lock on a file, held until `release` or the end of the process, however it ends.

    Parameters
    ----------
    path : Path
        The file; made if need be, and left behind.

    Raises
    ------
    StoreBusyError
        If another holds it.
    StoreError
        If it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{path}: the store cannot be locked for writing ({error.strerror}).") from None
        try:
            _lock(self._handle)
        except OSError:
            os.close(self._handle)
            raise StoreBusyError(
                f"{path.parent}: another program writes to this store{_by_whom(path)}; close it first, "
                "or open the store for reading only."
            ) from None
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.write(self._handle, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others write."""
        os.close(self._handle)


def _by_whom(path: Path) -> str:
    try:
        holder = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return f" (process {holder})" if holder.isdigit() else ""


if sys.platform == "win32":

    def _lock(handle: int) -> None:
        import msvcrt

        # Beyond what is written, so that others can read whose it is.
        os.lseek(handle, 1024, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)

else:

    def _lock(handle: int) -> None:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
