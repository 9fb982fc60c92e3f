"""Daily series of a few trades made by hand, as they are read; unknown marks; the order and the way rows arrive."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from accounting_builds import accounting_builds
from score_store import HOUR, OPEN, USD, columns, fill, load, market_tables, resolution

from polyhouse.errors import BadInputError
from polyhouse.models.checks import run_checks
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.days import days

DAY_SECONDS = 86_400
FIRST = OPEN // DAY_SECONDS
WALLET = "0x" + "07" * 20
NOON = (12 * HOUR - OPEN % DAY_SECONDS) / HOUR
"""Hours from the opening of the markets to noon of that day; adding 24 goes to noon of the next one."""

TRADES = [
    fill(7, NOON, 100, 4_000),  # 100 shares at .40
    fill(7, NOON + 48, 50, 3_000),  # 50 more at .60
    fill(7, NOON + 54, 75, 6_000, kind="SELL"),  # half of them at .80
    fill(9, NOON + 72, 10, 500),  # somebody else trades at .50
    fill(9, NOON + 40 * 24, 10, 100, market=2),  # the newest row of the store
]


def _build(warehouse: Warehouse, trades: list[dict[str, Any]], *, resolved: bool = True) -> None:
    load(warehouse, market_tables(1, 2) | {"observations": columns(trades)})
    if resolved:
        load(warehouse, {"resolutions": resolution(OPEN + round((NOON + 96) * HOUR), (1, 0))})
    build(warehouse)


def _date_of(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


@accounting_builds()
def test_a_life_is_read_day_by_day(warehouse: Warehouse) -> None:
    _build(warehouse, TRADES)
    found = days(warehouse, WALLET)
    assert [entry["day"] for entry in found["days"]] == [_date_of(FIRST + n) for n in (0, 2, 4)]
    assert (found["from"], found["to"]) == (_date_of(FIRST), _date_of(FIRST + 40))
    assert found["days"][0] == {
        "day": _date_of(FIRST), "realized": 0, "realized_total": 0, "unrealized": 0, "equity": 0, "pnl": 0,
        "at_risk": 40, "at_risk_before": 0, "at_risk_peak": 40, "worst": 0, "volume": 40, "unmarked": 0, "fills": 1,
    }  # fmt: skip
    # 75 of 150 shares that cost 70 leave for 60; the other 75 are worth .80 each.
    assert found["days"][1] == {
        "day": _date_of(FIRST + 2), "realized": 25, "realized_total": 25, "unrealized": 25, "equity": 50, "pnl": 50,
        "at_risk": 35, "at_risk_before": 40, "at_risk_peak": 70, "worst": 0, "volume": 90, "unmarked": 0, "fills": 2,
    }  # fmt: skip
    # On the day between they were worth .50: no entry, as nothing of the wallet changed. They pay 1.
    assert found["days"][2] == {
        "day": _date_of(FIRST + 4), "realized": 40, "realized_total": 65, "unrealized": 0, "equity": 65, "pnl": 15,
        "at_risk": 0, "at_risk_before": 35, "at_risk_peak": 35, "worst": 0, "volume": 0, "unmarked": 0, "fills": 0,
    }  # fmt: skip
    assert found["bankroll"] == 70
    assert found["opening"] == {"realized_total": 0, "equity": 0, "at_risk": 0}
    assert days(warehouse, WALLET, category="other")["days"] == found["days"]
    assert days(warehouse, WALLET, category="sports")["days"] == []
    nobody = days(warehouse, "0x" + "ab" * 20)
    assert (nobody["days"], nobody["from"], nobody["to"], nobody["bankroll"]) == ([], None, None, None)


def test_the_metrics_of_that_life(warehouse: Warehouse) -> None:
    """The example of docs/days.md: 41 days, 65 won with 70 at risk, of which 40 for two days and 35 for two more."""
    _build(warehouse, TRADES)
    result = warehouse.query(
        "SELECT bankroll, net_pnl_percent, capital_mean, turnover, max_drawdown, return_on_capital, sharpe"
        " FROM wallet_metrics_complete FINAL WHERE window = 'lifetime' AND wallet ="
        " toFixedString(unhex(repeat('07', 20)), 20)"
    )
    *values, sharpe = result.rows[0]
    assert values == pytest.approx([70, 65 / 70 * 100, 150 / 41, 130 * 41 / 150, 0, 65 * 41 / 150], rel=1e-12)
    assert sharpe is None, "three days with a change are no sample"


@accounting_builds()
def test_a_mark_below_zero_is_floored_like_any_other(warehouse: Warehouse) -> None:
    """Somebody pays 1.05 for the other outcome, so 7 micro-shares are worth -0.35 micros: -1, in all tables."""
    tiny = fill(7, NOON, 1, 50, outcome=1) | {"shares": 7, "cash": 3, "shares_gross": 7, "usdc_gross": 3}
    _build(warehouse, [tiny, fill(9, NOON + 24, 10, 1_050)], resolved=False)
    entry = days(warehouse, WALLET)["days"][-1]
    assert (entry["unrealized"], entry["at_risk"]) == (Decimal("-0.000004"), Decimal("0.000003"))
    assert all(check.ok for check in run_checks(warehouse))


@accounting_builds()
def test_eves_of_windows_and_the_newest_day_have_entries_while_shares_are_open(warehouse: Warehouse) -> None:
    _build(warehouse, TRADES, resolved=False)
    found = days(warehouse, WALLET)
    # 40 days later the eve of the last 30 is day 10.
    assert [entry["day"] for entry in found["days"]] == [_date_of(FIRST + n) for n in (0, 2, 10, 40)]
    assert [entry["equity"] for entry in found["days"]] == [0, 50, Decimal("27.5"), Decimal("27.5")]
    recent = days(warehouse, WALLET, window="30d")
    assert [entry["day"] for entry in recent["days"]] == [_date_of(FIRST + 40)]
    assert recent["from"] == _date_of(FIRST + 11)
    assert recent["opening"] == {"realized_total": 25, "equity": Decimal("27.5"), "at_risk": 35}
    assert recent["bankroll"] == 35


def test_an_unknown_mark_is_null_and_the_change_arrives_with_the_next_known_one(warehouse: Warehouse) -> None:
    """A split of a market in which nobody trades for a day."""
    split = {
        "wallet": bytes([7]) * 20, "token": bytes(32), "condition": bytes([0xC1]) * 32, "tx": b"\x01" * 32,
        "source": "activity", "kind": "SPLIT", "ts": OPEN + round(NOON * HOUR), "pos": 1, "shares": 10 * USD,
        "cash": 10 * USD, "shares_gross": 0, "usdc_gross": 0, "outcome": 0,
    }  # fmt: skip
    sale = fill(7, NOON + 24, 10, 700, kind="SELL")
    _build(warehouse, [split, sale, *TRADES[-1:]], resolved=False)
    first, second, *_ = days(warehouse, WALLET)["days"]
    assert (first["unmarked"], first["unrealized"], first["equity"], first["pnl"]) == (2, None, None, None)
    assert (first["at_risk"], first["realized"]) == (10, 0)
    # One outcome sold at .70: 2 won; the other is worth .30, so 3 of the 5 it cost.
    assert (second["unmarked"], second["equity"], second["pnl"]) == (0, 0, 0)
    assert (second["realized"], second["unrealized"]) == (2, -2)
    row = warehouse.query(
        "SELECT equity_change, bankroll FROM wallet_metrics_complete FINAL WHERE window = 'lifetime' AND wallet ="
        " toFixedString(unhex(repeat('07', 20)), 20)"
    ).rows[0]
    assert row == (0, 10)


@accounting_builds()
def test_a_day_of_many_rows_does_not_depend_on_their_order(warehouse: Warehouse) -> None:
    """Inside a second nothing is known about the order, so capital that passes within it is never at risk."""
    trades = [
        fill(7, NOON, 100, 4_000, tx=1), fill(7, NOON, 100, 5_000, kind="SELL", tx=2),
        fill(7, NOON + 1, 10, 300, outcome=1, tx=3), *TRADES[-1:],
    ]  # fmt: skip
    _build(warehouse, trades, resolved=False)
    first = days(warehouse, WALLET)["days"][0]
    assert (first["realized"], first["at_risk_peak"], first["fills"]) == (10, 3, 3)


@pytest.mark.parametrize("arguments", [{"category": "gossip"}, {"window": "1y"}])
def test_unknown_arguments_are_refused(warehouse: Warehouse, arguments: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match="unknown"):
        days(warehouse, WALLET, **arguments)
    with pytest.raises(BadInputError):
        days(warehouse, "0x12")
