"""Refresh of markets that can still change: open ones, late resolutions, corrected and withdrawn payouts.

``market_rules`` says which markets are due; nobody else is asked. One group of due markets after the other: their
events (metadata, tags, further markets), then what their resolutions stand at, then a note of when they were asked. A
group that a kill interrupted is due again.

The models of all holders follow by themselves: a build for touched wallets takes every holder of a token whose
resolution changed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from polyhouse.errors import BadInputError
from polyhouse.sync.context import RunContext
from polyhouse.sync.market_rules import DueMarket, due_markets, schedule
from polyhouse.sync.markets import in_thread, look_up_missing, lookup_key
from polyhouse.sync.payouts import Payout, holders, payouts, withdraw
from polyhouse.sync.pool import WalkJob, run_jobs
from polyhouse.sync.walk import WalkResult
from polyhouse.tables import Columns

_BATCH = 20
_GROUP = 1_000
"""Markets whose payouts are compared before and after at a time."""


@dataclass(slots=True)
class _Asked:
    """Markets of one group that were answered, and the number of the next look-up."""

    done: list[bytes] = field(default_factory=list)
    number: int = 0

    def key(self) -> str:
        """Key of the next look-up of this run."""
        self.number += 1
        return lookup_key(self.number)


async def walk_open_markets(ctx: RunContext, *, everything: bool = False) -> None:
    """Ask for news of every market that is due.

    Counts: ``markets_due``, ``markets_refreshed``, by rule ``due_<rule>``; ``resolved`` (a payout where none was),
    ``corrected`` (another one), ``reopened`` (none where one was), ``wallets_affected``.

    Args:
        ctx: the run.
        everything: whether they are due or not.
    """
    now = int(ctx.clock.time())
    # An earlier run may have been killed between the answer and what follows from it.
    await ctx.writer.call(withdraw, ctx.warehouse, ctx.run)
    ctx.reporter.phase("open markets", None, "markets")
    changed: list[bytes] = []
    asked = _Asked()
    try:
        async for group in in_thread(_groups(due_markets(ctx.warehouse, now, everything=everything))):
            if ctx.should_end:
                break
            changed += await _refresh(ctx, group, asked)
    finally:
        ctx.reporter.finish()
    ctx.tally.counts["wallets_affected"] += await asyncio.to_thread(holders, ctx.warehouse, changed)
    if not ctx.should_end:
        await look_up_missing(ctx)
        await asyncio.to_thread(_tell_schedule, ctx)


def _groups(chunks: Iterator[list[DueMarket]]) -> Iterator[list[DueMarket]]:
    for chunk in chunks:
        for start in range(0, len(chunk), _GROUP):
            yield chunk[start : start + _GROUP]


async def _refresh(ctx: RunContext, group: Sequence[DueMarket], asked: _Asked, *, metadata: bool = True) -> list[bytes]:
    """Ask for one group; returns the conditions whose payouts changed."""
    counts = ctx.tally.counts
    counts["markets_due"] += len(group)
    counts.update(Counter(f"due_{market.rule}" for market in group))
    conditions = [market.condition for market in group]
    before = await asyncio.to_thread(payouts, ctx.warehouse, conditions)
    if metadata:
        await run_jobs(ctx, _metadata_jobs(ctx, group, asked))
    if not ctx.should_end:
        await run_jobs(ctx, _resolution_jobs(ctx, group, asked))
    await ctx.writer.call(withdraw, ctx.warehouse, ctx.run, conditions)
    after = await asyncio.to_thread(payouts, ctx.warehouse, conditions)
    done, asked.done = asked.done, []
    await ctx.writer.call(_note_checks, ctx, done)
    counts["markets_refreshed"] += len(done)
    return _compare(counts, before, after)


def _compare(counts: Counter[str], before: dict[bytes, Payout], after: dict[bytes, Payout]) -> list[bytes]:
    changed = [one for one in before.keys() | after.keys() if before.get(one) != after.get(one)]
    for condition in changed:
        old, new = before.get(condition), after.get(condition)
        counts["resolved" if old is None else "reopened" if new is None else "corrected"] += 1
    return sorted(changed)


def _metadata_jobs(ctx: RunContext, group: Sequence[DueMarket], asked: _Asked) -> Iterator[WalkJob]:
    """Events of the markets that are not paid out; markets whose event is unknown one by one."""
    open_ones = [market for market in group if market.rule != "resolved"]
    events = sorted({market.event_id for market in open_ones if market.event_id})
    for start in range(0, len(events), _BATCH):
        ids = events[start : start + _BATCH]
        yield WalkJob(ctx, ctx.walk(ctx.sources.gamma_events, asked.key(), {"ids": ids}, fresh=True), units=0)
    loose = [market.text for market in open_ones if not market.event_id]
    for start in range(0, len(loose), _BATCH):
        texts = loose[start : start + _BATCH]
        yield WalkJob(ctx, ctx.walk(ctx.sources.gamma_markets, asked.key(), {"conditions": texts}, fresh=True), units=0)


def _resolution_jobs(ctx: RunContext, group: Sequence[DueMarket], asked: _Asked) -> Iterator[WalkJob]:
    for start in range(0, len(group), _BATCH):
        batch = group[start : start + _BATCH]
        walk = ctx.walk(
            ctx.sources.resolutions, asked.key(), {"conditions": [market.text for market in batch]}, fresh=True
        )
        yield WalkJob(ctx, walk, _answered(asked, [market.condition for market in batch]), units=len(batch))


def _answered(asked: _Asked, conditions: list[bytes]) -> Callable[[WalkResult], Awaitable[None]]:
    async def look(result: WalkResult) -> None:
        if result.status in {"ok", "empty"}:
            asked.done += conditions

    return look


def _note_checks(ctx: RunContext, conditions: Sequence[bytes]) -> None:
    """Note when these were asked, also those that the list of resolutions does not know."""
    if conditions:
        now = int(ctx.clock.time())
        columns: Columns = {"condition": list(conditions), "checked_at": [now] * len(conditions)}
        ctx.warehouse.write("market_checks", columns, run=ctx.run, token=f"checks:{ctx.run}:{conditions[0].hex()}")


def _tell_schedule(ctx: RunContext) -> None:
    """Say what waits, and until when."""
    now = int(ctx.clock.time())
    waiting = schedule(ctx.warehouse, now)
    if waiting:
        ctx.tally.counts["next_due_minutes"] = max(0, min(rule.next_due for rule in waiting) - now) // 60
    for rule in waiting:
        ctx.tally.counts[f"waiting_{rule.rule}"] = rule.markets
        minutes = max(0, rule.next_due - now) // 60
        ctx.reporter.note(f"{rule.markets:,} {rule.rule} markets, the next one due in {minutes:,} min")


async def walk_events(ctx: RunContext, names: Sequence[str]) -> None:
    """Refresh some events now, by number or slug, with all their markets and resolutions.

    Raises:
        BadInputError: the upstream knows no such event.
    """
    ids = sorted({int(name) for name in names if name.isdigit()})
    slugs = sorted({name for name in names if not name.isdigit()})
    stream = ctx.sources.gamma_events
    wanted = [*([stream.by_ids(ids)] if ids else []), *([stream.by_slugs(slugs)] if slugs else [])]
    ctx.reporter.phase("events", len(names), "events")
    try:
        await run_jobs(ctx, [WalkJob(ctx, ctx.walk_over(stream, partition, fresh=True)) for partition in wanted])
    finally:
        ctx.reporter.finish()
    if ctx.should_end:
        return
    found = await asyncio.to_thread(_event_markets, ctx, ids, slugs)
    if missing := [name for name in names if name not in found.names]:
        raise BadInputError(
            f"Unknown event: {', '.join(missing[:5])}.", hint="An event is named by its number or its slug."
        )
    asked = _Asked()
    for group in _groups(iter([found.markets])):
        changed = await _refresh(ctx, group, asked, metadata=False)
        ctx.tally.counts["wallets_affected"] += await asyncio.to_thread(holders, ctx.warehouse, changed)


@dataclass(frozen=True, slots=True)
class _Found:
    names: set[str]
    markets: list[DueMarket]


def _event_markets(ctx: RunContext, ids: Sequence[int], slugs: Sequence[str]) -> _Found:
    events = ctx.warehouse.query(
        """
        SELECT event_id, slug FROM events_current
        WHERE event_id IN {ids:Array(UInt64)} OR slug IN {slugs:Array(String)}
        """,
        {"ids": list(ids), "slugs": list(slugs)},
    ).rows
    numbers = [int(row[0]) for row in events]
    rows = ctx.warehouse.query(
        """
        SELECT DISTINCT condition, event_id FROM markets_current
        WHERE condition != '' AND event_id IN {numbers:Array(UInt64)} ORDER BY condition
        """,
        {"numbers": numbers},
    ).rows
    names = {str(number) for number in numbers} | {str(row[1]) for row in events}
    return _Found(names, [DueMarket(bytes(row[0]), int(row[1]), "named") for row in rows])
