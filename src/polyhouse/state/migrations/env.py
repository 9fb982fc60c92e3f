"""Alembic's entry point: runs on the connection that the store has opened, inside its transaction."""

from __future__ import annotations

from alembic import context

from polyhouse.state.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
