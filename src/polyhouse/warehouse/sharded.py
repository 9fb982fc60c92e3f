"""A ClickHouse cluster as one warehouse: rows go to the shards they belong to, readers see all of them.

Who writes sends each row to its shard by itself, as the engine's makers advise: an insert is acknowledged by the
replicas that keep it, and its token is known where it is looked up. Who reads asks the tables of ``warehouse.cluster``,
which look through all shards. Statements that change rows run on every shard, each beside its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from polyhouse.errors import ConfigError, WarehouseUnavailableError
from polyhouse.ports import Comparison, QueryResult
from polyhouse.tables import BY_NAME, Columns
from polyhouse.warehouse.batches import to_arrow
from polyhouse.warehouse.changes import Changes
from polyhouse.warehouse.cluster import (
    Placement,
    is_placed,
    on_cluster,
    placement,
    router_table,
    router_views,
    shard_places,
)
from polyhouse.warehouse.comparing import compare
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.location import Embedded, Server
from polyhouse.warehouse.migrate import AppliedMigration, apply_migrations
from polyhouse.warehouse.schema_lock import SchemaLock
from polyhouse.warehouse.store import ClickHouseWarehouse

if TYPE_CHECKING:
    import pyarrow as pa

_CHANGED = re.compile(r"\s*(?:INSERT\s+INTO|DELETE\s+FROM)\s+(\w+)")
_TABLES = (
    "SELECT name, engine, sorting_key, create_table_query FROM system.tables WHERE database = currentDatabase()"
    " ORDER BY name"
)
_COLUMNS = (
    "SELECT table, groupArray((name, type)) FROM (SELECT table, name, type FROM system.columns"
    " WHERE database = currentDatabase() ORDER BY table, position) GROUP BY table"
)


class ClusterWarehouse(ClickHouseWarehouse):
    """``ports.Warehouse`` on a cluster. Made by ``open_cluster``.

    Args:
        engine: of the node that is asked, with the readers' database.
        shards: one engine of each shard, in the order of the cluster; closed with this one.
        changes: see ``ClickHouseWarehouse``.
    """

    def __init__(self, engine: Engine, shards: Sequence[ClickHouseWarehouse], changes: Changes | None = None) -> None:
        super().__init__(engine, None, changes)
        assert isinstance(engine.location, Server)
        self._location = engine.location
        self._shards = tuple(shards)
        self._placed: dict[str, Placement] = {}
        self._is_migrated = False

    @property
    def engines(self) -> tuple[ClickHouseWarehouse, ...]:
        """One engine of each shard, in the order of the cluster."""
        return self._shards

    def shards(self) -> Sequence[Callable[[], ClickHouseWarehouse]]:
        """What makes connections to the engines among which the wallets are divided, in any process."""
        return [partial(_connected, shard.engine.location) for shard in self._shards]

    def divided(self, wallets: Sequence[bytes]) -> list[list[bytes]]:
        """These wallets by the shard they belong to."""
        import pyarrow as pa

        places = shard_places(pa.array(wallets, pa.binary()), len(self._shards)).tolist()
        parts: list[list[bytes]] = [[] for _ in self._shards]
        for wallet, place in zip(wallets, places, strict=True):
            parts[place].append(wallet)
        return parts

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run one statement of ours: a definition once for all nodes, everything else on each shard.

        What is the same on every shard must change in the same way on each, so there the statement reads all shards.
        """
        rendered = on_cluster(sql, self._location.cluster)
        if rendered is not None:
            self._shards[0].command(rendered, params)
            self._placed.clear()
            if self._is_migrated and not rendered.startswith("TRUNCATE"):
                self.refresh_readers()
        else:
            text = self._reading_all(sql)
            self._on_all(lambda shard: shard.command(text, params))
        self.changes.note()

    def compare(self, table: str, columns: Columns) -> Comparison:
        """Hold a batch against what the shards store, each against its part."""
        declared = BY_NAME[table]
        parts = self._parts(table, to_arrow(declared, columns, run=0))
        if self._placement(table).everywhere:
            parts = parts[:1]
        found = [compare(shard.engine, declared, part) for shard, part in parts]
        return Comparison(*(sum(getattr(one, name) for one in found) for name in Comparison.__slots__))

    def migrate(self) -> list[AppliedMigration]:
        """Bring the schema of every node up to date and say what was applied.

        Raises:
            ConfigError: the store was made by a newer or a modified version.
        """
        applied = apply_migrations(_Schema(self), SchemaLock(self._shards[0]))
        self.refresh_readers()
        self._is_migrated = True
        self._continue_versions(self._shards[0])
        return applied

    def refresh_readers(self) -> None:
        """Bring the tables and views of readers to those of the shards; nothing where they agree."""
        shard, cluster = self._shards[0], self._location.cluster
        ours, theirs = dict(shard.query(_COLUMNS).rows), dict(self.query(_COLUMNS).rows)
        tables = shard.query(_TABLES).rows
        views = {name: text for name, engine, _, text in tables if engine == "View"}
        kept = [name for name, engine, _, _ in tables if is_placed(name, engine)]
        changed = [name for name in kept if ours[name] != theirs.get(name)]
        run = super().command
        for name in changed:
            run(router_table(name, shard.database, cluster, self._placement(name)))
        stored = {name: text for name, _, _, text in self.query(_TABLES).rows}
        for name, text in router_views(views, shard.database, self._location.database).items():
            rendered = on_cluster(text.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1), cluster)
            if text != stored.get(name) and rendered is not None:
                run(rendered)

    def reader(self) -> ClusterWarehouse:
        """The same store through connections of its own. Close it before this one."""
        return ClusterWarehouse(Engine(self._location), [shard.reader() for shard in self._shards], self.changes)

    def in_database(self, name: str) -> ClickHouseWarehouse:
        """Not on a cluster.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"The database {name} beside the store cannot be used on a cluster.",
            hint="Models as of a past moment need a store of one engine: `polyhouse copy` makes one.",
        )

    def create_database(self, name: str) -> ClickHouseWarehouse:
        """Not on a cluster.

        Raises:
            ConfigError: always.
        """
        return self.in_database(name)

    def close(self) -> None:
        """Release the connections of readers, then those of the shards."""
        super().close()
        for shard in self._shards:
            shard.close()

    def _insert(self, table: str, block: pa.Table, settings: dict[str, Any], *, is_batch: bool = False) -> None:
        parts = self._parts(table, block)
        # Where one fails, nothing is acknowledged: what the others have is written again, under the same keys.
        with ThreadPoolExecutor(max(len(parts), 1)) as pool:
            list(pool.map(lambda part: part[0].insert_block(table, part[1], settings), parts))
        self.changes.note(is_batch=is_batch)

    def _parts(self, table: str, block: pa.Table) -> list[tuple[ClickHouseWarehouse, pa.Table]]:
        """Which rows go where; shards that get none are left out."""
        import pyarrow as pa

        placed = self._placement(table)
        if placed.everywhere:
            return [(shard, block) for shard in self._shards]
        if not placed.column:
            raise ConfigError(f"The rows of {table} are spread by builds alone.")
        place = shard_places(block.column(placed.column), len(self._shards))
        parts = ((shard, block.filter(pa.array(place == number))) for number, shard in enumerate(self._shards))
        return [(shard, part) for shard, part in parts if part.num_rows]

    def _placement(self, table: str) -> Placement:
        if table not in self._placed:
            rows = self._shards[0].query(_TABLES).rows
            self._placed = {name: placement(name, key) for name, engine, key, _ in rows if is_placed(name, engine)}
        if table not in self._placed:
            raise ConfigError(
                f"The table {table} is none of the schema, so a cluster has no place for its rows.",
                hint="Import files into a store of one engine, and copy that into the cluster with `polyhouse copy`.",
            )
        return self._placed[table]

    def _reading_all(self, sql: str) -> str:
        found = _CHANGED.match(sql)
        if found is None or not self._placement(found[1]).everywhere:
            return sql
        split = [name for name, placed in self._placed.items() if not placed.everywhere]
        return re.sub(rf"\b(FROM|JOIN) ({'|'.join(split)})\b", rf"\1 {self._location.database}.\2", sql)

    def _on_all(self, work: Callable[[ClickHouseWarehouse], None]) -> None:
        with ThreadPoolExecutor(len(self._shards)) as pool:
            list(pool.map(work, self._shards))


class _Schema:
    """What migrations see of a cluster: its definitions and the record of what was applied, without the readers'."""

    def __init__(self, cluster: ClusterWarehouse) -> None:
        self._cluster = cluster

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        self._cluster.command(sql, params)

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> QueryResult:
        return self._cluster.engines[0].query(sql, params)


