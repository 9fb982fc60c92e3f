"""A DuckDB file with the table, and with the units as comments on its columns."""

from __future__ import annotations

from pathlib import Path

from polyhouse.errors import ConfigError
from polyhouse.export.staging import Parts

_MEMORY = "512MB"


def write_duckdb(parts: Parts, path: Path) -> None:
    """Write the file.

    Raises:
        ConfigError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError("duckdb is not installed", hint="pip install 'polyhouse[export]'") from error
    name = parts.facts["polyhouse.table"]
    with duckdb.connect(str(path), config={"memory_limit": _MEMORY, "preserve_insertion_order": "true"}) as base:
        base.execute("SET TimeZone = 'UTC'")
        base.execute(f'CREATE TABLE "{name}" AS FROM read_parquet(?)', [[str(part) for part in parts.files]])
        for field in parts.schema():
            unit = (field.metadata or {}).get(b"unit", b"").decode()
            if unit:
                base.execute(f"""COMMENT ON COLUMN "{name}"."{field.name}" IS '{unit}'""")
        as_of = parts.facts["polyhouse.as_of"]
        base.execute(f"""COMMENT ON TABLE "{name}" IS 'data to {as_of}'""")
