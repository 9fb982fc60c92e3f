"""Is an embedded store whole? The engine itself goes on without what it cannot read, and would answer with too little.

A part of a table that it finds broken when it starts is set aside. After a power cut that may be the result of a merge,
whose sources are still there and are used instead. A part with nothing in its place was acknowledged once: files are
synced before a part gets its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from polyhouse.errors import StoreDamagedError
from polyhouse.ports import QueryResult

DAMAGED = frozenset({32, 33, 40, 117, 226, 246, 271, 740})
"""Codes of the engine for data that is not what was written: cut off, checksum, missing files, corrupted, broken."""
_DAMAGED_WORDS = ("Cannot parse definition from metadata file", "Cannot parse metadata", "data part is broken")
_HINT = (
    "Put a backup back: polyhouse restore DIR --force. Without one move the folder and the state store away:"
    " `polyhouse run` then reads everything again."
)
_SHOWN = 3


class Asked(Protocol):
    """A store that answers questions."""

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> QueryResult:
        """Run one SELECT."""
        ...


def is_damage(code: int, text: str) -> bool:
    """Whether an error of the engine says that stored data is damaged."""
    return code in DAMAGED or any(words in text for words in _DAMAGED_WORDS)


def damaged(where: str, what: str) -> StoreDamagedError:
    """The product's error."""
    return StoreDamagedError(f"The warehouse {where} is damaged: {what}", hint=_HINT)


def refuse_headless(path: Path) -> None:
    """The engine takes a folder without its list of tables for a new one, whatever else is in it.

    Raises:
        StoreDamagedError: there are tables' data, and nothing says whose.
    """
    has_data = any((path / "store").glob("*/*/*/checksums.txt"))
    if has_data and not (path / "metadata" / "default").exists():
        raise damaged(str(path), "metadata/default is missing, the list of its tables.")


def refuse_losses(store: Asked, path: Path) -> None:
    """Hold the parts that the engine set aside against those that it uses.

    Raises:
        StoreDamagedError: rows of a table are not there.
    """
    lost = store.query(
        """
        SELECT table, groupArray(name) FROM
        (
            SELECT d.table AS table, d.name AS name, any(d.max_block_number - d.min_block_number + 1) AS blocks,
                sum(greatest(0, least(a.max_block_number, d.max_block_number)
                    - greatest(a.min_block_number, d.min_block_number) + 1)) AS present
            FROM
            (
                SELECT table, name, partition_id, min_block_number, max_block_number FROM system.detached_parts
                WHERE database = currentDatabase() AND startsWith(reason, 'broken')
            ) AS d
            LEFT JOIN
            (
                SELECT table, partition_id, min_block_number, max_block_number FROM system.parts
                WHERE database = currentDatabase() AND active
            ) AS a ON a.table = d.table AND a.partition_id = d.partition_id
            GROUP BY table, name
        )
        WHERE present < blocks GROUP BY table ORDER BY table
        """
    ).rows
    if lost:
        told = "; ".join(f"{table}: {', '.join(map(str, names[:_SHOWN]))}" for table, names in lost)
        raise damaged(str(path), f"parts of its tables cannot be read and were set aside ({told}).")