def _connected(location: Embedded | Server) -> ClickHouseWarehouse:
    return ClickHouseWarehouse(Engine(location), None)


def open_cluster(location: Server) -> ClusterWarehouse:
    """Connect to a node and to one replica of each shard, and bring the schema up to date.

    Raises:
        ConfigError: the node knows no such cluster, its shards have different weights, or the schema is a newer one.
        WarehouseUnavailableError: the node, or all replicas of a shard, do not answer.
    """
    shard_database = f"{location.database}_shard"
    with ClickHouseWarehouse(Engine(replace(location, database="default"), "default"), None) as node:
        hosts = _hosts(node, location.cluster)
        stored = {name for (name,) in node.query("SELECT name FROM system.databases").rows}
        for name in (location.database, shard_database):
            if name not in stored:
                node.command(f"CREATE DATABASE IF NOT EXISTS {name} ON CLUSTER '{location.cluster}' ENGINE = Atomic")
    with ExitStack() as opened:
        shards = [
            opened.enter_context(
                _first_that_answers([replace(location, host=host, database=shard_database) for host in replicas])
            )
            for replicas in hosts
        ]
        warehouse = ClusterWarehouse(opened.enter_context(closing(Engine(location))), shards)
        warehouse.migrate()
        opened.pop_all()
    return warehouse


