"""The chain source as the work of a run, and whether it is the source to take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from polyhouse.ports import Warehouse
from polyhouse.settings import Settings
from polyhouse.sync.chain import ChainOptions, ChainRun
from polyhouse.sync.context import RunContext
from polyhouse.wiring import chain_reader


def chain_work(settings: Settings, options: ChainOptions) -> Callable[[RunContext], Awaitable[None]]:
    """The work of a chain run, for ``SyncEngine.perform``."""

    async def work(ctx: RunContext) -> None:
        async with chain_reader(settings, ctx.state) as reader:
            await ChainRun(ctx, reader, options).execute()

    return work


def follows_chain(settings: Settings, warehouse: Warehouse) -> bool:
    """Whether a node is set and a back-fill has come to the end of the chain: from then on the chain is the source."""
    if not settings.rpc_urls():
        return False
    return bool(warehouse.query("SELECT count() FROM coverage WHERE finality = 'soft'").rows[0][0])
