"""Metrics of purchases and trades: equal to the plain calculation, on rows made by hand and at random."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import plain_entries
import plain_fills
import pytest
from bet_rows import AS_OF
from plain_trades import DAY, HOUR, LAGS, USD, Trade, with_gaps
from trade_rows import differences, expected, measured, stage, trade

from polyhouse.metrics.catalogue import computed
from polyhouse.metrics.entries_relation import RELATION as ENTRIES
from polyhouse.metrics.fills_relation import RELATION as FILLS
from polyhouse.ports import Warehouse

WALLET = "0x" + "a1" * 20


def random_trades(seed: int, wallet: int, count: int) -> list[Trade]:
    """Trades of every kind, many in the same second, in all windows."""
    dice = random.Random(seed)

    def level(chance: float) -> int | None:
        return dice.randrange(1, 1_000_000) if dice.random() < chance else None

    found = []
    for number in range(count):
        at = AS_OF - dice.choice([dice.randrange(200 * DAY), dice.randrange(40) * DAY, dice.randrange(9) * HOUR])
        shares = dice.randrange(1, 10 ** dice.randrange(7, 13))
        cash = max(shares * dice.randrange(1, 1_050_000) // 10**6, 1)
        resolved = dice.choice([0, at, at + dice.randrange(1, 9 * DAY)])
        is_known = dice.random() < 0.8
        fee = dice.choice([0, cash // 50])
        found.append(trade(
            number, wallet=wallet, token=dice.randrange(1, 40), at=at, is_sale=dice.random() < 0.3,
            role=dice.choice(["TAKER", "MAKER", "DIRECT", ""]), category=dice.choice(["sports", "crypto", "other"]),
            kind=dice.choice(["single_long", "recurring", "one_of_many_short"]), outcome=dice.randrange(2),
            fills=dice.randrange(1, 4), shares=shares, cash=cash, fee=fee, volume=cash + fee,
            earliness_e6=dice.choice([None, dice.randrange(1_000_001)]), resolved_at=resolved,
            payout_e6=dice.choice([0, 10**6, 333_333]) if resolved else None,
            closes_at=at + dice.choice([1, 31, 121, 301, HOUR + 1, 7 * HOUR, 2 * DAY]), before_e6=level(0.5),
            day_before_e6=level(0.6), day_open_e6=level(0.7), day_end_e6=level(0.9),
            after={lag: dice.randrange(1, 10**6) for lag in LAGS},
            close_e6=dice.randrange(1, 10**6) if is_known else None,
        ))  # fmt: skip
    return found


def check(warehouse: Warehouse, trades: list[Trade]) -> dict[str, int]:
    """Compare everything; metric → how many values of it there were."""
    stage(warehouse, trades)
    valued: dict[str, int] = {}
    sets = (
        (ENTRIES, plain_entries.PLAIN, [t for t in trades if t.is_purchase]),
        (FILLS, plain_fills.PLAIN, with_gaps(trades)),
    )
    for relation, plain, rows in sets:
        wanted = expected(rows, relation.name, plain, AS_OF)
        assert differences(measured(warehouse, relation), wanted) == []
        for row in wanted.values():
            for name, value in row.items():
                valued[name] = valued.get(name, 0) + (value is not None)
    return valued


@pytest.mark.parametrize("seed", range(2))
def test_rows_made_at_random(warehouse: Warehouse, seed: int) -> None:
    trades = [t for n in range(1, 11) for t in random_trades(100 * seed + n, n, 1 + 3 * n * n)]
    valued = check(warehouse, trades)
    names = {m.name for relation in (ENTRIES, FILLS) for m in computed(relation.name)}
    assert not [name for name in names if not valued[name]], "no value of it was compared"


def many(count: int = 20, **changes: Any) -> list[Trade]:
    return [trade(n, **changes) for n in range(count)]


def test_rows_made_by_hand(warehouse: Warehouse) -> None:
    """Wallets in which something is missing, extreme or all the same."""
    wallets = {
        "nothing known": many(role=""),
        "all at one price": many(resolved_at=AS_OF, payout_e6=10**6),
        "above one": many(cash=120 * USD, resolved_at=AS_OF, payout_e6=10**6, close_e6=999_999, closes_at=AS_OF),
        "dust": many(shares=1, cash=1, resolved_at=AS_OF, payout_e6=0),
        "very large": many(shares=10**13, cash=6 * 10**12, volume=6 * 10**12, resolved_at=AS_OF, payout_e6=10**6,
                           close_e6=700_000, closes_at=AS_OF, after=dict.fromkeys(LAGS, 650_000), before_e6=590_000),
        "sales only": many(is_sale=True, role="MAKER", after=dict.fromkeys(LAGS, 400_000)),
        "one second": many(day=3),
        "window's edges": [trade(n, day=d) for n, d in enumerate((0, 29.99999, 30, 30.00001, 90, 179, 180, 500))],
        "bought too late": many(resolved_at=AS_OF - DAY, payout_e6=10**6),
    }  # fmt: skip
    trades = [
        replace(t, wallet="0x" + bytes([place]).hex() * 20)
        for place, given in enumerate(wallets.values(), 1)
        for t in given
    ]
    check(warehouse, trades)


def test_neither_order_nor_threads_change_a_bit(warehouse: Warehouse) -> None:
    trades = [t for n in range(1, 5) for t in random_trades(n, n, 150)]
    stage(warehouse, trades)
    first = [measured(warehouse, relation) for relation in (ENTRIES, FILLS)]
    for seed in range(2):
        stage(warehouse, random.Random(seed).sample(trades, len(trades)))
        assert [measured(warehouse, relation, threads=seed + 1) for relation in (ENTRIES, FILLS)] == first


WON, LOST = {"resolved_at": AS_OF, "payout_e6": 10**6}, {"resolved_at": AS_OF, "payout_e6": 0}
CLOSE = {"closes_at": AS_OF}


@pytest.mark.parametrize(
    ("name", "trades", "wanted"),
    [
        # K22-like: bought at 0.50, half of it pays: (0.5)² each
        ("brier", many(5, **WON) + [trade(n + 5, **LOST) for n in range(5)], 0.25),
        ("brier", many(9, **WON), None),  # one below the minimum
        ("log_score", many(10, **WON), 0.69314718),
        # at 0.50 half pays, at 0.80 all pay: slope 0.5 / 0.3
        ("calibration_slope", [trade(n, cash=50 * USD, **(WON if n % 2 else LOST)) for n in range(20)]
         + [trade(n + 20, cash=80 * USD, **WON) for n in range(20)], 0.5 / 0.3),
        ("calibration_error", [trade(n, cash=60 * USD, **(WON if n % 2 else LOST)) for n in range(20)], 0.1),
        # bought at 0.50, closed at 0.55: the seed's sign would say −0.05
        ("clv_mean", many(10, close_e6=550_000, **CLOSE), 0.05),
        ("clv_mean", many(10, cash=51 * USD, fee=USD, close_e6=550_000, **CLOSE), 0.04),
        ("clv_beat_rate", [trade(n, close_e6=490_000 + 20_000 * (n % 2), **CLOSE) for n in range(10)], 0.5),
        ("clv_usd", many(1, close_e6=550_000, **CLOSE), 5.0),
        ("clv_return", many(10, close_e6=550_000, **CLOSE), 0.1),
        # the copier pays 0.53 and the same cent of fee
        ("clv_copy_2m", many(10, cash=51 * USD, fee=USD, close_e6=550_000, after={"2m": 530_000}, **CLOSE), 0.01),
        # 0.05 to gain at first, 0.04 after five minutes, 0.01 after an hour: half of it after 5 + 27.5 minutes
        ("edge_half_life_hours", many(20, close_e6=550_000, after={
            "30s": 500_000, "2m": 500_000, "5m": 510_000, "1h": 540_000, "6h": 550_000, "1d": 550_000}, **CLOSE),
         32.5 / 60),
        ("edge_half_life_hours", many(20, close_e6=450_000, **CLOSE), None),
        ("clv_slope_30d", [trade(n, day=n + 0.5, close_e6=600_000 - 10_000 * n, **CLOSE) for n in range(10)], 0.01),
        ("yes_no_balance", [trade(0, cash=75 * USD), trade(1, cash=25 * USD, outcome=1)], 50.0),
        # 30 of 40 won at 0.50, ten fair ones added: (35/50 − 0.5) / 0.5
        ("kelly_optimal", [trade(n, **(WON if n % 4 else LOST)) for n in range(40)], 0.4),
        ("timing_share", many(20, close_e6=600_000, closes_at=AS_OF - 1, **WON), 0.2),
        ("edge_sources", many(10, cash=51 * USD, fee=USD, close_e6=600_000, closes_at=AS_OF - 1, **WON),
         '{"timing":100,"selection":400,"fees":-10}'),
        ("edge_by_archetype", many(10, **WON), '{"single_long":0.5}'),
        ("surprise", many(10, cash=25 * USD, **WON), 0.75),
        ("underdog_share", [trade(0, cash=30 * USD), trade(1, cash=90 * USD)], 0.25),
        ("contrarian_share", [trade(0, day_before_e6=600_000), trade(1, day_before_e6=400_000), trade(2)], 0.5),
        ("earliness", [trade(0, earliness_e6=200_000), trade(1, cash=150 * USD, earliness_e6=600_000)], 0.5),
        ("maker_share", [trade(n, role="MAKER" if n < 3 else "TAKER") for n in range(12)], 0.25),
        ("maker_taker_volume", [trade(n, role="MAKER" if n < 9 else "TAKER") for n in range(12)], 3.0),
        # bought at 0.50 what last traded at 0.48, and sold at 0.50 what last traded at 0.51: 2 and 1 USDC of 100 shares
        ("slippage_per_bet", [trade(n, is_sale=n % 2 == 1, before_e6=510_000 if n % 2 else 480_000) for n in range(10)],
         1.5),
        ("adverse_selection", [trade(n, role="MAKER", after={"5m": 470_000}) for n in range(10)], 0.03),
        ("price_impact_per_1k", [trade(n, before_e6=490_000, after={"5m": 500_000}) for n in range(10)], 0.2),
        # buys 10, 20, 30 USDC on days that rise by 1, 2 and 3 cents, sells 20 on days that fall by 2
        ("crowd_correlation", [
            trade(n, is_sale=n % 4 == 3, volume=(10, 20, 30, 20)[n % 4] * USD, day_open_e6=500_000,
                  day_end_e6=(510_000, 520_000, 530_000, 480_000)[n % 4]) for n in range(20)], 1.0),
        ("crowd_correlation",
         [trade(n, volume=n * USD, day_open_e6=500_000, day_end_e6=500_000 - n) for n in range(20)], -1.0),
        ("trade_gap_median", [trade(n, day=n / 24) for n in range(11)], 3600.0),
        ("hours_of_day", [trade(n, day=n / 24) for n in range(48)], 24),
        ("trades_per_active_day", [trade(n, day=n // 3) for n in range(12)], 3.0),
    ],
)  # fmt: skip
def test_values_worked_out_by_hand(
    warehouse: Warehouse, name: str, trades: list[Trade], wanted: float | str | None
) -> None:
    stage(warehouse, trades)
    relation = ENTRIES if name in plain_entries.PLAIN else FILLS
    value = measured(warehouse, relation)[WALLET, "overall", "lifetime"][name]
    assert value == (wanted if wanted is None or isinstance(wanted, str) else pytest.approx(wanted))
