"""Position rows as the Data API v2 prints them (data-api-v2 ``/v2/positions``, accounting §3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from polyhouse.sim.book import Book, Entry, Folder
from polyhouse.sim.markets import PRICE_ONE, MarketState
from polyhouse.sim.wire import iso, number
from polyhouse.sim.world import World

_ONE = 1_000_000
_HUNDREDTHS_OF_MICRO = 100  # four printed decimals of six


@dataclass(slots=True)
class Held:
    """One position with its current figures: micro-shares, micro-USDC, price in 10^-10.

    ``size`` is the balance, transfers included; ``pair`` the shares of the other outcome.
    """

    wallet: str
    market: MarketState
    outcome: int
    entry: Entry
    size: int
    pair: int

    @property
    def price(self) -> int:
        """Current price of the outcome."""
        return self.market.price(self.outcome)

    @property
    def value(self) -> int:
        """What the balance is worth at the current price."""
        return self.size * self.price // PRICE_ONE

    @property
    def cost(self) -> int:
        """Entry cost of the balance, without fees."""
        return self.size * self.entry.avg // _ONE

    @property
    def unrealized(self) -> int:
        """Value less entry cost."""
        return self.value - self.cost

    @property
    def resolved(self) -> bool:
        """Whether the balance can be redeemed."""
        return self.market.resolution is not None and self.size > 0

    @property
    def mergeable(self) -> bool:
        """Whether both outcomes of a live market are held."""
        return self.market.resolution is None and self.size > 0 and self.pair > 0

    @property
    def token(self) -> str:
        """Token id."""
        return self.market.meta.token_ids[self.outcome]


def wallet_book(world: World, wallet: int) -> Book:
    """One wallet's fold, kept until time moves."""
    book: Book = world.remember(
        ("book", wallet), lambda: Folder(world.catalog.markets).feed(world.views.history(wallet))
    )
    return book


def wallet_positions(world: World, wallet: int) -> list[Held]:
    """Every token a wallet ever held."""
    book, held = wallet_book(world, wallet), world.views.holdings(wallet)
    name = world.views.wallet_name(wallet)
    return [
        Held(name, world.catalog.markets[key[0]], key[1], entry, held.get(key, 0), held.get((key[0], 1 - key[1]), 0))
        for key, entry in book.entries.items()
    ]


def four(value: int) -> msgspec.Raw:
    """Micro-USDC with four decimals, cut towards zero, as the upstream prints them."""
    cut = abs(value) // _HUNDREDTHS_OF_MICRO
    return number(cut if value >= 0 else -cut, 4)


def percent(part: int, whole: int) -> msgspec.Raw:
    """100 · part / whole with four decimals, cut towards zero; 0 when there is no whole."""
    if whole == 0:
        return msgspec.Raw(b"0.0")
    cut = abs(part) * 1_000_000 // abs(whole)
    return number(cut if (part < 0) == (whole < 0) else -cut, 4)


def position_row(held: Held) -> dict[str, Any]:
    """One row of ``/v2/positions``."""
    market, meta, entry = held.market, held.market.meta, held.entry
    bought_cost = entry.bought * entry.avg // _ONE
    total = held.unrealized + entry.realized
    return {
        "proxy_wallet": held.wallet, "token_id": held.token, "condition_id": meta.condition_id,
        "current_size": number(held.size), "avg_price": four(entry.avg), "entry_cost_usdc": four(held.cost),
        "entry_fees_usdc": four(entry.fees), "total_cost_usdc": four(held.cost + entry.fees),
        "current_price": number(held.price, 10), "current_value": four(held.value),
        "total_size": number(entry.bought), "realized_pnl": four(entry.realized),
        "unrealized_pnl": four(held.unrealized), "total_pnl": four(total),
        "percent_pnl": percent(held.unrealized, held.cost),
        "percent_realized_pnl": percent(held.value - bought_cost, bought_cost),
        "status": "CLOSED" if held.size == 0 else ("REDEEMABLE" if held.resolved else "OPEN"),
        "redeemable": held.resolved, "mergeable": held.mergeable, "negative_risk": meta.neg_risk, "archived": False,
        "title": meta.question, "slug": meta.slug, "icon": "", "event_id": str(market.event.event_id),
        "event_slug": market.event.slug, "outcome": meta.outcomes[held.outcome], "outcome_index": held.outcome,
        "opposite_outcome": meta.outcomes[1 - held.outcome], "opposite_token_id": meta.token_ids[1 - held.outcome],
        "end_date": iso(meta.end_ts)[:10], "last_event_at": entry.last_ts, "first_entry_at": entry.first_ts,
        "name": "", "profile_image": "", "verified": False,
    }  # fmt: skip
