"""Daily series over columns: what ``day_series.day_series`` computes, for millions of pairs at once.

The same rules compiled to machine code. What open shares are worth is noted where it changes, at steps and at new
marks, and added up once per scope, so that days on which nothing happened to a pair cost nothing.
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
_OF_RISK, _OF_VALUE, _OF_UNMARKED = range(3)
"""What changes from entry to entry."""


def day_columns(
    scope_starts: Ints, members: Ints, histories: Histories, marks: Marks, edges: Sequence[int], last_day: int
) -> DaySeries:
    """The daily series of all scopes; arguments as of ``day_series.day_series``."""
    h, m = histories, marks
    sorted_edges = np.asarray(sorted(edges), dtype=np.int64)
    base, span = _span(h, sorted_edges, last_day)
    days = np.empty(_room(scope_starts, members, h.step_starts, h.fill_starts, len(sorted_edges)), dtype=np.int64)
    day_starts = _find_days(
        scope_starts, members, h.step_starts, h.steps, h.fill_starts, h.fills, sorted_edges, last_day, base, span, days
    )
    # Column by column, because what is added up is added up in one column at a time.
    values = np.zeros((len(SERIES), day_starts[-1]), dtype=np.int64)
    values[_DAY] = days[: day_starts[-1]]
    del days
    _fill_series(
        scope_starts, members, h.step_starts, h.steps, h.fill_starts, h.fills,
        m.starts, m.ends, m.days, m.prices, m.newest, last_day, base, span, day_starts, values,
    )  # fmt: skip
    scopes = np.repeat(np.arange(len(scope_starts) - 1, dtype=np.int64), np.diff(day_starts))
    return DaySeries(scopes, values.T)


def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


def _span(histories: Histories, edges: Ints, last_day: int) -> tuple[int, int]:
    """The first day on which anything can have an entry, and how many days there are from it to the last one."""
    moments = [times for times in (histories.steps[:, _TS], histories.fills[:, 0]) if len(times)]
    days = [last_day, *edges.tolist(), *(int(times.min()) // DAY_SECONDS for times in moments)]
    return min(days), max([last_day, *edges.tolist()]) - min(days) + 1


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
    last_day: Any, base: Any, span: Any, days: Any,
) -> Any:  # fmt: skip
    """Write the days of all scopes behind each other, each once; return where each scope begins."""
    starts = np.zeros(len(scope_starts), dtype=np.int64)
    has_entry = np.zeros(span, dtype=np.bool_)
    written = 0
    for scope in range(len(scope_starts) - 1):
        low, high = span, -1
        is_open = np.zeros(len(edges), dtype=np.bool_)
        for member in range(scope_starts[scope], scope_starts[scope + 1]):
            pair = members[member]
            for place in range(step_starts[pair], step_starts[pair + 1]):
                day = _day_of(steps[place, _TS], last_day) - base
                has_entry[day] = True
                low, high = min(low, day), max(high, day)
            for place in range(fill_starts[pair], fill_starts[pair + 1]):
                day = _day_of(fills[place, 0], last_day) - base
                has_entry[day] = True
                low, high = min(low, day), max(high, day)
            _open_edges(steps, step_starts[pair], step_starts[pair + 1], edges, last_day, is_open)
        for e in range(len(edges)):
            if is_open[e]:
                day = edges[e] - base
                has_entry[day] = True
                low, high = min(low, day), max(high, day)
        for day in range(low, high + 1):
            if has_entry[day]:
                has_entry[day] = False
                days[written] = base + day
                written += 1
        starts[scope + 1] = written
    return starts


@_compiled
def _number_entries(days: Any, base: Any, entry_of: Any) -> None:
    """Fill ``entry_of``: for each day from the first to the last one of a scope its entry, or the next one."""
    day = days[0] - base
    for entry in range(len(days)):
        while day <= days[entry] - base:
            entry_of[day] = entry
            day += 1


@_compiled
def _worth(shares: Any, price: Any) -> Any:
    """``floor(shares · price / 10⁶)`` with a product that may leave 64 bits."""
    whole, part = price // MICRO, price % MICRO
    return shares * whole + shares // MICRO * part + shares % MICRO * part // MICRO


@_compiled
def _book_steps(steps: Any, first: Any, last: Any, last_day: Any, base: Any, entry_of: Any, entries: Any) -> None:
    """Add what one pair realised to the entries, and its worst day."""
    entry, before, booked = 0, 0, 0
    for place in range(first, last):
        # Rows of the chain stand in its order, which their times need not follow: what is late counts where it stands.
        then = max(entry, entry_of[_day_of(steps[place, _TS], last_day) - base])
        if then > entry:
            entries[_WORST, entry] = min(entries[_WORST, entry], booked)
            entry, booked = then, 0
        booked += steps[place, _REALIZED] - before
        entries[_BOOKED, entry] += steps[place, _REALIZED] - before
        before = steps[place, _REALIZED]
    if last > first:
        entries[_WORST, entry] = min(entries[_WORST, entry], booked)


@_compiled
def _first_mark_after(mark_days: Any, low: Any, high: Any, day: Any) -> Any:
    """Place of the first mark later than a day."""
    while low < high:
        middle = (low + high) // 2
        if mark_days[middle] <= day:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled
def _value_span(
    held: Any, cost: Any, begin: Any, end: Any, mark: Any, mark_end: Any, mark_days: Any, mark_prices: Any, newest: Any,
    last_day: Any, base: Any, entry_of: Any, changes: Any, entries: Any,
) -> None:  # fmt: skip
    """Note the value of shares that were open from one entry to before another: where it changes, and by how much."""
    first_mark, entry = mark, begin
    mark = _first_mark_after(mark_days, mark, mark_end, entries[_DAY, begin])
    while entry < end:
        day = entries[_DAY, entry]
        while mark < mark_end and mark_days[mark] <= day:
            mark += 1
        until = end
        if mark < mark_end and mark_days[mark] <= entries[_DAY, end - 1]:
            until = entry_of[mark_days[mark] - base]
        known = mark_prices[mark - 1] if mark > first_mark else NO_MARK
        if day == last_day:
            known, until = newest, entry + 1
        elif day < last_day <= entries[_DAY, end - 1]:
            until = min(until, entry_of[last_day - base])
        if known == NO_MARK:
            changes[_OF_UNMARKED, entry] += 1
            changes[_OF_UNMARKED, until] -= 1
        else:
            gain = _worth(held, known) - cost
            changes[_OF_VALUE, entry] += gain
            changes[_OF_VALUE, until] -= gain
        entry = until


@_compiled
def _value_holdings(
    steps: Any, first: Any, last: Any, mark: Any, mark_end: Any, mark_days: Any, mark_prices: Any, newest: Any,
    last_day: Any, base: Any, entry_of: Any, changes: Any, entries: Any,
) -> None:  # fmt: skip
    """Note where basis and value of one pair's open shares change."""
    place, end = first, 0
    while place < last:
        begin = max(end, entry_of[_day_of(steps[place, _TS], last_day) - base])
        # The state at the end of an entry is that after its last step.
        place += 1
        end = entries.shape[1]
        while place < last:
            end = entry_of[_day_of(steps[place, _TS], last_day) - base]
            if end > begin:
                break
            place += 1
        if place == last:
            end = entries.shape[1]
        held, cost = steps[place - 1, _HELD], steps[place - 1, _COST]
        if held:
            changes[_OF_RISK, begin] += cost
            changes[_OF_RISK, end] -= cost
            _value_span(
                held, cost, begin, end, mark, mark_end, mark_days, mark_prices, newest, last_day, base, entry_of,
                changes, entries,
            )  # fmt: skip


