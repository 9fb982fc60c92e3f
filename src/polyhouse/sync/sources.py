"""The streams a run works with, by the part they play. Built by ``wiring``; tests put their own in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from polyhouse.ports import Partition, Stream


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
        holders: holders by condition (≤ 20).
        requests_per_second: of ``activity``, for the estimate of a dry run.
    """

    gamma_events: SlicedStream
    gamma_markets: Stream
    clob_markets: OffsetStream
    trades: Sequence[Stream]
    activity: Stream
    resolutions: Stream
    tokens: Stream
    positions: Stream
    values: Stream
    holders: Stream | None = None
    requests_per_second: float = 20.0
