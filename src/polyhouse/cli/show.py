"""Commands that read: leaderboard, status, sql."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.moments import as_of_option
from polyhouse.cli.output import Column, emit_facts, emit_json, emit_table
from polyhouse.cli.reading import ask
from polyhouse.reads.display import describe_slice, dollars, percent, short
from polyhouse.reads.token_map import in_words

_BOARD = (
    "rank", "wallet", "grade", "position_pnl", "realized", "unrealized", "omega_shrunk", "omega", "omega_status",
    "win_rate", "roi", "volume", "trades", "markets", "wins", "losses", "flats", "open_units", "fees", "gains",
    "losses_abs", "last_trade_at",
)  # fmt: skip


@command(
    "leaderboard",
    examples=(
        "polyhouse leaderboard",
        "polyhouse leaderboard --category sports --window 30d --sort pnl --limit 20",
        "polyhouse leaderboard --min-units 5 --json | jq '.rows[0]'",
        "polyhouse leaderboard --as-of 2026-01-31T00:00:00Z",
    ),
)
@click.option("--category", default="overall", show_default=True, metavar="NAME", help="overall, politics, sports, …")
@click.option("--window", default="lifetime", show_default=True, help="1d 7d 30d 90d 180d lifetime")
@click.option("--sort", default="omega", show_default=True, help="omega (shrunk), pnl, win_rate, roi, volume, …")
@click.option("--min-trades", default=0, show_default=True, metavar="N", help="Fills at least.")
@click.option("--min-units", default=20, show_default=True, metavar="N", help="Closed units at least.")
@click.option("--min-gains-losses", default="100", show_default=True, metavar="USD", help="Gains plus losses at least.")
@click.option("--limit", default=100, show_default=True, metavar="N", help="Rows at most.")
@as_of_option
def leaderboard(run: Run, **arguments: Any) -> None:
    """Ranked wallets of a category and window, ties broken by address."""
    document = ask(run, "leaderboard", arguments)
    if run.json:
        emit_json(document)
        return
    print_leaderboard(run, document)
    if not document["rows"]:
        say("no wallet meets the minimum sample; lower --min-units and --min-gains-losses, or sync more wallets")
        next_steps(run, "polyhouse status", "polyhouse run")
    else:
        next_steps(run, f"polyhouse wallet {document['rows'][0]['wallet']}")


def print_leaderboard(run: Run, document: dict[str, Any]) -> None:
    """Print a leaderboard document: a narrow table on a terminal, all columns in a pipe."""
    rows = document["rows"]
    if not sys.stdout.isatty():
        table = [[_cell(row, name) for name in _BOARD] for row in rows]
        emit_table(run, [Column(name) for name in _BOARD], table)
        return
    columns = [
        Column("#", right=True), Column("wallet"), Column("grade"), Column("PnL $", right=True),
        Column("omega", right=True), Column("win", right=True), Column("ROI", right=True),
        Column("units", right=True), Column("trades", right=True),
    ]  # fmt: skip
    table = [
        [
            row["rank"], short(row["wallet"]), row["grade"], dollars(row["position_pnl"]),
            f"{row['omega_shrunk']:.3f}", percent(row["win_rate"]), percent(row["roi"]),
            row["wins"] + row["losses"] + row["flats"], row["trades"],
        ]
        for row in rows
    ]  # fmt: skip
    say(describe_slice(document))
    emit_table(run, columns, table)


def _cell(row: dict[str, Any], name: str) -> Any:
    if name == "omega_status":
        return row["omega"]["status"]
    return row["omega"]["value"] if name == "omega" else row[name]


@command(
    "status",
    examples=(
        "polyhouse status",
        "polyhouse status --json | jq .wallets",
        "polyhouse --home /data/polyhouse status",
    ),
)
def status(run: Run) -> None:
    """Progress, queue, failures and the last run."""
    document = _status_document(run)
    if run.json:
        emit_json(document)
        return
    last = document["last_run"]
    emit_facts(run, [
        *((f"wallets {name}", count) for name, count in document["wallets"].items()),
        ("trades", document["trades"]), ("markets", document["markets"]),
        ("unmapped tokens", document["unmapped_tokens"]),
        ("token map", in_words(document["token_map"]) if document["token_map"] else None),
        *((f"quarantined {reason}", count) for reason, count in document["quarantined"].items()),
        ("data to", document["as_of"]),
        ("last run", f"{last['command']}: {last['status']}, {last['started_at']}" if last else "none"),
        *_waiting(document["queue"]),
        *_progress(document["progress"]),
    ])  # fmt: skip
    if document["upstreams"]:
        click.echo()
        names = ("name", "requests", "errors", "throttled", "limit", "used")
        rows = [[row[name] for name in names] for row in document["upstreams"]]
        emit_table(run, [Column(name, right=name != "name") for name in names], rows)
    if document["wallets"]["failed"]:
        next_steps(run, "polyhouse retry", "polyhouse sync wallets --only-pending")


def _status_document(run: Run) -> dict[str, Any]:
    """The status, and how far the running job of this home is; while one holds the store, from what it leaves open."""
    from polyhouse.errors import StoreInUseError
    from polyhouse.reads.progress_file import read_progress

    try:
        document = ask(run, "status", {})
    except StoreInUseError as error:
        from polyhouse.reads.queue import status_in_use
        from polyhouse.wiring import open_state_only

        with open_state_only(run.settings) as state:
            document = status_in_use(state)
        say(f"{error} Trades, markets and tokens are those of the last finished job.")
    document["progress"] = read_progress(run.settings.home)
    return document


def _waiting(queue: dict[str, Any]) -> list[tuple[str, Any]]:
    if not queue:
        return []
    depth = queue["waiting"]
    facts = [("queue", f"{depth['whale']} whales, {depth['new']} never read, {depth['stale']} to be read again")]
    facts += [(f"  {short(one['wallet'])}", one["reason"]) for one in queue["first"]]
    if not depth["all"]:
        facts.append(("  next", queue["next_due_at"] or "nobody is due later"))
    return facts


def _progress(progress: dict[str, Any] | None) -> list[tuple[str, Any]]:
    if progress is None or progress["state"] not in {"running", "killed"}:
        return []
    done = progress["completed"] + progress["failed"]
    share = f"{done}/{progress['total']} ({progress['percent']}%)" if progress["total"] is not None else done
    rate = f"{progress['requests_per_second']} of {progress['limit_per_second']} requests/s"
    facts = [
        (progress["state"], f"{progress['command']}, {progress['phase']}: {share} {progress['unit']}"),
        ("  outcome", f"{progress['completed']} completed, {progress['failed']} failed, {progress['trades']} trades"),
    ]
    if progress["state"] == "running":
        facts.append(("  pace", f"{rate}, until {progress['ends_at'] or 'unknown'}"))
    return facts


@command(
    "sql",
    examples=(
        "polyhouse sql 'SELECT * FROM vw_wallet_totals LIMIT 5'",
        "polyhouse sql 'SELECT category, count() FROM vw_units GROUP BY category' --json",
        "polyhouse sql --file report.sql --max-rows 1000000 > report.tsv",
    ),
)
@click.argument("statement", required=False)
@click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read it from here.")
@click.option("--max-rows", type=click.IntRange(1), default=100_000, show_default=True, metavar="N")
@click.option("--timeout", type=click.FloatRange(0.1, 3600), default=30.0, show_default=True, metavar="SECONDS")
def sql(run: Run, statement: str | None, file: Path | None, max_rows: int, timeout: float) -> None:
    """Read-only SQL on the warehouse. More rows than --max-rows is an error, never a cut answer."""
    if (statement is None) == (file is None):
        raise click.UsageError("give either a statement or --file")
    text = file.read_text(encoding="utf-8") if file else statement
    from decimal import Decimal

    document = ask(run, "sql", {
        "statement": text, "max_rows": max_rows, "timeout_seconds": Decimal(repr(timeout)),
    })  # fmt: skip
    if run.json:
        emit_json(document)
        return
    emit_table(run, [Column(str(name)) for name in document["columns"]], document["rows"])
