"""The leaderboard: wallets of one category and window, ranked exactly, ties broken by address."""

from __future__ import annotations

import math
from bisect import bisect_left
from decimal import Decimal
from typing import Any

import numpy as np

from polyhouse.domain.ids import format_address
from polyhouse.metrics.catalogue import BY_NAME, METRIC_WINDOWS
from polyhouse.metrics.exact import nine
from polyhouse.metrics.ratios import RANK_MIN_TURNOVER, RANK_MIN_UNITS, grade
from polyhouse.ports import Warehouse
from polyhouse.reads.board_columns import Array
from polyhouse.reads.board_cursor import Cursor, decode_cursor, digest, encode_cursor
from polyhouse.reads.board_filters import passing
from polyhouse.reads.board_people import HISTORY_SORTS, People, Then, flag_names, read_people, read_then
from polyhouse.reads.board_query import MAX_LIMIT, PRESETS, Checked, LeaderboardQuery, check
from polyhouse.reads.board_rows import Board, Slice
from polyhouse.reads.board_sorts import SORTS, Sort
from polyhouse.reads.boards import ENOUGH, boards_of
from polyhouse.reads.builds import newest_build
from polyhouse.reads.exact import moment, money
from polyhouse.reads.totals import OVERALL, totals_document

__all__ = ["MAX_LIMIT", "PRESETS", "SORTS", "LeaderboardQuery", "leaderboard", "renew_boards"]

SHOWN = tuple(
    name
    for name in (
        "sharpe", "sortino", "tail_ratio", "return_per_dollar_hour", "track_record_days", "bets_per_week",
        "active_days", "hours_held_median", "stake_median", "max_drawdown", "max_drawdown_percent", "one_hit_share",
        "roi_without_best_3", "omega_slope_30d", "omega_low", "roi_low", "win_rate_low", "avg_win", "avg_loss",
    )
    if name in BY_NAME
)  # fmt: skip
"""Metrics in every row of a board whose window has metrics."""
_HISTORY_BYTES = 400_000
"""Of the places of a week ago, about."""
_FIRST_LOOK = 4_096
"""Rows of an order that are looked at first for the rows of a page; twice as many each time after."""
_COLUMNS = (
    "realized", "unrealized_marked", "unmarked", "fees", "income", "untracked_cash", "redeemed_cash", "volume",
    "trades", "markets", "wins", "losses", "flats", "open_units", "gains", "losses_abs", "bought_cost", "first_trade",
    "last_trade", "unrealized", "unknown", "whale_tenths", "insider_tenths", "whole_volume", "whole_trades",
)  # fmt: skip


def leaderboard(warehouse: Warehouse, query: LeaderboardQuery) -> dict[str, Any]:
    """The leaderboard document of the contract.

    ``total`` is how many wallets pass the filters, ``filters`` those that are on, ``next_cursor`` the word for the next
    page (None on the last one). Each row has the totals, ``value`` (what it is ranked by), ``grade``, ``specialist``,
    ``flags``, the share of the category in the wallet's volume, ``metrics`` (None in windows below 30 days), and
    ``week_ago`` (rank and value then, and how far both have moved; by omega and PnL, of the first places).
    ``changed_since_first_page`` says that a build came between: the next page goes on behind the same value.

    Raises:
        BadInputError: an unknown category, window or sort word, a number out of range, a cursor of another question.
    """
    asked = check(query)
    question = digest(asked.query.arguments())
    after = None if query.cursor is None else decode_cursor(query.cursor, question)
    board = _board(warehouse, asked)
    people = _people(warehouse, board)
    then = _then(warehouse, board, asked.sort.name)
    order, is_in = asked.sort.order(board, reverse=query.reverse), _passing(board, asked, people)
    start = 0 if after is None else _place_after(board, asked.sort, order, after, reverse=query.reverse)
    first, total = int(np.count_nonzero(is_in[order[:start]])), int(np.count_nonzero(is_in))
    page = _next_places(order, is_in, start, query.limit)
    build = board.build if after is None else after.build
    more = first + len(page) < total
    return {
        "window": query.window,
        "category": query.category,
        "sort": asked.query.sort,
        "reverse": query.reverse,
        "min_trades": asked.query.min_trades,
        "min_units": asked.query.min_units,
        "min_gains_losses": money(int(asked.values["min_gains_losses"])),
        "filters": asked.filters(),
        "as_of": moment(board.as_of),
        "changed_since_first_page": build != board.build,
        "total": total,
        "count": len(page),
        "next_cursor": encode_cursor(_cursor(board, asked.sort, int(page[-1]), build), question) if more else None,
        "rows": [
            _row(row, asked, people, then, rank)
            for rank, row in enumerate(_cells(board, asked, people, page), start=first + 1)
        ],
    }


def renew_boards(warehouse: Warehouse) -> None:
    """Read what is kept of boards as of the newest build, so that who asks after a build does not wait for it.

    Only boards that somebody asked for since the last time; the one that was used last comes first.

    Raises:
        WarehouseUnavailableError: the warehouse does not answer.
    """
    boards = boards_of(warehouse)
    newest, _ = newest_build(warehouse)
    asked = boards.take_asked()
    for (part, build), names in boards.shelf.boards():
        if build == newest or part not in asked:
            continue
        metrics = [name for name in names if name in SORTS and SORTS[name].kind == "metric"]
        board = boards.get(warehouse, part, metrics, scores=True, whole=True)
        _people(warehouse, board).flags_of(board)
        for kind, name, *rest in (name for name in names if isinstance(name, tuple)):
            if kind == "order":
                SORTS[name].order(board, reverse=rest[0])
    boards.take_asked()  # the reads above were nobody's questions


