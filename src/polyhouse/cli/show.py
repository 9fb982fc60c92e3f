"""Commands that read: status, sql."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.output import Column, emit_facts, emit_json, emit_table
from polyhouse.cli.reading import ask
from polyhouse.reads.display import short
from polyhouse.reads.token_map import in_words


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
        ("checks", _checks_in_words(document["checks"])),
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


def _checks_in_words(checks: dict[str, Any] | None) -> str | None:
    if checks is None:
        return None
    broken = ", ".join(one["name"] for one in checks["broken"])
    return f"{broken} broken: polyhouse check" if broken else f"all {checks['tested']} hold, {checks['tested_at']}"


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
