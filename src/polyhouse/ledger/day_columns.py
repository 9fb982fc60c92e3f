"""Daily series over columns: what ``day_series.day_series`` computes, for millions of pairs at once.

The same rules compiled to machine code: some 5 ns for each pair and day on which its shares were open.
``day_series`` stays the reference, and tests hold both equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np

from polyhouse.ledger.columns import Ints
from polyhouse.ledger.day_series import DAY_SECONDS, MICRO, NO_MARK, SERIES, DaySeries, Histories, Marks
from polyhouse.ledger.states import STEP

P = ParamSpec("P")
R = TypeVar("R")

_TS, _HELD, _COST, _REALIZED = range(len(STEP))
(_DAY, _BOOKED, _BOOKED_TOTAL, _UNREALIZED, _UNMARKED, _AT_RISK, _BEFORE, _PEAK, _WORST, _VOLUME, _FILLS) = range(
    len(SERIES)
)


def day_columns(
    scope_starts: Ints, members: Ints, histories: Histories, marks: Marks, edges: Sequence[int], last_day: int
) -> DaySeries:
    """The daily series of all scopes; arguments as of ``day_series.day_series``."""
    h, m = histories, marks
    sorted_edges = np.asarray(sorted(edges), dtype=np.int64)
    room = _room(scope_starts, members, h.step_starts, h.fill_starts, len(sorted_edges))
    days = np.empty(room, dtype=np.int64)
    day_starts = _find_days(
        scope_starts, members, h.step_starts, h.steps, h.fill_starts, h.fills, sorted_edges, last_day, days
    )
    values = np.zeros((day_starts[-1], len(SERIES)), dtype=np.int64)
    values[:, _DAY] = days[: len(values)]
    del days
    _fill_series(
        scope_starts, members, h.step_starts, h.steps, h.fill_starts, h.fills,
        m.starts, m.ends, m.days, m.prices, m.newest, last_day, day_starts, values,
    )  # fmt: skip
    scopes = np.repeat(np.arange(len(scope_starts) - 1, dtype=np.int64), np.diff(day_starts))
    return DaySeries(scopes, values)


def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


def _room(scope_starts: Ints, members: Ints, step_starts: Ints, fill_starts: Ints, edges: int) -> int:
    """At most so many entries."""
    events = np.diff(step_starts) + np.diff(fill_starts)
    return int(events[members].sum()) + (len(scope_starts) - 1) * edges


@_compiled
def _day_of(ts: Any, last_day: Any) -> Any:
    return min(ts // DAY_SECONDS, last_day)


@_compiled
def _open_edges(steps: Any, first: Any, last: Any, edges: Any, last_day: Any, is_open: Any) -> None:
    """Note the edges at whose end shares of one pair were open."""
    place = first
    for e in range(len(edges)):
        while place < last and _day_of(steps[place, _TS], last_day) <= edges[e]:
            place += 1
        if place > first and steps[place - 1, _HELD]:
            is_open[e] = True


@_compiled
def _find_days(
    scope_starts: Any, members: Any, step_starts: Any, steps: Any, fill_starts: Any, fills: Any, edges: Any,
    last_day: Any, days: Any,
) -> Any:  # fmt: skip
    """Write the days of all scopes behind each other, each once; return where each scope begins."""
    starts = np.zeros(len(scope_starts), dtype=np.int64)
    written = 0
    for scope in range(len(scope_starts) - 1):
        begin = free = written
        is_open = np.zeros(len(edges), dtype=np.bool_)
        for member in range(scope_starts[scope], scope_starts[scope + 1]):
            pair = members[member]
            for place in range(step_starts[pair], step_starts[pair + 1]):
                free = _append(days, begin, free, _day_of(steps[place, _TS], last_day))
            for place in range(fill_starts[pair], fill_starts[pair + 1]):
                free = _append(days, begin, free, _day_of(fills[place, 0], last_day))
            _open_edges(steps, step_starts[pair], step_starts[pair + 1], edges, last_day, is_open)
        for e in range(len(edges)):
            if is_open[e]:
                free = _append(days, begin, free, edges[e])
        days[begin:free].sort()
        for place in range(begin, free):
            if place == begin or days[place] != days[written - 1]:
                days[written] = days[place]
                written += 1
        starts[scope + 1] = written
    return starts


@_compiled
def _append(days: Any, begin: Any, free: Any, day: Any) -> Any:
    if free > begin and days[free - 1] == day:
        return free
    days[free] = day
    return free + 1


@_compiled
def _worth(shares: Any, price: Any) -> Any:
    """``floor(shares · price / 10⁶)`` with a product that may leave 64 bits."""
    whole, part = price // MICRO, price % MICRO
    return shares * whole + shares // MICRO * part + shares % MICRO * part // MICRO


@_compiled
def _book_steps(steps: Any, first: Any, last: Any, last_day: Any, entries: Any) -> None:
    """Add what one pair realised to the entries, and its worst day."""
    entry, before, booked = 0, 0, 0
    for place in range(first, last):
        day = _day_of(steps[place, _TS], last_day)
        if day > entries[entry, _DAY]:
            entries[entry, _WORST] = min(entries[entry, _WORST], booked)
            booked = 0
            while entries[entry, _DAY] < day:
                entry += 1
        booked += steps[place, _REALIZED] - before
        entries[entry, _BOOKED] += steps[place, _REALIZED] - before
        before = steps[place, _REALIZED]
    if last > first:
        entries[entry, _WORST] = min(entries[entry, _WORST], booked)


@_compiled
def _value_holdings(
    steps: Any, first: Any, last: Any, mark: Any, mark_end: Any, mark_days: Any, mark_prices: Any, newest: Any,
    last_day: Any, entries: Any,
) -> None:  # fmt: skip
    """Add basis and value of one pair's open shares to every entry at whose end it has any."""
    place, price = first, NO_MARK
    for entry in range(len(entries)):
        day = entries[entry, _DAY]
        while place < last and _day_of(steps[place, _TS], last_day) <= day:
            place += 1
        if place == first:
            continue
        held, cost = steps[place - 1, _HELD], steps[place - 1, _COST]
        if not held:
            if place == last:
                break
            continue
        while mark < mark_end and mark_days[mark] <= day:
            price = mark_prices[mark]
            mark += 1
        known = newest if day == last_day else price
        entries[entry, _AT_RISK] += cost
        if known == NO_MARK:
            entries[entry, _UNMARKED] += 1
        else:
            entries[entry, _UNREALIZED] += _worth(held, known) - cost


