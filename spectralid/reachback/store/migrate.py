"""From an empty or older database to the tables of this version; a newer one is refused.

Each room with tables of its own adds a file to ``migrations/versions``; several heads are allowed, so that
rooms do not wait for each other. All of it is one transaction, on both databases. An older SQLite database is
copied first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import MissingDependencyError
from spectralid.reachback.errors import SchemaTooNewError, StorageFullError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = ["append_only", "revisions", "upgrade"]

_FOLDER: Final = Path(__file__).parent / "migrations"

_PG_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION spectralid_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$
"""


def upgrade(db: Database) -> bool:
    """Bring a database to this version.

    Parameters
    ----------
    db : Database
        The server's.

    Returns
    -------
    bool
        Whether there was anything to do.

    Raises
    ------
    SchemaTooNewError
        If it was made by a newer version.
    StorageFullError
        If an older SQLite database cannot be copied first.
    """
    before = revisions(db)
    config, script = _alembic()
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := set(before) - known:
        raise SchemaTooNewError(
            f"The database was made by a newer version of spectralid (revision {min(unknown)}); install that "
            "version, or restore a backup from before the update."
        )
    if set(before) == set(script.get_heads()):
        return False
    if before and db.dialect == "sqlite":
        _copy(db, "-".join(sorted(before)))
    with db.begin() as tx:
        config.attributes["connection"] = tx
        from alembic import command

        command.upgrade(config, "heads")
    return True


def revisions(db: Database) -> tuple[str, ...]:
    """What the database is at; nothing if it is empty."""
    from alembic.runtime.migration import MigrationContext

    with db.read() as tx:
        return tuple(MigrationContext.configure(tx).get_current_heads())


def append_only(op: Any, *tables: str) -> None:
    """For migrations: let triggers refuse whatever changes or removes rows of these tables.

    Parameters
    ----------
    op : module
        ``alembic.op``.
    *tables : str
        Their names.
    """
    connection: Connection = op.get_bind()
    for table in tables:
        for statement in _triggers(table, connection.dialect.name):
            connection.exec_driver_sql(statement)


def _triggers(table: str, dialect: str) -> list[str]:
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for event in ("UPDATE", "DELETE")
        ]
    return [
        _PG_FUNCTION,
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION spectralid_append_only()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION spectralid_append_only()",
    ]


def _alembic() -> tuple[Any, Any]:
    try:
        from alembic.config import Config
        from alembic.script import ScriptDirectory
    except ImportError:
        raise MissingDependencyError("alembic", extra="reachback", purpose="to set up the database") from None
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config, ScriptDirectory.from_config(config)


def _copy(db: Database, revision: str) -> None:
    file = db.engine.url.database
    target = Path(str(file)).with_suffix(f".{revision}.db")
    if target.exists():
        return
    connection = db.engine.raw_connection()
    try:
        connection.cursor().execute("VACUUM INTO ?", (str(target),))
    except Exception as error:
        target.unlink(missing_ok=True)
        raise StorageFullError(
            f"The database cannot be copied to {target} before its update ({error}); make room."
        ) from error
    finally:
        connection.close()
