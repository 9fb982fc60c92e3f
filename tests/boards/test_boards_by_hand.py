"""Leaderboards worked out by hand: filters, pages, ties, what stands beside the numbers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest
from board_rows import AS_OF, DAY, USD, built, flag, measured, once, ranked, specialist, three_wallets, totals, wallet

from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads import boards
from polyhouse.reads.board_query import PRESETS
from polyhouse.reads.board_sorts import ALIASES, SORTS
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard
from polyhouse.reads.omega_board import omega_leaderboard


@pytest.fixture
def three(warehouse: Warehouse) -> Warehouse:
    three_wallets(warehouse)
    return warehouse


def test_the_document_names_every_filter_that_is_on(three: Warehouse) -> None:
    document = leaderboard(three, LeaderboardQuery(preset="copy_trading", min_trades=50))
    usual = {"min_units": 20, "min_gains_losses": "100"}
    assert document["filters"] == usual | dict(PRESETS["copy_trading"]) | {"min_trades": 50}
    assert (document["total"], document["count"], document["next_cursor"]) == (0, 0, None)


def test_lower_is_better_where_the_metric_says_so_and_unknown_comes_last_both_ways(three: Warehouse) -> None:
    assert ranked(three, sort="sharpe") == ["aa", "bb", "cc"]
    assert ranked(three, sort="sharpe", reverse=True) == ["bb", "aa", "cc"]
    assert ranked(three, sort="max_drawdown") == ["aa", "cc", "bb"]
    assert ranked(three, sort="max_drawdown", reverse=True) == ["bb", "cc", "aa"]
    assert ranked(three, sort="units", min_units=25) == ["aa", "bb", "cc"], "equal values stand by address"
    row = leaderboard(three, LeaderboardQuery(sort="sharpe"))["rows"][0]
    assert (row["value"], row["metrics"]["sharpe"]) == (Decimal("2.5"), Decimal("2.5"))


def test_words_of_the_older_api_are_understood(three: Warehouse) -> None:
    for old, ours in ALIASES.items():
        document = leaderboard(three, LeaderboardQuery(sort=old))
        assert document["sort"] == ours
        assert [row["rank"] for row in document["rows"]] == [1, 2, 3]
    for word in ("omega_ratio", "omega_net", "pnl", "win_rate", "sharpe", "resolved_bets", "tail_ratio", "ev_per_hour"):
        assert ALIASES.get(word, word) in SORTS, word


def test_the_older_api_gets_its_own_words_beside_ours(three: Warehouse) -> None:
    measured(three, "aa", version=2, trend="improving", sharpe=2.5, avg_win=13, avg_loss=-10, track_record_days=100,
             active_days=10, stake_median=10, hours_held_median=24)  # fmt: skip
    built(three)
    document = omega_leaderboard(three, {"sort_by": "omega_ratio", "category": "all", "min_trades": 10, "limit": 2})
    assert {key: document[key] for key in ("success", "count", "window", "category", "min_trades", "sort_by")} == {
        "success": True, "count": 2, "window": "lifetime", "category": "overall", "min_trades": 10, "sort_by": "omega",
    }  # fmt: skip
    assert [row["wallet_id"] for row in document["data"]] == [row["wallet"] for row in document["rows"]]
    row = document["data"][1]
    assert {key: value for key, value in row.items() if value is not None} == {
        "wallet_id": wallet("aa"), "omega_ratio": 2, "omega_status": "OK", "grade": "B", "momentum_direction": "up",
        "total_pnl": 100, "total_gains": 200, "total_losses": 100, "win_rate": 60, "avg_gain": 13, "avg_loss": -10,
        "total_positions": 25, "closed_positions": 25, "calculated_at": "2026-09-21T14:13:20Z", "roi_per_bet": 4,
        "overall_roi": Decimal("0.25"), "sharpe_ratio": Decimal("2.5"), "track_record_days": 100,
        "performance_trend": "improving", "window": "lifetime", "category": "overall", "trades_in_category": 40,
        "pct_of_total_trades": 100,
    }  # fmt: skip
    assert set(row) >= {"wallet_alias", "omega_momentum", "tail_ratio", "ev_per_hour", "bets_per_week"}
    for wrong in (
        {"sort_by": "pnl", "sort": "pnl"},
        {"sorted": "pnl"},
        {"sort_by": "magic"},
        {"category": "everything"},
    ):
        with pytest.raises(BadInputError):
            omega_leaderboard(three, wrong)
    assert omega_leaderboard(three, {"min_trades": 10**6})["data"] == []


def test_every_sort_ranks_each_wallet_once(three: Warehouse) -> None:
    for sort in SORTS:
        assert sorted(ranked(three, sort=sort)) == ["aa", "bb", "cc"], sort


def test_metrics_have_no_short_windows(three: Warehouse) -> None:
    for asked in ({"sort": "sharpe"}, {"max_drawdown": "5"}, {"preset": "copy_trading"}):
        with pytest.raises(BadInputError, match="no window 7d"):
            leaderboard(three, LeaderboardQuery(window="7d", **asked))
    totals(three, "aa", window="7d")
    built(three)
    assert leaderboard(three, LeaderboardQuery(window="7d"))["rows"][0]["metrics"] is None


@pytest.mark.parametrize(
    "asked",
    [
        {"min_win_rate": "x"}, {"min_win_rate": "-0.1"}, {"min_win_rate": "0.1234567891"}, {"min_pnl": "1e30"},
        {"min_markets": -1}, {"min_markets": "3"}, {"active_within_days": 2.5}, {"exclude_bots": "yes"},
        {"preset": "magic"}, {"min_hours_held": "NaN"}, {"cursor": "nonsense"}, {"cursor": ""}, {"max_drawdown": "-1"},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(three: Warehouse, asked: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        leaderboard(three, LeaderboardQuery(**asked))


def joined(warehouse: Warehouse, query: LeaderboardQuery) -> list[str]:
    found, cursor = [], None
    while True:
        document = leaderboard(warehouse, replace(query, cursor=cursor))
        found += [row["wallet"][2:4] for row in document["rows"]]
        cursor = document["next_cursor"]
        if cursor is None:
            return found


def test_pages_join_without_a_gap_under_ties(warehouse: Warehouse) -> None:
    names = [f"{number:02x}" for number in (0, 1, 7, 16, 32, 100, 254, 255)]
    for name in names:
        totals(
            warehouse,
            name,
            realized=5 * USD if name in {"07", "64"} else 3 * USD,
            unrealized=None if name == "20" else 0,
        )
    built(warehouse)
    best = ["07", "64", "00", "01", "10", "fe", "ff", "20"]
    for limit in (1, 2, 3, 7, 8, 9):
        assert joined(warehouse, LeaderboardQuery(sort="pnl", limit=limit)) == best, limit
    worst = ["00", "01", "10", "fe", "ff", "07", "64", "20"]
    assert joined(warehouse, LeaderboardQuery(sort="pnl", limit=3, reverse=True)) == worst
    second = leaderboard(
        warehouse,
        LeaderboardQuery(limit=3, cursor=leaderboard(warehouse, LeaderboardQuery(limit=3))["next_cursor"]),
    )
    assert [row["rank"] for row in second["rows"]] == [4, 5, 6]
    assert (second["total"], second["changed_since_first_page"]) == (8, False)


def test_a_cursor_outlives_a_build_and_belongs_to_one_question(warehouse: Warehouse) -> None:
    for name, usd in (("aa", 9), ("bb", 7), ("cc", 5), ("dd", 3)):
        totals(warehouse, name, realized=usd * USD)
    built(warehouse)
    first = leaderboard(warehouse, LeaderboardQuery(sort="pnl", limit=2))
    # bb, the last one of the page, falls to the end; ee comes in above the page
    totals(warehouse, "bb", realized=1 * USD, version=2)
    totals(warehouse, "ee", realized=8 * USD, version=2)
    built(warehouse, AS_OF + 60)
    query = LeaderboardQuery(sort="pnl", limit=2, cursor=first["next_cursor"])
    second = leaderboard(warehouse, query)
    assert [(row["wallet"], row["rank"]) for row in second["rows"]] == [(wallet("cc"), 3), (wallet("dd"), 4)]
    assert second["changed_since_first_page"]
    assert [
        row["wallet"][2:4] for row in leaderboard(warehouse, replace(query, cursor=second["next_cursor"]))["rows"]
    ] == ["bb"]
    for other in ({"sort": "omega"}, {"min_pnl": "1"}, {"window": "30d"}, {"reverse": True}):
        with pytest.raises(BadInputError, match="another question"):
            leaderboard(warehouse, replace(query, **other))


def test_a_page_of_a_kept_board_does_not_ask_for_the_newest_build(
    three: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, asked = type(three).query, []
    monkeypatch.setattr(
        type(three), "query", lambda self, sql, *rest, **more: asked.append(sql) or query(self, sql, *rest, **more)
    )
    first = leaderboard(three, LeaderboardQuery())
    asked.clear()
    assert leaderboard(three, LeaderboardQuery()) == first
    assert not [sql for sql in asked if "FROM builds" in sql]
    built(three, AS_OF + 60)
    assert leaderboard(three, LeaderboardQuery())["as_of"] > first["as_of"]


def test_flags_and_specialities_stand_beside_the_numbers_and_filter(three: Warehouse) -> None:
    flag(three, "bb", "bot")
    flag(three, "bb", "wash_trader")
    flag(three, "cc", "market_maker")
    specialist(three, "aa", "sports", q=0.02)
    specialist(three, "aa", "crypto", q=0.01)
    specialist(three, "cc", "sports", is_specialist=False)
    built(three)
    rows = {row["wallet"][2:4]: row for row in leaderboard(three, LeaderboardQuery())["rows"]}
    assert {name: row["flags"] for name, row in rows.items()} == {
        "aa": [], "bb": ["bot", "wash_trader"], "cc": ["market_maker"],
    }  # fmt: skip
    assert {name: row["specialist"] for name, row in rows.items()} == {"aa": "crypto", "bb": None, "cc": None}
    assert ranked(three, exclude_bots=True) == ["aa", "cc"]
    assert ranked(three, exclude_market_makers=True) == ["bb", "aa"]
    assert ranked(three, specialists_only=True) == ["aa"]
    for name in ("aa", "cc"):
        totals(three, name, category="sports", volume=200 * USD)
    built(three)
    sports = leaderboard(three, LeaderboardQuery(category="sports"))["rows"]
    assert [(row["wallet"][2:4], row["specialist"]) for row in sports] == [("aa", "sports"), ("cc", None)]
    assert [row["category_share"] for row in sports] == [Decimal("0.250000000"), Decimal("0.666666667")]
    assert ranked(three, category="sports", min_category_share="0.25") == ["aa", "cc"]
    assert ranked(three, category="sports", min_category_share="0.250000001") == ["cc"]
    totals(three, "aa", volume=0, version=2)
    totals(three, "aa", category="sports", volume=0, version=2)
    built(three)
    assert ranked(three, category="sports", min_category_share="0") == ["cc"], "without volume there is no share"


def test_boards_that_do_not_fit_are_read_again(three: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    totals(three, "bb", window="30d")
    built(three)
    held = boards.boards_of(three)
    assert held.shelf.most_bytes >= boards.LEAST_KEPT
    monkeypatch.setattr(held.shelf, "most_bytes", 1)
    for _ in range(3):
        assert ranked(three, sort="pnl") == ["bb", "aa", "cc"]
        assert ranked(three, window="30d") == ["bb"]
        assert len(held.shelf._kept) == 1, "the board that is asked for stays, however large"
    assert boards.boards_of(three) is held


@pytest.mark.parametrize("most_bytes", [boards.LEAST_KEPT, 1])
def test_readers_at_the_same_time_get_the_same_rows(
    three: Warehouse, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    built(three)
    monkeypatch.setattr(boards.boards_of(three).shelf, "most_bytes", most_bytes)
    questions = [LeaderboardQuery(sort=sort) for sort in ("pnl", "omega", "sharpe", "trades", "max_drawdown")] * 4
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda query: leaderboard(three, query)["rows"], questions))
    assert together == [leaderboard(three, query)["rows"] for query in questions]


def test_a_week_ago(three: Warehouse) -> None:
    once(three, "aa", "2026-09-13", 2, 60 * USD)
    once(three, "bb", "2026-09-13", 3, 10 * USD)
    once(three, "cc", "2026-09-13", 1, 80 * USD, version=9)
    once(three, "aa", "2026-09-13", 1, 70 * USD, version=9)  # a later build of the day
    once(three, "aa", "2026-09-12", 7, 1 * USD)
    once(three, "aa", "2026-09-20", 5, 2 * USD)  # yesterday
    built(three)  # 2026-09-21
    rows = {row["wallet"][2:4]: row["week_ago"] for row in leaderboard(three, LeaderboardQuery(sort="pnl"))["rows"]}
    assert rows == {
        "aa": {"day": "2026-09-13", "rank": 1, "value": Decimal(70), "rank_change": -1, "value_change": Decimal(30)},
        "bb": None,
        "cc": {"day": "2026-09-13", "rank": 1, "value": Decimal(80), "rank_change": -2, "value_change": Decimal(-140)},
    }
    filtered = leaderboard(three, LeaderboardQuery(sort="pnl", min_trades=30))["rows"]
    assert filtered[-1]["week_ago"]["rank_change"] is None, "ranks of other lists do not compare"
    assert leaderboard(three, LeaderboardQuery(sort="roi"))["rows"][0]["week_ago"] is None
    built(three, AS_OF + 20 * DAY)
    assert leaderboard(three, LeaderboardQuery(sort="pnl"))["rows"][0]["week_ago"] is None, "too long ago"
