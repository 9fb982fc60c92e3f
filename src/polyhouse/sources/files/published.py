"""Figures that others published, from files: positions of the Data API and ``userPositions`` of the pnl-subgraph.

They are compared with our numbers and never become part of them. Token ids of the pnl-subgraph are integers read with
their sign: AMM liquidity positions, whose id is a pool's address read as a number, are negative half of the time. Such
ids are kept as printed; ``token`` is the token they mean where that is certain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from polyhouse.domain import ids
from polyhouse.domain.times import MIN_TIME
from polyhouse.errors import BadInputError, RowRejectedError
from polyhouse.sources.columns import reported_micros, time_or_zero

_V2_POSITION = {"proxy_wallet", "token_id", "current_size", "avg_price"}
_V1_POSITION = {"proxyWallet", "asset", "avgPrice", "realizedPnl"}
_USER_POSITION = {"tokenId", "amount", "totalBought"}
_SIGNED = re.compile(r"-?(?:0|[1-9][0-9]{0,77})\Z", re.ASCII)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
_POOL_BITS = 160
_NO_TOKEN = bytes(32)

Row = Mapping[str, Any]

POSITION_COLUMNS = (
    "wallet", "token", "condition", "shares", "avg_price_e6", "realized", "unrealized", "current_value", "status",
    "last_event_ts",
)  # fmt: skip
"""Columns of ``reported_positions`` that a file fills."""
PUBLISHED_COLUMNS = ("wallet", "token_id", "token", "amount", "avg_price_e6", "realized", "bought")
"""Columns of ``published_positions`` that a file fills."""


def published_format(names: Iterable[str]) -> str | None:
    """The name of the format with these fields, None if they are no published figures."""
    found = set(names)
    if found >= _V2_POSITION or found >= _V1_POSITION:
        return "positions"
    if found >= _USER_POSITION and found & {"realizedPnl", "pnl"} and found & {"user", "uid", "id"}:
        return "user-positions"
    return None


def reported_position(row: Row) -> tuple[Any, ...]:
    """One row of ``reported_positions`` (v1 or v2 spelling).

    Raises:
        RowRejectedError, BadInputError: an id or a figure cannot be read.
    """
    second = "proxy_wallet" in row
    names = _V2_NAMES if second else _V1_NAMES
    get: Callable[[str], Any] = lambda name: row.get(names[name])  # noqa: E731 - one spelling for both
    token = ids.parse_token(get("token"), "token id")
    if token == _NO_TOKEN:
        raise RowRejectedError("bad_token", "a position without a token")
    status = get("status") or _v1_status(row, second=second)
    figures = [reported_micros(get(name), name) for name in ("size", "avg_price", "realized", "unrealized", "value")]
    if figures[0] < 0:
        raise RowRejectedError("negative", "a negative number of shares")
    condition = ids.parse_condition(get("condition"), "condition id")
    return (
        ids.parse_address(get("wallet"), "wallet"), token, condition, *figures, str(status), time_or_zero(get("time")),
    )  # fmt: skip


_V2_NAMES = {
    "wallet": "proxy_wallet", "token": "token_id", "condition": "condition_id", "size": "current_size",
    "avg_price": "avg_price", "realized": "realized_pnl", "unrealized": "unrealized_pnl", "value": "current_value",
    "status": "status", "time": "last_event_at",
}  # fmt: skip
_V1_NAMES = {
    "wallet": "proxyWallet", "token": "asset", "condition": "conditionId", "size": "size", "avg_price": "avgPrice",
    "realized": "realizedPnl", "unrealized": "cashPnl", "value": "currentValue", "status": "status",
    "time": "timestamp",
}  # fmt: skip


def _v1_status(row: Row, *, second: bool) -> str:
    if second:
        return ""
    if "size" not in row:
        return "CLOSED"  # only the route of closed positions leaves the size out
    return "REDEEMABLE" if row.get("redeemable") in (True, "true", "True") else "OPEN"


def user_position(row: Row) -> tuple[Any, ...]:
    """One row of ``published_positions``: raw integers of the subgraph, or whole dollars as derived dumps print them.

    Raises:
        RowRejectedError, BadInputError: an id or a figure cannot be read.
    """
    wallet, text = _whose(row)
    in_dollars = "pnl" in row
    figures = [
        _figure(row.get(name, 0), name, in_dollars=in_dollars)
        for name in ("amount", "avgPrice", "pnl" if in_dollars else "realizedPnl", "totalBought")
    ]
    return wallet, text, token_of_signed(text), *figures


def _whose(row: Row) -> tuple[bytes, str]:
    """Wallet and printed token id; the row's own id (``wallet-token``) must agree where it is there."""
    identity = str(row.get("uid") or row.get("id") or "")
    user, _, of_identity = identity.partition("-")
    text = str(row["tokenId"])
    if not _SIGNED.match(text):
        raise RowRejectedError("bad_token", f"token id {ids.shown(text)} is no whole number")
    if identity and of_identity != text:
        raise RowRejectedError("id_mismatch", f"id {ids.shown(identity)} is not that of token {ids.shown(text)}")
    if row.get("user") and identity and str(row["user"]).lower() != user.lower():
        raise RowRejectedError("id_mismatch", f"id {ids.shown(identity)} is not that of the user")
    return ids.parse_address(str(row.get("user") or user), "user"), text


def token_of_signed(text: str) -> bytes:
    """The token that a printed id means: itself, or the LP token of the pool whose address it is.

    The subgraph reads an address as a little-endian number with a sign, our LP token is the address itself.
    """
    number = int(text)
    if number >> _POOL_BITS - 1 in {0, -1} and number:
        return bytes(12) + number.to_bytes(20, "little", signed=True)
    return number.to_bytes(32, "big") if 0 <= number < 1 << 256 else _NO_TOKEN


def _figure(value: Any, what: str, *, in_dollars: bool) -> int:
    if in_dollars:
        return reported_micros(value, what)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not _INTEGER.match(text) or abs(int(text)) >= 1 << 63:
        raise BadInputError(f"{what} {ids.shown(value)} is not a whole number of millionths")
    return int(text)


def seen_time(row: Row, now: int) -> int:
    """When the figure was seen: the row's own word for it, else ``now``."""
    for name in ("lastSeenTimestamp", "firstSeenTimestamp", "seen_at"):
        at = time_or_zero(row.get(name))
        if MIN_TIME <= at <= now:
            return at
    return now
