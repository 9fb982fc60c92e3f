"""The mcp command."""

from __future__ import annotations

import functools

from polyhouse.cli.base import Run, command
from polyhouse.cli.reading import ask


@command(
    "mcp",
    examples=(
        "polyhouse mcp",
        "polyhouse --home /data/polyhouse mcp",
        "polyhouse --warehouse clickhouse://reader@db:8123/polyhouse mcp",
    ),
    json=False,
)
def mcp(run: Run) -> None:
    """Read-only tools for assistants (Model Context Protocol), on stdin and stdout.

    Each question opens the store for its answer only, or goes through a running `polyhouse serve`, so that other
    commands can work in between.
    """
    from polyhouse.serve.assistant import assistant_server

    assistant_server(functools.partial(ask, run)).run()
