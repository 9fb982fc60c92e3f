"""Commands on the chain source: sync chain, and the parts of run and check that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from polyhouse.cli.base import Run, command, say
from polyhouse.cli.jobs import run_job
from polyhouse.errors import ConfigError, UpstreamUnavailableError

if TYPE_CHECKING:
    from polyhouse.settings import Settings
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.report import RunReport

_BLOCK = click.IntRange(0)


@command(
    "chain",
    examples=(
        "polyhouse sync chain",
        "polyhouse sync chain --from-block 84902320 --workers 8",
        "polyhouse sync chain --follow 2",
        "polyhouse sync chain --from-store",
    ),
)
@click.option("--from-block", type=_BLOCK, metavar="N", help="First block; by default that of the first contract.")
@click.option("--to-block", type=_BLOCK, metavar="N", help="Last block; by default the newest one.")
@click.option("--workers", type=click.IntRange(1, 256), default=4, show_default=True, help="Ranges read side by side.")
@click.option("--follow", type=click.FloatRange(0.1), metavar="SECONDS", help="Go on with new blocks until stopped.")
@click.option("--from-store", is_flag=True, help="Read no node: derive all rows again from the stored logs.")
@click.option("--no-metrics", is_flag=True, help="Do not recompute the touched wallets afterwards.")
def chain(
    run: Run,
    from_block: int | None,
    to_block: int | None,
    workers: int,
    follow: float | None,
    from_store: bool,
    no_metrics: bool,
) -> int:
    """Exact logs from a Polygon JSON-RPC node (POLYHOUSE_RPC_URL): what is missing up to the newest block. With
    POLYHOUSE_HYPERSYNC_TOKEN final blocks come from HyperSync, much faster."""
    first = run.settings.from_block if from_block is None else from_block
    if first is not None and to_block is not None and first > to_block:
        raise click.UsageError("--from-block lies behind --to-block")
    if from_store:
        if {from_block, to_block, follow} != {None}:
            raise click.UsageError("--from-store takes all stored logs: no blocks to choose, none to follow")
        return _derive_again(run, metrics=not no_metrics)
    options = {"from_block": first, "to_block": to_block, "workers": workers, "follow_seconds": follow}
    return run_chain(run, "sync chain", options, metrics=not no_metrics)


def _derive_again(run: Run, *, metrics: bool) -> int:
    async def job(engine: SyncEngine) -> RunReport:
        from polyhouse.sync.chain_again import derive_again

        return await engine.perform("sync chain --from-store", {}, derive_again)

    return run_job(run, "sync chain --from-store", job, metrics=metrics)


def run_chain(
    run: Run, name: str, options: dict[str, int | float | None], *, metrics: bool, markets: bool = False
) -> int:
    """Run the chain source as one job of the engine and return the exit code.

    Args:
        run: the command.
        name: what to call it.
        options: of ``ChainOptions``.
        metrics: recompute the touched wallets afterwards.
        markets: bring the universe of markets up to date first: the chain knows neither titles nor categories.

    Raises:
        ConfigError: no node is set.
    """
    settings = run.settings
    need_node(settings)

    async def job(engine: SyncEngine) -> RunReport:
        from polyhouse.jobs.chain import chain_work
        from polyhouse.sync.chain import ChainOptions

        if markets:
            report = await engine.sync_markets()
            if report.status in {"failed", "interrupted"}:
                return report
        chosen = ChainOptions(confirmations=settings.confirmations, **options)  # type: ignore[arg-type]
        given = {key: value for key, value in options.items() if value is not None}
        return await engine.perform(name, given, chain_work(settings, chosen))

    return run_job(run, name, job, metrics=metrics)


def heal_chain(run: Run) -> None:
    """Read again what the coverage ledger lacks or counts wrongly, and rebuild who it concerns.

    Raises:
        PolyhouseError: the node or a store failed; ``check`` would only repeat what it said before.
    """
    from polyhouse.cli.jobs import run_in_stores
    from polyhouse.cli.progress import reporter_for
    from polyhouse.jobs.chain import chain_work
    from polyhouse.sync.chain import ChainOptions
    from polyhouse.sync.reorg import wallets_to_rebuild
    from polyhouse.sync.touched import rebuild_touched
    from polyhouse.wiring import open_stores

    settings = run.settings
    need_node(settings)
    options = ChainOptions(confirmations=settings.confirmations, heal=True)
    reporter = reporter_for(run)

    async def job(engine: SyncEngine) -> RunReport:
        return await engine.perform("check --heal", {}, chain_work(settings, options))

    with open_stores(settings) as stores:
        report, _ = run_in_stores(settings, stores, reporter, job, concurrency=options.workers)
        if report.status not in {"ok", "partial"}:
            raise UpstreamUnavailableError("; ".join(report.errors[:3]) or f"healing was {report.status}")
        if report.touched != () or wallets_to_rebuild(stores.state) != []:
            rebuild_touched(stores.warehouse, stores.state, report.touched, reporter)
    say(f"heal: {report.counts.get('pages', 0):,} ranges read")


def need_node(settings: Settings) -> None:
    """Raise ``ConfigError`` unless a node is set."""
    if not settings.rpc_urls():
        raise ConfigError(
            "the chain source needs a Polygon node and none is set",
            hint="set POLYHOUSE_RPC_URL to one or more JSON-RPC URLs, separated by commas",
        )


def uses_chain(settings: Settings, source: str) -> bool:
    """Whether ``run`` reads the chain: told to, or by itself once a back-fill has come to the end of the chain."""
    if source != "auto" or not settings.rpc_urls():
        return source == "chain"
    from polyhouse.jobs.chain import follows_chain
    from polyhouse.wiring import open_stores

    with open_stores(settings) as stores:
        return follows_chain(settings, stores.warehouse)


__all__ = ["chain", "heal_chain", "need_node", "run_chain", "uses_chain"]
