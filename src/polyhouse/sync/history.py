"""History of wallets from the side sources: old subgraphs, Dome, the first Data API, and prices of tokens.

What they bring joins the one ledger as observations of lower rank; a better source of the same transaction wins
whenever it comes. One job is one run of the engine: ``engine.perform("sync history", …, history_job(…))``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from polyhouse.domain.ids import format_address
from polyhouse.errors import AuthError
from polyhouse.ports import Partition, Stream, Warehouse
from polyhouse.sync.context import RunContext
from polyhouse.sync.markets import look_up_missing
from polyhouse.sync.pool import WalkJob, run_jobs
from polyhouse.sync.walk import Walk

_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """What to read.

    Attributes:
        stream: from where.
        partitions: what of it.
        wallets: the wallets that were named; they are registered.
        full: from the beginning instead of from where the last walk ended.
    """

    stream: Stream
    partitions: Sequence[Partition]
    wallets: Sequence[bytes] = ()
    full: bool = False


def wallet_plan(stream: Stream, wallets: Sequence[bytes], *, full: bool = False) -> HistoryPlan:
    """One partition per wallet."""
    unique = list(dict.fromkeys(wallets))
    partitions = [Partition(stream.name, format_address(wallet)) for wallet in unique]
    return HistoryPlan(stream, partitions, unique, full)


def history_job(plan: HistoryPlan) -> Callable[[RunContext], Awaitable[None]]:
    """The work of one run.

    The run fails as a whole with ``AuthError`` when the source refuses the key: no other partition could do better.
    """

    async def work(ctx: RunContext) -> None:
        if plan.wallets:
            await asyncio.to_thread(ctx.state.register_wallets, list(plan.wallets), "user")
        ctx.reporter.phase("history", len(plan.partitions), "partitions")
        try:
            await run_jobs(ctx, _jobs(ctx, plan))
        finally:
            ctx.reporter.finish()
        if not ctx.should_end:
            await look_up_missing(ctx)

    return work


def _jobs(ctx: RunContext, plan: HistoryPlan) -> Iterator[WalkJob]:
    for partition in plan.partitions:
        walk = ctx.walk_over(plan.stream, partition, refresh=plan.full)
        yield _KeyedJob(ctx, walk)


class _KeyedJob(WalkJob):
    """A walk that ends the run when the key is refused."""

    def __init__(self, ctx: RunContext, walk: Walk) -> None:
        super().__init__(ctx, walk)
        self._keyed = walk

    async def fetch(self) -> None:
        await super().fetch()
        if isinstance(self._keyed.error, AuthError):
            raise self._keyed.error


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """An outcome token and the time in which it has prices; ``end`` 0 = it is still traded."""

    token: bytes
    start: int
    end: int


def token_spans(warehouse: Warehouse, tokens: Sequence[bytes] | None = None) -> Iterator[list[TokenSpan]]:
    """Tokens with the time in which they were traded, in chunks ordered by token.

    From the start of the market (or the first known fill, if that is earlier or nothing else is known) to the
    resolution.

    Args:
        warehouse: with observations and resolutions.
        tokens: these only; None = every traded one.
    """
    wanted = (
        "" if tokens is None else "AND token IN (SELECT toFixedString(unhex(arrayJoin({wanted:Array(String)})), 32))"
    )
    after = bytes(32)
    while True:
        rows = warehouse.query(
            f"""
            SELECT o.token, if(m.start > 0, least(m.start, o.first), o.first), toUnixTimestamp(r.ts) FROM (
                SELECT token, max(t.condition) AS condition, min(toUnixTimestamp(ts)) AS first
                FROM observations AS o LEFT JOIN tokens_current AS t USING (token)
                WHERE kind IN ('BUY', 'SELL') AND token > toFixedString(unhex({{after:String}}), 32) {wanted}
                GROUP BY token ORDER BY token LIMIT {{chunk:UInt32}}) AS o
            LEFT JOIN (SELECT condition, min(ts) AS ts FROM resolutions_current WHERE NOT provisional
                       GROUP BY condition) AS r ON r.condition = o.condition
            LEFT JOIN (SELECT condition, toUnixTimestamp(max(start_ts)) AS start FROM markets_current
                       GROUP BY condition) AS m ON m.condition = o.condition
            ORDER BY o.token
            """,
            {"after": after.hex(), "chunk": _CHUNK, "wanted": [token.hex() for token in tokens or ()]},
        ).rows
        if not rows:
            return
        yield [TokenSpan(bytes(token), int(first), int(end)) for token, first, end in rows]
        after = bytes(rows[-1][0])
