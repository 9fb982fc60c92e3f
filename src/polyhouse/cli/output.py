"""Data on stdout: a table for people, tab-separated text for pipes, or the form that was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import click

from polyhouse.cli.base import Run

WIDTH = 80
"""Of a terminal that does not tell; nothing is printed wider than the terminal."""
_SHORT = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a printed table; ``short`` ones are cut on a terminal, never in a pipe."""

    title: str
    right: bool = False


def emit_json(document: Any) -> None:
    """Print one JSON document: indented for a terminal, one line for a pipe."""
    from polyhouse.reads.exact import encode

    click.echo(encode(document, indent=2 if sys.stdout.isatty() else 0).decode())


def emit_table(run: Run, columns: Sequence[Column], rows: Sequence[Sequence[Any]], *, title: str = "") -> None:
    """Print rows: aligned and as wide as the terminal at most, tab-separated and whole elsewhere, or as asked for."""
    form = _form_of(run)
    if form == "table":
        _print_aligned(run, columns, rows, title)
    else:
        _print_lines(form, [column.title for column in columns], rows)


def emit_facts(run: Run, facts: Sequence[tuple[str, Any]]) -> None:
    """Print name–value pairs."""
    form = _form_of(run)
    if form == "table":
        _print_facts(facts)
    elif form == "tsv":
        for name, value in facts:
            click.echo(f"{name}\t{flat(value)}")
    else:
        _print_lines(form, ["name", "value"], facts)


def is_for_people(run: Run) -> bool:
    """Whether tables are printed for somebody's eyes: on a terminal, or because they were asked for."""
    return _form_of(run) == "table"


def use_color(run: Run) -> bool:
    """Whether stdout may be coloured: a terminal, and nobody said no (NO_COLOR wins over FORCE_COLOR)."""
    if run.color is False or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return False
    return bool(os.environ.get("FORCE_COLOR")) or os.environ.get("TERM") != "dumb"


def click_width() -> int:
    """Columns of the terminal."""
    import shutil

    return shutil.get_terminal_size((WIDTH, 24)).columns


def flat(value: Any) -> str:
    """One cell of text: numbers exact, nothing for None, no tabs, line ends or control characters."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict | list | tuple):
        from polyhouse.reads.exact import encode

        return encode(value).decode()
    return "".join(character if character.isprintable() else " " for character in str(value))


def _form_of(run: Run) -> str:
    return run.form or ("table" if sys.stdout.isatty() else "tsv")


def _print_aligned(run: Run, columns: Sequence[Column], rows: Sequence[Sequence[Any]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Without a colour system not even bold text leaves an escape byte.
    is_coloured = use_color(run)
    console = Console(
        color_system="auto" if is_coloured else None, width=click_width(), highlight=False, force_terminal=is_coloured
    )
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    cells = [[flat(value) for value in row] for row in rows]
    for place, column in enumerate(columns):
        longest = max(len(column.title), *(len(row[place]) for row in cells), 0)
        # A number that is cut is another number, and short words say little when they are: long texts make room.
        is_cut = longest > _SHORT and not column.right
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, no_wrap=not is_cut)
    for row in cells:
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    console.print(table)


def _print_facts(facts: Sequence[tuple[str, Any]]) -> None:
    """Names in one column; values that are longer than a line go on below themselves."""
    import textwrap

    width = max((len(name) for name, _ in facts), default=0) + 2
    for name, value in facts:
        lines = textwrap.wrap(flat(value), max(click_width() - width, 20)) or [""]
        click.echo(f"{name:<{width}}{lines[0]}".rstrip())
        for line in lines[1:]:
            click.echo(" " * width + line)


def _print_lines(form: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if form == "jsonl":
        from polyhouse.reads.exact import encode

        for row in rows:
            click.echo(encode(dict(zip(names, row, strict=True))).decode())
    elif form == "csv":
        import csv

        # The lines of a table end as those of everything else on stdout.
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([flat(value) for value in row] for row in rows)
    else:
        edge, between = ("| ", " | ") if form == "markdown" else ("", "\t")
        click.echo(f"{edge}{between.join(names)}{edge[::-1]}")
        if form == "markdown":
            click.echo(f"{'|---' * len(names)}|")
        for row in rows:
            cells = [flat(value).replace("|", "\\|") if edge else flat(value) for value in row]
            click.echo(f"{edge}{between.join(cells)}{edge[::-1]}")
