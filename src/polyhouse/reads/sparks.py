"""Equity of several wallets as a few points each: the small lines beside a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from polyhouse.metrics.metric import METRIC_WINDOWS
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import money

POINTS = 40
_DAY_SECONDS = 86_400


def sparks(
    warehouse: Warehouse, wallets: Sequence[str], *, category: str, window: str
) -> Mapping[str, list[Decimal | None]]:
    """Address → equity (realised + unrealised PnL, USDC) at the end of up to ``POINTS`` equal stretches of the window.

    A stretch in which nothing changed keeps the value before it; the first values are None until there is one. Wallets
    without any day are missing.

    Args:
        warehouse: the open warehouse.
        wallets: addresses, ``0x`` and 40 hex digits.
        category: ``overall`` or one of ``domain.categories``.
        window: a window of the metrics; shorter ones are shown within 30 days.
    """
    if not wallets:
        return {}
    last = newest_build_time(warehouse) // _DAY_SECONDS
    days = METRIC_WINDOWS.get(window, METRIC_WINDOWS["30d"])
    rows = warehouse.query(
        "SELECT concat('0x', lower(hex(wallet))) AS address, groupArray((toUInt16(day), equity)) FROM"
        " (SELECT wallet, day, equity FROM wallet_days FINAL WHERE category = {category:String}"
        " AND wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))"
        " AND equity IS NOT NULL ORDER BY wallet, day) GROUP BY address",
        {"category": category, "wallets": [wallet[2:] for wallet in wallets]},
    ).rows
    return {
        str(address): _stretches(series, last - days if days else int(series[0][0]), last) for address, series in rows
    }


def _stretches(series: Sequence[tuple[int, int]], first: int, last: int) -> list[Decimal | None]:
    points = max(2, min(POINTS, last - first + 1))
    ends = [first + (last - first) * step // (points - 1) for step in range(points)]
    values: list[Decimal | None] = []
    known: int | None = None
    place = 0
    for end in ends:
        while place < len(series) and int(series[place][0]) <= end:
            known = int(series[place][1])
            place += 1
        values.append(money(known))
    return values
