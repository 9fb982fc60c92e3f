"""Scores of rows made by hand: the examples of the documentation, and every boundary of the definitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from score_store import CLOSE, HOUR, OPEN, USD, columns, empty, fill, load, market_tables, resolution, stored

from polyhouse.metrics.scores import InsiderInputs, Part, WhaleInputs, insider, whale
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse

WALLET, OTHER = 0xA1, 0xB2
NOW = 99
"""Hour of the newest row of the store with the scenarios."""
DOCUMENT = Path(__file__).parents[2] / "docs" / "scores.md"


def scored(warehouse: Warehouse, fills: list[dict[str, Any]], *tables: dict[str, Any], wallet: int = WALLET) -> Any:
    for one in tables or (market_tables(),):
        load(warehouse, one)
    load(warehouse, {"observations": columns(fills)})
    build(warehouse)
    return stored(warehouse)[f"0x{bytes([wallet]).hex() * 20}"]


def test_the_whale_example_of_the_documentation() -> None:
    found = whale(WhaleInputs(12_345_678_901, 21, 7, 9, 30_000 * USD, 8))
    assert (found.tenths, found.is_whale) == (54, True)
    assert found.volume == Fraction(12_345_678_901, 50_000 * USD) * 3
    assert (found.win_rate, found.consistency, found.position_size) == (
        Fraction(7, 3),
        Fraction(21, 25),
        Fraction(3, 2),
    )
    assert "0.740741 + 2.333333 + 0.84 + 1.5 = 5.414074" in DOCUMENT.read_text(encoding="utf-8")
    assert round(float(sum((found.volume, found.win_rate, found.consistency, found.position_size))), 6) == 5.414074


@pytest.mark.parametrize(
    ("inputs", "tenths", "is_whale"),
    [
        (WhaleInputs(), 0, False),
        (WhaleInputs(bought_cost=10**12, positions=1), 0, False),  # splits alone: no trades, no score
        (WhaleInputs(10_000 * USD - 1, 1), 6, False),  # 0.599999… + 0.04
        (WhaleInputs(10_000 * USD, 1), 6, True),
        (WhaleInputs(50_000 * USD, 50, 1, 1, 5_000 * USD, 1), 100, True),
        (WhaleInputs(10**15, 10**6, 9, 9, 10**15, 3), 100, True),  # every part has its ceiling
        (WhaleInputs(0, 50, 0, 4), 20, False),
        (WhaleInputs(0, 1, 2, 3, 0, 0), 20, False),  # 0.04 + 2.0
        (WhaleInputs(2_500 * USD, 5, 0, 0, 250 * USD, 1), 5, False),  # 0.15 + 0.20 + 0.10 = 0.45: half up
        (WhaleInputs(2_500 * USD - 1, 5, 0, 0, 250 * USD, 1), 4, False),  # one micro-USDC less
        (WhaleInputs(0, 5, 0, 0, 125 * USD, 1), 3, False),  # 0.25: half up, not to even
    ],
)
def test_whale_boundaries(inputs: WhaleInputs, tenths: int, is_whale: bool) -> None:
    found = whale(inputs)
    assert (found.tenths, found.is_whale) == (tenths, is_whale)


def test_insider_boundaries() -> None:
    known = {"early_stake": 100, "early_weight": 100, "reference_stake": 100, "against_stake": 0, "timing_stake": 100}
    enough = InsiderInputs(10, 10, 100 * USD, **{name: value * USD for name, value in known.items()})
    found = insider(enough)
    assert (found.tenths, found.status, found.is_suspected) == (40, "OK", False)
    assert found.timing == Part(Fraction(0), "OK")

    def with_(**changes: int) -> Any:
        return insider(InsiderInputs(**{name: getattr(enough, name) for name in enough.__slots__} | changes))

    suspected = with_(timing_gain=50 * USD)
    assert (suspected.tenths, suspected.is_suspected) == (70, True)
    # 49.1666… % of return: 2.95 points and 6.95 in all, half up; one micro-USDC less is below
    assert with_(timing_gain=49_166_667).is_suspected
    assert not with_(timing_gain=49_166_666).is_suspected
    assert with_(timing_gain=50 * USD, positions=9).status == "SMALL_SAMPLE"
    assert not with_(timing_gain=50 * USD, positions=9).is_suspected
    assert not with_(timing_gain=50 * USD, stake=100 * USD - 1).is_suspected
    assert with_(timing_gain=10**12).timing.points == 3
    assert with_(timing_gain=-(10**12)).timing.points == 0
    assert with_(timing_gain=50 * USD, timing_best=30 * USD).timing.points == Fraction(6, 5)
    assert with_(reference_stake=50 * USD, against_stake=25 * USD).contrarian == Part(Fraction(3, 2), "OK")
    low = with_(reference_stake=50 * USD - 1, against_stake=25 * USD)
    assert (low.contrarian, low.status, low.tenths) == (Part(None, "LOW_COVERAGE"), "PARTIAL", 40)
    nothing = insider(InsiderInputs(3, 3, 100 * USD))
    assert (nothing.tenths, nothing.status, nothing.is_suspected) == (None, "NO_SAMPLE", False)
    assert nothing.early_entry == nothing.contrarian == nothing.timing == Part(None, "NO_SAMPLE")


def test_the_insider_example_of_the_documentation(warehouse: Warehouse) -> None:
    fills = [
        fill(OTHER, 5, 10, 400),
        fill(WALLET, 30, 200, 5_000),
        fill(OTHER, 50, 10, 600),
        fill(WALLET, 80, 20, 1_000, outcome=1),
        fill(WALLET, 10, 120, 6_000, market=2),
        fill(OTHER, 30, 10, 750, market=2),
    ]
    row = scored(warehouse, fills, market_tables(1, 2), {"resolutions": resolution(CLOSE, (1, 0))})
    assert {name: row[name] // USD for name in row if name.endswith(("stake", "weight", "gain", "best"))} == {
        "stake": 120, "early_stake": 120, "early_weight": 91, "reference_stake": 60, "against_stake": 50,
        "timing_stake": 120, "timing_gain": 90, "timing_best": 70,
    }  # fmt: skip
    assert (row["insider_tenths"], row["insider_status"], row["is_suspected"]) == (65, "SMALL_SAMPLE", False)
    assert (row["entries"], row["entry_positions"]) == (3, 3)
    text = DOCUMENT.read_text(encoding="utf-8")
    assert "Sum 6.533333, so 6.5, `SMALL_SAMPLE`." in text
    assert "4 · (35 + 2 + 54) / 120 = 3.033333" in text


@dataclass(frozen=True)
class Scenario:
    """A market of its own with a wallet of its own.

    Attributes:
        mine: its wallet's fills: hour, shares, cents, and what else is special.
        others: the fills of somebody else.
        want: columns of the wallet's row; money in cents.
    """

    mine: list[tuple[Any, ...]]
    want: dict[str, Any]
    others: list[tuple[Any, ...]] = field(default_factory=list)
    market: dict[str, int] = field(default_factory=dict)
    payout: tuple[float, tuple[int, int]] | None = None


SELL, SECOND = {"kind": "SELL"}, {"outcome": 1}
LIFE = [(30, 200, 10_000)]
UNKNOWN_LIFE = {"early_stake": 0, "early_weight": 0}
SCENARIOS = {
    "a reference exactly a day old": Scenario(
        [(29, 100, 3_000)], {"reference_stake": 3_000, "against_stake": 3_000}, [(5, 10, 400)]
    ),
    "a reference a second too young": Scenario(
        [(29, 100, 3_000)], {"reference_stake": 0, "against_stake": 0}, [(5 + 1 / HOUR, 10, 400)]
    ),
    "a price of the other outcome, and an equal price is not below it": Scenario(
        [(30, 100, 3_000), (31, 100, 2_999)], {"reference_stake": 5_999, "against_stake": 2_999},
        [(1, 10, 700, SECOND)],
    ),
    "the newest trade before that time": Scenario(
        [(30, 100, 3_000)], {"reference_stake": 3_000, "against_stake": 0},
        [(1, 10, 900), (2, 10, 200), (20, 10, 900)],
    ),
    "a day is over": Scenario(
        [(NOW - 24, 100, 3_000)], {"timing_stake": 3_000, "timing_gain": 5_000}, [(80, 10, 800)]
    ),
    "a day is not over by a second": Scenario(
        [(NOW - 24 + 1 / HOUR, 100, 3_000)], {"timing_stake": 0, "timing_gain": 0}, [(80, 10, 800)]
    ),
    "trades and payouts after the day are no timing": Scenario(
        [(30, 100, 3_000)], {"timing_stake": 3_000, "timing_gain": 0}, [(54 + 1 / HOUR, 10, 800)],
        payout=(54 + 2 / HOUR, (1, 0)),
    ),
    "a payout is known at once, even a half one": Scenario(
        [(98, 101, 3_000)], {"timing_stake": 3_000, "timing_gain": 2_050}, payout=(98.5, (1, 1))
    ),
    "self trades are neither purchases nor prices": Scenario(
        [(10, 100, 3_000, {"tx": 77}), (10, 100, 3_000, {"tx": 77} | SELL), (39, 100, 3_000)],
        {"entries": 1, "stake": 3_000, "trades": 3, "reference_stake": 0},
    ),
    "purchases of a known outcome are none": Scenario(
        [(40, 100, 9_900), (40 - 1 / HOUR, 100, 3_000)], {"entries": 1, "stake": 3_000, "trades": 2},
        payout=(40, (1, 0)),
    ),
    "fills of one transaction are one purchase at their average price": Scenario(
        [(30, 100, 2_000, {"tx": 5}), (30, 99, 3_990, {"tx": 5})],
        {"entries": 1, "against_stake": 0, "reference_stake": 5_990}, [(1, 10, 300)],
    ),
    "life": Scenario(LIFE, {"early_stake": 10_000, "early_weight": 7_000}),
    "life without a start": Scenario(
        LIFE, UNKNOWN_LIFE | {"reference_stake": 0, "insider_status": "SMALL_SAMPLE"}, market={"start_ts": 0}
    ),
    "life without a start, with a resolution": Scenario(
        LIFE, UNKNOWN_LIFE, market={"start_ts": 0}, payout=(60, (1, 0))
    ),
    "life without an end": Scenario(LIFE, UNKNOWN_LIFE, market={"end_ts": 0}),
    "life without an end, with a resolution": Scenario(
        LIFE, {"early_weight": 5_000}, market={"end_ts": 0}, payout=(60, (1, 0))
    ),
    "life that ends when it starts": Scenario(LIFE, UNKNOWN_LIFE, market={"end_ts": OPEN}),
    "life ended early by a resolution": Scenario(LIFE, {"early_weight": 5_000}, payout=(60, (1, 0))),
    "life resolved after its end": Scenario(
        LIFE, {"early_weight": 2_500}, market={"end_ts": OPEN + 40 * HOUR}, payout=(60, (1, 0))
    ),
    "bought after the end": Scenario(
        LIFE, {"early_stake": 10_000, "early_weight": 0}, market={"end_ts": OPEN + 20 * HOUR}
    ),
    "bought before the start": Scenario(LIFE, {"early_weight": 10_000}, market={"start_ts": OPEN + 35 * HOUR}),
    "nothing known at all": Scenario(
        [(NOW - 1, 200, 10_000)], {"entries": 1, "insider_status": "NO_SAMPLE", "insider_tenths": None},
        market={"start_ts": 0},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(shared: Warehouse) -> dict[str, Any]:
    """The score rows of all scenarios, from one build."""
    empty(shared)
    fills = [fill(0xEE, NOW, 1, 50, market=0)]
    load(shared, market_tables(0))
    for number, scenario in enumerate(SCENARIOS.values(), 1):
        load(shared, market_tables(number, **scenario.market))
        if scenario.payout:
            hour, numerators = scenario.payout
            load(shared, {"resolutions": resolution(OPEN + round(hour * HOUR), numerators, number)})
        for wallet, made in ((number, scenario.mine), (0xEE, scenario.others)):
            for hour, shares, cents, *special in made:
                fills.append(fill(wallet, hour, shares, cents, market=number, **(special[0] if special else {})))
    split = fill(0xDD, 1, 50_000, 5_000_000) | {"kind": "SPLIT", "token": bytes(32), "outcome": 999}
    fills.append(split | {"usdc_gross": 0, "shares_gross": 0})
    load(shared, {"observations": columns(fills)})
    build(shared)
    return stored(shared)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(rows: dict[str, Any], name: str) -> None:
    row = rows[f"0x{bytes([1 + list(SCENARIOS).index(name)]).hex() * 20}"]
    want = SCENARIOS[name].want
    money = {column for column in want if column.endswith(("stake", "weight", "gain"))}
    assert {c: row[c] for c in want} == {c: value * USD // 100 if c in money else value for c, value in want.items()}


def test_a_wallet_without_trades_has_no_score_of_either_kind(rows: dict[str, Any]) -> None:
    row = rows["0x" + "dd" * 20]
    assert (row["whale_tenths"], row["is_whale"], row["bought_cost"]) == (0, False, 50_000 * USD)
    assert (row["insider_tenths"], row["insider_status"], row["entries"]) == (None, "NO_SAMPLE", 0)


def test_start_and_end_may_come_from_different_sources(warehouse: Warehouse) -> None:
    catalogue = market_tables(end_ts=0)
    load(warehouse, {"markets": market_tables(source="clob", start_ts=0)["markets"]})
    assert scored(warehouse, [fill(WALLET, 30, 200, 10_000)], catalogue)["early_weight"] == 70 * USD


def test_open_positions_decide_nothing_and_flat_ones_do_not_either(warehouse: Warehouse) -> None:
    fills = [
        fill(WALLET, 1, 10, 500, market=1), fill(WALLET, 2, 10, 600, market=1, kind="SELL"),  # won 1
        fill(WALLET, 1, 10, 500, market=2), fill(WALLET, 2, 10, 500, market=2, kind="SELL"),  # flat
        fill(WALLET, 1, 10, 500, market=3), fill(WALLET, 2, 5, 400, market=3, kind="SELL"),  # ahead, but open
        fill(WALLET, 1, 10, 500, market=4),  # lost at the resolution, never redeemed
    ]  # fmt: skip
    row = scored(warehouse, fills, market_tables(1, 2, 3, 4), {"resolutions": resolution(CLOSE, (0, 1), market=4)})
    assert (row["wins"], row["decided"], row["bought_positions"], row["bought_cost"]) == (1, 2, 4, 20 * USD)
    assert (row["volume"], row["trades"]) == (35 * USD, 7)
