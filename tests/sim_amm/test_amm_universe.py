"""What an AMM era adds to a universe, that it adds nothing else, and that its logs are those of the real contracts."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from typing import Any

import pytest
from sim_rpc_abi import as_universe, read

from polyhouse.domain import contracts, ids
from polyhouse.errors import BadInputError
from polyhouse.sim.model import Log, SimMarket, SimPool, Transaction
from polyhouse.sim.node import Node, NodeQuirks
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe

W1 = "0x" + "a1" * 20
POOL_EVENTS = ("FPMMBuy", "FPMMSell", "FPMMFundingAdded", "FPMMFundingRemoved")


@pytest.fixture(scope="module")
def universe() -> Universe:
    return Universe(seed=2, wallets=40, fills=400, with_transfers=True, amm_markets=15, now_fraction=1.0)


@pytest.fixture(scope="module")
def history(universe: Universe) -> list[Transaction]:
    return list(universe.transactions(until=universe.end))


@pytest.fixture(scope="module")
def markets(universe: Universe) -> dict[str, SimMarket]:
    """Pool → its market."""
    return {m.pool.address: m for event in universe.events for m in event.markets if m.pool}


@pytest.mark.parametrize(
    ("seed", "wallets", "fills", "with_transfers", "digest"),
    [
        (1, 40, 600, False, "bdc28f89d5b88cfa080c8947cce01635ca9ad91445bab57f5a676133f6ece080"),
        (9, 30, 400, True, "77a10f675d38932b875dac400b4546f2a31df04c4db39ada48d6e9950672a6ce"),
    ],
)
def test_without_it_nothing_changes(seed: int, wallets: int, fills: int, with_transfers: bool, digest: str) -> None:
    """The bytes of universes as they were before there was an AMM era."""
    universe = Universe(seed=seed, wallets=wallets, fills=fills, with_transfers=with_transfers)
    sha = hashlib.sha256(repr((universe.events, universe.wallets, universe.neg_risk_markets)).encode())
    for tx in universe.transactions(until=universe.end):
        sha.update(repr(tx).encode())
    assert sha.hexdigest() == digest


def test_the_other_markets_stay_as_they_are(universe: Universe, history: list[Transaction]) -> None:
    plain = Universe(seed=2, wallets=40, fills=400, with_transfers=True)
    assert universe.events[: len(plain.events)] == plain.events
    bare = {tx.tx: [(log.t, log.fields) for log in tx.logs] for tx in plain.transactions(until=plain.end)}
    found = {tx.tx: [(log.t, log.fields) for log in tx.logs] for tx in history}
    assert bare.items() <= {name: found[name] for name in bare}.items()
    assert len(found) > len(bare) + 300


def test_it_is_the_same_in_every_walk(universe: Universe, history: list[Transaction]) -> None:
    again = Universe(seed=2, wallets=40, fills=400, with_transfers=True, amm_markets=15)
    assert again.events == universe.events
    assert list(again.transactions(until=again.end)) == history
    assert list(again._chain().walk()) == history


def test_every_kind_of_log_occurs(history: list[Transaction], markets: dict[str, SimMarket]) -> None:
    logs = [log for tx in history for log in tx.logs]
    names = Counter(log.t for log in logs)
    assert all(names[name] > 30 for name in POOL_EVENTS)
    added = [log.fields["amounts"] for log in logs if log.t == "FPMMFundingAdded"]
    assert any(a == b for a, b in added)
    assert any(a < b for a, b in added)
    assert any(a > b for a, b in added)
    assert any(log.t == "FPMMSell" and log.fields["tokens"] == 0 for log in logs)
    assert {market.numerators for market in markets.values()} == {(1, 0), (0, 1), (584, 416), (1, 1), None}
    assert len({market.pool.oracle for market in markets.values() if market.pool}) > 3
    resolved = {m.pool.address: m.resolved_ts for m in markets.values() if m.pool and m.resolved_ts}
    late = [log.t for tx in history for log in tx.logs if tx.ts > resolved.get(log.fields.get("fpmm", ""), tx.ts)]
    assert {"FPMMBuy", "FPMMFundingRemoved"} <= set(late)
    direct = [tx for tx in history if [log.t for log in tx.logs if log.t != "Transfer"] == ["OrderFilled"]]
    assert len(direct) > 10
    assert {tx.logs[-1].fields["taker"] in contracts.SYMBOLS for tx in direct} == {False}
    sides = Counter((tx.logs[-1].fields["maker_asset"] == "0", tx.logs[-1].fields["fee"] > 0) for tx in direct)
    assert len(sides) == 4


def test_nobody_gives_what_he_does_not_have(history: list[Transaction], markets: dict[str, SimMarket]) -> None:
    """By the transfers, which are complete: wallets and pools alike; a redemption burns the whole balance."""
    held: defaultdict[tuple[str, str], int] = defaultdict(int)
    tokens = {market.condition_id: market.token_ids for market in markets.values()}
    redemptions = 0
    for tx in history:
        for log in tx.logs:
            f = log.fields
            if log.t == "Transfer":
                held[f["to"], f["token"]] += f["amount"]
                held[f["from"], f["token"]] -= f["amount"]
                assert f["from"] == "ZERO" or held[f["from"], f["token"]] >= 0, tx.tx
            elif log.t == "PayoutRedemption" and f["condition"] in tokens:
                redemptions += 1
                assert all(held[f["redeemer"], token] == 0 for token in tokens[f["condition"]])
    assert redemptions > 30
    for pool, market in markets.items():
        # Every share was split from a dollar: outcomes exist in the same number, until somebody redeems.
        if market.resolved_ts is None:
            assert held["ZERO", market.token_ids[0]] == held["ZERO", market.token_ids[1]] < 0
        assert min(held[pool, token] for token in market.token_ids) >= 0


def test_raw_logs_decode_back(universe: Universe, history: list[Transaction], markets: dict[str, SimMarket]) -> None:
    node = Node(universe, NodeQuirks(noise_every=0, instances_every=0))
    wanted = {tx.tx: tx for tx in history if any(log.t.startswith("FPMM") for log in tx.logs)}
    found: defaultdict[str, list[Any]] = defaultdict(list)
    created, prepared = {}, {}
    for number in node.numbers(0, node.head, node.branch):
        for raw in node.logs(number, node.branch):
            name, f = read(raw)
            if name == "FixedProductMarketMakerCreation":
                created[f["pool"]] = (raw["address"], f, number)
            elif name == "ConditionPreparation":
                prepared[f["condition"]] = f["oracle"]
            elif name == "TokenRegistered":
                assert f["condition"] not in {market.condition_id for market in markets.values()}
            elif raw["transactionHash"] in wanted:
                found[raw["transactionHash"]] += as_universe(raw, name, f)
    assert dict(found) == {name: [(log.t, log.fields) for log in tx.logs] for name, tx in wanted.items()}
    assert created.keys() == markets.keys()
    for pool, (factory, f, block) in created.items():
        market = markets[pool]
        assert market.pool is not None
        assert factory == ids.format_address(contracts.FPMM_FACTORY)
        assert (f["conditions"], f["fee"], f["creator"]) == (
            [market.condition_id], market.pool.fee, market.pool.creator,
        )  # fmt: skip
        assert f["collateral"] == ids.format_address(contracts.USDC_E)
        assert prepared[market.condition_id] == market.pool.oracle
        first = min(tx.block for tx in wanted.values() if any(log.fields.get("fpmm") == pool for log in tx.logs))
        assert block < first


def test_an_impossible_number_of_markets() -> None:
    with pytest.raises(BadInputError, match="-1 AMM markets"):
        Universe(seed=1, wallets=10, amm_markets=-1)


# The truth of one wallet, by hand.


def one_pool(universe: Universe) -> tuple[list[Any], SimPool, SimMarket]:
    event = next(event for event in universe.events if event.markets[0].pool)
    assert event.markets[0].pool
    return [event], event.markets[0].pool, event.markets[0]


def put(*logs: tuple[str, dict[str, Any]]) -> list[Transaction]:
    return [
        Transaction(f"0x{place:064x}", 100 + place, 0, 1_600_000_000 + place, (Log(name, 1, fields),))
        for place, (name, fields) in enumerate(logs)
    ]


def test_trades_with_a_pool_by_hand(universe: Universe) -> None:
    """The reference's case A01: the fee is inside the investment and outside the return."""
    events, pool, market = one_pool(universe)
    buy = {"buyer": W1, "investment": 100_000_000, "fee": 2_000_000, "outcome_index": 0, "tokens": 180_000_000}
    sell = {"seller": W1, "return": 60_000_000, "fee": 1_224_489, "outcome_index": 0, "tokens": 90_000_000}
    none = {"seller": W1, "return": 0, "fee": 0, "outcome_index": 1, "tokens": 0}
    logs = [
        (name, {"fpmm": pool.address, **f}) for name, f in (("FPMMBuy", buy), ("FPMMSell", sell), ("FPMMSell", none))
    ]
    truth = compute_truth(put(*logs), events, {})
    position = truth.positions[W1, market.token_ids[0]]
    assert (position.shares, position.cost, position.realized, position.fees) == (
        90_000_000, 50_000_000, 10_000_000, 3_224_489,
    )  # fmt: skip
    assert (W1, market.token_ids[1]) not in truth.positions
    known = truth.wallets[W1]
    assert (known.totals.trades, known.totals.volume, known.rest_exact, known.rest_reasons) == (
        2, 160_000_000, False, ("amm",),
    )  # fmt: skip
    assert truth.marks[market.token_ids[0]] == 666_667


