"""The daily series of one wallet in one category: for charts, and to follow the metrics that are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from polyhouse.domain.categories import CATEGORIES
from polyhouse.domain.ids import format_address, parse_address
from polyhouse.domain.suggestions import check_word
from polyhouse.metrics.metric import METRIC_WINDOWS
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment, money
from polyhouse.reads.totals import OVERALL

_MONEY = (
    "realized", "realized_total", "unrealized", "equity", "pnl", "at_risk", "at_risk_before", "at_risk_peak", "worst",
    "volume",
)  # fmt: skip
_COUNTS = ("unmarked", "fills")
_STANDING = ("realized_total", "equity", "at_risk")
_EPOCH = date(1970, 1, 1)
_DAY_SECONDS = 86_400


def days(warehouse: Warehouse, address: str, *, category: str = OVERALL, window: str = "lifetime") -> dict[str, Any]:
    """The daily series of a wallet.

    ``days`` has one entry per day on which something changed, oldest first; on the days between, everything stood as
    after the entry before, and before the first one as in ``opening``. Money in USDC; ``unrealized``, ``equity`` and
    ``pnl`` are None on days with an open position that nothing is known to be worth (``unmarked`` counts them).
    ``bankroll`` is the peak capital at risk inside the window, None if it holds no entry.

    Args:
        warehouse: the open warehouse.
        address: ``0x`` and 40 hex digits, any case.
        category: ``overall`` or one of ``domain.categories``.
        window: ``30d``, ``90d``, ``180d`` or ``lifetime``; N days are the last N UTC days, today included.

    Raises:
        BadInputError: a malformed address, an unknown category or window.
    """
    check_word("category", category, (OVERALL, *CATEGORIES))
    check_word("window", window, tuple(METRIC_WINDOWS))
    wallet = parse_address(address)
    as_of = newest_build_time(warehouse)
    last = as_of // _DAY_SECONDS
    first = last - METRIC_WINDOWS[window] + 1 if METRIC_WINDOWS[window] else 0
    result = warehouse.query(
        f"SELECT toUInt16(day) AS number, {', '.join(_MONEY + _COUNTS)} FROM wallet_days FINAL"
        " WHERE wallet = toFixedString(unhex({wallet:String}), 20) AND category = {category:String} ORDER BY day",
        {"wallet": wallet.hex(), "category": category},
    )
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    inside = [row for row in rows if row["number"] >= first]
    return {
        "wallet": format_address(wallet),
        "category": category,
        "window": window,
        "as_of": moment(as_of),
        "from": _date(max(first, rows[0]["number"])) if rows else None,
        "to": _date(last) if rows else None,
        "bankroll": money(max((row["at_risk_peak"] for row in inside), default=None)),
        "opening": _opening([row for row in rows if row["number"] < first]),
        "days": [_entry(row) for row in inside],
    }


def _opening(earlier: list[dict[str, Any]]) -> dict[str, Any]:
    """How things stood when the window began."""
    state: dict[str, Any] = earlier[-1] if earlier else dict.fromkeys(_STANDING, 0)
    return {name: money(state[name]) for name in _STANDING}


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {"day": _date(row["number"])}
    return values | {name: money(row[name]) for name in _MONEY} | {name: int(row[name]) for name in _COUNTS}


def _date(number: int) -> str:
    return (_EPOCH + timedelta(days=int(number))).isoformat()
