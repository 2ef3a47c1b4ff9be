"""What was computed from a large library, kept in a file beside it and mapped instead of held in memory.

The file is nothing but a cache: it says which library it was made from and how, has checksums of its own, and
is made again when any of that does not fit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import LibraryError

__all__ = ["MAPPED_BYTES", "PreparedFile", "Writer", "mapped_digest", "prepared", "release"]

MAPPED_BYTES: Final = 2**24
"""Bytes of a mapped file gone through at a time; what is larger is given back to the system in between."""

Array = np.ndarray[Any, Any]


def release(mapped: mmap.mmap) -> None:
    """Give the memory of a mapped file back to the system; what is looked at again is read again."""
    # Windows has no such call; there the system takes pages back by itself when memory is short.
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


def mapped_digest(values: Array, mapped: mmap.mmap) -> bytes:
    """SHA-256 of mapped values in C order, with no more than `MAPPED_BYTES` of them in memory."""
    plain = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    digest = hashlib.sha256()
    for start in range(0, plain.size, MAPPED_BYTES):
        digest.update(plain[start : start + MAPPED_BYTES].data)
        release(mapped)
    return digest.digest()


class Writer:
    """Writes arrays into a prepared file, rows after rows."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._filled: dict[str, int] = {}
        self._digests: dict[str, Any] = {}

    def create(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Make room for an array of that shape."""
        self._file.create_dataset(name, shape=shape, dtype=dtype, track_times=False)
        self._filled[name] = 0
        self._digests[name] = hashlib.sha256()

    def append(self, name: str, rows: Array) -> None:
        """Write the next rows of an array."""
        start = self._filled[name]
        self._file[name][start : start + len(rows)] = rows
        self._filled[name] = start + len(rows)
        stored = np.ascontiguousarray(rows, dtype=self._file[name].dtype)
        self._digests[name].update(stored.reshape(-1).view(np.uint8).data)

    def digests(self) -> dict[str, str]:
        """SHA-256 (hex) of what was written."""
        return {name: digest.hexdigest() for name, digest in self._digests.items()}


class PreparedFile:
    """Arrays of a prepared file, mapped and read-only; make it with `prepared`.

    Attributes
    ----------
    arrays : dict of str to ndarray
        By name.
    """

    def __init__(self, path: Path, about: str) -> None:
        import h5py

        with h5py.File(path, "r") as file:
            if file.attrs["about"] != about:
                raise ValueError("made from another library, or in another way")
            digests = json.loads(file.attrs["digests"])
            places = {name: (node.id.get_offset(), node.dtype, node.shape) for name, node in file.items()}
        with path.open("rb") as plain:
            self._map = mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ)
        self.arrays: dict[str, Array] = {}
        for name, (offset, dtype, shape) in places.items():
            count = int(np.prod(shape, dtype=np.int64))
            values = np.frombuffer(self._map, dtype, count, offset or 0).reshape(shape)
            if mapped_digest(values, self._map).hex() != digests[name]:
                raise ValueError("damaged")
            self.arrays[name] = values

    def release(self) -> None:
        """Give the memory of what was looked at back to the system."""
        release(self._map)


def prepared(path: Path, about: str, make: Callable[[Writer], None]) -> PreparedFile:
    """The prepared file at `path`, made now if it is not there or not what it should be.

    Where nothing can be written at `path`, a temporary file serves this process alone.

    Parameters
    ----------
    path : Path
        Beside the library.
    about : str
        What the content depends on: identity of the library, and how it was made.
    make : callable
        Writes the arrays.

    Raises
    ------
    LibraryError
        If no file can be written at all.
    """
    # h5py passes on whatever HDF5 meets in a damaged file; all of it means the same: make it again.
    with contextlib.suppress(Exception):
        return PreparedFile(path, about)
    try:
        return _made(path.with_name(f".{path.name}.{os.getpid()}.partial"), path, about, make)
    except OSError:
        pass
    try:
        # Mapped, it outlives its folder where a file in use may be removed.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return _made(Path(folder, "partial"), Path(folder, path.name), about, make)
    except OSError as error:
        raise LibraryError(
            f"There is no room for what is prepared from the library: neither beside it ({path}) nor in the "
            f"folder for temporary files ({error.strerror or error})."
        ) from None


def _made(partial: Path, path: Path, about: str, make: Callable[[Writer], None]) -> PreparedFile:
    import h5py

    try:
        # Aligned, so that values can be mapped as they are.
        with h5py.File(partial, "w", alignment_threshold=1, alignment_interval=4096) as file:
            writer = Writer(file)
            make(writer)
            file.attrs["about"] = about
            file.attrs["digests"] = json.dumps(writer.digests())
        os.replace(partial, path)
        return PreparedFile(path, about)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