def _hosts(node: ClickHouseWarehouse, cluster: str) -> list[list[str]]:
    """The hosts of each shard's replicas, in order."""
    rows = node.query(
        "SELECT shard_num, groupArray(host_name), max(shard_weight) FROM (SELECT * FROM system.clusters"
        " WHERE cluster = {cluster:String} ORDER BY shard_num, replica_num) GROUP BY shard_num ORDER BY shard_num",
        {"cluster": cluster},
    ).rows
    if not rows:
        raise ConfigError(
            f"The ClickHouse server knows no cluster named {cluster}.",
            hint="SELECT DISTINCT cluster FROM system.clusters shows those it knows.",
        )
    if {weight for _, _, weight in rows} != {1}:
        raise ConfigError(
            f"The shards of the cluster {cluster} have weights.",
            hint="Rows are spread evenly: remove <weight> from remote_servers.",
        )
    return [[str(host) for host in replicas] for _, replicas, _ in rows]


def _first_that_answers(replicas: Sequence[Server]) -> ClickHouseWarehouse:
    """A replica of a shard. It stays the same while it is open, so that what was written there is read again."""
    failures = []
    for location in replicas:
        warehouse = ClickHouseWarehouse(Engine(location), None)
        try:
            warehouse.query("SELECT 1")
        except WarehouseUnavailableError as error:
            warehouse.close()
            failures.append(f"{location.host}: {error}")
        else:
            return warehouse
    raise WarehouseUnavailableError(f"No replica of a shard answers ({'; '.join(failures)}).")
