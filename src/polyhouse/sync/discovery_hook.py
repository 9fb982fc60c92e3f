"""Who is seen where: pages that name wallets register them, and the run counts what each source brought.

The registry is told before the page that names a wallet is written: whatever the warehouse holds belongs to wallets
that are known, so none is lost to a kill, and telling it twice changes nothing but when it was last seen.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from polyhouse.domain.contracts import INFRA
from polyhouse.sync.manifest import Delivery
from polyhouse.sync.store import RunState

DISCOVERING = ("goldsky.fills", "chain.ledger", "data.recent", "data_v1.trades")
"""Streams besides the market feeds whose observations may name wallets that nobody knew."""
SOURCES = ("holders", "trades", "leaderboard", "ledger", "file", "users")
"""Where wallets come from: words of the registry's provenance. Others (``user``, ``warehouse``) are not discovery."""
_TABLES = {"reported_holders": "holders", "reported_standings": "leaderboard"}
_STREAMS = {
    "data.holders": "holders", "data.market-positions": "holders", "data.leaderboard": "leaderboard",
    "data.winners": "leaderboard",
}  # fmt: skip
_REMEMBERED_WALLETS = 100_000
_TOUCHED_WALLETS = 10_000
_NEW = 1 << 7
_PENDING = 1 << 16


