"""Discovery: who trades on Polymarket, from every road that names wallets.

The upstream's lists first (holders, trades, leaderboards), then what is here (ledger, files, user tables), since a
signer is recognised by wallets that are known. New wallets are queued by being registered; known ones keep their
status, their attempts and their cursors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from polyhouse.errors import BadInputError, ConfigError, PolyhouseError
from polyhouse.sync import catalog, discovery_catalog
from polyhouse.sync.context import RunContext
from polyhouse.sync.discovery_hook import SOURCES
from polyhouse.sync.discovery_links import link_again
from polyhouse.sync.discovery_lists import walk_boards, walk_holders
from polyhouse.sync.discovery_local import read_file, read_ledger, read_users, wake_empty
from polyhouse.sync.discovery_report import DiscoverOptions, DiscoverReport
from polyhouse.sync.markets import walk_universe
from polyhouse.sync.report import Plan
from polyhouse.sync.trades import walk_trades

_BATCH = 20
_FEEDS_PER_BATCH = 2
"""All fills, and those of takers: read side by side."""


async def discover_all(
    ctx: RunContext, options: DiscoverOptions | None = None, report: DiscoverReport | None = None
) -> DiscoverReport:
    """Ask every chosen source for wallets and register them; wake empty ones of which something was seen.

    Args:
        ctx: the run.
        options: which sources; by default all that are configured.
        report: is filled, also when the run ends early.

    Raises:
        ConfigError: a source was asked for that is not configured.
        BadInputError: the file cannot be read.
        PolyhouseError: the only source asked for cannot be read.
    """
    options, report = options or DiscoverOptions(), report or DiscoverReport()
    chosen = _chosen(ctx, options)
    try:
        if {"holders", "trades"} & set(chosen):
            await walk_universe(ctx, full=False)
        for source in chosen:
            if ctx.stop.is_set() or (ctx.gave_up and source in {"holders", "trades", "leaderboard"}):
                continue
            try:
                await _steps(ctx, options, report)[source]()
            except PolyhouseError as error:
                if len(chosen) == 1 or isinstance(error, BadInputError) or ctx.writer.failure is not None:
                    raise
                ctx.tally.counts["failed"] += 1
                ctx.tally.error(f"{source}: {error}")
        if not ctx.stop.is_set():
            report.links += await link_again(ctx)
            ctx.tally.counts["wallets_no_longer_empty"] += await wake_empty(ctx)
    finally:
        _sum_up(ctx, chosen, report)
    return report


def _steps(
    ctx: RunContext, options: DiscoverOptions, report: DiscoverReport, *, only_count: bool = False
) -> dict[str, Callable[[], Awaitable[None]]]:
    async def file() -> None:
        if options.file is not None:
            await read_file(ctx, options.file, report, only_count=only_count)

    return {
        "holders": lambda: walk_holders(ctx, report),
        "trades": lambda: walk_trades(ctx),
        "leaderboard": lambda: walk_boards(ctx, report),
        "ledger": lambda: read_ledger(ctx, only_count=only_count),
        "file": file,
        "users": lambda: read_users(ctx, report, only_count=only_count),
    }


def _chosen(ctx: RunContext, options: DiscoverOptions) -> tuple[str, ...]:
    if unknown := set(options.sources) - set(SOURCES):
        raise BadInputError(f"{min(unknown)!r} is no source of wallets.", hint=f"One of {', '.join(SOURCES)}.")
    if "file" in options.sources and options.file is None:
        raise BadInputError("The source file needs a file.", hint="Name it with --file.")
    if "users" in options.sources and ctx.sources.users is None:
        raise ConfigError("The source users needs a database.", hint="Set POLYHOUSE_USER_WALLETS_URL.")
    return options.chosen(has_users=ctx.sources.users is not None)


def _sum_up(ctx: RunContext, chosen: tuple[str, ...], report: DiscoverReport) -> None:
    for source in chosen:
        figures = report.sources[source] = ctx.discovery.counts(source)
        for name in ("seen", "new", "rejected"):
            ctx.tally.counts[f"{source}_{name}"] = figures[name]
    report.totals = ctx.discovery.totals()
    ctx.tally.counts["wallets_seen"] = report.totals["seen"]
    ctx.tally.counts["links_new"] = report.links


async def plan_discovery(ctx: RunContext, options: DiscoverOptions, report: DiscoverReport) -> Plan:
    """What a discovery would ask the upstream, and what the local sources would bring; changes nothing."""
    chosen = _chosen(ctx, options)
    partitions = requests = 0
    if "holders" in chosen:
        active = await asyncio.to_thread(discovery_catalog.active_count, ctx.warehouse)
        partitions += -(-active // _BATCH)
        requests += -(-active // _BATCH)
    if "trades" in chosen:
        markets = await asyncio.to_thread(catalog.market_count, ctx.warehouse)
        partitions += -(-markets // _BATCH)
        requests += _FEEDS_PER_BATCH * -(-markets // _BATCH)
    if "leaderboard" in chosen:
        boards = sum(len(stream.partitions(int(ctx.clock.time()))) for stream in ctx.sources.leaderboards)
        partitions += boards
        requests += boards
    steps = _steps(ctx, options, report, only_count=True)
    for source in ("ledger", "file", "users"):
        if source in chosen:
            await steps[source]()
    _sum_up(ctx, tuple(source for source in chosen if source in {"ledger", "file", "users"}), report)
    return Plan(partitions, requests, requests / ctx.sources.requests_per_second)


__all__ = ["DiscoverOptions", "DiscoverReport", "discover_all", "plan_discovery"]
