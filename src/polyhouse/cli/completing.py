"""Words that the shell completes, and words that were meant: metrics, categories, windows, orders, tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from polyhouse.cli.base import Run, command, say

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def words(kind: str) -> Sequence[str]:
    """All right words of a kind: ``categories``, ``windows``, ``metrics``, ``sorts``, ``tables``, ``formats``."""
    return _KINDS[kind]()


def choices(kind: str) -> Complete:
    """What the shell offers behind an option: the right words that begin as somebody typed."""

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        return [word for word in words(kind) if word.startswith(incomplete)]

    return complete


def _categories() -> Sequence[str]:
    from polyhouse.domain.categories import CATEGORIES

    return ("overall", *CATEGORIES)


def _windows() -> Sequence[str]:
    from polyhouse.reads.totals import WINDOWS

    return WINDOWS


def _metrics() -> Sequence[str]:
    from polyhouse.metrics.catalogue import METRICS

    return [metric.name for metric in METRICS]


def _sorts() -> Sequence[str]:
    from polyhouse.reads.board_sorts import SORTS

    return list(SORTS)


def _tables() -> Sequence[str]:
    from polyhouse.reads.relations.catalogue import SOURCES

    return list(SOURCES)


def _formats() -> Sequence[str]:
    from polyhouse.export.formats import FORMATS

    return list(FORMATS)


_KINDS: dict[str, Callable[[], Sequence[Any]]] = {
    "categories": _categories, "windows": _windows, "metrics": _metrics, "sorts": _sorts, "tables": _tables,
    "formats": _formats,
}  # fmt: skip


@command(
    "completion",
    examples=(
        'eval "$(polyhouse completion bash)"',
        "polyhouse completion zsh > ~/.zfunc/_polyhouse",
        "polyhouse completion fish > ~/.config/fish/completions/polyhouse.fish",
    ),
    json=False,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(run: Run, shell: str) -> None:
    """A script for the shell that completes commands, options, metrics, categories, windows, orders and tables."""
    del run
    from click.shell_completion import get_completion_class

    from polyhouse.cli.app import app

    made = get_completion_class(shell)
    assert made is not None, shell
    click.echo(made(app, {}, "polyhouse", "_POLYHOUSE_COMPLETE").source())
    say(f"this script is for {shell}: `polyhouse completion --help` shows where it goes")
