"""The fills of one wallet, newest first, page by page."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from polyhouse.domain.ids import format_address, format_condition, format_token, parse_address, parse_condition
from polyhouse.errors import BadInputError
from polyhouse.metrics.exact import nine
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment, money

MAX_LIMIT = 1_000
_WALLET = "wallet = toFixedString(unhex({wallet:String}), 20)"
_PLACE = "(ts, block, tx_index, pos, token, tx, row_key, sub)"
_AFTER = (
    "(toDateTime({ts:UInt32}, 'UTC'), {block:UInt32}, {tx_index:UInt16}, {pos:UInt32},"
    " toFixedString(unhex({token:String}), 32), toFixedString(unhex({tx:String}), 32), {row_key:UInt64}, {sub:UInt16})"
)
_BITS = {"ts": 32, "block": 32, "tx_index": 16, "pos": 32, "token": 256, "tx": 256, "row_key": 64, "sub": 16}
_IDS = ("token", "tx")
_Known = tuple[str | None, int | None, str | None]


def trades(
    warehouse: Warehouse, address: str, *, limit: int = 100, cursor: str | None = None, market: str | None = None
) -> dict[str, Any]:
    """The fills that the wallet's numbers are made of, both roles (accounting §1; quarantined rows do not count).

    Money in USDC: ``volume`` is what changed hands without fees, ``price`` that per share, ``cash`` what the wallet
    paid (negative) or got, fees included. ``next_cursor`` is the word for the next page, None on the last one.

    Args:
        warehouse: with built models.
        address: ``0x`` and 40 hex digits, any case.
        limit: rows of a page.
        cursor: ``next_cursor`` of the page before.
        market: condition id; only its fills.

    Raises:
        BadInputError: a malformed address, id or cursor, or a limit out of range.
    """
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise BadInputError(f"limit {limit!r} is out of range", hint=f"a whole number from 1 to {MAX_LIMIT}")
    wallet = parse_address(address)
    bound: dict[str, Any] = {"wallet": wallet.hex()}
    scope = f"{_WALLET} AND kind IN ('BUY', 'SELL')"
    if market is not None:
        scope += " AND token IN (SELECT token FROM token_map FINAL WHERE condition = unhex({condition:String}))"
        bound["condition"] = parse_condition(market).hex()
    if cursor is not None:
        scope += f" AND {_PLACE} < {_AFTER}"
        bound |= _place_of(cursor, wallet)
    result = warehouse.query(
        "SELECT toUnixTimestamp(ts) AS ts, block, tx_index, pos, token, tx, row_key, sub, toString(kind) AS side,"
        " toString(role) AS role, toString(source) AS source, ds, du, fee, volume"
        f" FROM ledger FINAL WHERE {scope} ORDER BY {_PLACE} DESC LIMIT {limit + 1}",
        bound,
    )
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    page = rows[:limit]
    known = _markets(warehouse, sorted({bytes(row["token"]).hex() for row in page}))
    return {
        "wallet": format_address(wallet),
        "as_of": moment(newest_build_time(warehouse)),
        "count": len(page),
        "next_cursor": _cursor(page[-1], wallet) if len(rows) > limit else None,
        "rows": [_row(row, known) for row in page],
    }


def _row(row: dict[str, Any], known: dict[bytes, _Known]) -> dict[str, Any]:
    condition, outcome, category = known.get(bytes(row["token"]), (None, None, None))
    shares, volume = abs(int(row["ds"])), int(row["volume"])
    return {
        "at": moment(row["ts"]),
        "side": row["side"],
        "role": row["role"] or None,
        "token_id": format_token(bytes(row["token"])),
        "condition_id": condition,
        "outcome_index": outcome,
        "category": category,
        "shares": money(shares),
        "price": nine(volume, shares) if shares else None,
        "volume": money(volume),
        "cash": money(row["du"]),
        "fee": money(row["fee"]),
        "tx": f"0x{bytes(row['tx']).hex()}",
        "block": int(row["block"]) or None,
        "source": row["source"],
    }


def _markets(warehouse: Warehouse, tokens: list[str]) -> dict[bytes, _Known]:
    """Token → condition, outcome, category."""
    if not tokens:
        return {}
    rows = warehouse.query(
        "SELECT token, condition, outcome, toString(category) FROM token_map FINAL WHERE token IN"
        " (SELECT toFixedString(unhex(arrayJoin({tokens:Array(String)})), 32))",
        {"tokens": tokens},
    ).rows
    return {
        bytes(token): (format_condition(bytes(condition)), int(outcome), str(category))
        for token, condition, outcome, category in rows
    }


def _cursor(row: dict[str, Any], wallet: bytes) -> str:
    place = [bytes(row[key]).hex() if key in _IDS else int(row[key]) for key in _BITS]
    return base64.urlsafe_b64encode(json.dumps([wallet.hex(), *place]).encode()).decode().rstrip("=")


def _place_of(cursor: str, wallet: bytes) -> dict[str, Any]:
    """Where the page before ended. A word from outside: every part of it is checked."""
    try:
        owner, *place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        values = dict(zip(_BITS, place, strict=True))
        numbers = {key: int(value, 16) if key in _IDS else value for key, value in values.items()}
        is_place = all(type(numbers[key]) is int and 0 <= numbers[key] < 2**bits for key, bits in _BITS.items())
    except (ValueError, TypeError, binascii.Error):
        is_place, owner = False, ""
    if not is_place or owner != wallet.hex():
        raise BadInputError("the cursor is not valid", hint="start again without a cursor")
    return {key: f"{value:064x}" if key in _IDS else value for key, value in numbers.items()}
