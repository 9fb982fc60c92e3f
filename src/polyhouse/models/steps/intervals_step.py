"""``wallet_intervals``: bootstrap intervals of one wallet slice, from its staged bets (docs/flags.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.bets_relation import RELATION as BETS
from polyhouse.metrics.bootstrap import LEAST_BETS, MOST_BETS, Ints, Samples, intervals, mixed
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.models.arrow_columns import binary
from polyhouse.models.build import Build
from polyhouse.models.flags import starts_of
from polyhouse.models.metric_tables import plan_of
from polyhouse.models.metric_values import OVERALL, Rows, Windows
from polyhouse.models.segments import WHOLE, Scopes, scopes_of

if TYPE_CHECKING:
    import pyarrow as pa

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
            run.write("wallet_intervals", rows.append_column("version", version))
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
    kind = pc.fill_null(category, len(CATEGORIES)).to_numpy().astype(np.int64)
    at, realized = _ints(bets, "at"), _ints(bets, "realized")
    windows = Windows(list(begins), list(begins.values()))
    scopes = scopes_of(owner, kind, windows.ages(at), len(begins), has_whole=False)
    is_sample = (scopes.lengths >= LEAST_BETS) & (scopes.lengths <= MOST_BETS)
    scope, window = np.nonzero(is_sample)
    seeds = bets.column("seed").to_numpy().astype(np.uint64)
    starts, rows, is_more = _rows(scopes, scope, window)
    samples = Samples(
        starts,
        rows,
        is_more,
        mixed(seeds ^ mixed(bets.column("place").to_numpy().astype(np.uint64))),
        np.stack([np.maximum(realized, 0), np.maximum(-realized, 0), _ints(bets, "stake")], axis=1),
    )
    found = intervals(samples)
    # A sample of a wallet's only category is that of the whole as well.
    both = np.flatnonzero(scopes.is_both[scope])
    told = np.append(np.arange(len(scope)), both)
    names = np.append(scopes.category[scope], np.full(len(both), WHOLE))
    bounds = {
        name: pa.array(getattr(found, name)[told], type=pa.float64(), from_pandas=True)
        for name in ("omega_low", "omega_high", "roi_low", "roi_high")
    }
    return pa.table({
        "wallet": wallets.take(pa.array(first[scopes.wallet[scope[told]]])),
        "category": pa.array([*CATEGORIES, "", OVERALL]).take(pa.array(names % (len(CATEGORIES) + 2))),
        "window": pa.array(windows.names).take(pa.array(window[told])),
        "bets": pa.array(scopes.lengths[is_sample][told].astype(np.uint32)),
        **bounds,
    })  # fmt: skip


def _rows(scopes: Scopes, scope: Ints, window: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Of each sample what it has more than the one before it in the same scope, and whether there is such a one."""
    is_more = np.append(False, scope[1:] == scope[:-1])[: len(scope)]
    ends = scopes.edges[scope, window + 1]
    firsts = np.where(is_more, np.append(0, ends[:-1])[: len(ends)], scopes.edges[scope, 0])
    counts = ends - firsts
    starts = np.append(0, np.cumsum(counts))
    return starts, scopes.index[np.repeat(firsts - starts[:-1], counts) + np.arange(starts[-1])], is_more


def _ints(table: pa.Table, name: str) -> Any:
    return table.column(name).to_numpy().astype(np.int64)
