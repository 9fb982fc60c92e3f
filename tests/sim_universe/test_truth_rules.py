"""Single rules of accounting §§1–3 with numbers worked out by hand: one or two wallets, a few logs."""

from __future__ import annotations

import itertools
from typing import Any

from polyhouse.sim.model import Log, SimEvent, SimMarket, Transaction
from polyhouse.sim.truth import Truth, compute_truth

M = 1_000_000
PLAIN: dict[str, Any] = {"created_ts": 0, "start_ts": 0, "end_ts": 0}


def market(name: str, index: int = 0, group: str = "") -> SimMarket:
    return SimMarket(
        1, name, "q", "", "", ("Yes", "No"), (name + "Y", name + "N"), 1, neg_risk=bool(group),
        neg_risk_market_id=group, question_index=index, fee_rate="0", **PLAIN,
    )  # fmt: skip


MARKETS = (market("A"), market("Q0", 0, "MK"), market("Q1", 1, "MK"), market("Q2", 2, "MK"))
EVENT = SimEvent(
    1, "", "", (), None, neg_risk=True, neg_risk_market_id="MK", neg_risk_fee_bips=0, markets=MARKETS, **PLAIN
)


def truth_of(*transactions: list[Log]) -> Truth:
    """Each list of logs is one transaction; times count up from 1."""
    history = [
        Transaction(f"t{place}", place, 0, place, tuple(Log(log.t, li, log.fields) for li, log in enumerate(logs, 1)))
        for place, logs in enumerate(transactions, 1)
    ]
    return compute_truth(history, [EVENT], {"MK": (3, 0)}, windows=False)


def v1(maker: str, taker: str, gave: str, got: str, gives: int, gets: int, fee: int = 0, order: str = "") -> Log:
    return Log(
        "OrderFilled",
        0,
        {
            "v": 1, "ex": "EX1", "order": order or maker, "maker": maker, "taker": taker, "maker_asset": gave,
            "taker_asset": got, "maker_amount": gives, "taker_amount": gets, "fee": fee,
        },
    )  # fmt: skip


def v2(maker: str, taker: str, side: str, token: str, gives: int, gets: int, fee: int = 0) -> Log:
    return Log(
        "OrderFilled",
        0,
        {
            "v": 2, "ex": "EX2", "order": maker, "maker": maker, "taker": taker, "side": side, "token": token,
            "maker_amount": gives, "taker_amount": gets, "fee": fee,
        },
    )  # fmt: skip


def matched(order: str, ex: str = "EX1") -> Log:
    return Log("OrdersMatched", 0, {"ex": ex, "order": order})


def moved(source: str, target: str, token: str, amount: int) -> Log:
    return Log("Transfer", 0, {"from": source, "to": target, "token": token, "amount": amount})


def resolved(condition: str, *numerators: int) -> Log:
    return Log("ConditionResolution", 0, {"condition": condition, "numerators": list(numerators)})


def redeemed(**fields: Any) -> Log:
    return Log("PayoutRedemption", 0, fields)


def bought(wallet: str, token: str, shares: int, cash: int) -> list[Log]:
    return [v1(wallet, "OPR", "0", token, cash, shares)]


