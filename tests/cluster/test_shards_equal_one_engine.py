"""Wallets divided over three engines give, together, exactly the tables of one engine."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[1] / "scores")]

from clickhouse_endpoint import running_cluster
from score_store import Tables, load, universe_tables

from polyhouse.errors import WarehouseUnavailableError
from polyhouse.models import edges, gather, runner
from polyhouse.models.build import BY_WALLET, OF_ALL, Build
from polyhouse.models.runner import build
from polyhouse.models.shards import build_shards
from polyhouse.models.steps import ledger_step, specialists_step
from polyhouse.models.steps.ledger_step import LedgerReach
from polyhouse.ports import Warehouse
from polyhouse.sim.actors import CAST
from polyhouse.sim.universe import Universe
from polyhouse.warehouse import open_warehouse
from polyhouse.warehouse.sharded import ClusterWarehouse

pytestmark = pytest.mark.timeout(600)  # a fixture builds on four engines

SHARDS = 3
EVERYWHERE = ("token_map", "token_prices", "token_days", *OF_ALL, "leaderboard_history")
"""Tables that every shard has as a whole."""
_PLAIN = {"flag_levels", "category_specialists", "category_stats", "leaderboard_history"}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return universe_tables(
        Universe(seed=5, wallets=24, fills=1_200, cast={name: 2 if name == "wash_trader" else 1 for name in CAST})
    )


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('single')}/warehouse") as opened:
        yield opened


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterWarehouse]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), SHARDS) as url, open_warehouse(url) as opened:
        assert isinstance(opened, ClusterWarehouse)
        yield opened


def part(tables: Tables, *, early: bool) -> Tables:
    """The catalogue and most of what happened, or the newest tenth: little enough that kept tables are kept."""
    found = {}
    for name in ("observations", "resolutions"):
        rows = tables[name]
        times = sorted(tables["observations"]["ts"])
        last = times[len(times) * 9 // 10]
        chosen = [place for place, ts in enumerate(rows["ts"]) if (ts <= last) == early]
        found[name] = {column: [values[place] for place in chosen] for column, values in rows.items()}
    return {name: rows for name, rows in tables.items() if early and name not in found} | found


def rows_of(engine: Warehouse, table: str) -> Counter[str]:
    source = table if table in _PLAIN else f"{table} FINAL"
    columns = "*" if table == "flag_levels" else "* EXCEPT version"
    return Counter(text for (text,) in engine.query(f"SELECT formatRow('TSV', {columns}) FROM {source}").rows)


def assert_equal(single: Warehouse, cluster: ClusterWarehouse) -> None:
    for table in (*BY_WALLET, "priced_fills"):
        parts = [rows_of(engine, table) for engine in cluster.engines]
        union = sum(parts, Counter())
        ours = rows_of(single, table)
        assert union == ours, (table, list((union - ours).items())[:3], list((ours - union).items())[:3])
    for table in EVERYWHERE:
        ours = rows_of(single, table)
        for engine in cluster.engines:
            theirs = rows_of(engine, table)
            assert theirs == ours, (table, list((theirs - ours).items())[:3], list((ours - theirs).items())[:3])


def build_both(
    single: Warehouse, cluster: ClusterWarehouse, wallets: Sequence[bytes] | None, *, is_cluster: bool = True
) -> None:
    report = build(single, wallets)
    parts = None if wallets is None else cluster.divided(wallets)
    theirs = build_shards(cluster.shards(), parts, is_cluster=is_cluster, in_processes=False)
    assert (theirs.as_of, theirs.wallets) == (report.as_of, report.wallets)
    # A cluster looks at the last inserts again, so it may write more of what is kept anew.
    assert {**theirs.rows, "ledger": 0} == {**report.rows, "ledger": 0}


@pytest.fixture(scope="module")
def first(single: Warehouse, cluster: ClusterWarehouse, tables: Tables) -> Tables:
    """What both were built from, once and as a whole."""
    early = part(tables, early=True)
    for store in (single, cluster):
        load(store, early)
    assert build(single).rows == build(cluster).rows, "in processes of their own"
    return early


@pytest.fixture(scope="module")
def second(single: Warehouse, cluster: ClusterWarehouse, tables: Tables, first: Tables) -> None:
    """Then more was read, and the wallets of that were built."""
    late = part(tables, early=False)
    for store in (single, cluster):
        load(store, late)
    # As separate servers: of a cluster the last inserts are read again, in this store all of them.
    build_both(single, cluster, sorted(set(late["observations"]["wallet"])), is_cluster=False)


def test_rows_are_written_to_the_shard_where_models_read_them(cluster: ClusterWarehouse, first: Tables) -> None:
    observed = first["observations"]["wallet"]
    counts = [engine.query("SELECT count() FROM observations").rows[0][0] for engine in cluster.engines]
    assert sum(counts) == len(observed)
    assert all(counts), "no shard is empty"
    for engine, wallets in zip(cluster.engines, cluster.divided(sorted(set(observed))), strict=True):
        stored = engine.query("SELECT DISTINCT wallet FROM observations ORDER BY wallet").rows
        assert [bytes(wallet) for (wallet,) in stored] == wallets
        assert engine.query("SELECT count() FROM tokens").rows[0][0] == len(first["tokens"]["token"])


def test_a_first_build_is_equal(single: Warehouse, cluster: ClusterWarehouse, first: Tables) -> None:
    assert_equal(single, cluster)
    for table in {*BY_WALLET, *EVERYWHERE} - {"unmapped", "wallet_intervals", "category_specialists"}:
        assert rows_of(single, table), f"{table} has rows to compare"


def test_a_partial_build_is_equal(single: Warehouse, cluster: ClusterWarehouse, second: None) -> None:
    assert_equal(single, cluster)


def test_a_shard_that_fails_or_dies_stops_all(cluster: ClusterWarehouse, second: None) -> None:
    def versions() -> list[object]:
        sql = "SELECT (SELECT max(version) FROM wallet_totals), (SELECT max(build) FROM builds)"
        return [engine.query(sql).rows for engine in cluster.engines]

    def keep_ledger(run: Build) -> LedgerReach | None:
        if run.peers.rank == 1:
            raise WarehouseUnavailableError("The disk is full.")
        return ledger_step.keep_ledger(run)

    before = versions()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner, "keep_ledger", keep_ledger)
        with pytest.raises(WarehouseUnavailableError, match="disk is full"):
            build_shards(cluster.shards(), None, is_cluster=True, in_processes=False)
    assert versions() == before, "readers keep what was built before"
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(build_shards, cluster.shards()[:2], None)
        while len(processes := multiprocessing.active_children()) < 2:
            assert not building.done()
            time.sleep(0.01)
        processes[0].kill()
        with pytest.raises(WarehouseUnavailableError, match=r"The build of shard \d died"):
            building.result()
    assert versions() == before


def test_a_full_build_on_what_is_kept_is_equal(
    single: Warehouse, cluster: ClusterWarehouse, second: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = gather._copy

    def late(run: Build, batches: Iterator[Any], table: str, *, is_unique: bool = False) -> None:
        if run.peers.rank == 0 and table in {"category_parts", "leaderboard_places"}:
            time.sleep(0.5)  # the last step before a build forgets what it staged: others still have to copy it
        copy(run, batches, table, is_unique=is_unique)

    monkeypatch.setattr(gather, "_copy", late)
    for module in (specialists_step, edges):  # so that a small universe has wallets to test
        monkeypatch.setattr(module, "MIN_EVENTS", 3)
    build_both(single, cluster, None)
    assert_equal(single, cluster)
    assert rows_of(single, "category_specialists")


def test_a_price_that_a_killed_build_took_out_on_its_shard_goes_from_all(
    cluster: ClusterWarehouse, second: None
) -> None:
    owner, *_ = cluster.engines
    token, key = owner.query(
        "SELECT token, tx_key FROM token_prices FINAL WHERE source = 'fill'"
        " AND (token, tx_key) IN (SELECT token, tx_key FROM priced_fills) ORDER BY ts, tx_key LIMIT 1"
    ).rows[0]
    this = {"token": bytes(token).hex(), "key": int(key)}
    where = "token = toFixedString(unhex({token:String}), 32) AND tx_key = {key:UInt64}"
    # A re-organisation took the fill away, and the build that followed was killed before the others had copied.
    owner.command(f"DELETE FROM priced_fills WHERE {where}", this)
    owner.command("INSERT INTO price_changes VALUES (toFixedString(unhex({token:String}), 32), {key:UInt64})", this)
    owner.command(
        "INSERT INTO token_prices SELECT p.* REPLACE ((SELECT max(version) FROM price_builds) + 1 AS version,"
        f" 1 AS is_deleted) FROM token_prices AS p FINAL WHERE {where}",
        this,
    )
    assert {engine.query(f"SELECT count() FROM token_prices FINAL WHERE {where}", this).rows[0][0]
            for engine in cluster.engines} == {0, 1}  # fmt: skip
    build_shards(cluster.shards(), cluster.divided([]), is_cluster=False, in_processes=False)
    copies = [rows_of(engine, "token_prices") for engine in cluster.engines]
    assert copies[0]
    assert all(copy == copies[0] for copy in copies)
    assert not owner.query(f"SELECT count() FROM token_prices FINAL WHERE {where}", this).rows[0][0]
