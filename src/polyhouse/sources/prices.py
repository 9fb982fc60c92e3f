"""``clob.prices``: the price of a token over time as the order book publishes it (upstream.md §7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from polyhouse.domain.ids import format_token
from polyhouse.domain.times import MAX_TIME, MIN_TIME
from polyhouse.errors import BadInputError, ConfigError, UpstreamUnavailableError
from polyhouse.ports import Page, Partition, Position, Reject
from polyhouse.sources.columns import checked, columns, reported_micros, tables, token_of
from polyhouse.sources.data_api.rows import Number
from polyhouse.sources.http import HttpClient

PATH = "/prices-history"
SPAN_SECONDS = 14 * 86_400
"""Longest interval of one request; longer ones are refused at fine resolutions."""
_MICRO = 1_000_000


class _Point(msgspec.Struct):
    t: int
    p: Number


class _Answer(msgspec.Struct):
    history: list[msgspec.Raw] | None = None
    error: str | None = None


_answer = msgspec.json.Decoder(_Answer)
_point = msgspec.json.Decoder(_Point, strict=False)


def _decode(body: bytes) -> list[msgspec.Raw]:
    answer = _answer.decode(body)
    if answer.error is not None:
        raise UpstreamUnavailableError(f"clob.prices: an error inside a 200: {answer.error[:200]}")
    return answer.history or []


class PriceHistory:
    """Stream of prices; params ``{"token": decimal id, "start": first second, "end": last second or 0 = now}``.

    Args:
        client: of the CLOB.
        resolution_seconds: distance of the points, whole minutes.

    Positions: ``{"from": second}`` inside a walk, ``{"done": second}`` after it: later walks go on from there.
    """

    name = "clob.prices"

    def __init__(self, client: HttpClient, *, resolution_seconds: int = 3_600) -> None:
        if resolution_seconds < 60 or resolution_seconds % 60:
            raise ConfigError(f"a price resolution of {resolution_seconds} s: it must be whole minutes")
        self._client = client
        self._resolution = resolution_seconds

    def partition(self, token: bytes, start: int, end: int = 0) -> Partition:
        """The partition of a token from ``start`` (its market's first second) to ``end`` (its resolution)."""
        text = format_token(token)
        return Partition(self.name, f"{text}@{self._resolution}", {"token": text, "start": start, "end": end})

    def restart_position(self, position: Position) -> Position:
        """Times never expire."""
        return position

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        token = token_of(partition.params["token"])
        start = int(partition.params["start"])
        if "done" in position:
            # The last step was still open then: it is read again from its beginning.
            start = max(start, int(position["done"]) // self._resolution * self._resolution)
        start = int(position.get("from", start))
        now = int(self._client.clock.time())
        end = min(int(partition.params.get("end", 0)) or now, now)
        while True:
            until = min(start + SPAN_SECONDS, end)
            params = {
                "market": partition.params["token"], "startTs": start, "endTs": until,
                "fidelity": self._resolution // 60,
            }  # fmt: skip
            raws = await self._client.get(PATH, params, _decode) if until > start else []
            rows, rejects = _read(raws, token, where)
            is_last = until >= end
            yield checked(
                Page(
                    tables=tables(price_points=self._columns(rows)),
                    position={"done": max(start, end)} if is_last else {"from": until},
                    is_last=is_last,
                    fetched=len(raws),
                    rejected=rejects,
                ),
                len(rows),
            )
            if is_last:
                return
            start = until

    def _columns(self, rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
        names = ("token", "ts", "price_e6")
        return columns(names, rows, resolution_seconds=self._resolution, source="clob")


def _read(raws: list[msgspec.Raw], token: bytes, where: str) -> tuple[list[tuple[Any, ...]], list[Reject]]:
    rows: list[tuple[Any, ...]] = []
    rejects: list[Reject] = []
    for raw in raws:
        try:
            point = _point.decode(raw)
            price = reported_micros(point.p, "price")
        except (msgspec.ValidationError, BadInputError) as error:
            rejects.append(Reject("bad_value", f"{where}: {error}", bytes(raw).decode("utf-8", "replace")[:4_000]))
            continue
        if point.p is None or not 0 <= price <= _MICRO or not MIN_TIME <= point.t <= MAX_TIME:
            message = f"{where}: no price between 0 and 1 at a plausible time"
            rejects.append(Reject("bad_value", message, bytes(raw).decode("utf-8", "replace")[:4_000]))
            continue
        rows.append((token, point.t, price))
    return rows, rejects