def test_mixed_match_with_a_refund() -> None:
    """M03, F05: a taker pays 66 at most for 100; 40 come from a seller at 0.55, 60 are minted at 0.60 + 0.41."""
    truth = truth_of(
        bought("s", "AY", 40 * M, 10 * M),
        [
            v1("s", "t", "AY", "0", 40 * M, 22 * M),
            v1("m", "t", "0", "AN", 2_460 * M // 100, 60 * M),
            v1("t", "EX1", "0", "AY", 66 * M, 100 * M),
            matched("t"),
        ],
    )
    taker = truth.positions["t", "AY"]
    assert taker.cost == 22 * M + (60 * M - 24_600_000)
    assert truth.wallets["t"].totals.volume == 57_400_000
    assert truth.marks == {"AY": 574_000, "AN": 426_000}, "the taker's row is the last one, at the price it really paid"
    assert truth.positions["s", "AY"].realized == 12 * M


def test_two_fills_of_one_order_get_their_own_fee_refunds() -> None:
    """F02: refunds join on (tx, order), in log order."""
    truth = truth_of(
        bought("m", "AY", 30 * M, 15 * M),
        [
            v1("m", "t", "AY", "0", 10 * M, 6 * M, fee=300_000, order="o"),
            v1("t", "EX1", "0", "AY", 6 * M, 10 * M),
            matched("t"),
            v1("m", "u", "AY", "0", 20 * M, 12 * M, fee=600_000, order="o"),
            v1("u", "EX1", "0", "AY", 12 * M, 20 * M, fee=1 * M),
            matched("u"),
            Log("FeeRefunded", 0, {"order": "o", "to": "m", "id": "0", "refund": 300_000}),
            Log("FeeRefunded", 0, {"order": "o", "to": "m", "id": "0", "refund": 500_000}),
            Log("FeeRefunded", 0, {"order": "u", "to": "u", "id": "AY", "refund": 400_000}),
        ],
    )
    maker = truth.positions["m", "AY"]
    assert (maker.fees, maker.realized) == (100_000, 18 * M - 100_000 - 15 * M)
    taker = truth.positions["u", "AY"]
    assert (taker.shares, taker.cost, taker.fees) == (19_400_000, 12 * M, 360_000)


def test_self_trades_give_no_mark() -> None:
    truth = truth_of(
        bought("w", "AY", 10 * M, 5 * M),
        [v2("w", "w", "SELL", "AY", 10 * M, 9 * M), v2("w", "EX2", "BUY", "AY", 9 * M, 10 * M), matched("w", "EX2")],
    )
    assert truth.marks["AY"] == 500_000
    assert truth.positions["w", "AY"].realized == 4 * M
    assert truth.wallets["w"].totals.trades == 3


def test_adapters_act_for_the_wallet_behind_them() -> None:
    """S06, R10: split through the adapter, redemption through the auto redeemer."""
    truth = truth_of(
        [
            moved("ZERO", "ADP", "AY", 7),
            moved("ZERO", "ADP", "AN", 7),
            Log("PositionSplit", 0, {"src": "CTF", "stakeholder": "ADP", "condition": "A", "amount": 7}),
            moved("ADP", "w", "AY", 7),
            moved("ADP", "w", "AN", 7),
        ],
        [resolved("A", 1, 0)],
        [
            moved("w", "AR", "AY", 7),
            moved("AR", "ADP", "AY", 7),
            moved("ADP", "ZERO", "AY", 7),
            redeemed(src="CTF", redeemer="ADP", condition="A", index_sets=[1, 2], payout=7),
        ],
    )
    yes, no = truth.positions["w", "AY"], truth.positions["w", "AN"]
    assert (yes.bought_cost, yes.realized, yes.redeemed_cash, yes.shares, yes.status) == (4, 3, 7, 0, "CLOSED")
    assert (no.bought_cost, no.realized, no.shares, no.status) == (3, -3, 7, "SETTLED")
    assert truth.wallets["w"].rest_exact
    assert sorted(truth.wallets) == ["w"]


def test_half_and_half_with_an_odd_micro_and_partial_redemption() -> None:
    """R05, R11: floor per position; redemption moves no PnL."""
    truth = truth_of(
        bought("w", "Q0Y", 1_000_001, 400_000),
        [resolved("Q0", 1, 1)],
        [redeemed(src="NRA", redeemer="w", condition="Q0", amounts=[600_001, 0], payout=300_000)],
    )
    position = truth.positions["w", "Q0Y"]
    assert (position.realized, position.settled_value, position.shares) == (100_000, 500_000, 400_000)
    assert position.redeemed_cash == 300_000
    assert truth.units["w", "Q0"].closed_ts == 2


def test_trades_after_the_resolution() -> None:
    """R06: a sale books against the payout, so does a purchase."""
    truth = truth_of(
        bought("w", "AY", 100 * M, 60 * M),
        [resolved("A", 1, 0)],
        [v1("w", "OPR", "AY", "0", 40 * M, 39 * M)],
        bought("x", "AY", 40 * M, 39 * M),
        [resolved("A", 0, 1)],
    )
    assert truth.positions["w", "AY"].realized == 40 * M - M
    assert truth.positions["x", "AY"].realized == M
    assert truth.units["w", "A"].closed_ts == 3
    assert truth.resolutions == {"A": (1, 0)}, "the first resolution wins"


def test_conversion_after_a_question_dropped_out() -> None:
    """N07: the basis goes to the YES legs that still live."""
    truth = truth_of(
        bought("w", "Q0N", 10 * M, 7 * M),
        [resolved("Q1", 0, 1)],
        [Log("PositionsConverted", 0, {"stakeholder": "w", "market": "MK", "index_set": 1, "amount": 10 * M})],
    )
    assert truth.positions["w", "Q2Y"].cost == 7 * M
    assert truth.positions["w", "Q1Y"].realized == 0
    assert {unit for _, unit in truth.units} == {"MK"}
    assert truth.wallets["w"].rest_reasons == ("conversion",)


def test_direct_v2_moves_leave_no_residual_but_gifts_do() -> None:
    """U03, U02: tokens of a complementary fill move from wallet to wallet; what exceeds the fill is a transfer."""
    truth = truth_of(
        bought("m", "AY", 10 * M, 5 * M),
        [
            moved("m", "t", "AY", 6 * M),
            v2("m", "t", "SELL", "AY", 6 * M, 3 * M),
            v2("t", "EX2", "BUY", "AY", 3 * M, 6 * M),
            matched("t", "EX2"),
            moved("m", "t", "AY", 1 * M),
        ],
    )
    maker, taker = truth.positions["m", "AY"], truth.positions["t", "AY"]
    assert (maker.shares, maker.cost, maker.basis_out) == (3 * M, 1_500_000, 500_000)
    assert (taker.shares, taker.external_shares, taker.cost) == (6 * M, 1 * M, 3 * M)
    assert truth.wallets["m"].rest_reasons == truth.wallets["t"].rest_reasons == ("transfer",)


def test_sales_of_unseen_shares_earn_nothing() -> None:
    """U01: 30 tracked of 50 sold for 40; floor in favour of the tracked part's cash is not rounded up."""
    truth = truth_of(bought("w", "AY", 30 * M, 10 * M), [v1("w", "OPR", "AY", "0", 50 * M, 40_000_001)])
    position = truth.positions["w", "AY"]
    assert (position.realized, position.untracked_shares) == (24_000_000 - 10 * M, 20 * M)
    assert position.untracked_cash == 40_000_001 - 24_000_000


def test_order_inside_a_day_does_not_change_closed_units() -> None:
    """Accounting §3.6: totals of a closed unit are order-free."""
    buys = [bought("w", "AY", 3 * M + k, 1_111_111 + 7 * k) for k in range(3)]
    results = set()
    for order in itertools.permutations(buys):
        truth = truth_of(*order, [v1("w", "OPR", "AY", "0", 5 * M, 2 * M)], [resolved("A", 1, 0)])
        results.add(truth.units["w", "A"].realized)
    assert results == {2 * M + (4 * M + 3) - (3 * 1_111_111 + 21)}
