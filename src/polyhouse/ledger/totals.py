"""Totals of wallets, as a whole and by category, for the whole life and each window (accounting §§3.5, 3.8).

A window holds what lies after its start, and windows end together: so they are nested, and a row is counted once, under
the number of windows that hold it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polyhouse.ledger.columns import EXTRA, ROW, Ints, LedgerColumns
from polyhouse.ledger.fold import Kind
from polyhouse.ledger.units import FLAT, LOSS, WIN, Groups, Units

INCOME = 10
"""Number of the ledger kind INCOME; such rows have the zero token."""

OVERALL = -1
"""The category of a scope that is the whole wallet."""

BY_WINDOW = (
    "realized", "unrealized_marked", "unmarked", "fees", "income", "redeemed_cash", "volume", "trades", "markets",
    "wins", "losses", "flats", "gains", "losses_abs", "bought_cost",
)  # fmt: skip
"""Keys of ``Totals.by_window``; amounts in micro-USDC, the others are numbers of fills, conditions or units."""

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of k scopes; a scope is a wallet, or a wallet in one category.

    Attributes:
        wallet: place of the wallet.
        category: place of the category; ``OVERALL`` = the whole wallet.
        by_window: ``BY_WINDOW`` → k × (1 + windows), the whole life first; ``unmarked`` counts units whose
            value is unknown.
        untracked_cash: as the wallet stands.
        open_units: as the wallet stands.
        first_trade: time of the first fill; 0 = none.
        last_trade: of the last one.
    """

    wallet: Ints
    category: Ints
    by_window: dict[str, Ints]
    untracked_cash: Ints
    open_units: Ints
    first_trade: Ints
    last_trade: Ints


class _Scopes:
    """The scopes that pairs belong to: each wallet as a whole, then its categories."""

    def __init__(self, wallet: Ints, category: Ints) -> None:
        """``category`` of a pair is ``OVERALL`` if its token has none."""
        self._width = int(category.max(initial=0)) + 2
        is_used = np.zeros((int(wallet.max(initial=-1)) + 1) * self._width, dtype=bool)
        is_used[self._key(wallet, category)] = True
        is_used[:: self._width] = True
        key = np.flatnonzero(is_used)
        self._place = np.cumsum(is_used) - 1
        self.wallet, self.category = key // self._width, key % self._width - 1
        self.overall = self._place[self.wallet * self._width]

    def _key(self, wallet: Ints, category: Ints) -> Ints:
        return wallet * self._width + category + 1

    def of(self, wallet: Ints, category: Ints) -> Ints:
        """The place of each (wallet, category)."""
        return self._place[self._key(wallet, category)]

    def sum(self, scope: Ints, values: Ints | int) -> Ints:
        """Sum of the values of each scope; what is known of a category counts for the whole wallet too."""
        sums = np.zeros(len(self.wallet), dtype=np.int64)
        np.add.at(sums, scope, values)
        return self._with_overall(sums)

    def by_window(self, scope: Ints, holding: Ints, values: Ints | int, windows: int) -> Ints:
        """The same for each window, of values that lie in the ``holding`` oldest windows."""
        sums = np.zeros(len(self.wallet) * (windows + 1), dtype=np.int64)
        np.add.at(sums, scope * (windows + 1) + holding, values)
        inside = np.cumsum(sums.reshape(-1, windows + 1)[:, ::-1], axis=1)
        return self._with_overall(np.concatenate([inside[:, -1:], inside[:, :-1]], axis=1))

    def _with_overall(self, sums: Ints) -> Ints:
        parts = np.flatnonzero(self.category != OVERALL)
        np.add.at(sums, self.overall[parts], sums[parts])
        return sums


