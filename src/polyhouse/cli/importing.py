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
    from polyhouse.wiring import import_into, open_stores

    reporter = reporter_for(run)
    with open_stores(run.settings) as stores:
        results = import_into(stores, files, file_format=file_format, metrics=not no_metrics, reporter=reporter)
    rows = [{name: result[name] for name in _NAMES} for result in results]
    if run.json:
        emit_json({"files": rows})
    else:
        emit_table(
            run, [Column(name, right=name.startswith("rows")) for name in _NAMES], [list(r.values()) for r in rows]
        )
    rejected = sum(int(result["rows_rejected"]) for result in results)
    for result in results:
        for where, reason in result["rejected_examples"]:
            say(f"  {where}: {reason}")
    if rejected:
        say(f"{rejected:,} rows were rejected and stand in quarantine: polyhouse status")
    next_steps(run, "polyhouse leaderboard --min-units 1 --min-gains-losses 0", "polyhouse status")
    return 1 if rejected else 0
