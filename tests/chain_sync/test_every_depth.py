"""Re-organisations of every depth from 1 to 50, in every way they come, leave no trace of the abandoned blocks.

One store follows a chain that is re-organised again and again; a second one reads the chain once, at the end, and
never had the abandoned blocks. Both hold the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chain_world import RAW, check_truth, dump, engine_of, reader_of, serve, state_in, write_events

from polyhouse.models.runner import build
from polyhouse.sim.node import Node
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.chain.rpc import ChainReader, RangeSize
from polyhouse.state import StateStore
from polyhouse.sync.chain import ChainOptions, ChainRun
from polyhouse.sync.context import RunContext
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse

DEPTHS = range(1, 51)
CONFIRMATIONS = 60
WAYS = ("plain", "while reading", "twice", "plain", "shorter")


def crowded() -> Universe:
    """A universe of some hours, so that stretches of blocks are full."""
    return Universe(seed=5, wallets=6, fills=1_000, with_transfers=True, span_days=2, now_fraction=0.6)


async def read(
    warehouse: ClickHouseWarehouse,
    state: StateStore,
    server: SimServer,
    *,
    blocks: int = 10**8,
    change: tuple[int, Callable[[], object]] | None = None,
) -> int:
    """One run up to the head in ranges of so many blocks; returns how many re-organisations it found.

    ``change``: (n, what happens before the n-th question for logs of blocks that may still change).
    """
    pool, _ = reader_of(server.rpc_urls)
    reader = ChainReader(pool, RangeSize(size=blocks, largest=blocks))
    ask, asked, soft = pool.ask, 0, server.node.head - CONFIRMATIONS

    async def asking(calls: list[Any], *more: Any) -> Any:
        nonlocal asked
        asked += any(name == "eth_getLogs" and int(params[0]["fromBlock"], 16) > soft for name, params in calls)
        if change is not None and asked == change[0]:
            asked += 1
            change[1]()
        return await ask(calls, *more)

    pool.ask = asking  # type: ignore[method-assign]
    options = ChainOptions(span=100_000_000, confirmations=CONFIRMATIONS)
    async with pool:

        async def work(ctx: RunContext) -> None:
            await ChainRun(ctx, reader, options).execute()

        report = await engine_of(warehouse, state).perform("sync chain", {}, work)
    assert (report.status, report.errors) == ("ok", [])
    return report.counts.get("reorgs", 0)


def places(world: Universe, random: Random, count: int) -> list[int]:
    """Heads for the chain, ascending, each a block that holds something: even the shallowest re-org abandons rows."""
    return sorted(random.sample(sorted({tx.block for tx in world.transactions(until=world.now)}), count))


def stored_hashes(warehouse: ClickHouseWarehouse) -> dict[int, bytes]:
    """Block → hash, of everything that says which chain it belongs to."""
    rows = warehouse.query(
        "SELECT block, hash FROM chain_blocks FINAL UNION DISTINCT SELECT block, block_hash FROM chain_logs FINAL"
    ).rows
    found = dict(rows)
    assert len(found) == len(rows), "one block has two hashes"
    return {int(block): bytes(value) for block, value in found.items()}


def has_no_trace(warehouse: ClickHouseWarehouse, node: Node) -> None:
    """Every stored hash is the node's own, and no row lies where the chain holds no log."""
    hashes = stored_hashes(warehouse)
    assert {block: node.block_hash(block, node.branch) for block in hashes} == {
        block: "0x" + value.hex() for block, value in hashes.items()
    }
    for table in ("observations", "resolutions"):
        strangers = warehouse.query(
            f"SELECT count() FROM {table} FINAL WHERE source = 'chain'"
            " AND (block, tx) NOT IN (SELECT block, tx FROM chain_logs FINAL)"
        ).rows
        assert strangers == [(0,)], table


@pytest.mark.timeout(600)
async def test_every_depth_at_varied_points(tmp_path: Path) -> None:
    world, random, ways, found = crowded(), Random(11), Counter[str](), Counter[str]()
    depths = random.sample(DEPTHS, len(DEPTHS))
    async with serve(world) as server:
        node = server.node
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            heads = places(world, random, len(DEPTHS) + 1)
            node.hold_head(heads[0])
            assert await read(warehouse, state, server) == 0
            for number, (depth, head) in enumerate(zip(depths, heads[1:], strict=True)):
                way = WAYS[number % len(WAYS)]
                before, blocks, change = node.head, random.choice((400, 10**8)), None
                if way == "while reading":
                    # The way to the last blocks is read at once, they themselves in ranges of seven blocks: some are
                    # committed, others are not, the checkpoint stands in between.
                    node.hold_head(max(before, head - 2 * CONFIRMATIONS))
                    assert await read(warehouse, state, server) == 0
                    blocks, change = 7, (random.randint(9, 16), lambda depth=depth: node.reorg(depth))
                else:
                    node.reorg(depth)
                if way == "twice":
                    node.reorg(random.randint(1, 50))
                elif way == "shorter":
                    # The other fork is not as long yet: for a moment the chain ends below what is stored.
                    node.hold_head(before - random.randint(1, depth))
                    found[way] += await read(warehouse, state, server, blocks=blocks)
                node.hold_head(head)
                found[way] += await read(warehouse, state, server, blocks=blocks, change=change)
                ways[way] += 1
                has_no_trace(warehouse, node)
            # Whatever is abandoned after it was stored is found; while reading, it may not have been stored yet.
            assert all(found[way] >= ways[way] for way in ("plain", "twice", "shorter")), found
            assert found["while reading"] >= ways["while reading"] / 2, found
            assert min(ways.values()) >= 5
            node.hold_head(None)
            assert await read(warehouse, state, server) == 0
            has_no_trace(warehouse, node)
            ours = dump(warehouse, RAW)
            write_events(warehouse, world)
            build(warehouse)
            check_truth(warehouse, node.canonical_transactions(), world)
            for table in (*RAW, "chain_blocks", "coverage", "sync_pages", "events", "builds"):
                warehouse.command(f"TRUNCATE TABLE {table}")
        (tmp_path / "state.db").unlink()
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            assert await read(warehouse, state, server) == 0
            fresh = dump(warehouse, RAW)
    assert len(fresh["chain_logs"]) > 500
    for table, rows in fresh.items():
        assert ours[table] == rows, table
