"""One build of the model tables: its version and windows, where it reads and writes, and the statements steps share."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from polyhouse import telemetry
from polyhouse.ledger.columns import Bytes
from polyhouse.models.merging import pause_merges, resume_merges
from polyhouse.models.metric_tables import METRIC_TABLES
from polyhouse.models.peers import Peers
from polyhouse.models.staging import Staging
from polyhouse.models.stored_columns import StoredColumns
from polyhouse.models.tombstones import Burials
from polyhouse.ports import Warehouse
from polyhouse.warehouse.streaming import BULK

if TYPE_CHECKING:
    import pyarrow as pa

WINDOWS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "180d": 180}
"""Window name → days. Windows end at the newest ledger row, so metrics are functions of rows alone."""

DAY_SECONDS = 86_400
SLICE_ROWS = 1_500_000
"""Observations per wallet slice: keeps the peak memory of a build independent of the universe."""
_MOST_SLICES = 4096

BY_WALLET = (
    "ledger", "unmapped", "positions", "wallet_days", "units", "wallet_totals", "wallet_coverage", "wallet_scores_v1",
    "priced_trades", "positions_polymarket", *METRIC_TABLES, "wallet_flags", "wallet_intervals", "category_edges",
    "wallet_documents",
)  # fmt: skip
"""Published tables that are keyed by wallet, in build order."""

OF_ALL = ("flag_levels", "category_specialists", "category_stats")
"""Published tables that every build makes anew, because each row depends on all wallets; in build order."""

TOKEN_MAP, CATALOGUE = "token_map", "metric_catalogue"
PUBLISHED = (*BY_WALLET, *OF_ALL, TOKEN_MAP, CATALOGUE)
"""The model set: what readers see of one build together. Each build writes these beside and publishes them at once."""

_TABLE = re.compile(rf"\b(FROM|JOIN) ({'|'.join(PUBLISHED)})\b( AS \w+)?( FINAL\b)?")

ANY_SIZE = "SETTINGS max_table_size_to_drop = 0, max_partition_size_to_drop = 0"
"""Of statements that drop tables of earlier builds: servers refuse to drop one of more than 50 GB."""

TOUCHED = "wallet IN (SELECT wallet FROM touched_wallets)"
"""Condition on ``wallet``: the wallets of a partial build."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. ``wallets`` is None for a full build; ``as_of`` is the end of all windows (Unix seconds).

    ``steps``: seconds that each step took. ``broken``: a sentence on each broken check that guards tables. ``held``:
    tables that were not published for it.
    """

    build: int
    as_of: int
    wallets: int | None
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    steps: dict[str, float] = field(default_factory=dict)


class Build:
    """One build of all wallets (``wallets`` None) or of some; the steps are functions of it (``models.steps``).

    A build writes ``X__next`` beside each published table, and reads there what it wrote. Where rows of the build
    before stay valid the table beside has them too, which costs no copy: files are shared until they are merged. It
    begins with those of what is kept (``models.steps.ledger_step``). In a partial build it has the rows of the touched
    wallets alone, which are read without those of others, until ``join_rows``.

    Attributes:
        anew: make what is kept from build to build anew too.
        beside: published tables that this build writes beside and exchanges at its end.
        peers: the builds of the other shards.
        has_ties: rows of the ledger were met that neither their time nor their place tells apart.
        version: of the rows it writes, above that of every earlier build.
        as_of: end of all windows (Unix seconds).
        step_seconds: what each step took so far.
        rows_to: insert into ``observations`` that was the last one when the build began.
        rows_written: of published tables that ``write`` wrote.
        stored: keys and columns of stored tables.
        params: parameters of the model files: ``as_of`` and the start of each window, ``b_1d`` … ``b_180d``.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        wallets: Sequence[bytes] | None,
        *,
        anew: bool = False,
        peers: Peers | None = None,
    ) -> None:
        self.warehouse = warehouse
        self.peers = peers or Peers()
        self.anew = anew
        self.has_ties = False
        self.beside: list[str] = []
        self._empty_at_first: set[str] = set()
        self._apart: set[str] = set()
        self._is_clean: dict[str, bool] = {}
        self.wallets: list[bytes] | None = None if wallets is None else list(dict.fromkeys(wallets))
        previous = warehouse.query("SELECT max(build) FROM builds").rows[0][0]
        version = max(time.time_ns() // 1000, int(previous) + 1)
        newest, rows_to = warehouse.query(
            "SELECT toUnixTimestamp(maxIf(ts, kind NOT IN ('DEPOSIT', 'WITHDRAWAL', 'TIP'))), max(_block_number)"
            f" FROM observations {BULK}"
        ).rows[0]
        of_all = self.peers.share("begin", (version, int(newest)))
        self.version, self.as_of = (max(numbers) for numbers in zip(*of_all, strict=True))
        self.rows_to = int(rows_to)
        self.params = {f"b_{name}": max(self.as_of - days * DAY_SECONDS, 0) for name, days in WINDOWS.items()}
        self.params["as_of"] = self.as_of
        self._staging = Staging(warehouse)
        self.stored = StoredColumns(warehouse)
        self._observed: dict[str, int] = {}
        self.rows_written: dict[str, int] = {}
        self._burials = Burials(self)
        self.step_seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The block is a part of a step: its time is counted, and it is a span of a trace."""
        started = time.monotonic()
        with telemetry.bound(build=self.version), telemetry.span("model step", step=name):
            yield
        self.step_seconds[name] = self.step_seconds.get(name, 0.0) + time.monotonic() - started

    @property
    def full(self) -> bool:
        """Whether all wallets are built."""
        return self.wallets is None

    @property
    def chosen(self) -> str:
        """Condition on ``wallet``: those of this build."""
        return "1" if self.full else TOUCHED

    @property
    def boundaries(self) -> list[int]:
        """Start of each window, newest first."""
        return [self.params[f"b_{name}"] for name in WINDOWS]

    def place_of(self, table: str) -> str:
        """Where a table is read and written during this build."""
        return f"{table}__next" if table in self.beside else table

    def write_beside(self, *tables: str, with_rows: bool = False, apart: bool = False) -> None:
        """Make a table beside each of these; it takes their place when the build is published.

        Args:
            tables: published ones.
            with_rows: they begin with the rows of the published ones, else empty.
            apart: they begin empty, and ``join_rows`` brings these rows.
        """
        if tables:
            self.define(f"DROP TABLE IF EXISTS {', '.join(f'{table}__next' for table in tables)} {ANY_SIZE}")
        for table in tables:
            self.define(f"CREATE TABLE {table}__next AS {table}")
            if with_rows:
                self._attach(table)
        self.beside = [*(table for table in self.beside if table not in tables), *tables]
        change = self._empty_at_first.difference_update if with_rows else self._empty_at_first.update
        change(tables)
        self._apart.update(tables if apart else ())
        self._is_clean.clear()
        if self.full:
            pause_merges(self.warehouse, self.observations("1"), map(self.place_of, tables))

    def join_rows(self, *tables: str) -> None:
        """Bring the rows of the build before into these tables, or all, that were written apart from them."""
        due = [table for table in self.beside if table in self._apart and table in (tables or self._apart)]
        for table in due:
            self._attach(table)
        self._apart.difference_update(due)
        self._empty_at_first.difference_update(due)
        self._is_clean.clear()
        self.bury_gone()

    def is_apart(self, table: str) -> bool:
        """Whether a table beside has the rows of this build's wallets alone so far."""
        return table in self._apart

    def _attach(self, table: str) -> None:
        self.warehouse.command(f"ALTER TABLE {table}__next ATTACH PARTITION tuple() FROM {table}")

    def put_in_place(self, *tables: str) -> None:
        """Put tables that were written beside in their places, with one statement; what was there is beside now."""
        if self.full:
            resume_merges(self.warehouse, self.observations("1"), map(self.place_of, tables))
        self.define(f"EXCHANGE TABLES {', '.join(f'{table} AND {table}__next' for table in tables)}")
        self.beside = [table for table in self.beside if table not in tables]
        self._is_clean.clear()

    def drop_beside(self, *tables: str) -> None:
        """Forget what stands beside these tables."""
        if tables:
            self.define(f"DROP TABLE IF EXISTS {', '.join(f'{table}__next' for table in tables)} {ANY_SIZE}")
        self.beside = [table for table in self.beside if table not in tables]

    def define(self, sql: str) -> None:
        """Run a statement that makes, drops or exchanges stored tables of this build's engine."""
        self.peers.define(self.warehouse, sql)

    def rows_of(self, table: str) -> str:
        """What to name behind FROM to read a table's valid rows: ``FINAL`` only where rows may have other versions.

        A build writes each row once, so rows that one build wrote are unique.
        """
        place = self.place_of(table)
        if place not in self._is_clean:
            is_new = table in self.beside and table in self._empty_at_first
            self._is_clean[place] = is_new or self._is_of_one_build(place)
        return place if self._is_clean[place] else f"{place} FINAL"

    def _is_of_one_build(self, place: str) -> bool:
        sql = f"SELECT min(version) = max(version) AND max(is_deleted) = 0 FROM {place}"
        return self.full and bool(self.warehouse.query(sql).rows[0][0])

    def slices(self, scope: str | None = None, *, everyone: bool = False, most: int | None = None) -> Iterator[str]:
        """Conditions on ``wallet`` that cut the work into ranges of the primary key.

        Args:
            scope: condition on ``wallet``: those to cut; None = those of this build.
            everyone: cut all wallets, even in a partial build.
            most: observations per slice, about; at most ``SLICE_ROWS``.
        """
        scope = "1" if everyone else scope or self.chosen
        count = min(self.observations(scope) // min(most or SLICE_ROWS, SLICE_ROWS) + 1, _MOST_SLICES)
        edges = [(i * 65_536 // count) for i in range(count + 1)]
        for low, high in pairwise(edges):
            bounds = []
            if low:
                bounds.append(f"wallet >= toFixedString(unhex('{low:04x}'), 20)")
            if high < 65_536:
                bounds.append(f"wallet < toFixedString(unhex('{high:04x}'), 20)")
            yield " AND ".join([scope, *bounds])

    def observations(self, scope: str) -> int:
        """How many rows the wallets of a scope have, as of its first use."""
        if scope not in self._observed:
            rows = self.warehouse.query(f"SELECT count() FROM observations WHERE {scope}").rows
            self._observed[scope] = int(rows[0][0])
        return self._observed[scope]

    def sql(self, model: str, condition: str) -> str:
        """A model file's SELECT on the tables of this build; ``condition`` as in ``model_sql``."""
        return self.named(model_sql(model, condition))

    def named(self, text: str) -> str:
        """A statement that names published tables behind FROM and JOIN, on the tables of this build."""
        return _TABLE.sub(self._named, text)

    def _named(self, found: re.Match[str]) -> str:
        keyword, table, alias, final = found.groups(default="")
        place = self.place_of(table)
        if final and self.rows_of(table) == place:
            final = ""
        return f"{keyword} {place}{alias}{final}"

    def insert(self, model: str, condition: str, *, target: str = "") -> None:
        """Write what a model file selects into its table, or into ``target``."""
        self.insert_rows(self.sql(model, condition), target or self.place_of(model))

    def insert_rows(self, sql: str, target: str) -> None:
        """Write the rows of a SELECT, which names every column but ``version``."""
        names = self.stored.written(target)
        values = [f"{self.version} AS version" if name == "version" else name for name in names]
        self._insert(target, names, values, sql)

    def copy_rows(self, sql: str, target: str) -> None:
        """Write the rows of a SELECT with the versions that it gives them."""
        names = self.stored.written(target)
        self._insert(target, names, names, sql)

    def _insert(self, target: str, names: Sequence[str], values: Sequence[str], sql: str) -> None:
        self.warehouse.command(
            f"INSERT INTO {target} ({', '.join(names)}) SELECT {', '.join(values)} FROM ({sql}) {BULK}",
            self._used(sql),
        )

    def store(self, table: str, condition: str, columns: Mapping[str, Any]) -> None:
        """Write rows of which no two have one key into a published table; see ``bury`` for what older builds wrote.

        Args:
            table: keyed by wallet.
            condition: on ``wallet``: those that were built.
            columns: all but ``version`` and ``is_deleted``, one of them ``wallet``.
        """
        import pyarrow as pa

        rows = len(columns["wallet"])
        if rows:
            whole = dict(columns) | {
                "version": pa.array(np.full(rows, self.version, dtype=np.uint64)),
                "is_deleted": pa.array(np.zeros(rows, dtype=np.uint8)),
            }
            self.write(table, pa.table(whole))
        self.bury(table, condition)

    def write(self, table: str, rows: pa.Table) -> None:
        """Write rows of which no two have one key, with all columns, into a published table."""
        self.warehouse.insert_arrow(self.place_of(table), rows, is_unique=True)
        self.rows_written[table] = self.rows_written.get(table, 0) + len(rows)

    def stage(self, model: str, condition: str) -> None:
        """Keep what a model file selects in memory, for the statements that follow."""
        self.stage_rows(model, self.sql(model, condition))

    def stage_rows(self, table: str, sql: str) -> None:
        """Keep what a SELECT returns in memory under a name, until ``forget_staged``."""
        self._staging.keep(table, sql, BULK, self._used(sql))

    def stage_columns(self, table: str, columns: str, rows: pa.Table) -> None:
        """Keep columns under a name, until ``forget_staged``.

        Args:
            table: the name.
            columns: as the engine declares them.
            rows: the same, as Arrow columns.
        """
        self._staging.make(table, columns)
        self.warehouse.insert_arrow(table, rows, is_unique=True)

    def stage_none(self, table: str, columns: str) -> None:
        """Stand in for what would be staged under a name where there is nothing: no rows of these columns."""
        self._staging.make(table, columns)

    def stage_wallets(self, table: str, wallets: Bytes) -> None:
        """Keep a list of wallets in memory under a name, until ``forget_staged``."""
        self._staging.keep_wallets(table, wallets)

    def forget_staged(self, *tables: str) -> None:
        """Give the memory of what was staged back, of these names or of all: processes that build live long."""
        self._staging.forget(*tables)

    def truncate(self, *tables: str) -> None:
        """Empty tables that builds fill and empty."""
        for table in tables:
            self.warehouse.command(f"TRUNCATE TABLE {table}")

    def bury(self, table: str, condition: str) -> None:
        """Have ``bury_gone`` look for rows of older builds that this one did not write again, once they are there.

        Args:
            table: a published table keyed by wallet.
            condition: on ``wallet``: those that were built.
        """
        if table not in self.beside or table not in self._empty_at_first or table in self._apart:
            self._burials.note(table, condition)

    def bury_gone(self) -> None:
        """Write tombstones for these rows, before anything reads their tables."""
        self._burials.write(self._apart)

    def query_columns(self, sql: str, *, settings: str = "") -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT as record batches; parameters of the build are bound.

        Args:
            sql: the SELECT.
            settings: of the engine for this statement, ``name = value``.
        """
        chosen = ", ".join(filter(None, (BULK, settings)))
        return self.warehouse.query_columns(f"{sql} {chosen}", self._used(sql))

    def _used(self, sql: str) -> dict[str, int] | None:
        """The parameters that a statement names."""
        return {name: value for name, value in self.params.items() if f"{{{name}:" in sql} or None


def model_sql(model: str, condition: str) -> str:
    """The SELECT of one model file for the wallets that ``condition`` (SQL on ``wallet``) chooses."""
    return _model_text(model).replace("/*wallets*/", condition)


def _model_text(model: str) -> str:
    return (resources.files("polyhouse.models") / f"{model}.sql").read_text(encoding="utf-8")
