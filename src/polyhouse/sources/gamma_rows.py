"""Events and markets as Gamma prints them, and their way into columns (upstream.md §1, gamma.md).

Every key is optional: rows of the same day differ in dozens of keys. Lists come as JSON inside a string or as plain
arrays. What Gamma says about prices and resolutions stays a description; it never resolves a market.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from polyhouse.domain.categories import CATEGORY_VERSION, category_of
from polyhouse.errors import BadInputError, RowRejectedError
from polyhouse.ports import Reject
from polyhouse.sources.columns import columns, condition_of, counted, reported_micros, tables, time_or_zero, unique
from polyhouse.sources.tokens import proven_tokens
from polyhouse.tables import Columns

_RAW_LENGTH = 4_000
NO_INDEX = 65_535
Id = str | int | None


class TagRow(msgspec.Struct):
    """A tag on the wire."""

    label: str | None = None
    slug: str | None = None


class SeriesRow(msgspec.Struct):
    """A series on the wire."""

    slug: str | None = None


class EventRef(msgspec.Struct):
    """The event inside a market row."""

    id: Id = None


class FeeSchedule(msgspec.Struct):
    """Fees of one market; the documented table must not be hard-coded."""

    rate: Decimal | None = None


class MarketRow(msgspec.Struct, rename="camel"):
    """A market on the wire."""

    id: Id = None
    condition_id: str | None = None
    question_id: str | None = msgspec.field(default=None, name="questionID")
    question: str | None = None
    slug: str | None = None
    outcomes: msgspec.Raw = msgspec.Raw()
    outcome_prices: msgspec.Raw = msgspec.Raw()
    clob_token_ids: msgspec.Raw = msgspec.Raw()
    neg_risk: bool | None = None
    neg_risk_market_id: str | None = msgspec.field(default=None, name="negRiskMarketID")
    start_date: str | None = None
    end_date: str | None = None
    closed_time: str | None = None
    game_start_time: str | None = None
    closed: bool | None = None
    fees_enabled: bool | None = None
    fee_schedule: FeeSchedule | None = None
    uma_resolution_status: str | None = None
    events: list[EventRef] | None = None
    tags: list[TagRow] | None = None


class EventRow(msgspec.Struct, rename="camel"):
    """An event on the wire; its markets are decoded one by one, so that a bad one costs only itself."""

    id: Id = None
    slug: str | None = None
    title: str | None = None
    tags: list[TagRow] | None = None
    series: list[SeriesRow] | None = None
    series_slug: str | None = None
    neg_risk: bool | None = None
    enable_neg_risk: bool | None = None
    neg_risk_market_id: str | None = msgspec.field(default=None, name="negRiskMarketID")
    neg_risk_fee_bips: int | None = None
    start_date: str | None = None
    end_date: str | None = None
    closed: bool | None = None
    markets: list[msgspec.Raw] | None = None


class EventsPage(msgspec.Struct):
    """``/events/keyset``; the walk ends where ``next_cursor`` is null or missing, never at a short page."""

    events: list[msgspec.Raw]
    next_cursor: str | None = None


class MarketsPage(msgspec.Struct):
    """``/markets/keyset``."""

    markets: list[msgspec.Raw]
    next_cursor: str | None = None


_events = msgspec.json.Decoder(EventRow, strict=False)
_markets = msgspec.json.Decoder(MarketRow, strict=False)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw] | None)
_text = msgspec.json.Decoder(str)


def texts_of(raw: msgspec.Raw) -> list[str]:
    """The items of a list that is printed as an array, or as JSON inside a string; numbers as they are printed.

    Raises:
        RowRejectedError: it is no such list.
    """
    data = bytes(raw).strip()
    try:
        if data.startswith(b'"'):
            data = _text.decode(data).encode()
        if not data:
            return []
        items = (bytes(item).strip() for item in _raw_list.decode(data) or [])
        return [_text.decode(item) if item.startswith(b'"') else item.decode() for item in items]
    except (msgspec.DecodeError, RecursionError) as error:
        raise RowRejectedError("shape", f"a list cannot be read: {error}") from None


def _number(value: Id, what: str) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise BadInputError(f"{what} {text[:40]!r} is not a number")
    return int(text)


def _condition_or_none(text: str | None) -> bytes:
    return condition_of(text) if text else b""


@dataclass(slots=True)
class Batch:
    """Everything one answer brings. An event, a market and a token id each count as one fetched row."""

    where: str
    fetched: int = 0
    ignored: int = 0
    events: list[tuple[Any, ...]] = field(default_factory=list)
    markets: list[tuple[Any, ...]] = field(default_factory=list)
    tokens: list[tuple[Any, ...]] = field(default_factory=list)
    neg_risk: list[tuple[Any, ...]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    undated: list[int] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Fetched rows that became rows of ours (neg-risk markets are derived, not fetched)."""
        return len(self.events) + len(self.markets) + len(self.tokens)

    def tables(self) -> dict[str, Columns]:
        """The filled tables."""
        return tables(
            events=columns(_EVENT_NAMES, self.events, category_version=CATEGORY_VERSION),
            markets=columns(_MARKET_NAMES, self.markets, source="gamma"),
            tokens=columns(("token", "condition", "outcome"), self.tokens, verified=True, source="gamma"),
            neg_risk_markets=columns(("market", "question_count", "fee_bips"), self.neg_risk, source="gamma"),
        )

    def reject(self, reason: str, raw: bytes, message: str = "") -> None:
        """Quarantine one row as received."""
        where = f"{self.where}: {message}" if message else self.where
        self.rejects.append(Reject(reason, where, raw[: 4 * _RAW_LENGTH].decode("utf-8", "replace")[:_RAW_LENGTH]))

    def add_event(self, raw: msgspec.Raw) -> None:
        """One event with its markets."""
        self.fetched += 1
        try:
            event = _events.decode(raw)
        except msgspec.DecodeError as error:
            self.reject("shape", bytes(raw), str(error))
            return
        tags = unique(word for tag in event.tags or [] for word in (tag.label or "", tag.slug or ""))
        event_id = 0
        try:
            event_id = _number(event.id, "event id")
            self.events.append(_event(event, event_id, tags))
        except BadInputError as error:
            self.reject("bad_value", bytes(raw), str(error))
        indices = [index for market in event.markets or [] if (index := self.add_market(market, event_id, tags)) >= 0]
        self._add_neg_risk(event, indices)

    def add_market(self, raw: msgspec.Raw, event_id: int = 0, tags: list[str] | None = None) -> int:
        """One market with its tokens; returns its question index, -1 for none."""
        self.fetched += 1
        try:
            market = _markets.decode(raw)
            if not market.condition_id:
                self.ignored += 1
                return -1
            row, listed = _market(market, event_id, tags), texts_of(market.clob_token_ids)
        except msgspec.DecodeError as error:
            self.reject("shape", bytes(raw), str(error))
            return -1
        except RowRejectedError as error:
            self.reject(error.reason, bytes(raw), str(error))
            return -1
        except BadInputError as error:
            self.reject("bad_value", bytes(raw), str(error))
            return -1
        tokens = self._add_tokens(market, row[0], listed, bytes(raw))
        self.markets.append((*row, tokens))
        index: int = row[_INDEX_AT]
        return index if index != NO_INDEX else -1

    def _add_tokens(self, market: MarketRow, condition: bytes, listed: list[str], raw: bytes) -> list[bytes]:
        """Only tokens that are proven to belong to the condition; the others are rejected one by one."""
        self.fetched += len(listed)
        proven, refused = proven_tokens(listed, condition, neg_risk=bool(market.neg_risk))
        self.tokens.extend(proven)
        for reason, message in refused:
            self.reject(reason, raw, message)
        return [] if refused else [token for token, _, _ in proven]

    def _add_neg_risk(self, event: EventRow, indices: list[int]) -> None:
        if not event.neg_risk_market_id or not indices:
            return
        try:
            market, fee = condition_of(event.neg_risk_market_id), counted(event.neg_risk_fee_bips, "fee")
        except BadInputError:
            return  # the event row with the same text is in quarantine already
        self.neg_risk.append((market, max(indices) + 1, fee))


