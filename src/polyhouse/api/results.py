"""What questions return: rows as objects, Arrow, polars or pandas, and a table for notebooks."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from polyhouse.api.connection import Connection
from polyhouse.errors import BadInputError, ConfigError
from polyhouse.reads.relations.question import Question

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

RowT = TypeVar("RowT")
MOST_ROWS = 5_000_000
"""Rows that are held in memory at once unless the question says how many it wants."""
_SHOWN = 10


class Tabular(ABC, Generic[RowT]):
    """Rows and columns, in whichever form is wanted. Amounts are exact in all of them."""

    @abstractmethod
    def arrow(self) -> pa.Table:
        """An Arrow table: amounts as decimals, times in UTC, units in the metadata of the fields."""

    @abstractmethod
    def rows(self) -> list[RowT]:
        """The rows as objects."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """A notebook's view."""

    def polars(self) -> pl.DataFrame:
        """A polars frame on the memory of the Arrow table.

        Raises:
            ConfigError: polars is not installed.
        """
        try:
            import polars as pl
        except ImportError as error:
            raise _not_installed("polars") from error
        return cast("pl.DataFrame", pl.from_arrow(self.arrow()))

    def pandas(self) -> pd.DataFrame:
        """A pandas frame whose columns stay in Arrow, so that amounts stay exact.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise _not_installed("pandas") from error
        frame: pd.DataFrame = self.arrow().to_pandas(types_mapper=pd.ArrowDtype)
        return frame


@dataclass(frozen=True, slots=True)
class Query(Tabular[RowT]):
    """A question to a table, asked when its rows are taken. Every method that narrows it returns a new one.

    Attributes:
        question: what is asked.
    """

    _connection: Connection
    question: Question
    _row: type[RowT] | None = None

    def where(self, condition: str = "", /, **columns: Any) -> Query[RowT]:
        """Only rows of which all of this holds.

        Args:
            condition: SQL over the columns, e.g. ``"volume >= 1000 AND side = 'BUY'"``.
            columns: a column's value, None for null, or a list of values of which one must hold.
        """
        given = {name: _plain(value) for name, value in columns.items()}
        both = " AND ".join(f"({one}\n)" for one in (self.question.condition, condition) if one)
        return self._with(where={**self.question.where, **given}, condition=both)

    def columns(self, *names: str) -> Query[RowT]:
        """Only these columns, in this order."""
        return self._with(columns=tuple(names))

    def since(self, moment: str | int | date) -> Query[RowT]:
        """Only rows at this moment (UTC) or later."""
        return self._with(since=str(_plain(moment)))

    def until(self, moment: str | int | date) -> Query[RowT]:
        """Only rows before this moment (UTC)."""
        return self._with(until=str(_plain(moment)))

    def limit(self, rows: int) -> Query[RowT]:
        """So many rows at most."""
        return self._with(limit=rows)

    def ordered(self) -> Query[RowT]:
        """Rows by key and time, the same way every time."""
        return self._with(ordered=True)

    def micros(self) -> Query[RowT]:
        """Amounts as whole micro units, in columns named ``…_micros``: the fastest form, and exact."""
        return self._with(money="micros")

    def iter_arrow(self) -> Iterator[pa.RecordBatch]:
        """The rows in batches of at most 65,536; in memory is one of them, however many there are.

        Raises:
            PolyhouseError: the question cannot be answered; also in the middle, never a silent end.
        """
        with self._connection.stream(self.question) as answer:
            yield from answer.batches

    def arrow(self) -> pa.Table:
        """See ``Tabular.arrow``.

        Raises:
            BadInputError: more than 5,000,000 rows, and no ``limit``.
        """
        import pyarrow as pa

        with self._connection.stream(self.question) as answer:
            batches = list(self._bounded(answer.batches))
        return pa.Table.from_batches(batches, schema=answer.schema)

    def schema(self) -> pa.Schema:
        """Names, types and units of the columns, and how fresh the store is; no rows are read."""
        with self._connection.stream(self.question) as answer:
            return answer.schema

    def count(self) -> int:
        """How many rows there are."""
        with self._connection.stream(replace(self.question, counting=True, ordered=False)) as answer:
            return int(next(iter(answer.batches)).column(0)[0].as_py())

    def rows(self) -> list[RowT]:
        """The rows as typed objects (``polyhouse.api.rows``); dictionaries where only some columns are asked for."""
        table = self._with(money="decimal").arrow()
        if self._row is None or self.question.columns:
            return cast("list[RowT]", table.to_pylist())
        import msgspec

        return msgspec.convert(table.to_pylist(), list[self._row])  # type: ignore[name-defined]

    def _with(self, **changes: Any) -> Query[RowT]:
        return replace(self, question=replace(self.question, **changes))

    def _bounded(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        taken = 0
        for batch in batches:
            taken += batch.num_rows
            if taken > MOST_ROWS and not self.question.limit:
                raise BadInputError(
                    f"more than {MOST_ROWS:,} rows do not go into memory at once",
                    hint="say how many with .limit(n), or take them with .iter_arrow()",
                )
            yield batch

    def _repr_html_(self) -> str:
        limit = min(self.question.limit or _SHOWN, _SHOWN)
        table = self.limit(limit).arrow()
        return _as_html(table, f"{self.count():,} rows", table.schema.metadata.get(b"polyhouse.as_of", b"").decode())


@dataclass(frozen=True, slots=True)
class Listing(Tabular[RowT]):
    """The table of a document.

    Attributes:
        document: all of it, as ``--json`` prints it.
    """

    document: Mapping[str, Any]
    _name: str
    _row: type[RowT]

    def __len__(self) -> int:
        return len(self._cells())

    def arrow(self) -> pa.Table:
        """See ``Tabular.arrow``."""
        from polyhouse.serve.forms import arrow_table

        return arrow_table(self._name, self.document)

    def rows(self) -> list[RowT]:
        """The rows as typed objects (``polyhouse.api.rows``)."""
        import msgspec

        return msgspec.convert(self._cells(), list[self._row])  # type: ignore[name-defined]

    def _cells(self) -> Sequence[Mapping[str, Any]]:
        from polyhouse.serve.schemas.documents import TABLES

        found: Sequence[Mapping[str, Any]] = self.document[TABLES[self._name].path]
        return found

    def _repr_html_(self) -> str:
        total = self.document.get("total", len(self))
        return _as_html(self.arrow(), f"{len(self):,} of {total:,} rows", self.document.get("as_of") or "")


def _as_html(table: pa.Table, count: str, as_of: str) -> str:
    """A few rows, how many there are, and how old they are."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.column_names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape('' if value is None else str(value))}</td>" for value in row.values())
        + "</tr>"
        for row in table.slice(0, _SHOWN).to_pylist()
    )  # fmt: skip
    fresh = f"data to {as_of}" if as_of else "nothing was computed yet"
    return f"<p>{count}, {fresh}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plain(value: Any) -> Any:
    """A value as JSON has it: times as text, sets as lists."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadInputError(f"{value} has no time zone", hint="datetime(…, tzinfo=UTC)")
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value


def _not_installed(package: str) -> ConfigError:
    return ConfigError(f"{package} is not installed", hint=f"pip install 'polyhouse[{package}]'")
