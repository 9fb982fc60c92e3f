"""The envelope of the Data API and its rows: a whole page decodes typed in one pass, a bad row costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from polyhouse.errors import BadInputError, RowRejectedError, UpstreamContractError, UpstreamUnavailableError
from polyhouse.ports import Reject

T = TypeVar("T")
R = TypeVar("R")
_RAW_LENGTH = 4_000
_PRINTED = frozenset({bytes, int, NoneType})
"""What a decoder makes of numbers that it hands over as they are printed. Text in quotes stays ``str``."""


class Pagination(msgspec.Struct):
    """``pagination`` of a list answer; ``has_more`` agrees with ``next_cursor`` (data-api-v2.md)."""

    has_more: bool | None = None
    next_cursor: str | None = None
    limit: int | None = None


class Envelope(msgspec.Struct, Generic[T]):
    """``{"data": …, "pagination": …}``; an error can arrive with status 200 too."""

    data: T | UnsetType | None = UNSET
    pagination: Pagination | None = None
    error: str | None = None
    code: str | None = None


@dataclass(slots=True)
class RowsPage(Generic[T]):
    """One decoded list answer.

    Attributes:
        rows: the rows in order; None where the row could not be read.
        rejects: the rows that could not be read.
        cursor: of the next page, None = nothing follows.
        where: stream and partition, for rejects.
        body: as received.
        limit: rows of a page as the upstream served it, None where it does not say.
    """

    rows: list[T | None]
    rejects: list[Reject]
    cursor: str | None
    where: str
    body: bytes
    limit: int | None = None
    _raws: list[msgspec.Raw] | None = field(default=None)

    @property
    def fetched(self) -> int:
        """Rows in the answer."""
        return len(self.rows)

    def read(self, row_of: Callable[[T], R]) -> list[R]:
        """What ``row_of`` makes of each row; rows that it refuses go to quarantine."""
        results: list[R] = []
        for index, row in enumerate(self.rows):
            if row is None:
                continue
            try:
                results.append(row_of(row))
            except RowRejectedError as error:
                self.reject(index, error.reason, str(error))
            except BadInputError as error:
                self.reject(index, "bad_value", str(error))
        return results

    def reject(self, index: int, reason: str, message: str = "") -> None:
        """Send row ``index`` to quarantine as it was received."""
        if self._raws is None:
            self._raws = _raws_decoder.decode(self.body).data or []
        raws = self._raws or []
        text = bytes(raws[index]).decode("utf-8", "replace")
        where = f"{self.where}: {message}" if message else self.where
        self.rejects.append(Reject(reason, where, text[:_RAW_LENGTH]))


class _Raws(msgspec.Struct):
    data: list[msgspec.Raw] | None = None


_raw_decoder = msgspec.json.Decoder(Envelope[list[msgspec.Raw]], strict=False)
_raws_decoder = msgspec.json.Decoder(_Raws)


def _with_decimals(row: type[Any], numbers: Sequence[str]) -> type[msgspec.Struct]:
    """The same Struct with Decimals in these fields."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for one in msgspec.structs.fields(row):
        kind = Decimal | None if one.name in numbers else one.type
        fields.append((one.name, kind) if one.required else (one.name, kind, one.default))
    return msgspec.defstruct(row.__name__, fields, gc=False)


class RowsDecoder(Generic[T]):
    """Decodes list answers into rows of one type.

    Args:
        row: the Struct of a row; unknown keys are passed over, numbers may come as text.
        paged: the route has cursors, so that ``pagination`` must be there and must not contradict itself.
        numbers: fields of type ``Any`` (two or more) that hold exact numbers. They are handed over as JSON prints them,
            ``bytes`` with a point or an exponent, else ``int``: to make a Decimal of each and a text of that again
            costs as much as the rest of the row. A page on which one of them is anything else is read by Decimals.
    """

    def __init__(self, row: type[T], *, paged: bool = True, numbers: Sequence[str] = ()) -> None:
        exact: Any = _with_decimals(row, numbers) if numbers else row
        self._paged = paged
        self._page: msgspec.json.Decoder[Envelope[list[T]]] = msgspec.json.Decoder(Envelope[list[exact]], strict=False)
        self._row: msgspec.json.Decoder[T] = msgspec.json.Decoder(exact, strict=False)
        self._numbers = attrgetter(*numbers) if numbers else None
        self._printed: msgspec.json.Decoder[Envelope[list[T]]] = msgspec.json.Decoder(
            Envelope[list[row]],  # type: ignore[valid-type]
            strict=False,
            float_hook=str.encode,
        )

    def decoder(self, where: str) -> Callable[[bytes], RowsPage[T]]:
        """The decode function of one request; ``where`` names stream and partition."""
        return lambda body: self.decode(body, where)

    def decode(self, body: bytes, where: str) -> RowsPage[T]:
        """The rows of one answer. ``data`` null means no rows.

        Raises:
            msgspec.DecodeError: not JSON, or not an envelope with a list.
            UpstreamContractError: ``has_more`` and ``next_cursor`` disagree, or ``data`` is missing.
            UpstreamUnavailableError: an error in the shape of an answer.
        """
        try:
            envelope: Envelope[Any] = self._as_printed(body) or self._page.decode(body)
        except msgspec.ValidationError:
            return self._row_by_row(body, where)
        cursor = self._checked(envelope, where)
        return RowsPage(envelope.data or [], [], cursor, where, body, _limit(envelope))

    def _as_printed(self, body: bytes) -> Envelope[list[T]] | None:
        """The answer with its numbers as they are printed; None if a number is no plain one."""
        if self._numbers is None:
            return None
        envelope = self._printed.decode(body)
        numbers = chain.from_iterable(map(self._numbers, envelope.data or ()))
        return envelope if set(map(type, numbers)) <= _PRINTED else None

    def _row_by_row(self, body: bytes, where: str) -> RowsPage[T]:
        envelope = _raw_decoder.decode(body)
        page: RowsPage[T] = RowsPage([], [], self._checked(envelope, where), where, body, _limit(envelope))
        for index, raw in enumerate(envelope.data or []):
            try:
                page.rows.append(self._row.decode(raw))
            except msgspec.ValidationError as error:
                page.rows.append(None)
                page.reject(index, "shape", str(error))
        return page

    def _checked(self, envelope: Envelope[Any], where: str) -> str | None:
        check_data(envelope, where)
        pagination = envelope.pagination
        if pagination is None:
            if self._paged:
                raise UpstreamContractError(f"{where}: the answer has no pagination")
            return None
        cursor = pagination.next_cursor or None
        if pagination.has_more is not None and pagination.has_more != (cursor is not None):
            raise UpstreamContractError(
                f"{where}: has_more is {pagination.has_more} but next_cursor is {'set' if cursor else 'missing'}"
            )
        return cursor


def _limit(envelope: Envelope[Any]) -> int | None:
    limit = envelope.pagination.limit if envelope.pagination is not None else None
    return limit if limit and limit > 0 else None


def check_data(envelope: Envelope[Any], where: str) -> None:
    """Refuse answers that are errors in disguise, or no envelope at all."""
    if envelope.error is not None or (envelope.data is UNSET and envelope.code is not None):
        raise UpstreamUnavailableError(
            f"{where}: an error inside a 200: {(envelope.error or envelope.code or '')[:200]}"
        )
    if envelope.data is UNSET:
        raise UpstreamContractError(f"{where}: the answer has no data")
