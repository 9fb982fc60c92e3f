"""The scores worked out the slow way from the logs of a universe: loops and fractions, nothing of the product."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any

from polyhouse.sim.model import SimMarket
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.truth_reading import Fill, Reader, Resolution
from polyhouse.sim.truth_totals import PositionTruth, Totals
from polyhouse.sim.universe import Universe

DAY = 24 * 3600


@dataclass
class Purchase:
    """What one wallet bought of one token in one transaction."""

    ts: int
    paid: int = 0
    shares: int = 0
    sold: bool = False


@dataclass
class History:
    """All purchases, the prices of the first outcome of each market (by second), and when it was resolved."""

    purchases: dict[tuple[str, str, str], Purchase] = field(default_factory=dict)
    prices: defaultdict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    resolved: dict[str, tuple[int, tuple[int, int]]] = field(default_factory=dict)


def history_of(universe: Universe) -> History:
    markets = [market for event in universe.events for market in event.markets]
    questions: dict[str, tuple[list[tuple[str, str]], int]] = {}
    for name, (_, bips) in universe.neg_risk_markets.items():
        members = sorted((m for m in markets if m.neg_risk_market_id == name), key=lambda m: m.question_index)
        questions[name] = ([m.token_ids for m in members], bips)
    pools = {m.pool.address: m.token_ids for m in markets if m.pool}
    reader = Reader({m.condition_id: m.token_ids for m in markets}, questions, pools)
    place = {token: (m.condition_id, outcome) for m in markets for outcome, token in enumerate(m.token_ids)}
    found = History()
    for transaction in universe.transactions(until=universe.now):
        for event in reader.read(transaction):
            if isinstance(event, Resolution):
                found.resolved.setdefault(event.condition, (transaction.ts, event.numerators))
            elif isinstance(event, Fill):
                key = event.wallet, event.token, transaction.tx
                purchase = found.purchases.setdefault(key, Purchase(transaction.ts))
                if event.buy:
                    purchase.paid += event.cash
                    purchase.shares += event.shares
                else:
                    purchase.sold = True
                if event.price_e6 is not None:
                    condition, outcome = place[event.token]
                    price = event.price_e6 if outcome == 0 else 1_000_000 - event.price_e6
                    found.prices[condition][transaction.ts] = price
    return found


def plain_scores(universe: Universe) -> dict[str, dict[str, Any]]:
    """Wallet → the columns of ``wallet_scores_v1`` (without ``as_of``)."""
    truth = compute_truth(
        universe.transactions(until=universe.now), universe.events, universe.neg_risk_markets, windows=False
    )
    history = history_of(universe)
    held: defaultdict[str, list[PositionTruth]] = defaultdict(list)
    conditions = {market.condition_id for event in universe.events for market in event.markets}
    for (wallet, _), position in truth.positions.items():
        if position.condition in conditions:  # shares of an AMM pool are no position
            held[wallet].append(position)
    rows = {wallet: _whale(known.totals, held[wallet]) for wallet, known in truth.wallets.items()}
    inputs = _insider_inputs(universe, truth.as_of, history)
    for wallet, row in rows.items():
        row |= _insider(inputs.get(wallet, defaultdict(int)))
    return rows


def _whale(totals: Totals, held: list[PositionTruth]) -> dict[str, Any]:
    decided = [p for p in held if p.status != "OPEN" and p.realized != 0]
    wins = [p for p in decided if p.realized > 0]
    bought = [p.bought_cost for p in held if p.bought_cost > 0]
    points = Fraction(0)
    if totals.trades:
        points += min(3, Fraction(totals.volume, 10**6) / 50_000 * 3)
        points += 3 * Fraction(len(wins), len(decided)) if decided else 0
        points += min(2, Fraction(totals.trades, 50) * 2)
        points += min(2, Fraction(sum(bought), len(bought) * 10**6) / 5_000 * 2) if bought else 0
    return {
        "whale_tenths": _round(points), "is_whale": totals.volume >= 10_000 * 10**6, "volume": totals.volume,
        "trades": totals.trades, "wins": len(wins), "decided": len(decided), "bought_cost": sum(bought),
        "bought_positions": len(bought),
    }  # fmt: skip


def _insider_inputs(universe: Universe, as_of: int, history: History) -> dict[str, dict[str, Any]]:
    markets: dict[str, tuple[SimMarket, int]] = {
        token: (market, outcome)
        for event in universe.events
        for market in event.markets
        for outcome, token in enumerate(market.token_ids)
    }
    sums: defaultdict[str, defaultdict[str, Any]] = defaultdict(lambda: defaultdict(int))
    tokens: defaultdict[str, set[str]] = defaultdict(set)
    gains: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (wallet, token, _), purchase in history.purchases.items():
        market, outcome = markets[token]
        resolved, payout = history.resolved.get(market.condition_id, (None, None))
        if purchase.sold or purchase.paid <= 0 or purchase.shares <= 0:
            continue
        if resolved is not None and purchase.ts >= resolved:
            continue
        mine = sums[wallet]
        tokens[wallet].add(token)
        mine["entries"] += 1
        mine["stake"] += purchase.paid
        end = market.end_ts if resolved is None else min(market.end_ts, resolved)
        if end > market.start_ts:
            late = min(max(purchase.ts - market.start_ts, 0), end - market.start_ts)
            mine["early_stake"] += purchase.paid
            mine["early_exact"] += purchase.paid * floor((1 - Fraction(late, end - market.start_ts)) * 1_000_000)
        before = _price(history, market, outcome, purchase.ts - DAY)
        if before is not None:
            mine["reference_stake"] += purchase.paid
            if Fraction(purchase.paid, purchase.shares) < Fraction(before, 10**6):
                mine["against_stake"] += purchase.paid
        after = _price(history, market, outcome, purchase.ts + DAY)
        if resolved is not None and resolved <= purchase.ts + DAY:
            assert payout is not None
            worth = purchase.shares * payout[outcome] // sum(payout)
        elif after is not None and purchase.ts + DAY <= as_of:
            worth = purchase.shares * after // 10**6
        else:
            continue
        mine["timing_stake"] += purchase.paid
        mine["timing_gain"] += worth - purchase.paid
        gains[wallet][token] += worth - purchase.paid
    for wallet, mine in sums.items():
        mine["timing_best"] = max(0, *gains[wallet].values()) if wallet in gains else 0
        mine["entry_positions"] = len(tokens[wallet])
        mine["early_weight"] = mine.pop("early_exact", 0) // 10**6
    return sums


def _price(history: History, market: SimMarket, outcome: int, ts: int) -> int | None:
    known = [at for at in history.prices[market.condition_id] if at <= ts]
    if not known:
        return None
    first = history.prices[market.condition_id][known[-1]]
    return first if outcome == 0 else 1_000_000 - first


def _insider(inputs: dict[str, Any]) -> dict[str, Any]:
    stake = inputs["stake"]
    parts: list[Fraction | None] = [
        _part(stake, inputs["early_stake"], 4 * inputs["early_weight"]),
        _part(stake, inputs["reference_stake"], 3 * inputs["against_stake"]),
        _part(stake, inputs["timing_stake"], 6 * (inputs["timing_gain"] - inputs["timing_best"])),
    ]
    if parts[2] is not None:
        parts[2] = min(Fraction(3), max(Fraction(0), parts[2]))
    known = [part for part in parts if part is not None]
    tenths = _round(sum(known, Fraction(0))) if known else None
    enough = inputs["entry_positions"] >= 10 and stake >= 100 * 10**6
    status = "NO_SAMPLE" if tenths is None else "SMALL_SAMPLE" if not enough else "OK" if len(known) == 3 else "PARTIAL"
    names = (
        "entries", "entry_positions", "stake", "early_stake", "early_weight", "reference_stake", "against_stake",
        "timing_stake", "timing_gain", "timing_best",
    )  # fmt: skip
    return {
        "insider_tenths": tenths, "is_suspected": enough and tenths is not None and tenths >= 70,
        "insider_status": status, **{name: inputs[name] for name in names},
    }  # fmt: skip


def _part(stake: int, known: int, points: int) -> Fraction | None:
    return Fraction(points, known) if known and 2 * known >= stake else None


def _round(points: Fraction) -> int:
    return min(100, floor(points * 10 + Fraction(1, 2)))
