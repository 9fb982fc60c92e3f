"""Leaderboards, specialists, category analytics and markets of whole universes, against slow calculations."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from plain_specialists import first_bets, purchases, specialists
from score_store import load, universe_tables

from polyhouse.domain.ids import format_address
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.board_sorts import SORTS
from polyhouse.reads.categories import categories
from polyhouse.reads.exact import encode
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard
from polyhouse.reads.specialists import specialist_of
from polyhouse.reads.specialists import specialists as specialists_document
from polyhouse.sim.universe import Universe
from polyhouse.warehouse import open_warehouse

UNIVERSE = Universe(seed=2, wallets=70, fills=4_500, cast={"specialist": 2, "skilled_trader": 2, "bot": 1})
Rows = list[dict[str, Any]]
pytestmark = pytest.mark.timeout(400)  # three builds, also on a machine that is busy with others


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The universe, built up to three weeks before its end, then to the end for those who did something since."""
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('boards')}/warehouse") as warehouse:
        tables = universe_tables(UNIVERSE)
        newest = max(tables["observations"]["ts"])
        early = dict(tables)
        for name in ("observations", "resolutions"):
            keep = [ts <= newest - 21 * 86_400 for ts in tables[name]["ts"]]
            early[name] = {
                column: [value for value, kept in zip(values, keep, strict=True) if kept]
                for column, values in tables[name].items()
            }
        load(warehouse, early)
        build(warehouse)
        load(warehouse, {name: tables[name] for name in ("observations", "resolutions")})
        late = zip(tables["observations"]["wallet"], tables["observations"]["ts"], strict=True)
        touched = sorted({bytes(wallet) for wallet, ts in late if ts > newest - 21 * 86_400})
        assert len(touched) < len(UNIVERSE.wallets) * 0.8
        build(warehouse, touched)
        yield warehouse


def rows(warehouse: Warehouse, sql: str) -> Rows:
    result = warehouse.query(sql)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def dump(warehouse: Warehouse) -> dict[str, list[str]]:
    """What does not depend on where the windows of untouched wallets end."""
    newest = "SELECT max(day) FROM leaderboard_history"
    selected = {
        "category_edges": "* EXCEPT (version, is_deleted) FROM category_edges FINAL",
        "category_specialists": "* EXCEPT version FROM category_specialists",
        "category_stats": "* EXCEPT version FROM category_stats WHERE window = 'lifetime'",
        "leaderboard_history": (
            f"* EXCEPT version FROM leaderboard_history WHERE window = 'lifetime' AND day = ({newest})"
        ),
    }
    return {table: sorted(map(repr, warehouse.query(f"SELECT {sql}").rows)) for table, sql in selected.items()}


def test_touched_wallets_give_what_a_full_build_gives(built: Warehouse) -> None:
    partial = dump(built)
    assert all(partial.values())
    build(built)
    assert dump(built) == partial


def test_history_keeps_the_board_of_each_day(built: Warehouse) -> None:
    days = rows(built, "SELECT day, uniqExact(version) AS builds FROM leaderboard_history GROUP BY day ORDER BY day")
    assert [day["builds"] for day in days] == [1, 1], "the early build, and the newest of the last day"
    for category, window in (("overall", "lifetime"), ("sports", "90d")):
        for sort in ("omega", "pnl"):
            kept = rows(
                built,
                "SELECT wallet, rank FROM leaderboard_history WHERE day = (SELECT max(day) FROM leaderboard_history)"
                f" AND category = '{category}' AND window = '{window}' AND sort = '{sort}' ORDER BY rank",
            )
            board = leaderboard(built, LeaderboardQuery(category, window, sort, limit=1_000))["rows"]
            known = [row for row in board if row["value"] is not None]
            assert [(format_address(bytes(row["wallet"])), row["rank"]) for row in kept] == [
                (row["wallet"], row["rank"]) for row in known
            ]


