"""A folder of Parquet files, divided by month or columns as Hive does it: ``category=sports/month=2026-01/…``."""

from __future__ import annotations

import shutil
from pathlib import Path

from polyhouse.domain.suggestions import did_you_mean
from polyhouse.errors import BadInputError
from polyhouse.export.staging import Parts, flush
from polyhouse.reads.relations.catalogue import SOURCES

MONTH = "month"
_MOST_FOLDERS = 4_096


def write_divided(parts: Parts, folder: Path, columns: tuple[str, ...]) -> None:
    """Write the files.

    Raises:
        BadInputError: no such column, or a month of rows that have no time.
    """
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    schema = parts.schema()
    wanted = {name: ds.field(name) for name in schema.names}
    for column in columns:
        if column == MONTH:
            wanted[MONTH] = pc.strftime(ds.field(_time_of(parts)), format="%Y-%m")
        elif column not in schema.names:
            raise BadInputError(f"there is no column {column[:60]!r} to divide by.{did_you_mean(column, schema.names)}")
    shutil.rmtree(folder, ignore_errors=True)
    scanner = ds.dataset([str(path) for path in parts.files], schema=schema).scanner(columns=wanted)
    flavor = ds.partitioning(
        scanner.projected_schema.empty_table().select(list(columns)).schema, flavor="hive"
    )  # fmt: skip
    ds.write_dataset(
        scanner, folder, format="parquet", partitioning=flavor, basename_template="part-{i}.parquet",
        file_options=ds.ParquetFileFormat().make_write_options(compression="zstd"), max_partitions=_MOST_FOLDERS,
        preserve_order=True,
    )  # fmt: skip
    folder.mkdir(exist_ok=True)  # a table without rows
    for path in folder.rglob("*.parquet"):
        flush(path)


def _time_of(parts: Parts) -> str:
    table = parts.facts["polyhouse.table"]
    name = SOURCES[table].time if table in SOURCES else ""
    if name not in parts.schema().names:
        raise BadInputError(f"the rows of {table} have no time to divide by")
    return name
