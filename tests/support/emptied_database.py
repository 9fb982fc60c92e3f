"""A database of a test's warehouse server as it was before anything was read: a schema costs more than many tests."""

from __future__ import annotations

from collections.abc import Collection

from polyhouse.warehouse import open_warehouse


def empty(url: str, kept: Collection[str] = ("schema_migrations",)) -> None:
    """Take all rows out of a database, and what builds left beside its tables.

    Args:
        url: of the database; nobody works in it.
        kept: tables that keep their rows.
    """
    with open_warehouse(url) as warehouse:
        names = warehouse.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
            " AND (engine LIKE '%MergeTree' OR engine = 'Memory')"
        ).rows
        for (name,) in names:
            if name not in kept:
                is_beside = name.endswith(("__next", "__previous"))
                warehouse.command(f"{'DROP' if is_beside else 'TRUNCATE'} TABLE {name}")
