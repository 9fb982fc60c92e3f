"""``wallet_days`` of one wallet slice: the steps of its pairs, valued at the marks of each day (docs/days.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import EXTRA, ROW, Bytes, Ints
from polyhouse.ledger.compiled import pays
from polyhouse.ledger.day_series import DAY_SECONDS, NO_MARK, SERIES, DaySeries, Histories, Marks, day_series
from polyhouse.models.arrow_columns import binary, numbers
from polyhouse.models.arrow_columns import names as names_of
from polyhouse.models.build import Build
from polyhouse.models.pairs import SlicePairs
from polyhouse.models.price_columns import DayMarks

if TYPE_CHECKING:
    import pyarrow as pa

EDGES = (0, 30, 90, 180)
"""Days before the newest one that get a row wherever shares were open: the newest itself, the eves of the windows."""
COMPILED_FROM = 20_000
"""Rows of a slice from which on compiling pays."""
OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class _Scopes:
    """Wallets as a whole and in each of their categories; a wallet of a single category has one scope, which is both.

    Attributes:
        starts: place in ``members`` of the first pair of each, and their number at the end.
        members: places of pairs.
        wallet: a pair of its wallet.
        name: place of its name.
        is_both: whether its category is the only one of its wallet.
    """

    starts: Ints
    members: Ints
    wallet: Ints
    name: Ints
    is_both: NDArray[np.bool_]


def store_days(run: Build, pairs: SlicePairs, marks: DayMarks) -> None:
    """Write the rows of ``wallet_days`` of one wallet slice.

    Args:
        run: the build.
        pairs: of the slice, folded.
        marks: at least of the slice's tokens, by their places in ``pairs.tokens``.
    """
    names, scopes = _scopes(pairs)
    if not len(scopes.wallet):
        return
    last_day = run.as_of // DAY_SECONDS
    compute = day_series
    if pays("polyhouse.ledger.day_columns", len(pairs.columns.rows), COMPILED_FROM):
        from polyhouse.ledger.day_columns import day_columns as compute
    edges = [last_day - before for before in EDGES]
    series = compute(scopes.starts, scopes.members, _histories(pairs), _marks(pairs, marks), edges, last_day)
    _store(run, pairs.columns.wallets, names, scopes, series)


def _histories(pairs: SlicePairs) -> Histories:
    columns = pairs.columns
    count = len(columns.starts) - 1
    is_fill = np.flatnonzero(columns.extra[:, EXTRA.index("is_fill")])
    fills = np.column_stack([columns.rows[is_fill, ROW.index("ts")], columns.extra[is_fill, EXTRA.index("volume")]])
    step_starts = np.searchsorted(pairs.steps.places, np.arange(count + 1))
    return Histories(step_starts, pairs.steps.values, np.searchsorted(is_fill, columns.starts), fills)


def _scopes(pairs: SlicePairs) -> tuple[pa.Array, _Scopes]:
    """Each wallet as a whole and in each of its categories, and their names; pairs without a token belong to none."""
    import pyarrow as pa

    categories = [bytes(name).decode() for name in pairs.tokens.categories.cast(pa.binary()).to_pylist()]
    names = sorted({OVERALL, *categories})
    name_of = np.array([names.index(name) for name in categories], dtype=np.int64)
    pair = np.flatnonzero(pairs.places >= 0)
    wallet = pairs.wallet[pair] * len(names)
    category = name_of[pairs.tokens.facts.category[pairs.places[pair]]] if len(pair) else pair
    is_mixed = _of_several(wallet, category)
    keys = np.concatenate([wallet[is_mixed] + names.index(OVERALL), wallet + category])
    order = np.argsort(keys, kind="stable")
    members, keys = np.concatenate([pair[is_mixed], pair])[order], keys[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else keys
    is_both = ~np.append(is_mixed[is_mixed], is_mixed)[order][starts]
    key = keys[starts]
    first_pairs = np.searchsorted(pairs.wallet, key // len(names))
    return pa.array(names), _Scopes(np.append(starts, len(keys)), members, first_pairs, key % len(names), is_both)


def _of_several(wallet: Ints, category: Ints) -> NDArray[np.bool_]:
    """Which pairs belong to wallets with pairs of several categories; pairs of a wallet stand together."""
    if not len(wallet):
        return np.zeros(0, dtype=bool)
    is_first = np.append(True, wallet[1:] != wallet[:-1])
    firsts = np.flatnonzero(is_first)
    several = np.minimum.reduceat(category, firsts) != np.maximum.reduceat(category, firsts)
    of_pairs: NDArray[np.bool_] = several[np.cumsum(is_first) - 1]
    return of_pairs


def _marks(pairs: SlicePairs, marks: DayMarks) -> Marks:
    known = np.maximum(pairs.places, 0)
    starts, ends = (np.searchsorted(marks.token, known, side=side) for side in ("left", "right"))
    newest = np.append(pairs.tokens.facts.marks[:, 0], NO_MARK)[pairs.places]
    return Marks(starts, np.where(pairs.places < 0, starts, ends), marks.day, marks.price, newest)


def _store(run: Build, wallets: Bytes, names: pa.Array, scopes: _Scopes, series: DaySeries) -> None:
    import pyarrow as pa

    column = {name: series.values[:, place] for place, name in enumerate(SERIES)}
    is_known = column["unmarked"] == 0
    equity = column["realized_total"] + column["unrealized"]
    pnl = np.zeros_like(equity)
    known = np.flatnonzero(is_known)
    before = np.append(0, equity[known[:-1]])
    is_first = np.append(True, series.scopes[known[1:]] != series.scopes[known[:-1]])
    pnl[known] = equity[known] - np.where(is_first, 0, before)[: len(known)]
    written, named = _written(series.scopes, scopes, names.index(OVERALL).as_py())
    table = {
        "wallet": binary(wallets[scopes.wallet[series.scopes[written]]]),
        "category": names_of(named, names),
        "day": numbers(column["day"][written], "uint16"),
    }
    values = column | {"equity": equity, "pnl": pnl}
    unknown = ~is_known[written]
    for name in _COLUMNS:
        kind = "uint32" if name in ("unmarked", "fills") else "int64"
        table[name] = numbers(values[name][written], kind, unknown if name in ("unrealized", "equity", "pnl") else None)
    table["version"] = pa.array(np.full(len(written), run.version, dtype=np.uint64))
    table["is_deleted"] = pa.array(np.zeros(len(written), dtype=np.uint8))
    if len(written):
        run.write("wallet_days", pa.table(table))


def _written(rows: Ints, scopes: _Scopes, overall: int) -> tuple[Ints, Ints]:
    """Places in the series of what is written, in the order of the table, and the place of the name of each.

    Args:
        rows: the scope of each row of the series.
        scopes: all.
        overall: place of the name of whole wallets.
    """
    again = np.flatnonzero(scopes.is_both[rows])
    written = np.concatenate([np.arange(len(rows)), again])
    name = np.concatenate([scopes.name[rows], np.full(len(again), overall)])
    order = np.argsort(scopes.wallet[rows[written]] * (int(scopes.name.max()) + overall + 1) + name, kind="stable")
    return written[order], name[order]


_COLUMNS = (
    "realized", "realized_total", "unrealized", "unmarked", "equity", "pnl", "at_risk", "at_risk_before",
    "at_risk_peak", "worst", "volume", "fills",
)  # fmt: skip
"""Numbers of ``wallet_days``, in its order."""
