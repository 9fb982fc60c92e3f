"""How a market was traded: prices over time, who took and who made, and who earned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyhouse.domain.ids import format_address
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money
from polyhouse.reads.market_holders import FEW_WALLETS, Outcome, Position, Record, record_document

MOST_POINTS = 400
"""Points of a price or flow series at most; the length of a step follows from the life of the market."""
_STEPS = (60, 300, 900, 3_600, 4 * 3_600, 86_400, 7 * 86_400)
_TOKENS = "SELECT toFixedString(unhex(arrayJoin({tokens:Array(String)})), 32)"
_WALLETS = "SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20)"
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


def flow(warehouse: Warehouse, outcomes: Sequence[Outcome], positions: Sequence[Position]) -> dict[str, Any]:
    """Fills over time by role: what takers bought and sold of each outcome, and what all others did.

    ``volume`` is one-sided, of takers and direct fills (accounting §1.5), plus half of what has no known role.
    ``net_shares`` is what takers bought of the first outcome and sold of the second, less the opposite.
    """
    index = {one.token: one.index for one in outcomes}
    bound: dict[str, Any] = {"tokens": _bound(outcomes)["tokens"]}
    begin = min((one.first_at for one in positions), default=0)
    step = step_of(max((one.last_at for one in positions), default=0) - begin)
    wallets = sorted({one.wallet.hex() for one in positions})
    whose = "1"
    if len(wallets) <= FEW_WALLETS:
        whose, bound["wallets"] = f"wallet IN ({_WALLETS})", wallets
    rows = warehouse.query(
        "SELECT intDiv(toUnixTimestamp(ts), {step:UInt32}) AS place, token, toString(kind) AS side,"
        " toString(role) AS part, sum(abs(ds)) AS moved, sum(volume) AS usd, count() AS fills FROM ledger FINAL"
        f" PREWHERE {whose} AND token IN ({_TOKENS}) WHERE kind IN ('BUY', 'SELL') AND label = ''"
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


@dataclass(slots=True)
class _Trader:
    """One wallet over both outcomes; ``unrealized`` is None while a mark is missing."""

    wallet: bytes
    realized: int = 0
    unrealized: int | None = 0
    bought_cost: int = 0
    fees: int = 0

    def add(self, position: Position) -> None:
        """Count one more position."""
        self.realized += position.realized
        known = self.unrealized is not None and position.unrealized is not None
        self.unrealized = (self.unrealized or 0) + (position.unrealized or 0) if known else None
        self.bought_cost += position.bought_cost
        self.fees += position.fees


def traders(positions: Sequence[Position], records: Mapping[bytes, Record], limit: int) -> dict[str, Any]:
    """Who earned and who lost most in the market by what is realised, both outcomes together.

    ``pnl`` adds open shares at their marks, None while a mark is missing; ``count`` is how many wallets ever held it.
    """
    found: dict[bytes, _Trader] = {}
    for one in positions:
        found.setdefault(one.wallet, _Trader(one.wallet)).add(one)
    ranked = sorted(found.values(), key=lambda one: (-one.realized, one.wallet))
    best = [one for one in ranked if one.realized > 0][:limit]
    worst = sorted((one for one in ranked if one.realized < 0), key=lambda one: (one.realized, one.wallet))[:limit]
    return {
        "count": len(found),
        "best": [_trader_document(one, records.get(one.wallet)) for one in best],
        "worst": [_trader_document(one, records.get(one.wallet)) for one in worst],
    }


def _trader_document(one: _Trader, record: Record | None) -> dict[str, Any]:
    return {
        "wallet": format_address(one.wallet),
        "realized": money(one.realized),
        "unrealized": money(one.unrealized),
        "pnl": money(None if one.unrealized is None else one.realized + one.unrealized),
        "bought_cost": money(one.bought_cost),
        "fees": money(one.fees),
        **record_document(record),
    }
