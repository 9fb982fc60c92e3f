"""What a reader finds in a store: digests of every table, and every row where two stores differ."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyhouse.warehouse import ClickHouseWarehouse

CLAIMS_TOO_MUCH = 99
"""Exit code: a checkpoint stands behind rows that are not there."""

TOLD_BY_TIME = frozenset(
    {
        "version", "run", "written_at", "seen_at", "checked_at", "fetched_at", "applied_at", "linked_at", "known_at",
        "build", "at_build",
    }
)  # fmt: skip
"""Columns that say when or by which run something was written, not what."""

BY_ORDER = {"tokens": frozenset({"source"})}
"""Columns that name the first of several sources that said the same."""

RECORDS = frozenset(
    {
        "builds",
        "check_results",
        "copies",
        "feed",
        "feed_places",
        "invariant_results",
        "ledger_builds",
        "ledger_changes",
        "moved_conditions",
        "price_builds",
        "price_changes",
        "schema_migrations",
        "scored_tokens",
        "sync_pages",
        "sync_runs",
        "wallet_registry",
        "publications",
        "coverage",
        "chain_blocks",
        "market_checks",
        "leaderboard_history",
    }
)
"""Tables that record how the work went (pages, runs, builds), which a kill may change; the rest is what was read."""


def comparable(warehouse: ClickHouseWarehouse) -> dict[str, str]:
    """SELECT of every stored table that says the same however often its writers were killed."""
    rows = warehouse.query(
        "SELECT table, groupArray(name), any(engine) FROM (SELECT c.table, c.name, t.engine FROM system.columns AS c"
        " JOIN system.tables AS t ON t.database = c.database AND t.name = c.table WHERE c.database ="
        " currentDatabase() AND t.engine LIKE '%MergeTree' AND c.default_kind IN ('', 'DEFAULT')"
        " ORDER BY c.table, c.position) GROUP BY table ORDER BY table"
    ).rows
    found = {}
    for table, columns, engine in rows:
        # What builds left behind depends on how many of them a killed command had published before.
        if table in RECORDS or table.endswith(("__next", "__previous")):
            continue
        silent = TOLD_BY_TIME | BY_ORDER.get(table, frozenset()) | {"is_deleted"}
        names = ", ".join(f"`{name}`" for name in columns if name not in silent)
        found[table] = f"SELECT {names} FROM {table}{' FINAL' if 'Replacing' in engine else ''}"
    return found


def digests(home: str, to: str) -> None:
    """Rows and a digest per table, and the wallets of the queue, as JSON in the file ``to``."""
    from polyhouse.warehouse import open_warehouse

    content: dict[str, Any] = {}
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        for table, sql in comparable(warehouse).items():
            # As text: the hash of a row with a null in it would be null.
            rows = warehouse.query(f"SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM ({sql})").rows
            content[table] = [int(value) for value in rows[0]]
    content["state: wallets"] = _wallets(Path(home) / "state.db")
    Path(to).write_text(json.dumps(content))


def _wallets(path: Path) -> list[Any]:
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    try:
        sql = "SELECT hex(address), status, trades_synced, last_trade_at, last_error FROM wallets ORDER BY address"
        return [list(row) for row in connection.execute(sql)]
    finally:
        connection.close()


def rows_of(home: str, tables: list[str], to: str) -> None:
    """Every row of these tables, as text, in the file ``to``."""
    from polyhouse.warehouse import open_warehouse

    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        selects = comparable(warehouse)
        content = {
            table: [str(row[0]) for row in warehouse.query(f"SELECT hex(toString(tuple(*))) FROM ({sql})").rows]
            for table, sql in selects.items()
            if table in tables
        }
    Path(to).write_text(json.dumps(content))


def classify(expected: list[str], found: list[str]) -> dict[str, int]:
    """Rows that are lost, rows that are there more often than they should be, and rows that should not be."""
    ours, theirs = Counter(found), Counter(expected)
    return {
        "lost": (theirs - ours).total(),
        "duplicated": sum(count for row, count in (ours - theirs).items() if row in theirs),
        "wrong": sum(count for row, count in (ours - theirs).items() if row not in theirs),
    }


def claims_without_data(home: str) -> list[str]:
    """Checkpoints whose page the manifest does not have: the promise that must hold at every moment."""
    from polyhouse.state import open_state
    from polyhouse.sync.manifest import position_text
    from polyhouse.warehouse import open_warehouse

    if not (Path(home) / "state.db").exists():
        return []
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, open_state(f"sqlite:///{home}/state.db") as state:
        pages = warehouse.query("SELECT stream, partition, position_to FROM sync_pages_current").rows
        manifest = {tuple(map(str, row)) for row in pages}
        found = [
            f"{one.stream} [{one.partition}] at {dict(one.position)}"
            for one in state.checkpoints()
            if one.position and (one.stream, one.partition, position_text(one.position)) not in manifest
        ]
    print("checkpoints without data:", found[:5])
    return found


def against_truth(home: str, universe: dict[str, Any], now: int, to: str, *, is_chain: bool) -> None:
    """Hold the totals of a store against the simulator's truth; what differs goes into the file ``to``."""
    from dataclasses import replace

    from polyhouse.sim.truth import compute_truth
    from polyhouse.sim.universe import Universe
    from polyhouse.truth_check import compare
    from polyhouse.warehouse import open_warehouse

    world = Universe(**universe)
    world.advance(now - world.now)
    transactions = list(world.transactions())
    if is_chain:
        without = [replace(tx, logs=tuple(log for log in tx.logs if log.t != "Income")) for tx in transactions]
        transactions = [tx for tx in without if tx.logs]
    truth = compute_truth(transactions, world.events, world.neg_risk_markets)
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        result = compare(warehouse, truth, everyone=is_chain, income=not is_chain)
    content = {"compared": result.compared, "equal": result.equal, "numbers": result.numbers,
               "differences": result.differences}  # fmt: skip
    Path(to).write_text(json.dumps(content))


