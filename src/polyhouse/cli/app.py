"""The root command: what exists, and what happens when something goes wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

import polyhouse
from polyhouse.cli.base import PolyGroup, Run, say
from polyhouse.errors import PolyhouseError

_C = "polyhouse.cli."
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": (_C + "demo", "demo", "Run everything on a simulated Polymarket, and compare with its truth."),
    "run": (_C + "sync", "run", "The main job: markets, trades, wallets, positions, metrics."),
    "sync": (_C + "sync", "sync", "Bring one kind of data up to date."),
    "import": (_C + "importing", "import_files", "Read dumps: orderFilled rows, API answers, logs."),
    "discover": (_C + "discover", "discover", "Find wallets and queue the new ones."),
    "worker": (_C + "worker", "worker", "One more loader process, on this or another machine."),
    "process": (_C + "process", "process", "Work the queue: ledgers, positions, values, holders, scores."),
    "metrics": (_C + "build", "metrics", "Recompute positions, units and totals."),
    "leaderboard": (_C + "leaderboard", "leaderboard", "Ranked wallets."),
    "specialists": (_C + "market", "specialists", "Who is better in one category than elsewhere."),
    "categories": (_C + "market", "categories", "Is a category winnable: winners, elites, volume."),
    "market": (_C + "market", "market", "One market: holders and their scores, smart money, prices."),
    "metric": (_C + "metric", "metric", "The definition of a metric, or the list of all."),
    "wallet": (_C + "wallet", "wallet", "Everything known about one wallet."),
    "status": (_C + "show", "status", "Progress, queue, failures, last run."),
    "reconcile": (_C + "reconcile", "reconcile", "Our numbers against Polymarket's published ones."),
    "check": (_C + "build", "check", "Data-quality invariants."),
    "doctor": (_C + "doctor", "doctor", "What is wrong with this installation, and how to put it right."),
    "replay": (_C + "replay", "replay", "Decoded logs from a file through the product's own rules."),
    "sql": (_C + "show", "sql", "Read-only SQL on the warehouse."),
    "export": (_C + "exporting", "export", "A table as CSV, Parquet, Arrow, Excel or a DuckDB file."),
    "serve": (_C + "serving", "serve", "HTTP API and a page with the leaderboard."),
    "mcp": (_C + "assistant", "mcp", "Read-only tools for assistants, on stdin and stdout."),
    "schedule": (_C + "schedule", "schedule", "What runs when; the same for cron, systemd, Kubernetes, Cloud Run."),
    "backup": (_C + "moving", "backup", "A copy of both stores, complete or not there."),
    "restore": (_C + "moving", "restore", "Put both stores back to what a backup says."),
    "copy": (_C + "moving", "copy", "One warehouse into another, proved equal."),
    "publish": (_C + "publishing", "publish", "Wallets and scores as tables of a PostgreSQL database."),
    "keys": (_C + "keys", "keys", "Keys of the admin routes."),
    "notify": (_C + "notifying", "notify", "Tell what is new of what the notification rules watch."),
    "init": (_C + "admin", "init", "Write a commented polyhouse.toml."),
    "config": (_C + "admin", "config", "Resolved settings with where each came from."),
    "migrate": (_C + "admin", "migrate", "Bring the schema up to date."),
    "completion": (_C + "completing", "completion", "Completion of commands and words for bash, zsh or fish."),
    "version": (_C + "versions", "version", "Versions of everything that matters for a report."),
    "retry": (_C + "admin", "retry", "Put failed wallets back into the queue."),
    "reset": (_C + "admin", "reset", "Forget a wallet's cursor and read it again."),
}

_HELP = """A complete, correct and fresh copy of Polymarket in a store you own, and who is good at it.

\b
polyhouse demo                  everything on a simulated Polymarket, offline
polyhouse run                   the main job
polyhouse leaderboard           who is good

\b
Exit codes: 0 done, 1 finished but something failed (it is named), 2 usage or
settings, 3 upstream or warehouse unavailable, 4 key missing or refused,
5 store in use, 70 our bug, 130/143 stopped by a signal (resumable).
"""

app = PolyGroup(
    "polyhouse",
    table=COMMANDS,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[],
    no_args_is_help=True,
)
click.version_option(polyhouse.__version__, prog_name="polyhouse")(app)


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every error becomes a few lines on stderr."""
    run = Run()
    try:
        result = app.main(args=list(arguments), prog_name="polyhouse", standalone_mode=False, obj=run)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _usage_error(error)
    except (KeyboardInterrupt, click.Abort):
        say("stopped; run the same command to go on")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except PolyhouseError as error:
        return _product_error(error, run)
    except OSError as error:
        return _system_error(error, run)
    except Exception as error:  # noqa: BLE001 - the last line of defence: an unknown error is our bug
        return _bug(error, run)
    return result if isinstance(result, int) else 0


def _usage_error(error: click.ClickException) -> int:
    say(f"error: {error.format_message()}")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        say(f"next:  {error.ctx.command_path} --help")
    say("code:  USAGE (exit 2)")
    return 2


def _product_error(error: PolyhouseError, run: Run) -> int:
    if run.debug:
        import traceback

        traceback.print_exception(error)
    say(f"error: {error}")
    if error.hint:
        say(f"next:  {error.hint}")
    say(f"code:  {error.code} (exit {error.exit_code})")
    return error.exit_code


def _system_error(error: OSError, run: Run) -> int:
    """A file that is no store's, such as a report or a log, on a disk that is full, read-only or failing."""
    from polyhouse.disk import disk_error, number_of

    number = number_of(error)
    if not number:
        return _bug(error, run)
    return _product_error(disk_error("a file", Path(str(error.filename or Path.cwd())), number), run)


def _bug(error: Exception, run: Run) -> int:
    if run.debug:
        import traceback

        traceback.print_exception(error)
    say(f"error: {type(error).__name__}: {error}")
    say("why:   this is a bug in Polyhouse, not something you did; stored data stays as it was")
    if not run.debug:
        say("next:  run the same command with --debug and report what it prints")
    say("code:  BUG (exit 70)")
    return 70
