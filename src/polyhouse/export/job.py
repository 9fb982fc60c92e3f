"""One export: the table in parts, the parts as one file, the manifest beside it. The same call goes on after a kill."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polyhouse.api.connection import Connection
from polyhouse.errors import ConfigError, RetryableError
from polyhouse.export.formats import FORMATS, Format, format_of
from polyhouse.export.manifest import manifest_of, write_json
from polyhouse.export.staging import Parts, ResultChangedError, begin, key_ranges
from polyhouse.export.turn import alone_at
from polyhouse.failpoints import reach
from polyhouse.reads.relations.catalogue import SOURCES
from polyhouse.reads.relations.question import Question

ROWS_PER_PART = 1_000_000
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported, and where to.

    Attributes:
        question: the rows; they are ordered, whatever it says.
        target: the file, or the folder of a partitioned export.
        form: "" = by the suffix of the target.
        partition_by: columns, or ``month``, by which a folder of Parquet files is divided; () = one file.
        rows_per_part: what is read at a time, and what a kill can cost.
    """

    question: Question
    target: Path
    form: str = ""
    partition_by: tuple[str, ...] = ()
    rows_per_part: int = ROWS_PER_PART

    def format(self) -> Format:
        """The form of the file.

        Raises:
            ConfigError: no such form, or one that cannot be divided.
        """
        chosen = format_of(self.form, self.target, is_divided=bool(self.partition_by))
        if self.partition_by and chosen.name != "parquet":
            raise ConfigError(f"{chosen.name} cannot be partitioned", hint="--format parquet")
        return chosen

    @property
    def working_folder(self) -> Path:
        """Where it stands until it is complete."""
        return self.target.with_name(f".{self.target.name}.export")


def export(connection: Connection, job: Export, note: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Write the file and its manifest, and return the manifest.

    The target appears complete or not at all. A killed export goes on where it was, if the question is the same and no
    build was published since; else it begins again, and says so.

    Args:
        connection: who answers.
        job: what.
        note: told how far it is.

    Raises:
        BadInputError: the question cannot be answered.
        ConfigError: the target cannot be written, or holds fewer rows than there are (Excel).
        RetryableError: builds are published faster than the table is read, or another export writes the target.
    """
    form = job.format()
    if not job.target.parent.is_dir():
        raise ConfigError(f"{job.target.parent} is no folder", hint="make it first")
    with alone_at(job.target):
        return _write(connection, job, form, note)


def _write(connection: Connection, job: Export, form: Format, note: Callable[[str], None]) -> dict[str, Any]:
    for _ in range(_TRIES):
        try:
            parts = _staged(connection, job, note)
            break
        except ResultChangedError:
            note("a build was published meanwhile; beginning again")
            shutil.rmtree(job.working_folder)
    else:
        raise RetryableError("builds are published faster than the table is read", hint="export less at once")
    started = time.time()
    reach("X1")
    written = form.write(parts, job.working_folder, job.target, job.partition_by)
    reach("X2")
    manifest = manifest_of(job.question, parts, form.name, job.target, written, started)
    write_json(manifest_path(job.target), manifest)
    shutil.rmtree(job.working_folder)
    return manifest


def manifest_path(target: Path) -> Path:
    """Where the manifest of a target is."""
    return target.with_name(f"{target.name}.manifest.json")


def _staged(connection: Connection, job: Export, note: Callable[[str], None]) -> Parts:
    question = replace(job.question, ordered=True)
    with connection.stream(question_of_nothing(question)) as answer:
        facts = {key.decode(): value.decode() for key, value in answer.schema.metadata.items()}
    parts = begin(job.working_folder, question, facts, note)
    if not parts.ranges:
        ranges = key_ranges(_rows(connection, question), job.rows_per_part) if _is_divisible(question) else [None]
        parts = parts.divided(ranges)
    parts.read(connection, question, note)
    return parts


def question_of_nothing(question: Question) -> Question:
    """The same question, of which only the form is wanted: its statement is made, and no row is read."""
    return replace(question, limit=1, ordered=False)


def _is_divisible(question: Question) -> bool:
    source = SOURCES.get(question.table)
    is_keyed = source is not None and bool(source.stored) and source.is_built
    return is_keyed and not question.limit and source is not None and source.key not in question.where


def _rows(connection: Connection, question: Question) -> int:
    with connection.stream(replace(question, counting=True, ordered=False)) as answer:
        return int(next(iter(answer.batches)).column(0)[0].as_py())


__all__ = ["FORMATS", "ROWS_PER_PART", "Export", "export", "manifest_path"]
