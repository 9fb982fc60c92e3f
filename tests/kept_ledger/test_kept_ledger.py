"""A ledger that is kept from build to build says what one made from everything says, whatever changed between them."""

from __future__ import annotations

from typing import Any

import pytest
from score_store import Tables, load, universe_tables

from polyhouse.models.build import BY_WALLET
from polyhouse.models.runner import build
from polyhouse.models.steps import ledger_step
from polyhouse.sim.universe import Universe
from polyhouse.warehouse.store import ClickHouseWarehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

UNIVERSE = Universe(seed=4, wallets=40, fills=1_500)


def _where(tables: Tables, name: str, keep: Any) -> dict[str, list[Any]]:
    """The rows of one table for which ``keep`` (a function of the row) holds."""
    columns = tables[name]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    kept = [row for row in rows if keep(row)]
    return {column: [row[column] for row in kept] for column in columns}


def _contents(warehouse: ClickHouseWarehouse) -> dict[str, tuple[Any, ...]]:
    """What every table of wallets says, as counts and hashes that no order changes."""
    return {
        table: warehouse.query(
            f"SELECT count(), groupBitXor(sipHash64(*)) FROM (SELECT * EXCEPT (version, is_deleted) FROM {table} FINAL)"
        ).rows[0]
        for table in BY_WALLET
    }


def _rewritten(warehouse: ClickHouseWarehouse, version: int) -> tuple[int, int]:
    """Wallets whose ledger this build wrote, and wallets of the ledger."""
    row = warehouse.query(f"SELECT uniqExactIf(wallet, version = {version}), uniqExact(wallet) FROM ledger").rows[0]
    return int(row[0]), int(row[1])


@pytest.fixture(scope="module")
def tables() -> Tables:
    return universe_tables(UNIVERSE)


@pytest.fixture(scope="module")
def late_conditions(tables: Tables) -> set[bytes]:
    """Conditions that are named late: one of a neg-risk market in which somebody converted, and a plain one."""
    rows = tables["observations"]
    converted = {c for c, kind in zip(rows["condition"], rows["kind"], strict=True) if kind == "CONVERT"}
    markets = tables["markets"]
    pairs = list(zip(markets["condition"], markets["neg_risk_market"], strict=True))
    return {next(c for c, market in pairs if market in converted), next(c for c, market in pairs if not market)}


@pytest.fixture(scope="module")
def begun(warehouse: ClickHouseWarehouse, tables: Tables, late_conditions: set[bytes]) -> int:
    """Most of the universe, built, the newest rows and the tokens of two conditions missing; the version."""
    ts = sorted(tables["observations"]["ts"])
    newest = ts[len(ts) * 19 // 20]
    load(warehouse, tables | {
        "observations": _where(tables, "observations", lambda row: row["ts"] < newest),
        "tokens": _where(tables, "tokens", lambda row: row["condition"] not in late_conditions),
        "markets": _where(tables, "markets", lambda row: row["condition"] not in late_conditions),
    })  # fmt: skip
    version = build(warehouse).build
    assert warehouse.query("SELECT count() FROM unmapped").rows[0][0] > 0
    return version


def test_a_build_after_nothing_changed_writes_no_ledger(warehouse: ClickHouseWarehouse, begun: int) -> None:
    before = _contents(warehouse)
    report = build(warehouse)
    assert _rewritten(warehouse, report.build)[0] == 0
    assert _contents(warehouse) == before


def test_new_rows_and_new_names_reach_the_ledger(warehouse: ClickHouseWarehouse, begun: int, tables: Tables) -> None:
    ts = sorted(tables["observations"]["ts"])
    newest = ts[len(ts) * 19 // 20]
    later = {"observations": _where(tables, "observations", lambda row: row["ts"] >= newest)}
    load(warehouse, later)
    kept = build(warehouse)
    rewritten, wallets = _rewritten(warehouse, kept.build)
    assert 0 < rewritten < wallets, "only the wallets that have news"
    news = _contents(warehouse)
    build(warehouse, anew=True)
    assert _contents(warehouse) == news

    load(warehouse, {name: tables[name] for name in ("tokens", "markets", "neg_risk_markets")})
    build(warehouse)
    named = _contents(warehouse)
    assert named["ledger"] != news["ledger"]
    assert named["unmapped"][0] == 0
    report = build(warehouse, anew=True)
    assert _contents(warehouse) == named
    assert _rewritten(warehouse, report.build)[0] == wallets


def test_partial_builds_leave_what_a_build_of_all_makes(
    warehouse: ClickHouseWarehouse, begun: int, tables: Tables
) -> None:
    """Wallets built one by one before, between builds of all: nothing is computed from old rows, nothing twice."""
    everybody = [bytes(wallet) for (wallet,) in warehouse.query("SELECT DISTINCT wallet FROM observations").rows]
    build(warehouse, everybody[::2])
    build(warehouse, everybody[1::2])
    parts = _contents(warehouse)
    build(warehouse)
    assert _contents(warehouse) == parts
    build(warehouse, anew=True)
    assert _contents(warehouse) == parts


def test_rows_that_were_taken_out_leave_the_ledger(warehouse: ClickHouseWarehouse, begun: int) -> None:
    build(warehouse, anew=True)
    fork = warehouse.query("SELECT toUInt32(quantile(0.97)(block)) FROM observations").rows[0][0]
    lost = f"source = 'chain' AND block >= {fork}"
    warehouse.command(f"INSERT INTO ledger_changes SELECT DISTINCT wallet FROM observations WHERE {lost}")
    warehouse.command(f"DELETE FROM observations WHERE {lost}")
    warehouse.command(
        "INSERT INTO price_changes SELECT DISTINCT token, tx_key FROM priced_fills"
        f" WHERE source = 'chain' AND block >= {fork}"
    )
    warehouse.command(f"DELETE FROM priced_fills WHERE source = 'chain' AND block >= {fork}")
    report = build(warehouse)
    rewritten, wallets = _rewritten(warehouse, report.build)
    assert 0 < rewritten < wallets
    assert warehouse.query(f"SELECT count() FROM ledger FINAL WHERE block >= {fork}").rows == [(0,)]
    kept = _contents(warehouse)
    build(warehouse, anew=True)
    assert _contents(warehouse) == kept


def test_other_rules_make_the_ledger_anew(
    warehouse: ClickHouseWarehouse, begun: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(warehouse)
    monkeypatch.setattr(ledger_step, "_RULES", (*ledger_step._RULES, "days"))
    report = build(warehouse)
    rewritten, wallets = _rewritten(warehouse, report.build)
    assert rewritten == wallets
