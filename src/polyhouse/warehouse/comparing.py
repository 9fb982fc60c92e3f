"""What a batch would change in a table: rows that are new, rows that say something else, rows that are there already.

The batch goes into a temporary table of the same columns, so that the engine itself computes the keys; the stored rows
are looked up by the beginning of the primary key.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from polyhouse.ports import Comparison
from polyhouse.tables import Table
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.location import Embedded

if TYPE_CHECKING:
    import pyarrow as pa

_STAGING = "compared_batch"
_BOOKKEEPING = frozenset({"run", "version", "seen_at", "written_at"})
_LOOKUP_COLUMNS = 3


def compare(engine: Engine, table: Table, batch: pa.Table) -> Comparison:
    """Hold ``batch`` (columns of ``table`` without ``version``) against what is stored; changes nothing.

    Raises:
        WarehouseUnavailableError: the engine does not answer.
    """
    # A server keeps a temporary table by session; an embedded connection is one.
    settings: dict[str, Any] = {} if isinstance(engine.location, Embedded) else {"session_id": uuid.uuid4().hex}
    with engine.borrow() as client:
        client.command(f"CREATE TEMPORARY TABLE {_STAGING} ENGINE = Memory AS {table.name}", settings=settings)
        try:
            client.insert_arrow(_STAGING, batch.combine_chunks(), settings=settings)
            result = client.query(_statement(table), settings=settings)
        finally:
            client.command(f"DROP TEMPORARY TABLE IF EXISTS {_STAGING}", settings=settings)
    rows, found, same = (int(value) for value in result.result_rows[0])
    return Comparison(rows - found, found - same, same)


def _statement(table: Table) -> str:
    key = ", ".join(table.key)
    content = [name for name in table.columns if name not in {*table.key, *_BOOKKEEPING}]
    digest = f"cityHash64({', '.join(content)})" if content else "toUInt64(0)"
    lookup = ", ".join(table.key[:_LOOKUP_COLUMNS])
    return f"""
        SELECT count(), countIf(o.is_stored = 1), countIf(o.is_stored = 1 AND o.digest = n.digest)
        FROM (SELECT {key}, {digest} AS digest FROM {_STAGING} LIMIT 1 BY {key}) AS n
        LEFT JOIN
        (
            SELECT {key}, {digest} AS digest, 1 AS is_stored FROM {table.name} FINAL
            WHERE ({lookup}) IN (SELECT {lookup} FROM {_STAGING})
        ) AS o USING ({key})
    """
