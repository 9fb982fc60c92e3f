"""The pnl-subgraph's rules, one by one, worked out by hand (accounting §2.9)."""

import random

import pytest

from polyhouse.ledger.parity import SubgraphPosition, subgraph_positions
from polyhouse.ledger.vector_logs import parse_case

M = 1_000_000
CONDITIONS = [{"id": "A", "tokens": ["AY", "AN"]}]


def _market(questions):
    return [
        {"id": f"Q{i}", "tokens": [f"Q{i}Y", f"Q{i}N"], "neg_risk_market": "MK", "question_index": i}
        for i in range(questions)
    ]


def parity(*logs, questions=3, fee_bips=0, shuffle=None):
    """(amount, avgPrice, realizedPnl, totalBought) by ``W/token``; each log in a block of its own."""
    entries = [{"tx": f"x{place}", "li": 1, "bn": place} | entry for place, entry in enumerate(logs, 1)]
    if shuffle is not None:
        entries = entries * 2
        random.Random(shuffle).shuffle(entries)
    case = parse_case({
        "conditions": CONDITIONS + _market(questions), "fpmms": [{"id": "P1", "condition": "A"}], "logs": entries,
        "neg_risk_markets": [{"id": "MK", "question_count": questions, "fee_bips": fee_bips}],
    })  # fmt: skip
    name = case.symbols.name
    found = subgraph_positions((log for logs in case.transactions for log in logs), case.registry)
    return {
        f"{name(user)}/{name(token)}": (p.amount, p.avg_price, p.realized_pnl, p.total_bought)
        for (user, token), p in found.items()
    }


def buy(token, usdc, shares, *, maker="W1", ex="EX1", fee=0):
    return _filled(maker, ex, ("0", token), (usdc, shares), fee)


def sell(token, shares, usdc, *, maker="W1", ex="EX1", fee=0):
    return _filled(maker, ex, (token, "0"), (shares, usdc), fee)


def _filled(maker, ex, assets, amounts, fee):
    return {
        "t": "OrderFilled", "v": 1, "ex": ex, "order": "o", "maker": maker, "taker": "OPR", "maker_asset": assets[0],
        "taker_asset": assets[1], "maker_amount": amounts[0], "taker_amount": amounts[1], "fee": fee,
    }  # fmt: skip


def change(kind, stakeholder, amount, *, condition="A", src="CTF"):
    return {"t": kind, "src": src, "stakeholder": stakeholder, "condition": condition, "amount": amount}


def resolved(condition, *numerators):
    return {"t": "ConditionResolution", "condition": condition, "numerators": list(numerators)}


def redeemed(redeemer, condition, *, src="CTF", **more):
    return {"t": "PayoutRedemption", "src": src, "redeemer": redeemer, "condition": condition, "payout": 1, **more}


def converted(index_set, amount):
    return {"t": "PositionsConverted", "stakeholder": "W1", "market": "MK", "index_set": index_set, "amount": amount}


def test_prices_and_averages_are_floored():
    # 333,333.3 and 666,666.6; (333,333·3 + 666,666·3) / 6 = 499,999.5
    assert parity(buy("AY", 1, 3), buy("AY", 2, 3)) == {"W1/AY": (6, 499_999, 0, 6)}


def test_negative_profits_are_truncated_toward_zero():
    """A loss of 0.75 micro is none; flooring would book a whole one."""
    assert parity(buy("AY", 3, 4), sell("AY", 1, 0))["W1/AY"] == (3, 750_000, 0, 4)
    position = SubgraphPosition(amount=3, avg_price=750_000)
    position.sell(0, 2)
    assert (position.amount, position.realized_pnl) == (1, -1)


def test_a_sale_is_clamped_and_the_average_survives_an_empty_position():
    sold = parity(buy("AY", 4 * M, 10 * M), sell("AY", 25 * M, 15 * M))
    assert sold == {"W1/AY": (0, 400_000, 2 * M, 10 * M)}
    again = parity(buy("AY", 4 * M, 10 * M), sell("AY", 25 * M, 15 * M), buy("AY", 7 * M, 10 * M))
    assert again == {"W1/AY": (10 * M, 700_000, 2 * M, 20 * M)}


def test_a_sale_of_nothing_is_nothing():
    assert parity(sell("AY", 5 * M, 3 * M)) == {"W1/AY": (0, 0, 0, 0)}


