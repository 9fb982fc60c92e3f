"""One wallet of the queue: its ledger, its reported positions, its portfolio value; and what the queue hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polyhouse.domain.ids import format_address
from polyhouse.errors import CircuitOpenError
from polyhouse.failpoints import reach
from polyhouse.state.outcomes import Synced
from polyhouse.sync import catalog
from polyhouse.sync.context import RunContext
from polyhouse.sync.positions import Replacement
from polyhouse.sync.walk import Walk, WalkResult

_GROUP = 200


@dataclass(frozen=True, slots=True)
class Done:
    """A wallet that was read to its proven end: rows of its ledger, seconds it took, nothing there at all."""

    wallet: bytes
    rows: int
    seconds: float
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How the walks over one wallet ended.

    Attributes:
        results: in their order; the last one failed, or the run was stopped, if they are not all.
        is_whole: all of them came to their proven end.
        seconds: how long they took.
        since: when they began, Unix seconds.
        failed_at: when one failed, by the monotonic clock.
    """

    results: Sequence[WalkResult]
    is_whole: bool
    seconds: float
    since: int
    failed_at: float


class WalletWork:
    """Reads one wallet: activity from its cursor, then positions, then value. The first error ends it: what was not
    asked keeps the value that the store has, and the queue tries again.
    """

    def __init__(self, ctx: RunContext, wallet: bytes, verdicts: Verdicts) -> None:
        key = format_address(wallet)
        sources = ctx.sources
        self._ctx = ctx
        self._wallet = wallet
        self._verdicts = verdicts
        self._plan = (
            ctx.walk(sources.activity, key),
            ctx.walk(sources.positions, key, fresh=True),
            ctx.walk(sources.values, key, fresh=True),
        )
        self._begun: list[Walk] = []
        self._started = 0.0
        self._since = 0
        self._failed = 0.0

    async def fetch(self) -> None:
        """Use the network."""
        self._started = self._ctx.clock.monotonic()
        self._since = int(self._ctx.clock.time())
        for walk in self._plan:
            asked = self._ctx.clock.monotonic()
            self._begun.append(walk)
            await walk.fetch()
            self._ctx.fetched(walk)
            if walk.error is not None:
                self._failed = self._ctx.clock.monotonic()
                return
            self._verdicts.answered(asked)
            if self._ctx.stop.is_set():
                return

    async def settle(self) -> None:
        """Wait for the last commits and tell the queue."""
        results = [await walk.settle() for walk in self._begun]
        reading = Reading(
            results,
            is_whole=len(results) == len(self._plan) and all(one.status in {"ok", "empty"} for one in results),
            seconds=self._ctx.clock.monotonic() - self._started,
            since=self._since,
            failed_at=self._failed,
        )
        await self._verdicts.add(self._wallet, reading)


