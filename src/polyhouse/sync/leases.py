"""A run's signs of life: its claims hold, and other machines see that it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from polyhouse.errors import RetryableError
from polyhouse.sync.store import RunState

_RENEWALS = 5
"""Leases are renewed so often while they hold, so that a busy moment does not lose them."""


@asynccontextmanager
async def leases_renewed(state: RunState) -> AsyncIterator[None]:
    """Hold this process's claims and show that its run goes on, however long a single wallet takes."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(state.lease_seconds / _RENEWALS)
            with suppress(RetryableError):  # more beats come before the leases run out
                await asyncio.to_thread(state.renew_leases)

    renewing = asyncio.create_task(renew(), name="leases")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait({renewing})
    if not renewing.cancelled():
        renewing.result()  # our bug: say so
