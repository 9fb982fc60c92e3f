"""The replay command: decoded logs from a file through the product's own rules."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from polyhouse.cli.base import Run, command
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.errors import BadInputError


@command(
    "replay",
    examples=(
        "polyhouse replay accounting.json --json",
        "polyhouse replay one_transaction.json",
        "polyhouse replay accounting.json --json | jq '.[].id'",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def replay(run: Run, file: Path) -> None:
    """Run the cases of FILE through the product's ledger, SQL and metrics in a throw-away store."""
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise BadInputError(f"{file} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadInputError(f"{file} must hold one object with `vectors`, `metric_vectors` or `id_vectors`")
    from polyhouse.replay import replay as replay_document
    from polyhouse.warehouse import open_warehouse

    with TemporaryDirectory(prefix="polyhouse-replay-") as folder, open_warehouse(f"chdb://{folder}/store") as store:
        answers = replay_document(document, store)
    if run.json:
        emit_json(answers)
        return
    names = ("id", "fill_count", "positions", "units", "wallets", "flags", "result")
    rows = [[_summary(answer.get(name)) for name in names] for answer in answers]
    emit_table(run, [Column(name) for name in names], rows)


def _summary(value: object) -> object:
    """Collections by their size: the whole answer is what --json is for."""
    return len(value) if isinstance(value, dict | list) else value