def sum_totals(
    columns: LedgerColumns, wallet: Ints, condition: Ints, category: Ints, units: Units, boundaries: Ints
) -> Totals:
    """Sum a slice's ledger rows and units to totals.

    Args:
        columns: the rows of n pairs.
        wallet: place of each pair's wallet, ascending.
        condition: of each pair; −1 if its token has none.
        category: of each pair; ``OVERALL`` if its token has none.
        units: of the slice.
        boundaries: start of each window, newest first.
    """
    scopes = _Scopes(wallet, category)
    pair_scope = scopes.of(wallet, category)
    windows = len(boundaries)
    first_trade, last_trade = _trade_times(columns)
    traded = np.flatnonzero((last_trade > 0) & (condition >= 0))
    markets = Groups.of(wallet[traded] * (int(condition.max(initial=0)) + 1) + condition[traded])
    newest = markets.max(last_trade[traded])
    by_window = _moved(columns, scopes, pair_scope, boundaries) | _became(units, scopes, boundaries)
    market_scope = pair_scope[traded][markets.order[markets.starts]]
    by_window["markets"] = scopes.by_window(market_scope, _holding(newest, boundaries), 1, windows)
    unit_scope = scopes.of(units.wallet, units.category)
    untracked_cash = scopes.sum(unit_scope, units.untracked_cash)
    open_units = scopes.sum(unit_scope, units.is_open.astype(np.int64))
    times = _scope_times(scopes, pair_scope, first_trade, last_trade)
    return Totals(scopes.wallet, scopes.category, by_window, untracked_cash, open_units, *times)


def _holding(ts: Ints, boundaries: Ints) -> Ints:
    """How many windows hold each moment."""
    holding = np.zeros(len(ts), dtype=np.int64)
    for start in boundaries:
        holding += ts > start
    return holding


def _moved(columns: LedgerColumns, scopes: _Scopes, pair_scope: Ints, boundaries: Ints) -> dict[str, Ints]:
    """What the rows themselves add up to."""
    row_scope = np.repeat(pair_scope, np.diff(columns.starts))
    holding = _holding(columns.rows[:, ROW.index("ts")], boundaries)
    kind, du = columns.rows[:, ROW.index("kind")], columns.rows[:, ROW.index("du")]
    amounts = {
        "fees": columns.rows[:, ROW.index("fee")],
        "volume": columns.extra[:, EXTRA.index("volume")],
        "trades": columns.extra[:, EXTRA.index("is_fill")],
    }
    sums = {name: scopes.by_window(row_scope, holding, values, len(boundaries)) for name, values in amounts.items()}
    for name, number in (("redeemed_cash", int(Kind.REDEEM)), ("income", INCOME)):
        rows = np.flatnonzero(kind == number)
        sums[name] = scopes.by_window(row_scope[rows], holding[rows], du[rows], len(boundaries))
    return sums


def _became(units: Units, scopes: _Scopes, boundaries: Ints) -> dict[str, Ints]:
    """What became of the units: their values, and the results of those that closed in a window."""
    windows = len(boundaries)
    scope = scopes.of(units.wallet, units.category)
    sums = {}
    for name, values in (
        ("realized", units.realized), ("unrealized_marked", units.unrealized), ("bought_cost", units.bought_cost),
        ("unmarked", (units.unmarked > 0).astype(np.int64)),
    ):  # fmt: skip
        sums[name] = np.column_stack([scopes.sum(scope, values[:, window]) for window in range(windows + 1)])
    holding, realized = _holding(units.closed_ts, boundaries), units.realized[:, 0]
    for name, chosen in (
        ("wins", units.result == WIN), ("losses", units.result == LOSS), ("flats", units.result == FLAT),
    ):  # fmt: skip
        places = np.flatnonzero(chosen)
        sums[name] = scopes.by_window(scope[places], holding[places], 1, windows)
    for name, chosen in (
        ("gains", ~units.is_open & (realized > 0)), ("losses_abs", ~units.is_open & (realized < 0)),
    ):  # fmt: skip
        places = np.flatnonzero(chosen)
        sums[name] = scopes.by_window(scope[places], holding[places], np.abs(realized[places]), windows)
    return sums


def _trade_times(columns: LedgerColumns) -> tuple[Ints, Ints]:
    """First and last fill of each pair; 0 = none."""
    ts, is_fill = columns.rows[:, ROW.index("ts")], columns.extra[:, EXTRA.index("is_fill")] > 0
    starts = columns.starts[:-1]
    first = np.minimum.reduceat(np.where(is_fill, ts, _NEVER), starts)
    last = np.maximum.reduceat(np.where(is_fill, ts, 0), starts)
    return np.where(first == _NEVER, 0, first), last


def _scope_times(scopes: _Scopes, pair_scope: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """First and last fill of each scope; 0 = none."""
    earliest = np.full(len(scopes.wallet), _NEVER, dtype=np.int64)
    latest = np.zeros(len(scopes.wallet), dtype=np.int64)
    for scope in (pair_scope, scopes.overall[pair_scope]):
        np.minimum.at(earliest, scope, np.where(first == 0, _NEVER, first))
        np.maximum.at(latest, scope, last)
    return np.where(earliest == _NEVER, 0, earliest), latest
