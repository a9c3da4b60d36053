"""Alembic's entry: runs on the connection, and inside the transaction, that `archive.migrate` hands over."""

from alembic import context

from groundstation.archive.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
