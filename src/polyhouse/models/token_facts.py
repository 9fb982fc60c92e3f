"""What ``token_map`` knows, as columns: the tokens, conditions and categories that a build names by their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import Bytes, Ints
from polyhouse.ledger.day_series import NO_MARK
from polyhouse.ledger.valuation import TokenFacts
from polyhouse.models.arrow_columns import binary
from polyhouse.models.build import WINDOWS
from polyhouse.ports import Warehouse
from polyhouse.warehouse.streaming import BULK

if TYPE_CHECKING:
    import pyarrow as pa

_MARKS = ("mark_e6", *(f"mark_{window}" for window in WINDOWS))
_COLUMNS = (
    "token, condition, neg_risk_market, toString(category), toString(mark_source), outcome,"
    " numerator, denominator, toUnixTimestamp(resolved_ts), resolved_block, resolved_tx_index, resolved_pos, "
    + ", ".join(f"ifNull({mark}, {NO_MARK})" for mark in _MARKS)
    + ", toUInt8(provisional)"
)
_FIRST_NUMBER, _SETTLEMENT = 5, 6


@dataclass(frozen=True, slots=True)
class KnownTokens:
    """Tokens of ``token_map`` and their names.

    Attributes:
        ids: token ids; a token's place here is its row in ``facts``.
        names: ids of conditions and neg-risk markets, ascending.
        categories: their names, ascending.
        mark_sources: where marks come from: the names.
        mark_source: of each token, a place among them.
        provisional: whether its resolution is not proven.
        facts: the rest.
    """

    ids: pa.Array
    names: pa.Array
    categories: pa.Array
    mark_sources: pa.Array
    mark_source: Ints
    provisional: NDArray[np.bool_]
    facts: TokenFacts

    def places(self, tokens: Bytes) -> Ints:
        """Where these tokens are; −1 = not mapped."""
        return _places(binary(tokens), self.ids)


def places_of(tokens: Bytes, known: Bytes) -> Ints:
    """Where each of these tokens is among the known ones; −1 = nowhere."""
    return _places(binary(tokens), binary(known))


def load_tokens(warehouse: Warehouse, token_map: str) -> KnownTokens:
    """Read all tokens from where ``token_map`` stands in this build."""
    import pyarrow as pa

    sql = f"SELECT {_COLUMNS} FROM {token_map} FINAL {BULK}"
    batches = list(warehouse.query_columns(sql))
    if not batches:
        none, no_text = np.zeros(0, np.int64), pa.array([], type=pa.binary())
        matrices = np.zeros((0, 6), np.int64), np.zeros((0, len(_MARKS)), np.int64)
        return KnownTokens(
            pa.array([], type=pa.binary(32)), no_text, no_text, no_text, none, none > 0,
            TokenFacts(none, none, none, none, *matrices),
        )  # fmt: skip
    table = pa.Table.from_batches(batches).combine_chunks()
    ids, condition, market, category, source = (column.combine_chunks() for column in table.columns[:_FIRST_NUMBER])
    numbers = [column.to_numpy().astype(np.int64) for column in table.columns[_FIRST_NUMBER:]]
    settlement, marks = np.column_stack(numbers[1 : 1 + _SETTLEMENT]), np.column_stack(numbers[1 + _SETTLEMENT : -1])
    # Payout vectors may be scaled (1000000 for 1): the ratio counts, and small numbers keep products small.
    settlement[:, :2] //= np.maximum(np.gcd(settlement[:, 0], settlement[:, 1]), 1)[:, None]
    names, categories, sources = _sorted(condition, market), _sorted(category), _sorted(source)
    has_market = np.array(pa.compute.binary_length(market)) > 0
    facts = TokenFacts(
        _places(condition, names), np.where(has_market, _places(market, names), -1), _places(category, categories),
        numbers[0], settlement, np.asfortranarray(marks),
    )  # fmt: skip
    return KnownTokens(ids, names, categories, sources, _places(source, sources), numbers[-1] > 0, facts)


def _sorted(*columns: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.unique(pa.concat_arrays(columns))
    return values.take(pc.sort_indices(values))


def _places(values: pa.Array, known: pa.Array) -> Ints:
    import pyarrow.compute as pc

    found: Any = pc.index_in(values, value_set=known).fill_null(-1)
    return cast("Ints", found.to_numpy(zero_copy_only=False).astype(np.int64))
