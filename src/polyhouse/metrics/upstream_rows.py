"""How Polymarket computes the numbers it publishes: for comparison with ours, never as input (accounting §3.1)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from polyhouse.domain.rest import merge_fetches
from polyhouse.metrics.exact import nine_of


@dataclass(frozen=True, slots=True)
class DataApiPosition:
    """Derived fields of a Data API v1 ``/positions`` row in dollars and percent; None where divided by zero."""

    initial_value: Decimal
    current_value: Decimal
    cash_pnl: Decimal
    percent_pnl: Decimal | None
    percent_realized_pnl: Decimal | None


def data_api_position(size: Fraction, avg_price: Fraction, cur_price: Fraction, bought: Fraction) -> DataApiPosition:
    """The v1 positions row from its own size, average, current price and total bought (K33, K34, K54)."""
    initial, current, cost = size * avg_price, size * cur_price, bought * avg_price
    return DataApiPosition(
        nine_of(initial),
        nine_of(current),
        nine_of(current - initial),
        nine_of(100 * (current - initial) / initial) if initial else None,
        nine_of(100 * (current - cost) / cost) if cost else None,
    )


def closed_position(total_bought: int, avg_e6: int, cur_e6: int) -> int:
    """realizedPnl of a v1 ``/closed-positions`` row that never sold, micro-USDC, truncated toward zero (K55–K58)."""
    value = total_bought * (cur_e6 - avg_e6)
    return value // 1_000_000 if value >= 0 else -(-value // 1_000_000)


@dataclass(frozen=True, slots=True)
class UserPnlPoint:
    """Sums of a v2 ``user-pnl`` point in micro-USDC."""

    realized_pnl: int
    position_pnl: int
    wallet_income: int
    settled_pnl: int
    economic_pnl: int
    fees_paid: int
    trade_pnl: int


_REALIZED = ("realized_market_pnl", "realized_lp_pnl", "realized_combo_pnl")
_INCOME = ("maker_rebate", "taker_rebate", "reward_income", "yield_income", "referral_income")


def user_pnl_point(parts: Mapping[str, int]) -> UserPnlPoint:
    """The sums of a v2 point from its parts, all micro-USDC (K35, K53); absent parts are 0.

    ``fees_charged`` is the positive amount charged, ``fees`` the same as the API prints it (≤ 0).
    fees_paid = refunded − charged ≤ 0; trade PnL is before fees and without liquidity provision.
    """
    realized = sum(parts.get(name, 0) for name in _REALIZED)
    income = sum(parts.get(name, 0) for name in _INCOME)
    position = realized + parts.get("unrealized_pnl", 0)
    charged = parts["fees_charged"] if "fees_charged" in parts else -parts.get("fees", 0)
    fees_paid = parts.get("fees_refunded", 0) - charged
    return UserPnlPoint(
        realized_pnl=realized,
        position_pnl=position,
        wallet_income=income,
        settled_pnl=realized + income,
        economic_pnl=position + income,
        fees_paid=fees_paid,
        trade_pnl=position - parts.get("realized_lp_pnl", 0) - fees_paid,
    )


def api_multiset(fetches: Iterable[Sequence[Hashable]]) -> int:
    """How many fills several complete fetches of the same rows prove: Σ of the maximum count per row (K36)."""
    return merge_fetches(fetches).total()
