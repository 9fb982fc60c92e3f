"""What the engine says of stored tables: asked for all of them at once, and once a build."""

from __future__ import annotations

from polyhouse.ports import Warehouse


class StoredColumns:
    """Keys and columns of the tables of a store."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._keys: dict[str, str] = {}
        self._columns: dict[str, list[str]] = {}

    def key(self, table: str) -> str:
        """The columns by which a table is unique."""
        if not self._keys:
            sql = "SELECT name, sorting_key FROM system.tables WHERE database = currentDatabase() AND sorting_key != ''"
            self._keys = dict(self._warehouse.query(sql).rows)
        return self._keys[table]

    def written(self, table: str) -> list[str]:
        """Names of the columns that are written, in order; of a table beside those of the published one."""
        name = table.removesuffix("__next")
        if name not in self._columns:
            rows = self._warehouse.query(
                "SELECT table, groupArray(name) FROM (SELECT table, name FROM system.columns WHERE"
                " database = currentDatabase() AND name != 'is_deleted' AND default_kind != 'MATERIALIZED'"
                " ORDER BY table, position) GROUP BY table"
            ).rows
            self._columns = {known: list(columns) for known, columns in rows}
        return self._columns[name]
