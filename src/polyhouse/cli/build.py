"""Commands on the model tables: metrics, check."""

from __future__ import annotations

from typing import Any

import click

from polyhouse.cli import moments
from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.moments import as_of_option
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.progress import duration


@command(
    "metrics",
    examples=(
        "polyhouse metrics",
        "polyhouse metrics 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse metrics --full --json",
        "polyhouse metrics --as-of 2026-01-31T00:00:00Z",
        "polyhouse metrics --list",
    ),
)
@click.argument("addresses", nargs=-1)
@click.option("--full", is_flag=True, help="Rebuild all wallets, and the ledger from scratch.")
@as_of_option
@click.option("--list", "list_moments", is_flag=True, help="Moments of the past that are kept.")
@click.option("--forget", is_flag=True, help="With --as-of: drop what is kept of that moment.")
def metrics(
    run: Run, addresses: tuple[str, ...], full: bool, as_of: str | None, list_moments: bool, forget: bool
) -> int:
    """Recompute positions, units and totals from the stored observations; no network.

    With --as-of they are built as they were known then, beside the present ones, for reads with the same --as-of.
    """
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


@command("check", examples=("polyhouse check", "polyhouse check --json", "polyhouse check --heal"))
@click.option("--heal", is_flag=True, help="First read the chain's blocks that are missing, and nothing else.")
def check(run: Run, heal: bool) -> int:
    """Data-quality invariants: totals against the ordered split, sums against parts, the chain's blocks against what
    was read. Exit 1 if one is broken."""
    from polyhouse.models.checks import run_checks
    from polyhouse.reads.token_map import in_words, token_map
    from polyhouse.sync.coverage import run_coverage_checks
    from polyhouse.wiring import open_stores

    if heal:
        from polyhouse.cli.chain import heal_chain

        heal_chain(run)

    with open_stores(run.settings) as stores:
        results = [*run_checks(stores.warehouse), *run_coverage_checks(stores.warehouse)]
        coverage = in_words(token_map(stores.warehouse))
    rows: list[dict[str, Any]] = [
        {"name": result.name, "ok": bool(result.ok), "broken": int(result.broken), "detail": str(result.detail)}
        for result in results
    ]
    for row in rows:
        if row["name"] == "tokens_are_mapped":
            row["detail"] += f"; {coverage}"
    if run.json:
        emit_json({"ok": all(row["ok"] for row in rows), "checks": rows})
    else:
        table = [["ok" if row["ok"] else "FAIL", row["name"], row["broken"], row["detail"]] for row in rows]
        emit_table(run, [Column("result"), Column("check"), Column("broken", right=True), Column("detail")], table)
    return 0 if all(row["ok"] for row in rows) else 1
