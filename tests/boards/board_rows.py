"""Rows of the tables that leaderboards read, made by hand."""

from __future__ import annotations

from itertools import count
from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard

USD = 1_000_000
DAY = 86_400
AS_OF = 1_790_000_000
_USUAL = {"gains": 200 * USD, "losses_abs": 100 * USD, "wins": 15, "losses": 10, "trades": 30}


def wallet(name: str) -> str:
    """``ab`` → the address made of it."""
    return "0x" + name * 20


def totals(
    warehouse: Warehouse, name: str, *, category: str = "overall", window: str = "lifetime", **values: Any
) -> None:
    _insert(
        warehouse, "wallet_totals",
        {"wallet": name, "category": category, "window": window, "unrealized": 0} | _USUAL | values,
    )  # fmt: skip


def measured(warehouse: Warehouse, name: str, *, window: str = "lifetime", **values: Any) -> None:
    _insert(warehouse, "wallet_metrics_complete", {"wallet": name, "window": window} | values)


_builds = count(1)


def built(warehouse: Warehouse, as_of: int = AS_OF) -> None:
    """Tell that a new build made what is there."""
    warehouse.command(f"INSERT INTO builds VALUES ({next(_builds)}, {as_of}, 'all', 1, 1, 0.1, now())")


def specialist(warehouse: Warehouse, name: str, category: str, *, q: float = 0.01, is_specialist: bool = True) -> None:
    _insert(
        warehouse, "category_specialists",
        {"wallet": name, "category": category, "q_value": q, "p_value": q, "is_specialist": is_specialist},
    )  # fmt: skip


def flag(warehouse: Warehouse, name: str, word: str, *, version: int = 1) -> None:
    _insert(
        warehouse, "wallet_flags", {"wallet": name, "flag": word, "meets": True, "status": "OK", "version": version}
    )


def once(warehouse: Warehouse, name: str, day: str, rank: int, above: int, *, sort: str = "pnl", **values: Any) -> None:
    """A place of the past."""
    _insert(
        warehouse, "leaderboard_history",
        {"wallet": name, "day": day, "category": "overall", "window": "lifetime", "sort": sort, "rank": rank,
         "above": above, "below": USD} | values,
    )  # fmt: skip


def _insert(warehouse: Warehouse, table: str, values: dict[str, Any]) -> None:
    values = {"version": 1} | values
    cells = ", ".join(_cell(name, value) for name, value in values.items())
    warehouse.command(f"INSERT INTO {table} ({', '.join(f'`{name}`' for name in values)}) VALUES ({cells})")


def _cell(name: str, value: Any) -> str:
    if name == "wallet":
        return f"unhex(repeat('{value}', 20))"
    if value is None:
        return "NULL"
    return f"'{value}'" if isinstance(value, str) else str(value)


def three_wallets(warehouse: Warehouse) -> None:
    """aa: good and steady; bb: rich by one hit, machine; cc: loses."""
    built(warehouse)
    totals(warehouse, "aa", realized=100 * USD, bought_cost=400 * USD, volume=800 * USD, trades=40, markets=12,
           last_trade_ts=AS_OF - 2 * DAY)  # fmt: skip
    totals(warehouse, "bb", realized=900 * USD, unrealized=-100 * USD, bought_cost=1_000 * USD, volume=9_000 * USD,
           trades=400, markets=90, wins=5, losses=20, gains=1_900 * USD, losses_abs=1_000 * USD,
           last_trade_ts=AS_OF)  # fmt: skip
    totals(warehouse, "cc", realized=-60 * USD, bought_cost=300 * USD, volume=300 * USD, trades=25, markets=20,
           wins=10, losses=15, gains=40 * USD, losses_abs=100 * USD, last_trade_ts=AS_OF - 40 * DAY)  # fmt: skip
    steady = {"active_days": 10, "track_record_days": 100, "stake_median": 10, "hours_held_median": 24}
    measured(warehouse, "aa", **steady, max_drawdown=30, max_drawdown_percent=12.5, one_hit_share=0.3,
             roi_without_best_3=0.05, sharpe=2.5)  # fmt: skip
    measured(warehouse, "bb", active_days=2, track_record_days=3, stake_median=60, hours_held_median=0.5,
             max_drawdown=800, max_drawdown_percent=80, one_hit_share=1.6, roi_without_best_3=-0.5,
             sharpe=0.1)  # fmt: skip
    measured(warehouse, "cc", **steady | {"stake_median": 9.5}, max_drawdown=60, max_drawdown_percent=90)


def ranked(warehouse: Warehouse, **query: Any) -> list[str]:
    """The first digits of the wallets of a page, in order."""
    return [row["wallet"][2:4] for row in leaderboard(warehouse, LeaderboardQuery(**query))["rows"]]
