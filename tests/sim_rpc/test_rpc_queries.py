"""Filters, caps, batches, blocks, lagging endpoints and faults of the simulated node, over real HTTP."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiohttp
import msgspec
import pytest
from sim_rpc_tools import Caller

from polyhouse.domain import contracts
from polyhouse.errors import BadInputError
from polyhouse.sim.abi import TOPICS
from polyhouse.sim.faults import Fault, FaultPlan
from polyhouse.sim.rpc_api import DIALECTS, RpcEndpoint
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe

CTF, EX1 = "0x" + contracts.CTF.hex(), "0x" + contracts.EX1.hex()
WIDE = RpcEndpoint("rpc", max_range=10**9, max_results=10**9, max_batch=1_000)


@pytest.fixture
async def server(universe: Universe) -> AsyncIterator[SimServer]:
    async with SimServer(universe, endpoints=[WIDE]) as running:
        yield running


@pytest.fixture
async def everything(server: SimServer, rpc: Caller) -> list[dict[str, Any]]:
    return await rpc.logs(server.rpc_url, 0, await rpc.head(server.rpc_url))


async def test_filters_find_what_a_scan_finds(
    server: SimServer, rpc: Caller, everything: list[dict[str, Any]]
) -> None:  # fmt: skip
    rng = Random(4)
    head = await rpc.head(server.rpc_url)
    fill = next(log for log in everything if log["topics"][0] == TOPICS["OrderFilled1"])
    maker = fill["topics"][2]
    filters: list[tuple[Any, list[Any]]] = [
        (CTF, []), (EX1, [TOPICS["OrderFilled1"]]), ([CTF, EX1.upper().replace("0X", "0x")], [None]), (None, [[]]),
        (None, [[TOPICS["OrderFilled1"], TOPICS["OrderFilled2"]], None, maker]),
        (None, [None, None, [maker, fill["topics"][3]]]), (None, [None, fill["topics"][1]]),
        (CTF, [[TOPICS["TransferSingle"], TOPICS["TransferBatch"]], None, "0x" + "0" * 64, None]),
        ([], [[TOPICS["ConditionPreparation"], None]]), (EX1, [TOPICS["ConditionPreparation"]]),
    ]  # fmt: skip
    found = 0
    for address, topics in filters:
        first = int(everything[rng.randrange(len(everything))]["blockNumber"], 16)
        wanted = {"topics": topics} | ({} if address is None else {"address": address})
        answer = await rpc.logs(server.rpc_url, first, head, **wanted)
        assert answer == [log for log in everything if _fits(log, first, address, topics)]
        found += len(answer) > 0
    assert found >= 8


def _fits(log: dict[str, Any], first: int, address: Any, topics: list[Any]) -> bool:
    """The filter's meaning once more, position by position."""
    if int(log["blockNumber"], 16) < first:
        return False
    if address and log["address"] not in str(address).lower():
        return False
    for place, topic in enumerate(topics):
        if place >= len(log["topics"]):
            return False
        options = topic if isinstance(topic, list) else [topic]
        if options and None not in options and log["topics"][place] not in options:
            return False
    return True


