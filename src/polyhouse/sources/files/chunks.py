"""orderFilled files in large pieces for the engine: comma-separated text (plain, gzip, zstd) and Parquet.

What the engine may read by itself is handed over as bytes. A piece with quotes, backslashes or lines of a wrong shape
is taken apart here, line by line, so that one bad line costs itself and not its neighbours.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from polyhouse.errors import BadInputError
from polyhouse.ports import Reject
from polyhouse.sources.files.order_columns import layout
from polyhouse.sources.files.records import is_parquet, open_bytes, reject

CHUNK_BYTES = 48 << 20
"""About 180,000 rows; measured, memory grows by ten bytes a byte and CPU falls by 2 % at twice the size."""
CHUNK_ROWS = 200_000
_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 1 << 20
_DIGITS = b"0123456789abcdefABCDEF,\r"


@dataclass(frozen=True, slots=True)
class OrderChunk:
    """Some lines of a file.

    Attributes:
        first_line: line of the first one (1-based); Parquet: number of the row.
        lines: how many.
        data: the text, whole lines, until the next chunk is asked for; empty for Parquet.
        hex_ids: ids of 0x and digits in every row (see ``checked``); 0 = a row may have more or fewer.
        batch: the columns of a Parquet piece, else None.
    """

    first_line: int
    lines: int
    data: bytes | bytearray = b""
    hex_ids: int = 3
    batch: Any = None

    @property
    def plain(self) -> bool:
        """Whether the engine reads this text as we would."""
        return bool(self.data) and b'"' not in self.data and b"\\" not in self.data

    @property
    def checked(self) -> bool:
        """Whether there are only characters of numbers and hex ids, and no ``x`` but those that ids begin with."""
        if not self.data or not self.hex_ids:
            return False
        rest = self.data.translate(None, _DIGITS)
        # The usual piece is recognised at a glance: counting single characters takes a while.
        if rest == (b"x" * self.hex_ids + b"\n") * self.lines:
            return True
        return not rest.translate(None, b"x\n") and rest.count(b"x") == self.hex_ids * self.lines

    def texts(self, lines: Sequence[int]) -> list[str]:
        """Some lines as they stand in the file, to show them."""
        places = [line - self.first_line for line in lines]
        if self.batch is not None:
            return [str(row) for place in places for row in self.batch.slice(place, 1).to_pylist()]
        whole = self._lines() if places else []
        return [whole[place].decode("utf-8", "replace").rstrip("\r\n") for place in places]

    def rows(self, path: Path, columns: int) -> OrderRows:
        """The lines taken apart, those of a wrong shape as rejects."""
        if self.batch is not None:
            found = OrderRows(list(range(self.first_line, self.first_line + self.lines)), [])
            found.columns.extend(_texts(path, column) for column in self.batch.columns)
            return found
        found = OrderRows([], [[] for _ in range(columns)])
        for line, raw in enumerate(self._lines(), start=self.first_line):
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            if text:
                found.take(path, line, text)
        return found

    def _lines(self) -> list[bytes]:
        return bytes(self.data).removesuffix(b"\n").split(b"\n")


@dataclass(slots=True)
class OrderRows:
    """Rows as one list of texts per column of the file, with their lines; and the lines that are no rows."""

    lines: list[int]
    columns: list[Any]
    rejects: list[Reject] = field(default_factory=list)

    def take(self, path: Path, line: int, text: str) -> None:
        """Take one line apart."""
        try:
            (values,) = csv.reader([text], strict=True)
        except (csv.Error, ValueError) as error:
            self.rejects.append(reject("csv", path, line, text, str(error)))
            return
        if len(values) != len(self.columns):
            problem = f"{len(values)} fields, the header has {len(self.columns)}"
            self.rejects.append(reject("columns", path, line, text, problem))
            return
        self.lines.append(line)
        for column, value in zip(self.columns, values, strict=True):
            column.append(value)


@dataclass(frozen=True, slots=True)
class OrderFile:
    """An orderFilled file that can be read in pieces: its columns, and our column → place among them."""

    path: Path
    header: Sequence[str]
    layout: Mapping[str, int]

    def chunks(self) -> Iterator[OrderChunk]:
        """All rows.

        Raises:
            BadInputError: packed data is damaged or cut off; what came before was handed out.
        """
        try:
            yield from self._parquet() if is_parquet(self.path) else self._text()
        except OSError as error:
            raise BadInputError(f"{self.path}: cannot be read ({error.strerror or error})") from error

    def _text(self) -> Iterator[OrderChunk]:
        hex_ids = 0 if "order_hash" in self.layout else 3
        line, rest = 2, b""
        # One buffer for all pieces: memory that is asked for anew costs more than what is read into it.
        buffer = bytearray()
        with open_bytes(self.path) as stream:
            _first_line(stream)
            while filled := _fill(buffer, rest, stream):
                end = buffer.rfind(b"\n", 0, filled) + 1
                rest = bytes(buffer[end:filled])
                if end:
                    del buffer[end:]
                    lines = buffer.count(b"\n")
                    yield OrderChunk(line, lines, buffer, hex_ids)
                    line += lines
            if rest:
                yield OrderChunk(line, 1, rest, hex_ids)

    def _parquet(self) -> Iterator[OrderChunk]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        line = 1
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                    yield OrderChunk(line, batch.num_rows, batch=batch)
                    line += batch.num_rows
        except pa.ArrowException as error:
            raise BadInputError(f"{self.path.name}: the Parquet data is damaged or cut off ({error})") from error


def order_file(path: Path) -> OrderFile | None:
    """The file if it is an orderFilled dump that can be read in pieces, else None.

    Raises:
        BadInputError: it is one, and a column name appears twice; or packed data is damaged.
    """
    if is_parquet(path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            names: list[str] = pq.read_schema(path).names
        except pa.ArrowException as error:
            raise BadInputError(f"{path.name}: the Parquet data is damaged or cut off ({error})") from error
    else:
        with open_bytes(path) as stream:
            names = _first_line(stream).removeprefix(_BOM).decode("utf-8", "replace").strip("\r\n").split(",")
            names = [name.strip().strip('"') for name in names]
    found = layout(names)
    if found is None:
        return None
    if len(set(names)) != len(names):
        raise BadInputError(f"{path.name}:1: a column name appears twice in the header")
    return OrderFile(path, names, found)


def _fill(buffer: bytearray, rest: bytes, stream: Any) -> int:
    """Put the rest of the piece before, then what the stream has next, into the buffer; their size, 0 at the end."""
    size = len(rest) + CHUNK_BYTES
    buffer.extend(bytes(max(0, size - len(buffer))))
    buffer[: len(rest)] = rest
    with memoryview(buffer) as whole, whole[len(rest) : size] as room:
        read: int = stream.readinto(room)
    return len(rest) + read if read else 0


def _first_line(stream: BinaryIO) -> bytes:
    """The first line; byte by byte, since a stream that unpacks may offer no lines."""
    line = bytearray()
    while len(line) < _LONGEST_LINE:
        byte = stream.read(1)
        line += byte
        if byte in (b"", b"\n"):
            break
    return bytes(line)


def _texts(path: Path, column: Any) -> Any:
    """A Parquet column as text: whole numbers and texts as they are, times as Unix seconds, nulls empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        if pa.types.is_timestamp(column.type):
            column = pc.cast(pc.floor_temporal(column, unit="second"), pa.timestamp("s")).cast(pa.int64())
        return pc.fill_null(pc.cast(column, pa.string()), "")
    except pa.ArrowException as error:
        raise BadInputError(f"{path.name}: a column of type {column.type} cannot be read ({error})") from error
