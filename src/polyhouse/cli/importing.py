"""The import command: dumps into the warehouse."""

from __future__ import annotations

from pathlib import Path

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.progress import reporter_for

_NAMES = ("file", "format", "rows_read", "rows_new", "rows_repeated", "rows_rejected")


@command(
    "import",
    examples=(
        "polyhouse import activity.json",
        "polyhouse import dumps/*.jsonl.gz --json",
        "polyhouse import orders.csv --no-metrics",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "file_format", metavar="NAME", help="Skip recognition by columns.")
@click.option("--no-metrics", is_flag=True, help="Do not recompute the touched wallets afterwards.")
def import_files(run: Run, files: tuple[Path, ...], file_format: str | None, no_metrics: bool) -> int:
    """Read Data API activity and trades or Dome orders (JSON, JSONL, CSV, also .gz). Twice adds nothing."""
    from polyhouse.cli import loading
    from polyhouse.wiring import open_stores

    reporter = reporter_for(run)
    with open_stores(run.settings) as stores:
        reports = loading.import_files(stores, files, file_format=file_format, reporter=reporter)
        if not no_metrics:
            touched = set[bytes]().union(*(report.wallets for report in reports))
            loading.rebuild_touched(stores, touched, reporter)
    rows = [{name: getattr(report, name) for name in _NAMES} for report in reports]
    if run.json:
        emit_json({"files": rows})
    else:
        columns = [Column(name, right=name.startswith("rows")) for name in _NAMES]
        emit_table(run, columns, [list(row.values()) for row in rows])
    rejected = sum(report.rows_rejected for report in reports)
    for where, reason in [example for report in reports for example in report.examples]:
        say(f"  {where}: {reason}")
    if rejected:
        say(f"{rejected:,} rows were rejected and stand in quarantine: polyhouse status")
    next_steps(run, "polyhouse leaderboard --min-units 1 --min-gains-losses 0", "polyhouse status")
    return 1 if rejected else 0
