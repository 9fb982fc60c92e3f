"""Bulk decoding of raw logs against plain word slicing and a loop with eth_abi, over the same logs in one run."""

from __future__ import annotations

from binascii import unhexlify
from itertools import islice
from random import Random

import numpy as np

from benchmarks.measure import in_fresh_process, measured

_BATCH = 10_000
_PEER_SHARE = 10


def run(logs: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the floor and to the peer."""
    return in_fresh_process(_decode, logs)


def _decode(count: int) -> list[tuple[str, str, str]]:
    from polyhouse.ledger.fill_columns import chain_rows
    from polyhouse.ledger.registry import ConditionInfo, Registry
    from polyhouse.sources.chain.decode import decode

    logs = _Logs(1)
    registry = Registry(
        ConditionInfo(logs.conditions[i], (logs.tokens[2 * i], logs.tokens[2 * i + 1]))
        for i in range(len(logs.conditions))
    )
    figures = {"decode": 0.0, "floor": 0.0, "peer": 0.0, "rows": 0.0, "objects": 0.0}
    fills = done = peered = objects = 0
    peak_before = peak = 0.0
    stream = logs.stream()
    while done < count:
        raw = list(islice(stream, _BATCH))
        with measured() as cost:
            batch = decode(raw)
        figures["decode"] += cost.cpu
        assert batch.decoded == len(raw)
        with measured() as cost:
            _slice_words(raw)
        figures["floor"] += cost.cpu
        with measured() as cost:
            rows = chain_rows(batch.columns, registry, use_transfers=True)
        figures["rows"] += cost.cpu
        fills += len(rows.observations["tx"])
        if done % (_PEER_SHARE * _BATCH) == 0:
            with measured() as cost:
                peered += sum(1 for log in raw if _by_hand(log))
            figures["peer"] += cost.cpu
            with measured() as cost:
                objects += sum(1 for _ in batch.to_logs())
            figures["objects"] += cost.cpu
        done += len(raw)
        peak, peak_before = cost.peak_mb, peak_before or cost.peak_mb
    rate, floor, peer = done / figures["decode"], done / figures["floor"], peered / figures["peer"]
    return [
        (f"decode of {done:,} raw logs to columns", f"{rate:,.0f} logs a CPU second",
         f"{rate / floor:.0%} of plain word slicing ({floor:,.0f}), {rate / peer:.0f} × an eth_abi loop ({peer:,.0f})"),
        ("  columns to observations", f"{figures['rows'] / fills * 1e6:.2f} µs CPU a fill", "transfers included"),
        ("  columns to log objects", f"{figures['objects'] / objects * 1e6:.2f} µs CPU a log", ""),
        ("  peak memory", f"{peak:.0f} MB", f"after the first batch {peak_before:.0f} MB"),
    ]  # fmt: skip


class _Logs:
    """Matches of CLOB V2 as a node returns them: two fills, the end of the match and the transfer of the shares."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self.tokens = [self._rng.randbytes(32) for _ in range(4_000)]
        self.conditions = [self._rng.randbytes(32) for _ in range(2_000)]
        self._wallets = [self._rng.randbytes(20) for _ in range(20_000)]

    def stream(self):
        from polyhouse.domain import contracts
        from polyhouse.sources.chain.events import CONDITIONAL_TOKENS, EXCHANGE_V2

        rng = self._rng
        filled, matched = EXCHANGE_V2[0].topic0, EXCHANGE_V2[1].topic0
        moved = next(event.topic0 for event in CONDITIONAL_TOKENS if event.name == "TransferSingle")
        number = 0
        while True:
            block, index = 90_000_000 + number // 30, number % 30
            number += 1
            maker, taker = rng.sample(self._wallets, 2)
            token, order, side = rng.choice(self.tokens), rng.randbytes(32), rng.randrange(2)
            usdc, shares = rng.randrange(1, 10**9), rng.randrange(1, 10**9)
            gives, gets = (usdc, shares) if side == 0 else (shares, usdc)
            buyer, seller = (maker, taker) if side == 0 else (taker, maker)
            base = {
                "blockNumber": hex(block), "transactionIndex": hex(index), "transactionHash": _hex(rng.randbytes(32)),
                "blockHash": "0x" + "11" * 32, "removed": False, "blockTimestamp": hex(1_777_400_000 + block % 10**6),
            }  # fmt: skip
            yield base | _log(
                contracts.CTF, (moved, bytes(12) + contracts.EX2, bytes(12) + seller, bytes(12) + buyer),
                (token, _word(shares)), 4 * index,
            )  # fmt: skip
            yield base | _log(
                contracts.EX2, (filled, rng.randbytes(32), bytes(12) + maker, bytes(12) + taker),
                (_word(side), token, _word(gives), _word(gets), *[bytes(32)] * 3), 4 * index + 1,
            )  # fmt: skip
            yield base | _log(
                contracts.EX2, (filled, order, bytes(12) + taker, bytes(12) + contracts.EX2),
                (_word(1 - side), token, _word(gets), _word(gives), *[bytes(32)] * 3), 4 * index + 2,
            )  # fmt: skip
            yield base | _log(
                contracts.EX2, (matched, order, bytes(12) + taker),
                (_word(1 - side), token, _word(gets), _word(gives)), 4 * index + 3,
            )  # fmt: skip


def _log(address, topics, words, log_index):
    return {
        "address": _hex(address), "topics": [_hex(t) for t in topics], "data": _hex(b"".join(words)),
        "logIndex": hex(log_index),
    }  # fmt: skip


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _slice_words(raw) -> int:
    """The floor: group by topic, join the hex of data and topics, cut it into words. No checks, no fields."""
    groups: dict[str, list] = {}
    for log in raw:
        groups.setdefault(log["topics"][0], []).append(log)
    total = 0
    for logs in groups.values():
        data = np.frombuffer(unhexlify("".join([log["data"][2:] for log in logs])), np.uint8)
        topics = np.frombuffer(unhexlify("".join([t[2:] for log in logs for t in log["topics"]])), np.uint8)
        words = data.reshape(len(logs), -1, 32)
        total += int(words.view(">u8")[:, :, 3].astype(np.int64)[:, -1].sum() & 1) + len(topics.reshape(len(logs), -1))
        np.frombuffer(unhexlify("".join([log["transactionHash"][2:] for log in logs])), np.uint8)
        np.array([[int(log["blockNumber"], 16), int(log["logIndex"], 16)] for log in logs], np.int64)
    return total


def _by_hand(log) -> dict:
    """The peer: one log at a time, its data through eth_abi."""
    from eth_abi import decode

    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    data = bytes.fromhex(log["data"][2:])
    shape = ("uint8", *("uint256",) * (len(data) // 32 - 1)) if len(data) > 64 else ("uint256", "uint256")
    return {
        "values": decode(shape, data), "order": topics[1], "parties": [topic[12:] for topic in topics[2:]],
        "tx": bytes.fromhex(log["transactionHash"][2:]), "block": int(log["blockNumber"], 16),
        "place": (int(log["transactionIndex"], 16), int(log["logIndex"], 16)),
    }  # fmt: skip
