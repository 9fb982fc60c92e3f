"""The command that works the priority queue: process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.jobs import print_report, run_in_stores
from polyhouse.cli.output import emit_json
from polyhouse.cli.progress import reporter_for

if TYPE_CHECKING:
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.process import QueueState
    from polyhouse.sync.report import RunReport

_HOUR = 3600.0


@command(
    "process",
    examples=(
        "polyhouse process",
        "polyhouse process --max-wallets 500 --json",
        "polyhouse process --continuous --discover-hours 12",
    ),
)
@click.option("--continuous", is_flag=True, help="Go on for ever: wait until a wallet is due, discover now and then.")
@click.option("--max-wallets", type=click.IntRange(1), metavar="N", help="At most so many; the rest waits.")
@click.option("--concurrency", type=click.IntRange(1, 1000), default=50, show_default=True, metavar="N")
@click.option(
    "--discover-hours",
    type=click.FloatRange(0),
    default=6.0,
    show_default=True,
    metavar="N",
    help="With --continuous: look for new wallets so often; 0 = never.",
)
@click.option(
    "--look-seconds",
    type=click.FloatRange(0.1, 600),
    default=600.0,
    show_default=True,
    metavar="N",
    help="With --continuous: longest wait between two looks at the queue.",
)
@click.option("--no-metrics", is_flag=True, help="Do not recompute models and scores.")
def process(run: Run, continuous: bool, concurrency: int, **chosen: Any) -> int:
    """Work the queue of wallets: whales first, then new ones, then those read more than six hours ago.

    For each: ledger, reported positions and value; then holders of the markets they are in, positions, totals and
    scores. Ends when nobody is due, and says when the next one is.
    """
    from polyhouse.publishing import publish_after_build
    from polyhouse.wiring import open_stores

    reporter = reporter_for(run)
    queue: list[QueueState] = []
    with open_stores(run.settings) as stores:

        async def job(engine: SyncEngine) -> RunReport:
            from polyhouse.sources.http import SystemClock
            from polyhouse.sync.process import ProcessOptions
            from polyhouse.sync.process import process as work_queue
            from polyhouse.sync.process_loop import LoopOptions, ProcessLoop

            options = ProcessOptions(max_wallets=chosen["max_wallets"], metrics=not chosen["no_metrics"])
            if not continuous:
                done = await work_queue(engine, options)
                queue.append(done.queue)
                return done.report
            rhythm = LoopOptions(
                look=chosen["look_seconds"],
                discover=chosen["discover_hours"] * _HOUR,
                outage=min(30.0, chosen["look_seconds"]),
            )
            loop = ProcessLoop(engine, stores.state, SystemClock(), options, rhythm, say)
            report = await loop.run()
            queue.append(loop.queue)
            return report

        report, signal_number = run_in_stores(run.settings, stores, reporter, job, concurrency=concurrency)
        is_published = chosen["no_metrics"] or publish_after_build(run.settings, stores, say)
    return _finish(run, report, queue[-1], signal_number) or (0 if is_published else 1)


def _finish(run: Run, report: RunReport, queue: QueueState, signal_number: int | None) -> int:
    if run.json:
        from polyhouse.jobs.report import report_document

        emit_json(report_document("process", report) | {"queue": queue.document()})
    print_report(Run(flags=run.flags), "process", report)
    if report.status == "interrupted":
        return 128 + (signal_number or 2)
    say(queue.in_words())
    if report.status in {"ok", "partial"}:
        next_steps(run, "polyhouse leaderboard", "polyhouse sql 'SELECT * FROM wallets_needing_sync LIMIT 20'")
    return int(report.exit_code)
