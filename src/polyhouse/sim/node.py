"""The blocks of a simulated Polygon: what is in them, how they hang together, and how they are replaced by a re-org.

Every number from 0 to the head is a block; most are empty. A block's content follows from the universe, except where
a re-org put other blocks in its place. Nothing is drawn from a running generator, so that the same universe and the
same re-orgs give the same hashes, in any order of questions.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Any

from polyhouse.errors import BadInputError
from polyhouse.sim.chain import BLOCK_SECONDS, FIRST_BLOCK
from polyhouse.sim.model import Log, Transaction
from polyhouse.sim.rawlogs import Encoder, RawLog
from polyhouse.sim.rawmeta import foreign, prepared, unknown
from polyhouse.sim.reorgs import MAX_DEPTH, Redemptions, Reorg, Slot, shuffled
from polyhouse.sim.world import UniverseLike

_KEPT_BLOCKS = 16_384
_FOR_EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class NodeQuirks:
    """What the simulated chain holds besides the universe's own logs.

    Attributes:
        noise_every: about every n-th transaction is followed by one of a foreign application on the
            ConditionalTokens contract; 0 = none.
        unknown_every: the same for logs under topics nobody knows; 0 = none.
        chatter: ``FeeCharged`` and ``OutcomeReported``, which repeat what other logs say.
        batches: pairs of tokens move in one ``TransferBatch``.
        instances_every: about every n-th transaction goes through the third V2 exchange, the older collateral adapters
            or the older fee module; 0 = none.
    """

    noise_every: int = 40
    unknown_every: int = 0
    chatter: bool = True
    batches: bool = True
    instances_every: int = 9


@dataclass(frozen=True, slots=True)
class Branch:
    """One version of the chain.

    Attributes:
        starts: first block of every fork that this branch went through, ascending.
        forks: their numbers.
        replaced: blocks whose own content does not hold any more.
        placed: content that was put into other blocks.
        last: last block of an abandoned branch; None = it grows.
    """

    starts: tuple[int, ...] = (0,)
    forks: tuple[int, ...] = (0,)
    replaced: frozenset[int] = frozenset()
    placed: Mapping[int, tuple[Slot, ...]] = field(default_factory=dict)
    last: int | None = None

    def fork_of(self, number: int) -> int:
        """The fork a block belongs to."""
        return self.forks[bisect_right(self.starts, number) - 1]


class Node:
    """A simulated Polygon.

    Args:
        universe: where the transactions and markets come from; ``with_transfers=True`` gives complete logs. All
            transactions until now are kept in memory.
        quirks: what else is on the chain.
        seed: of hashes, noise and re-orgs.

    Attributes:
        branch: the canonical chain.
        abandoned: the chain before the last re-org; the canonical one if there was none.
    """

    def __init__(self, universe: UniverseLike, quirks: NodeQuirks | None = None, seed: int = 0) -> None:
        self.quirks = quirks or NodeQuirks()
        self.branch = Branch()
        self.abandoned = self.branch
        self._universe = universe
        self._seed = seed
        self._encoder = Encoder(
            chatter=self.quirks.chatter,
            batches=self.quirks.batches,
            instances_every=self.quirks.instances_every,
        )
        self._natural: dict[int, list[Slot]] = {}
        self._numbers: list[int] = []
        self._conditions: list[str] = []
        self._forks = 0
        self._held: int | None = None
        self._seen: int | None = None
        self._kept: OrderedDict[tuple[int, int], list[dict[str, Any]]] = OrderedDict()
        # Of the future, too: blocks are numbered alike whether or not anything happened yet.
        first = next(iter(universe.transactions(until=_FOR_EVER)), None)
        self._anchor = (FIRST_BLOCK, int(universe.now)) if first is None else (first.block, first.ts)
        self.catch_up()

    def catch_up(self) -> None:
        """Take over what happened until the universe's now."""
        now, seen = int(self._universe.now), self._seen
        for event in self._universe.events:
            self._encoder.learn(event.markets)
            for ts, name, logs in prepared(event, seen, now):
                self._put(self._block_at(ts), Slot(self._digest("prepared", name), None, tuple(logs), stays=True))
        self._conditions = list(self._encoder.markets)
        for tx in self._universe.transactions(start_ts=None if seen is None else seen + 1, until=now):
            if any(log.t != "Income" for log in tx.logs):
                stays = any(log.t == "ConditionResolution" for log in tx.logs)
                self._put(tx.block, Slot(tx.tx, tx, stays=stays))
                for slot in self._strangers(tx):
                    self._put(tx.block, slot)
        self._seen = now

    def _put(self, number: int, slot: Slot) -> None:
        slots = self._natural.get(number)
        if slots is None:
            self._natural[number] = [slot]
            insort(self._numbers, number)
        else:
            slots.append(slot)

    def _strangers(self, tx: Transaction) -> Iterator[Slot]:
        quirks, lot = self.quirks, int(tx.tx[-12:], 16)
        if quirks.noise_every and lot % quirks.noise_every == 0:
            rng = Random(f"noise {self._seed} {tx.tx}")
            ours = self._encoder.markets[self._conditions[rng.randrange(len(self._conditions))]]
            yield Slot(self._digest("noise", tx.tx), None, tuple(foreign(rng, ours)))
        if quirks.unknown_every and lot // 7 % quirks.unknown_every == 0:
            rng = Random(f"unknown {self._seed} {tx.tx}")
            yield Slot(self._digest("unknown", tx.tx), None, tuple(unknown(rng)))

    def _digest(self, *parts: object) -> str:
        text = ":".join(str(part) for part in (self._seed, *parts))
        return "0x" + hashlib.sha256(text.encode()).hexdigest()

    # Blocks.

    def _block_at(self, ts: int) -> int:
        block, anchor = self._anchor
        return block + (ts - anchor) // BLOCK_SECONDS

    @property
    def head(self) -> int:
        """The newest block of the canonical chain; follows the simulated clock unless it is held."""
        head = self._block_at(self._seen or 0)
        return head if self._held is None else min(head, self._held)

    def hold_head(self, number: int | None) -> None:
        """Let the chain end at a block, whatever the clock says; None lets it follow the clock again.

        Raises:
            BadInputError: a negative number.
        """
        if number is not None and number < 0:
            raise BadInputError(f"there is no block {number}")
        self._held = number

    def head_of(self, branch: Branch) -> int:
        """The newest block of a branch."""
        return self.head if branch.last is None else min(branch.last, self.head)

    def block_hash(self, number: int, branch: Branch) -> str:
        """The hash of a block; of block −1 it is zero."""
        if number < 0:
            return "0x" + "0" * 64
        digest = bytes.fromhex(self._digest("block", branch.fork_of(number), number)[2:])
        # The number is hidden in the hash, so that the way back needs no memory.
        hidden = number ^ int.from_bytes(digest[:8], "big")
        return "0x" + (digest[:24] + hidden.to_bytes(8, "big")).hex()

    def number_of(self, block_hash: str, branch: Branch) -> int | None:
        """The block of a branch that has this hash; None if it has none."""
        digest = bytes.fromhex(block_hash[2:])
        number = int.from_bytes(digest[24:], "big") ^ int.from_bytes(digest[:8], "big")
        known = number <= self.head_of(branch) and self.block_hash(number, branch) == block_hash
        return number if known else None

    def timestamp(self, number: int, branch: Branch) -> int:
        """Unix seconds of a block, never after now. Blocks are about two seconds apart, never exactly for long."""
        block, anchor = self._anchor
        even = anchor + (number - block) * BLOCK_SECONDS
        if number in self._natural and any(slot.transaction for slot in self._natural[number]):
            return even
        return even - (int(self._digest("second", branch.fork_of(number), number)[2:4], 16) & 1)

    def slots(self, number: int, branch: Branch) -> Sequence[Slot]:
        """The transactions of a block."""
        placed = branch.placed.get(number, ())
        own = () if number in branch.replaced else tuple(self._natural.get(number, ()))
        return (*placed, *own)

    def numbers(self, first: int, last: int, branch: Branch) -> list[int]:
        """The blocks from ``first`` to ``last`` that may hold logs, ascending."""
        numbers = self._numbers[bisect_left(self._numbers, first) : bisect_right(self._numbers, last)]
        extra = [number for number in branch.placed if first <= number <= last and number not in self._natural]
        return sorted([*numbers, *extra]) if extra else numbers

    # Logs.

    def logs(self, number: int, branch: Branch) -> list[dict[str, Any]]:
        """All logs of a block as ``eth_getLogs`` prints them. Not to be changed by the caller."""
        key = (number, branch.fork_of(number))
        if key not in self._kept:
            self._kept[key] = list(self._encode(number, branch))
            while len(self._kept) > _KEPT_BLOCKS:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _encode(self, number: int, branch: Branch) -> Iterator[dict[str, Any]]:
        block_hash, place = self.block_hash(number, branch), 0
        for index, slot in enumerate(self.slots(number, branch)):
            for log in self._raw(slot):
                yield {
                    "address": log.address, "topics": log.topics, "data": log.data, "blockNumber": hex(number),
                    "transactionHash": slot.tx, "transactionIndex": hex(index), "blockHash": block_hash,
                    "logIndex": hex(place), "removed": False,
                }  # fmt: skip
                place += 1

    def _raw(self, slot: Slot) -> Sequence[RawLog]:
        return slot.logs if slot.transaction is None else self._encoder.encode(slot.transaction)

    def canonical_transactions(self) -> Iterator[Transaction]:
        """The universe's transactions as they stand on the canonical chain up to the head, in block order.

        Block, place, log indexes and times are those of the raw logs (both transfers of a batch share theirs; the file
        format of ``polyhouse replay`` needs ``NodeQuirks(batches=False)``). Income, which is not on chain, is left out,
        and so is what a re-org made vanish. The truth of a store that was loaded from this node follows from them.
        """
        for number in self.numbers(0, self.head, self.branch):
            place = 0
            for index, slot in enumerate(self.slots(number, self.branch)):
                raws = self._raw(slot)
                if slot.transaction is not None:
                    logs = tuple(
                        Log(log.t, place + offset, log.fields)
                        for offset, item in enumerate(raws)
                        for log in item.sources
                    )
                    ts = self.timestamp(number, self.branch)
                    yield Transaction(slot.tx, number, index, ts, logs)
                place += len(raws)

    # Re-orgs.

    def reorg(self, depth: int, vanish: int = 20) -> Reorg:
        """Replace the newest ``depth`` blocks by those of another fork.

        The transactions of the abandoned blocks come again in their old order: most in another of the replaced
        blocks, some within the next 20 blocks, and up to ``vanish`` percent of them never. What later logs count on
        never vanishes: preparations and resolutions of conditions, and what a whole balance is redeemed of. REST
        upstreams do not follow: they show what the universe holds.

        Raises:
            BadInputError: a depth outside 1..50 or a percentage outside 0..100.
        """
        if not 1 <= depth <= MAX_DEPTH or not 0 <= vanish <= 100:
            raise BadInputError(
                f"a re-org of depth {depth} with {vanish} % lost: depth is 1 to {MAX_DEPTH}, % 0 to 100"
            )
        old, last = self.branch, self.head
        first = last - depth + 1
        self._forks += 1
        rng = Random(f"reorg {self._seed} {self._forks}")
        abandoned = [slot for number in self.numbers(first, last, old) for slot in self.slots(number, old)]
        targets, vanished = shuffled(abandoned, first, last, rng, vanish, self._redemptions)
        placed = {number: slots for number, slots in old.placed.items() if not first <= number <= last}
        for target, slot in targets:
            placed[target] = (*placed.get(target, ()), slot)
        kept = bisect_left(old.starts, first)
        self.abandoned = replace(old, last=last)
        self.branch = Branch(
            (*old.starts[:kept], first),
            (*old.forks[:kept], self._forks),
            old.replaced | frozenset(range(first, last + 1)),
            placed,
        )
        later = sum(target > last for target, _ in targets)
        return Reorg(self._forks, first, last, len(targets) - later, later, vanished)

    @cached_property
    def _redemptions(self) -> Redemptions:
        return Redemptions(self._universe.transactions(until=_FOR_EVER), self._encoder.markets.values())
