"""kill -9 of PostgreSQL, one process of it or the whole: 503 meanwhile, back in seconds, nothing lost."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
import sqlalchemy as sa

from spectralid.reachback.errors import UnavailableError
from spectralid.reachback.store import audit, migrate, tables
from spectralid.reachback.store.database import open_database
from spectralid.reachback.tablets import ingest
from tests.reachback import postgres
from tests.reachback.desk import Desk

RECOVERY_S = 30.0
BACKENDS, POSTMASTERS = 12, 2


@pytest.fixture
def running():
    if reason := postgres.why_not():
        pytest.skip(reason)
    pytest.importorskip("psycopg", reason="the server needs the extra [reachback]")
    with postgres.cluster(durable=True) as made:
        yield made


@pytest.fixture
def desk(running, tmp_path):
    db = open_database(running.url(), tmp_path / "server")
    migrate.upgrade(db)
    yield Desk(db)
    db.close()


class Killer:
    """Kills the process that serves a connection, at the so-manieth thing that is asked of it."""

    def __init__(self, db):
        self.left = 0
        sa.event.listen(db.engine, "before_cursor_execute", self.statement)
        sa.event.listen(db.engine, "after_cursor_execute", self.statement)
        sa.event.listen(db.engine, "commit", self.tick)

    def statement(self, connection, *_):
        self.tick(connection)

    def tick(self, connection):
        self.left -= 1
        if self.left == 0:
            os.kill(connection.connection.dbapi_connection.info.backend_pid, signal.SIGKILL)


def insist(desk, raw):
    """As a tablet does, the same again until there is a receipt: how long that took, and what was refused."""
    begun, refusals = time.monotonic(), []
    while time.monotonic() - begun < RECOVERY_S:
        try:
            return desk.ingest(raw), time.monotonic() - begun, refusals
        except UnavailableError as error:
            refusals.append(error.status)
            time.sleep(0.01)
    raise AssertionError(f"no receipt within {RECOVERY_S} s")


def nothing_lost(desk, given):
    """Every receipt that was given is the one on record; one case; the log holds for who witnessed it."""
    with desk.db.read() as tx:
        packets = dict(tx.execute(sa.select(tables.packets.c.raw, tables.packets.c.receipt)).all())
        assert tx.execute(sa.select(sa.func.count()).select_from(tables.cases)).scalar() == 1
        taken = sa.select(sa.func.count()).where(tables.audit.c.action == "packet")
        assert tx.execute(taken).scalar() == len(given)
    assert packets == {raw: done.receipt for raw, done in given.items()}
    assert ingest.gaps_of(desk.db) == ()
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()


def test_processes_of_the_database_killed_at_any_statement(desk):
    chance, killer, given, longest = random.Random(3), Killer(desk.db), {}, 0.0
    broken = 0
    for _ in range(BACKENDS):
        raw = desk.tablet.scan()
        # Packets until the kill comes, some statements later.
        killer.left = chance.randrange(1, 40)
        while killer.left > 0:
            given[raw], took, refusals = insist(desk, raw)
            longest = max(longest, took)
            broken += bool(refusals)
            assert set(refusals) <= {503}
            raw = desk.tablet.scan()
        given[raw], *_ = insist(desk, raw)
    assert broken >= BACKENDS // 2
    nothing_lost(desk, given)


def test_the_whole_database_killed_and_started_again(desk, running):
    given = {}
    for _ in range(POSTMASTERS):
        for _ in range(3):
            raw = desk.tablet.scan()
            given[raw] = desk.ingest(raw)
        os.kill(running.pid, signal.SIGKILL)
        held = until_refused(desk, given)
        begun = time.monotonic()
        start_again(running)
        given[held], *_ = insist(desk, held)
        assert time.monotonic() - begun < RECOVERY_S
        nothing_lost(desk, given)


def until_refused(desk, given):
    """The first packet without a receipt: those who serve a connection may outlive their parent a moment."""
    until = time.monotonic() + RECOVERY_S
    while time.monotonic() < until:
        raw = desk.tablet.scan()
        try:
            given[raw] = desk.ingest(raw)
        except UnavailableError:
            return raw
    raise AssertionError("the database goes on without its postmaster")


def start_again(running):
    """As systemd does: until the processes that outlived their parent have gone."""
    until = time.monotonic() + RECOVERY_S
    while True:
        try:
            return running.start()
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
