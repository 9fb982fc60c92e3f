"""The fill rules (accounting §§1.3–1.9) for whole columns of trade logs at once.

Whole transactions are decided here as long as nothing about them is out of the ordinary. A test in doubt may only ever
send a transaction to the row-wise rules, never keep it here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polyhouse.domain import contracts
from polyhouse.domain.log_columns import Bytes, Ints, byte_list
from polyhouse.ledger.registry import NO_OUTCOME, Registry
from polyhouse.ledger.trade_table import MATCHED, Mask, TradeTable, head_of, heads_of
from polyhouse.tables import Columns

EXACT = 2**52
"""Amounts from here on are added up row by row: sums of a match stay far below 2⁶³."""
_MAX_GROUP = 1_000
_PRODUCT = float(2**62)
_ZERO20 = bytes(20)
_ZERO32 = bytes(32)
_KINDS = np.array(["SELL", "BUY"], object)
_ROLES = np.array(["DIRECT", "MAKER", "TAKER"], object)
_MATCH_TYPES = np.array(["", "COMPLEMENTARY", "MINT", "MERGE"], object)
_FEE_ASSETS = np.array(["usdc", "shares"], object)
_DIRECT, _MAKER, _TAKER = range(3)
_COMPLEMENTARY, _MINT, _MERGE = 1, 2, 3


@dataclass(slots=True)
class Fills:
    """The fills that are decided here: row numbers of the table, and what was found out about them."""

    rows: Ints
    role: Ints
    match_type: Ints
    match_pos: Ints
    counterparty: Bytes
    refund: Ints

    def take(self, chosen: Mask) -> Fills:
        """Some of them."""
        return Fills(
            self.rows[chosen],
            self.role[chosen],
            self.match_type[chosen],
            self.match_pos[chosen],
            self.counterparty[chosen],
            self.refund[chosen],
        )


def decide(table: TradeTable, registry: Registry, odd: Mask) -> tuple[Mask, Fills]:
    """The log rows that must go row-wise, and everything about the others.

    Args:
        table: all trade logs of a batch.
        registry: exchange addresses and machinery.
        odd: log rows whose transaction is already known to need the row-wise rules.
    """
    odd = odd | table.odd | (table.is_fill & ~table.decodable)
    odd |= (table.making >= EXACT) | (table.taking >= EXACT) | (table.fee >= EXACT)
    odd |= table.is_fill & (table.making == 0) & (table.taking == 0)
    # Addresses are compared by their first half at first: a false alarm only takes the slower road.
    infra = np.array(sorted({head_of(address) for address in registry.infra}), np.uint64)
    odd |= table.is_fill & np.isin(heads_of(table.maker), infra)
    exchanges = _codes(table.emitter, table.exchange)
    known = np.array([bool(registry.exchange_symbol(address)) for address in exchanges], np.bool_)
    odd |= table.is_fill & ~known[table.exchange]
    by_exchange = _is_exchange(table.taker)

    order = np.lexsort((table.log_index, table.exchange, table.tx_id))
    order = order[~table.is_refund[order]]
    role = np.zeros(len(odd), np.int64)
    match_type = np.zeros(len(odd), np.int64)
    match_pos = np.zeros(len(odd), np.int64)
    refund = np.zeros(len(odd), np.int64)
    counterparty = np.zeros((len(odd), 20), np.uint8)
    if len(order):
        _settle(table, order, by_exchange, odd, role, match_type, match_pos, counterparty, refund)
    if table.is_refund.any():
        _give_back(table, odd)
    slow = np.zeros(table.transactions, np.bool_)
    slow[table.tx_id[odd]] = True
    slow_rows = slow[table.tx_id]
    rows = np.flatnonzero(table.is_fill & ~slow_rows)
    first = table.first_log[table.tx_id[rows]]
    rows = rows[np.lexsort((table.log_index[rows], table.heads[rows], first, table.tx_index[rows], table.block[rows]))]
    return slow_rows, Fills(rows, role[rows], match_type[rows], match_pos[rows], counterparty[rows], refund[rows])


def _settle(
    table: TradeTable,
    order: Ints,
    by_exchange: Mask,
    odd: Mask,
    role: Ints,
    match_type: Ints,
    match_pos: Ints,
    counterparty: Bytes,
    refund: Ints,
) -> None:
    """Roles, match types, counterparties and refunds (accounting §§1.4, 1.5, 1.9) into the given arrays.

    ``order`` sorts the log rows by transaction, exchange and log index: a match is a run of fills up to and with its
    ``OrdersMatched``.
    """
    ends_match = table.kind[order] == MATCHED
    tx, exchange = table.tx_id[order], table.exchange[order]
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (tx[1:] != tx[:-1]) | (exchange[1:] != exchange[:-1]) | ends_match[:-1]
    first = np.flatnonzero(starts)
    group = np.cumsum(starts) - 1
    end = np.append(first[1:], len(order)) - 1
    matched = ends_match[end]
    in_match = matched[group]

    ours = table.order[order]
    theirs = ours[end][group]
    candidate = in_match & ~ends_match & by_exchange[order] & (ours == theirs).all(axis=1)
    candidates = np.add.reduceat(candidate.astype(np.int64), first)
    at = np.maximum.reduceat(np.where(candidate, np.arange(len(order)), -1), first)
    taker = order[np.maximum(at, 0)][group]

    maker_row = in_match & ~ends_match & (np.arange(len(order)) != at[group])
    buys, taker_buys = table.buy[order], table.buy[taker]
    gave, took = table.making[order], table.taking[order]
    types = np.where(buys != taker_buys, _COMPLEMENTARY, np.where(taker_buys, _MINT, _MERGE))
    need = np.where(types == _COMPLEMENTARY, took, np.where(types == _MINT, took - gave, gave))
    got = np.where(types == _COMPLEMENTARY, gave, np.where(types == _MINT, took, gave - took))
    need = np.add.reduceat(np.where(maker_row, need, 0), first)
    got = np.add.reduceat(np.where(maker_row, got, 0), first)
    makers = np.add.reduceat(maker_row.astype(np.int64), first)
    taker_of_group = order[np.maximum(at, 0)]
    back = np.where(makers > 0, table.making[taker_of_group] - need, 0)
    unbalanced = (makers > 0) & ((back < 0) | (got != table.taking[taker_of_group]))
    strange = matched & ((candidates != 1) | unbalanced | (makers > _MAX_GROUP))
    itself = maker_row & (table.maker[order] == table.maker[taker]).all(axis=1)
    odd[order[strange[group] | itself]] = True

    role[order] = np.where(maker_row, _MAKER, np.where(in_match, _TAKER, _DIRECT))
    match_type[order] = np.where(maker_row, types, 0)
    match_pos[order] = np.where(in_match, table.log_index[order][end][group], 0)
    counterparty[order[maker_row]] = table.maker[taker[maker_row]]
    settled = candidates == 1
    refund[taker_of_group[settled]] = back[settled]


def _give_back(table: TradeTable, odd: Mask) -> None:
    """Subtract fee refunds from the fees in ``table`` (accounting §1.8).

    Plain cases only: one fill with a fee and one refund for an order in its transaction. However they are paired, the
    result is the same; an order that was filled or refunded twice is left to the row-wise rules.
    """
    rows = np.flatnonzero(table.is_refund | (table.is_fill & (table.fee > 0)))
    rows = rows[np.lexsort((table.is_refund[rows], heads_of(table.order[rows]), table.tx_id[rows]))]
    heads, tx_id, refunds = heads_of(table.order[rows]), table.tx_id[rows], table.is_refund[rows]
    starts = np.ones(len(rows), np.bool_)
    starts[1:] = (heads[1:] != heads[:-1]) | (tx_id[1:] != tx_id[:-1])
    first = np.flatnonzero(starts)
    count = np.add.reduceat(refunds.astype(np.int64), first)
    size = np.diff(np.append(first, len(rows)))
    plain = (size == 2) & (count == 1)
    fills, given = rows[first[plain]], rows[first[plain] + 1]
    fits = (table.order[fills] == table.order[given]).all(axis=1) & (table.fee[fills] >= table.fee[given])
    table.fee[fills[fits]] -= table.fee[given[fits]]
    odd[given[~fits]] = True
    strange = (count > 0) & ~plain
    odd[rows[strange[np.cumsum(starts) - 1]]] = True


def observation_columns(table: TradeTable, fills: Fills, registry: Registry) -> Columns:
    """Columns of table ``observations``: net amounts (tables of accounting §§1.3 and 1.8) and all others."""
    rows = fills.rows
    buy, v1 = table.buy[rows], table.is_v1[rows]
    making, taking, fee = table.making[rows], table.taking[rows], table.fee[rows]
    shares, usdc = np.where(buy, taking, making), np.where(buy, making, taking)
    refund_usdc, refund_shares = np.where(buy, fills.refund, 0), np.where(buy, 0, fills.refund)
    in_shares = buy & v1
    tokens = byte_list(table.token[rows])
    unknown = (b"", NO_OUTCOME)
    places = [registry.place_of.get(token, unknown) for token in tokens]
    symbols = np.array([registry.exchange_symbol(a) for a in _codes(table.emitter, table.exchange)], object)
    count = len(rows)
    return {
        "wallet": byte_list(table.maker[rows]),
        "kind": _KINDS[buy.astype(np.int64)].tolist(),
        "tx": byte_list(table.tx[rows]),
        "block": table.block[rows].tolist(),
        "tx_index": table.tx_index[rows].tolist(),
        "pos": table.log_index[rows].tolist(),
        "ts": table.ts[rows].tolist(),
        "token": tokens,
        "condition": [place[0] for place in places],
        "outcome": [place[1] for place in places],
        "shares": net_shares(table, fills).tolist(),
        "cash": (usdc - refund_usdc + np.where(in_shares, 0, np.where(buy, fee, -fee))).tolist(),
        "shares_gross": shares.tolist(),
        "usdc_gross": usdc.tolist(),
        "fee_net": fee.tolist(),
        "fee_asset": _FEE_ASSETS[in_shares.astype(np.int64)].tolist(),
        "fee_usdc": np.where(in_shares, _fee_value(np.where(in_shares, fee, 0), usdc, shares), fee).tolist(),
        "refund_usdc": refund_usdc.tolist(),
        "refund_shares": refund_shares.tolist(),
        "role": _ROLES[fills.role].tolist(),
        "match_type": _MATCH_TYPES[fills.match_type].tolist(),
        "match_pos": fills.match_pos.tolist(),
        "counterparty": byte_list(fills.counterparty),
        "order_hash": byte_list(table.order[rows]),
        "exchange": symbols[table.exchange[rows]].tolist() if count else [],
        "flags": [""] * count,
        "sub": [0] * count,
        "index_set": [_ZERO32] * count,
        "amounts": [()] * count,
        "label": [""] * count,
        "source": ["chain"] * count,
    }


def net_shares(table: TradeTable, fills: Fills) -> Ints:
    """Shares that changed hands per fill, after the taker's refund and a fee taken in shares."""
    buy, v1 = table.buy[fills.rows], table.is_v1[fills.rows]
    gross = np.where(buy, table.taking[fills.rows], table.making[fills.rows])
    net: Ints = gross - np.where(buy, np.where(v1, table.fee[fills.rows], 0), fills.refund)
    return net


def _fee_value(fee: Ints, usdc: Ints, shares: Ints) -> Ints:
    """``floor(fee · usdc / shares)``, 0 for no shares, exact where the product leaves 63 bits."""
    value = fee * usdc // np.maximum(shares, 1)
    value[shares == 0] = 0
    large = (fee.astype(np.float64) * usdc.astype(np.float64) >= _PRODUCT) & (shares > 0)
    for row in np.flatnonzero(large).tolist():
        value[row] = int(fee[row]) * int(usdc[row]) // int(shares[row])
    return value


def _codes(addresses: Bytes, codes: Ints) -> list[bytes]:
    """Address of each code."""
    _, first = np.unique(codes, return_index=True)
    return byte_list(addresses[first])


def _is_exchange(addresses: Bytes) -> Mask:
    """Rows whose address is an exchange of ours."""
    heads = np.array([head_of(address) for address in contracts.EXCHANGES], np.uint64)
    maybe = np.flatnonzero(np.isin(heads_of(addresses), heads))
    result = np.zeros(len(addresses), np.bool_)
    result[maybe] = [address in contracts.EXCHANGES for address in byte_list(addresses[maybe])]
    return result
