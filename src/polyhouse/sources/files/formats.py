"""Which rows a file holds, recognised by their field names, in any spelling that Polymarket's APIs have used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from polyhouse.sources.files.order_columns import layout
from polyhouse.sources.files.published import published_format


class Format(StrEnum):
    """What the rows of a file are."""

    ACTIVITY = "activity"
    """Data API ``/activity`` (v1 camelCase or v2 snake_case): the ledger of wallets."""
    TRADES = "trades"
    """Data API ``/trades``."""
    COMBOS = "activity-combos"
    """Data API ``/v2/activity/combos``: Protocol V2, recognised and kept out until its accounting exists."""
    DOME = "dome"
    """Dome ``/polymarket/orders``: one row per order fill, shares as integers of 6 decimals."""
    ORDERS = "orderfilled"
    """orderFilled rows of a subgraph or an indexer: one exchange log each, amounts as integers of 6 decimals."""
    LOGS = "logs"
    """Decoded chain logs in the format that ``polyhouse replay`` reads."""
    USER_POSITIONS = "user-positions"
    """``userPositions`` of Polymarket's pnl-subgraph: published figures, for comparison only."""
    POSITIONS = "positions"
    """Data API positions and closed positions (v1 and v2): published figures, for comparison only."""
    EMPTY = "empty"
    """An answer without rows."""


SPELLINGS: dict[str, tuple[str, ...]] = {
    "wallet": ("proxyWallet", "proxy_wallet", "user"),
    "ts": ("timestamp",),
    "type": ("type",),
    "side": ("side",),
    "token": ("asset", "token_id", "tokenId"),
    "condition": ("conditionId", "condition_id"),
    "size": ("size",),
    "usdc_size": ("usdcSize", "usdc_size"),
    "price": ("price",),
    "tx": ("transactionHash", "transaction_hash", "tx_hash"),
    "outcome": ("outcomeIndex", "outcome_index"),
    "outcome_label": ("outcome", "token_label"),
    "title": ("title",),
    "slug": ("slug", "market_slug"),
    "is_combo": ("isCombo", "is_combo"),
    "shares": ("shares",),
    "shares_normalized": ("shares_normalized",),
    "order_hash": ("order_hash",),
    "taker": ("taker",),
    "combo_condition": ("combo_condition_id",),
}
"""Our name of a field → the names it has in files."""

REQUIRED: dict[Format, frozenset[str]] = {
    Format.DOME: frozenset({"wallet", "ts", "side", "token", "condition", "shares", "price", "tx", "order_hash"}),
    Format.COMBOS: frozenset({"wallet", "ts", "type", "combo_condition", "tx"}),
    Format.ACTIVITY: frozenset({"wallet", "ts", "type", "size", "usdc_size", "condition", "tx"}),
    Format.TRADES: frozenset({"wallet", "ts", "side", "token", "condition", "size", "price", "tx"}),
}
"""Fields by which a format is recognised, the most particular format first."""

_FIELD_OF = {spelling: field for field, spellings in SPELLINGS.items() for spelling in spellings}


def fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row under our field names; other fields, nulls and empty texts are left out."""
    return {
        _FIELD_OF[name]: value for name, value in row.items() if name in _FIELD_OF and value is not None and value != ""
    }


def recognise(names: Iterable[str]) -> Format | None:
    """The format of a row with these field names, None if it is none of ours."""
    names = list(names)
    if layout(names) is not None:
        return Format.ORDERS
    if is_log(names):
        return Format.LOGS
    published = published_format(names)
    if published is not None:
        return Format(published)
    known = {_FIELD_OF[name] for name in names if name in _FIELD_OF}
    return next((format_ for format_, required in REQUIRED.items() if required <= known), None)


def is_log(names: Iterable[str]) -> bool:
    """Whether an object with these fields is a decoded log, or a document with a list of them."""
    found = set(names)
    return {"t", "tx", "bn", "li"} <= found or "logs" in found or "vectors" in found
