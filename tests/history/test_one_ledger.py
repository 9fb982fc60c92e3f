"""The side sources change nothing where a better one tells; alone they are as exact as they can be."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from polyhouse.domain.contracts import EX2_THIRD, SYMBOLS
from polyhouse.domain.ids import format_address, parse_address
from polyhouse.models.runner import build
from polyhouse.sim.goldsky_api import raw_fills
from polyhouse.sim.server import SimServer
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.sources.data_v1 import ActivityV1
from polyhouse.sources.dome import DomeOrders
from polyhouse.sources.goldsky import GoldskyFills
from polyhouse.sources.prices import PriceHistory
from polyhouse.sync.history import HistoryPlan, history_job, token_spans, wallet_plan
from polyhouse.sync.report import WalletSelection

pytestmark = pytest.mark.usefixtures("accounts_only")

CONTRACTS = frozenset(SYMBOLS) | {"0x" + EX2_THIRD.hex()}
MODELS = ("ledger", "positions", "units", "wallet_totals", "wallet_coverage", "unmapped")
_ALONE = {}
STEPS = {
    "activity": lambda home, wallets: home.engine.sync_wallets(WalletSelection(addresses=wallets)),
    "v1": lambda home, wallets: history(home, ActivityV1(home.clients["data"], page_limit=100), wallets),
    "goldsky": lambda home, wallets: history(home, GoldskyFills(home.clients["subgraph"], page_limit=50), wallets),
    "dome": lambda home, wallets: history(home, DomeOrders(home.clients["dome"], page_limit=50), wallets),
}


async def history(home, stream, wallets):
    return await home.engine.perform("sync history", {}, history_job(wallet_plan(stream, wallets)))


async def load(server, tools, home_folder, steps):
    """A store filled by these steps, one after the other; what its model tables hold."""
    wallets = tuple(map(parse_address, server.world.universe.wallets))
    async with tools.session(server, home_folder) as home:
        assert (await home.engine.sync_markets()).status == "ok"
        for step in steps:
            report = await STEPS[step](home, wallets)
            assert (report.status, report.errors) == ("ok", [])
        build(home.warehouse)
        return {name: dump(home.warehouse, name) for name in MODELS}


def dump(warehouse, table):
    return sorted(warehouse.query(f"SELECT * EXCEPT (version, is_deleted) FROM {table} FINAL").rows, key=repr)


@pytest.fixture
async def activity_alone(server, tools, tmp_path):
    """Loaded once: every test has the same universe."""
    if not _ALONE:
        _ALONE.update(await load(server, tools, tmp_path / "activity", ["activity"]))
    return _ALONE


@pytest.mark.parametrize("steps", [["goldsky", "dome", "activity"], ["activity", "dome", "goldsky", "goldsky"]])
async def test_side_sources_beside_activity_leave_the_same_ledger(server, tools, tmp_path, activity_alone, steps):
    assert await load(server, tools, tmp_path / "mixed", steps) == activity_alone
    assert len(activity_alone["ledger"]) > 1_000


async def test_the_first_data_api_alone_or_again_leaves_the_same_ledger(server, tools, tmp_path, activity_alone):
    assert await load(server, tools, tmp_path / "v1", ["v1"]) == activity_alone
    assert await load(server, tools, tmp_path / "both", ["activity", "v1"]) == activity_alone


def plain_wallets(universe, truth):
    """Wallets whose whole life is fills without fee and refund, each order once a transaction, and redemptions."""
    spoilt, orders = set(), Counter()
    for tx in universe.transactions(until=universe.now):
        fills = []
        for log in tx.logs:
            fields = log.fields
            if log.t == "OrderFilled":
                fills.append(fields)
                orders[fields["maker"], tx.tx, fields["order"]] += 1
                if int(fields["fee"]) or orders[fields["maker"], tx.tx, fields["order"]] > 1:
                    spoilt.add(fields["maker"])
            elif log.t == "OrdersMatched":
                taker, makers = fills[-1], fills[:-1]
                if surplus(taker, makers):
                    spoilt.add(taker["maker"])
                fills = []
            elif log.t in {"PositionSplit", "PositionsMerge", "PositionsConverted"}:
                spoilt.add(fields["stakeholder"])
            elif log.t == "Transfer":
                spoilt |= {name for name in (fields["from"], fields["to"]) if len(tx.logs) == 1}
    return {wallet for wallet in truth.wallets if wallet not in spoilt}


def surplus(taker, makers):
    """What the taker gave beyond what the makers took (accounting §1.9), for V1 rows."""

    def buys(row):
        return str(row["maker_asset"]) == "0"

    need = 0
    for row in makers:
        gave, took = int(row["maker_amount"]), int(row["taker_amount"])
        if buys(row) != buys(taker):
            need += took
        else:
            need += took - gave if buys(taker) else gave
    return int(taker["maker_amount"]) - need


@pytest.fixture(scope="module")
def v1_universe():
    """A universe whose clock stands before the cut-over, so that every fill is one of V1."""
    return Universe(seed=9, wallets=60, fills=2_500, now_fraction=0.4)


@pytest.mark.parametrize("name", ["goldsky", "dome"])
async def test_alone_they_equal_the_truth_for_plain_wallets_and_the_others_are_marked(
    v1_universe, tools, tmp_path, name
):
    universe = v1_universe
    truth = compute_truth(universe.transactions(until=universe.now), universe.events, universe.neg_risk_markets)
    async with SimServer(universe, enforce_limits=False) as server, tools.session(server, tmp_path) as home:
        await home.engine.sync_markets()
        wallets = tuple(map(parse_address, universe.wallets))
        if name == "goldsky":
            stream = GoldskyFills(home.clients["subgraph"])
            job = history_job(HistoryPlan(stream, stream.partitions()))
            report = await home.engine.perform("sync history", {}, job)
        else:
            report = await STEPS[name](home, wallets)
        assert report.status == "ok"
        build(home.warehouse)
        columns = "wallet, token, realized, cost, bought, bought_cost, untracked_shares, untracked_cash"
        ours = defaultdict(dict)
        for wallet, token, *numbers in home.warehouse.query(f"SELECT {columns} FROM positions FINAL").rows:
            ours[format_address(bytes(wallet))][int.from_bytes(bytes(token), "big")] = tuple(numbers)
        coverage = {
            format_address(bytes(wallet)): set(reasons)
            for wallet, reasons in home.warehouse.query("SELECT wallet, provisional FROM wallet_coverage FINAL").rows
        }
        known = {format_address(wallet) for wallet in home.state.wallet_addresses()}
    theirs = defaultdict(dict)
    for (wallet, token), p in truth.positions.items():
        # Not the unrealised part: the mark is the market's last fill, which may be another wallet's gross row.
        numbers = (p.realized, p.cost, p.bought, p.bought_cost, p.untracked_shares, p.untracked_cash)
        theirs[wallet][int(token)] = numbers
    plain = plain_wallets(universe, truth)
    traded = {fill.log.fields["maker"] for fill in raw_fills(server.world)}
    assert known == (traded if name == "goldsky" else set(universe.wallets))
    assert len(plain & traded) > 5
    assert [wallet for wallet in plain & traded if ours[wallet] != theirs[wallet]] == []
    different = {wallet for wallet in traded if ours[wallet] != theirs[wallet]}
    assert different
    assert all("fills_only" in coverage[wallet] for wallet in different)


async def test_prices_of_every_traded_token(server, tools, tmp_path):
    async with tools.session(server, tmp_path) as home:
        await home.engine.sync_markets()
        wallets = tuple(map(parse_address, server.world.universe.wallets[:3]))
        await home.engine.sync_wallets(WalletSelection(addresses=wallets))
        stream = PriceHistory(home.clients["clob"])
        spans = [span for chunk in token_spans(home.warehouse) for span in chunk]
        traded = {token for (token,) in home.observations("DISTINCT token", "kind IN ('BUY', 'SELL')")}
        assert {span.token for span in spans} == traded
        job = history_job(HistoryPlan(stream, [stream.partition(s.token, s.start, s.end) for s in spans]))
        assert (await home.engine.perform("sync history", {}, job)).status == "ok"
        points = home.warehouse.query(
            "SELECT token, toUnixTimestamp(ts), price_e6 FROM price_points_current ORDER BY token, ts"
        ).rows
        assert {bytes(token) for token, _, _ in points} == traded
        assert (await home.engine.perform("sync history", {}, job)).status == "ok"
        again = home.warehouse.query("SELECT count() FROM price_points_current").rows[0][0]
        assert again == len(points)
    hours = defaultdict(set)
    catalog = server.world.catalog
    window = {str(int.from_bytes(span.token, "big")): (span.start, span.end or server.world.now) for span in spans}
    for fill in raw_fills(server.world):
        index, _ = catalog.by_token[fill.token]
        for token in catalog.markets[index].meta.token_ids:
            low, high = window.get(token, (0, 0))
            if fill.log.fields["taker"] in CONTRACTS and low <= fill.ts <= high:
                hours[token].add(fill.ts // 3_600 * 3_600)
    for token, wanted in hours.items():
        raw = int(token).to_bytes(32, "big")
        assert {ts for found, ts, _ in points if bytes(found) == raw} == wanted
    assert len(hours) == len(traded) > 3
    assert all(0 <= price <= 1_000_000 for _, _, price in points)
