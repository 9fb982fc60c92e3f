"""``wallet_intervals``: bootstrap intervals of one wallet slice, from its staged bets (docs/flags.md)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.bets_relation import RELATION as BETS
from polyhouse.metrics.bootstrap import LEAST_BETS, MOST_BETS, Ints, Samples, intervals, mixed
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.models.arrow_columns import binary
from polyhouse.models.build import Build
from polyhouse.models.flags import starts_of
from polyhouse.models.metric_tables import plan_of
from polyhouse.models.metric_values import Rows

if TYPE_CHECKING:
    import pyarrow as pa

OVERALL = "overall"
_COLUMNS = {
    "seed": "seed", "category": "scope", "at": "at", "realized": "realized", "stake": "stake", "place": "close_place",
}  # fmt: skip
"""Column of ``interval_rows`` → expression over the rows of bets that metrics are made of anyway."""


def build_intervals(run: Build, wallets: str, bets: Rows | None) -> None:
    """Write the intervals of a slice.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
        bets: of the slice.
    """
    import pyarrow as pa

    table = _ordered(bets) if bets is not None else None
    if table is not None and len(table):
        rows = interval_rows(table, {name: run.params.get(f"b_{name}", 0) for name in METRIC_WINDOWS})
        if len(rows):
            version = pa.array(np.full(len(rows), run.version, np.uint64))
            run.warehouse.insert_arrow(run.place_of("wallet_intervals"), rows.append_column("version", version))
    run.bury("wallet_intervals", wallets)


def _ordered(bets: Rows) -> pa.Table:
    """The bets of wallets with enough of them, by wallet and close."""
    import pyarrow as pa

    arguments = plan_of(BETS).arguments
    columns = {name: bets.columns[arguments.get(column, column)] for name, column in _COLUMNS.items()}
    many = np.flatnonzero(np.bincount(bets.wallet)[bets.wallet] >= LEAST_BETS)
    place = columns["place"].to_numpy()[many]
    rows = many[np.lexsort((place, bets.wallet[many]))]
    chosen = {name: column.take(pa.array(rows)) for name, column in columns.items()}
    return pa.table({"wallet": binary(bets.wallets[bets.wallet[rows]]), **chosen})


def interval_rows(bets: pa.Table, begins: dict[str, int]) -> pa.Table:
    """Rows of ``wallet_intervals`` but for the version, from bets ordered by wallet and close.

    Args:
        bets: columns ``wallet``, ``seed`` (of the wallet), ``category``, ``at``, ``realized``, ``stake``, ``place``.
        begins: window → Unix seconds after which its bets closed; 0 = all.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wallets = bets.column("wallet").combine_chunks()
    first = starts_of(wallets)
    owner = np.repeat(np.arange(len(first) - 1), np.diff(first))
    category = pc.index_in(bets.column("category").cast(pa.string()), value_set=pa.array(CATEGORIES))
    scope = pc.fill_null(category, len(CATEGORIES)).to_numpy().astype(np.int64) + 1  # 0 = overall
    at, realized = _ints(bets, "at"), _ints(bets, "realized")
    names, keys, rows = [], [], []
    for window, begin in begins.items():
        inside = np.flatnonzero(at > begin) if begin else np.arange(len(at))
        for member in (np.zeros_like(scope), scope):
            for key, chosen in _samples(owner[inside] * (len(CATEGORIES) + 2) + member[inside], inside):
                names.append(window)
                keys.append(key)
                rows.append(chosen)
    seeds = bets.column("seed").to_numpy().astype(np.uint64)
    samples = Samples(
        np.cumsum([0, *map(len, rows)]).astype(np.int64),
        np.concatenate([np.zeros(0, np.int64), *rows]),
        mixed(seeds ^ mixed(bets.column("place").to_numpy().astype(np.uint64))),
        np.stack([np.maximum(realized, 0), np.maximum(-realized, 0), _ints(bets, "stake")], axis=1),
    )
    found = intervals(samples) if rows else None
    of = np.asarray(keys, dtype=np.int64)
    scopes = (OVERALL, *CATEGORIES, "")
    bounds = {
        name: pa.array(getattr(found, name) if rows else [], type=pa.float64(), from_pandas=True)
        for name in ("omega_low", "omega_high", "roi_low", "roi_high")
    }
    return pa.table({
        "wallet": wallets.take(pa.array(first[of // (len(CATEGORIES) + 2)])),
        "category": pa.array([scopes[key % (len(CATEGORIES) + 2)] for key in keys], type=pa.string()),
        "window": pa.array(names, type=pa.string()),
        "bets": pa.array(np.diff(samples.starts).astype(np.uint32)),
        **bounds,
    })  # fmt: skip


def _samples(keys: Ints, rows: Ints) -> Iterator[tuple[int, Ints]]:
    """Groups of equal keys that have enough rows and not too many, rows in their order."""
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    for low, high in pairwise([0, *ends.tolist(), len(keys)]):
        if LEAST_BETS <= high - low <= MOST_BETS:
            yield int(keys[order[low]]), rows[order[low:high]]


def _ints(table: pa.Table, name: str) -> Any:
    return table.column(name).to_numpy().astype(np.int64)
