"""Rows of the simulated Gamma API with the traps of upstream §1: JSON in strings, absent keys, text numbers, dates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from polyhouse.sim.markets import PRICE_ONE, MarketState
from polyhouse.sim.model import SimEvent
from polyhouse.sim.wire import iso, json_text, number, spaced, text_number
from polyhouse.sim.world import World

_DAY = 86_400


def tag_row(tag: tuple[int, str, str]) -> dict[str, Any]:
    """A tag; the id is text."""
    return {"id": str(tag[0]), "label": tag[1], "slug": tag[2], "requiresTranslation": False}


def series_rows(rows: Sequence[tuple[int, str, str]]) -> list[dict[str, Any]]:
    """Series: (id, title, slug)."""
    return [
        {
            "id": str(ident), "ticker": slug, "slug": slug, "title": title, "seriesType": "single",
            "recurrence": "daily", "active": True, "closed": False, "archived": False,
        }
        for ident, title, slug in rows
    ]  # fmt: skip


def event_row(world: World, event: SimEvent, *, nested: bool) -> dict[str, Any]:
    """An event, with its markets when ``nested`` (those do not repeat the event)."""
    row = _event_core(world, event)
    row["tags"] = [tag_row(tag) for tag in event.tags]
    if event.series is not None:
        row["series"] = series_rows([event.series])
    if nested:
        markets = world.catalog.event_markets(event, world.now)
        row["markets"] = [market_row(world, market, event=False, tags=False) for market in markets]
    return row


def _event_core(world: World, event: SimEvent) -> dict[str, Any]:
    markets = world.catalog.event_markets(event, world.now)
    closed = world.catalog.closed(event, world.now)
    volume = sum(market.volume for market in markets)
    row: dict[str, Any] = {
        "id": str(event.event_id), "ticker": event.slug, "slug": event.slug, "title": event.title,
        "description": f"{event.title} This event belongs to a simulation.", "resolutionSource": "",
        "startDate": iso(event.start_ts, "698284"), "creationDate": iso(event.created_ts, "698276"),
        "endDate": iso(event.end_ts), "image": "", "icon": "", "active": True, "closed": closed, "archived": False,
        "new": False, "featured": False, "restricted": True, "volume": number(volume),
        "openInterest": msgspec.Raw(b"0"), "createdAt": iso(event.created_ts, "07"),
        "updatedAt": iso(world.now, "041"), "competitive": msgspec.Raw(b"0"), "enableOrderBook": True,
        "negRisk": event.neg_risk, "enableNegRisk": event.neg_risk, "negRiskAugmented": False, "commentCount": 0,
    }  # fmt: skip
    if event.neg_risk:
        row |= {"negRiskMarketID": event.neg_risk_market_id, "negRiskFeeBips": event.neg_risk_fee_bips}
    if event.event_id % 7:
        row["liquidity"] = number(volume // 50)
    if closed:
        row["closedTime"] = iso(max(market.resolution.ts for market in markets if market.resolution))
    return row


def market_row(world: World, market: MarketState, *, event: bool, tags: bool) -> dict[str, Any]:
    """A market; ``event`` embeds its event, ``tags`` the event's tags."""
    meta, resolution = market.meta, market.resolution
    fee = meta.fee_rate not in ("0", "0.0", "")
    row: dict[str, Any] = {
        "id": str(meta.market_id), "question": meta.question, "conditionId": meta.condition_id, "slug": meta.slug,
        "resolutionSource": "", "endDate": iso(meta.end_ts), "startDate": iso(meta.start_ts, "770446"),
        "image": "", "icon": "", "description": f"{meta.question} This market belongs to a simulation.",
        "outcomes": json_text(meta.outcomes),
        "outcomePrices": json_text([text_number(market.price(outcome), 10) for outcome in (0, 1)]),
        "active": True, "closed": resolution is not None, "marketMakerAddress": "",
        "createdAt": iso(meta.created_ts, "064526"), "updatedAt": iso(world.now, "311045"), "new": False,
        "featured": False, "archived": False, "restricted": True, "marketType": "normal",
        "questionID": meta.question_id, "enableOrderBook": True, "orderPriceMinTickSize": msgspec.Raw(b"0.001"),
        "orderMinSize": 5, "endDateIso": iso(meta.end_ts)[:10], "startDateIso": iso(meta.start_ts)[:10],
        "hasReviewedDates": True, "clobTokenIds": json_text(meta.token_ids),
        "umaResolutionStatuses": json_text(["proposed"] if resolution else []), "negRisk": meta.neg_risk,
        "negRiskRequestID": "", "volume24hr": number(market.volume_since(world.now - _DAY)),
        "volume1wk": number(market.volume_since(world.now - 7 * _DAY)), "feesEnabled": fee,
        "feeType": "sim_fees" if fee else None,
        # A closed market can still say that it takes orders.
        "acceptingOrders": resolution is None or meta.market_id % 13 == 0,
    }  # fmt: skip
    _volume_keys(row, market)
    if meta.neg_risk:
        row["negRiskMarketID"] = meta.neg_risk_market_id
        row["groupItemTitle"] = f"Option {meta.question_index}"
    if fee:
        row["feeSchedule"] = {
            "rate": msgspec.Raw(meta.fee_rate.encode()), "exponent": 1, "takerOnly": True,
            "rebateRate": msgspec.Raw(b"0.25"),
        }  # fmt: skip
    if world.now - meta.created_ts < world.quirks.token_delay_seconds:
        del row["clobTokenIds"]
    _resolution_keys(row, market, world.now)
    if event:
        row["events"] = [_event_core(world, market.event)]
    if tags:
        row["tags"] = [tag_row(tag) for tag in market.event.tags]
    return row


def _volume_keys(row: dict[str, Any], market: MarketState) -> None:
    """Volume is text and number; on some rows the keys are simply absent."""
    ident = market.meta.market_id
    if ident % 7:
        row |= {"volume": text_number(market.volume), "volumeNum": number(market.volume)}
    if ident % 3:
        row |= {"liquidity": text_number(market.volume // 50), "liquidityNum": number(market.volume // 50)}
    if market.last is not None and ident % 5:
        row["lastTradePrice"] = number(min(max(market.last, 0), PRICE_ONE), 10)


def _resolution_keys(row: dict[str, Any], market: MarketState, now: int) -> None:
    if market.resolution is not None:
        row["closedTime"] = spaced(market.resolution.ts)
        if market.meta.market_id % 11:
            row["umaResolutionStatus"] = "resolved"
    elif market.meta.end_ts <= now:
        row["umaResolutionStatus"] = "proposed"
