"""``polyhouse wallet``: everything known about one wallet, and where each number comes from."""

from __future__ import annotations

from typing import Any

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.curves import curve, stretched
from polyhouse.cli.explain import print_explanation
from polyhouse.cli.flags import flag_facts
from polyhouse.cli.moments import as_of_option
from polyhouse.cli.output import Column, click_width, emit_facts, emit_json, emit_table, is_for_people
from polyhouse.cli.reading import ask, asking
from polyhouse.cli.scores import score_facts
from polyhouse.reads.display import dollars, percent, short

_POSITIONS_SHOWN = 20
"""On a terminal; a pipe and ``--json`` get all of them."""
_CURVE_LINES = 6
_DATES = 22
"""Characters of two dates and a gap."""
_ADDRESS = "0x6af75d4e4aaf700450efbac3708cce1665810ff1"


@command(
    "wallet",
    examples=(
        f"polyhouse wallet {_ADDRESS}",
        f"polyhouse wallet {_ADDRESS} --window 30d",
        f"polyhouse wallet {_ADDRESS} --explain realized --category sports",
        f"polyhouse wallet {_ADDRESS} --as-of 2026-01-31T00:00:00Z",
        f"polyhouse wallet {_ADDRESS} --cost both",
        f"polyhouse wallet {_ADDRESS} --json | jq .totals",
    ),
)
@click.argument("address")
@click.option("--window", default="lifetime", show_default=True, help="Of the totals: 1d 7d 30d 90d 180d lifetime")
@click.option("--explain", "name", metavar="NAME", help="Follow this number down: units, positions, ledger rows.")
@click.option("--category", metavar="NAME", help="With --explain: the number of this category.")
@click.option("--unit", metavar="ID", help="With --explain: the number of this condition or neg-risk market.")
@click.option("--token", metavar="ID", help="With --explain: the number of this position.")
@click.option("--limit", type=int, metavar="N", help="With --explain: rows of a page.  [default: 100]")
@click.option("--offset", type=int, metavar="N", help="With --explain: rows to pass over.")
@click.option("--cost", default="ours", show_default=True, help="Also by Polymarket's cost method: polymarket, both.")
@as_of_option
def wallet(run: Run, address: str, window: str, name: str | None, as_of: str | None, cost: str, **rest: Any) -> None:
    """Everything known about one wallet."""
    chosen = {key: value for key, value in rest.items() if value is not None}
    if name is not None:
        arguments = {"address": address, "name": name, "window": window, "as_of": as_of, **chosen}
        print_explanation(run, ask(run, "explain", arguments))
        return
    if chosen:
        raise click.UsageError(f"--{next(iter(chosen))} belongs to --explain NAME")
    with asking(run) as connection:
        document = connection.ask("wallet", {"address": address, "window": window, "as_of": as_of, "cost": cost})
        if run.json:
            emit_json(document)
            return
        if is_for_people(run):
            _print_equity(connection.ask("wallet_days", {"address": address, "as_of": as_of}))
    print_wallet(run, document)
    if document["units"]:
        next_steps(run, f"polyhouse wallet {document['wallet']} --explain realized")


def _print_equity(document: dict[str, Any]) -> None:
    """Realised and unrealised result over the wallet's whole life."""
    values = stretched(document["days"], click_width())
    lines = curve(values, _CURVE_LINES) if len(values) > 1 else []
    if not lines:
        return
    known = [value for value in values if value is not None]
    click.echo(f"equity {dollars(known[-1])} $, between {dollars(min(known))} and {dollars(max(known))} $")
    for line in lines:
        click.echo(line.rstrip())
    click.echo(f"{document['from']}{document['to']:>{max(len(values), _DATES) - len(document['from'])}}\n")


def print_wallet(run: Run, document: dict[str, Any]) -> None:
    """Print the wallet document: its totals, scores and categories."""
    totals = document["totals"]
    emit_facts(run, [
        ("wallet", document["wallet"]), ("as_of", document["as_of"]), ("coverage", document["coverage"]),
        ("provisional", " ".join(document["provisional"])), *_provenance(document["coverage_details"]),
        ("sync", (document["sync"] or {}).get("status")),
        *((name, value) for name, value in totals.items() if name != "omega"),
        ("omega", totals["omega"]["value"]), ("omega_status", totals["omega"]["status"]),
        ("units", len(document["units"])), ("positions", len(document["positions"])),
        *score_facts(document["scores"]), *flag_facts(document["flags"]),
    ])  # fmt: skip
    if document["categories"]:
        click.echo()
        names = ("category", "position_pnl", "volume", "trades", "wins", "losses", "win_rate", "roi")
        rows = [[_shown(run, name, row[name]) for name in names] for row in document["categories"]]
        emit_table(run, [Column(name, right=name != "category") for name in names], rows)
    if "cost_methods" in document:
        click.echo()
        _print_cost_methods(run, document["cost_methods"])
    if document["provisional"]:
        say(f"provisional ({', '.join(document['provisional'])}): these numbers may still move")


def _shown(run: Run, name: str, value: Any) -> Any:
    """Exact in a pipe; for eyes rounded to what fits eighty columns."""
    if not is_for_people(run):
        return value
    if name in {"position_pnl", "volume"}:
        return dollars(value)
    return percent(value) if name in {"win_rate", "roi"} else value


def _print_cost_methods(run: Run, methods: dict[str, Any]) -> None:
    """Both methods on the wallet, what makes the difference, and the positions as Polymarket counts them."""
    totals, numbers = methods["totals"], ("realized", "unrealized", "total")
    rows = [[name, *(totals[name][number] for number in numbers)] for name in ("ours", "polymarket") if name in totals]
    rows += [[f"  {part['cause']}", *(part[number] for number in numbers)] for part in totals.get("causes", ())]
    if "difference" in totals:
        rows.append(["difference", *(totals["difference"][number] for number in numbers)])
    emit_table(run, [Column("cost method"), *(Column(number, right=True) for number in numbers)], rows)
    click.echo()
    names = ("avg_price", "balance", "realized", "unrealized", "total")
    columns = [Column("token_id"), *(Column(name, right=True) for name in names)]
    positions = sorted(methods["positions"], key=lambda one: -abs(one["polymarket"]["total"] or 0))
    shown = positions[:_POSITIONS_SHOWN] if is_for_people(run) else positions
    cells = [[one["token_id"], *(one["polymarket"][name] for name in names)] for one in shown]
    if is_for_people(run):
        cells = [[short(row[0]), *row[1:]] for row in cells]
    emit_table(run, columns, cells)
    if len(shown) < len(positions):
        say(f"{len(shown)} of {len(positions)} positions, by their total; --json has all")


def _provenance(details: dict[str, Any] | None) -> list[tuple[str, Any]]:
    """Who said what, and from when to when nothing is missing; nothing for a moment of the past."""
    if details is None:
        return []
    sources = ", ".join(
        f"{row['source']} {row['rows']:,} rows {row['from']} – {row['to']} ({row['used']:,} used)"
        for row in details["sources"]
    )
    gaps = ", ".join(f"{gap['from']} – {gap['to']} {gap['reason']}" for gap in details["gaps"])
    return [
        ("sources", sources), ("complete_from", details["complete_from"]), ("complete_to", details["complete_to"]),
        ("gaps", gaps),
    ]  # fmt: skip
