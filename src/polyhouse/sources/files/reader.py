"""Files of saved API answers and dumps as batches of table columns (``polyhouse import``)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from polyhouse.domain.ids import shown
from polyhouse.errors import BadInputError, RowRejectedError
from polyhouse.ports import Reject
from polyhouse.sources.files.counting import RowCounter
from polyhouse.sources.files.formats import Format, fields, recognise
from polyhouse.sources.files.records import Record, Tally, records, reject
from polyhouse.sources.files.rows import Fields, Observation, mapping_of, observation
from polyhouse.tables import Columns

BATCH_ROWS = 10_000
_ROWS_LOOKED_AT = 200
_REMEMBERED_MARKETS = 100_000

SOURCES: dict[Format, str] = {Format.ACTIVITY: "activity", Format.TRADES: "trades", Format.DOME: "dump"}
"""Format → the source its observations carry: saved answers of a feed are that feed's rows."""


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """Some rows of a file. ``rows_read`` = observations + rejects + ignored + repeated.

    Attributes:
        tables: table name → columns: observations, and the markets and tokens they name.
        rows_read: rows of the file that this batch accounts for.
        rejects: rows for the quarantine; ``where`` is file:line.
        ignored: fills of nothing for nothing (accounting §1.6).
        repeated: rows of whole pages that came before in the same file (accounting §1.10).
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
    found = ", ".join(sorted(str(name)[:40] for name in first.row)[:12]) if first else "no rows at all"
    raise BadInputError(
        f"{path.name}: these are no rows that can be imported (fields: {found})",
        hint="Importable: Data API activity and trades, Dome orders; as JSON, JSON Lines or CSV, gzipped or not.",
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
    with RowCounter() as counter:
        reader = _Reader(path, chosen, limit, counter, tally)
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
        known = ", ".join(SOURCES)
        raise BadInputError(f"import format {shown(str(name))} is not known; known are {known}") from None


class _Reader:
    """Collects rows of one file until they are a batch."""

    def __init__(self, path: Path, format_: Format, now: int, counter: RowCounter, tally: Tally) -> None:
        self._path = path
        self._format = format_
        self._now = now
        self._counter = counter
        self._tally = tally
        self._repeated_before = 0
        self._markets_known: set[bytes] = set()
        self._start()

    def _start(self) -> None:
        self._rows: list[Observation] = []
        self._ordinals: list[int] = []
        self._markets: dict[bytes, tuple[bytes, Fields]] = {}
        self._rejects: list[Reject] = []
        self._ignored = 0

    @property
    def is_full(self) -> bool:
        return len(self._rows) + len(self._rejects) + self._ignored >= BATCH_ROWS

    @property
    def has_rows(self) -> bool:
        return bool(self._rows or self._rejects or self._ignored or self._tally.repeated_rows > self._repeated_before)

    def take(self, item: Record | Reject) -> None:
        """Account for one item of the file."""
        if isinstance(item, Reject):
            self._rejects.append(item)
            return
        row = fields(item.row)
        try:
            found = observation(self._format, row, self._now)
        except RowRejectedError as error:
            self._rejects.append(reject(error.reason, self._path, item.line, item.row, str(error)))
        except BadInputError as error:
            self._rejects.append(reject("bad_value", self._path, item.line, item.row, str(error)))
        else:
            if found is None:
                self._ignored += 1
            else:
                self._accept(found, row)

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
            tables["observations"] = _observations(self._rows, self._ordinals, SOURCES[self._format])
        if self._markets:
            tables |= _market_tables(self._markets)
        read_rows = len(self._rows) + len(self._rejects) + self._ignored + repeated
        batch = ImportBatch(tables, read_rows, self._rejects, self._ignored, repeated)
        self._start()
        return batch


def _observations(rows: list[Observation], ordinals: list[int], source: str) -> Columns:
    columns: Columns = {
        name: list(values) for name, values in zip(Observation._fields, zip(*rows, strict=True), strict=True)
    }
    columns["source"] = [source] * len(rows)
    columns["ordinal"] = ordinals
    columns["shares_gross"] = list(columns["shares"])
    columns["fee_net"] = list(columns["fee_usdc"])
    columns["fee_asset"] = ["usdc" if fee else "" for fee in columns["fee_usdc"]]
    return columns


def _market_tables(markets: dict[bytes, tuple[bytes, Fields]]) -> dict[str, Columns]:
    """Markets and tokens as the rows name them; both tokens of a condition follow from one of them (§5.3)."""
    names = ("condition", "question", "slug", "tokens", "neg_risk")
    market: Columns = {name: [] for name in names}
    token: Columns = {name: [] for name in ("token", "condition", "outcome")}
    for condition, (one, row) in markets.items():
        mapping = mapping_of(condition, one)
        if mapping is None:
            continue
        title = str(row.get("title", ""))
        values = (condition, title, str(row.get("slug", "")), list(mapping.tokens), mapping.neg_risk)
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