def test_liquidity_by_hand(universe: Universe) -> None:
    """The reference's case A02, and an unbalanced funding: 100 and 60 stay, so 40 come back at 40·100/160 = 25 $."""
    events, pool, market = one_pool(universe)
    fund = {"fpmm": pool.address, "funder": W1}
    logs = [
        ("FPMMFundingAdded", {**fund, "amounts": [100_000_000, 100_000_000], "shares": 100_000_000}),
        (
            "FPMMFundingRemoved",
            {**fund, "amounts": [80_000_000, 125_000_000], "fees": 3_000_000, "shares": 100_000_000},
        ),
    ]
    truth = compute_truth(put(*logs), events, {})
    provided = truth.positions[W1, pool.lp_token]
    assert (provided.shares, provided.realized, provided.status, provided.category) == (0, 560_974, "CLOSED", "other")
    assert [truth.positions[W1, token].cost for token in market.token_ids] == [48_780_487, 48_780_487]
    assert truth.units[W1, pool.lp_condition].result == "WIN"
    assert truth.wallets[W1].totals.trades == truth.wallets[W1].totals.volume == 0
    added = ("FPMMFundingAdded", {**fund, "amounts": [100_000_000, 60_000_000], "shares": 100_000_000})
    truth = compute_truth(put(added), events, {})
    provided, returned = truth.positions[W1, pool.lp_token], truth.positions[W1, market.token_ids[1]]
    assert (provided.shares, provided.cost, provided.status, provided.unrealized) == (
        100_000_000, 75_000_000, "OPEN", None,
    )  # fmt: skip
    assert (returned.shares, returned.cost) == (40_000_000, 25_000_000)
    assert truth.wallets[W1].rest_reasons == ("amm",)
