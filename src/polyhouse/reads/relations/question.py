"""A question to a table, as data: what a program asks, in this process or through a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from polyhouse.errors import BadInputError

MONEY = ("decimal", "micros", "both")
"""How exact amounts come: as decimals under their own name, as whole micro units named ``…_micros``, or both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a table.

    Attributes:
        table: a name of ``catalogue.SOURCES``, or a view or table of docs/tables.md; "" with ``sql``.
        sql: a user's SELECT that stands for the table.
        columns: these only, in this order; () = all.
        where: column → value, None for null, or several values of which one must hold.
        condition: SQL over the columns as people see them (amounts in USDC and shares), "" = none.
        since: rows at this moment or later, ISO 8601 or Unix seconds; "" = all.
        until: rows before this moment; "" = all.
        keys: the first four bytes of the key from … to before … (whole numbers); None = all keys.
        ordered: rows come by key and time, the same way every time.
        limit: so many rows at most; 0 = all.
        counting: no rows, only how many there are, as the column ``count``.
        money: one of ``MONEY``.
        as_of: a kept moment of the past, "" = now.
    """

    table: str = ""
    sql: str = ""
    columns: tuple[str, ...] = ()
    where: Mapping[str, Any] = field(default_factory=dict)
    condition: str = ""
    since: str = ""
    until: str = ""
    keys: tuple[int, int] | None = None
    ordered: bool = False
    limit: int = 0
    counting: bool = False
    money: str = "decimal"
    as_of: str = ""

    def __post_init__(self) -> None:
        if bool(self.table) == bool(self.sql):
            raise BadInputError("a question is asked of a table or of a SELECT")
        if self.money not in MONEY:
            raise BadInputError(f"unknown money {self.money[:40]!r}", hint=f"one of: {' '.join(MONEY)}")
        if self.limit < 0:
            raise BadInputError(f"limit {self.limit} is negative")
        if self.keys is not None and not 0 <= self.keys[0] <= self.keys[1] <= 1 << 32:
            raise BadInputError(f"keys {self.keys} are no range of four bytes")

    def document(self) -> dict[str, Any]:
        """The question as JSON-able data; what is not asked is left out."""
        full = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in full.items() if value}


def question_of(document: Mapping[str, Any]) -> Question:
    """The question of ``Question.document``.

    Raises:
        BadInputError: something in it cannot be.
    """
    try:
        return msgspec.convert(dict(document), Question)
    except msgspec.ValidationError as error:
        raise BadInputError(f"the question to a table is not valid: {error}") from None
