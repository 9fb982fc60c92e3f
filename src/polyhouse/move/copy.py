"""Copies one warehouse into another, table by table and range by range, and proves each range equal on both sides.

A range is all rows between two values of the first column of the table's key. It is read as a stream, written, and
counted on both sides with a sum of the rows' hashes, which is the same in any order. Ranges that were found equal are
noted in the target: a copy that was killed counts them in the source again, and goes on behind them. Rows keep their
versions, so what is copied twice is there once.

Tables of models are not copied: they follow from the others, and a build makes them anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from polyhouse.errors import ConfigError, PolyhouseError, RetryableError
from polyhouse.ports import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

COPIED = (
    "observations", "events", "markets", "tokens", "resolutions", "neg_risk_markets", "reported_positions",
    "reported_holders", "reported_values", "reported_pnl", "reported_pairs", "reported_standings",
    "published_positions", "reconciliation", "given_marks", "price_points", "sync_pages", "chain_logs", "chain_blocks",
    "chain_pools", "coverage", "market_states", "market_checks", "wallet_links", "wallet_registry", "sync_runs",
    "leaderboard_history", "feed", "feed_places",
)  # fmt: skip
"""What cannot be computed again."""
DERIVED = (
    "as_of_databases", "builds", "category_edges", "category_specialists", "category_stats", "check_results", "copies",
    "flag_levels", "ledger", "ledger_builds", "ledger_changes", "metric_catalogue", "moved_conditions", "positions",
    "positions_polymarket", "price_builds", "price_changes", "priced_fills", "priced_trades", "publications",
    "schema_migrations", "token_days", "token_map", "token_prices", "units", "unmapped", "wallet_coverage",
    "wallet_days", "wallet_documents", "wallet_flags", "wallet_intervals", "wallet_metrics_by_category",
    "wallet_metrics_complete", "wallet_scores_v1", "wallet_totals",
)  # fmt: skip
"""Models, and what a warehouse knows of itself. A test holds that a table is in one of both lists."""
RANGE_ROWS = 500_000
INSERT_ROWS = 131_072
_ATTEMPTS = 3
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Sum:
    """Rows of a range, and the sum of their hashes modulo 2^64."""

    rows: int = 0
    digest: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.rows + other.rows, (self.digest + other.digest) & _MASK)


@dataclass(slots=True)
class TableCopy:
    """What became of one table: its rows, how many of its ranges were copied, and how many were equal before."""

    rows: int = 0
    copied: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a copy must know of a table: its columns, the first column of its key and that one's type."""

    name: str
    columns: tuple[str, ...]
    key: str
    key_type: str
    is_replacing: bool

    @property
    def rows(self) -> str:
        """The table in a FROM clause, of each key the newest row alone."""
        return f"{self.name} FINAL" if self.is_replacing else self.name

    @property
    def key_text(self) -> str:
        """SQL of the key as text that keeps everything."""
        if self._is_text:
            return f"hex({self.key})"
        return f"toString(toUnixTimestamp({self.key}))" if self._is_time else f"toString({self.key})"

    def where(self, low: str | None, high: str) -> str:
        """SQL of the range above ``low`` (None: from the first) up to ``high`` ('': to the last)."""
        parts = [] if low is None else [f"{self.key} > {self._literal(low)}"]
        parts += [f"{self.key} <= {self._literal(high)}"] if high else []
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    @property
    def _is_text(self) -> bool:
        return "String" in self.key_type

    @property
    def _is_time(self) -> bool:
        return self.key_type.startswith("DateTime")

    def _literal(self, text: str) -> str:
        if self._is_text:
            return f"unhex('{bytes.fromhex(text).hex()}')"
        return f"toDateTime({int(text)}, 'UTC')" if self._is_time else str(int(text))


