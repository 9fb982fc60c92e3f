"""What becomes of the transactions of abandoned blocks: they come again, later, or never.

A transaction may only get lost where the rest of the history still makes sense without it. A redemption at the
ConditionalTokens contract burns a wallet's whole balance; whoever redeems a condition like that later has to keep all
of its earlier transactions there, or the burned amounts would contradict the balance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from polyhouse.sim.model import SimMarket, Transaction
from polyhouse.sim.rawlogs import RawLog

MAX_DEPTH = 50
"""The deepest re-org that is simulated."""
_LATER_BLOCKS = 20
_LATER_PERCENT = 30
_WHO = ("maker", "stakeholder", "redeemer", "from", "to")
_TOKENS = ("token", "maker_asset", "taker_asset")


@dataclass(frozen=True, slots=True)
class Slot:
    """One transaction's place in a block: a universe's transaction, or given logs (metadata, foreign noise)."""

    tx: str
    transaction: Transaction | None = None
    logs: tuple[RawLog, ...] = ()
    stays: bool = False  # must be in every fork, like the preparation of a condition


@dataclass(frozen=True, slots=True)
class Reorg:
    """What a re-org did.

    Attributes:
        fork: number of the new fork.
        first, last: the replaced blocks.
        moved: transactions that are in one of the replaced blocks again.
        later: those that come in a block after them.
        vanished: hashes of those that are gone for good.
    """

    fork: int
    first: int
    last: int
    moved: int
    later: int
    vanished: tuple[str, ...]


class Redemptions:
    """Who redeems a whole balance, and in which block for the last time.

    Args:
        transactions: the whole history, the future included.
        markets: whose tokens and conditions they name.
    """

    def __init__(self, transactions: Iterable[Transaction], markets: Iterable[SimMarket]) -> None:
        self._condition = {token: market.condition_id for market in markets for token in market.token_ids}
        self._last: dict[tuple[str, str], int] = {}
        for tx in transactions:
            for log in tx.logs:
                if log.t == "PayoutRedemption" and log.fields["src"] == "CTF":
                    self._last[log.fields["redeemer"], log.fields["condition"]] = tx.block

    def needs(self, tx: Transaction, block: int) -> bool:
        """Whether a redemption in ``block`` or later counts on this transaction."""
        return any(self._last.get(pair, -1) >= block for pair in self._touched(tx))

    def _touched(self, tx: Transaction) -> Iterator[tuple[str, str]]:
        for log in tx.logs:
            f = log.fields
            conditions = {f.get("condition"), *(self._condition.get(f.get(name, "")) for name in _TOKENS)}
            for who in _WHO:
                for condition in conditions:
                    if who in f and condition:
                        yield f[who], condition


def shuffled(
    slots: Iterable[Slot], first: int, last: int, rng: Random, vanish: int, redemptions: Redemptions
) -> tuple[list[tuple[int, Slot]], tuple[str, ...]]:
    """New blocks for the transactions of the blocks ``first`` to ``last``, and the hashes of those that get none.

    The order of those that stay is kept: what was bought is still sold afterwards.
    """
    vanished: list[str] = []
    staying: list[Slot] = []
    for slot in slots:
        lost = not slot.stays and rng.randrange(100) < vanish
        if lost and (slot.transaction is None or not redemptions.needs(slot.transaction, first)):
            vanished.append(slot.tx)
        else:
            staying.append(slot)
    targets = sorted(
        last + 1 + rng.randrange(_LATER_BLOCKS)
        if rng.randrange(100) < _LATER_PERCENT
        else first + rng.randrange(last - first + 1)
        for _ in staying
    )
    return list(zip(targets, staying, strict=True)), tuple(vanished)
