"""CLOB ``/markets``: the fastest list of conditions, tokens and winners (upstream.md §7).

A cursor is the base64 of an offset, so that ranges of offsets are walked at the same time. The list only grows at its
end. The end is ``LTE=`` or an empty page; the page that proves it carries the note ``end``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from polyhouse.errors import BadInputError, UpstreamContractError
from polyhouse.ports import Page, Partition, Position, Reject
from polyhouse.sources.columns import checked, columns, condition_of, reported_micros, tables, time_or_zero
from polyhouse.sources.data_api.rows import Number
from polyhouse.sources.gamma_rows import NO_INDEX
from polyhouse.sources.http import HttpClient
from polyhouse.sources.tokens import proven_tokens
from polyhouse.sources.walk import PageGuard

PATH = "/markets"
END = "LTE="
PAGE_ROWS = 1_000
PARTITION_PAGES = 10
_RAW_LENGTH = 4_000


class ClobToken(msgspec.Struct):
    """One outcome on the wire."""

    token_id: str | None = None
    outcome: str | None = None
    price: Number = None
    winner: bool | None = None


class ClobMarket(msgspec.Struct):
    """One market on the wire."""

    condition_id: str | None = None
    question_id: str | None = None
    question: str | None = None
    market_slug: str | None = None
    tokens: list[ClobToken] | None = None
    tags: list[str] | None = None
    neg_risk: bool | None = None
    neg_risk_market_id: str | None = None
    end_date_iso: str | None = None
    game_start_time: str | None = None
    closed: bool | None = None
    is_50_50_outcome: bool | None = None


class MarketsPage(msgspec.Struct):
    """The envelope."""

    data: list[msgspec.Raw] | None = None
    next_cursor: str | None = None


_page = msgspec.json.Decoder(MarketsPage)
_market = msgspec.json.Decoder(ClobMarket, strict=False)


def cursor_of(offset: int) -> str:
    """The cursor that stands for an offset."""
    return base64.b64encode(str(offset).encode()).decode()


def offset_of(cursor: str) -> int | None:
    """The offset behind a cursor; None = the end of the list.

    Raises:
        UpstreamContractError: the cursor is not an offset.
    """
    if cursor in {END, ""}:
        return None
    try:
        offset = int(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError):
        raise UpstreamContractError(f"clob.markets: the cursor {cursor[:40]!r} is not an offset") from None
    return None if offset < 0 else offset


class ClobMarkets:
    """Stream of markets by offset ranges; params ``{"from": offset, "to": offset}``.

    ``status`` of a row is ``WINNER_0``, ``WINNER_1``, ``SPLIT`` (settled 50-50) or "": a hint for people, never a
    resolution by itself. Positions: ``{"offset"}`` inside a walk, ``{"done_at"}`` after it.
    """

    name = "clob.markets"

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def partitions(self, first_offset: int, count: int) -> list[Partition]:
        """``count`` ranges of ten pages each, from ``first_offset`` on. Go on until a page has the note ``end``."""
        size = PAGE_ROWS * PARTITION_PAGES
        starts = range(first_offset, first_offset + count * size, size)
        return [Partition(self.name, f"{start:09d}", {"from": start, "to": start + size}) for start in starts]

    def restart_position(self, position: Position) -> Position:
        """Offsets never expire."""
        return position

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        end = int(partition.params["to"])
        offset = int(position.get("offset", partition.params["from"]))
        same = PageGuard(where)
        while True:
            answer = await self._client.get(PATH, {"next_cursor": cursor_of(offset)}, _page.decode)
            rows = answer.data or []
            following = offset_of(answer.next_cursor or END) if rows else None
            if following is not None and following <= offset:
                raise UpstreamContractError(f"{where}: the cursor after offset {offset} leads back to {following}")
            batch = await asyncio.to_thread(_read, rows, where)
            same.check(batch.markets)  # placeholders are all alike, markets are not
            at_end = following is None
            is_last = following is None or following >= end
            after = {"done_at": int(self._client.clock.time())} if is_last else {"offset": following}
            page = Page(
                batch.tables(),
                after,
                is_last,
                batch.fetched,
                batch.rejects,
                batch.ignored,
                {"end": 1} if at_end else {},
            )
            yield checked(page, len(batch.markets) + len(batch.tokens))
            if is_last or following is None:
                return
            offset = following


@dataclass(slots=True)
class _Batch:
    """Rows of one page; a market and a token each count as one fetched row."""

    where: str
    fetched: int = 0
    ignored: int = 0
    markets: list[tuple[Any, ...]] = field(default_factory=list)
    tokens: list[tuple[Any, ...]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def tables(self) -> dict[str, Any]:
        return tables(
            markets=columns(_MARKET_NAMES, self.markets, source="clob"),
            tokens=columns(("token", "condition", "outcome"), self.tokens, verified=True, source="clob"),
        )

    def reject(self, reason: str, raw: bytes, message: str) -> None:
        text = raw[: 4 * _RAW_LENGTH].decode("utf-8", "replace")[:_RAW_LENGTH]
        self.rejects.append(Reject(reason, f"{self.where}: {message}", text))

    def add(self, raw: msgspec.Raw) -> None:
        self.fetched += 1
        try:
            market = _market.decode(raw)
            if not market.condition_id:
                self.ignored += 1
                return
            row = _row(market)
        except msgspec.DecodeError as error:
            self.reject("shape", bytes(raw), str(error))
            return
        except BadInputError as error:
            self.reject("bad_value", bytes(raw), str(error))
            return
        self.markets.append((*row, self._add_tokens(market, row[0], bytes(raw))))

    def _add_tokens(self, market: ClobMarket, condition: bytes, raw: bytes) -> list[bytes]:
        listed = [token.token_id for token in market.tokens or [] if token.token_id]
        self.fetched += len(listed)
        proven, refused = proven_tokens(listed, condition, neg_risk=bool(market.neg_risk))
        self.tokens.extend(proven)
        for reason, message in refused:
            self.reject(reason, raw, message)
        return [] if refused else [token for token, _, _ in proven]


def _read(rows: Sequence[msgspec.Raw], where: str) -> _Batch:
    batch = _Batch(where)
    for raw in rows:
        batch.add(raw)
    return batch


_MARKET_NAMES = (
    "condition", "question_id", "question", "slug", "outcomes", "neg_risk", "neg_risk_market", "question_index", "tags",
    "end_ts", "game_start_ts", "closed", "status", "prices_e6", "tokens",
)  # fmt: skip


def _row(market: ClobMarket) -> tuple[Any, ...]:
    condition = condition_of(market.condition_id)
    question = condition_of(market.question_id) if market.question_id else b""
    neg_risk_market = condition_of(market.neg_risk_market_id) if market.neg_risk_market_id else b""
    tokens = market.tokens or []
    in_market = len(question) == 32 and neg_risk_market == question[:31] + b"\0"
    return (
        condition, question, market.question or "", market.market_slug or "", [token.outcome or "" for token in tokens],
        bool(market.neg_risk), neg_risk_market, question[-1] if in_market else NO_INDEX, market.tags or [],
        time_or_zero(market.end_date_iso), time_or_zero(market.game_start_time), bool(market.closed), _status(market),
        [reported_micros(token.price, "price") for token in tokens],
    )  # fmt: skip


def _status(market: ClobMarket) -> str:
    if not market.closed:
        return ""
    winners = [index for index, token in enumerate(market.tokens or []) if token.winner]
    if len(winners) == 1:
        return f"WINNER_{winners[0]}"
    return "SPLIT" if market.is_50_50_outcome else ""
