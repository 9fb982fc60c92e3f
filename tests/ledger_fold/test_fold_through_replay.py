"""Hand-worked histories through the product's own ledger, SQL and fold: one document, one store, one replay.

Every case is in the document twice: as given, and with every log delivered twice in another order.
"""

import random

import pytest

from polyhouse.ledger.chain import observations
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.replay import replay
from polyhouse.warehouse import open_warehouse

M = 1_000_000


def market(questions, fee_bips=0):
    return {
        "conditions": [
            {"id": f"Q{i}", "tokens": [f"Q{i}Y", f"Q{i}N"], "neg_risk_market": "MK", "question_index": i}
            for i in range(questions)
        ],
        "neg_risk_markets": [{"id": "MK", "question_count": questions, "fee_bips": fee_bips}],
    }


def buy(token, usdc, shares, wallet="W1"):
    return _filled(wallet, "0", token, usdc, shares)


def sell(token, shares, usdc, wallet="W1"):
    return _filled(wallet, token, "0", shares, usdc)


def _filled(wallet, gives, gets, gave, got):
    return {
        "t": "OrderFilled", "v": 1, "ex": "EX1", "order": f"o{wallet}", "maker": wallet, "taker": "OPR",
        "maker_asset": gives, "taker_asset": gets, "maker_amount": gave, "taker_amount": got, "fee": 0,
    }  # fmt: skip


def filled_v2(maker, taker, side, gave, got):
    return {
        "t": "OrderFilled", "v": 2, "ex": "EX2", "order": f"o{maker}", "maker": maker, "taker": taker, "side": side,
        "token": "AY", "maker_amount": gave, "taker_amount": got, "fee": 0,
    }  # fmt: skip


def move(sender, to, token, amount):
    return {"t": "Transfer", "from": sender, "to": to, "token": token, "amount": amount}


def merge(amount):
    return {"t": "PositionsMerge", "src": "CTF", "stakeholder": "W1", "condition": "A", "amount": amount}


def resolved(condition, *numerators):
    return {"t": "ConditionResolution", "condition": condition, "numerators": list(numerators)}


def redeemed(payout, **more):
    base = {"t": "PayoutRedemption", "src": "CTF", "redeemer": "W1", "condition": "A", "payout": payout}
    return base | ({"index_sets": [1, 2]} if not more else {"src": "NRA"} | more)


def converted(index_set, amount):
    return {"t": "PositionsConverted", "stakeholder": "W1", "market": "MK", "index_set": index_set, "amount": amount}


def case(name, *logs, expected, **more):
    """A case whose logs each have a block of their own; a list of logs is one transaction."""
    entries = []
    for block, logs_of_tx in enumerate(logs, 1):
        together = logs_of_tx if isinstance(logs_of_tx, list) else [logs_of_tx]
        entries += [{"tx": f"x{block}", "bn": block, "li": li} | log for li, log in enumerate(together, 1)]
    plain = {"conditions": [{"id": "A", "tokens": ["AY", "AN"]}]}
    return {"id": name, "input": plain | more | {"logs": entries}, "expected": expected}


def position(shares, cost, realized, **more):
    return {"shares": shares, "cost": cost, "realized": realized, **more}


ROUND_TRIP = (
    buy("AY", 333_333, 1_000_001), sell("AY", 333_333, 150_000), sell("AY", 333_334, 100_000),
    sell("AY", 333_334, 120_000),
)  # fmt: skip
WON = buy("AY", 40 * M, 100 * M), resolved("A", 1, 0)

