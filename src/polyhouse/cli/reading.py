"""Asks a read command: in this process, or through the server that owns the embedded store."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from polyhouse.cli.base import Run, say


def ask(run: Run, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The document of a read command (``api.connection.Connection.ask``, with its errors)."""
    from polyhouse.api.connection import Connection

    with closing(Connection(run.settings, say)) as connection:
        return connection.ask(name, arguments)
