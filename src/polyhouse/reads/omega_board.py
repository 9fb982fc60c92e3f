"""The leaderboard in the words of the older API (seed_systems.md §1.5): its parameters, its fields beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.metrics.exact import nine
from polyhouse.ports import Warehouse
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard
from polyhouse.reads.totals import OVERALL

PARAMETERS = {"sort_by": "sort"}
"""Parameters of the older API → ours. ``limit``, ``min_trades``, ``window`` and ``category`` have one name in both."""
_ALL = "all"
_DIRECTIONS = {"improving": "up", "declining": "down", "stable": "stable"}


def omega_leaderboard(warehouse: Warehouse, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The document of ``leaderboard``, and in it ``success``, ``sort_by`` and ``data``: its rows in the older words.

    Unlike the older API it leaves nobody out for an omega below 1, keeps the window that was asked for, and has null
    where there is no value: ``omega_ratio`` beside ``omega_status``. ``win_rate`` and ``pct_of_total_trades`` are
    from 0 to 100 there, and fractions in our rows.

    Args:
        warehouse: the open warehouse.
        arguments: fields of ``LeaderboardQuery``, or ``PARAMETERS``; the category ``all`` is ``overall``.

    Raises:
        BadInputError: as ``leaderboard``; an unknown parameter, or one under both of its names.
    """
    document = leaderboard(warehouse, omega_query(arguments))
    trends = _trends(warehouse, document)
    data = [_row(row, document, trends.get(row["wallet"])) for row in document["rows"]]
    return document | {"success": True, "sort_by": document["sort"], "data": data}


def omega_query(arguments: Mapping[str, Any]) -> LeaderboardQuery:
    """The question that arguments of either API ask."""
    given = dict(arguments)
    for old, ours in PARAMETERS.items():
        if old in given:
            if ours in given:
                raise BadInputError(f"{old} and {ours} are the same", hint=f"leave {old} out")
            given[ours] = given.pop(old)
    if given.get("category") == _ALL:
        given["category"] = OVERALL
    unknown = sorted(set(given) - set(LeaderboardQuery().arguments()))
    if unknown:
        raise BadInputError(f"unknown parameter {unknown[0][:40]!r}")
    return LeaderboardQuery(**given)


def _trends(warehouse: Warehouse, document: Mapping[str, Any]) -> dict[str, str]:
    """The trend of the bets of each wallet of a page, where it has one."""
    wallets = [parse_address(row["wallet"]).hex() for row in document["rows"]]
    if not wallets or document["window"] not in METRIC_WINDOWS:
        return {}
    table, condition = "wallet_metrics_complete", "window = {window:String}"
    bound = {"window": document["window"], "wallets": wallets}
    if document["category"] != OVERALL:
        table, condition = "wallet_metrics_by_category", f"{condition} AND category = {{category:String}}"
        bound["category"] = document["category"]
    rows = warehouse.query(
        f"SELECT lower(hex(wallet)), assumeNotNull(trend) FROM {table} FINAL WHERE {condition} AND trend IS NOT NULL"
        " AND wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))",
        bound,
    ).rows
    return {f"0x{wallet}": str(trend) for wallet, trend in rows}


def _row(row: Mapping[str, Any], document: Mapping[str, Any], trend: str | None) -> dict[str, Any]:
    metrics = row["metrics"] or {}
    units = row["units"]
    result = row["gains"] - row["losses_abs"]
    return {
        "wallet_id": row["wallet"],
        "wallet_alias": None,
        "omega_ratio": row["omega"]["value"],
        "omega_status": row["omega"]["status"],
        "omega_momentum": metrics.get("omega_slope_30d"),
        "grade": row["grade"],
        "momentum_direction": _DIRECTIONS.get(trend or ""),
        "total_pnl": row["position_pnl"],
        "total_gains": row["gains"],
        "total_losses": row["losses_abs"],
        "win_rate": _percent(row["win_rate"]),
        "avg_gain": metrics.get("avg_win"),
        "avg_loss": metrics.get("avg_loss"),
        "total_positions": units + row["open_units"],
        "closed_positions": units,
        "calculated_at": document["as_of"],
        "roi_per_bet": nine(int(result.scaleb(6)), units * 1_000_000) if units else None,
        "overall_roi": row["roi"],
        "sharpe_ratio": metrics.get("sharpe"),
        "tail_ratio": metrics.get("tail_ratio"),
        "ev_per_hour": metrics.get("return_per_dollar_hour"),
        "track_record_days": metrics.get("track_record_days"),
        "bets_per_week": metrics.get("bets_per_week"),
        "performance_trend": trend,
        "window": document["window"],
        "category": document["category"],
        "trades_in_category": row["trades"],
        "pct_of_total_trades": _percent(row["category_trade_share"]),
    }


def _percent(share: Decimal | None) -> Decimal | None:
    return None if share is None else share.scaleb(2)
