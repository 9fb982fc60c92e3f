"""Commands about markets and categories: market, specialists, categories."""

from __future__ import annotations

from typing import Any

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.completing import choices
from polyhouse.cli.moments import as_of_option
from polyhouse.cli.output import Column, emit_facts, emit_json, emit_table
from polyhouse.cli.reading import ask
from polyhouse.reads.display import dollars, percent, short


@command(
    "market",
    examples=(
        "polyhouse market will-it-rain-in-london-tomorrow",
        "polyhouse market 0xc1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1",
        "polyhouse market 71321045679252212594626385532706912750332728571942532289631379312455583992563",
        "polyhouse market some-slug --json | jq .smart_money",
    ),
)
@click.argument("market_id", metavar="ID")
@click.option("--holders", default=20, show_default=True, metavar="N", help="Holders and traders listed at most.")
def market(run: Run, market_id: str, holders: int) -> None:
    """One market by condition id, slug or token id: prices, holders, smart money, who earned."""
    document = ask(run, "market", {"condition_id": market_id, "holders": holders})
    if run.json:
        emit_json(document)
        return
    emit_facts(run, _market_facts(document))
    _print_outcomes(run, document)
    names = {row["outcome_index"]: row["outcome"] or row["outcome_index"] for row in document["outcomes"]}
    if document["holders"]:
        click.echo()
        rows = [
            [
                short(row["wallet"]), names.get(row["outcome_index"]), dollars(_either(row)), dollars(row["value"]),
                row["tier"], row["grade"], row["units"],
            ]
            for row in document["holders"]
        ]  # fmt: skip
        titles = ("holder", "outcome", "shares", "value $", "tier", "grade", "units")
        emit_table(run, _columns(titles, {"shares", "value $", "units"}), rows)
    for kind in ("best", "worst"):
        people = (document["traders"] or {}).get(kind)
        if people:
            click.echo()
            rows = [[short(p["wallet"]), dollars(p["realized"]), dollars(p["pnl"]), p["tier"]] for p in people[:10]]
            emit_table(run, _columns((kind, "realized $", "PnL $", "tier"), {"realized $", "PnL $"}), rows)
    say("a ranking aid, not advice: how the numbers are made is in docs/market.md")
    if document["holders"]:
        next_steps(run, f"polyhouse wallet {document['holders'][0]['wallet']}")


def _market_facts(document: dict[str, Any]) -> list[tuple[str, Any]]:
    smart = document["smart_money"] or {}
    total = (document["flow"] or {}).get("total", {})
    names = [row["outcome"] or str(row["outcome_index"]) for row in document["outcomes"]]
    favours = smart.get("favours_outcome_index")
    facts = [(name, document[name]) for name in ("question", "condition_id", "slug", "category", "closed", "end_at",
                                                "resolved_at", "as_of", "holder_count")]  # fmt: skip
    return [
        *facts,
        ("volume $", dollars(total.get("volume"))),
        ("smart money", smart.get("verdict") or smart.get("status")),
        ("… favours", names[favours] if favours is not None else None),
        *((f"… {name}", _one_decimal(smart.get(name))) for name in ("sentiment", "confidence", "divergence")),
        ("… signal", _one_decimal((smart.get("signal") or {}).get("value"))),
    ]


def _print_outcomes(run: Run, document: dict[str, Any]) -> None:
    click.echo()
    rows = [
        [row["outcome_index"], row["outcome"], row["mark"], row["mark_source"],
         f"{row['payout_numerator']}/{row['payout_denominator']}" if row["resolved"] else None]
        for row in document["outcomes"]
    ]  # fmt: skip
    emit_table(run, _columns(("#", "outcome", "mark", "from", "payout"), {"mark"}), rows)


def _either(row: dict[str, Any]) -> Any:
    return row["reported_shares"] if row["shares"] is None else row["shares"]


def _one_decimal(value: Any) -> str | None:
    return None if value is None else f"{value:.1f}"


@command(
    "specialists",
    examples=(
        "polyhouse specialists",
        "polyhouse specialists --category sports",
        "polyhouse specialists --category crypto --tested --json | jq '.rows[0]'",
    ),
)
@click.option("--category", metavar="NAME", help="One category; by default all.", shell_complete=choices("categories"))
@click.option("--tested", is_flag=True, help="Also the wallets that were tested and are none.")
@click.option("--limit", default=100, show_default=True, metavar="N", help="Rows at most.")
@as_of_option
def specialists(run: Run, category: str | None, limit: int, tested: bool, as_of: str | None) -> None:
    """Wallets that are better in one category than elsewhere, and than others there."""
    document = ask(run, "specialists", {"category": category, "limit": limit, "tested": tested, "as_of": as_of})
    if run.json:
        emit_json(document)
        return
    titles = ("#", "wallet", "category", "events", "edge", "elsewhere", "others", "share", "PnL $", "q")
    rows = [
        [
            row["rank"], short(row["wallet"]), row["category"], row["events"], f"{row['edge_shrunk']:+.3f}",
            f"{row['rest_shrunk']:+.3f}", f"{row['category_edge']:+.3f}", percent(row["stake_share"]),
            dollars(row["net"]), f"{row['q_value']:.4f}",
        ]
        for row in document["rows"]
    ]  # fmt: skip
    emit_table(run, _columns(titles, set(titles) - {"wallet", "category"}), rows)
    tests = sum(document["tests"].values())
    say(f"{document['total']} of {tests} tested; of those found at most {document['rules']['false_discoveries']:%} are"
        " expected to be luck (docs/specialists.md)")  # fmt: skip
    if document["rows"]:
        next_steps(run, f"polyhouse wallet {document['rows'][0]['wallet']}")


@command(
    "categories",
    examples=(
        "polyhouse categories",
        "polyhouse categories --window 90d",
        "polyhouse categories --json | jq '.rows[] | {category, winnable}'",
    ),
)
@click.option("--window", default="lifetime", show_default=True, help="30d 90d 180d lifetime")
@as_of_option
def categories(run: Run, window: str, as_of: str | None) -> None:
    """Is a category winnable: wallets, winners, elites, volume and who has it."""
    document = ask(run, "categories", {"window": window, "as_of": as_of})
    if run.json:
        emit_json(document)
        return
    titles = ("category", "traders", "ranked", "winners", "elites", "omega", "volume $", "top 10", "score")
    rows = [
        [
            row["category"], row["traders"], row["ranked"], percent(row["winner_share"]), row["elites"],
            None if row["median_omega"] is None else f"{row['median_omega']:.2f}", dollars(row["volume"]),
            percent(row["top10_volume_share"]), row["winnable"]["score"] or row["winnable"]["status"],
        ]
        for row in document["rows"]
    ]  # fmt: skip
    emit_table(run, _columns(titles, set(titles) - {"category"}), rows)


def _columns(titles: tuple[str, ...], right: set[str]) -> list[Column]:
    return [Column(title, right=title in right) for title in titles]
