"""Columns of decoded logs → ``DecodedLog`` objects for the row-wise rules, a few thousand at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise, repeat
from typing import Any

import numpy as np

from polyhouse.domain import logs as types
from polyhouse.domain.log_columns import Ints, LogColumns, Ragged, byte_list
from polyhouse.domain.logs import DecodedLog

_CHUNK = 4_096
_Values = Iterable[Any]
_Build = Callable[[LogColumns], Iterator[DecodedLog]]


def to_logs(columns: Mapping[str, LogColumns]) -> Iterator[DecodedLog]:
    """The logs that move money or shares, in (block, log index) order, built as they are asked for.

    Args:
        columns: kind → columns; kinds that only describe markets are passed over.
    """
    parts = [part for kind, part in columns.items() if kind in _BUILDERS and len(part)]
    if not parts:
        return
    orders = [np.lexsort((part.log_index, part.block)) for part in parts]
    sources = [_objects(part, order) for part, order in zip(parts, orders, strict=True)]
    block = np.concatenate([part.block for part in parts])
    log_index = np.concatenate([part.log_index for part in parts])
    kind = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    # Within a kind this order is the kind's own one, so the next object of the kind is always the right one.
    for number in kind[np.lexsort((log_index, block))].tolist():
        yield next(sources[number])


def _objects(part: LogColumns, order: Ints) -> Iterator[DecodedLog]:
    build = _BUILDERS[part.kind]
    for start in range(0, len(order), _CHUNK):
        yield from build(part.take(order[start : start + _CHUNK]))


def _values(part: LogColumns, name: str) -> _Values:
    """A field as Python values: bytes, ints, tuples of them."""
    if name == "emitter":
        return byte_list(part.emitter)
    column = part.fields[name]
    if isinstance(column, Ragged):
        items = byte_list(column.values) if column.values.dtype == np.uint8 else column.values.tolist()
        starts = column.starts.tolist()
        return [tuple(items[a:b]) for a, b in pairwise(starts)]
    values: list[Any] = byte_list(column) if column.dtype == np.uint8 else column.tolist()
    return values


def _build(part: LogColumns, make: Callable[..., DecodedLog], values: Iterable[_Values]) -> Iterator[DecodedLog]:
    places = (part.block.tolist(), part.tx_index.tolist(), part.log_index.tolist(), part.ts.tolist())
    return map(make, byte_list(part.tx), *places, *values)


def _plain(make: Callable[..., DecodedLog], names: str, *constants: Any) -> _Build:
    """A builder for events whose fields are the type's own, after some constants."""

    def build(part: LogColumns) -> Iterator[DecodedLog]:
        values = [_values(part, name) for name in names.split()]
        return _build(part, make, [*map(repeat, constants), *values])

    return build


def _transfer_single(part: LogColumns) -> Iterator[DecodedLog]:
    moves = zip(zip(_values(part, "token"), _values(part, "amount"), strict=True), strict=True)
    return _build(part, types.Transfer, (_values(part, "sender"), _values(part, "to"), moves))


def _transfer_batch(part: LogColumns) -> Iterator[DecodedLog]:
    pairs = zip(_values(part, "tokens"), _values(part, "amounts"), strict=True)
    moves = (tuple(zip(*pair, strict=True)) for pair in pairs)
    return _build(part, types.Transfer, (_values(part, "sender"), _values(part, "to"), moves))


def _ctf_redemption(part: LogColumns) -> Iterator[DecodedLog]:
    names = ("redeemer", "condition", "payout", "index_sets")
    tail = (repeat(()), _values(part, "collateral"), _values(part, "parent"))
    return _build(part, types.PayoutRedemption, (repeat("CTF"), *(_values(part, name) for name in names), *tail))


def _nra_redemption(part: LogColumns) -> Iterator[DecodedLog]:
    names = ("redeemer", "condition", "payout")
    values = (*(_values(part, name) for name in names), repeat(()), _values(part, "amounts"))
    return _build(part, types.PayoutRedemption, (repeat("NRA"), *values))


def _converted(part: LogColumns) -> Iterator[DecodedLog]:
    index_sets = (int.from_bytes(word, "big") for word in _values(part, "index_set"))
    values = (_values(part, "stakeholder"), _values(part, "market"), index_sets, _values(part, "amount"))
    return _build(part, types.PositionsConverted, values)


_CHANGE = "stakeholder condition amount collateral parent partition"
_BUILDERS: dict[str, _Build] = {
    "order_filled_v1": _plain(
        types.OrderFilledV1, "emitter order maker taker maker_asset taker_asset maker_amount taker_amount fee"
    ),
    "order_filled_v2": _plain(
        types.OrderFilledV2, "emitter order maker taker side token maker_amount taker_amount fee"
    ),
    "orders_matched": _plain(types.OrdersMatched, "emitter order"),
    "fee_refunded": _plain(types.FeeRefunded, "order to asset refund charged"),
    "ctf_split": _plain(types.PositionSplit, _CHANGE, "CTF"),
    "ctf_merge": _plain(types.PositionsMerge, _CHANGE, "CTF"),
    "ctf_redemption": _ctf_redemption,
    "nra_split": _plain(types.PositionSplit, "stakeholder condition amount", "NRA"),
    "nra_merge": _plain(types.PositionsMerge, "stakeholder condition amount", "NRA"),
    "nra_redemption": _nra_redemption,
    "positions_converted": _converted,
    "condition_resolved": _plain(types.ConditionResolution, "condition numerators"),
    "transfer_single": _transfer_single,
    "transfer_batch": _transfer_batch,
    "fpmm_buy": _plain(types.FpmmBuy, "emitter buyer investment fee outcome tokens"),
    "fpmm_sell": _plain(types.FpmmSell, "emitter seller returned fee outcome tokens"),
    "fpmm_funding_added": _plain(types.FpmmFundingAdded, "emitter funder amounts shares"),
    "fpmm_funding_removed": _plain(types.FpmmFundingRemoved, "emitter funder amounts fees shares"),
}  # fmt: skip
"""One builder per kind with status ``ledger``."""
KINDS = frozenset(_BUILDERS)
