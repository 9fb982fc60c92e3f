"""Metrics of whole universes: equal to the plain calculation, in every build, and read back with their status."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import plain_bankroll
import plain_entries
import plain_fills
import pytest
import trade_rows
from bet_rows import Bets, bets_in_windows, bets_of_store, differences, expected, keyed
from plain_bets import same
from plain_trades import plain_trades, with_gaps
from score_store import columns, fill, load, market_tables, resolution, universe_tables
from trade_rows import by_place, trades_of_store

from polyhouse.errors import BadInputError
from polyhouse.metrics.catalogue import METRIC_WINDOWS, METRICS, computed
from polyhouse.models import build as build_module
from polyhouse.models import metric_tables, priced_trades
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.metrics import metrics
from polyhouse.sim.universe import Universe

Key = tuple[bytes, str, str]


def stored(warehouse: Warehouse) -> dict[Key, dict[str, Any]]:
    """All rows of both tables, without the bookkeeping."""
    found: dict[Key, dict[str, Any]] = {}
    for table in metric_tables.METRIC_TABLES:
        found |= keyed(warehouse.query(f"SELECT * EXCEPT (version, is_deleted) FROM {table} FINAL"))
    return found


def of_bets(rows: dict[Key, dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    return {key: row for key, row in rows.items() if row["bets_sample"]}


def bankroll_differences(rows: dict[Key, dict[str, Any]], bets: Bets, as_of: int) -> list[str]:
    """Where metrics that are made of others disagree with the bets, the bankroll and the Kelly fraction."""
    minima = {metric.name: metric.minimum_sample for metric in computed() if metric.of_metrics}
    found = []
    for key, members in bets_in_windows(bets, as_of).items():
        row = rows[key]
        for name, least in minima.items():
            value = plain_bankroll.PLAIN[name](members, row["bankroll"] or 0.0, row["kelly_optimal"])
            if not same(row[name], value if len(members) >= least else None):
                found.append(f"{key} {name}: {row[name]!r}, plainly {value!r}")
    return found


@pytest.mark.parametrize(
    "universe",
    [
        Universe(seed=5, wallets=15, fills=500, with_transfers=True, now_fraction=0.6),
        Universe(seed=3, wallets=20, fills=900, amm_markets=8),
    ],
    ids=["early", "pools"],
)
def test_every_metric_equals_the_plain_calculation(
    warehouse: Warehouse, universe: Universe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "SLICE_ROWS", 700)  # several slices
    monkeypatch.setattr(priced_trades, "BLOCK_ROWS", 300)  # and several blocks of trades
    load(warehouse, universe_tables(universe))
    build(warehouse)
    as_of = newest_build_time(warehouse)
    trades = plain_trades(universe)
    assert trades_of_store(warehouse) == sorted((replace(trade, tx="") for trade in trades), key=by_place)
    found = stored(warehouse)
    bets: Bets = bets_of_store(warehouse, trades)
    assert differences(of_bets(found), expected(bets, as_of)) == []
    of_prices = {("0x" + wallet.hex(), scope, window): row for (wallet, scope, window), row in found.items()}
    for name, plain, rows in (
        ("entries", plain_entries.PLAIN, [trade for trade in trades if trade.is_purchase]),
        ("fills", plain_fills.PLAIN, with_gaps(trades)),
    ):
        sampled = {key: row for key, row in of_prices.items() if row[f"{name}_sample"]}
        assert trade_rows.differences(sampled, trade_rows.expected(rows, name, plain, as_of)) == []
    assert bankroll_differences(found, bets, as_of) == []


def test_bets_are_the_closed_units_of_the_totals(warehouse: Warehouse) -> None:
    load(warehouse, universe_tables(Universe(seed=2, wallets=20, fills=900)))
    build(warehouse)
    rows = warehouse.query(
        "SELECT wallet, category, window, realized, gains, losses_abs, wins, losses FROM wallet_totals FINAL"
        " WHERE open_units = 0 AND wins + losses > 0 AND window = 'lifetime'"
    ).rows
    found = stored(warehouse)
    for wallet, category, window, realized, gains, losses_abs, wins, losses in rows:
        row = found[bytes(wallet), category, window]
        assert row["net_pnl"] == realized / 1_000_000
        assert row["omega_shrunk"] == pytest.approx((gains + 50_000_000) / (losses_abs + 50_000_000))
        if row["win_rate"] is not None:
            assert row["win_rate"] == pytest.approx(wins / (wins + losses))
    assert len(rows) > 20


def cut(tables: dict[str, Any], until: int) -> dict[str, Any]:
    """What was known at a moment."""
    known = dict(tables)
    for name in ("observations", "resolutions"):
        times = tables[name]["ts"]
        known[name] = {
            column: [value for value, ts in zip(values, times, strict=True) if ts <= until]
            for column, values in tables[name].items()
        }
    return known


def test_touched_wallets_only_equals_a_full_build_bit_for_bit(warehouse: Warehouse) -> None:
    tables = universe_tables(Universe(seed=4, wallets=20, fills=750))
    load(warehouse, cut(tables, max(tables["observations"]["ts"]) - 20 * 86_400))
    build(warehouse)
    before = stored(warehouse)
    load(warehouse, {name: tables[name] for name in ("observations", "resolutions")})
    wallets = sorted({bytes(wallet) for wallet in tables["observations"]["wallet"]})
    some = set(wallets[::3])
    build(warehouse, sorted(some))
    partial = stored(warehouse)
    build(warehouse)
    full = stored(warehouse)
    chosen = {key: row for key, row in full.items() if key[0] in some}
    assert {key: row for key, row in partial.items() if key[0] in some} == chosen
    assert any(before.get(key) != row for key, row in chosen.items()), "the late rows must change something"
    build(warehouse, wallets)
    assert stored(warehouse) == full
    assert warehouse.query("SELECT name FROM system.tables WHERE name IN ('bets', 'measured_bets')").rows == []


def test_a_bet_that_opens_again_leaves_no_row_behind(warehouse: Warehouse) -> None:
    wallet = b"\xa1" * 20
    load(warehouse, market_tables())
    load(warehouse, {"observations": columns([fill(0xA1, 1, 10, 400), fill(0xA1, 2, 10, 500, kind="SELL")])})
    build(warehouse)
    assert {key for key in of_bets(stored(warehouse)) if key[0] == wallet}
    load(warehouse, {"observations": columns([fill(0xA1, 3, 10, 400)])})
    build(warehouse, [wallet])
    assert not {key for key in of_bets(stored(warehouse)) if key[0] == wallet}


def test_a_changed_definition_is_computed_for_all_wallets(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(warehouse, market_tables())
    load(warehouse, {"observations": columns(
        [fill(w, h, 10, c, kind=k) for w in (0xA1, 0xB2) for h, c, k in ((1, 400, "BUY"), (2, 500, "SELL"))]
    )})  # fmt: skip
    build(warehouse)
    monkeypatch.setattr(metric_tables, "rules", lambda: "newer")
    before = {key: row["as_of"] for key, row in stored(warehouse).items()}
    build(warehouse, [b"\xa1" * 20])
    versions = warehouse.query(
        "SELECT count(), uniqExact(version), any(version) = (SELECT max(build) FROM builds)"
        " FROM wallet_metrics_complete FINAL"
    ).rows
    assert versions == [(8, 1, 1)], "both wallets, all windows, one build"
    assert set(stored(warehouse)) == set(before)
    assert warehouse.query("SELECT DISTINCT digest FROM metric_catalogue").rows == [("newer",)]
    build(warehouse, [b"\xa1" * 20])
    assert warehouse.query("SELECT uniqExact(version) FROM wallet_metrics_complete FINAL").rows == [(2,)]


def test_columns_follow_the_catalogue(warehouse: Warehouse) -> None:
    for table in metric_tables.METRIC_TABLES:
        warehouse.command(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS gone Nullable(Float64)")
        warehouse.command(f"ALTER TABLE {table} DROP COLUMN IF EXISTS omega_net")
    metric_tables.prepare_metric_tables(warehouse)
    for table in metric_tables.METRIC_TABLES:
        described = dict(row[:2] for row in warehouse.query(f"DESCRIBE TABLE {table}").rows)
        assert described.items() >= metric_tables.metric_columns().items()
        assert "gone" not in described
        shown = {row[0] for row in warehouse.query(f"DESCRIBE TABLE vw_{table}").rows}
        assert shown == set(described) - {"version", "is_deleted"}


def test_reading_says_why_there_is_no_value(warehouse: Warehouse) -> None:
    load(warehouse, market_tables(1, 2))
    rows = [
        fill(0xA1, 1, 10, 400), fill(0xA1, 2, 10, 500, kind="SELL"), fill(0xA1, 1, 10, 400, market=2),
        fill(0xB2, 1, 10, 400),
    ]  # fmt: skip
    load(
        warehouse, {"observations": columns(rows), "resolutions": resolution(rows[0]["ts"] + 90_000, (0, 1), market=2)}
    )
    build(warehouse)
    document = metrics(warehouse, "0x" + "A1" * 20)
    found = {one["name"]: one for one in document["metrics"]}
    assert list(found) == [metric.name for metric in METRICS]
    assert (document["category"], document["window"], document["wallet"]) == ("overall", "lifetime", "0x" + "a1" * 20)
    assert found["net_pnl"] == {
        "name": "net_pnl", "number": 9, "value": Decimal("-3.0"), "status": "OK", "sample": 2, "unit": "usd",
    }  # fmt: skip
    assert (found["omega_net"]["value"], found["omega_net"]["status"]) == (None, "SMALL_SAMPLE")
    assert (found["one_hit_share"]["value"], found["one_hit_share"]["status"]) == (None, "UNDEFINED")
    assert found["category_mix"]["value"] == '{"other":1}'
    assert (found["spread_capture"]["status"], found["spread_capture"]["sample"]) == ("NEEDS_DATA", None)
    of_bets_only = [metric.name for metric in computed("bets")]
    holder = {one["name"]: one for one in metrics(warehouse, "0x" + "b2" * 20)["metrics"]}
    assert {holder[name]["status"] for name in of_bets_only} == {"SMALL_SAMPLE"}
    nobody = {one["name"]: one for one in metrics(warehouse, "0x" + "c3" * 20)["metrics"]}
    assert {nobody[name]["status"] for name in of_bets_only} == {"NOT_COMPUTED"}
    other = metrics(warehouse, "0x" + "a1" * 20, category="other", window="30d")
    assert {one["name"]: one for one in other["metrics"]}["net_pnl"] == found["net_pnl"]
    for wrong in ({"category": "football"}, {"window": "7d"}):
        with pytest.raises(BadInputError):
            metrics(warehouse, "0x" + "a1" * 20, **wrong)
    assert set(METRIC_WINDOWS) == {"30d", "90d", "180d", "lifetime"}
