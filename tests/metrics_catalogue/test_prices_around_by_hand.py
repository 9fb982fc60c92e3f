"""Prices around trades made by hand: which price counts at which moment, and the example of docs/entries.md."""

from __future__ import annotations

from typing import Any

import pytest
from accounting_builds import accounting_builds
from score_store import CLOSE, HOUR, OPEN, columns, fill, load, market_tables, resolution

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.metrics import metrics

DAY = 24 * HOUR
WALLET = 0xA1


def trades(warehouse: Warehouse, *names: str) -> list[Any]:
    """These columns of the wallet's trades, in order of time; times in hours after the opening."""
    hours = {"at", "closes_at"}
    chosen = ", ".join(f"intDiv(toUInt32({n}) - {OPEN}, {HOUR})" if n in hours else n for n in names)
    sql = f"SELECT {chosen} FROM priced_trades FINAL WHERE wallet = unhex('{'a1' * 20}') ORDER BY at, is_sale"
    rows = warehouse.query(sql).rows
    return [row[0] for row in rows] if len(names) == 1 else rows


def store(warehouse: Warehouse, rows: list[dict[str, Any]], *resolved: dict[str, Any], **markets: Any) -> None:
    load(warehouse, {**market_tables(**markets), "observations": columns(rows)})
    for one in resolved:
        load(warehouse, {"resolutions": one})
    build(warehouse)


def others(hour: float, cents: int, *, outcome: int = 0) -> dict[str, Any]:
    """Somebody else trades a hundred shares at so many cents a share."""
    return fill(0xB2, hour, 100, 100 * cents, outcome=outcome)


@accounting_builds()
def test_the_last_price_of_either_outcome_counts(warehouse: Warehouse) -> None:
    store(warehouse, [
        others(1, 40), others(25.5, 44), others(26, 30, outcome=1), fill(WALLET, 26.5, 100, 5_000), others(27, 55),
        fill(WALLET, 27, 10, 470, outcome=1), others(60, 60),
    ])  # fmt: skip
    names = ("before_e6", "day_before_e6", "after_30s_e6", "after_1h_e6", "after_1d_e6")
    assert trades(warehouse, *names) == [
        (700_000, 400_000, 500_000, 550_000, 550_000),
        # at hour 27 the first outcome traded at .55 and the second at .47: the same second, so neither is before
        (500_000, 600_000, *trades(warehouse, *names)[1][2:]),
    ]


@accounting_builds()
def test_the_price_before_is_fresh_and_never_of_the_same_second(warehouse: Warehouse) -> None:
    second = 1 / HOUR
    store(warehouse, [
        others(1, 40), fill(WALLET, 2 - second, 10, 500), others(3 - second, 45), fill(WALLET, 4, 10, 500),
        others(6, 45), fill(WALLET, 6, 10, 600),
    ])  # fmt: skip
    assert trades(warehouse, "before_e6") == [400_000, None, None]


CLOSES: list[tuple[dict[str, Any], int | None, int, int]] = [
    ({}, None, 100, 700_000),  # the listed end
    ({"game_start_ts": OPEN + 50 * HOUR}, None, 50, 600_000),  # the game
    ({"game_start_ts": OPEN + 150 * HOUR}, None, 100, 700_000),  # a game after the listed end does not count
    ({}, OPEN + 41 * HOUR, 40, 550_000),  # an hour before the resolution
    ({"end_ts": 0}, OPEN + 91 * HOUR, 90, 650_000),
    ({"game_start_ts": OPEN + 30 * HOUR}, OPEN + 41 * HOUR, 30, 500_000),
    ({}, OPEN + 101 * HOUR, 100, 700_000),  # resolved after the end
]
"""Columns of a market and when it was resolved; the hour at which it closes, and the price then."""


@accounting_builds()
def test_a_market_closes_at_what_comes_first(warehouse: Warehouse) -> None:
    rows = []
    for number, (listed, resolved, *_) in enumerate(CLOSES, 1):
        load(warehouse, market_tables(number, **listed))
        prices = ((30, 50), (40, 55), (50, 60), (90, 65), (100, 70), (110, 90))
        rows += [fill(0xB2, hour, 100, 100 * cents, market=number) for hour, cents in prices]
        rows.append(fill(WALLET, 20 + number / HOUR, 10, 500, market=number))
        if resolved is not None:
            load(warehouse, {"resolutions": resolution(resolved, (1, 0), market=number)})
    load(warehouse, {"observations": columns(rows)})
    build(warehouse)
    assert trades(warehouse, "closes_at", "close_e6") == [(closes, price) for *_, closes, price in CLOSES]


