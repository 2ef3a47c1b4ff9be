"""The engine behind the console: a few threads, a bounded queue before them, and the benches used last.

Requests wait here and not in the server's own threads' way: what does not fit into the queue is told to come
back, so that tablets are answered however many chemists move sliders.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLongError
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from spectralid.reachback.bench.material import case_material
from spectralid.reachback.bench.workbench import Workbench
from spectralid.reachback.errors import UnavailableError

if TYPE_CHECKING:
    from spectralid.identify.engine import Identifier
    from spectralid.reachback.store.database import Database

__all__ = ["EngineRoom"]

T = TypeVar("T")

_LONGEST_S: Final = 60.0


class EngineRoom:
    """Where the console's questions to the engine are answered.

    Parameters
    ----------
    library : callable
        Where the library in force lies; asked each time, opened again when it is another file.
    threads : int
        How many questions are worked on at a time.
    waiting : int
        How many more may wait.
    kept : int
        How many cases stay on the bench.
    """

    def __init__(
        self, library: Callable[[], Path], *, threads: int = 2, waiting: int = 12, kept: int = 16
    ) -> None:
        self._library = library
        self._identifier: Identifier | None = None
        self._state: tuple[str, int, int] | None = None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self._room = threading.BoundedSemaphore(threads + waiting)
        self._kept = kept
        self._benches: OrderedDict[tuple[str, int, str], Workbench] = OrderedDict()
        self._lock = threading.Lock()
        self._opening = threading.Lock()

    @property
    def identifier(self) -> Identifier:
        """The engine with its library."""
        from spectralid.identify.engine import Identifier
        from spectralid.library import open_library

        path = self._library()
        facts = path.stat()
        state = (str(path), facts.st_mtime_ns, facts.st_size)
        with self._opening:
            if self._identifier is None or self._state != state:
                self._identifier, self._state = Identifier(open_library(path)), state
            return self._identifier

    def ask(self, question: Callable[[], T]) -> T:
        """Have something worked out.

        Raises
        ------
        UnavailableError
            If too many questions wait, or this one takes too long.
        """
        if not self._room.acquire(blocking=False):
            raise UnavailableError("Too many fits are being worked on; try again in a moment.")
        try:
            future: Future[T] = self._pool.submit(question)
        except RuntimeError:
            self._room.release()
            raise UnavailableError("The server is going down.") from None
        future.add_done_callback(lambda _: self._room.release())
        try:
            return future.result(_LONGEST_S)
        except TooLongError:
            future.cancel()
            raise UnavailableError("The fit takes too long; ask for fewer components.") from None

    def bench(self, db: Database, case_id: str, evidence: int) -> Workbench:
        """A case on the bench; what came in since makes a new one.

        Parameters
        ----------
        db : Database
            The server's.
        case_id : str
            Which case.
        evidence : int
            How much of it there is (`queue.Entry.evidence`).
        """
        identifier = self.identifier
        key = (case_id, evidence, identifier.library.sha256)
        with self._lock:
            if key in self._benches:
                self._benches.move_to_end(key)
                return self._benches[key]
        made = Workbench.open(case_material(db, case_id), identifier)
        with self._lock:
            # Somebody else may have made it meanwhile; there is one, so that what is fitted is fitted once.
            bench = self._benches.setdefault(key, made)
            self._benches.move_to_end(key)
            while len(self._benches) > self._kept:
                self._benches.popitem(last=False)
        return bench

    def close(self) -> None:
        """Take no more questions."""
        self._pool.shutdown(wait=False, cancel_futures=True)
