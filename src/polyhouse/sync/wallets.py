"""Wallet ledgers: which wallets are read, and what becomes of them in the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from polyhouse.domain.ids import format_address, parse_address
from polyhouse.errors import BadInputError
from polyhouse.sync import catalog
from polyhouse.sync.context import RunContext
from polyhouse.sync.failpoints import reach
from polyhouse.sync.pool import Job, run_jobs
from polyhouse.sync.report import Plan, WalletSelection
from polyhouse.sync.walk import Walk, WalkResult

_CLAIM = 200
_GROUP = 200
_PAGE_ROWS = 1_000
_RETRIES_REMEMBERED = 10_000


async def choose_wallets(ctx: RunContext, selection: WalletSelection, *, resume: bool) -> list[bytes] | None:
    """The wallets to read: a list, or None = what is due in the queue, which is filled here.

    Args:
        ctx: the run.
        selection: what the caller asked for.
        resume: go on with the queue as an interrupted run left it.

    Raises:
        BadInputError: the file holds something that is no address.
    """
    named = list(selection.addresses)
    if selection.file is not None:
        named += await asyncio.to_thread(read_wallet_file, selection.file)
    if named:
        named = list(dict.fromkeys(named))
        await asyncio.to_thread(ctx.state.register_wallets, named, "file" if selection.file else "user")
        return named
    if selection.top is not None:
        return await asyncio.to_thread(catalog.top_wallets, ctx.warehouse, selection.top)
    if selection.all:
        if not resume:
            await asyncio.to_thread(ctx.state.queue)
    elif not selection.only_pending:
        await asyncio.to_thread(queue_gaps, ctx)
    return None


def queue_gaps(ctx: RunContext) -> None:
    """Queue the wallets whose trades feed shows something that their ledger lacks."""
    found: list[bytes] = []
    for gap in catalog.wallets_with_gaps(ctx.warehouse):
        if gap.is_behind:
            # A row that appeared behind the cursor: only reading from the beginning finds it.
            ctx.state.reset(gap.wallet)
            ctx.tally.counts["wallets_reread"] += 1
        found.append(gap.wallet)
        if len(found) >= _GROUP:
            ctx.state.queue(found)
            ctx.tally.counts["wallets_with_news"] += len(found)
            found = []
    ctx.state.queue(found)
    ctx.tally.counts["wallets_with_news"] += len(found)


def read_wallet_file(path: Path) -> list[bytes]:
    """Addresses of a file, one per line; empty lines and ``#`` comments are passed over.

    Raises:
        BadInputError: the file cannot be read, or a line is no address; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"The wallet file {path} cannot be read: {error}.") from error
    found = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                found.append(parse_address(text))
            except BadInputError as error:
                raise BadInputError(f"{path}, line {number}: {error}", hint=error.hint) from error
    return found


async def walk_wallets(ctx: RunContext, selection: WalletSelection, *, resume: bool = False) -> None:
    """Read the ledgers of the selected wallets; those that fail for outside reasons are tried once more at the end."""
    wallets = await choose_wallets(ctx, selection, resume=resume)
    refresh = selection.full or (selection.is_explicit and not selection.incremental and not selection.only_pending)
    outcome = Outcomes(ctx)
    total = len(wallets) if wallets is not None else await _queued(ctx)
    limit = selection.max_wallets
    ctx.reporter.phase("wallets", total if limit is None else min(total, limit), "wallets")
    try:
        source = _listed(ctx, wallets) if wallets is not None else _claimed(ctx)
        await run_jobs(ctx, _jobs(ctx, source, outcome, limit, refresh=refresh))
        await outcome.flush()
        if limit is not None and total > limit and not ctx.should_end:
            ctx.tally.limit(f"{total - limit:,} more wallets wait: --max-wallets {limit} was reached")
        await _try_again(ctx, outcome)
    finally:
        ctx.reporter.finish()
        await asyncio.to_thread(ctx.state.release_syncing)


async def _try_again(ctx: RunContext, outcome: Outcomes) -> None:
    failed = outcome.take_failed()
    if not failed:
        return
    outcome.is_final = True
    if ctx.should_end:
        for result in failed.values():
            ctx.record(result)
        return
    await run_jobs(ctx, _jobs(ctx, _listed(ctx, list(failed)), outcome, None, refresh=False))
    await outcome.flush()


async def _queued(ctx: RunContext) -> int:
    counts = await asyncio.to_thread(ctx.state.wallet_counts)
    return counts["pending"] + counts["failed"]