class Verdicts:
    """Tells the queue what became of wallets, in groups.

    A failure that lies outside counts against a wallet once the upstream answered a question that was asked after it,
    or when the run comes to its end. While the upstream is down for all the run gives up, and the wallets that met the
    outage go back into the queue as they were; so do, once it answers again, those that nobody asked about because the
    host was left alone for a while.

    Args:
        ctx: the run.
        settled: hears of every wallet: whether its ledger got rows, and whether all of it was read to the end.
    """

    def __init__(self, ctx: RunContext, settled: Callable[[bytes, bool, bool], None]) -> None:
        self._ctx = ctx
        self._settled = settled
        self._done: list[Done] = []
        self._suspects: dict[bytes, tuple[float, str]] = {}
        self._unasked: dict[bytes, tuple[float, str]] = {}
        self._has_spared = False
        self._answered = 0.0
        self._replaced = Replacement(ctx)

    def answered(self, asked: float) -> None:
        """The upstream answered a question that was asked at this time (monotonic)."""
        self._answered = max(self._answered, asked)

    async def add(self, wallet: bytes, reading: Reading) -> None:
        """One wallet's work is over."""
        results = reading.results
        for result in results:
            self._ctx.record(result)
        if len(results) > 1 and results[1].status in {"ok", "empty"}:
            await self._replaced.add(wallet, reading.since)
        failed = next((one for one in results if one.status == "failed"), None)
        if failed is not None:
            await self._failed(wallet, failed, reading.failed_at)
        elif reading.is_whole:
            await self._finished(wallet, reading)
        elif any(one.status == "partial" for one in results):
            await asyncio.to_thread(self._ctx.state.queue, [wallet])
        self._settled(wallet, bool(results and results[0].rows), reading.is_whole)
        await self._charge({one: reason for one, (at, reason) in self._suspects.items() if at < self._answered})
        unasked = [one for one, (at, _) in self._unasked.items() if at < self._answered]
        for one in unasked:
            del self._unasked[one]
        await self._spare(unasked)
        if failed is not None or reading.is_whole:
            self._show(wallet, results, failed=failed is not None)

    def _show(self, wallet: bytes, results: Sequence[WalkResult], *, failed: bool) -> None:
        rows, trades = sum(one.rows for one in results), sum(one.trades for one in results)
        self._ctx.tally.counts["trades"] += trades
        self._ctx.observer.wallet(wallet)
        self._ctx.reporter.advance(1, rows=rows, trades=trades, failed=int(failed))

    async def _finished(self, wallet: bytes, reading: Reading) -> None:
        ledger, positions = reading.results[:2]
        is_empty = ledger.status == "empty" and not ledger.rejected and not positions.fetched
        self._done.append(Done(wallet, ledger.rows, reading.seconds, is_empty))
        if len(self._done) >= _GROUP:
            await self.flush()

    async def _failed(self, wallet: bytes, result: WalkResult, at: float) -> None:
        reason = f"{result.partition.stream}: {result.error}"
        if result.retryable:
            suspects = self._unasked if result.error_code == CircuitOpenError.code else self._suspects
            suspects[wallet] = (at, reason)
        else:
            await self._mark_failed({wallet: reason})

    async def _charge(self, failed: dict[bytes, str]) -> None:
        """These failures are the wallets' own."""
        for wallet in failed:
            del self._suspects[wallet]
        await self._mark_failed(failed)

    async def _spare(self, wallets: Sequence[bytes]) -> None:
        """Put wallets back that met an outage."""
        if wallets:
            self._has_spared = True
            self._ctx.tally.counts["wallets_spared"] += len(wallets)
            await asyncio.to_thread(self._ctx.state.queue, wallets)

    async def _mark_failed(self, failed: dict[bytes, str]) -> None:
        for wallet, reason in failed.items():
            record = await asyncio.to_thread(self._ctx.state.mark_failed, wallet, reason)
            self._ctx.tally.counts["wallets_failed"] += 1
            if getattr(record, "status", "") == "parked":
                self._ctx.tally.counts["wallets_parked"] += 1

    async def finish(self) -> bool:
        """Nothing is being read any more: settle what is still open. True if wallets were put back meanwhile."""
        await self.flush()
        self._suspects |= self._unasked
        self._unasked = {}
        if self._ctx.gave_up:
            spared, self._suspects = list(self._suspects), {}
            await self._spare(spared)
        await self._charge({wallet: reason for wallet, (_, reason) in self._suspects.items()})
        has_spared, self._has_spared = self._has_spared, False
        return has_spared

    async def flush(self) -> None:
        """Replace positions that are gone and mark the wallets that are done."""
        await self._replaced.flush()
        group, self._done = self._done, []
        if group:
            await asyncio.to_thread(self._complete, group)

    def _complete(self, group: Sequence[Done]) -> None:
        reach("K14")
        state, counts = self._ctx.state, self._ctx.tally.counts
        empty = [one.wallet for one in group if one.is_empty]
        full = [one for one in group if not one.is_empty]
        figures = catalog.fill_figures(self._ctx.warehouse, [one.wallet for one in full])
        synced = []
        for one in full:
            fills, newest = figures.get(one.wallet, (0, 0))
            synced.append(Synced(one.wallet, fills, newest, rows=one.rows, duration_ms=round(one.seconds * 1000)))
        state.mark_completed_many(synced)
        state.mark_empty(empty)
        counts["wallets_completed"] += len(synced)
        counts["wallets_empty"] += len(empty)
