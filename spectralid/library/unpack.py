"""Taking the files out of an archive that somebody else made, without trusting it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from spectralid.errors import UnreadableFileError

__all__ = ["UnpackLimits", "Unpacked", "split_rows", "unpack"]

_CHUNK = 1 << 20
# What text compresses to at the very best is about a thousandth; spectra come nowhere near a hundredth.
_RATIO = 200
_RATIO_FROM = 1 << 20


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What an archive may hold.

    Attributes
    ----------
    files : int
        Files taken out of it.
    total_bytes : int
        Bytes of them together.
    """

    files: int = 100_000
    total_bytes: int = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was taken out of an archive.

    Attributes
    ----------
    taken, left : int
        Files taken, and files that no pattern asked for.
    """

    taken: int
    left: int


def unpack(
    archive: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    include: Sequence[str] = ("*",),
    limits: UnpackLimits | None = None,
) -> Unpacked:
    """Take files out of a zip archive; any other file is copied as it is.

    An archive with a file that would end up outside the folder, with a link, a password, two files of one
    name, or beyond the limits is refused as a whole: who makes such an archive is not to be trusted with the
    rest of it.

    Parameters
    ----------
    archive : path
        The archive.
    folder : path
        A folder of its own to write to.
    include : sequence of str
        Patterns of the file names to take (``*.txt``), without regard to case; their folders do not count.
    limits : UnpackLimits, optional
        What is too much.

    Returns
    -------
    Unpacked

    Raises
    ------
    UnreadableFileError
        If the archive is refused, damaged or truncated, or a file cannot be written.
    """
    limits = limits or UnpackLimits()
    source, root = Path(archive), Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not _looks_like_zip(source):
            shutil.copyfile(source, root / source.name)
            return Unpacked(1, 0)
        with zipfile.ZipFile(source) as opened:
            return _extract(opened, root, [pattern.lower() for pattern in include], limits)
    except _RefusedError as error:
        raise UnreadableFileError(f"{error.reason}.", file=str(source), where=error.member) from None
    # zipfile passes on what it meets in a damaged archive.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise UnreadableFileError(
            f"the archive is damaged or cut short ({error}); remove it and fetch it again.", file=str(source)
        ) from None
    except OSError as error:
        raise UnreadableFileError(
            f"it cannot be read or unpacked ({error.strerror or error}).", file=str(source)
        ) from None


class _RefusedError(Exception):
    def __init__(self, member: str, reason: str) -> None:
        super().__init__(reason)
        self.member = member
        self.reason = reason


def _looks_like_zip(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4)
    return head.startswith(b"PK") or path.suffix.lower() == ".zip"


def _extract(opened: zipfile.ZipFile, root: Path, include: Sequence[str], limits: UnpackLimits) -> Unpacked:
    # A damaged directory may hold a name of no letters, of which zipfile cannot say whether it is a folder.
    if not all(member.filename for member in opened.infolist()):
        raise _RefusedError("", "it holds a file without a name")
    members = [member for member in opened.infolist() if not member.is_dir()]
    # Every name is looked at before anything is written.
    places = [_place(member) for member in members]
    wanted = [
        (member, place)
        for member, place in zip(members, places, strict=True)
        if any(fnmatchcase(place.name.lower(), pattern) for pattern in include)
    ]
    if len(wanted) > limits.files:
        raise _RefusedError("", f"it holds {len(wanted)} files, more than the {limits.files} allowed")
    seen: set[str] = set()
    left = limits.total_bytes
    for member, place in wanted:
        if str(place).casefold() in seen:
            raise _RefusedError(member.filename, "the archive holds two files of this name")
        seen.add(str(place).casefold())
        left -= _write(opened, member, root / place, left)
    return Unpacked(len(wanted), len(members) - len(wanted))


def _place(member: zipfile.ZipInfo) -> PurePosixPath:
    name = member.filename.replace("\\", "/")
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or re.search(r'[\x00-\x1f:*?"<>|]', name):
        raise _RefusedError(repr(member.filename), "the name leads out of the folder or is none")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise _RefusedError(member.filename, "the archive holds a link")
    if member.flag_bits & 1:
        raise _RefusedError(member.filename, "it is encrypted")
    return PurePosixPath(*[part for part in parts if part not in ("", ".")])


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write one file; how large it is, is what arrives, whatever the archive says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    allowed = max(_RATIO_FROM, _RATIO * member.compress_size)
    size = 0
    with opened.open(member) as source, target.open("xb") as file:
        while data := source.read(_CHUNK):
            size += len(data)
            if size > left or size > allowed:
                raise _RefusedError(member.filename, "unpacked, it is larger than is allowed")
            file.write(data)
    return size


def split_rows(path: str | os.PathLike[str], rows: int) -> int:
    """Divide a table into files of so many rows, each with the table's first line, in place of the table.

    Parameters
    ----------
    path : path
        The table: text, one row per line.
    rows : int
        Rows per file, at least 1.

    Returns
    -------
    int
        How many files there are now.

    Raises
    ------
    UnreadableFileError
        If it cannot be read or written.
    """
    source = Path(path)
    count = 0
    try:
        with source.open("rb") as table:
            header = table.readline()
            lines: list[bytes] = []
            for line in table:
                lines.append(line)
                if len(lines) == rows:
                    count += 1
                    _write_part(source, count, header, lines)
                    lines = []
            if lines:
                count += 1
                _write_part(source, count, header, lines)
        source.unlink()
    except OSError as error:
        raise UnreadableFileError(f"it cannot be divided ({error.strerror}).", file=str(source)) from None
    return count


def _write_part(source: Path, number: int, header: bytes, lines: Sequence[bytes]) -> None:
    source.with_name(f"{source.stem}-{number:04d}{source.suffix}").write_bytes(header + b"".join(lines))
