"""The metrics of all relations side by side: rows of both metric tables, as columns in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import Ints, binary_cells
from polyhouse.metrics.catalogue import RELATIONS
from polyhouse.models.arrow_columns import binary, names
from polyhouse.models.metric_evaluation import KEYS, PLACE
from polyhouse.models.metric_tables import metric_columns
from polyhouse.models.metric_values import OVERALL
from polyhouse.models.segment_maps import ranked

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Measured:
    """The metrics of a relation.

    Attributes:
        keys: ``wallet``, ``scopes`` and ``windows`` for which each row stands.
        columns: name → metric; those that no row has may be missing.
    """

    keys: pa.Table
    columns: Mapping[str, pa.Array]


@dataclass(frozen=True, slots=True)
class MetricRows:
    """Metrics per wallet, scope and window, in their order.

    Attributes:
        keys: ``wallet``, ``category`` (of wallets as a whole ``overall``) and ``window``.
        is_overall: whether the row is about the wallet as a whole.
        columns: name → column: samples, and metrics where any row has one.
    """

    keys: Mapping[str, pa.Array]
    is_overall: NDArray[np.bool_]
    columns: dict[str, pa.Array]

    def column(self, name: str) -> pa.Array:
        """A sample or metric of all rows."""
        import pyarrow as pa

        kind = pa.binary() if "String" in metric_columns()[name] else pa.float64()
        return self.columns[name] if name in self.columns else pa.nulls(len(self.is_overall), kind)

    def of_table(self, *, has_categories: bool) -> dict[str, pa.Array]:
        """The columns of the table of categories, or of that of whole wallets."""
        import pyarrow as pa

        rows = pa.array(np.flatnonzero(self.is_overall != has_categories))
        found = {name: self.column(name).take(rows) for name in metric_columns()}
        keys = {name: column.take(rows) for name, column in self.keys.items() if has_categories or name != "category"}
        return keys | found


def by_place(batches: Iterable[pa.RecordBatch]) -> dict[str, pa.Array]:
    """The columns of what the engine evaluated, in the order of what was staged."""
    import pyarrow as pa

    table = pa.Table.from_batches(list(batches)).combine_chunks()
    place = table.column(PLACE).to_numpy()
    if np.any(place[1:] < place[:-1]):
        table = table.take(pa.array(np.argsort(place)))
    return {name: table.column(name).combine_chunks() for name in table.column_names if name != PLACE}


def joined(measured: Mapping[str, Measured]) -> MetricRows:
    """The rows of all relations; where a relation has none of its rows its sample is 0 and its metrics are null.

    Args:
        measured: name of a relation → its metrics; at least one.
    """
    import pyarrow as pa

    parts = [_expanded(one.keys) for one in measured.values()]
    cells = np.concatenate([cells for _, cells, _, _ in parts])
    wallets, wallet = np.unique(cells.view("V20").ravel(), return_inverse=True)
    scopes, scope = ranked(pa.concat_arrays([part for _, _, part, _ in parts]))
    windows, window = ranked(pa.concat_arrays([part for _, _, _, part in parts]))
    codes = (wallet.ravel() * len(scopes) + scope) * len(windows) + window
    known, row = np.unique(codes, return_inverse=True)
    columns: dict[str, pa.Array] = {}
    start = 0
    for relation in RELATIONS:
        if relation.name not in measured:
            columns[relation.sample_column] = pa.array(np.zeros(len(known), np.uint64))
    for (name, one), (source, _, _, _) in zip(measured.items(), parts, strict=True):
        index = np.full(len(known), -1, dtype=np.int64)
        index[row[start : start + len(source)]] = source
        start += len(source)
        places = pa.array(index, mask=index < 0)
        columns |= {column: values.take(places) for column, values in one.columns.items()}
        columns[f"{name}_sample"] = columns[f"{name}_sample"].fill_null(0)
    scope, window = known // len(windows) % len(scopes), known % len(windows)
    keys = {
        "wallet": binary(wallets.view(np.uint8).reshape(-1, 20)[known // (len(windows) * len(scopes))]),
        "category": names(scope, scopes), "window": names(window, windows),
    }  # fmt: skip
    return MetricRows(keys, np.equal(scope, scopes.index(pa.scalar(OVERALL.encode())).as_py()), columns)


def _expanded(keys: pa.Table) -> tuple[Ints, Any, pa.Array, pa.Array]:
    """A row for each scope and window: the row that stands for it, its wallet, scope and window."""
    import pyarrow as pa

    wallet, scopes, windows = (keys.column(name).combine_chunks() for name in KEYS)
    in_scopes, in_windows = scopes.offsets.to_numpy().astype(np.int64), windows.offsets.to_numpy().astype(np.int64)
    count = np.diff(in_windows)
    times = np.diff(in_scopes) * count
    source = np.repeat(np.arange(len(times)), times)
    step = np.arange(len(source)) - np.repeat(np.cumsum(times) - times, times)
    scope = in_scopes[source] + step // count[source]
    window = in_windows[source] + step % count[source]
    cells = np.ascontiguousarray(binary_cells(wallet)[source])
    return source, cells, scopes.values.take(pa.array(scope)), windows.values.take(pa.array(window))
