"""The values of a relation's aggregate calls, per wallet, scope and window, from its rows as columns.

One row stands for several scopes or windows where these hold the same rows: the only category of a wallet is the wallet
as a whole, and where nothing happened before a shorter window began the longer one is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from polyhouse.ledger.columns import Bytes, Ints, binary_cells, differs
from polyhouse.metrics.metric import METRIC_WINDOWS
from polyhouse.models import segments
from polyhouse.models.arrow_columns import binary, lists, whole_numbers
from polyhouse.models.metric_plan import Call
from polyhouse.models.segment_maps import sums_by_key
from polyhouse.models.segments import WHOLE, Flags, Scopes

if TYPE_CHECKING:
    import pyarrow as pa

OVERALL = "overall"
_NO_END = 1 << 31


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a relation, of whole wallets.

    Attributes:
        wallets: n × 20 bytes, each wallet once.
        wallet: per row, its place among them.
        columns: name → Arrow column: ``scope`` (the category), ``at`` and the arguments of calls.
    """

    wallets: Bytes
    wallet: Ints
    columns: dict[str, pa.Array]


def gather(batches: Iterable[pa.RecordBatch]) -> Rows | None:
    """Join record batches whose first column is ``wallet``; None if there is no row."""
    import pyarrow as pa

    arrived = list(batches)
    if not arrived:
        return None
    table = pa.Table.from_batches(arrived).combine_chunks()
    cells = binary_cells(table.column("wallet").combine_chunks())
    first = np.flatnonzero(np.append(True, differs(cells, np.uint32)))
    # Rows of a wallet mostly stand together; where they do not, its parts are found to be the same one.
    wallets, place = np.unique(np.ascontiguousarray(cells[first]).view("V20").ravel(), return_inverse=True)
    wallet = np.repeat(place.astype(np.int64), np.diff(np.append(first, len(cells))))
    columns = {name: table.column(name).combine_chunks() for name in table.column_names if name != "wallet"}
    return Rows(wallets.view(np.uint8).reshape(-1, 20), wallet, columns)


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a build: their names and starts, the shortest first; 0 = from the beginning."""

    names: Sequence[str]
    begins: Sequence[int]

    @staticmethod
    def of(params: Mapping[str, int]) -> Windows:
        """The windows of all metrics, from the parameters of a build."""
        lengths = {name: days or _NO_END for name, days in METRIC_WINDOWS.items()}
        names = sorted(lengths, key=lengths.__getitem__)
        return Windows(names, [params.get(f"b_{name}", 0) for name in names])

    def ages(self, at: Ints) -> Ints:
        """Of each moment the place of the shortest window that holds it."""
        begins = np.array(self.begins[:-1], dtype=np.int64)
        return len(begins) - np.searchsorted(begins[::-1], at, side="left")


def values_of(rows: Rows, calls: dict[str, Call], windows: Windows, *, has_overall: bool, by_window: bool) -> pa.Table:
    """The values: columns ``wallet``, ``scopes``, ``windows`` and those of the calls.

    Numbers of more than 64 bits are fixed-width binaries.

    Args:
        rows: of the relation.
        calls: name of a value → the call.
        windows: of the build.
        has_overall: rows of whole wallets are among the rows, as the category ``overall``.
        by_window: values may depend on the window, not only on its rows.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = pc.dictionary_encode(rows.columns["scope"])
    category = names.indices.to_numpy().astype(np.int64)
    age = windows.ages(_numbers(rows.columns["at"]).astype(np.int64))
    scopes = segments.scopes_of(rows.wallet, category, age, len(windows.names), has_whole=has_overall)
    kept, same = _kept(scopes, by_window=by_window)
    aggregates = _Aggregates(rows, scopes, kept)
    scope = kept // len(windows.names)
    found = {
        "wallet": binary(rows.wallets[scopes.wallet[scope]]),
        "scopes": _scope_names(scopes, scope, names.dictionary),
        "windows": _window_names(windows.names, kept % len(windows.names), same),
    }
    for name, call in calls.items():
        found |= aggregates.of(name, call)
    return pa.table(found)


