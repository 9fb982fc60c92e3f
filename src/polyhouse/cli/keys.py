"""The keys command: who may use the admin routes."""

from __future__ import annotations

import click

from polyhouse.cli.base import PolyGroup, Run, command, say
from polyhouse.cli.output import Column, emit_json, emit_table

_M = "polyhouse.cli.keys"

keys = PolyGroup(
    "keys",
    table={
        "create": (_M, "create", "Make a key and show its secret, once."),
        "list": (_M, "list_keys", "All keys, without their secrets."),
        "revoke": (_M, "revoke", "End a key at once."),
    },
    help="Keys of the admin routes, beside POLYHOUSE_ADMIN_API_KEY. Only their hashes are stored.",
    no_args_is_help=True,
)


@command(
    "create",
    examples=(
        "polyhouse keys create ci --scope ingest --scope read",
        "polyhouse keys create ann --days 90",
        "polyhouse keys create grafana --scope read --json",
    ),
)
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, metavar="WORD", help="read, ingest, wallets, audit; repeatable. All by default."
)
@click.option("--days", type=click.IntRange(1, 3650), metavar="N", help="It ends by itself after so many days.")
def create(run: Run, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key. The secret is shown once and stored nowhere: keep it."""
    from polyhouse.state.access import SCOPES
    from polyhouse.wiring import open_state_only

    with open_state_only(run.settings) as state:
        secret = state.create_key(name, scopes or SCOPES, days=days)
    if run.json:
        emit_json({"name": name, "secret": secret, "scopes": list(scopes or SCOPES)})
        return
    say(f"key {name!r} ({' '.join(scopes or SCOPES)}); its secret is shown this once:")
    click.echo(secret)


@command("list", examples=("polyhouse keys list", "polyhouse keys list --json"))
def list_keys(run: Run) -> None:
    """All keys with their first characters and when they were used; also those that are over."""
    from polyhouse.reads.exact import moment
    from polyhouse.wiring import open_state_only

    with open_state_only(run.settings) as state:
        rows = [
            {
                "name": key.name, "hint": f"{key.hint}…", "scopes": list(key.scopes),
                "created_at": moment(key.created_at), "expires_at": moment(key.expires_at),
                "revoked_at": moment(key.revoked_at), "used_at": moment(key.used_at),
            }
            for key in state.list_keys()
        ]  # fmt: skip
    if run.json:
        emit_json({"count": len(rows), "rows": rows})
        return
    cells = [[" ".join(value) if isinstance(value, list) else value or "" for value in row.values()] for row in rows]
    titles = ("name", "begins", "scopes", "created", "expires", "revoked", "used")
    emit_table(run, [Column(title) for title in titles], cells)


@command("revoke", examples=("polyhouse keys revoke ci", "polyhouse keys revoke ci --json"))
@click.argument("name")
def revoke(run: Run, name: str) -> int:
    """End a key at once. Exit 1 if there is none of that name that holds."""
    from polyhouse.wiring import open_state_only

    with open_state_only(run.settings) as state:
        revoked = state.revoke_key(name)
    if run.json:
        emit_json({"name": name, "revoked": revoked})
    else:
        say(f"key {name!r} is revoked" if revoked else f"there is no key {name!r} that holds: polyhouse keys list")
    return 0 if revoked else 1
