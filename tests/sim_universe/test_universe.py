"""The universe: deterministic, complete in kinds, real ids, feasible balances, sizes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter, defaultdict
from decimal import Decimal

import pytest

from polyhouse.domain import contracts, ids
from polyhouse.domain.rest import activity_amounts
from polyhouse.errors import BadInputError
from polyhouse.sim.model import Transaction
from polyhouse.sim.truth_reading import MACHINERY, Fill, Reader
from polyhouse.sim.universe import START, Universe

INFRA = {ids.format_address(address) for address in contracts.INFRA}


@pytest.fixture(scope="module")
def universe() -> Universe:
    return Universe(seed=3, wallets=150, fills=9_000)


@pytest.fixture(scope="module")
def history(universe: Universe) -> list[Transaction]:
    return list(universe.transactions(until=universe.end))


def logs_of(history: list[Transaction], name: str) -> list[dict]:
    return [log.fields for tx in history for log in tx.logs if log.t == name]


def test_same_arguments_give_the_same_bytes(universe: Universe, history: list[Transaction]) -> None:
    again = Universe(seed=3, wallets=150, fills=9_000)
    assert again.events == universe.events
    assert again.wallets == universe.wallets
    assert list(again.transactions(until=again.end)) == history
    other = Universe(seed=4, wallets=150, fills=9_000)
    assert other.wallets != universe.wallets
    assert next(other.transactions()) != history[0]


def test_another_process_makes_the_same_bytes() -> None:
    """Nothing depends on the interpreter's hash seed."""
    program = (
        "from polyhouse.sim.universe import Universe\n"
        "import hashlib\n"
        "u = Universe(seed=9, wallets=40, fills=800)\n"
        "text = repr((u.events, u.wallets, u.neg_risk_markets, list(u.transactions(until=u.end))))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_streamed_and_kept_walks_agree(monkeypatch: pytest.MonkeyPatch, history: list[Transaction]) -> None:
    monkeypatch.setattr("polyhouse.sim.universe._KEPT_FILLS", 0)
    streamed = Universe(seed=3, wallets=150, fills=9_000)
    first, until = history[400].ts, history[2_000].ts
    expected = [tx for tx in history if first <= tx.ts <= until]
    assert list(streamed.transactions(first, until)) == expected
    assert list(streamed.transactions(first, until)) == expected, "a second walk repeats the first one"


def test_transactions_come_in_block_order(history: list[Transaction]) -> None:
    keys = [(tx.block, tx.tx_index) for tx in history]
    assert keys == sorted(set(keys))
    assert [tx.ts for tx in history] == sorted(tx.ts for tx in history)
    for _, block in itertools.groupby(history, key=lambda tx: tx.block):
        txs = list(block)
        assert len({tx.ts for tx in txs}) == 1
        places = [log.li for tx in txs for log in tx.logs]
        assert places == sorted(set(places))
    assert len({tx.tx for tx in history}) == len(history)


def test_time_reveals_the_future_step_by_step(history: list[Transaction]) -> None:
    universe = Universe(seed=3, wallets=150, fills=9_000)
    before = universe.now
    seen = list(universe.transactions())
    assert seen == [tx for tx in history if tx.ts <= before]
    universe.advance(20 * 86_400)
    assert universe.now == before + 20 * 86_400
    new = list(universe.transactions(start_ts=before + 1))
    assert new
    assert seen + new == list(universe.transactions())
    with pytest.raises(BadInputError, match="cannot go back by 5 seconds"):
        universe.advance(-5)


def test_ids_are_real_derivations(universe: Universe) -> None:
    for event in universe.events:
        if event.neg_risk:
            assert event.neg_risk_market_id.endswith("00")
            assert universe.neg_risk_markets[event.neg_risk_market_id] == (len(event.markets), event.neg_risk_fee_bips)
        for market in event.markets:
            question = ids.parse_hash(market.question_id)
            oracle = contracts.NEG_RISK_ADAPTER if market.neg_risk else contracts.NEG_RISK_UMA_ADAPTER
            condition = ids.condition_id(oracle, question)
            assert ids.format_condition(condition) == market.condition_id
            tokens = ids.token_ids(condition, contracts.WCOL if market.neg_risk else contracts.USDC_E)
            assert tuple(map(ids.format_token, tokens)) == market.token_ids
            if market.neg_risk:
                assert ids.format_hash(ids.neg_risk_market_of(question)) == event.neg_risk_market_id
                assert question[31] == market.question_index
    assert len(set(universe.wallets)) == 150
    assert not set(universe.wallets) & INFRA


def test_every_kind_of_log_and_match_is_there(universe: Universe, history: list[Transaction]) -> None:
    fills = logs_of(history, "OrderFilled")
    assert {f["ex"] for f in fills} == {"EX1", "NEX1", "EX2", "NEX2"}
    assert {(f["v"], f["fee"] > 0) for f in fills} == {(1, False), (1, True), (2, False), (2, True)}
    matched = Counter(len([log for log in tx.logs if log.t == "OrdersMatched"]) for tx in history)
    assert matched[1] > 1_000
    assert matched[2] > 20
    stakeholders = {f["stakeholder"] for name in ("PositionSplit", "PositionsMerge") for f in logs_of(history, name)}
    assert {"EX1", "NEX1", "NRA", "ADP", "NADP"} <= stakeholders
    assert stakeholders & set(universe.wallets)
    redeemers = {f["redeemer"] for f in logs_of(history, "PayoutRedemption")}
    assert {"NRA", "ADP", "NADP"} < redeemers
    assert any(f["payout"] == 0 for f in logs_of(history, "PayoutRedemption"))
    assert any(f["to"] == "AR" for f in logs_of(history, "Transfer"))
    assert {tuple(f["numerators"]) for f in logs_of(history, "ConditionResolution")} == {(1, 0), (0, 1), (1, 1)}
    assert logs_of(history, "PositionsConverted")
    assert logs_of(history, "FeeRefunded")
    assert {f["kind"] for f in logs_of(history, "Income")} == {"MAKER_REBATE", "TAKER_REBATE", "REWARD", "YIELD"}
    orders = Counter((tx.tx, log.fields["order"]) for tx in history for log in tx.logs if log.t == "OrderFilled")
    assert max(orders.values()) == 2, "a resting order is filled twice in one transaction now and then"
    wallets = set(universe.wallets)
    plain = [f for f in logs_of(history, "Transfer") if f["from"] in wallets and f["to"] in wallets]
    alone = [tx for tx in history if all(log.t == "Transfer" for log in tx.logs)]
    assert alone
    assert len(plain) > len(alone)
    assert any(f["maker"] == f["taker"] for f in fills), "self trades"
    assert max(f["maker_amount"] + f["taker_amount"] for f in fills) > 10_000_000_000
    assert sum(f["maker_amount"] % 1_000 > 0 for f in fills) > len(fills) // 3, "odd amounts"


def test_neg_risk_markets_have_at_most_one_winner(history: list[Transaction], universe: Universe) -> None:
    outcome = {f["condition"]: tuple(f["numerators"]) for f in logs_of(history, "ConditionResolution")}
    winners = Counter()
    for event in universe.events:
        for market in event.markets:
            assert outcome.get(market.condition_id) == market.numerators
            if event.neg_risk and market.numerators:
                assert market.numerators != (1, 1)
                winners[event.neg_risk_market_id] += market.numerators == (1, 0)
    assert set(winners.values()) == {0, 1}
    late = [m for e in universe.events for m in e.markets if m.resolved_ts and m.resolved_ts > m.end_ts + 19 * 86_400]
    assert late


def test_balances_never_go_below_zero_and_supply_is_conserved() -> None:
    """Accounting §3.7, on the transfers alone: they are complete, and no address ever gives what it does not have."""
    universe = Universe(seed=5, wallets=80, fills=4_000, with_transfers=True)
    balances: defaultdict[tuple[str, str], int] = defaultdict(int)
    pairs: defaultdict[str, int] = defaultdict(int)
    tokens = {market.condition_id: market.token_ids for event in universe.events for market in event.markets}
    minted: defaultdict[str, int] = defaultdict(int)
    for tx in universe.transactions(until=universe.end):
        for log in tx.logs:
            f = log.fields
            if log.t == "Transfer":
                balances[f["to"], f["token"]] += f["amount"]
                balances[f["from"], f["token"]] -= f["amount"]
                assert f["from"] == "ZERO" or balances[f["from"], f["token"]] >= 0
                minted[f["token"]] += f["amount"] * ((f["from"] == "ZERO") - (f["to"] == "ZERO"))
            elif log.t in ("PositionSplit", "PositionsMerge") and f["src"] == "CTF":
                pairs[f["condition"]] += f["amount"] if log.t == "PositionSplit" else -f["amount"]
        for relay in ("EX1", "NEX1", "EX2", "NEX2", "ADP", "NADP", "AR"):
            for condition in {log.fields.get("condition") for log in tx.logs} - {None}:
                assert not any(balances[relay, token] for token in tokens[condition]), "nothing stays with a relay"
    redeemed = {f["condition"] for f in logs_of(list(universe.transactions(until=universe.end)), "PayoutRedemption")}
    assert len(pairs) > 100
    for condition, supply in pairs.items():
        for token in tokens[condition]:
            assert sum(amount for (who, t), amount in balances.items() if t == token and who != "ZERO") == minted[token]
            assert minted[token] == supply or condition in redeemed


def test_complete_transfers_change_nothing_else() -> None:
    short = Universe(seed=6, wallets=60, fills=2_000)
    full = Universe(seed=6, wallets=60, fills=2_000, with_transfers=True)

    def core(universe: Universe) -> list[list[tuple[str, dict]]]:
        walked = universe.transactions(until=universe.end)
        return [[(log.t, log.fields) for log in tx.logs if log.t != "Transfer"] for tx in walked]

    assert core(short) == core(full)


def test_rest_rows_can_express_every_fill(universe: Universe, history: list[Transaction]) -> None:
    """Size, a price of ten decimals and the cash of an activity row give back shares, cash, fee and volume."""
    tokens = {m.condition_id: m.token_ids for e in universe.events for m in e.markets}
    questions = {
        e.neg_risk_market_id: ([m.token_ids for m in e.markets], e.neg_risk_fee_bips)
        for e in universe.events
        if e.neg_risk
    }
    reader = Reader(tokens, questions)
    with_fee = 0
    for tx in history:
        rows = [log.fields for log in tx.logs if log.t == "OrderFilled"]
        fills = [event for event in reader.read(tx) if isinstance(event, Fill)]
        assert len(rows) == len(fills)
        for row, fill in zip(rows, fills, strict=True):
            gross = row["taker_amount"] if fill.buy else fill.shares
            price = Decimal((2 * fill.volume * 10**10 + gross) // (2 * gross)).scaleb(-10)
            size, cash = (str(Decimal(amount).scaleb(-6)) for amount in (fill.shares, fill.cash))
            side = "BUY" if fill.buy else "SELL"
            amounts = activity_amounts(side, size, str(price), cash, tx.ts)
            assert (amounts.shares, amounts.cash, amounts.fee_usdc) == (fill.shares, fill.cash, fill.fee)
            assert amounts.usdc_gross == fill.volume
            with_fee += fill.fee > 0
    assert with_fee > 500


def test_v1_fees_follow_contract_and_schedule(history: list[Transaction]) -> None:
    """The event withholds at the order's rate, the refund leaves no more than the schedule asks for."""
    checked = 0
    for tx in history:
        refunds: defaultdict[str, list[int]] = defaultdict(list)
        for log in tx.logs:
            if log.t == "FeeRefunded":
                refunds[log.fields["order"]].append(log.fields["refund"])
        for log in tx.logs:
            f = log.fields
            if log.t != "OrderFilled" or f["v"] != 1 or not f["fee"]:
                continue
            net = f["fee"] - refunds[f["order"]].pop(0)
            shares, usdc = f["taker_amount"], f["maker_amount"]
            if f["maker_asset"] != "0":
                shares, usdc = usdc, shares
            assert net >= 0
            assert net % 10 == 0, "floored to five decimals"
            assert net * 100 <= 7 * (shares - usdc)
            if f["taker"] not in MACHINERY:
                assert net == 0, "makers pay nothing"
            checked += 1
    assert checked > 300


def test_activity_follows_a_power_law(universe: Universe, history: list[Transaction]) -> None:
    active = Counter(f["maker"] for f in logs_of(history, "OrderFilled"))
    counts = sorted(active.values(), reverse=True)
    assert sum(counts[:15]) > sum(counts) // 3
    assert len(counts) > 130
    assert set(universe.behaviours.values()) == {
        "informed", "specialist", "gambler", "market_maker", "holder", "scalper", "arbitrageur", "late_redeemer",
        "whale", "dormant",
    }  # fmt: skip


def test_events_look_like_gamma(universe: Universe) -> None:
    sizes = Counter(len(event.tags) for event in universe.events)
    assert set(sizes) <= {0, 1, 2, 3, 4}
    assert sizes[0] > 0
    assert sizes[2] + sizes[3] > 0
    assert any(event.series for event in universe.events)
    outcomes = {market.outcomes for event in universe.events for market in event.markets}
    assert ("Yes", "No") in outcomes
    assert len(outcomes) > 3
    rates = {market.fee_rate for event in universe.events for market in event.markets}
    assert {"0", "0.07", "0.05", "0.04"} <= rates


def test_the_default_span_has_both_eras(universe: Universe) -> None:
    assert universe.start == START < contracts.CLOB_V2_CUTOVER_TS < contracts.REDEEM_PER_OUTCOME_TS < universe.now
    assert universe.now < universe.end


def test_the_number_of_fills_is_about_the_wanted_one(history: list[Transaction]) -> None:
    assert 8_000 < len(logs_of(history, "OrderFilled")) < 10_000


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(BadInputError, match="3 wallets"):
        Universe(wallets=3)


def test_a_large_universe_streams() -> None:
    universe = Universe(seed=1, wallets=1_000, fills=61_000)
    walked = list(itertools.islice(universe.transactions(until=universe.end), 2_000))
    assert len({tx.tx for tx in walked}) == 2_000
    assert "_kept" not in universe.__dict__, "a large history is not kept in memory"


def test_income_goes_to_wallets_that_have_traded(history: list[Transaction]) -> None:
    traded: set[str] = set()
    for tx in history:
        for log in tx.logs:
            if log.t == "OrderFilled":
                traded.add(log.fields["maker"])
            assert log.t != "Income" or log.fields["wallet"] in traded