@_compiled
def _find_peaks(moments: Any, changes: Any, last_day: Any, entries: Any) -> None:
    """The most at risk on each day, from all changes of basis of a scope."""
    order = np.argsort(moments, kind="mergesort")
    at_risk, place = 0, 0
    for entry in range(len(entries)):
        entries[entry, _BEFORE] = entries[entry, _PEAK] = at_risk
        while place < len(order) and _day_of(moments[order[place]], last_day) <= entries[entry, _DAY]:
            moment = moments[order[place]]
            while place < len(order) and moments[order[place]] == moment:
                at_risk += changes[order[place]]
                place += 1
            entries[entry, _PEAK] = max(entries[entry, _PEAK], at_risk)


@_compiled
def _fill_series(
    scope_starts: Any, members: Any, step_starts: Any, steps: Any, fill_starts: Any, fills: Any,
    mark_starts: Any, mark_ends: Any, mark_days: Any, mark_prices: Any, newest: Any, last_day: Any, day_starts: Any,
    values: Any,
) -> None:  # fmt: skip
    for scope in range(len(scope_starts) - 1):
        entries = values[day_starts[scope] : day_starts[scope + 1]]
        count = 0
        for member in range(scope_starts[scope], scope_starts[scope + 1]):
            count += step_starts[members[member] + 1] - step_starts[members[member]]
        moments, changes, free = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64), 0
        for member in range(scope_starts[scope], scope_starts[scope + 1]):
            pair = members[member]
            first, last = step_starts[pair], step_starts[pair + 1]
            _book_steps(steps, first, last, last_day, entries)
            _value_holdings(
                steps, first, last, mark_starts[pair], mark_ends[pair], mark_days, mark_prices, newest[pair], last_day,
                entries,
            )  # fmt: skip
            cost = 0
            for place in range(first, last):
                moments[free], changes[free] = steps[place, _TS], steps[place, _COST] - cost
                cost = steps[place, _COST]
                free += 1
            entry = 0
            for place in range(fill_starts[pair], fill_starts[pair + 1]):
                day = _day_of(fills[place, 0], last_day)
                # Rows of the chain stand in its order, which their times need not follow.
                entry = np.searchsorted(entries[:, _DAY], day)
                entries[entry, _VOLUME] += fills[place, 1]
                entries[entry, _FILLS] += 1
        _find_peaks(moments, changes, last_day, entries)
        total = 0
        for entry in range(len(entries)):
            total += entries[entry, _BOOKED]
            entries[entry, _BOOKED_TOTAL] = total
