"""By what a leaderboard can be sorted: totals of the wallet, its scores, and every numeric metric of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from polyhouse.domain.suggestions import did_you_mean
from polyhouse.errors import BadInputError
from polyhouse.metrics.catalogue import METRIC_WINDOWS, Metric, computed
from polyhouse.reads.board_columns import Array
from polyhouse.reads.board_rows import Board, Rows
from polyhouse.reads.boards import SCORES
from polyhouse.reads.ratios import SHRINKAGE

_Kind = Literal["total", "score", "metric"]
RATIOS = ("omega", "win_rate", "roi")
"""Totals whose order is that of a ratio."""
_CLOSE = 1e-14
"""Ratios that differ by less, relatively, are compared exactly."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One order of a leaderboard: by numerator / denominator, exactly.

    Attributes:
        name: the word users say.
        meaning: one line for people.
        kind: what the value is: of ``wallet_totals``, of ``wallet_scores_v1``, or a metric.
        field: of a row's document, where the value stands; that of a metric stands among its metrics.
        lower_first: the smaller value is the better one.
    """

    name: str
    meaning: str
    kind: _Kind
    field: str
    lower_first: bool = False

    def fraction(self, rows: Rows) -> tuple[Array, Array | None, Array]:
        """Numerators, denominators (None = all 1) and whether there is a value, per row."""
        if self.kind == "total":
            return _total(self.name, self.field, rows)
        values = rows[self.name if self.kind == "metric" else f"{self.name}_tenths"]
        return values, None, ~np.isnan(values)

    def key(self, board: Board, place: int) -> Fraction | None:
        """The exact value of a row by its place, None where there is none."""
        above, below, known = self.fraction(board.at([place]))
        return Fraction(above[0].item()) / (1 if below is None else int(below[0])) if known[0] else None

    def order(self, board: Board, *, reverse: bool = False) -> Array:
        """Places of all rows, best first (worst first if reversed); equal values by address, no value last."""
        upward = self.lower_first != reverse
        return board.once(("order", self.name, reverse), lambda: self._order(board, upward=upward))

    def _order(self, board: Board, *, upward: bool) -> Array:
        above, below, known = self.fraction(board)
        places = np.flatnonzero(known).astype(np.int32)
        sign = 1 if upward else -1
        if below is None:
            ranked = places[np.argsort(sign * above[places], kind="stable")]
        else:
            ranked = places[_ratio_order(above[places], below[places], sign)]
        return np.concatenate([ranked, np.flatnonzero(~known).astype(np.int32)])


def ratio_of(name: str, rows: Rows) -> tuple[Array, Array, Array]:
    """Numerators, denominators and whether there is a value, of a ratio of totals."""
    if name == "win_rate":
        decided = _sum(rows, "wins", "losses")
        return _sum(rows, "wins"), decided, decided > 0
    if name == "omega":
        above = rows["gains"] + SHRINKAGE
        return above, rows["losses_abs"] + SHRINKAGE, np.ones(len(above), bool)
    if name == "category_share":
        return rows["volume"], rows["whole_volume"], rows["whole_volume"] > 0
    return pnl_of(rows), rows["bought_cost"], (rows["unknown"] == 0) & (rows["bought_cost"] > 0)


def pnl_of(rows: Rows) -> Array:
    """Realised and unrealised PnL; it says nothing where a mark is unknown."""
    pnl: Array = rows["realized"] + rows["unrealized"]
    return pnl


def units_of(rows: Rows) -> Array:
    """Closed bets."""
    return _sum(rows, "wins", "losses", "flats")


def _sum(rows: Rows, *names: str) -> Array:
    first, *others = (rows[name].astype(np.int64) for name in names)
    return sum(others, start=first)


def _total(name: str, field: str, rows: Rows) -> tuple[Array, Array | None, Array]:
    if name in RATIOS:
        return ratio_of(name, rows)
    above = pnl_of(rows) if name == "pnl" else units_of(rows) if name == "units" else _sum(rows, field)
    known = rows["unknown"] == 0 if name in ("pnl", "unrealized") else np.ones(len(above), bool)
    return above, None, known


def _ratio_order(above: Array, below: Array, sign: int) -> Array:
    """Stable order of above / below. Floats tell almost all apart; what they cannot is compared as fractions."""
    common = np.gcd(above, below)
    above, below = above // common, below // common
    value = sign * (above / below)
    order = np.argsort(value, kind="stable")
    if len(order) < 2:
        return order
    step = np.diff(value[order])
    close = step <= _CLOSE * np.abs(value[order][1:])
    equal = (np.diff(above[order]) == 0) & (np.diff(below[order]) == 0)
    run = np.concatenate([[0], np.cumsum(~close)])
    doubtful = np.unique(run[1:][close & ~equal])
    starts = np.searchsorted(run, doubtful)
    ends = np.searchsorted(run, doubtful, side="right")
    for start, end in zip(starts, ends, strict=True):
        places = order[start:end].tolist()
        places.sort(key=lambda place: (sign * Fraction(int(above[place]), int(below[place])), place))
        order[start:end] = places
    return order


def _plain(name: str, meaning: str, field: str = "") -> Sort:
    return Sort(name, meaning, "total", field or name)


_OWN = (
    _plain("omega", "gains over losses, shrunk: (G + 50 $) / (L + 50 $)", "omega_shrunk"),
    _plain("pnl", "realised + unrealised PnL", "position_pnl"),
    _plain("win_rate", "won bets / decided bets"),
    _plain("roi", "PnL / Σ bought cost"),
    _plain("volume", "Σ of its fills in both roles"),
    _plain("trades", "fills in both roles"),
    _plain("markets", "conditions traded"),
    _plain("units", "closed bets"),
    _plain("realized", "realised PnL"),
    _plain("unrealized", "unrealised PnL"),
    _plain("gains", "Σ of won results"),
    _plain("losses", "Σ of lost results", "losses_abs"),
    _plain("wins", "won bets"),
    _plain("fees", "fees paid"),
    _plain("income", "rebates and rewards; of whole wallets only"),
    *(
        Sort(word, f"{word} score, 0 to 10, of the whole wallet and life (docs/scores.md)", "score", f"{word}_score")
        for word in (name.removesuffix("_tenths") for name in SCORES)
    ),
)


def board_metrics() -> list[Metric]:
    """The metrics by which boards can be sorted: all numeric ones that are computed."""
    return [metric for metric in computed() if not metric.is_text]


_KNOWN = {sort.name: sort for sort in _OWN}
SORTS: dict[str, Sort] = _KNOWN | {
    metric.name: Sort(metric.name, metric.meaning, "metric", metric.name, metric.direction == "lower")
    for metric in board_metrics()
    if metric.name not in _KNOWN
}
"""Sort word → order, best first. A metric whose name a total has (``win_rate``, ``roi``) is the total."""

ALIASES = {
    "omega_ratio": "omega", "position_pnl": "pnl", "total_pnl": "pnl", "ev_per_hour": "return_per_dollar_hour",
    "sharpe_ratio": "sharpe",
}  # fmt: skip
"""Words of the older API (seed_systems.md §1.5) → ours; its other words (``omega_net``, ``sharpe``, ``resolved_bets``,
``tail_ratio`` …) are ours as well.
"""


def find_sort(name: str, window: str) -> Sort:
    """The order of this name in a window.

    Raises:
        BadInputError: there is none; lists all. Or it is a metric, which has no windows of less than 30 days.
    """
    found = SORTS.get(ALIASES.get(name, name))
    if found is None:
        raise BadInputError(
            f"unknown sort {name[:40]!r}.{did_you_mean(name, SORTS)}", hint=f"one of: {' '.join(SORTS)}"
        )
    if found.kind == "metric" and window not in METRIC_WINDOWS:
        raise BadInputError(
            f"{name} is a metric and has no window {window}", hint=f"one of the windows: {' '.join(METRIC_WINDOWS)}"
        )
    return found
