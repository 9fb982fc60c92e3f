"""The serve command."""

from __future__ import annotations

import click

from polyhouse.cli.base import Run, command, say


@command(
    "serve",
    examples=(
        "polyhouse serve",
        "polyhouse serve --port 0",
        "polyhouse --home /data/polyhouse serve --port 9000",
        "polyhouse serve --no-schedule",
    ),
    json=False,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface; others than loopback need a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 = any free one.")
@click.option("--no-schedule", is_flag=True, help="Queue no jobs by itself: only what the admin routes ask for.")
@click.option("--no-live", is_flag=True, help="Do not follow live trades; without a schedule they are not, either.")
def serve(run: Run, host: str, port: int, no_schedule: bool, no_live: bool) -> int:
    """HTTP API, pages, live trades, and the jobs of `polyhouse schedule show`.

    Owns the store; read commands ask it by themselves.

    A signal stops it at the next page boundary; a job that was under way goes on when it is started again.
    """
    from polyhouse.serve.runner import serve as serve_stores
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        number = serve_stores(
            run.settings, stores, host=host, port=port, scheduled=not no_schedule,
            live=not (no_schedule or no_live),
            ready=lambda url: say(f"serving {url} (Ctrl-C stops)"),
        )  # fmt: skip
    return 128 + number if number else 0