def _board(warehouse: Warehouse, asked: Checked) -> Board:
    query = asked.query
    enough = query.min_units >= RANK_MIN_UNITS and asked.values["min_gains_losses"] >= RANK_MIN_TURNOVER
    metrics = (*SHOWN, *asked.metrics) if query.window in METRIC_WINDOWS else ()
    boards = boards_of(warehouse)
    return boards.get(warehouse, Slice(query.category, query.window, enough), metrics, scores=True, whole=True)


def _people(warehouse: Warehouse, board: Board) -> People:
    return boards_of(warehouse).once("people", board.build, lambda: read_people(warehouse, board.build))


def _then(warehouse: Warehouse, board: Board, sort: str) -> Then | None:
    """The board a week ago, of the orders whose places are kept."""
    if sort not in HISTORY_SORTS:
        return None
    (found,) = board.once(("week ago", sort), lambda: (read_then(warehouse, board, sort),), _HISTORY_BYTES)
    return found


def _passing(board: Board, asked: Checked, people: People) -> Array:
    """Which rows pass all filters."""
    query = asked.query
    values = {
        name: value for name, value in asked.values.items() if not (board.part.enough and value == ENOUGH.get(name))
    }
    usual = {name: values.pop(name) for name in PRESETS.get(query.preset or "", {}) if name in values}
    found = passing(board, values)
    if usual:
        found &= board.once(("passes", *usual.items()), lambda: passing(board, usual))
    for flag, is_left_out in (("bot", query.exclude_bots), ("market_maker", query.exclude_market_makers)):
        if is_left_out:
            found &= ~people.with_flag(board, flag)
    if query.specialists_only:
        category = None if query.category == OVERALL else query.category
        found &= board.once(("specialists", category), lambda: people.specialists(board, category))
    return found


def _next_places(order: Array, is_in: Array, start: int, count: int) -> Array:
    """Places of the next rows that pass, from a place of the order on."""
    found: list[Array] = []
    step = max(_FIRST_LOOK, count)
    while count and start < len(order):
        looked_at = order[start : start + step]
        found.append(looked_at[is_in[looked_at]][:count])
        count -= len(found[-1])
        start, step = start + step, 2 * step
    return np.concatenate([order[:0], *found])


def _place_after(board: Board, sort: Sort, order: Array, after: Cursor, *, reverse: bool) -> int:
    """Where the page behind a row begins in the order, whether that row is still there or not."""
    upward = sort.lower_first != reverse

    def standing(place: int) -> tuple[bool, Any, bytes]:
        return _standing(sort.key(board, place), board.wallet(place), upward=upward)

    limit = _standing(after.key, after.wallet, upward=upward)
    start = bisect_left(order, limit, key=standing)
    return start + (start < len(order) and standing(int(order[start])) == limit)


def _standing(key: Any, wallet: bytes, *, upward: bool) -> tuple[bool, Any, bytes]:
    return key is None, 0 if key is None else key if upward else -key, wallet


def _cursor(board: Board, sort: Sort, place: int, build: int) -> Cursor:
    return Cursor(build, sort.key(board, place), board.wallet(place))


def _cells(board: Board, asked: Checked, people: People, places: Array) -> list[dict[str, Any]]:
    """The cells of some rows as Python's own numbers, their wallets and flags."""
    metrics = (*SHOWN, *asked.metrics) if asked.query.window in METRIC_WINDOWS else ()
    names = dict.fromkeys((*_COLUMNS, *metrics))
    columns = {name: board[name][places].tolist() for name in names}
    columns["flags"] = people.flags_of(board)[places].tolist()
    wallets = [board.wallet(place) for place in places.tolist()]
    return [
        {"wallet": wallet, **dict(zip(columns, cells, strict=True))}
        for wallet, cells in zip(wallets, zip(*columns.values(), strict=True), strict=True)
    ]


def _row(row: dict[str, Any], asked: Checked, people: People, then: Then | None, rank: int) -> dict[str, Any]:
    wallet = row["wallet"]
    units = row["wins"] + row["losses"] + row["flats"]
    with_metrics = asked.query.window in METRIC_WINDOWS
    totals = totals_document(row | {"unrealized": None if row["unknown"] else row["unrealized"]})
    document = {
        "rank": rank,
        "wallet": format_address(wallet),
        **totals,
        "units": units,
        "grade": grade(totals["omega_shrunk"]),
        "specialist": _speciality(people.specialities.get(wallet, ()), asked.query.category),
        "flags": flag_names(row["flags"]),
        "whale_score": _tenths(row["whale_tenths"]),
        "insider_score": _tenths(row["insider_tenths"]),
        "category_share": _share(row["volume"], row["whole_volume"]),
        "category_trade_share": _share(row["trades"], row["whole_trades"]),
        "metrics": {name: _number(row[name]) for name in SHOWN} if with_metrics else None,
    }
    sort = asked.sort
    value = _number(row[sort.name]) if sort.kind == "metric" else document[sort.field]
    document["week_ago"] = (
        None if then is None else then.document(wallet, rank=rank if asked.is_standard else None, value=value)
    )
    return {"rank": rank, "wallet": document["wallet"], "value": value} | document


def _speciality(categories: tuple[str, ...], category: str) -> str | None:
    """The category a wallet is a specialist of; on the board of a category that one or none."""
    if category != OVERALL:
        return category if category in categories else None
    return categories[0] if categories else None


def _tenths(value: float) -> Decimal | None:
    return None if math.isnan(value) else Decimal(int(value)).scaleb(-1)


def _number(value: float) -> Decimal | None:
    """A metric by its shortest digits."""
    return None if math.isnan(value) else Decimal(repr(value))


def _share(part: int, whole: int) -> Decimal | None:
    return nine(part, whole) if whole > 0 else None