@_compiled
def _find_peaks(moments: Any, amounts: Any, last_day: Any, base: Any, entry_of: Any, entries: Any) -> None:
    """The most at risk on each day, from all changes of basis of a scope."""
    count = entries.shape[1]
    starts = np.zeros(count + 1, dtype=np.int64)
    for place in range(len(moments)):
        starts[entry_of[_day_of(moments[place], last_day) - base] + 1] += 1
    for entry in range(count):
        starts[entry + 1] += starts[entry]
    free, order = starts[:-1].copy(), np.empty(len(moments), dtype=np.int64)
    for place in range(len(moments)):
        entry = entry_of[_day_of(moments[place], last_day) - base]
        order[free[entry]] = place
        free[entry] += 1
    at_risk = 0
    for entry in range(count):
        peak = entries[_BEFORE, entry] = at_risk
        of_day = order[starts[entry] : starts[entry + 1]]
        if len(of_day) > 1:
            of_day = of_day[np.argsort(moments[of_day], kind="mergesort")]
        place = 0
        while place < len(of_day):
            moment = moments[of_day[place]]
            while place < len(of_day) and moments[of_day[place]] == moment:
                at_risk += amounts[of_day[place]]
                place += 1
            peak = max(peak, at_risk)
        entries[_PEAK, entry] = peak


