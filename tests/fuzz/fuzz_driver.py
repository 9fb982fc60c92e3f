"""Runs a parser of the product on one input, and tells what became of its rows."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from fuzz_documents import NOW
from fuzz_values import whole

from polyhouse.ports import Page
from polyhouse.sources.http import HttpClient
from polyhouse.tables import BY_NAME
from polyhouse.warehouse.batches import to_arrow

MOST_PAGES = 40


class NeverEndsError(AssertionError):
    """A walk over one answer did not come to an end."""


@dataclass
class Reading:
    """What became of one input. ``checked`` are the accepted rows in the form of the slow reading."""

    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    ignored: int = 0
    checked: Counter[tuple[Any, ...]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Source:
    """One parser.

    Attributes:
        name: of the stream or format.
        trees: good documents; the first one is the one whose fields are spoiled one by one.
        row: place of a row in the first one.
        read: the product's way.
        slow: the independent reading; None where rows have no amounts to compare.
        write: document → bytes.
    """

    name: str
    trees: list[Any]
    row: tuple[Any, ...]
    read: Callable[[bytes], Reading]
    slow: Callable[[bytes], Counter[tuple[Any, ...]]] | None = None
    write: Callable[[Any], bytes] = whole


class Clock:
    def time(self) -> float:
        return float(NOW)

    def monotonic(self) -> float:
        return 0.0


class OneAnswer:
    """An HTTP client to which the upstream gives one answer, and then the same end for ever."""

    def __init__(self, body: bytes, end: bytes) -> None:
        self.name = "fuzz"
        self.clock = Clock()
        self.answered_at = self.clock.time
        self._bodies = itertools.chain([body], itertools.repeat(end, MOST_PAGES))

    async def get(self, path: str, params: Any, decode: Callable[[bytes], Any], **_: Any) -> Any:
        body = next(self._bodies, None)
        if body is None:
            raise NeverEndsError(path)
        return HttpClient._decoded("fuzz", body, decode)

    async def post(self, path: str, body: bytes, decode: Callable[[bytes], Any], **_: Any) -> Any:
        return await self.get(path, None, decode)


def drive(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nobody."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


CHECKED = ("wallet", "token", "condition", "tx", "kind", "ts", "shares", "cash", "fee_usdc", "price_e12")


def take(reading: Reading, tables: Mapping[str, Any], names: tuple[str, ...] = CHECKED) -> None:
    """Add columns as the writer would take them: a value that its column cannot hold is a fault of the parser."""
    for name, columns in tables.items():
        try:
            rows = to_arrow(BY_NAME[name], columns, run=1).num_rows
        except Exception as error:
            raise AssertionError(f"the writer cannot take {name}: {error}") from error
        reading.accepted += rows
        if name == "observations":
            reading.checked.update(zip(*(columns[one] for one in names), strict=True))


def take_page(reading: Reading, page: Page, names: tuple[str, ...] = CHECKED) -> None:
    take(reading, page.tables, names)
    reading.rejected.update(one.reason for one in page.rejected)
    for one in page.rejected:
        # What the state store and the reject file keep.
        assert isinstance(one.raw, str), one
        assert len(one.where) < 2_000, one.where[:200]
    reading.ignored += page.ignored


def stream(
    make: Callable[[Any], Any], partition: Any, end: Any, names: tuple[str, ...] = CHECKED
) -> Callable[[bytes], Reading]:
    """A stream of a REST source that reads one partition."""
    ending = whole(end)

    def read(body: bytes) -> Reading:
        reading = Reading()
        one = make(OneAnswer(body, ending))
        pages = one.pages(partition(one), {})
        for _ in range(MOST_PAGES):
            try:
                page = drive(pages.__anext__())
            except StopAsyncIteration:
                return reading
            take_page(reading, page, names)
        raise NeverEndsError(one.name)

    return read
