import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from spectralid.reachback.errors import ReachbackError, SchemaTooNewError, StorageFullError, UnavailableError
from spectralid.reachback.store import audit, migrate, tables
from spectralid.reachback.store.database import open_database
from tests.reachback.desk import START


def core(name, kind):
    """Whether a table is one of those made by the first migration."""
    return kind != "table" or name in CORE


CORE = {
    name for name, value in vars(tables).items() if isinstance(value, sa.Table) and value.name == name
}  # fmt: skip


def test_the_migrations_make_the_tables_that_the_code_uses(empty):
    assert migrate.revisions(empty) == ()
    assert migrate.upgrade(empty) is True
    assert migrate.upgrade(empty) is False
    with empty.read() as tx:
        options = {"include_object": lambda _o, name, kind, _r, _c: core(name, kind)}
        assert compare_metadata(MigrationContext.configure(tx, opts=options), tables.metadata) == []
    assert len(CORE) > 15


def test_a_newer_database_is_refused_and_left_alone(empty):
    db = empty
    migrate.upgrade(db)
    with db.begin() as tx:
        tx.exec_driver_sql("INSERT INTO alembic_version VALUES ('from the future')")
    before = migrate.revisions(db)
    with pytest.raises(SchemaTooNewError):
        migrate.upgrade(db)
    assert migrate.revisions(db) == before


def test_an_older_database_is_migrated_with_what_it_holds(empty, monkeypatch):
    known = migrate._alembic

    def older():
        config, script = known()
        monkeypatch.setattr(script, "get_heads", lambda: ["0001", "later"])
        return config, script

    migrate.upgrade(empty)
    with empty.begin() as tx:
        audit.append(tx, "ada", "test", "x", {}, now=START)
    monkeypatch.setattr(migrate, "_alembic", older)
    assert migrate.upgrade(empty) is True
    with empty.read() as tx:
        assert audit.head(tx).n == 1
    copies = list(empty.folder.glob("reachback.*.db"))
    assert len(copies) == (empty.dialect == "sqlite")
    for path in copies:
        copy = open_database(f"sqlite:///{path}", empty.folder)
        with copy.read() as tx:
            assert audit.head(tx).n == 1
        copy.close()


def test_one_writes_at_a_time_and_nothing_is_lost(db):
    def work():
        for _ in range(5):
            with db.begin() as tx:
                audit.append(tx, "ada", "test", "x", {}, now=START)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as tx:
        assert audit.head(tx).n == 20
    assert audit.verify(db) == ()


def test_readers_do_not_wait_for_the_writer(db):
    with db.begin() as tx:
        audit.append(tx, "ada", "test", "x", {}, now=START)
        with db.read() as other:
            assert audit.head(other).n == 0


def test_sqlite_keeps_what_it_has_acknowledged(tmp_path):
    db = open_database(None, tmp_path)
    with db.read() as tx:
        found = [tx.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    db.close()
    assert found == ["wal", 2]


def test_what_the_database_says_becomes_what_the_server_says(db):
    def failing(words):
        with db.begin():
            raise sa.exc.OperationalError("statement", {}, Exception(words))

    with pytest.raises(StorageFullError):
        failing("database or disk is full")
    with pytest.raises(UnavailableError):
        failing("server closed the connection unexpectedly")


def test_a_database_that_is_not_there(tmp_path):
    db = open_database(f"postgresql://nobody@/none?host={tmp_path}", tmp_path)
    with pytest.raises(UnavailableError), db.begin():
        pass
    db.close()
    for address in ("mysql://x/y", "not an address"):
        with pytest.raises(ReachbackError):
            open_database(address, tmp_path)
