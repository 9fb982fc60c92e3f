"""The command for history sources: sync history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from polyhouse.cli.base import Run, command
from polyhouse.cli.jobs import run_job
from polyhouse.errors import BadInputError, ConfigError

if TYPE_CHECKING:
    from polyhouse.ports import Stream
    from polyhouse.sync.context import RunContext
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.history import HistoryPlan
    from polyhouse.sync.report import RunReport

_SOURCES = ("goldsky", "dome", "data-v1", "data-v1-trades", "prices")
_CONDITION_DIGITS = 66


@command(
    "history",
    examples=(
        "polyhouse sync history --source goldsky",
        "polyhouse sync history --source goldsky 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse sync history --source dome --all",
        "polyhouse sync history --source data-v1-trades 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse sync history --source prices",
    ),
)
@click.argument("names", nargs=-1, metavar="[ADDRESS|TOKEN|CONDITION]...")
@click.option("--source", type=click.Choice(_SOURCES), required=True, help="Where from.")
@click.option("--all", "all_wallets", is_flag=True, help="Every known wallet.")
@click.option("--full", is_flag=True, help="From the beginning, not from where the last walk ended.")
@click.option("--concurrency", type=click.IntRange(1, 1000), default=20, show_default=True, metavar="N")
@click.option("--no-metrics", is_flag=True, help="Do not recompute the touched wallets afterwards.")
def history(
    run: Run, names: tuple[str, ...], source: str, all_wallets: bool, full: bool, concurrency: int, no_metrics: bool
) -> int:
    """Old history of wallets: goldsky (V1 fills; without wallets: everyone's), dome (order fills, needs
    POLYHOUSE_DOME_API_KEY), data-v1 (ledgers), data-v1-trades (the newest fills of wallets or of conditions, as far
    back as the route shows them); or prices of tokens (without tokens: every traded one)."""
    if all_wallets and (names or source == "prices"):
        raise click.UsageError("--all stands for every known wallet: name none, and not with prices")
    if source not in {"goldsky", "prices"} and not names and not all_wallets:
        raise click.UsageError(f"{source} has no feed of everyone: name wallets, or --all")
    plan = _planner(names, all_wallets=all_wallets, full=full)
    arguments = {"source": source, "names": list(names[:100]), "all": all_wallets, "full": full}

    async def job(engine: SyncEngine) -> RunReport:
        from polyhouse.sync.history import history_job
        from polyhouse.wiring import history_stream

        async with history_stream(run.settings, source) as stream:

            async def work(ctx: RunContext) -> None:
                for part in plan(ctx, stream):
                    await history_job(part)(ctx)

            return await engine.perform("sync history", arguments, work)

    metrics = not no_metrics and source != "prices"
    return run_job(run, "sync history", job, metrics=metrics, concurrency=concurrency)


def _planner(
    names: tuple[str, ...], *, all_wallets: bool, full: bool
) -> Callable[[RunContext, Stream], list[HistoryPlan]]:
    """What to read, decided inside the run, where the stores are open. Malformed names are refused at once."""
    from polyhouse.domain.ids import format_condition, format_token, parse_address, parse_condition, parse_token

    given = [name for name in names if name.startswith("0x") and len(name) == _CONDITION_DIGITS]
    conditions = [format_condition(parse_condition(name)) for name in given]
    names = tuple(name for name in names if name not in given)
    tokens = names if names and not names[0].startswith("0x") else ()
    named = [parse_token(name) for name in tokens] if tokens else [parse_address(name) for name in names]

    def plan(ctx: RunContext, stream: Stream) -> list[HistoryPlan]:
        from polyhouse.sources.data_v1_trades import TradesV1
        from polyhouse.sources.goldsky import GoldskyFills
        from polyhouse.sources.prices import PriceHistory
        from polyhouse.sync.history import HistoryPlan, token_spans, wallet_plan

        if isinstance(stream, PriceHistory):
            if named and not tokens:
                raise ConfigError("prices are asked for by token, not by wallet")
            spans = [span for chunk in token_spans(ctx.warehouse, named or None) for span in chunk]
            if unknown := set(named) - {span.token for span in spans}:
                raise BadInputError(
                    f"No fill of token {format_token(min(unknown))} is known: when it was traded is not."
                )
            partitions = [stream.partition(span.token, span.start, span.end) for span in spans]
            return [HistoryPlan(stream, partitions, full=full)]
        if isinstance(stream, TradesV1) and conditions:
            return [
                HistoryPlan(
                    stream, [stream.partition(condition) for condition in dict.fromkeys(conditions)], full=full
                ),
                wallet_plan(stream, named, full=full),
            ]
        if conditions:
            raise ConfigError("conditions are for --source data-v1-trades")
        if tokens:
            raise ConfigError("history is asked for by wallet; tokens are for --source prices")
        if isinstance(stream, GoldskyFills) and not named and not all_wallets:
            return [HistoryPlan(stream, stream.partitions(), full=full)]
        wallets: Any = list(ctx.state.wallet_addresses()) if all_wallets else named
        return [wallet_plan(stream, wallets, full=full)]

    return plan


__all__ = ["history"]