def test_fees_are_ignored_and_so_is_clob_v2():
    assert parity(buy("AY", 5 * M, 10 * M, fee=M))["W1/AY"] == (10 * M, 500_000, 0, 10 * M)
    v2 = {
        "t": "OrderFilled", "v": 2, "ex": "EX2", "order": "o", "maker": "W1", "taker": "OPR", "side": "BUY",
        "token": "AY", "maker_amount": M, "taker_amount": M, "fee": 0,
    }  # fmt: skip
    assert parity(v2, buy("AY", M, M, ex="EX2")) == {}
    assert set(parity(buy("AY", M, M, ex="NEX1"))) == {"W1/AY"}


def test_cash_for_no_shares_has_no_price():
    assert parity(buy("AY", 5, 0), sell("AY", 0, 5)) == {}


@pytest.mark.parametrize(
    ("src", "stakeholder", "counts"),
    [
        ("CTF", "W1", True), ("CTF", "NRA", False), ("CTF", "EX1", False), ("CTF", "NEX1", True),
        ("NRA", "W1", True), ("NRA", "NEX1", False), ("NRA", "EX1", True),
    ],
)  # fmt: skip
def test_whose_splits_count(src, stakeholder, counts):
    found = parity(change("PositionSplit", stakeholder, 10 * M, src=src), change("PositionsMerge", "W9", 1))
    found = {key: value for key, value in found.items() if not key.startswith("W9")}
    both = (10 * M, 500_000, 0, 10 * M)
    assert found == ({f"{stakeholder}/AY": both, f"{stakeholder}/AN": both} if counts else {})


def test_a_merge_sells_both_outcomes_at_half():
    found = parity(buy("AY", 4 * M, 10 * M), buy("AN", 5_500_000, 10 * M), change("PositionsMerge", "W1", 4 * M))
    assert found == {"W1/AY": (6 * M, 400_000, 400_000, 10 * M), "W1/AN": (6 * M, 550_000, -200_000, 10 * M)}


def test_events_of_unknown_conditions_are_passed_over():
    logs = change("PositionSplit", "W1", M, condition="FOREIGN"), resolved("FOREIGN", 1, 0)
    assert parity(*logs, redeemed("W1", "FOREIGN", index_sets=[1])) == {}


def test_nothing_happens_at_resolution():
    before = buy("AY", 4 * M, 10 * M), buy("AN", 3 * M, 10 * M)
    assert parity(*before, resolved("A", 0, 1)) == parity(*before)


def test_a_redemption_at_the_ctf_sells_both_outcomes_whatever_it_lists():
    logs = buy("AY", 4 * M, 10 * M), buy("AN", 3 * M, 7 * M), resolved("A", 3, 7), resolved("A", 1, 0)
    found = parity(*logs, redeemed("W1", "A", index_sets=[1]))
    # 300,000 − 400,000 on ten; 700,000 − 428,571 on seven: 1,900,003.
    assert found == {"W1/AY": (0, 400_000, -M, 10 * M), "W1/AN": (0, 428_571, 1_900_003, 7 * M)}
    assert parity(*logs, redeemed("NRA", "A", index_sets=[1])) == parity(*logs)


def test_a_redemption_before_the_resolution_is_passed_over():
    logs = [buy("AY", 4 * M, 10 * M)]
    assert parity(*logs, redeemed("W1", "A", index_sets=[1]), resolved("A", 1, 0)) == parity(*logs)


def test_a_redemption_at_the_adapter_sells_its_amounts_clamped():
    logs = buy("Q0Y", 4 * M, 10 * M), buy("Q0N", 3 * M, 10 * M), resolved("Q0", 1, 0)
    found = parity(*logs, redeemed("W1", "Q0", src="NRA", amounts=[4 * M, 99 * M]))
    assert found["W1/Q0Y"] == (6 * M, 400_000, 2_400_000, 10 * M)
    assert found["W1/Q0N"] == (0, 300_000, -3 * M, 10 * M)


