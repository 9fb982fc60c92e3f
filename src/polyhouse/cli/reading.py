"""Asks a read command: in this process, or through the server that owns the embedded store."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any

from polyhouse.cli.base import Run, say

if TYPE_CHECKING:
    from polyhouse.api.connection import Connection


def asking(run: Run) -> AbstractContextManager[Connection]:
    """Somebody to ask several things of one installation."""
    from polyhouse.api.connection import Connection

    return closing(Connection(run.settings, say))


def ask(run: Run, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The document of a read command (``api.connection.Connection.ask``, with its errors)."""
    with asking(run) as connection:
        return connection.ask(name, arguments)
