"""All trade logs of a batch in one table of arrays, decoded as accounting §1.3 says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyhouse.domain.log_columns import Bytes, Ints, LogColumns

Mask = npt.NDArray[np.bool_]
V1, V2, MATCHED, REFUND = range(4)
KIND_NAMES = ("order_filled_v1", "order_filled_v2", "orders_matched", "fee_refunded")


@dataclass(slots=True)
class TradeTable:
    """One row per log.

    Attributes:
        kind: V1, V2, MATCHED or REFUND.
        heads: first eight bytes of ``tx`` as a number that sorts like the bytes.
        tx_id: the transaction's number in this batch; ``transactions`` is how many there are.
        first_log: transaction number → its first log index.
        odd: rows whose transaction repeats or contradicts itself, or cannot be told from another one.
        emitter: the exchange; ``exchange`` is its number in this batch.
        order: order hash; ``maker``, ``taker``, ``token``, ``buy``, ``making``, ``taking``: of a fill, zero for the
            other kinds; ``decodable``: exactly one V1 asset is collateral, a V2 side is 0 or 1.
        fee: of a fill as its log says; of a ``FeeRefunded`` what was given back.
    """

    kind: Ints
    tx: Bytes
    heads: npt.NDArray[np.uint64]
    block: Ints
    tx_index: Ints
    log_index: Ints
    ts: Ints
    tx_id: Ints
    transactions: int
    first_log: Ints
    odd: Mask
    emitter: Bytes
    exchange: Ints
    order: Bytes
    maker: Bytes
    taker: Bytes
    token: Bytes
    buy: Mask
    decodable: Mask
    making: Ints
    taking: Ints
    fee: Ints

    @property
    def is_v1(self) -> Mask:
        """Fills of the first exchanges."""
        old: Mask = self.kind == V1
        return old

    @property
    def is_fill(self) -> Mask:
        """``OrderFilled`` rows of any version."""
        fills: Mask = self.kind <= V2
        return fills

    @property
    def is_refund(self) -> Mask:
        """``FeeRefunded`` rows."""
        refunds: Mask = self.kind == REFUND
        return refunds


def trade_table(columns: Mapping[str, LogColumns]) -> TradeTable:
    """The trade logs among ``columns`` (kind → columns)."""
    chosen = [columns[name] for name in KIND_NAMES if name in columns and len(columns[name])]
    kind = np.repeat(np.array([KIND_NAMES.index(part.kind) for part in chosen], np.int64), list(map(len, chosen)))
    tx = stack([part.tx for part in chosen], 32)
    block = join_ints([part.block for part in chosen])
    tx_index = join_ints([part.tx_index for part in chosen])
    log_index = join_ints([part.log_index for part in chosen])
    heads = heads_of(tx)
    tx_id, first_log, odd = number_transactions(tx, heads, block, tx_index, log_index)
    emitter = stack([part.emitter for part in chosen], 20)
    exchange, alike = _numbered(emitter)
    fills = [_fill(part) for part in chosen]
    return TradeTable(
        kind, tx, heads, block, tx_index, log_index, join_ints([part.ts for part in chosen]), tx_id, len(first_log),
        first_log, odd | alike, emitter, exchange, stack([part.ids("order") for part in chosen], 32),
        stack([fill.maker for fill in fills], 20), stack([fill.taker for fill in fills], 20),
        stack([fill.token for fill in fills], 32), _join_masks([fill.buy for fill in fills]),
        _join_masks([fill.decodable for fill in fills]), join_ints([fill.making for fill in fills]),
        join_ints([fill.taking for fill in fills]), join_ints([fill.fee for fill in fills]),
    )  # fmt: skip


@dataclass(slots=True)
class _Fill:
    maker: Bytes
    taker: Bytes
    token: Bytes
    buy: Mask
    decodable: Mask
    making: Ints
    taking: Ints
    fee: Ints


def _fill(part: LogColumns) -> _Fill:
    """The fields of one kind's logs; zeros for what is no fill."""
    count = len(part)
    if part.kind not in ("order_filled_v1", "order_filled_v2"):
        nothing, none = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        nobody = np.zeros((count, 20), np.uint8)
        fee = part.ints("refund") if part.kind == "fee_refunded" else nothing
        return _Fill(nobody, nobody, np.zeros((count, 32), np.uint8), none, none, nothing, nothing, fee)
    if part.kind == "order_filled_v1":
        gives, gets = part.ids("maker_asset"), part.ids("taker_asset")
        buy, sell = _is_zero(gives), _is_zero(gets)
        decodable = buy != sell
        token = np.where(buy[:, None], gets, gives)
    else:
        side, token = part.ints("side"), part.ids("token")
        buy = side == 0
        decodable = ((side == 0) | (side == 1)) & ~_is_zero(token)
    return _Fill(
        part.ids("maker"),
        part.ids("taker"),
        token,
        buy,
        decodable,
        part.ints("maker_amount"),
        part.ints("taker_amount"),
        part.ints("fee"),
    )


def number_transactions(
    tx: Bytes, heads: npt.NDArray[np.uint64], block: Ints, tx_index: Ints, log_index: Ints
) -> tuple[Ints, Ints, Mask]:
    """Transaction number of each row (in the order of ``heads``), first log index of each transaction, and the rows
    that repeat or contradict others, or cannot be told from another transaction.
    """
    count = len(heads)
    order = np.lexsort((log_index, heads))
    new = np.ones(count, np.bool_)
    new[1:] = heads[order][1:] != heads[order][:-1]
    same = ~new[1:]
    here, before = order[1:], order[:-1]
    clash = same & (
        (tx[here] != tx[before]).any(axis=1)
        | (block[here] != block[before])
        | (tx_index[here] != tx_index[before])
        | (log_index[here] == log_index[before])
    )
    tx_id = np.empty(count, np.int64)
    tx_id[order] = np.cumsum(new) - 1
    odd = np.zeros(count, np.bool_)
    odd[here[clash]] = True
    return tx_id, log_index[order[new]], odd


def _numbered(addresses: Bytes) -> tuple[Ints, Mask]:
    """A number per address, told by their first eight bytes, and the rows that share them with another address."""
    _, first, codes = np.unique(heads_of(addresses), return_index=True, return_inverse=True)
    if len(addresses) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    return codes.astype(np.int64), (addresses != addresses[first[codes]]).any(axis=1)


def heads_of(ids: Bytes) -> npt.NDArray[np.uint64]:
    """The first eight bytes as a number that sorts like the bytes."""
    return np.ascontiguousarray(ids[:, :8]).view(">u8").ravel().astype(np.uint64)


def head_of(raw: bytes) -> int:
    """The same for one id."""
    return int.from_bytes(raw[:8], "big")


def _is_zero(ids: Bytes) -> Mask:
    limbs = np.ascontiguousarray(ids).view(np.uint64)
    zero: Mask = (limbs[:, 0] | limbs[:, 1] | limbs[:, 2] | limbs[:, 3]) == 0
    return zero


def stack(parts: list[Bytes], width: int) -> Bytes:
    """Id matrices one below the other."""
    return np.concatenate(parts) if parts else np.zeros((0, width), np.uint8)


def join_ints(parts: list[Ints]) -> Ints:
    """Columns one below the other."""
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _join_masks(parts: list[Mask]) -> Mask:
    return np.concatenate(parts) if parts else np.zeros(0, np.bool_)
