"""The inputs of all flags, worked out slowly from observations: plain loops, and scipy where it has the mathematics."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from scipy.optimize import minimize_scalar

from polyhouse.metrics.flags import Habits


@dataclass
class Record:
    """The first purchases of a wallet on decided events: price, payout and category of each.

    ``is_sure`` is false if it bought twice in the second of some first purchase: a hash decides there.
    """

    bets: list[tuple[float, float, str]]
    is_sure: bool


@dataclass(frozen=True)
class Market:
    """What is known of a token's market."""

    condition: bytes
    event: int
    outcome: int
    category: str
    resolved_at: int
    payout: float


def bound(bets: Iterable[tuple[float, float, str]]) -> float:
    """Chernoff's bound by numerical minimisation."""
    bets = list(bets)
    won = sum(payout for _, payout, _ in bets)
    if won <= sum(price for price, _, _ in bets):
        return 1.0

    def logarithm(t: float) -> float:
        return sum(math.log1p(price * math.expm1(t)) for price, _, _ in bets) - t * won

    return math.exp(minimize_scalar(logarithm, bounds=(0, 40), method="bounded", options={"xatol": 1e-10}).fun)


def bound_without_best(bets: list[tuple[float, float, str]], order: list[str]) -> float:
    gained: Counter[str] = Counter()
    for price, payout, category in bets:
        gained[category] += payout - price
    best = max(order, key=lambda category: gained[category])
    rest = [bet for bet in bets if bet[2] != best]
    return bound(rest) if len(rest) >= 30 else bound(bets)


def trades_of(rows: Mapping[str, list[Any]]) -> dict[bytes, dict[tuple[bytes, bytes], list[dict[str, Any]]]]:
    """Wallet → (token, transaction) → its fills, transactions in which it trades a token with itself left out."""
    names = ("wallet", "token", "tx", "kind", "ts", "shares", "cash", "role", "counterparty")
    grouped: dict[bytes, dict[tuple[bytes, bytes], list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for values in zip(*(rows[name] for name in names), strict=True):
        row = dict(zip(names, values, strict=True))
        if row["kind"] in ("BUY", "SELL"):
            grouped[row["wallet"]][row["token"], row["tx"]].append(row)
    for trades in grouped.values():
        for key in [key for key, fills in trades.items() if len({fill["kind"] for fill in fills}) > 1]:
            del trades[key]
    return grouped


def record_of(trades: Mapping[tuple[bytes, bytes], list[dict[str, Any]]], markets: Mapping[bytes, Market]) -> Record:
    first: dict[int, tuple[int, Any, Market, float]] = {}
    twice: set[int] = set()
    for (token, tx), fills in trades.items():
        market = markets[token]
        ts = min(fill["ts"] for fill in fills)
        if fills[0]["kind"] == "SELL" or (market.resolved_at and ts >= market.resolved_at):
            continue
        price = sum(f["cash"] for f in fills) / sum(f["shares"] for f in fills)
        if market.event not in first or ts < first[market.event][0]:
            first[market.event] = ts, tx, market, price
            twice.discard(market.event)
        elif ts == first[market.event][0] and tx != first[market.event][1]:
            twice.add(market.event)
    bets = [
        (price, market.payout, market.category)
        for _, _, market, price in first.values()
        if market.resolved_at and price < 1
    ]
    return Record(bets, not twice)


def habits_of(trades: Mapping[tuple[bytes, bytes], list[dict[str, Any]]], markets: Mapping[bytes, Market]) -> Habits:
    ups: Counter[bytes] = Counter()
    downs: Counter[bytes] = Counter()
    up_shares: Counter[bytes] = Counter()
    down_shares: Counter[bytes] = Counter()
    for (token, _), fills in trades.items():
        market = markets[token]
        goes_up = (fills[0]["kind"] == "BUY") == (market.outcome == 0)
        (ups if goes_up else downs)[market.condition] += 1
        (up_shares if goes_up else down_shares)[market.condition] += sum(fill["shares"] for fill in fills)
    all_fills = [fill for fills in trades.values() for fill in fills]
    moments = sorted({min(fill["ts"] for fill in fills) for fills in trades.values()})
    gaps = sorted(later - earlier for earlier, later in pairwise(moments))
    median = gaps[len(gaps) // 2] if gaps else 0
    hours = Counter(moment // 3600 % 24 for moment in moments)
    return Habits(
        trades=len(trades),
        two_sided=sum(2 * min(ups[one], downs[one]) for one in ups),
        fills=len(all_fills),
        maker_fills=sum(
            len(fills) for fills in trades.values() if {fill["role"] for fill in fills} == {"MAKER"}
        ),
        known_fills=sum(
            len(fills) for fills in trades.values() if {f["role"] for f in fills} in ({"MAKER"}, {"TAKER"})
        ),
        all_fills=len(all_fills),
        markets=len({markets[token].condition for token, _ in trades}),
        days=len({moment // 86_400 for moment in moments}),
        seconds=len(moments),
        median_gap=median,
        regular_gaps=sum(10 * abs(gap - median) <= median for gap in gaps),
        hours=tuple(hours[hour] for hour in range(24)),
        traded_shares=sum(fill["shares"] for fill in all_fills),
        turned_shares=sum(2 * min(up_shares[one], down_shares[one]) for one in up_shares),
    )  # fmt: skip


def circled_share(wallet: bytes, rows: Mapping[str, list[Any]], markets: Mapping[bytes, Market]) -> float:
    """Share of a wallet's shares that went back and forth with partners for whom that was a fifth of theirs."""
    names = ("wallet", "counterparty", "token", "kind", "shares")
    net: Counter[tuple[bytes, bytes]] = Counter()
    gross: Counter[tuple[bytes, bytes]] = Counter()
    total: Counter[bytes] = Counter()
    for maker, taker, token, kind, shares in zip(*(rows[name] for name in names), strict=True):
        if kind not in ("BUY", "SELL"):
            continue
        total[maker] += shares
        if not any(taker) or wallet not in (maker, taker):
            continue
        market = markets[token]
        moved = shares if (kind == "BUY") == (market.outcome == 0) else -shares
        partner = taker if maker == wallet else maker
        net[partner, market.condition] += moved if maker == wallet else -moved
        gross[partner, market.condition] += 2 * shares if maker == taker else shares
    turned: Counter[bytes] = Counter()
    for partner, condition in gross:
        mine = gross[partner, condition]
        turned[partner] += mine if partner == wallet else mine - abs(net[partner, condition])
    circled = sum(shares for partner, shares in turned.items() if shares and 5 * shares >= total[partner])
    return min(1.0, circled / total[wallet])
