"""How Alembic gets at the database: the connection and its transaction are the caller's."""

from alembic import context

from spectralid.reachback.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
