"""Live trades in a server: between two jobs, the wallets that the socket hinted at are read again.

Jobs and live reading take turns: there is one budget of requests, one queue and one build at a time. What is hinted at
during a job waits, and is read right after it unless the job read it already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from polyhouse.errors import PolyhouseError
from polyhouse.settings import Settings, mask_url
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.report import RunReport, WalletSelection
from polyhouse.sync.touched import rebuild_touched
from polyhouse.sync.unbuilt import remember_unbuilt
from polyhouse.wiring import Stores, engine_session, live_sync

_log = logging.getLogger("polyhouse.live")


@asynccontextmanager
async def following(
    settings: Settings, stores: Stores, stop: Callable[[], asyncio.Event]
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Listen to the live socket; yields the function that follows up what it hinted at.

    Args:
        settings: resolved settings.
        stores: open stores.
        stop: the event that ends a reading at its next page.
    """

    async def read(selection: WalletSelection) -> RunReport:
        async with engine_session(settings, stores, NullReporter(), stop=stop()) as engine:
            report = await engine.sync_wallets(selection)
        if report.status != "failed":
            await asyncio.to_thread(remember_unbuilt, stores.state, report.touched)
            await asyncio.to_thread(rebuild_touched, stores.warehouse, stores.state, report.touched, NullReporter())
        return report

    async with live_sync(settings, stores, read) as follower:
        listener = asyncio.create_task(follower.listen(), name="live-socket")
        told = 0

        async def look() -> None:
            nonlocal told
            if listener.done() and not told:
                told = 1
                _log.warning("live trades end: %s", _reason(listener, settings))
            try:
                await follower.round()
            except PolyhouseError as error:
                _log.warning("live trades wait: %s", error)

        try:
            yield look
        finally:
            listener.cancel()
            await asyncio.wait({listener})


def _reason(listener: asyncio.Task[None], settings: Settings) -> str:
    """Why the socket is not listened to any more; only what no later attempt would change ends it."""
    error = listener.exception()
    return str(error) if error else f"{mask_url(settings.live_url)} sends nothing any more"
