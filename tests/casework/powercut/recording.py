"""A SQLite VFS that writes down every file operation of the store, and can make any of them fail.

The VFS is registered inside the very SQLite library that Python's `sqlite3` module uses (through ctypes), so
what is recorded is the store's real code, its real driver and the library that ships – no second driver, no
second version of SQLite. It forwards everything to the operating system's VFS; the database therefore really
exists in its folder while it is being recorded. Shared memory (`-shm`) is passed through and not recorded: it
does not survive a power cut, and SQLite rebuilds it.

What the store does outside SQLite (key file, ballast) is seen through the functions of `os`.

The model of what survives is in `powercut.disk`.
"""

from __future__ import annotations

import _sqlite3
import contextlib
import ctypes
import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest import mock
from urllib.parse import quote

Kind = Literal["create", "write", "truncate", "sync", "sync-failed", "dirsync", "delete", "rename", "mark"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that happened to the folder, in the order it happened.

    Attributes
    ----------
    kind : str
        What was done; ``"mark"`` is a note of the test (a capture acknowledged).
    name : str
        File name relative to the recorded folder; ``""`` for a sync of the folder itself.
    offset : int
        Where a write begins, or the size a file is truncated to.
    data : bytes
        What was written.
    other : str
        The new name of a rename.
    note : object
        What a mark says.
    """

    kind: Kind
    name: str = ""
    offset: int = 0
    data: bytes = b""
    other: str = ""
    note: Any = None


SQLITE_OK = 0
SQLITE_IOERR = 10
SQLITE_FULL = 13
SQLITE_IOERR_FSYNC = SQLITE_IOERR | (4 << 8)
SQLITE_IOERR_WRITE = SQLITE_IOERR | (3 << 8)

_OPEN_CREATE = 0x4
_OPEN_DELETE_ON_CLOSE = 0x8
_OPEN_JOURNALS = 0x800 | 0x4000 | 0x80000  # main journal, super journal, WAL

_C = ctypes.CFUNCTYPE
_int, _i64, _ptr = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p


class _Methods(ctypes.Structure):
    """sqlite3_io_methods up to version 2 (no memory-mapped reading)."""

    _fields_ = [
        ("iVersion", _int),
        ("xClose", _C(_int, _ptr)),
        ("xRead", _C(_int, _ptr, _ptr, _int, _i64)),
        ("xWrite", _C(_int, _ptr, _ptr, _int, _i64)),
        ("xTruncate", _C(_int, _ptr, _i64)),
        ("xSync", _C(_int, _ptr, _int)),
        ("xFileSize", _C(_int, _ptr, _ptr)),
        ("xLock", _C(_int, _ptr, _int)),
        ("xUnlock", _C(_int, _ptr, _int)),
        ("xCheckReservedLock", _C(_int, _ptr, _ptr)),
        ("xFileControl", _C(_int, _ptr, _int, _ptr)),
        ("xSectorSize", _C(_int, _ptr)),
        ("xDeviceCharacteristics", _C(_int, _ptr)),
        ("xShmMap", _C(_int, _ptr, _int, _int, _int, _ptr)),
        ("xShmLock", _C(_int, _ptr, _int, _int, _int)),
        ("xShmBarrier", _C(None, _ptr)),
        ("xShmUnmap", _C(_int, _ptr, _int)),
    ]


class _File(ctypes.Structure):
    """What SQLite holds for an open file of ours; the operating system's own lies behind it."""

    _fields_ = [("methods", ctypes.POINTER(_Methods)), ("number", ctypes.c_uint64)]


class _Vfs(ctypes.Structure):
    """sqlite3_vfs, version 2."""

    _fields_ = [
        ("iVersion", _int),
        ("szOsFile", _int),
        ("mxPathname", _int),
        ("pNext", _ptr),
        ("zName", ctypes.c_char_p),
        ("pAppData", _ptr),
        ("xOpen", _C(_int, _ptr, _ptr, _ptr, _int, _ptr)),
        ("xDelete", _C(_int, _ptr, ctypes.c_char_p, _int)),
        ("xAccess", _C(_int, _ptr, ctypes.c_char_p, _int, _ptr)),
        ("xFullPathname", _C(_int, _ptr, ctypes.c_char_p, _int, _ptr)),
        ("xDlOpen", _ptr),
        ("xDlError", _ptr),
        ("xDlSym", _ptr),
        ("xDlClose", _ptr),
        ("xRandomness", _C(_int, _ptr, _int, _ptr)),
        ("xSleep", _C(_int, _ptr, _int)),
        ("xCurrentTime", _C(_int, _ptr, _ptr)),
        ("xGetLastError", _C(_int, _ptr, _int, _ptr)),
        ("xCurrentTimeInt64", _C(_int, _ptr, _ptr)),
    ]


Fault = Callable[[Kind, str], int]
"""Asked before an operation is carried out; an SQLite error code makes it fail, 0 lets it pass."""


def _no_fault(kind: Kind, name: str) -> int:
    return SQLITE_OK


@dataclass
class Recorder:
    """Everything that happens to `folder` while `watching`.

    Attributes
    ----------
    operations : list of Operation
        In order.
    fault : callable
        Makes operations fail (`Fault`).
    """

    folder: Path
    operations: list[Operation] = field(default_factory=list)
    fault: Fault = _no_fault
    _ours: set[int] = field(default_factory=set)

    def mark(self, note: object) -> None:
        """Write down that something was promised to the user just now."""
        self.operations.append(Operation("mark", note=note))

    def name(self, path: str | os.PathLike[str]) -> str | None:
        """Name within the folder; None for what lies elsewhere."""
        with contextlib.suppress(ValueError):
            return str(Path(os.path.abspath(path)).relative_to(self.folder))
        return None

    def connect(self, path: str | Path, **options: Any) -> sqlite3.Connection:
        """Open a database of the folder as the store would, through the recording VFS."""
        _registered().recorders[str(self.folder)] = self
        uri = f"file:{quote(str(path))}?vfs={_VFS_NAME}"
        return sqlite3.connect(uri, uri=True, **options)

    @contextlib.contextmanager
    def watching(self) -> Iterator[Recorder]:
        """Also see what is done to files of the folder through `os`, outside SQLite."""
        with contextlib.ExitStack() as stack:
            for name, seen in _PYTHON_CALLS.items():
                real = getattr(os, name)
                stack.enter_context(mock.patch.object(os, name, _seen_by(self, seen, real)))
            yield self
        _registered().recorders.pop(str(self.folder), None)


# -- what Python does outside SQLite -------------------------------------------------------------------------


def _path_of(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(" (deleted)")


def _refuse(code: int) -> None:
    if code:
        number = errno.ENOSPC if code & 0xFF == SQLITE_FULL else errno.EIO
        raise OSError(number, os.strerror(number))


def _seen_by(recorder: Recorder, seen: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return seen(recorder, real, *args, **kwargs)

    return call


def _os_open(
    recorder: Recorder, real: Callable[..., int], path: Any, flags: int, *args: Any, **kw: Any
) -> int:
    name = None if kw.get("dir_fd") is not None or isinstance(path, int) else recorder.name(os.fsdecode(path))
    if name in (None, "."):
        return real(path, flags, *args, **kw)
    existed = os.path.exists(path)
    if not existed and flags & os.O_CREAT:
        _refuse(recorder.fault("create", name))
    descriptor = real(path, flags, *args, **kw)
    if not existed:
        recorder.operations.append(Operation("create", name))
    elif flags & os.O_TRUNC:
        recorder.operations.append(Operation("truncate", name, 0))
    return descriptor


def _os_write(recorder: Recorder, real: Callable[..., int], fd: int, data: Any, *offset: int) -> int:
    name = recorder.name(_path_of(fd))
    if name is None:
        return real(fd, data, *offset)
    _refuse(recorder.fault("write", name))
    at = offset[0] if offset else os.lseek(fd, 0, os.SEEK_CUR)
    written = real(fd, data, *offset)
    recorder.operations.append(Operation("write", name, at, bytes(data)[:written]))
    return written


def _os_truncate(recorder: Recorder, real: Callable[..., None], file: Any, size: int) -> None:
    name = recorder.name(_path_of(file) if isinstance(file, int) else os.fsdecode(file))
    if name is not None:
        _refuse(recorder.fault("truncate", name))
    real(file, size)
    if name is not None:
        recorder.operations.append(Operation("truncate", name, size))


def _os_fallocate(recorder: Recorder, real: Callable[..., None], fd: int, offset: int, length: int) -> None:
    name = recorder.name(_path_of(fd))
    if name is not None:
        _refuse(recorder.fault("write", name))
    real(fd, offset, length)
    if name is not None:
        recorder.operations.append(Operation("truncate", name, os.fstat(fd).st_size))


def _os_fsync(recorder: Recorder, real: Callable[..., None], fd: int) -> None:
    path = _path_of(fd)
    name = recorder.name(path)
    if name is None:
        real(fd)
        return
    folder = os.path.isdir(path)
    kind: Kind = "dirsync" if folder else "sync"
    code = recorder.fault(kind, name)
    if code:
        recorder.operations.append(Operation("sync-failed", name))
        _refuse(code)
    real(fd)
    recorder.operations.append(Operation(kind, "" if folder else name))


def _os_unlink(recorder: Recorder, real: Callable[..., None], path: Any, **kw: Any) -> None:
    real(path, **kw)
    name = recorder.name(os.fsdecode(path)) if not kw.get("dir_fd") else None
    if name is not None:
        recorder.operations.append(Operation("delete", name))


def _os_rename(recorder: Recorder, real: Callable[..., None], source: Any, target: Any, **kw: Any) -> None:
    old, new = recorder.name(os.fsdecode(source)), recorder.name(os.fsdecode(target))
    if old is not None:
        _refuse(recorder.fault("rename", old))
    real(source, target, **kw)
    if old is not None and new is not None:
        recorder.operations.append(Operation("rename", old, other=new))


_PYTHON_CALLS: dict[str, Callable[..., Any]] = {
    "open": _os_open,
    "write": _os_write,
    "pwrite": _os_write,
    "truncate": _os_truncate,
    "ftruncate": _os_truncate,
    "posix_fallocate": _os_fallocate,
    "fsync": _os_fsync,
    "fdatasync": _os_fsync,
    "unlink": _os_unlink,
    "remove": _os_unlink,
    "rename": _os_rename,
    "replace": _os_rename,
}


# -- what SQLite does ----------------------------------------------------------------------------------------

_VFS_NAME = "recording"


class _Registered:
    """The VFS as SQLite knows it; registered once per process and kept alive for ever."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(_sqlite3.__file__)
        self.library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        self.base = self.library.sqlite3_vfs_find(None).contents
        self.recorders: dict[str, Recorder] = {}
        self.open_files: dict[int, tuple[Recorder, str, bool]] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._tables: dict[int, _Methods] = {}
        base = self.base
        self.vfs = _Vfs(
            2,
            ctypes.sizeof(_File) + base.szOsFile,
            base.mxPathname,
            None,
            _VFS_NAME.encode(),
            None,
            _Vfs._fields_[6][1](self._open),
            _Vfs._fields_[7][1](self._delete),
            base.xAccess,
            base.xFullPathname,
            base.xDlOpen,
            base.xDlError,
            base.xDlSym,
            base.xDlClose,
            base.xRandomness,
            base.xSleep,
            base.xCurrentTime,
            base.xGetLastError,
            base.xCurrentTimeInt64,
        )
        if self.library.sqlite3_vfs_register(ctypes.byref(self.vfs), 0):
            raise RuntimeError("SQLite refused the recording VFS")

    # The base functions take the vfs as their first argument only to reach its settings; they need their own.
    def _base(self) -> ctypes.c_void_p:
        return ctypes.cast(ctypes.pointer(self.base), _ptr)

    def _recorder(self, path: str) -> tuple[Recorder, str] | None:
        folder, _, name = path.rpartition("/")
        recorder = self.recorders.get(folder)
        return (recorder, name) if recorder else None

    def _open(self, _vfs: int, path: int | None, file: int, flags: int, out_flags: int) -> int:
        known = self._recorder(os.fsdecode(ctypes.string_at(path))) if path else None
        new = False
        if known:
            recorder, name = known
            new = not (recorder.folder / name).exists()
            if new and flags & _OPEN_CREATE and (code := recorder.fault("create", name)):
                return code
        shim = _File.from_address(file)
        behind = file + ctypes.sizeof(_File)
        result: int = self.base.xOpen(self._base(), path, behind, flags, out_flags)
        theirs = ctypes.POINTER(_Methods).from_address(behind)
        if not theirs:
            shim.methods = ctypes.POINTER(_Methods)()
            return result
        shim.methods = ctypes.pointer(self._table(theirs.contents))
        with self._lock:
            self._next += 1
            shim.number = self._next
        if known and not flags & _OPEN_DELETE_ON_CLOSE:
            recorder, name = known
            journal = bool(flags & _OPEN_JOURNALS) and bool(flags & _OPEN_CREATE)
            self.open_files[shim.number] = (recorder, name, journal)
            if new and result == SQLITE_OK:
                recorder.operations.append(Operation("create", name))
        return result

    def _delete(self, _vfs: int, path: bytes, sync_folder: int) -> int:
        result: int = self.base.xDelete(self._base(), path, sync_folder)
        known = self._recorder(os.fsdecode(path))
        if known and result == SQLITE_OK:
            recorder, name = known
            recorder.operations.append(Operation("delete", name))
            if sync_folder:
                recorder.operations.append(Operation("dirsync"))
        return result

    def _table(self, theirs: _Methods) -> _Methods:
        """Our methods in front of theirs; one table per kind of file of the base VFS."""
        address = ctypes.addressof(theirs)
        with self._lock:
            if address not in self._tables:
                self._tables[address] = self._make_table(theirs)
            return self._tables[address]

    def _make_table(self, theirs: _Methods) -> _Methods:
        header = ctypes.sizeof(_File)

        def forward(name: str) -> Any:
            their = getattr(theirs, name)
            return lambda file, *args: their(file + header, *args)

        def about(file: int) -> tuple[Recorder, str, bool] | None:
            return self.open_files.get(_File.from_address(file).number)

        def close(file: int) -> int:
            self.open_files.pop(_File.from_address(file).number, None)
            return int(theirs.xClose(file + header))

        def write(file: int, data: int, amount: int, offset: int) -> int:
            known = about(file)
            if known and (code := known[0].fault("write", known[1])):
                return code
            result = int(theirs.xWrite(file + header, data, amount, offset))
            if known and result == SQLITE_OK:
                content = ctypes.string_at(data, amount)
                known[0].operations.append(Operation("write", known[1], offset, content))
            return result

        def truncate(file: int, size: int) -> int:
            known = about(file)
            if known and (code := known[0].fault("truncate", known[1])):
                return code
            result = int(theirs.xTruncate(file + header, size))
            if known and result == SQLITE_OK:
                known[0].operations.append(Operation("truncate", known[1], size))
            return result

        def sync(file: int, flags: int) -> int:
            known = about(file)
            if known and (code := known[0].fault("sync", known[1])):
                known[0].operations.append(Operation("sync-failed", known[1]))
                return code
            result = int(theirs.xSync(file + header, flags))
            if known and result == SQLITE_OK:
                recorder, name, journal = known
                recorder.operations.append(Operation("sync", name))
                if journal:
                    # os_unix.c syncs the folder of a journal or WAL it may have created, once.
                    recorder.operations.append(Operation("dirsync"))
                    self.open_files[_File.from_address(file).number] = (recorder, name, False)
            return result

        ours: dict[str, Any] = {"xClose": close, "xWrite": write, "xTruncate": truncate, "xSync": sync}
        prototypes = dict(_Methods._fields_)
        table = _Methods(min(theirs.iVersion, 2))
        for name, _ in _Methods._fields_[1:]:
            if name.startswith("xShm") and theirs.iVersion < 2:
                continue
            setattr(table, name, prototypes[name](ours.get(name) or forward(name)))
        return table


_the_vfs: _Registered | None = None


def _registered() -> _Registered:
    global _the_vfs  # one VFS of a name per process: SQLite's rule
    if _the_vfs is None:
        _the_vfs = _Registered()
    return _the_vfs
