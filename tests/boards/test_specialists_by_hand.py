"""The test of specialists: a valid bound on chance, worked out by hand and against exact distributions."""

from __future__ import annotations

import math
import random

import numpy as np
import pyarrow as pa
import pytest
from board_rows import USD, built, specialist, totals, wallet
from scipy.stats import binom, false_discovery_control, norm

from polyhouse.errors import BadInputError
from polyhouse.metrics.specialists import TILTS, Evidence, chance_against_rest, chance_of, q_values, shrunk
from polyhouse.models.edges import edges
from polyhouse.ports import Warehouse
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard
from polyhouse.reads.specialists import specialists


def evidence(prices: list[float], payouts: list[float]) -> Evidence:
    return Evidence(
        len(prices), sum(payouts), sum(prices),
        [sum(math.log1p(p * math.expm1(t)) for p in prices) for t in TILTS],
        [sum(math.expm1(t) / (1 + p * math.expm1(t)) for p in prices) for t in TILTS],
        sum(p * (1 - p) for p in prices),
    )  # fmt: skip


@pytest.mark.parametrize(("price", "bets"), [(0.5, 20), (0.5, 400), (0.05, 20), (0.05, 200), (0.95, 60), (0.3, 2_000)])
def test_the_bound_lies_above_the_exact_chance_and_not_far(price: float, bets: int) -> None:
    mean, sd = price * bets, math.sqrt(price * (1 - price) * bets)
    for z in (1, 2, 3, 4):
        won = min(math.ceil(mean + z * sd), bets)
        exact = binom.sf(won - 1, bets, price)
        bound = chance_of(evidence([price] * bets, [1.0] * won + [0.0] * (bets - won)))
        assert exact <= bound <= 1
        assert bound <= 12 * z * exact + 0.7 * (z == 1), (price, bets, z)


def test_three_lucky_longshots_are_no_skill() -> None:
    """20 bets at 0.05 of which 5 win: a normal approximation says 2 in 100,000, it is 2.6 in 1,000."""
    z = (5 - 1) / math.sqrt(20 * 0.05 * 0.95)
    assert norm.sf(z) < 3e-5
    assert (
        chance_of(evidence([0.05] * 20, [1.0] * 5 + [0.0] * 15))
        > binom.sf(4, 20, 0.05)
        == pytest.approx(2.57e-3, rel=0.01)
    )


def test_who_does_not_beat_the_price_has_no_chance_but_1() -> None:
    assert chance_of(evidence([0.6] * 50, [1.0] * 30 + [0.0] * 20)) == 1
    assert chance_of(evidence([0.6] * 50, [0.0] * 50)) == 1


def test_others_who_win_as_much_raise_the_bar_and_losers_do_not_lower_it() -> None:
    good = evidence([0.5] * 100, [1.0] * 70 + [0.0] * 30)
    alone = chance_of(good)
    assert chance_of(good, -0.3) == alone
    assert alone < chance_of(good, 0.1) < chance_of(good, 0.2) <= 1
    # exactly: as if the prices had been 0.6
    assert binom.sf(69, 100, 0.6) < chance_of(good, 0.1)


def test_the_bound_holds_for_mixed_prices_and_parts_of_a_payout() -> None:
    """At fair prices one wallet in twenty at most falls below 0.05, also where outcomes pay one half."""
    dice = random.Random(3)
    prices = [dice.uniform(0.05, 0.95) for _ in range(60)]
    found = [
        chance_of(evidence(prices, [((dice.random() < p) + (dice.random() < p)) / 2 for p in prices]))
        for _ in range(200)
    ] + [chance_of(evidence(prices, [float(dice.random() < p) for p in prices])) for _ in range(200)]  # fmt: skip
    assert sum(chance <= 0.05 for chance in found) <= 20
    assert min(found) < 0.5


def test_the_rest_of_a_wallet_by_hand() -> None:
    """Here 30 of 40 at 0.5 (edge 0.25); elsewhere 10 bets with an edge of 1 in all, shrunk to 1/30."""
    here = evidence([0.5] * 40, [1.0] * 30 + [0.0] * 10)
    p = chance_against_rest(here, 1.0, 10 * 0.25, 10)
    z = (0.25 - 1 / 30) / math.sqrt(40 * 0.25 / 40**2 + 2.5 / 30**2)
    assert p == pytest.approx(norm.sf(z))
    assert chance_against_rest(here, 0.0, 0.0, 0) == pytest.approx(norm.sf(0.25 / math.sqrt(0.25 / 40)))
    assert shrunk(1.0, 10) == 1 / 30
    assert shrunk(0.0, 0) == 0


