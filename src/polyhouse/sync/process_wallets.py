"""One wallet of the queue: its ledger, its reported positions, its portfolio value; and what the queue hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polyhouse.domain.ids import format_address
from polyhouse.state.outcomes import Synced
from polyhouse.sync import catalog
from polyhouse.sync.context import RunContext
from polyhouse.sync.failpoints import reach
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

    async def fetch(self) -> None:
        """Use the network."""
        self._started = self._ctx.clock.monotonic()
        self._since = int(self._ctx.clock.time())
        for walk in self._plan:
            self._begun.append(walk)
            await walk.fetch()
            self._ctx.fetched(walk)
            if walk.error is not None or self._ctx.stop.is_set():
                return

    async def settle(self) -> None:
        """Wait for the last commits and tell the queue."""
        results = [await walk.settle() for walk in self._begun]
        seconds = self._ctx.clock.monotonic() - self._started
        await self._verdicts.add(self._wallet, results, seconds, since=self._since, expected=len(self._plan))


class Verdicts:
    """Tells the queue what became of wallets, in groups.

    A failure counts against a wallet only when the upstream answered somebody afterwards: while it is down for all, the
    wallets that met the outage go back into the queue as they were.

    Args:
        ctx: the run.
        settled: hears of every wallet: whether its ledger got rows, and whether all of it was read to the end.
    """

    def __init__(self, ctx: RunContext, settled: Callable[[bytes, bool, bool], None]) -> None:
        self._ctx = ctx
        self._settled = settled
        self._done: list[Done] = []
        self._suspects: dict[bytes, str] = {}
        self._replaced = Replacement(ctx)

    async def add(
        self, wallet: bytes, results: Sequence[WalkResult], seconds: float, *, since: int, expected: int
    ) -> None:
        """One wallet's work is over.

        Args:
            wallet: the wallet.
            results: of its walks, in their order; fewer than ``expected`` if one failed or the run was stopped.
            seconds: how long they took.
            since: when they began, Unix seconds.
            expected: walks of a complete reading.
        """
        for result in results:
            self._ctx.record(result)
        is_complete = len(results) == expected and all(one.status in {"ok", "empty"} for one in results)
        if len(results) > 1 and results[1].status in {"ok", "empty"}:
            await self._replaced.add(wallet, since)
        failed = next((one for one in results if one.status == "failed"), None)
        if failed is not None:
            await self._failed(wallet, failed)
        elif is_complete:
            ledger, positions = results[:2]
            is_empty = ledger.status == "empty" and not ledger.rejected and not positions.fetched
            self._done.append(Done(wallet, ledger.rows, seconds, is_empty))
            if len(self._done) >= _GROUP:
                await self.flush()
        elif any(one.status == "partial" for one in results):
            await asyncio.to_thread(self._ctx.state.queue, [wallet])
        self._settled(wallet, bool(results and results[0].rows), is_complete)
        if failed is None and results:
            await self._clear_suspects()
        rows = sum(one.rows for one in results)
        self._ctx.reporter.advance(1, rows=rows, failed=int(failed is not None))

    async def _failed(self, wallet: bytes, result: WalkResult) -> None:
        reason = f"{result.partition.stream}: {result.error}"
        if result.retryable:
            self._suspects[wallet] = reason
        else:
            await self._mark_failed({wallet: reason})

    async def _clear_suspects(self) -> None:
        """Somebody was answered: those who were not have a fault of their own."""
        suspects, self._suspects = self._suspects, {}
        await self._mark_failed(suspects)

    async def _mark_failed(self, failed: dict[bytes, str]) -> None:
        for wallet, reason in failed.items():
            record = await asyncio.to_thread(self._ctx.state.mark_failed, wallet, reason)
            self._ctx.tally.counts["wallets_failed"] += 1
            if getattr(record, "status", "") == "parked":
                self._ctx.tally.counts["wallets_parked"] += 1

    async def finish(self) -> None:
        """The run is over: settle what is still open."""
        await self.flush()
        if self._ctx.gave_up:
            suspects, self._suspects = self._suspects, {}
            self._ctx.tally.counts["wallets_spared"] += len(suspects)
            await asyncio.to_thread(self._ctx.state.queue, list(suspects))
        await self._clear_suspects()

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
