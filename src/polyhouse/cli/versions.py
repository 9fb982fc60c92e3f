"""``polyhouse version``: what runs here, for a report of a defect."""

from __future__ import annotations

import polyhouse
from polyhouse.cli.base import Run, command
from polyhouse.cli.output import emit_facts, emit_json

_PACKAGES = ("chdb", "chdb-core", "clickhouse-connect", "pyarrow", "sqlalchemy", "numpy")


@command(
    "version",
    examples=("polyhouse version", "polyhouse version --json", "polyhouse version --json | jq -r .schema"),
)
def version(run: Run) -> None:
    """Versions of Polyhouse, Python, the engine, the schema and the definitions. Opens no store."""
    import platform
    from importlib.metadata import version as of

    from polyhouse.domain.categories import CATEGORY_VERSION
    from polyhouse.warehouse.migrate import load_migrations

    packages = {name: of(name) for name in _PACKAGES}
    document = {
        "polyhouse": polyhouse.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "schema": load_migrations()[-1].name.removesuffix(".sql"),
        "categories": CATEGORY_VERSION,
    }
    if run.json:
        emit_json(document | {"packages": packages})
    else:
        emit_facts(run, [*document.items(), *packages.items()])
