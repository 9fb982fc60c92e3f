"""Live trades in a server: the wallets that the socket hinted at are read again, also while a job runs.

Live reading works beside the jobs, in their thread: page by page both take from one budget of requests, their batches
are committed in between, and a wallet that one of them has in its hands is left to it. Builds take turns. It has a
name of its own in the queue, so that its leases and the job's are told apart.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from polyhouse.errors import PolyhouseError
from polyhouse.failpoints import reach
from polyhouse.settings import Settings, mask_url
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.report import RunReport, WalletSelection
from polyhouse.sync.touched import rebuild_alone, rebuild_touched
from polyhouse.sync.unbuilt import remember_unbuilt
from polyhouse.wiring import Stores, engine_session, live_sync

if TYPE_CHECKING:
    from polyhouse.sources.http.lanes import RouteLanes

COMMAND = "live"
"""What its runs are called: a job that was interrupted goes on as if they had not been."""
_log = logging.getLogger("polyhouse.live")


@dataclass(frozen=True, slots=True)
class Beside:
    """What live reading shares with the jobs of its server.

    Attributes:
        lanes: the budget of requests.
        stop: ends a reading at its next page.
        is_verified: what a killed process left was looked for.
        is_busy: whether a job runs now: it builds at its end what it and those before it left.
    """

    lanes: Mapping[str, RouteLanes]
    stop: asyncio.Event
    is_verified: bool
    is_busy: Callable[[], bool]


@asynccontextmanager
async def following(settings: Settings, stores: Stores, beside: Beside) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Listen to the live socket; yields the function that follows up what it hinted at.

    Args:
        settings: resolved settings.
        stores: open stores.
        beside: what is shared with the jobs.
    """
    state = copy.copy(stores.state)
    state.worker = f"{state.worker}/{COMMAND}"
    mine = replace(stores, state=state)

    async def read(selection: WalletSelection) -> RunReport:
        # Before the first row: wherever a kill comes, the next server knows whose models may be behind.
        await asyncio.to_thread(remember_unbuilt, state, selection.addresses)
        session = engine_session(
            settings, mine, NullReporter(), stop=beside.stop, lanes=beside.lanes, is_verified=beside.is_verified,
            keeps_file=False,
        )  # fmt: skip
        async with session as engine:
            report = await engine.sync_wallets(selection, command=COMMAND)
        reach("L1")
        if report.status != "failed":
            await asyncio.to_thread(_build, mine, report, selection, is_busy=beside.is_busy())
        return report

    async with live_sync(settings, mine, read, beside.lanes) as follower:
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


def _build(stores: Stores, report: RunReport, selection: WalletSelection, *, is_busy: bool) -> None:
    """The models of the wallets that were read. All of them: a job may have brought their rows, and not built them."""
    touched = None if report.touched is None else {*report.touched, *selection.addresses}
    remember_unbuilt(stores.state, touched)
    if is_busy and touched is not None:
        rebuild_alone(stores.warehouse, stores.state, touched)
    else:
        rebuild_touched(stores.warehouse, stores.state, touched, NullReporter())


def _reason(listener: asyncio.Task[None], settings: Settings) -> str:
    """Why the socket is not listened to any more; only what no later attempt would change ends it."""
    error = listener.exception()
    return str(error) if error else f"{mask_url(settings.live_url)} sends nothing any more"
