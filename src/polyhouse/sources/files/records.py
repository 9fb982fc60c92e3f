"""Raw records of a file, one at a time: JSON, JSON Lines and CSV, plain or compressed, in bounded memory.

Numbers keep their printed digits (no binary floats), every record knows its line, and pages stay recognisable: an
array or object of rows inside the file is a page, and a page that repeats an earlier one is skipped and counted
(accounting §1.10). What cannot be read as a record becomes a ``Reject``; a file that breaks off is an error.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from polyhouse.domain.ids import shown
from polyhouse.errors import BadInputError
from polyhouse.ports import Reject
from polyhouse.sources.files.jsonstream import JsonStream, decode_line

ROW_LISTS = (
    "data", "orders", "activity", "activities", "trades", "history", "results", "userPositions", "orderFilledEvents",
    "positions",
)  # fmt: skip
"""Keys under which saved API answers keep their rows."""

REJECT_KEYS = frozenset({"file", "line", "reason", "message", "raw"})
"""Keys of a line of a reject file; ``columns`` is the header of a row that is no object."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SAMPLE_CHARACTERS = 65_536
_MAX_LINE = 64 * 1024 * 1024
_RAW_LENGTH = 4_000


@dataclass(frozen=True, slots=True)
class Record:
    """One row as the file has it: canonical field names are the format's business. ``line`` is 1-based."""

    line: int
    row: Mapping[str, Any]