CASES = [
    case(
        "T03 round trip to exactly zero",
        *ROUND_TRIP,
        expected={
            "positions": {"W1/AY": position(0, 0, 36_667, unrealized=0, status="CLOSED", bought_cost=333_333)},
            "units": {"W1/A": {"realized": 36_667, "open": False, "result": "WIN", "cost": 333_333}},
            "closed_form": {"W1/A": 36_667},
            "fifo_positions": {"W1/AY": position(0, 0, 36_667, unrealized=0)},
        },
    ),
    case(
        "T05 reopening keeps nothing, and the result is gone until it closes again",
        *ROUND_TRIP,
        buy("AY", 9, 10),
        marks={"AY": 700_000},
        expected={
            "positions": {"W1/AY": position(10, 9, 36_667, unrealized=-2, status="OPEN")},
            "units": {"W1/A": {"realized": 36_667, "unrealized": -2, "open": True, "result": None}},
            "closed_form": {"W1/A": 36_665},
            "fifo_positions": {"W1/AY": position(10, 9, 36_667, unrealized=-2)},
            "subgraph": {"W1/AY": {"amount": 10, "avgPrice": 900_000}},
        },
    ),
    case(
        "T06 the methods differ while it is open",
        buy("AY", 10, 3),
        buy("AY", 9, 2),
        sell("AY", 1, 5),
        marks={"AY": M},
        expected={
            # average: floor(19/5) = 3; first in, first out: floor(10/3) = 3. The next sale tells them apart.
            "positions": {"W1/AY": position(4, 16, 2, unrealized=-12)},
            "fifo_positions": {"W1/AY": position(4, 16, 2, unrealized=-12)},
        },
    ),
    case(
        "T06 the methods differ after the first lot",
        buy("AY", 10, 3),
        buy("AY", 9, 2),
        sell("AY", 1, 5),
        sell("AY", 3, 20),
        marks={"AY": M},
        expected={
            "positions": {"W1/AY": position(1, 4, 2 + 20 - 12, unrealized=-3)},
            "fifo_positions": {"W1/AY": position(1, 5, 2 + 20 - 11, unrealized=-4)},
            "closed_form": {"W1/A": 7},
        },
    ),
    *(
        case(
            f"T07 log order decides, {name}",
            buy("AY", 3, 10) | first,
            sell("AY", 10, 7) | second,
            resolved("A", 1, 0) | third,
            expected={
                "positions": {"W1/AY": position(0, 0, 4, untracked_shares=0, settled_value=0)},
                "closed_form": {"W1/A": 4},
            },
        )
        for name, first, second, third in (
            ("not a clock that falls back", {"ts": 1_700_000_001}, {"ts": 1_700_000_000}, {"ts": 1_700_000_000}),
            ("and a missing time is no early one", {}, {"ts": 1_400_000_000}, {"ts": 1_400_000_000}),
        )
    ),
    case(
        "T08 a price above one is kept",
        buy("AY", 10_500_000, 10 * M),
        resolved("A", 1, 0),
        expected={
            "fills": {"x1:1": {"shares_delta": 10 * M, "usdc_delta": -10_500_000}},
            "positions": {"W1/AY": position(10 * M, 0, -500_000, settled_value=10 * M)},
            "units": {"W1/A": {"result": "LOSS"}},
            "subgraph": {"W1/AY": {"avgPrice": 1_050_000, "realizedPnl": 0}},
        },
    ),
    case(
        "R01 a winner, redeemed",
        *WON,
        redeemed(100 * M),
        expected={
            "positions": {"W1/AY": position(0, 0, 60 * M, status="CLOSED", redeemed_cash=100 * M)},
            "units": {"W1/A": {"realized": 60 * M, "result": "WIN", "open": False}},
            "redeemed_cash": {"W1/A": 100 * M},
            "closed_form": {"W1/A": 60 * M},
            "fifo_positions": {"W1/AY": position(0, 0, 60 * M)},
            "subgraph": {"W1/AY": {"amount": 0, "realizedPnl": 60 * M}},
        },
    ),
    case(
        "R04 the same winner, not redeemed",
        *WON,
        expected={
            "positions": {"W1/AY": position(100 * M, 0, 60 * M, status="SETTLED", redeemed_cash=0)},
            "units": {"W1/A": {"realized": 60 * M, "result": "WIN", "open": False}},
            "closed_form": {"W1/A": 60 * M},
            "fifo_positions": {"W1/AY": position(100 * M, 0, 60 * M)},
            "subgraph": {"W1/AY": {"amount": 100 * M, "realizedPnl": 0}},
        },
    ),
    case(
        "R03 a worthless redemption",
        buy("AN", 40 * M, 100 * M),
        resolved("A", 1, 0),
        redeemed(0),
        expected={
            "positions": {"W1/AN": position(0, 0, -40 * M, status="CLOSED", settled_value=0)},
            "units": {"W1/A": {"realized": -40 * M, "result": "LOSS"}},
            "redeemed_cash": {"W1/A": 0},
            "subgraph": {"W1/AN": {"amount": 0, "realizedPnl": -40 * M}},
        },
    ),
    case(
        "R05 fifty-fifty with odd quantities",
        buy("AY", 400_000, 1_000_001),
        buy("AN", 300_000, 999_999),
        resolved("A", 1, 1),
        expected={
            "positions": {
                "W1/AY": position(1_000_001, 0, 100_000, settled_value=500_000),
                "W1/AN": position(999_999, 0, 199_999, settled_value=499_999),
            },
            "units": {"W1/A": {"realized": 299_999, "result": "WIN"}},
            "closed_form": {"W1/A": 299_999},
        },
    ),
    case(
        "R06 trades after the resolution",
        *WON,
        buy("AY", 49_500_000, 50 * M),
        sell("AY", 30 * M, 29_400_000),
        buy("AN", 100_000, 10 * M),
        sell("AN", 5 * M, 50_000),
        expected={
            "positions": {
                "W1/AY": position(120 * M, 0, 59_900_000, settled_value=120 * M, status="SETTLED"),
                "W1/AN": position(5 * M, 0, -50_000, settled_value=0, status="SETTLED"),
            },
            "units": {"W1/A": {"realized": 59_850_000, "unrealized": 0, "open": False, "result": "WIN"}},
            "closed_form": {"W1/A": 59_850_000},
            "fifo_positions": {"W1/AY": position(120 * M, 0, 59_900_000)},
        },
    ),
    case(
        "R06 half payouts are floored on the whole quantity",
        buy("AY", 5, 3),
        resolved("A", 1, 1),
        buy("AY", 0, 1),
        buy("AY", 0, 1),
        sell("AY", 2, 0),
        # V goes 1, 2, 2, 1.
        expected={"positions": {"W1/AY": position(3, 0, -4, settled_value=1)}, "closed_form": {"W1/A": -4}},
    ),
    case(
        "R08 a repeated resolution changes nothing",
        *WON,
        resolved("A", 0, 1),
        expected={
            "flags": ["resolution_repeated x3:1"],
            "positions": {"W1/AY": position(100 * M, 0, 60 * M, settled_value=100 * M)},
        },
    ),
    case(
        "R11 a partial redemption",
        buy("Q0Y", 30 * M, 100 * M),
        resolved("Q0", 1, 0),
        redeemed(40 * M, condition="Q0", amounts=[40 * M, 0]),
        **market(2),
        expected={
            "positions": {
                "W1/Q0Y": position(60 * M, 0, 70 * M, status="SETTLED", settled_value=100 * M, redeemed_cash=40 * M)
            },
            "redeemed_cash": {"W1/Q0": 40 * M},
            "subgraph": {"W1/Q0Y": {"amount": 60 * M, "realizedPnl": 28 * M}},
        },
    ),
    case(
        "R11 and the rest later, with a sale between",
        buy("Q0Y", 30 * M, 100 * M),
        resolved("Q0", 1, 0),
        redeemed(40 * M, condition="Q0", amounts=[40 * M, 0]),
        sell("Q0Y", 10 * M, 9 * M),
        redeemed(50 * M, condition="Q0", amounts=[50 * M, 0]),
        **market(2),
        expected={
            "positions": {"W1/Q0Y": position(0, 0, 69 * M, status="CLOSED", redeemed_cash=90 * M)},
            "closed_form": {"W1/Q0": 69 * M},
        },
    ),
    case(
        "N07 a decided NO leaves at its payout",
        buy("Q0N", 60 * M, 100 * M),
        buy("Q1N", 70 * M, 100 * M),
        resolved("Q0", 0, 1),
        converted(0b011, 100 * M),
        marks={"Q2Y": 800_000},
        **market(3),
        expected={
            "positions": {
                "W1/Q0N": position(0, 0, 40 * M, status="CLOSED", settled_value=0),
                "W1/Q1N": position(0, 0, 0, status="CLOSED"),
                "W1/Q2Y": position(100 * M, 70 * M, 0, unrealized=10 * M, status="OPEN"),
            },
            "units": {"W1/MK": {"realized": 40 * M, "unrealized": 10 * M, "open": True, "cost": 200 * M}},
            "closed_form": {"W1/MK": 50 * M},
        },
    ),
    case(
        "N07 only live questions take the basis",
        buy("Q0N", 60_000_001, 100 * M),
        resolved("Q3", 0, 1),
        converted(0b0001, 100 * M),
        marks={"Q1Y": 300_000, "Q2Y": 300_000},
        **market(4),
        expected={
            "positions": {
                "W1/Q0N": position(0, 0, 0),
                "W1/Q1Y": position(100 * M, 30_000_001, 0, unrealized=-1),
                "W1/Q2Y": position(100 * M, 30 * M, 0, unrealized=0),
                "W1/Q3Y": position(100 * M, 0, 0, status="SETTLED", settled_value=0),
            },
            "closed_form": {"W1/MK": -1},
        },
    ),
    case(
        "N08 four of five, an odd amount, a fee of two percent",
        buy("Q0N", 30_000_000, 33_333_333),
        buy("Q1N", 29_000_001, 33_333_333),
        buy("Q2N", 28_000_000, 33_333_333),
        buy("Q3N", 45_000_000, 50_000_000),
        converted(0b01111, 33_333_333),
        marks={"Q4Y": 600_000, "Q3N": 900_000},
        **market(5, 200),
        expected={
            "positions": {
                "W1/Q0N": position(0, 0, 0),
                "W1/Q3N": position(16_666_667, 15_000_001, 0, unrealized=-1),
                # 0.6 · 32,666,667 = 19,600,000.2
                "W1/Q4Y": position(32_666_667, 18_999_999, 0, unrealized=600_001),
            },
            "units": {"W1/MK": {"realized": 0, "unrealized": 600_000, "open": True}},
            "closed_form": {"W1/MK": 600_000},
            # (0.9 + 0.87 + 0.84 + 0.9 − 3) / 1, each average floored; the fee is ignored: 33,333,333 shares.
            "subgraph": {"W1/Q4Y": {"amount": 33_333_333, "avgPrice": 510_000}},
        },
    ),
    case(
        "U01 more sold than was seen, then bought again",
        buy("AY", 12 * M, 30 * M),
        sell("AY", 50 * M, 30 * M),
        buy("AY", 5 * M, 10 * M),
        marks={"AY": 500_000},
        expected={
            "positions": {
                "W1/AY": position(
                    10 * M, 5 * M, 6 * M, unrealized=0, untracked_shares=20 * M, untracked_cash=12 * M, ext_shares=0
                )
            },
            "wallets": {"W1": {"realized": 6 * M, "untracked_cash": 12 * M, "position_pnl": 6 * M}},
            "fifo_positions": {"W1/AY": position(10 * M, 5 * M, 6 * M, unrealized=0)},
            # Clamped: 30 · (600,000 − 400,000), the rest vanishes.
            "subgraph": {"W1/AY": {"amount": 10 * M, "avgPrice": 500_000, "realizedPnl": 6 * M}},
        },
    ),
    case(
        "U03 direct moves of a match are no transfers, a gift is",
        buy("AY", 40 * M, 100 * M, wallet="W2"),
        [
            move("W2", "W1", "AY", 60 * M),
            filled_v2("W2", "W1", "SELL", 60 * M, 36 * M),
            filled_v2("W1", "EX2", "BUY", 36 * M, 60 * M),
            {"t": "OrdersMatched", "ex": "EX2", "order": "oW1"},
        ],
        move("W2", "W3", "AY", 10 * M),
        use_transfers=True,
        marks={"AY": 600_000},
        expected={
            "positions": {
                "W1/AY": position(60 * M, 36 * M, 0, ext_shares=0, untracked_shares=0),
                "W2/AY": position(30 * M, 12 * M, 12 * M, basis_out=4 * M, ext_shares=0),
                "W3/AY": position(0, 0, 0, ext_shares=10 * M, untracked_cash=0),
            },
            "subgraph": {"W2/AY": {"amount": 100 * M, "realizedPnl": 0}},
        },
    ),
    case(
        "W02 a hedge, merged in part, then decided",
        buy("AY", 55 * M, 100 * M),
        buy("AN", 40 * M, 100 * M),
        merge(60 * M),
        resolved("A", 0, 1),
        expected={
            "positions": {"W1/AY": position(40 * M, 0, -25 * M), "W1/AN": position(40 * M, 0, 30 * M)},
            "units": {"W1/A": {"realized": 5 * M, "result": "WIN"}},
            "wallets": {"W1": {"wins": 1, "losses": 0, "flat": 0, "gains": 5 * M, "losses_abs": 0}},
            "closed_form": {"W1/A": 5 * M},
        },
    ),
    *(
        case(
            f"W02 the edge between results: {name}",
            buy("AY", M - realised, M),
            resolved("A", 1, 0),
            expected={"units": {"W1/A": {"realized": realised, "result": name}}},
        )
        for name, realised in (("FLAT", 9_999), ("WIN", 10_000), ("LOSS", -10_000))
    ),
    case(
        "W02 a certain loss just below the edge is flat",
        buy("AY", 1_009_999, M),
        resolved("A", 1, 0),
        expected={"units": {"W1/A": {"realized": -9_999, "result": "FLAT"}}, "wallets": {"W1": {"flat": 1}}},
    ),
]


