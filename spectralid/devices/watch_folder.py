"""A watched folder: takes the spectrum files another program writes, each once, as they appear.

This is how FTIR benches come in (their makers publish no serial commands) and every handheld that exports
files. The folder is polled, so that a network share works as well as a disk; polls are counted, so that no
clock has to be right.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, Protocol, Self

from spectralid.devices.watch_ledger import Ledger
from spectralid.errors import DeviceError, FileError, ParameterError, SpectralIDError
from spectralid.spectrum import Spectrum

__all__ = ["LEDGER_NAME", "Notice", "NoticeKind", "Reader", "TakenFile", "WatchFolder"]

LEDGER_NAME: Final = ".spectralid-taken.jsonl"
"""Usual name of the ledger of a folder, in the folder itself."""

MAXIMUM_BYTES: Final = 128 * 1024 * 1024
# Names programs give to what they have not finished writing, and to what they keep beside an open document.
_UNFINISHED_ENDS: Final = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".lock")
_UNFINISHED_STARTS: Final = (".", "~")
# How long a sleep may last before it is looked whether somebody asked to stop.
_SLICE_S: Final = 0.2


class Reader(Protocol):
    """Reads the spectra of a file; `spectralid.read_all` is one."""

    def __call__(self, file: IO[bytes], *, name: str) -> Sequence[Spectrum]:
        """Spectra in `file`, at least one, or a `SpectralIDError` that calls the file `name`."""


class NoticeKind(StrEnum):
    """What a notice is about."""

    UNREADABLE = "unreadable"
    DUPLICATE = "duplicate"
    FOLDER_LOST = "folder lost"
    FOLDER_BACK = "folder back"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the operator should know; said once, not at every poll.

    Attributes
    ----------
    kind : NoticeKind
        What it is about.
    path : Path
        The file or folder.
    message : str
        One sentence that names it.
    """

    kind: NoticeKind
    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file that was complete and readable.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        The same as the ledger knows it: relative to the watched folder, with ``/``.
    sha256 : str
        Identity of its content (hex).
    size : int
        Bytes.
    spectra : tuple of Spectrum
        What it holds, at least one, flagged as coming from a file.
    """

    path: Path
    name: str
    sha256: str
    size: int
    spectra: tuple[Spectrum, ...]


_Signature = tuple[int, ...]


@dataclass(slots=True)
class _Seen:
    """What is known of a file that is in the folder.

    Attributes
    ----------
    signature : tuple of int
        Changes when the file does.
    quiet : int
        Polls in a row that found it unchanged.
    refused : bool
        Whether its present content was tried and could not be read.
    told : bool
        Whether that was reported.
    settled : bool
        Nothing is to be done until it changes.
    """

    signature: _Signature
    quiet: int = 0
    refused: bool = False
    told: bool = False
    settled: bool = False


@dataclass(slots=True)
class _Delivery:
    """A file whose spectra are being given out, and how many of them were acknowledged."""

    file: TakenFile
    acknowledged: int = 0


class WatchFolder:
    """The spectrum files that appear in a folder.

    A file is taken when two polls in a row found it unchanged and its reader could read it. A file that stays
    unreadable is reported once with the reader's sentence, left where it is, and tried again when it changes.
    What was taken is known by the SHA-256 of its content: a file copied or exported again under another name
    is not taken twice, and a file whose name is used again for another content is taken again.

    Nothing in the folder is changed, except for the ledger if it is kept there.

    Parameters
    ----------
    folder : path
        The folder.
    read : Reader
        Reads a file: ``spectralid.read_all``, or one with options filled in.
    ledger : path, optional
        File that remembers what was taken across restarts, see `LEDGER_NAME`. Without it, only this object
        remembers.
    poll_s : float, optional
        Seconds between polls, > 0. It is also how long a writer may pause in the middle of a file whose first
        half reads as a whole spectrum (a table of text); make it longer for slow programs.
    subfolders : bool, optional
        Also watch folders in it; links to folders are not followed.
    report_after : int, optional
        Polls for which an unreadable file must have been unchanged before it is reported, ≥ 1.
    maximum_bytes : int, optional
        Larger files are reported without being read.
    notify : callable, optional
        Gets each `Notice`.
    wait : callable, optional
        Waits so many seconds; for tests.

    Raises
    ------
    FileError
        If there is no such folder, or the ledger cannot be used.
    DeviceError
        If another program uses the same ledger.

    Notes
    -----
    A file counts as taken only after `ack`: what was given out before a crash and not acknowledged is given
    out again (at least once), with the same ``file_sha256``. Every content is read and hashed again at a
    start; while running, a change is seen in size, time of change and inode, so that a file rewritten in
    place with the same size within one tick of the file system's clock can be missed.

    A file cut off in the middle does not read, or reads with all its points, in the formats FTIR benches
    write (JCAMP-DX, OPUS, SPA, SPC, SP; tested on real files). A table of text may read as a shorter
    spectrum; when the rest comes, the file is given out again, flagged ``"file_rewritten"``.

    Examples
    --------
    >>> import spectralid
    >>> def follow(folder):
    ...     with WatchFolder(folder, spectralid.read_all, ledger=folder / LEDGER_NAME) as watch:
    ...         for path, spectrum in watch:
    ...             print(path.name, spectrum.technique)
    ...             watch.ack()
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        read: Reader,
        *,
        ledger: str | os.PathLike[str] | None = None,
        poll_s: float = 1.0,
        subfolders: bool = False,
        report_after: int = 5,
        maximum_bytes: int = MAXIMUM_BYTES,
        notify: Callable[[Notice], None] | None = None,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        if not poll_s > 0:
            raise ParameterError("poll_s", poll_s, "more than 0 seconds")
        if report_after < 1:
            raise ParameterError("report_after", report_after, "at least 1")
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileError("there is no such folder to watch.", file=str(folder))
        self.poll_s = poll_s
        self._read = read
        self._subfolders = subfolders
        self._report_after = report_after
        self._maximum_bytes = maximum_bytes
        self._notify = notify or _ignore
        self._wait = wait or self._sleep
        self._own = None if ledger is None else Path(ledger).resolve()
        self._ledger = Ledger(None if ledger is None else Path(ledger))
        self._seen: dict[str, _Seen] = {}
        # What was given out and is not acknowledged: content → name.
        self._given: dict[str, str] = {}
        self._lost: set[Path] = set()
        self._stopped = False
        self._current: _Delivery | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and give the ledger free."""
        self.stop()
        self._ledger.close()

    def stop(self) -> None:
        """End the iteration before its next spectrum; may be called from a signal handler or a thread."""
        self._stopped = True

    @property
    def unsettled(self) -> tuple[Path, ...]:
        """Files of the last poll that may yet become readable and were not reported: still being written."""
        return tuple(
            self.folder / name for name, seen in self._seen.items() if not (seen.settled or seen.told)
        )

    def __iter__(self) -> Iterator[tuple[Path, Spectrum]]:
        """Spectra as they come, until `stop`; acknowledge each with `ack`."""
        while not self._stopped:
            yield from self._one_poll()
            if not self._stopped:
                self._wait(self.poll_s)

    def present(self, *, at_most_polls: int = 60) -> Iterator[tuple[Path, Spectrum]]:
        """Spectra of the files that are there now, waiting for those still being written, but not for ever.

        Parameters
        ----------
        at_most_polls : int, optional
            Ends after so many polls, ≥ 2; `unsettled` tells what was still being written then.
        """
        for _ in range(at_most_polls):
            yield from self._one_poll()
            if self._stopped or not self.unsettled:
                return
            self._wait(self.poll_s)

    def _one_poll(self) -> Iterator[tuple[Path, Spectrum]]:
        for file in self.poll():
            delivery = _Delivery(file)
            for spectrum in file.spectra:
                if self._stopped:
                    return
                self._current = delivery
                yield file.path, spectrum

    def ack(self) -> None:
        """Acknowledge the spectrum given last; with the last of its spectra, a file is entered as taken.

        Raises
        ------
        DeviceError
            If there is nothing to acknowledge.
        FileError
            If the ledger cannot be written.
        """
        delivery, self._current = self._current, None
        if delivery is None:
            raise DeviceError("There is no spectrum to acknowledge; take one from the folder first.")
        delivery.acknowledged += 1
        if delivery.acknowledged == len(delivery.file.spectra):
            self.acknowledge(delivery.file)

    def acknowledge(self, file: TakenFile) -> None:
        """Enter a file got from `poll` as taken.

        Raises
        ------
        FileError
            If the ledger cannot be written.
        """
        self._ledger.add(file.sha256, file.name, file.size)
        self._given.pop(file.sha256, None)

    def pass_over_present(self) -> None:
        """Leave alone what is in the folder now, without entering it as taken, until it changes."""
        for name, signature in self._list():
            self._seen[name] = _Seen(signature, settled=True)

    def poll(self) -> Iterator[TakenFile]:
        """Look into the folder once: files that have become complete, in the order in which they appeared.

        They are read one at a time as the iterator is advanced. Files that appeared between the same two
        polls are ordered by their time of change, then by name.
        """
        self._look()
        for name, seen in list(self._seen.items()):
            if seen.settled or not seen.quiet:
                continue
            patient = seen.quiet < self._report_after
            # Content that could not be read is tried once more before it is reported, no more often.
            if seen.refused and patient:
                continue
            file = self._attempt(name, seen, patient=patient)
            if file is not None:
                yield file

    def _look(self) -> None:
        found = self._list()
        present = {name for name, _ in found}
        for name in [known for known in self._seen if known not in present]:
            del self._seen[name]
        for name, signature in found:
            seen = self._seen.get(name)
            if seen is not None and seen.signature == signature:
                seen.quiet += 1
            elif seen is not None and not seen.settled:
                # Still growing: it keeps its place.
                self._seen[name] = _Seen(signature)
            else:
                self._seen.pop(name, None)
                self._seen[name] = _Seen(signature)

    def _list(self) -> list[tuple[str, _Signature]]:
        """Regular files that may hold spectra, with their signatures, oldest first."""
        found: list[tuple[str, _Signature]] = []
        folders = [self.folder]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    listed = list(entries)
            except OSError as error:
                self._tell_lost(folder, error)
                continue
            self._tell_back(folder)
            for entry in listed:
                name = entry.name.lower()
                if name.startswith(_UNFINISHED_STARTS) or name.endswith(_UNFINISHED_ENDS):
                    continue
                try:
                    if self._subfolders and entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                        continue
                    signature = _signature(entry.path)
                except FileNotFoundError:
                    continue  # It went while we looked.
                except OSError:
                    # It is there, but nothing about it can be learned: what opening it says is reported.
                    signature = (0, 0)
                path = Path(entry.path)
                if signature and not self._is_ledger(path):
                    found.append((path.relative_to(self.folder).as_posix(), signature))
        # The second number is the time of change.
        return sorted(found, key=lambda item: (item[1][1], item[0]))

    def _is_ledger(self, path: Path) -> bool:
        return self._own is not None and path.name == self._own.name and path.resolve() == self._own

    def _attempt(self, name: str, seen: _Seen, *, patient: bool) -> TakenFile | None:
        """The file if it can be read now."""
        path, size = self.folder / name, seen.signature[0]
        if size > self._maximum_bytes:
            most = self._maximum_bytes / 2**20
            reason = f"it is {size / 2**20:.0f} MB, more than the {most:.0f} MB a spectrum file may have."
            self._refuse(path, seen, f"{path}: {reason}")
            seen.settled = True
            return None
        try:
            data = _content(path, size)
            now = _signature(path)
        except FileNotFoundError:
            del self._seen[name]
            return None
        except OSError as error:
            # Locked by its writer, or not ours to read: no change of the file announces that this is over.
            if not patient:
                self._refuse(path, seen, f"{path}: it cannot be opened ({error.strerror}).")
            return None
        if now != seen.signature:
            self._seen[name] = _Seen(now)
            return None
        if len(data) != size:
            # A share whose attributes lag behind its contents, or the other way round.
            if not patient:
                self._refuse(path, seen, f"{path}: it does not have the size it is listed with; waiting.")
            return None
        sha256 = hashlib.sha256(data).hexdigest()
        if self._was_taken(sha256, name, path):
            seen.settled = True
            return None
        try:
            spectra = self._spectra(data, path)
        except ParameterError:
            raise  # A wrong option is wrong for every file.
        except SpectralIDError as error:
            seen.refused = True
            if not patient:
                self._refuse(path, seen, str(error))
                seen.settled = True
            return None
        flags = {"from_file"}
        if self._ledger.has_name(name) or name in self._given.values():
            flags.add("file_rewritten")
        seen.settled = True
        self._given[sha256] = name
        taken = tuple(_flagged(spectrum, flags, name, sha256) for spectrum in spectra)
        return TakenFile(path, name, sha256, size, taken)

    def _was_taken(self, sha256: str, name: str, path: Path) -> bool:
        """Whether a content was given out before; tells if it was under another name."""
        if sha256 in self._ledger:
            first = self._ledger.name(sha256)
        elif sha256 in self._given:
            first = self._given[sha256]
        else:
            return False
        if first != name:
            message = f"{path}: the same content was taken before as {first}; it is not taken again."
            self._notify(Notice(NoticeKind.DUPLICATE, path, message))
        return True

    def _spectra(self, data: bytes, path: Path) -> Sequence[Spectrum]:
        try:
            return self._read(io.BytesIO(data), name=str(path))
        except SpectralIDError:
            raise
        except Exception as error:
            # One odd file must not end a watch that others rely on.
            raise FileError(
                f"its reader failed ({type(error).__name__}: {error}); keep the file and report it.",
                file=str(path),
            ) from error

    def _refuse(self, path: Path, seen: _Seen, message: str) -> None:
        if not seen.told:
            seen.told = True
            self._notify(Notice(NoticeKind.UNREADABLE, path, message))

    def _tell_lost(self, folder: Path, error: OSError) -> None:
        if folder not in self._lost:
            self._lost.add(folder)
            reason = f"the folder cannot be listed ({error.strerror}); waiting for it to come back."
            self._notify(Notice(NoticeKind.FOLDER_LOST, folder, f"{folder}: {reason}"))

    def _tell_back(self, folder: Path) -> None:
        if folder in self._lost:
            self._lost.remove(folder)
            self._notify(Notice(NoticeKind.FOLDER_BACK, folder, f"{folder}: the folder is back."))

    def _sleep(self, seconds: float) -> None:
        left = seconds
        while left > 0 and not self._stopped:
            time.sleep(min(left, _SLICE_S))
            left -= _SLICE_S


def _ignore(_: Notice) -> None:
    """Nobody wants to be told."""


def _signature(path: str | Path) -> _Signature:
    """What changes when a file changes: size, time of change, inode; empty for what is no regular file."""
    facts = os.stat(path)
    if not stat.S_ISREG(facts.st_mode):
        return ()
    # A copy that keeps the old time of its source still gets another inode or inode time. Windows means the
    # time of creation by it, which may differ from one call to the next.
    inode = (facts.st_ino, facts.st_ctime_ns) if os.name == "posix" else ()
    return (facts.st_size, facts.st_mtime_ns, *inode)


def _content(path: Path, size: int) -> bytes:
    """Up to one byte more than `size`: enough to see that it has grown."""
    # Without waiting: a pipe put in the file's place would never open.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as stream:
        return stream.read(size + 1)


def _flagged(spectrum: Spectrum, flags: set[str], name: str, sha256: str) -> Spectrum:
    facts = spectrum.acquisition
    technique = {"ftir"} if spectrum.technique.is_infrared else set()
    acquisition = replace(
        facts,
        flags=facts.flags | flags | technique,
        metadata={**facts.metadata, "file_name": name, "file_sha256": sha256},
    )
    return spectrum.replace(acquisition=acquisition, source=spectrum.source or name)
