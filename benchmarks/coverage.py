"""How often nominal 95 % intervals of omega and return hold the truth: bootstrap against its analytic limit.

    python -m benchmarks.coverage [--wallets 600]

Simulated wallets bet at prices between 0.1 and 0.9 with log-normal stakes; they win as often as the price says, or 8
points more often. The truth is that of four million bets of the same kind.
"""

from __future__ import annotations

import argparse

import numpy as np

from polyhouse.metrics.bootstrap import Samples, intervals, mixed

SIZES = (20, 50, 150, 400)
USD = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.coverage")
    parser.add_argument("--wallets", type=int, default=600, help="of each size and skill")
    options = parser.parse_args()
    rng = np.random.default_rng(7)
    head = "bets", "skill", "omega: bootstrap", "omega: limit", "return: bootstrap", "return: limit"
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for edge in (0.0, 0.08):
        results, stakes = draw(rng, 4_000_000, edge)
        omega = np.maximum(results, 0).sum() / np.maximum(-results, 0).sum()
        roi = results.sum() / stakes.sum()
        for size in SIZES:
            shares = covered(rng, options.wallets, size, edge, omega, roi)
            print(f"| {size} | {edge:+.0%} | {' | '.join(f'{share:.1%}' for share in shares)} |")


def draw(rng, count: int, edge: float):
    """Results and stakes, micro-USDC."""
    price, stake = rng.uniform(0.1, 0.9, count), rng.lognormal(3, 1, count)
    wins = rng.random(count) < np.minimum(price + edge, 0.98)
    result = np.where(wins, stake * (1 - price) / price, -stake)
    return (result * USD).astype(np.int64), (stake * USD).astype(np.int64)


def covered(rng, wallets: int, size: int, edge: float, omega: float, roi: float) -> list[float]:
    """Shares of wallets whose interval holds the truth, in the order of the table."""
    results, stakes = draw(rng, wallets * size, edge)
    numbers = np.arange(wallets * size, dtype=np.uint64)
    found = intervals(Samples(
        np.arange(wallets + 1) * size, np.arange(wallets * size), np.zeros(wallets, dtype=bool), mixed(numbers),
        np.stack([np.maximum(results, 0), np.maximum(-results, 0), stakes], axis=1),
    ))  # fmt: skip
    x, s = (values.reshape(wallets, size).astype(float) for values in (results, stakes))
    gain, loss = np.maximum(x, 0), np.maximum(-x, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre, less = gain.sum(1) / loss.sum(1), size / (size - 1)
        error = 1.96 * np.sqrt(less * ((gain**2).sum(1) / gain.sum(1) ** 2 + (loss**2).sum(1) / loss.sum(1) ** 2))
        in_limit = (centre * np.exp(-error) <= omega) & (omega <= centre * np.exp(error))
        in_bootstrap = (found.omega_low <= omega) & ~(found.omega_high < omega)
    has_both = (gain.sum(1) > 0) & (loss.sum(1) > 0)
    mean = x.sum(1) / s.sum(1)
    spread = 1.96 * np.sqrt(less * ((x - mean[:, None] * s) ** 2).sum(1)) / s.sum(1)
    return [
        in_bootstrap[has_both].mean(), in_limit[has_both].mean(),
        ((found.roi_low <= roi) & (roi <= found.roi_high)).mean(), (abs(mean - roi) <= spread).mean(),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
