"""How a build becomes what readers see: all tables at once, what was there before kept for the way back.

A build writes every table beside the published one. When all are complete it notes what it is about to do, exchanges
them with one statement, and notes that it is done. The statement takes milliseconds, but it is not one moment: it
exchanges pair after pair. Readers that ask several tables therefore look at ``mark`` before and after
(``reads.snapshot``), and who was killed in between is completed by the next one who opens the store
(``finish_publication``): the note names where the rows of each lie, so it is known which were exchanged.

Of a build of all wallets what it replaced stays as ``X__previous`` until the next such build; ``rollback`` exchanges
both sets, and again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from polyhouse.errors import BadInputError
from polyhouse.models.build import ANY_SIZE, PUBLISHED, Build, BuildReport
from polyhouse.ports import Warehouse

_COLUMNS = (
    "build", "kind", "tables", "held", "replaced", "restored", "rows_to", "as_of", "wallets", "row_count", "seconds",
    "step_seconds", "table_rows", "is_done",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Publication:
    """One change of what readers see.

    Attributes:
        build: its number. kind: ``all``, ``touched`` or ``rollback``.
        tables: that were exchanged. held: that stayed, because a check was broken.
        replaced: the build that was seen before, 0 = none. restored: of a rollback, the build that is seen again.
        rows_to: insert into ``observations`` up to which the build looked.
        as_of: end of its windows, Unix seconds. wallets: of a partial build. row_count: ledger rows written.
        seconds: what it took. steps: of it, by name. rows: written, by table.
    """

    build: int
    kind: str
    tables: tuple[str, ...]
    held: tuple[str, ...] = ()
    replaced: int = 0
    restored: int = 0
    rows_to: int = 0
    as_of: int = 0
    wallets: int = 0
    row_count: int = 0
    seconds: float = 0.0
    steps: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    is_done: bool = False


def publish_build(run: Build, report: BuildReport, held: Collection[str], *, keeps_previous: bool) -> None:
    """Show readers what a build wrote.

    Args:
        run: the build; every table is complete beside its published one.
        report: what it did.
        held: tables that stay as they are.
        keeps_previous: of a build of all wallets, keep what it replaces.
    """
    tables = tuple(table for table in run.beside if table not in held)
    replaced = newest_build(run.warehouse)
    # Windows end where those end whose totals are seen.
    as_of = _as_of(run.warehouse, replaced) if "wallet_totals" in held else report.as_of
    one = Publication(
        report.build, "all" if report.wallets is None else "touched", tables, tuple(sorted(held)), replaced,
        rows_to=run.rows_to, as_of=as_of, wallets=report.wallets or 0, row_count=report.rows.get("ledger", 0),
        seconds=report.seconds, steps=report.steps, rows=report.rows,
    )  # fmt: skip
    _note(run.warehouse, one, _identities(run.warehouse, [f"{table}__next" for table in tables]))
    with seen_at_once(run.warehouse):
        if tables:
            run.put_in_place(*tables)
        _end(run.warehouse, one)
    is_kept = run.full and keeps_previous and bool(replaced)
    if run.full:
        run.define(f"DROP TABLE IF EXISTS {', '.join(f'{table}__previous' for table in PUBLISHED)} {ANY_SIZE}")
    if is_kept and tables:
        run.define(f"RENAME TABLE {', '.join(f'{table}__next TO {table}__previous' for table in tables)}")
    run.drop_beside(*held, *(() if is_kept else tables))


@contextmanager
def seen_at_once(warehouse: Warehouse) -> Iterator[None]:
    """Readers of this process do not take what they see meanwhile for one state."""
    changes = getattr(warehouse, "changes", None)
    if changes is None:
        yield
        return
    with changes.publishing():
        yield


def newest_build(warehouse: Warehouse) -> int:
    """Number of the build that readers see; 0 = none yet."""
    return int(warehouse.query("SELECT max(build) FROM builds").rows[0][0])


def seen_build(warehouse: Warehouse) -> BuildReport:
    """The build that readers see, as the report of one that found nothing to do."""
    build = newest_build(warehouse)
    return BuildReport(build, _as_of(warehouse, build), 0, 0.0)


def publications(warehouse: Warehouse, *, limit: int = 50) -> list[Publication]:
    """What readers were shown, newest first."""
    rows = warehouse.query(
        "SELECT build, kind, tables, held, replaced, restored, rows_to, toUnixTimestamp(as_of), wallets, row_count,"
        " seconds, step_seconds, table_rows, is_done FROM publications FINAL ORDER BY build DESC LIMIT {n:UInt32}",
        {"n": limit},
    ).rows
    return [_publication(row) for row in rows]


def finish_publication(warehouse: Warehouse, *, is_alone: bool = True) -> bool:
    """Complete a publication that was killed in the middle; whether there was one. No build may be under way.

    Args:
        warehouse: the store.
        is_alone: whether it is no shard. Each node of a cluster works off its statements, also after
            it was away, so that only the note is ended here; the build that follows exchanges everything again.
    """
    rows = warehouse.query(
        f"SELECT {', '.join(_COLUMNS[:7])}, toUnixTimestamp(as_of), {', '.join(_COLUMNS[8:])}, targets"
        " FROM publications FINAL WHERE NOT is_done ORDER BY build DESC LIMIT 1"
    ).rows
    if not rows or warehouse.shards():
        return False
    one, targets = _publication(rows[0][:-1]), [str(target) for target in rows[0][-1]]
    other = "__previous" if one.kind == "rollback" else "__next"
    there = _named(warehouse, [*one.tables, *(f"{table}{other}" for table in one.tables)])
    left = [
        table
        for table, target in zip(one.tables, targets, strict=True)
        if is_alone and there.get(table) != target and there.get(f"{table}{other}") == target
    ]
    with seen_at_once(warehouse):
        if left:
            warehouse.define(f"EXCHANGE TABLES {', '.join(f'{table} AND {table}{other}' for table in left)}")
        _end(warehouse, one)
    return True


def rollback(warehouse: Warehouse) -> tuple[Publication, int]:
    """Show readers the models from before the newest build of all wallets again, or take that back.

    Returns:
        What was done, and the insert into ``observations`` after which wallets may have rows that those models lack.

    Raises:
        BadInputError: no earlier build is kept, or it was made by a version with other tables.
    """
    known = [one for one in publications(warehouse, limit=10_000) if one.is_done]
    full = next((one for one in known if one.kind == "all"), None)
    there = _named(warehouse, [f"{table}__previous" for table in PUBLISHED])
    if full is None or not full.tables or any(f"{table}__previous" not in there for table in full.tables):
        raise BadInputError("no earlier build is kept", hint="polyhouse metrics --full makes this one anew")
    _refuse_other_columns(warehouse, full.tables)
    last = next((one for one in known if one.kind == "rollback" and one.build > full.build), None)
    shown, kept = newest_build(warehouse), full.replaced if last is None else last.replaced
    build = max(time.time_ns() // 1000, shown + 1)
    one = Publication(build, "rollback", full.tables, replaced=shown, restored=kept, as_of=_as_of(warehouse, kept))
    _note(warehouse, one, [there[f"{table}__previous"] for table in full.tables])
    with seen_at_once(warehouse):
        pairs = ", ".join(f"{table} AND {table}__previous" for table in full.tables)
        warehouse.define(f"EXCHANGE TABLES {pairs}")
        # The ledger is another one now: the next build of all wallets makes it anew.
        warehouse.command("TRUNCATE TABLE ledger_builds")
        _end(warehouse, one)
    reached = [one.rows_to for one in known if one.kind == "all" and one.build <= kept]
    return replace(one, is_done=True), max(reached, default=0)


def _publication(row: tuple[Any, ...]) -> Publication:
    (
        build,
        kind,
        tables,
        held,
        replaced,
        restored,
        rows_to,
        as_of,
        wallets,
        row_count,
        seconds,
        steps,
        counts,
        is_done,
    ) = row
    return Publication(
        int(build), str(kind), tuple(map(str, tables)), tuple(map(str, held)), int(replaced), int(restored),
        int(rows_to), int(as_of), int(wallets), int(row_count), float(seconds),
        {_word(name): float(value) for name, value in steps.items()},
        {_word(name): int(value) for name, value in counts.items()}, bool(is_done),
    )  # fmt: skip


def _word(name: str | bytes) -> str:
    """Keys of a map come as bytes from one engine and as text from another."""
    return name.decode() if isinstance(name, bytes) else name


def _note(warehouse: Warehouse, one: Publication, targets: list[str]) -> None:
    """Write down what is about to happen."""
    warehouse.command(
        f"INSERT INTO publications ({', '.join(_COLUMNS)}, targets, at, version) SELECT {{build:UInt64}},"
        " {kind:String}, {tables:Array(String)}, {held:Array(String)}, {replaced:UInt64}, {restored:UInt64},"
        " {rows_to:UInt64}, toDateTime({as_of:UInt32}, 'UTC'), {wallets:UInt64}, {row_count:UInt64},"
        " {seconds:Float64}, mapFromArrays({steps:Array(String)}, {took:Array(Float64)}),"
        " mapFromArrays({written:Array(String)}, {rows:Array(UInt64)}), 0, {targets:Array(String)}, now64(3), 1",
        {
            "build": one.build, "kind": one.kind, "tables": list(one.tables), "held": list(one.held),
            "replaced": one.replaced, "restored": one.restored, "rows_to": one.rows_to, "as_of": one.as_of,
            "wallets": one.wallets, "row_count": one.row_count, "seconds": one.seconds,
            "steps": list(one.steps), "took": list(one.steps.values()),
            "written": list(one.rows), "rows": list(one.rows.values()), "targets": targets,
        },
    )  # fmt: skip


def _end(warehouse: Warehouse, one: Publication) -> None:
    """It happened: from now on readers know the build by its number."""
    warehouse.command(
        "INSERT INTO builds SELECT {build:UInt64}, toDateTime({as_of:UInt32}, 'UTC'), {kind:String}, {wallets:UInt64},"
        " {row_count:UInt64}, {seconds:Float64}, now()",
        {
            "build": one.build, "as_of": one.as_of, "kind": one.kind, "wallets": one.wallets,
            "row_count": one.row_count, "seconds": one.seconds,
        },
    )  # fmt: skip
    warehouse.command(
        "INSERT INTO publications SELECT p.* REPLACE (1 AS is_done, now64(3) AS at, 2 AS version)"
        " FROM publications AS p FINAL WHERE build = {build:UInt64}",
        {"build": one.build},
    )


def _as_of(warehouse: Warehouse, build: int) -> int:
    rows = warehouse.query("SELECT toUnixTimestamp(as_of) FROM builds WHERE build = {b:UInt64} LIMIT 1", {"b": build})
    return int(rows.rows[0][0]) if rows.rows else 0


def _refuse_other_columns(warehouse: Warehouse, tables: Collection[str]) -> None:
    rows = warehouse.query(
        "SELECT table, groupArray((name, type)) FROM (SELECT table, name, type FROM system.columns"
        " WHERE database = currentDatabase() ORDER BY table, position) GROUP BY table"
    ).rows
    columns = {str(table): list(found) for table, found in rows}
    changed = [table for table in tables if columns[table] != columns[f"{table}__previous"]]
    if changed:
        raise BadInputError(
            f"the build before was made by a version with other columns ({', '.join(changed)})",
            hint="install that version, or build anew: polyhouse metrics --full",
        )


def _identities(warehouse: Warehouse, names: list[str]) -> list[str]:
    there = _named(warehouse, names)
    return [there[name] for name in names]


def _named(warehouse: Warehouse, names: list[str]) -> dict[str, str]:
    """Which of these tables exist, and where the rows of each lie: that stays when it is called otherwise."""
    rows = warehouse.query(
        "SELECT name, splitByChar('/', data_paths[1])[-2] FROM system.tables WHERE database = currentDatabase()"
        f" AND name IN ({', '.join(repr(name) for name in names)})"
    ).rows
    return {str(name): str(folder) for name, folder in rows}
