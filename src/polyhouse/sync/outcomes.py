"""What became of the wallets of a run: counted, shown, and told to the queue in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from polyhouse.failpoints import reach
from polyhouse.state.outcomes import Synced
from polyhouse.sync import catalog
from polyhouse.sync.context import RunContext
from polyhouse.sync.walk import WalkResult

_GROUP = 200
_RETRIES_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Finished:
    """A wallet that was read to its proven end."""

    wallet: bytes
    rows: int
    milliseconds: int


class Outcomes:
    """Tells the queue what became of wallets. Holds the last group and the wallets that are to be tried again, no more.

    Attributes:
        is_final: failures are final for this run; set for the second round.
        begun: wallets that were begun, each time counted.
    """

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx
        self._finished: list[Finished] = []
        self._empty: list[bytes] = []
        self._failed: dict[bytes, WalkResult] = {}
        self.is_final = False
        self.begun = 0

    def take_failed(self) -> dict[bytes, WalkResult]:
        """Wallets that may be tried again in this run, and why they failed."""
        failed, self._failed = self._failed, {}
        return failed

    def started(self, wallet: bytes) -> None:
        """The wallet is read (again): an earlier failure of this run is not final."""
        self.begun += 1
        self._failed.pop(wallet, None)

    async def add(self, wallet: bytes, result: WalkResult, seconds: float = 0.0) -> None:
        """One wallet's walk is over."""
        if result.status == "failed":
            record = await asyncio.to_thread(self._ctx.state.mark_failed, wallet, result.error)
            if getattr(record, "status", "") == "parked":
                self._ctx.tally.counts["wallets_parked"] += 1
            if result.retryable and not self.is_final and len(self._failed) < _RETRIES_REMEMBERED:
                self._failed[wallet] = result
                return
        self.count(wallet, result)
        if result.status in {"ok", "empty"}:
            self._ctx.wallets_done += wallet
            if result.status == "empty" and not result.rejected:
                self._empty.append(wallet)
            else:
                self._finished.append(Finished(wallet, result.rows, round(seconds * 1_000)))
            if len(self._finished) + len(self._empty) >= _GROUP:
                await self.flush()
        elif result.status == "partial":
            await asyncio.to_thread(self._ctx.state.queue, [wallet])

    def count(self, wallet: bytes, result: WalkResult) -> None:
        """The result is final for this run: count and show it."""
        ctx, counts = self._ctx, self._ctx.tally.counts
        ctx.record(result)
        kind = {"ok": "completed", "empty": "empty", "failed": "failed"}.get(result.status)
        if kind is not None:
            counts[f"wallets_{kind}"] += 1
        counts["trades"] += result.trades
        if result.status == "interrupted":
            return
        ctx.observer.wallet(wallet)
        ctx.reporter.advance(
            1, rows=result.rows, trades=result.trades, empty=int(result.status == "empty"),
            failed=int(result.status == "failed"),
        )  # fmt: skip

    async def flush(self) -> None:
        """Mark the finished wallets."""
        finished, self._finished = self._finished, []
        empty, self._empty = self._empty, []
        if finished or empty:
            await asyncio.to_thread(self._complete, finished, empty)

    def _complete(self, finished: Sequence[Finished], empty: Sequence[bytes]) -> None:
        reach("K14")
        if empty:
            self._ctx.state.mark_empty(empty)
        if finished:
            figures = catalog.fill_figures(self._ctx.warehouse, [one.wallet for one in finished])
            self._ctx.state.mark_completed_many(
                Synced(one.wallet, *figures.get(one.wallet, (0, 0)), one.rows, one.milliseconds) for one in finished
            )