def test_the_example_of_the_page() -> None:
    """docs/specialists.md: 30 of 40 at 0.50, ten bets elsewhere that came to one share, others lose 0.01 a share."""
    here = evidence([0.5] * 40, [1.0] * 30 + [0.0] * 10)
    by_luck, elsewhere = chance_of(here, -0.01), chance_against_rest(here, 1.0, 2.5, 10)
    assert by_luck == pytest.approx(0.0053, abs=2e-4)
    assert binom.sf(29, 40, 0.5) == pytest.approx(0.0011, abs=5e-5)
    assert elsewhere == pytest.approx(0.0113, abs=5e-5)
    assert q_values([max(by_luck, elsewhere), *[1.0] * 7])[0] == pytest.approx(0.09, abs=1e-3)
    better = evidence([0.5] * 40, [1.0] * 36 + [0.0] * 4)
    assert 8 * max(chance_of(better, -0.01), chance_against_rest(better, 1.0, 2.5, 10)) < 0.05


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    dice = random.Random(5)
    for count in (1, 2, 17, 300):
        p = [dice.random() ** dice.choice([1, 4]) for _ in range(count)]
        p[0] = p[-1]
        assert q_values(p) == pytest.approx(list(false_discovery_control(p)))
    assert q_values([]) == []
    assert q_values([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5])


def bets(*groups: tuple[str, str, list[tuple[float, int]]]) -> pa.Table:
    rows = [
        (bytes.fromhex(name) * 20, category, n, round(price * 1e9), payout * 10**9)
        for name, category, given in groups
        for n, (price, payout) in enumerate(given)
    ]
    names = ("wallet", "category", "event", "price_e9", "payout_e9")
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})
    return table.set_column(0, "wallet", table.column("wallet").cast(pa.binary(20)))


def test_sums_of_bets_by_hand() -> None:
    many = [(0.25, n % 3 == 0) for n in range(21)]
    found = edges(
        bets(("aa", "crypto", [(0.5, 1)]), ("aa", "sports", many), ("bb", "sports", [(0.9, 1), (0.2, 0)]))
    ).to_pylist()
    assert [(row["wallet"][:1].hex(), row["category"], row["events"]) for row in found] == [
        ("aa", "crypto", 1), ("aa", "sports", 21), ("bb", "sports", 2),
    ]  # fmt: skip
    assert [(row["payout_e9"], row["price_e9"], row["spread_e9"]) for row in found] == [
        (10**9, 500_000_000, 250_000_000), (7 * 10**9, 5_250_000_000, 21 * 187_500_000),
        (10**9, 1_100_000_000, 90_000_000 + 160_000_000),
    ]  # fmt: skip
    assert [len(row["bound_e9"]) for row in found] == [0, len(TILTS), 0]
    exact = evidence([0.25] * 21, [1.0] * 7 + [0.0] * 14)
    for name, wanted in (("bound_e9", exact.bound), ("slope_e9", exact.slope)):
        got = np.array(found[1][name]) / 1e9
        assert (got >= wanted).all()
        assert got == pytest.approx(wanted, abs=1e-7)


def test_the_answer_lists_specialists_by_their_q(warehouse: Warehouse) -> None:
    specialist(warehouse, "aa", "sports", q=0.03)
    specialist(warehouse, "bb", "crypto", q=0.01)
    specialist(warehouse, "cc", "sports", q=0.5, is_specialist=False)
    built(warehouse)
    document = specialists(warehouse)
    assert [(row["wallet"], row["category"], row["rank"]) for row in document["rows"]] == [
        (wallet("bb"), "crypto", 1), (wallet("aa"), "sports", 2),
    ]  # fmt: skip
    assert (document["tests"], document["total"], document["count"]) == ({"crypto": 1, "sports": 2}, 2, 2)
    sports = specialists(warehouse, category="sports", tested=True, limit=1)
    assert (sports["total"], sports["count"], sports["rows"][0]["wallet"]) == (2, 1, wallet("aa"))
    assert specialists(warehouse, category="weather")["rows"] == []
    for wrong in ({"category": "football"}, {"limit": 0}, {"limit": "9"}):
        with pytest.raises(BadInputError):
            specialists(warehouse, **wrong)
    totals(warehouse, "aa", realized=USD)
    assert leaderboard(warehouse, LeaderboardQuery())["rows"][0]["specialist"] == "sports"
