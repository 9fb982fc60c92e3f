"""Rows of wallets made by hand."""

from __future__ import annotations

FIRST, SECOND, THIRD = ("0x" + bytes([number]).hex() * 20 for number in (1, 2, 3))
SEEN = 1_780_000_000


def rows(items):
    return {name: [item[name] for item in items] for name in items[0]}


def registered(*numbers, seen=SEEN, error="it said \"no, never\"\n\\ and 'so'"):
    """Registry rows; some of the texts need quoting."""
    count = len(numbers)
    values = {
        "wallet": [bytes([number]) * 20 for number in numbers], "status": ["completed"] * count,
        "provenance": [["holders", 'a "b", \\c']] * count, "first_seen": [SEEN] * count, "last_seen": [seen] * count,
        "last_error": [error] * count, "updated_at": [seen] * count,
    }  # fmt: skip
    return {"wallet_registry": values}
