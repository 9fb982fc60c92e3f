"""The warehouse: writes batches, runs statements, streams results. One class for chDB and for a server."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from polyhouse.errors import BadInputError, ConfigError
from polyhouse.failpoints import reach
from polyhouse.ports import USUAL_WISHES, Comparison, QueryResult
from polyhouse.tables import BY_NAME, OBSERVATIONS, Columns
from polyhouse.warehouse.batches import content_digest, to_arrow
from polyhouse.warehouse.changes import Changes
from polyhouse.warehouse.cluster import on_cluster
from polyhouse.warehouse.comparing import compare
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.guard import ReadonlyResult, run_readonly
from polyhouse.warehouse.location import Embedded
from polyhouse.warehouse.memory import give_back, keeping_freed
from polyhouse.warehouse.migrate import AppliedMigration, apply_migrations
from polyhouse.warehouse.patience import patiently
from polyhouse.warehouse.results import decode_columns
from polyhouse.warehouse.schema_lock import SchemaLock
from polyhouse.warehouse.streaming import insert_in_memory, stream_batches
from polyhouse.warehouse.whole_schema import load_whole_schema

if TYPE_CHECKING:
    import pyarrow as pa

    from polyhouse.warehouse.lock import StoreLock

MAX_BLOCK_ROWS = 1_000_000
"""Rows of one insert. Above 1,048,449 the engine would cut the insert into blocks that can be half written."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DATABASE_ENGINES = ("Atomic", "Shared")
"""Of the others, Replicated exchanges one pair of tables at a time and makes no table from a SELECT."""
_UNIQUE = {
    "optimize_on_insert": 0, "max_block_size": MAX_BLOCK_ROWS, "max_threads": 1, "insert_allow_materialized_columns": 1,
}  # fmt: skip
"""For rows of which no two have one key: stored as they are, in one piece."""
_OF_BATCHES: Mapping[str, Mapping[str, Any]] = {OBSERVATIONS.name: {"optimize_on_insert": 0}}
"""Two rows of a batch that have one key are rare in the ledger; to look for them before they are stored takes a fifth
of an insert. Readers look for them anyway, inside of a part as between parts."""
_SMALL_BYTES = 1 << 20
"""Up to here an insert goes to the embedded engine through a file: reading columns where they lie begins with 3 ms."""
_PLACED = 1 << 52
"""Added to the version of observations that know their place; above the microseconds of any year before 2112."""


