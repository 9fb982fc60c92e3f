"""Stored logs are what the node gave, log by log."""

from __future__ import annotations

from typing import Any

from chain_world import universe

from polyhouse.sim.node import Node
from polyhouse.sync.chain_rows import classify, log_columns
from polyhouse.tables import CHAIN_LOGS


def one_by_one(log: dict[str, Any]) -> dict[str, Any]:
    data, topics = bytes.fromhex(log["data"][2:]), [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    address, block = bytes.fromhex(log["address"][2:]), int(log["blockNumber"], 16)
    event, status = classify(address, topics[0], block)
    return {
        "tx": bytes.fromhex(log["transactionHash"][2:]), "block": block, "log_index": int(log["logIndex"], 16),
        "tx_index": int(log["transactionIndex"], 16), "block_hash": bytes.fromhex(log["blockHash"][2:]),
        "address": address, "topics": tuple(topics), "data_bytes": len(data),
        "data": tuple(data[at : at + 32].ljust(32, b"\0") for at in range(0, len(data), 32)),
        "ts": int(log["blockTimestamp"], 16), "event": event, "status": status,
    }  # fmt: skip


def test_columns_hold_every_log_as_it_came() -> None:
    node = Node(universe())
    logs = [
        log | {"blockTimestamp": hex(node.timestamp(number, node.branch))}
        for number in node.numbers(0, node.head, node.branch)
        for log in node.logs(number, node.branch)
    ]
    assert len(logs) > 1_000
    # Data of any length, none at all, and capital digits.
    logs[0] |= {"data": "0x", "address": "0x" + logs[0]["address"][2:].upper()}
    logs[1] |= {"data": logs[1]["data"][:-6] + "AbCd"}
    logs[2] |= {"topics": logs[2]["topics"][:1]}
    columns = log_columns(logs)
    assert set(columns) == set(CHAIN_LOGS.columns) - {"run", "version"}
    for row, log in enumerate(logs):
        assert {name: values[row] for name, values in columns.items()} == one_by_one(log)
    assert all(not values for values in log_columns([]).values())
