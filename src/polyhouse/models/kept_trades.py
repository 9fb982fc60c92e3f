"""Trades of a few wallets: what an older build found of the prices around them is kept where it is still true.

A price around a trade depends on the prices of its market until the latest moment that is asked for, on what the market
paid and when it closed, and on what was known at all. So it is still true if none of that changed since the build that
found it: the price history names the build of each of its rows, ``moved_conditions`` that of each change of the tokens
of a market. What a build costs then goes with what is new, not with all prices of the markets that its wallets know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import Bytes, Ints, binary_cells
from polyhouse.models.arrow_columns import binary
from polyhouse.models.build import Build
from polyhouse.models.price_columns import DAY_SECONDS, load_prices_since, second_prices
from polyhouse.models.priced_trades import BLOCK_ROWS, Prices, looked_up, numbers_of, write_trades
from polyhouse.models.token_facts import places_of
from polyhouse.models.trade_columns import Facts, pair_blocks, trades_of

Flags = NDArray[np.bool_]

RECENT_DAYS = 7
"""Of markets in which only trades of so many last days need prices, older ones are not read."""
PRICES = (
    "before_e6", "day_before_e6", "day_open_e6", "after_30s_e6", "after_2m_e6", "after_5m_e6", "after_1h_e6",
    "after_6h_e6", "after_1d_e6", "day_end_e6", "close_e6",
)  # fmt: skip
_DEPENDS_ON = ("outcome", "resolved_at", "payout_e6", "closes_at")
_LATEST = DAY_SECONDS
"""No moment but the close is later than so many seconds after a trade."""
_NEVER = 2**62


@dataclass(frozen=True, slots=True)
class _Found:
    """Priced trades of older builds.

    Attributes:
        keys: n × 68 bytes: wallet, token, time and transaction.
        depends_on: name → what the prices were found with; 0 where there is none.
        version: of the builds. as_of: what was known then, Unix seconds; −1 = nobody knows.
        prices: column → values, and where they are known.
    """

    keys: Bytes
    depends_on: dict[str, Ints]
    version: Ints
    as_of: Ints
    prices: dict[str, tuple[Ints, Flags]]


@dataclass(frozen=True, slots=True)
class Changes:
    """Since when prices of markets are others than before: by market and build.

    Attributes:
        versions: of builds that changed prices, ascending.
        keys: market · (number of versions + 1) + place of the version, ascending.
        since: the earliest moment that this build or a later one changed in the market, Unix seconds.
    """

    versions: Ints
    keys: Ints
    since: Ints

    def after(self, market: Ints, version: Ints) -> Ints:
        """The earliest moment of each market that changed after a build; ``_NEVER`` = none."""
        size = len(self.versions) + 1
        place = np.searchsorted(self.keys, market * size + np.searchsorted(self.versions, version, side="right"))
        is_there = np.append(self.keys // size, -1)[place] == market
        return np.where(is_there, np.append(self.since, _NEVER)[place], _NEVER)


def store_few_trades(run: Build, wallets: str, facts: Facts) -> None:
    """Write the priced trades of a slice of a few wallets.

    Args:
        run: the build; what it writes stands apart from the rows of the builds before.
        wallets: SQL condition on ``wallet``, true for the slice.
        facts: of all tokens of these wallets' markets.
    """
    found = _found(run, wallets)
    changes = _changes(run, found, facts)
    for fills in pair_blocks(run.query_columns(run.sql("priced_trades", wallets)), BLOCK_ROWS):
        trades = trades_of(fills, facts)
        if not len(trades["at"]):
            continue
        numbers = numbers_of(trades)
        place = places_of(_keys_of(trades["wallet"], trades["token"], numbers["at"], trades["tx_key"]), found.keys)
        around = {name: (np.append(values, 0)[place], np.append(known, False)[place])
                  for name, (values, known) in found.prices.items()}  # fmt: skip
        due = np.flatnonzero(~_is_still_true(numbers, found, place, changes, run.as_of))
        if len(due):
            wanted = {name: values[due] for name, values in numbers.items()}
            for name, (values, known) in looked_up(_prices_for(run, wanted, facts), wanted, run.as_of).items():
                around[name][0][due], around[name][1][due] = values, known
        write_trades(run, trades, around)


def _is_still_true(numbers: dict[str, Ints], found: _Found, place: Ints, changes: Changes, as_of: int) -> Flags:
    """Of which trades the prices that were found are those that would be found now."""
    at, closes_at = numbers["at"], numbers["closes_at"]
    before = np.append(found.as_of, -1)[place]
    known = np.minimum(before, as_of)
    is_true: Flags = (place >= 0) & (at + _LATEST <= known)
    for name in _DEPENDS_ON:
        is_true &= numbers[name] == np.append(found.depends_on[name], 0)[place]
    # The close is known to both builds or to neither.
    is_true &= (closes_at <= known) | (closes_at > np.maximum(before, as_of))
    last = np.where(closes_at <= known, np.maximum(at + _LATEST, closes_at), at + _LATEST)
    return is_true & (changes.after(numbers["market"], np.append(found.version, 0)[place]) > last)


def _found(run: Build, wallets: str) -> _Found:
    """What builds since the newest one of all wallets wrote: what that one changed is told by no later build."""
    import pyarrow as pa

    rows = run.warehouse.query("SELECT build, toUnixTimestamp(as_of), scope != 'touched' FROM builds").rows
    since = max((int(build) for build, _, is_of_all in rows if is_of_all), default=_NEVER)
    columns = ("wallet", "token", "toUnixTimestamp(p.at)", "tx_key", *_DEPENDS_ON, "version", *PRICES)
    # From the published table: what this build writes stands apart.
    sql = f"SELECT {', '.join(columns)} FROM priced_trades AS p FINAL WHERE {wallets} AND version >= {since}"
    batches = list(run.query_columns(sql, settings="max_threads = 1"))
    none = np.zeros(0, np.int64)
    if not batches:
        return _Found(np.zeros((0, 68), np.uint8), dict.fromkeys(_DEPENDS_ON, none), none, none,
                      dict.fromkeys(PRICES, (none, none > 0)))  # fmt: skip
    table = pa.Table.from_batches(batches).combine_chunks()
    ids = [table.column(place).combine_chunks() for place in range(2)]
    at, tx_key = (table.column(place).to_numpy() for place in (2, 3))
    numbers = [_filled(table.column(place)) for place in range(4, len(columns))]
    depends_on, version = dict(zip(_DEPENDS_ON, numbers, strict=False)), numbers[len(_DEPENDS_ON)]
    ends = {int(build): int(as_of) for build, as_of, _ in rows}
    builds, which = np.unique(version, return_inverse=True)
    as_of = np.array([ends.get(build, -1) for build in builds.tolist()], dtype=np.int64)[which]
    prices = {
        name: (values, ~np.asarray(table.column(name).is_null()))
        for name, values in zip(PRICES, numbers[len(_DEPENDS_ON) + 1 :], strict=True)
    }
    return _Found(_keys_of(ids[0], ids[1], at, tx_key), depends_on, version, as_of, prices)


def _changes(run: Build, found: _Found, facts: Facts) -> Changes:
    """What changed since the oldest of the builds that found something."""
    none = np.zeros(0, np.int64)
    if not len(found.version):
        return changes_of(none, none, none)
    oldest = int(found.version.min())
    moved = f"SELECT condition, max(version) AS moved FROM moved_conditions WHERE version > {oldest} GROUP BY condition"
    batches = list(
        run.query_columns(
            "SELECT token, version, toUnixTimestamp(min(ts)) FROM token_prices"
            f" WHERE source = 'fill' AND version > {oldest} GROUP BY token, version"
            f" UNION ALL SELECT t.token, m.moved, toUInt32(0) FROM {run.rows_of('token_map')} AS t"
            f" INNER JOIN ({moved}) AS m ON m.condition = t.condition"
        )
    )
    if not batches:
        return changes_of(none, none, none)
    cells = np.concatenate([binary_cells(batch.column(0)) for batch in batches])
    version, since = (
        np.concatenate([batch.column(place).to_numpy() for batch in batches]).astype(np.int64) for place in (1, 2)
    )
    place = places_of(cells, facts.tokens)
    ours = np.flatnonzero(place >= 0)
    return changes_of(facts.numbers["market"][place[ours]], version[ours], since[ours])


def changes_of(market: Ints, version: Ints, since: Ints) -> Changes:
    """Changes of markets by builds, each with the earliest moment (Unix seconds) that it changed."""
    versions, which = np.unique(version, return_inverse=True)
    keys = market * (len(versions) + 1) + which
    order = np.argsort(keys, kind="stable")[::-1]
    # Looking back from the newest build of a market, the earliest moment so far; markets descend, so each begins anew.
    earliest = np.minimum.accumulate((market[order] << 32) | since[order]) & (2**32 - 1)
    return Changes(versions, keys[order][::-1], earliest[::-1])


def _prices_for(run: Build, trades: dict[str, Ints], facts: Facts) -> Prices:
    """What is needed of the prices of these trades' markets."""
    import pyarrow as pa

    market, which = np.unique(trades["market"], return_inverse=True)
    first_day = trades["at"] // DAY_SECONDS - 1
    oldest = np.full(len(market), _NEVER)
    np.minimum.at(oldest, which, first_day)
    is_deep = oldest < run.as_of // DAY_SECONDS - RECENT_DAYS
    since = int(oldest[~is_deep].min(initial=_NEVER))
    tokens = np.flatnonzero(np.isin(facts.numbers["market"], market))
    deep = is_deep[np.searchsorted(market, facts.numbers["market"][tokens])]
    run.stage_columns(
        "due_tokens",
        "token FixedString(32), is_deep Bool",
        pa.table({"token": binary(facts.tokens[tokens]), "is_deep": pa.array(deep)}),
    )
    recent = "SELECT token FROM due_tokens WHERE NOT is_deep"
    history = load_prices_since(run.warehouse, "SELECT token FROM due_tokens WHERE is_deep", recent, since)
    place = places_of(history.tokens, facts.tokens)
    return Prices(*second_prices(history, facts.numbers["market"][place], facts.numbers["outcome"][place]))


def _keys_of(wallets: Any, tokens: Any, at: Any, tx_key: Any) -> Bytes:
    """Wallet, token, time and transaction of each trade as one row of bytes."""
    whole = [np.asarray(column).astype(kind) for column, kind in ((at, np.int64), (tx_key, np.uint64))]
    cells = [np.ascontiguousarray(column).view(np.uint8).reshape(-1, 8) for column in whole]
    return np.concatenate([binary_cells(wallets), binary_cells(tokens), *cells], axis=1)


def _filled(column: Any) -> Ints:
    """The numbers of a column; 0 where there is none."""
    filled: Ints = column.fill_null(0).to_numpy().astype(np.int64)
    return filled
