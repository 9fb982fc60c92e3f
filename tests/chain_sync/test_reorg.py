"""A re-organisation leaves no trace of the abandoned blocks, whenever it happens and whoever is killed meanwhile."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import Any

import pytest
from chain_world import RAW, check_truth, dump, dump_models, rebuild, serve, state_in, sync, write_events

from polyhouse.errors import PolyhouseError
from polyhouse.models.runner import build
from polyhouse.sim.universe import Universe
from polyhouse.sync import chain
from polyhouse.sync.reorg import rebuilt, wallets_to_rebuild
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

BLOCKS = {"chain_blocks": "* EXCEPT version", "coverage": "from_block, to_block, contract_group, rows, digest, to_hash"}


def crowded() -> Universe:
    """A universe of a day, so that some stretches of blocks are full."""
    return Universe(seed=5, wallets=8, fills=2_000, with_transfers=True, span_days=2, now_fraction=0.6)


def full_places(world: Universe, count: int) -> list[int]:
    """Blocks at the ends of the fullest stretches of 50 blocks, at least 100 blocks apart, in order."""
    blocks = sorted({tx.block for tx in world.transactions(until=world.now)})
    density = sorted(((n - bisect_left(blocks, block - 49), block) for n, block in enumerate(blocks)), reverse=True)
    chosen: list[int] = []
    for _, block in density:
        if all(abs(block - other) > 100 for other in chosen):
            chosen.append(block)
    return sorted(chosen[:count])


def fresh_copy(folder: Path) -> Any:
    folder.mkdir()
    return open_warehouse(f"chdb://{folder}/warehouse")


async def tables_of_a_fresh_read(folder: Path, server: Any, world: Any) -> dict[str, Any]:
    with fresh_copy(folder) as warehouse, state_in(folder) as state:
        await sync(warehouse, state, server.rpc_urls)
        write_events(warehouse, world)
        build(warehouse)
        return dump(warehouse, RAW) | dump_models(warehouse) | dump(warehouse, {"chain_blocks": "hash, block"})


async def test_depths_from_1_to_50_one_after_the_other(tmp_path: Path) -> None:
    world = crowded()
    async with serve(world) as server:
        (tmp_path / "a").mkdir()
        with open_warehouse(f"chdb://{tmp_path}/a/warehouse") as warehouse, state_in(tmp_path / "a") as state:
            write_events(warehouse, world)
            removed = 0
            for depth, head in zip((1, 23, 50), full_places(world, 3), strict=True):
                server.node.hold_head(head)
                report = await sync(warehouse, state, server.rpc_urls)
                # Models only for the deepest one: building them is what takes the time.
                rebuild(warehouse, state, report) if depth == 50 else rebuilt(state)
                before = {bytes(row[0]) for row in warehouse.query("SELECT hash FROM chain_blocks FINAL").rows}
                await server.reorg(depth)
                report = await sync(warehouse, state, server.rpc_urls)
                assert (report.status, report.errors) == ("ok", [])
                assert report.counts["reorgs"] == 1
                noted = wallets_to_rebuild(state)
                assert noted is not None, "not everybody has to be rebuilt"
                removed += len(noted)
                rebuild(warehouse, state, report) if depth == 50 else rebuilt(state)
                after = {bytes(row[0]) for row in warehouse.query("SELECT hash FROM chain_blocks FINAL").rows}
                assert len(before - after) == depth
                logs = {bytes(row[0]) for row in warehouse.query("SELECT block_hash FROM chain_logs FINAL").rows}
                assert not logs & (before - after)
            server.node.hold_head(None)
            rebuild(warehouse, state, await sync(warehouse, state, server.rpc_urls))
            assert removed, "no abandoned block held anything: the test proved nothing"
            ours = dump(warehouse, RAW) | dump_models(warehouse) | dump(warehouse, {"chain_blocks": "hash, block"})
            check_truth(warehouse, server.node.canonical_transactions(), world)
        fresh = await tables_of_a_fresh_read(tmp_path / "b", server, world)
    for table, rows in fresh.items():
        if table == "chain_blocks":  # the fresh read keeps fewer headers
            assert set(map(repr, rows)) <= set(map(repr, ours[table]))
        else:
            assert ours[table] == rows, table


@pytest.mark.parametrize("cut", [1, 4])
async def test_a_removal_that_is_cut_anywhere_is_finished_later(
    tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = crowded()
    async with serve(world) as server:
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            write_events(warehouse, world)
            server.node.hold_head(full_places(world, 1)[0])
            await sync(warehouse, state, server.rpc_urls)
            await server.reorg(50)
            command, calls = warehouse.command, 0

            def failing(sql: str, params: Any = None) -> None:
                nonlocal calls
                if sql.startswith("DELETE"):
                    calls += 1
                    if calls > cut:
                        raise PolyhouseError("cut")
                command(sql, params)

            monkeypatch.setattr(warehouse, "command", failing)
            report = await sync(warehouse, state, server.rpc_urls)
            monkeypatch.undo()
            if calls > cut:
                assert report.status == "failed"
                report = await sync(warehouse, state, server.rpc_urls)
            assert report.status == "ok", report.errors
            rebuild(warehouse, state, report)
            check_truth(warehouse, server.node.canonical_transactions(), world)


async def test_a_re_org_between_the_groups_of_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = crowded()
    async with serve(world) as server:
        server.node.hold_head(full_places(world, 1)[0])
        settle = chain.settle_noted
        forked: list[int] = []

        def fork_then_settle(*args: Any) -> None:
            settle(*args)
            if not forked:
                forked.append(50)
                server.node.reorg(50)

        monkeypatch.setattr(chain, "settle_noted", fork_then_settle)
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            report = await sync(warehouse, state, server.rpc_urls)
            assert forked
            assert report.status == "ok", report.errors
            assert report.counts["reorgs"] == 1
            write_events(warehouse, world)
            build(warehouse)
            check_truth(warehouse, server.node.canonical_transactions(), world)


async def test_another_chain_below_the_confirmation_depth_changes_nothing(tmp_path: Path) -> None:
    world = crowded()
    async with serve(world) as server:
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            await sync(warehouse, state, server.rpc_urls, confirmations=10)
            before = dump(warehouse, RAW | BLOCKS)
            await server.reorg(50)
            report = await sync(warehouse, state, server.rpc_urls, confirmations=10)
            assert report.status == "failed"
            assert "is final here" in report.errors[0]
            assert dump(warehouse, RAW | BLOCKS) == before
