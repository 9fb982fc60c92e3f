"""Wallets whose purchases have no closing price: a metric without a value leaves the sums over wallets alone."""

from __future__ import annotations

from score_store import columns, fill, load, market_tables

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse

MARKETS = range(1, 56)


def test_elites_without_closing_prices(warehouse: Warehouse) -> None:
    """Bought and sold with gains in markets that list no end and are not resolved: nothing ever closed."""
    rows = [
        one
        for number in MARKETS
        for one in (
            fill(0xA1, number, 100, 4_000, market=number),
            fill(0xA1, number + 0.5, 100, 6_000, market=number, kind="SELL"),
        )
    ]
    load(warehouse, market_tables(*MARKETS, end_ts=0) | {"observations": columns(rows)})
    build(warehouse)
    (elites, clv), = warehouse.query(
        "SELECT elites, elite_clv FROM category_stats WHERE category = 'overall' AND window = 'lifetime'"
    ).rows  # fmt: skip
    assert (elites, clv) == (1, None)
    (purchases, mean), = warehouse.query(
        "SELECT purchases, clv_mean FROM wallet_metrics_complete FINAL WHERE window = 'lifetime'"
    ).rows  # fmt: skip
    assert (purchases, mean) == (len(MARKETS), None)
