"""Publishes wallets and scores to PostgreSQL, for applications that read them there (docs/postgres.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import tenacity

from polyhouse.errors import ConfigError, RetryableError
from polyhouse.failpoints import reach
from polyhouse.ports import Warehouse
from polyhouse.publish.postgres import Counts, Publication, Target
from polyhouse.publish.tables import BUILT, SOURCES, TABLES, WALLET

OFF = "off"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_RESERVED = frozenset({"polyhouse", "information_schema"})
_OVERLAP_MICROSECONDS = 15 * 60 * 1_000_000
"""Where several machines write at any time, a version is given before its row is visible, so the newest ones are looked
at once more. Models are written by one build at a time, and nothing is published while it goes on."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a publication did.

    Attributes:
        is_full: it was of every wallet.
        wallets: of how many it was.
        tables: table → what became of its rows.
    """

    is_full: bool
    wallets: int
    tables: Mapping[str, Counts]


def find_target(chosen: str, state_url: str, schema: str) -> tuple[str, str] | None:
    """URL and schema to publish to by the settings; None: nowhere.

    Raises:
        ConfigError: the schema's name cannot be one of ours.
    """
    url = chosen or state_url
    if chosen.lower() == OFF or (not chosen and not state_url.startswith(("postgresql", "postgres:"))):
        return None
    if not _SCHEMA.fullmatch(schema) or schema in _RESERVED or schema.startswith("pg_"):
        raise ConfigError(
            f"POLYHOUSE_PUBLISH_SCHEMA: {schema[:80]!r} cannot be the schema of the published tables.",
            hint="lower-case letters, digits and _; not polyhouse, which is the state store's",
        )
    return url, schema


def publish(warehouse: Warehouse, target: Target, *, full: bool = False, patience_seconds: float = 0.0) -> Report:
    """Make the published tables say what the warehouse says, in one transaction.

    Args:
        warehouse: where the views are.
        target: where to publish.
        full: look at every wallet, not only at those of whom something is newer than the last publication.
        patience_seconds: how long to begin again while the server is away.

    Raises:
        RetryableError: the server is away; what was published before stands.
        ConfigError: see ``Target.publication``.
    """
    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_delay(patience_seconds),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=5.0),
        retry=tenacity.retry_if_exception_type(RetryableError),
        reraise=True,
    )
    return attempts(_publish, warehouse, target, full)


def _publish(warehouse: Warehouse, target: Target, full: bool) -> Report:
    with target.publication() as publication:
        marks = _settled(warehouse)
        before = publication.marks()
        changed = _changed(before)
        is_full = full or not before or _was_rewritten(warehouse, before)
        if is_full:
            wallets = _count(warehouse, f"SELECT {WALLET} FROM wallet_sync_metadata")
        else:
            wallets = publication.name_wallets(warehouse.query_columns(changed))
        knows_trends = _knows_trends(warehouse)
        tables = {}
        for table in TABLES:
            sql = table.select(knows_trends=knows_trends, only="" if is_full else changed)
            tables[table.name] = publication.replace(table, warehouse.query_columns(sql), is_full=is_full)
            reach("P1")
        publication.record(tables.values(), is_full=is_full, wallets=wallets, marks=marks)
        reach("P2")
    return Report(is_full, wallets, tables)


def _settled(warehouse: Warehouse) -> dict[str, int]:
    """Up to which version each table is known whole."""
    parts = ", ".join(f"(SELECT max(version) FROM {name})" for name in SOURCES)
    now, *newest = (int(one) for one in warehouse.query(f"SELECT toUnixTimestamp64Micro(now64(6)), {parts}").rows[0])
    return {
        name: version if name in BUILT else min(version, now - _OVERLAP_MICROSECONDS)
        for name, version in zip(SOURCES, newest, strict=True)
    }


def _changed(marks: Mapping[str, int]) -> str:
    """Subquery of the addresses of whom something is newer than ``marks``.

    Rows that say that something is gone count too, hence no FINAL.
    """
    each = " UNION DISTINCT ".join(
        f"SELECT wallet FROM {name} WHERE version > {marks.get(name, 0)}" for name in SOURCES
    )
    return f"SELECT DISTINCT lower(concat('0x', hex(wallet))) AS {WALLET} FROM ({each})"


def _was_rewritten(warehouse: Warehouse, marks: Mapping[str, int]) -> bool:
    """Whether a table was made anew since, as by a build of all wallets: it does not say then who is gone."""
    built = sorted(BUILT)
    parts = ", ".join(f"(SELECT min(version) FROM {name})" for name in built)
    oldest = warehouse.query(f"SELECT {parts}").rows[0]
    newest = max((marks.get(name, 0) for name in built), default=0)
    went_back = f"SELECT count() FROM publications WHERE kind = 'rollback' AND build > {newest}"
    if warehouse.query(went_back).rows[0][0]:
        return True
    return any(int(version) > marks.get(name, 0) > 0 for name, version in zip(built, oldest, strict=True))


def _count(warehouse: Warehouse, sql: str) -> int:
    return int(warehouse.query(f"SELECT count() FROM ({sql})").rows[0][0])


def _knows_trends(warehouse: Warehouse) -> bool:
    """The columns of the metrics are made by the first build."""
    tables = ", ".join(f"'{table.trends}'" for table in TABLES if table.trends)
    rows = warehouse.query(
        "SELECT count() FROM system.columns WHERE database = currentDatabase()"
        f" AND table IN ({tables}) AND name IN ('trend', 'omega_slope_30d')"
    ).rows
    return int(rows[0][0]) == len(tables.split(", ")) * len(("trend", "omega_slope_30d"))


__all__ = ["OFF", "Counts", "Publication", "Report", "Target", "find_target", "publish"]
