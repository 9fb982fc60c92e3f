"""Properties that hold for every history: order and repetition do not matter, matches conserve, columns fit."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyhouse import tables
from polyhouse.ledger.chain import observations
from polyhouse.ledger.vector_logs import parse_case

M = 1_000_000
MARKETS = [{"id": "A", "tokens": ["AY", "AN"]}, {"id": "B", "tokens": ["BY", "BN"]}]
amounts = st.integers(0, 10**12)
version = st.sampled_from([1, 2, 3])


@st.composite
def matches(draw):
    """One balanced match in the vector format: a taker and one to four makers, gross amounts and fees at will."""
    v = draw(version)
    buys = draw(st.booleans())
    ex, rows, need, got = f"EX{v}", [], 0, 0
    for li in range(1, draw(st.integers(1, 4)) + 1):
        shares, usdc = draw(st.integers(1, 10**12)), draw(amounts)
        if draw(st.booleans()):  # complementary
            maker_buys, token = not buys, "AY"
        else:
            maker_buys, token, usdc = buys, "AN", min(usdc, shares)
        gave, took = (usdc, shares) if maker_buys else (shares, usdc)
        fee = draw(st.integers(0, took // 10))
        rows.append(_row(li, v, f"M{li}", "W1", f"o{li}", token, maker_buys, gave, took, fee))
        if token == "AY":
            need, got = need + took, got + gave
        elif buys:
            need, got = need + took - gave, got + took
        else:
            need, got = need + gave, got + gave - took
    li = len(rows) + 1
    refund = draw(st.integers(0, 10**9))
    taker = _row(li, v, "W1", ex, "oT", "AY", buys, need + refund, got, draw(st.integers(0, got // 10)))
    end = {"t": "OrdersMatched", "tx": "m", "li": li + 1, "bn": 1, "ex": ex, "order": "oT"}
    return {"conditions": MARKETS, "logs": [*rows, taker, end]}, refund, buys


def _row(li, v, maker, taker, order, token, buys, gave, took, fee):
    row = {
        "t": "OrderFilled", "v": v, "tx": "m", "li": li, "bn": 1, "ex": f"EX{v}", "order": order, "maker": maker,
        "taker": taker, "maker_amount": gave, "taker_amount": took, "fee": fee,
    }  # fmt: skip
    if v == 1:
        return row | {"maker_asset": "0" if buys else token, "taker_asset": token if buys else "0"}
    return row | {"side": "BUY" if buys else "SELL", "token": token}


@given(matches())
@settings(max_examples=300, deadline=None)
def test_a_match_conserves_cash_and_shares(match):
    """Cash of all wallets + fees = collateral released by merges − locked by mints; shares of both tokens likewise."""
    document, refund, buys = match
    case = parse_case(document)
    out = observations(case.transactions, case.registry)
    flags = {flag.word for flag in out.flags}
    assert flags <= {"zero_fill"}
    cash = fees_usdc = pairs = 0
    shares = {0: 0, 1: 0}
    for row in out.observations:
        buy = row.kind == "BUY"
        cash += -row.cash if buy else row.cash
        shares[row.outcome] += row.shares if buy else -row.shares
        if row.fee_asset == "shares":
            shares[row.outcome] += row.fee_net
        else:
            fees_usdc += row.fee_net
        if row.match_type == "MINT":
            pairs += row.shares_gross
        elif row.match_type == "MERGE":
            pairs -= row.shares_gross
        if row.role == "TAKER":
            assert (row.refund_usdc, row.refund_shares) == ((refund, 0) if buys else (0, refund))
    assert cash + fees_usdc == -pairs
    assert shares == {0: pairs, 1: pairs}


def _history():
    """A history with every kind of log in several transactions and blocks."""
    logs = []

    def add(t, tx, li, bn, **fields):
        logs.append({"t": t, "tx": tx, "li": li, "bn": bn, "ts": 100 + bn, **fields})

    add("PositionSplit", "s", 1, 1, src="CTF", stakeholder="W2", condition="A", amount=500 * M)
    for bn, order in ((2, "oA"), (3, "oB")):
        tx = f"t{bn}"
        for li, (maker, taker, o, gave, took, asset) in enumerate(
            [
                ("W2", "W1", "omk", 10 * M, 4 * M, ("AY", "0")),
                ("W3", "W1", "om2", 5 * M, 10 * M, ("0", "AN")),
                ("W1", "EX1", order, 10 * M, 20 * M, ("0", "AY")),
            ],
            1,
        ):
            assets = {"maker_asset": asset[0], "taker_asset": asset[1]}
            amounts = {"maker_amount": gave, "taker_amount": took, "fee": 1000 * li}
            add("OrderFilled", tx, li, bn, v=1, ex="EX1", order=o, maker=maker, taker=taker, **assets, **amounts)
        add("OrdersMatched", tx, 4, bn, ex="EX1", order=order)
        add("FeeRefunded", tx, 5, bn, order=order, to="W1", id="AY", refund=2500)
        add("Transfer", tx, 6, bn, **{"from": "W1", "to": "W4", "token": "AY", "amount": 3})
    add("Transfer", "a", 1, 4, **{"from": "W2", "to": "ADP", "token": "AY", "amount": M})
    add("Transfer", "a", 2, 4, **{"from": "W2", "to": "ADP", "token": "AN", "amount": M})
    add("PositionsMerge", "a", 3, 4, src="CTF", stakeholder="ADP", condition="A", amount=M)
    add("PositionsMerge", "a", 4, 4, src="CTF", stakeholder="ADP", condition="B", amount=M)
    add("ConditionResolution", "r", 1, 5, condition="A", numerators=[1, 0])
    add("ConditionResolution", "r", 2, 5, condition="A", numerators=[0, 1])
    add("PayoutRedemption", "x", 1, 6, src="CTF", redeemer="W2", condition="A", index_sets=[1, 2], payout=7)
    add("Income", "i", 1, 7, wallet="W1", kind="REWARD", amount=1)
    add("OrderFilled", "z", 1, 8, v=2, ex="EX2", order="oz", maker="W1", taker="OPR", side="BUY", token="AY",
        maker_amount=0, taker_amount=0, fee=0)  # fmt: skip
    return {"conditions": MARKETS, "logs": logs, "use_transfers": True}


HISTORY = _history()


def _outcome(logs):
    case = parse_case(HISTORY | {"logs": logs})
    out = observations(case.transactions, case.registry, use_transfers=True)
    return out.tables(), out.flags, out.ignored


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_order_and_repetition_do_not_matter(seed):
    expected = _outcome(HISTORY["logs"])
    rng = random.Random(seed)
    logs = HISTORY["logs"] + rng.choices(HISTORY["logs"], k=rng.randrange(20))
    later = [entry | {"ts": entry["ts"] + rng.randrange(5)} for entry in rng.choices(HISTORY["logs"], k=3)]
    shuffled = logs + later
    rng.shuffle(shuffled)
    assert _outcome(shuffled) == expected


def test_the_history_is_worth_shuffling():
    columns, flags, _ = _outcome(HISTORY["logs"])
    kinds = set(columns["observations"]["kind"])
    assert kinds == {"SPLIT", "BUY", "SELL", "MERGE", "REDEEM", "INCOME", "TRANSFER_IN", "TRANSFER_OUT"}
    words = {flag.word for flag in flags}
    assert words == {"unattributed", "resolution_repeated", "zero_fill"}


def test_a_transaction_may_come_in_parts_of_any_sequence():
    case = parse_case(HISTORY)
    whole = observations(case.transactions, case.registry, use_transfers=True)
    single = [[log] for logs in reversed(case.transactions) for log in reversed(logs)]
    assert observations(single, case.registry, use_transfers=True) == whole


SIZES = {"address": {20}, "id32": {32}, "condition": {0, 31, 32}}
LIMITS = {"u8": 2**8, "u16": 2**16, "u32": 2**32, "u64": 2**64, "i64": 2**63, "time": 2**32}


@pytest.mark.parametrize("name", ["observations", "resolutions"])
def test_columns_are_those_of_the_declared_table(name):
    columns, _, _ = _outcome(HISTORY["logs"])
    table = tables.BY_NAME[name]
    assert set(columns[name]) <= set(table.columns)
    assert set(table.key) - {"row_key"} <= set(columns[name])
    assert len({len(values) for values in columns[name].values()}) == 1
    for column, values in columns[name].items():
        kind = table.columns[column]
        if kind in SIZES:
            assert {len(value) for value in values} <= SIZES[kind], column
        elif kind in LIMITS:
            assert all(type(value) is int and 0 <= value < LIMITS[kind] for value in values), column
    assert set(columns["observations"]["kind"]) <= set(tables.KINDS)
    assert set(columns["observations"]["source"]) <= set(tables.SOURCES)


def test_no_rows_are_still_columns():
    case = parse_case({"logs": []})
    columns = observations(case.transactions, case.registry).tables()
    assert all(values == [] for table in columns.values() for values in table.values())
    assert json.dumps(sorted(columns)) == '["observations", "resolutions"]'
