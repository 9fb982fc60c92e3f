"""How a market was traded: prices over time, who took and who made, and who earned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from polyhouse.domain.ids import format_address
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money
from polyhouse.reads.market_holders import Outcome, record_document, records_of

MOST_POINTS = 400
"""Points of a price or flow series at most; the length of a step follows from the life of the market."""
_STEPS = (60, 300, 900, 3_600, 4 * 3_600, 86_400, 7 * 86_400)
_TOKENS = "SELECT toFixedString(unhex(arrayJoin({tokens:Array(String)})), 32)"
_ROLES = {"TAKER": "taker", "MAKER": "maker", "DIRECT": "direct", "": "unknown"}


def step_of(seconds: int) -> int:
    """Length of a step in seconds for a series over so much time: the shortest that gives at most ``MOST_POINTS``."""
    return next((step for step in _STEPS if seconds <= step * MOST_POINTS), _STEPS[-1])


def _bound(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"tokens": [one.token.hex() for one in outcomes], "first": outcomes[0].token.hex()}


def price_history(warehouse: Warehouse, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Last price of the first outcome in every step in which either outcome traded (the other one: 1 − its price)."""
    bound = _bound(outcomes)
    ((begin, end),) = warehouse.query(
        f"SELECT toUnixTimestamp(min(ts)), toUnixTimestamp(max(ts)) FROM token_prices FINAL WHERE token IN ({_TOKENS})",
        bound,
    ).rows
    step = step_of(int(end) - int(begin))
    rows = warehouse.query(
        "SELECT intDiv(toUnixTimestamp(ts), {step:UInt32}) AS place,"
        " argMax((toUnixTimestamp(ts), if(own, price_e6, 1000000 - price_e6), source = 'fill'),"
        " (ts, source, block, tx_index, pos, own, tx_key)) AS last"
        " FROM (SELECT *, token = toFixedString(unhex({first:String}), 32) AS own FROM token_prices FINAL"
        f" WHERE token IN ({_TOKENS})) GROUP BY place ORDER BY place",
        bound | {"step": step},
    ).rows
    points = [
        {"at": moment(at), "price": money(price), "source": "fill" if is_fill else "point"}
        for _, (at, price, is_fill) in rows
    ]
    return {"outcome_index": 0, "step_seconds": step, "points": points}


def flow(warehouse: Warehouse, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Fills over time by role: what takers bought and sold of each outcome, and what all others did.

    ``volume`` is one-sided, of takers and direct fills (accounting §1.5), plus half of what has no known role.
    ``net_shares`` is what takers bought of the first outcome and sold of the second, less the opposite.
    """
    index = {one.token: one.index for one in outcomes}
    bound = {"tokens": _bound(outcomes)["tokens"]}
    ((begin, end),) = warehouse.query(
        "SELECT toUnixTimestamp(min(first_ts)), toUnixTimestamp(max(last_ts)) FROM positions FINAL"
        f" WHERE token IN ({_TOKENS})",
        bound,
    ).rows
    step = step_of(int(end) - int(begin))
    rows = warehouse.query(
        "SELECT intDiv(toUnixTimestamp(ts), {step:UInt32}) AS place, token, toString(kind) AS side,"
        " toString(role) AS part, sum(abs(ds)) AS moved, sum(volume) AS usd, count() AS fills FROM ledger FINAL"
        " WHERE kind IN ('BUY', 'SELL') AND label = '' AND"
        f" (wallet, token) IN (SELECT wallet, token FROM positions WHERE token IN ({_TOKENS}))"
        " GROUP BY place, token, side, part",
        bound | {"step": step},
    ).rows
    steps: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for place, token, side, role, shares, usd, fills in rows:
        sums, word, outcome = steps[int(place)], _ROLES[role], index[bytes(token)]
        sums[f"{word}_volume"] += int(usd)
        sums[f"{word}_fills"] += int(fills)
        if word == "taker":
            sums[f"{side}_{outcome}"] += int(usd)
            sums["net_shares"] += int(shares) * (1 if (side == "BUY") == (outcome == 0) else -1)
    points = [_flow_point(place * step, steps[place]) for place in sorted(steps)]
    whole: defaultdict[str, int] = defaultdict(int)
    for sums in steps.values():
        for name, value in sums.items():
            whole[name] += value
    return {"step_seconds": step, "total": _sums(whole), "points": points}


def _flow_point(at: int, sums: defaultdict[str, int]) -> dict[str, Any]:
    return {"from": moment(at)} | _sums(sums)


def _sums(sums: defaultdict[str, int]) -> dict[str, Any]:
    one_sided = sums["taker_volume"] + sums["direct_volume"] + sums["unknown_volume"] // 2
    return {
        "volume": money(one_sided),
        **{f"{word}_volume": money(sums[f"{word}_volume"]) for word in _ROLES.values()},
        **{f"{word}_fills": sums[f"{word}_fills"] for word in _ROLES.values()},
        "taker_bought": [money(sums["BUY_0"]), money(sums["BUY_1"])],
        "taker_sold": [money(sums["SELL_0"]), money(sums["SELL_1"])],
        "net_shares": money(sums["net_shares"]),
    }


def traders(warehouse: Warehouse, outcomes: Sequence[Outcome], limit: int) -> dict[str, Any]:
    """Who earned and who lost most in the market by what is realised, both outcomes together.

    ``pnl`` adds open shares at their marks, None while a mark is missing; ``count`` is how many wallets ever held it.
    """
    sums = (
        "SELECT wallet, sum(realized) AS result,"
        " if(countIf(p.unrealized IS NULL) > 0, NULL, sum(p.unrealized)) AS open, sum(bought_cost) AS put_in,"
        " sum(fees) AS paid FROM positions AS p FINAL"
        f" WHERE token IN ({_TOKENS}) GROUP BY wallet"
    )
    bound = {"tokens": _bound(outcomes)["tokens"]}
    ((count,),) = warehouse.query(f"SELECT count() FROM ({sums})", bound).rows
    best, worst = (
        warehouse.query(f"{sums} HAVING result {sign} 0 ORDER BY result {way}, wallet LIMIT {limit}", bound).rows
        for sign, way in ((">", "DESC"), ("<", "ASC"))
    )
    records = records_of(warehouse, [bytes(row[0]) for row in (*best, *worst)])

    def document(row: Sequence[Any]) -> dict[str, Any]:
        wallet, realized, unrealized, bought_cost, fees = row
        return {
            "wallet": format_address(bytes(wallet)),
            "realized": money(realized),
            "unrealized": money(unrealized),
            "pnl": money(None if unrealized is None else realized + unrealized),
            "bought_cost": money(bought_cost),
            "fees": money(fees),
            **record_document(records.get(bytes(wallet))),
        }

    return {"count": int(count), "best": [document(row) for row in best], "worst": [document(row) for row in worst]}
