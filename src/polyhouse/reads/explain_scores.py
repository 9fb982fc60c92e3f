"""The rows behind the two scores of a wallet: its positions, and its purchases."""

from __future__ import annotations

from typing import Any

from polyhouse.domain.ids import format_token
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import money
from polyhouse.reads.explain_metrics import relation_page
from polyhouse.reads.explain_scope import Scope, query
from polyhouse.reads.scores import scores

SCORES = ("whale", "insider")
_MEANING = {
    "whale": "How much a wallet trades, how often it is right, how steadily and in what size",
    "insider": "How early, how much against the price and how well timed a wallet buys",
}
_FORMULA = {
    "whale": "min(3, volume / 50,000 · 3) + 3 · wins / decided + min(2, trades / 50 · 2)"
    " + min(2, average position / 5,000 · 2)",
    "insider": "4 · stake-weighted earliness + 3 · share of the stake bought below the price of 24 hours before"
    " + 3 · return within 24 hours without the best outcome / 50 %, each where it is known",
}
# Shares of a pool are their own condition: no bet.
_BETS = (
    "SELECT token, unit, status != 'OPEN' AND realized != 0 AS is_decided, status != 'OPEN' AND realized > 0 AS is_won,"
    " realized, bought_cost FROM ({positions}) WHERE condition != toString(token)"
)


def explain_score(warehouse: Warehouse, name: str, scope: Scope, limit: int, offset: int) -> dict[str, Any]:
    """The part of the explanation that a score fills.

    ``rows`` of the whale score are positions, those of the insider score the purchases before the outcome was known, as
    the metrics see them (micro-USDC, micro-shares). ``inputs`` hold the points and sums of each part.

    Args:
        warehouse: with built models.
        name: one of ``SCORES``.
        scope: names the wallet; scores have neither category nor window.
        limit: rows of a page. offset: rows to pass over.
    """
    score = scores(warehouse, scope.wallet)[name]
    if name == "whale":
        rows_are = "positions"
        rows, count = _bets(warehouse, scope, limit, offset)
    else:
        rows_are = "entries"
        rows, count = relation_page(warehouse, "entries", Scope(scope.wallet, as_of=scope.as_of), limit, offset)
    following = offset + len(rows)
    inputs = [{"name": part, "value": value, "next": _next(part)} for part, value in (score["inputs"] or {}).items()]
    return {
        "category": None, "window": "lifetime", "meaning": _MEANING[name], "formula": _FORMULA[name],
        "source": "seed_systems.md §1.3; accounting §4.5; " + score["note"], "measure": "points",
        "value": score["value"], "status": score["status"], "as_of": score["as_of"], "inputs": inputs, "terms": [],
        "rows_are": rows_are, "rows": rows, "count": count, "unknown": 0, "sum": None, "adds_up": None,
        "limit": limit, "offset": offset, "next_offset": following if following < count else None,
    }  # fmt: skip


def _next(part: str) -> dict[str, Any] | None:
    number = {"volume": "volume", "consistency": "trades"}.get(part)
    return {"name": number, "window": "lifetime"} if number else None


def _bets(warehouse: Warehouse, scope: Scope, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
    sql = _BETS.replace("{positions}", scope.positions())
    (counted,) = query(warehouse, f"SELECT count() AS n FROM ({sql})", scope.bound())
    page = query(
        warehouse,
        f"SELECT * FROM ({sql}) ORDER BY abs(toInt128(realized)) DESC, token LIMIT {int(limit)} OFFSET {int(offset)}",
        scope.bound(),
    )
    rows = [
        {
            "token_id": format_token(bytes(row["token"])), "unit": f"0x{bytes(row['unit']).hex()}",
            "is_decided": bool(row["is_decided"]), "is_won": bool(row["is_won"]), "realized": money(row["realized"]),
            "bought_cost": money(row["bought_cost"]),
            "next": {"name": "realized", "token": format_token(bytes(row["token"]))},
        }
        for row in page
    ]  # fmt: skip
    return rows, int(counted["n"])
