"""The rows of an export in parts that survive a kill: one Parquet file each, in a folder beside the target."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyhouse.api.connection import Connection
from polyhouse.errors import RetryableError
from polyhouse.export.manifest import write_json
from polyhouse.reads.exact import decode, encode
from polyhouse.reads.relations.question import Question

if TYPE_CHECKING:
    import pyarrow as pa

_PLAN = "export.json"
_KEYS = 1 << 32
Range = tuple[int, int] | None


class ResultChangedError(RetryableError):
    """A build was published while the table was read."""

    code = "RESULT_CHANGED"


@dataclass(frozen=True, slots=True)
class Parts:
    """An export under way.

    Attributes:
        folder: where the parts are.
        facts: of the store, as its first answer told them (``reads.relations.answer``).
        ranges: keys of the parts; () = not divided yet, None = all keys.
    """

    folder: Path
    facts: Mapping[str, str]
    ranges: tuple[Range, ...] = ()

    @property
    def files(self) -> list[Path]:
        """The files of all parts, in order."""
        return [self.folder / f"part-{number:05}.parquet" for number in range(len(self.ranges))]

    def divided(self, ranges: Sequence[Range]) -> Parts:
        """The same with parts of these keys, for good."""
        plan = decode((self.folder / _PLAN).read_bytes())
        write_json(self.folder / _PLAN, plan | {"ranges": [list(one) if one else None for one in ranges]})
        return replace(self, ranges=tuple(ranges))

    def read(self, connection: Connection, question: Question, note: Callable[[str], None]) -> None:
        """Read the parts that are missing.

        Raises:
            ResultChangedError: the store is no longer as the first part saw it.
        """
        for number, (path, keys) in enumerate(zip(self.files, self.ranges, strict=True), start=1):
            if path.exists():
                continue
            rows = self._read(connection, replace(question, keys=keys), path)
            if len(self.ranges) > 1:
                note(f"part {number} of {len(self.ranges)}: {rows:,} rows")

    def rows(self) -> int:
        """Rows of all parts."""
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(path).num_rows for path in self.files)

    def schema(self) -> pa.Schema:
        """Columns of all parts."""
        import pyarrow.parquet as pq

        found: pa.Schema = pq.read_schema(self.files[0])
        return found

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, some thousands at a time."""
        import pyarrow.parquet as pq

        for path in self.files:
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches()

    def _read(self, connection: Connection, question: Question, path: Path) -> int:
        import pyarrow.parquet as pq

        new = path.with_suffix(".new")
        rows = 0
        with connection.stream(question) as answer:
            if answer.schema.metadata[b"polyhouse.build"].decode() != self.facts["polyhouse.build"]:
                raise ResultChangedError("a build was published while the table was read")
            with pq.ParquetWriter(new, answer.schema, compression="zstd") as writer:
                for batch in answer.batches:
                    writer.write_batch(batch)
                    rows += batch.num_rows
        flush(new)
        new.replace(path)
        return rows


def begin(folder: Path, question: Question, facts: Mapping[str, str], note: Callable[[str], None]) -> Parts:
    """The export that stands in this folder, if it is the same one; else a new one."""
    plan: dict[str, Any] = {"question": decode(encode(question.document())), "facts": dict(facts), "ranges": []}
    try:
        found = decode((folder / _PLAN).read_bytes())
    except (OSError, ValueError):
        found = None
    if found is not None and found | {"ranges": []} == plan:
        if found["ranges"]:
            note("going on with an export that was not finished")
        return Parts(folder, facts, tuple(tuple(one) if one else None for one in found["ranges"]))
    if folder.exists():
        note("an unfinished export asked something else or saw an older build; beginning again")
        shutil.rmtree(folder)
    folder.mkdir()
    write_json(folder / _PLAN, plan)
    return Parts(folder, facts)


def key_ranges(rows: int, rows_per_part: int) -> list[Range]:
    """Equal ranges of the first four bytes of the key, so many that each has about ``rows_per_part`` rows."""
    parts = max(1, -(-rows // rows_per_part))
    bounds = [_KEYS * number // parts for number in range(parts + 1)]
    return list(pairwise(bounds))


def flush(path: Path) -> None:
    """Bring a file to the disk: only then may it take the name of a complete one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
