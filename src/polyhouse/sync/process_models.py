"""Models and scores of the wallets that processing touched, and what the scores mean for the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from polyhouse.errors import InvariantBrokenError
from polyhouse.ports import Stream, Warehouse
from polyhouse.reads.scores import whale_scores
from polyhouse.sync import catalog
from polyhouse.sync.context import RunContext
from polyhouse.sync.markets import lookup_key
from polyhouse.sync.pool import WalkJob, run_jobs
from polyhouse.sync.store import RunState
from polyhouse.sync.touched import rebuild

_PAGE = 5_000
_TOKENS_BATCH = 50
_CONDITIONS_BATCH = 20
_MOST_CONDITIONS = 10_000


async def build_models(ctx: RunContext, wallets: Sequence[bytes] | None) -> int:
    """Rebuild the models of these wallets (None = all) and tell the queue their whale scores; returns how many."""

    def work() -> int:
        try:
            _, named = rebuild(ctx.warehouse, ctx.state, wallets)
        except InvariantBrokenError as error:  # reading goes on; the run says so at its end
            ctx.tally.error(str(error))
            return 0
        return rank_by_score(ctx.warehouse, ctx.state, named)

    return await asyncio.to_thread(work)


async def map_tokens(ctx: RunContext, wallets: Sequence[bytes]) -> None:
    """Ask what the tokens of these wallets belong to where no source has said so yet, then for the markets behind."""
    tokens = await asyncio.to_thread(unmapped_tokens_of, ctx.warehouse, wallets)
    await _look_up(ctx, ctx.sources.tokens, "tokens", tokens, _TOKENS_BATCH)
    if tokens:
        conditions = await asyncio.to_thread(catalog.unlisted_conditions, ctx.warehouse, limit=_MOST_CONDITIONS)
        await _look_up(ctx, ctx.sources.gamma_markets, "conditions", conditions, _CONDITIONS_BATCH)


async def _look_up(ctx: RunContext, stream: Stream, param: str, ids: Sequence[str], size: int) -> None:
    batches = [list(ids[start : start + size]) for start in range(0, len(ids), size)]
    walks = [ctx.walk(stream, lookup_key(number), {param: batch}, fresh=True) for number, batch in enumerate(batches)]
    await run_jobs(ctx, [WalkJob(ctx, walk, units=0) for walk in walks])


def unmapped_tokens_of(warehouse: Warehouse, wallets: Sequence[bytes]) -> list[str]:
    """Tokens of these wallets' observations that no source mapped to a condition, as decimals, in order."""
    rows = warehouse.query(
        """
        SELECT DISTINCT token FROM observations
        WHERE wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))
          AND token != toFixedString('', 32) AND source != 'chain' AND token NOT IN (SELECT token FROM tokens)
        ORDER BY token SETTINGS max_threads = 1
        """,
        {"wallets": [wallet.hex() for wallet in wallets]},
    ).rows
    return [str(int.from_bytes(row[0], "big")) for row in rows]


def rank_by_score(warehouse: Warehouse, state: RunState, wallets: Sequence[bytes] | None) -> int:
    """Hand the whale scores of these wallets (None = of all that have one) to the queue; returns how many."""
    ranked = 0
    for group in _groups(warehouse, wallets):
        scores = whale_scores(warehouse, group)
        state.set_whale_scores(scores)
        ranked += len(scores)
    return ranked


def _groups(warehouse: Warehouse, wallets: Sequence[bytes] | None) -> Iterator[Sequence[bytes]]:
    if wallets is not None:
        yield from (wallets[start : start + _PAGE] for start in range(0, len(wallets), _PAGE))
        return
    after = ""
    while rows := warehouse.query(
        """
        SELECT DISTINCT wallet FROM wallet_scores_v1 WHERE wallet > unhex({after:String}) OR {after:String} = ''
        ORDER BY wallet LIMIT {page:UInt32}
        """,
        {"after": after, "page": _PAGE},
    ).rows:
        yield [bytes(row[0]) for row in rows]
        after = bytes(rows[-1][0]).hex()
