"""Two independent readings of the same logs, the upstreams' rows and the truth, agree where both say something."""

from __future__ import annotations

from collections import Counter

import msgspec

from polyhouse.sim.markets import Catalog
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.views import Views

BURN = "0xa5ef39c3d3e10d0b270233af41cac69796b12966"


def _views(universe, batch=None) -> Views:
    views = Views(Catalog(universe.events))
    transactions = list(universe.transactions())
    step = batch or len(transactions)
    for start in range(0, len(transactions), step):
        views.ingest(transactions[start : start + step])
    return views


def test_rows_agree_with_the_truth_of_every_wallet(universe):
    views = _views(universe)
    truth = compute_truth(universe.transactions(), universe.events, universe.neg_risk_markets, windows=False)
    assert len(truth.wallets) > 40
    for wallet, told in truth.wallets.items():
        rows = list(views.history(views.wallet_id(wallet)))
        kinds = Counter(row[5] for row in rows)
        assert kinds[0] == told.totals.trades
        redeemed = sum(row[8] for row in rows if row[5] == 3)
        assert redeemed == told.totals.redeemed_cash
        income = sum(row[8] for row in rows if row[5] in range(5, 10))
        assert income == told.totals.income
        assert len({row[3] for row in rows if row[5] == 0}) == told.totals.markets


def test_balances_agree_with_the_truth_of_every_position(universe):
    views = _views(universe)
    truth = compute_truth(universe.transactions(), universe.events, universe.neg_risk_markets, windows=False)
    held = {
        (views.wallet_name(wallet), views.catalog.markets[market].meta.token_ids[outcome]): shares
        for wallet in range(views.wallet_count)
        for (market, outcome), shares in views.holdings(wallet).items()
        if views.wallet_name(wallet) != BURN
    }
    told = {key: p.shares + p.external_shares for key, p in truth.positions.items() if p.shares + p.external_shares}
    assert held == told
    assert len(held) > 200


def test_derivation_in_small_steps_gives_the_same_rows(universe):
    whole, steps = _views(universe), _views(universe, batch=37)
    for wallet in range(whole.wallet_count):
        name = whole.wallet_name(wallet)
        other = steps.wallet_id(name)
        assert other is not None
        rows = [row[:2] + row[3:] for row in whole.history(wallet)]
        assert rows == [row[:2] + row[3:] for row in steps.history(other)]
        assert whole.holdings(wallet) == steps.holdings(other)


def test_transactions_delivered_twice_count_once(universe):
    views = _views(universe)
    before = views.stats()
    assert views.ingest(universe.transactions()) == 0
    assert views.stats() == before


async def test_time_reveals_new_rows_and_resolutions(browser):
    from polyhouse.sim.server import SimServer
    from polyhouse.sim.universe import Universe

    async with SimServer(Universe(seed=3, wallets=40, fills=1500), enforce_limits=False) as server:
        before = server.stats()["universe"]
        resolved_before = sum(m.resolution is not None for m in server.world.catalog.markets)
        answer = await browser.post(f"{server.base_url}/_sim/advance", {"seconds": 30 * 86_400})
        assert answer.doc["transactions"] > 0
        after = (await browser.get(f"{server.base_url}/_sim/stats")).doc["universe"]
        assert after["trades"] > before["trades"]
        assert sum(m.resolution is not None for m in server.world.catalog.markets) > resolved_before
        whole = _views(server.world.universe)
        assert whole.stats() == after


def test_wire_numbers_are_exact():
    from polyhouse.sim.wire import number, text_number

    for value, scale, text in (
        (0, 6, b"0.0"), (1, 6, b"0.000001"), (-1, 6, b"-0.000001"), (12_500_000, 6, b"12.5"),
        (9_007_199_254_740_993, 6, b"9007199254.740993"), (6_666_666_667, 10, b"0.6666666667"),
    ):  # fmt: skip
        assert msgspec.json.encode(number(value, scale)) == text
    assert text_number(10**10, 10) == "1"
