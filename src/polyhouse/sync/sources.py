"""The streams a run works with, by the part they play. Built by ``wiring``; tests put their own in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from polyhouse.ports import Partition, Stream
from polyhouse.sources.data_api.status import ServiceStatus
from polyhouse.sources.user_tables import AddressGroup


class SlicedStream(Stream, Protocol):
    """A stream that cuts itself into partitions that can be walked side by side."""

    def partitions(self, now: int) -> Sequence[Partition]:
        """Partitions that cover everything; ``now`` = Unix seconds."""
        ...


class OffsetStream(Stream, Protocol):
    """A stream with addressable offsets: partition ``n`` can be walked without the ones before it."""

    def partitions(self, first_offset: int, count: int) -> Sequence[Partition]:
        """``count`` partitions of fixed size, beginning at ``first_offset`` (a multiple of that size)."""
        ...


class RecentStream(Stream, Protocol):
    """The newest rows of everyone in one partition."""

    def everyone(self, since: int) -> Partition:
        """The partition of all rows after ``since`` (Unix seconds)."""
        ...

    async def newest(self) -> int:
        """Time of the newest row, 0 if there is none."""
        ...


class EventStream(SlicedStream, Protocol):
    """A sliced stream of events that can also be asked for some of them."""

    def by_ids(self, ids: Sequence[int]) -> Partition:
        """The partition of some events by number."""
        ...

    def by_slugs(self, slugs: Sequence[str]) -> Partition:
        """The partition of some events by slug."""
        ...


class UserWallets(Protocol):
    """A database of people whose wallets are wanted."""

    def read(self) -> Iterator[AddressGroup]:
        """All addresses, in groups; blocking."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """The streams of one run.

    Attributes:
        gamma_events: events with markets and tags.
        gamma_markets: lookup of markets by condition ids (≤ 20 a partition).
        clob_markets: conditions and tokens by offset.
        trades: fills by batch of ≤ 20 conditions, newest first; several streams are walked one after the other.
        resolutions: payouts by condition (≤ 20). tokens: token → condition (≤ 50).
        activity: one wallet's ledger. positions, values: what Polymarket reports for one wallet.
        holders: holders by condition (≤ 20). market_positions: open positions of everyone in one market.
        leaderboards: published boards. users: user tables of a database, None where none is configured.
        recent: newest fills of everyone, back to a second; None where the upstream has no such feed.
        requests_per_second: of ``activity``, for the estimate of a dry run.
        trades_per_second: of ``trades`` and ``recent``, likewise.
        served: asks the Data API how far behind the chain it is; None: nobody asks.
    """

    gamma_events: EventStream
    gamma_markets: Stream
    clob_markets: OffsetStream
    trades: Sequence[Stream]
    activity: Stream
    resolutions: Stream
    tokens: Stream
    positions: Stream
    values: Stream
    holders: Stream | None = None
    recent: RecentStream | None = None
    market_positions: Stream | None = None
    leaderboards: Sequence[SlicedStream] = ()
    users: UserWallets | None = None
    requests_per_second: float = 20.0
    trades_per_second: float = 16.0
    served: Callable[[], Awaitable[ServiceStatus]] | None = None
