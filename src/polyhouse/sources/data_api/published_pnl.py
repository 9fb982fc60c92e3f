"""``data.user-stats`` and ``data.user-pnl``: profit and loss of a wallet as Polymarket publishes it (accounting §3.1).

Measurements to compare our numbers with, never an input to them. Published figures: ``position_pnl`` = realised +
unrealised after fees, ``fees_paid`` = refunds less charges (negative for somebody who paid), ``trade_pnl`` = before
fees.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError, RowRejectedError, UpstreamContractError
from polyhouse.ports import Page, Partition, Position, Reject
from polyhouse.sources.columns import columns, counted, reported_micros, tables
from polyhouse.sources.data_api.envelope import Envelope, check_data
from polyhouse.sources.data_api.rows import Number, require_time
from polyhouse.sources.http import HttpClient

_NAMES = (
    "wallet", "series", "ts", "block", "realized", "unrealized", "has_unrealized", "fees_paid", "income", "gross_pnl",
    "volume", "fills", "markets", "seen_at",
)  # fmt: skip


_RAW_LENGTH = 4_000


class Point(msgspec.Struct):
    """Cumulative figures at one moment, on the wire."""

    timestamp: int
    source_block: int | None = None
    realized_pnl: Number = None
    unrealized_pnl: Number = None
    position_pnl: Number = None
    trade_pnl: Number = None
    fees_paid: Number = None
    wallet_income: Number = None
    volume_usdc: Number = None
    trade_count: int | None = None


class Stats(msgspec.Struct):
    """Answer of ``/v2/user-stats``; ``trades`` counts markets."""

    proxy_wallet: str
    trades: int | None = None
    all_time_pnl: Point | None = None


class Series(msgspec.Struct):
    """Answer of ``/v2/user-pnl``."""

    proxy_wallet: str
    points: list[Point] | None = None


_stats = msgspec.json.Decoder(Envelope[Stats], strict=False)
_series = msgspec.json.Decoder(Envelope[Series], strict=False)


def _row(wallet: bytes, series: str, point: Point, markets: int, now: int) -> tuple[Any, ...]:
    realized = reported_micros(point.realized_pnl, "realized_pnl")
    unrealized = reported_micros(point.unrealized_pnl, "unrealized_pnl")
    fees = -reported_micros(point.fees_paid, "fees_paid")
    if point.trade_pnl is not None:
        gross = reported_micros(point.trade_pnl, "trade_pnl")
    elif point.position_pnl is not None:
        gross = reported_micros(point.position_pnl, "position_pnl") + fees
    else:
        gross = realized + unrealized + fees
    return (
        wallet, series, require_time(point.timestamp), counted(point.source_block, "source_block"), realized,
        unrealized, point.unrealized_pnl is not None, fees, reported_micros(point.wallet_income, "wallet_income"),
        gross, reported_micros(point.volume_usdc, "volume_usdc"), counted(point.trade_count, "trade_count", bits=63),
        markets, now,
    )  # fmt: skip


class _Published(ABC):
    """A stream of one answer per wallet; partition key = wallet."""

    name = ""
    series = ""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet."""
        return Partition(self.name, wallet.lower())

    def restart_position(self, position: Position) -> Position:  # noqa: ARG002 - one answer has no safe point inside
        """From the beginning."""
        return {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:  # noqa: ARG002
        """See ``ports.Stream``."""
        now = int(self._client.clock.time())
        owner, points, markets = await self._ask(partition.key)
        if owner is not None and owner.lower() != partition.key:
            raise UpstreamContractError(f"{self.name} {partition.key}: the answer belongs to another wallet")
        rows, rejected = [], []
        for point in points:
            try:
                known = counted(markets, "trades", bits=63)
                rows.append(_row(parse_address(partition.key), self.series, point, known, now))
            except (BadInputError, RowRejectedError) as error:
                reason = error.reason if isinstance(error, RowRejectedError) else "bad_value"
                text = msgspec.json.encode(point).decode()[:_RAW_LENGTH]
                rejected.append(Reject(reason, f"{self.name} {partition.key}: {error}", text))
        yield Page(
            tables=tables(reported_pnl=columns(_NAMES, rows)),
            position={"done_at": now},
            is_last=True,
            fetched=len(points),
            rejected=rejected,
        )

    @abstractmethod
    async def _ask(self, wallet: str) -> tuple[str | None, list[Point], int]:
        """(wallet of the answer, its points, number of markets); no wallet if nothing is known of it."""


class UserStats(_Published):
    """The all-time figures of a wallet. A wallet never seen has no row."""

    name = "data.user-stats"
    series = "user-stats"

    async def _ask(self, wallet: str) -> tuple[str | None, list[Point], int]:
        envelope = await self._client.get("/v2/user-stats", {"user": wallet}, _stats.decode)
        check_data(envelope, f"{self.name} {wallet}")
        stats = envelope.data if isinstance(envelope.data, Stats) else None
        if stats is None:
            return None, [], 0
        return stats.proxy_wallet, [stats.all_time_pnl] if stats.all_time_pnl else [], stats.trades or 0


class UserPnl(_Published):
    """The whole history of a wallet's figures, a point a day."""

    name = "data.user-pnl"
    series = "user-pnl"

    async def _ask(self, wallet: str) -> tuple[str | None, list[Point], int]:
        params = {"user": wallet, "interval": "max", "fidelity": "1d"}
        envelope = await self._client.get("/v2/user-pnl", params, _series.decode)
        check_data(envelope, f"{self.name} {wallet}")
        series = envelope.data if isinstance(envelope.data, Series) else None
        return (None, [], 0) if series is None else (series.proxy_wallet, series.points or [], 0)
