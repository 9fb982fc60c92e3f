"""``units`` and ``wallet_totals``: BigQuery computes them itself, from its own trades, movements and positions. And the
view ``leaderboard``, which costs nothing until somebody asks it.

The models are neutral SQL (``models/*.sql``), transpiled by sqlglot to the dialect that runs them.
Nothing of ClickHouse's dialect is transpiled *from*: that is unsafe.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from polyhouse.errors import ConfigError
from polyhouse.warehouse.bigquery.location import INSTALL, NOT_INSTALLED
from polyhouse.warehouse.bigquery.schema import MOVEMENTS, POSITIONS, TRADES, Table

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

UNITS = Table(
    "units",
    {
        "wallet": "address", "unit_id": "token", "condition_ids": "texts", "category": "word", "realized": "integer",
        "unrealized": "integer", "unmarked": "integer", "cost": "integer", "bought_cost": "integer", "fees": "integer",
        "untracked_cash": "integer", "redeemed_cash": "integer", "is_open": "flag", "result": "word",
        "closed_at": "time", "first_at": "time", "last_at": "time",
    },
    key=("wallet", "unit_id"),
    cluster=("wallet",),
    wallet="wallet",
)  # fmt: skip
"""Positions by market (or neg-risk market), with the result."""

TOTALS = Table(
    "wallet_totals",
    {
        "wallet": "address", "category": "word", "period": "word", "realized": "integer", "unrealized": "integer",
        "unrealized_marked": "integer", "unmarked": "integer", "fees": "integer", "income": "integer",
        "untracked_cash": "integer", "redeemed_cash": "integer", "volume": "integer", "trades": "integer",
        "markets": "integer", "wins": "integer", "losses": "integer", "flats": "integer", "open_units": "integer",
        "gains": "integer", "losses_abs": "integer", "bought_cost": "integer", "first_trade_at": "time",
        "last_trade_at": "time",
    },
    key=("wallet", "category", "period"),
    cluster=("wallet",),
    wallet="wallet",
)  # fmt: skip
"""Totals per wallet, category (``overall`` = all) and period (``lifetime`` or a window; a word that is reserved)."""

TOUCHED = Table(
    "staging_touched",
    {"wallet": "address", "period": "word", "begins": "time"},
    key=("wallet", "period"),
    source="""
SELECT lower(concat('0x', hex(wallet))) AS wallet, one.1 AS period,
       if(one.2 = 0, toInt64(-1), greatest(toInt64(toUnixTimestamp(as_of)) - one.2 * 86400, 0)) AS begins
FROM bigquery_touched
ARRAY JOIN [('lifetime', 0), ('1d', 1), ('7d', 7), ('30d', 30), ('90d', 90), ('180d', 180)] AS one""",
)
"""Scratch: the wallets to compute, with the moment after which each period begins."""

VALUES = Table(
    "staging_window_values",
    {
        "wallet": "address", "category": "word", "period": "word", "realized": "integer",
        "unrealized_marked": "integer", "unmarked": "integer", "bought_cost": "integer",
    },
    key=("wallet", "category", "period"),
    source="""
SELECT lower(concat('0x', hex(wallet))) AS wallet, toString(category) AS category, toString(window) AS period,
       realized, unrealized_marked, unmarked, bought_cost
FROM
(
    SELECT * FROM wallet_totals FINAL WHERE window != 'lifetime' AND wallet IN (SELECT wallet FROM bigquery_touched)
)""",
)  # fmt: skip
"""Scratch: what was realised, bought and left open inside a window. It follows from the state of the ordered fold at
the window's start, which no sum of rows gives; so it comes from the loader."""

COMPUTED = (UNITS, TOTALS)
"""In the order in which they are computed: totals read units."""

VIEWS = ("leaderboard",)
"""Views of the dataset, on what it computed."""

READS: dict[str, tuple[tuple[Table, tuple[str, ...] | None], ...]] = {
    "units": ((POSITIONS, None),),
    "wallet_totals": (
        (TRADES, ("wallet_address", "timestamp", "condition_id", "category", "fee", "volume", "counts")),
        (MOVEMENTS, ("wallet_address", "timestamp", "condition_id", "category", "fee", "kind", "cash_change")),
        (UNITS, None),
    ),
}
"""What each model reads, for the accounting: tables and their columns (None = all)."""


@cache
def model_sql(name: str, dialect: str = "bigquery") -> str:
    """The SELECT of a model in a dialect of sqlglot's.

    Raises:
        ConfigError: the optional dependencies are not installed.
    """
    return str(_parsed(name).sql(dialect=dialect, comments=False))


@cache
def view_sql(name: str, dataset: str) -> str:
    """The SELECT of a view, in BigQuery's dialect: a view names its tables in full.

    Args:
        name: of the view.
        dataset: ``project.dataset``.

    Raises:
        ConfigError: the optional dependencies are not installed.
    """
    tree = _parsed(name)
    from sqlglot import exp

    project, _, folder = dataset.rpartition(".")
    within = {one.alias for one in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.name not in within:
            table.set("catalog", exp.to_identifier(project, quoted=True))
            table.set("db", exp.to_identifier(folder, quoted=True))
    return str(tree.sql(dialect="bigquery", comments=False))


def _parsed(name: str) -> Expr:
    text = (resources.files("polyhouse.warehouse.bigquery") / "models" / f"{name}.sql").read_text(encoding="utf-8")
    try:
        import sqlglot
    except ImportError as error:
        raise ConfigError(NOT_INSTALLED, hint=INSTALL) from error
    return sqlglot.parse_one(text)
