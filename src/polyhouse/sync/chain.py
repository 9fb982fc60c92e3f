"""The chain runs: back-fill in parallel ranges, then the end of the chain block by block, re-organisations included.

A run plans from the coverage ledger: what is not covered is read, first the logs that describe markets (group
``registry``), then all others (group ``ledger``), whose meaning depends on the former. Blocks deeper than the
confirmation depth are final; above it every header is kept, and each pass first compares them with the node.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from polyhouse.errors import UpstreamUnavailableError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.chain import eras
from polyhouse.sources.chain.eras import Filter
from polyhouse.sources.chain.rpc import ChainReader, LogRange
from polyhouse.sync.chain_registry import RegistryCache, mark_unsettled, settle_noted
from polyhouse.sync.chain_rows import page_of
from polyhouse.sync.context import RunContext
from polyhouse.sync.coverage import (
    GROUPS,
    LEDGER,
    REGISTRY,
    Interval,
    covered,
    forget,
    lost,
    missing,
    overlaps,
    without,
)
from polyhouse.sync.pool import WalkJob, run_jobs
from polyhouse.sync.reorg import expect_rebuild, find_fork, remove_from
from polyhouse.sync.walk import WalkResult

TAIL = "tail"
"""Partition of the blocks that may still change."""
_ATTEMPTS = 8
_PAUSE_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """What a chain run reads.

    Attributes:
        from_block: first block; None = the first block of the era registry.
        to_block: last block; None = the node's newest one.
        workers: ranges that are read at the same time.
        confirmations: blocks below the newest one that may still change.
        span: blocks of one partition of the back-fill.
        heal: read what ``check`` finds, and nothing else: holes, ranges whose logs are not all stored, and ranges that
            are covered twice.
        follow_seconds: None = one pass; else go on with new blocks, looking for them so often, until stopped.
    """

    from_block: int | None = None
    to_block: int | None = None
    workers: int = 4
    confirmations: int = 128
    span: int = 250_000
    heal: bool = False
    follow_seconds: float | None = None


def group_filters() -> dict[str, tuple[Filter, ...]]:
    """Contract group → what the node is asked for. Addresses of all contracts go into one question: transactions must
    be complete, and the fewer questions, the better.
    """
    known = eras.filters()
    first = min(one.first_block for one in known)
    addresses = tuple(sorted({address for one in known for address in one.addresses}))
    registry = [era for era in eras.ERAS if era.event.status == "registry" and era.address is not None]
    by_topic = [replace(one, group=LEDGER) for one in known if not one.addresses]
    return {
        REGISTRY: (
            Filter(
                REGISTRY,
                tuple(sorted({era.address for era in registry if era.address})),
                tuple(sorted({era.event.topic0 for era in registry})),
                first,
            ),
        ),
        LEDGER: (Filter(LEDGER, addresses, (), first), *by_topic),
    }


@dataclass(slots=True)
class ChainStream:
    """One contract group as a stream of pages; a partition's ``intervals`` say which blocks.

    Args:
        group: see ``coverage``.
        reader: the node.
        run: what all streams of a run share.
    """

    group: str
    reader: ChainReader
    run: ChainRun
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"chain.{self.group}"

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """Pages of the partition's blocks in order; the position is the last block that was read."""
        done = int(position.get("block", -1))
        intervals: Sequence[Interval] = partition.params["intervals"]
        intervals = [(max(first, done + 1), last) for first, last in intervals if last > done]
        is_tail = partition.key == TAIL
        for first, last in intervals:
            stored = await self.run.stored_hashes(first - 1, last) if is_tail else {}
            filters = self.run.filters[self.group]
            async for found in self.reader.ranges(filters, first, last, every_header=is_tail):
                if is_tail:
                    _follow(found, stored)
                yield await asyncio.to_thread(
                    page_of,
                    found,
                    self.group,
                    self.run.cache,
                    final_block=self.run.final_block,
                    seen_at=int(self.run.ctx.clock.time()),
                    is_last=found.last == intervals[-1][1],
                    registry_to=self.run.registry_to,
                )

    def restart_position(self, position: Position) -> Position:
        """Blocks do not expire."""
        return position


def _follow(found: LogRange, stored: dict[int, bytes]) -> None:
    """Check that blocks are those that are stored already, and follow the one before them.

    Raises:
        UpstreamUnavailableError: the chain changed: the stored blocks have to be looked at first.
    """
    for header in found.headers:
        before = stored.get(header.number - 1, header.parent)
        if stored.setdefault(header.number, header.hash) != header.hash or before != header.parent:
            raise UpstreamUnavailableError(f"block {header.number:,} changed while the chain was read")


