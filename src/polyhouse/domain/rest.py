"""What the rows of the Data API mean in exact amounts, and how they are identified and ordered (accounting §1.10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from polyhouse.domain.amounts import parse_price, printed_micros, ratio_half_up
from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS
from polyhouse.domain.ids import shown
from polyhouse.errors import BadInputError

_printed_price = lru_cache(maxsize=50_000)(parse_price)
"""``parse_price`` of a text, with a memory: most fills are at a tick."""


class ActivityAmounts(NamedTuple):
    """Exact amounts of one TRADE row of the activity feed, all in millionths and never negative.

    Attributes:
        shares: net shares moved (V1-era BUY rows are already net of the fee in shares).
        cash: net cash moved, fee included.
        fee_usdc: disclosed fee inside ``cash``; 0 within the tolerance of the printed price.
        usdc_gross: cash before the fee, as the exchange's own log has it; for volume.
    """

    shares: int
    cash: int
    fee_usdc: int
    usdc_gross: int


def trade_amounts(size: Any, price: Any) -> tuple[int, int]:
    """(shares, usdc) in millionths of a row of the trades feed, which has no ``usdcSize`` (K43).

    usdc = round(size · price), half up on the exact product. The printed price has at most 10–16 digits, so the result
    may differ from the chain by shares · 5·10⁻¹¹.

    Raises:
        BadInputError: size or price cannot be read exactly.
    """
    shares = printed_micros(size, "size")
    digits, decimals = _price_of(price)
    return shares, notional(shares, digits, 10**decimals)


def _price_of(price: Any) -> tuple[int, int]:
    return _printed_price(price) if type(price) is str else parse_price(price)


def notional(shares: int, digits: int, scale: int) -> int:
    """Micro-USDC of so many micro-shares at the price ``digits / scale``, half up."""
    return ratio_half_up(shares * digits, scale)


def fee_tolerance(shares: int) -> int:
    """By how many micro-USDC size · price may miss the cash through the rounding of the printed price alone."""
    return 1 - (-shares // (2 * 10**10))


def activity_amounts(side: str, size: Any, price: Any, usdc_size: Any, ts: int) -> ActivityAmounts:
    """Exact amounts of a TRADE row of the activity feed (K49–K52).

    BUY: ``usdc_size`` is all cash paid, fee included; SELL: all cash received, fee already taken. The fee is the
    difference to size · price. Before the cut-over to CLOB V2 a BUY paid its fee in shares, so that its gross cash is
    the cash itself. A row without a price, or without shares, discloses no fee.

    Raises:
        BadInputError: a number cannot be read exactly, or ``side`` is neither BUY nor SELL.
    """
    shares = printed_micros(size, "size")
    cash = printed_micros(usdc_size, "usdc_size")
    digits, decimals = _price_of(price)
    if side not in {"BUY", "SELL"}:
        raise BadInputError(f"side {shown(side)} is not valid: expected BUY or SELL")
    return ActivityAmounts(shares, cash, *fee_and_gross(side, shares, cash, digits, 10**decimals, ts))


def fee_and_gross(side: str, shares: int, cash: int, digits: int, scale: int, ts: int) -> tuple[int, int]:
    """Disclosed fee and gross cash of a TRADE row, as ``ActivityAmounts`` says; the price is ``digits / scale``."""
    difference = notional(shares, digits, scale) - cash
    if side == "BUY":
        difference = -difference
    fee = 0
    # The tolerance is 1 at least, and few rows miss their price by more.
    if difference > 1 and shares > 0 and digits > 0 and difference > fee_tolerance(shares):
        fee = difference
    if side == "SELL":
        return fee, cash + fee
    return fee, cash - fee if ts >= CLOB_V2_CUTOVER_TS else cash


def merge_fetches(fetches: Iterable[Iterable[Hashable]]) -> Counter[Hashable]:
    """How often each row happened, from several fetches: the maximum count per row, never the sum (K36)."""
    merged: Counter[Hashable] = Counter()
    for rows in fetches:
        merged |= Counter(rows)
    return merged


_ORDER_CLASS = {
    "BUY": 0, "SPLIT": 0, "TRANSFER_IN": 0,
    "CONVERSION": 1, "CONVERT": 1, "MIGRATION": 1, "MIGRATE": 1,
    "SELL": 2, "MERGE": 2, "TRANSFER_OUT": 2,
    "REDEEM": 3,
}  # fmt: skip
LAST_ORDER_CLASS = 4


def order_class(kind: str) -> int:
    """Rank of a kind of row inside one second when nothing better is known (K42).

    Acquisitions 0, conversions and migrations 1, disposals 2, redemptions 3, cash-only rows 4. Takes the API's words
    and ours; a TRADE row is asked for by its side.
    """
    return _ORDER_CLASS.get(kind, LAST_ORDER_CLASS)


def order_key(ts: int, kind: str, tx: Any, ordinal: int = 0) -> tuple[int, int, Any, int]:
    """Sort key of Data API rows: time, class of the kind, transaction, ordinal (K42)."""
    return ts, order_class(kind), tx, ordinal
