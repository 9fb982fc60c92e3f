"""The models as they were at a moment of the past: the same build over what was known then (docs/as-of.md).

The sources are copied, up to the moment, into a database of their own, and the models are built there by the same
steps. So no number can know anything later: it is not there. What cannot be cut by time is the catalogue; ``_CUTS``
says what of it is taken as it is today.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources

from polyhouse.domain.times import format_time
from polyhouse.errors import BadInputError
from polyhouse.metrics.catalogue import digest
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse

MOST_KEPT = 8
"""Databases of moments that are kept; the one made longest ago goes first."""

_BEFORE = "toUnixTimestamp(ts) <= {moment:UInt32}"
_SEEN = "toUnixTimestamp(seen_at) <= {moment:UInt32}"
_CUTS: Mapping[str, str] = {
    "observations": _BEFORE,
    "resolutions": _BEFORE,
    "price_points": _BEFORE,
    "reported_positions": _SEEN,
    "reported_values": _SEEN,
    # A price given by hand has no time of its own: it belongs to the present.
    "given_marks": "{is_newest:Bool}",
    # What a market is, not what became of it.
    "markets": "1",
    "tokens": "1",
    "events": "1",
    "neg_risk_markets": "1",
}
"""Source → condition on the rows that were known at the moment."""

_UNKNOWN_THEN: Mapping[str, Mapping[str, str]] = {
    "markets": {
        "prices_e6": "if({is_newest:Bool}, prices_e6, [])",
        "closed": "closed AND (toUnixTimestamp(closed_ts) <= {moment:UInt32} OR {is_newest:Bool})",
        "closed_ts": "if(toUnixTimestamp(closed_ts) <= {moment:UInt32}, closed_ts, toDateTime(0, 'UTC'))",
        "status": "if({is_newest:Bool}, status, '')",
    },
    "events": {"closed": "closed AND {is_newest:Bool}"},
}
"""Columns of the catalogue that tell of the present."""

_LARGE = ("observations", "price_points", "priced_fills")
"""Copies that nobody needs once the models are built."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A kept database.

    Attributes:
        moment: Unix seconds; nothing later is known there. newest: time of the newest ledger row there.
        rows: observations it was built from. seconds: what it took. made_at: when.
        forgotten: moments that had to go for it, because ``MOST_KEPT`` were kept.
    """

    moment: int
    database: str
    fingerprint: str
    newest: int
    rows: int
    seconds: float
    made_at: int
    forgotten: tuple[int, ...] = ()


def keep_moment(warehouse: Warehouse, moment: int) -> Moment:
    """The models as of a moment: those that are kept, if nothing from before the moment arrived since; else made now.

    Readers see a moment's database when it is complete, and the old one until then.

    Args:
        warehouse: the store; no other build may run.
        moment: Unix seconds.

    Raises:
        BadInputError: the store knows nothing from before the moment, or ends before it.
    """
    newest = _check(warehouse, moment)
    bound = {"moment": moment, "is_newest": moment == newest}
    fingerprint = _fingerprint(warehouse, bound)
    kept = {one.moment: one for one in kept_moments(warehouse)}
    _drop_strays(warehouse, {one.database for one in kept.values()})
    if moment in kept and kept[moment].fingerprint == fingerprint:
        return kept[moment]
    started = time.monotonic()
    database = f"{_prefix(warehouse)}{moment}_{time.time_ns() // 1000}"
    other = warehouse.create_database(database)
    rows = _copy(warehouse, database, bound)
    report = build(other)
    for table in _LARGE:
        other.command(f"TRUNCATE TABLE {table}")
    made = Moment(
        moment, database, fingerprint, report.as_of, rows, time.monotonic() - started, int(time.time())
    )  # fmt: skip
    _record(warehouse, made)
    if moment in kept:
        warehouse.drop_database(kept[moment].database)
    others = sorted((one for one in kept.values() if one.moment != moment), key=lambda one: (one.made_at, one.moment))
    gone = others[: max(len(others) + 1 - MOST_KEPT, 0)]
    for one in gone:
        forget_moment(warehouse, one.moment)
    return replace(made, forgotten=tuple(one.moment for one in gone))


def kept_moments(warehouse: Warehouse) -> list[Moment]:
    """Every complete database of a moment, by moment."""
    rows = warehouse.query(
        "SELECT toUnixTimestamp(moment), database, fingerprint, toUnixTimestamp(newest), rows, seconds,"
        " toUnixTimestamp(made_at) FROM as_of_databases FINAL ORDER BY moment"
    ).rows
    return [Moment(*row) for row in rows]


def forget_moment(warehouse: Warehouse, moment: int) -> None:
    """Drop the database of a moment.

    Raises:
        BadInputError: it is not kept.
    """
    for one in kept_moments(warehouse):
        if one.moment == moment:
            warehouse.command(
                "INSERT INTO as_of_databases SELECT k.* REPLACE ({version:UInt64} AS version, 1 AS is_deleted)"
                " FROM as_of_databases AS k FINAL WHERE moment = toDateTime({moment:UInt32}, 'UTC')",
                {"version": time.time_ns() // 1000, "moment": moment},
            )
            warehouse.drop_database(one.database)
            return
    raise BadInputError(f"no models as of {format_time(moment)} are kept", hint="polyhouse metrics --list")


def _check(warehouse: Warehouse, moment: int) -> int:
    """The newest moment of the store, if it and the oldest one enclose ``moment``."""
    ((oldest, newest),) = warehouse.query(
        "SELECT toUnixTimestamp(min(ts)), toUnixTimestamp(max(ts)) FROM observations"
        " WHERE toString(kind) NOT IN ('DEPOSIT', 'WITHDRAWAL', 'TIP')"
    ).rows
    if not newest:
        raise BadInputError("the store is empty: there is nothing as of any moment", hint="polyhouse run")
    if not oldest <= moment <= newest:
        raise BadInputError(
            f"nothing can be told as of {format_time(moment)}: the store knows what happened from"
            f" {format_time(int(oldest))} to {format_time(int(newest))}",
            hint="choose a moment between these, or sync first",
        )
    return int(newest)


def _fingerprint(warehouse: Warehouse, bound: Mapping[str, object]) -> str:
    """Changes when a source has other rows up to the moment (how many, newest version), and with schema and models."""
    ((schema,),) = warehouse.query("SELECT max(number) FROM schema_migrations").rows
    rules = "".join(
        entry.read_text("utf-8")
        for package in ("polyhouse.models", "polyhouse.models.steps", "polyhouse.ledger")
        for entry in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith((".sql", ".py"))
    )
    # The schema comes first: readers ask for it (``reads.as_of``).
    parts = [str(schema), hashlib.sha256((rules + digest()).encode()).hexdigest()[:16]]
    for table, condition in _CUTS.items():
        used = {name: value for name, value in bound.items() if f"{{{name}:" in condition}
        ((count, version),) = warehouse.query(
            f"SELECT count(), max(version) FROM {table} FINAL WHERE {condition}", used
        ).rows
        parts.append(f"{count}.{version}")
    return " ".join(parts)


def _copy(warehouse: Warehouse, database: str, bound: Mapping[str, object]) -> int:
    for table, condition in _CUTS.items():
        stored = warehouse.query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
            " AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY position",
            {"t": table},
        ).rows
        names = [name for (name,) in stored]
        then = _UNKNOWN_THEN.get(table, {})
        values = [then.get(name, name) for name in names]
        sql = (
            f"INSERT INTO {database}.{table} ({', '.join(names)})"
            f" SELECT {', '.join(values)} FROM {table} FINAL WHERE {condition}"
        )
        warehouse.command(sql, {name: value for name, value in bound.items() if f"{{{name}:" in sql} or None)
    return int(warehouse.query(f"SELECT count() FROM {database}.observations").rows[0][0])


def _record(warehouse: Warehouse, made: Moment) -> None:
    warehouse.command(
        "INSERT INTO as_of_databases SELECT toDateTime({moment:UInt32}, 'UTC'), {database:String},"
        " {fingerprint:String}, toDateTime({newest:UInt32}, 'UTC'), {rows:UInt64}, {seconds:Float64},"
        " toDateTime({made_at:UInt32}, 'UTC'), {version:UInt64}, 0",
        {
            "moment": made.moment, "database": made.database, "fingerprint": made.fingerprint, "newest": made.newest,
            "rows": made.rows, "seconds": made.seconds, "made_at": made.made_at, "version": time.time_ns() // 1000,
        },
    )  # fmt: skip


def _prefix(warehouse: Warehouse) -> str:
    return f"{warehouse.query('SELECT currentDatabase()').rows[0][0]}_as_of_"


def _drop_strays(warehouse: Warehouse, known: set[str]) -> None:
    """Drop what builds that were killed left behind."""
    rows = warehouse.query(
        "SELECT name FROM system.databases WHERE startsWith(name, {prefix:String})", {"prefix": _prefix(warehouse)}
    ).rows
    for (name,) in rows:
        if name not in known:
            warehouse.drop_database(name)
