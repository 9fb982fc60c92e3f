"""The schema as the migrations up to one of them leave it: a new embedded store is made of it, not of its history.

``python -m polyhouse.warehouse.whole_schema`` writes it anew, from a store that went through every migration. Later
migrations are applied on top of it, so it need not be the newest; a test holds it equal to what the migrations make.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

from polyhouse.ports import QueryResult

_FOLDER = "schema"
_NAME = re.compile(r"^after_(\d{4})\.sql$")
_OBJECTS = (
    "SELECT create_table_query, currentDatabase() FROM system.tables"
    " WHERE database = currentDatabase() AND name != 'schema_migrations' ORDER BY engine = 'View', name"
)


@dataclass(frozen=True, slots=True)
class WholeSchema:
    """Statements that make, in an empty database, what the migrations up to ``number`` make of it."""

    number: int
    statements: tuple[str, ...]


class Asked(Protocol):
    """A store whose schema is asked for."""

    def query(self, sql: str) -> QueryResult:
        """Run one SELECT."""
        ...


def load_whole_schema() -> WholeSchema:
    """The one that comes with this version; a line is a statement."""
    for entry in (resources.files("polyhouse.warehouse") / _FOLDER).iterdir():
        if match := _NAME.match(entry.name):
            return WholeSchema(int(match.group(1)), tuple(entry.read_text("utf-8").splitlines()))
    raise AssertionError(f"{_FOLDER}/after_NNNN.sql is not installed")


def statements_of(store: Asked) -> tuple[str, ...]:
    """Statements that would make the tables and views of a store again, tables first."""
    return tuple(
        re.sub(rf"\b{re.escape(database)}\.(?=\w)", "", statement) for statement, database in store.query(_OBJECTS).rows
    )


def write_whole_schema(folder: Path) -> None:
    """Write the file of today's migrations, in place of the one that is there."""
    from polyhouse.warehouse.engine import Engine
    from polyhouse.warehouse.location import parse_location
    from polyhouse.warehouse.migrate import apply_migrations
    from polyhouse.warehouse.store import ClickHouseWarehouse

    with tempfile.TemporaryDirectory() as place:
        location = parse_location(f"chdb://{place}/warehouse")
        with ClickHouseWarehouse(Engine(location), None) as store:
            applied = apply_migrations(store, nullcontext())
            text = "".join(f"{statement}\n" for statement in statements_of(store))
    for old in folder.glob("after_*.sql"):
        old.unlink()
    (folder / f"after_{applied[-1].number:04d}.sql").write_text(text, "utf-8")


if __name__ == "__main__":
    write_whole_schema(Path(__file__).parent / _FOLDER)
