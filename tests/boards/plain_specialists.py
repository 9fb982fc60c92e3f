"""Specialists the slow way: from the fills of a universe's own logs, one wallet at a time, in plain Python."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control, norm

from polyhouse.ports import Warehouse

TILTS = [round(0.02 * 1.4**step, 6) for step in range(16)]


@dataclass(frozen=True)
class Trade:
    wallet: bytes
    at: int
    tx: int
    event: int
    category: str
    market: int
    outcome: int
    price: float
    payout: float | None


def purchases(warehouse: Warehouse) -> list[Trade]:
    """Every purchase that was made before its outcome was known, with what became of it."""
    rows = warehouse.query(
        "SELECT t.wallet, toUnixTimestamp(t.at), t.tx_key, toUInt64(m.event), toString(t.category),"
        " cityHash64(k.condition), toInt32(t.outcome), t.cash, t.shares, t.resolved_at, t.payout_e6"
        " FROM priced_trades AS t FINAL INNER JOIN (SELECT * FROM token_map FINAL) AS k ON k.token = t.token"
        " LEFT JOIN (SELECT condition, max(event_id) AS event FROM markets FINAL GROUP BY condition) AS m"
        " ON m.condition = k.condition WHERE NOT t.is_sale AND t.shares > 0"
        " AND (t.resolved_at = 0 OR toUnixTimestamp(t.at) < t.resolved_at)"
    ).rows
    return [
        Trade(
            bytes(wallet), at, tx, event or market, category, market, outcome,
            cash / shares, (payout or 0) / 1_000_000 if resolved else None,
        )
        for wallet, at, tx, event, category, market, outcome, cash, shares, resolved, payout in rows
    ]  # fmt: skip


def first_bets(trades: Iterable[Trade]) -> dict[bytes, list[Trade]]:
    """The first purchase of each wallet on each event, if it is decided and its price lies between 0 and 1."""
    first: dict[tuple[bytes, int], Trade] = {}
    for trade in sorted(trades, key=lambda t: (t.at, t.tx, t.market, t.outcome)):
        first.setdefault((trade.wallet, trade.event), trade)
    found: defaultdict[bytes, list[Trade]] = defaultdict(list)
    for trade in first.values():
        if trade.payout is not None and 0 < trade.price < 1:
            found[trade.wallet].append(trade)
    return dict(found)


def luck(bets: list[Trade], head: float) -> float:
    """Chernoff's bound with every tilt, in floats."""
    best = max(
        t * sum(b.payout for b in bets)
        - sum(math.log1p(b.price * math.expm1(t)) for b in bets)
        - max(head, 0) * sum(math.expm1(t) / (1 + b.price * math.expm1(t)) for b in bets)
        for t in TILTS
    )
    return math.exp(-max(best, 0.0))


def against_rest(bets: list[Trade], rest: list[Trade]) -> float:
    gap = np.mean([b.payout - b.price for b in bets]) - sum(b.payout - b.price for b in rest) / (len(rest) + 20)
    variance = (
        sum(b.price * (1 - b.price) for b in bets) / len(bets) ** 2
        + sum(b.price * (1 - b.price) for b in rest) / (len(rest) + 20) ** 2
    )
    return float(norm.sf(gap / math.sqrt(variance)))


def specialists(
    bets: Mapping[bytes, list[Trade]], totals: Mapping[tuple[bytes, str], Mapping[str, int]]
) -> dict[tuple[str, bytes], dict[str, Any]]:
    """(category, wallet) → its statistics, of all that are tested. ``totals``: (wallet, category or overall)."""
    found: dict[tuple[str, bytes], dict[str, Any]] = {}
    everything = [b for mine in bets.values() for b in mine]
    for wallet, mine in bets.items():
        for category in sorted({b.category for b in mine}):
            here = [b for b in mine if b.category == category]
            row, whole = totals[wallet, category], totals[wallet, "overall"]
            if len(here) < 20 or row["bought_cost"] * 4 < whole["bought_cost"]:
                continue
            rest = [b for b in mine if b.category != category]
            others = [b.payout - b.price for b in everything if b.category == category and b.wallet != wallet]
            head = sum(others) / len(others) if others else 0.0
            p_category = luck(here, head) if row["gains"] > row["losses_abs"] else 1.0
            p_rest = against_rest(here, rest)
            found[category, wallet] = {
                "events": len(here), "rest_events": len(rest), "category_edge": head,
                "edge_shrunk": sum(b.payout - b.price for b in here) / (len(here) + 20),
                "rest_shrunk": sum(b.payout - b.price for b in rest) / (len(rest) + 20),
                "p_category": p_category, "p_rest": p_rest, "p_value": max(p_category, p_rest),
            }  # fmt: skip
    for category in {category for category, _ in found}:
        keys = [key for key in found if key[0] == category]
        for key, q in zip(keys, false_discovery_control([found[key]["p_value"] for key in keys]), strict=True):
            found[key]["q_value"] = float(q)
    for (category, wallet), row in found.items():
        mine = totals[wallet, category]
        row["is_specialist"] = bool(
            row["q_value"] <= 0.05 and mine["gains"] > mine["losses_abs"]
            and row["edge_shrunk"] > max(row["rest_shrunk"], row["category_edge"])
        )  # fmt: skip
    return found
