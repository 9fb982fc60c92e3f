"""Reads logs in block ranges from JSON-RPC nodes: adaptive sizes, times from blocks, one view of the chain a range."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyhouse.errors import UpstreamContractError, UpstreamUnavailableError
from polyhouse.sources.chain.blocks import Header, RawLog, header_of, linked, quantity, sorted_logs, stamped
from polyhouse.sources.chain.eras import Filter
from polyhouse.sources.chain.provider import Call, RangeTooLargeError, RpcPool, is_timeout

POLYGON = 137


@dataclass(frozen=True, slots=True)
class LogRange:
    """All logs of some filters in the blocks ``first`` … ``last`` (both included).

    Attributes:
        logs: in chain order, each with ``blockTimestamp`` from its block's header.
        headers: headers of the blocks with logs and of ``last``, or of every block; in order.
    """

    first: int
    last: int
    logs: list[RawLog]
    headers: list[Header]


@dataclass(slots=True)
class RangeSize:
    """How many blocks to ask for at once: halved when a node refuses or takes too long, grown while answers are small.

    Attributes:
        size: blocks.
        largest: never more.
        wanted_logs: an answer below a quarter of it is small.
    """

    size: int = 1_000
    largest: int = 100_000
    wanted_logs: int = 4_000
    _ceiling: int = field(default=0)
    _good: int = field(default=0)

    def refused(self, asked: int) -> None:
        """``asked`` blocks were too many. The ceiling that this leaves is tried again after a while."""
        self.size = max(1, min(self.size, asked // 2))
        self._ceiling = max(1, asked - 1)
        self._good = 0

    def answered(self, asked: int, logs: int) -> None:
        """``asked`` blocks were answered with so many logs."""
        self._good += 1
        if self._good >= 64:
            self._ceiling, self._good = 0, 0
        if asked < self.size:
            return
        if logs > self.wanted_logs and asked > 1:
            self.size = max(1, asked // 2)
        elif logs < self.wanted_logs // 4:
            self.size = min(asked * 2, self.largest, self._ceiling or self.largest)


class ChainReader:
    """Logs and headers of one chain.

    Args:
        pool: the endpoints.
        size: start and bounds of the range size.
    """

    def __init__(self, pool: RpcPool, size: RangeSize | None = None) -> None:
        self.pool = pool
        self._size = size or RangeSize()
        self._sizes: dict[tuple[Filter, ...], RangeSize] = {}

    async def head(self) -> int:
        """Number of the newest block."""
        return await self.pool.head()

    async def check_chain(self) -> None:
        """Make sure that the endpoint serves Polygon.

        Raises:
            UpstreamContractError: it serves another chain.
        """
        (answer,) = await self.pool.ask([("eth_chainId", [])])
        if (found := quantity(answer, "its chain")) != POLYGON:
            raise UpstreamContractError(
                f"the node serves chain {found}, not Polygon ({POLYGON})", hint="check POLYHOUSE_RPC_URL"
            )

    async def headers(self, numbers: Sequence[int]) -> list[Header]:
        """The headers of these blocks, in the order of the numbers.

        Raises:
            UpstreamUnavailableError: no endpoint has one of them (yet).
        """
        if not numbers:
            return []
        calls: list[Call] = [("eth_getBlockByNumber", [hex(number), False]) for number in numbers]
        found: list[Header] = []

        def check(answers: list[Any]) -> None:
            found[:] = [header_of(answer, number) for answer, number in zip(answers, numbers, strict=True)]

        await self.pool.ask(calls, check)
        return found

    async def ranges(
        self, filters: Sequence[Filter], first: int, last: int, *, every_header: bool = False
    ) -> AsyncIterator[LogRange]:
        """The logs of the blocks ``first`` … ``last``, cut into ranges the nodes can answer, in order, without gaps.

        Args:
            filters: what to ask for; the answers are joined.
            first: first block.
            last: last block.
            every_header: also of blocks without logs (the part of the chain that may still change).

        Raises:
            RangeTooLargeError: the logs of a single block and a single contract are too many for every node.
            PolyhouseError: no node answered.
        """
        size = self._sizes.setdefault(
            tuple(filters), RangeSize(self._size.size, self._size.largest, self._size.wanted_logs)
        )
        while first <= last:
            asked = min(size.size, last - first + 1)
            end = first + asked - 1
            try:
                found = await self._range(filters, first, end, every_header=every_header)
            except (RangeTooLargeError, UpstreamUnavailableError) as error:
                if asked == 1 or not (isinstance(error, RangeTooLargeError) or is_timeout(error)):
                    raise
                size.refused(asked)
                continue
            size.answered(asked, len(found.logs))
            yield found
            first = end + 1

    async def _range(self, filters: Sequence[Filter], first: int, last: int, *, every_header: bool) -> LogRange:
        try:
            logs, end = await self._logs(filters, first, last)
        except RangeTooLargeError:
            if first < last:
                raise
            logs, end = await self._one_block(filters, first)
        if every_header:
            numbers = list(range(first, last + 1))
        else:
            numbers = sorted({int(log["blockNumber"], 16) for log in logs} | {last})
        headers = await self.headers(numbers)
        if headers[-1].hash != end.hash:
            raise UpstreamUnavailableError(f"block {last:,} changed while it was read")
        linked(headers)
        stamped(logs, {header.number: header for header in headers})
        return LogRange(first, last, logs, headers)

    async def _logs(self, filters: Sequence[Filter], first: int, last: int) -> tuple[list[RawLog], Header]:
        """Logs and the header of the last block, of one endpoint's view.

        A node that is behind answers blocks it does not have with an empty list, so every question also asks for the
        last block: without it, the answer does not count.
        """
        calls: list[Call] = [("eth_getLogs", [_parameters(one, first, last)]) for one in filters]
        calls.append(("eth_getBlockByNumber", [hex(last), False]))
        logs: list[RawLog] = []
        ends: list[Header] = []

        def check(answers: list[Any]) -> None:
            ends[:] = [header_of(answers[-1], last)]
            logs[:] = sorted_logs(answers[:-1], first, last)

        await self.pool.ask(calls, check)
        return logs, ends[0]

    async def _one_block(self, filters: Sequence[Filter], block: int) -> tuple[list[RawLog], Header]:
        """The logs of a block that is too large for one answer: contract by contract, then topic by topic."""
        parts = [part for one in filters for part in _halves(one)]
        if len(parts) == len(filters):
            raise RangeTooLargeError(f"the logs of block {block:,} alone are too many for the node")
        logs: list[RawLog] = []
        ends: list[Header] = []
        for part in parts:
            try:
                found, end = await self._logs([part], block, block)
            except RangeTooLargeError:
                found, end = await self._one_block([part], block)
            logs += found
            ends.append(end)
        if len({end.hash for end in ends}) > 1:
            raise UpstreamUnavailableError(f"block {block:,} changed while it was read")
        return sorted_logs([logs], block, block), ends[0]


def _parameters(one: Filter, first: int, last: int) -> dict[str, Any]:
    parameters: dict[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last)}
    if one.addresses:
        parameters["address"] = ["0x" + address.hex() for address in one.addresses]
    if one.topics:
        parameters["topics"] = [["0x" + topic.hex() for topic in one.topics]]
    return parameters


def _halves(one: Filter) -> list[Filter]:
    if len(one.addresses) > 1:
        middle = len(one.addresses) // 2
        halves = [(one.addresses[:middle], one.topics), (one.addresses[middle:], one.topics)]
    elif len(one.topics) > 1:
        middle = len(one.topics) // 2
        halves = [(one.addresses, one.topics[:middle]), (one.addresses, one.topics[middle:])]
    else:
        return [one]
    return [Filter(one.group, addresses, topics, one.first_block) for addresses, topics in halves]