def plain_order(stored: Rows, sort: str, *, reverse: bool) -> list[bytes]:
    """The ranking from the stored rows, with Python's own numbers."""

    def value(row: dict[str, Any]) -> Fraction | None:
        pnl = None if row["unrealized"] is None else row["realized"] + row["unrealized"]
        decided = row["wins"] + row["losses"]
        own = {
            "omega": Fraction(row["gains"] + 50_000_000, row["losses_abs"] + 50_000_000),
            "pnl": pnl, "win_rate": Fraction(row["wins"], decided) if decided else None,
            "roi": Fraction(pnl, row["bought_cost"]) if pnl is not None and row["bought_cost"] else None,
            "units": decided + row["flats"], "losses": row["losses_abs"],
            "whale": row.get("whale_tenths"), "insider": row.get("insider_tenths"),
        }  # fmt: skip
        found = own[sort] if sort in own else row.get(sort)
        return None if found is None else Fraction(found)  # of a float exactly what it is

    sign = 1 if SORTS[sort].lower_first != reverse else -1
    keyed = [(value(row), bytes(row["wallet"])) for row in stored]
    keyed.sort(key=lambda pair: (pair[0] is None, 0 if pair[0] is None else sign * pair[0], pair[1]))
    return [wallet for _, wallet in keyed]


@pytest.mark.parametrize(("category", "window"), [("overall", "lifetime"), ("sports", "90d"), ("overall", "1d")])
def test_every_sort_is_that_of_the_plain_numbers(built: Warehouse, category: str, window: str) -> None:
    table = "wallet_metrics_complete" if category == "overall" else "wallet_metrics_by_category"
    scope = "" if category == "overall" else f" AND category = '{category}'"
    stored = rows(built, f"SELECT * FROM wallet_totals FINAL WHERE window = '{window}' AND category = '{category}'")
    for sql in (
        f"SELECT * EXCEPT (win_rate, roi) FROM {table} FINAL WHERE window = '{window}'{scope}",
        "SELECT wallet, whale_tenths, insider_tenths FROM wallet_scores_v1 FINAL",
    ):
        others = {bytes(row["wallet"]): row for row in rows(built, sql)}
        stored = [others.get(bytes(row["wallet"]), {}) | row for row in stored]
    everybody = LeaderboardQuery(category, window, min_units=0, min_gains_losses="0", limit=1_000)
    sorts = [name for name, sort in SORTS.items() if sort.kind != "metric" or window in METRIC_WINDOWS]
    assert len(stored) > 50
    for sort in sorts:
        for reverse in (False, True):
            document = leaderboard(built, replace(everybody, sort=sort, reverse=reverse))
            assert [bytes.fromhex(row["wallet"][2:]) for row in document["rows"]] == plain_order(
                stored, sort, reverse=reverse
            ), sort


def test_pages_of_any_size_join_to_the_whole_list(built: Warehouse) -> None:
    dice = random.Random(7)
    for _ in range(6):
        query = LeaderboardQuery(
            sort=dice.choice(["pnl", "omega", "luck_z", "wins", "max_drawdown"]), limit=dice.randrange(1, 30),
            min_units=dice.choice([0, 5, 20]), min_gains_losses="0", reverse=dice.random() < 0.5,
        )  # fmt: skip
        whole = [row["wallet"] for row in leaderboard(built, replace(query, limit=1_000))["rows"]]
        joined, cursor = [], None
        while not joined or cursor:
            page = leaderboard(built, replace(query, cursor=cursor))
            assert [row["rank"] for row in page["rows"]] == [len(joined) + n for n in range(1, page["count"] + 1)]
            joined += [row["wallet"] for row in page["rows"]]
            cursor = page["next_cursor"]
        assert joined == whole
        assert page["total"] == len(whole)


def stored_totals(warehouse: Warehouse) -> dict[tuple[bytes, str], dict[str, Any]]:
    found = rows(warehouse, "SELECT * FROM wallet_totals FINAL WHERE window = 'lifetime'")
    return {(bytes(row["wallet"]), str(row["category"])): row for row in found}


