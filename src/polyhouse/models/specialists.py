"""The test of specialists for all wallets at once (definitions: ``metrics/specialists.py``, docs/specialists.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from polyhouse.metrics.specialists import FALSE_DISCOVERIES, SHRINKAGE_EVENTS, TILTS, q_values, upper_tail

if TYPE_CHECKING:
    import pyarrow as pa

_E9 = 1e9
Floats = npt.NDArray[np.float64]


def tested(rows: pa.Table) -> pa.Table:
    """Rows of ``category_specialists`` without the version, from those of ``specialists.sql`` (by category, wallet)."""
    import pyarrow as pa

    events = _numbers(rows, "events")
    edge = (_numbers(rows, "payout_e9") - _numbers(rows, "price_e9")) / _E9
    rest = _numbers(rows, "rest_edge_e9") / _E9
    rest_weight = _numbers(rows, "rest_events") + SHRINKAGE_EVENTS
    others = _numbers(rows, "others_events")
    everybody = np.divide(_numbers(rows, "others_edge_e9") / _E9, others, out=np.zeros(len(rows)), where=others > 0)
    shrunk, rest_shrunk = edge / (events + SHRINKAGE_EVENTS), rest / rest_weight
    earns = _numbers(rows, "net") > 0
    by_luck = np.where(earns, _chances(rows, everybody), 1.0)
    gap = edge / events - rest_shrunk
    variance = _numbers(rows, "spread_e9") / _E9 / events**2 + _numbers(rows, "rest_spread_e9") / _E9 / rest_weight**2
    against_rest = np.array([upper_tail(g, v) for g, v in zip(gap.tolist(), variance.tolist(), strict=True)])
    p_values = np.maximum(by_luck, against_rest)
    categories = rows.column("category").cast(pa.string()).to_pylist()
    q = _by_family(categories, p_values)
    found = (q <= FALSE_DISCOVERIES) & earns & (shrunk > rest_shrunk) & (shrunk > everybody)
    table = pa.table({
        "category": categories, "wallet": rows.column("wallet").combine_chunks(), "is_specialist": found,
        "is_primary": rows.column("is_primary").cast(pa.bool_()),
        "closed": rows.column("closed"), "events": rows.column("events"),
        "stake_share": _numbers(rows, "staked") / _numbers(rows, "staked_all"),
        "bet_share": _numbers(rows, "closed") / _numbers(rows, "closed_all"),
        "edge": edge / events, "edge_shrunk": shrunk,
        "rest_events": rows.column("rest_events").cast(pa.uint32()), "rest_shrunk": rest_shrunk,
        "category_edge": everybody, "net": rows.column("net"), "gains": rows.column("gains"),
        "losses_abs": rows.column("losses_abs"), "p_category": by_luck, "p_rest": against_rest, "p_value": p_values,
        "q_value": q,
    })  # fmt: skip
    table = table.sort_by([("category", "ascending"), ("q_value", "ascending"), ("p_value", "ascending"),
                           ("wallet", "ascending")])  # fmt: skip
    return table.append_column("place", pa.array(_places(table.column("category").to_pylist()), pa.uint32()))


def _chances(rows: pa.Table, everybody: Floats) -> Floats:
    """Chernoff's bound per row: ``metrics.specialists.chance_of`` for all."""
    bounds, slopes = (
        np.asarray(rows.column(name).combine_chunks().flatten()).reshape(len(rows), len(TILTS)) / _E9
        for name in ("bound_e9", "slope_e9")
    )
    won = _numbers(rows, "payout_e9") / _E9
    exponents = won[:, None] * np.array(TILTS) - bounds - np.maximum(everybody, 0)[:, None] * slopes
    found: Floats = np.exp(np.minimum(-exponents.max(axis=1), 0.0))
    return found


def _by_family(categories: list[str], p_values: Floats) -> Floats:
    """q-values, each category a family of its own."""
    q = np.ones(len(p_values))
    names = np.array(categories, dtype=object)
    for name in dict.fromkeys(categories):
        places = np.flatnonzero(names == name)
        q[places] = q_values(p_values[places].tolist())
    return q


def _places(categories: list[str]) -> list[int]:
    places: list[int] = []
    for number, name in enumerate(categories):
        same = number and categories[number - 1] == name
        places.append(places[-1] + 1 if same else 1)
    return places


def _numbers(rows: pa.Table, name: str) -> Any:
    return rows.column(name).to_numpy().astype(np.float64)
