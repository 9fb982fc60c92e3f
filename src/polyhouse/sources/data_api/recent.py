"""``data.recent``: the newest fills of everyone, in one feed.

The feed by market needs a question per twenty markets; this one needs a question per thousand fills, whatever they are
fills of. It holds the current and the previous month (upstream.md §0, §2), so that it can only follow what was read
completely before: a walk goes down to a second that the caller names and says so when the feed ended above it.

The rows are those of ``data.trades`` in every column; places inside a second are counted per condition there too.
"""

from __future__ import annotations

from typing import Any

from polyhouse.ports import Partition, Position
from polyhouse.sources.data_api.rows import OVERLAP_SECONDS
from polyhouse.sources.data_api.trades import PATH, MarketTrades, decoder

KEY = "everyone"
"""Key of the one partition."""
ENDED_EARLY = "feed_ended_early"
"""Note of a walk that came to the end of the feed before it met a row older than its stop: rows may be missing."""


class RecentTrades(MarketTrades):
    """Stream of everyone's newest fills; partition params ``{"since": second}``.

    A walk reads down to ten minutes before ``since`` or before the newest row of the last complete walk, whichever is
    later. Positions as for ``MarketTrades``.
    """

    name = "data.recent"

    def everyone(self, since: int) -> Partition:
        """The partition: all fills after ``since`` (Unix seconds)."""
        return Partition(self.name, KEY, {"since": since})

    async def newest(self) -> int:
        """Time of the newest fill of all, 0 if the feed is empty. One request; nothing is kept.

        Raises:
            RetryableError: the upstream does not answer.
            UpstreamContractError: the answer has another shape.
        """
        params = {**self._filters(renewed=True), "taker_only": False, "limit": 1}
        page = await self._client.get(PATH, params, decoder.decoder(f"{self.name} head"))
        return max((row.timestamp for row in page.rows if row is not None), default=0)

    def _query(self, partition: Partition, *, renewed: bool) -> dict[str, Any]:  # noqa: ARG002 - everyone, anew
        return self._filters(renewed=True)

    def _stop(self, partition: Partition, position: Position) -> int:
        since = max(int(partition.params.get("since", 0)), int(position.get("head_ts", 0)))
        return max(0, since - OVERLAP_SECONDS)

    def _notes(self, taker_rows: int, *, is_short: bool) -> dict[str, int]:
        notes = super()._notes(taker_rows, is_short=is_short)
        return {**notes, ENDED_EARLY: 1} if is_short else notes
