"""``polyhouse worker``: one more loader process, on this or another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from polyhouse.cli.base import Run, command, say
from polyhouse.errors import RetryableError

if TYPE_CHECKING:
    from polyhouse.fleet.meeting import Meeting
    from polyhouse.settings import Settings


_CLAIM = 10
"""Wallets that are claimed at a time, beyond one for each page under way: so many wait for a dead worker's lease."""


@command(
    "worker",
    examples=("polyhouse worker", "polyhouse worker --concurrency 4", "polyhouse worker --home ~/other-copy"),
    json=False,
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    metavar="N",
    help="Pages under way at the same time; so many are fetched again if it is killed.",
)
@click.option("--no-metrics", is_flag=True, help="Do not recompute the touched wallets afterwards.")
def worker(run: Run, concurrency: int, no_metrics: bool) -> int:
    """One more loader process on the shared queue.

    Joins the process that owns the store of this home folder (`sync wallets --workers N`), fetches for it within its
    limits, and leaves with it. Where warehouse and state are servers and no owner is here, it works the queue of
    wallets itself, beside the workers of other machines, and later workers of this home folder join it. It ends when
    the queue is empty and no other worker holds a wallet: the wallets of one that died come back after
    POLYHOUSE_LEASE_SECONDS. Give each machine a home folder and an address of its own.
    """
    from polyhouse.fleet.meeting import find_meeting, is_open

    settings = run.settings
    meeting = find_meeting(settings.home)
    if meeting is not None and is_open(meeting):
        return _join(meeting, concurrency)
    if _is_shared(settings):
        return _work_queue(run, concurrency, metrics=not no_metrics)
    raise RetryableError(
        f"No process that takes workers owns the store in {settings.home}.",
        hint="Start one: polyhouse sync wallets --all --workers 4",
    )


def _join(meeting: Meeting, hands: int) -> int:
    from polyhouse.cli.signals import run_async
    from polyhouse.fleet.worker import work

    say(f"worker: fetching for process {meeting.pid}")
    pages, signal_number = run_async(lambda stopper: work(meeting, hands=hands, stop=stopper.event))
    say(f"worker: handed over {pages:,} pages")
    return 0 if signal_number is None else 128 + signal_number


def _work_queue(run: Run, hands: int, *, metrics: bool) -> int:
    from polyhouse.cli.jobs import run_job
    from polyhouse.sync.report import WalletSelection

    selection = WalletSelection(only_pending=True, until_empty=True)
    return run_job(
        run,
        "worker",
        lambda engine: engine.sync_wallets(selection),
        metrics=metrics,
        claim=_CLAIM + hands,
        workers=1,
        hands=hands,
    )


def _is_shared(settings: Settings) -> bool:
    """Whether other machines can open both stores."""
    schemes = {urlsplit(url).scheme.partition("+")[0] for url in (settings.engine_url(), settings.state_url())}
    return not schemes & {"chdb", "sqlite"}
