from decimal import Decimal
from fractions import Fraction

import pytest

from polyhouse.errors import BadInputError
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard
from polyhouse.warehouse import open_warehouse

USD = 1_000_000
FIELDS = (
    "realized", "unrealized", "unrealized_marked", "unmarked", "fees", "income", "volume", "trades", "markets",
    "wins", "losses", "flats", "open_units", "gains", "losses_abs", "bought_cost",
)  # fmt: skip


def add(warehouse, wallet, *, category="overall", window="lifetime", version=1, **values):
    values = {"gains": 200 * USD, "losses_abs": 100 * USD, "wins": 15, "losses": 10, "trades": 30} | values
    cells = ", ".join("NULL" if values.get(f, 0) is None else str(values.get(f, 0)) for f in FIELDS)
    warehouse.command(
        f"INSERT INTO wallet_totals (wallet, category, `window`, version, first_trade_ts, {', '.join(FIELDS)})"
        f" VALUES (unhex(repeat('{wallet}', 20)), '{category}', '{window}', {version}, 1700000000, {cells})"
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('board') / 'warehouse'}") as warehouse:
        add(warehouse, "aa", realized=100 * USD, bought_cost=300 * USD, fees=2 * USD, income=USD)
        add(
            warehouse, "ab", realized=100 * USD, unrealized=None, unmarked=2, unrealized_marked=7, bought_cost=300 * USD
        )
        add(warehouse, "ac", gains=2000 * USD + 1, losses_abs=0, wins=25, losses=0, realized=2000 * USD + 1, trades=25)
        add(warehouse, "ad", realized=-50 * USD, gains=100 * USD, losses_abs=150 * USD, bought_cost=900 * USD, trades=9)
        add(warehouse, "ae", gains=10**6 * USD, losses_abs=USD, wins=12, losses=7, flats=0)  # 19 units: too few
        add(warehouse, "af", gains=60 * USD, losses_abs=40 * USD - 1)  # one micro below 100 $
        add(
            warehouse,
            "b0",
            gains=60 * USD,
            losses_abs=40 * USD,
            realized=20 * USD,
            bought_cost=USD,
            wins=0,
            losses=0,
            flats=20,
        )
        add(warehouse, "aa", category="sports", window="7d", realized=5 * USD)
        add(warehouse, "aa", version=0, gains=10**12 * USD)  # an older build never wins
        warehouse.command("INSERT INTO builds VALUES (1, 1790000000, 'all', 1, 1, 0.1, now())")
        yield warehouse


def ranked(warehouse, **query):
    return [row["wallet"][2:4] for row in leaderboard(warehouse, LeaderboardQuery(**query))["rows"]]


def test_the_document_has_the_published_shape(filled):
    document = leaderboard(filled, LeaderboardQuery(min_trades=26))
    assert {key: document[key] for key in ("window", "category", "sort", "min_trades", "count")} == {
        "window": "lifetime", "category": "overall", "sort": "omega", "min_trades": 26, "count": 3,
    }  # fmt: skip
    assert document["as_of"] == "2026-09-21T14:13:20Z"
    first = document["rows"][0]
    assert first["rank"] == 1
    assert first["wallet"] == "0x" + "aa" * 20
    assert first["omega"] == {"value": Decimal("2.000000000"), "status": "OK"}
    assert first["omega_shrunk"] == Decimal("1.666666667")
    assert first["grade"] == "B"
    assert first["specialist"] is None
    assert first["win_rate"] == Decimal("0.600000000")
    assert first["roi"] == Decimal("0.333333333")
    assert (first["position_pnl"], first["gross_of_fees"], first["economic_pnl"]) == (100, 102, 101)
    assert first["first_trade_at"] == "2023-11-14T22:13:20Z"
    assert first["last_trade_at"] is None


def test_omega_ranks_by_the_shrunk_value_and_breaks_ties_by_address(filled):
    # (2050/50) > (250/150) twice > (110/90) > (150/200)
    assert ranked(filled) == ["ac", "aa", "ab", "b0", "ad"]


def test_no_losses_is_a_status_and_not_infinity(filled):
    row = leaderboard(filled, LeaderboardQuery(limit=1))["rows"][0]
    assert row["omega"] == {"value": None, "status": "NO_LOSSES"}
    assert row["omega_shrunk"] == Decimal("41.000000020")
    assert row["realized"] == Decimal("2000.000001")


def test_undefined_values_come_last(filled):
    assert ranked(filled, sort="pnl") == ["ac", "aa", "b0", "ad", "ab"]
    assert ranked(filled, sort="roi") == ["b0", "aa", "ad", "ab", "ac"]
    assert ranked(filled, sort="win_rate") == ["ac", "aa", "ab", "ad", "b0"]


def test_unmarked_positions_leave_the_sum_open(filled):
    row = next(r for r in leaderboard(filled, LeaderboardQuery())["rows"] if r["wallet"].startswith("0xab"))
    assert row["unrealized"] is None
    assert row["position_pnl"] is None
    assert row["gross_of_fees"] is None
    assert row["roi"] is None
    assert (row["unrealized_marked"], row["unmarked"]) == (Decimal("0.000007"), 2)


def test_minimums_are_inclusive_and_can_be_lifted(filled):
    assert "ae" not in ranked(filled)
    assert ranked(filled, min_units=19)[0] == "ae"
    assert "af" not in ranked(filled)
    assert "af" in ranked(filled, min_gains_losses="99.999999")
    assert ranked(filled, min_trades=30, limit=2) == ["aa", "ab"]


def test_category_and_window_select_their_own_rows(filled):
    assert ranked(filled, category="sports", window="7d") == ["aa"]
    assert ranked(filled, category="sports") == []
    assert ranked(filled, category="crypto", window="7d") == []


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"sort": "sharp"}, "omega"),
        ({"category": "Sports"}, "sports"),
        ({"window": "8d"}, "7d"),
        ({"limit": 0}, "whole"),
        ({"limit": 10**9}, "whole"),
        ({"min_units": -1}, "whole"),
        ({"min_trades": True}, "whole"),
    ],
)
def test_unknown_words_and_numbers_out_of_range_are_refused_with_the_list(filled, wrong, hint):
    with pytest.raises(BadInputError) as caught:
        leaderboard(filled, LeaderboardQuery(**wrong))
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["-1", "1e400", "NaN", "0.0000001", "'; DROP TABLE builds; --"])
def test_a_minimum_that_is_no_amount_is_refused(filled, text):
    with pytest.raises(BadInputError):
        leaderboard(filled, LeaderboardQuery(min_gains_losses=text))


def test_ratios_that_agree_in_every_printed_digit_are_ranked_exactly(filled):
    largest = 9_000_000_000_000_000_000
    pairs = {"01": (largest - 1, largest - 2), "02": (largest, largest - 1), "03": (largest - 3, largest - 4)}
    for wallet, (gains, losses) in pairs.items():
        add(filled, wallet, category="weather", gains=gains, losses_abs=losses)
    rows = leaderboard(filled, LeaderboardQuery(category="weather"))["rows"]
    exact = sorted(pairs, key=lambda w: Fraction(pairs[w][0] + 50 * USD, pairs[w][1] + 50 * USD), reverse=True)
    assert {row["omega_shrunk"] for row in rows} == {Decimal("1.000000000")}
    assert [row["wallet"][2:4] for row in rows] == exact == ["03", "01", "02"]
