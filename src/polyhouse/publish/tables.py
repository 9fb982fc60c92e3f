"""What is published: four tables of the systems that Polyhouse replaces, under their names and columns.

Each is a view of the warehouse (docs/tables.md), read as text, since PostgreSQL reads text into its own types exactly.
The types stand in the migrations of this package; a test holds both equal.
"""

from __future__ import annotations

from dataclasses import dataclass

WALLET = "wallet_address"
_MOMENT = "calculated_at"
_DIRECTIONS = "transform(assumeNotNull(m.trend), ['up', 'down', 'stable'], ['improving', 'declining', 'stable'], '')"
_LIST = (
    r"""concat('{', arrayStringConcat(arrayMap(x -> concat('"', replaceRegexpAll(x, '(["\\\\])', '\\\\\\1'), '"'),"""
    " r.discovery_sources), ','), '}')"
)
"""An array as PostgreSQL writes it."""
_PER_BET = (
    "if(r.closed_positions = 0, NULL, toDecimal128(roundBankers("
    "toDecimal256(r.total_gains - r.total_losses, 12) / r.closed_positions, 9), 9))"
)
_OMEGA_STATUS = (
    "multiIf(r.closed_positions = 0, 'NO_SAMPLE', r.total_losses != 0, 'OK',"
    " r.total_gains != 0, 'NO_LOSSES', 'ALL_FLAT')"
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``sql``: what it is in the warehouse, where ``r`` is the view; ``""`` = the column of that name."""

    name: str
    sql: str = ""

    @property
    def expression(self) -> str:
        """Its value as text, null where it has none."""
        return f"CAST({self.sql or 'r.' + self.name} AS Nullable(String)) AS {self.name}"


@dataclass(frozen=True, slots=True)
class Published:
    """One table.

    Attributes:
        name: of the table, and of the view that it is read from.
        key: columns that name a row.
        columns: all of them, the key too.
        trends: model table in which the trend of a row's bets stands; "" = none.
        silent: columns whose change alone is no change of the row.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    trends: str = ""
    silent: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column.name for column in self.columns)

    @property
    def compared(self) -> tuple[str, ...]:
        """Columns of which a change makes a row a changed one."""
        return tuple(name for name in self.names if name not in {*self.key, *self.silent})

    def select(self, *, knows_trends: bool, only: str = "") -> str:
        """The SELECT on the warehouse.

        Args:
            knows_trends: a build has made the columns of the metrics already.
            only: subquery of the addresses that are wanted; "" = all.
        """
        columns = ",\n    ".join(column.expression for column in self.columns)
        source = f"{self.name} AS r"
        if self.trends:
            on = " AND ".join(f"m.{name} = r.{name}" for name in self.key)
            source += f"\nLEFT JOIN ({_trends(self, knows_trends)}) AS m ON {on}"
        where = f"\nWHERE r.{WALLET} IN ({only})" if only else ""
        return f"SELECT\n    {columns}\nFROM {source}{where}"


def _trends(table: Published, knows_trends: bool) -> str:
    keys = [f"lower(concat('0x', hex(wallet))) AS {WALLET}", *table.key[1:]]
    if knows_trends:
        columns = "trend, omega_slope_30d AS slope"
        return f"SELECT {', '.join(keys)}, {columns} FROM {table.trends} FINAL WHERE window = 'lifetime'"
    columns = "toNullable('') AS trend, CAST(NULL AS Nullable(Float64)) AS slope"
    return f"SELECT {', '.join(keys)}, {columns} FROM {table.trends} LIMIT 0"


def _columns(words: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in words.split())


_TREND = (
    Column("omega_momentum", "m.slope"),
    Column("momentum_direction", f"if({_DIRECTIONS} = '', 'insufficient_data', {_DIRECTIONS})"),
)
_RESULTS = _columns(
    "omega_shrunk total_positions closed_positions total_pnl total_gains total_losses win_rate avg_gain avg_loss"
    " overall_roi grade"
)
_OMEGA = (Column("omega_ratio"), Column("omega_status", _OMEGA_STATUS), *_RESULTS, *_TREND)

WALLETS = Published(
    "wallets",
    (WALLET,),
    _columns(
        "wallet_address is_whale whale_score is_suspected_insider insider_score total_volume_usd total_trades"
        " total_markets_traded realized_pnl_usd unrealized_pnl_usd total_pnl_usd win_rate first_seen_at last_seen_at"
        " last_processed_at active_positions_count closed_positions_count portfolio_value_usd portfolio_last_updated"
        " updated_at"
    ),
)
WALLET_SYNC_METADATA = Published(
    "wallet_sync_metadata",
    (WALLET,),
    (
        *_columns(
            "wallet_address sync_status queue_status total_trades_synced total_trades_processed last_synced_at"
            " last_error error_count sync_duration_ms trades_per_second last_trade_timestamp needs_resync sync_version"
        ),
        Column("discovery_sources", _LIST),
        *_columns("whale_score last_attempt_at next_attempt_at due_at created_at last_seen_at updated_at"),
    ),
)
WALLET_SCORES = Published(
    "wallet_scores",
    (WALLET,),
    (Column(WALLET), *_OMEGA, *_columns("meets_minimum_trades whale_score insider_score calculated_at")),
    "wallet_metrics_complete",
    (_MOMENT,),
)
WALLET_SCORES_BY_CATEGORY = Published(
    "wallet_scores_by_category",
    (WALLET, "category"),
    (
        Column(WALLET),
        Column("category"),
        *_OMEGA,
        Column("roi_per_bet", _PER_BET),
        Column(_MOMENT),
    ),
    "wallet_metrics_by_category",
    (_MOMENT,),
)
TABLES = (WALLETS, WALLET_SYNC_METADATA, WALLET_SCORES, WALLET_SCORES_BY_CATEGORY)

SOURCES = ("wallet_registry", "wallet_totals", "wallet_scores_v1", "reported_values")
"""Tables of the warehouse whose newer versions tell which wallets changed. Metrics are built with the totals."""
BUILT = frozenset({"wallet_totals", "wallet_scores_v1"})
"""Those of them that builds write; the others are written by every reading."""
