"""The import command: dumps into the warehouse."""

from __future__ import annotations

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.progress import reporter_for

_NAMES = ("file", "format", "rows_read", "rows_new", "rows_repeated", "rows_rejected")


@command(
    "import",
    examples=(
        "polyhouse import activity.json",
        "polyhouse import dumps/ 'more/*.jsonl.gz' --json",
        "polyhouse import orderFilled.csv.zst --no-metrics",
    ),
)
@click.argument("files", nargs=-1, required=True)
@click.option("--format", "file_format", metavar="NAME", help="Skip recognition by columns.")
@click.option("--no-metrics", is_flag=True, help="Do not recompute the touched wallets afterwards.")
def import_files(run: Run, files: tuple[str, ...], file_format: str | None, no_metrics: bool) -> int:
    """Read dumps: orderFilled rows, Data API activity, trades and positions, Dome orders, userPositions, decoded logs.

    Files, folders and patterns; JSON, JSON Lines, CSV and Parquet, plain, .gz or .zst. A second import adds
    nothing, and no row of a file replaces one of a live source. Rows that cannot be read go to a file in
    $POLYHOUSE_HOME/rejects; mend "raw" there and import that file.
    """
    from polyhouse.cli import import_files as importing
    from polyhouse.sync.touched import rebuild_touched
    from polyhouse.warehouse.memory import import_engine
    from polyhouse.wiring import open_stores

    paths = importing.expand(files)
    if run.settings.engine_url().startswith("chdb://"):
        import_engine(for_bulk=True)
    reporter = reporter_for(run)
    with open_stores(run.settings) as stores:
        reports = importing.import_files(
            stores, paths, file_format=file_format, rejects=run.settings.home / "rejects", reporter=reporter
        )
        if not no_metrics:
            touched = set[bytes]().union(*(report.wallets for report in reports))
            rebuild_touched(stores.warehouse, stores.state, touched, reporter)
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
        say(f"{rejected:,} rows were rejected. All of them, with line and reason:")
        for report in reports:
            if report.reject_file is not None:
                say(f"  {report.reject_file}")
    next_steps(run, "polyhouse leaderboard --min-units 1 --min-gains-losses 0", "polyhouse status")
    return 1 if rejected else 0
