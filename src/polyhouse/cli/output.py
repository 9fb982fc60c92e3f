"""Data on stdout: one JSON document, a table for people, or tab-separated text for pipes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import click

from polyhouse.cli.base import Run

WIDTH = 80


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
    """Print rows: aligned and at most 80 columns wide on a terminal, tab-separated and whole elsewhere."""
    if not sys.stdout.isatty():
        click.echo("\t".join(column.title for column in columns))
        for row in rows:
            click.echo("\t".join(flat(value) for value in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Without a colour system not even bold text leaves an escape byte.
    console = Console(color_system="auto" if use_color(run) else None, width=min(WIDTH, click_width()), highlight=False)
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(flat(value)) for value in row))
    console.print(table)


def emit_facts(run: Run, facts: Sequence[tuple[str, Any]]) -> None:
    """Print name–value pairs."""
    if sys.stdout.isatty():
        width = max((len(name) for name, _ in facts), default=0)
        for name, value in facts:
            click.echo(f"{name:<{width}}  {flat(value)}", color=use_color(run))
    else:
        for name, value in facts:
            click.echo(f"{name}\t{flat(value)}")


def use_color(run: Run) -> bool:
    """Whether stdout may be coloured: a terminal, and nobody said no."""
    if run.color is False or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


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
