"""Markets whose prices are fair: at every moment an outcome wins with the probability its price says.

By default the crowd of a universe sets prices that know little of the result, and many behaviours profit from that.
Whoever studies skill needs a world in which nobody can, unless he was planted. Here the result is drawn with the odds
of the opening price, and the price is the posterior probability after signals that arrive during the market's life, and
one piece of news: a martingale that is calibrated by construction. All arithmetic is integer.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from polyhouse.sim.board import Board
from polyhouse.sim.catalogue import Catalogue, Listing

_SIGNALS = 120
"""Signals in a market's life, evenly spaced."""
_FOR, _AGAINST = 6, 5
"""Each signal points to the coming result with odds of 6 : 5."""
_NEWS = 10
"""The news is worth so many signals that point the same way; it comes in the first half of a life."""


def fair_catalogue(rng: Random, catalogue: Catalogue) -> Catalogue:
    """The same events with results that follow the opening prices: no 50/50 payouts, no trades after the resolution.

    A neg-risk event keeps its result, since one of its options wins; with a chance of one in ten none of them does, and
    its opening prices leave room for that.
    """
    listings = tuple(_fair_listing(rng, listing, catalogue) for listing in catalogue.listings)
    markets = {listing.market.condition_id: listing.market for listing in listings}
    events = tuple(
        replace(event, markets=tuple(markets[market.condition_id] for market in event.markets))
        for event in catalogue.events
    )
    return Catalogue(events, listings)


def _fair_listing(rng: Random, listing: Listing, catalogue: Catalogue) -> Listing:
    market = listing.market
    if market.neg_risk:
        questions = len(catalogue.events[market.event_id - 1].markets)
        return replace(listing, opening=900 // questions, afterlife=0)
    winner = 0 if rng.randrange(1_000) < listing.opening else 1
    numerators = None if market.resolved_ts is None else ((1, 0), (0, 1))[winner]
    return replace(listing, market=replace(market, numerators=numerators), winner=winner, afterlife=0)


class FairBoard(Board):
    """A market that trades at fair prices, whoever trades.

    Attributes:
        news_ts: when the one piece of news arrives.
    """

    __slots__ = ("_prices", "news_ts")

    def __init__(self, listing: Listing) -> None:
        super().__init__(listing)
        rng = Random(f"signals {listing.market.condition_id}")
        news = _SIGNALS // 12 + rng.randrange(_SIGNALS // 3)
        self._prices = [listing.opening]
        evidence = 0
        for place in range(1, _SIGNALS + 1):
            evidence += _signal(rng, listing.winner, _NEWS if place == news else 1)
            self._prices.append(_posterior(listing.opening, evidence))
        life = self.close - self.market.start_ts
        self.news_ts = self.market.start_ts + -(-life * news // _SIGNALS)

    def price_at(self, ts: int, outcome: int = 0) -> int:
        """Price of an outcome at a moment of the market's life, thousandths, before it is rounded to ticks."""
        life = max(1, self.close - self.market.start_ts)
        place = _SIGNALS * (ts - self.market.start_ts) // life
        price = self._prices[min(_SIGNALS, max(0, place))]
        return 1_000 - price if outcome else price

    def step(self, rng: Random, ts: int) -> None:  # noqa: ARG002 - the path was drawn when the market was made
        """Move the price to where it is at ``ts``."""
        tick = self.listing.tick
        price = (self.price_at(ts) + tick // 2) // tick * tick
        self.price = min(1_000 - 2 * tick, max(2 * tick, price))


def _signal(rng: Random, winner: int, weight: int) -> int:
    """Evidence for outcome 0, ``weight`` signals at once, right with odds of (6 : 5) to the power of ``weight``."""
    right = rng.randrange(_FOR**weight + _AGAINST**weight) < _FOR**weight
    return weight if right == (winner == 0) else -weight


def _posterior(opening: int, evidence: int) -> int:
    """Probability of outcome 0 in thousandths, from the opening price and the signals so far (Bayes)."""
    up, down = (_FOR, _AGAINST) if evidence >= 0 else (_AGAINST, _FOR)
    yes: int = opening * up ** abs(evidence)
    no: int = (1_000 - opening) * down ** abs(evidence)
    return (1_000 * yes + (yes + no) // 2) // (yes + no)
