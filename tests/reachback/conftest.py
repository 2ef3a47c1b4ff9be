"""A server's database for tests, on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import shutil

import pytest

pytest.importorskip("sqlalchemy", reason="the server needs the extra [reachback]")
pytest.importorskip("alembic", reason="the server needs the extra [reachback]")

import sqlalchemy as sa

from spectralid.reachback.store import migrate
from spectralid.reachback.store.database import FILE, open_database
from tests.reachback import postgres
from tests.reachback.desk import Desk

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def pg():
    """A PostgreSQL of the session, with a database ``main`` that has the tables."""
    if reason := postgres.why_not():
        pytest.skip(reason)
    pytest.importorskip("psycopg", reason="the server needs the extra [reachback]")
    with postgres.cluster() as running:
        admin = sa.create_engine(
            running.url().replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
        )
        running.admin = admin
        create(running, "main")
        db = open_database(running.url("main"), running.folder / "server")
        migrate.upgrade(db)
        db.close()
        yield running
        admin.dispose()


def create(running, name):
    with running.admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE template0"))


# Much faster than a database for each test; as a replica, neither triggers nor foreign keys are asked.
_EMPTY = """
DO $$ DECLARE name text; BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
  LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
  -- A test may have worked with the rights of an administrator; the next one must find the guards in place.
  FOR name IN SELECT DISTINCT tgrelid::regclass FROM pg_trigger WHERE tgenabled = 'D' AND NOT tgisinternal
  LOOP EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', name); END LOOP;
END $$
"""


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    db = open_database(None, folder)
    migrate.upgrade(db)
    with db.read() as tx:
        tx.exec_driver_sql("PRAGMA journal_mode")
    db.close()
    return folder / FILE


def fresh(kind, folder, request):
    """A migrated, empty database of a kind."""
    if kind == "postgresql":
        opened = open_database(request.getfixturevalue("pg").url("main"), folder)
        with opened.begin() as tx:
            tx.execute(sa.text(_EMPTY))
        return opened
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(request.getfixturevalue("sqlite_template"), folder / FILE)
    return open_database(None, folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request):
    return request.param


@pytest.fixture
def db(kind, tmp_path, request):
    """A migrated, empty database, of both kinds in turn."""
    opened = fresh(kind, tmp_path / "server", request)
    yield opened
    opened.close()


@pytest.fixture
def empty(kind, tmp_path, request):
    """A database without tables."""
    if kind == "postgresql":
        running = request.getfixturevalue("pg")
        name = f"test_{next(_numbers)}"
        create(running, name)
        opened = open_database(running.url(name), tmp_path / "server")
    else:
        opened = open_database(None, tmp_path / "server")
    yield opened
    opened.close()


@pytest.fixture
def desk(db):
    """A server with two enrolled tablets and a clock that only tests move."""
    return Desk(db)


@pytest.fixture
def server(desk):
    """The server's application with clients of every role; see tests/reachback/http.py."""
    pytest.importorskip("fastapi", reason="the server needs the extra [reachback]")
    from tests.reachback.http import Server

    return Server(desk)


@pytest.fixture
def client_as(server):
    """A client with a role: ``client_as("chemist")``, ``client_as("chemist", sites=["north"])``."""
    return server.client
