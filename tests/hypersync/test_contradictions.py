"""Claims about tokens that contradict each other never reach the token map, and the quarantine shows them."""

from __future__ import annotations

from typing import Any

import pytest
from chain_world import RAW, dump, serve, state_in, sync, universe

from polyhouse.reads.queue import facts
from polyhouse.reads.status import status
from polyhouse.sim.server import SimServer
from polyhouse.sources.chain.eras import ERAS
from polyhouse.warehouse import open_warehouse

TOPIC = {era.event.name: "0x" + era.event.topic0.hex() for era in ERAS if era.event.status == "registry"}


def logs_of(server: SimServer, name: str) -> list[dict[str, Any]]:
    node = server.node
    blocks = node.numbers(0, node.head, node.branch)
    return [log for number in blocks for log in node.logs(number, node.branch) if log["topics"][0] == TOPIC[name]]


@pytest.mark.parametrize("kind", ["TokenRegistered", "ConditionPreparation"])
async def test_a_token_that_two_conditions_claim_is_rejected_and_counted(tmp_path, kind: str) -> None:
    tables = {}
    for lies in (False, True):
        folder = tmp_path / str(lies)
        folder.mkdir()
        async with serve(universe(wallets=8, fills=60)) as server:
            if lies:
                one, other = logs_of(server, kind)[0], logs_of(server, kind)[-1]
                place = 3 if kind == "TokenRegistered" else 1
                assert one["topics"][place] != other["topics"][place]
                one["topics"] = [*one["topics"]]
                one["topics"][place] = other["topics"][place]  # the one's tokens (or oracle) with the other's condition
            with open_warehouse(f"chdb://{folder}/warehouse") as warehouse, state_in(folder) as state:
                report = await sync(warehouse, state, server.rpc_urls)
                reason = "token_mismatch" if kind == "TokenRegistered" else "condition_mismatch"
                expected = {reason: 1} if lies else {}
                assert state.quarantine_counts() == expected
                assert report.counts.get("rejected", 0) == len(expected)
                assert status(warehouse, facts(state))["quarantined"] == expected
                tables[lies] = set(dump(warehouse, {"tokens": RAW["tokens"]})["tokens"])
                doubled = (
                    "SELECT count() FROM (SELECT condition FROM tokens FINAL GROUP BY condition HAVING count() != 2)"
                )
                assert warehouse.query(doubled).rows[0][0] == 0
    assert tables[True] <= tables[False]
    assert len(tables[True]) >= len(tables[False]) - 2