async def test_logs_of_one_block_by_hash(server: SimServer, rpc: Caller, everything: list[dict[str, Any]]) -> None:
    log = everything[len(everything) // 2]
    same = [other for other in everything if other["blockNumber"] == log["blockNumber"]]
    assert await rpc.result(server.rpc_url, "eth_getLogs", {"blockHash": log["blockHash"]}) == same
    unknown = await rpc.ask(server.rpc_url, "eth_getLogs", {"blockHash": "0x" + "12" * 32})
    assert unknown["error"] == {"code": -32000, "message": "unknown block"}
    both = await rpc.ask(server.rpc_url, "eth_getLogs", {"blockHash": log["blockHash"], "fromBlock": "0x1"})
    assert both["error"]["code"] == -32602
    block = await rpc.block(server.rpc_url, log["blockHash"], "Hash")
    assert (block["number"], block["hash"]) == (log["blockNumber"], log["blockHash"])
    assert block["transactions"] == list(dict.fromkeys(other["transactionHash"] for other in same))


async def test_blocks_have_no_gaps_and_no_steady_pace(
    server: SimServer, rpc: Caller, everything: list[dict[str, Any]], universe: Universe
) -> None:  # fmt: skip
    middle = int(everything[len(everything) // 2]["blockNumber"], 16)
    blocks = [await rpc.block(server.rpc_url, number) for number in range(middle - 60, middle + 60)]
    for before, block in itertools.pairwise(blocks):
        assert block["parentHash"] == before["hash"]
        assert int(block["number"], 16) == int(before["number"], 16) + 1
    gaps = {int(block["timestamp"], 16) - int(before["timestamp"], 16) for before, block in itertools.pairwise(blocks)}
    assert gaps == {1, 2, 3}
    assert any(not block["transactions"] for block in blocks)
    times = {tx.block: tx.ts for tx in universe.transactions() if any(log.t != "Income" for log in tx.logs)}
    for number in [*times][::100]:
        block = await rpc.block(server.rpc_url, number)
        assert int(block["timestamp"], 16) == times[number]
    first = await rpc.block(server.rpc_url, "earliest")
    assert (first["number"], first["parentHash"]) == ("0x0", "0x" + "0" * 64)


async def test_the_head_follows_the_clock_and_can_be_held(busy: Universe, rpc: Caller) -> None:
    async with SimServer(busy, endpoints=[WIDE]) as server:
        url = server.rpc_url
        head = await rpc.head(url)
        assert (await rpc.block(url, "latest"))["number"] == hex(head)
        assert await rpc.block(url, head + 1) is None
        before = await rpc.logs(url, 0, head)
        await server.advance(3_600)
        assert await rpc.head(url) == head + 1_800
        after = await rpc.logs(url, 0, head + 1_800)
        assert after[: len(before)] == before
        assert len(after) > len(before)
        status, body, _ = await rpc.post(f"{server.base_url}/_sim/head", {"block": head - 100})
        assert (status, msgspec.json.decode(body)) == (200, {"head": head - 100})
        assert await rpc.head(url) == head - 100
        held = await rpc.logs(url, 0, head + 1_800)
        assert held == [log for log in before if int(log["blockNumber"], 16) <= head - 100]
        final = await rpc.block(url, "finalized")
        assert int(final["number"], 16) == head - 164
        await rpc.post(f"{server.base_url}/_sim/head", {"block": None})
        assert await rpc.head(url) == head + 1_800


async def test_small_calls_and_wrong_ones(server: SimServer, rpc: Caller) -> None:
    url = server.rpc_url
    assert await rpc.result(url, "eth_chainId") == "0x89"
    wrong: list[tuple[str, list[Any], int]] = [
        ("eth_noSuchThing", [], -32601), ("eth_getLogs", [], -32602), ("eth_getLogs", ["x"], -32602),
        ("eth_getLogs", [{"fromBlock": "12"}], -32602), ("eth_getLogs", [{"fromBlock": "0x0c"}], -32602),
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}], -32000),
        ("eth_getLogs", [{"address": "0x12"}], -32602), ("eth_getLogs", [{"topics": ["0x12"]}], -32602),
        ("eth_getLogs", [{"topics": [None] * 5}], -32602), ("eth_getBlockByHash", ["0x12"], -32602),
        ("eth_getBlockByNumber", [], -32602),
    ]  # fmt: skip
    for method, params, code in wrong:
        assert (await rpc.ask(url, method, *params))["error"]["code"] == code, (method, params)
    for body in (b"{", b"[]", b'{"id":1}', b'"x"'):
        _, answer, _ = await rpc.post(url, body)
        assert msgspec.json.decode(answer)["error"]["code"] in (-32700, -32600)
    async with rpc.session.get(url) as response:
        assert response.status == 405
    async with rpc.session.post(server.base_url + "/rpc9", data=b"{}") as response:
        assert response.status == 404


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_caps_in_every_dialect(universe: Universe, rpc: Caller, dialect: str) -> None:
    endpoints = [WIDE, RpcEndpoint("rpc2", max_range=50_000, max_results=20, dialect=dialect)]
    async with SimServer(universe, endpoints=endpoints) as server:
        wide, narrow = server.rpc_urls
        logs = await rpc.logs(wide, 0, await rpc.head(wide))
        start = int(logs[100]["blockNumber"], 16)
        asked = {"fromBlock": hex(start), "toBlock": hex(start + 50_000)}
        too_wide = await _refused(rpc, narrow, asked)
        asked["toBlock"] = hex(start + 49_999)
        too_many = await _refused(rpc, narrow, asked)
        if DIALECTS[dialect].status == 413:
            assert too_wide == too_many == "413"
            return
        assert too_wide != too_many
        # Narrowing by halves ends with the same logs as one wide request.
        assert await _halving(rpc, narrow, start, start + 49_999) == [
            log for log in logs if start <= int(log["blockNumber"], 16) <= start + 49_999
        ]


