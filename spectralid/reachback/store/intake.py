"""Group commit: whoever waits for the writer goes with the next transaction, not each with one of his own.

What a commit costs (the disk says that it has it) is the same for one packet and for fifty. So the first who
comes leads: the leader takes along everybody who waits, and while the disk is waited for the next group
gathers. Nobody is told anything before the commit, and nobody waits when there is nobody else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from spectralid.reachback.errors import UnavailableError

__all__ = ["Line", "Waiting"]

_MOST: Final = 50
"""Of one group: chemists wait for the writer too."""
_MOST_BYTES: Final = 16 * 1024 * 1024

T = TypeVar("T")


class Waiting(Generic[T]):
    """A piece of work in the line, and what became of it.

    Parameters
    ----------
    size : int
        Its bytes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.done = False
        self._outcome: T | None = None
        self._error: BaseException | None = None

    def end(self, outcome: T) -> None:
        """It is done, and committed."""
        self._outcome, self.done = outcome, True

    def fail(self, error: BaseException) -> None:
        """It is not done, and nothing of it is stored."""
        self._error, self.done = error, True

    def outcome(self) -> T:
        """What became of it.

        Raises
        ------
        BaseException
            Why nothing became of it.
        """
        if self._error is not None:
            raise self._error
        return self._outcome  # type: ignore[return-value]


W = TypeVar("W", bound=Waiting)  # type: ignore[type-arg]


class Line(Generic[W]):
    """Who waits for the writer, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[W] = deque()
        self._changed = threading.Condition()
        self._led = False

    def bring(self, work: W, lead: Callable[[Sequence[W]], None]) -> None:
        """Wait until `work` is done: by another thread that leads, or by this one.

        Parameters
        ----------
        work : Waiting
            What is to be done.
        lead : callable
            Does a group, and calls `Waiting.end` or `Waiting.fail` of each. All threads bring one that does
            the same, for who leads does the work of all.
        """
        with self._changed:
            self._waiting.append(work)
        while not work.done:
            if group := self._turn(work):
                try:
                    lead(group)
                finally:
                    self._over(group)

    def _turn(self, work: W) -> list[W]:
        """Wait for the lead: a group to do, or nothing if another thread has done the work meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: work.done or not self._led)
            if work.done:
                return []
            self._led = True
            return self._next()

    def _over(self, group: Sequence[W]) -> None:
        with self._changed:
            for one in group:
                if not one.done:
                    one.fail(UnavailableError("It was broken off; try again later."))
            self._led = False
            self._changed.notify_all()

    def _next(self) -> list[W]:
        group = [self._waiting.popleft()]
        size = group[0].size
        while self._waiting and len(group) < _MOST and size + self._waiting[0].size <= _MOST_BYTES:
            group.append(self._waiting.popleft())
            size += group[-1].size
        return group
