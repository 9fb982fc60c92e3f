"""All sources against the simulated Polymarket, with its rate limits, quirks and faults."""

import asyncio
from collections import Counter

import pytest

from polyhouse.domain.ids import format_condition, format_token
from polyhouse.sim.faults import Fault, FaultPlan
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources import data_api
from polyhouse.sources.clob import ClobMarkets
from polyhouse.sources.gamma import GammaEvents
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, RetryPolicy

PATIENT = RetryPolicy(attempts=12, base_seconds=0.01, cap_seconds=0.05, budget=1_000.0, breaker_failures=1_000)


@pytest.fixture(scope="module")
def universe():
    return Universe(seed=5, wallets=40)


def visible_fills(universe):
    """(fills as wallets see them, how many of them are takers' own rows) up to the simulated now."""
    exchanges = {"EX1", "NEX1", "EX2", "NEX2", "EX3"}
    fills, takers = Counter(), 0
    for transaction in universe.transactions(until=universe.now):
        for log in transaction.logs:
            if log.t == "OrderFilled":
                fills[log.fields["maker"]] += 1
                takers += log.fields["taker"] in exchanges
    return fills, takers


async def all_rows(stream, partitions, walks, table):
    results = await asyncio.gather(*(walks.whole(stream, partition) for partition in partitions))
    pages = [page for pages in results for page in pages]
    assert [reject for page in pages for reject in page.rejected] == []
    return walks.rows(pages, table)


async def test_the_universe_arrives_whole_from_both_hosts(universe, walks):
    async with SimServer(universe, scale=100.0) as sim:
        async with HttpClient(sim.gamma_url, GAMMA, rate_scale=50.0) as client:
            stream = GammaEvents(client)
            partitions = stream.partitions(universe.now)
            events = await all_rows(stream, partitions, walks, "events")
            markets = await all_rows(stream, partitions, walks, "markets")
        async with HttpClient(sim.clob_url, CLOB, rate_scale=50.0) as client:
            clob = ClobMarkets(client)
            listed = await all_rows(clob, clob.partitions(0, 1), walks, "markets")
            tokens = await all_rows(clob, clob.partitions(0, 1), walks, "tokens")
    known = [event for event in universe.events if event.created_ts <= universe.now]
    expected = {m.condition_id for event in known for m in event.markets if m.created_ts <= universe.now}
    assert {row["event_id"] for row in events} == {event.event_id for event in known}
    assert {format_condition(row["condition"]) for row in markets} == expected
    assert {format_condition(row["condition"]) for row in listed} == expected
    assert {format_token(row["token"]) for row in tokens} == {
        token for event in known for m in event.markets if m.condition_id in expected for token in m.token_ids
    }


async def test_every_fill_arrives_from_both_feeds_through_limits_and_faults(universe, walks):
    fills, takers = visible_fills(universe)
    conditions = sorted(m.condition_id for event in universe.events for m in event.markets)
    faults = FaultPlan(
        [
            Fault("data/*", "status", status=503, probability=0.02),
            Fault("data/*", "truncated", probability=0.02),
            Fault("data/*", "reset", probability=0.02),
            Fault("data/*", "html", status=200, probability=0.02),
        ],
        seed=3,
    )
    async with (
        SimServer(universe, scale=0.5, limit_window=0.5, faults=faults) as sim,
        HttpClient(sim.data_url, DATA, rate_scale=0.5, window=0.5, policy=PATIENT) as client,
    ):
        trades = data_api.MarketTrades(client, page_limit=200)
        batches = [trades.partition(conditions[start : start + 20]) for start in range(0, len(conditions), 20)]
        market_rows = await all_rows(trades, batches, walks, "observations")
        activity = data_api.Activity(client, page_limit=100)
        wallets = [activity.partition(wallet) for wallet in universe.wallets]
        wallet_rows = await all_rows(activity, wallets, walks, "observations")
        stats = {route.name: route for route in client.snapshot()}
        assert sum(faults.fired.values()) > 0
        assert sim.throttled == {}  # half the published limits, and not once over them
    from_markets = Counter("0x" + row["wallet"].hex() for row in market_rows)
    from_wallets = Counter("0x" + row["wallet"].hex() for row in wallet_rows if row["kind"] in {"BUY", "SELL"})
    assert from_markets == from_wallets == Counter({wallet: count for wallet, count in fills.items() if count})
    assert Counter(row["role"] for row in market_rows) == {"TAKER": takers, "MAKER": sum(fills.values()) - takers}
    assert stats["data.activity"].retries > 0
    assert stats["data.activity"].errors >= stats["data.activity"].retries
