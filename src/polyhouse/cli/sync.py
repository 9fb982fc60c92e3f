"""The commands that load: sync markets, trades, wallets, positions; run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from polyhouse.cli.base import PolyCommand, PolyGroup, Run, command
from polyhouse.cli.jobs import run_job

_M = "polyhouse.cli.sync"
sync = PolyGroup(
    "sync",
    table={
        "markets": (_M, "markets", "Universe of events, markets, tokens, resolutions."),
        "trades": (_M, "trades", "Trades market by market: no wallet list needed."),
        "wallets": (_M, "wallets", "Wallet ledgers: everything a wallet did."),
        "chain": ("polyhouse.cli.chain", "chain", "Exact logs from a Polygon node."),
        "positions": (_M, "positions", "Positions and values as Polymarket reports them."),
        "open-markets": (
            "polyhouse.cli.open_markets",
            "open_markets",
            "Markets that can still change; late resolutions.",
        ),
        "live": ("polyhouse.cli.live", "live", "Follow live trades until stopped."),
        "history": ("polyhouse.cli.history", "history", "Old history: subgraphs, Dome, the first Data API, prices."),
    },
    help="Bring one kind of data up to date.",
    no_args_is_help=True,
)

_NO_METRICS = click.option("--no-metrics", is_flag=True, help="Do not recompute the touched wallets afterwards.")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_COUNT = click.IntRange(1)


@command(
    "markets",
    examples=("polyhouse sync markets", "polyhouse sync markets --full", "polyhouse sync markets --json"),
)
@click.option("--full", is_flag=True, help="Walk everything again, also markets that are closed and known.")
@_NO_METRICS
def markets(run: Run, full: bool, no_metrics: bool) -> int:
    """Universe of events, markets, tokens, tags and resolutions; revalues who holds what was resolved."""
    return run_job(run, "sync markets", lambda engine: engine.sync_markets(full=full), metrics=not no_metrics)


@command(
    "trades",
    examples=(
        "polyhouse sync trades",
        "polyhouse sync trades --market 0x2d7ae4a2f86ab86b2ab5a3b0fda3bc0e1a1e7a7e13b8d5ae9b0eae9b9d5b0f10",
        "polyhouse sync trades --no-metrics --json",
    ),
)
@click.option(
    "--market",
    "market_ids",
    multiple=True,
    metavar="ID",
    help="A market's number or condition; repeatable.",
)
@_NO_METRICS
def trades(run: Run, market_ids: tuple[str, ...], no_metrics: bool) -> int:
    """Universe pass by market: finds every wallet that traded."""
    chosen = list(market_ids) or None
    return run_job(run, "sync trades", lambda engine: engine.sync_trades(markets=chosen), metrics=not no_metrics)


def _selection(**chosen: Any) -> Any:
    """The engine's wallet selection from the options of a command."""
    from polyhouse.domain.ids import parse_address
    from polyhouse.sync.report import WalletSelection

    chosen["addresses"] = tuple(parse_address(address) for address in chosen.get("addresses", ()))
    return WalletSelection(**chosen)