@dataclass(slots=True)
class Copy:
    """One copy.

    Attributes:
        source: where rows come from.
        target: where they go; of the same schema.
        origin: the source's name in the target's notes, without its password.
        tell: hears of each table and range.
        range_rows: rows of a range, about; a single key with more of them is one range.
    """

    source: Warehouse
    target: Warehouse
    origin: str
    tell: Callable[[str], None]
    range_rows: int = RANGE_ROWS
    tables: dict[str, TableCopy] = field(default_factory=dict)

    def run(self, only: tuple[str, ...] = ()) -> Mapping[str, TableCopy]:
        """Copy every table, or ``only`` these.

        Raises:
            ConfigError: the schemas differ, or a table is none that is copied.
            PolyhouseError: a table is not the same on both sides in the end; the message names it.
            WarehouseUnavailableError: one side does not answer; the same call goes on where it stopped.
        """
        unknown = sorted(set(only) - set(COPIED))
        if unknown:
            raise ConfigError(f"{unknown[0]} is not copied.", hint=f"Copied are: {', '.join(COPIED)}.")
        for name in only or COPIED:
            shape = shape_of(self.source, name)
            if shape != shape_of(self.target, name):
                raise ConfigError(f"The table {name} differs in its columns.", hint="polyhouse migrate, on both sides")
            self.tables[name] = TableCopy()
            self._copy_table(shape)
            self.tell(f"{name}: {self.tables[name].rows:,} rows")
        return self.tables

    def _copy_table(self, shape: Shape) -> None:
        total, low = Sum(), None
        for place, (high, known) in enumerate(self._ranges(shape)):
            found = total_of(self.source, shape, low, high)
            if found == known:
                self.tables[shape.name].skipped += 1
            else:
                found = self._copy_range(shape, place, low, high)
                self.tables[shape.name].copied += 1
            total, low = total + found, high
        there = total_of(self.target, shape, None, "")
        if there != total:
            raise PolyhouseError(
                f"{shape.name} has {there.rows:,} rows in the target and {total.rows:,} in the source, or other ones.",
                hint="The target holds rows of its own: copy into an empty warehouse.",
            )
        self.tables[shape.name].rows = total.rows

    def _ranges(self, shape: Shape) -> Iterator[tuple[str, Sum | None]]:
        """Ends of the ranges, in order: those of an earlier attempt with what they were then, and new ones."""
        low: str | None = None
        for upto, rows, digest in self.target.query(
            "SELECT upto, row_count, digest FROM copies FINAL"
            " WHERE source = {source:String} AND table_name = {name:String} ORDER BY place",
            {"source": self.origin, "name": shape.name},
        ).rows:
            known = Sum(int(rows), int(digest))
            if not upto and total_of(self.source, shape, low, "") != known:
                break  # what follows the others has grown: it may have become several ranges
            yield str(upto), known
            low = str(upto)
        while low != "":
            low = self._next_end(shape, low)
            yield low, None

    def _next_end(self, shape: Shape, low: str | None) -> str:
        rows = self.source.query(
            f"SELECT {shape.key_text} AS upto FROM {shape.name}{shape.where(low, '')}"
            f" ORDER BY {shape.key} LIMIT 1 OFFSET {self.range_rows}"
        ).rows
        return str(rows[0][0]) if rows else ""

    def _copy_range(self, shape: Shape, place: int, low: str | None, high: str) -> Sum:
        where = shape.where(low, high)
        for _ in range(_ATTEMPTS):
            if not shape.is_replacing:
                # Nothing makes rows of these tables unique but that they are written once.
                self.target.command(f"DELETE FROM {shape.name}{where or ' WHERE true'}")
            for batch in _batches(
                self.source.query_columns(f"SELECT {', '.join(shape.columns)} FROM {shape.name}{where}")
            ):
                self.target.insert_arrow(shape.name, batch)
            found, there = total_of(self.source, shape, low, high), total_of(self.target, shape, low, high)
            if found == there:
                self._note(shape, place, high, found)
                return found
        raise RetryableError(
            f"{shape.name} changes while it is copied, or the target holds other rows: {found.rows:,} here and"
            f" {there.rows:,} there after {_ATTEMPTS} attempts.",
            hint="Let nobody write to either warehouse; the same command goes on from here.",
        )

    def _note(self, shape: Shape, place: int, high: str, found: Sum) -> None:
        self.target.command(
            "INSERT INTO copies (source, table_name, place, upto, row_count, digest, copied_at, version)"
            " SELECT {source:String}, {name:String}, {place:UInt32}, {upto:String}, {rows:UInt64}, {digest:UInt64},"
            " now(), {version:UInt64}",
            {
                "source": self.origin, "name": shape.name, "place": place, "upto": high, "rows": found.rows,
                "digest": found.digest, "version": time.time_ns(),
            },
        )  # fmt: skip


def shape_of(warehouse: Warehouse, name: str) -> Shape:
    """The shape of a table.

    Raises:
        ConfigError: it is not there.
    """
    found = warehouse.query(
        "SELECT engine, sorting_key FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
        {"name": name},
    ).rows
    if not found:
        raise ConfigError(f"There is no table {name}.", hint="polyhouse migrate")
    engine, sorting = (str(value) for value in found[0])
    columns = warehouse.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {name:String}"
        " AND default_kind IN ('', 'DEFAULT') ORDER BY position",
        {"name": name},
    ).rows
    types = {str(column): str(kind) for column, kind in columns}
    key = sorting.split(",")[0].strip("( )")
    return Shape(name, tuple(types), key, types[key], "Replacing" in engine)


def total_of(warehouse: Warehouse, shape: Shape, low: str | None, high: str) -> Sum:
    """Count a range, and add up the hashes of its rows."""
    hashed = ", ".join(shape.columns)
    sql = f"SELECT count(), sum(cityHash64({hashed})) FROM {shape.rows}{shape.where(low, high)}"
    rows, digest = warehouse.query(sql).rows[0]
    return Sum(int(rows), int(digest or 0))


def _batches(pieces: Iterator[Any]) -> Iterator[pa.Table]:
    """The pieces of a stream put together to larger ones: each becomes a part of the target's table."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for piece in pieces:
        held.append(piece)
        if sum(one.num_rows for one in held) >= INSERT_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
