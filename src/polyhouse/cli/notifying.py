"""The notify command."""

from __future__ import annotations

import click

from polyhouse.cli.base import Run, command, say
from polyhouse.cli.output import emit_json


@command(
    "notify",
    examples=(
        "polyhouse notify --test",
        "polyhouse notify",
        "*/15 * * * * polyhouse notify      # where no `polyhouse serve` runs",
    ),
)
@click.option("--test", is_flag=True, help="Send one message to every service, to see that it arrives.")
def notify(run: Run, test: bool) -> int:
    """Look once for what the rules watch, and send it to the services of POLYHOUSE_NOTIFY_URLS.

    `polyhouse serve` does so by itself. The first look only remembers how things stand.
    """
    from polyhouse.errors import ConfigError
    from polyhouse.notify.watch import Message
    from polyhouse.wiring import notification_channels, notifier, open_stores

    channels = notification_channels(run.settings)
    if channels is None:
        raise ConfigError(
            "no service is set",
            hint="POLYHOUSE_NOTIFY_URLS='slack://… mailto://… json://host/path' (docs/notifications.md)",
        )
    if test:
        taken = channels.send(Message("test", "", "this is a test", ("Notifications arrive here.",)))
        say("sent" if taken else "at least one service did not take it")
        return 0 if taken else 3
    with open_stores(run.settings) as stores:
        sent, waiting = notifier(run.settings, stores, channels).once()
    if run.json:
        emit_json({"sent": sent, "waiting": waiting})
    say(f"{sent} sent, {waiting} wait")
    return 0
