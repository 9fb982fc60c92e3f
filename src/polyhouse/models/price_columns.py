"""The price history of some tokens as columns: the last price of every second of a market, of every day of a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from polyhouse.ledger.columns import Bytes, Ints, binary_cells, differs
from polyhouse.ledger.compiled import pays
from polyhouse.ports import Warehouse
from polyhouse.warehouse.streaming import BULK

DAY_SECONDS = 86_400
MICRO = 1_000_000
_READ = "token, toUnixTimestamp(ts), bitShiftLeft(toInt64(block), 16) + tx_index, toInt64(pos), price_e6"
_KEY_BITS = 32
_LAST_DAY = 2**32 // DAY_SECONDS
"""Times have 32 bits."""
COMPILED_FROM = 100_000
"""Prices or trades from which on compiling pays."""


@dataclass(frozen=True, slots=True)
class PriceColumns:
    """What tokens traded at: one entry per transaction, in no order.

    Attributes:
        tokens: n × 32 bytes, each token once, ascending.
        token: per entry the place of its token among them.
        ts: Unix seconds. block: block << 16 | place in it. pos: place inside the transaction or second.
        price: micro-USDC a share.
    """

    tokens: Bytes
    token: Ints
    ts: Ints
    block: Ints
    pos: Ints
    price: Ints


@dataclass(frozen=True, slots=True)
class DayMarks:
    """What tokens were worth at the end of days; entries by token and day.

    Attributes:
        token: place of the token. day: days since 1970-01-01. price: micro-USDC a share.
    """

    token: Ints
    day: Ints
    price: Ints

    @staticmethod
    def joined(parts: Sequence[DayMarks]) -> DayMarks:
        """Marks of different tokens together."""
        token = np.concatenate([part.token for part in parts])
        order = np.argsort(token, kind="stable")
        day = np.concatenate([part.day for part in parts])[order]
        return DayMarks(token[order], day, np.concatenate([part.price for part in parts])[order])


def load_prices(warehouse: Warehouse, chosen: str) -> PriceColumns:
    """The fills of ``token_prices`` for which a condition holds: all of a token, or those since the start of a day."""
    return _load(warehouse, f"SELECT {_READ} FROM token_prices FINAL WHERE source = 'fill' AND {chosen}")


def load_closes(warehouse: Warehouse, chosen: str) -> PriceColumns:
    """The last price of every day, of the tokens for which a condition holds."""
    return _load(warehouse, f"SELECT {_READ} FROM token_days FINAL WHERE {chosen}")


def load_prices_since(warehouse: Warehouse, whole: str, recent: str, since: int) -> PriceColumns:
    """All prices of some tokens, and what others traded at since the beginning of a day and last before it.

    Args:
        warehouse: where the history is.
        whole: SELECT of tokens.
        recent: SELECT of other tokens.
        since: the day, counted from 1970-01-01; any large number if there are no other tokens.
    """
    day = min(since, _LAST_DAY)
    # Each by itself, so that of most of the others only times are read.
    fills = f"SELECT {_READ} FROM token_prices FINAL PREWHERE"
    last = f"SELECT * FROM token_days FINAL WHERE token IN ({recent}) AND day < toDate({day})"
    return _load(
        warehouse,
        f"{fills} token IN ({whole}) AND source = 'fill' UNION ALL {fills} ts >= toDateTime({day * DAY_SECONDS}, 'UTC')"
        f" AND token IN ({recent}) AND source = 'fill' UNION ALL"
        f" SELECT {_READ} FROM ({last} ORDER BY token, day DESC LIMIT 1 BY token)",
    )


def _load(warehouse: Warehouse, sql: str) -> PriceColumns:
    ids, firsts, numbers, rows = [np.zeros((0, 32), np.uint8)], [np.zeros(0, np.int64)], [], 0
    last = b""
    for batch in warehouse.query_columns(f"{sql} {BULK}"):
        cells = binary_cells(batch.column(0))
        is_first = np.append(cells[0].tobytes() != last, differs(cells, np.uint64))
        last = cells[-1].tobytes()
        ids.append(cells[is_first])
        firsts.append(np.flatnonzero(is_first) + rows)
        numbers.append([column.to_numpy().astype(np.int64) for column in batch.columns[1:]])
        rows += batch.num_rows
    first = np.concatenate(firsts)
    token = np.repeat(np.arange(len(first)), np.diff(np.append(first, rows)))
    columns = [np.concatenate(parts) for parts in zip(*numbers, strict=True)] or [np.zeros(0, np.int64)] * 4
    # Parts of the table come one after another, so a token may come several times.
    cells = np.ascontiguousarray(np.concatenate(ids))
    _, known, place = np.unique(cells.view("S32").ravel(), return_index=True, return_inverse=True)
    return PriceColumns(cells[known], place[token], *columns)


def second_prices(prices: PriceColumns, market: Ints, outcome: Ints) -> tuple[Ints, Ints]:
    """What markets traded at: (market << 32 | second), ascending, and the price of the first outcome.

    That of the second outcome is 1 − it. Inside a second the last transaction counts; of equal places the higher price
    of a token, then the first outcome.

    Args:
        prices: of the markets' tokens.
        market: number of the market of each token.
        outcome: which outcome of it the token is.
    """
    # What is nearly in order is sorted in a tenth of the time: one market after the other, each token in its own order.
    by_market = _by_rank(prices.token, market)
    token, ts, block, pos, price = (
        values[by_market] for values in (prices.token, prices.ts, prices.block, prices.pos, prices.price)
    )
    key = (market[token] << _KEY_BITS) | ts
    first = np.where(outcome[token] == 0, price, MICRO - price)
    last = last_of_each(key, block, pos, price, -outcome[token])
    return key[last], first[last]


def day_marks(prices: PriceColumns, place: Ints, complements: tuple[Ints, Ints]) -> DayMarks:
    """Marks at the ends of the days on which a token or its complement traded (accounting §3.4).

    The price of the day's last fill, or 1 − the price of the complement's last fill, whichever is later; own wins a
    tie.

    Args:
        prices: of tokens and their complements, at least the last ones of days.
        place: of each token, by which the marks name it.
        complements: places of tokens, and of a complement of each.
    """
    closes = last_of_each(
        (prices.token << _KEY_BITS) | prices.ts // DAY_SECONDS, prices.ts, prices.block, prices.pos, prices.price
    )
    token, price = place[prices.token[closes]], prices.price[closes]
    by_token = _by_rank(prices.token[closes], place)
    low, high = (np.searchsorted(token[by_token], complements[1], side=side) for side in ("left", "right"))
    told = by_token[_spans(low, high)]
    entry = closes[np.concatenate([by_token, told])]
    of_token = np.concatenate([token[by_token], np.repeat(complements[0], high - low)])
    is_own = np.arange(len(entry)) < len(closes)
    value = np.concatenate([price[by_token], MICRO - price[told]])
    day = prices.ts[entry] // DAY_SECONDS
    last = last_of_each(
        (of_token << _KEY_BITS) | day,
        prices.ts[entry],
        prices.block[entry],
        prices.pos[entry],
        is_own.astype(np.int64),
        value,
    )
    return DayMarks(of_token[last], day[last], value[last])


def complements_of(condition: Ints, outcome: Ints) -> tuple[Ints, Ints]:
    """Pairs of places: a token, and a token of the other outcome of its condition."""
    key, wanted = 2 * condition + outcome, 2 * condition + 1 - outcome
    by_key = np.argsort(key, kind="stable")
    low, high = (np.searchsorted(key[by_key], wanted, side=side) for side in ("left", "right"))
    return np.repeat(np.arange(len(key)), high - low), by_key[_spans(low, high)]


def _by_rank(group: Ints, rank: Ints) -> Ints:
    """Places of entries by the ranks of their groups; those of one rank stay in their order."""
    if np.any(group[1:] < group[:-1]):
        return np.argsort(rank[group], kind="stable")
    # Groups are sorted, of which there are a hundred times fewer than entries.
    order, bounds = np.argsort(rank, kind="stable"), np.searchsorted(group, np.arange(len(rank) + 1))
    return _spans(bounds[order], bounds[order + 1])


def _spans(low: Ints, high: Ints) -> Ints:
    """All places from each ``low`` to before its ``high``, behind each other."""
    counts = high - low
    return np.repeat(low - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())


def last_of_each(key: Ints, *ranks: Ints) -> Ints:
    """Of each key the place of the entry with the largest ranks, the first one counting most; by ascending key."""
    order = np.argsort(key, kind="stable")
    if pays("polyhouse.models.price_walk", len(key), COMPILED_FROM):
        from polyhouse.models.price_walk import last_of_runs

        return last_of_runs(order, key, ranks)
    in_order = key[order]
    is_last = np.append(in_order[1:] != in_order[:-1], True)[: len(order)]
    is_alone = is_last & np.append(True, is_last[:-1])[: len(order)]
    # Most keys stand alone, and sorting by all ranks is dear.
    rest = order[~is_alone]
    by_rank = rest[np.lexsort((*(rank[rest] for rank in reversed(ranks)), key[rest]))]
    order[~is_alone] = by_rank
    return cast("Ints", order[is_last])
