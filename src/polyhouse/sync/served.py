"""What the Data API says of itself (``/v2/status``), kept with every run that asked it, and held against the copy.

It names no counts of rows: what can be compared is time and blocks. An index that is further behind than a walk reads
again (ten minutes) may still learn of rows behind every cursor, so that "up to date" would be no true word.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from polyhouse.domain.times import format_time
from polyhouse.errors import PolyhouseError
from polyhouse.models.checks import CheckResult
from polyhouse.sources.data_api.rows import OVERLAP_SECONDS
from polyhouse.sync.context import RunContext
from polyhouse.sync.store import RunState

SERVED_NOTE = "upstream.served"
"""Note with the newest answer: ``at`` Unix seconds, ``lag_seconds``, ``lowest_block``, ``highest_block`` (null = not
told)."""

_log = logging.getLogger("polyhouse.sync.served")


async def record_served(ctx: RunContext) -> None:
    """Ask once and keep the answer. An upstream that does not tell is no fault of the run."""
    if ctx.sources.served is None or ctx.should_end:
        return
    try:
        found = await ctx.sources.served()
    except PolyhouseError as error:
        _log.warning("the upstream did not say how far it is: %s", error)
        return
    note = {
        "at": int(ctx.clock.time()),
        "lag_seconds": found.serving.lag_seconds,
        "lowest_block": found.ingestion.min_synced_block,
        "highest_block": found.ingestion.max_synced_block,
    }
    await asyncio.to_thread(ctx.state.set_note, SERVED_NOTE, note)


def upstream_is_in_step(state: RunState) -> CheckResult:
    """The upstream's own index was no further behind than walks read again, when a run last asked it."""
    started = time.monotonic()
    meaning = "the upstream's index was at most ten minutes behind the chain when it was last read"
    note = state.get_note(SERVED_NOTE)
    if note is None:
        return CheckResult("upstream_is_in_step", ok=True, broken=0, detail=f"{meaning}: no run has asked it yet")
    lag, said = note["lag_seconds"], f"at {format_time(int(note['at']))} {_said(note)}"
    late = (f"{lag:,.0f} s",) if lag is not None and lag > OVERLAP_SECONDS else ()
    detail = f"violated: {meaning}; {said}; polyhouse run, later" if late else f"{meaning}: {said}"
    return CheckResult("upstream_is_in_step", not late, len(late), detail, late, seconds=time.monotonic() - started)


def _said(note: Mapping[str, Any]) -> str:
    lag, low, high = note["lag_seconds"], note["lowest_block"], note["highest_block"]
    words = "it did not say how far it was" if lag is None else f"it was {lag:,.0f} s behind"
    # Parts that book no trades (custody) are often a thousand blocks behind: told, and no fault.
    return f"{words}, its slowest part {high - low:,} blocks" if high is not None and low != high and low else words
