"""Builds the model tables from the observations: all of them, or only the rows of the wallets that changed.

One ``.sql`` file per table; the same files serve both cases. A full build writes beside the published tables and
exchanges them at the end, so readers see the old build or the new one. A partial build inserts newer versions of the
touched wallets' rows and tombstones for rows that no longer exist.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise
from typing import Any

from polyhouse.metrics.catalogue import RELATIONS
from polyhouse.models import metric_tables
from polyhouse.models.days import store_days
from polyhouse.models.pairs import BULK, stage_pairs
from polyhouse.ports import Warehouse

WINDOWS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "180d": 180}
"""Window name → days. Windows end at the newest ledger row, so metrics are functions of rows alone."""

DAY_SECONDS = 86_400
SLICE_ROWS = 1_500_000
"""Observations per wallet slice: keeps the peak memory of a build independent of the universe."""
PRICE_SLICE_ROWS = 2_000_000
"""The same for the price history that scores need: it is cut by condition, and each cut reads all observations."""

BY_WALLET = (
    "ledger", "unmapped", "positions", "wallet_days", "units", "wallet_totals", "wallet_coverage", "wallet_scores_v1",
    *metric_tables.METRIC_TABLES,
)  # fmt: skip
"""Published tables that are keyed by wallet, in build order."""

_KEYS = {
    "ledger": "wallet, token, ts, block, tx_index, pos, cls, sub, tx, row_key",
    "unmapped": "wallet, token, condition",
    "positions": "wallet, token",
    "wallet_days": "wallet, category, day",
    "units": "wallet, unit",
    "wallet_totals": "wallet, category, window",
    "wallet_coverage": "wallet",
    "wallet_scores_v1": "wallet",
}

_TOUCHED = "FROM observations WHERE wallet IN (SELECT wallet FROM touched_wallets)"
_CONVERTED = f"SELECT condition {_TOUCHED} AND kind = 'CONVERT'"
# What splits and the like touched is known by its condition, what conversions touched by the market or one of its legs.
_TOUCHED_CONDITIONS = (
    f"SELECT condition FROM token_map FINAL WHERE token IN (SELECT token {_TOUCHED})"
    f" OR condition IN (SELECT condition {_TOUCHED}) OR neg_risk_market != '' AND (neg_risk_market IN ({_CONVERTED})"
    f" OR neg_risk_market IN (SELECT neg_risk_market FROM token_map FINAL WHERE condition IN ({_CONVERTED})))"
)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. ``wallets`` is None for a full build; ``as_of`` is the end of all windows (Unix seconds)."""

    build: int
    as_of: int
    wallets: int | None
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)


def build(warehouse: Warehouse, wallets: Sequence[bytes] | None = None) -> BuildReport:
    """Rebuild every model table, or only the rows of ``wallets``.

    A partial build also takes the holders of tokens whose resolution or mark changed. It needs a previous full build;
    without one it becomes a full build.

    Args:
        warehouse: the open warehouse.
        wallets: 20-byte addresses; None = all.
    """
    started = time.monotonic()
    first = not warehouse.query("SELECT count() FROM builds").rows[0][0]
    run = _Build(warehouse, None if wallets is None or first else list(dict.fromkeys(wallets)))
    report = run.execute(started)
    warehouse.command(
        "INSERT INTO builds SELECT {b:UInt64}, toDateTime({a:UInt32}, 'UTC'), {s:String}, {w:UInt64}, {r:UInt64},"
        " {t:Float64}, now()",
        {
            "b": report.build, "a": report.as_of, "s": "all" if report.wallets is None else "touched",
            "w": report.wallets or 0, "r": report.rows.get("ledger", 0), "t": report.seconds,
        },
    )  # fmt: skip
    return report


