"""Re-orgs of the simulated chain: what is replaced, what stays, what comes again, and that it is the same each time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sim_rpc_tools import Caller, dense

from polyhouse.errors import BadInputError
from polyhouse.sim.faults import Fault, FaultPlan
from polyhouse.sim.node import Node, NodeQuirks
from polyhouse.sim.rpc_api import RpcEndpoint
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe

WIDE = RpcEndpoint("rpc", max_range=10**9, max_results=10**9)
STALE = RpcEndpoint("rpc2", max_range=10**9, max_results=10**9, stale=True)


def busiest(node: Node, depth: int) -> int:
    """The block before which the last ``depth`` blocks hold the most transactions."""
    numbers = node.numbers(0, node.head, node.branch)[:-20]
    return max(
        numbers, key=lambda n: sum(len(node.slots(m, node.branch)) for m in node.numbers(n - depth + 1, n, node.branch))
    )


def rows(node: Node) -> list[dict[str, Any]]:
    return [log for n in node.numbers(0, node.head, node.branch) for log in node.logs(n, node.branch)]


@pytest.mark.parametrize("depth", [1, 50])
async def test_the_newest_blocks_are_replaced(rpc: Caller, busy: Universe, depth: int) -> None:
    async with SimServer(busy, endpoints=[WIDE, STALE]) as server:
        good, stale = server.rpc_urls
        head = busiest(server.node, depth)
        server.node.hold_head(head)
        hashes = {n: await _hash(rpc, good, n) for n in range(head - 60, head + 1)}
        before = await rpc.logs(good, 0, head)
        status, body, _ = await rpc.post(f"{server.base_url}/_sim/reorg", {"depth": depth, "vanish": 0})
        done = msgspec.json.decode(body)
        assert (status, done["first"], done["last"], done["vanished"]) == (200, head - depth + 1, head, [])
        assert done["moved"] + done["later"] > 0
        after = {n: await _hash(rpc, good, n) for n in hashes}
        assert {n for n in hashes if hashes[n] != after[n]} == set(range(head - depth + 1, head + 1))
        for number in range(head - 59, head + 1):
            block = await rpc.block(good, number)
            assert block["parentHash"] == after[number - 1]
        assert await rpc.block(good, hashes[head], "Hash") is None
        gone = await rpc.ask(good, "eth_getLogs", {"blockHash": hashes[head]})
        assert gone["error"]["message"] == "unknown block"
        logs = await rpc.logs(good, 0, head)
        kept = [log for log in before if int(log["blockNumber"], 16) <= head - depth]
        assert logs[: len(kept)] == kept
        assert {log["blockHash"] for log in logs}.isdisjoint(hashes[n] for n in range(head - depth + 1, head + 1))
        # An endpoint that has not heard of it serves the abandoned blocks on.
        assert await rpc.logs(stale, 0, head) == before
        assert await _hash(rpc, stale, head) == hashes[head]
        server.node.hold_head(None)
        assert await rpc.head(stale) == head
        last = await rpc.head(good)
        everything = await rpc.logs(good, 0, last)
        moved = dict.fromkeys(log["transactionHash"] for log in before[len(kept) :])
        again = dict.fromkeys(log["transactionHash"] for log in everything if log["transactionHash"] in moved)
        assert [*again] == [*moved], "they come in their old order"


async def _hash(rpc: Caller, url: str, number: int) -> str:
    return (await rpc.block(url, number))["hash"]


def test_many_reorgs_lose_exactly_what_they_say(busy: Universe) -> None:
    node = Node(busy, NodeQuirks(noise_every=10))
    natural = {log["transactionHash"] for log in rows(node)}
    vanished: set[str] = set()
    shared = later = 0
    for number in node.numbers(0, node.head, node.branch)[10:-30:7]:
        node.hold_head(number)
        done = node.reorg(50, vanish=60)
        vanished |= set(done.vanished)
        shared += done.moved
        later += done.later
    node.hold_head(None)
    left = rows(node)
    placed: dict[str, set[str]] = {}
    for log in left:
        placed.setdefault(log["transactionHash"], set()).add(log["blockHash"])
    assert placed.keys() == natural - vanished
    assert all(len(blocks) == 1 for blocks in placed.values())
    assert min(len(vanished), shared, later) > 20
    order = [(int(log["blockNumber"], 16), int(log["logIndex"], 16)) for log in left]
    assert order == sorted(set(order))
    resolutions = {tx.tx for tx in busy.transactions() if any(log.t == "ConditionResolution" for log in tx.logs)}
    assert resolutions
    assert resolutions.isdisjoint(vanished)


def test_a_block_that_was_filled_by_a_reorg_can_be_replaced_itself(busy: Universe) -> None:
    node = Node(busy)
    head = busiest(node, 50)
    node.hold_head(head)
    node.reorg(50, vanish=0)
    filled = sorted(number for number in node.branch.placed if number <= head)
    for number in filled:
        node.reorg(head - number + 1, vanish=0)
        assert all(log["blockHash"] == node.block_hash(int(log["blockNumber"], 16), node.branch) for log in rows(node))
    node.hold_head(None)
    natural = rows(Node(busy))
    assert len(filled) > 2
    assert len(rows(node)) == len(natural)


def test_time_in_steps_shows_what_time_at_once_shows() -> None:
    stepping, at_once = dense(), dense()
    node = Node(stepping)
    for seconds in (1, 59, 2, 40_000, *[90] * 40):
        stepping.advance(seconds)
        node.catch_up()
    at_once.advance(43_662)
    assert rows(node) == rows(Node(at_once))


def test_what_is_canonical_is_what_the_logs_say(busy: Universe) -> None:
    node = Node(busy, NodeQuirks(noise_every=10))
    numbers = node.numbers(0, node.head, node.branch)
    for number in numbers[50:-30:40]:
        node.hold_head(number)
        node.reorg(50)
    node.hold_head(numbers[-5])
    told: dict[str, set[tuple[int, int, int]]] = {}
    for log in rows(node):
        place = (int(log["blockNumber"], 16), int(log["transactionIndex"], 16), int(log["logIndex"], 16))
        told.setdefault(log["transactionHash"], set()).add(place)
    canonical = list(node.canonical_transactions())
    assert [tx.block for tx in canonical] == sorted(tx.block for tx in canonical)
    own = {tx.tx for tx in busy.transactions()}
    assert {tx.tx for tx in canonical} == own & told.keys()
    moved = 0
    first = {tx.tx: tx for tx in busy.transactions()}
    for tx in canonical:
        assert {(tx.block, tx.tx_index, log.li) for log in tx.logs} <= told[tx.tx]
        assert tx.ts == node.timestamp(tx.block, node.branch)
        assert [log.fields for log in tx.logs] == [log.fields for log in first[tx.tx].logs]
        moved += tx.block != first[tx.tx].block
    assert moved > 10


def test_without_reorgs_the_chain_has_the_truth_of_the_universe(universe: Universe) -> None:
    truth = compute_truth(universe.transactions(), universe.events, universe.neg_risk_markets)
    chain = compute_truth(Node(universe).canonical_transactions(), universe.events, universe.neg_risk_markets)
    assert chain.positions == truth.positions
    assert chain.units == truth.units
    assert len(chain.positions) > 100


def test_the_same_seed_gives_the_same_forks() -> None:
    def history(seed: int) -> list[Any]:
        node = Node(dense(), seed=seed)
        node.hold_head(busiest(node, 50))
        done = [node.reorg(50), node.reorg(3), node.reorg(20)]
        node.hold_head(None)
        return [done, rows(node)]

    one = history(1)
    assert one == history(1)
    assert one[1] != history(2)[1]


def test_asking_in_between_changes_nothing(busy: Universe) -> None:
    asked, quiet = Node(busy), Node(busy)
    for node in (asked, quiet):
        for number in node.numbers(0, node.head, node.branch)[20:-30:25]:
            node.hold_head(number)
            if node is asked:
                rows(node)
            node.reorg(10)
            if node is asked:
                rows(node)
        node.hold_head(None)
    assert rows(asked) == rows(quiet)


async def test_one_answer_from_the_abandoned_chain(rpc: Caller, busy: Universe) -> None:
    faults = FaultPlan([Fault("rpc", "stale_head", after=1, times=1)])
    async with SimServer(busy, endpoints=[WIDE], faults=faults) as server:
        head = server.node.head
        old = await _hash(rpc, server.rpc_url, head)
        await server.reorg(5)
        assert await _hash(rpc, server.rpc_url, head) == old
        assert await _hash(rpc, server.rpc_url, head) != old


def test_from_a_thread(busy: Universe) -> None:
    with ServerThread(SimServer(busy)) as running:
        head = running.server.node.head
        assert running.reorg(7).first == head - 6
        running.advance(60)
        assert running.server.node.head == head + 30


async def test_depths_that_cannot_be(rpc: Caller, busy: Universe) -> None:
    node = Node(busy)
    for depth, vanish in ((0, 20), (51, 20), (5, 101)):
        with pytest.raises(BadInputError):
            node.reorg(depth, vanish)
    assert node.branch is node.abandoned
    async with SimServer(busy) as server:
        for body in ({"depth": 51}, {}, {"depth": "x"}):
            status, _, _ = await rpc.post(f"{server.base_url}/_sim/reorg", body)
            assert status == 400
