"""PostgreSQL's notifications are lost, and the connection that hears them is killed: the poll finds it."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

pytest.importorskip("fastapi", reason="the server needs the extra [reachback]")

from spectralid.reachback.api import waiting as waiting_module


def listening(db):
    """The processes of the database that serve whoever listens."""
    with db.read() as tx:
        found = tx.execute(sa.text("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"))
        return set(found.scalars())


@pytest.mark.parametrize("kind", ["postgresql"])
def test_an_answer_is_found_when_the_listening_connection_was_cut(server, monkeypatch):
    desk, waiting = server.desk, server.here.waiting
    # As fast as the test wants it; by itself it is 5 s.
    monkeypatch.setattr(waiting_module, "_SLOWEST_POLL_S", 0.2)
    lease = desk.lease(desk.scan())

    async def story():
        async with server.app.router.lifespan_context(server.app):
            while not waiting.listening:
                await asyncio.sleep(0.01)
            cut = listening(desk.db)
            assert cut
            with desk.db.begin() as tx:
                for pid in cut:
                    tx.execute(sa.select(sa.func.pg_terminate_backend(pid)))
            while cut & listening(desk.db):
                await asyncio.sleep(0.01)
            first = asyncio.create_task(waiting.until_new("tablet-1", 20))
            await asyncio.to_thread(desk.decide, lease)
            assert await first, "the answer was not found"
            # And it listens again by itself.
            while not waiting.listening:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(story(), 30))


def test_no_poll_is_slower_than_five_seconds(server):
    waiting = waiting_module.Waiting(server.desk.db, 3600.0)
    assert waiting._poll_s <= 5
    assert waiting_module._SLOWEST_POLL_S <= 5
