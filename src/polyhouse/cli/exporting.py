"""``polyhouse export``: a table as a file, or on stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.completing import choices
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.reading import asking

_ADDRESS = "0x6af75d4e4aaf700450efbac3708cce1665810ff1"
_STDOUT = "-"


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


@command(
    "export",
    examples=(
        f"polyhouse export trades --wallet {_ADDRESS} --to trades.csv",
        "polyhouse export positions --to positions.parquet",
        "polyhouse export trades --to trades --partition-by category,month",
        "polyhouse export totals --where \"window = '30d' AND realized > 1000\" --to - --format jsonl",
        "polyhouse export --sql 'SELECT category, sum(volume) AS volume FROM vw_units GROUP BY 1' --to volume.xlsx",
        "polyhouse export --list",
    ),
)
@click.argument("table", required=False, shell_complete=choices("tables"))
@click.option("--to", "to", metavar="FILE", help="The file; its suffix tells the format. - = stdout.")
@click.option("--format", "form", default="", metavar="NAME", help="csv jsonl parquet arrow excel duckdb",
              shell_complete=choices("formats"))  # fmt: skip
@click.option("--sql", "sql", metavar="SELECT", help="The rows of this SELECT instead of a table's.")
@click.option("--wallet", "wallets", multiple=True, metavar="ADDRESS", help="Only this wallet; repeatable.")
@click.option("--category", metavar="NAME", help="Only this category.", shell_complete=choices("categories"))
@click.option("--columns", metavar="A,B", help="Only these columns, in this order.")
@click.option("--where", "condition", default="", metavar="SQL", help="Only rows of which this holds.")
@click.option("--since", default="", metavar="TIME", help="Only rows at this moment (UTC) or later.")
@click.option("--until", default="", metavar="TIME", help="Only rows before this moment.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="So many rows at most.")
@click.option("--money", default="decimal", show_default=True, metavar="FORM", help="decimal, micros or both.")
@click.option("--partition-by", metavar="A,B", help="A folder of Parquet files, divided by month and columns.")
@click.option("--rows-per-part", type=click.IntRange(1), default=1_000_000, show_default=True, metavar="N",
              help="Read at a time; what a kill can cost.")  # fmt: skip
@click.option("--as-of", default="", metavar="TIME", help="As it was known then.")
@click.option("--list", "listing", is_flag=True, help="The tables there are.")
def export(run: Run, table: str | None, to: str | None, listing: bool, sql: str | None, **chosen: Any) -> None:
    """A table as CSV, JSON Lines, Parquet, Arrow, Excel or DuckDB.

    The file appears complete or not at all, with a manifest beside it. A killed export goes on with the same command.
    """
    if listing:
        _list_tables(run)
        return
    if (table is None) == (sql is None) or to is None:
        raise click.UsageError("give a TABLE (or --sql) and --to FILE; --list names the tables")
    question = _question(table or "", sql or "", chosen)
    with asking(run) as connection:
        if to == _STDOUT:
            if run.json or chosen["partition_by"]:
                raise click.UsageError("stdout takes the rows themselves: no --json, no --partition-by")
            _to_stdout(connection, question, chosen["form"])
            return
        manifest = _to_file(connection, question, Path(to), chosen)
    if run.json:
        emit_json(manifest)
    written = sum(file["bytes"] for file in manifest["files"])
    say(f"{to}: {manifest['rows']:,} rows, {written:,} bytes, data to {manifest['as_of']}")
    next_steps(run, f"cat {to}.manifest.json")


def _question(table: str, sql: str, chosen: dict[str, Any]) -> Any:
    from polyhouse.reads.relations.question import Question

    where: dict[str, Any] = {}
    if chosen["wallets"]:
        where["wallet"] = list(chosen["wallets"])
    if chosen["category"]:
        where["category"] = chosen["category"]
    return Question(
        table=table, sql=sql, where=where, columns=_words(chosen["columns"]), condition=chosen["condition"],
        since=chosen["since"], until=chosen["until"], limit=chosen["limit"] or 0, money=chosen["money"],
        as_of=chosen["as_of"],
    )  # fmt: skip


def _to_file(connection: Any, question: Any, target: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    from polyhouse.export.job import Export
    from polyhouse.export.job import export as write

    job = Export(
        question, target.absolute(), chosen["form"], _words(chosen["partition_by"]), chosen["rows_per_part"]
    )  # fmt: skip
    return write(connection, job, say)


def _to_stdout(connection: Any, question: Any, form: str) -> None:
    from polyhouse.export.formats import copy_pieces, format_of

    found = format_of(form or "csv", None)
    if found.pieces is None:
        raise click.UsageError(f"{found.name} needs a file: --to FILE")
    with connection.stream(question) as answer:
        copy_pieces(found.pieces(answer.schema, answer.batches), sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _list_tables(run: Run) -> None:
    from polyhouse.reads.relations.catalogue import SOURCES

    rows = [(source.name, source.about) for source in SOURCES.values()]
    if run.json:
        emit_json({"tables": [{"name": name, "about": about} for name, about in rows]})
        return
    emit_table(run, [Column("table"), Column("a row is")], rows)