@_compiled
def _add_up(changes: Any, entries: Any) -> None:
    """States of entries from what changed at each."""
    booked, risk, value, unmarked = 0, 0, 0, 0
    for entry in range(entries.shape[1]):
        booked += entries[_BOOKED, entry]
        risk += changes[_OF_RISK, entry]
        value += changes[_OF_VALUE, entry]
        unmarked += changes[_OF_UNMARKED, entry]
        entries[_BOOKED_TOTAL, entry] = booked
        entries[_AT_RISK, entry] = risk
        entries[_UNREALIZED, entry] = value
        entries[_UNMARKED, entry] = unmarked


@_compiled
def _fill_series(
    scope_starts: Any, members: Any, step_starts: Any, steps: Any, fill_starts: Any, fills: Any,
    mark_starts: Any, mark_ends: Any, mark_days: Any, mark_prices: Any, newest: Any, last_day: Any, base: Any,
    span: Any, day_starts: Any, values: Any,
) -> None:  # fmt: skip
    entry_of = np.empty(span, dtype=np.int64)
    for scope in range(len(scope_starts) - 1):
        if day_starts[scope] == day_starts[scope + 1]:
            continue
        entries = values[:, day_starts[scope] : day_starts[scope + 1]]
        _number_entries(entries[_DAY], base, entry_of)
        changes = np.zeros((3, entries.shape[1] + 1), dtype=np.int64)
        count = 0
        for member in range(scope_starts[scope], scope_starts[scope + 1]):
            count += step_starts[members[member] + 1] - step_starts[members[member]]
        moments, amounts, free = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64), 0
        for member in range(scope_starts[scope], scope_starts[scope + 1]):
            pair = members[member]
            first, last = step_starts[pair], step_starts[pair + 1]
            _book_steps(steps, first, last, last_day, base, entry_of, entries)
            _value_holdings(
                steps, first, last, mark_starts[pair], mark_ends[pair], mark_days, mark_prices, newest[pair], last_day,
                base, entry_of, changes, entries,
            )  # fmt: skip
            cost = 0
            for place in range(first, last):
                moments[free], amounts[free] = steps[place, _TS], steps[place, _COST] - cost
                cost = steps[place, _COST]
                free += 1
            for place in range(fill_starts[pair], fill_starts[pair + 1]):
                entry = entry_of[_day_of(fills[place, 0], last_day) - base]
                entries[_VOLUME, entry] += fills[place, 1]
                entries[_FILLS, entry] += 1
        _find_peaks(moments, amounts, last_day, base, entry_of, entries)
        _add_up(changes, entries)
