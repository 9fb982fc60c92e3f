"""HyperSync, the second road to the same logs: a service that scans millions of blocks for one question.

It reads what cannot change any more (the back-fill); the end of the chain, and blocks that the service does not have
yet, come from the nodes as before. It is asked with the documents of its ``POST /query`` on our own HTTP client, so
limits, retries and secrets are handled as for every other host. What it answers counts only with a node's consent: in
every page the block of the last log must have the hash that a node gives it, and at the start one block of the archive
is compared, because the archive of another chain would answer every question with "no logs".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from polyhouse.errors import AuthError, UpstreamContractError, UpstreamRefusedError, UpstreamUnavailableError
from polyhouse.sources.chain.blocks import Header, RawLog, hash_of, linked, quantity, sorted_logs, stamped
from polyhouse.sources.chain.eras import Filter
from polyhouse.sources.chain.provider import RpcPool, is_timeout
from polyhouse.sources.chain.rpc import ChainReader, LogRange, RangeSize
from polyhouse.sources.http import HttpClient
from polyhouse.sources.http.limits import HostLimits

T = TypeVar("T")

HYPERSYNC = HostLimits("hypersync", total=50)
"""Requests per ten seconds. Plans differ and publish none: a 429 with its pause is obeyed as everywhere."""
PAGE_LOGS = 10_000
"""Logs of one answer, about; the service ends an answer at the end of a block, its own limits may end it earlier."""
_SETTLED = 1_000
_FIELDS = {
    "block": ["number", "hash", "parent_hash", "timestamp"],
    "log": [
        "address", "data", "topic0", "topic1", "topic2", "topic3", "block_number", "block_hash", "transaction_hash",
        "transaction_index", "log_index",
    ],
}  # fmt: skip


class _Block(msgspec.Struct):
    number: int | str
    hash: str
    parent_hash: str
    timestamp: int | str


class _Log(msgspec.Struct):
    address: str
    data: str
    block_number: int | str
    block_hash: str
    transaction_hash: str
    transaction_index: int | str
    log_index: int | str
    topic0: str | None = None
    topic1: str | None = None
    topic2: str | None = None
    topic3: str | None = None


class _Batch(msgspec.Struct):
    blocks: list[_Block] | None = None
    logs: list[_Log] | None = None


class _Guard(msgspec.Struct):
    """Present in answers that touch the newest blocks: the last scanned block, and what the first one follows."""

    block_number: int
    hash: str
    first_block_number: int
    first_parent_hash: str


class _Answer(msgspec.Struct):
    data: list[_Batch]
    next_block: int
    archive_height: int | None = None
    rollback_guard: _Guard | None = None


class _Height(msgspec.Struct):
    height: int | None = None


_answer = msgspec.json.Decoder(_Answer)
_height = msgspec.json.Decoder(_Height)


@dataclass(frozen=True, slots=True)
class _Page:
    """Logs of the blocks up to ``reached`` (below the asked ones: the archive has none of them), and block hashes that
    a node must confirm.
    """

    reached: int
    logs: list[RawLog]
    headers: dict[int, Header]
    claims: dict[int, bytes]


def auth_headers(token: str) -> dict[str, str]:
    """The header that carries the token; tokens never stand in a URL."""
    return {"Authorization": f"Bearer {token}"}


class HypersyncReader(ChainReader):
    """Logs from HyperSync where they are final, from nodes elsewhere. The rows are the same on both roads.

    Args:
        pool: the nodes: the end of the chain, headers, and the second opinion.
        client: HyperSync with the token in its headers.
        size: start and bounds of the nodes' range size.
        page_logs: logs of one answer, about.
    """

    def __init__(
        self, pool: RpcPool, client: HttpClient, size: RangeSize | None = None, *, page_logs: int = PAGE_LOGS
    ) -> None:
        super().__init__(pool, size)
        self._client = client
        self._page_logs = page_logs
        self._refusal: AuthError | None = None

    async def head(self) -> int:
        """Number of the newest block, by the nodes.

        Raises:
            AuthError: HyperSync refused the token meanwhile: no other range could do better.
        """
        self._stop_if_refused()
        return await super().head()

    async def headers(self, numbers: Sequence[int]) -> list[Header]:
        """The headers of these blocks, by the nodes.

        Raises:
            AuthError: HyperSync refused the token meanwhile.
            UpstreamUnavailableError: no endpoint has one of them (yet).
        """
        self._stop_if_refused()
        return await super().headers(numbers)

    async def check_chain(self) -> None:
        """Make sure that the nodes serve Polygon, that HyperSync takes the token, and that both have the same chain.

        Raises:
            AuthError: HyperSync refused the token.
            UpstreamContractError: the nodes or HyperSync serve another chain.
        """
        await super().check_chain()
        height = await self._asked(lambda: self._client.get("/height", None, _height.decode))
        if height.height is None:
            raise UpstreamUnavailableError("hypersync: the archive is empty")
        number = max(0, min(height.height, await self.head()) - _SETTLED)
        body = {"from_block": number, "to_block": number + 1, "include_all_blocks": True, "field_selection": _FIELDS}
        answer = await self._ask(body)
        found = {header.number: header.hash for batch in answer.data for header in map(_header, batch.blocks or ())}
        (header,) = await self.headers([number])
        if found.get(number) != header.hash:
            raise UpstreamContractError(
                f"hypersync has another block {number:,} than the node, or none",
                hint="check POLYHOUSE_HYPERSYNC_URL: it has to serve Polygon, as https://polygon.hypersync.xyz does",
            )

    async def ranges(
        self, filters: Sequence[Filter], first: int, last: int, *, every_header: bool = False
    ) -> AsyncIterator[LogRange]:
        """The logs of the blocks ``first`` … ``last`` in ranges, in order, without gaps.

        Args:
            filters: what to ask for; the answers are joined.
            first: first block.
            last: last block.
            every_header: also of blocks without logs (the part of the chain that may still change): the nodes answer.

        Raises:
            AuthError: HyperSync refused the token.
            PolyhouseError: a question remained without an answer.
        """
        span = last - first + 1
        while first <= last and not every_header:
            end = min(last, first + span - 1)
            try:
                page = await self._page(filters, first, end)
            except (UpstreamRefusedError, UpstreamUnavailableError) as error:
                if end == first or not (getattr(error, "status", 0) == 413 or is_timeout(error)):
                    raise
                span = (end - first + 1) // 2
                continue
            if page.reached < first:
                break  # the archive ends here, the nodes know more
            yield await self._confirmed(page, first)
            first, span = page.reached + 1, span * 2
        async for found in super().ranges(filters, first, last, every_header=every_header):
            yield found

    async def _page(self, filters: Sequence[Filter], first: int, last: int) -> _Page:
        answer = await self._ask(
            {
                "from_block": first,
                "to_block": last + 1,
                "logs": [_selection(one) for one in filters],
                "field_selection": _FIELDS,
                "max_num_logs": self._page_logs,
            }
        )
        height = -1 if answer.archive_height is None else answer.archive_height
        reached = min(last, height, answer.next_block - 1)
        if reached < first <= height:
            raise UpstreamContractError(f"hypersync: block {first:,} is answered with block {answer.next_block:,} next")
        blocks = [_header(block) for batch in answer.data for block in batch.blocks or ()]
        # Beyond ``reached`` an answer may be incomplete; those blocks are asked for again.
        logs = sorted_logs([[_raw(log) for batch in answer.data for log in batch.logs or ()]], first, last)
        logs = [log for log in logs if int(log["blockNumber"], 16) <= reached]
        headers = {header.number: header for header in blocks if header.number <= reached}
        return _Page(reached, logs, headers, _claims(answer.rollback_guard, reached))

    async def _confirmed(self, page: _Page, first: int) -> LogRange:
        """The range of a page, after a node gave the same hashes."""
        numbers = sorted({int(log["blockNumber"], 16) for log in page.logs})
        missing = [number for number in numbers if number not in page.headers]
        if missing:
            raise UpstreamContractError(f"hypersync answered logs of block {missing[0]:,} without the block")
        claims = page.claims | {number: page.headers[number].hash for number in numbers[-1:]}
        asked = sorted({*claims, page.reached})
        known = {header.number: header for header in await self.headers(asked)}
        for number, claimed in claims.items():
            if known[number].hash != claimed:
                raise UpstreamUnavailableError(f"hypersync and the node have different blocks {number:,}")
        headers = [page.headers[number] for number in numbers if number != page.reached] + [known[page.reached]]
        linked(headers)
        stamped(page.logs, {header.number: header for header in headers})
        return LogRange(first, page.reached, page.logs, headers)

    async def _ask(self, question: dict[str, Any]) -> _Answer:
        body = msgspec.json.encode(question)
        return await self._asked(lambda: self._client.post("/query", body, _answer.decode))

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except UpstreamRefusedError as error:
            if error.status in {401, 403}:
                self._refusal = AuthError(
                    f"HyperSync refused the token ({error.status})",
                    hint="check POLYHOUSE_HYPERSYNC_TOKEN; without one the nodes are asked for everything",
                )
                raise self._refusal from error
            raise

    def _stop_if_refused(self) -> None:
        if self._refusal is not None:
            raise self._refusal


def _selection(one: Filter) -> dict[str, Any]:
    selection: dict[str, Any] = {}
    if one.addresses:
        selection["address"] = ["0x" + address.hex() for address in one.addresses]
    if one.topics:
        selection["topics"] = [["0x" + topic.hex() for topic in one.topics]]
    return selection


def _number(value: int | str, what: str) -> int:
    """Numbers come as such, times and large ones as ``0x…``."""
    return value if isinstance(value, int) else quantity(value, what)


def _header(block: _Block) -> Header:
    return Header(
        _number(block.number, "a block number"),
        hash_of(block.hash, "a block hash"),
        hash_of(block.parent_hash, "a parent hash"),
        _number(block.timestamp, "a block time"),
    )


def _raw(log: _Log) -> RawLog:
    """The log as ``eth_getLogs`` spells it."""
    return {
        "address": log.address,
        "topics": [topic for topic in (log.topic0, log.topic1, log.topic2, log.topic3) if topic is not None],
        "data": log.data,
        "blockNumber": hex(_number(log.block_number, "a block number")),
        "transactionHash": log.transaction_hash,
        "transactionIndex": hex(_number(log.transaction_index, "a transaction index")),
        "blockHash": log.block_hash,
        "logIndex": hex(_number(log.log_index, "a log index")),
    }


def _claims(guard: _Guard | None, reached: int) -> dict[int, bytes]:
    """What the rollback guard says about blocks of this answer and the one before them."""
    if guard is None:
        return {}
    said = {guard.first_block_number - 1: guard.first_parent_hash, guard.block_number: guard.hash}
    return {number: hash_of(text, "a block hash") for number, text in said.items() if 0 <= number <= reached}
