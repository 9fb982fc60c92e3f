"""Commands about the installation and the queue: init, config, migrate, retry, reset."""

from __future__ import annotations

from pathlib import Path

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.output import Column, emit_facts, emit_json, emit_table
from polyhouse.errors import ConfigError

_TEMPLATE = """\
# Polyhouse settings. Flags and POLYHOUSE_* variables win over this file; `polyhouse config` shows what holds.
# Keys and passwords are better kept in the environment.

# home = "~/.polyhouse"                      # embedded stores, logs
# warehouse = "chdb:///data/warehouse"       # or "clickhouse://user:pass@host:8123/db"
# state = "sqlite:////data/state.db"         # or "postgresql://…"
# lease_seconds = 300                        # a dead worker's wallets come back to other machines after this time
# rate_scale = 0.8                           # factor on each published rate limit
# log_format = "json"                        # "console" or "json"

# The HTTP API of `polyhouse serve`:
# api_rate_per_minute = 1200                 # of one client; 0 = no limit
# api_cors_origins = "https://example.org"   # pages of these origins may read it; "*" = any

# Upstreams, for mirrors and simulators:
# gamma_url = "https://gamma-api.polymarket.com"
# clob_url = "https://clob.polymarket.com"
# data_url = "https://data-api.polymarket.com"

# What `polyhouse serve` runs by itself (crontab lines in UTC, or "off"; `polyhouse schedule show`):
# [schedule]
# top = "0 * * * *"
# everything = "off"
"""


@command(
    "init",
    examples=("polyhouse init", "polyhouse init --user", "polyhouse --home /data/polyhouse init --user"),
    json=False,
)
@click.option("--user", is_flag=True, help="Write it into the home folder instead of the working directory.")
def init(run: Run, user: bool) -> None:
    """Write a commented polyhouse.toml. An existing one is never overwritten."""
    from polyhouse.settings import FILE_NAME

    folder = run.settings.home if user else Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    try:
        with path.open("x", encoding="utf-8") as file:
            path.chmod(0o600)  # keys will stand in it
            file.write(_TEMPLATE)
    except FileExistsError:
        raise ConfigError(f"{path} exists already", hint="edit it, or move it away first") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    say(f"wrote {path}")
    next_steps(run, "polyhouse config", "polyhouse run --max-wallets 100")


@command(
    "config",
    examples=("polyhouse config", "polyhouse config --json", "POLYHOUSE_RATE_SCALE=0.5 polyhouse config"),
)
def config(run: Run) -> None:
    """Resolved settings with where each came from; secrets are masked."""
    rows = run.loaded.explain()
    if run.json:
        emit_json({"settings": [{"name": name, "value": value, "source": source} for name, value, source in rows]})
        return
    emit_table(run, [Column("setting"), Column("value"), Column("source")], rows)


@command("migrate", examples=("polyhouse migrate", "polyhouse migrate --json", "polyhouse --home /data migrate"))
def migrate(run: Run) -> None:
    """Bring the schemas of both stores up to date. Opening a store does the same."""
    from polyhouse.wiring import migrate_stores

    applied = migrate_stores(run.settings)
    if run.json:
        emit_json({"applied": applied})
        return
    say(f"applied {', '.join(applied)}" if applied else "the schemas are up to date")


@command(
    "retry",
    examples=(
        "polyhouse retry",
        "polyhouse retry 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse retry && polyhouse process",
    ),
)
@click.argument("addresses", nargs=-1)
def retry(run: Run, addresses: tuple[str, ...]) -> int:
    """Put failed and given-up wallets (all, or the named ones) back into the queue, with a clean slate.

    Exit 1 if a named wallet is not registered.
    """
    from polyhouse.domain.ids import format_address, parse_address
    from polyhouse.wiring import open_state_only

    wanted = list(dict.fromkeys(parse_address(address) for address in addresses))
    with open_state_only(run.settings) as state:
        known = state.known_wallets(wanted)
        queued = state.retry(wanted or None)
    unknown = [format_address(wallet) for wallet in wanted if wallet not in known]
    others = len(known) - queued if wanted else 0
    if run.json:
        emit_json({"queued": queued} | ({"had_not_failed": others, "unknown": unknown} if wanted else {}))
        return 1 if unknown else 0
    emit_facts(run, [("queued", queued), *([("had not failed", others)] if others else [])])
    for wallet in unknown:
        say(f"{wallet} is not registered: `polyhouse sync wallets {wallet}` reads it")
    if queued:
        next_steps(run, "polyhouse process", "polyhouse sync wallets --only-pending")
    return 1 if unknown else 0


@command(
    "reset",
    examples=(
        "polyhouse reset 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse reset 0x6af75d4e4aaf700450efbac3708cce1665810ff1 --json",
        "polyhouse reset 0x6af75d4e4aaf700450efbac3708cce1665810ff1 && polyhouse sync wallets --only-pending",
    ),
)
@click.argument("address")
def reset(run: Run, address: str) -> int:
    """Forget a wallet's cursors, so that its history is read again from the start. Stored rows stay.

    Exit 1 if the wallet is not registered.
    """
    from polyhouse.domain.ids import format_address, parse_address
    from polyhouse.wiring import open_state_only

    wallet = parse_address(address)
    with open_state_only(run.settings) as state:
        known = bool(state.reset(wallet))
    if run.json:
        emit_json({"wallet": format_address(wallet), "known": known})
    elif known:
        say(f"{format_address(wallet)} will be read again from the start")
        next_steps(run, f"polyhouse sync wallets {format_address(wallet)}")
    else:
        say(f"{format_address(wallet)} is not registered: `polyhouse sync wallets {format_address(wallet)}` reads it")
    return 0 if known else 1