@dataclass(slots=True)
class ChainRun:
    """One chain run.

    Args:
        ctx: the run.
        reader: the node.
        options: what to read.
    """

    ctx: RunContext
    reader: ChainReader
    options: ChainOptions
    filters: dict[str, tuple[Filter, ...]] = field(default_factory=group_filters)
    final_block: int = 0
    registry_to: int = -1
    cache: RegistryCache = field(init=False)
    _head: int = 0
    # Names of writes: after a removal the same rows may have to be written again, so no two may share one.
    _nonce: str = field(default_factory=lambda: uuid.uuid4().hex)
    _writes: int = 0
    _promoted: int = -1
    _healed: Interval = (0, -1)
    _failed: WalkResult | None = None

    def __post_init__(self) -> None:
        self.cache = RegistryCache(self.ctx.warehouse)

    async def execute(self) -> None:
        """Read what is missing; with ``follow_seconds`` until a stop.

        Raises:
            PolyhouseError: the node or a store does not answer; what is committed stays.
        """
        await self.reader.check_chain()
        await asyncio.to_thread(expect_rebuild, self.ctx.state)
        if self.options.heal:
            await asyncio.to_thread(self._forget_broken)
        while True:
            for attempt in range(_ATTEMPTS):
                if await self._pass() or self.ctx.should_end:
                    break
                await self._pause(min(_MAX_PAUSE_SECONDS, _PAUSE_SECONDS * 2**attempt))
            else:
                self._give_up()
            if self.options.follow_seconds is None or self.ctx.should_end:
                return
            await self._pause(self.options.follow_seconds)

    def _give_up(self) -> None:
        if self._failed is not None:
            self.ctx.record(self._failed)
        else:
            self.ctx.tally.error("the end of the chain changed faster than it could be read; the next run goes on")

    async def _pause(self, seconds: float) -> None:
        sleep = asyncio.ensure_future(self.ctx.clock.sleep(seconds))
        stop = asyncio.ensure_future(self.ctx.stop.wait())
        await asyncio.wait({sleep, stop}, return_when=asyncio.FIRST_COMPLETED)
        sleep.cancel()
        stop.cancel()

    async def _pass(self) -> bool:
        """One pass up to the head; False if the chain changed meanwhile and has to be looked at again."""
        self._head = await self.reader.head()
        self.final_block = max(self.final_block, self._head - self.options.confirmations)
        await self._remove_abandoned()
        await asyncio.to_thread(self._promote)
        first, last = self._bounds()
        if first > last:
            return True
        self.cache = RegistryCache(self.ctx.warehouse)
        await asyncio.to_thread(mark_unsettled_if, self.ctx, first, last)
        is_steady = await self._read(REGISTRY, await self._missing(REGISTRY, first, last))
        await asyncio.to_thread(settle_noted, self.ctx.warehouse, self.ctx.state, self.ctx.run, self._name())
        if is_steady and not self.ctx.should_end:
            # Without the registry logs of a block its other logs cannot be understood.
            readable = await asyncio.to_thread(covered, self.ctx.warehouse, REGISTRY)
            self.registry_to = readable[0][1] if readable and readable[0][0] <= self._start() else -1
            wanted = await self._missing(LEDGER, first, last)
            is_steady = await self._read(LEDGER, without(wanted, without(wanted, readable)))
        return is_steady and not await self._fork()

    async def _missing(self, group: str, first: int, last: int) -> list[Interval]:
        return await asyncio.to_thread(missing, self.ctx.warehouse, group, first, last)

    def _start(self) -> int:
        """The first block of the era registry."""
        return min(one.first_block for one in self.filters[LEDGER])

    def _bounds(self) -> Interval:
        options = self.options
        if options.heal:
            return self._healed[0], min(self._healed[1], self._head)
        first = self._start() if options.from_block is None else options.from_block
        return first, self._head if options.to_block is None else min(options.to_block, self._head)

    async def _read(self, group: str, intervals: Sequence[Interval]) -> bool:
        """Read blocks of one group: the final ones in parallel, then the soft ones in order."""
        stream = ChainStream(group, self.reader, self)
        final = without(intervals, [(self.final_block + 1, 2**32)])
        soft = without(intervals, [(0, self.final_block)])
        blocks = sum(last - start + 1 for start, last in intervals)
        self.ctx.reporter.phase(f"chain {group}", blocks, "blocks")
        try:
            await run_jobs(self.ctx, self._jobs(stream, final), self.options.workers)
            return await self._read_soft(stream, soft) if soft and not self.ctx.should_end else True
        finally:
            self.ctx.reporter.finish()

    async def _jobs(self, stream: ChainStream, intervals: Sequence[Interval]) -> AsyncIterator[WalkJob]:
        for key, parts in cells(intervals, self.options.span):
            walk = self.ctx.walk(stream, key, {"intervals": parts}, fresh=True)
            yield WalkJob(self.ctx, walk, units=sum(last - first + 1 for first, last in parts))

    async def _read_soft(self, stream: ChainStream, intervals: Sequence[Interval]) -> bool:
        """False if the blocks changed while they were read: no failure, they are looked at again."""
        walk = self.ctx.walk(stream, TAIL, {"intervals": list(intervals)}, fresh=True)
        await walk.fetch()
        result = await walk.settle()
        if result.status == "failed" and result.retryable:
            self.ctx.tally.counts["chain_retries"] += 1
            self._failed = result
            return False
        self._failed = None
        self.ctx.record(result)
        return True

    async def _fork(self) -> int | None:
        return await find_fork(self.ctx.warehouse, self.reader, self._head)

    async def _remove_abandoned(self) -> None:
        fork = await self._fork()
        if fork is None:
            return
        self.ctx.reporter.note(f"The chain changed from block {fork:,} on: those blocks are taken out and read again.")
        self.ctx.tally.counts["reorgs"] += 1
        now = int(self.ctx.clock.time())
        await asyncio.to_thread(remove_from, self.ctx.warehouse, self.ctx.state, self.ctx.run, fork, now, self._name())

    def _promote(self) -> None:
        """Blocks and ranges that are deep enough by now, and that the node just confirmed, become final."""
        for table, last in (("chain_blocks", "block"), ("coverage", "to_block")):
            self.ctx.warehouse.command(
                # The inner SELECT matters: in one SELECT the condition would look at the new value.
                f"INSERT INTO {table} SELECT * REPLACE ('final' AS finality, version + 1 AS version) FROM"
                f" (SELECT * FROM {table} FINAL WHERE finality = 'soft'"
                f" AND {last} > {{a:Int64}} AND {last} <= {{b:UInt32}})",
                {"a": self._promoted, "b": max(self.final_block, 0)},
            )
        self._promoted = self.final_block

    def _forget_broken(self) -> None:
        """What is not what the coverage ledger says becomes a hole; the outer bounds stay."""
        warehouse = self.ctx.warehouse
        ends = [interval for group in GROUPS for interval in covered(warehouse, group)]
        self._healed = (min(first for first, _ in ends), max(last for _, last in ends)) if ends else (0, -1)
        forget(warehouse, [*lost(warehouse), *overlaps(warehouse)])

    async def stored_hashes(self, first: int, last: int) -> dict[int, bytes]:
        """Block → hash of the stored blocks ``first`` … ``last``."""
        sql = "SELECT block, hash FROM chain_blocks FINAL WHERE block BETWEEN {a:UInt32} AND {b:UInt32}"
        found = await asyncio.to_thread(self.ctx.warehouse.query, sql, {"a": max(first, 0), "b": last})
        return {int(block): bytes(stored) for block, stored in found.rows}

    def _name(self) -> str:
        self._writes += 1
        return f"chain:{self._nonce}:{self._writes}"


def mark_unsettled_if(ctx: RunContext, first: int, last: int) -> None:
    """Mark the registry as unsettled from the first block that will be read."""
    found = missing(ctx.warehouse, REGISTRY, first, last)
    if found:
        mark_unsettled(ctx.state, found[0][0])


def cells(intervals: Sequence[Interval], span: int) -> list[tuple[str, list[Interval]]]:
    """Blocks cut at multiples of ``span``: (key of the partition, its intervals). Keys are stable across runs."""
    result: dict[int, list[Interval]] = {}
    for first, last in intervals:
        at = first
        while at <= last:
            cell = at // span
            end = min(last, (cell + 1) * span - 1)
            result.setdefault(cell, []).append((at, end))
            at = end + 1
    return [(f"{cell * span:010d}", result[cell]) for cell in sorted(result)]


__all__ = ["GROUPS", "ChainOptions", "ChainRun", "ChainStream", "cells", "group_filters"]
