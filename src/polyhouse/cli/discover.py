"""The command that finds wallets: discover."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.jobs import print_report, run_in_stores
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.progress import reporter_for
from polyhouse.errors import ConfigError

if TYPE_CHECKING:
    from polyhouse.sync.discovery_report import DiscoverReport
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.report import RunReport

_SOURCES = ("holders", "trades", "leaderboard", "ledger", "file", "users")
_COLUMNS = ("seen", "new", "known", "rejected")


def _words(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    words = tuple(word.strip() for word in (value or "").split(",") if word.strip())
    for word in words:
        if word not in _SOURCES:
            raise click.BadParameter(f"{word!r} is not one of {', '.join(_SOURCES)}")
    return words


@command(
    "discover",
    examples=(
        "polyhouse discover",
        "polyhouse discover --source holders,leaderboard",
        "polyhouse discover --file wallets.csv",
        "polyhouse discover --dry-run --json",
    ),
)
@click.option("--source", "sources", callback=_words, metavar="LIST", help=f"Of {','.join(_SOURCES)}.")
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="One address per line, or a CSV with a column wallet (signers: eoa). Alone unless --source says more.",
)
@click.option("--concurrency", type=click.IntRange(1, 1000), default=50, show_default=True, metavar="N")
@click.option("--dry-run", is_flag=True, help="Print the plan and do nothing.")
def discover(run: Run, sources: tuple[str, ...], file: Path | None, concurrency: int, dry_run: bool) -> int:
    """Find wallets and queue the new ones: holders and traders of markets, leaderboards, the ledger itself, files, and
    the user tables of POLYHOUSE_USER_WALLETS_URL. Known wallets keep their status and their progress."""
    if file is not None and sources and "file" not in sources:
        raise click.UsageError("--file needs the source file: --source file,…")
    if file is None and "file" in sources:
        raise click.UsageError("the source file needs a file: --file F")
    from polyhouse.sync.discovery_report import DiscoverOptions, DiscoverReport
    from polyhouse.wiring import open_stores

    options = DiscoverOptions(sources, file, dry_run=dry_run)
    found = DiscoverReport()

    async def job(engine: SyncEngine) -> RunReport:
        nonlocal found
        report, found = await engine.discover(options)
        return report

    settings = run.settings
    if "users" in sources and settings.user_wallets_url is None:
        raise ConfigError("The source users needs a database.", hint="Set POLYHOUSE_USER_WALLETS_URL.")
    with open_stores(settings) as stores:
        report, signal_number = run_in_stores(settings, stores, reporter_for(run), job, concurrency=concurrency)
    _print(run, report, found)
    if report.status == "interrupted":
        return 128 + (signal_number or 2)
    if report.status in {"ok", "partial"} and not dry_run:
        next_steps(run, "polyhouse sync wallets --only-pending", "polyhouse status")
    return int(report.exit_code)


def _print(run: Run, report: RunReport, found: DiscoverReport) -> None:
    if run.json:
        from polyhouse.jobs.report import report_document

        emit_json(report_document("discover", report) | found.document())
    elif found.sources:
        columns = [Column("source"), *(Column(name, right=True) for name in _COLUMNS)]
        rows = [[source, *(figures[name] for name in _COLUMNS)] for source, figures in found.sources.items()]
        if found.totals:
            rows.append(["all", found.totals["seen"], found.totals["new"], found.totals["known"], ""])
        emit_table(run, columns, rows)
    print_report(_quiet(run), "discover", report)
    if found.links:
        say(f"  {found.links:,} links between signers and wallets are new")


def _quiet(run: Run) -> Run:
    """The same run without its JSON: that document is printed already."""
    return Run(flags=run.flags, debug=run.debug, color=run.color, json=False)


__all__ = ["discover"]