def old_tables(home: str, parts: str, last: int, to: str) -> None:
    """Write the rows of the tables that sources fill to files, for ``make_old``."""
    from polyhouse.warehouse import migrate, open_warehouse

    names = _tables_of(migrate.load_migrations()[:last])
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        known = {
            str(row[0]) for row in warehouse.query("SELECT name FROM system.tables WHERE database = 'default'").rows
        }
        kept = {}
        for table in sorted(names & known & OLD_TABLES):
            columns = [str(row[0]) for row in warehouse.query(
                "SELECT name FROM system.columns WHERE database = 'default' AND default_kind IN ('', 'DEFAULT')"
                f" AND table = '{table}' ORDER BY position"
            ).rows]  # fmt: skip
            warehouse.command(
                f"INSERT INTO FUNCTION file('{parts}/{table}.native', 'Native')"
                f" SELECT {', '.join(columns)} FROM {table}"
            )
            kept[table] = columns
    Path(to).write_text(json.dumps(kept))


OLD_TABLES = frozenset(
    {"observations", "events", "markets", "tokens", "resolutions", "neg_risk_markets", "sync_pages", "market_states"}
)


def _tables_of(migrations: list[Any]) -> set[str]:
    import re

    text = "\n".join(one.sql for one in migrations)
    return set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", text))


def make_old(home: str, parts: str, last: int, tables: dict[str, list[str]], to: str) -> None:
    """A store as the version with the first ``last`` migrations left it, with these rows."""
    from polyhouse.warehouse import migrate, open_warehouse

    ours = migrate.load_migrations()
    migrate.load_migrations = lambda: ours[:last]  # type: ignore[assignment]
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        for table, columns in tables.items():
            there = {
                str(row[0])
                for row in warehouse.query(
                    f"SELECT name FROM system.columns WHERE database = 'default' AND table = '{table}'"
                ).rows
            }
            names = ", ".join(name for name in columns if name in there)
            warehouse.command(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM file('{parts}/{table}.native', 'Native')"
            )
    Path(to).write_text("{}")
