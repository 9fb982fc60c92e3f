"""Metrics that public data cannot give: each says what it would need."""

from __future__ import annotations

from polyhouse.metrics.metric import Direction, Metric, Unit
from polyhouse.metrics.terms import SEED


def _needs(number: int, name: str, unit: Unit, direction: Direction, meaning: str, formula: str, needs: str) -> Metric:
    return Metric(name, meaning, formula, unit, "", SEED, direction, number, needs=needs)


_NEWS = "the times of news that move a market (a licensed feed), to the second"
_BOOK = "the order book at every fill; the exchange publishes no history of it"

METRICS: tuple[Metric, ...] = (
    _needs(67, "ev_news_window", "usd", "higher", "Result of bets within five minutes of news",
           "mean x of bets opened within 5 min after news of their event", _NEWS),
    _needs(79, "deposit_integrity", "ratio", "none", "Whether deposits and trading explain the balance",
           "(deposits − withdrawals + trading cash) / balance", "every deposit and withdrawal of the wallet's owner"),
    _needs(93, "news_reaction_seconds", "count", "lower", "Median seconds from news to a trade",
           "median of first fill after news − news", _NEWS),
    _needs(95, "spread_capture", "ratio", "higher", "Share of the spread earned as maker",
           "Σ shares·(mid − price)·side / Σ shares·half spread over maker fills", _BOOK),
    _needs(99, "liquidity_access", "ratio", "higher", "Share of the book it could use at its prices",
           "volume / depth within one cent at the fill", _BOOK),
    _needs(100, "news_latency_percentiles", "text", "none", "Distribution of the reaction to news",
           "JSON: percentiles of news_reaction_seconds", _NEWS),
)  # fmt: skip
