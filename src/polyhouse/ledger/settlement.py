"""Splits and merges that only settle a match inside an exchange (accounting §§2.1, 2.6), found for whole batches."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from polyhouse.domain import contracts
from polyhouse.domain.log_columns import Ints, LogColumns, Ragged, byte_list
from polyhouse.ledger.logs import FULL_PARTITION, ZERO_HASH
from polyhouse.ledger.move_columns import Moves
from polyhouse.ledger.registry import RELAYS, Registry
from polyhouse.ledger.trade_table import Mask, head_of, heads_of

_COLLATERALS = frozenset({contracts.USDC_E, contracts.WCOL})


class _Step(NamedTuple):
    """A movement between a relay and somebody else; mints and burns do not count."""

    log_index: int
    party: bytes
    token: bytes


class Relays:
    """What adapters received and passed on, per transaction and adapter.

    Args:
        moves: all movements of the batch.
    """

    def __init__(self, moves: Moves) -> None:
        self._out = _steps(moves, moves.sender, moves.to)
        self._in = _steps(moves, moves.to, moves.sender)

    def inside(self, tx_id: int, relay: bytes, tokens: tuple[bytes, ...], log_index: int, *, splits: bool) -> bool:
        """True if an exchange certainly stood behind a relay's event: nobody else dealt with the relay in the
        transaction, and an exchange did so for one of the event's tokens on the right side of the event.
        """
        steps = (self._out if splits else self._in).get((tx_id, relay), [])
        return all(step.party in contracts.EXCHANGES for step in steps) and any(
            step.token in tokens and (step.log_index > log_index) == splits for step in steps
        )


def _steps(moves: Moves, relays: np.ndarray, others: np.ndarray) -> dict[tuple[int, bytes], list[_Step]]:
    """Movements at which a relay took part, by transaction and relay."""
    heads = np.array([head_of(address) for address in RELAYS], np.uint64)
    rows = np.flatnonzero(np.isin(heads_of(relays), heads))
    columns = (
        moves.tx_id[rows].tolist(), byte_list(relays[rows]), moves.log_index[rows].tolist(), byte_list(others[rows]),
        byte_list(moves.token[rows]),
    )  # fmt: skip
    found: defaultdict[tuple[int, bytes], list[_Step]] = defaultdict(list)
    for tx_id, relay, log_index, party, token in zip(*columns, strict=True):
        if party != contracts.ZERO:
            found[tx_id, relay].append(_Step(log_index, party, token))
    return dict(found)


def settled_inside(part: LogColumns, tx_id: Ints, relays: Relays, registry: Registry) -> Mask:
    """Which splits or merges are nobody's: of machinery that is no adapter, or of an adapter that served an exchange.

    Args:
        part: splits or merges of one kind.
        tx_id: their transaction numbers.
        relays: the adapters' movements.
        registry: known conditions, and who is machinery.
    """
    splits, is_ctf = part.kind.endswith("split"), part.kind.startswith("ctf")
    ours = _is_ours(part) if is_ctf else np.ones(len(part), np.bool_)
    rows = zip(
        byte_list(part.ids("stakeholder")), byte_list(part.ids("condition")), tx_id.tolist(), part.log_index.tolist(),
        ours.tolist(), strict=True,
    )  # fmt: skip
    return np.array(
        [
            relays.inside(number, actor, registry.tokens_of.get(condition, ()), log_index, splits=splits) and accepted
            if registry.is_relay(actor)
            else registry.is_infra(actor)
            for actor, condition, number, log_index, accepted in rows
        ],
        np.bool_,
    )


def _is_ours(part: LogColumns) -> Mask:
    """CTF events with collateral, parent and partition of Polymarket."""
    partition = part.fields["partition"]
    assert isinstance(partition, Ragged)
    items, starts = partition.values.tolist(), partition.starts.tolist()
    return np.array(
        [
            collateral in _COLLATERALS and parent == ZERO_HASH and tuple(sorted(items[start:end])) == FULL_PARTITION
            for collateral, parent, start, end in zip(
                byte_list(part.ids("collateral")), byte_list(part.ids("parent")), starts, starts[1:], strict=False
            )
        ],
        np.bool_,
    )
