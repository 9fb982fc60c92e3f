"""The command that publishes wallets and scores in PostgreSQL: publish."""

from __future__ import annotations

import click

from polyhouse.cli.base import Run, command
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.errors import ConfigError


@command(
    "publish",
    examples=(
        "polyhouse publish",
        "polyhouse publish --full --json",
        "POLYHOUSE_PUBLISH=postgresql://app@db.example/app POLYHOUSE_PUBLISH_SCHEMA=scores polyhouse publish",
    ),
)
@click.option("--full", is_flag=True, help="Compare every wallet, not only those of whom something is new.")
def publish(run: Run, full: bool) -> None:
    """Publish wallets, wallet_sync_metadata, wallet_scores and wallet_scores_by_category in PostgreSQL.

    Every build does so by itself where the state store is PostgreSQL or POLYHOUSE_PUBLISH names a database. Only rows
    that changed are written, in one transaction: readers see the old tables or the new ones.
    """
    from polyhouse.publishing import publish_tables
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        report = publish_tables(run.settings, stores, full=full)
    if report is None:
        raise ConfigError("No PostgreSQL database to publish in is set.", hint="POLYHOUSE_PUBLISH=postgresql://…")
    names = ("inserted", "updated", "deleted", "unchanged")
    rows = [(table, *(getattr(counts, name) for name in names)) for table, counts in report.tables.items()]
    if run.json:
        tables = {table: dict(zip(names, figures, strict=True)) for table, *figures in rows}
        emit_json({"is_full": report.is_full, "wallets": report.wallets, "tables": tables})
        return
    emit_table(run, [Column("table"), *(Column(name) for name in names)], rows)
