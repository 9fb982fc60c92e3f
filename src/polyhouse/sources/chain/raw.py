"""Raw logs as JSON-RPC gives them, as columns; and the row-by-row reader that finds what is wrong with a bad one."""

from __future__ import annotations

import json
import re
from binascii import unhexlify
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from polyhouse.domain.log_columns import Bytes, Ints
from polyhouse.ports import Reject

_MAX_RAW = 4_000
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}")
_HEX = {size: re.compile(rf"0x[0-9a-fA-F]{{{2 * size}}}") for size in (20, 32)}
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_LIMITS = {"blockNumber": 2**32, "transactionIndex": 2**16, "logIndex": 2**32, "blockTimestamp": 2**32}
"""What the columns of table ``observations`` hold."""


@dataclass(frozen=True, slots=True)
class RawLogs:
    """Raw logs as columns, for sources that have no dicts.

    Attributes:
        address: emitters, ``0x`` hex in any case; likewise ``topics``, ``data`` and ``tx``.
        block: block numbers; ``tx_index``, ``log_index``: places; ``ts``: block times, 0 = unknown.
    """

    address: Sequence[str]
    topics: Sequence[Sequence[str]]
    data: Sequence[str]
    tx: Sequence[str]
    block: Ints
    tx_index: Ints
    log_index: Ints
    ts: Ints

    def __len__(self) -> int:
        return len(self.address)

    def where(self, row: int) -> str:
        """``tx:log_index`` of a row."""
        return f"{self.tx[row]}:{self.log_index[row]}"

    def raw(self, row: int) -> dict[str, Any]:
        """A row as JSON-RPC would give it."""
        return {
            "address": self.address[row],
            "topics": list(self.topics[row]),
            "data": self.data[row],
            "transactionHash": self.tx[row],
            "blockNumber": hex(self.block[row]),
            "transactionIndex": hex(self.tx_index[row]),
            "logIndex": hex(self.log_index[row]),
        }

    def reject(self, reason: str, row: int) -> Reject:
        """A row for the quarantine."""
        return Reject(reason, self.where(row), json.dumps(self.raw(row))[:_MAX_RAW])

    def take(self, rows: Sequence[int]) -> RawLogs:
        """The given rows."""
        at = np.asarray(rows, np.int64)
        return RawLogs(
            [self.address[row] for row in rows],
            [self.topics[row] for row in rows],
            [self.data[row] for row in rows],
            [self.tx[row] for row in rows],
            self.block[at],
            self.tx_index[at],
            self.log_index[at],
            self.ts[at],
        )


