"""Daily series: by hand, and the compiled twin against the reference."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyhouse.ledger.day_columns import day_columns
from polyhouse.ledger.day_series import DAY_SECONDS, NO_MARK, SERIES, Histories, Marks, day_series

M = 1_000_000
enough = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def histories(steps, fills):
    """Steps and fills given pair by pair."""
    return Histories(
        np.cumsum([0, *map(len, steps)]), matrix([one for pair in steps for one in pair], 4),
        np.cumsum([0, *map(len, fills)]), matrix([one for pair in fills for one in pair], 2),
    )  # fmt: skip


def matrix(rows, width):
    return np.array(rows, dtype=np.int64).reshape(len(rows), width)


def marks(prices, newest):
    """Per pair (day, price) …, and the price of now."""
    ends = np.cumsum([len(pair) for pair in prices])
    flat = matrix([one for pair in prices for one in pair], 2)
    return Marks(ends - [len(pair) for pair in prices], ends, flat[:, 0], flat[:, 1], np.array(newest, dtype=np.int64))


def at(day, hour=0):
    return day * DAY_SECONDS + hour * 3_600


def named(series):
    return [dict(zip(SERIES, row, strict=True)) for row in series.values.tolist()]


def test_a_life_by_hand():
    """Bought 100 for 40 on day 1 and 50 more for 30 on day 3, half sold for 60 on day 3, resolved to 1 on day 7."""
    pair = [(at(1, 9), 100 * M, 40 * M, 0), (at(3, 8), 150 * M, 70 * M, 0), (at(3, 20), 75 * M, 35 * M, 25 * M),
            (at(7, 1), 0, 0, 65 * M)]  # fmt: skip
    fills = [(at(1, 9), 40 * M), (at(3, 8), 30 * M), (at(3, 20), 60 * M)]
    prices = [(1, 400_000), (2, 500_000), (3, 800_000), (6, 900_000)]
    arguments = (
        np.array([0, 1]), np.array([0]), histories([pair], [fills]), marks([prices], [900_000]), [0, 2, 6, 8], 8,
    )  # fmt: skip
    rows = named(day_series(*arguments))
    # The eves 2 and 6 have entries, 0 and 8 have none: nothing was open.
    assert [row["day"] for row in rows] == [1, 2, 3, 6, 7]
    assert [row["realized"] for row in rows] == [0, 0, 25 * M, 0, 40 * M]
    assert [row["realized_total"] for row in rows] == [0, 0, 25 * M, 25 * M, 65 * M]
    # 100 at .4 and .5 less 40; 75 at .8 and .9 less 35.
    assert [row["unrealized"] for row in rows] == [0, 10 * M, 25 * M, 32_500_000, 0]
    assert [row["at_risk"] for row in rows] == [40 * M, 40 * M, 35 * M, 35 * M, 0]
    assert [row["at_risk_before"] for row in rows] == [0, 40 * M, 40 * M, 35 * M, 35 * M]
    assert [row["at_risk_peak"] for row in rows] == [40 * M, 40 * M, 70 * M, 35 * M, 35 * M]
    assert [(row["volume"], row["fills"]) for row in rows] == [(40 * M, 1), (0, 0), (90 * M, 2), (0, 0), (0, 0)]
    assert [row["worst"] for row in rows] == [0] * 5
    assert day_columns(*arguments).values.tolist() == day_series(*arguments).values.tolist()


def test_pairs_of_a_scope_are_summed_and_peaks_meet_in_time():
    """Capital of two pairs at different hours is never at risk together; an unknown mark is counted, not guessed."""
    first = [(at(1, 1), 10, 100, 0), (at(1, 2), 0, 0, -30)]
    second = [(at(1, 3), 10, 80, 0), (at(1, 4), 5, 40, 20), (at(9), 0, 0, 12)]
    third = [(at(1, 2), 7, 60, 0), (at(2, 5), 0, 0, -9)]
    arguments = (
        np.array([0, 2, 3]), np.array([0, 1, 2]), histories([first, second, third], [[], [], []]),
        marks([[(1, 5)], [], [(0, 9 * M)]], [5, NO_MARK, 9 * M]), [], 5,
    )  # fmt: skip
    series = day_series(*arguments)
    rows = named(series)
    assert series.scopes.tolist() == [0, 0, 1, 1]
    # The resolution on day 9 counts on the newest day, 5.
    assert [(row["day"], row["realized"], row["worst"]) for row in rows] == [
        (1, -10, -30), (5, -8, -8), (1, 0, 0), (2, -9, -9),
    ]  # fmt: skip
    assert [row["at_risk_peak"] for row in rows] == [100, 40, 60, 60]
    assert [(row["unmarked"], row["unrealized"]) for row in rows] == [(1, 0), (0, 0), (0, 7 * 9 - 60), (0, 0)]
    assert day_columns(*arguments).values.tolist() == series.values.tolist()


@st.composite
def universes(draw):
    """A few pairs with steps, fills and prices, shared out to scopes."""
    small = st.integers(0, 30)
    steps, fills, prices, newest = [], [], [], []
    for _ in range(draw(st.integers(1, 5))):
        moments = sorted(draw(st.sets(st.integers(0, 9 * DAY_SECONDS // 7_000), max_size=6)))
        pair = []
        for moment in moments:
            held = draw(st.one_of(st.just(0), small, st.integers(0, 2**53)))
            cost = draw(small) if held else 0
            pair.append((moment * 7_000, held, cost, draw(st.integers(-40, 40))))
        steps.append(pair)
        fills.append(draw(st.lists(st.tuples(st.integers(0, 9 * DAY_SECONDS), small), max_size=4)))
        days = sorted(draw(st.sets(st.integers(0, 9), max_size=4)))
        price = st.one_of(st.integers(0, M), st.integers(-3 * M, 3 * M))
        prices.append([(day, draw(price)) for day in days])
        newest.append(draw(st.one_of(st.just(NO_MARK), price)))
    pairs = range(len(steps))
    scopes = draw(st.lists(st.lists(st.sampled_from(pairs), min_size=1, unique=True), max_size=3))
    starts = np.cumsum([0, *map(len, scopes)])
    members = np.array([pair for scope in scopes for pair in scope], dtype=np.int64)
    edges = draw(st.lists(st.integers(0, 9), max_size=3))
    return starts, members, histories(steps, fills), marks(prices, newest), edges, draw(st.integers(5, 9))


@given(universes())
@enough
def test_columns_and_the_reference_agree(arguments):
    want, got = day_series(*arguments), day_columns(*arguments)
    assert got.scopes.tolist() == want.scopes.tolist()
    assert got.values.tolist() == want.values.tolist()
