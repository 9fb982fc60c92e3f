"""Arguments of metrics that look at other rows of their wallet, on columns.

The model files define them by window functions of the engine, for whoever explains a number. To compute those the
engine puts whole rows in order, with every column of them: half of the time of reading ``fills``. Here only the times
are put in order. A test holds both equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from polyhouse.ledger.columns import Ints

if TYPE_CHECKING:
    import pyarrow as pa

    from polyhouse.models.metric_values import Rows

_SECOND_BITS = 32
_DAY_SECONDS = 86_400
_NEVER = -1

Made = Callable[["Rows", int], "pa.Array"]


def in_memory(relation: str) -> Mapping[str, Made]:
    """Expression → what makes its column from the rows of a relation and the end of all windows (Unix seconds)."""
    return _MADE.get(relation, {})


def gaps(wallet: Ints, at: Ints) -> Ints:
    """Seconds since each row's wallet was last seen in an earlier second; −1 = never.

    Args:
        wallet: per row, from 0. at: per row, Unix seconds.
    """
    key = (wallet << _SECOND_BITS) | at
    order = np.argsort(key)
    in_order = key[order]
    is_new = np.append(True, in_order[1:] != in_order[:-1])[: len(key)]
    moments = in_order[is_new]
    step = np.append(0, np.diff(moments))[: len(moments)]
    # Between two moments of one wallet lie no more seconds than the lower half of the key holds.
    is_first = np.append(True, moments[1:] >> _SECOND_BITS != moments[:-1] >> _SECOND_BITS)[: len(moments)]
    found = np.empty(len(key), dtype=np.int64)
    found[order] = np.where(is_first, _NEVER, step)[np.cumsum(is_new) - 1]
    return found


def days_since_first(wallet: Ints, category: Ints, at: Ints, as_of: int) -> Ints:
    """How many days before the last one lies the first row of each row's wallet and category.

    Args:
        wallet: per row, from 0. category: per row, from 0. at: per row, Unix seconds.
        as_of: a moment of the last day, Unix seconds.
    """
    scope = wallet * (int(category.max(initial=0)) + 1) + category
    first = np.full(int(scope.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, scope, at)
    return cast("Ints", as_of // _DAY_SECONDS - first[scope] // _DAY_SECONDS)


def _gaps(rows: Rows, _as_of: int) -> pa.Array:
    import pyarrow as pa

    return pa.array(gaps(rows.wallet, _at(rows)))


def _has_gap(rows: Rows, as_of: int) -> pa.Array:
    import pyarrow as pa

    return pa.array((_gaps(rows, as_of).to_numpy() != _NEVER).astype(np.uint8))


def _first_ago(rows: Rows, as_of: int) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    category = pc.dictionary_encode(rows.columns["scope"]).indices.to_numpy().astype(np.int64)
    return pa.array(days_since_first(rows.wallet, category, _at(rows), as_of))


def _at(rows: Rows) -> Ints:
    return cast("Ints", rows.columns["at"].to_numpy(zero_copy_only=False).astype(np.int64))


_MADE: Mapping[str, Mapping[str, Made]] = {
    "fills": {"gap": _gaps, "toUInt8(gap >= 0)": _has_gap},
    "days": {"first_ago": _first_ago},
}
