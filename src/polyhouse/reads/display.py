"""Numbers and sentences for people. Display only: nothing is computed from what these return."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any


def dollars(value: Any) -> str:
    """An amount with two decimals and thousands separated; nothing for None."""
    return "" if value is None else f"{Decimal(value).quantize(Decimal('0.01'), ROUND_HALF_EVEN) + 0:,}"


def percent(value: Any) -> str:
    """A ratio as a percentage with one decimal; nothing for None."""
    return "" if value is None else f"{(Decimal(value) * 100).quantize(Decimal('0.1'), ROUND_HALF_EVEN):,}%"


def short(text: str) -> str:
    """An address or id for narrow tables: its first and last digits."""
    return text if len(text) <= 13 else f"{text[:6]}…{text[-4:]}"


def describe_slice(document: dict[str, Any]) -> str:
    """One sentence on what a leaderboard document shows, and how much data stands behind it."""
    units, least, trades = document["min_units"], document["min_gains_losses"], document["min_trades"]
    sample = f"at least {units} closed units and {dollars(least)} $ gains + losses"
    fills = f" and {trades} trades" if trades else ""
    until = f", data to {document['as_of']}" if document["as_of"] else ""
    return (
        f"{document['category']}, {document['window']}, by {document['sort']}: {document['count']} wallets with "
        f"{sample}{fills}{until}"
    )
