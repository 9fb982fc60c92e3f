"""The definitions behind the flags, by hand and against scipy; and the page that explains them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control

from polyhouse.metrics.chance import q_levels, records, tail_bounds
from polyhouse.metrics.flags import (
    BOT_WEIGHTS,
    FLAGS,
    MINIMUM,
    THRESHOLD,
    Habits,
    bot_likelihood,
    bot_points,
    clock_evenness,
    is_candidate,
    maker_share,
    market_making,
)

PAGE = (Path(__file__).parents[2] / "docs" / "flags.md").read_text(encoding="utf-8")
MACHINE = Habits(
    trades=600, two_sided=480, fills=600, maker_fills=600, known_fills=600, all_fills=600, markets=40, days=6,
    seconds=601, median_gap=900, regular_gaps=600, hours=(25,) * 24, traded_shares=100, turned_shares=0,
)  # fmt: skip


def bound(prices: list[float], won: float) -> float:
    return float(tail_bounds(np.array([0, len(prices)]), np.array(prices), np.array([won]))[0])


def test_what_is_not_ahead_of_its_prices_is_explained_by_chance() -> None:
    assert bound([0.5, 0.5, 0.5, 0.5], 2) == 1
    assert bound([0.9], 0) == 1


def test_to_win_everything_has_the_product_of_the_prices() -> None:
    assert bound([0.1, 0.2, 0.5], 3) == pytest.approx(0.01, rel=1e-6)
    assert bound([0.3] * 14, 14) == pytest.approx(0.3**14, rel=1e-6)


@pytest.mark.parametrize("won", [16, 20, 25, 32, 45])
def test_the_bound_is_above_the_chance_but_not_far(won: int) -> None:
    chance = binom.sf(won - 1, 50, 0.3)
    assert chance <= bound([0.3] * 50, won) <= 12 * chance


def test_half_payouts_count_half() -> None:
    """Hoeffding 1963: the bound of trials that pay 0 or 1 holds for all payouts between with the same mean."""
    assert bound([0.4] * 10, 6.5) < bound([0.4] * 10, 6)
    assert bound([0.4] * 10, 6.5) > bound([0.4] * 10, 7)


def test_the_rest_of_a_record_leaves_out_the_category_with_the_largest_gain() -> None:
    starts = np.array([0, 80, 90])
    prices, payouts = np.full(90, 0.5), np.zeros(90)
    payouts[:45] = 1  # 45 of 50 in the first category, 15 of 30 in the second
    payouts[45:50], payouts[50:65], payouts[65:80] = 0, 1, 0
    categories = np.array([0] * 50 + [1] * 30 + [2] * 10)
    found = records(starts, prices, payouts, categories)
    assert found.bets.tolist() == [80, 10]
    assert found.won.tolist() == [60, 0]
    assert found.rest_bets.tolist() == [30, 10]
    assert found.p_all[0] == pytest.approx(bound([0.5] * 80, 60), rel=1e-9)
    assert found.p_all[0] < 1e-4
    assert found.p_rest.tolist() == [1, 1]
    few = records(np.array([0, 79]), prices[1:80], payouts[1:80], np.array([0] * 50 + [1] * 29))
    assert few.p_rest[0] == few.p_all[0], "29 bets are too few to ask for more"


def test_chance_seldom_looks_like_skill() -> None:
    """2,000 wallets with 20 to 200 bets at fair prices: p-values below x for a share of x at most."""
    rng = np.random.default_rng(1)
    starts = np.append(0, np.cumsum(rng.integers(20, 200, 2_000)))
    prices = rng.uniform(0.03, 0.97, starts[-1])
    payouts = (rng.random(starts[-1]) < prices).astype(float)
    p = records(starts, prices, payouts, rng.integers(0, 10, starts[-1])).p_all
    for level in (0.5, 0.1, 0.05, 0.01):
        assert (p <= level).mean() <= level
    assert (q_levels(p).q_values > 0.05).all()


@pytest.mark.parametrize("count", [1, 2, 50, 5_000])
def test_levels_give_every_p_value_its_q_value(count: int) -> None:
    p = np.round(np.random.default_rng(count).random(count) ** 3, 3)  # with ties
    levels = q_levels(p)
    places = np.searchsorted(levels.p_upto, p, side="left")
    assert levels.q_values[places] == pytest.approx(false_discovery_control(p), rel=1e-12)
    assert (np.diff(levels.p_upto) > 0).all()
    assert (np.diff(levels.q_values) > 0).all()
    assert levels.tests == count


def test_no_tests_have_no_levels() -> None:
    assert q_levels([]).tests == 0


def test_a_machine_and_a_person() -> None:
    assert bot_points(MACHINE) == {"regular": 1, "clock": 1, "two_sided": 0.8, "maker": 1, "rate": 1}
    assert bot_likelihood(MACHINE) == pytest.approx(0.97)
    assert sum(BOT_WEIGHTS.values()) == pytest.approx(1)
    day = tuple(0 if hour < 6 else 1 for hour in range(24))
    person = replace(
        MACHINE, two_sided=0, maker_fills=0, fills=12, days=6, seconds=601, regular_gaps=42,
        hours=tuple(100 * count for count in day),
    )  # fmt: skip
    assert clock_evenness(person) == pytest.approx(0.91, abs=0.01)
    assert bot_points(person)["regular"] == 0
    assert bot_likelihood(person) < 0.15


def test_shares_without_a_sample_are_zero() -> None:
    nobody = Habits(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (0,) * 24, 0, 0)
    assert maker_share(nobody) == clock_evenness(nobody) == bot_likelihood(nobody) == market_making(nobody) == 0


def test_market_makers_make_on_both_sides() -> None:
    assert market_making(MACHINE) == 1
    assert market_making(replace(MACHINE, two_sided=240)) == pytest.approx(0.8)
    assert market_making(replace(MACHINE, maker_fills=300)) == pytest.approx(0.5)


def test_who_is_examined_for_wash_trading() -> None:
    assert not is_candidate(replace(MACHINE, turned_shares=29))
    assert is_candidate(replace(MACHINE, turned_shares=30))
    assert is_candidate(replace(MACHINE, all_fills=750))
    assert not is_candidate(replace(MACHINE, all_fills=749))


def test_the_page_states_thresholds_and_samples() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+)(?:, q [≤>] 0.05)? \| (\d+) \w+ \|$", PAGE, re.MULTILINE)
    assert {flag: (float(least), int(sample)) for flag, least, sample in rows} == {
        flag: (THRESHOLD[flag], MINIMUM[flag]) for flag in FLAGS
    }


def test_the_page_states_what_it_takes() -> None:
    gains, events = (re.search(rf"^\| {name} \|(.*)\|$", PAGE, re.MULTILINE) for name in ("gain per share", "events"))
    assert gains
    assert events
    for gain, count in zip(gains[1].split("|"), events[1].replace(",", "").split("|"), strict=True):
        n, rate = int(count), 0.5 + float(gain)
        assert bound([0.5] * n, n * rate) <= 1e-4 < bound([0.5] * (n - 1), (n - 1) * rate)
        assert math.log(1e4) == pytest.approx(
            n * (rate * math.log(2 * rate) + (1 - rate) * math.log(2 - 2 * rate)), rel=0.02
        )
