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
    ),
    json=False,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface; others than loopback need a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 = any free one.")
def serve(run: Run, host: str, port: int) -> int:
    """HTTP API and a page with the leaderboard. Owns the store; read commands ask it by themselves."""
    from polyhouse.serve.runner import serve as serve_stores
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        number = serve_stores(
            run.settings, stores, host=host, port=port, ready=lambda url: say(f"serving {url} (Ctrl-C stops)")
        )
    return 128 + number if number else 0
