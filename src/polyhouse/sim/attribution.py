"""Whose position change it is when an adapter stands in for a wallet (accounting §2.6)."""

from __future__ import annotations

from collections.abc import Iterator

from polyhouse.sim.model import Transaction

ADAPTERS = frozenset({"ADP", "NADP", "AR"})
"""Collateral adapters and the auto redeemer, by symbol."""


def is_wallet(name: str) -> bool:
    """Contracts appear by symbol, people by address."""
    return name.startswith("0x")


def _transfers(tx: Transaction, token: str) -> Iterator[tuple[int, str, str, int]]:
    for log in tx.logs:
        if log.t == "Transfer" and str(log.fields["token"]) == token:
            yield log.li, log.fields["from"], log.fields["to"], int(log.fields["amount"])


def owner(tx: Transaction, holder: str, token: str, log_index: int, *, outgoing: bool) -> str | None:
    """The holder itself, the wallet behind an adapter, or None: plumbing of an exchange, or nobody to be found.

    Args:
        tx: the transaction of the event.
        holder: stakeholder or redeemer as the log names it.
        token: the token to follow.
        log_index: place of the event.
        outgoing: follow the token from the adapter after the event (splits); else to the adapter before it.
    """
    moves = list(_transfers(tx, token)) if holder in ADAPTERS else []
    for _ in range(len(moves) + 1):
        if is_wallet(holder):
            return holder
        if holder not in ADAPTERS:
            return None
        if outgoing:
            step = next(((li, to) for li, source, to, _ in moves if li > log_index and source == holder), None)
        else:
            before = ((li, source) for li, source, to, _ in reversed(moves) if li < log_index and to == holder)
            step = next(before, None)
        if step is None:
            return None
        log_index, holder = step
    return holder if is_wallet(holder) else None


def handed_over(tx: Transaction, redeemer: str, token: str, log_index: int) -> int | None:
    """Shares of ``token`` that reached the adapter, or that the wallet burned, last before the redemption."""
    found = None
    for place, source, to, shares in _transfers(tx, token):
        if place < log_index and (to == redeemer or (source == redeemer and to == "ZERO")):
            found = shares
    return found
