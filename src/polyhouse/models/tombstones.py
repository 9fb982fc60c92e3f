"""Rows that say of a key that it is gone."""

from __future__ import annotations


def tombstones(table: str, key: str, condition: str, version: int) -> tuple[str, str]:
    """The statement that buries rows of older builds, in two parts: what is written, and of which rows.

    Args:
        table: where.
        key: columns by which its rows are unique.
        condition: on ``wallet``: those that were built.
        version: of the build; rows of a key that has it were written again.
    """
    return (
        f"INSERT INTO {table} ({key}, version, is_deleted) SELECT {key}, {version}, 1",
        f"FROM {table} FINAL WHERE {condition} AND version < {version}",
    )
