"""Ranked wallets: the command with all its orders and filters, and the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.completing import choices
from polyhouse.cli.curves import sparkline
from polyhouse.cli.moments import as_of_option
from polyhouse.cli.output import Column, click_width, emit_json, emit_table, flat, is_for_people
from polyhouse.cli.reading import asking
from polyhouse.reads.display import describe_slice, dollars, percent, short

if TYPE_CHECKING:
    from polyhouse.api.connection import Connection

F = TypeVar("F", bound=Callable[..., Any])

_BOARD = (
    "rank", "wallet", "value", "grade", "position_pnl", "realized", "unrealized", "omega_shrunk", "omega",
    "omega_status", "win_rate", "roi", "volume", "trades", "markets", "wins", "losses", "flats", "open_units", "fees",
    "gains", "losses_abs", "specialist", "flags", "category_share", "whale_score", "insider_score", "rank_week_ago",
    "last_trade_at",
)  # fmt: skip
_ROOM_FOR_LINES = 100
_LINE = 20
"""Characters of a small line, and columns of a terminal that has room for it."""
EMPTY: Mapping[str, str] = {}
_SHOWN = frozenset({"omega", "pnl", "win_rate", "roi", "units", "trades"})
"""Orders whose value the narrow table has a column for."""

_FILTERS: tuple[tuple[str, Any, str, str], ...] = (
    ("--min-pnl", str, "USD", "Realised + unrealised PnL at least."),
    ("--max-pnl", str, "USD", "… at most."),
    ("--min-win-rate", str, "RATIO", "Won of decided bets at least, e.g. 0.55."),
    ("--max-win-rate", str, "RATIO", "… at most."),
    ("--min-omega", str, "RATIO", "Shrunk omega at least."),
    ("--min-roi", str, "RATIO", "PnL per bought cost at least."),
    ("--min-volume", str, "USD", "Volume at least."),
    ("--min-markets", int, "N", "Markets traded at least."),
    ("--active-within-days", int, "N", "Last trade at most so long before the newest row of the store."),
    ("--min-category-share", str, "RATIO", "Share of the category in the wallet's volume at least."),
    ("--min-track-record-days", str, "N", "From the first opening to the last close."),
    ("--min-active-days", int, "N", "Days with a trade at least."),
    ("--min-trades-per-day", str, "N", "Trades per active day at least."),
    ("--max-trades-per-day", str, "N", "… at most."),
    ("--min-median-stake", str, "USD", "Median stake of closed bets at least."),
    ("--max-median-stake", str, "USD", "… at most."),
    ("--min-hours-held", str, "N", "Median holding time at least."),
    ("--max-hours-held", str, "N", "… at most."),
    ("--max-drawdown", str, "USD", "Worst fall of the result at most."),
    ("--max-drawdown-percent", str, "N", "… in percent of the bankroll."),
    ("--max-one-hit-share", str, "RATIO", "Share of the result that the best bet made at most."),
    ("--min-roi-without-best-3", str, "RATIO", "Return without the three best bets at least."),
)


def filter_options(function: F) -> F:
    """Declare the filters of a leaderboard."""
    for flag, kind, metavar, text in reversed(_FILTERS):
        function = click.option(flag, type=kind, metavar=metavar, help=text)(function)
    return function


@command(
    "leaderboard",
    examples=(
        "polyhouse leaderboard",
        "polyhouse leaderboard --category sports --window 30d --sort pnl --limit 20",
        "polyhouse leaderboard --sort sharpe --min-pnl 1000 --exclude-bots --active-within-days 7",
        "polyhouse leaderboard --copy-trading --window 90d",
        "polyhouse leaderboard --min-units 5 --json | jq '.rows[0]'",
        "polyhouse leaderboard --as-of 2026-01-31T00:00:00Z",
    ),
)
@click.option("--category", default="overall", show_default=True, metavar="NAME", help="overall, politics, sports, …",
              shell_complete=choices("categories"))  # fmt: skip
@click.option("--window", default="lifetime", show_default=True, help="1d 7d 30d 90d 180d lifetime",
              shell_complete=choices("windows"))  # fmt: skip
@click.option("--sort", default="omega", show_default=True, shell_complete=choices("sorts"),
              help="omega (shrunk), pnl, win_rate, roi, volume, any metric, …")  # fmt: skip
@click.option("--reverse", is_flag=True, help="Worst first.")
@click.option("--min-trades", default=0, show_default=True, metavar="N", help="Fills at least.")
@click.option("--min-units", default=20, show_default=True, metavar="N", help="Closed units at least.")
@click.option("--min-gains-losses", default="100", show_default=True, metavar="USD", help="Gains plus losses at least.")
@filter_options
@click.option("--exclude-bots", is_flag=True, help="Leave out wallets that trade like machines.")
@click.option("--exclude-market-makers", is_flag=True, help="Leave out market makers.")
@click.option("--specialists-only", is_flag=True, help="Specialists of the category, or of any.")
@click.option("--copy-trading", "preset", flag_value="copy_trading", help="Whom somebody can follow: a set of filters.")
@click.option("--limit", default=100, show_default=True, metavar="N", help="Rows at most.")
@click.option("--cursor", metavar="WORD", help="Go on behind a page: its next_cursor.")
@as_of_option
def leaderboard(run: Run, **arguments: Any) -> None:
    """Ranked wallets of a category and window, ties broken by address."""
    with asking(run) as connection:
        document = connection.ask("leaderboard", arguments)
        if run.json:
            emit_json(document)
            return
        equity = _equity(connection, document, arguments["as_of"]) if is_for_people(run) else {}
    print_leaderboard(run, document, equity)
    if not document["rows"]:
        say("no wallet passes; lower --min-units and --min-gains-losses, or take filters away, or sync more wallets")
        next_steps(run, "polyhouse status", "polyhouse run")
    else:
        next_steps(run, f"polyhouse wallet {document['rows'][0]['wallet']}")


def _equity(connection: Connection, document: dict[str, Any], as_of: str | None) -> dict[str, str]:
    """Address → a small line of its equity, where the terminal has room for it."""
    if click_width() < _ROOM_FOR_LINES or not document["rows"]:
        return {}
    asked = {
        "wallets": [row["wallet"] for row in document["rows"]], "category": document["category"],
        "window": document["window"], "as_of": as_of,
    }  # fmt: skip
    found = connection.ask("sparks", asked)["sparks"]
    return {wallet: sparkline(values[:: max(len(values) // _LINE, 1)][-_LINE:]) for wallet, values in found.items()}


def print_leaderboard(run: Run, document: dict[str, Any], equity: Mapping[str, str] = EMPTY) -> None:
    """Print a leaderboard document: a narrow table on a terminal, all columns in a pipe."""
    rows = document["rows"]
    if not is_for_people(run):
        table = [[_cell(row, name) for name in _BOARD] for row in rows]
        emit_table(run, [Column(name) for name in _BOARD], table)
    else:
        say(describe_slice(document))
        _print_narrow(run, document["sort"], rows, equity)
    if document["next_cursor"]:
        say(f"more: --cursor {document['next_cursor']}")


def _print_narrow(run: Run, sort: str, rows: list[dict[str, Any]], equity: Mapping[str, str]) -> None:
    columns = [
        Column("#", right=True), Column("wallet"), Column("grade"), Column("PnL $", right=True),
        Column("omega", right=True), Column("win", right=True), Column("ROI", right=True),
        Column("units", right=True), Column("trades", right=True),
    ]  # fmt: skip
    table = [
        [
            row["rank"], short(row["wallet"]), row["grade"], dollars(row["position_pnl"]),
            f"{row['omega_shrunk']:.3f}", percent(row["win_rate"]), percent(row["roi"]), row["units"], row["trades"],
        ]
        for row in rows
    ]  # fmt: skip
    if sort not in _SHOWN:
        columns.insert(2, Column(sort, right=True))
        for cells, row in zip(table, rows, strict=True):
            cells.insert(2, flat(row["value"])[:12])
    if equity:
        columns.append(Column("equity"))
        for cells, row in zip(table, rows, strict=True):
            cells.append(equity.get(row["wallet"], ""))
    emit_table(run, columns, table)


def _cell(row: dict[str, Any], name: str) -> Any:
    if name == "omega_status":
        return row["omega"]["status"]
    if name == "omega":
        return row["omega"]["value"]
    if name == "rank_week_ago":
        return row["week_ago"]["rank"] if row["week_ago"] else None
    return " ".join(row["flags"]) if name == "flags" else row[name]
