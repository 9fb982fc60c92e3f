"""Daily series of wallets: what was realised, held, risked and traded, day by day (accounting §3.8).

A *scope* is a wallet as a whole or one of its categories; its series is summed over its (wallet, token) pairs. A day is
a UTC day, numbered from 1970-01-01. Days without an entry changed nothing, so the state of the entry before holds.
All sums are exact integers (micro-USDC, micro-shares). This module defines the rules, one scope at a time; its compiled
twin for large slices is ``day_columns``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from polyhouse.ledger.columns import Ints
from polyhouse.ledger.moments import NOTHING, Step

DAY_SECONDS = 86_400
MICRO = 1_000_000

SERIES = (
    "day", "realized", "realized_total", "unrealized", "unmarked", "at_risk", "at_risk_before", "at_risk_peak",
    "worst", "volume", "fills",
)  # fmt: skip
"""Columns of ``DaySeries.values``.

- ``realized``: booked on the day; ``realized_total``: up to its end.
- ``unrealized``: value of the open shares at the day's marks less their basis, over those that have a mark;
  ``unmarked``: how many pairs have none.
- ``at_risk``: basis of the open shares at the day's end; ``at_risk_before``: at its beginning; ``at_risk_peak``: the
  most at its beginning or at the end of any of its seconds (the order of events inside a second is not always known).
- ``worst``: the largest loss booked on one pair that day, as a number not above 0.
- ``volume``, ``fills``: of the fills of the day.
"""

NO_MARK = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class Histories:
    """What n pairs went through.

    Attributes:
        step_starts: n + 1 places in ``steps``.
        steps: k × ``states.STEP``.
        fill_starts: n + 1 places in ``fills``.
        fills: (ts, volume) of every fill.
    """

    step_starts: Ints
    steps: Ints
    fill_starts: Ints
    fills: Ints


@dataclass(frozen=True, slots=True)
class Marks:
    """Prices of the tokens of n pairs.

    Attributes:
        starts: place in ``days`` of the first price of each pair's token.
        ends: place after the last one.
        days: days on which the token or its complement traded, ascending within a token.
        prices: price_e6 at the end of those days.
        newest: per pair the price_e6 of now; ``NO_MARK`` if there is none.
    """

    starts: Ints
    ends: Ints
    days: Ints
    prices: Ints
    newest: Ints


@dataclass(frozen=True, slots=True)
class DaySeries:
    """k × ``SERIES``; ``scopes`` names the scope of each row. Scopes ascend, and days within a scope."""

    scopes: Ints
    values: Ints


def day_series(
    scope_starts: Ints, members: Ints, histories: Histories, marks: Marks, edges: Sequence[int], last_day: int
) -> DaySeries:
    """The daily series of all scopes.

    Args:
        scope_starts: place in ``members`` of the first pair of each scope, and their number at the end.
        members: places of pairs.
        histories: of all pairs.
        marks: of all pairs.
        edges: days that get an entry wherever shares were open at their end: the eve of each window, and ``last_day``.
        last_day: the newest day. Resolutions after it count on it; open shares are valued at ``Marks.newest`` on it.
    """
    scopes, rows = [], []
    for scope in range(len(scope_starts) - 1):
        pairs = [
            _pair(histories, marks, pair, last_day)
            for pair in members[scope_starts[scope] : scope_starts[scope + 1]].tolist()
        ]
        entries = list(_entries(pairs, edges, last_day))
        scopes += [scope] * len(entries)
        rows += entries
    return DaySeries(np.array(scopes, np.int64), np.array(rows, np.int64).reshape(len(rows), len(SERIES)))


@dataclass(frozen=True, slots=True)
class _Pair:
    """One pair of a scope. ``step_days``, ``fill_days`` and ``mark_days`` name the days of what stands beside them."""

    steps: list[Step]
    step_days: list[int]
    fill_days: list[int]
    volumes: list[int]
    mark_days: list[int]
    prices: list[int]
    newest: int

    def at_end_of(self, day: int) -> Step:
        """Its state when the day is over."""
        taken = bisect_right(self.step_days, day)
        return self.steps[taken - 1] if taken else NOTHING

    def mark(self, day: int, last_day: int) -> int:
        """What a share was worth when the day was over; ``NO_MARK`` if nobody knows."""
        if day == last_day:
            return self.newest
        known = bisect_right(self.mark_days, day)
        return self.prices[known - 1] if known else NO_MARK


def _pair(histories: Histories, marks: Marks, pair: int, last_day: int) -> _Pair:
    first, last = histories.step_starts[pair : pair + 2]
    steps = [Step(*values) for values in histories.steps[first:last].tolist()]
    begin, end = histories.fill_starts[pair : pair + 2]
    fills = histories.fills[begin:end].tolist()
    known = slice(marks.starts[pair], marks.ends[pair])
    return _Pair(
        steps,
        [min(step.ts // DAY_SECONDS, last_day) for step in steps],
        [min(ts // DAY_SECONDS, last_day) for ts, _ in fills],
        [volume for _, volume in fills],
        marks.days[known].tolist(),
        marks.prices[known].tolist(),
        int(marks.newest[pair]),
    )


def _entries(pairs: list[_Pair], edges: Sequence[int], last_day: int) -> Iterator[list[int]]:
    days = {day for pair in pairs for day in (*pair.step_days, *pair.fill_days)}
    days |= {edge for edge in edges if any(pair.at_end_of(edge).held for pair in pairs)}
    before = [NOTHING] * len(pairs)
    peaks = _peaks(pairs, last_day)
    volumes, fills = dict.fromkeys(days, 0), dict.fromkeys(days, 0)
    for pair in pairs:
        for day, volume in zip(pair.fill_days, pair.volumes, strict=True):
            volumes[day] += volume
            fills[day] += 1
    for day in sorted(days):
        now = [pair.at_end_of(day) for pair in pairs]
        booked = [new.realized - old.realized for new, old in zip(now, before, strict=True)]
        values = [
            None if (price := pair.mark(day, last_day)) == NO_MARK else state.held * price // MICRO - state.cost
            for pair, state in zip(pairs, now, strict=True)
            if state.held
        ]
        at_risk_before = sum(state.cost for state in before)
        yield [
            day,
            sum(booked),
            sum(state.realized for state in now),
            sum(value for value in values if value is not None),
            values.count(None),
            sum(state.cost for state in now),
            at_risk_before,
            max(at_risk_before, peaks.get(day, 0)),
            min(0, *booked),
            volumes[day],
            fills[day],
        ]
        before = now


def _peaks(pairs: list[_Pair], last_day: int) -> dict[int, int]:
    """Day → the largest basis of the scope at the end of any second in which it changed."""
    changes: dict[int, int] = {}
    for pair in pairs:
        cost = 0
        for step in pair.steps:
            changes[step.ts] = changes.get(step.ts, 0) + step.cost - cost
            cost = step.cost
    peaks: dict[int, int] = {}
    at_risk = 0
    for ts in sorted(changes):
        at_risk += changes[ts]
        day = min(ts // DAY_SECONDS, last_day)
        peaks[day] = max(peaks.get(day, 0), at_risk)
    return peaks
