"""A re-organisation leaves no trace of the abandoned blocks, whenever it happens and whoever is killed meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chain_world import RAW, check_truth, dump, dump_models, serve, state_in, sync, universe, write_events

from polyhouse.errors import PolyhouseError
from polyhouse.models.runner import build
from polyhouse.sync import chain, reorg
from polyhouse.sync.reorg import rebuilt, wallets_to_rebuild
from polyhouse.warehouse import open_warehouse

BLOCKS = {"chain_blocks": "* EXCEPT version", "coverage": "from_block, to_block, contract_group, rows, digest, to_hash"}


def crowded(wallets: int = 12) -> Any:
    """A universe of a few days, so that the newest blocks are full."""
    from polyhouse.sim.universe import Universe

    return Universe(seed=5, wallets=wallets, fills=1_500, with_transfers=True, span_days=2, now_fraction=0.6)


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
            await sync(warehouse, state, server.rpc_urls)
            write_events(warehouse, world)
            build(warehouse)
            removed = 0
            for depth in (1, 2, 7, 23, 50):
                before = {bytes(row[0]) for row in warehouse.query("SELECT hash FROM chain_blocks FINAL").rows}
                await server.reorg(depth)
                report = await sync(warehouse, state, server.rpc_urls)
                assert report.status == "ok", report.errors
                assert report.counts["reorgs"] == 1
                noted = wallets_to_rebuild(state)
                assert noted is not None
                build(warehouse, sorted({*noted, *(report.touched or ())}))
                rebuilt(state)
                after = {bytes(row[0]) for row in warehouse.query("SELECT hash FROM chain_blocks FINAL").rows}
                assert len(before - after) == depth
                gone = before - after
                logs = {bytes(row[0]) for row in warehouse.query("SELECT block_hash FROM chain_logs FINAL").rows}
                assert not gone & logs
                removed += len(noted)
                await server.advance(120)
                report = await sync(warehouse, state, server.rpc_urls)
                build(warehouse, report.touched)
            assert removed, "no abandoned block held anything: the test proved nothing"
            ours = dump(warehouse, RAW) | dump_models(warehouse) | dump(warehouse, {"chain_blocks": "hash, block"})
            check_truth(warehouse, server.node.canonical_transactions(), world)
        fresh = await tables_of_a_fresh_read(tmp_path / "b", server, world)
    for table, rows in fresh.items():
        if table == "chain_blocks":  # the fresh read keeps fewer headers
            assert set(map(repr, rows)) <= set(map(repr, ours[table]))
        else:
            assert ours[table] == rows, table


@pytest.mark.parametrize("cut", range(9))
async def test_a_removal_that_is_cut_anywhere_is_finished_later(
    tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = crowded(8)
    async with serve(world) as server:
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            await sync(warehouse, state, server.rpc_urls)
            write_events(warehouse, world)
            build(warehouse)
            await server.reorg(40)
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
            noted = wallets_to_rebuild(state)
            build(warehouse, noted if noted is None else sorted({*noted, *(report.touched or ())}))
            check_truth(warehouse, server.node.canonical_transactions(), world)


async def test_a_re_org_between_the_groups_of_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = crowded(8)
    async with serve(world) as server:
        settle = chain.settle_noted
        forked: list[int] = []

        def fork_then_settle(*args: Any) -> None:
            settle(*args)
            if not forked:
                forked.append(30)
                server.node.reorg(30)

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
    world = crowded(8)
    async with serve(world) as server:
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            await sync(warehouse, state, server.rpc_urls, confirmations=10)
            before = dump(warehouse, RAW | BLOCKS)
            await server.reorg(50)
            report = await sync(warehouse, state, server.rpc_urls, confirmations=10)
            assert report.status == "failed"
            assert "is final here" in report.errors[0]
            assert dump(warehouse, RAW | BLOCKS) == before
            assert reorg.wallets_to_rebuild(state) == []
