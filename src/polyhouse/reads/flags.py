"""Flags of one wallet: what each says, what it rests on, and how sure it is (docs/flags.md)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from polyhouse.metrics.exact import NO_SAMPLE, OK
from polyhouse.metrics.flags import FLAGS, MINIMUM, THRESHOLD
from polyhouse.metrics.specialists import MIN_EVENTS
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import shortest
from polyhouse.reads.scores import NOT_COMPUTED

MEANINGS: Mapping[str, str] = {
    "skilled": "won more often than the prices it paid say, in more than one category",
    "lucky": "a good result that hangs on its best bet and that chance explains",
    "insider": "early, against the price, and right: more often than chance explains; no accusation",
    "bot": "trades like a machine: even intervals, all hours, both sides, many fills",
    "market_maker": "makes prices on both sides rather than taking a view",
    "wash_trader": "trades back and forth with partners who trade with it, without taking a position",
    "specialist": "better in one category than elsewhere, and than others there",
}
"""Flag → what it says of a wallet."""

_WALLET = "wallet = toFixedString(unhex({wallet:String}), 20)"
_COLUMNS = ("value", "threshold", "p_value", "q_value")
_SPECIALIST_INPUTS = ("edge", "rest_shrunk", "category_edge", "stake_share", "p_category", "p_rest")


def flags(warehouse: Warehouse, wallet: bytes) -> list[dict[str, Any]]:
    """Every flag of a wallet (20 bytes), and ``specialist`` for each category in which it was tested.

    Each has ``flag``, ``category`` (of specialists, else None), ``is_flagged``, ``status``, ``value`` against
    ``threshold``, ``p_value``, ``q_value`` (both None where nothing is tested), ``sample`` against ``minimum_sample``,
    ``inputs`` and ``meaning``. Without a sample ``status`` is NO_SAMPLE; NOT_COMPUTED if no build has seen the wallet.
    """
    bound = {"wallet": wallet.hex()}
    result = warehouse.query(f"SELECT * FROM wallet_flags_current WHERE {_WALLET}", bound)
    stored = {str(row[1]): dict(zip(result.columns, row, strict=True)) for row in result.rows}
    known = bool(stored) or bool(
        warehouse.query(f"SELECT count() FROM wallet_coverage FINAL WHERE {_WALLET}", bound).rows[0][0]
    )
    found = [_flag(name, stored.get(name), known=known) for name in FLAGS]
    result = warehouse.query(f"SELECT * FROM category_specialists WHERE {_WALLET} ORDER BY q_value, category", bound)
    return found + [_specialist(dict(zip(result.columns, row, strict=True))) for row in result.rows]


def _flag(name: str, row: Mapping[str, Any] | None, *, known: bool) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "flag": name, "category": None, "is_flagged": False if known else None,
        "status": NO_SAMPLE if known else NOT_COMPUTED, "value": None, "threshold": shortest(THRESHOLD[name]),
        "p_value": None, "q_value": None, "sample": 0, "minimum_sample": MINIMUM[name], "inputs": {},
        "meaning": MEANINGS[name],
    }  # fmt: skip
    if row is None:
        return empty
    inputs = {_text(key): shortest(value) for key, value in row["inputs"].items()}
    return empty | {
        "is_flagged": bool(row["is_flagged"]), "status": str(row["status"]),
        **{column: _number(row[column]) for column in _COLUMNS},
        "sample": int(row["sample"]), "minimum_sample": int(row["minimum_sample"]), "inputs": inputs,
    }  # fmt: skip


def _specialist(row: Mapping[str, Any]) -> dict[str, Any]:
    """A test for specialists as a flag: its value is the shrunk edge, which must exceed that elsewhere."""
    return {
        "flag": "specialist", "category": str(row["category"]), "is_flagged": bool(row["is_specialist"]),
        "status": OK, "value": shortest(row["edge_shrunk"]), "threshold": shortest(max(row["rest_shrunk"], 0.0)),
        "p_value": shortest(row["p_value"]), "q_value": shortest(row["q_value"]),
        "sample": int(row["events"]), "minimum_sample": MIN_EVENTS,
        "inputs": {name: shortest(row[name]) for name in _SPECIALIST_INPUTS}, "meaning": MEANINGS["specialist"],
    }  # fmt: skip


def _number(value: float | None) -> Decimal | None:
    return None if value is None else shortest(value)


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)
