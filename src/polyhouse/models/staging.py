"""Tables in memory that the statements of a build hand each other, and what they are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from polyhouse.ledger.columns import Bytes
from polyhouse.models.arrow_columns import binary
from polyhouse.ports import Warehouse

_BOUND = re.compile(r"unhex\('[0-9a-f]*'\)")

_known_columns: dict[tuple[str, str], str] = {}
"""(table, its SELECT without the bounds of the slice) → its columns, of this process. To make a table from a SELECT the
engine analyses it twice, which is most of the cost of a small build; with the columns known, it does so once.
"""


class Staging:
    """What one build staged, by name."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._columns: dict[str, str] = {}
        # A build that was killed leaves its tables behind.
        sql = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'Memory'"
        self._left = {str(name) for (name,) in warehouse.query(sql).rows}

    def keep(self, table: str, sql: str, settings: str, params: Mapping[str, Any] | None) -> None:
        """Keep what a SELECT returns under a name; what the name stood for before is forgotten.

        Args:
            table: the name.
            sql: the SELECT.
            settings: of the engine for this statement, ``SETTINGS …``.
            params: bound by the engine.
        """
        key = table, _BOUND.sub("", sql)
        columns = _known_columns.get(key)
        if columns is None:
            self.forget(table)
            self._warehouse.command(f"CREATE TABLE {table} ENGINE = Memory AS {sql} {settings}", params)
            columns = _known_columns[key] = self._columns_of(table)
            self._columns[table] = columns
            return
        self.make(table, columns)
        self._warehouse.command(f"INSERT INTO {table} {sql} {settings}", params)

    def make(self, table: str, columns: str) -> None:
        """Make an empty table of these columns under a name."""
        if self._columns.get(table) == columns:
            self._warehouse.command(f"TRUNCATE TABLE {table}")
            return
        self.forget(table)
        self._warehouse.command(f"CREATE TABLE {table} ({columns}) ENGINE = Memory")
        self._columns[table] = columns

    def keep_wallets(self, table: str, wallets: Bytes) -> None:
        """Keep a list of wallets under a name."""
        import pyarrow as pa

        self.make(table, "wallet FixedString(20)")
        if len(wallets):
            self._warehouse.insert_arrow(table, pa.table({"wallet": binary(wallets)}))

    def forget(self, *tables: str) -> None:
        """Give the memory of these tables back, or of all."""
        gone = [table for table in tables or self._columns if table in self._columns or table in self._left]
        if gone:
            self._warehouse.command(f"DROP TABLE IF EXISTS {', '.join(gone)}")
        for table in gone:
            self._columns.pop(table, None)
            self._left.discard(table)

    def _columns_of(self, table: str) -> str:
        rows = self._warehouse.query(f"DESCRIBE TABLE {table}").rows
        return ", ".join(f"`{row[0]}` {row[1]}" for row in rows)
