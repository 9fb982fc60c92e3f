"""Runs one job of the sync engine: stores, signals, progress, summary, exit code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from polyhouse.cli.base import Run, next_steps, say
from polyhouse.cli.output import emit_json
from polyhouse.cli.progress import duration, reporter_for
from polyhouse.cli.signals import Stopper, run_async

if TYPE_CHECKING:
    from polyhouse.settings import Settings
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.progress import Reporter
    from polyhouse.sync.report import RunReport
    from polyhouse.wiring import Stores

_SHOWN_ERRORS = 5


def run_job(
    run: Run,
    name: str,
    job: Callable[[SyncEngine], Awaitable[RunReport]],
    *,
    metrics: bool = False,
    concurrency: int = 50,
    claim: int = 50,
    workers: int = 0,
    hands: int = 1,
    next_commands: Sequence[str] = (),
) -> int:
    """Open the stores, run ``job``, print its report and return the exit code.

    Args:
        name: the command, for the summary.
        job: what to do with the engine.
        metrics: recompute the wallets the job touched.
        concurrency: partitions read at the same time.
        claim: wallets taken out of the queue at a time.
        workers: processes that read wallets for this one.
        hands: pages that each of them may have under way.
        next_commands: what to suggest after success.
    """
    from polyhouse.publishing import publish_after_build
    from polyhouse.reads.queue import remember_figures
    from polyhouse.sync.touched import rebuild_touched
    from polyhouse.wiring import open_stores

    settings = run.settings
    reporter = reporter_for(run)
    is_published = True
    with open_stores(settings) as stores:
        report, signal_number = run_in_stores(
            settings, stores, reporter, job, concurrency=concurrency, claim=claim, workers=workers, hands=hands
        )
        if report.plan is None and report.status in {"ok", "partial"}:
            if metrics:
                rebuild_touched(stores.warehouse, stores.state, report.touched, reporter)
                is_published = publish_after_build(settings, stores, say)
            remember_figures(stores.warehouse, stores.state)
    print_report(run, name, report)
    if report.status == "interrupted":
        return 128 + (signal_number or 2)
    if report.status in {"ok", "partial"}:
        next_steps(run, *next_commands)
    return int(report.exit_code) or (0 if is_published else 1)


def run_in_stores(
    settings: Settings,
    stores: Stores,
    reporter: Reporter,
    job: Callable[[SyncEngine], Awaitable[RunReport]],
    *,
    concurrency: int,
    claim: int = 50,
    workers: int = 0,
    hands: int = 1,
) -> tuple[RunReport, int | None]:
    """Run ``job`` with open stores; returns its report and the signal that stopped it, if one did."""
    from polyhouse.wiring import engine_session

    async def main(stopper: Stopper) -> RunReport:
        session = engine_session(
            settings, stores, reporter, stop=stopper.event, concurrency=concurrency, claim=claim, workers=workers,
            hands=hands,
        )  # fmt: skip
        async with session as engine:
            return await job(engine)

    try:
        return run_async(main)
    finally:
        reporter.finish()


def print_report(run: Run, name: str, report: RunReport) -> None:
    """The summary: on stdout as JSON if asked for, else as talk on stderr."""
    if run.json:
        from polyhouse.jobs.report import report_document

        emit_json(report_document(name, report))
    if report.plan is not None:
        plan = report.plan
        say(
            f"{name}: would read {plan.partitions:,} partitions with about {plan.requests:,} requests, "
            f"{duration(plan.seconds)} at the current limits; nothing was changed"
        )
        for road in plan.roads:
            mark = "*" if road.road == plan.chosen else " "
            say(f" {mark} {road.road}: {road.requests:,} requests, {duration(road.seconds)}: {road.why}")
        return
    counts = ", ".join(f"{count:,} {key.replace('_', ' ')}" for key, count in report.counts.items() if count)
    say(f"{name}: {report.status} in {duration(report.seconds)}{f' ({counts})' if counts else ''}")
    for error in report.errors[:_SHOWN_ERRORS]:
        say(f"  {error}")
    if len(report.errors) > _SHOWN_ERRORS:
        say(f"  … and {report.counts.get('errors', len(report.errors)) - _SHOWN_ERRORS:,} more: polyhouse status")
    if report.status == "interrupted":
        say("stopped at a page boundary; the same command goes on from there")