@command(
    "wallets",
    examples=(
        "polyhouse sync wallets 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse sync wallets --all --incremental",
        "polyhouse sync wallets --active-only",
        "polyhouse sync wallets --all --workers 10",
        "polyhouse sync wallets --file wallets.txt --max-wallets 500 --dry-run",
    ),
)
@click.argument("addresses", nargs=-1)
@click.option("--all", "all_wallets", is_flag=True, help="Every known wallet.")
@click.option("--top", type=_COUNT, metavar="N", help="The N wallets of the largest volume.")
@click.option("--active-only", is_flag=True, help="Wallets with new trades; only what is new.")
@click.option("--only-pending", is_flag=True, help="Wallets that wait in the queue.")
@click.option("--file", "file", type=_FILE, help="One address per line.")
@click.option("--incremental", is_flag=True, help="Take only what is new since the last time.")
@click.option(
    "--resume", is_flag=True, help="Go on where the last run stopped. A repeated unfinished command does so anyway."
)
@click.option(
    "--workers", type=click.IntRange(0, 64), default=0, metavar="N", help="So many processes fetch for this one."
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    metavar="N",
    help="Wallets taken out of the queue at a time.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=None,
    metavar="N",
    help="Pages under way at the same time.  [default: 50; with --workers one a worker]",
)
@click.option("--max-wallets", type=_COUNT, metavar="N", help="At most so many; the rest is reported.")
@click.option("--dry-run", is_flag=True, help="Print the plan and do nothing.")
@_NO_METRICS
def wallets(
    run: Run,
    addresses: tuple[str, ...],
    all_wallets: bool,
    workers: int,
    batch_size: int,
    concurrency: int | None,
    no_metrics: bool,
    **chosen: Any,
) -> int:
    """Wallet ledgers. Without a selection: wallets with new trades and wallets in the queue.

    --all --incremental asks every wallet and makes all exact. --active-only, and no selection, ask only those that the
    trade feeds show new trades of: splits, merges, redemptions and rebates of other wallets appear in no such feed.
    --dry-run shows the roads there are, their cost, and the one that would be taken.

    A worker that is killed loses the page it was fetching: with --workers and no --concurrency one.
    """
    named = [bool(addresses), chosen["top"] is not None, chosen["file"] is not None]
    ways = [*named, all_wallets, chosen["only_pending"], chosen["active_only"]]
    if sum(ways) > 1:
        raise click.UsageError("choose one of ADDRESS…, --all, --top, --active-only, --only-pending, --file")
    if not any(ways) or chosen["active_only"]:
        chosen["incremental"] = True
    selection = _selection(addresses=addresses, all=all_wallets, **chosen)
    return run_job(
        run,
        "sync wallets",
        lambda engine: engine.sync_wallets(selection),
        metrics=not no_metrics and not chosen["dry_run"],
        concurrency=concurrency or 50,
        claim=batch_size,
        workers=0 if chosen["dry_run"] else workers,
        hands=1 if not workers or concurrency is None else -(-concurrency // workers),
    )


@command(
    "positions",
    examples=(
        "polyhouse sync positions --top 100",
        "polyhouse sync positions 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse sync positions --all --json",
    ),
)
@click.argument("addresses", nargs=-1)
@click.option("--all", "all_wallets", is_flag=True, help="Every known wallet.")
@click.option("--top", type=_COUNT, metavar="N", help="The N wallets of the largest volume.")
@click.option("--wallets", "file", type=_FILE, help="One address per line.")
@click.option("--max-wallets", type=_COUNT, metavar="N", help="At most so many; the rest is reported.")
def positions(run: Run, addresses: tuple[str, ...], all_wallets: bool, **chosen: Any) -> int:
    """Positions and portfolio values as Polymarket reports them: something to compare with."""
    ways = [bool(addresses), all_wallets, chosen["top"] is not None, chosen["file"] is not None]
    if sum(ways) != 1:
        raise click.UsageError("choose one of ADDRESS…, --all, --top, --wallets")
    selection = _selection(addresses=addresses, all=all_wallets, **chosen)
    return run_job(run, "sync positions", lambda engine: engine.sync_positions(selection))


@command(
    "run",
    examples=(
        "polyhouse run",
        "polyhouse run --max-wallets 500",
        "polyhouse run --wallets wallets.txt --json",
    ),
)
@click.option(
    "--source", type=click.Choice(["rest", "chain", "auto"]), default="auto", show_default=True, help="Where from."
)
@click.option("--wallets", "file", type=_FILE, help="Only these wallets, one address per line.")
@click.option("--max-wallets", type=_COUNT, metavar="N", help="At most so many; the rest is reported.")
@click.option("--concurrency", type=click.IntRange(1, 1000), default=50, show_default=True, metavar="N")
@click.option("--no-metrics", is_flag=True, help="Load only.")
def run(run: Run, source: str, file: Path | None, max_wallets: int | None, concurrency: int, no_metrics: bool) -> int:
    """The main job: markets, trades, wallets with new trades, positions, metrics, leaderboards.

    With --source chain: markets, then everybody's logs from the node. auto takes the chain once `sync chain` has read
    it up to the newest block, else REST.
    """
    from polyhouse.cli.chain import run_chain, uses_chain

    if uses_chain(run.settings, source):
        if file or max_wallets:
            raise click.UsageError("the chain is read for all wallets: --wallets and --max-wallets need --source rest")
        options: dict[str, int | float | None] = {"from_block": run.settings.from_block}
        return run_chain(run, "run", options, metrics=not no_metrics, markets=True)
    selection = _selection(file=file, max_wallets=max_wallets) if file or max_wallets else None
    return run_job(
        run,
        "run",
        lambda engine: engine.run(selection=selection, metrics=not no_metrics),
        concurrency=concurrency,
        next_commands=("polyhouse leaderboard", "polyhouse status"),
    )


__all__ = ["PolyCommand", "markets", "positions", "run", "sync", "trades", "wallets"]