def test_after_the_close_there_is_no_closing_price(warehouse: Warehouse) -> None:
    rows = [fill(WALLET, 99, 10, 500), fill(WALLET, 100, 10, 600), fill(WALLET, 105, 10, 700), others(110, 90)]
    store(warehouse, rows)
    assert trades(warehouse, "close_e6") == [600_000, None, None]
    assert metrics(warehouse, "0x" + "a1" * 20)["metrics"][29]["name"] == "clv_mean"


@accounting_builds()
def test_the_close_of_an_open_market_is_unknown(warehouse: Warehouse) -> None:
    store(warehouse, [fill(WALLET, 20, 10, 500), others(99, 65)])
    assert trades(warehouse, "closes_at", "close_e6", "after_1h_e6") == [(100, None, 500_000)]


@accounting_builds()
def test_nothing_is_known_after_the_newest_row_but_payouts_count_from_the_resolution(warehouse: Warehouse) -> None:
    store(
        warehouse, [fill(WALLET, 20, 10, 500), others(20.05, 65), fill(WALLET, 20.06, 10, 500)],
        resolution(OPEN + 20 * HOUR + 10 * 60, (0, 1)),
    )  # fmt: skip
    # newest row: 3.6 minutes after the first trade; resolved 10 minutes after it
    assert trades(warehouse, "after_2m_e6", "after_5m_e6", "after_1h_e6", "resolved_at", "payout_e6") == [
        (500_000, None, 0, OPEN + 20 * HOUR + 600, 0),
        (None, None, 0, OPEN + 20 * HOUR + 600, 0),
    ]


@accounting_builds()
def test_self_trades_are_no_trades(warehouse: Warehouse) -> None:
    store(warehouse, [
        fill(WALLET, 20, 10, 500, tx=7), fill(WALLET, 20, 10, 500, kind="SELL", tx=7),
        fill(WALLET, 21, 10, 500, tx=8), fill(WALLET, 21, 20, 1_000, tx=8) | {"pos": 2, "role": "MAKER"},
        fill(WALLET, 22, 5, 300, kind="SELL"),
    ])  # fmt: skip
    assert trades(warehouse, "at", "is_sale", "fills", "shares", "cash", "role") == [
        (21, False, 2, 30_000_000, 15_000_000, ""), (22, True, 1, 5_000_000, 3_000_000, ""),
    ]  # fmt: skip


def test_the_example_of_the_page(warehouse: Warehouse) -> None:
    """docs/entries.md: ten markets of the same kind, because metrics need ten rows."""
    numbers = tuple(range(1, 11))
    rows, resolved = [], []
    for number in numbers:
        fee = {"source": "trades", "role": "TAKER", "cash": 51_000_000, "fee_usdc": 1_000_000}
        rows += [
            fill(0xB2, 79.9, 100, 4_800, market=number), fill(WALLET, 80, 100, 5_000, market=number) | fee,
            fill(0xB2, 80 + 4 / 60, 100, 5_300, market=number), fill(0xB2, 99, 100, 6_000, market=number),
            fill(0xB2, 140, 100, 9_500, market=number),
        ]  # fmt: skip
        resolved.append(resolution(CLOSE + 50 * HOUR, (1, 0), market=number))
    store_many(warehouse, numbers, rows, resolved)
    found = {one["name"]: one["value"] for one in metrics(warehouse, "0x" + "a1" * 20)["metrics"]}
    wanted = {
        "slippage_per_bet": 2.0, "price_impact_per_1k": 1.0, "clv_mean": 0.09, "clv_copy_5m": 0.06, "brier": 0.49**2,
        "maker_share": 0.0, "entry_price": 0.51, "clv_usd": 90.0,
    }  # fmt: skip
    assert {name: float(found[name]) for name in wanted} == pytest.approx(wanted)
    assert found["edge_sources"] == '{"timing":100,"selection":400,"fees":-10}'
    assert found["yes_no_balance"] == 100


def store_many(
    warehouse: Warehouse, numbers: tuple[int, ...], rows: list[dict[str, Any]], resolved: list[dict[str, Any]]
) -> None:
    names = sorted({name for row in rows for name in row})
    empty = {"role": "", "fee_usdc": 0}
    load(warehouse, market_tables(*numbers) | {
        "observations": {name: [row.get(name, empty.get(name)) for row in rows] for name in names},
    })  # fmt: skip
    for one in resolved:
        load(warehouse, {"resolutions": one})
    build(warehouse)