class _Numbers(dict[Any, int]):
    """Quantities by their text: blocks, places and times repeat a lot, so each text is parsed once."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __missing__(self, value: Any) -> int:
        number = quantity(value)
        if number >= self._limit:
            raise ValueError("number out of range")
        self[value] = number
        return number


def quantity(value: Any) -> int:
    """A number as JSON-RPC writes it (``0x…``), or a plain non-negative int.

    Raises:
        ValueError: anything else.
    """
    if type(value) is int and value >= 0:
        return value
    if type(value) is str and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise ValueError("not a quantity")


def read_dicts(logs: Sequence[Mapping[str, Any]], block_times: Mapping[int, int] | None) -> RawLogs:
    """JSON-RPC logs as columns. Trusts the shape; whatever is wrong surfaces as an exception here or in decoding.

    Args:
        logs: as ``eth_getLogs`` returns them.
        block_times: block → Unix seconds; None: the logs' own ``blockTimestamp`` where they have one.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, IndexError: some log is malformed (``sift`` tells which).
    """
    count = len(logs)

    def numbers(name: str) -> Ints:
        parse = _Numbers(_LIMITS[name])
        return np.fromiter((parse[log[name]] for log in logs), np.int64, count)

    block = numbers("blockNumber")
    if block_times is None:
        parse = _Numbers(_LIMITS["blockTimestamp"])
        ts = np.fromiter((parse[log.get("blockTimestamp") or 0] for log in logs), np.int64, count)
    else:
        known, place = np.unique(block, return_inverse=True)
        ts = np.array([block_times[number] for number in known.tolist()], np.int64)[place]
    if any(log.get("removed") for log in logs):
        raise ValueError("a removed log")
    return RawLogs(
        [log["address"] for log in logs],
        [log["topics"] for log in logs],
        [log["data"] for log in logs],
        [log["transactionHash"] for log in logs],
        block,
        numbers("transactionIndex"),
        numbers("logIndex"),
        ts,
    )


def sift(
    logs: Sequence[Mapping[str, Any]], block_times: Mapping[int, int] | None
) -> tuple[list[Mapping[str, Any]], list[Reject]]:
    """Well-formed logs, and a reject for each of the others."""
    good: list[Mapping[str, Any]] = []
    rejects: list[Reject] = []
    for log in logs:
        reason = _malformed(log, block_times)
        if reason:
            rejects.append(Reject(reason, _where(log), _text(log)))
        else:
            good.append(log)
    return good, rejects


def sift_columns(raw: RawLogs) -> tuple[RawLogs, list[Reject]]:
    """The same for columns."""
    rows = range(len(raw))
    reasons = [_malformed_text(raw.address[i], raw.topics[i], raw.data[i], raw.tx[i]) for i in rows]
    rejects = [raw.reject(reason, i) for i, reason in enumerate(reasons) if reason]
    return raw.take([i for i in rows if not reasons[i]]), rejects


def fixed_bytes(texts: Sequence[str], size: int) -> Bytes:
    """``0x`` texts of exactly ``size`` bytes each, as rows of a matrix.

    Raises:
        ValueError: a text of another length or with anything but hex digits.
        TypeError: something that is no text.
    """
    joined = "".join(texts).encode("ascii")
    width = 2 + 2 * size
    if len(joined) != len(texts) * width:
        raise ValueError("a text of another length")
    chars = np.frombuffer(joined, np.uint8).reshape(-1, width)
    # An x can stand nowhere else, so a short text beside a long one cannot pass this.
    if not ((chars[:, 0] == ord("0")) & (chars[:, 1] == ord("x"))).all():
        raise ValueError("a text without 0x")
    return np.frombuffer(unhexlify(chars[:, 2:].tobytes()), np.uint8).reshape(len(texts), size)


def _malformed(log: Any, block_times: Mapping[int, int] | None) -> str:
    if not isinstance(log, Mapping):
        return "not_an_object"
    if log.get("removed"):
        return "removed_log"
    for name, limit in _LIMITS.items():
        try:
            number = quantity(log.get(name) or (0 if name == "blockTimestamp" else log.get(name)))
        except ValueError:
            return "bad_number"
        if number >= limit:
            return "number_out_of_range"
        if name == "blockNumber" and block_times is not None and number not in block_times:
            return "no_block_time"
    return _malformed_text(log.get("address"), log.get("topics"), log.get("data"), log.get("transactionHash"))


def _malformed_text(address: Any, topics: Any, data: Any, tx: Any) -> str:
    if not _is_hex(address, 20):
        return "bad_address"
    if not isinstance(topics, list | tuple) or not all(_is_hex(topic, 32) for topic in topics):
        return "bad_topics"
    if not topics:
        return "no_topics"
    if not isinstance(data, str) or not _DATA.fullmatch(data):
        return "bad_data"
    return "" if _is_hex(tx, 32) else "bad_transaction"


def _is_hex(value: Any, size: int) -> bool:
    return isinstance(value, str) and _HEX[size].fullmatch(value) is not None


def _where(log: Any) -> str:
    if not isinstance(log, Mapping):
        return "?"
    index = log.get("logIndex", "?")
    with suppress(ValueError):
        index = quantity(index)
    return f"{log.get('transactionHash', '?')}:{index}"[:200]


def _text(log: Any) -> str:
    return json.dumps(dict(log) if isinstance(log, Mapping) else log, default=str)[:_MAX_RAW]
