"""Connections to one engine: the embedded one (chDB) or a server, through the same client class.

A connection runs one statement at a time, so connections are pooled and borrowed. The embedded engine lives in our own
process: its caches, merge buffers and allocator count against our memory, hence the settings below.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from polyhouse.errors import PolyhouseError, StoreInUseError, WarehouseUnavailableError
from polyhouse.warehouse.faults import translate
from polyhouse.warehouse.location import Embedded, Server
from polyhouse.warehouse.memory import import_engine
from polyhouse.warehouse.open_files import allow_open_files
from polyhouse.warehouse.patience import patiently

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

T = TypeVar("T")

MAX_CONNECTIONS = 8
_BORROW_SECONDS = 600.0

EMBEDDED_OPTIONS: Mapping[str, str] = {
    "logger.console": "0",
    "mark_cache_size": str(32 << 20),
    "index_mark_cache_size": str(8 << 20),
    "primary_index_cache_size": str(32 << 20),
    "background_pool_size": "1",
    "background_merges_mutations_concurrency_ratio": "1",
    "background_processing_pool_thread_sleep_seconds_if_nothing_to_do": "0.02",
    "background_processing_pool_task_sleep_seconds_when_no_work_random_part": "0.02",
    "background_processing_pool_task_sleep_seconds_when_no_work_max": "2",
    "background_schedule_pool_size": "1",
    "max_thread_pool_size": "200",
    "max_thread_pool_free_size": "8",
    "load_marks_threadpool_pool_size": "2",
    "max_parts_cleaning_thread_pool_size": "2",
}
"""Server options of the embedded engine: one merge at a time, small caches, and few idle threads, which keep the memory
that they once needed: a loader that ran for half an hour had 136 of them, for marks (one per column) and old parts.
Who finds the one place taken asks again after 20 to 40 ms; the engine's own pause of up to a second and more made
deletes of a few rows last for seconds.
"""

SESSION_SETTINGS: Mapping[str, str] = {
    # Background inserts would acknowledge rows that are not on disk yet.
    "async_insert": "0",
    # One insert is one block is one part: that is the unit the engine writes atomically.
    "max_insert_threads": "1",
    "max_insert_block_size": "1048576",
    "min_insert_block_size_rows": "1048576",
    "min_insert_block_size_bytes": "0",
    "input_format_parallel_parsing": "0",
    # Whose rows are asked for is decided before their versions are put in order: of FINAL the engine moves conditions
    # on the key alone. One wallet in a hundred of 2,000,000 rows with two versions: 46 ms of CPU instead of 124.
    "optimize_move_to_prewhere_if_final": "1",
    # Byte ids stay bytes in Arrow; text is decoded by the reader who knows which is which.
    "output_format_arrow_string_as_string": "0",
}
"""Settings of every connection of ours."""

EMBEDDED_SESSION_SETTINGS: Mapping[str, str] = {
    # FINAL reads every unmerged part in every thread. Measured with 40 parts and 2 threads: 340 MB with the engine's
    # defaults, 230 MB with these, at the same CPU; one thread 170 MB.
    "max_threads": "2",
    "preferred_block_size_bytes": "65536",
    "max_block_size": "2048",
    # Machine code for an expression costs up to a second, once it was met three times: a build of a small store took
    # 6.4 seconds of CPU with it and 2.5 without.
    "compile_expressions": "0",
    "compile_aggregate_expressions": "0",
    "compile_sort_description": "0",
    # Tables that are joined are small; to hash one in parallel, or to filter the other by it, costs more than it saves.
    "join_algorithm": "hash",
    "enable_join_runtime_filters": "0",
    # Columns change hands inside of this process: to compress them costs a sixth of reading them.
    "output_format_arrow_compression_method": "none",
}
"""Added to them on the embedded engine; a statement of ours may say otherwise in its own SETTINGS."""

CLUSTER_SESSION_SETTINGS: Mapping[str, str] = {
    # A definition has reached every node, and a change of rows every replica, before the next statement begins.
    "distributed_ddl_output_mode": "throw",
    "distributed_ddl_task_timeout": "300",
    "alter_sync": "2",
    "mutations_sync": "2",
    # A deletion that asks other tables gives the same on every replica: these have the same rows.
    "allow_nondeterministic_mutations": "1",
    # Whoever writes through a table of readers waits for the shards; an IN or JOIN of theirs looks at all shards too.
    "distributed_foreground_insert": "1",
    "distributed_product_mode": "global",
    # Replicas in the order of the cluster, as we choose the one that we write to: it has what was just written.
    "load_balancing": "in_order",
    "optimize_skip_unused_shards": "1",
}
"""Added to them in a cluster, beside the quorum of inserts."""

_import_lock = threading.Lock()
_process_lock = threading.Lock()
_opened: list[Embedded] = []


class Engine:
    """A pool of connections to one store.

    Args:
        location: where the store is.
        database: the current database of its connections; '' = the store's own.

    Attributes:
        patience_seconds: how long a statement waits for a server that is away; 0 = not at all.
        statement_seconds: the engine stops a statement of ours after this time; 0 = never. Of connections that are
            opened from then on.

    Raises:
        StoreInUseError: this process has another embedded store open; the engine allows one.
    """

    patience_seconds = 0.0
    statement_seconds = 0.0

    def __init__(self, location: Embedded | Server, database: str = "") -> None:
        self.location = location
        self.database = database
        self._idle: queue.LifoQueue[Client] = queue.LifoQueue()
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._closed = False
        if isinstance(location, Embedded):
            _register(location)
            allow_open_files()
            with _import_lock:
                import_engine()

    def connect(self, settings: Mapping[str, str] | None = None) -> Client:
        """Open a connection of its own; the caller closes it.

        Args:
            settings: session settings; None for those of our own statements.

        Raises:
            WarehouseUnavailableError: the engine cannot be opened or reached.
            AuthError: user or password refused.
        """
        import clickhouse_connect

        target = self.location
        chosen = session_settings(target) if settings is None else dict(settings)
        if settings is None and self.statement_seconds:
            chosen["max_execution_time"] = f"{self.statement_seconds:.3f}"
        try:
            if isinstance(target, Embedded):
                return clickhouse_connect.get_client(
                    interface="chdb",
                    path=str(target.path),
                    database=self.database or None,
                    chdb_options=dict(EMBEDDED_OPTIONS),
                    settings=chosen,
                    tz_mode="aware",
                )
            return clickhouse_connect.get_client(
                host=target.host,
                port=target.port,
                username=target.username,
                password=target.password,
                database=self.database or target.database,
                secure=target.secure,
                settings=chosen,
                tz_mode="aware",
                autogenerate_session_id=False,
            )
        except Exception as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> PolyhouseError:
        return translate(error, self.location.path if isinstance(self.location, Embedded) else None)

    @contextmanager
    def borrow(self) -> Iterator[Client]:
        """A connection for one statement or one stream; engine errors leave as errors of the product.

        Raises:
            WarehouseUnavailableError: all connections are busy for ten minutes, or the store is closed.
        """
        if not self._slots.acquire(timeout=_BORROW_SECONDS):
            raise WarehouseUnavailableError(f"All {MAX_CONNECTIONS} connections to the warehouse are busy.")
        try:
            client = self._take()
            try:
                yield client
            except GeneratorExit:
                raise
            except PolyhouseError:
                raise
            except Exception as error:
                if _is_clickhouse_error(error):
                    raise self._translated(error) from error
                raise
            finally:
                self._give_back(client)
        finally:
            self._slots.release()

    def ask(self, work: Callable[[Client], T], *, may_repeat: bool) -> T:
        """Run one statement on a connection; waits ``patience_seconds`` for a server that is away.

        Args:
            work: the statement.
            may_repeat: it may be done twice (see ``patience``).

        Raises:
            WarehouseUnavailableError: as of ``borrow``.
        """

        def once() -> T:
            with self.borrow() as client:
                return work(client)

        return patiently(self.patience_seconds, once, may_repeat=may_repeat)

    def close(self) -> None:
        """Close every idle connection; a borrowed one is closed when it comes back."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                break
        with _process_lock:
            if self.location in _opened:
                _opened.remove(self.location)

    def _take(self) -> Client:
        if self._closed:
            raise WarehouseUnavailableError("The warehouse is closed.")
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self.connect()

    def _give_back(self, client: Client) -> None:
        if self._closed:
            client.close()
        else:
            self._idle.put(client)


def session_settings(location: Embedded | Server) -> dict[str, str]:
    """Settings of a connection that runs our own statements."""
    if isinstance(location, Embedded):
        return {**SESSION_SETTINGS, **EMBEDDED_SESSION_SETTINGS}
    if location.cluster:
        return {**SESSION_SETTINGS, **CLUSTER_SESSION_SETTINGS, "insert_quorum": location.quorum}
    return dict(SESSION_SETTINGS)


def embedded_connection_string(location: Embedded) -> str:
    """What the engine's own module calls this store; the same for every handle, as it demands."""
    from clickhouse_connect.driver._chdbclient import build_connection_string

    text: str = build_connection_string(str(location.path), dict(EMBEDDED_OPTIONS))
    return text


def _register(location: Embedded) -> None:
    with _process_lock:
        if _opened and _opened[0] != location:
            raise StoreInUseError(
                f"This process already has the store {_opened[0].path} open, so it cannot open {location.path}.",
                hint="Close the first one; the embedded engine holds one store per process.",
            )
        _opened.append(location)


def _is_clickhouse_error(error: Exception) -> bool:
    from clickhouse_connect.driver.exceptions import ClickHouseError

    return isinstance(error, (ClickHouseError, ConnectionError))
