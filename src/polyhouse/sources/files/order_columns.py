"""Columns of orderFilled dumps and the names they have in files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SPELLINGS: dict[str, tuple[str, ...]] = {
    "maker": ("maker",),
    "maker_asset": ("makerAssetId", "maker_asset_id"),
    "maker_amount": ("makerAmountFilled", "maker_amount_filled", "maker_amount"),
    "taker": ("taker",),
    "taker_asset": ("takerAssetId", "taker_asset_id"),
    "taker_amount": ("takerAmountFilled", "taker_amount_filled", "taker_amount"),
    "ts": ("timestamp", "block_timestamp", "blockTimestamp"),
    "tx": ("transactionHash", "transaction_hash", "tx_hash"),
    "order_hash": ("orderHash", "order_hash"),
    "id": ("id",),
    "fee": ("fee",),
    "log_index": ("logIndex", "log_index"),
}
"""Our name of a column → the names it has in dumps."""
REQUIRED = ("maker", "maker_asset", "maker_amount", "taker", "taker_asset", "taker_amount", "ts", "tx")

_FIELD_OF = {name: field for field, names in SPELLINGS.items() for name in names}


def layout(names: Iterable[str]) -> dict[str, int] | None:
    """Our columns → their places among ``names``; None if these are no columns of an orderFilled dump."""
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        field = _FIELD_OF.get(name)
        if field is not None:
            found.setdefault(field, place)
    return found if all(field in found for field in REQUIRED) else None


def order_fields(row: Mapping[str, Any]) -> dict[str, str]:
    """A row under our names, every value as its text; what is not there is empty."""
    texts = dict.fromkeys(SPELLINGS, "")
    for name, value in row.items():
        field = _FIELD_OF.get(name)
        if field is not None and value is not None and not texts[field]:
            texts[field] = value if isinstance(value, str) else _text(value)
    return texts


def _text(value: Any) -> str:
    # A bool is an int to Python; a list or an object is no value at all. Neither is a number of a dump.
    return str(value) if type(value) is int else f"<{type(value).__name__}>"
