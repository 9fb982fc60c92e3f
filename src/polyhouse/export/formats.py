"""The forms of an export: how parts become one file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from polyhouse.domain.suggestions import did_you_mean
from polyhouse.errors import ConfigError
from polyhouse.export.staging import Parts, flush
from polyhouse.export.text import csv_pieces, json_lines

if TYPE_CHECKING:
    import pyarrow as pa

Write = Callable[[Parts, Path], None]
_SUFFIXES = {
    ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow",
    ".xlsx": "excel", ".duckdb": "duckdb", ".db": "duckdb",
}  # fmt: skip
_ROW_GROUP = 256 << 10


@dataclass(frozen=True, slots=True)
class Format:
    """One form.

    Attributes:
        name: as users say it.
        to_file: writes one file.
        pieces: its bytes piece by piece, from a schema and batches; None where it needs a file.
    """

    name: str
    to_file: Write
    pieces: Callable[[pa.Schema, Iterator[pa.RecordBatch]], Iterator[bytes]] | None = None

    def write(self, parts: Parts, folder: Path, target: Path, partition_by: tuple[str, ...]) -> list[Path]:
        """Make the target of the parts, complete or not at all; returns its files.

        Args:
            parts: all of them read.
            folder: for what is not complete yet, on the target's disk.
            target: the file or folder.
            partition_by: see ``Export``.
        """
        new = folder / f"whole{target.suffix}"
        if partition_by:
            from polyhouse.export.divided import write_divided

            write_divided(parts, new, partition_by)
            _exchange_folder(new, target, folder)
            return sorted(path for path in target.rglob("*.parquet"))
        new.unlink(missing_ok=True)
        if target.is_dir():
            raise ConfigError(f"{target} is a folder", hint="name a file, or divide it: --partition-by month")
        self.to_file(parts, new)
        flush(new)
        new.replace(target)
        return [target]


def format_of(name: str, target: Path | None, *, is_divided: bool = False) -> Format:
    """The form of a name, else of the target's suffix; a divided export is Parquet.

    Raises:
        ConfigError: no such form, or nothing that tells it.
    """
    chosen = name or ("parquet" if is_divided else _SUFFIXES.get(target.suffix.lower(), "") if target else "")
    if chosen not in FORMATS:
        known = " ".join(FORMATS)
        if not chosen:
            raise ConfigError("the name of the file does not tell its format", hint=f"--format, one of: {known}")
        raise ConfigError(
            f"there is no format {chosen[:40]!r}.{did_you_mean(chosen, FORMATS)}", hint=f"one of: {known}"
        )
    return FORMATS[chosen]


def arrow_pieces(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """An Arrow IPC stream."""
    from polyhouse.reads.relations.answer import Answer
    from polyhouse.reads.relations.wire import arrow_stream

    return arrow_stream(Answer(schema, batches))


def _write_pieces(pieces: Callable[[pa.Schema, Iterator[pa.RecordBatch]], Iterator[bytes]]) -> Write:
    def write(parts: Parts, path: Path) -> None:
        with path.open("wb") as file:
            copy_pieces(pieces(parts.schema(), parts.batches()), file)

    return write


def copy_pieces(pieces: Iterator[bytes], file: BinaryIO) -> None:
    """Write bytes one piece after the other."""
    file.writelines(pieces)


def _write_parquet(parts: Parts, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, parts.schema(), compression="zstd") as writer:
        for batch in parts.batches():
            writer.write_table(pa.Table.from_batches([batch]), row_group_size=_ROW_GROUP)


def _write_arrow(parts: Parts, path: Path) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, parts.schema()) as writer:
        for batch in parts.batches():
            writer.write_batch(batch)


def _write_excel(parts: Parts, path: Path) -> None:
    from polyhouse.export.excel import write_excel

    write_excel(parts, path)


def _write_duckdb(parts: Parts, path: Path) -> None:
    from polyhouse.export.duck import write_duckdb

    write_duckdb(parts, path)


def _exchange_folder(new: Path, target: Path, folder: Path) -> None:
    """A folder that is there is replaced by the new one, and nothing of it stays."""
    if target.exists():
        if not target.is_dir() or not all(_is_ours(path) for path in target.rglob("*")):
            raise ConfigError(f"{target} holds something else than an export", hint="choose another --to")
        old = folder / "old"
        shutil.rmtree(old, ignore_errors=True)
        target.replace(old)
    new.replace(target)


def _is_ours(path: Path) -> bool:
    return path.is_dir() or path.suffix == ".parquet"


FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format("csv", _write_pieces(csv_pieces), csv_pieces),
        Format("jsonl", _write_pieces(json_lines), json_lines),
        Format("parquet", _write_parquet),
        Format("arrow", _write_arrow, arrow_pieces),
        Format("excel", _write_excel),
        Format("duckdb", _write_duckdb),
    )
}
