"""Batches of markets with keys that stay the same from run to run, so that their checkpoints stay valid.

The trades route takes up to twenty conditions at a time. A batch is named ``first..last#count`` after its markets. A
batch that was walked before is used again exactly as it was, wherever new markets appear around it; only markets in no
such batch form new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from polyhouse.sync.catalog import MarketRef

BATCH = 20


@dataclass(frozen=True, slots=True)
class MarketBatch:
    """Up to twenty markets that are walked together."""

    key: str
    markets: tuple[MarketRef, ...]

    @property
    def conditions(self) -> list[str]:
        """The conditions, in order of the markets."""
        return [market.condition_text for market in self.markets]

    @property
    def resolved_ts(self) -> int:
        """When the last of its markets was resolved; 0 while one is not."""
        times = [market.resolved_ts for market in self.markets]
        return max(times) if all(times) else 0


def batch_of(markets: Sequence[MarketRef]) -> MarketBatch:
    """The batch of these markets."""
    return MarketBatch(f"{markets[0].label}..{markets[-1].label}#{len(markets)}", tuple(markets))


class Batcher:
    """Cuts an ordered stream of markets into batches.

    Args:
        known_keys: keys of batches that were walked before.
    """

    def __init__(self, known_keys: Iterable[str]) -> None:
        self._known: dict[str, list[tuple[str, int]]] = {}
        for key in known_keys:
            ends, _, count = key.rpartition("#")
            first, _, last = ends.partition("..")
            if first and last and count.isdigit():
                self._known.setdefault(first, []).append((last, int(count)))

    def batches(self, chunks: Iterable[Sequence[MarketRef]]) -> Iterator[MarketBatch]:
        """All batches, in order."""
        ahead: list[MarketRef] = []
        for chunk in chunks:
            ahead += chunk
            start = 0
            # Keep twice a batch in hand: enough to recognise a known batch behind a new one.
            while len(ahead) - start > 2 * BATCH:
                size = self._size(ahead, start)
                yield batch_of(ahead[start : start + size])
                start += size
            del ahead[:start]
        start = 0
        while start < len(ahead):
            size = self._size(ahead, start)
            yield batch_of(ahead[start : start + size])
            start += size

    def _size(self, markets: Sequence[MarketRef], start: int) -> int:
        known = self._known_size(markets, start)
        if known:
            return known
        size = 1
        while size < BATCH and start + size < len(markets) and not self._known_size(markets, start + size):
            size += 1
        return size

    def _known_size(self, markets: Sequence[MarketRef], start: int) -> int:
        """Size of the largest known batch that begins here and still has the same members at its ends."""
        fitting = [
            count
            for last, count in self._known.get(markets[start].label, ())
            if 1 <= count <= BATCH and start + count <= len(markets) and markets[start + count - 1].label == last
        ]
        return max(fitting, default=0)
