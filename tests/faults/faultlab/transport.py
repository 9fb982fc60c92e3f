"""The network between the real HTTP client and the upstream in memory: every way in which an answer can be bad."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from faultlab.schedule import MORE_PAGES, PAGES, PROCESS, TRANSPORT, Faults
from faultlab.upstream import RECENT_SECONDS, Row, Upstream
from faultlab.vtime import START, Life

_WINDOW = 10.0
_LIMIT = 60
_json = msgspec.json.Encoder().encode
_ROUTES = ("/v2/activity", "/v2/trades", "/v2/positions", "/v2/value", "/v2/resolutions")
_LISTS = {"/v2/activity", "/v2/trades"}
_OPTIONAL = {"outcome_index", "price", "token_id"}
"""Fields that real rows may lack."""


@dataclass
class Answers:
    """What was told to anybody: the only things the product can know.

    Attributes:
        served: name of a cursor → rows of the answer that handed it out.
        repeated: transaction → how often a row came more often than it happened.
        mangled: transactions of rows that once came without one of their fields.
        edges: pages whose last row shared its second with the next one.
    """

    served: dict[str, int] = field(default_factory=dict)
    repeated: Counter[str] = field(default_factory=Counter)
    mangled: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    edges: int = 0
    pages: int = 0
    number: int = 0


class Reply:
    """As much of ``aiohttp.ClientResponse`` as the client uses."""

    def __init__(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.status = status
        self.headers = {"Content-Type": kind, **{name.replace("_", "-"): text for name, text in headers.items()}}
        self.content = self
        self.breaks = False
        self._body = body

    async def read(self, size: int) -> bytes:
        return self._body[:size]

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        yield self._body[: len(self._body) // 2] if self.breaks else self._body
        if self.breaks:
            raise aiohttp.ClientPayloadError("connection reset in the middle of the body")

    def close(self) -> None:
        pass


class Exchange:
    """One request on its way; ``async with`` waits for its answer."""

    def __init__(self, network: Network, path: str, query: dict[str, str]) -> None:
        self._network = network
        self._path = path
        self._query = query

    async def __aenter__(self) -> Reply:
        return await self._network.answer(self._path, self._query)

    async def __aexit__(self, *_: object) -> None:
        pass


class Network:
    """A session of one process: the part of ``aiohttp.ClientSession`` that the client uses."""

    def __init__(self, upstream: Upstream, answers: Answers, faults: Faults, life: Life) -> None:
        self.upstream = upstream
        self.answers = answers
        self.faults = faults
        self.life = life
        self.limit = _LIMIT
        self.stalled_until: dict[str, float] = {}
        self._recent: deque[float] = deque()
        self._last: dict[str, Sequence[dict[str, Any]]] = {}
        self._seconds: dict[str, int] = {}

    def request(self, method: str, url: URL, **_: Any) -> Exchange:
        return Exchange(self, url.path, dict(url.query))

    async def close(self) -> None:
        pass

    def swizzle(self, dice: random.Random) -> None:
        """Stall one source after the other, and let them go in another order."""
        now = self.life.loop.now
        released = dice.sample(range(len(_ROUTES)), len(_ROUTES))
        for place, route in enumerate(_ROUTES):
            self.stalled_until[route] = now + 5.0 * (1 + released[place])

    async def answer(self, path: str, query: dict[str, str]) -> Reply:
        """The answer to one request, or what happened to it."""
        await self.life.thaw()
        await asyncio.sleep(max(self.stalled_until.get(path, 0.0) - self.life.loop.now, 0.0))
        possible = (*TRANSPORT, *PROCESS)
        if path in _LISTS or path == "/v2/positions":
            possible = (*PAGES, *MORE_PAGES, *possible)
        fault = self.faults.draw(self.life, *possible)
        dice = self.faults.dice("answer")
        await asyncio.sleep(dice.random() * 0.5)
        await self.life.thaw()
        if fault == "timeout_before":
            await self._hang()
        if self._is_too_fast() and not self.faults.is_over:
            return Reply(429, b'{"error":"slow down","code":"rate_limited"}')
        if fault in TRANSPORT:
            broken = self._broken(fault, dice)
            if broken is not None:
                return broken
        if fault == "cursor_expired" and "cursor" in query:
            return Reply(400, b'{"error":"invalid cursor","code":"invalid_request","parameter":"cursor"}')
        reply = self._page(path, query, fault, dice)
        if fault == "timeout_after":
            await self._hang()
        date = formatdate(self._moment(), usegmt=True)
        if fault == "truncated":
            return Reply(200, reply[: max(1, len(reply) * 2 // 3)], Date=date)
        answer = Reply(200, reply, Date=date)
        answer.breaks = fault == "reset"
        return answer

    async def _hang(self) -> None:
        await asyncio.sleep(25.0)
        await self.life.thaw()
        raise aiohttp.SocketTimeoutError("no answer")

    def _is_too_fast(self) -> bool:
        now = self.life.loop.now
        while self._recent and self._recent[0] <= now - _WINDOW:
            self._recent.popleft()
        self._recent.append(now)
        return len(self._recent) > self.limit

    def _broken(self, fault: str, dice: Any) -> Reply | None:
        if fault == "429":
            return Reply(429, b'{"error":"rate limited","code":"rate_limited"}')
        if fault == "429_retry_after":
            return Reply(429, b"error code: 1015", "text/plain", Retry_After=dice.choice(("1", "7", "600")))
        if fault == "5xx":
            status = dice.choice((500, 502, 503, 504))
            return Reply(status, b'{"error":"x","code":"dependency_unavailable","retryable":true}')
        if fault == "408":
            return Reply(408, b'{"error":"took too long","code":"request_timeout"}')
        if fault == "html_200":
            return Reply(200, b"<html>just a moment</html>", "text/html")
        if fault == "empty_200":
            return Reply(200, b"")
        if fault == "rate_halved":
            self.limit = max(4, self.limit // 2)
        return None

    def _page(self, path: str, query: dict[str, str], fault: str, dice: Any) -> bytes:
        if path == "/v2/activity":
            return self._ledger(query, fault, dice)
        if path == "/v2/trades":
            return self._trades(query, fault, dice)
        if path == "/v2/positions":
            return self._positions(query, fault, dice)
        if path == "/v2/value":
            shares = sum(self.upstream.positions.get(query["user"], {}).values())
            return _json({"data": {"proxy_wallet": query["user"], "value": f"{shares / 1_000_000:.6f}"}})
        if path == "/v2/resolutions":
            return self._resolutions(query["condition"].split(","))
        raise AssertionError(f"nobody asks for {path}")

    def _ledger(self, query: dict[str, str], fault: str, dice: Any) -> bytes:
        wallet, cursor = query["user"], query.get("cursor", "")
        after = _anchor(cursor) if cursor else (int(query["start"]), -1)
        self._disturb(wallet, after, fault, dice)
        rows = [row for row in self.upstream.visible(wallet) if row.order > after]
        return self._listed(f"a {wallet}", query, rows, Row.activity, fault, dice)

    def _trades(self, query: dict[str, str], fault: str, dice: Any) -> bytes:
        takers = query["taker_only"] == "true"
        rows = self.upstream.trades(query["condition"].split(","), takers=takers)
        if cursor := query.get("cursor"):
            before = _anchor(cursor)
            rows = [row for row in rows if row.order < before]
        if takers and fault in {"repeated_row", "changed_row", "stale_page", "skipped_row", "late_row", "deleted_row"}:
            fault = ""  # the roles of rows that are there are right
        return self._listed(f"t {takers} {query['condition']}", query, rows, Row.trade, fault, dice)

    def _disturb(self, wallet: str, after: tuple[int, int], fault: str, dice: Any) -> None:
        """What happens to the ledger while it is read: only its newest minutes may still change."""
        rows = self.upstream.visible(wallet)
        since = self._moment() - RECENT_SECONDS
        if fault == "late_row" and rows and rows[-1].ts > since:
            row = self.upstream.add(wallet, dice.randint(max(since, rows[0].ts), rows[-1].ts))
            row.is_doubtful = True
        recent = [row for row in rows if row.ts > since and row.order <= after]
        lonely = [row for row in recent if sum(one.tx == row.tx for one in rows) == 1]
        if fault == "deleted_row" and lonely:
            row = dice.choice(lonely)
            row.is_deleted = row.is_doubtful = True
            self.answers.withdrawn.add(row.tx)

    def _moment(self) -> int:
        return START + int(self.life.loop.now)

    def _listed(
        self, feed: str, query: dict[str, str], rows: list[Row], show: Callable[[Row], dict[str, Any]], fault: str,
        dice: Any,
    ) -> bytes:  # fmt: skip
        limit = min(int(query["limit"]), self.upstream.page_rows)
        if fault == "short_page":
            limit = dice.randint(0, limit - 1)
        page, rest = rows[:limit], rows[limit:]
        self.answers.pages += 1
        if page and rest and page[-1].ts == rest[0].ts:
            self.answers.edges += 1
        page, rest = self._lied(page, rest, fault)
        docs = [show(row) for row in page]
        anchor = page[-1].order if page else _anchor(query["cursor"]) if query.get("cursor") else None
        if anchor is None and rest:
            anchor = rest[0].ts, rest[0].number - (1 if show is Row.activity else -1)
        docs = self._edited(feed, page, docs, fault, dice)
        self._seconds[feed] = len({doc["timestamp"] for doc in docs if "timestamp" in doc})
        return self._envelope(query, docs, anchor if rest else None, fault)

    def _lied(self, page: list[Row], rest: list[Row], fault: str) -> tuple[list[Row], list[Row]]:
        since = self._moment() - RECENT_SECONDS
        if fault == "stale_page":
            kept = [row for row in page if row.ts <= since]
            for row in page[len(kept) :] + rest:
                if row.ts > since:
                    row.is_doubtful = True
            if all(row.ts > since for row in page[len(kept) :] + rest):
                return kept, []
        if fault == "skipped_row" and len(page) > 1 and page[-1].ts > since:
            page[-2].is_doubtful |= page[-2].ts > since
            return (page[:-2] + page[-1:], rest) if page[-2].ts > since else (page, rest)
        return page, rest

    def _edited(
        self, feed: str, page: list[Row], docs: list[dict[str, Any]], fault: str, dice: Any
    ) -> list[dict[str, Any]]:
        before, self._last[feed] = self._last.get(feed, ()), docs
        # A small page that was told as one of a single second cannot be told from equal fills that happened twice.
        if fault == "repeated_page" and self._seconds.get(feed, 0) > 1:
            return list(before)
        if fault == "repeated_row" and docs:
            place = dice.randrange(len(docs))
            self.answers.repeated[page[place].tx] += 1
            return [*docs[:place], docs[place], *docs[place:]]
        if fault == "out_of_order" and len(docs) > 1:
            return [*docs[1:], docs[0]]
        if fault == "new_field":
            return [{**doc, "brand_new": {"deep": [1, None]}} for doc in docs]
        if fault == "field_missing" and docs:
            place = dice.randrange(len(docs))
            optional = _OPTIONAL | ({"condition_id"} if page[place].kind == "REWARD" else set())
            name = dice.choice(sorted(docs[place].keys() - optional))
            self.answers.mangled.add(page[place].tx)
            page[place].is_doubtful = True
            return [{key: doc[key] for key in doc if n != place or key != name} for n, doc in enumerate(docs)]
        if fault == "changed_row":
            since = self._moment() - RECENT_SECONDS
            return [
                {**doc, "outcome_index": None} if row.ts > since else doc
                for row, doc in zip(page, docs, strict=True)
            ]  # fmt: skip
        return docs

    def _envelope(
        self, query: dict[str, str], docs: Sequence[dict[str, Any]], anchor: tuple[int, int] | None, fault: str
    ) -> bytes:
        sent = query.get("cursor")
        following = None
        if anchor is not None:
            self.answers.number += 1
            following = f"{anchor[0]}.{anchor[1]}.{self.answers.number}"
            if fault == "cursor_repeated" and sent:
                following = sent
            else:
                self.answers.served[following] = len(docs)
        paging = {"has_more": following is not None, "next_cursor": following, "limit": self.upstream.page_rows}
        return _json({"data": docs, "pagination": paging})

    def _positions(self, query: dict[str, str], fault: str, dice: Any) -> bytes:
        known = sorted(self.upstream.positions.get(query["user"], {}).items())
        if cursor := query.get("cursor"):
            known = [one for one in known if one[0] > _anchor(cursor)[0]]
        limit = self.upstream.page_rows if fault != "short_page" else 1
        page, rest = known[:limit], known[limit:]
        docs = [_position(query["user"], token, shares) for token, shares in page]
        if fault == "repeated_row" and docs:
            docs.append(docs[0])
        if fault == "out_of_order":
            docs.reverse()
        if fault == "new_field":
            docs = [{**doc, "brand_new": 1} for doc in docs]
        if fault == "field_missing" and docs:
            docs[0].pop(dice.choice(("token_id", "condition_id")))
        return self._envelope(query, docs, (page[-1][0], 0) if rest else None, fault)

    def _resolutions(self, conditions: Sequence[str]) -> bytes:
        docs = [
            {
                "condition_id": one, "status": "resolved", "payouts": [1_000_000, 0], "resolved_block": 9,
                "resolved_at": str(self.upstream.now), "last_update_timestamp": str(self.upstream.now),
            }
            for one in conditions if one in self.upstream.resolved
        ]  # fmt: skip
        return _json({"data": docs})


def _position(wallet: str, token: int, shares: int) -> dict[str, Any]:
    return {
        "proxy_wallet": wallet, "token_id": str(token), "condition_id": f"0x{(token - 1_000) // 2 + 1:064x}",
        "current_size": f"{shares // 1_000_000}", "avg_price": "0.5", "realized_pnl": "0", "unrealized_pnl": "0",
        "current_value": "1", "status": "OPEN", "last_event_at": str(token),
    }  # fmt: skip


def _anchor(cursor: str) -> tuple[int, int]:
    ts, number, _ = cursor.split(".")
    return int(ts), int(number)