def _doubled(entry, seed):
    logs = entry["input"]["logs"] * 2
    random.Random(seed).shuffle(logs)
    return entry | {"input": entry["input"] | {"logs": logs}}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """As given, and shuffled with every log twice, by case id."""
    document = {"vectors": CASES, "peer_vectors": [_doubled(c, seed) for seed, c in enumerate(CASES)]}
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('replay')}/warehouse") as warehouse:
        found = replay(document, warehouse)
    size = len(CASES)
    return {c["id"]: pair for c, *pair in zip(CASES, found[:size], found[size:], strict=True)}


@pytest.mark.parametrize("vector", CASES, ids=lambda c: c["id"])
def test_case(answers, vector):
    given, doubled = answers[vector["id"]]
    for section, expected in vector["expected"].items():
        got = given[section]
        if isinstance(expected, dict):
            got = {key: got.get(key) for key in expected}
            got = {k: {n: v[n] for n in expected[k]} if isinstance(v, dict) else v for k, v in got.items()}
        assert got == expected, section
    assert given == doubled


@pytest.mark.parametrize("vector", [c for c in CASES if not c["id"].startswith("U")], ids=lambda c: c["id"])
def test_the_total_is_the_same_by_every_way(answers, vector):
    """Order-free sums, average cost and first in, first out agree to the micro where nothing moved unseen (§3.6)."""
    answer = answers[vector["id"]][0]
    assert answer["closed_form"] == {name: unit["total"] for name, unit in answer["units"].items()}
    average, fifo = answer["positions"], answer["fifo_positions"]
    assert average.keys() == fifo.keys()
    assert [p["shares"] for p in average.values()] == [fifo[name]["shares"] for name in average]
    totals = [sum(p["realized"] + p["unrealized"] for p in x.values()) for x in (average, fifo)]
    assert totals[0] == totals[1]


@pytest.mark.parametrize("vector", CASES, ids=lambda c: c["id"])
def test_a_batch_may_be_split_anywhere(vector):
    """§3.7.3: the rows of two batches of whole transactions are the rows of one."""
    parsed = parse_case(vector["input"])
    transfers = parsed.use_transfers
    whole = observations(parsed.transactions, parsed.registry, use_transfers=transfers).observations
    for cut in range(len(parsed.transactions) + 1):
        parts = parsed.transactions[cut:], parsed.transactions[:cut]
        rows = [r for p in parts for r in observations(p, parsed.registry, use_transfers=transfers).observations]
        assert sorted(rows) == sorted(whole)