class Sightings:
    """Counts different wallets per source in little memory: 9 bytes a wallet, and as much again while it merges.

    A wallet stands for itself by the last eight bytes of its address, which are the output of a hash: three million
    wallets share one with a probability below one in a million.
    """

    def __init__(self) -> None:
        self._keys: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._masks: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._pending = bytearray()
        self._pending_masks = bytearray()

    def note(self, addresses: Iterable[bytes], mask: int) -> None:
        """These wallets were seen; ``mask`` says by whom."""
        for address in addresses:
            self._pending += address[12:]
            self._pending_masks.append(mask)
        if len(self._pending_masks) > max(_PENDING, len(self._keys) // 2):
            self._merge()

    def count(self, mask: int) -> int:
        """Wallets that have every bit of ``mask``; 0 = all."""
        self._merge()
        return int(np.count_nonzero((self._masks & mask) == mask))

    def _merge(self) -> None:
        if not self._pending_masks:
            return
        keys = np.concatenate([self._keys, np.frombuffer(bytes(self._pending), np.uint64)])
        masks = np.concatenate([self._masks, np.frombuffer(bytes(self._pending_masks), np.uint8)])
        self._pending.clear()
        self._pending_masks.clear()
        order = np.argsort(keys, kind="stable")
        keys, masks = keys[order], masks[order]
        firsts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        self._keys, self._masks = keys[firsts], np.bitwise_or.reduceat(masks, firsts)


class Discovery:
    """Registers the wallets that pages and lists name.

    Args:
        state: the registry.
        streams: streams whose observations name wallets.

    Attributes:
        touched: wallets whose rows this run wrote; None = too many to list.
        hints: streams whose rows only tell this run whom to ask: the ledgers that are read then say who was touched.
        found: wallets that were not known before.
        rejected: source → rows and values that cannot be read ("" = of streams that are no source of wallets).
    """

    def __init__(self, state: RunState, streams: Iterable[str]) -> None:
        self._state = state
        self._streams = frozenset(streams)
        self._known: set[tuple[str, bytes]] = set()
        self._lock = threading.Lock()
        self._sightings = Sightings()
        self._contracts: dict[str, set[bytes]] = {}
        self._new: Counter[str] = Counter()
        self.touched: set[bytes] | None = set()
        self.hints: set[str] = set()
        self.found = 0
        self.rejected: Counter[str] = Counter()
        self._with_rejected: set[tuple[str, str, int]] = set()

    def __call__(self, deliveries: Sequence[Delivery]) -> None:
        """Runs in the writer's thread, before the warehouse is given the rows."""
        seen: dict[str, set[bytes]] = {}
        for delivery in deliveries:
            self._count_rejected(delivery)
            for source, wallets in _named(delivery, self._streams):
                seen.setdefault(source, set()).update(wallets)
            if delivery.stream not in self.hints:
                self.touch(delivery.page.tables.get("observations", {}).get("wallet", ()))
        for source, found in seen.items():
            self.register(found, source)

    def _count_rejected(self, delivery: Delivery) -> None:
        """Once, however often the page is tried: a batch that is refused is written page by page."""
        page = (delivery.stream, delivery.partition, delivery.seq)
        if delivery.page.rejected and page not in self._with_rejected:
            self._with_rejected.add(page)
            self.rejected[self._source_of(delivery.stream)] += len(delivery.page.rejected)

    def touch(self, addresses: Iterable[bytes]) -> None:
        """Count these wallets among the touched ones."""
        if self.touched is not None:
            self.touched.update(addresses)
            if len(self.touched) > _TOUCHED_WALLETS:
                self.touched = None

    def register(self, addresses: Iterable[bytes], source: str, *, only_count: bool = False) -> int:
        """Register the wallets among ``addresses`` and return how many were not known.

        Args:
            addresses: 20 bytes each; repetitions are fine.
            source: one of ``SOURCES``.
            only_count: change nothing; wallets that would be new are counted as new.
        """
        bit = 1 << SOURCES.index(source)
        with self._lock:
            fresh = {one for one in addresses if (source, one) not in self._known}
            contracts = fresh & INFRA
            self._contracts.setdefault(source, set()).update(contracts)
            wallets = sorted(fresh - contracts)
            if only_count:
                unknown = set(wallets) - self._state.known_wallets(wallets)
                self._sightings.note(unknown, bit | _NEW)
                self._sightings.note((one for one in wallets if one not in unknown), bit)
                return len(unknown)
            new = self._state.register_wallets(wallets, source) if wallets else 0
            self._sightings.note(wallets, bit)
            self._new[source] += new
            self.found += new
            self._remember(source, wallets)
            return new

    def note_known(self, addresses: Iterable[bytes], source: str) -> None:
        """These wallets were seen by a source that brings nothing new of them."""
        with self._lock:
            self._sightings.note(addresses, 1 << SOURCES.index(source))

    def counts(self, source: str) -> dict[str, int]:
        """``seen``, ``new``, ``known`` and ``rejected`` of one source. A wallet is new with the first source."""
        bit = 1 << SOURCES.index(source)
        with self._lock:
            seen = self._sightings.count(bit)
            new = self._new[source] + self._sightings.count(bit | _NEW)
            rejected = self.rejected[source] + len(self._contracts.get(source, ()))
        return {"seen": seen, "new": new, "known": max(0, seen - new), "rejected": rejected}

    def totals(self) -> dict[str, int]:
        """``seen``, ``new`` and ``known`` over all sources, each wallet once."""
        with self._lock:
            seen = self._sightings.count(0)
            new = self.found + self._sightings.count(_NEW)
        return {"seen": seen, "new": new, "known": max(0, seen - new)}

    def _source_of(self, stream: str) -> str:
        return "trades" if stream in self._streams else _STREAMS.get(stream, "")

    def _remember(self, source: str, wallets: Sequence[bytes]) -> None:
        if len(self._known) + len(wallets) > _REMEMBERED_WALLETS:
            self._known.clear()
        self._known.update((source, wallet) for wallet in wallets)


def _named(delivery: Delivery, streams: frozenset[str]) -> Iterator[tuple[str, Iterable[bytes]]]:
    for table, source in _TABLES.items():
        if columns := delivery.page.tables.get(table):
            yield source, columns["wallet"]
    if delivery.stream == "data.market-positions":
        yield "holders", delivery.page.tables.get("reported_positions", {}).get("wallet", ())
    if delivery.stream in streams:
        yield "trades", delivery.page.tables.get("observations", {}).get("wallet", ())
