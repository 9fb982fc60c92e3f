"""ERC-1155 movements of a batch as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyhouse.domain.log_columns import Bytes, Ints, LogColumns, Ragged
from polyhouse.ledger.trade_table import heads_of, join_ints, stack


@dataclass(slots=True)
class Moves:
    """One row per moved token: transaction number, log index, parties, token, micro-shares."""

    tx_id: Ints
    log_index: Ints
    sender: Bytes
    to: Bytes
    token: Bytes
    amount: Ints


def moves_of(columns: Mapping[str, LogColumns], transaction_heads: npt.NDArray[np.uint64]) -> Moves:
    """All movements among ``columns`` (kind → columns).

    Args:
        columns: the transfers are read.
        transaction_heads: sorted first halves of the batch's transaction hashes; a transaction's number is its place.
    """
    found = [_moves(columns[kind]) for kind in ("transfer_single", "transfer_batch") if kind in columns]
    heads = np.concatenate([heads for heads, _ in found]) if found else np.zeros(0, np.uint64)
    parts = [part for _, part in found]
    return Moves(
        np.searchsorted(transaction_heads, heads),
        join_ints([part.log_index for part in parts]),
        stack([part.sender for part in parts], 20),
        stack([part.to for part in parts], 20),
        stack([part.token for part in parts], 32),
        join_ints([part.amount for part in parts]),
    )


def _moves(part: LogColumns) -> tuple[npt.NDArray[np.uint64], Moves]:
    """Movements of one kind of transfer, and the first halves of their transactions; ``tx_id`` is filled in later."""
    sender, to = part.ids("sender"), part.ids("to")
    if part.kind == "transfer_single":
        return heads_of(part.tx), Moves(
            part.log_index, part.log_index, sender, to, part.ids("token"), part.ints("amount")
        )
    tokens, amounts = part.fields["tokens"], part.fields["amounts"]
    assert isinstance(tokens, Ragged)
    assert isinstance(amounts, Ragged)
    each = np.repeat(np.arange(len(part)), np.diff(tokens.starts))
    place = part.log_index[each]
    return heads_of(part.tx)[each], Moves(place, place, sender[each], to[each], tokens.values, amounts.values)
