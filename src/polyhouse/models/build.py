"""One build of the model tables: its version and windows, where it reads and writes, and the statements steps share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise

from polyhouse.ledger.columns import Bytes
from polyhouse.models.arrow_columns import binary
from polyhouse.models.metric_tables import METRIC_TABLES
from polyhouse.ports import Warehouse

WINDOWS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "180d": 180}
"""Window name → days. Windows end at the newest ledger row, so metrics are functions of rows alone."""

DAY_SECONDS = 86_400
SLICE_ROWS = 1_500_000
"""Observations per wallet slice: keeps the peak memory of a build independent of the universe."""

BULK = "SETTINGS max_block_size = 65505, preferred_block_size_bytes = 4194304"
"""Of statements that read a whole slice: the embedded engine's small blocks keep loaders small, but cost twice here."""

BY_WALLET = (
    "ledger", "unmapped", "positions", "wallet_days", "units", "wallet_totals", "wallet_coverage", "wallet_scores_v1",
    "priced_trades", "positions_polymarket", *METRIC_TABLES, "wallet_flags", "category_edges",
)  # fmt: skip
"""Published tables that are keyed by wallet, in build order."""

TOUCHED = "wallet IN (SELECT wallet FROM touched_wallets)"
"""Condition on ``wallet``: the wallets of a partial build."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. ``wallets`` is None for a full build; ``as_of`` is the end of all windows (Unix seconds)."""

    build: int
    as_of: int
    wallets: int | None
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)


