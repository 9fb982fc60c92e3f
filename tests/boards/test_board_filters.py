"""Every filter of a leaderboard, at its edge."""

from __future__ import annotations

import pytest
from board_rows import ranked, three_wallets

from polyhouse.ports import Warehouse
from polyhouse.reads import board_rows
from polyhouse.reads.board_filters import FILTERS


@pytest.fixture(scope="module")
def three(shared: Warehouse) -> Warehouse:
    three_wallets(shared)
    return shared


ASKED = [
    ({"min_pnl": "100"}, "bb aa"), ({"min_pnl": "100.000001"}, "bb"), ({"max_pnl": "-60"}, "cc"),
    ({"min_win_rate": "0.6"}, "aa"), ({"min_win_rate": "0.600000001"}, ""), ({"max_win_rate": "0.2"}, "bb"),
    # shrunk omega: aa 250/150, bb 1950/1050, cc 90/150
    ({"min_omega": "1.666666666"}, "bb aa"), ({"min_omega": "1.666666667"}, "bb"),
    ({"min_omega": "0.6"}, "bb aa cc"),
    ({"min_roi": "0.25"}, "bb aa"), ({"min_roi": "-0.2"}, "bb aa cc"), ({"min_roi": "-0.199999999"}, "bb aa"),
    ({"min_volume": "800"}, "bb aa"), ({"min_markets": 13}, "bb cc"),
    ({"active_within_days": 2}, "bb aa"), ({"active_within_days": 1}, "bb"),
    ({"active_within_days": 40}, "bb aa cc"),
    ({"min_track_record_days": "100"}, "aa cc"), ({"min_active_days": 3}, "aa cc"),
    ({"max_trades_per_day": "4"}, "aa cc"), ({"max_trades_per_day": "3.9"}, "cc"),
    ({"min_trades_per_day": "5"}, "bb"),
    ({"min_median_stake": "10"}, "bb aa"), ({"max_median_stake": "10"}, "aa cc"),
    ({"min_hours_held": "1"}, "aa cc"), ({"max_hours_held": "1"}, "bb"),
    ({"max_drawdown": "30"}, "aa"), ({"max_drawdown_percent": "80"}, "bb aa"),
    # cc has no value: what is not known does not pass
    ({"max_one_hit_share": "5"}, "bb aa"), ({"min_roi_without_best_3": "-0.5"}, "bb aa"),
    ({"min_trades": 40, "min_win_rate": "0.5"}, "aa"),
    ({"preset": "copy_trading"}, "aa"), ({"preset": "copy_trading", "min_median_stake": "11"}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "names"), ASKED)
def test_a_filter_keeps_those_that_meet_it_exactly(three: Warehouse, asked: dict[str, object], names: str) -> None:
    assert ranked(three, sort="pnl", **asked) == names.split()


def test_filters_go_through_a_board_block_by_block(three: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_rows, "_BLOCK_ROWS", 2)
    for asked, names in ASKED:
        assert ranked(three, sort="pnl", **asked) == names.split(), asked


def test_every_filter_is_tried() -> None:
    tried = {name for asked, _ in ASKED for name in asked}
    assert set(FILTERS) - tried == {"min_units", "min_gains_losses", "min_category_share"}, "tested elsewhere"
