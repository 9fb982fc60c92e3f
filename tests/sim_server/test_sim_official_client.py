"""The official client pages everything from the simulated upstreams to the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from polymarket import AsyncPublicClient
from polymarket import environments as polymarket_environments

from polyhouse.sim.server import SimServer


@pytest.fixture
async def client(server: SimServer) -> AsyncIterator[AsyncPublicClient]:
    config = replace(
        polymarket_environments.PRODUCTION._config,
        gamma_url=server.gamma_url,
        clob_url=server.clob_url,
        data_url=server.data_url,
    )
    environment = polymarket_environments._create_environment(name="simulated", config=config)
    async with AsyncPublicClient(environment) as connected:
        yield connected


async def _all(paginator):
    return [item async for item in paginator.iter_items()]


async def test_events_and_markets_to_the_end(client, universe):
    events = await _all(client.list_events(closed=True)) + await _all(client.list_events(closed=False))
    expected = [event for event in universe.events if event.created_ts <= universe.now]
    assert sorted(int(event.id) for event in events) == sorted(event.event_id for event in expected)
    labels = {int(event.id): [tag.label for tag in event.tags] for event in events}
    assert labels == {event.event_id: [label for _, label, _ in event.tags] for event in expected}

    markets = await _all(client.list_markets(page_size=100))
    wanted = {m.condition_id: m for e in universe.events for m in e.markets if m.created_ts <= universe.now}
    assert Counter(market.condition_id for market in markets) == Counter(wanted.keys())
    nested = {market.condition_id for event in events for market in event.markets}
    assert nested == set(wanted)
    for market in markets:
        meta = wanted[market.condition_id]
        assert (market.outcomes.yes.label, market.outcomes.no.label) == meta.outcomes
        assert market.resolution.question_id == meta.question_id


async def test_trades_to_the_end(client, universe, logs):
    conditions = [m.condition_id for e in universe.events for m in e.markets]
    trades = []
    for start in range(0, len(conditions), 20):
        query = client.list_trades(
            condition_id=conditions[start : start + 20], taker_only=False, filter_amount=0.000001, page_size=1000
        )
        trades += await _all(query)
    filled = [(tx.tx, log.fields["maker"]) for tx, log in logs if log.t == "OrderFilled"]
    assert Counter((trade.transaction_hash, trade.wallet) for trade in trades) == Counter(filled)


async def test_activity_to_the_end(client, universe, fills_of):
    total = 0
    for wallet in universe.wallets[:12]:
        rows = await _all(client.list_activity(user=wallet, sort_direction="ASC", full_history=True, page_size=50))
        kinds = Counter(row.type for row in rows)
        assert kinds["TRADE"] == len(fills_of(wallet))
        assert "" not in kinds
        assert [row.timestamp for row in rows] == sorted(row.timestamp for row in rows)
        total += len(rows)
    assert total > 200


async def test_positions_holders_leaderboard_to_the_end(client, server, universe):
    views = server.world.views
    wallet = max(
        universe.wallets, key=lambda w: len(views.holdings(views.wallet_id(w))) if views.wallet_id(w) is not None else 0
    )
    positions = await _all(client.list_positions(user=wallet, filter_amount=0, sort_by="TIMESTAMP", page_size=7))
    held = views.holdings(views.wallet_id(wallet))
    assert len(positions) == len(held) > 7
    sizes = {position.asset_id: position.current_size for position in positions}
    for (market, outcome), shares in held.items():
        assert sizes[server.world.catalog.markets[market].meta.token_ids[outcome]] * 1_000_000 == shares

    market = max(server.world.catalog.markets, key=lambda m: len(views.holders(m.number, 0, 1)))
    groups = await _all(client.list_market_holders(condition_ids=market.meta.condition_id, page_size=2))
    found = Counter((group.asset_id, holder.wallet) for group in groups for holder in group.holders)
    expected = Counter(
        (market.meta.token_ids[outcome], views.wallet_name(wallet))
        for outcome in (0, 1)
        for wallet, _ in views.holders(market.number, outcome, 1)
    )
    assert found == expected
    assert len(expected) > 2

    board = await _all(client.list_trader_leaderboard(window="all", page_size=10))
    traders = {
        w for w in universe.wallets if views.wallet_id(w) is not None and views.volume(views.wallet_id(w), 0, 2**40)[2]
    }
    assert [entry.rank for entry in board] == list(range(1, len(traders) + 1))
    assert {entry.wallet for entry in board} == traders
    assert [entry.pnl for entry in board] == sorted((entry.pnl for entry in board), reverse=True)


async def test_single_documents(client, server, universe):
    wallet = universe.wallets[0]
    value = await client.get_portfolio_value(user=wallet)
    assert value.wallet == wallet
    stats = await client.get_user_stats(user=wallet)
    point = stats.all_time_pnl
    assert point.position_pnl == point.realized_pnl + point.unrealized_pnl
    assert point.economic_pnl == point.position_pnl + point.wallet_income
    assert point.trade_pnl == point.position_pnl - point.fees_paid
    series = await client.get_user_pnl(user=wallet, interval="max", fidelity="1d")
    assert series.points[-1].realized_pnl == point.realized_pnl
    assert [p.trade_count for p in series.points] == sorted(p.trade_count for p in series.points)
    resolved = [m.meta.condition_id for m in server.world.catalog.markets if m.resolution][:20]
    answers = await client.get_resolutions(condition_ids=resolved)
    assert {answer.condition_id for answer in answers} == set(resolved)
    assert all(sum(answer.payouts) == 1 for answer in answers)
    tokens = await client.get_token_references(condition_ids=resolved[:10])
    assert len(tokens) == 20
    interest = await client.get_open_interests()
    assert interest[0].condition_id is None
    assert interest[0].value > 0