def test_specialists_equal_the_slow_calculation(built: Warehouse) -> None:
    expected = specialists(first_bets(purchases(built)), stored_totals(built))
    got = {
        (str(row["category"]), bytes(row["wallet"])): row for row in rows(built, "SELECT * FROM category_specialists")
    }
    assert set(got) == set(expected)
    assert len(got) >= 5
    for key, want in expected.items():
        row = got[key]
        assert (row["events"], row["rest_events"]) == (want["events"], want["rest_events"])
        for name in ("edge_shrunk", "rest_shrunk", "category_edge"):
            assert row[name] == pytest.approx(want[name], abs=1e-8)
        for name in ("p_category", "p_rest", "p_value", "q_value"):
            assert row[name] == pytest.approx(want[name], rel=1e-5, abs=1e-12), name
        assert row["is_specialist"] == want["is_specialist"]


def test_planted_specialists_are_found_and_nobody_else(built: Warehouse) -> None:
    document = specialists_document(built)
    kinds = [UNIVERSE.behaviours[row["wallet"]] for row in document["rows"]]
    assert kinds == ["specialist", "specialist"]
    assert all(row["is_primary"] and row["q_value"] <= Decimal("0.05") for row in document["rows"])
    assert document["total"] == 2
    assert sum(document["tests"].values()) == specialists_document(built, tested=True)["total"] > 5
    first = bytes.fromhex(document["rows"][0]["wallet"][2:])
    assert specialist_of(built, [first, b"\1" * 20]) == {first: [document["rows"][0]["category"]]}
    category = document["rows"][0]["category"]
    assert specialists_document(built, category=category)["rows"] == [
        row | {"rank": rank} for rank, row in enumerate((r for r in document["rows"] if r["category"] == category), 1)
    ]
    on_the_board = leaderboard(built, LeaderboardQuery(specialists_only=True))["rows"]
    assert {row["wallet"]: row["specialist"] for row in on_the_board} == {
        row["wallet"]: row["category"] for row in document["rows"]
    }
    encode(document)


def test_categories_equal_the_plain_numbers(built: Warehouse) -> None:
    for window in METRIC_WINDOWS:
        stored = rows(built, f"SELECT * FROM wallet_totals FINAL WHERE window = '{window}'")
        document = {row["category"]: row for row in categories(built, window=window)["rows"]}
        for name in {str(row["category"]) for row in stored}:
            here = [row for row in stored if row["category"] == name]
            if not any(r["trades"] or r["realized"] or r["wins"] + r["losses"] + r["flats"] for r in here):
                assert name not in document
                continue
            row = document[name]
            units = {bytes(r["wallet"]): r["wins"] + r["losses"] + r["flats"] for r in here}
            ranked = [
                r for r in here if units[bytes(r["wallet"])] >= 20 and r["gains"] + r["losses_abs"] >= 100_000_000
            ]
            omegas = {bytes(r["wallet"]): (r["gains"] + 50e6) / (r["losses_abs"] + 50e6) for r in here}
            elites = [wallet for wallet, omega in omegas.items() if omega > 2 and units[wallet] > 50]
            assert (row["ranked"], row["elites"]) == (len(ranked), len(elites))
            assert row["traders"] == sum(r["trades"] > 0 for r in here)
            assert row["winners"] == sum(r["gains"] > r["losses_abs"] for r in ranked)
            assert row["volume"] * 1_000_000 == sum(r["volume"] for r in here)
            assert row["pnl"] * 1_000_000 == sum(r["gains"] - r["losses_abs"] for r in here)
            volumes = sorted((r["volume"] for r in here), reverse=True)
            assert row["top10_volume"] * 1_000_000 == sum(volumes[:10])
            if volumes[0]:
                hhi = sum(Fraction(v, sum(volumes)) ** 2 for v in volumes)
                assert float(row["volume_hhi"]) == pytest.approx(float(hhi))
            if ranked:
                middle = np.median([omegas[bytes(r["wallet"])] for r in ranked])
                assert float(row["median_omega"]) == pytest.approx(middle)
            assert (row["elite_omega"] is None) == (not elites)
        encode(categories(built, window=window))