class ClickHouseWarehouse:
    """``ports.Warehouse`` on the ClickHouse dialect. Safe for use by several threads.

    Made by ``open_warehouse``.

    Attributes:
        changes: what this process changed here, through this object and its readers' parent.
        build_wishes: of whoever opened it.
    """

    def __init__(self, engine: Engine, lock: StoreLock | None, changes: Changes | None = None) -> None:
        self.changes = changes or Changes()
        self.build_wishes = USUAL_WISHES
        self._engine = engine
        self._lock = lock
        self._version = 0
        self._ahead = 0
        self._version_lock = threading.Lock()
        self._others: dict[str, ClickHouseWarehouse] = {}

    @property
    def engine(self) -> Engine:
        """Its connections."""
        return self._engine

    @property
    def patience_seconds(self) -> float:
        """How long statements wait for a server that is away; 0 = not at all, as always with an embedded store."""
        return self._engine.patience_seconds

    @patience_seconds.setter
    def patience_seconds(self, seconds: float) -> None:
        self._engine.patience_seconds = 0.0 if self.is_embedded else seconds

    @property
    def database(self) -> str:
        """Name of the current database of a server; '' = the embedded engine's own."""
        location = self._engine.location
        return self._engine.database or ("" if isinstance(location, Embedded) else location.database)

    @property
    def is_embedded(self) -> bool:
        """Whether this process owns the store."""
        return isinstance(self._engine.location, Embedded)

    def write(self, table: str, columns: Columns, *, run: int, token: str) -> int:
        """Insert one batch and return its rows, only after the engine has them on disk.

        Batches above 1,000,000 rows are written as several inserts, each atomic, each with its own token.
        The deduplication token is sha256(table, token, run, digest of the content): an immediate retry of the same
        batch is recognised, a batch with the same name and other content is not dropped, and a later run that brings
        an old state of a row back is written. Rows are unique by their natural key, not by the token.

        Args:
            table: a table of ``polyhouse.tables``.
            columns: column → values, see there. ``version`` is filled, ``run`` too.
            run: id of the run that writes.
            token: name of the batch, the same when it is tried again.

        Raises:
            BadInputError: unknown table or column, unequal lengths, or a value that its column cannot hold.
            WarehouseUnavailableError: the engine did not acknowledge; the batch may be written again.
        """
        declared = BY_NAME.get(table)
        if declared is None:
            raise BadInputError(f"There is no observation table {table!r}.", hint=f"Known: {', '.join(BY_NAME)}.")
        batch = to_arrow(declared, columns, run=run)
        for start in range(0, batch.num_rows, MAX_BLOCK_ROWS):
            block = batch.slice(start, MAX_BLOCK_ROWS)
            name = hashlib.sha256(f"{table}\0{token}\0{run}\0{start}\0".encode() + content_digest(block)).hexdigest()
            settings = {"insert_deduplication_token": name, **_OF_BATCHES.get(table, {})}
            self._insert(table, self._with_version(table, block), settings, is_batch=True)
        return int(batch.num_rows)

    def compare(self, table: str, columns: Columns) -> Comparison:
        """Hold a batch against what the table stores: which of its keys are new, changed, there already.

        Raises:
            BadInputError: as ``write``.
            WarehouseUnavailableError: the engine does not answer.
        """
        declared = BY_NAME[table]
        batch = to_arrow(declared, columns, run=0)
        return patiently(self.patience_seconds, lambda: compare(self._engine, declared, batch), may_repeat=True)

    def insert_arrow(self, table: str, batch: pa.Table, *, is_unique: bool = False) -> None:
        """Insert a pyarrow Table (or RecordBatch) with all columns into a model table, in atomic blocks.

        Args:
            table: a table keyed by a natural key.
            batch: its columns.
            is_unique: no two rows have one key, so the engine need not look for the newer one (a third of the time).

        Raises:
            WarehouseUnavailableError: the engine did not acknowledge.
            PolyhouseError: the columns do not fit the table.
        """
        import pyarrow as pa

        rows = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        from_memory = is_unique and self.is_embedded and rows.nbytes > _SMALL_BYTES
        for start in range(0, rows.num_rows, MAX_BLOCK_ROWS):
            block = rows.slice(start, MAX_BLOCK_ROWS).combine_chunks()
            if from_memory:
                insert_in_memory(self._engine, table, block, _UNIQUE)
                give_back()
            else:
                self._insert(table, block, _UNIQUE if is_unique else {})

    def bulk(self) -> AbstractContextManager[None]:
        """While it is open, large work follows: freed memory stays with the process, which is faster."""
        return keeping_freed()

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> QueryResult:
        """Run one trusted SELECT of ours; ``{name:Type}`` parameters are bound by the engine (ids as ``bytes``).

        Times come back as ``int`` Unix seconds, FixedString and the binary id columns (``results.BINARY_COLUMNS``) as
        ``bytes``, other text as ``str``, enums as their words, decimals as ``Decimal``. Select ids under one of those
        column names: a String column of any other name is text.

        Raises:
            WarehouseUnavailableError: the engine does not answer.
            PolyhouseError: the statement is wrong.
        """
        result = self._engine.ask(
            lambda client: client.query(
                sql,
                parameters=dict(params) if params else None,
                query_formats={"String": "bytes", "DateTime": "int"},
                column_oriented=True,
            ),
            may_repeat=True,
        )
        return decode_columns(result)

    def query_readonly(
        self, sql: str, *, max_rows: int, timeout_seconds: float, truncate: bool = False
    ) -> ReadonlyResult:
        """Run a user's SELECT: engine-level read-only, no file/url functions, time, memory and row limits.

        Args:
            sql: one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN.
            max_rows: more rows are an error, unless ``truncate``: then the first ones come with ``truncated`` set.
            timeout_seconds: the engine stops the query after this time.
            truncate: see ``max_rows``.

        Returns:
            The rows; times as ``datetime`` in UTC, ids as in ``query``.

        Raises:
            BadInputError: refused or wrong SQL, or a limit was reached.
        """
        return run_readonly(self._engine, sql, max_rows=max_rows, timeout_seconds=timeout_seconds, truncate=truncate)

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run one statement of ours that returns no rows.

        Raises:
            WarehouseUnavailableError: the engine does not answer.
            PolyhouseError: the statement is wrong.
        """
        self._engine.ask(
            lambda client: client.command(sql, parameters=dict(params) if params else None), may_repeat=False
        )
        self.changes.note_statement(sql)

    def define(self, sql: str) -> None:
        """Run a statement that makes, drops or exchanges stored tables; in a cluster for all its nodes."""
        location = self._engine.location
        cluster = "" if isinstance(location, Embedded) else location.cluster
        self.command((on_cluster(sql, cluster) if cluster else None) or sql)

    def shards(self) -> Sequence[Callable[[], ClickHouseWarehouse]]:
        """None: one engine has all wallets."""
        return ()

    def divided(self, wallets: Sequence[bytes]) -> list[list[bytes]]:
        """All of them here."""
        return [list(wallets)]

    def query_columns(self, sql: str, params: Mapping[str, Any] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream a large SELECT as pyarrow RecordBatches in bounded memory, at most 65,536 rows each.

        Arrow types are the engine's: FixedString → fixed_size_binary, String → binary, DateTime → uint32 Unix seconds,
        Enum8 → int8 (cast to String in the query for words), Decimal(38, s) → decimal128.

        Raises:
            WarehouseUnavailableError: the engine does not answer, or stops in the middle.
        """
        return stream_batches(self._engine, sql, params)

    def migrate(self) -> list[AppliedMigration]:
        """Bring the schema up to date and say what was applied; nothing when it is.

        Raises:
            ConfigError: the store was made by a newer or a modified version, or a server's database is of a kind that
                cannot publish a build at once.
        """
        if not self.is_embedded:
            self._check_database()
        if self.is_embedded:
            # Its folder has a lock of its own.
            applied = apply_migrations(self, nullcontext(), load_whole_schema)
        else:
            applied = apply_migrations(self, SchemaLock(self))
        self._continue_versions(self)
        return applied

    def next_version(self) -> int:
        """Microseconds of the wall clock, strictly increasing within the process and above every earlier page.

        With a server it is the server's clock, so that among the rows of several machines the later one is the newer.
        """
        with self._version_lock:
            self._version = max(self._version + 1, time.time_ns() // 1000 + self._ahead)
            return self._version

    def reader(self) -> ClickHouseWarehouse:
        """The same store through connections of its own, so that readers never wait for those who write.

        Close it before this one.
        """
        return ClickHouseWarehouse(Engine(self._engine.location), None, self.changes)

    def set_server_url(self, url: str, token_file: str = "") -> None:
        """Tell other processes which HTTP API answers for this store (embedded stores only).

        Args:
            url: its address; ``""`` when it stops.
            token_file: file with its key, readable by its owner only.

        Raises:
            ConfigError: the key file can be read by other users.
        """
        if self._lock is not None:
            self._lock.set_server_url(url, token_file)

    def in_database(self, name: str) -> ClickHouseWarehouse:
        """The same store with another of its databases as the current one. It is closed with this one.

        Args:
            name: a database that ``create_database`` made.
        """
        with self._version_lock:
            if name not in self._others:
                self._others[name] = ClickHouseWarehouse(Engine(self._engine.location, name), None)
            return self._others[name]

    def create_database(self, name: str) -> ClickHouseWarehouse:
        """Make an empty database beside this one, with the schema of today.

        Raises:
            WarehouseUnavailableError: the engine does not answer.
            PolyhouseError: it exists already, or the user may not make databases.
        """
        self.command(f"CREATE DATABASE {_word(name)} ENGINE = Atomic")
        other = self.in_database(name)
        other.migrate()
        return other

    def drop_database(self, name: str) -> None:
        """Forget a database that ``create_database`` made, and close what is open in it."""
        with self._version_lock:
            other = self._others.pop(name, None)
        if other is not None:
            other.close()
        self.command(f"DROP DATABASE IF EXISTS {_word(name)} SYNC")

    def close(self) -> None:
        """Release the store: connections first, then the lock."""
        for other in self._others.values():
            other.close()
        self._engine.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> ClickHouseWarehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_database(self) -> None:
        """Builds are published with EXCHANGE TABLES: better refused now than after hours of reading."""
        found = self.query("SELECT engine FROM system.databases WHERE name = currentDatabase()").rows
        engine = str(found[0][0]) if found else ""
        if engine not in _DATABASE_ENGINES:
            raise ConfigError(
                f"The warehouse's database has the engine {engine or 'unknown'}, which cannot exchange tables.",
                hint=f"CREATE DATABASE … ENGINE = {_DATABASE_ENGINES[0]}",
            )

    def _continue_versions(self, store: ClickHouseWarehouse) -> None:
        """A wall clock that was set back must not make older rows win; the manifest has the newest of each page."""
        floor = store.query("SELECT max(version) FROM sync_pages").rows[0][0]
        ahead = 0 if self.is_embedded else store.clock_ahead()
        with self._version_lock:
            self._version = max(self._version, int(floor))
            self._ahead = ahead

    def clock_ahead(self) -> int:
        """Microseconds by which the server's clock is ahead of ours."""
        before = time.time_ns() // 1000
        server = int(self.query("SELECT toUnixTimestamp64Micro(now64(6))").rows[0][0])
        return server - (before + time.time_ns() // 1000) // 2

    def _with_version(self, table: str, block: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        number = self.next_version()
        version = pa.repeat(pa.scalar(number, pa.uint64()), block.num_rows)
        if table == OBSERVATIONS.name and "pos" in block.column_names:
            # A file does not know a row's place inside its second, a feed does: whichever came last, the place stays.
            placed = pc.greater(block.column("pos"), 0)
            version = pc.if_else(placed, pa.scalar(number + _PLACED, pa.uint64()), version)
        return block.append_column(pa.field("version", pa.uint64(), nullable=False), version)

    def insert_block(self, table: str, block: pa.Table, settings: dict[str, Any]) -> None:
        """Insert all columns of a block at once, with settings of the engine."""
        self._insert(table, block, settings)

    def _insert(self, table: str, block: pa.Table, settings: dict[str, Any], *, is_batch: bool = False) -> None:
        whole = block.combine_chunks()
        reach("K7")
        self._engine.ask(lambda client: client.insert_arrow(table, whole, settings=settings), may_repeat=True)
        self.changes.note(is_batch=is_batch, table=table, rows=block)
        give_back()


def _word(name: str) -> str:
    """``name`` if it can stand in a statement as it is."""
    assert _WORD.fullmatch(name), name
    return name