async def _refused(rpc: Caller, url: str, asked: dict[str, str]) -> str:
    status, body, _ = await rpc.post(url, {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [asked]})
    if status == 413:
        return "413"
    error = msgspec.json.decode(body)["error"]
    assert (status, error["code"] < 0) in ((200, True), (400, True))
    return f"{error['code']} {error['message']}"


async def _halving(rpc: Caller, url: str, first: int, last: int) -> list[dict[str, Any]]:
    answer = await rpc.ask(url, "eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last)})
    if "result" in answer:
        return answer["result"]
    if first == last:
        # A block with more logs than the cap can only be read by parts of the filter.
        found = []
        for name in TOPICS.values():
            found += await rpc.logs(url, first, last, topics=[name])
        return sorted(found, key=lambda log: int(log["logIndex"], 16))
    middle = (first + last) // 2
    return [*await _halving(rpc, url, first, middle), *await _halving(rpc, url, middle + 1, last)]


async def test_a_range_that_is_suggested_does(universe: Universe, rpc: Caller) -> None:
    endpoints = [WIDE, RpcEndpoint("rpc2", max_range=10**9, max_results=200)]
    async with SimServer(universe, endpoints=endpoints) as server:
        wide, narrow = server.rpc_urls
        logs = await rpc.logs(wide, 0, await rpc.head(wide))
        refused = await rpc.ask(narrow, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
        message = refused["error"]["message"]
        assert refused["error"]["code"] == -32005
        assert message.startswith("query returned more than 200 results. Try with this block range [0x0, 0x")
        fits = int(message.rsplit(", ", 1)[1].rstrip("]."), 16)
        found = await rpc.logs(narrow, 0, fits)
        assert found == logs[: len(found)]
        assert 100 < len(found) <= 200


async def test_batches(universe: Universe, rpc: Caller) -> None:
    endpoints = [RpcEndpoint("rpc", max_batch=20, shuffle=True)]
    async with SimServer(universe, endpoints=endpoints) as server:
        url = server.rpc_url
        calls = [
            {"jsonrpc": "2.0", "id": n, "method": "eth_getBlockByNumber", "params": [hex(n), False]} for n in range(18)
        ]
        calls += [
            {"jsonrpc": "2.0", "id": 18, "method": "eth_getLogs", "params": [{"fromBlock": "0x0"}]},
            {"jsonrpc": "2.0", "method": "eth_chainId"},
        ]
        status, body, _ = await rpc.post(url, calls)
        answers = msgspec.json.decode(body)
        assert status == 200
        assert [a["id"] for a in answers] != sorted(a["id"] for a in answers)
        by_id = {answer["id"]: answer for answer in answers}
        assert by_id.keys() == set(range(19))
        assert all(by_id[n]["result"]["number"] == hex(n) for n in range(18))
        assert by_id[18]["error"]["code"] == -32005
        _, body, _ = await rpc.post(url, [*calls, calls[0]])
        assert msgspec.json.decode(body)["error"] == {"code": -32600, "message": "batch too large"}
        assert server.rpc.calls["rpc eth_getBlockByNumber"] == 18
        assert server.requests["rpc"] == 2


async def test_an_endpoint_that_is_behind(universe: Universe, rpc: Caller) -> None:
    endpoints = [WIDE, RpcEndpoint("rpc2", max_range=10**9, max_results=10**9, lag=25, block_timestamps=True)]
    async with SimServer(universe, endpoints=endpoints) as server:
        good, late = server.rpc_urls
        head = await rpc.head(good)
        assert await rpc.head(late) == head - 25
        server.node.hold_head(server.node.numbers(0, head, server.node.branch)[-1])
        head = await rpc.head(good)
        logs = await rpc.logs(good, head - 30_000, head)
        cut = await rpc.logs(late, head - 30_000, head)
        assert [{k: v for k, v in log.items() if k != "blockTimestamp"} for log in cut] == logs[: len(cut)]
        assert len(cut) < len(logs)
        block = await rpc.block(late, cut[-1]["blockNumber"])
        assert cut[-1]["blockTimestamp"] == block["timestamp"]
        _, body, _ = await rpc.post(f"{server.base_url}/_sim/rpc", {"name": "rpc2", "strict_head": True})
        assert msgspec.json.decode(body)["strict_head"] is True
        refused = await rpc.ask(late, "eth_getLogs", {"fromBlock": hex(head - 100), "toBlock": hex(head)})
        assert "beyond current head" in refused["error"]["message"]
        for wrong in ({"name": "rpc9"}, {"name": "rpc2", "speed": 1}, {"name": "rpc2", "dialect": "latin"}):
            status, _, _ = await rpc.post(f"{server.base_url}/_sim/rpc", wrong)
            assert status == 400


async def test_faults(universe: Universe, rpc: Caller) -> None:
    faults = FaultPlan([
        Fault("rpc", "truncated", times=1), Fault("rpc", "status", status=429, times=1, retry_after="3"),
        Fault("rpc", "status", status=413, times=1), Fault("rpc", "status", status=200, times=1),
        Fault("rpc", "status", status=503, times=1), Fault("rpc", "html", times=1), Fault("rpc", "empty", times=1),
        Fault("rpc", "reset", times=1), Fault("rpc", "hang", times=1, seconds=0.2),
        Fault("rpc", "slow", times=1, seconds=0.2),
    ])  # fmt: skip
    async with SimServer(universe, faults=faults) as server:
        first, second = server.rpc_urls[:2]
        doc = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        _, body, _ = await rpc.post(first, doc)
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(body)
        status, body, headers = await rpc.post(first, doc)
        assert (status, headers["Retry-After"], msgspec.json.decode(body)["error"]["code"]) == (429, "3", -32005)
        status, body, headers = await rpc.post(first, doc)
        assert (status, headers["Content-Type"].split(";")[0], b"413" in body) == (413, "text/html", True)
        status, body, _ = await rpc.post(first, doc)
        assert (status, msgspec.json.decode(body)["error"]["message"]) == (200, "query timeout exceeded")
        status, body, _ = await rpc.post(first, doc)
        assert (status, msgspec.json.decode(body)["error"]["code"]) == (503, -32000)
        status, body, _ = await rpc.post(first, doc)
        assert (status, body[:6]) == (502, b"<html>")
        assert (await rpc.post(first, doc))[:2] == (200, b"")
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                await rpc.post(first, doc)
        began = time.monotonic()
        assert (await rpc.post(first, doc))[0] == 200
        assert time.monotonic() - began >= 0.2
        assert sum(faults.fired.values()) == 10
        assert await rpc.result(second, "eth_chainId") == "0x89"
        assert server.requests["rpc"] == 10


def test_endpoints_that_cannot_be(universe: Universe) -> None:
    for endpoint in (RpcEndpoint("node"), RpcEndpoint("rpc/2"), RpcEndpoint("rpc", dialect="latin")):
        with pytest.raises(BadInputError):
            SimServer(universe, endpoints=[endpoint])