_EVENT_NAMES = (
    "event_id", "slug", "title", "tags", "category", "series", "neg_risk", "neg_risk_market", "neg_risk_fee_bips",
    "start_ts", "end_ts", "closed",
)  # fmt: skip
_MARKET_NAMES = (
    "condition", "market_id", "question_id", "question", "slug", "event_id", "outcomes", "neg_risk", "neg_risk_market",
    "question_index", "tags", "start_ts", "end_ts", "closed_ts", "game_start_ts", "closed", "fee_rate_e6", "status",
    "prices_e6", "tokens",
)  # fmt: skip
_INDEX_AT = _MARKET_NAMES.index("question_index")


def _event(event: EventRow, event_id: int, tags: list[str]) -> tuple[Any, ...]:
    series = next((item.slug for item in event.series or [] if item.slug), None) or event.series_slug or ""
    return (
        event_id, event.slug or "", event.title or "", tags, category_of(tags), series,
        bool(event.neg_risk or event.enable_neg_risk), _condition_or_none(event.neg_risk_market_id),
        counted(event.neg_risk_fee_bips, "fee"), time_or_zero(event.start_date), time_or_zero(event.end_date),
        bool(event.closed),
    )  # fmt: skip


def _market(market: MarketRow, event_id: int, tags: list[str] | None) -> tuple[Any, ...]:
    condition = condition_of(market.condition_id)
    question = _condition_or_none(market.question_id)
    neg_risk_market = _condition_or_none(market.neg_risk_market_id)
    if market.events and not event_id:
        event_id = _number(market.events[0].id, "event id")
    own = unique(word for tag in market.tags or [] for word in (tag.label or "", tag.slug or ""))
    return (
        condition, _number(market.id, "market id") if market.id is not None else 0, question, market.question or "",
        market.slug or "", event_id, texts_of(market.outcomes), bool(market.neg_risk), neg_risk_market,
        _question_index(question, neg_risk_market), own or tags or [], time_or_zero(market.start_date),
        time_or_zero(market.end_date), time_or_zero(market.closed_time), time_or_zero(market.game_start_time),
        bool(market.closed), _fee_rate(market), market.uma_resolution_status or "",
        [reported_micros(text, "price") for text in texts_of(market.outcome_prices)],
    )  # fmt: skip


def _question_index(question: bytes, market: bytes) -> int:
    """The last byte of a neg-risk question id, if the id belongs to the market (accounting §5.3)."""
    return question[-1] if len(question) == 32 and market == question[:31] + b"\0" else NO_INDEX


def _fee_rate(market: MarketRow) -> int:
    """Rate in 10⁻⁶; 0 = no fees, -1 = the row does not tell."""
    if market.fee_schedule is not None and market.fee_schedule.rate is not None:
        return reported_micros(market.fee_schedule.rate, "fee rate")
    return 0 if market.fees_enabled is False else -1
