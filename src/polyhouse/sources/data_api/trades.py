"""``data.trades``: the fills of up to twenty conditions, newest first, with the role of each wallet.

The feed only runs backwards, and a row does not tell whether its wallet was taker or maker: role is membership in the
taker-only view of the same feed (accounting §1.10). Both views are walked side by side and joined here. That costs
the same requests as two separate streams and writes each row once, complete; a second stream of taker rows would
have to overwrite rows whose place inside the second it cannot know.

A walk ends at the proven end, or where it meets what the last complete walk already has (with ten minutes of overlap).
A walk that was interrupted goes on downwards; what is newer than its head belongs to the next walk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from polyhouse.domain.ids import parse_address, parse_hash
from polyhouse.domain.rest import notional
from polyhouse.domain.times import MAX_TIME, MIN_TIME
from polyhouse.errors import BadInputError, ConfigError, RowRejectedError, UpstreamContractError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import checked, condition_of, tables, token_of
from polyhouse.sources.data_api.envelope import RowsDecoder, RowsPage
from polyhouse.sources.data_api.rows import (
    OVERLAP_SECONDS,
    PROTOCOL_V2_DIGITS,
    SMALLEST_AMOUNT,
    SMALLEST_REPEAT,
    Printed,
    micros_of,
    observation_columns,
    outcome_of,
    price_of,
    require_time,
)
from polyhouse.sources.data_api.takers import TakerFeed
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import CursorGuard, PageGuard, SecondCounter, digest

PATH = "/v2/trades"
MAX_CONDITIONS = 20
_LAST_PLACE = 2**32 - 1
_SPELLINGS = 301
"""The network in front of this route repeats an answer to the same URL for 300 seconds (upstream.md §2). A walk that
looks for news writes zeros behind the filter's last decimal, another number of them every second."""


class TradeRow(msgspec.Struct, gc=False):
    """One row on the wire."""

    proxy_wallet: str
    timestamp: int
    side: str
    condition_id: str
    token_id: str | int
    transaction_hash: str
    size: Printed = None
    price: Printed = None
    outcome_index: int | None = None


decoder = RowsDecoder(TradeRow, numbers=("size", "price"))


def _key(row: TradeRow, shares: int, usdc: int, price: int) -> tuple[Any, ...]:
    """What rows that are one row to us agree in (the natural key of an observation, as far as it is not constant)."""
    return row.transaction_hash, row.proxy_wallet, row.token_id, row.side, row.timestamp, shares, usdc, price


def _amounts(row: TradeRow) -> tuple[int, int, int]:
    """Shares, USDC and price in 10⁻¹², as ``domain.rest.trade_amounts`` reads them."""
    shares = micros_of(row.size, "size")
    digits, scale, price = price_of(row.price)
    return shares, notional(shares, digits, scale), price


def taker_key(row: TradeRow) -> tuple[Any, ...]:
    """The key of a row of the taker-only view; () for a row that cannot be read, which no fill is equal to."""
    try:
        return _key(row, *_amounts(row))
    except BadInputError:
        return ()


class PageReader:
    """Turns pages of fills into observations, counting seconds backwards across pages."""

    def __init__(self, counter: SecondCounter, takers: TakerFeed[TradeRow] | None, where: str) -> None:
        self.counter = counter
        self._takers = takers
        self._where = where

    def read(self, page: RowsPage[TradeRow]) -> tuple[list[tuple[Any, ...]], int]:
        """Accepted rows as tuples, and how many were ignored (fills of nothing for nothing)."""
        results = page.read(self._row)
        rows = [row for row in results if row is not None]
        return rows, len(results) - len(rows)

    def _row(self, row: TradeRow) -> tuple[Any, ...] | None:
        ts = require_time(row.timestamp)
        if self.counter.ts and ts > self.counter.ts:
            raise UpstreamContractError(f"{self._where}: rows are not in descending order of time")
        # Counted per condition: a market's places do not depend on which others it shares a request with.
        place = self.counter.place(ts, row.condition_id)
        if len(row.condition_id) == PROTOCOL_V2_DIGITS:
            raise RowRejectedError("protocol_v2", "a trade of Protocol V2")
        if row.side not in {"BUY", "SELL"}:
            raise RowRejectedError("bad_side", f"a trade with side {row.side[:20]!r}")
        shares, usdc, price_e12 = _amounts(row)
        if shares == 0 and usdc == 0:
            return None
        key = _key(row, shares, usdc, price_e12)
        ordinal = self.counter.ordinal(key)
        role = "" if self._takers is None else "TAKER" if ordinal < self._takers.count(key) else "MAKER"
        return (
            parse_address(row.proxy_wallet, "wallet"), token_of(row.token_id), condition_of(row.condition_id),
            parse_hash(row.transaction_hash, "transaction hash"), row.side, ts, _LAST_PLACE - place, ordinal, shares,
            usdc, usdc, 0, price_e12, role, outcome_of(row.outcome_index), "", "",
        )  # fmt: skip


