"""The compiled fold over columns says exactly what the reference fold says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyhouse.ledger.fold import WHOLE_BALANCE, Holding, Kind, LedgerRow, Settlement, fold_pair
from polyhouse.ledger.fold_columns import fold_columns
from polyhouse.ledger.moments import NOTHING
from polyhouse.ledger.states import SNAPSHOT, STATE, Folded, Steps

KINDS = (Kind.BUY, Kind.SELL, Kind.SPLIT, Kind.MERGE, Kind.REDEEM, Kind.TRANSFER_IN, Kind.TRANSFER_OUT)
GIVING = (Kind.SELL, Kind.MERGE, Kind.TRANSFER_OUT)
amounts = st.one_of(st.integers(0, 9), st.integers(0, 10**8), st.integers(0, 10**14))
enough = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def pairs(draw):
    """Rows of one pair, some on chain and some without a block, and its resolution if there is one."""
    rows, ts, block = [], 1_000, 0
    on_chain = draw(st.booleans())
    for place in range(draw(st.integers(1, 12))):
        ts += draw(st.integers(0, 3))
        block += draw(st.integers(0, 1))
        kind, shares, cash = draw(st.sampled_from(KINDS)), draw(amounts), draw(amounts)
        amount = draw(st.one_of(st.just(WHOLE_BALANCE), amounts)) if kind == Kind.REDEEM else 0
        ds = 0 if kind == Kind.REDEEM else -shares if kind in GIVING else shares
        du = {Kind.BUY: -cash, Kind.SPLIT: -cash, Kind.TRANSFER_IN: 0, Kind.TRANSFER_OUT: 0}.get(kind, cash)
        at = (block + 1, place % 3, place) if on_chain else (0, 0, place)
        rows.append(LedgerRow(b"t", ts, *at, int(kind), ds, du, draw(st.integers(0, 50)), amount, 0, b""))
    settlement = None
    if draw(st.booleans()):
        numerator, denominator = draw(st.sampled_from([(1, 1), (0, 1), (1, 2), (3, 7), (10**6, 10**6)]))
        has_block = draw(st.booleans())
        at = (draw(st.integers(1, 14)), draw(st.integers(0, 3)), draw(st.integers(0, 12))) if has_block else (0, 0, 0)
        settlement = Settlement(numerator, denominator, draw(st.integers(998, 1_040)), *at)
    return rows, settlement


def folded(histories, boundaries) -> Folded:
    flat = [row for rows, _ in histories for row in rows]
    columns = np.array([[r.ts, r.block, r.tx_index, r.pos, r.kind, r.ds, r.du, r.fee, r.amount] for r in flat])
    starts = np.cumsum([0, *(len(rows) for rows, _ in histories)])
    settlements = np.array(
        [[0] * 6 if s is None else [s.numerator, s.denominator, s.ts, s.block, s.tx_index, s.pos] for _, s in histories]
    )
    return fold_columns(columns.astype(np.int64), starts[:-1], starts[1:], settlements.astype(np.int64), boundaries)


@given(st.lists(pairs(), min_size=1, max_size=4), st.lists(st.integers(995, 1_045), max_size=5))
@enough
def test_columns_and_objects_agree(histories, moments) -> None:
    boundaries = sorted(moments)
    result = folded(histories, boundaries)
    assert not len(result.too_large)
    for place, (rows, settlement) in enumerate(histories):
        expected = fold_pair(rows, settlement, boundaries)
        got = dict(zip(STATE, result.state[place].tolist(), strict=True))
        assert got == {name: getattr(expected, name) for name in STATE}
        snapshots = [tuple(one) for one in result.snapshots[place].tolist()]
        assert snapshots == [tuple(getattr(s, name) for name in SNAPSHOT) for s in expected.snapshots]
        assert result.steps.values[result.steps.places == place].tolist() == [list(step) for step in expected.steps]
        assert_steps_say_what_snapshots_say(expected, boundaries)


def assert_steps_say_what_snapshots_say(state: Holding, boundaries) -> None:
    """A snapshot is the last step up to its boundary, though ``held`` of settled tokens is closed there."""
    assert [step.ts for step in state.steps] == sorted({step.ts for step in state.steps})
    assert all(a[1:] != b[1:] for a, b in pairwise([NOTHING, *state.steps]))
    for boundary, snapshot in zip(boundaries, state.snapshots, strict=True):
        last = max((step for step in state.steps if step.ts <= boundary), default=NOTHING)
        assert (last.cost, last.realized) == (snapshot.cost, snapshot.realized)
        assert last.held in (snapshot.held, 0)
    assert max(state.steps, default=NOTHING).realized == state.realized


def test_a_replaced_pair_brings_its_own_steps() -> None:
    buy = LedgerRow(b"t", 7, 0, 0, 1, int(Kind.BUY), 10, -5, 0, 0, 0, b"")
    sell = LedgerRow(b"t", 9, 0, 0, 2, int(Kind.SELL), -4, 3, 0, 0, 0, b"")
    result = folded([([buy], None), ([buy, sell], None), ([sell], None)], [])
    assert result.steps.places.tolist() == [0, 1, 1]
    changed = result.replaced({1: fold_pair([buy], None), 2: fold_pair([buy, sell], None)})
    assert changed.steps.places.tolist() == [0, 1, 2, 2]
    assert changed.steps.values.tolist() == [[7, 10, 5, 0], [7, 10, 5, 0], [7, 10, 5, 0], [9, 6, 3, 1]]
    assert Steps.joined([changed.steps, result.steps]).places.tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_amounts_beyond_the_exact_range_are_named() -> None:
    small = [LedgerRow(b"t", 1, 0, 0, 1, int(Kind.BUY), 10, -5, 0, 0, 0, b"")]
    large = [
        LedgerRow(b"t", 1, 0, 0, 1, int(Kind.BUY), 2**53 + 1, -(2**52), 0, 0, 0, b""),
        LedgerRow(b"t", 2, 0, 0, 1, int(Kind.SELL), -(2**53), 2**51, 0, 0, 0, b""),
    ]
    assert folded([(small, None), (large, None), (small, None)], []).too_large.tolist() == [1]


def test_products_beyond_64_bits_are_exact() -> None:
    """Basis 9,007,199,254,740,991 of as many shares less one: the product has 106 bits."""
    big = 2**53 - 1
    rows = [
        LedgerRow(b"t", 1, 0, 0, 1, int(Kind.BUY), big, -(big - 2), 0, 0, 0, b""),
        LedgerRow(b"t", 2, 0, 0, 1, int(Kind.SELL), -(big // 3), big // 5, 0, 0, 0, b""),
        LedgerRow(b"t", 3, 0, 0, 1, int(Kind.SELL), -(big // 7), big // 11, 0, 0, 0, b""),
    ]
    expected = fold_pair(rows, None)
    result = folded([(rows, None)], [])
    assert result.state[0, STATE.index("realized")] == expected.realized
    assert result.state[0, STATE.index("cost")] == expected.cost
