"""Fills decided in columns are the fills of the row-wise rules, whatever the logs."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyhouse.domain import contracts
from polyhouse.domain.logs import (
    ConditionResolution,
    FeeRefunded,
    OrderFilledV1,
    OrderFilledV2,
    OrdersMatched,
    PositionsMerge,
    PositionSplit,
    Transfer,
)
from polyhouse.errors import UpstreamContractError
from polyhouse.ledger.chain import observations
from polyhouse.ledger.fill_columns import chain_rows, fill_columns
from polyhouse.ledger.registry import ConditionInfo, Registry
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.sources.chain.decode import decode

TRADES = (OrderFilledV1, OrderFilledV2, OrdersMatched, FeeRefunded)
TOKENS = tuple(bytes([n]) * 32 for n in (1, 2))
REGISTRY = Registry([ConditionInfo(b"c" * 32, TOKENS)], extra_infra=[b"i" * 20])


def trades(transactions):
    return [log for logs in transactions for log in logs if isinstance(log, TRADES)]


def assert_same(abi, logs, registry, *, use_transfers=False):
    """Both roads give the same rows and flags; returns how many logs went row-wise."""
    raw = [abi.raw_of(log) for log in logs if abi.raw_of(log)]
    batch = decode(raw)
    assert not batch.rejects
    expected = observations([list(batch.to_logs())], registry, use_transfers=use_transfers)
    result = chain_rows(batch.columns, registry, use_transfers=use_transfers)
    assert (result.flags, result.ignored) == (expected.flags, expected.ignored)
    tables = expected.tables()
    assert result.resolutions == tables["resolutions"]
    assert {name: result.observations[name] for name in tables["observations"]} == tables["observations"]
    assert set(result.observations) == set(tables["observations"])
    return result.row_wise


def test_a_universe(abi, small_universe):
    logs = trades(small_universe.transactions)
    row_wise = assert_same(abi, logs, small_universe.registry)
    assert 0 < row_wise < len(logs) / 2


@pytest.mark.parametrize("use_transfers", [True, False])
def test_a_universe_with_everything_in_it(abi, small_universe, use_transfers):
    logs = [log for part in small_universe.transactions for log in part]
    row_wise = assert_same(abi, logs, small_universe.registry, use_transfers=use_transfers)
    assert 0 < row_wise < len(logs) * 2 / 3


def test_any_order_and_repetition(abi, small_universe):
    logs = trades(small_universe.transactions)[:3_000]
    raw = [abi.raw_of(log) for log in logs]
    shuffled = raw + raw[::7]
    random.Random(2).shuffle(shuffled)
    assert fill_columns(decode(shuffled).columns, small_universe.registry) == fill_columns(
        decode(raw).columns, small_universe.registry
    )


def test_the_vector_cases(abi, vector_cases):
    compared = 0
    for case in vector_cases:
        parsed = parse_case(case["input"], case["id"])
        logs = trades(parsed.transactions)
        compared += bool(logs)
        everything = [log for part in parsed.transactions for log in part]
        assert_same(abi, everything, parsed.registry, use_transfers=parsed.use_transfers)
        assert_same(abi, logs, parsed.registry)
    assert compared >= min(40, len(vector_cases))


def test_no_trades_at_all():
    assert fill_columns({}, REGISTRY) == observations([], REGISTRY).tables()["observations"]


def test_contradicting_logs_are_refused_on_both_roads(abi):
    first = OrderFilledV2(
        b"t" * 32, 90_000_000, 0, 3, 0, contracts.EX2, b"o" * 32, b"m" * 20, b"k" * 20, 0, TOKENS[0], 5, 6, 0
    )
    for second in (replace(first, maker_amount=7), replace(first, block=90_000_001, log_index=4)):
        batch = decode([abi.raw_of(first), abi.raw_of(second)])
        with pytest.raises(UpstreamContractError):
            fill_columns(batch.columns, REGISTRY)


WALLETS = st.sampled_from([b"a" * 20, b"b" * 20, b"d" * 20, b"i" * 20, contracts.NEG_RISK_ADAPTER, b"i" * 19 + b"j"])
EXCHANGES = st.sampled_from([contracts.EX1, contracts.NEX1, contracts.EX2, contracts.EX2_THIRD])
ORDERS = st.sampled_from([b"o" * 32, b"p" * 32, b"q" * 32])
AMOUNTS = st.sampled_from([0, 1, 2, 3, 40, 60, 100, 10**12, 2**52, 2**62, 2**63 - 1])
PLACES = {"tx": b"", "block": 90_000_000, "tx_index": 0, "log_index": 0, "ts": 1}
FILLS_V1 = st.builds(
    OrderFilledV1, **{k: st.just(v) for k, v in PLACES.items()}, exchange=EXCHANGES, order=ORDERS, maker=WALLETS,
    taker=st.one_of(WALLETS, EXCHANGES), maker_asset=st.sampled_from([bytes(32), *TOKENS]),
    taker_asset=st.sampled_from([bytes(32), TOKENS[0]]), maker_amount=AMOUNTS, taker_amount=AMOUNTS, fee=AMOUNTS,
)  # fmt: skip
FILLS_V2 = st.builds(
    OrderFilledV2, **{k: st.just(v) for k, v in PLACES.items()}, exchange=EXCHANGES, order=ORDERS, maker=WALLETS,
    taker=st.one_of(WALLETS, EXCHANGES), side=st.sampled_from([0, 1, 0, 1, 2]),
    token=st.sampled_from([*TOKENS, b"\5" * 32, bytes(32)]), maker_amount=AMOUNTS, taker_amount=AMOUNTS, fee=AMOUNTS,
)  # fmt: skip
MATCHES = st.builds(OrdersMatched, **{k: st.just(v) for k, v in PLACES.items()}, exchange=EXCHANGES, order=ORDERS)
REFUNDS = st.builds(
    FeeRefunded, **{k: st.just(v) for k, v in PLACES.items()}, order=ORDERS, to=WALLETS, asset=st.just(bytes(32)),
    refund=AMOUNTS, charged=AMOUNTS,
)  # fmt: skip
HOLDERS = st.one_of(WALLETS, st.just(contracts.NEX2), st.sampled_from([contracts.ZERO, contracts.ADP, contracts.NADP]))
MOVES = st.lists(st.tuples(st.sampled_from(TOKENS), AMOUNTS), min_size=1, max_size=3).map(tuple)
TRANSFERS = st.builds(Transfer, **{k: st.just(v) for k, v in PLACES.items()}, sender=HOLDERS, to=HOLDERS, moves=MOVES)
CHANGES = st.one_of(*(
    st.builds(
        kind, **{k: st.just(v) for k, v in PLACES.items()}, emitter=st.sampled_from(["CTF", "NRA"]),
        stakeholder=st.sampled_from([contracts.ADP, contracts.ADP, contracts.NEX2, b"a" * 20]),
        condition=st.sampled_from([b"c" * 32, b"c" * 32, b"x" * 32]), amount=AMOUNTS,
    )
    for kind in (PositionSplit, PositionsMerge)
))  # fmt: skip
OTHERS = st.builds(
    ConditionResolution, **{k: st.just(v) for k, v in PLACES.items()}, condition=st.just(b"c" * 32),
    numerators=st.just((1, 0)),
)  # fmt: skip
TRANSACTIONS = st.lists(
    st.lists(st.one_of(FILLS_V1, FILLS_V2, FILLS_V2, MATCHES, MATCHES, REFUNDS), min_size=1, max_size=6), max_size=5
)
MIXED = st.lists(
    st.lists(st.one_of(FILLS_V1, FILLS_V2, MATCHES, TRANSFERS, TRANSFERS, CHANGES, OTHERS), min_size=1, max_size=6),
    max_size=5,
)


def placed(transactions):
    """Random logs with real places: block, transaction, running log index."""
    result = []
    for number, logs in enumerate(transactions):
        tx = bytes([200 - number]) * 32
        result += [
            replace(log, tx=tx, block=90_000_000 + number // 2, tx_index=number % 2, log_index=10 * number + place)
            for place, log in enumerate(logs)
        ]
    return result


@given(TRANSACTIONS)
@settings(max_examples=200, deadline=None)
def test_random_transactions(abi, transactions):
    assert_same(abi, placed(transactions), REGISTRY)


@given(MIXED, st.booleans())
@settings(max_examples=200, deadline=None)
def test_random_transactions_with_movements(abi, transactions, use_transfers):
    assert_same(abi, placed(transactions), REGISTRY, use_transfers=use_transfers)


@st.composite
def balanced_match(draw):
    """A match that adds up, so that it is decided in columns: 1 to 3 makers of mixed types, with a refund."""
    v1, taker_buys = draw(st.booleans()), draw(st.booleans())
    exchange = contracts.NEX1 if v1 else contracts.NEX2
    logs, need, got = [], 0, 0
    small = st.integers(1, 10**9)
    for maker in draw(st.lists(st.sampled_from([b"a", b"b", b"d"]), min_size=1, max_size=3)):
        buys = draw(st.booleans())
        first, second = draw(small), draw(small)
        if buys == taker_buys:
            # A mint pays out at most what it takes in; a merge gives back at most a dollar a share.
            first, second = (
                (min(first, second), max(first, second)) if buys else (max(first, second), min(first, second))
            )
        need += second if buys != taker_buys else second - first if taker_buys else first
        got += first if buys != taker_buys else second if taker_buys else first - second
        logs.append((buys, maker * 20, b"w" * 20, first, second, bytes([len(logs)]) * 32))
    logs.append((taker_buys, b"w" * 20, exchange, need + draw(st.integers(0, 50)), got, b"T" * 32))
    fee = st.integers(0, 1_000)
    build = _fill_v1 if v1 else _fill_v2
    fills = [build(exchange, *log, draw(fee)) for log in logs]
    return [*fills, OrdersMatched(**PLACES, exchange=exchange, order=b"T" * 32)]


def _fill_v1(exchange, buys, maker, taker, gives, gets, order, fee):
    assets = (bytes(32), TOKENS[0]) if buys else (TOKENS[0], bytes(32))
    return OrderFilledV1(**PLACES, exchange=exchange, order=order, maker=maker, taker=taker, maker_asset=assets[0],
                         taker_asset=assets[1], maker_amount=gives, taker_amount=gets, fee=fee)  # fmt: skip


def _fill_v2(exchange, buys, maker, taker, gives, gets, order, fee):
    return OrderFilledV2(**PLACES, exchange=exchange, order=order, maker=maker, taker=taker, side=0 if buys else 1,
                         token=TOKENS[1], maker_amount=gives, taker_amount=gets, fee=fee)  # fmt: skip


@given(st.lists(balanced_match(), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_matches_that_add_up_need_no_row_wise_rules(abi, matches):
    assert assert_same(abi, placed(matches), REGISTRY) == 0


@given(st.lists(balanced_match(), min_size=1, max_size=3), st.integers(-1, 1))
@settings(max_examples=60, deadline=None)
def test_fills_whose_shares_moved_need_no_row_wise_rules(abi, matches, lost):
    """Each fill's net shares move between its wallet and the exchange; a share too many or too few is a transfer."""
    rows = observations([placed(matches)], REGISTRY).observations
    moves = [
        Transfer(row.tx, row.block, row.tx_index, 500 + place, 1,
                 *((contracts.EX2, row.wallet) if row.kind == "BUY" else (row.wallet, contracts.EX2)),
                 ((row.token, max(0, row.shares + (lost if place == 0 else 0))),))
        for place, row in enumerate(rows)
        if row.shares >= 0
    ]  # fmt: skip
    if len(moves) == len(rows):
        row_wise = assert_same(abi, [*placed(matches), *moves], REGISTRY, use_transfers=True)
        # Who received nothing cannot receive a share less.
        is_whole = max(0, rows[0].shares + lost) == rows[0].shares
        assert (row_wise == 0) == is_whole
