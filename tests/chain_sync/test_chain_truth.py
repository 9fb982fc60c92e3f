"""A universe that is read from the simulated node equals the simulator's truth in every number of every wallet."""

from __future__ import annotations

from pathlib import Path

import pytest
from chain_world import BIG, MODELS, RAW, check_truth, dump, dump_models, serve, state_in, sync, universe, write_events

from polyhouse.models.checks import run_checks
from polyhouse.models.runner import build
from polyhouse.sim.node import NodeQuirks
from polyhouse.sim.rpc_api import RpcEndpoint
from polyhouse.sync.coverage import run_coverage_checks
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")


async def test_every_number_of_every_wallet(tmp_path: Path) -> None:
    world = universe(8, wallets=40, fills=800)
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
        async with serve(world, node=NodeQuirks(noise_every=5)) as server:
            report = await sync(warehouse, state, server.rpc_urls)
        assert (report.status, report.errors) == ("ok", [])
        assert report.counts["flag_foreign_condition"] > 5  # strangers were there
        write_events(warehouse, world)
        build(warehouse)
        assert check_truth(warehouse, world.transactions(until=world.now), world) >= 30
        assert [c for c in [*run_checks(warehouse), *run_coverage_checks(warehouse)] if not c.ok] == []
        zero_sum(warehouse)


def zero_sum(warehouse: object) -> None:
    """Every share of a token that wallets hold was minted by a split, a conversion or a match; merges and redemptions
    took the rest away: of a settled condition, nobody can hold more of one outcome than of what was ever split."""
    rows = warehouse.query(  # type: ignore[attr-defined]
        """
        SELECT condition, sum(du) FROM ledger AS l FINAL INNER JOIN (SELECT token, condition FROM token_map FINAL) AS t
        ON l.token = t.token GROUP BY condition
        HAVING countIf(kind NOT IN ('BUY', 'SELL', 'SPLIT', 'MERGE')) = 0 AND countIf(kind IN ('BUY', 'SELL')) > 0
        """
    ).rows
    held = dict(
        warehouse.query(  # type: ignore[attr-defined]
            """
            SELECT condition, max(ABS(s0 - s1)) FROM (
              SELECT condition, sumIf(ds, outcome = 0) AS s0, sumIf(ds, outcome = 1) AS s1 FROM ledger AS l FINAL
              INNER JOIN (SELECT token, condition, outcome FROM token_map FINAL) AS t ON l.token = t.token
              GROUP BY condition) GROUP BY condition
            """
        ).rows
    )
    # Nothing but trades, splits and merges: both outcomes exist in the same number, whoever holds them.
    assert rows
    assert {held[condition] for condition, _ in rows} == {0}


async def test_narrow_and_faulty_nodes_give_the_same_tables(tmp_path: Path) -> None:
    world = universe(wallets=16, fills=250)
    tables = {}
    narrow = [
        RpcEndpoint("rpc", max_range=9_000_000, max_results=120, max_batch=50, dialect="alchemy", shuffle=True),
        RpcEndpoint("rpc2", max_range=5_000_000, max_results=150, max_batch=60, dialect="gateway", lag=5),
    ]
    for name, endpoints, size in (("broad", [BIG], 100_000_000), ("narrow", narrow, 50_000_000)):
        (tmp_path / name).mkdir()
        with open_warehouse(f"chdb://{tmp_path}/{name}/warehouse") as warehouse, state_in(tmp_path / name) as state:
            async with serve(world, endpoints) as server:
                report = await sync(warehouse, state, server.rpc_urls, size=size, span=20_000_000, workers=3)
            assert (report.status, report.errors) == ("ok", [])
            write_events(warehouse, world)
            build(warehouse)
            tables[name] = dump(warehouse, RAW) | dump_models(warehouse)
            pages = int(warehouse.query("SELECT count() FROM coverage FINAL").rows[0][0])
            assert pages > 10 or name == "broad"
    assert all(tables["broad"][table] for table in (*MODELS[:1], "positions", "chain_logs", "tokens"))
    for table, rows in tables["broad"].items():
        assert tables["narrow"][table] == rows, table


async def test_new_blocks_are_taken_in_and_read_once(tmp_path: Path) -> None:
    world = universe(wallets=16, fills=250)
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
        async with serve(world) as server:
            await sync(warehouse, state, server.rpc_urls)
            before = int(warehouse.query("SELECT count() FROM chain_logs FINAL").rows[0][0])
            again = await sync(warehouse, state, server.rpc_urls)
            assert again.counts.get("pages", 0) == 0
            await server.advance(20 * 86_400)
            report = await sync(warehouse, state, server.rpc_urls)
        assert report.touched
        after = int(warehouse.query("SELECT count() FROM chain_logs FINAL").rows[0][0])
        assert after > before
        write_events(warehouse, world)
        build(warehouse)
        check_truth(warehouse, world.transactions(until=world.now), world)
        low, high, count = warehouse.query(
            "SELECT min(block), max(block), count() FROM chain_blocks FINAL WHERE finality = 'soft'"
        ).rows[0]
        assert (high - low + 1, count) == (128, 128)