@dataclass(slots=True)
class Tally:
    """What was passed over while reading, for the report."""

    repeated_pages: int = 0
    repeated_rows: int = 0
    _pages: set[bytes] = field(default_factory=set)

    def is_repeated_page(self, rows: list[Any]) -> bool:
        """Whether the same whole page came before in this file; an empty page never counts."""
        digest = blake2b(repr(rows).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if rows and digest in self._pages:
            self.repeated_pages += 1
            self.repeated_rows += len(rows)
            return True
        self._pages.add(digest)
        return False


def records(path: Path, tally: Tally) -> Iterator[Record | Reject]:
    """All records of a file in order.

    Raises:
        BadInputError: the file is missing, empty, not text, or ends in the middle.
    """
    try:
        if is_parquet(path):
            yield from parquet_records(path)
            return
        with _open(path) as stream:
            yield from _records(path, stream, tally)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror or error})") from error


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked if they are gzip or zstd, whatever its name says.

    Raises:
        BadInputError: the packed data is damaged or ends in the middle.
        OSError: the file cannot be read.
    """
    with ExitStack() as stack:
        binary: Any = stack.enter_context(path.open("rb"))
        magic, kind = binary.peek(4)[:4], ""
        if magic[:2] == _GZIP_MAGIC:
            kind, binary = "gzip", stack.enter_context(gzip.GzipFile(fileobj=binary))
        elif magic == _ZSTD_MAGIC:
            import pyarrow as pa

            kind, binary = "zstd", stack.enter_context(pa.CompressedInputStream(binary, "zstd"))
        try:
            yield binary
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(path, kind, error) from error
        except OSError as error:
            if kind != "zstd":
                raise
            raise _damaged(path, kind, error) from error


def is_parquet(path: Path) -> bool:
    """Whether a file says of itself that it is Parquet."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def parquet_records(path: Path) -> Iterator[Record]:
    """The rows of a Parquet file as records; ``line`` is the number of the row. Binary floats become their text.

    Raises:
        BadInputError: the file is damaged or ends in the middle.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    line = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=10_000):
                for row in batch.to_pylist():
                    line += 1
                    yield Record(line, {name: _plain(value) for name, value in row.items()})
    except pa.ArrowException as error:
        raise BadInputError(f"{path.name}: the Parquet data is damaged or cut off ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return int(value.timestamp())
    return str(value) if isinstance(value, float | Decimal) else value


def _damaged(path: Path, kind: str, error: Exception) -> BadInputError:
    return BadInputError(f"{path.name}: the {kind} data is damaged or cut off ({error}); fetch the file again")


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    with open_bytes(path) as binary:
        yield io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline="")


def _records(path: Path, stream: TextIO, tally: Tally) -> Iterator[Record | Reject]:
    sample = stream.read(_SAMPLE_CHARACTERS)
    start = sample.lstrip()
    if not start:
        raise BadInputError(f"{path.name}: the file is empty")
    if start[0] not in "[{":
        yield from _csv_records(path, _Prefixed(sample, stream))
    elif _is_json_lines(path, start):
        yield from _json_lines(path, _Prefixed(sample, stream), tally)
    else:
        for line, value in JsonStream(path.name, sample, stream, ROW_LISTS).values():
            yield from _rows_of(path, line, value, tally)


def _is_json_lines(path: Path, start: str) -> bool:
    if {".jsonl", ".ndjson"} & {suffix.lower() for suffix in path.suffixes}:
        return True
    first, _, rest = start.partition("\n")
    try:
        decode_line(first)
    except ValueError:
        return False
    return rest.lstrip()[:1] in {"{", "["}


def _rows_of(path: Path, line: int, value: Any, tally: Tally) -> Iterator[Record | Reject]:
    """The rows of one element of a file: itself, or those of the page that it is."""
    page = value if isinstance(value, list) else None
    if isinstance(value, dict) and value.keys() >= REJECT_KEYS:
        yield _mended(path, line, value)
        return
    if isinstance(value, dict):
        page = next((value[key] for key in ROW_LISTS if isinstance(value.get(key), list)), None)
        if page is None and "error" in value:
            raise BadInputError(f"{path.name}:{line}: the file holds an error answer: {shown(value['error'])}")
        if page is None and "pagination" in value:
            page = []
    if page is None and isinstance(value, dict) and isinstance(value.get("wallets"), dict):
        # A scan of the pnl-subgraph: {"wallets": {address: {"positions": […]}}}.
        groups = [scan["positions"] for scan in value["wallets"].values() if isinstance(scan, dict)]
        page = [row for group in groups if isinstance(group, list) for row in group]
    if page is None:
        yield _record(path, line, value)
    elif not tally.is_repeated_page(page):
        for row in page:
            yield _record(path, line, row)


def _mended(path: Path, line: int, found: Mapping[str, Any]) -> Record | Reject:
    """The row that stands in a line of a reject file, which somebody has mended there."""
    text = found["raw"]
    if not isinstance(text, str):
        return _record(path, line, text)
    try:
        return _record(path, line, decode_line(text))
    except ValueError as error:
        header = found.get("columns")
        if not isinstance(header, list):
            return reject("json", path, line, text, str(error))
    try:
        (values,) = csv.reader([text], strict=True)
        return Record(line, dict(zip(map(str, header), values, strict=True)))
    except (csv.Error, ValueError) as error:
        return reject("columns", path, line, text, str(error))


def _record(path: Path, line: int, row: Any) -> Record | Reject:
    return Record(line, row) if isinstance(row, dict) else reject("shape", path, line, row)


def reject(reason: str, path: Path, line: int, row: Any, message: str = "") -> Reject:
    """A row for the quarantine, with file, line and what is wrong with it."""
    where = f"{path.name}:{line}" + (f": {message}" if message else "")
    raw = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
    return Reject(reason, where, raw[:_RAW_LENGTH])


class _Prefixed:
    """Lines of a sample that was already read, then those of the stream behind it."""

    def __init__(self, sample: str, stream: TextIO) -> None:
        self._head = io.StringIO(sample + stream.readline(_MAX_LINE), newline="")
        self._tail = stream

    def __iter__(self) -> Iterator[str]:
        yield from self._head
        while line := self._tail.readline(_MAX_LINE):
            yield line


def _json_lines(path: Path, lines: _Prefixed, tally: Tally) -> Iterator[Record | Reject]:
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            value = decode_line(text)
        except ValueError as error:
            yield reject("json", path, number, text, str(error))
            continue
        yield from _rows_of(path, number, value, tally)


def _csv_records(path: Path, lines: _Prefixed) -> Iterator[Record | Reject]:
    source = iter(lines)
    header_line = next(source)
    delimiter = max(",;\t", key=header_line.count)
    header = [name.strip() for name in next(csv.reader([header_line], delimiter=delimiter))]
    if len(set(header)) != len(header):
        raise BadInputError(f"{path.name}:1: a column name appears twice in the header")
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        first = reader.line_num + 2
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = reader.line_num + 1
            yield reject("csv", path, first, "", f"{error}; lines {first} to {last} are not read")
            continue
        line = reader.line_num + 1
        if len(fields) == len(header):
            yield Record(line, dict(zip(header, fields, strict=True)))
        elif fields:
            yield reject("columns", path, line, fields, f"{len(fields)} fields, the header has {len(header)}")
