"""Commands on the model tables: metrics, check."""

from __future__ import annotations

import click

from polyhouse.cli import moments
from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.moments import as_of_option
from polyhouse.cli.output import emit_json
from polyhouse.cli.progress import duration


@command(
    "metrics",
    examples=(
        "polyhouse metrics",
        "polyhouse metrics 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse metrics --full --json",
        "polyhouse metrics --as-of 2026-01-31T00:00:00Z",
        "polyhouse metrics --list",
        "polyhouse metrics --rollback",
        "polyhouse metrics --history",
    ),
)
@click.argument("addresses", nargs=-1)
@click.option("--full", is_flag=True, help="Rebuild all wallets, and the ledger from scratch.")
@as_of_option
@click.option("--list", "list_moments", is_flag=True, help="Moments of the past that are kept.")
@click.option("--forget", is_flag=True, help="With --as-of: drop what is kept of that moment.")
@click.option("--rollback", is_flag=True, help="Show the models from before the last build of all wallets; and back.")
@click.option("--history", is_flag=True, help="Which builds were shown, and what was held back or rolled back.")
def metrics(
    run: Run,
    addresses: tuple[str, ...],
    full: bool,
    as_of: str | None,
    list_moments: bool,
    forget: bool,
    rollback: bool,
    history: bool,
) -> int:
    """Recompute positions, units and totals from the stored observations; no network.

    With --as-of they are built as they were known then, beside the present ones, for reads with the same --as-of.
    """
    if rollback or history:
        if (rollback and history) or addresses or full or list_moments or forget or as_of is not None:
            raise click.UsageError("give --rollback or --history, and nothing else")
        from polyhouse.cli import checking

        return checking.roll_back(run) if rollback else checking.show_builds(run)
    if list_moments or forget or as_of is not None:
        if addresses or full or (list_moments and (forget or as_of is not None)) or (forget and as_of is None):
            raise click.UsageError("give --as-of TIME, --as-of TIME --forget, or --list, and nothing else")
        _moments(run, as_of, forget=forget)
        return 0
    from polyhouse.domain.ids import parse_address
    from polyhouse.publishing import publish_after_build
    from polyhouse.sync.touched import rebuild
    from polyhouse.warehouse.memory import import_engine
    from polyhouse.wiring import open_stores

    if addresses and full:
        raise click.UsageError("give either addresses or --full")
    wallets = [parse_address(address) for address in addresses]
    if run.settings.engine_url().startswith("chdb://"):
        # A third of a build's CPU is memory that was given back and is asked for again.
        import_engine(for_bulk=True)
    with open_stores(run.settings) as stores:
        report, _ = rebuild(stores.warehouse, stores.state, wallets or None, anew=full)
        is_published = publish_after_build(run.settings, stores, say)
    if run.json:
        from polyhouse.reads.exact import moment

        emit_json({
            "build": report.build, "as_of": moment(report.as_of), "wallets": report.wallets, "rows": dict(report.rows),
        })  # fmt: skip
    rows = ", ".join(f"{count:,} {table}" for table, count in report.rows.items())
    say(f"metrics: rebuilt in {duration(report.seconds)} ({rows})")
    next_steps(run, "polyhouse leaderboard", "polyhouse check")
    return 0 if is_published else 1


def _moments(run: Run, as_of: str | None, *, forget: bool) -> None:
    if as_of is None:
        moments.list_kept(run)
    elif forget:
        moments.forget(run, as_of)
    else:
        moments.keep_and_tell(run, as_of)


@command(
    "check",
    examples=("polyhouse check", "polyhouse check --json", "polyhouse check --heal", "polyhouse check --history"),
)
@click.option("--heal", is_flag=True, help="First register wallets and read blocks of the chain that are missing.")
@click.option("--history", is_flag=True, help="What checks found before, those of builds included; tests nothing.")
def check(run: Run, heal: bool, history: bool) -> int:
    """Data-quality invariants: totals against the ordered split, sums against parts, the chain's blocks against what
    was read, checkpoints and registry against rows, how fresh each source is. Exit 1 if one is broken."""
    from polyhouse.cli import checking

    if heal and history:
        raise click.UsageError("give --heal or --history")
    return checking.show_history(run) if history else checking.check(run, heal=heal)