def _kept(scopes: Scopes, *, by_window: bool) -> tuple[Ints, Ints]:
    """Places in scopes × windows of those with rows, each set of rows once; and how many windows each stands for."""
    lengths = scopes.lengths
    has_rows = lengths > 0
    is_kept = has_rows.copy()
    if not by_window:
        is_kept[:, :-1] &= lengths[:, 1:] != lengths[:, :-1]
    kept = np.flatnonzero(is_kept)
    # The windows with rows up to this one, less those up to the one before it.
    upto = np.cumsum(has_rows, axis=1).ravel()[kept]
    first = np.append(True, np.diff(kept // lengths.shape[1]) > 0)[: len(kept)]
    return kept, np.where(first, upto, upto - np.append(0, upto[:-1])[: len(kept)])


def _scope_names(scopes: Scopes, scope: Ints, known: pa.Array) -> pa.Array:
    """Per kept row the names of the scopes it stands for."""
    import pyarrow as pa

    texts = pa.concat_arrays([known.cast(pa.binary()), pa.array([OVERALL.encode()])])
    both = scopes.is_both[scope].astype(np.int64)
    place = np.where(scopes.category == WHOLE, len(known), scopes.category)[scope]
    values = np.repeat(place, 1 + both)
    starts = np.append(0, np.cumsum(1 + both))
    values[starts[1:][both > 0] - 1] = len(known)
    return lists(starts, texts.take(pa.array(values)))


def _window_names(names: Sequence[str], last: Ints, same: Ints) -> pa.Array:
    """Per kept row the names of its windows: some of them, up to ``last``."""
    import pyarrow as pa

    starts = np.append(0, np.cumsum(same))
    place = np.repeat(last - same + 1 - starts[:-1], same) + np.arange(starts[-1])
    return lists(starts, pa.array([name.encode() for name in names]).take(pa.array(place)))


@dataclass(slots=True)
class _Aggregates:
    """Columns of values of the kept scopes and windows."""

    rows: Rows
    scopes: Scopes
    kept: Ints
    _listed: tuple[Ints, Ints] | None = None
    _known: dict[str, Any] = field(default_factory=dict)

    def of(self, name: str, call: Call) -> dict[str, pa.Array]:
        """The value of one call: a column of its name; of ``sumMap`` one per key and sum, ``<name>_1`` and on."""
        chosen = self._numbers(call.condition) if call.condition else self._numbers("")
        if call.function == "groupArray":
            return {name: self._listing(self.rows.columns[call.columns[0]], chosen)}
        if call.function == "sumMap":
            values = [self._numbers(column) for column in call.columns[1:]]
            keys = self.rows.columns[call.columns[0]]
            made = sums_by_key(keys, values, np.not_equal(chosen, 0), self.scopes, self.kept)
            return {f"{name}_{place + 1}": column for place, column in enumerate(made)}
        found = self._aggregated(call.function, [self._numbers(column) for column in call.columns], chosen)
        width = (self.scopes.lengths.size, *found.shape[2:])
        return {name: whole_numbers(found.reshape(width)[self.kept])}

    def _aggregated(self, function: str, values: list[Any], chosen: Flags) -> Any:
        match function:
            case "count":
                return segments.counts(chosen, self.scopes).astype(np.uint64)
            case "sum":
                return segments.sums(_widened(values[0]), chosen, self.scopes)
            case "sumProduct":
                return segments.sums_of_products([_signed(one) for one in values], chosen, self.scopes)
            case "min":
                return segments.least(values[0], self.scopes)
            case "max":
                return segments.greatest(values[0], self.scopes)
            case "argMax":
                return segments.at_greatest(values[0], values[1], self.scopes)
            case "groupBitOr":
                return segments.any_bits(values[0] * chosen.astype(values[0].dtype), self.scopes)
            case "uniqExact":
                return segments.distinct(_widened(values[0]), chosen, self.scopes).astype(np.uint64)
        raise ValueError(f"no aggregate: {function}")

    def _numbers(self, name: str) -> Any:
        """A column of the rows as NumPy has it, a matrix of 64-bit words where numbers are wider; ones for ''."""
        if name not in self._known:
            made = _numbers(self.rows.columns[name]) if name else np.ones(len(self.rows.wallet), dtype=np.uint8)
            self._known[name] = made
        return self._known[name]

    def _listing(self, values: pa.Array, chosen: Flags) -> pa.Array:
        """The chosen rows' values of each kept scope and window."""
        import pyarrow as pa

        if self._listed is None:
            self._listed = segments.rows_of(self.scopes, self.kept)
        starts, rows = self._listed
        if not chosen.all():
            is_in = np.not_equal(chosen[rows], 0)
            starts = np.append(0, np.cumsum(is_in))[starts]
            rows = rows[is_in]
        return lists(starts, values.take(pa.array(rows)))


def _numbers(column: pa.Array) -> Any:
    import pyarrow as pa

    if pa.types.is_fixed_size_binary(column.type):
        return binary_cells(column).view(np.uint64)
    # A copy, because compiled code is another one for arrays that cannot be written.
    return column.to_numpy(zero_copy_only=False).copy()


def _widened(values: Any) -> Any:
    """Whole numbers of up to 64 bits as those of 64, of the same sign; wider ones as they are."""
    kind = np.uint64 if values.dtype.kind == "u" else np.int64
    return values if values.ndim > 1 else values.astype(kind, copy=False)


def _signed(values: Any) -> Ints:
    """Factors: 64-bit numbers with a sign."""
    if values.ndim > 1 or values.dtype == np.uint64:
        raise ValueError("factors of exact products are signed numbers of up to 64 bits")
    return cast("Ints", values.astype(np.int64, copy=False))
