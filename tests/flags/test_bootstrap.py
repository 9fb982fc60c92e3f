"""Bootstrap intervals: repeatable, the same compiled and plain, near a textbook bootstrap, and wide enough."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from polyhouse.metrics import bootstrap
from polyhouse.metrics.bootstrap import REPLICATES, Samples, counts, intervals, mixed
from polyhouse.models.steps.intervals_step import interval_rows

USD = 1_000_000


def bets(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Results and stakes of bets at fair prices, micro-USDC."""
    rng = np.random.default_rng(seed)
    price, stake = rng.uniform(0.1, 0.9, count), rng.lognormal(3, 1, count)
    result = np.where(rng.random(count) < price, stake * (1 - price) / price, -stake)
    return (result * USD).astype(np.int64), (stake * USD).astype(np.int64)


def sample_of(results: np.ndarray, stakes: np.ndarray, wallet: int = 1) -> Samples:
    places = np.arange(len(results), dtype=np.int64)
    return Samples(
        np.array([0, len(results)]), places, np.zeros(1, dtype=bool),
        mixed(np.uint64(wallet) ^ mixed(places.astype(np.uint64))),
        np.stack([np.maximum(results, 0), np.maximum(-results, 0), stakes], axis=1),
    )  # fmt: skip


def test_a_bet_counts_as_a_poisson_variable_of_mean_one() -> None:
    drawn = counts(mixed(np.arange(500, dtype=np.uint64)))
    assert drawn.shape == (500, REPLICATES)
    for times in range(5):
        assert (drawn == times).mean() == pytest.approx(math.exp(-1) / math.factorial(times), abs=0.003)
    assert drawn.mean() == pytest.approx(1, abs=0.006)
    assert drawn.var() == pytest.approx(1, abs=0.015)
    assert abs(np.corrcoef(drawn[:40])[np.triu_indices(40, 1)]).max() < 0.15, "bets are drawn independently"
    assert abs(np.corrcoef(drawn.T[:40])[np.triu_indices(40, 1)]).max() < 0.25, "and so are replicates"


def test_compiled_and_plain_sums_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    results, stakes = bets(300, 1)
    whole = sample_of(results, stakes)
    rows = [np.arange(25), np.arange(300), np.arange(100, 220), np.arange(40, 80)]
    starts, is_more = np.cumsum([0, *map(len, rows)]), np.array([False, False, False, True])
    samples = replace(whole, starts=starts, rows=np.concatenate(rows), is_more=is_more)
    plain = intervals(samples)
    monkeypatch.setattr(bootstrap, "COMPILED_FROM", 0)
    compiled = intervals(samples)
    for name in ("omega_low", "omega_high", "roi_low", "roi_high"):
        assert getattr(plain, name).tolist() == getattr(compiled, name).tolist(), name
    together = replace(whole, starts=np.array([0, 160]), rows=np.append(rows[2], rows[3]))
    assert intervals(together).roi_low[0] == plain.roi_low[3], "a sample that goes on has the bets of both"


@pytest.mark.parametrize("count", [30, 200])
def test_the_interval_is_that_of_a_textbook_bootstrap(count: int) -> None:
    """Drawing n of n with replacement (Efron), 20,000 times."""
    results, stakes = bets(count, 2)
    found = intervals(sample_of(results, stakes))
    rng = np.random.default_rng(3)
    chosen = rng.integers(0, count, (20_000, count))
    gains, losses = np.maximum(results, 0)[chosen].sum(axis=1), np.maximum(-results, 0)[chosen].sum(axis=1)
    with np.errstate(divide="ignore"):
        omega = np.quantile(gains / losses, (0.025, 0.975))
    roi = np.quantile((gains - losses) / stakes[chosen].sum(axis=1), (0.025, 0.975))
    width, log_width = roi[1] - roi[0], math.log(omega[1] / omega[0])
    assert found.roi_low[0] == pytest.approx(roi[0], abs=0.12 * width)
    assert found.roi_high[0] == pytest.approx(roi[1], abs=0.12 * width)
    assert math.log(found.omega_low[0] / omega[0]) == pytest.approx(0, abs=0.15 * log_width)
    assert math.log(found.omega_high[0] / omega[1]) == pytest.approx(0, abs=0.15 * log_width)


def test_most_intervals_hold_the_truth() -> None:
    """Of 300 wallets with 100 fair bets each nine in ten do; docs/flags.md has the measured shares."""
    holds = 0
    for wallet in range(300):
        found = intervals(sample_of(*bets(100, 1_000 + wallet), wallet=wallet))
        holds += found.roi_low[0] <= 0 <= found.roi_high[0]
    assert 0.86 < holds / 300 < 0.98


def test_what_has_no_losses_has_no_bounds_of_omega() -> None:
    results, stakes = bets(40, 4)
    found = intervals(sample_of(abs(results), stakes))
    assert np.isnan(found.omega_low[0])
    assert np.isnan(found.omega_high[0])
    assert found.roi_low[0] > 0
    few = np.where(np.arange(40) == 0, -USD, abs(results))
    found = intervals(sample_of(few, stakes))
    assert found.omega_low[0] > 0
    assert np.isnan(found.omega_high[0]), "a third of the replicates holds no loss"
    found = intervals(sample_of(results, np.zeros_like(stakes)))
    assert np.isnan(found.roi_low[0])


def test_rows_are_samples_of_twenty_to_four_hundred_bets_per_scope_and_window() -> None:
    results, stakes = bets(470, 5)
    wallet = [b"\1" * 20] * 60 + [b"\2" * 20] * 410
    category = ["sports"] * 25 + ["crypto"] * 35 + ["politics"] * 410
    table = pa.table({
        "wallet": pa.array(wallet, pa.binary(20)), "seed": pa.array([7] * 60 + [8] * 410, pa.uint64()),
        "category": category, "at": list(range(470)), "realized": results, "stake": stakes,
        "place": [*range(60), *range(410)],
    })  # fmt: skip
    rows = interval_rows(table, {"30d": 39, "lifetime": 0}).to_pylist()
    keys = {(row["wallet"][0], row["category"], row["window"]): row["bets"] for row in rows}
    assert keys == {
        (1, "overall", "lifetime"): 60, (1, "sports", "lifetime"): 25, (1, "crypto", "lifetime"): 35,
        (1, "overall", "30d"): 20, (1, "crypto", "30d"): 20,
    }  # fmt: skip
    same = {row["window"]: row for row in rows if row["bets"] == 20 and row["category"] == "overall"}
    crypto = next(row for row in rows if row["category"] == "crypto" and row["window"] == "30d")
    assert same["30d"]["roi_low"] == crypto["roi_low"], "the same bets, the same interval"
    alone = interval_rows(table.slice(0, 60), {"30d": 39, "lifetime": 0}).to_pylist()
    assert alone == rows, "a wallet's intervals do not depend on who is built with it"
