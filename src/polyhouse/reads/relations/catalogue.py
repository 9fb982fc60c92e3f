"""The tables that programs ask for by name: the view behind each, and how a question about few wallets stays small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from polyhouse.domain.suggestions import did_you_mean
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse

_FILLS = """
(
    SELECT
        lower(concat('0x', hex(l.wallet))) AS wallet,
        toString(reinterpretAsUInt256(reverse(l.token))) AS token_id,
        if(m.condition = '', NULL, lower(concat('0x', hex(m.condition)))) AS condition_id,
        if(m.condition = '', NULL, m.outcome) AS outcome_index,
        if(m.condition = '', NULL, toString(m.category)) AS category,
        l.ts AS ts,
        toString(l.kind) AS side,
        nullIf(toString(l.role), '') AS role,
        toDecimal128(abs(l.ds), 6) / 1000000 AS shares,
        toDecimal128(if(l.ds = 0, NULL, intDiv(toInt128(l.volume) * 1000000000, abs(l.ds))), 9) / 1000000000 AS price,
        toDecimal128(l.volume, 6) / 1000000 AS volume,
        toDecimal128(l.du, 6) / 1000000 AS cash,
        toDecimal128(l.fee, 6) / 1000000 AS fee,
        lower(concat('0x', hex(l.tx))) AS tx_hash,
        nullIf(l.block, 0) AS block,
        toString(l.source) AS source
    FROM (SELECT * FROM ledger FINAL WHERE kind IN ('BUY', 'SELL')) AS l
    LEFT ANY JOIN (SELECT token, condition, outcome, category FROM token_map FINAL{scope}) AS m ON m.token = l.token
)
"""
_ONLY_ITS_TOKENS = " WHERE token IN (SELECT token FROM ledger)"


@dataclass(frozen=True, slots=True)
class Source:
    """One table for programs.

    Attributes:
        name: as people ask for it.
        about: one line: what a row is.
        relation: a view, or a subquery; ``{scope}`` stands where tokens of other wallets can be left out.
        time: column of the moment of a row, "" = it has none.
        category: column of the category, "" = it has none.
        key: column by which the stored tables are sorted, as people see it ("wallet", "token_id", "condition_id").
        stored: the tables it is made of that have this key; rows of other keys are not read from them.
        order: columns that order the rows of one key, for the same answer every time.
        is_built: it changes with builds only, so that between two of them it can be read in pieces.
    """

    name: str
    about: str
    relation: str
    time: str = ""
    category: str = ""
    key: str = ""
    stored: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    is_built: bool = True

    def sql(self, *, is_narrow: bool) -> str:
        """What stands behind FROM. ``is_narrow``: only some keys are read."""
        return self.relation.replace("{scope}", _ONLY_ITS_TOKENS if is_narrow else "")


def _of_wallets(name: str, about: str, view: str, stored: str, order: str, **others: Any) -> Source:
    return Source(name, about, view, key="wallet", stored=(stored,), order=tuple(order.split()), **others)


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        _of_wallets(
            "trades", "one fill that counts, both roles", _FILLS, "ledger", "ts token_id tx_hash cash shares",
            time="ts", category="category",
        ),
        _of_wallets(
            "ledger", "one change of a wallet's shares or cash", "vw_ledger", "ledger",
            "ts block tx_index pos sub token_id tx_hash", time="ts",
        ),
        _of_wallets(
            "positions", "one token that a wallet ever held", "vw_positions", "positions", "token_id",
            time="last_ts", category="category",
        ),
        _of_wallets(
            "units", "one bet: a condition, or a neg-risk market", "vw_units", "units", "unit_id",
            time="last_ts", category="category",
        ),
        _of_wallets(
            "totals", "totals of a wallet per category and window", "vw_wallet_totals", "wallet_totals",
            "category window", category="category",
        ),
        _of_wallets(
            "days", "a day on which a wallet's results changed", "vw_wallet_days", "wallet_days", "category day",
            time="day", category="category",
        ),
        _of_wallets(
            "metrics", "every metric of a wallet, one column each, per window", "wallet_metrics_complete",
            "wallet_metrics_complete", "window",
        ),
        _of_wallets(
            "metrics_by_category", "the same per category", "wallet_metrics_by_category",
            "wallet_metrics_by_category", "category window", category="category",
        ),
        _of_wallets(
            "priced_trades", "trades with the prices around them", "vw_priced_trades", "priced_trades",
            "at token_id", time="at", category="category",
        ),
        _of_wallets("scores", "whale and insider scores", "vw_wallet_scores_v1", "wallet_scores_v1", ""),
        _of_wallets("coverage", "where a wallet's numbers come from", "vw_wallet_coverage", "wallet_coverage", ""),
        _of_wallets("intervals", "bootstrap intervals", "vw_wallet_intervals", "wallet_intervals", "category window",
                    category="category"),
        _of_wallets("observations", "one row as a source told it", "vw_observations", "observations",
                    "ts token_id tx_hash source kind pos sub ordinal", time="ts", is_built=False),
        _of_wallets("reported_positions", "positions as Polymarket reports them", "vw_reported_positions",
                    "reported_positions", "token_id", is_built=False),
        Source("flags", "flags of wallets with p- and q-values", "vw_wallet_flags"),
        Source("specialists", "wallets tested for being specialists", "vw_category_specialists", category="category"),
        Source("category_stats", "what it is like to bet in a category", "vw_category_stats", category="category"),
        Source("leaderboard_history", "the first places of every board, day by day", "vw_leaderboard_history",
               time="day", category="category"),
        Source("markets", "one market, the fullest source first", "markets_dim"),
        Source("events", "one event with its category", "vw_events", category="category"),
        Source("tokens", "one outcome token: market, payout, mark", "vw_token_map", category="category",
               key="token_id", stored=("token_map",)),
        Source("prices", "one price of a token", "vw_token_prices", time="ts", key="token_id",
               stored=("token_prices",), order=("ts", "block", "tx_index", "pos", "source")),
        Source("resolutions", "payout vectors", "vw_resolutions", time="ts"),
        Source("catalogue", "definitions of the metrics", "metric_catalogue"),
    )
}  # fmt: skip
"""Name → table. Every other view and table of docs/tables.md is asked for by its own name."""

KEY_COLUMNS: Mapping[str, tuple[str, int]] = {"wallet": ("wallet", 20), "token_id": ("token", 32)}
"""Key as people see it → the stored column and its bytes."""


def find_source(warehouse: Warehouse, name: str) -> Source:
    """The table of a name.

    Raises:
        BadInputError: there is none; the nearest name is suggested.
    """
    if name in SOURCES:
        return SOURCES[name]
    others = _stored_names(warehouse)
    if name in others:
        return Source(name, "", name)
    raise unknown_table(name, others)


def unknown_table(name: str, others: frozenset[str] = frozenset()) -> BadInputError:
    """The error for a name that no table has."""
    return BadInputError(
        f"there is no table {name[:60]!r}.{did_you_mean(name, [*SOURCES, *others])}",
        hint=f"one of: {' '.join(SOURCES)}; or a view of docs/tables.md by its own name",
    )


def _stored_names(warehouse: Warehouse) -> frozenset[str]:
    rows = warehouse.query("SELECT name FROM system.tables WHERE database = currentDatabase()").rows
    return frozenset(str(row[0]) for row in rows)


@cache
def shares_columns() -> frozenset[str]:
    """Columns that count shares; every other exact amount is USDC, prices are USDC a share."""
    return frozenset({
        "shares", "external_shares", "untracked_shares", "settled_shares", "share_change", "shares_gross",
        "refund_shares", "bought", "tracked", "balance", "shares_normalized",
    })  # fmt: skip
