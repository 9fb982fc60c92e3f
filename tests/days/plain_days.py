"""Daily series worked out the slow way: the simulator's truth, looked at every second and at the end of every day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from polyhouse.sim.truth import _Folding
from polyhouse.sim.truth_reading import Fill
from polyhouse.sim.universe import Universe

DAY = 86_400
EDGES = (0, 30, 90, 180)
Scope = tuple[str, str]
Pair = tuple[str, str]
Row = dict[str, Any]


@dataclass
class Watched:
    """What is seen while the truth goes by."""

    changed: defaultdict[Scope, set[int]] = field(default_factory=lambda: defaultdict(set))
    at_risk: defaultdict[Scope, int] = field(default_factory=lambda: defaultdict(int))
    peaks: defaultdict[tuple[Scope, int], int] = field(default_factory=lambda: defaultdict(int))
    volume: defaultdict[tuple[Scope, int], int] = field(default_factory=lambda: defaultdict(int))
    fills: defaultdict[tuple[Scope, int], int] = field(default_factory=lambda: defaultdict(int))
    now: dict[Pair, tuple[int, int, int]] = field(default_factory=dict)
    ends: dict[int, dict[Pair, tuple[int, int, int, int | None]]] = field(default_factory=dict)


def plain_days(universe: Universe) -> dict[Scope, dict[int, Row]]:
    """(wallet, category or ``overall``) → day → the numbers of ``wallet_days``."""
    transactions = list(universe.transactions(until=universe.now))
    folding = _Folding(list(universe.events), universe.neg_risk_markets, {})
    last_day = folding.newest(transactions) // DAY
    watched = Watched()
    today = None
    for ts, members in groupby(transactions, key=lambda transaction: transaction.ts):
        day = min(ts // DAY, last_day)
        if today is not None and day > today:
            _end_day(folding, watched, today)
        today = day
        for transaction in members:
            for event in folding.read(transaction):
                folding.apply(event, ts)
                if isinstance(event, Fill):
                    for scope in _scopes(folding, event.wallet, event.token):
                        watched.volume[scope, day] += event.volume
                        watched.fills[scope, day] += 1
                        watched.changed[scope].add(day)
        _end_second(folding, watched, day)
    assert today is not None
    _end_day(folding, watched, today)
    return _rows(folding, watched, last_day)


def _scopes(folding: _Folding, wallet: str, token: str) -> list[Scope]:
    return [(wallet, "overall"), (wallet, folding.category[folding.market_of[token].condition_id])]


def _state(holding: Any) -> tuple[int, int, int]:
    return (0 if holding.payout else holding.tracked, holding.cost, holding.realized)


def _end_second(folding: _Folding, watched: Watched, day: int) -> None:
    touched = set()
    for pair, holding in folding.holdings.items():
        old, new = watched.now.get(pair, (0, 0, 0)), _state(holding)
        if old == new:
            continue
        watched.now[pair] = new
        for scope in _scopes(folding, *pair):
            if not watched.changed[scope] or max(watched.changed[scope]) < day or scope not in watched.at_risk:
                watched.peaks[scope, day] = max(watched.peaks[scope, day], watched.at_risk[scope])
            watched.changed[scope].add(day)
            watched.at_risk[scope] += new[1] - old[1]
            touched.add(scope)
    for scope in touched:
        watched.peaks[scope, day] = max(watched.peaks[scope, day], watched.at_risk[scope])


def _end_day(folding: _Folding, watched: Watched, day: int) -> None:
    watched.ends[day] = {
        pair: (*_state(holding), holding.unrealized(folding.mark(pair[1])))
        for pair, holding in folding.holdings.items()
    }


def _rows(folding: _Folding, watched: Watched, last_day: int) -> dict[Scope, dict[int, Row]]:
    members: defaultdict[Scope, list[Pair]] = defaultdict(list)
    for pair in folding.holdings:
        for scope in _scopes(folding, *pair):
            members[scope].append(pair)
    first_day = min(watched.ends)
    for day in range(first_day, last_day + 1):  # quiet days
        watched.ends.setdefault(day, watched.ends.get(day - 1, {}))
    found = {}
    for scope, pairs in members.items():
        days = set(watched.changed[scope])
        for edge in (last_day - before for before in EDGES):
            if any(watched.ends.get(edge, {}).get(pair, (0,))[0] for pair in pairs):
                days.add(edge)
        found[scope] = _series(scope, pairs, sorted(days), watched)
    return {scope: rows for scope, rows in found.items() if rows}


def _series(scope: Scope, pairs: list[Pair], days: list[int], watched: Watched) -> dict[int, Row]:
    nothing = (0, 0, 0, 0)
    rows: dict[int, Row] = {}
    at_risk, last_equity = 0, 0
    for day in days:
        now = [watched.ends[day].get(pair, nothing) for pair in pairs]
        before = [watched.ends.get(day - 1, {}).get(pair, nothing) for pair in pairs]
        booked = [new[2] - old[2] for new, old in zip(now, before, strict=True)]
        unmarked = sum(state[3] is None for state in now)
        total = sum(state[2] for state in now)
        unrealized = None if unmarked else sum(state[3] or 0 for state in now)
        equity = None if unrealized is None else total + unrealized
        row = {
            "realized": sum(booked), "realized_total": total, "unrealized": unrealized, "unmarked": unmarked,
            "equity": equity, "pnl": None if equity is None else equity - last_equity,
            "at_risk": sum(state[1] for state in now), "at_risk_before": at_risk,
            "at_risk_peak": max(at_risk, watched.peaks[scope, day]), "worst": min(0, *booked),
            "volume": watched.volume[scope, day], "fills": watched.fills[scope, day],
        }  # fmt: skip
        at_risk = row["at_risk"]
        last_equity = last_equity if equity is None else equity
        rows[day] = row
    return rows
