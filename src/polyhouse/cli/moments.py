"""Questions as of a moment of the past: the option, and the databases that answer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from polyhouse.cli.base import Run, say
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.progress import duration

if TYPE_CHECKING:
    from polyhouse.models.as_of import Moment

F = TypeVar("F", bound=Callable[..., Any])


def as_of_option(function: F) -> F:
    """Declare ``--as-of`` of a command that reads."""
    return click.option(
        "--as-of", metavar="TIME", help="As it was known then: 2025-01-31T00:00:00Z, a date, or Unix seconds."
    )(function)


def keep_and_tell(run: Run, text: str) -> None:
    """``polyhouse metrics --as-of TIME``."""
    from polyhouse.api.moments import keep
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        made = keep(stores, text, say)
    if run.json:
        emit_json(_document(made))
    say(f"metrics as of {_document(made)['as_of']}: {made.rows:,} rows, built in {duration(made.seconds)}")


def list_kept(run: Run) -> None:
    """``polyhouse metrics --list``."""
    from polyhouse.models.as_of import kept_moments
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        documents = [_document(one) for one in kept_moments(stores.warehouse)]
    if run.json:
        emit_json({"kept": documents})
        return
    names = ("as_of", "newest_row", "rows", "seconds", "made_at", "database")
    columns = [Column(name, right=name in {"rows", "seconds"}) for name in names]
    emit_table(run, columns, [[document[name] for name in names] for document in documents])


def forget(run: Run, text: str) -> None:
    """``polyhouse metrics --as-of TIME --forget``."""
    from polyhouse.domain.times import parse_time
    from polyhouse.models.as_of import forget_moment
    from polyhouse.sync.turns import building
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores, building(stores.state):
        forget_moment(stores.warehouse, parse_time(text, "as_of"))
    say(f"forgotten: the models as of {text}")


def _document(made: Moment) -> dict[str, Any]:
    from decimal import Decimal

    from polyhouse.reads.exact import moment

    return {
        "as_of": moment(made.moment), "newest_row": moment(made.newest), "rows": made.rows,
        "seconds": Decimal(f"{made.seconds:.3f}"), "made_at": moment(made.made_at), "database": made.database,
    }  # fmt: skip