class _Build:
    """One build: its version, its windows and where it writes."""

    def __init__(self, warehouse: Warehouse, wallets: list[bytes] | None) -> None:
        self.warehouse = warehouse
        self.wallets = wallets
        self.version = time.time_ns() // 1000
        previous = warehouse.query("SELECT max(build) FROM builds").rows[0][0]
        self.version = max(self.version, int(previous) + 1)
        self.as_of = 0
        self.params: dict[str, int] = {}
        self._staged: set[str] = set()

    @property
    def full(self) -> bool:
        return self.wallets is None

    def execute(self, started: float) -> BuildReport:
        metric_tables.prepare_metric_tables(self.warehouse)
        self._fix_windows()
        self._build_token_map()
        if self.wallets is not None:
            self._stage_touched()
        self._prepare_targets()
        self._stage_day_marks()
        for condition in self._slices():
            self._build_slice(condition)
        self._truncate("day_marks")
        self._score()
        measured_all = self._measure()
        self._forget_staged()
        if self.full:
            self._publish()
        else:
            self._bury()
        if measured_all:
            metric_tables.store_catalogue(self.warehouse, self.version)
        rows = {
            table: int(self.warehouse.query(f"SELECT count() FROM {table} WHERE version = {self.version}").rows[0][0])
            for table in BY_WALLET
        }
        touched = None if self.wallets is None else len(self.wallets)
        return BuildReport(self.version, self.as_of, touched, time.monotonic() - started, rows)

    def _fix_windows(self) -> None:
        newest = self.warehouse.query(
            "SELECT toUnixTimestamp(max(ts)) FROM observations"
            " WHERE toString(kind) NOT IN ('DEPOSIT', 'WITHDRAWAL', 'TIP')"
        ).rows[0][0]
        self.as_of = int(newest)
        self.params = {f"b_{name}": max(self.as_of - days * DAY_SECONDS, 0) for name, days in WINDOWS.items()}
        self.params["as_of"] = self.as_of

    def _build_token_map(self) -> None:
        command = self.warehouse.command
        self._stage("fill_marks", "1")
        command("DROP TABLE IF EXISTS token_map__next")
        command("CREATE TABLE token_map__next AS token_map")
        self._insert("token_map", "token_map__next", "1")
        if not self.full:
            self._add_holders_of_changed_tokens()
        command("EXCHANGE TABLES token_map AND token_map__next")
        command("DROP TABLE token_map__next")

    def _add_holders_of_changed_tokens(self) -> None:
        rows = self.warehouse.query(
            "SELECT DISTINCT p.wallet FROM positions AS p FINAL WHERE p.token IN ("
            " SELECT n.token FROM token_map__next AS n LEFT JOIN (SELECT * FROM token_map FINAL) AS o"
            " ON o.token = n.token WHERE (n.resolved, n.numerator, n.denominator, n.resolved_ts, n.category,"
            " n.neg_risk_market) != (o.resolved, o.numerator, o.denominator, o.resolved_ts, o.category,"
            " o.neg_risk_market)) OR (p.status = 'OPEN' AND p.token IN ("
            " SELECT n.token FROM token_map__next AS n LEFT JOIN (SELECT * FROM token_map FINAL) AS o"
            " ON o.token = n.token WHERE n.mark_e6 IS DISTINCT FROM o.mark_e6))"
        ).rows
        known = set(self.wallets or ())
        self.wallets = [*(self.wallets or ()), *(w for (w,) in map(_as_bytes, rows) if w not in known)]

    def _stage_touched(self) -> None:
        import pyarrow as pa

        self.warehouse.command("DROP TABLE IF EXISTS touched_wallets")
        self.warehouse.command(
            "CREATE TABLE touched_wallets (wallet FixedString(20)) ENGINE = MergeTree ORDER BY wallet"
        )
        column = pa.array(self.wallets or [], type=pa.binary(20))
        if len(column):
            self.warehouse.insert_arrow("touched_wallets", pa.table({"wallet": column}))

    def _prepare_targets(self) -> None:
        for table in BY_WALLET if self.full else ():
            self.warehouse.command(f"DROP TABLE IF EXISTS {table}__next")
            self.warehouse.command(f"CREATE TABLE {table}__next AS {table}")

    def _slices(self, *, everyone: bool = False) -> Iterator[str]:
        """Conditions on ``wallet`` that cut the work into ranges of the primary key."""
        scope = "1" if self.full or everyone else "wallet IN (SELECT wallet FROM touched_wallets)"
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

    def _reads(self) -> dict[str, str]:
        """Where each published table is read and written during this build."""
        return {table: f"{table}__next" if self.full else table for table in BY_WALLET}

    def _build_slice(self, condition: str) -> None:
        reads = self._reads()
        self._stage_claims(condition)
        self._insert("unmapped", reads["unmapped"], condition, reads)
        self._insert("ledger", reads["ledger"], condition, reads)
        if not self.full:
            self._bury_table("ledger", condition)
        self._stage_pairs(condition, reads)
        self._insert("positions", reads["positions"], condition, reads)
        for table in () if self.full else ("positions", "wallet_days"):
            self._bury_table(table, condition)
        for table in ("units", "wallet_totals", "wallet_coverage"):
            self._insert(table, reads[table], condition, reads)

    def _stage_claims(self, condition: str) -> None:
        """Find the transactions of which several sources tell, and who wins there."""
        for table in ("contested", "best_claims", "chain_conditions"):
            self._stage(table, condition)

    def _stage(self, model: str, condition: str) -> None:
        """Keep what a model file selects in memory, for the statements that follow."""
        self._stage_rows(model, self._sql(model, condition, {}))

    def _stage_rows(self, table: str, sql: str) -> None:
        self._staged.add(table)
        self.warehouse.command(f"DROP TABLE IF EXISTS {table}")
        self._command(f"CREATE TABLE {table} ENGINE = Memory AS {sql}")

    def _forget_staged(self) -> None:
        """Give the memory of everything that was staged back: processes that build live long."""
        for table in sorted(self._staged):
            self.warehouse.command(f"DROP TABLE IF EXISTS {table}")
        self._staged.clear()
        self._truncate("pair_states", "pair_sums")

    def _stage_pairs(self, condition: str, reads: dict[str, str]) -> None:
        """Fill ``pair_states`` and ``pair_sums`` with what the slice's ledger rows come to."""
        for table, columns, kinds in (
            ("converted", "wallet, unit AS market", "kind = 'CONVERT'"),
            ("joined_wallets", "wallet", "kind IN ('CONVERT', 'MIGRATE')"),
        ):
            self._stage_rows(
                table, f"SELECT DISTINCT {columns} FROM {reads['ledger']} FINAL WHERE {kinds} AND {condition}"
            )
        self._truncate("pair_states", "pair_sums")
        ledger = reads["ledger"]
        pairs = stage_pairs(self.warehouse, ledger, condition, [self.params[f"b_{name}"] for name in WINDOWS])
        store_days(self.warehouse, pairs, ledger, condition, reads["wallet_days"], self.as_of, self.version)

    def _stage_day_marks(self) -> None:
        """What the tokens of the chosen wallets were worth at the end of each day."""
        self._truncate("day_marks")
        for cut in self._price_cuts():
            self._insert("day_marks", "day_marks", cut)

    def _price_cuts(self) -> Iterator[str]:
        """Conditions on ``condition`` that cut the markets of the chosen wallets into parts of a bounded history."""
        conditions, chosen = "1", "1"
        if not self.full:
            conditions = f"condition IN ({_TOUCHED_CONDITIONS})"
            chosen = f"token IN (SELECT token FROM token_map FINAL WHERE {conditions})"
        rows = self.warehouse.query(f"SELECT count() FROM observations WHERE {chosen}").rows[0][0]
        count = int(rows) // PRICE_SLICE_ROWS + 1
        for place in range(count):
            yield f"{conditions} AND cityHash64(condition) % {count} = {place}"

    def _score(self) -> None:
        """Scores of the chosen wallets: their purchases against everybody's prices, some conditions at a time."""
        wallets = "1" if self.full else "wallet IN (SELECT wallet FROM touched_wallets)"
        staged = ("scored_tokens", "fill_prices", "purchases")
        self._truncate(*staged)
        for cut in self._price_cuts():
            self._truncate("scored_tokens", "fill_prices")
            self._insert("scored_tokens", "scored_tokens", cut)
            self._insert("fill_prices", "fill_prices", "1")
            self._insert("purchases", "purchases", wallets, self._reads())
        for condition in self._slices():
            self._insert("wallet_scores_v1", self._reads()["wallet_scores_v1"], condition, self._reads())
        self._truncate(*staged)

    def _measure(self) -> bool:
        """Metrics of the chosen wallets; of all, which is then the answer, if the definitions changed since."""
        everyone = self.full or not metric_tables.is_current(self.warehouse)
        reads = self._reads()
        for condition in self._slices(everyone=everyone):
            for relation in RELATIONS:
                self._stage_rows(relation.name, self._sql(relation.name, condition, reads))
                self._stage_rows(metric_tables.measured(relation), metric_tables.measured_sql(relation))
                self.warehouse.command(f"DROP TABLE {relation.name}")
            for table in metric_tables.METRIC_TABLES:
                self._insert_rows(metric_tables.rows_sql(table), reads[table])
                if not self.full:
                    self._bury_table(table, condition)
        return everyone

    def _truncate(self, *tables: str) -> None:
        for table in tables:
            self.warehouse.command(f"TRUNCATE TABLE {table}")

    def _publish(self) -> None:
        for table in BY_WALLET:
            self.warehouse.command(f"EXCHANGE TABLES {table} AND {table}__next")
            self.warehouse.command(f"DROP TABLE {table}__next")

    def _bury(self) -> None:
        for table in ("unmapped", "units", "wallet_totals", "wallet_coverage", "wallet_scores_v1"):
            self._bury_table(table, "wallet IN (SELECT wallet FROM touched_wallets)")
        self.warehouse.command("DROP TABLE touched_wallets")

    def _bury_table(self, table: str, condition: str) -> None:
        """Tombstones for the touched wallets' rows of older builds that this build did not write again."""
        self.warehouse.command(
            f"INSERT INTO {table} SELECT t.* REPLACE ({self.version} AS version, 1 AS is_deleted) FROM {table} AS t"
            f" FINAL WHERE t.version < {self.version} AND {condition}"
        )

    def _insert(self, model: str, target: str, condition: str, reads: dict[str, str] | None = None) -> None:
        self._insert_rows(self._sql(model, condition, reads or {}), target)

    def _insert_rows(self, sql: str, target: str) -> None:
        columns = _columns(self.warehouse, target)
        chosen = ", ".join(columns)
        values = ", ".join(f"{self.version} AS version" if c == "version" else c for c in columns)
        self._command(f"INSERT INTO {target} ({chosen}) SELECT {values} FROM ({sql})")

    def _command(self, sql: str) -> None:
        used = {name: value for name, value in self.params.items() if f"{{{name}:" in sql}
        self.warehouse.command(f"{sql} {BULK}", used or None)

    def _sql(self, model: str, condition: str, reads: dict[str, str]) -> str:
        text = model_sql(model, condition)
        for table, actual in reads.items():
            if actual != table:
                for keyword in ("FROM", "JOIN"):
                    text = text.replace(f"{keyword} {table} ", f"{keyword} {actual} ")
        return text


def model_sql(model: str, condition: str) -> str:
    """The SELECT of one model file for the wallets that ``condition`` (SQL on ``wallet``) chooses."""
    text = (resources.files("polyhouse.models") / f"{model}.sql").read_text(encoding="utf-8")
    return text.replace("/*wallets*/", condition)


def _columns(warehouse: Warehouse, table: str) -> list[str]:
    rows = warehouse.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
        " AND name != 'is_deleted' ORDER BY position",
        {"t": table},
    ).rows
    return [name for (name,) in rows]


def _as_bytes(row: tuple[Any, ...]) -> tuple[bytes]:
    return (bytes(row[0]),)
