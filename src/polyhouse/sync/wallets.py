"""Wallet ledgers: which wallets are read, and how they come out of the queue. Nothing here holds all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, suppress
from itertools import islice

from polyhouse.domain.ids import format_address
from polyhouse.sync import catalog
from polyhouse.sync.context import RunContext
from polyhouse.sync.gaps import find_news
from polyhouse.sync.outcomes import Outcomes
from polyhouse.sync.pool import Job, run_jobs
from polyhouse.sync.report import Plan, WalletSelection
from polyhouse.sync.walk import Walk
from polyhouse.sync.wallet_list import WalletList, check_wallet_file, in_groups, wallet_file_groups

_GROUP = 200
_PAGE_ROWS = 1_000
_LOOK_SECONDS = 1.0


async def choose_wallets(ctx: RunContext, selection: WalletSelection, *, resume: bool) -> WalletList | None:
    """The wallets to read: a list, or None = what is due in the queue, which is filled here.

    Args:
        ctx: the run.
        selection: what the caller asked for.
        resume: go on with the queue as an interrupted run left it.

    Raises:
        BadInputError: the file holds something that is no address; nothing was registered.
    """
    if selection.addresses or selection.file is not None:
        return await asyncio.to_thread(_register_named, ctx, selection)
    if selection.top is not None:
        return WalletList(await asyncio.to_thread(catalog.top_wallets, ctx.warehouse, selection.top))
    if selection.active_only:
        return await asyncio.to_thread(_with_news, ctx)
    if selection.all:
        if not resume:
            await asyncio.to_thread(ctx.state.queue)
    elif not selection.only_pending:
        await asyncio.to_thread(queue_news, ctx)
    return None


def named_wallets(selection: WalletSelection) -> WalletList:
    """The wallets of the command line and of the file, each once.

    Raises:
        BadInputError: the file holds something that is no address.
    """
    named = WalletList(selection.addresses)
    if selection.file is not None:
        for group in wallet_file_groups(selection.file):
            named.add(group)
    return named


def _register_named(ctx: RunContext, selection: WalletSelection) -> WalletList:
    if selection.file is not None:
        check_wallet_file(selection.file)
    named = named_wallets(selection)
    for group in named.groups():
        ctx.state.register_wallets(group, "file" if selection.file else "user")
    return named


def queue_news(ctx: RunContext) -> None:
    """Queue the wallets whose trades feed shows something that their ledger lacks."""
    news = find_news(ctx)
    while group := list(islice(news, _GROUP)):
        ctx.state.queue(group)


def _with_news(ctx: RunContext) -> WalletList:
    found = WalletList()
    news = find_news(ctx)
    while group := list(islice(news, _GROUP)):
        found.add(group)
    return found


async def walk_wallets(
    ctx: RunContext, selection: WalletSelection, *, resume: bool = False, since: int | None = None
) -> None:
    """Read the ledgers of the selected wallets; those that fail for outside reasons are tried once more at the end.

    Args:
        ctx: the run.
        selection: which ones.
        resume: go on with the queue as an interrupted run left it.
        since: leave out named wallets that were completed from this moment on (Unix seconds), unless only news is
            wanted: an interrupted run of the same call has read them.
    """
    wallets = await choose_wallets(ctx, selection, resume=resume)
    refresh = selection.full or (selection.is_explicit and not selection.incremental and not selection.only_pending)
    outcome = Outcomes(ctx)
    since = since if refresh else None
    total = await asyncio.to_thread(_queued, ctx) if wallets is None else await _left(ctx, wallets, since)
    limit = selection.max_wallets
    ctx.reporter.phase("wallets", total if limit is None else min(total, limit), "wallets")
    try:
        source = _claimed(ctx) if wallets is None else _listed(ctx, wallets.groups(ctx.limits.claim), since)
        async with aclosing(source):
            await run_jobs(ctx, _jobs(ctx, source, outcome, limit, refresh=refresh, since=since))
        await outcome.flush()
        if selection.until_empty:
            await _work_with_others(ctx, outcome)
        if limit is not None and total > limit and not ctx.should_end:
            ctx.tally.counts["wallets_waiting"] = total - limit
            ctx.tally.limit(f"{total - limit:,} more wallets wait: --max-wallets {limit} was reached")
        await _try_again(ctx, outcome)
    finally:
        ctx.reporter.finish()
        await asyncio.to_thread(ctx.state.release_worker)
        if wallets is not None:
            wallets.close()


async def _work_with_others(ctx: RunContext, outcome: Outcomes) -> None:
    """Go on claiming until nobody holds a wallet any more: those of a worker that dies come back by their lease."""
    is_waiting = False
    while not ctx.should_end:
        await asyncio.to_thread(ctx.state.release_worker)  # of a claim whose answer was lost
        # Asked before the claim: who lets go of a wallet in between leaves it to us.
        others, begun = await asyncio.to_thread(ctx.state.leased_to_others), outcome.begun
        source = _claimed(ctx)
        async with aclosing(source):
            await run_jobs(ctx, _jobs(ctx, source, outcome, None, refresh=False))
        await outcome.flush()
        if outcome.begun > begun:
            continue
        if not others:
            return
        if not is_waiting:
            ctx.reporter.note(f"The queue is empty; {others:,} wallets are in the hands of other workers.")
            is_waiting = True
        with suppress(TimeoutError):
            await asyncio.wait_for(ctx.stop.wait(), _LOOK_SECONDS)


async def _try_again(ctx: RunContext, outcome: Outcomes) -> None:
    failed = outcome.take_failed()
    if not failed:
        return
    outcome.is_final = True
    if ctx.should_end:
        for wallet, result in failed.items():
            outcome.count(wallet, result)
        return
    source = _listed(ctx, in_groups(list(failed), ctx.limits.claim), None)
    async with aclosing(source):
        await run_jobs(ctx, _jobs(ctx, source, outcome, None, refresh=False))
    await outcome.flush()


def _queued(ctx: RunContext) -> int:
    """How many wallets a claim would find, those that failed and may be tried again included."""
    while ctx.state.promote_due(stale=False):
        pass
    return ctx.state.wallet_counts()["pending"]


async def _listed(ctx: RunContext, groups: Iterable[Sequence[bytes]], since: int | None) -> AsyncGenerator[bytes, None]:
    """The wallets of the groups that are left to read; those that other processes work on are counted as done."""
    for group in groups:
        wanted = await asyncio.to_thread(_not_read_since, ctx, group, since)
        free = await asyncio.to_thread(_lease, ctx, wanted)
        if len(free) < len(wanted):
            ctx.tally.counts["wallets_with_others"] += len(wanted) - len(free)
            ctx.reporter.advance(len(wanted) - len(free))
        for wallet in free:
            yield wallet


async def _left(ctx: RunContext, wallets: WalletList, since: int | None) -> int:
    """How many of the list are to be read."""
    if since is None:
        return len(wallets)

    def count() -> int:
        return sum(len(_not_read_since(ctx, group, since)) for group in wallets.groups())

    left = await asyncio.to_thread(count)
    ctx.tally.counts["wallets_read_before"] = len(wallets) - left
    return left


def _not_read_since(ctx: RunContext, group: Sequence[bytes], since: int | None) -> Sequence[bytes]:
    if since is None:
        return group
    read = ctx.state.read_since(group, since)
    return [wallet for wallet in group if wallet not in read]


async def _claimed(ctx: RunContext) -> AsyncGenerator[bytes, None]:
    while group := await asyncio.to_thread(_claim, ctx):
        for wallet in group:
            yield wallet


def _claim(ctx: RunContext) -> Sequence[bytes]:
    if ctx.state.is_shared:
        # Leases may have run out while the store was away: what is still in our hands must not be given to us again.
        ctx.state.renew_leases()
    claimed = ctx.state.claim_wallets(ctx.limits.claim)
    _read_ahead(ctx, claimed)
    return claimed


def _lease(ctx: RunContext, wanted: Sequence[bytes]) -> Sequence[bytes]:
    free = ctx.state.lease_wallets(wanted)
    _read_ahead(ctx, free)
    return free


def _read_ahead(ctx: RunContext, wallets: Sequence[bytes]) -> None:
    if wallets:
        ctx.state.read_ahead([ctx.sources.activity.name], [format_address(wallet) for wallet in wallets])


async def _jobs(
    ctx: RunContext,
    wallets: AsyncIterator[bytes],
    outcome: Outcomes,
    limit: int | None,
    *,
    refresh: bool,
    since: int | None = None,
) -> AsyncIterator[Job]:
    started = 0
    async for wallet in wallets:
        if limit is not None and started >= limit:
            return
        started += 1
        outcome.started(wallet)
        walk = ctx.walk(ctx.sources.activity, format_address(wallet), refresh=refresh, since=since)
        yield WalletJob(ctx, walk, wallet, outcome)


class WalletJob:
    """One wallet's ledger."""

    def __init__(self, ctx: RunContext, walk: Walk, wallet: bytes, outcome: Outcomes) -> None:
        self._ctx = ctx
        self._walk = walk
        self._wallet = wallet
        self._outcome = outcome
        self._started = 0.0

    async def fetch(self) -> None:
        """Read the ledger."""
        self._started = self._ctx.clock.monotonic()
        await self._walk.fetch()
        if not await self._failed_again():
            self._ctx.fetched(self._walk)

    async def settle(self) -> None:
        """Wait for the last commit and tell the queue."""
        result = await self._walk.settle()
        await self._outcome.add(self._wallet, result, self._ctx.clock.monotonic() - self._started)

    async def _failed_again(self) -> bool:
        """A wallet that failed before says nothing about the upstream, however many of them come in a row."""
        if self._walk.error is None:
            return False
        record = await asyncio.to_thread(self._ctx.state.wallet, self._wallet)
        return record is not None and record.attempts > 0


