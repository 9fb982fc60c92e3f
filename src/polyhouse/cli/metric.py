"""The definitions of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from polyhouse.cli.base import Run, command
from polyhouse.cli.completing import choices
from polyhouse.cli.output import Column, emit_facts, emit_json, emit_table

if TYPE_CHECKING:
    from polyhouse.metrics.metric import Metric


@command(
    "metric",
    examples=(
        "polyhouse metric",
        "polyhouse metric omega_net",
        "polyhouse metric 24 --json | jq .formula",
    ),
)
@click.argument("name", required=False, shell_complete=choices("metrics"))
@click.option("--markdown", is_flag=True, help="All definitions as the page docs/metrics.md.")
def metric(run: Run, name: str | None, markdown: bool) -> None:
    """The definition of a metric, by its name or its number among the 102; without one, the list of all."""
    from polyhouse.metrics.catalogue import METRICS, find

    if markdown:
        if name is not None:
            raise click.UsageError("--markdown prints all definitions; leave the name out")
        from polyhouse.metrics.page import markdown as page

        click.echo(page(), nl=False)
        return
    if name is None:
        _list(run, METRICS)
        return
    found = find(name)
    if found is None:
        raise _unknown(name)
    document = found.definition()
    if run.json:
        emit_json(document)
    else:
        emit_facts(run, [(key, value) for key, value in document.items() if value not in {None, ""}])


def _list(run: Run, metrics: tuple[Metric, ...]) -> None:
    if run.json:
        emit_json({"metrics": [one.definition() for one in metrics]})
        return
    columns = [Column("#", right=True), Column("name"), Column("state"), Column("meaning")]
    emit_table(run, columns, [[one.number, one.name, one.state, one.meaning] for one in metrics])


def _unknown(name: str) -> Exception:
    from polyhouse.domain.suggestions import nearest
    from polyhouse.errors import BadInputError
    from polyhouse.metrics.catalogue import BY_NAME

    close = nearest(name, BY_NAME, cutoff=0.4)
    hint = f"polyhouse metric {close}" if close else "polyhouse metric lists all"
    return BadInputError(f"unknown metric {name[:40]!r}", hint=hint)
