"""What exists in the simulated Polymarket and how each market stands: metadata, resolutions, last prices, volumes.

Memory grows with the number of markets, never with the number of fills.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from polyhouse.sim.model import SimEvent, SimMarket

PRICE_ONE = 10**10
"""Prices are integers of 10^-10, the precision of the trade feeds."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The first ConditionResolution of a condition (accounting §2.4)."""

    numerators: tuple[int, ...]
    ts: int
    block: int
    log_index: int
    tx: str

    def payout(self, shares: int, outcome: int) -> int:
        """Micro-USDC that ``shares`` micro-shares of ``outcome`` redeem for."""
        return shares * self.numerators[outcome] // sum(self.numerators)


@dataclass(slots=True)
class MarketState:
    """One market with what the logs say about it so far."""

    meta: SimMarket
    event: SimEvent
    number: int
    resolution: Resolution | None = None
    last: int | None = None  # price of outcome 0, 10^-10
    last_ts: int = 0
    volume: int = 0  # micro-USDC, one-sided
    taker_shares: int = 0
    recent: list[tuple[int, int]] = field(default_factory=list)  # (day, micro-USDC)

    def price(self, outcome: int) -> int:
        """Current price of an outcome in 10^-10: payout when resolved, else the last trade, else one half."""
        if self.resolution is not None:
            return PRICE_ONE * self.resolution.numerators[outcome] // sum(self.resolution.numerators)
        first = PRICE_ONE // 2 if self.last is None else min(max(self.last, 0), PRICE_ONE)
        return first if outcome == 0 else PRICE_ONE - first

    def traded(self, ts: int, outcome: int, price: int, usdc: int, shares: int) -> None:
        """Record one taker or direct fill."""
        self.last, self.last_ts = (price if outcome == 0 else PRICE_ONE - price), ts
        self.volume += usdc
        self.taker_shares += shares
        day = ts // 86_400
        if self.recent and self.recent[-1][0] == day:
            self.recent[-1] = (day, self.recent[-1][1] + usdc)
        else:
            self.recent = [*self.recent[-30:], (day, usdc)]

    def volume_since(self, ts: int) -> int:
        """One-sided micro-USDC of the days that began at or after ``ts``."""
        return sum(usdc for day, usdc in self.recent if day * 86_400 >= ts)


class Catalog:
    """Events and markets by every id an upstream is asked for."""

    def __init__(self, events: Iterable[SimEvent] = ()) -> None:
        self.events: dict[int, SimEvent] = {}
        self.markets: list[MarketState] = []
        self.by_condition: dict[str, int] = {}
        self.by_market_id: dict[int, int] = {}
        self.by_token: dict[str, tuple[int, int]] = {}
        self.neg_risk: dict[str, dict[int, int]] = {}
        self.refresh(events)

    def refresh(self, events: Iterable[SimEvent]) -> None:
        """Take over new and changed events; market numbers never change."""
        for event in events:
            if self.events.get(event.event_id) is event:
                continue
            self.events[event.event_id] = event
            for market in event.markets:
                self._take(market, event)

    def _take(self, market: SimMarket, event: SimEvent) -> None:
        known = self.by_condition.get(market.condition_id)
        if known is not None:
            self.markets[known].meta, self.markets[known].event = market, event
            return
        index = len(self.markets)
        self.markets.append(MarketState(market, event, index))
        self.by_condition[market.condition_id] = index
        self.by_market_id[market.market_id] = index
        for outcome, token in enumerate(market.token_ids):
            self.by_token[token] = (index, outcome)
        if market.neg_risk:
            self.neg_risk.setdefault(market.neg_risk_market_id, {})[market.question_index] = index

    def event_markets(self, event: SimEvent, now: int) -> list[MarketState]:
        """The event's markets that exist at ``now``."""
        return [self.markets[self.by_condition[m.condition_id]] for m in event.markets if m.created_ts <= now]

    def closed(self, event: SimEvent, now: int) -> bool:
        """An event is closed once all its markets are resolved."""
        markets = self.event_markets(event, now)
        return bool(markets) and all(market.resolution is not None for market in markets)