async def _listed(ctx: RunContext, wallets: Sequence[bytes]) -> AsyncIterator[bytes]:
    for start in range(0, len(wallets), _CLAIM):
        group = wallets[start : start + _CLAIM]
        await asyncio.to_thread(ctx.state.mark_syncing, group)
        for wallet in group:
            yield wallet


async def _claimed(ctx: RunContext) -> AsyncIterator[bytes]:
    while group := await asyncio.to_thread(ctx.state.claim_wallets, _CLAIM):
        for wallet in group:
            yield wallet


async def _jobs(
    ctx: RunContext, wallets: AsyncIterator[bytes], outcome: Outcomes, limit: int | None, *, refresh: bool
) -> AsyncIterator[Job]:
    started = 0
    async for wallet in wallets:
        if limit is not None and started >= limit:
            return
        started += 1
        walk = ctx.walk(ctx.sources.activity, format_address(wallet), refresh=refresh)
        yield WalletJob(ctx, walk, wallet, outcome)


class WalletJob:
    """One wallet's ledger."""

    def __init__(self, ctx: RunContext, walk: Walk, wallet: bytes, outcome: Outcomes) -> None:
        self._ctx = ctx
        self._walk = walk
        self._wallet = wallet
        self._outcome = outcome

    async def fetch(self) -> None:
        """Read the ledger."""
        await self._walk.fetch()
        self._ctx.fetched(self._walk)

    async def settle(self) -> None:
        """Wait for the last commit and tell the queue."""
        await self._outcome.add(self._wallet, await self._walk.settle())


class Outcomes:
    """Tells the queue what became of wallets, in groups."""

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx
        self._completed: list[bytes] = []
        self._failed: dict[bytes, WalkResult] = {}
        self.is_final = False

    def take_failed(self) -> dict[bytes, WalkResult]:
        """Wallets that may be tried again in this run, and why they failed."""
        failed, self._failed = self._failed, {}
        return failed

    async def add(self, wallet: bytes, result: WalkResult) -> None:
        """One wallet's walk is over."""
        if result.status == "failed":
            await asyncio.to_thread(self._ctx.state.mark_failed, wallet, result.error)
            if result.retryable and not self.is_final and len(self._failed) < _RETRIES_REMEMBERED:
                self._failed[wallet] = result
                return
        self._ctx.record(result)
        self._ctx.reporter.advance(1, rows=result.rows, failed=int(result.status == "failed"))
        if result.status in {"ok", "empty"}:
            self._completed.append(wallet)
            self._ctx.wallets_done += wallet
            if len(self._completed) >= _GROUP:
                await self.flush()
        elif result.status == "partial":
            await asyncio.to_thread(self._ctx.state.queue, [wallet])

    async def flush(self) -> None:
        """Mark the completed wallets."""
        group, self._completed = self._completed, []
        if group:
            await asyncio.to_thread(self._complete, group)

    def _complete(self, group: Sequence[bytes]) -> None:
        reach("K14")
        figures = catalog.fill_figures(self._ctx.warehouse, group)
        for wallet in group:
            fills, newest = figures.get(wallet, (0, 0))
            self._ctx.state.mark_completed(wallet, trades_synced=fills, last_trade_at=newest)


async def plan_wallets(ctx: RunContext, selection: WalletSelection) -> Plan:
    """What reading the selection would cost; changes nothing."""
    named = list(selection.addresses)
    if selection.file is not None:
        named += await asyncio.to_thread(read_wallet_file, selection.file)
    if selection.top is not None:
        named += await asyncio.to_thread(catalog.top_wallets, ctx.warehouse, selection.top)
    counts = await asyncio.to_thread(ctx.state.wallet_counts)
    if named:
        wallets = len(set(named))
    elif selection.all:
        wallets = sum(counts.values())
    else:
        wallets = counts["pending"] + counts["failed"]
        if not selection.only_pending:
            wallets += await asyncio.to_thread(lambda: sum(1 for _ in catalog.wallets_with_gaps(ctx.warehouse)))
    if selection.max_wallets is not None:
        wallets = min(wallets, selection.max_wallets)
    rows = await asyncio.to_thread(catalog.row_count, ctx.warehouse, list(dict.fromkeys(named)))
    requests = wallets + (rows // _PAGE_ROWS if selection.full or not selection.incremental else 0)
    return Plan(wallets, requests, requests / ctx.sources.requests_per_second)