async def plan_wallets(ctx: RunContext, selection: WalletSelection) -> Plan:
    """What reading the selection would cost; changes nothing."""
    named = await asyncio.to_thread(named_wallets, selection)
    if selection.top is not None:
        named.add(await asyncio.to_thread(catalog.top_wallets, ctx.warehouse, selection.top))
    counts = await asyncio.to_thread(ctx.state.wallet_counts)
    if len(named):
        wallets = len(named)
    elif selection.all:
        wallets = sum(counts.values())
    else:
        wallets = counts["pending"] + counts["failed"]
        if not selection.only_pending:
            wallets += await asyncio.to_thread(lambda: sum(1 for _ in catalog.wallets_with_gaps(ctx.warehouse)))
    if selection.max_wallets is not None:
        wallets = min(wallets, selection.max_wallets)
    rows = await asyncio.to_thread(_known_rows, ctx, named)
    named.close()
    requests = wallets + (rows // _PAGE_ROWS if selection.full or not selection.incremental else 0)
    return Plan(wallets, requests, requests / ctx.sources.requests_per_second)


def _known_rows(ctx: RunContext, named: WalletList) -> int:
    if not len(named):
        return catalog.row_count(ctx.warehouse, [])
    return sum(catalog.row_count(ctx.warehouse, group) for group in named.groups())
