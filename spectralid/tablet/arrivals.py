"""Spectra that other programs save into a watched folder, until the officer says which item they are of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import ParameterError, SpectralIDError

if TYPE_CHECKING:
    from spectralid.devices.watch_folder import Notice, TakenFile

__all__ = ["Arrivals"]

_POLL_S: Final = 0.5


class Arrivals:
    """Files of a watched folder that wait for an item; a thread looks for new ones.

    Parameters
    ----------
    folder : Path
        The folder; nothing in it is changed.
    ledger : Path
        Remembers across restarts which files were assigned. One that was not is offered again.
    publish : callable
        Told events: name and data.
    """

    def __init__(self, folder: Path, ledger: Path, publish: Callable[[str, Mapping[str, Any]], None]) -> None:
        from spectralid.devices.watch_folder import WatchFolder
        from spectralid.io import read_all

        self.folder = folder
        self._publish = publish
        self._watch = WatchFolder(folder, read_all, ledger=ledger, notify=self._notice)
        self._lock = threading.Lock()
        self._waiting: dict[str, TakenFile] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="arrivals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()
        self._watch.close()

    def waiting(self) -> list[dict[str, Any]]:
        """Files that wait, oldest first."""
        with self._lock:
            files = list(self._waiting.values())
        return [
            {
                "file": file.name,
                "technique": file.spectra[0].technique.value,
                "utc": file.spectra[0].acquisition.time,
                "spectra": len(file.spectra),
            }
            for file in files
        ]

    def file(self, name: str) -> TakenFile:
        """A file that waits.

        Raises
        ------
        ParameterError
            If none of that name does.
        """
        with self._lock:
            if name not in self._waiting:
                raise ParameterError("file", name, "one that has arrived and was not assigned yet")
            return self._waiting[name]

    def assigned(self, name: str) -> None:
        """Enter a file as taken, after its spectra were recorded."""
        with self._lock:
            file = self._waiting.pop(name)
            self._watch.acknowledge(file)

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                for file in self._watch.poll():
                    with self._lock:
                        self._waiting[file.name] = file
                    self._publish("arrived", {"file": file.name})
            except (SpectralIDError, OSError) as error:
                self._tell(str(error))
            self._stop.wait(_POLL_S)

    def _notice(self, notice: Notice) -> None:
        self._tell(notice.message)

    def _tell(self, sentence: str) -> None:
        told = {"scan_id": None, "sentence": sentence, "code": "", "retake": False}
        self._publish("failed", told)
