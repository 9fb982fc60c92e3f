"""HyperSync brings exactly the logs that a node brings, and nothing that a node does not confirm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from chain_world import MODELS, RAW, dump, dump_models, engine_of, reader_of, serve, state_in, universe, write_events

from polyhouse.errors import AuthError, UpstreamContractError, UpstreamUnavailableError
from polyhouse.models.runner import build
from polyhouse.sim.faults import Fault
from polyhouse.sim.hypersync_api import TOKEN, HypersyncQuirks
from polyhouse.sim.node import NodeQuirks
from polyhouse.sim.server import SimServer
from polyhouse.sources.chain.hypersync import HYPERSYNC, HypersyncReader, auth_headers
from polyhouse.sources.chain.rpc import ChainReader, LogRange, RangeSize
from polyhouse.sources.http import HttpClient, RetryPolicy
from polyhouse.sync.chain import ChainOptions, ChainRun, group_filters
from polyhouse.sync.coverage import GROUPS, LEDGER, covered, holes
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

CUTS = {
    "chain_blocks": "* EXCEPT (run, version)",
    "coverage": "* EXCEPT (run, version, seen_at)",
}
"""What depends on how the chain was cut into ranges: equal where both roads cut alike."""


@asynccontextmanager
async def second_road(server: SimServer, token: str = TOKEN, **options: Any) -> AsyncIterator[HypersyncReader]:
    policy = RetryPolicy(attempts=2, base_seconds=0.01, cap_seconds=0.05, breaker_failures=100)
    pool, _ = reader_of(server.rpc_urls)
    client = HttpClient(
        server.hypersync_url, HYPERSYNC, rate_scale=1_000.0, policy=policy, headers=auth_headers(token),
        timeouts=(1.0, 1.0, 1.0),
    )  # fmt: skip
    async with pool, client:
        yield HypersyncReader(pool, client, RangeSize(size=100_000_000, largest=200_000_000), **options)


async def run(warehouse, state, reader: ChainReader, **options: Any):
    chosen = ChainOptions(**({"span": 100_000_000} | options))

    async def work(ctx) -> None:
        await ChainRun(ctx, reader, chosen).execute()

    return await engine_of(warehouse, state).perform("sync chain", {}, work)


async def store_of(server: SimServer, folder, world, *, by_node: bool, **options: Any) -> tuple[dict, dict, list]:
    """(tables of the chain and models, tables of the cuts, what was read) of a store that one road filled."""
    page_logs, models = options.pop("page_logs", 10_000), options.pop("models", False)
    folder.mkdir()
    with open_warehouse(f"chdb://{folder}/warehouse") as warehouse, state_in(folder) as state:
        pool, nodes = reader_of(server.rpc_urls)
        async with pool, second_road(server, page_logs=page_logs) as reader:
            report = await run(warehouse, state, nodes if by_node else reader, **options)
        assert (report.status, report.errors) == ("ok", [])
        assert holes(warehouse) == {group: [] for group in GROUPS}
        tables = dump(warehouse, RAW)
        if models:
            write_events(warehouse, world)
            build(warehouse)
            tables |= dump_models(warehouse)
        return tables, dump(warehouse, CUTS), covered(warehouse, LEDGER)


async def test_both_roads_fill_identical_tables(tmp_path) -> None:
    world = universe(5, wallets=12, fills=200)
    async with serve(world, node=NodeQuirks(noise_every=10)) as server:
        node = await store_of(server, tmp_path / "node", world, by_node=True, models=True)
        assert server.requests["hypersync/query"] == 0
        calls = server.rpc.calls["rpc eth_getLogs"]
        whole = await store_of(server, tmp_path / "whole", world, by_node=False)
        tail = server.rpc.calls["rpc eth_getLogs"] - calls
        assert tail < calls  # the nodes were asked for the tail only
        server.hypersync.quirks.max_blocks = 7_000_000
        paged = await store_of(server, tmp_path / "paged", world, by_node=False, models=True, page_logs=150, workers=3)
        assert server.requests["hypersync/query"] > 20
    assert all(node[0][table] for table in (MODELS[0], "positions", "chain_logs", "tokens", "observations"))
    for table, rows in node[0].items():
        assert paged[0][table] == rows, table
    for table, rows in whole[0].items():
        assert node[0][table] == rows, table
    for table, rows in node[1].items():
        assert whole[1][table] == rows, table
    assert node[2] == whole[2] == paged[2]


async def test_nodes_read_what_the_archive_does_not_have_yet(tmp_path) -> None:
    world = universe(5, wallets=10, fills=150)
    async with serve(world) as server:
        server.hypersync.quirks.lag, server.hypersync.quirks.boasts = server.node.head - middle(server), True
        node = await store_of(server, tmp_path / "node", world, by_node=True)
        behind = await store_of(server, tmp_path / "behind", world, by_node=False)
        assert server.requests["hypersync/query"] > 2
        server.hypersync.quirks.lag, server.hypersync.quirks.says_height = 0, False
        silent = await store_of(server, tmp_path / "silent", world, by_node=False)
        begun, finished = await mixed_store(server, tmp_path / "mixed")
    assert node[0] == behind[0] == silent[0] == finished
    assert node[2] == behind[2] == silent[2]
    assert 0 < begun < len(finished["chain_logs"])


def middle(server: SimServer) -> int:
    """A block with as many blocks with logs before as behind it."""
    numbers = server.node.numbers(0, server.node.head, server.node.branch)
    return numbers[len(numbers) // 2]


async def mixed_store(server: SimServer, folder) -> tuple[int, dict]:
    """(logs that HyperSync stored, tables at the end) of a store that one road began and the other finished."""
    folder.mkdir()
    server.hypersync.quirks.says_height = True
    with open_warehouse(f"chdb://{folder}/warehouse") as warehouse, state_in(folder) as state:
        pool, nodes = reader_of(server.rpc_urls)
        async with pool, second_road(server, page_logs=100) as reader:
            asked = server.rpc.calls["rpc eth_getLogs"]
            await run(warehouse, state, reader, to_block=middle(server))
            assert server.rpc.calls["rpc eth_getLogs"] == asked
            begun = int(warehouse.query("SELECT count() FROM chain_logs FINAL").rows[0][0])
            await run(warehouse, state, nodes)
        assert holes(warehouse) == {group: [] for group in GROUPS}
        return begun, dump(warehouse, RAW)


async def ranges(reader: ChainReader, server: SimServer, **options: Any) -> list[LogRange]:
    first, last = bounds(server)
    return [found async for found in reader.ranges(group_filters()[LEDGER], first, last, **options)]


def bounds(server: SimServer) -> tuple[int, int]:
    return server.node.numbers(0, server.node.head, server.node.branch)[0], server.node.head - 200


async def test_ranges_follow_each_other_and_end_where_asked() -> None:
    async with serve(universe(wallets=8, fills=80)) as server, second_road(server, page_logs=40) as reader:
        server.hypersync.quirks.too_many_logs = 200  # too large an answer is refused: fewer blocks are asked for
        server.hypersync.quirks.max_logs = 500
        found = await ranges(reader, server)
        first, last = bounds(server)
        assert len(found) > 5
        assert (found[0].first, found[-1].last) == (first, last)
        assert all(before.last + 1 == after.first for before, after in pairwise(found))
        logs = [log for one in found for log in one.logs]
        assert all(one.headers[-1].number == one.last for one in found)
        pool, nodes = reader_of(server.rpc_urls)
        async with pool:
            expected = [log for one in await ranges(nodes, server) for log in one.logs]
    assert [{k: v for k, v in log.items() if k != "removed"} for log in expected] == logs


async def test_slow_answers_are_asked_for_in_parts() -> None:
    async with serve(universe(wallets=8, fills=80)) as server, second_road(server) as reader:
        server.faults.set([Fault("hypersync/query", "status", status=504, times=2)])
        found = await ranges(reader, server)
        assert len(found) > 1
        assert server.faults.fired


async def test_pages_of_an_abandoned_fork_are_not_taken() -> None:
    async with serve(universe(wallets=8, fills=80)) as server, second_road(server) as reader:
        await server.reorg(40)
        first, head = bounds(server)[0], server.node.head
        wanted = group_filters()[LEDGER]
        server.hypersync.quirks.lag = 0
        assert [one.last async for one in reader.ranges(wanted, first, head)][-1] == head
        server.hypersync.quirks.stale = True
        with pytest.raises(UpstreamUnavailableError, match="different blocks"):
            [one async for one in reader.ranges(wanted, first, head)]


@pytest.mark.parametrize("guarded", [0, 500])
async def test_a_changed_block_is_noticed_by_its_last_log_or_the_guard(guarded: int) -> None:
    async with serve(universe(wallets=8, fills=80)) as server, second_road(server) as reader:
        server.hypersync.quirks.hash_salt, server.hypersync.quirks.guarded = "f", guarded
        server.hypersync.quirks.lag = 200
        server.hypersync.quirks.deaf = guarded > 0  # without logs only the guard tells
        with pytest.raises(UpstreamUnavailableError, match="different blocks"):
            await ranges(reader, server)


async def test_the_archive_of_another_chain_is_refused(tmp_path) -> None:
    quirks = HypersyncQuirks(hash_salt="00", deaf=True, guarded=0)
    async with serve(universe(wallets=8, fills=80), hypersync=quirks) as server, second_road(server) as reader:
        with pytest.raises(UpstreamContractError, match="another block"):
            await reader.check_chain()
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            report = await run(warehouse, state, reader)
            assert (report.status, report.exit_code) == ("failed", 3)
            assert covered(warehouse, LEDGER) == []


async def test_answers_without_progress_are_refused() -> None:
    async with serve(universe(wallets=8, fills=80)) as server, second_road(server) as reader:
        server.hypersync.quirks.max_blocks = 0
        with pytest.raises(UpstreamContractError, match="is answered with block"):
            await ranges(reader, server)


async def test_errors_pass_and_a_dead_service_is_an_error() -> None:
    async with serve(universe(wallets=8, fills=80)) as server, second_road(server) as reader:
        whole = sum(len(one.logs) for one in await ranges(reader, server))
        assert whole > 100
        for fault in (
            Fault("hypersync/query", "status", status=503, times=1),
            Fault("hypersync/query", "truncated", times=1),
            Fault("hypersync/query", "status", status=429, times=1, retry_after="0"),
        ):
            server.faults.set([fault])
            assert sum(len(one.logs) for one in await ranges(reader, server)) == whole
        assert sum(server.faults.fired.values()) == 3
        server.faults.set([Fault("hypersync/query", "status", status=503)])
        with pytest.raises(UpstreamUnavailableError):
            await ranges(reader, server)


@pytest.mark.parametrize("token", ["", "wrong-token-7431"])
async def test_a_refused_token_ends_the_run_with_code_4_and_is_not_shown(tmp_path, token: str) -> None:
    async with serve(universe(wallets=8, fills=80)) as server, second_road(server, token) as reader:
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            report = await run(warehouse, state, reader)
            assert (report.status, report.exit_code) == ("failed", 4)
            assert "refused the token" in " ".join(report.errors)
            assert not token or token not in repr(report)
        with pytest.raises(AuthError) as caught:
            await reader.check_chain()
    chain: BaseException | None = caught.value
    while chain is not None:
        assert not token or token not in f"{chain!r}{getattr(chain, 'hint', '')}"
        chain = chain.__cause__


async def test_a_token_that_expires_ends_the_run_with_code_4_and_keeps_what_was_read(tmp_path) -> None:
    async with serve(universe(wallets=8, fills=80)) as server, second_road(server, page_logs=50) as reader:
        server.faults.set([Fault("hypersync/query", "status", status=401, after=6)])
        with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
            report = await run(warehouse, state, reader)
            assert report.exit_code == 4
            kept = covered(warehouse, "registry")
            assert kept
            server.faults.set([])
            async with second_road(server) as renewed:
                report = await run(warehouse, state, renewed)
            assert (report.status, report.exit_code) == ("ok", 0)
            assert holes(warehouse) == {group: [] for group in GROUPS}