class Build:
    """One build of all wallets (``wallets`` None) or of some; the steps are functions of it (``models.steps``).

    A full build writes ``X__next`` beside each published table keyed by wallet, and reads there what it wrote; a
    partial one writes newer versions into the tables themselves.

    Attributes:
        version: of the rows it writes, above that of every earlier build.
        as_of: end of all windows (Unix seconds).
        params: parameters of the model files: ``as_of`` and the start of each window, ``b_1d`` … ``b_180d``.
    """

    def __init__(self, warehouse: Warehouse, wallets: Sequence[bytes] | None) -> None:
        self.warehouse = warehouse
        self.wallets: list[bytes] | None = None if wallets is None else list(dict.fromkeys(wallets))
        previous = warehouse.query("SELECT max(build) FROM builds").rows[0][0]
        self.version = max(time.time_ns() // 1000, int(previous) + 1)
        newest = warehouse.query(
            "SELECT toUnixTimestamp(max(ts)) FROM observations"
            " WHERE toString(kind) NOT IN ('DEPOSIT', 'WITHDRAWAL', 'TIP')"
        ).rows[0][0]
        self.as_of = int(newest)
        self.params = {f"b_{name}": max(self.as_of - days * DAY_SECONDS, 0) for name, days in WINDOWS.items()}
        self.params["as_of"] = self.as_of
        self._staged: set[str] = set()

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
        return f"{table}__next" if self.full and table in BY_WALLET else table

    def rows_of(self, table: str) -> str:
        """What to name behind FROM to read a table's valid rows: ``FINAL`` only where rows may have older versions."""
        place = self.place_of(table)
        return place if place != table else f"{table} FINAL"

    def slices(self, *, everyone: bool = False) -> Iterator[str]:
        """Conditions on ``wallet`` that cut the work into ranges of the primary key.

        Args:
            everyone: cut all wallets, even in a partial build.
        """
        scope = "1" if everyone else self.chosen
        rows = self.warehouse.query(f"SELECT count() FROM observations WHERE {scope}").rows[0][0]
        count = min(int(rows) // SLICE_ROWS + 1, 256)
        edges = [(i * 65_536 // count) for i in range(count + 1)]
        for low, high in pairwise(edges):
            bounds = []
            if low:
                bounds.append(f"wallet >= toFixedString(unhex('{low:04x}'), 20)")
            if high < 65_536:
                bounds.append(f"wallet < toFixedString(unhex('{high:04x}'), 20)")
            yield " AND ".join([scope, *bounds])

    def sql(self, model: str, condition: str) -> str:
        """A model file's SELECT on the tables of this build; ``condition`` as in ``model_sql``."""
        text = model_sql(model, condition)
        for table in BY_WALLET if self.full else ():
            for keyword in ("FROM", "JOIN"):
                text = text.replace(f"{keyword} {table} ", f"{keyword} {self.place_of(table)} ")
        return text

    def insert(self, model: str, condition: str, *, target: str = "") -> None:
        """Write what a model file selects into its table, or into ``target``."""
        self.insert_rows(self.sql(model, condition), target or self.place_of(model))

    def insert_rows(self, sql: str, target: str) -> None:
        """Write the rows of a SELECT, which names every column but ``version``."""
        names = self._columns(target)
        values = [f"{self.version} AS version" if name == "version" else name for name in names]
        self._insert(target, names, values, sql)

    def copy_rows(self, sql: str, target: str) -> None:
        """Write the rows of a SELECT with the versions that it gives them."""
        names = self._columns(target)
        self._insert(target, names, names, sql)

    def _insert(self, target: str, names: Sequence[str], values: Sequence[str], sql: str) -> None:
        self._run(f"INSERT INTO {target} ({', '.join(names)}) SELECT {', '.join(values)} FROM ({sql})")

    def stage(self, model: str, condition: str) -> None:
        """Keep what a model file selects in memory, for the statements that follow."""
        self.stage_rows(model, self.sql(model, condition))

    def stage_rows(self, table: str, sql: str) -> None:
        """Keep what a SELECT returns in memory under a name, until ``forget_staged``."""
        self._staged.add(table)
        self.warehouse.command(f"DROP TABLE IF EXISTS {table}")
        self._run(f"CREATE TABLE {table} ENGINE = Memory AS {sql}")

    def stage_wallets(self, table: str, wallets: Bytes) -> None:
        """Keep a list of wallets in memory under a name, until ``forget_staged``."""
        import pyarrow as pa

        self._staged.add(table)
        self.warehouse.command(f"DROP TABLE IF EXISTS {table}")
        self.warehouse.command(f"CREATE TABLE {table} (wallet FixedString(20)) ENGINE = Memory")
        if len(wallets):
            self.warehouse.insert_arrow(table, pa.table({"wallet": binary(wallets)}))

    def forget_staged(self) -> None:
        """Give the memory of everything that was staged back: processes that build live long."""
        for table in sorted(self._staged):
            self.warehouse.command(f"DROP TABLE IF EXISTS {table}")
        self._staged.clear()

    def truncate(self, *tables: str) -> None:
        """Empty tables that builds fill and empty."""
        for table in tables:
            self.warehouse.command(f"TRUNCATE TABLE {table}")

    def bury(self, table: str, condition: str) -> None:
        """Tombstones for rows of older builds that this partial build did not write again. Nothing in a full one.

        Args:
            table: a published table keyed by wallet.
            condition: on ``wallet``: those that were built.
        """
        if not self.full:
            self.warehouse.command(
                f"INSERT INTO {table} SELECT t.* REPLACE ({self.version} AS version, 1 AS is_deleted) FROM {table} AS t"
                f" FINAL WHERE t.version < {self.version} AND {condition}"
            )

    def _run(self, sql: str) -> None:
        used = {name: value for name, value in self.params.items() if f"{{{name}:" in sql}
        self.warehouse.command(f"{sql} {BULK}", used or None)

    def _columns(self, table: str) -> list[str]:
        rows = self.warehouse.query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
            " AND name != 'is_deleted' ORDER BY position",
            {"t": table},
        ).rows
        return [name for (name,) in rows]


def model_sql(model: str, condition: str) -> str:
    """The SELECT of one model file for the wallets that ``condition`` (SQL on ``wallet``) chooses."""
    return _model_text(model).replace("/*wallets*/", condition)


def _model_text(model: str) -> str:
    return (resources.files("polyhouse.models") / f"{model}.sql").read_text(encoding="utf-8")
