"""The stores of level 1: the product's real state store on SQLite in memory, and a warehouse of dictionaries.

Both belong to the world outside; a process reaches them through a port of its own that can fail, be slow, or die.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, update
from sqlalchemy.pool import StaticPool

from faultlab.schedule import PROCESS, Faults
from faultlab.vtime import Life
from polyhouse.errors import RetryableError, WarehouseUnavailableError
from polyhouse.ports import Comparison, PageCommit, QueryResult
from polyhouse.state import StateStore, open_state
from polyhouse.state.database import _begin_sqlite
from polyhouse.tables import BY_NAME, Columns

Key = tuple[Any, ...]
_ROW_KEY = ("kind", "shares", "cash", "price_e12", "label", "ordinal")
"""What ``observations.row_key`` hashes of a row that is not from the chain."""


class Tables:
    """What the warehouse holds: the newest version of every row by its natural key, as ``*_current`` shows it."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Key, dict[str, Any]]] = {name: {} for name in BY_NAME}
        self.copies: dict[Key, int] = {}
        self.version = 0

    def put(self, table: str, columns: Columns, run: int, rows: int) -> None:
        """Write the first ``rows`` rows of a batch."""
        declared = BY_NAME[table]
        self.version += 1
        names = list(columns)
        for values in list(zip(*columns.values(), strict=True))[:rows]:
            row = {**declared.defaults, **dict(zip(names, values, strict=True)), "version": self.version}
            if "run" in declared.columns:
                row["run"] = run
            key = tuple(row[name] for name in declared.key if name != "row_key")
            if table == "observations":
                asset = row["condition"] if row["token"] == bytes(32) else b""
                key += (asset, *(row[name] for name in _ROW_KEY))
                self.copies[key] = self.copies.get(key, 0) + 1
            known = self.rows[table].get(key)
            if known is None or known["version"] <= self.version:
                self.rows[table][key] = row

    def all(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table."""
        return list(self.rows[table].values())


class MemoryWarehouse:
    """One process's way to the tables. Knows the few questions that a reading run asks."""

    def __init__(self, tables: Tables, faults: Faults, life: Life) -> None:
        self._tables = tables
        self._faults = faults
        self._life = life

    def write(self, table: str, columns: Columns, *, run: int, token: str) -> int:
        fault = self._faults.draw(
            self._life, "write_refused", "write_half", "write_answer_lost", "write_slow", *PROCESS
        )
        if fault == "write_refused":
            raise WarehouseUnavailableError("refused")
        rows = len(next(iter(columns.values())))
        self._tables.put(table, columns, run, rows // 2 if fault == "write_half" else rows)
        if fault == "write_slow":
            self._life.freeze(30.0)
        if fault in {"write_half", "write_answer_lost"}:
            raise WarehouseUnavailableError(fault)
        self._faults.draw(self._life, "crash")
        return rows

    def compare(self, table: str, columns: Columns) -> Comparison:
        return Comparison()

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        self._faults.draw(self._life, "crash")

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> QueryResult:
        fault = self._faults.draw(self._life, "write_refused", *PROCESS)
        if fault == "write_refused":
            raise WarehouseUnavailableError("refused")
        for words, answer in _QUESTIONS.items():
            if words in sql:
                return QueryResult((), answer(self._tables, sql, params or {}))
        raise AssertionError(f"the warehouse in memory does not know this question: {sql}")


Rows = list[tuple[Any, ...]]
Question = Callable[[Tables, str, Mapping[str, Any]], Rows]


def _newest_version(tables: Tables, sql: str, _: Mapping[str, Any]) -> Rows:
    name = sql.rpartition("FROM ")[2].strip()
    return [(max((row["version"] for row in tables.all(name)), default=0),)]


def _newest_pages(tables: Tables, sql: str, params: Mapping[str, Any]) -> Rows:
    pages = [row for row in tables.all("sync_pages") if row["stream"] == params["stream"]]
    wanted = set(params.get("partitions", ()))
    found = []
    for name in sorted({row["partition"] for row in pages}):
        if wanted and name not in wanted:
            continue
        if "after" in params and not name > params["after"]:
            continue
        mine = [row for row in pages if row["partition"] == name]
        newest = max(mine, key=lambda row: (row["seq"], row["version"]))
        found.append((
            name, newest["position_to"], newest["seq"], newest["is_last"], sum(row["rows"] for row in mine),
            sum(row["rejected"] for row in mine), max(row["written_at"] for row in mine),
            min(
                ((row["seq"], row["version"], row["position_from"]) for row in mine if row["rejected"]),
                default=(0, 0, ""),
            )[2],
            [row["position_to"] for row in mine],
        ))  # fmt: skip
    return found


def _streams(tables: Tables, _: str, __: Mapping[str, Any]) -> Rows:
    return [(name,) for name in sorted({row["stream"] for row in tables.all("sync_pages")})]


def _wallets(tables: Tables, _: str, params: Mapping[str, Any]) -> Rows:
    found = {row["wallet"] for row in tables.all("observations")}
    return [(one,) for one in sorted(found) if one.hex() > params["after"]]


def _wallets_of_run(tables: Tables, _: str, params: Mapping[str, Any]) -> Rows:
    return [(one,) for one in sorted({r["wallet"] for r in tables.all("observations") if r["run"] == params["run"]})]


def _read_wallets(tables: Tables, _: str, params: Mapping[str, Any]) -> Rows:
    wanted = {bytes.fromhex(one) for one in params["wallets"]}
    return [(one,) for one in {row["wallet"] for row in tables.all("observations")} & wanted]


def _fills(tables: Tables, _: str, __: Mapping[str, Any]) -> Rows:
    found: dict[bytes, list[int]] = {}
    for row in tables.all("observations"):
        if row["source"] == "activity" and row["kind"] in {"BUY", "SELL"}:
            found.setdefault(row["wallet"], []).append(row["ts"])
    return [(wallet, len(times), max(times)) for wallet, times in found.items()]


def _left_behind(tables: Tables, _: str, params: Mapping[str, Any]) -> Rows:
    since = dict(zip(params["wallets"], params["since"], strict=True))
    found = []
    for row in tables.all("reported_positions"):
        begun = since.get(row["wallet"].hex().upper())
        if begun is None or row["status"] == params["gone"]:
            continue
        if row["run"] != params["run"] or row["seen_at"] < begun:
            found.append((row["wallet"], row["token"], row["condition"]))
    return sorted(found)


def _mirrored(tables: Tables, _: str, __: Mapping[str, Any]) -> Rows:
    rows = tables.all("wallet_registry")
    return [(max((row["updated_at"] for row in rows), default=0), len(rows))]


def _last_run(tables: Tables, _: str, __: Mapping[str, Any]) -> Rows:
    return [(max((row["run_id"] for row in tables.all("sync_runs")), default=0),)]


def _arrived(tables: Tables, _: str, params: Mapping[str, Any]) -> Rows:
    wallets, txs = set(params["wallets"]), set(params["txs"])
    rows = tables.all("observations")
    return [
        (row["wallet"], row["tx"]) for row in rows
        if row["source"] == "activity" and row["wallet"].hex() in wallets and row["tx"].hex() in txs
    ]  # fmt: skip


_QUESTIONS: dict[str, Question] = {
    "SELECT max(version) FROM": _newest_version,
    "argMax(position_to": _newest_pages,
    "SELECT DISTINCT stream FROM sync_pages": _streams,
    "SELECT DISTINCT wallet FROM observations_current": _wallets,
    "FROM observations WHERE run = {run:UInt64}": _wallets_of_run,
    "AND run != {run:UInt64} SETTINGS": _read_wallets,
    "AS fills": _fills,
    "FROM reported_positions_current": _left_behind,
    "FROM wallet_registry": _mirrored,
    "FROM sync_runs": _last_run,
    "SELECT DISTINCT wallet, tx FROM observations_current": _arrived,
    "SELECT count() FROM tokens": lambda *_: [(0,)],
    "SELECT count() FROM resolutions": lambda *_: [(0,)],
    "SELECT DISTINCT token FROM observations_current": lambda *_: [],
    "FROM markets_current": lambda *_: [],
    "SELECT DISTINCT condition FROM observations": lambda *_: [],
}


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        open_state(f"sqlite:///{path}").close()
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            content = connection.serialize()
        connection.close()
    return content


@cache
def _engine() -> tuple[Engine, sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    engine = create_engine("sqlite://", poolclass=StaticPool, creator=lambda: connection, hide_parameters=True)
    event.listen(engine, "begin", _begin_sqlite)
    return engine, connection


def fresh_state() -> Engine:
    """An engine on an empty state store; the one before is gone."""
    engine, connection = _engine()
    connection.deserialize(_template())
    return engine


class FaultyState(StateStore):
    """The real state store of one process, with transactions that can fail on either side of their commit.

    Attributes:
        committed: hears of pages as soon as their transaction is durable, whatever the process hears of it.
        is_elsewhere: other processes use the store too, as PostgreSQL allows; the SQL stays SQLite's.
    """

    def __init__(self, engine: Engine, faults: Faults, life: Life, *, is_elsewhere: bool) -> None:
        super().__init__(engine, lambda: life.wall, life.name)
        self._faults = faults
        self._life = life
        self._is_sqlite = not is_elsewhere
        self._is_durable = False
        self.committed: Callable[[Sequence[PageCommit]], None] = lambda _: None

    def _insert(self, table: Any) -> Any:
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)

    @contextmanager
    def _writing(self, *, everything: bool = False) -> Iterator[Connection]:
        fault = self._faults.draw(self._life, "state_busy", "state_answer_lost", "lease_expired", *PROCESS)
        if fault == "state_busy":
            raise RetryableError("The state store is unavailable: database is locked.")
        self._is_durable = False
        with super()._writing() as connection:
            if fault == "lease_expired":
                self._expire(connection)
            yield connection
            self._faults.draw(self._life, "crash")
        self._is_durable = True
        if fault == "state_answer_lost":
            raise RetryableError("The state store is unavailable: the connection broke.")
        self._faults.draw(self._life, "crash")

    def _expire(self, connection: Connection) -> None:
        from polyhouse.state.schema import wallets

        mine = update(wallets).where(wallets.c.lease_owner == self.worker, wallets.c.lease_until > 0)
        connection.execute(mine.values(lease_until=1))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._faults.draw(self._life, "state_busy", *PROCESS):
            raise RetryableError("The state store is unavailable: database is locked.")
        with super()._reading() as connection:
            yield connection

    def commit_pages(self, run: int, commits: Sequence[PageCommit]) -> None:
        self._is_durable = False
        try:
            super().commit_pages(run, commits)
        finally:
            if commits and self._is_durable:
                self.committed(commits)
