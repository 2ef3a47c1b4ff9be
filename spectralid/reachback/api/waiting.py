"""Tablets that wait for answers, without a thread each.

One query for all of them, every second (5 s at most), tells which have something new. On PostgreSQL a
notification wakes it sooner; a lost one costs nothing but the time until the next query.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from spectralid.reachback.errors import ReachbackError
from spectralid.reachback.store.tables import devices, notices

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database

__all__ = ["CHANNEL", "Waiting"]

CHANNEL: Final = "spectralid_answers"
"""Of the notifications; a trigger of the database sends them, see the migration ``accounts``."""

_log = logging.getLogger("spectralid.reachback")

_SLOWEST_POLL_S: Final = 5.0
_ONE_QUERY: Final = 500


class Waiting:
    """Who waits, and what wakes them.

    Parameters
    ----------
    db : Database
        The server's.
    poll_s : float
        How often it is asked whether there is something new.
    """

    def __init__(self, db: Database, poll_s: float) -> None:
        self._db = db
        self._poll_s = min(poll_s, _SLOWEST_POLL_S)
        self._waiting: dict[str, set[asyncio.Event]] = {}
        # What the last look found of each device. Whoever begins to wait has asked for answers before: had
        # there been one since that look, the next one finds another mark.
        self._marked: dict[str, tuple[int, int]] = {}
        self._nudge: asyncio.Event | None = None
        self._over = False
        self.listening = False

    async def until_new(self, device_id: str, timeout_s: float) -> bool:
        """Wait until there may be something new for a device; false if the time is up, or the server stops.

        Parameters
        ----------
        device_id : str
            Which.
        timeout_s : float
            How long at most.
        """
        if self._over or timeout_s <= 0:
            return False
        event = asyncio.Event()
        events = self._waiting.setdefault(device_id, set())
        events.add(event)
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        finally:
            events.discard(event)
            if not events:
                self._waiting.pop(device_id, None)
        return not self._over

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for news as long as the block lasts."""
        self._nudge, self._over = asyncio.Event(), False
        tasks = [asyncio.create_task(self._poll())]
        if self._db.dialect == "postgresql":
            tasks.append(asyncio.create_task(self._listen()))
        try:
            yield
        finally:
            self.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Send everybody home: the server stops."""
        self._over = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def _poll(self) -> None:
        assert self._nudge is not None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SLOWEST_POLL_S if self.listening else self._poll_s):
                    await self._nudge.wait()
            self._nudge.clear()
            if self._waiting:
                try:
                    self._wake(await run_in_threadpool(self._marks, list(self._waiting)))
                except ReachbackError as error:
                    _log.warning("It cannot be asked for answers: %s", error)

    def _marks(self, names: list[str]) -> dict[str, tuple[int, int]]:
        """How many answers and notices there have been for each device."""
        found: dict[str, tuple[int, int]] = {}
        with self._db.read() as tx:
            for start in range(0, len(names), _ONE_QUERY):
                some = names[start : start + _ONE_QUERY]
                counted = (
                    sa.select(sa.func.count())
                    .where(notices.c.device_id == devices.c.device_id)
                    .scalar_subquery()
                )
                rows = tx.execute(
                    sa.select(devices.c.device_id, devices.c.answer_n, counted).where(
                        devices.c.device_id.in_(some)
                    )
                )
                found |= {name: (answer_n, notice_n) for name, answer_n, notice_n in rows}
        return found

    def _wake(self, marks: dict[str, tuple[int, int]]) -> None:
        for name, mark in marks.items():
            if self._marked.get(name) != mark:
                self._marked[name] = mark
                for event in self._waiting.get(name, ()):
                    event.set()

    async def _listen(self) -> None:
        """Let notifications of PostgreSQL nudge the poll; begins again when the connection is lost."""
        import psycopg

        assert self._nudge is not None
        address = self._db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(address, autocommit=True)
                async with connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self.listening = True
                    self._nudge.set()
                    async for _ in connection.notifies():
                        self._nudge.set()
            except psycopg.Error as error:
                _log.warning("PostgreSQL's notifications cannot be heard: %s", str(error).strip()[:200])
            finally:
                self.listening = False
            await asyncio.sleep(_SLOWEST_POLL_S)