class MarketTrades:
    """Stream of market fills; partition params ``{"conditions": [0x…, …]}``, at most twenty.

    Args:
        client: of the Data API.
        page_limit: rows per page.
        roles: walk the taker-only view too; without it every role stays "".

    Positions: ``{"cursor", "seen", "second", "stop", "head", "takers"}`` inside a walk, ``{"head_ts": newest time}``
    after a complete one.
    """

    name = "data.trades"

    def __init__(self, client: HttpClient, *, page_limit: int = 1_000, roles: bool = True) -> None:
        self._client = client
        self._page_limit = page_limit
        self._roles = roles

    def partition(self, conditions: Sequence[str]) -> Partition:
        """The partition of up to twenty conditions; its key does not depend on their order."""
        ids = sorted({text.lower() for text in conditions})
        return Partition(self.name, ids[0] if len(ids) == 1 else digest(ids), {"conditions": ids})

    def restart_position(self, position: Position) -> Position:
        """The feed has no time filter by market: a broken walk starts again at its head, down to the same stop."""
        return {"stop": position["stop"]} if position.get("stop") else {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        stop = int(position.get("stop", 0)) or self._stop(partition, position)
        query = self._query(partition, renewed=stop > 0)
        head = int(position.get("head", position.get("head_ts", 0)))
        takers = self._taker_feed(query, where, position) if self._roles else None
        reader = PageReader(SecondCounter(position.get("second")), takers, where)
        guard = CursorGuard(where, position.get("seen"))
        same = PageGuard(where, smallest=SMALLEST_REPEAT)
        cursor: str | None = position.get("cursor")
        while True:
            page = await self._fetch(query, where, cursor)
            same.check(page.rows)
            times = [row.timestamp for row in page.rows if row is not None and MIN_TIME <= row.timestamp <= MAX_TIME]
            taker_rows = await takers.cover(min(times)) if takers is not None and times else 0
            rows, ignored = reader.read(page)
            head = max([head, *times])
            is_last = page.cursor is None or bool(times and reader.counter.ts < stop)
            after: Position = {"head_ts": head}
            if not is_last:
                cursor = guard.pass_on(page.cursor or "")
                after = {
                    "cursor": cursor,
                    "seen": guard.tail,
                    "second": reader.counter.dump(),
                    "stop": stop,
                    "head": head,
                }
                if takers is not None:
                    takers.forget_before(reader.counter.ts)
                    after["takers"] = takers.mark
            yield checked(
                Page(
                    tables=tables(observations=observation_columns(rows, "trades")),
                    position=after,
                    is_last=is_last,
                    fetched=page.fetched,
                    rejected=page.rejects,
                    ignored=ignored,
                    notes=self._notes(taker_rows, is_short=page.cursor is None and reader.counter.ts >= stop),
                ),
                len(rows),
            )
            if is_last:
                return

    def _query(self, partition: Partition, *, renewed: bool) -> dict[str, Any]:
        """What stays the same on every page of a walk; ``renewed``: spelled so that no cache has the answer."""
        return {"condition": checked_conditions(partition), **self._filters(renewed=renewed)}

    def _filters(self, *, renewed: bool) -> dict[str, Any]:
        zeros = int(self._client.clock.time()) % _SPELLINGS if renewed else 0
        return {"filter_type": "TOKENS", "filter_amount": SMALLEST_AMOUNT + "0" * zeros, "limit": self._page_limit}

    def _stop(self, partition: Partition, position: Position) -> int:  # noqa: ARG002 - other feeds look at it
        """The second down to which a new walk reads; 0 = to the end of the feed."""
        return max(0, int(position.get("head_ts", 0)) - OVERLAP_SECONDS)

    def _notes(self, taker_rows: int, *, is_short: bool) -> dict[str, int]:  # noqa: ARG002 - other feeds look at it
        """``is_short``: the feed ended before a row older than the stop was met."""
        return {"taker_rows_read": taker_rows} if taker_rows else {}

    def _taker_feed(self, query: Mapping[str, Any], where: str, position: Position) -> TakerFeed[TradeRow]:
        fetch = partial(self._fetch, query, f"{where} takers", taker_only=True)
        return TakerFeed(fetch, taker_key, position.get("takers"), f"{where} takers")

    async def _fetch(
        self, query: Mapping[str, Any], where: str, cursor: str | None, *, taker_only: bool = False
    ) -> RowsPage[TradeRow]:
        params = {**query, "taker_only": taker_only, "cursor": cursor}
        return await self._client.get(PATH, params, decoder.decoder(where))


def checked_conditions(partition: Partition) -> str:
    """The conditions of a partition as the query wants them.

    Raises:
        ConfigError: none, or more than the route takes.
    """
    conditions = list(partition.params.get("conditions", ()))
    if not 1 <= len(conditions) <= MAX_CONDITIONS:
        raise ConfigError(
            f"{partition.stream}: {len(conditions)} conditions in one request, expected 1 to {MAX_CONDITIONS}"
        )
    for text in conditions:
        condition_of(text)
    return ",".join(conditions)
