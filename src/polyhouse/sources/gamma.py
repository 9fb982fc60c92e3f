"""Gamma: the universe of events (``gamma.events``) and look-ups of markets by id (``gamma.markets``).

The keyset walk is sequential and its end is a null cursor, never a short page. To read in parallel, the universe is
cut by ``closed`` and by slices of the start date. A date filter cannot match an event without a date: two more
partitions, the *census*, walk all events without their markets and fetch exactly those that no slice can contain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from polyhouse.domain.ids import format_condition, format_token
from polyhouse.domain.times import format_time
from polyhouse.errors import ConfigError, UpstreamRefusedError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import checked, condition_of, time_or_zero, token_of
from polyhouse.sources.gamma_rows import Batch, EventsPage, MarketsPage
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import CursorGuard, PageGuard, digest

EVENTS_PATH = "/events/keyset"
MARKETS_PATH = "/markets/keyset"
PAGE_LIMIT = 100
ID_CHUNK = 20
_TOO_LONG = frozenset({403, 414})

_events_page = msgspec.json.Decoder(EventsPage)
_markets_page = msgspec.json.Decoder(MarketsPage)


class _Dated(msgspec.Struct, rename="camel"):
    id: str | int
    start_date: str | None = None


_dated = msgspec.json.Decoder(_Dated)


class GammaEvents:
    """Stream of events with their markets, tokens and neg-risk markets.

    Partition params: ``{"closed": bool, "from": seconds?, "to": seconds?}`` (a slice of start dates),
    ``{"closed": bool, "census": True}``, ``{"ids": [event id, …]}`` or ``{"slugs": [text, …]}``. Positions:
    ``{"cursor", "seen"}`` inside a walk, ``{"done_at"}`` after it; a finished walk starts anew.
    """

    name = "gamma.events"

    def __init__(self, client: HttpClient, *, page_limit: int = PAGE_LIMIT) -> None:
        self._client = client
        self._page_limit = page_limit

    def partitions(self, now: int, *, census: bool = True) -> list[Partition]:
        """Partitions that together cover every event, open ones first. Their keys do not depend on ``now``.

        Args:
            now: Unix seconds; slices reach up to it, the last one is open-ended.
            census: include the two walks that find events without a start date.
        """
        found = []
        for closed in (False, True):
            state = "closed" if closed else "open"
            for low, high in _slices(now):
                key = f"{state}/{format_time(low)[:10] if low else ''}..{format_time(high)[:10] if high else ''}"
                found.append(Partition(self.name, key, {"closed": closed, "from": low, "to": high}))
            if census:
                found.append(Partition(self.name, f"{state}/undated", {"closed": closed, "census": True}))
        return found

    def by_ids(self, ids: Sequence[int]) -> Partition:
        """The partition of some events by id."""
        wanted = sorted(set(ids))
        return Partition(self.name, f"ids/{digest(wanted)}", {"ids": wanted})

    def by_slugs(self, slugs: Sequence[str]) -> Partition:
        """The partition of some events by slug."""
        wanted = sorted(set(slugs))
        return Partition(self.name, f"slugs/{digest(wanted)}", {"slugs": wanted})

    def restart_position(self, position: Position) -> Position:  # noqa: ARG002 - a keyset walk has no point in between
        """From the beginning of the slice."""
        return {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        if names := {"ids", "slugs"} & set(partition.params):
            batch = Batch(where)
            (name,) = names
            await self._by("id" if name == "ids" else "slug", list(partition.params[name]), batch)
            yield self._page(batch, {"done_at": self._now()}, is_last=True)
            return
        guard = CursorGuard(where, position.get("seen"))
        cursor: str | None = position.get("cursor")
        same = PageGuard(where)
        params = self._params(partition)
        while True:
            answer = await self._client.get(EVENTS_PATH, {**params, "after_cursor": cursor}, _events_page.decode)
            same.check([bytes(raw) for raw in answer.events])
            cursor = guard.pass_on(answer.next_cursor) if answer.next_cursor else None
            batch = Batch(where)
            if partition.params.get("census"):
                await self._census(answer.events, batch)
            else:
                # Both token ids of every market are computed: long enough to keep other tasks from their sockets.
                await asyncio.to_thread(_add_events, batch, answer.events)
            after = {"cursor": cursor, "seen": guard.tail} if cursor else {"done_at": self._now()}
            yield self._page(batch, after, is_last=cursor is None)
            if cursor is None:
                return

    def _params(self, partition: Partition) -> dict[str, Any]:
        wanted = partition.params
        params: dict[str, Any] = {"limit": self._page_limit, "closed": wanted["closed"]}
        if wanted.get("census"):
            params["include_markets"] = False
        # One second of overlap on both sides: nothing depends on whether the upstream's bounds are inclusive.
        if wanted.get("from"):
            params["start_date_min"] = format_time(int(wanted["from"]) - 1)
        if wanted.get("to"):
            params["start_date_max"] = format_time(int(wanted["to"]) + 1)
        return params

    async def _census(self, rows: Sequence[msgspec.Raw], batch: Batch) -> None:
        """Count the events that slices cover, fetch those that none can."""
        undated: list[int] = []
        for raw in rows:
            try:
                row = _dated.decode(raw)
                if time_or_zero(row.start_date):
                    batch.fetched += 1
                    batch.ignored += 1
                else:
                    undated.append(int(row.id))
            except (msgspec.ValidationError, ValueError) as error:
                batch.fetched += 1
                batch.reject("shape", bytes(raw), str(error))
        await self._by("id", undated, batch)

    async def _by(self, name: str, values: Sequence[int | str], batch: Batch) -> None:
        """Events by id or slug, open and closed: a look-up that does not say ``closed`` finds open ones only."""
        for chunk in _chunks(values, ID_CHUNK):
            for closed in (False, True):
                params = {name: chunk, "closed": closed, "limit": PAGE_LIMIT}
                answer = await self._client.get(EVENTS_PATH, params, _events_page.decode)
                await asyncio.to_thread(_add_events, batch, answer.events)

    def _now(self) -> int:
        return int(self._client.clock.time())

    @staticmethod
    def _page(batch: Batch, position: Position, *, is_last: bool) -> Page:
        page = Page(batch.tables(), position, is_last, batch.fetched, batch.rejects, batch.ignored)
        return checked(page, batch.accepted)


class GammaMarkets:
    """Look-up of markets; partition params ``{"conditions": [0x…]}`` or ``{"tokens": [decimal]}``, any number.

    Ids travel in chunks of twenty: longer queries are refused by the network in front of Gamma with an HTML 403 or a
    414, and then the chunk is halved. Each chunk is asked twice, for open and for closed markets. Positions:
    ``{"done": answered questions}``, ``{"done_at"}`` at the end.
    """

    name = "gamma.markets"

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def by_conditions(self, conditions: Sequence[str]) -> Partition:
        """The partition of some conditions."""
        ids = sorted({format_condition(condition_of(text)) for text in conditions})
        return Partition(self.name, f"conditions/{digest(ids)}", {"conditions": ids})

    def by_tokens(self, tokens: Sequence[str]) -> Partition:
        """The partition of some tokens."""
        ids = sorted({format_token(token_of(text)) for text in tokens})
        return Partition(self.name, f"tokens/{digest(ids)}", {"tokens": ids})

    def restart_position(self, position: Position) -> Position:
        """The questions answered so far stay answered."""
        return {"done": position["done"]} if "done" in position else {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        by, ids = self._wanted(partition)
        questions = [(chunk, closed) for chunk in _chunks(ids, ID_CHUNK) for closed in (False, True)]
        done = int(position.get("done", 0))
        for number, (chunk, closed) in enumerate(questions[done:], start=done + 1):
            batch = Batch(f"{self.name} {partition.key}")
            await self._ask(by, chunk, closed=closed, batch=batch)
            is_last = number == len(questions)
            after = {"done_at": int(self._client.clock.time())} if is_last else {"done": number}
            page = Page(batch.tables(), after, is_last, batch.fetched, batch.rejects, batch.ignored)
            yield checked(page, batch.accepted)

    def _wanted(self, partition: Partition) -> tuple[str, list[str]]:
        conditions, tokens = partition.params.get("conditions"), partition.params.get("tokens")
        if bool(conditions) == bool(tokens):
            raise ConfigError(f"{self.name}: a look-up names either conditions or tokens")
        return ("condition_ids", list(conditions)) if conditions else ("clob_token_ids", list(tokens or []))

    async def _ask(self, by: str, ids: list[str], *, closed: bool, batch: Batch) -> None:
        guard = CursorGuard(batch.where)
        cursor: str | None = None
        while True:
            params = {by: ids, "closed": closed, "include_tag": True, "limit": PAGE_LIMIT, "after_cursor": cursor}
            try:
                answer = await self._client.get(MARKETS_PATH, params, _markets_page.decode)
            except UpstreamRefusedError as error:
                if error.status not in _TOO_LONG or len(ids) == 1:
                    raise
                half = len(ids) // 2
                await self._ask(by, ids[:half], closed=closed, batch=batch)
                await self._ask(by, ids[half:], closed=closed, batch=batch)
                return
            await asyncio.to_thread(_add_markets, batch, answer.markets)
            if not answer.next_cursor:
                return
            cursor = guard.pass_on(answer.next_cursor)


def _add_events(batch: Batch, rows: Sequence[msgspec.Raw]) -> None:
    for raw in rows:
        batch.add_event(raw)


def _add_markets(batch: Batch, rows: Sequence[msgspec.Raw]) -> None:
    for raw in rows:
        batch.add_market(raw)


def _chunks(items: Sequence[Any], size: int) -> list[list[Any]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def _slices(now: int) -> Iterator[tuple[int, int]]:
    """(from, to) in Unix seconds, 0 = open: years to 2024, months of 2025, weeks since 2026.

    The cuts follow the growth of the universe (most events are recent) and the calendar, so that the same slice has
    the same key for ever.
    """
    cuts = [datetime(year, 1, 1, tzinfo=UTC) for year in range(2021, 2025)]
    cuts += [datetime(2025, month, 1, tzinfo=UTC) for month in range(1, 13)]
    cuts.append(datetime(2026, 1, 1, tzinfo=UTC))
    week = datetime(2026, 1, 5, tzinfo=UTC)
    while week.timestamp() <= now:
        cuts.append(week)
        week += timedelta(days=7)
    seconds = [int(cut.timestamp()) for cut in cuts if cut.timestamp() <= now]
    yield from zip([0, *seconds], [*seconds, 0], strict=True)
