"""The command that follows the live socket: sync live."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from polyhouse.cli.base import Run, command, say
from polyhouse.cli.jobs import print_report, run_in_stores
from polyhouse.cli.progress import reporter_for

if TYPE_CHECKING:
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.report import RunReport, RunStatus, WalletSelection


@command(
    "live",
    examples=("polyhouse sync live", "polyhouse sync live --minutes 60 --json", "polyhouse sync live --no-metrics"),
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Stop after so long.")
@click.option("--no-metrics", is_flag=True, help="Do not recompute the touched wallets.")
def live(run: Run, minutes: float | None, no_metrics: bool) -> int:
    """Follow live trades until stopped: wallets that trade are read again at once, gaps are filled from REST."""
    from polyhouse.settings import mask_url
    from polyhouse.sync.touched import rebuild_touched
    from polyhouse.wiring import live_sync, open_stores

    reporter = reporter_for(run)
    with open_stores(run.settings) as stores:

        async def job(engine: SyncEngine) -> RunReport:
            from polyhouse.sync.report import RunReport

            async def read(selection: WalletSelection) -> RunReport:
                report = await engine.sync_wallets(selection)
                if not no_metrics and report.status in {"ok", "partial"}:
                    await asyncio.to_thread(rebuild_touched, stores.warehouse, stores.state, report.touched, reporter)
                return report

            ended = asyncio.Event()
            async with live_sync(run.settings, stores, read) as follower:
                say(f"following {mask_url(run.settings.live_url)} (Ctrl-C stops)")
                watching = asyncio.create_task(_end(engine.stop, minutes, ended))
                try:
                    found = await follower.follow(ended)
                finally:
                    watching.cancel()
                    with suppress(asyncio.CancelledError):
                        await watching
            status: RunStatus = "interrupted" if engine.stop.is_set() else "partial" if found.errors else "ok"
            exit_code = 1 if found.errors else 0
            return RunReport(0, status, counts=dict(found.counts), errors=found.errors, exit_code=exit_code)

        report, signal_number = run_in_stores(run.settings, stores, reporter, job, concurrency=20)
    print_report(run, "sync live", report)
    return 128 + (signal_number or 2) if report.status == "interrupted" else report.exit_code


async def _end(stop: asyncio.Event, minutes: float | None, ended: asyncio.Event) -> None:
    """Set ``ended`` when a signal came or the time is over."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), None if minutes is None else minutes * 60)
    ended.set()


__all__ = ["live"]
