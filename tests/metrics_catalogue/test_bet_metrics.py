"""Metrics of bets: equal to the plain calculation, on rows made by hand and at random."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from bet_rows import AS_OF, bet, differences, expected, measured, random_bets, stage
from plain_bets import DAY, USD, Bet

from polyhouse.metrics.catalogue import computed
from polyhouse.models import metric_evaluation
from polyhouse.ports import Warehouse

WALLET = b"\xa1" * 20
BY_HAND = {
    "one win": [bet(1, 5)],
    "one flat": [bet(1, 0.009)],
    "a free gain": [bet(1, 5, 0)],
    "all equal": [bet(n, 1, day=n) for n in range(25)],
    "winners only": [bet(n, n, day=n / 3) for n in range(1, 41)],
    "losers only": [bet(n, -n, day=n / 3) for n in range(1, 41)],
    "turns, half by half": [bet(n, 5 if n < 20 else -4, day=n / 2) for n in range(40)],
    "flats between": [bet(n, (3, 0, -2, 0.001)[n % 4], day=n / 9) for n in range(60)],
    "one hit": [bet(n, 1_000 if n == 7 else -3, day=n) for n in range(50)],
    "same second": [bet(n, (-1) ** n * n, stake=n, day=2) for n in range(30)],
    "at the windows' edges": [bet(n, 1, day=d) for n, d in enumerate((29.99999, 30, 30.00001, 90, 179, 180, 500))],
    "weekends only": [bet(n, n - 20, opened=3 * DAY + 20_000 * 7 * DAY // 10, day=0) for n in range(25)],
    "very large": [bet(n, (-1) ** n * 9_876_543.21 * n, 10**7, day=n) for n in range(30)],
    "halves": [bet(n, 0.5, resolved_at=AS_OF, entry=(2 * USD, USD, USD), payouts=(Fraction(1, 2),)) for n in range(20)],
}


def test_rows_made_by_hand(warehouse: Warehouse) -> None:
    wallets = {bytes([place]) * 20: bets for place, bets in enumerate(BY_HAND.values(), 1)}
    stage(warehouse, wallets)
    assert differences(measured(warehouse), expected(wallets, AS_OF)) == []


@pytest.mark.parametrize("seed", range(3))
def test_rows_made_at_random(warehouse: Warehouse, seed: int) -> None:
    wallets = {bytes([n]) * 20: random_bets(100 * seed + n, 1 + n * n) for n in range(1, 14)}
    stage(warehouse, wallets)
    stored, wanted = measured(warehouse), expected(wallets, AS_OF)
    assert differences(stored, wanted) == []
    valued = {name for row in wanted.values() for name, value in row.items() if value is not None}
    assert {metric.name for metric in computed("bets") if not metric.of_metrics} <= valued, (
        "no value of it was compared"
    )


def test_what_few_rows_are_evaluated_for_changes_no_bit(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """All metrics of all windows, or fewer of small ones; and where all windows are small."""
    small = {bytes([n]) * 20: random_bets(n, 3) for n in range(1, 4)}
    for wallets in (small | {bytes([n]) * 20: random_bets(n, 30) for n in range(4, 7)}, small):
        stage(warehouse, wallets)
        found = []
        for least in (0, 10**9):
            monkeypatch.setattr(metric_evaluation, "WORTH_DIVIDING", least)
            found.append(measured(warehouse))
        assert found[0] == found[1]
        assert differences(found[0], expected(wallets, AS_OF)) == []


def test_neither_order_nor_threads_change_a_bit(warehouse: Warehouse) -> None:
    wallets = {bytes([n]) * 20: random_bets(n, 150) for n in range(1, 6)}
    stage(warehouse, wallets)
    first = measured(warehouse)
    for seed in range(3):
        shuffled = {wallet: random.Random(seed).sample(bets, len(bets)) for wallet, bets in wallets.items()}
        stage(warehouse, shuffled)
        assert measured(warehouse, threads=seed + 1) == first


@pytest.mark.parametrize(
    ("name", "bets", "wanted"),
    [
        ("omega_net", [bet(n, 3 if n % 2 else -2) for n in range(10)], 1.5),
        ("omega_net", [bet(n, 3 if n % 2 else -2) for n in range(9)], None),  # one below the minimum
        ("omega_gross", [bet(n, 3 if n % 2 else -2, fees=USD) for n in range(10)], 4.0),
        ("gain_to_pain", [bet(n, 3 if n % 2 else -2) for n in range(10)], 0.5),
        ("omega_shrunk", [bet(1, 50), bet(2, -150)], 0.5),
        ("net_pnl", [bet(1, 0.000001), bet(2, 7)], 7.000001),
        ("ev_per_bet_mean", [bet(n, 6 if n < 5 else -6) for n in range(10)], 0.0),
        ("win_rate", [bet(n, (1, -1, 0)[n % 3]) for n in range(12)], 0.5),
        ("one_hit_share", [bet(1, 12), bet(2, -4)], 1.5),
        ("stake_median", [bet(n, 1, stake) for n, stake in enumerate((2, 400, 10, 7))], 8.5),
        ("roi_without_best_3", [bet(n, 100 if n < 3 else 1, 10) for n in range(10)], 0.1),
        ("current_streak", [bet(n, 1 if n > 2 else -1, day=n) for n in range(8)], -3),
        ("longest_win_streak", [bet(n, 1 if n > 2 else -1, day=n) for n in range(8)], 5),
        ("bets_per_week", [bet(n, 1, day=n) for n in range(14)], 14 / (13 + 5 / 24) * 7),
        ("trend", [bet(n, 30 if n < 10 else -30, day=n) for n in range(20)], "improving"),
        ("category_mix", [bet(1, 1, 3, category="crypto"), bet(2, 1, 1)], '{"sports":0.25,"crypto":0.75}'),
        ("hit_rate", [bet(n, 1, payouts=(Fraction(1), Fraction(0))) for n in range(10)], 0.5),
        # 10 bets of 100 shares at 0.50 that all pay: 500 / sqrt(10 · 100² · 0.25)
        ("luck_z", [bet(n, 50, entry=(100 * USD, 50 * USD, 100 * USD)) for n in range(10)], math.sqrt(10)),
        ("return_per_dollar_hour", [bet(n, 1, 10) for n in range(10)], 0.02),
    ],
)
def test_values_worked_out_by_hand(warehouse: Warehouse, name: str, bets: list[Bet], wanted: float | str) -> None:
    stage(warehouse, {WALLET: bets})
    value = measured(warehouse)[WALLET, "overall", "lifetime"][name]
    assert value == (wanted if wanted is None or isinstance(wanted, str) else pytest.approx(wanted))


def test_the_bounds_are_those_of_the_bootstrap(warehouse: Warehouse) -> None:
    """Resampling 400 unremarkable bets gives the same intervals, within the noise of resampling."""
    dice = np.random.default_rng(7)
    results = dice.choice([-10.0, 9.0, 14.0], size=400) * dice.uniform(0.5, 1.5, size=400)
    stakes = dice.uniform(5, 30, size=400)
    bets = [bet(n, x, c) for n, (x, c) in enumerate(zip(results, stakes, strict=True))]
    stage(warehouse, {WALLET: bets})
    row = measured(warehouse)[WALLET, "overall", "lifetime"]
    drawn = dice.integers(0, 400, size=(4_000, 400))
    x, c = results[drawn], stakes[drawn]
    omegas = np.maximum(x, 0).sum(axis=1) / np.maximum(-x, 0).sum(axis=1)
    rois = x.sum(axis=1) / c.sum(axis=1)
    for values, low, high in ((omegas, "omega_low", "omega_high"), (rois, "roi_low", "roi_high")):
        width = row[high] - row[low]
        assert np.quantile(values, 0.025) == pytest.approx(row[low], abs=0.06 * width)
        assert np.quantile(values, 0.975) == pytest.approx(row[high], abs=0.06 * width)
