"""The seams of the system: what a source, the warehouse, the state store and the clock promise to the sync engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from polyhouse.tables import Columns

Position = Mapping[str, Any]
"""Where a partition stands: a small JSON object that only its source understands. ``{}`` = the beginning."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read. ``raw`` is the row as received (cut at 4,000 characters)."""

    reason: str
    where: str
    raw: str


@dataclass(frozen=True, slots=True)
class Page:
    """One bounded answer of a source.

    Attributes:
        tables: table name → columns (see ``polyhouse.tables``), without ``run`` and ``version``.
        position: where the partition stands *after* this page.
        is_last: the source proved that nothing follows (``has_more`` false, null cursor, ``LTE=``).
        fetched: rows in the answer; always = rows accepted + rejected (+ rows the source declares ``ignored``).
        rejected: rows that go to quarantine.
        ignored: rows that carry nothing for us by the upstream's own rules (placeholders), counted, never silent.
        notes: facts for the run report, e.g. ``{"late_labels": 3}``.
    """

    tables: Mapping[str, Columns]
    position: Position
    is_last: bool
    fetched: int
    rejected: Sequence[Reject] = ()
    ignored: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partition:
    """One sequential walk of a stream, e.g. one wallet's activity. ``key`` is stable across runs."""

    stream: str
    key: str
    params: Mapping[str, Any] = field(default_factory=dict)


class Stream(Protocol):
    """One kind of rows that one upstream offers, walked partition by partition.

    Implementations raise ``RetryableError`` when their retries are used up, ``CursorRejectedError`` when the position
    is no longer accepted (the engine then restarts the partition with ``restart_position``),
    ``UpstreamContractError`` when the answer cannot be true. They never turn an error into an empty page.
    """

    name: str

    def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """Yield pages from ``position`` (inclusive: the boundary may be read again) to the proven end."""
        ...

    def restart_position(self, position: Position) -> Position:
        """The last safe point from which a walk with a rejected cursor starts again."""
        ...


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows of a query: column names and tuples."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Different keys of a batch by what the table holds of them: not there, there with another content, there as they
    are. When and by whom a row was seen is no content.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class BuildWishes:
    """What whoever opened the store wants of builds.

    Attributes:
        checks: ``stop``: tables of which an invariant is broken are not published; ``tell``: they are, and it is told;
            ``off``: nothing is tested.
        keeps_previous: what a build of all wallets replaces is kept, for the way back.
    """

    checks: Literal["stop", "tell", "off"] = "stop"
    keeps_previous: bool = True


USUAL_WISHES = BuildWishes()


class Warehouse(Protocol):
    """Where rows live. One implementation serves chDB, a ClickHouse server and a cluster."""

    build_wishes: BuildWishes

    def write(self, table: str, columns: Columns, *, run: int, token: str) -> int:
        """Insert one batch and return its rows, only after the engine acknowledged it durably.

        ``run`` and ``version`` are filled in. ``token`` names the batch (with a digest of its content, added by the
        implementation), so that an immediate retry of the same batch is recognised.
        """
        ...

    def compare(self, table: str, columns: Columns) -> Comparison:
        """Hold a batch against what the table stores: what writing it would change. Changes nothing."""
        ...

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> QueryResult:
        """Run one trusted SELECT of ours; ``{name:Type}`` parameters are bound by the engine."""
        ...

    def query_readonly(self, sql: str, *, max_rows: int, timeout_seconds: float) -> QueryResult:
        """Run a user's SELECT: engine-level read-only, no file/url functions, time, memory and row limits."""
        ...

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run one statement of ours that returns no rows (model building, DDL)."""
        ...

    def query_columns(self, sql: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Stream a large SELECT as pyarrow RecordBatches in bounded memory."""
        ...

    def insert_arrow(self, table: str, batch: Any, *, is_unique: bool = False) -> None:
        """Insert a pyarrow Table into a model table (all columns given); ``is_unique``: no two rows have one key."""
        ...

    def in_database(self, name: str) -> Warehouse:
        """The same store with another of its databases as the current one."""
        ...

    def create_database(self, name: str) -> Warehouse:
        """Make an empty database beside this one, with the schema of today."""
        ...

    def drop_database(self, name: str) -> None:
        """Forget a database that ``create_database`` made."""
        ...

    def bulk(self) -> AbstractContextManager[None]:
        """While it is open, large work follows: freed memory stays with the process, which is faster."""
        ...

    def define(self, sql: str) -> None:
        """Run a statement that makes, drops or exchanges stored tables; in a cluster for all its nodes."""
        ...

    def shards(self) -> Sequence[Callable[[], Warehouse]]:
        """What makes connections to the engines among which wallets are divided; none where one engine has all."""
        ...

    def divided(self, wallets: Sequence[bytes]) -> list[list[bytes]]:
        """These wallets by the shard they belong to."""
        ...

    def close(self) -> None:
        """Release the store."""
        ...


PartitionStatus = Literal["new", "partial", "ok", "empty", "failed"]
"""Only ``ok`` and ``empty`` say that a partition was read to its proven end."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Durable progress of one partition.

    ``is_doubtful``: a batch with rows of it was begun and never acknowledged; what the position tells about the rows in
    the warehouse may not be so.
    """

    stream: str
    partition: str
    position: Position
    status: PartitionStatus
    pages: int = 0
    rows: int = 0
    rejected: int = 0
    updated_at: int = 0
    error: str = ""
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class PageCommit:
    """What one page adds to its partition's checkpoint, applied in one transaction with its batch mates."""

    stream: str
    partition: str
    position: Position
    is_last: bool
    rows: int
    rejected: Sequence[Reject] = ()


class State(Protocol):
    """Small transactional store: runs, checkpoints, wallets, quarantine. A cursor moves only after the warehouse
    acknowledged the page it stands behind.
    """

    def checkpoint(self, stream: str, partition: str) -> Checkpoint | None:
        """The checkpoint of one partition, None if it was never read."""
        ...

    def doubt(self, partitions: Collection[tuple[str, str]]) -> None:
        """Mark partitions (stream, key) whose rows are about to be written over, until their next page is committed."""
        ...

    def commit_pages(self, run: int, commits: Sequence[PageCommit]) -> None:
        """Move the checkpoints of all given pages and store their rejects, in one transaction."""
        ...

    def fail_partition(self, run: int, stream: str, partition: str, error: str) -> None:
        """Mark a partition failed; its position stays where it is."""
        ...


class Clock(Protocol):
    """Time and sleep, injected so that tests can simulate both."""

    def time(self) -> float:
        """Wall clock, Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Monotonic seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
