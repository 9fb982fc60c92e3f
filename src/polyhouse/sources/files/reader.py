"""Files of saved API answers and dumps as batches of table columns (``polyhouse import``)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from polyhouse.domain.ids import shown
from polyhouse.errors import BadInputError, RowRejectedError
from polyhouse.ports import Reject
from polyhouse.sources.columns import columns, storable_text
from polyhouse.sources.files.counting import RowCounter
from polyhouse.sources.files.formats import Format, fields, recognise
from polyhouse.sources.files.order_columns import order_fields
from polyhouse.sources.files.orders import log_identity, order, source_of
from polyhouse.sources.files.published import (
    POSITION_COLUMNS,
    PUBLISHED_COLUMNS,
    reported_position,
    seen_time,
    user_position,
)
from polyhouse.sources.files.records import Record, Tally, records, reject
from polyhouse.sources.files.rows import Fields, Observation, mapping_of, observation
from polyhouse.tables import Columns

BATCH_ROWS = 10_000
_ROWS_LOOKED_AT = 200
_REMEMBERED_MARKETS = 100_000

SOURCES: dict[Format, str] = {
    Format.ACTIVITY: "activity", Format.TRADES: "trades", Format.DOME: "dump", Format.ORDERS: "dump",
}  # fmt: skip
"""Format → the source its observations carry: saved answers of a feed are that feed's rows. orderFilled rows whose ids
are those of the public subgraph are ``subgraph``."""
_PUBLISHED = {Format.POSITIONS: "reported_positions", Format.USER_POSITIONS: "published_positions"}


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """Some rows of a file. ``rows_read`` = observations + rejects + ignored + repeated.

    Attributes:
        tables: table name → columns: observations, and the markets and tokens they name.
        rows_read: rows of the file that this batch accounts for.
        rejects: rows for the quarantine; ``where`` is file:line.
        ignored: fills of nothing for nothing (accounting §1.6).
        repeated: rows of whole pages that came before in the same file (accounting §1.10), and logs of a dump that
            came before in it.
    """

    tables: dict[str, Columns]
    rows_read: int
    rejects: Sequence[Reject] = ()
    ignored: int = 0
    repeated: int = 0


def detect(path: Path | str) -> Format:
    """The format of a file, by the field names of its first rows.

    Raises:
        BadInputError: the file cannot be read, or its rows are none that we know.
    """
    path = Path(path)
    first: Record | None = None
    seen = 0
    for item in islice(records(path, Tally()), _ROWS_LOOKED_AT):
        seen += 1
        if isinstance(item, Reject):
            continue
        first = first or item
        format_ = recognise(item.row)
        if format_ is not None:
            return format_
    if not seen:
        return Format.EMPTY
    names = sorted(str(name)[:40] for name in first.row)[:12] if first else ["no rows at all"]
    found = ", ".join(name if name.isprintable() else shown(name) for name in names)
    raise BadInputError(
        f"{path.name}: these are no rows that can be imported (fields: {found})",
        hint="Importable: orderFilled dumps, Data API activity, trades and positions, Dome orders, userPositions of the"
        " pnl-subgraph, decoded logs; as JSON, JSON Lines, CSV or Parquet, plain, .gz or .zst.",
    )


def read(path: Path | str, format_: Format | str | None = None, *, now: int | None = None) -> Iterator[ImportBatch]:
    """All rows of a file as batches; at least one batch, in memory that does not grow with the file.

    Args:
        path: the file.
        format_: what it holds; None = found out.
        now: Unix seconds; rows more than an hour later are rejected.

    Raises:
        BadInputError: unknown format, or the file is damaged; batches before that place were handed out.
    """
    path = Path(path)
    chosen = detect(path) if format_ is None else _format(format_)
    limit = int(time.time()) if now is None else now
    tally = Tally()
    items = iter(()) if chosen is Format.EMPTY else records(path, tally)
    with RowCounter() as counter, RowCounter() as logs:
        reader = _Reader(path, chosen, limit, (counter, logs), tally)
        some = False
        for item in items:
            reader.take(item)
            if reader.is_full:
                some = True
                yield reader.batch()
        if reader.has_rows or not some:
            yield reader.batch()


def _format(name: Format | str) -> Format:
    try:
        return Format(name)
    except ValueError:
        known = ", ".join(one.value for one in Format if one not in {Format.EMPTY, Format.COMBOS})
        raise BadInputError(f"import format {shown(str(name))} is not known; known are {known}") from None


class _Reader:
    """Collects rows of one file until they are a batch."""

    def __init__(
        self, path: Path, format_: Format, now: int, counters: tuple[RowCounter, RowCounter], tally: Tally
    ) -> None:
        self._path = path
        self._format = format_
        self._now = now
        self._counter, self._logs = counters
        self._tally = tally
        self._repeated_before = 0
        self._markets_known: set[bytes] = set()
        self._start()

    def _start(self) -> None:
        self._rows: list[Observation] = []
        self._ordinals: list[int] = []
        self._markets: dict[bytes, tuple[bytes, Fields]] = {}
        self._sources: list[str] = []
        self._published: list[tuple[Any, ...]] = []
        self._rejects: list[Reject] = []
        self._ignored = 0
        self._again = 0

    @property
    def is_full(self) -> bool:
        return self._taken >= BATCH_ROWS

    @property
    def _taken(self) -> int:
        return len(self._rows) + len(self._published) + len(self._rejects) + self._ignored + self._again

    @property
    def has_rows(self) -> bool:
        return self._taken > 0 or self._tally.repeated_rows > self._repeated_before

    def take(self, item: Record | Reject) -> None:
        """Account for one item of the file."""
        if isinstance(item, Reject):
            self._rejects.append(item)
            return
        try:
            self._read(item)
        except RowRejectedError as error:
            self._rejects.append(reject(error.reason, self._path, item.line, item.row, str(error)))
        except BadInputError as error:
            self._rejects.append(reject("bad_value", self._path, item.line, item.row, str(error)))

    def _read(self, item: Record) -> None:
        if self._format is Format.POSITIONS:
            self._published.append((*reported_position(item.row), self._now))
        elif self._format is Format.USER_POSITIONS:
            if "tokenId" not in item.row:
                raise RowRejectedError("shape", "the row has no tokenId")
            self._published.append((*user_position(item.row), seen_time(item.row, self._now)))
        elif self._format is Format.ORDERS:
            self._read_order(order_fields(item.row))
        else:
            row = fields(item.row)
            found = observation(self._format, row, self._now)
            if found is None:
                self._ignored += 1
            else:
                self._accept(found, row)

    def _read_order(self, row: dict[str, str]) -> None:
        found = order(row, self._now)
        if found is None:
            self._ignored += 1
            return
        source, log = source_of(row), log_identity(row)
        content = (source, *found.identity())
        if log and self._logs.ordinal((*content, log)):
            self._again += 1
            return
        self._rows.append(found)
        self._sources.append(source)
        self._ordinals.append(self._counter.ordinal(content))

    def _accept(self, found: Observation, row: Fields) -> None:
        self._rows.append(found)
        self._ordinals.append(self._counter.ordinal(found.identity()))
        if any(found.token) and found.condition and found.condition not in self._markets_known:
            if len(self._markets_known) >= _REMEMBERED_MARKETS:
                self._markets_known.clear()
            self._markets_known.add(found.condition)
            self._markets[found.condition] = (found.token, row)

    def batch(self) -> ImportBatch:
        """What was collected since the last batch."""
        repeated = self._tally.repeated_rows - self._repeated_before
        self._repeated_before = self._tally.repeated_rows
        tables: dict[str, Columns] = {}
        if self._rows:
            sources = self._sources or [SOURCES[self._format]] * len(self._rows)
            tables["observations"] = _observations(self._rows, self._ordinals, sources)
        if self._markets:
            tables |= _market_tables(self._markets)
        if self._published:
            names = POSITION_COLUMNS if self._format is Format.POSITIONS else PUBLISHED_COLUMNS
            tables[_PUBLISHED[self._format]] = columns((*names, "seen_at"), self._published)
        batch = ImportBatch(tables, self._taken + repeated, self._rejects, self._ignored, repeated + self._again)
        self._start()
        return batch


def _observations(rows: list[Observation], ordinals: list[int], sources: list[str]) -> Columns:
    table: Columns = {
        name: list(values) for name, values in zip(Observation._fields, zip(*rows, strict=True), strict=True)
    }
    table["source"] = sources
    table["ordinal"] = ordinals
    if any(table["shares_gross"]):
        return table
    table["shares_gross"] = list(table["shares"])
    table["fee_net"] = list(table["fee_usdc"])
    table["fee_asset"] = ["usdc" if fee else "" for fee in table["fee_usdc"]]
    return table


def _market_tables(markets: dict[bytes, tuple[bytes, Fields]]) -> dict[str, Columns]:
    """Markets and tokens as the rows name them; both tokens of a condition follow from one of them (§5.3)."""
    names = ("condition", "question", "slug", "tokens", "neg_risk")
    market: Columns = {name: [] for name in names}
    token: Columns = {name: [] for name in ("token", "condition", "outcome")}
    for condition, (one, row) in markets.items():
        mapping = mapping_of(condition, one)
        if mapping is None:
            continue
        title, slug = (storable_text(str(row.get(name, ""))) for name in ("title", "slug"))
        values = (condition, title, slug, list(mapping.tokens), mapping.neg_risk)
        for name, value in zip(names, values, strict=True):
            market[name].append(value)
        for index, derived in enumerate(mapping.tokens):
            token["token"].append(derived)
            token["condition"].append(condition)
            token["outcome"].append(index)
    market["source"] = ["file"] * len(market["condition"])
    token["source"] = ["file"] * len(token["token"])
    token["verified"] = [True] * len(token["token"])
    return {"markets": market, "tokens": token}
