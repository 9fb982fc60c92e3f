"""Tables on pages: sorting by a column, one page at a time, downloads."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from polyhouse.errors import BadInputError
from polyhouse.serve.pages.formats import title_words
from polyhouse.serve.pages.site import link

ROWS = 50
Choice = tuple[str, str, bool]
"""Words of a link, its address, whether it is the one that holds."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """How a table is sorted, and the addresses that sort it otherwise."""

    key: str
    direction: str
    href: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Paged:
    """One page of a table: a sentence on what is shown, and where the pages beside it are."""

    rows: Sequence[Any]
    says: str
    previous: str | None
    next: str | None


def with_query(request: Request, **changes: Any) -> str:
    """The request's address with some parameters changed; None or "" takes one away."""
    kept = dict(request.query_params)
    return link(request.url.path, **{**kept, **changes})


def choices(request: Request, name: str, words: Iterable[str], default: str, now: str) -> list[Choice]:
    """Links that choose one of a few words for a parameter."""
    return [
        (
            title_words(word),
            with_query(request, **{name: None if word == default else word, "cursor": None}),
            word == now,
        )
        for word in words
    ]


def sorted_by(request: Request, keys: Mapping[str, Callable[[Any], Any]], default: str) -> Sorted:
    """What ``sort`` and ``order`` of the request ask for.

    Raises:
        BadInputError: there is no such column.
    """
    key = request.query_params.get("sort", default)
    if key not in keys:
        raise BadInputError(f"unknown sort {key[:40]!r}", hint=f"one of: {' '.join(keys)}")
    direction = "ascending" if request.query_params.get("order") == "up" else "descending"

    def href(other: str) -> str:
        turned = "up" if other == key and direction == "descending" else None
        return with_query(request, sort=other, order=turned, page=None)

    return Sorted(key, direction, href)


def in_order(rows: Iterable[Any], by: Callable[[Any], Any], direction: str) -> list[Any]:
    """The rows by a value; those without one come last in both directions."""
    known: list[Any] = []
    missing: list[Any] = []
    for row in rows:
        (missing if by(row) is None else known).append(row)
    return sorted(known, key=by, reverse=direction == "descending") + missing


def number_of(request: Request, name: str, default: int) -> int:
    """A whole number of the query.

    Raises:
        BadInputError: it is none.
    """
    text = request.query_params.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadInputError(f"{name} {text[:40]!r} is not a number")
    return int(text)


def page_of(request: Request, rows: Sequence[Any], what: str, size: int = ROWS) -> Paged:
    """The page that ``page`` of the request names, counted from 1; beyond the end it is the last one."""
    most = max(1, -(-len(rows) // size))
    number = min(max(1, number_of(request, "page", 1)), most)
    start = (number - 1) * size
    shown = rows[start : start + size]
    says = f"{start + 1:,}–{start + len(shown):,} of {len(rows):,} {what}" if shown else f"no {what}"
    return Paged(
        shown, says,
        with_query(request, page=number - 1 if number > 2 else None) if number > 1 else None,
        with_query(request, page=number + 1) if number < most else None,
    )  # fmt: skip


def csv_answer(name: str, rows: Sequence[Mapping[str, Any]]) -> Response:
    """A table as a CSV file: nested values get names with a dot, numbers all their digits."""
    return csv_stream(name, iter([rows]))


def csv_stream(name: str, pages: Iterator[Sequence[Mapping[str, Any]]]) -> Response:
    """A table that comes page by page, as one CSV file. The first page is read at once, so that its errors are answers;
    its rows give the columns.
    """
    first = [_flat(row) for row in next(pages, ())]
    columns = list(dict.fromkeys(column for row in first for column in row))

    def lines() -> Iterator[str]:
        yield _csv([columns])
        yield _csv([_cell(row.get(column)) for column in columns] for row in first)
        for page in pages:
            flat = [_flat(row) for row in page]
            yield _csv([_cell(row.get(column)) for column in columns] for row in flat)

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-cache"}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list | tuple):
        return " ".join(_cell(item) for item in value)
    text = str(value)
    # A spreadsheet would run a text that looks like a formula.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") and not isinstance(value, int) else text