@pytest.mark.parametrize(
    ("questions", "held", "price", "index_set", "yes"),
    [
        (5, (0, 1, 2), 750_000, 0b00111, 125_000),
        (6, (0,), 730_000, 0b000001, 146_000),
        (4, (0,), 700_000, 0b0011, -150_000),  # never held: its average counts as 0, (350,000·2 − 1,000,000) / 2
        (5, (0, 1), 499_999, 0b00011, 0),  # −2/3 of 10^-6, truncated toward zero
        (5, (0, 1), 450_000, 0b00011, -33_333),  # −33,333.3
    ],
)
def test_price_of_yes_after_a_conversion(questions, held, price, index_set, yes):
    """The first two are the subgraph's own test, tests/computeNegRiskYesPrice.test.ts."""
    buys = [buy(f"Q{q}N", 10 * price, 10 * M) for q in held]
    found = parity(*buys, converted(index_set, 4 * M), questions=questions, fee_bips=200)
    for q in range(questions):
        if index_set >> q & 1:
            bought = (6 * M, price, 0, 10 * M) if q in held else (0, 0, 0, 0)
            assert found[f"W1/Q{q}N"] == bought
        else:
            assert found[f"W1/Q{q}Y"] == (4 * M, yes, 0, 4 * M)


def test_a_conversion_of_every_question_drops_the_gain():
    buys = [buy(f"Q{q}N", 6 * M, 10 * M) for q in range(3)]
    found = parity(*buys, converted(0b111, 10 * M))
    assert found == {f"W1/Q{q}N": (0, 600_000, 0, 10 * M) for q in range(3)}


def test_a_conversion_of_an_unknown_market_is_passed_over():
    assert parity(converted(0b1, M) | {"market": "ELSEWHERE"}) == {}


def test_pools():
    def trade(kind, outcome, **more):
        return {"t": kind, "fpmm": "P1", "outcome_index": outcome, "fee": 7, **more}

    bought = trade("FPMMBuy", 1, buyer="W1", investment=20, tokens=30)
    nothing = trade("FPMMSell", 1, seller="W1", **{"return": 5, "tokens": 0})
    sold = trade("FPMMSell", 1, seller="W1", **{"return": 8 * M, "tokens": 20 * M})
    assert parity(bought, nothing) == {"W1/AN": (30, 666_666, 0, 30)}
    large = bought | {"investment": 10 * M, "tokens": 30 * M}
    # 20 · (400,000 − 333,333) / 10^6
    assert parity(large, sold) == {"W1/AN": (10 * M, 333_333, 1_333_340, 30 * M)}
    assert parity(bought | {"fpmm": "P2"}, bought | {"outcome_index": 2}) == {}


def test_liquidity_and_the_sign_error_of_its_removal():
    added = {"t": "FPMMFundingAdded", "fpmm": "P1", "funder": "W1", "amounts": [100 * M, 200 * M], "shares": 150 * M}
    # 100 shares of outcome 0 come back at 666,666; the rest of 200 buys 150 LP at 888,889.3.
    both = {"W1/AY": (100 * M, 666_666, 0, 100 * M), "W1/LP:P1": (150 * M, 888_889, 0, 150 * M)}
    assert parity(added) == both
    removed = {
        "t": "FPMMFundingRemoved", "fpmm": "P1", "funder": "W1", "amounts": [50 * M, 50 * M], "fees": M,
        "shares": 50 * M,
    }  # fmt: skip
    found = parity(added, removed)
    # (1 − 50) / 50 = −0.98 instead of (1 + 50) / 50.
    assert found["W1/LP:P1"] == (100 * M, 888_889, 50 * (-980_000 - 888_889), 150 * M)
    # (666,666 · 100 + 500,000 · 50) / 150
    assert found["W1/AY"] == (150 * M, 611_110, 0, 150 * M)
    assert found["W1/AN"] == (50 * M, 500_000, 0, 50 * M)


def test_even_liquidity_gives_nothing_back():
    added = {"t": "FPMMFundingAdded", "fpmm": "P1", "funder": "W1", "amounts": [9, 9], "shares": 9}
    assert parity(added) == {"W1/LP:P1": (9, M, 0, 9)}
    assert parity(added | {"shares": 0}) == {}
    assert parity(added | {"fpmm": "P2"}) == {}


@pytest.mark.parametrize("seed", range(5))
def test_order_of_delivery_and_repetition_do_not_matter(seed):
    logs = [
        buy("AY", 1, 3), buy("AY", 2, 3), sell("AY", 2, 2), change("PositionSplit", "W2", 7), resolved("A", 1, 0),
        redeemed("W1", "A", index_sets=[1]), buy("Q0N", 6 * M, 10 * M), converted(0b1, 3 * M),
    ]  # fmt: skip
    assert parity(*logs, shuffle=seed) == parity(*logs)
