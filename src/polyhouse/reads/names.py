"""Markets and wallets by what people know of them: a question's words, a slug, the beginning of an address."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment

MOST = 50
"""Markets and wallets that a search names; ``more`` says when there are others."""
MAX_TEXT = 200
_HEX = re.compile(r"(?:0x)?([0-9a-f]{3,64})", re.ASCII)
_TOKEN = re.compile(r"[0-9]{20,78}", re.ASCII)
# Several sources describe a market; the one that names its outcomes tells most, Gamma first.
_BEST = (
    "argMax(question, rank) AS question, argMax(slug, rank) AS slug, argMax(closed, rank) AS closed,"
    " argMax(outcomes, rank) AS outcomes, argMax(toUnixTimestamp(end_ts), rank) AS end_at"
)
_RANKED = "*, (length(outcomes) > 0, source = 'gamma', source) AS rank"


def market_names(warehouse: Warehouse, conditions: Collection[str]) -> Mapping[str, dict[str, Any]]:
    """Condition id (``0x…``) → its question, slug, outcomes, end, whether it is closed; unknown ones are missing."""
    if not conditions:
        return {}
    result = warehouse.query(
        f"SELECT condition, {_BEST} FROM (SELECT {_RANKED} FROM markets FINAL"
        " WHERE condition IN (SELECT unhex(arrayJoin({conditions:Array(String)})))) GROUP BY condition",
        {"conditions": sorted({condition[2:] for condition in conditions})},
    )
    return {f"0x{bytes(row[0]).hex()}": _market(dict(zip(result.columns, row, strict=True))) for row in result.rows}


def search(warehouse: Warehouse, text: str) -> dict[str, Any]:
    """Markets whose question, slug or condition id fits, and wallets whose address begins so.

    A market fits if every word of the text is in its question or slug (any case, any order). ``markets`` are sorted:
    open ones first, then by the end that is nearest to the newest. ``more`` says whether there were others than the
    first ``MOST``. Addresses and condition ids are recognised from their first three digits on, token ids as a whole.
    """
    wanted = text.strip().lower()[:MAX_TEXT]
    digits = _HEX.fullmatch(wanted)
    markets = _markets_with(warehouse, wanted) if wanted else []
    if _TOKEN.fullmatch(wanted):
        markets = _market_of(warehouse, int(wanted))
    wallets: list[str] = []
    if digits:
        markets = _markets_from(warehouse, digits[1]) + markets
        wallets = _wallets_from(warehouse, digits[1]) if len(digits[1]) <= 40 else []
    return {
        "text": wanted,
        "markets": markets[:MOST],
        "wallets": wallets[:MOST],
        "more": len(markets) > MOST or len(wallets) > MOST,
    }


def newest_markets(warehouse: Warehouse) -> dict[str, Any]:
    """The first ``MOST`` markets in the order of ``search``, and whether there are others."""
    markets = _found(warehouse, "", {})
    return {"text": "", "markets": markets[:MOST], "wallets": [], "more": len(markets) > MOST}


def _markets_with(warehouse: Warehouse, wanted: str) -> list[dict[str, Any]]:
    words = list(dict.fromkeys(wanted.split()))[:12]
    fits = "arrayAll(w -> positionCaseInsensitiveUTF8(concat(question, ' ', slug), w) > 0, {words:Array(String)})"
    return _found(warehouse, f"WHERE {fits}", {"words": words})


def _markets_from(warehouse: Warehouse, digits: str) -> list[dict[str, Any]]:
    return _found(warehouse, "WHERE startsWith(lower(hex(condition)), {digits:String})", {"digits": digits})


def _market_of(warehouse: Warehouse, token: int) -> list[dict[str, Any]]:
    if token >= 1 << 256:
        return []
    where = "WHERE condition IN (SELECT condition FROM tokens FINAL WHERE token = unhex({token:String}))"
    return _found(warehouse, where, {"token": f"{token:064x}"})


def _found(warehouse: Warehouse, where: str, bound: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = warehouse.query(
        f"SELECT lower(hex(condition)) AS condition_hex, {_BEST} FROM (SELECT {_RANKED} FROM markets FINAL {where})"
        f" GROUP BY condition_hex ORDER BY closed, end_at DESC, condition_hex LIMIT {MOST + 1}",
        bound,
    )
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    return [{"condition_id": f"0x{row['condition_hex']}", **_market(row)} for row in rows]


def _wallets_from(warehouse: Warehouse, digits: str) -> list[str]:
    least, most = digits.ljust(40, "0"), digits.ljust(40, "f")
    # The key begins with the wallet, so a range of addresses reads next to nothing.
    rows = warehouse.query(
        "SELECT DISTINCT lower(hex(wallet)) AS address FROM wallet_totals"
        " WHERE wallet BETWEEN toFixedString(unhex({least:String}), 20) AND toFixedString(unhex({most:String}), 20)"
        f" ORDER BY address LIMIT {MOST + 1}",
        {"least": least, "most": most},
    ).rows
    return [f"0x{address}" for (address,) in rows]


def _market(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "question": row["question"] or None,
        "slug": row["slug"] or None,
        "closed": bool(row["closed"]),
        "outcomes": list(row["outcomes"]),
        "end_at": moment(row["end_at"]),
    }
