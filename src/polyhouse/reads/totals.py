"""The totals of a wallet in one category and window, under the names of the published documents (accounting §3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyhouse.domain.categories import CATEGORIES
from polyhouse.domain.suggestions import check_word
from polyhouse.models.questions import named
from polyhouse.reads.exact import moment, money
from polyhouse.reads.ratios import omega_of, omega_shrunk_of, roi_of, win_rate_of

OVERALL = "overall"
WINDOWS = ("1d", "7d", "30d", "90d", "180d", "lifetime")

COLUMNS = (
    "category", "realized", "unrealized", "unrealized_marked", "unmarked", "fees", "income", "untracked_cash",
    "redeemed_cash", "volume", "trades", "markets", "wins", "losses", "flats", "open_units", "gains", "losses_abs",
    "bought_cost",
)  # fmt: skip
"""Columns of ``wallet_totals`` that ``totals_document`` needs, besides the two times of ``CHOSEN``."""

CHOSEN = named(*COLUMNS, first_trade="toUnixTimestamp(first_trade_ts)", last_trade="toUnixTimestamp(last_trade_ts)")
"""The same with the times: name → SQL."""

SELECT_LIST = ", ".join(name if sql == name else f"{sql} AS {name}" for name, sql in CHOSEN.items())


def totals_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of ``wallet_totals`` (columns of ``CHOSEN``) as the published totals.

    Money in USDC. ``unrealized``, ``position_pnl`` and what follows from them are None while an open position has no
    mark; ``unrealized_marked`` is the sum over those that have one and ``unmarked`` how many have none.
    """
    realized, unrealized = int(row["realized"]), row["unrealized"]
    pnl = None if unrealized is None else realized + int(unrealized)
    fees, income = int(row["fees"]), int(row["income"])
    gains, losses = int(row["gains"]), int(row["losses_abs"])
    wins, lost, flats = int(row["wins"]), int(row["losses"]), int(row["flats"])
    return {
        "realized": money(realized),
        "unrealized": money(unrealized),
        "unrealized_marked": money(row["unrealized_marked"]),
        "unmarked": int(row["unmarked"]),
        "position_pnl": money(pnl),
        "fees": money(fees),
        "gross_of_fees": money(None if pnl is None else pnl + fees),
        "income": money(income),
        "economic_pnl": money(None if pnl is None else pnl + income),
        "untracked_cash": money(row["untracked_cash"]),
        "redeemed_cash": money(row["redeemed_cash"]),
        "volume": money(row["volume"]),
        "trades": int(row["trades"]),
        "markets": int(row["markets"]),
        "wins": wins,
        "losses": lost,
        "flats": flats,
        "open_units": int(row["open_units"]),
        "gains": money(gains),
        "losses_abs": money(losses),
        "omega": omega_of(gains, losses, wins + lost + flats),
        "omega_shrunk": omega_shrunk_of(gains, losses),
        "win_rate": win_rate_of(wins, lost),
        "roi": roi_of(pnl, int(row["bought_cost"])),
        "first_trade_at": moment(row["first_trade"]),
        "last_trade_at": moment(row["last_trade"]),
    }


def no_totals() -> dict[str, Any]:
    """The totals of a wallet without any row: every sum is 0, every ratio undefined."""
    empty: dict[str, Any] = dict.fromkeys(COLUMNS, 0)
    return totals_document({**empty, "first_trade": 0, "last_trade": 0})


def check_window(window: str) -> str:
    """``window`` if it is one of ``WINDOWS``.

    Raises:
        BadInputError: it is not; lists them.
    """
    return check_word("window", window, WINDOWS)


def check_category(category: str) -> str:
    """``category`` if it is one of the categories or ``overall``.

    Raises:
        BadInputError: it is not; lists them.
    """
    return check_word("category", category, (OVERALL, *CATEGORIES))
