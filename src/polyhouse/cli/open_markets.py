"""The command for markets that can still change: sync open-markets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from polyhouse.cli.base import Run, command
from polyhouse.cli.jobs import run_job

if TYPE_CHECKING:
    from polyhouse.sync.context import RunContext
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.report import RunReport


@command(
    "open-markets",
    examples=(
        "polyhouse sync open-markets",
        "polyhouse sync open-markets --event 791700 --event fed-decision-in-october",
        "polyhouse sync open-markets --everything --json",
    ),
)
@click.option("--event", "events", multiple=True, metavar="ID|SLUG", help="Only this event, now; repeatable.")
@click.option("--everything", is_flag=True, help="Every market that can still change, due or not.")
@click.option("--no-metrics", is_flag=True, help="Do not recompute the holders of what was resolved or corrected.")
def open_markets(run: Run, events: tuple[str, ...], everything: bool, no_metrics: bool) -> int:
    """Refresh of markets that are due: near their end, traded, proposed sooner, quiet ones later; late resolutions;
    corrected and withdrawn payouts. The PnL of all holders follows."""
    if events and everything:
        raise click.UsageError("choose one of --event, --everything")

    async def job(engine: SyncEngine) -> RunReport:
        from polyhouse.sync.open_markets import walk_events, walk_open_markets

        async def work(ctx: RunContext) -> None:
            if events:
                await walk_events(ctx, list(dict.fromkeys(events)))
            else:
                await walk_open_markets(ctx, everything=everything)

        return await engine.perform("sync open-markets", {"events": list(events[:100]), "everything": everything}, work)

    return run_job(run, "sync open-markets", job, metrics=not no_metrics)


__all__ = ["open_markets"]
