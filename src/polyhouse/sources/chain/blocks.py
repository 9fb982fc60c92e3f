"""Blocks and logs as JSON-RPC spells them: quantities, headers, and the checks a node's answer must pass.

Times come from block headers only: block numbers say nothing about time (upstream §6).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from polyhouse.errors import UpstreamContractError, UpstreamUnavailableError

RawLog = dict[str, Any]
"""One log as ``eth_getLogs`` returns it."""

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}\Z")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}\Z")


@dataclass(frozen=True, slots=True)
class Header:
    """What we keep of a block: number, hash, parent's hash (32 bytes each), Unix seconds."""

    number: int
    hash: bytes
    parent: bytes
    ts: int


def quantity(value: Any, what: str) -> int:
    """A JSON-RPC quantity (``0x…``).

    Raises:
        UpstreamContractError: anything else.
    """
    if isinstance(value, str) and _QUANTITY.match(value):
        return int(value, 16)
    raise UpstreamContractError(f"the node answered {what} as {str(value)[:60]!r}, not as a 0x… number")


def hash_of(value: Any, what: str) -> bytes:
    """A 32-byte hash (``0x`` and 64 hex digits).

    Raises:
        UpstreamContractError: anything else.
    """
    if isinstance(value, str) and _HASH.match(value):
        return bytes.fromhex(value[2:])
    raise UpstreamContractError(f"the node answered {what} as {str(value)[:80]!r}, not as a hash")


def header_of(answer: Any, number: int) -> Header:
    """The header in the answer to ``eth_getBlockByNumber``.

    Raises:
        UpstreamUnavailableError: the node does not have the block (yet): another one, or a later question, may.
        UpstreamContractError: the answer is no block, or another one.
    """
    if answer is None:
        raise UpstreamUnavailableError(f"the node does not have block {number:,}")
    if not isinstance(answer, Mapping):
        raise UpstreamContractError(f"the node answered {type(answer).__name__} for block {number:,}")
    found = quantity(answer.get("number"), "a block number")
    if found != number:
        raise UpstreamContractError(f"the node answered block {found:,} for block {number:,}")
    return Header(
        number,
        hash_of(answer.get("hash"), "a block hash"),
        hash_of(answer.get("parentHash"), "a parent hash"),
        quantity(answer.get("timestamp"), "a block time"),
    )


def sorted_logs(answers: Iterable[Any], first: int, last: int) -> list[RawLog]:
    """The logs of several answers in chain order, each once.

    Raises:
        UpstreamContractError: a log outside of the asked range, or two different logs in one place.
        UpstreamUnavailableError: a log that a re-organisation removed, or one that is still pending.
    """
    placed: dict[tuple[int, int], RawLog] = {}
    for answer in answers:
        if not isinstance(answer, Sequence) or isinstance(answer, str):
            raise UpstreamContractError(f"the node answered {type(answer).__name__} instead of a list of logs")
        for log in answer:
            if not isinstance(log, dict):
                raise UpstreamContractError(f"the node answered {type(log).__name__} instead of a log")
            if log.get("removed") is True or log.get("blockNumber") is None:
                raise UpstreamUnavailableError("the node answered logs of a block that is not in the chain")
            block = quantity(log.get("blockNumber"), "a block number")
            if not first <= block <= last:
                raise UpstreamContractError(f"the node answered a log of block {block:,} for {first:,} to {last:,}")
            place = block, quantity(log.get("logIndex"), "a log index")
            known = placed.setdefault(place, log)
            if known is not log and not _is_same(known, log):
                raise UpstreamContractError(f"the node answered two different logs for {block:,}/{place[1]}")
    return [placed[place] for place in sorted(placed)]


def _is_same(one: RawLog, other: RawLog) -> bool:
    names = ("blockHash", "transactionHash", "address", "topics", "data")
    return all(one.get(name) == other.get(name) for name in names)


def stamped(logs: Sequence[RawLog], headers: Mapping[int, Header]) -> None:
    """Give every log the time of its block, after its block hash proved that both are of the same chain.

    Raises:
        UpstreamUnavailableError: a log of another fork than its header: the chain moved between two questions.
    """
    for log in logs:
        header = headers[int(log["blockNumber"], 16)]
        if hash_of(log.get("blockHash"), "a block hash") != header.hash:
            raise UpstreamUnavailableError(f"block {header.number:,} changed while it was read")
        log["blockTimestamp"] = hex(header.ts)


def linked(headers: Sequence[Header]) -> None:
    """Check that headers in order of number form one chain where they are neighbours.

    Raises:
        UpstreamUnavailableError: they do not: the chain moved while they were read.
    """
    for before, header in pairwise(headers):
        if header.number == before.number + 1 and header.parent != before.hash:
            raise UpstreamUnavailableError(f"block {header.number:,} changed while it was read")
