"""The JSON-RPC client: what nodes answer, and which of it counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from chain_world import BIG, reader_of, serve, universe

from polyhouse.domain import contracts
from polyhouse.errors import (
    ConfigError,
    PolyhouseError,
    RateLimitedError,
    UpstreamContractError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from polyhouse.sim.faults import Fault, FaultPlan
from polyhouse.sim.rpc_api import DIALECTS, RpcEndpoint
from polyhouse.sources.chain.eras import Filter
from polyhouse.sources.chain.provider import RangeTooLargeError, parse_limits
from polyhouse.sources.chain.rpc import ChainReader, RangeSize

CTF = Filter("ctf", (contracts.CTF,), (), 0)


@asynccontextmanager
async def node(answer: Any, status: int = 200) -> AsyncIterator[str]:
    """A node that answers every call with the same result, or with an error object."""

    async def handle(request: web.Request) -> web.Response:
        calls = await request.json()
        several = isinstance(calls, list)
        answers = [{"jsonrpc": "2.0", "id": call["id"], **answer} for call in (calls if several else [calls])]
        return web.json_response(answers if several else answers[0], status=status)

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v2/secret-key"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("code", "text", "error"),
    [
        *(
            (code, text.format(limit=500, low=1, high=2), RangeTooLargeError)
            for dialect in DIALECTS.values()
            for code, text in (dialect.range_error, dialect.count_error)
        ),
        (-32005, "daily request count exceeded, request rate limited", RateLimitedError),
        (429, "Your app has exceeded its compute units per second capacity", RateLimitedError),
        (-32601, "the method eth_getLogs does not exist", UpstreamRefusedError),
        (-32000, "header not found", UpstreamUnavailableError),
        (-32603, "internal error", UpstreamUnavailableError),
    ],
)  # fmt: skip
async def test_errors_inside_200_mean_what_they_say(code: int, text: str, error: type[PolyhouseError]) -> None:
    async with node({"error": {"code": code, "message": text}}) as url:
        pool, _ = reader_of([url])
        async with pool:
            with pytest.raises(error) as caught:
                await pool.ask([("eth_getLogs", [{}])])
    assert type(caught.value) is error
    assert "secret-key" not in str(caught.value)


async def test_an_error_with_a_status_is_read_too() -> None:
    async with node({"error": {"code": -32602, "message": "query exceeds max results 20000"}}, status=400) as url:
        pool, _ = reader_of([url])
        async with pool:
            with pytest.raises(RangeTooLargeError):
                await pool.ask([("eth_getLogs", [{}])])


@pytest.mark.parametrize("result", [None, 5, "0x", {"number": "0x1"}, {"number": "0x7", "hash": "0x1"}])
async def test_answers_that_are_no_blocks_are_errors(result: Any) -> None:
    async with node({"result": result}) as url:
        pool, reader = reader_of([url])
        async with pool:
            with pytest.raises((UpstreamContractError, UpstreamUnavailableError)):
                await reader.headers([7])


async def test_another_chain_is_refused() -> None:
    async with node({"result": "0x1"}) as url:
        pool, reader = reader_of([url])
        async with pool:
            with pytest.raises(UpstreamContractError, match="chain 1, not Polygon"):
                await reader.check_chain()


async def test_a_node_that_is_behind_is_not_believed() -> None:
    """Most nodes answer blocks they do not have with an empty list."""
    world = universe(wallets=8, fills=80)
    endpoints = [RpcEndpoint("rpc", max_range=200_000_000, lag=60), BIG_SECOND]
    async with serve(world, endpoints) as server:
        head = server.node.head
        pool, reader = reader_of(server.rpc_urls)
        async with pool:
            found = [one async for one in reader.ranges([CTF], head - 2_000_000, head)]
            assert found[-1].last == head
            alone, lagging = reader_of(server.rpc_urls[:1])
            async with alone:
                with pytest.raises(UpstreamUnavailableError, match="does not have block"):
                    [one async for one in lagging.ranges([CTF], head - 10, head)]
                # What it has, it may tell.
                assert [one.last async for one in lagging.ranges([CTF], head - 100, head - 60)] == [head - 60]


BIG_SECOND = RpcEndpoint("rpc2", max_range=200_000_000, max_results=100_000, max_batch=1_000)


async def test_faults_of_one_node_are_answered_by_the_other() -> None:
    world = universe(wallets=8, fills=80)
    faults = [Fault("rpc", "status", status=503, times=2), Fault("rpc", "html", times=2)]
    plan = FaultPlan([*faults, Fault("rpc", "truncated", times=2)])
    async with serve(world, [BIG, BIG_SECOND], faults=plan) as server:
        head = server.node.head
        pool, reader = reader_of(server.rpc_urls)
        clean, other = reader_of(server.rpc_urls[1:])
        async with pool, clean:
            first = head - 4_000_000
            got = [log for one in [r async for r in reader.ranges([CTF], first, head)] for log in one.logs]
            want = [log for one in [r async for r in other.ranges([CTF], first, head)] for log in one.logs]
        assert got == want
        assert want
        assert server.faults.fired


async def test_a_crowded_block_is_read_contract_by_contract() -> None:
    world = universe(wallets=8, fills=80)
    async with serve(world, [BIG]) as server:
        head = server.node.head
        filters = [Filter("all", (contracts.CTF, contracts.EX1, contracts.NEX1, contracts.NEG_RISK_ADAPTER), (), 0)]
        pool, reader = reader_of(server.rpc_urls)
        async with pool:
            logs = [log for one in [r async for r in reader.ranges(filters, 0, head)] for log in one.logs]
            by_block: dict[str, list[Any]] = {}
            for log in logs:
                by_block.setdefault(log["blockNumber"], []).append(log)
            crowded = max(by_block.values(), key=lambda rows: (len({r["address"] for r in rows}) > 1, len(rows)))
            largest = max(sum(r["address"] == a for r in crowded) for a in {r["address"] for r in crowded})
            assert largest < len(crowded)
            server.rpc.change("rpc", {"max_results": largest})
            block = int(crowded[0]["blockNumber"], 16)
            narrow = ChainReader(pool, RangeSize(size=4))
            found = [log for one in [r async for r in narrow.ranges(filters, block, block)] for log in one.logs]
            assert found == crowded
            server.rpc.change("rpc", {"max_results": largest - 1})
            with pytest.raises(RangeTooLargeError, match="alone are too many"):
                [one async for one in narrow.ranges(filters, block, block)]


def test_ranges_shrink_and_grow() -> None:
    size = RangeSize(size=1_000, largest=5_000, wanted_logs=100)
    size.refused(1_000)
    assert size.size == 500
    size.answered(500, 3)
    assert size.size == 999  # not again what was just refused
    size.answered(999, 500)
    assert size.size == 499
    for _ in range(80):
        size.answered(size.size, 0)
    assert size.size == 5_000  # the refusal is forgotten after a while


@pytest.mark.parametrize("text", ["", "0", "a", "1,2,3", "-5"])
def test_limits_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_limits(text, 2)


def test_limits_for_all_or_for_each() -> None:
    assert parse_limits("200", 2) == [200, 200]
    assert parse_limits("200, 50", 2) == [200, 50]
