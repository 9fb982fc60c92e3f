"""Discovery without the upstream: the ledger itself, files, and the user tables of a database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from polyhouse.sources.files.addresses import AddressLines, read_addresses
from polyhouse.sources.user_tables import AddressGroup
from polyhouse.sync import discovery_catalog as catalog
from polyhouse.sync.context import RunContext
from polyhouse.sync.discovery_links import Sorted, sort_addresses, write_links
from polyhouse.sync.discovery_report import DiscoverReport
from polyhouse.sync.markets import in_thread

_SHOWN_LINES = 20
_GROUP = 10_000


async def read_ledger(ctx: RunContext, *, only_count: bool = False) -> None:
    """Register the wallets of the ledger that are not registered. Known ones are not touched: nothing new is seen."""
    slices = await asyncio.to_thread(catalog.ledger_slices, ctx.warehouse)
    ctx.reporter.phase("ledger", len(slices), "parts")
    try:
        for low, high in slices:
            if ctx.stop.is_set():
                return
            await asyncio.to_thread(_ledger_slice, ctx, low, high, only_count)
            ctx.reporter.advance(1)
    finally:
        ctx.reporter.finish()


def _ledger_slice(ctx: RunContext, low: bytes, high: bytes, only_count: bool) -> None:
    wallets = catalog.ledger_wallets(ctx.warehouse, low, high)
    known = ctx.state.known_wallets(wallets)
    ctx.discovery.note_known(known, "ledger")
    ctx.discovery.register((one for one in wallets if one not in known), "ledger", only_count=only_count)


async def wake_empty(ctx: RunContext) -> int:
    """Queue the wallets that were read and found empty, and of which the ledger has a row now; returns how many."""
    woken, after = 0, b""
    while not ctx.stop.is_set():
        group = await asyncio.to_thread(lambda: ctx.state.wallet_addresses("empty", _GROUP, after=after))  # noqa: B023
        if not group:
            break
        woken += await asyncio.to_thread(_wake, ctx, group)
        after = group[-1]
    return woken


def _wake(ctx: RunContext, wallets: Sequence[bytes]) -> int:
    return ctx.state.sighted(sorted(catalog.traded(ctx.warehouse, wallets)), int(ctx.clock.time()))


async def read_file(ctx: RunContext, path: Path, report: DiscoverReport, *, only_count: bool = False) -> None:
    """Register the addresses of a file. Lines that hold none are counted, and the first ones named.

    Raises:
        BadInputError: the file cannot be read.
    """
    ctx.reporter.phase("file", None, "lines")
    shown = 0
    try:
        async for group in in_thread(read_addresses(path)):
            for number, reason in group.bad:
                report.rejected[str(path)] += 1
                ctx.discovery.rejected["file"] += 1
                if shown < _SHOWN_LINES:
                    shown += 1
                    ctx.tally.error(f"{path}, line {number}: {reason}")
            await _take(ctx, group, "file", report, only_count=only_count)
            ctx.reporter.advance(len(group.either) + len(group.owners) + len(group.bad))
            if ctx.stop.is_set():
                return
    finally:
        ctx.reporter.finish()
    if report.rejected[str(path)] > shown:
        ctx.tally.error(f"{path}: {report.rejected[str(path)] - shown:,} more lines hold no address")


async def read_users(ctx: RunContext, report: DiscoverReport, *, only_count: bool = False) -> None:
    """Register the wallets of the user tables. What is missing or no address is named by table and column.

    Raises:
        RetryableError: the database does not answer.
        AuthError: it refuses the user.
        ConfigError: it has none of the tables.
    """
    if ctx.sources.users is None:
        return
    rejected: dict[str, int] = {}
    ctx.reporter.phase("user tables", None, "rows")
    try:
        async for group in in_thread(ctx.sources.users.read()):
            report.missing += group.missing
            for text in group.missing:
                ctx.reporter.note(f"User tables: {text}.")
            for place, count in group.rejected.items():
                rejected[place] = rejected.get(place, 0) + count
            await _take(ctx, group, "users", report, only_count=only_count)
            ctx.reporter.advance(len(group.wallets) + len(group.either) + len(group.owners))
            if ctx.stop.is_set():
                break
    finally:
        ctx.reporter.finish()
    for place, count in sorted(rejected.items()):
        report.rejected[place] += count
        ctx.discovery.rejected["users"] += count
        ctx.tally.error(f"{place}: {count:,} values are no wallet addresses (0x and 40 hex digits)")


async def _take(
    ctx: RunContext, group: AddressGroup | AddressLines, source: str, report: DiscoverReport, *, only_count: bool
) -> None:
    found = await asyncio.to_thread(_sort, ctx, group)
    await asyncio.to_thread(lambda: ctx.discovery.register(found.wallets, source, only_count=only_count))
    if found.links and not only_count:
        report.links += await ctx.writer.call(write_links, ctx, found.links, source)


def _sort(ctx: RunContext, group: AddressGroup | AddressLines) -> Sorted:
    wallets = group.wallets if isinstance(group, AddressGroup) else []
    return sort_addresses(ctx, wallets=wallets, either=group.either, owners=group.owners, pairs=group.pairs)
