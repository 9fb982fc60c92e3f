"""``data.positions``, ``data.value``: what Polymarket itself publishes of a wallet.

These rows are measurements to compare our numbers with, never an input to them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError, UpstreamContractError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import checked, columns, condition_of, reported_micros, tables, time_or_zero, token_of
from polyhouse.sources.data_api.envelope import Envelope, RowsDecoder, check_data
from polyhouse.sources.data_api.rows import SMALLEST_AMOUNT, Number
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import CursorGuard, PageGuard


class PositionRow(msgspec.Struct):
    """One reported position on the wire."""

    proxy_wallet: str
    token_id: str | int
    condition_id: str
    current_size: Number = None
    avg_price: Number = None
    realized_pnl: Number = None
    unrealized_pnl: Number = None
    current_value: Number = None
    status: str | None = None
    last_event_at: int | str | None = None


class ValueRow(msgspec.Struct):
    """Portfolio value on the wire."""

    proxy_wallet: str
    value: Number = None


_positions = RowsDecoder(PositionRow)
_value = msgspec.json.Decoder(Envelope[ValueRow], strict=False)


def _position(row: PositionRow) -> tuple[Any, ...]:
    return (
        parse_address(row.proxy_wallet, "wallet"),
        token_of(row.token_id),
        condition_of(row.condition_id),
        reported_micros(row.current_size, "current_size"),
        reported_micros(row.avg_price, "avg_price"),
        reported_micros(row.realized_pnl, "realized_pnl"),
        reported_micros(row.unrealized_pnl, "unrealized_pnl"),
        reported_micros(row.current_value, "current_value"),
        row.status or "",
        time_or_zero(row.last_event_at),
    )


_POSITION_NAMES = (
    "wallet", "token", "condition", "shares", "avg_price_e6", "realized", "unrealized", "current_value", "status",
    "last_event_ts",
)  # fmt: skip


class _CursorStream:
    """A walk that keeps nothing but its cursor, and starts anew after it was complete."""

    name = ""

    def __init__(self, client: HttpClient, *, page_limit: int = 1_000) -> None:
        self._client = client
        self._page_limit = page_limit

    def restart_position(self, position: Position) -> Position:  # noqa: ARG002 - there is no safe point in between
        """From the beginning."""
        return {}

    def _after(self, guard: CursorGuard, cursor: str | None) -> dict[str, Any]:
        if cursor is None:
            return {"done_at": int(self._client.clock.time())}
        return {"cursor": guard.pass_on(cursor), "seen": guard.tail}


class Positions(_CursorStream):
    """Open positions of a wallet as published; partition key = wallet.

    OPEN contains redeemable, mergeable and lost ones too. The walk goes by time of the last event, oldest first: a
    position that changes meanwhile moves ahead of the walk and is read again, never missed.
    """

    name = "data.positions"

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet."""
        return Partition(self.name, wallet.lower())

    def _selection(self, partition: Partition) -> dict[str, str]:
        return {"user": partition.key}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        guard = CursorGuard(where, position.get("seen"))
        same = PageGuard(where)
        cursor: str | None = position.get("cursor")
        params = {
            **self._selection(partition),
            "status": "OPEN",
            "sort_by": "TIMESTAMP",
            "sort_direction": "ASC",
            "filter_type": "TOKENS",
            "filter_amount": SMALLEST_AMOUNT,
            "limit": self._page_limit,
        }
        while True:
            page = await self._client.get("/v2/positions", {**params, "cursor": cursor}, _positions.decoder(where))
            same.check(page.rows)
            rows = []
            for index, row in enumerate(page.rows):
                if row is None:
                    continue
                try:
                    rows.append(_position(row))
                except BadInputError as error:
                    page.reject(index, "bad_value", str(error))
            cursor = page.cursor
            table = columns(_POSITION_NAMES, rows, seen_at=int(self._client.clock.time()))
            yield checked(
                Page(
                    tables=tables(reported_positions=table),
                    position=self._after(guard, cursor),
                    is_last=cursor is None,
                    fetched=page.fetched,
                    rejected=page.rejects,
                ),
                len(rows),
            )
            if cursor is None:
                return


class Values(_CursorStream):
    """Portfolio value of a wallet; partition key = wallet. A wallet without positions may have no row at all."""

    name = "data.value"

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet."""
        return Partition(self.name, wallet.lower())

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:  # noqa: ARG002
        """See ``ports.Stream``."""
        envelope = await self._client.get("/v2/value", {"user": partition.key}, _value.decode)
        check_data(envelope, f"{self.name} {partition.key}")
        now = int(self._client.clock.time())
        row = envelope.data if isinstance(envelope.data, ValueRow) else None
        rows = []
        if row is not None:
            if row.proxy_wallet.lower() != partition.key:
                raise UpstreamContractError(f"{self.name} {partition.key}: the answer belongs to another wallet")
            rows.append((parse_address(partition.key), reported_micros(row.value, "value"), now))
        yield Page(
            tables=tables(reported_values=columns(("wallet", "value", "seen_at"), rows)),
            position={"done_at": now},
            is_last=True,
            fetched=len(rows),
        )
