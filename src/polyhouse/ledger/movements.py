"""ERC-1155 movements of one transaction, and who stood behind an adapter's event (accounting §2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from polyhouse.domain.contracts import ZERO
from polyhouse.ledger.logs import DecodedLog, Transfer
from polyhouse.ledger.registry import Registry


class Movement(NamedTuple):
    """``amount`` micro-shares of ``token`` from ``sender`` to ``to``; mints and burns have the zero address."""

    log_index: int
    sender: bytes
    to: bytes
    token: bytes
    amount: int


class Movements:
    """The transfers of one transaction in log order.

    Args:
        logs: all logs of the transaction in log order; other kinds are passed over.
        registry: tells adapters from wallets.
    """

    def __init__(self, logs: Sequence[DecodedLog], registry: Registry) -> None:
        self.items = [
            Movement(log.log_index, log.sender, log.to, token, amount)
            for log in logs
            if type(log) is Transfer
            for token, amount in log.moves
        ]
        self._registry = registry

    def receiver(self, adapter: bytes, token: bytes, after: int) -> Movement | None:
        """The movement by which what ``adapter`` held after a log left it for good: the first one onwards, through
        further adapters. Burns do not count. None if there is none.
        """
        holder, position = adapter, after
        while True:
            step = next(
                (
                    m
                    for m in self.items
                    if m.log_index > position and m.sender == holder and m.token == token and m.to != ZERO
                ),
                None,
            )
            if step is None or not self._registry.is_relay(step.to):
                return step
            holder, position = step.to, step.log_index

    def origin(self, adapter: bytes, token: bytes, before: int, since: int = -1) -> Movement | None:
        """The movement by which ``token`` set out to ``adapter``: the last one before a log, followed back through
        further adapters. Mints do not count, nor does anything up to log ``since``. None if there is none.
        """
        holder, position = adapter, before
        while True:
            step = next(
                (
                    m
                    for m in reversed(self.items)
                    if since < m.log_index < position and m.to == holder and m.token == token and m.sender != ZERO
                ),
                None,
            )
            if step is None or not self._registry.is_relay(step.sender):
                return step
            holder, position = step.sender, step.log_index

    def suppliers(self, token: bytes, before: int, since: int) -> int:
        """How many wallets handed ``token`` to adapters between two logs: more than one means that an event which is
        attributed to the last of them served others too.
        """
        registry = self._registry
        return len(
            {
                m.sender
                for m in self.items
                if since < m.log_index < before
                and m.token == token
                and registry.is_relay(m.to)
                and not registry.is_infra(m.sender)
            }
        )

    def burned(self, wallet: bytes, token: bytes, before: int, since: int) -> int | None:
        """Shares of ``token`` that ``wallet`` burned between two logs; None if no burn is logged there."""
        amounts = [
            m.amount
            for m in self.items
            if since < m.log_index < before and m.sender == wallet and m.to == ZERO and m.token == token
        ]
        return sum(amounts) if amounts else None
